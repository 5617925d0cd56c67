"""Whether rating goes on while very many accounts are closed: one month of all accounts of one partition.

    python -m tests.bench.stream_closing [--accounts 100000] [--rate 2000]

Every account has usage in January. Then records of February arrive at a steady rate, January is closed with
`ratestream close`, and records keep arriving until every statement is there. Told are the longest time that any of them
waited for its charge, how long closing took, and that each account got one statement.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.stream.connection import Connection, connection
from agents.stream.reading import ends
from agents.stream.topics import Topics
from deploy.broker import start_broker
from tests.bench.stream_delays import Delay, arrivals, delays
from tests.bench.stream_load import fill, prepare
from tests.bench.stream_steady import sending
from tests.bench.stream_worker import PATIENCE_S, watching, working

_HOURS = 31 * 24
_SENDING_S = 150.0
"""How long records arrive at most."""
_CALM_S = 3.0
"""How long records arrive before closing begins, and after it has ended."""


class Closing(NamedTuple):
    """The longest delay of a charge before closing and from then on, how long closing took (seconds), statements."""

    calm: float
    longest: float
    seconds: float
    statements: int

    @property
    def speed(self) -> float:
        """Statements a second."""
        return self.statements / self.seconds


def main() -> None:
    """Measure and print; the figures are of this machine at this moment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=2_000)
    wanted = parser.parse_args()
    broker = start_broker()
    try:
        environment = {"RATESTREAM_BROKERS": broker.bootstrap, "RATESTREAM_PREFIX": "closing."}
        found = uvloop.run(measure(environment, wanted.accounts, wanted.rate))
        sys.stdout.write(
            f"one partition, {wanted.rate:,} records/s, {broker.how}: {found.statements:,} statements in "
            f"{found.seconds:.1f} s ({found.speed:,.0f}/s); a charge waited {found.longest * 1_000:.0f} ms at most, "
            f"{found.calm * 1_000:.0f} ms before that\n"
        )
    finally:
        broker.stop()


async def measure(environment: dict[str, str], accounts: int, rate: int) -> Closing:
    """Close the month of so many accounts while so many records a second arrive."""
    where = connection(environment)
    topics = await asyncio.to_thread(prepare, where, 1, accounts)
    await asyncio.to_thread(fill, where, topics, 1, accounts, accounts)
    async with watching(where, topics, 1) as watch, statements(where, topics) as stated:
        with working(environment):
            await watch.reach(accounts)
            async with arrivals(where, topics, 1) as arriving:
                with sending(environment, rate, _SENDING_S, _HOURS * accounts, accounts, 1):
                    await watch.reach(accounts + 1)
                    await asyncio.sleep(_CALM_S)
                    asked = time.time()
                    await asyncio.to_thread(close, environment)
                    closed = await _all_closed(stated, accounts)
                    await asyncio.sleep(_CALM_S)
                await watch.reach((await ends(where, topics.usage, 1))[0])
                await asyncio.sleep(1)  # the last charges arrive
                measured = await delays(where, topics, arriving)
    if set(stated.values()) != {1}:
        raise SystemExit("an account has got more than one statement")
    return Closing(
        _longest([delay for delay in measured if delay.appended < asked - 1]),
        _longest([delay for delay in measured if delay.appended >= asked - 1]),
        closed - asked,
        len(stated),
    )


def close(environment: dict[str, str]) -> None:
    """Ask for January to be closed, as an operator does."""
    command = [sys.executable, "-m", "ratestream", "close", "--period", "2026-01"]
    subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)


@asynccontextmanager
async def statements(where: Connection, topics: Topics) -> AsyncIterator[Counter[bytes]]:
    """How many statements each account of partition 0 has got, counted in the background."""
    consumer = AIOKafkaConsumer(**where.for_aiokafka(), isolation_level="read_committed", enable_auto_commit=False)
    stated: Counter[bytes] = Counter()
    async with consumer:
        place = TopicPartition(topics.statements, 0)
        consumer.assign([place])
        consumer.seek(place, 0)
        counting = asyncio.create_task(_count(consumer, stated))
        try:
            yield stated
        finally:
            counting.cancel()
            await asyncio.wait({counting})
    if not counting.cancelled():
        counting.result()


async def _count(consumer: AIOKafkaConsumer, stated: Counter[bytes]) -> None:
    while True:
        for records in (await consumer.getmany(timeout_ms=1_000)).values():
            stated.update(record.key for record in records)


async def _all_closed(stated: Counter[bytes], accounts: int) -> float:
    """The time at which every account has a statement, as time.time tells it."""
    deadline = time.time() + PATIENCE_S
    while len(stated) < accounts:
        if time.time() > deadline:
            raise SystemExit(f"{len(stated):,} of {accounts:,} accounts were closed in {PATIENCE_S} s")
        await asyncio.sleep(0.05)
    return time.time()


def _longest(found: list[Delay]) -> float:
    return max(delay.seconds for delay in found)


if __name__ == "__main__":
    main()
