"""A worker whose tasks rate nothing: they write what happens to them into a file, and commit offsets as real tasks do.

Run by the tests as a process: python -m tests.stream.recording_worker BROKERS PREFIX NAME DIRECTORY [OPTION=VALUE ...]
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from agents.stream.app import Membership, StreamApp, make_app
from agents.stream.connection import connection
from agents.stream.hosting import TaskFactory
from agents.stream.topics import Topics, group_of
from ratestream.worker import fail, run_worker, start_logging

Options = dict[str, str]
Record = Callable[..., None]


class RecordingTask:
    """Commits what it was offered, batch after batch, each in a transaction of its own."""

    def __init__(self, brokers: str, prefix: str, source: TopicPartition, record: Record, options: Options) -> None:
        self._brokers = brokers
        self._prefix = prefix
        self._source = source
        self._partition = source.partition
        self._recorder = record
        self._options = options
        self._queue: asyncio.Queue[tuple[Sequence[ConsumerRecord], Callable[[], None]]] = asyncio.Queue()
        self._producer: Any = None
        self._runner: asyncio.Task[None] | None = None

    def _record(self, what: str, partition: int, **more: object) -> None:
        self._recorder(what, partition, topic=self._source.topic, **more)

    async def open(self) -> None:
        self._record("opening", self._partition)
        await asyncio.sleep(float(self._options.get("open_s", "0")))
        if self._options.get("poison") == "open":
            raise ValueError("cannot open\nthis")
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._brokers, transactional_id=f"{self._source.topic}-{self._partition}"
        )
        await self._producer.start()
        self._runner = asyncio.create_task(self._run())
        self._record("open", self._partition)

    def offer(self, records: Sequence[ConsumerRecord], ack: Callable[[], None]) -> None:
        now = time.time()
        values = [record.value.decode() for record in records]
        late_s = max(now - record.timestamp / 1_000 for record in records)
        offsets = [record.offset for record in records]
        self._record("offer", self._partition, offsets=offsets, values=values, late_s=late_s)
        if self._options.get("poison") in values:
            raise ValueError(f"cannot take {values}")
        self._queue.put_nowait((records, ack))

    async def close(self) -> None:
        self._record("closing", self._partition)
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait({self._runner})
        await asyncio.sleep(float(self._options.get("close_s", "0")))
        if self._producer is not None:
            await self._producer.stop()
        self._record("closed", self._partition)

    async def _run(self) -> None:
        while True:
            records, ack = await self._queue.get()
            if f"hold-{self._partition}" in self._options:
                await asyncio.to_thread(_wait_for, Path(self._options["until"]))
            try:
                await asyncio.shield(self._commit(records))
            except Exception as error:  # noqa: BLE001 - as a real task does: fenced, it ends the process
                fail(error, "commit")
            ack()

    async def _commit(self, records: Sequence[ConsumerRecord]) -> None:
        async with self._producer.transaction():
            await self._producer.send_offsets_to_transaction(
                {self._source: records[-1].offset + 1}, group_of(self._prefix)
            )
        self._record("commit", self._partition, values=[record.value.decode() for record in records])


def _wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.01)


def main(brokers: str, prefix: str, name: str, directory: Path, options: Options) -> None:
    directory.mkdir(exist_ok=True)
    start_logging(options.get("log", "info"))
    where = connection({"RATESTREAM_BROKERS": brokers, "RATESTREAM_PREFIX": prefix})
    file = (directory / "record.jsonl").open("a", buffering=1)

    def record(what: str, partition: int, **more: object) -> None:
        file.write(json.dumps({"what": what, "partition": partition, "at": time.time(), "pid": os.getpid(), **more}))
        file.write("\n")

    def make() -> StreamApp:
        web_port = int(options["web"]) if "web" in options else None
        membership = Membership(name, directory / "faust", float(options.get("session_s", "6")), web_port)
        topics = Topics.of(prefix)

        def tasks_of(topic: str) -> TaskFactory:
            return lambda number: RecordingTask(brokers, prefix, TopicPartition(topic, number), record, options)

        splitting = tasks_of(topics.usage_bulk) if "bulk" in options else None
        app = make_app(where, topics, membership, fail, tasks_of(topics.usage), splitting)
        if options.get("poison") == "agent":
            app.hostings[0].offer = None  # type: ignore[assignment, method-assign]
        return app

    run_worker(make, directory, name)


if __name__ == "__main__":
    said = dict(option.split("=", 1) for option in sys.argv[5:])
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]), said)
