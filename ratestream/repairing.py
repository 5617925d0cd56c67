"""Repairing: what was not accepted, on the topic usage-rejected or in a data directory; replayed once it is mended."""

import asyncio
import os
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents import settings
from ratestream import asking
from ratestream.failures import TROUBLE
from ratestream.options import LimitOption, Output, OutputOption
from schemas.rejection import Reason

if TYPE_CHECKING:
    from agents.stream.rejected import Rejected, Selection
    from ratestream.stream import Stream
    from schemas.rejection import Rejection

_Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar=settings.DATA,
        metavar="DIR",
        file_okay=False,
        help="The data directory; without it the topic usage-rejected.",
    ),
]
_Reason = Annotated[Reason | None, typer.Option(help="Only those of this reason.", show_choices=False)]
_Account = Annotated[str, typer.Option(help="Only this account's.", show_default=False)]
_Tenant = Annotated[str, typer.Option(help="Only this tenant's.", show_default=False)]
_Source = Annotated[str, typer.Option(help="Only this source's.", show_default=False)]
_Position = Annotated[str, typer.Argument(metavar="POSITION", help="As `list` tells it: ratestream.usage[4]@1093.")]


def rejected_list(
    data: _Data = None,
    reason: _Reason = None,
    account: _Account = "",
    tenant: _Tenant = "",
    source: _Source = "",
    limit: LimitOption = 1000,
    output: OutputOption = Output.TABLE,
) -> None:
    """What was not accepted, with reason, position, what to do, and what came; on the topic what is still open."""
    if data is not None:
        if account or tenant or source:
            raise typer.BadParameter("A data directory is asked by --reason only: leave out the others, or --data.")
        asking.rejected_list(data, reason, limit, output)
        return
    if not os.environ.get(settings.BROKERS):
        raise typer.BadParameter(f"Missing option '--data' (env var: '{settings.DATA}'), or {settings.BROKERS}.")
    from agents.stream.rejected import Selection
    from ratestream.stream import open_stream

    found = asyncio.run(_open(open_stream(), Selection(reason, tenant, account, source), limit))
    _show([one.rejection for one in found], output)
    if not found:
        print("There are none.", file=sys.stderr)
    elif len(found) == limit:
        print(f"These are the first {limit}; --limit gives more.", file=sys.stderr)


def rejected_show(position: _Position, output: OutputOption = Output.TABLE) -> None:
    """One rejection of the topic in full, and whether it is open or was replayed."""
    from agents.errors import NoAnswerError
    from ratestream.stream import open_stream

    stream = open_stream()
    found = asyncio.run(_at(stream, position))
    if found is None:
        raise NoAnswerError(f"{stream.topics.usage_rejected} holds no rejection of {position}. See: rejected list")
    rejected, is_open = found
    if output is Output.TABLE:
        _show_whole(rejected, is_open=is_open)
    else:
        _show([rejected.rejection], output)


def rejected_replay(
    reason: _Reason = None,
    account: _Account = "",
    tenant: _Tenant = "",
    source: _Source = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Publish open rejections again, each exactly once, after their cause is mended.

    A replay that was stopped or killed goes on with what is left. The exit code is 1 where something cannot be.
    """
    from agents.stream.rejected import Selection
    from agents.stream.replaying import replay
    from ratestream.screen import printable
    from ratestream.stream import open_stream, tell

    left = 0

    def leave(rejected: "Rejected", why: str) -> None:
        nonlocal left
        left += 1
        print(printable(f"{rejected.rejection.position}: not replayed, {why}."), file=sys.stderr)

    stream = open_stream()
    selection = Selection(reason, tenant, account, source)
    replayed = asyncio.run(replay(stream.connection, stream.topics, stream.partitions, selection, leave))
    lines = [f"{replayed:,} replayed to {stream.place}{f', {left:,} not: told above' if left else ''}"]
    tell({"replayed": replayed, "left": left}, lines, output)
    if left:
        raise typer.Exit(TROUBLE)


def rejected_release(
    source: Annotated[str, typer.Option(help="The source whose usage is to be taken again.")],
    tenant: Annotated[str, typer.Option(envvar=settings.TENANT, help="Whose source it is.")] = "default",
    output: OutputOption = Output.TABLE,
) -> None:
    """End the quarantine of a source. What it sent meanwhile is replayed with `replay --reason quarantined`."""
    from agents.stream.commanding import command
    from agents.stream.messages import Release
    from agents.stream.publishing import Publisher
    from ratestream.stream import open_stream, tell

    stream = open_stream()
    with Publisher(stream.connection) as publisher:
        sent = command(publisher, stream.topics, stream.partitions, Release(tenant, source))
    facts = {"command": "release", "tenant": tenant, "source": source, "partitions": sent}
    tell(facts, [f"Releasing source {source} of tenant {tenant}: asked in {len(sent)} partitions."], output)


async def _open(stream: "Stream", selection: "Selection", limit: int) -> "list[Rejected]":
    from agents.stream.rejected import rejections, snapshot

    taken = await snapshot(stream.connection, stream.topics.usage_rejected, stream.partitions)
    found: list[Rejected] = []
    async with aclosing(rejections(stream.connection, taken)) as all_of_them:
        async for rejected in all_of_them:
            if selection.takes(rejected.rejection) and taken.is_open(rejected):
                found.append(rejected)
                if len(found) == limit:
                    break
    return found


async def _at(stream: "Stream", position: str) -> "tuple[Rejected, bool] | None":
    """The rejection of what stood there, the last one if a topic of the name was made anew, and whether it is open."""
    from agents.stream.rejected import rejections, snapshot

    taken = await snapshot(stream.connection, stream.topics.usage_rejected, stream.partitions)
    found = None
    async for rejected in rejections(stream.connection, taken):
        if str(rejected.rejection.position) in {position, stream.connection.prefix + position}:
            found = rejected
    return None if found is None else (found, taken.is_open(found))


def _show(nouns: "list[Rejection]", output: Output) -> None:
    from ratestream.rejections import print_rejections, write_rejections_csv
    from schemas.codecs import json_bytes

    if output is Output.JSON:
        sys.stdout.writelines(json_bytes(noun).decode() + "\n" for noun in nouns)
    elif output is Output.CSV:
        write_rejections_csv(nouns)
    else:
        print_rejections(nouns)


def _show_whole(rejected: "Rejected", *, is_open: bool) -> None:
    from ratestream.screen import cells, grid, printable, show

    rejection = rejected.rejection
    table = grid(("field", "left"), ("value", "left"), head=False)
    cut = f", of which {len(rejection.original):,} are kept" if len(rejection.original) < rejection.size else ""
    for name, value in (
        ("position", str(rejection.position)),
        ("state", "open" if is_open else "replayed"),
        ("reason", rejection.reason),
        ("message", rejection.message),
        ("tenant", rejection.tenant),
        ("account", rejection.account),
        ("source", rejection.source),
        ("usage id", rejection.usage_id),
        ("bytes", f"{rejection.size:,}{cut}"),
        ("sha256", rejection.sha256),
    ):
        table.add_row(*cells(name, value))
    show(table)
    show()
    show(printable(rejection.original.decode(errors="backslashreplace")))
