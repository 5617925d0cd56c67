"""How long a partition's state takes to come back from its changelog, on a machine that has nothing of it.

    python -m tests.bench.stream_restore [--records 800000] [--accounts 100000]

The changelog is what rating leaves before any compaction: one partition, each record of another account than the one
before it, so that nearly every record makes an entry of its own, and its identity is in a pack besides; 800,000 records
of 100,000 accounts, each declared, leave a million entries. Timed is what a task does before it rates: fence, read the
changelog, fill the store, compare it with the topics.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, NoReturn, cast

import uvloop

from agents.stream.connection import Connection, connection
from agents.stream.reading import ends
from agents.stream.task import PartitionTask
from agents.stream.topics import Topics, check
from agents.stream.wiring import rating_tasks
from deploy.broker import start_broker
from tests.bench.stream_load import fill, prepare
from tests.bench.stream_worker import watching, working


class Restored(NamedTuple):
    """Messages of the changelog, the usage records whose identities came back with them, and the time it took."""

    messages: int
    identities: int
    seconds: float


def main() -> None:
    """Measure and print; the figures are of this machine at this moment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=800_000)
    parser.add_argument("--accounts", type=int, default=100_000)
    wanted = parser.parse_args()
    broker = start_broker()
    try:
        environment = {"RATESTREAM_BROKERS": broker.bootstrap, "RATESTREAM_PREFIX": "restore."}
        found = uvloop.run(measure(environment, wanted.records, wanted.accounts))
        sys.stdout.write(
            f"one partition, {broker.how}: {found.messages:,} changelog entries and {found.identities:,} identities "
            f"restored in {found.seconds:.2f} s\n"
        )
    finally:
        broker.stop()


async def measure(environment: dict[str, str], records: int, accounts: int) -> Restored:
    """Rate so many records, then restore what that has left."""
    where = connection(environment)
    topics = await asyncio.to_thread(prepare, where, 1, accounts)
    await asyncio.to_thread(fill, where, topics, 1, records, accounts)
    async with watching(where, topics, 1) as watch:
        with working(environment):
            await watch.reach(records)
    return await restore(where, topics, environment)


async def restore(where: Connection, topics: Topics, environment: dict[str, str]) -> Restored:
    """Restore partition 0 into a new directory."""
    layout = await asyncio.to_thread(check, where)
    messages = (await ends(where, topics.changelog, 1))[0]
    with TemporaryDirectory() as folder:
        task = cast(PartitionTask, rating_tasks(where, topics, layout, Path(folder), environment, _fail)(0))
        began = time.perf_counter()
        partition = await task.restore()
        seconds = time.perf_counter() - began
        await task.close()
    return Restored(messages, partition.table.applied.counts.accepted, seconds)


def _fail(error: BaseException, place: str) -> NoReturn:
    raise SystemExit(f"{place}: {error}") from error


if __name__ == "__main__":
    main()
