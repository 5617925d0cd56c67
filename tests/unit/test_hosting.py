"""Hosting: how much of a partition may wait."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NoReturn

from aiokafka import ConsumerRecord
from faust.types import TP

from agents.stream.hosting import HOLD_ABOVE_BYTES, Hold, Hosting

PARTITION = TP("t", 0)


class KeepingTask:
    """Commits what it was offered when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    async def open(self) -> None:
        pass

    def offer(self, _records: Sequence[ConsumerRecord], ack: Callable[[], None]) -> None:
        self.waiting.append(ack)

    async def close(self) -> None:
        pass


class RecordedFlow:
    """Which partitions are fetched."""

    def __init__(self) -> None:
        self.flowing: set[TP] = set()
        self.began = asyncio.Event()

    def release(self, partition: TP) -> None:
        self.flowing.add(partition)
        self.began.set()

    def hold(self, partition: TP) -> None:
        self.flowing.discard(partition)


def fail(error: BaseException, place: str) -> NoReturn:
    raise AssertionError(place) from error


def record(offset: int, value: bytes) -> ConsumerRecord:
    return ConsumerRecord("t", 0, offset, 0, 1, None, value, None, -1, len(value), ())


def test_few_records_of_many_bytes_hold_a_partition_until_half_is_committed() -> None:
    async def run() -> None:
        task, flow = KeepingTask(), RecordedFlow()
        hosting = Hosting("t", lambda _: task, lambda: flow, fail)
        hosting.assigned([PARTITION])
        await flow.began.wait()
        value = bytes(HOLD_ABOVE_BYTES // 4)
        for offset in range(4):
            hosting.offer(0, [record(offset, value)])
        assert PARTITION in flow.flowing
        hosting.offer(0, [record(4, b"one more")])
        assert PARTITION not in flow.flowing
        for _ in range(2):
            task.waiting.pop(0)()
        assert PARTITION not in flow.flowing
        task.waiting.pop(0)()
        assert PARTITION in flow.flowing
        await hosting.close()

    asyncio.run(run())


def test_a_topic_may_hold_more_or_less() -> None:
    async def run() -> None:
        task, flow = KeepingTask(), RecordedFlow()
        hosting = Hosting("t", lambda _: task, lambda: flow, fail, Hold(records=2, size=10))
        hosting.assigned([PARTITION])
        await flow.began.wait()
        hosting.offer(0, [record(0, b""), record(1, b"")])
        assert PARTITION in flow.flowing
        hosting.offer(0, [record(2, b"")])
        assert PARTITION not in flow.flowing
        for ack in task.waiting:
            ack()
        assert PARTITION in flow.flowing
        hosting.offer(0, [record(3, bytes(11))])
        assert PARTITION not in flow.flowing
        await hosting.close()

    asyncio.run(run())
