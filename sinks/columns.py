"""Columns: lists of nouns become Arrow arrays in exactly ClickHouse's types, and come back unchanged.

Fixed-point integers are Decimal(38, scale) bit by bit, instants DateTime64(6, 'UTC'), so neither a float nor a
Python Decimal or datetime is made on the way. A table as bytes (Arrow IPC file, zstd) is the same table again, and
bytes that were cut off are noticed. One module per noun builds on this one.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import TypeVar

import pyarrow as pa

from schemas.fixed_point import AMOUNT_SCALE, DIGITS, PRICE_SCALE, QUANTITY_SCALE, fits
from sinks.errors import Damaged, Refused

INSTANT = pa.timestamp("us", "UTC")
QUANTITY = pa.decimal128(DIGITS, QUANTITY_SCALE)
PRICE = pa.decimal128(DIGITS, PRICE_SCALE)
AMOUNT = pa.decimal128(DIGITS, AMOUNT_SCALE)

_WHOLE = pa.decimal128(DIGITS, 0)
_WIDTH = 16  # bytes of a decimal128
_IPC = pa.ipc.IpcWriteOptions(compression="zstd")

T = TypeVar("T")


def texts(values: list[str]) -> pa.Array:
    """A string column. Raises Refused where a text is not Unicode (a lone surrogate)."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError as error:
        raise Refused(
            f"{error.object!r} cannot be stored: it is not valid Unicode. Reject it before it is charged."
        ) from error


def instants(values: list[int | None] | list[int]) -> pa.Array:
    """A DateTime64(6, 'UTC') column from microseconds since the epoch; None stays null."""
    return pa.array(values, INSTANT)


def fixed(values: list[int], decimal: pa.DataType) -> pa.Array:
    """A decimal128 column from integers at the scale of `decimal`. Raises Refused beyond its 38 digits.

    What fits 64 bits (all quantities, most amounts) is widened by Arrow, 4 times as fast as integer by integer.
    """
    try:
        narrow = pa.py_buffer(array("q", values))
        buffers = pa.Array.from_buffers(pa.int64(), len(values), [None, narrow]).cast(_WHOLE).buffers()
        return pa.Array.from_buffers(decimal, len(values), buffers)
    except OverflowError:
        return _wide(values, decimal)


def _wide(values: list[int], decimal: pa.DataType) -> pa.Array:
    try:
        data = b"".join([value.to_bytes(_WIDTH, "little", signed=True) for value in values])
        column = pa.Array.from_buffers(decimal, len(values), [None, pa.py_buffer(data)])
        column.validate(full=True)
    except (OverflowError, pa.ArrowInvalid) as error:
        value = next(value for value in values if not fits(value))
        raise Refused(
            f"{value} × 10^-{decimal.scale} has more than {decimal.precision} digits: no column holds it."
        ) from error
    return column


def offsets(groups: Iterable[Sequence[object]]) -> pa.Array:
    """Where each group begins in the flat columns of a Nested field, and where the last one ends."""
    return pa.array(list(accumulate(map(len, groups), initial=0)), pa.int32())


def to_texts(column: pa.Array) -> list[str]:
    """The texts of a string column, plain or dictionary encoded."""
    texts: list[str] = column.to_pylist()
    return texts


def to_instants(column: pa.Array) -> list[int]:
    """Microseconds since the epoch; None where the column is null."""
    instants: list[int] = column.cast(INSTANT).cast(pa.int64()).to_pylist()
    return instants


def to_fixed(column: pa.Array) -> list[int]:
    """The scaled integers of a decimal128 column without nulls."""
    words = slice(column.offset * 2, (column.offset + len(column)) * 2)
    data = memoryview(column.buffers()[1]).cast("B")
    low = data.cast("Q")[words][::2].tolist()
    high = data.cast("q")[words][1::2].tolist()
    return [upper << 64 | lower for lower, upper in zip(low, high, strict=True)]


def to_groups(column: pa.Array, flat: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """`flat` in tuples as long as the lists of `column`, which is a column of the same Nested field."""
    rest = iter(flat)
    return (tuple(islice(rest, length)) for length in column.value_lengths().to_pylist())


def rows(table: pa.Table, of_batch: Callable[[pa.RecordBatch], list[T]]) -> list[T]:
    """What `of_batch` makes of each record batch of `table`, in order."""
    return [row for batch in table.to_batches() for row in of_batch(batch)]


def encode_table(table: pa.Table) -> bytes:
    """The table as an Arrow IPC file whose buffers are compressed with zstd."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=_IPC) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def decode_table(data: bytes) -> pa.Table:
    """The table of `encode_table`. Raises Damaged where the bytes are cut off or are no such file."""
    try:
        table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
        table.validate()
    except (pa.ArrowInvalid, OSError) as error:
        raise Damaged(
            f"{len(data)} bytes do not hold a table: {error}. Restore them or rebuild from the usage."
        ) from error
    return table
