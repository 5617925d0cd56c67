"""Parquet: one usage record a row, its fields by column.

Whole numbers may stand for texts, as they would in a CSV file. A column of floats holds no other truth than its
floats: each is taken as the shortest decimal that is the same number. Instants need a column with a zone, or texts
with one. A row group that cannot be read is one rejection; the other row groups are read.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import cache, partial
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.codecs.avro_reading import instant_at, shortest_double, shortest_single
from schemas.codecs.avro_usage import values_json
from schemas.codecs.batch import MIB, Cut, Cutting, Fault, Limits
from schemas.codecs.fields import Number, Refusal, usage_from
from schemas.files.columns import ColumnMapping, Plan, plan_of
from schemas.files.piece import Decoded, Piece, fault_piece
from schemas.rejection import Reason

MAGIC = b"PAR1"

_ROWS = 8192
"""Rows read at once. This is no setting, so that a damaged row group always ends after the same row."""
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_AGAIN = "Write or transfer the file again"
_TEXTS = frozenset(("id", "account", "meter", "source", "tenant", "unit", "session", "corrects"))


def parquet_pieces(file: BinaryIO, mapping: ColumnMapping, limits: Limits) -> Iterator[Piece]:
    """The rows of a Parquet file, which must be seekable."""
    size = file.seek(0, 2)
    file.seek(max(0, size - len(MAGIC)))
    whole = cache(partial(_cut, file, limits.original_cap))
    if size < 3 * len(MAGIC) or file.read() != MAGIC:
        yield _fault(Reason.TRUNCATED, "the Parquet file ends in the middle", whole())
        return
    try:
        table = pq.ParquetFile(file)
        plan = plan_of(table.schema_arrow.names, mapping)
        groups = [table.metadata.row_group(number) for number in range(table.num_row_groups)]
    except Exception as error:  # noqa: BLE001 - pyarrow raises whatever its parsing stumbled over
        yield _fault(Reason.UNREADABLE, _damage(error, "the Parquet file"), whole())
        return
    most = max(limits.ratio_from_bytes, min(limits.max_ratio * size, limits.max_decompressed_bytes))
    for number, group in enumerate(groups):
        if group.total_byte_size > most:
            what = f"row group {number} states {group.total_byte_size} bytes, above the limit of {most}"
            yield _fault(Reason.OVERSIZED, what, whole())
            continue
        try:
            for batch in table.iter_batches(_ROWS, row_groups=[number], use_threads=False):
                yield Piece(batch.num_rows, partial(_decoded, batch, plan))
        except Exception as error:  # noqa: BLE001 - as above
            what = _damage(error, f"row group {number} of the Parquet file")
            yield _fault(Reason.UNREADABLE, what, whole())


def _damage(error: Exception, place: str) -> str:
    """What pyarrow could not read. A failing disk is no fault of the file."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    return f"{place} is damaged ({str(error)[:200]})"


def _fault(reason: Reason, what: str, original: Cut) -> Piece:
    return fault_piece(Fault(Refusal(reason, f"{what}. {_AGAIN}"), original))


def _cut(file: BinaryIO, cap: int) -> Cut:
    """All of the file: where the bytes of a damaged row group lie is what a damaged file cannot be asked."""
    # pyarrow 26 ends the process, uncatchable, when it is asked for the columns of some damaged row groups.
    cutting = Cutting(cap)
    file.seek(0)
    while data := file.read(MIB):
        cutting.add(data)
    return cutting.cut()


def _decoded(batch: pa.RecordBatch, plan: Plan | Refusal) -> Decoded:
    try:
        return _decoded_rows([_values(column) for column in batch.columns], batch.schema.names, plan, batch.num_rows)
    except Exception as error:  # noqa: BLE001 - damaged metadata make pyarrow stumble over single columns
        refusal = Refusal(Reason.UNREADABLE, f"{_damage(error, 'the Parquet file')}. {_AGAIN}")
        return Decoded([refusal] * batch.num_rows, [b""] * batch.num_rows, [0] * batch.num_rows)


def _decoded_rows(columns: list[list[Any]], names: list[str], plan: Plan | Refusal, count: int) -> Decoded:
    if isinstance(plan, Refusal):
        numbered = [f"{number} {name}" for number, name in enumerate(names)]
        originals = [values_json(dict(zip(numbered, row, strict=True))) for row in zip(*columns, strict=True)]
        return Decoded([plan] * count, originals or [b""] * count, [0] * count)
    rows = _rows(columns, plan, count)
    results = [usage_from(row) for row in rows]
    originals = [
        values_json(row) if isinstance(result, Refusal) else b"" for row, result in zip(rows, results, strict=True)
    ]
    return Decoded(results, originals, [0] * count)


def _rows(columns: list[list[Any]], plan: Plan, count: int) -> list[dict[str, object]]:
    """The rows as named values; attributes are made of the columns that are no field."""
    fields = {name: columns[number] for name, number in plan.fields.items()}
    for name in _TEXTS & fields.keys():
        fields[name] = [_whole_text(value) for value in fields[name]]
    rows: list[dict[str, object]] = [
        dict(plan.constants) | dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)
    ] or [dict(plan.constants) for _ in range(count)]
    if plan.attributes:
        texts = {name: list(map(_attribute_text, columns[number])) for name, number in plan.attributes.items()}
        for row, values in zip(rows, zip(*texts.values(), strict=True), strict=True):
            row["attributes"] = _attributes(row.get("attributes"), dict(zip(texts, values, strict=True)))
    return rows


def _attributes(stated: object, more: Mapping[str, object]) -> object:
    """The attributes of the column of that name together with those of other columns."""
    present = {name: value for name, value in more.items() if value is not None and value != ""}
    if stated is None or not present:
        return present or stated
    if not isinstance(stated, dict) or stated.keys() & present.keys():
        what = "an attribute stands in the column attributes and in a column of its own, or attributes is no map"
        return Refusal(Reason.UNREADABLE, f"{what}. State each attribute once")
    return stated | present


def _whole_text(value: object) -> object:
    """A whole number as the text that it would be in a CSV file; anything else as it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _attribute_text(value: object) -> object:
    """The text of a value that has one; anything else as it is, to be refused."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    return _whole_text(value)


def _values(column: pa.Array) -> list[Any]:
    """The values of one column as `usage_from` takes them; a Refusal where a value cannot be told."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _values(column.dictionary_decode())
    if pa.types.is_timestamp(kind):
        read = partial(instant_at, per_second=_PER_SECOND[kind.unit], local=kind.tz is None)
        return _converted(column.cast(pa.int64()), read)
    if pa.types.is_floating(kind):
        return _converted(column, shortest_double if kind.bit_width == 64 else shortest_single)
    if pa.types.is_map(kind) or pa.types.is_struct(kind):
        return _converted(column, _members)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts(column)
    return list(column.to_pylist())


def _converted(column: pa.Array, convert: Callable[[Any], object]) -> list[object]:
    return [None if value is None else convert(value) for value in column.to_pylist()]


def _members(value: object) -> object:
    """The present members of a map or struct; a map with a key twice stays as it is, to be refused."""
    if isinstance(value, dict):
        return {name: member for name, member in value.items() if member is not None}
    members = dict(value) if isinstance(value, list) else {}
    return members if isinstance(value, list) and len(members) == len(value) else value


def _texts(column: pa.Array) -> list[Any]:
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return _converted(column.cast(pa.large_binary()), _text)


def _text(data: bytes) -> object:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return Refusal(Reason.UNREADABLE, f"byte {error.start} of {data[:40]!r} is not UTF-8. {_AGAIN}")
