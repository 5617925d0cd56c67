"""The stream demo: real homes through Kafka. Two workers share the partitions; their charges and statements are shown.

Topics get a prefix of their own, so nothing that is there is touched, and are left for whoever wants to look on.
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
from agents.stream import topics as kafka_topics
from agents.stream.connection import Connection, connection
from agents.stream.messages import statements_of
from agents.stream.reading import committed, ends, group_offsets
from agents.stream.topics import Topics, group_of
from ratestream.charges import print_charges
from ratestream.demo import EXAMPLES
from ratestream.screen import show
from ratestream.statements import print_overview, print_statement
from schemas.charge import Charge
from schemas.codecs import json_from
from schemas.statement import Statement
from sinks.statement_columns import statements_table

PARTITIONS = 4
_ACCOUNT, _PERIOD = "il-home-0", "2016-07"
_CHARGES_SHOWN = 5
_PATIENCE_S = 180
"""How long the workers may take; on a laptop it is seconds."""


Workers = list[subprocess.Popen[bytes]]


def run_stream_demo() -> None:
    """Everything, from topics to statements. Raises AgentError, also where a worker ends or nothing moves."""
    prefix = f"demo-{int(time())}."
    environment = {**os.environ, settings.TOPIC_PREFIX: prefix}
    where = connection(environment)
    topics = Topics.of(prefix)
    data = Path(mkdtemp(prefix="ratestream-stream-demo-"))
    _told("Topics", f"{prefix}* at {', '.join(where.brokers)}, {PARTITIONS} partitions")
    kafka_topics.create(where, PARTITIONS, 1)
    began = monotonic()
    with _workers(environment, data, 2) as workers:
        _told("Published")
        _ratestream(environment, "publish", "--tariffs", EXAMPLES / "tariffs", "--accounts", EXAMPLES / "accounts.yaml")
        _ratestream(environment, "publish", EXAMPLES / "homes.csv.gz")
        rated = _rated(where, topics, workers)
    _told("Rated", f"{rated:,} messages, {monotonic() - began:.0f} s after the workers were started")
    asyncio.run(_show(where, topics))
    print(f"Workers' logs: {data}")
    print("As long as this Kafka runs, look on with its tools, or:")
    print(f"  RATESTREAM_BROKERS={','.join(where.brokers)} RATESTREAM_PREFIX={prefix} ratestream rejected list")


def _told(what: str, more: str = "") -> None:
    show(Text(what, style="bold underline"))
    if more:
        print(more)


def _ratestream(environment: dict[str, str], *arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "ratestream", *map(str, arguments)], env=environment, check=True)  # noqa: S603 - our own command


@contextmanager
def _workers(environment: dict[str, str], data: Path, count: int) -> Iterator[Workers]:
    """So many workers, told to stop at the end; each writes a log beside its directory."""
    workers: Workers = []
    try:
        for number in range(1, count + 1):
            with (data / f"worker-{number}.log").open("wb") as log:
                command = [sys.executable, "-m", "ratestream", "worker", "--data", str(data / f"worker-{number}")]
                workers.append(subprocess.Popen(command, env=environment, stderr=log))  # noqa: S603 - our own command
        _told("Workers", f"{count} processes: {', '.join(str(worker.pid) for worker in workers)}")
        yield workers
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait()


def _rated(where: Connection, topics: Topics, workers: Workers) -> int:
    """How many messages of `usage` are rated once all of them are. Raises AgentError where a worker ends before."""
    began = monotonic()
    while monotonic() - began < _PATIENCE_S:
        ended = [worker.pid for worker in workers if worker.poll() is not None]
        if ended:
            raise AgentError(f"worker {ended[0]} has ended by itself. Its log says why.")
        until = asyncio.run(ends(where, topics.usage, PARTITIONS))
        rated = asyncio.run(group_offsets(where, group_of(where.prefix), topics.usage, PARTITIONS))
        if rated == until:
            return sum(until.values())
        sleep(0.2)
    raise AgentError(f"not all usage was rated within {_PATIENCE_S} s. See the workers' logs.")


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
