"""Task: one usage partition, from its assignment to its revocation. The order of steps is the guarantee:

  open    1. fence: whoever had the partition before can commit nothing more;
          2. restore: the store on this machine is brought up to the changelog's end, or filled from its beginning;
          3. store, topics and group have to agree; nothing is guessed where they do not.
  batch   1. what waits is taken as one, bounded in records;
          2. documents and commands that were published by now are taken in: those before its usage are among them;
          3. it is rated; charges, statements, rejections, changelog and offset go out in one transaction (log.py);
          4. after that the same entries go to the store, in one write;
          5. the messages are acknowledged.
  close   the running batch is finished, and the store closed.
Any error ends the process. After partition.py and log.py; app.py gives it what Faust has fetched.
"""

import asyncio
import shutil
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time_ns
from typing import Protocol

from agents.errors import StateError
from agents.storage import Storage
from agents.stream.hosting import Fail
from agents.stream.log import PartitionLog
from agents.stream.partition import Message, Partition
from agents.stream.table import Owner, Place, Store, Table
from agents.stream.transactions import Steps

COMMIT_RECORDS = 32_768
"""Messages that are rated and committed as one, about."""
COMMIT_BYTES = 48 << 20
"""Bytes to send above which a batch is committed before its end."""
_IDLE_S = 0.5
"""How long to wait for usage before looking for commands again."""


class Stores(Protocol):
    """Where the store of a partition is opened, and thrown away."""

    def open(self) -> Store:
        """The store, new where there is none."""

    def discard(self) -> None:
        """Remove the store, which is closed."""


@dataclass(frozen=True)
class StoreDirectory:
    """The store of a partition in a directory of the worker."""

    path: Path

    def open(self) -> Store:
        """The store, new where there is none. Raises StorageError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        again = "start the worker again: it goes on from the last whole transaction."
        return Storage(self.path, self.path, again, durable=False)  # the changelog is the truth

    def discard(self) -> None:
        """Remove the store, which is closed."""
        shutil.rmtree(self.path)


@dataclass(frozen=True)
class Rules:
    """How a task goes about its partition.

    A store that has not been written for `stale_us` (microseconds) may have missed deletions that the changelog no
    longer tells, and is filled anew. A tick is written every `tick_s` seconds.
    """

    stale_us: int
    tick_s: float
    commit_records: int = COMMIT_RECORDS
    commit_bytes: int = COMMIT_BYTES


Prepare = Callable[[Sequence[Message]], Awaitable[None]]


class Preparation:
    """What has to be done before messages can be decoded, which is given up when the task closes."""

    def __init__(self, prepare: Prepare | None) -> None:
        self._prepare = prepare
        self._running: asyncio.Future[None] | None = None

    async def is_done(self, messages: Sequence[Message]) -> bool:
        """Whether the messages can be decoded now; False where it was given up."""
        if self._prepare is None:
            return True
        self._running = asyncio.ensure_future(self._prepare(messages))
        await asyncio.wait({self._running})
        if self._running.cancelled():
            return False
        self._running.result()
        return True

    def give_up(self) -> None:
        """Wait no longer."""
        if self._running is not None:
            self._running.cancel()


@dataclass(frozen=True)
class Surroundings:
    """What a task is given from outside: clocks, who ends the process, who hears of its steps, and what has to be done
    before messages can be decoded.
    """

    fail: Fail
    steps: Steps = lambda _: None
    prepare: Prepare | None = None
    now_us: Callable[[], int] = lambda: time_ns() // 1000
    clock: Callable[[], float] = monotonic


Acknowledge = Callable[[], None]


class PartitionTask:
    """The task of one usage partition."""

    def __init__(
        self,
        owner: Owner,
        log: PartitionLog,
        stores: Stores,
        make_partition: Callable[[Table], Partition],
        rules: Rules,
        around: Surroundings,
    ) -> None:
        self._owner = owner
        self._log = log
        self._stores = stores
        self._make_partition = make_partition
        self._rules = rules
        self._around = around
        self._offered: deque[tuple[Sequence[Message], Acknowledge]] = deque()
        self._woken = asyncio.Event()
        self._stopping = False
        self._running: asyncio.Task[None] | None = None
        self._preparation = Preparation(around.prepare)
        self._table: Table | None = None
        self._ticked = around.clock()

    async def open(self) -> None:
        """Take the partition over and restore its state. Raises StateError, StorageError or BrokerError."""
        self._partition = await self.restore()
        self._running = asyncio.create_task(self._run())

    def offer(self, records: Sequence[Message], ack: Acknowledge) -> None:
        """Take records, in order and without a gap; `ack` is called when they are committed."""
        self._offered.append((records, ack))
        self._woken.set()

    async def close(self) -> None:
        """Finish the running batch, and let go."""
        self._stopping = True
        self._woken.set()
        self._preparation.give_up()
        if self._running is not None:
            await asyncio.wait({self._running})
        self._around.steps("close-before")
        await self._let_go()
        self._around.steps("close-after")

    async def _let_go(self) -> None:
        await self._log.close()
        table, self._table = self._table, None
        if table is not None:
            table.close()

    async def restore(self) -> Partition:
        """The partition as its last committed transaction left it."""
        steps = self._around.steps
        # 1. Whoever had it before can commit nothing more.
        steps("open-before-fence")
        await self._log.fence()
        steps("open-after-fence")
        # 2. The store as of the changelog's end.
        table = self._table = await self._usable_table()
        async for entries, place in self._log.restore(table.place.position):
            table.write(entries, place)
            steps("restore-mid")
        table.reload()
        # 3. Do they agree?
        await self._check(table)
        steps("restore-done")
        return self._make_partition(table)

    async def _usable_table(self) -> Table:
        """The table over the store on this machine, or over a new one where that cannot be brought up to date."""
        begin, end = await self._log.range_of("changelog")
        table = Table(self._stores.open())
        owner, place = table.owner, table.place
        if owner is not None and owner != self._owner:  # before anything is written to it, or it is thrown away
            table.close()
            raise StateError(_foreign(owner, self._owner))
        if place.position > end:
            table.close()
            raise StateError(
                f"{self._name}: the changelog ends at {end}, the state on this machine is as of {place.position}. The "
                "topic has lost messages. Restore the topic; nothing is rated on a state that cannot be trusted."
            )
        is_stale = self._around.now_us() - place.committed > self._rules.stale_us
        if place.position and (place.position < begin or is_stale):
            table.close()
            self._stores.discard()
            table = Table(self._stores.open())
        if not table.place.position:
            table.write([], Place(begin, self._around.now_us()))
        return table

    async def _check(self, table: Table) -> None:
        """Whether the state is that of these topics, and usage goes on where it ends."""
        owner = table.owner
        if owner is None:
            table.begin(self._owner)
        elif owner != self._owner:
            raise StateError(_foreign(owner, self._owner))
        begin, end = await self._log.range_of("usage")
        committed = await self._log.committed()
        applied = table.applied.usage
        if committed is not None and committed > applied:
            raise StateError(
                f"{self._name}: the group has committed offset {committed}, the state is as of {applied}: the "
                "changelog has lost messages. Restore it; nothing is rated on a state that cannot be trusted."
            )
        if applied and not begin <= applied <= end:
            raise StateError(
                f"{self._name}: offset {applied} is next to be rated, the topic holds {begin} to {end}. Usage was lost "
                "before it was rated: send it again under its own ids, and lengthen retention.ms."
            )

    @property
    def _name(self) -> str:
        return f"usage partition {self._owner.partition}"

    async def _run(self) -> None:
        try:
            while not self._stopping:
                if self._log.is_worn:
                    await self._let_go()
                    self._partition = await self.restore()
                await self.work()
                if not (self._offered or self._partition.is_closing or self._stopping):
                    await self._wait()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process
            self._around.fail(error, self._name)

    async def _wait(self) -> None:
        """Until something is offered, or it is time to look for commands."""
        self._woken.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), _IDLE_S)

    async def work(self) -> None:
        """One round: a batch of usage, if any waits, and one slice of closing, if any goes on."""
        # 1. What waits, and what was published before it.
        messages, acknowledged = self._take()
        if not await self._preparation.is_done(messages):
            return
        await self._adopt()
        # 2. Usage.
        if messages:
            await self._rate(messages)
            for ack in acknowledged:
                ack()
        # 3. Closing goes on between batches.
        if self._partition.is_closing:
            self._partition.sweep()
            await self._commit()
        if self._around.clock() - self._ticked >= self._rules.tick_s:
            self._ticked = self._around.clock()
            self._partition.tick()
            await self._commit()

    def _take(self) -> tuple[list[Message], list[Acknowledge]]:
        messages: list[Message] = []
        acknowledged = []
        while self._offered and len(messages) < self._rules.commit_records:
            records, ack = self._offered.popleft()
            messages += records
            acknowledged.append(ack)
        return messages, acknowledged

    async def _adopt(self) -> None:
        published = await self._log.published(self._partition.table.applied)
        if published:
            self._partition.adopt(published)
            await self._commit()
            self._partition.adopted()

    async def _rate(self, messages: Sequence[Message]) -> None:
        for _ in self._partition.rate(messages):
            if self._partition.size > self._rules.commit_bytes:
                await self._commit()
            await asyncio.sleep(0)  # other partitions go on between slices
        await self._commit()

    async def _commit(self) -> None:
        decided = self._partition.decide()
        place = await self._log.commit(decided)
        self._partition.table.write(decided.entries, place)
        self._around.steps("batch-after-store")
        self._partition.committed()


def _foreign(found: Owner, wanted: Owner) -> str:
    names = [name for name in Owner.__struct_fields__ if getattr(found, name) != getattr(wanted, name)]
    told = ", ".join(f"{name} was {getattr(found, name)!r} and is {getattr(wanted, name)!r}" for name in names)
    return (
        f"usage partition {wanted.partition}: its state belongs to other topics: {told}. Use another --data, and a "
        "new prefix for topics that were made anew; the number of partitions never changes once usage has been rated."
    )
