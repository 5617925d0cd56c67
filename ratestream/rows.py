"""Rows: tables of ClickHouse as JSON lines, as CSV, or for a reader.

JSON has numbers of any length as texts, since its readers would make floats of them. In CSV a text that a spreadsheet
would run as a formula gets an apostrophe before it.
"""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
from msgspec.json import encode
from rich.console import Console
from rich.table import Table

from ratestream.screen import cells, console, decimal, grid, printable, show

Row = Mapping[str, object]

_ANY_WIDTH = 1_000_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows_of(table: pa.Table) -> Iterator[dict[str, object]]:
    """The rows as plain values: decimals as texts without needless zeros, instants as RFC 3339 in UTC."""
    columns = [_plain(column) for column in table.columns]
    return (dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True))


def write_json(rows: Iterable[Row]) -> None:
    """A JSON object per line on standard output."""
    for row in rows:
        sys.stdout.write(encode(row).decode() + "\n")


def write_csv(names: Sequence[str], rows: Iterable[Row]) -> None:
    """A head and a line per row on standard output."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        writer.writerow([csv_cell(row[name]) for name in names])
        sys.stdout.write(text.getvalue())
        text.seek(0)
        text.truncate()
    sys.stdout.write(text.getvalue())


def csv_cell(value: object) -> object:
    """A value as a cell: lists and objects as JSON, texts never a formula.

    >>> csv_cell(["a"]), csv_cell("=1+1"), csv_cell("-1.50"), csv_cell(True)
    ('["a"]', "'=1+1", '-1.50', 'true')
    """
    if isinstance(value, dict | list | tuple | bool):
        return encode(value).decode()
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
        return "'" + value
    return value


def print_table(table: pa.Table) -> None:
    """The rows side by side; where that is too wide, one under the other."""
    screen = console()
    rows = [{name: _shown(value) for name, value in row.items()} for row in rows_of(table)]
    right = {field.name for field in table.schema if _is_numeric(field.type)}
    flat = grid(*((printable(name), "right" if name in right else "left") for name in table.column_names))
    for row in rows:
        flat.add_row(*cells(*row.values()))
    if Console(width=_ANY_WIDTH).measure(flat).maximum <= screen.width:
        show(flat)
        return
    for number, row in enumerate(rows, 1):
        show(f"row {number}", style="bold")
        show(_upright(row))


def _upright(row: Mapping[str, str]) -> Table:
    upright = grid(("column", "left"), ("value", "left"), head=False)
    for name, value in row.items():
        upright.add_row(*cells(f"  {name}", value))
    return upright


def _plain(column: pa.ChunkedArray) -> list[object]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":  # finer than Python's own instants
        column = column.cast(pa.string())
    return [_simple(value) for value in column.to_pylist()]


def _simple(value: object) -> object:
    if isinstance(value, Decimal):
        return decimal(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return [_simple(one) for one in value] if isinstance(value, list) else value


def _shown(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else encode(value).decode().strip('"')


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdigit() and text.isascii()
