"""Hosting: a worker's partitions of one topic, each with its task. After transport.py, before app.py.

A task is opened when its partition is assigned, gets the partition's records in order, and is closed before the group
gives the partition to anybody else: a rebalance waits for it. Every rebalance revokes all partitions, so tasks are
opened anew after each, most of them where they were.

A partition is fetched from when its task is open, and not while too much of it waits for its commit.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from time import monotonic, time
from typing import NamedTuple, NoReturn, Protocol

from aiokafka import ConsumerRecord
from faust.types import TP

HOLD_ABOVE = 50_000
"""Records of a partition that may wait; above it the partition is not fetched until half of them are committed."""
HOLD_ABOVE_BYTES = 64 << 20
"""The same in bytes: a record may be a container of many megabytes."""


class Hold(NamedTuple):
    """How much of a partition may wait for its commit; above either, it is not fetched until half is committed."""

    records: int = HOLD_ABOVE
    size: int = HOLD_ABOVE_BYTES


_HOLD = Hold()

_logger = logging.getLogger(__name__)


class Task(Protocol):
    """What is done with the records of one partition."""

    async def open(self) -> None:
        """Keeps everybody else from the partition and restores its state. What it raises ends the process."""

    def offer(self, records: Sequence[ConsumerRecord], ack: Callable[[], None]) -> None:
        """Takes records, in order and without a gap; calls `ack` once when they are committed, and returns at once."""

    async def close(self) -> None:
        """Finishes what runs and lets go. Called once, also where `open` was cancelled; nothing is offered any more."""


TaskFactory = Callable[[int], Task]
"""The task of a partition, not yet open."""


class Flow(Protocol):
    """Which partitions are fetched."""

    def release(self, partition: TP) -> None:
        """Records of the partition may come."""

    def hold(self, partition: TP) -> None:
        """No more of them, save those on their way."""


class Fail(Protocol):
    """Ends the process."""

    def __call__(self, error: BaseException, place: str) -> NoReturn:
        """Tells what happened where, and ends the process."""


class Standing:
    """How a partition gets on."""

    def __init__(self, hold: Hold = _HOLD) -> None:
        self._hold = hold
        self.opened = False
        self.waiting = 0
        """Records that were offered and are not committed."""
        self.waiting_bytes = 0
        self._moved_at = monotonic()
        self._offered: dict[int, tuple[int, int, int]] = {}
        self._number = 0

    def offered(self, records: Sequence[ConsumerRecord]) -> int:
        """The number to give back when the records are committed."""
        if not self._offered:
            self._moved_at = monotonic()
        self._number += 1
        size = sum([len(record.value or b"") for record in records])
        self._offered[self._number] = (records[0].timestamp, len(records), size)
        self.waiting += len(records)
        self.waiting_bytes += size
        return self._number

    def moved(self, number: int | None = None) -> None:
        """The task has opened, or committed the records of that number."""
        self._moved_at = monotonic()
        if number is not None:
            _, records, size = self._offered.pop(number)
            self.waiting -= records
            self.waiting_bytes -= size

    @property
    def load(self) -> float:
        """How much waits, 1 being the most that may."""
        return max(self.waiting / self._hold.records, self.waiting_bytes / self._hold.size)

    @property
    def delay_s(self) -> float:
        """How long ago the next record to be committed was appended; 0 where none waits."""
        first = next(iter(self._offered.values()), None)
        return max(0.0, time() - first[0] / 1_000) if first is not None else 0.0

    @property
    def still_s(self) -> float:
        """How long nothing has moved although something should: 0 where nothing waits."""
        return monotonic() - self._moved_at if self._offered or not self.opened else 0.0


class _Hosted:
    """One partition with its task."""

    def __init__(self, partition: TP, task: Task, hold: Hold) -> None:
        self.partition = partition
        self.task = task
        self.standing = Standing(hold)
        self.held = False
        self.opening: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return f"{self.partition.topic}[{self.partition.partition}]"


class Hosting:
    """The tasks of one topic's partitions."""

    def __init__(
        self, topic: str, make_task: TaskFactory, flow: Callable[[], Flow], fail: Fail, hold: Hold = _HOLD
    ) -> None:
        self.topic = topic
        self._make_task = make_task
        self._flow = flow
        self._fail = fail
        self._hold = hold
        self._hosted: dict[int, _Hosted] = {}
        self._ended = False
        self._closing = asyncio.Lock()

    @property
    def standings(self) -> dict[int, Standing]:
        """By partition."""
        return {number: hosted.standing for number, hosted in sorted(self._hosted.items())}

    def assigned(self, partitions: Iterable[TP]) -> None:
        """Opens their tasks, side by side and in the background: the heart of the group does not beat meanwhile."""
        mine = [partition for partition in sorted(partitions) if partition.topic == self.topic]
        if self._ended or not mine:
            return
        _logger.info("%s: has partitions %s", self.topic, ", ".join(str(partition.partition) for partition in mine))
        for partition in mine:
            hosted = self._host(partition)
            hosted.opening = asyncio.create_task(self._open(hosted))

    def offer(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Hands records to the partition's task."""
        hosted = self._hosted.get(partition)
        if hosted is None:
            return  # closed meanwhile: they are not committed, so whoever has the partition next gets them
        number = hosted.standing.offered(records)
        try:
            hosted.task.offer(records, lambda: self._committed(hosted, number))
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process
            self._fail(error, f"{hosted}@{records[0].offset}")
        if hosted.standing.load > 1 and not hosted.held:
            hosted.held = True
            self._flow().hold(hosted.partition)

    async def close(self) -> None:
        """Closes all tasks, side by side, and returns when every one is closed."""
        async with self._closing:
            closing, self._hosted = self._hosted, {}
            await asyncio.gather(*(self._close(hosted) for hosted in closing.values()))

    async def end(self) -> None:
        """Closes all tasks for good: partitions that are assigned from now on are not taken."""
        self._ended = True
        await self.close()

    def _host(self, partition: TP) -> _Hosted:
        number = partition.partition
        place = f"{self.topic}[{number}]"
        if number in self._hosted:
            self._fail(RuntimeError("assigned again and never revoked"), place)
        try:
            self._hosted[number] = _Hosted(partition, self._make_task(number), self._hold)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process
            self._fail(error, place)
        return self._hosted[number]

    async def _open(self, hosted: _Hosted) -> None:
        began = monotonic()
        try:
            await hosted.task.open()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process
            self._fail(error, str(hosted))
        hosted.standing.opened = True
        hosted.standing.moved()
        self._flow().release(hosted.partition)
        _logger.info("%s: open after %.1f s", hosted, monotonic() - began)

    def _committed(self, hosted: _Hosted, number: int) -> None:
        hosted.standing.moved(number)
        if hosted.held and hosted.standing.load < 0.5:
            hosted.held = False
            if self._hosted.get(hosted.partition.partition) is hosted:
                self._flow().release(hosted.partition)

    async def _close(self, hosted: _Hosted) -> None:
        try:
            if hosted.opening is not None:
                hosted.opening.cancel()
                await asyncio.wait({hosted.opening})
            await hosted.task.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process
            self._fail(error, str(hosted))
        _logger.info("%s: closed", hosted)
