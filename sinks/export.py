"""Export: tables become Parquet, CSV or JSON lines files, the same bytes for the same content.

Numbers are written exactly: as decimals in Parquet, as plain digits in CSV, as texts in JSON (whose readers would make
floats of them). A file appears under its name only when it is whole.

CSV is opened in spreadsheets, which run a text cell that begins like a formula. Such a cell gets an apostrophe before
it, which a spreadsheet shows as text; numbers and instants never need one.
"""

import csv
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.fixed_point import to_text
from schemas.instants import to_iso
from sinks.columns import to_fixed, to_instants

T = TypeVar("T")

_ROW_GROUP = 65_536
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Format(StrEnum):
    """A kind of file; its value is the file's suffix."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


def write_export(
    reads: Iterable[tuple[str, pa.Schema, Iterable[pa.Table]]], folder: Path, kind: Format
) -> dict[Path, int]:
    """Write one file per table into `folder`, which is made; the files and how many rows each has."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        folder / f"{name}.{kind}": _write(folder / f"{name}.{kind}", schema, pieces) for name, schema, pieces in reads
    }


def _write(file: Path, schema: pa.Schema, pieces: Iterable[pa.Table]) -> int:
    unfinished = file.with_name(file.name + ".unfinished")
    count = _WRITERS[Format(file.suffix[1:])](unfinished, schema, pieces)
    unfinished.replace(file)
    return count


def _write_parquet(file: Path, schema: pa.Schema, pieces: Iterable[pa.Table]) -> int:
    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for piece in pieces:
            writer.write_table(piece, row_group_size=_ROW_GROUP)
            count += piece.num_rows
    return count


def _write_csv(file: Path, schema: pa.Schema, pieces: Iterable[pa.Table]) -> int:
    names, count = _names(schema), 0
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)  # ends lines as RFC 4180 says, and so quotes a carriage return inside a text
        writer.writerow(names)
        for count, row in enumerate(_rows(pieces), 1):  # noqa: B007 # the last number is the count
            writer.writerow([_cell(row[name]) for name in names])
    return count


def _write_jsonl(file: Path, _schema: pa.Schema, pieces: Iterable[pa.Table]) -> int:
    count = 0
    with file.open("w", encoding="utf-8", newline="\n") as stream:
        for count, row in enumerate(_rows(pieces), 1):  # noqa: B007 # the last number is the count
            stream.write(_json(row) + "\n")
    return count


_WRITERS: dict[Format, Callable[[Path, pa.Schema, Iterable[pa.Table]], int]] = {
    Format.PARQUET: _write_parquet,
    Format.CSV: _write_csv,
    Format.JSONL: _write_jsonl,
}


class _Number(str):
    """The digits of a number: never a formula."""

    __slots__ = ()


def _cell(value: object) -> object:
    if isinstance(value, list):
        return _json(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not isinstance(value, _Number) and value.startswith(_FORMULA):
        return "'" + value
    return value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _names(schema: pa.Schema) -> list[str]:
    """Column names, a Nested field once: `parts` for `parts.band`, `parts.tier`..."""
    return list(dict.fromkeys(name.partition(".")[0] for name in schema.names))


def _rows(pieces: Iterable[pa.Table]) -> Iterator[dict[str, object]]:
    for piece in pieces:
        for batch in piece.to_batches():
            columns = _plain(batch)
            yield from (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def _plain(batch: pa.RecordBatch) -> dict[str, list[object]]:
    """Column by column what a text file shows; a Nested field as one column of lists of objects."""
    columns: dict[str, list[object]] = {}
    for name in _names(batch.schema):
        fields = [field for field in batch.schema.names if field.startswith(name + ".")]
        columns[name] = _nested(batch, fields) if fields else _shown(batch.column(name))
    return columns


def _nested(batch: pa.RecordBatch, fields: list[str]) -> list[object]:
    flat = (_shown(batch.column(field).flatten()) for field in fields)
    keys = [field.partition(".")[2] for field in fields]
    rows = (dict(zip(keys, row, strict=True)) for row in zip(*flat, strict=True))
    return [[next(rows) for _ in range(length)] for length in batch.column(fields[0]).value_lengths().to_pylist()]


def _shown(column: pa.Array) -> list[object]:
    if pa.types.is_decimal(column.type):
        return _each(to_fixed(column), lambda value: _Number(to_text(value, column.type.scale)))
    if pa.types.is_timestamp(column.type):
        instants: list[int | None] = [*to_instants(column)]
        return _each(instants, lambda us: None if us is None else to_iso(us))
    if pa.types.is_binary(column.type):
        return [b64encode(data).decode() for data in column.to_pylist()]
    shown: list[object] = column.to_pylist()
    return shown


def _each(values: list[T], show: Callable[[T], object]) -> list[object]:
    """`show` of every value, called once for equal ones: periods, prices and bounds repeat a lot."""
    shown = {value: show(value) for value in set(values)}
    return [shown[value] for value in values]
