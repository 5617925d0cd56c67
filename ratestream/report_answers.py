"""Answers of reports: asked of a data directory or of ClickHouse, and written for a reader, as a file or as a plot."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from agents import settings

if TYPE_CHECKING:
    import pyarrow as pa

    from agents.reports import Report, StatementReport, Tabular


class Shape(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


class Way(NamedTuple):
    """What is to become of an answer: its shape, the Parquet file, a plot on the terminal, a page of plots."""

    shape: Shape
    out: Path | None
    plot: bool = False
    html: Path | None = None


def tell(report: "Tabular", data: Path | None, way: Way) -> None:
    """Ask a report that is one table, and write, print or draw the answer."""
    from ratestream.report_tables import print_report
    from sinks.columns import decode_table

    _check(way)
    table = decode_table(_ask(report, data)[0])
    drawn = _draw(report, table, way)
    if way.shape is not Shape.TABLE:
        _write(table, way)
    elif table.num_rows and not drawn:
        print_report(report, table)
    if not table.num_rows:
        print("There are none.", file=sys.stderr)


def tell_statement(report: "StatementReport", data: Path | None, way: Way, *, gross: bool) -> None:
    """Ask for a statement: for a reader, as its JSON, or as a table of its rows."""
    from ratestream.statements import print_statement
    from schemas.codecs import json_from
    from schemas.statement import Statement
    from sinks.columns import decode_table

    _check(way)
    document, rows = _ask(report, data)
    if way.shape is Shape.TABLE:
        print_statement(json_from(document, Statement), gross=gross)
    elif way.shape is Shape.JSON:
        print(document.decode())
    else:
        _write(decode_table(rows), way)


def _check(way: Way) -> None:
    if (way.shape is Shape.PARQUET) != (way.out is not None):
        raise typer.BadParameter("--format parquet and --out FILE go together.")
    if way.out is not None and way.out.suffix != ".parquet":
        raise typer.BadParameter(f"{way.out} does not end with .parquet.", param_hint="--out")


def _ask(report: "Report", data: Path | None) -> list[bytes]:
    from agents.answers import ReportOf
    from agents.owner import ask
    from agents.reporting import answer_report
    from sinks.clickhouse import ClickHouse

    dsn = settings.clickhouse_dsn(os.environ)
    if data is not None:
        return ask(data, ReportOf(report), dsn)
    if not dsn:
        raise typer.BadParameter(f"Name a data directory with --data, or set {settings.CLICKHOUSE}.")
    with ClickHouse(dsn) as clickhouse:
        clickhouse.check()
        return answer_report(clickhouse, report)


def _draw(report: "Tabular", table: "pa.Table", way: Way) -> bool:
    """Draw what is asked for; whether anything was."""
    if not (way.plot or way.html) or not table.num_rows:
        return False
    from ratestream.plot_page import write_page
    from ratestream.plot_terminal import plot
    from ratestream.report_charts import charts_of

    charts = charts_of(report, table)
    if way.html is not None and charts:
        write_page(charts, way.html)
        print(f"Drawn in {way.html}.", file=sys.stderr)
    if way.plot:
        print("\n".join(map(plot, charts)), end="")
    return bool(charts)


def _write(table: "pa.Table", way: Way) -> None:
    from ratestream.rows import rows_of, write_csv, write_json
    from sinks.export import Format, write_export

    if way.out is not None:
        files = write_export([(way.out.stem, table.schema, [table])], way.out.parent, Format.PARQUET)
        for file, rows in files.items():
            print(f"{rows:,} rows in {file}.", file=sys.stderr)
    elif way.shape is Shape.JSON:
        write_json(rows_of(table))
    else:
        write_csv(table.column_names, rows_of(table))
