"""The stream demo: real homes through Kafka. Two workers share the partitions; their charges and statements are shown.

A sink then stores all of it in an embedded ClickHouse, which answers a question, proves a statement, and is compared
with the topics. Topics get a prefix of their own, so nothing that is there is touched, and are left for whoever wants
to look on.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep, time

import pyarrow as pa
from rich.text import Text

from agents import settings
from agents.errors import AgentError
from agents.sink.app import feeds
from agents.sink.app import group_of as sink_group
from agents.stream import topics as kafka_topics
from agents.stream.connection import Connection, connection
from agents.stream.messages import statements_of
from agents.stream.reading import committed, ends, group_offsets
from agents.stream.topics import Topics
from agents.stream.topics import group_of as rating_group
from ratestream.charges import print_charges
from ratestream.demo import EXAMPLES
from ratestream.screen import show
from ratestream.statements import print_overview, print_statement
from schemas.charge import Charge
from schemas.codecs import json_from
from schemas.statement import Statement
from sinks.clickhouse import EMBEDDED
from sinks.statement_columns import statements_table

PARTITIONS = 4
_ACCOUNT, _PERIOD = "il-home-0", "2016-07"
_CHARGES_SHOWN = 5
_QUESTIONS = (
    ("report", "revenue", "--period", "2016", "--by", "tariff", "--plot"),
    ("prove", _ACCOUNT, "--period", _PERIOD),
    ("reconcile",),
)
_PATIENCE_S = 180
"""How long the workers may take; on a laptop it is seconds."""


Processes = list[subprocess.Popen[bytes]]


def run_stream_demo() -> None:
    """Everything, from topics to the proof. Raises AgentError, also where a process ends or nothing moves."""
    prefix = f"demo-{int(time())}."
    environment = {**os.environ, settings.TOPIC_PREFIX: prefix}
    where = connection(environment)
    topics = Topics.of(prefix)
    data = Path(mkdtemp(prefix="ratestream-stream-demo-"))
    _told("Topics", f"{prefix}* at {', '.join(where.brokers)}, {PARTITIONS} partitions")
    kafka_topics.create(where, PARTITIONS, 1)
    began = monotonic()
    with _processes(environment, data, "worker", 2) as workers:
        _told("Workers", f"{len(workers)} processes: {', '.join(str(worker.pid) for worker in workers)}")
        _told("Published")
        _ratestream(environment, "publish", "--tariffs", EXAMPLES / "tariffs", "--accounts", EXAMPLES / "accounts.yaml")
        _ratestream(environment, "publish", EXAMPLES / "homes.csv.gz")
        rated = _done(where, rating_group(prefix), [topics.usage], workers)
    _told("Rated", f"{rated:,} messages, {monotonic() - began:.0f} s after the workers were started")
    asyncio.run(_show(where, topics))
    _store(where, topics, environment | {settings.CLICKHOUSE: f"{EMBEDDED}{data / 'clickhouse'}"}, data)
    print(f"Logs and ClickHouse: {data}")
    print("As long as this Kafka runs, look on with its tools, or:")
    print(f"  RATESTREAM_BROKERS={','.join(where.brokers)} RATESTREAM_PREFIX={prefix} ratestream rejected list")


def _store(where: Connection, topics: Topics, environment: dict[str, str], data: Path) -> None:
    """The topics into ClickHouse; then a question, a proof, and the comparison of all."""
    _told("Stored")
    _ratestream(environment, "migrate")
    stored = [feed.topic for feed in feeds(topics, environment)]
    began = monotonic()
    with _processes(environment, data, "sink", 1) as sinks:
        count = _done(where, sink_group(where.prefix), stored, sinks)
    print(f"{count:,} messages of {len(stored)} topics, {monotonic() - began:.0f} s after the sink was started")
    for question in _QUESTIONS:
        _told(f"ratestream {' '.join(question)}")
        _ratestream(environment, *question)


def _told(what: str, more: str = "") -> None:
    show(Text(what, style="bold underline"))
    if more:
        print(more)


def _ratestream(environment: dict[str, str], *arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "ratestream", *map(str, arguments)], env=environment, check=True)  # noqa: S603 - our own command


@contextmanager
def _processes(environment: dict[str, str], data: Path, command: str, count: int) -> Iterator[Processes]:
    """So many workers or sinks, told to stop at the end; each writes a log beside its directory."""
    processes: Processes = []
    try:
        for number in range(1, count + 1):
            own = data / f"{command}-{number}"
            with own.with_suffix(".log").open("wb") as log:
                line = [sys.executable, "-m", "ratestream", command, "--data", str(own)]
                processes.append(subprocess.Popen(line, env=environment, stderr=log))  # noqa: S603 - our own command
        yield processes
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait()


def _done(where: Connection, group: str, names: Sequence[str], processes: Processes) -> int:
    """How many messages these topics have once the group has committed all. Raises AgentError where a process ends."""
    began = monotonic()
    while monotonic() - began < _PATIENCE_S:
        ended = [process.pid for process in processes if process.poll() is not None]
        if ended:
            raise AgentError(f"process {ended[0]} has ended by itself. Its log says why.")
        if (count := asyncio.run(_committed_whole(where, group, names))) is not None:
            return count
        sleep(0.2)
    raise AgentError(f"{group}: not all was done within {_PATIENCE_S} s. See the logs.")


async def _committed_whole(where: Connection, group: str, names: Sequence[str]) -> int | None:
    """How many messages the topics have, where the group has committed all of them; None where it has not yet.

    An offset tells little by itself: behind a topic's last message stands what ended its transaction.
    """
    count = 0
    for name in names:
        partitions = 1 if name == Topics.of(where.prefix).tariffs else PARTITIONS
        until = await ends(where, name, partitions)
        since = await group_offsets(where, group, name, partitions)
        async for _ in committed(where, name, until, since):
            return None
        count += sum(since.values())
    return count


async def _show(where: Connection, topics: Topics) -> None:
    until = await ends(where, topics.charges, PARTITIONS)
    messages = [message async for message in committed(where, topics.charges, until)]
    charges = [json_from(message.value, Charge) for message in messages if message.key.endswith(_ACCOUNT.encode())]
    _told("Charges", f"{len(messages):,} on {topics.charges}; the latest of {_ACCOUNT}:")
    print_charges(charges[-_CHARGES_SHOWN:])
    until = await ends(where, topics.statements, PARTITIONS)
    statements = list(statements_of([message async for message in committed(where, topics.statements, until)]))
    _told("Statements", f"{len(statements)} on {topics.statements}:")
    print_overview(_heads(statements))
    for statement in statements:
        if statement.account == _ACCOUNT and f"/{_PERIOD}/" in statement.statement_id:
            print_statement(statement)
    until = await ends(where, topics.usage_rejected, PARTITIONS)
    rejected = [message async for message in committed(where, topics.usage_rejected, until)]
    _told("Rejected", f"{len(rejected)} on {topics.usage_rejected}")


def _heads(statements: Sequence[Statement]) -> pa.Table:
    return statements_table(sorted(statements, key=lambda one: (one.account, one.period_start)))
