"""Usage as rows of the table `usage`, with the markers that stand among it and the documents it is rated under.

The archive holds each record as its message said it, so that it can be rated again: the quantity to its last digit,
even where no column of numbers holds it, and whatever instants a producer could write.
"""

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.fixed_point import QUANTITY_ONE, fits
from schemas.instants import from_us, to_us
from schemas.usage import UsageRecord
from sinks.columns import INSTANT, QUANTITY, fixed, instants, rows, texts, to_instants

USAGE = pa.schema(
    [
        ("tenant", pa.string()),
        ("account", pa.string()),
        ("source", pa.string()),
        ("usage_id", pa.string()),
        ("meter", pa.string()),
        ("quantity", QUANTITY),
        ("quantity_text", pa.string()),
        ("start", INSTANT),
        ("end", INSTANT),
        ("unit", pa.string()),
        ("session", pa.string()),
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("corrects", pa.string()),
        ("partition", pa.uint32()),
        ("offset", pa.uint64()),
        ("index", pa.uint32()),
        ("appended", INSTANT),
    ]
)
COMMANDS = pa.schema(
    [("partition", pa.uint32()), ("offset", pa.uint64()), ("appended", INSTANT), ("command", pa.binary())]
)
DOCUMENTS = pa.schema(
    [
        ("topic", pa.string()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("partition", pa.uint32()),
        ("offset", pa.uint64()),
        ("appended", INSTANT),
    ]
)


class ArchivedUsage(NamedTuple):
    """A record and its place: partition and offset of its message on the topic `usage`, its number within it, and when
    the broker appended that (microseconds since the epoch).
    """

    usage: UsageRecord
    partition: int
    offset: int
    index: int  # type: ignore[assignment]  # a tuple has a method of that name, which nobody calls here
    appended: int


class ArchivedCommand(NamedTuple):
    """A marker of the topic `usage`: its place, when it was appended (microseconds), and the command's JSON."""

    partition: int
    offset: int
    appended: int
    command: bytes


class ArchivedDocument(NamedTuple):
    """A message of the topic `accounts` or `tariffs` (so named, without prefix); no `value` takes the document back."""

    topic: str
    key: bytes
    value: bytes | None
    partition: int
    offset: int
    appended: int


def usage_table(rows: Sequence[ArchivedUsage]) -> pa.Table:
    """One row per record, in the order given."""
    records = [row.usage for row in rows]
    quantities, texts_beside = _quantities([record.quantity for record in records])
    arrays = [
        texts([record.tenant for record in records]),
        texts([record.account for record in records]),
        texts([record.source for record in records]),
        texts([record.id for record in records]),
        texts([record.meter for record in records]),
        quantities,
        texts_beside,
        instants([to_us(record.start) for record in records]),
        instants([to_us(record.end) for record in records]),
        pa.array([record.unit for record in records], pa.string()),
        pa.array([record.session for record in records], pa.string()),
        pa.array([[*(record.attributes or _NONE).items()] for record in records], USAGE.field("attributes").type),
        pa.array([record.corrects for record in records], pa.string()),
        pa.array([row.partition for row in rows], pa.uint32()),
        pa.array([row.offset for row in rows], pa.uint64()),
        pa.array([row.index for row in rows], pa.uint32()),
        instants([row.appended for row in rows]),
    ]
    return pa.Table.from_arrays(arrays, schema=USAGE)


_NONE: dict[str, str] = {}


def _quantities(quantities: list[Decimal | None]) -> tuple[pa.Array, pa.Array]:
    """The columns `quantity` and `quantity_text`. The integers are made here: Arrow drops or wraps some digits."""
    scaled = [None if quantity is None else _EXACT.multiply(quantity, _ONE) for quantity in quantities]
    millionths = [None if number is None or not _is_held(number) else int(number) for number in scaled]
    column = fixed([number or 0 for number in millionths], QUANTITY)
    if None in millionths:
        column = pc.if_else(pa.array([number is not None for number in millionths]), column, None)
    if all(map(_are_alike, quantities, millionths)):
        return column, pa.repeat("", len(quantities))
    pairs = zip(quantities, millionths, strict=True)
    return column, texts(["" if _are_alike(*pair) else str(pair[0]) for pair in pairs])


def _is_held(scaled: Decimal) -> bool:
    return int(scaled) == scaled and fits(int(scaled))


def _are_alike(quantity: Decimal | None, millionths: int | None) -> bool:
    return (quantity is None) == (millionths is None)


_ONE = Decimal(QUANTITY_ONE)
_EXACT = Context(prec=100)
"""More digits than a quantity has."""


def usage_from_table(table: pa.Table) -> list[ArchivedUsage]:
    """The records of a table with the columns of USAGE, in its order, equal to what was archived."""
    return rows(table.select(USAGE.names), _usage)


def _usage(batch: pa.RecordBatch) -> list[ArchivedUsage]:
    columns = {name: _values(batch.column(name)) for name in USAGE.names}
    columns["quantity"] = [
        Decimal(text) if text else quantity
        for quantity, text in zip(columns["quantity"], columns["quantity_text"], strict=True)
    ]
    columns["attributes"] = [dict(pairs) or None for pairs in columns["attributes"]]
    columns["id"] = columns["usage_id"]
    records = map(UsageRecord, *(columns[name] for name in UsageRecord.__struct_fields__))
    places = (columns[name] for name in ("partition", "offset", "index"))
    return list(map(ArchivedUsage, records, *places, to_instants(batch.column("appended"))))


def _values(column: pa.Array) -> list:  # type: ignore[type-arg] # of what the column's type says
    if pa.types.is_timestamp(column.type):
        return [from_us(us) for us in to_instants(column)]
    return column.to_pylist()  # type: ignore[no-any-return] # a list of them


def commands_table(commands: Sequence[ArchivedCommand]) -> pa.Table:
    """One row per marker, in the order given."""
    return _table(commands, COMMANDS)


def commands_from_table(table: pa.Table) -> list[ArchivedCommand]:
    """The markers of a table with the columns of COMMANDS, in its order."""
    return rows(table.select(COMMANDS.names), lambda batch: list(map(ArchivedCommand, *_plain(batch, COMMANDS))))


def documents_table(documents: Sequence[ArchivedDocument]) -> pa.Table:
    """One row per message, in the order given."""
    return _table(documents, DOCUMENTS)


def documents_from_table(table: pa.Table) -> list[ArchivedDocument]:
    """The messages of a table with the columns of DOCUMENTS, in its order."""
    return rows(table.select(DOCUMENTS.names), lambda batch: list(map(ArchivedDocument, *_plain(batch, DOCUMENTS))))


def _table(nouns: Sequence[ArchivedCommand] | Sequence[ArchivedDocument], schema: pa.Schema) -> pa.Table:
    arrays = [pa.array([getattr(noun, field.name) for noun in nouns], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> list[list]:  # type: ignore[type-arg] # of what the schema says
    columns = [batch.column(field.name).cast(field.type) for field in schema]
    return [to_instants(one) if pa.types.is_timestamp(one.type) else one.to_pylist() for one in columns]
