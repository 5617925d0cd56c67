"""The command line. Commands are thin: they name what is asked, and modules beside this one do it and show it.

What is heavy (ClickHouse, RocksDB, Arrow) is imported inside the commands, so that `--help` is quick.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents import settings
from ratestream import asking, proving, publishing, reconciling, repairing, report, simulating, sink, topics, worker
from ratestream.failures import EXIT_CODES, Commands
from ratestream.options import (
    ACCOUNTS,
    TARIFFS,
    DataOption,
    FileKind,
    KindOption,
    MapOption,
    Output,
    OutputOption,
    SetOption,
    Source,
    UsageArgument,
)

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue
    from schemas.files import ColumnMapping

app = typer.Typer(
    name="ratestream",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
rejected_app = typer.Typer(no_args_is_help=True, help="Usage that was not accepted.")
tariff_app = typer.Typer(no_args_is_help=True, help="Tariff files.")
app.add_typer(rejected_app, name="rejected")
app.add_typer(tariff_app, name="tariff")
topics_app = typer.Typer(no_args_is_help=True, help="Kafka's topics.")
app.add_typer(topics_app, name="topics")
topics_app.command("create")(topics.create)
topics_app.command("check")(topics.check)


def main() -> None:
    """The console script."""
    app()


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"ratestream {version('ratestream')}")
        raise typer.Exit


@app.callback()
def ratestream(
    version: Annotated[  # noqa: ARG001 - the callback answers
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Charges customers as soon as each usage session ends, and gives them one statement a month."""
    settings.check_names(os.environ)
    for client in ("clickhouse_connect", "kafka"):
        logging.getLogger(client).setLevel(logging.CRITICAL)  # our own errors tell the same, once


@app.command()
def run(
    data: DataOption,
    usage: UsageArgument = [],  # noqa: B006 - typer reads it and nobody writes it
    tariffs: Annotated[Path | None, TARIFFS] = None,
    accounts: Annotated[Path | None, ACCOUNTS] = None,
    watch: Annotated[
        Path | None,
        typer.Option(metavar="DIR", exists=True, file_okay=False, help="Go on with the files that appear here."),
    ] = None,
    columns: MapOption = None,
    constants: SetOption = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Read known files once more: what was rejected has another chance."),
    ] = False,
) -> None:
    """Rate usage into a data directory: charges, statements, rejections.

    A file that was read before is not read again, and a run that was stopped or killed goes on where it was. Tariffs
    and accounts are kept in the directory, so they may be left out later.
    """
    from ratestream.running import Order
    from ratestream.running import run as run_order
    from ratestream.summary import run_lines
    from ratestream.usage_files import files_of

    if not usage and watch is None:
        raise typer.BadParameter("Name usage files, a directory of them, or --watch DIR.")
    mapping = _mapping(columns, constants)
    order = Order(
        data=data,
        files=files_of(usage),
        catalogue=_catalogue(tariffs, accounts),
        watch=watch,
        mapping=mapping,
        again=again,
        clickhouse_dsn=settings.clickhouse_dsn(os.environ),
    )
    with _mapping_fits(mapping):
        summary = run_order(order)
    for line in run_lines(summary):
        print(line)
    raise typer.Exit(summary.stopped)


@app.command()
def rate(
    usage: UsageArgument,
    tariffs: Annotated[Path, TARIFFS],
    accounts: Annotated[Path, ACCOUNTS],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", file_okay=False, help="Write files here, not lines.")
    ] = None,
    kind: KindOption = FileKind.PARQUET,
    columns: MapOption = None,
    constants: SetOption = None,
) -> None:
    """Rate usage files by themselves and keep nothing: JSON lines, or files with --out.

    All periods that hold usage are closed. The result does not depend on the order of the files or of their lines.
    """
    mapping = _mapping(columns, constants)
    catalogue = _catalogue(tariffs, accounts)
    if catalogue is None:
        raise typer.BadParameter("Name tariffs and accounts.")
    from agents.offline import rate_files
    from pipeline.terms import Plans
    from ratestream.offline import write_files, write_lines
    from ratestream.running import now_us
    from ratestream.usage_files import files_of
    from sinks.export import Format

    with _mapping_fits(mapping):
        rated = rate_files(files_of(usage), Plans(catalogue), now_us(), mapping)
    if out is None:
        write_lines(rated)
    else:
        write_files(rated, out, Format(kind))


@app.command()
def rerate(  # noqa: PLR0913 - the options of the command
    data: DataOption,
    usage: UsageArgument,
    tariffs: Annotated[Path | None, TARIFFS] = None,
    accounts: Annotated[Path | None, ACCOUNTS] = None,
    account: Annotated[str, typer.Option(help="Only this account.", show_default=False)] = "",
    tenant: Annotated[str, typer.Option(envvar=settings.TENANT, help="Only this tenant's.", show_default=False)] = "",
    book: Annotated[bool, typer.Option("--book", help="Book them as well: adjustments and reversals.")] = False,
    records: Annotated[
        bool, typer.Option("--records", help="A line for each usage record, not for each meter.")
    ] = False,
    columns: MapOption = None,
    constants: SetOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """What usage that is booked would cost under tariffs and accounts as they are now: the signed differences.

    Give the files with all usage of what is to be compared; the directory keeps none. A version with effect in the past
    changes nothing until its differences are booked here.
    """
    from agents.rerating import Order
    from ratestream.rerating import rerate as rerate_order
    from ratestream.usage_files import files_of

    if not usage:
        raise typer.BadParameter("Name the usage files.")
    mapping = _mapping(columns, constants)
    order = Order(files_of(usage), _catalogue(tariffs, accounts), mapping, tenant, account)
    with _mapping_fits(mapping):
        rerate_order(
            data,
            order,
            output,
            books_them=book,
            by_record=records,
            clickhouse_dsn=settings.clickhouse_dsn(os.environ),
        )


for question in (
    asking.bill,
    asking.statement,
    asking.statements,
    asking.charges,
    asking.explain,
    asking.query,
    asking.export,
):
    app.command()(question)
rejected_app.command("list")(repairing.rejected_list)
rejected_app.command("show")(repairing.rejected_show)
rejected_app.command("replay")(repairing.rejected_replay)
rejected_app.command("release")(repairing.rejected_release)
app.command()(worker.worker)
app.command()(sink.sink)
app.command()(sink.migrate)
app.command()(reconciling.reconcile)
app.command()(publishing.publish)
app.command()(publishing.close)
app.command()(simulating.simulate)
app.command()(proving.prove)
app.add_typer(report.report_app, name="report")


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(envvar=settings.DATA, metavar="DIR", file_okay=False, help="A new one that is kept by default."),
    ] = None,
) -> None:
    """Rate a real set of homes and a made-up cloud, and show their statements."""
    from tempfile import mkdtemp

    from ratestream.demo import run_demo

    summary = run_demo(data or Path(mkdtemp(prefix="ratestream-demo-")))
    raise typer.Exit(summary.stopped)


@app.command("stream-demo")
def stream_demo() -> None:
    """Publish a real set of homes to Kafka, rate it with two workers, and show charges and statements."""
    from ratestream.stream_demo import run_stream_demo

    run_stream_demo()


@tariff_app.command("check")
def tariff_check(
    path: Annotated[Path, typer.Argument(metavar="PATH", exists=True, help="Tariff file, or a directory of them.")],
    accounts: Annotated[Path | None, ACCOUNTS] = None,
) -> None:
    """Check tariff files, and accounts against them; every problem with its line."""
    from schemas.catalogue import load_catalogue

    catalogue = load_catalogue(path, accounts)
    for name, versions in catalogue.tariffs.items():
        for version in versions:
            meters = ", ".join(f"{meter} per {rules.unit}" for meter, rules in version.meters.items())
            dated = f"{name} {version.version} from {version.effective_from} in {version.currency}"
            print(f"{dated}: {meters}")
    told = f", {len(catalogue.accounts)} accounts" if accounts is not None else ""
    print(f"OK: {sum(map(len, catalogue.tariffs.values()))} tariff versions{told}")


@tariff_app.command("import")
def tariff_import(
    path: Annotated[Path, typer.Argument(metavar="FILE", exists=True, help="A JSON file; for cgrates a folder.")],
    source: Annotated[Source, typer.Option("--from", help="Whose tariffs they are.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write the YAML here.")] = None,
    usage: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Write the usage of OCPI's CDRs here, as JSONL."),
    ] = None,
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="Of tariffs that name none, or instead.")] = None,
    effective_from: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="First day, instead of the tariffs' own."),
    ] = None,
    skip: Annotated[
        bool, typer.Option("--skip", help="Leave out tariffs that cannot be expressed, and import the others.")
    ] = False,
) -> None:
    """Turn tariffs of OpenEI's URDB, of OCPI or of CGRateS into tariff files.

    What cannot be expressed is refused with its name; what is not part of a tariff is told in a note.
    """
    from ratestream.importing import Order, import_tariffs
    from schemas.importing.reading import Given

    if usage is not None and source is not Source.OCPI:
        raise typer.BadParameter("Only OCPI's CDRs have usage: --usage goes with --from ocpi.")
    given = Given(currency, effective_from.date() if effective_from else None)
    import_tariffs(Order(source, path, given, out, usage, skip))


@tariff_app.command("schema")
def tariff_schema() -> None:
    """The JSON Schema of a tariff, for editors that complete and check YAML."""
    import json

    from schemas.tariff import tariff_json_schema

    print(json.dumps(tariff_json_schema(), indent=2))


def _catalogue(tariffs: Path | None, accounts: Path | None) -> "Catalogue | None":
    """What the two files say; None where neither is named. Raises DocumentError."""
    from schemas.catalogue import load_catalogue

    if tariffs is None:
        if accounts is not None:
            raise typer.BadParameter("Accounts are checked against their tariffs: name --tariffs PATH as well.")
        return None
    return load_catalogue(tariffs, accounts)


def _mapping(columns: Sequence[str] | None, constants: Sequence[str] | None) -> "ColumnMapping":
    from ratestream.usage_files import column_mapping

    try:
        return column_mapping(columns or (), constants or ())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@contextmanager
def _mapping_fits(mapping: "ColumnMapping") -> Iterator[None]:
    """Reading tells with a ValueError that a file has no columns to map."""
    try:
        yield
    except ValueError as error:
        if not mapping:
            raise
        raise typer.BadParameter(str(error)) from error
