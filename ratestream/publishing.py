"""Publishing: the commands that put usage, tariffs, accounts and closings on the topics."""

import re
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from agents import settings
from ratestream.failures import TROUBLE
from ratestream.options import MapOption, Output, OutputOption, SetOption

if TYPE_CHECKING:
    from agents.stream.files import Counts
    from agents.stream.publishing import Publisher
    from ratestream.stream import Stream
    from schemas.catalogue import Catalogue
    from schemas.files import ColumnMapping


class Encoding(StrEnum):
    """How usage travels."""

    JSON = "json"
    CLOUDEVENTS = "cloudevents"
    AVRO = "avro"
    CONTAINER = "container"
    BULK = "bulk"


_PERIOD = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2])(-[0-3][0-9])?|-Q[1-4]|-W[0-5][0-9])?")
_FILES = typer.Argument(
    metavar="FILES", exists=True, readable=True, help="Usage files of any kind that `run` reads, or directories."
)
_AS = typer.Option(
    "--as", help="One record a message (json, cloudevents, avro), or many: of one account (container) or any (bulk)."
)
_TARIFFS = typer.Option("--tariffs", metavar="PATH", exists=True, help="Publish these tariffs first.")
_ACCOUNTS = typer.Option("--accounts", metavar="PATH", exists=True, help="Publish these accounts after the tariffs.")


def publish(
    files: Annotated[list[Path], _FILES] = [],  # noqa: B006 - typer reads it and nobody writes it
    encoding: Annotated[Encoding, _AS] = Encoding.JSON,
    tariffs: Annotated[Path | None, _TARIFFS] = None,
    accounts: Annotated[Path | None, _ACCOUNTS] = None,
    columns: MapOption = None,
    constants: SetOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Publish usage files, tariffs and accounts to Kafka; the exit code is 1 where a record is left out.

    A record that cannot be read or encoded is told with its line. To publish the same again is safe: it counts once.
    """
    from agents.stream.publishing import Publisher
    from ratestream.stream import open_stream

    if not files and tariffs is None and accounts is None:
        raise typer.BadParameter("Name usage files, or --tariffs PATH with or without --accounts PATH.")
    if accounts is not None and tariffs is None:
        raise typer.BadParameter("Accounts are checked against their tariffs: name --tariffs PATH as well.")
    mapping = _mapping(columns or [], constants or [])
    catalogue = _catalogue(tariffs, accounts)
    stream = open_stream()
    refused = 0
    with Publisher(stream.connection) as publisher:
        if catalogue is not None:
            _declare(publisher, stream, catalogue, output)
        if files:
            refused = _publish_files(publisher, stream, files, encoding, mapping, output).refused
    if refused:
        raise typer.Exit(TROUBLE)


def close(
    period: Annotated[str, typer.Option(metavar="NAME", help="By its name: 2026-10, 2026-Q4, 2026-W40, 2026.")],
    account: Annotated[str, typer.Option(help="Only this account's.", show_default=False)] = "",
    tenant: Annotated[
        str,
        typer.Option(envvar=settings.TENANT, help="Only this tenant's; of an account: default.", show_default=False),
    ] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Close a billing period now, of one account or of all: its usage that comes later is late."""
    from agents.stream.commanding import command
    from agents.stream.messages import Close
    from agents.stream.publishing import Publisher
    from ratestream.stream import open_stream, tell

    if not _PERIOD.fullmatch(period):
        raise typer.BadParameter(f"{period!r} is no period: write 2026-10, 2026-10-31, 2026-Q4, 2026-W40 or 2026.")
    if account:
        tenant = tenant or "default"
    stream = open_stream()
    with Publisher(stream.connection) as publisher:
        sent = command(publisher, stream.topics, stream.partitions, Close(period, tenant, account))
    whose = f"account {account} of tenant {tenant}" if account else f"tenant {tenant}" if tenant else "all accounts"
    facts = {"command": "close", "period": period, "tenant": tenant, "account": account, "partitions": sent}
    tell(facts, [f"Closing {period} of {whose}: asked in {len(sent)} of {stream.partitions} partitions."], output)


def _declare(publisher: "Publisher", stream: "Stream", catalogue: "Catalogue", output: Output) -> None:
    from agents.stream.declaring import declare
    from ratestream.stream import tell

    sent = declare(publisher, stream.connection, stream.topics, stream.partitions, catalogue)
    known = f" ({sent.known:,} more were there already)" if sent.known else ""
    lines = [
        f"Published to {stream.place}",
        f"  tariff versions {sent.tariffs:>11,}{known}",
        f"  accounts        {sent.accounts:>11,}",
    ]
    tell({"tariffs": sent.tariffs, "tariffs_known": sent.known, "accounts": sent.accounts}, lines, output)


def _publish_files(
    publisher: "Publisher",
    stream: "Stream",
    places: list[Path],
    encoding: Encoding,
    mapping: "ColumnMapping",
    output: Output,
) -> "Counts":
    from agents.stream import encoding as encodings
    from agents.stream.files import Files, Told
    from ratestream.progress import reporting
    from ratestream.usage_files import files_of

    began, sent_before, bytes_before = monotonic(), publisher.messages, publisher.bytes_sent
    paths = files_of(places)
    sizes = [path.stat().st_size for path in paths]
    with reporting(sum(sizes)) as report:

        def progress(path: Path, bytes_read: int, records: int) -> None:
            report.advance(path, sum(sizes[: files.counts.files]) + bytes_read, records, monotonic() - began)

        def refuse(told: Told) -> None:
            report.say(f"{told.position}: {told.why}")

        files = Files(
            publisher,
            stream.topics,
            stream.partitions,
            encodings.Encoding(encoding),
            refuse=refuse,
            progress=progress,
        )
        try:
            counts = files.publish(paths, mapping)
        except ValueError as error:  # the reader tells so that a file has no columns to map
            if not mapping:
                raise
            raise typer.BadParameter(str(error)) from error
    sent, size = publisher.messages - sent_before, publisher.bytes_sent - bytes_before
    _tell_files(stream, counts, (sent, size, monotonic() - began), output)
    return counts


def _tell_files(stream: "Stream", counts: "Counts", sent: tuple[int, int, float], output: Output) -> None:
    from ratestream.stream import tell

    messages, size, seconds = sent
    facts = {
        "files": counts.files,
        "received": counts.received,
        "published": counts.published,
        "refused": counts.refused,
        "messages": messages,
        "bytes": size,
        "seconds": round(seconds, 3),
    }
    rate = counts.received / max(seconds, 0.001)
    lines = [
        f"{counts.files:,} file{'s' * (counts.files != 1)} published to {stream.place}",
        f"  received    {counts.received:>13,}   in {seconds:.1f} s, {rate:,.0f} records/s",
        f"  published   {counts.published:>13,}   in {messages:,} messages of {size:,} bytes",
        f"  left out    {counts.refused:>13,}{'   each told above' if counts.refused else ''}",
    ]
    tell(facts, lines, output)


def _mapping(columns: list[str], constants: list[str]) -> "ColumnMapping":
    from ratestream.usage_files import column_mapping

    try:
        return column_mapping(columns, constants)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _catalogue(tariffs: Path | None, accounts: Path | None) -> "Catalogue | None":
    if tariffs is None:
        return None
    from schemas.catalogue import load_catalogue

    return load_catalogue(tariffs, accounts)
