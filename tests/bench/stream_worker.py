"""A worker to be measured: a process of its own, as operators start it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.stream.connection import Connection
from agents.stream.topics import Topics, group_of

PATIENCE_S = 600


@contextmanager
def working(environment: Mapping[str, str], data: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """One worker, with a new data directory where none is named, stopped at the end."""
    with TemporaryDirectory() as folder:
        directory = data or Path(folder)
        command = [sys.executable, "-m", "ratestream", "worker", "--data", str(directory), "--log", "error"]
        worker = subprocess.Popen(command, env={**os.environ, **environment})
        try:
            yield worker
            if worker.poll() is not None:
                raise SystemExit(f"the worker ended by itself, with {worker.returncode}")
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait()


class Watch:
    """How far the worker has come, by the offsets that it has committed."""

    def __init__(self, consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> None:
        self.partitions = len(places)
        self._consumer = consumer
        self._places = places

    async def rated(self) -> int:
        """Messages of `usage` that are rated."""
        return sum([await self._consumer.committed(place) or 0 for place in self._places])

    async def reach(self, count: int) -> float:
        """The time at which so many are rated, as time.perf_counter tells it."""
        deadline = time.perf_counter() + PATIENCE_S
        while await self.rated() < count:
            if time.perf_counter() > deadline:
                raise SystemExit(f"not {count:,} messages were rated in {PATIENCE_S} s")
            await asyncio.sleep(0.2)
        return time.perf_counter()


@asynccontextmanager
async def watching(connection: Connection, topics: Topics, partitions: int) -> AsyncIterator[Watch]:
    """A watch over all partitions."""
    consumer = AIOKafkaConsumer(
        **connection.for_aiokafka(), group_id=group_of(connection.prefix), enable_auto_commit=False
    )
    places = [TopicPartition(topics.usage, number) for number in range(partitions)]
    consumer.assign(places)
    async with consumer:
        yield Watch(consumer, places)
