"""The sink's commands: fill ClickHouse from the topics until told to stop, and make the tables beforehand.

SIGTERM and SIGINT: what is being inserted is finished and committed, unless ClickHouse is away, then the process ends
with 0. A message that cannot be stored, or whatever nobody foresaw: one line on stderr, and 70. What was not committed
is read again, and a row that was inserted twice replaces itself.
"""

import logging
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from agents import settings
from ratestream.options import DataOption
from ratestream.worker import fail, locked, run_worker, start_logging, tell_health, worker_id

if TYPE_CHECKING:
    from agents.stream.app import StreamApp
    from sinks.clickhouse import ClickHouse

_AGAIN_S = 2.0

_logger = logging.getLogger(__name__)


def migrate() -> None:
    """Make the tables of ClickHouse (RATESTREAM_CLICKHOUSE), or renew them; each migration is applied once."""
    from sinks.clickhouse import ClickHouse

    with ClickHouse(settings.stored_in(os.environ)) as clickhouse:
        applied = clickhouse.migrate()
        for name in applied:
            print(name)
        print(f"OK: {len(applied)} applied, {clickhouse.where} is as this program needs it")


def sink(
    data: DataOption,
    check: Annotated[
        bool, typer.Option("--check", help="Say whether the sink of this directory gets on: exit code 0 or 1.")
    ] = False,
    log: Annotated[str, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")] = "info",
) -> None:
    """Store in ClickHouse (RATESTREAM_CLICKHOUSE) what the topics hold, until stopped: charges, statements, rejections,
    usage, accounts and tariffs.

    Several sinks share the partitions; each has a directory of its own, which tells how it gets on and may be lost.
    """
    if check:
        raise typer.Exit(tell_health(data))
    start_logging(log)
    from agents.books import temporary_files_in
    from agents.sink.app import feeds
    from agents.sink.feeds import claim
    from agents.stream.app import Membership
    from agents.stream.connection import connection
    from agents.stream.topics import Topics
    from agents.stream.topics import check as check_topics

    where = connection(os.environ)
    dsn = settings.stored_in(os.environ)
    session_timeout_s = settings.session_timeout_s(os.environ)
    topics = [feed.topic for feed in feeds(Topics.of(where.prefix), os.environ)]
    layout = check_topics(where)
    with locked(data), temporary_files_in(data / "tmp"), _opened(dsn) as clickhouse:
        clickhouse.check()
        claim(clickhouse, layout.cluster_id, {topic: layout.topic_ids[topic] for topic in topics})
        membership = Membership(worker_id(data), data / "faust", session_timeout_s)

        def make() -> "StreamApp":
            from agents.sink.app import make_app

            return make_app(where, layout, membership, partial(fail, kind="sink"), clickhouse, os.environ)

        run_worker(make, data, membership.worker_id, "sink")


def _opened(dsn: str) -> "ClickHouse":
    """The database, as soon as it can be reached."""
    from sinks.clickhouse import ClickHouse
    from sinks.errors import Busy, Occupied, TimedOut, Unreachable

    told = False
    while True:
        try:
            return ClickHouse(dsn)
        except Occupied:
            raise
        except (Unreachable, TimedOut, Busy) as error:
            if not told:
                _logger.warning("waiting for ClickHouse: %s", error)
            told = True
            time.sleep(_AGAIN_S)
