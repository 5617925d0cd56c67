"""Journal: what one batch of usage, or one closing, has decided, as the bytes that outlive a crash.

An entry holds tables in exactly the shape of their ClickHouse tables, so that the projection has nothing to decide.
"""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from schemas.charge import Charge
from schemas.rejection import Rejection
from schemas.statement import Statement
from sinks.charge_columns import charges_table
from sinks.columns import decode_table, encode_table
from sinks.rejection_columns import rejections_table
from sinks.statement_columns import statement_lines_table, statements_table, taxes_table


class JournalEntry(Struct, frozen=True):
    """Encoded tables by name."""

    tables: dict[str, bytes]


_encode = Encoder().encode
_decode = Decoder(JournalEntry).decode


def encode_entry(
    charges: Sequence[Charge], statements: Sequence[Statement], rejections: Sequence[Rejection]
) -> bytes | None:
    """The entry as bytes; None where nothing was decided."""
    tables: dict[str, pa.Table] = {}
    if charges:
        tables["charges"] = charges_table(charges)
    if statements:
        tables["statements"] = statements_table(statements)
        tables["statement_lines"] = statement_lines_table(statements)
        tables["taxes"] = taxes_table(statements)
    if rejections:
        tables["rejected"] = rejections_table(rejections)
    return encode_tables(tables)


def encode_tables(tables: dict[str, pa.Table]) -> bytes | None:
    """An entry of these tables, by the name of their ClickHouse table; None where there are none."""
    if not tables:
        return None
    return _encode(JournalEntry({name: encode_table(table) for name, table in tables.items()}))


def merged_tables(entries: Iterable[bytes]) -> Iterator[tuple[str, pa.Table]]:
    """The tables of several entries, each name once, rows in the order of the entries.

    What a program with fewer columns wrote is a table of its own.
    """
    found: dict[tuple[str, tuple[str, ...]], list[pa.Table]] = {}
    for entry in entries:
        for name, data in _decode(entry).tables.items():
            table = decode_table(data)
            found.setdefault((name, tuple(table.column_names)), []).append(table)
    for (name, _), tables in found.items():
        yield name, pa.concat_tables(tables).combine_chunks()
