"""Rejections as rows of the table `rejected`, the original bytes untouched.

What a rejected message says of itself may be anything, lone surrogates included: such text is stored escaped
(backslash and number), never dropped, because a rejection must always find its way to the table.
"""

from collections.abc import Sequence

import pyarrow as pa

from schemas.rejection import Position, Reason, Rejection
from sinks.columns import rows

REJECTED = pa.schema(
    [
        ("reason", pa.string()),
        ("message", pa.string()),
        ("origin", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("line", pa.int64()),
        ("index", pa.int64()),
        ("tenant", pa.string()),
        ("account", pa.string()),
        ("source", pa.string()),
        ("usage_id", pa.string()),
        ("original", pa.binary()),
        ("size", pa.uint64()),
        ("sha256", pa.string()),
    ]
)

_POSITION = Position.__struct_fields__


def rejections_table(rejections: Sequence[Rejection]) -> pa.Table:
    """One row per rejection, in the order given."""
    columns = {
        name: [getattr(r.position if name in _POSITION else r, name) for r in rejections] for name in REJECTED.names
    }
    arrays = [
        pa.array(
            map(_unicode, columns[field.name]) if pa.types.is_string(field.type) else columns[field.name], field.type
        )
        for field in REJECTED
    ]
    return pa.Table.from_arrays(arrays, schema=REJECTED)


def _unicode(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def rejections_from_table(table: pa.Table) -> list[Rejection]:
    """The rejections of a table with the columns of REJECTED, in its order."""
    return rows(table.select(REJECTED.names), _rejections)


def _rejections(batch: pa.RecordBatch) -> list[Rejection]:
    columns = [column.cast(field.type, safe=False) for column, field in zip(batch.columns, REJECTED, strict=True)]
    return [
        Rejection(Reason(reason), message, Position(origin, partition, offset, line, index), *rest)
        for reason, message, origin, partition, offset, line, index, *rest in zip(
            *(column.to_pylist() for column in columns), strict=True
        )
    ]
