"""Task: one partition of a topic, from its assignment to its revocation. The order of steps is the guarantee:

  gather  what was fetched waits until it is enough for a block, or its first message has waited long enough;
  block   1. its messages become rows, in a thread, while the block before is being stored;
          2. the rows are inserted, a table at a time, under a token that names the messages;
          3. the offset after them is committed, under the seat that the partition was assigned with;
          4. the messages are acknowledged.
  close   the block that is being stored is finished, unless ClickHouse is away; what waits is read again.

A crash between 2 and 3 inserts the same rows again, which replace themselves by their keys; the token only saves that
work. A zombie's rows are the same rows, and its offset is refused. Any error ends the process. After inserting.py.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from time import monotonic
from typing import NamedTuple, Protocol

from aiokafka.errors import KafkaError
from faust.types import TP

from agents.errors import BrokerError, InsertError
from agents.sink.inserting import Inserter
from agents.sink.rows import MakeRows, Message, Rows
from agents.stream.hosting import Fail
from agents.stream.task import Acknowledge, Preparation, Prepare
from agents.stream.transactions import Steps
from agents.stream.transport import Seat
from sinks.errors import Refused

_CLOSE_S = 10.0
"""How long the block that is being stored may take to be finished when the partition is given up."""

logger = logging.getLogger(__name__)


class Offsets(Protocol):
    """How far partitions are stored, as their group knows it."""

    @property
    def seat(self) -> Seat:
        """Who commits for the partitions that are assigned."""

    async def commit_for(self, seat: Seat, partition: TP, offset: int) -> bool:
        """Commits the next offset to read; False where the partition is no longer that seat's. Raises KafkaError."""


@dataclass(frozen=True)
class Rules:
    """What makes a block: so many messages, so many bytes, or whatever there is when the first has waited so long."""

    messages: int
    size: int
    wait_s: float


@dataclass(frozen=True)
class Source:
    """A partition, what its messages come to, and how tokens begin that name its messages."""

    partition: TP
    make_rows: MakeRows
    token: str
    """Of the cluster, the topic's id and the partition."""
    version: int
    """Of the tables."""

    def __str__(self) -> str:
        return f"{self.partition.topic}[{self.partition.partition}]"


@dataclass(frozen=True)
class Surroundings:
    """What a task is given from outside: where offsets are committed, who ends the process, who hears of its steps, and
    what has to be done before messages can be decoded.
    """

    offsets: Callable[[], Offsets]
    fail: Fail
    steps: Steps = lambda _: None
    prepare: Prepare | None = None


class _Block(NamedTuple):
    """Rows of the messages from offset `first` to `last`."""

    rows: Rows
    first: int
    last: int


class SinkTask:
    """The task of one partition."""

    def __init__(self, source: Source, inserter: Inserter, rules: Rules, around: Surroundings) -> None:
        self._source = source
        self._inserter = inserter
        self._rules = rules
        self._around = around
        self._waiting: list[Message] = []
        self._size = 0
        self._since = 0.0
        self._looked_at = 0
        """So many messages were not enough to store any: the parts of a statement that has more."""
        self._unacknowledged: deque[tuple[int, Acknowledge]] = deque()
        self._woken = asyncio.Event()
        self._given_up = asyncio.Event()
        self._preparation = Preparation(around.prepare)
        self._storing: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin under the seat of this assignment."""
        self._seat = self._around.offsets().seat
        self._running = asyncio.create_task(self._run())

    def offer(self, records: Sequence[Message], ack: Acknowledge) -> None:
        """Take records, in order and without a gap; `ack` is called when they are committed."""
        if not self._waiting:
            self._since = monotonic()
        self._waiting += records
        self._size += _size(records)
        self._unacknowledged.append((records[-1].offset, ack))
        self._woken.set()

    async def close(self) -> None:
        """Finish the block that is being stored, and let go."""
        self._given_up.set()
        self._woken.set()
        self._preparation.give_up()
        if self._running is not None:
            _, unfinished = await asyncio.wait({self._running}, timeout=_CLOSE_S)
            for running in unfinished:  # its insert may end as it likes: nothing of it is committed
                running.cancel()

    async def _run(self) -> None:
        try:
            while not self._given_up.is_set():
                if self._storing is not None and self._storing.done():
                    self._storing.result()
                    self._storing = None
                if self._is_due():
                    await self._work()
                else:
                    await self._wait()
            if self._storing is not None:
                await self._storing
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process
            self._around.fail(error, str(self._source))

    def _is_due(self) -> bool:
        if len(self._waiting) <= self._looked_at:
            return False
        enough = len(self._waiting) >= self._rules.messages or self._size >= self._rules.size
        return enough or monotonic() - self._since >= self._rules.wait_s

    async def _wait(self) -> None:
        """Until something is offered or stored, or the first message has waited long enough."""
        self._woken.clear()
        waits = len(self._waiting) > self._looked_at
        with suppress(TimeoutError):
            await asyncio.wait_for(
                self._woken.wait(), max(0.0, self._since + self._rules.wait_s - monotonic()) if waits else None
            )

    async def _work(self) -> None:
        """Make one block, and store it once the one before is stored."""
        messages = self._messages()
        if not await self._preparation.is_done(messages):
            return
        rows = await asyncio.to_thread(self._source.make_rows, messages)
        self._looked_at = 0 if rows.taken else len(messages)
        self._since = monotonic()
        if not rows.taken:
            return
        del self._waiting[: rows.taken]
        self._size = _size(self._waiting)
        if self._storing is not None:
            await self._storing
        if self._given_up.is_set():
            return
        block = _Block(rows, messages[0].offset, messages[rows.taken - 1].offset)
        self._storing = asyncio.create_task(self._store(block))
        self._storing.add_done_callback(lambda _: self._woken.set())

    def _messages(self) -> list[Message]:
        """The first of what waits, for one block; all of it, where less was looked at in vain."""
        if self._looked_at:
            return list(self._waiting)
        messages = self._waiting[: self._rules.messages]
        for count, size in enumerate(accumulate(len(message.value or b"") for message in messages), 1):
            if size >= self._rules.size:
                return messages[:count]
        return messages

    async def _store(self, block: _Block) -> None:
        steps = self._around.steps
        # 1. The rows.
        steps("sink-before-insert")
        if not await self._insert(block):
            return
        steps("sink-after-insert")
        # 2. How far the partition is stored.
        if not await self._commit(block.last + 1):
            logger.warning("%s: another process has the partition; this one stores nothing more of it", self._source)
            self._given_up.set()
            return
        steps("sink-after-commit")
        # 3. More of it may come.
        while self._unacknowledged and self._unacknowledged[0][0] <= block.last:
            self._unacknowledged.popleft()[1]()

    async def _insert(self, block: _Block) -> bool:
        source = self._source
        token = f"{source.token}-{block.first}-{block.last}-v{source.version}"
        for name, table in block.rows.tables:
            try:
                if not await self._inserter.insert(name, table, token, self._given_up):
                    return False
            except Refused as error:
                raise InsertError(
                    f"messages {block.first} to {block.last} cannot be stored: {error}. They are not committed, and "
                    "nothing after them is stored. Mend the table or the rights of its user, then start the sink again."
                ) from error
        return True

    async def _commit(self, offset: int) -> bool:
        try:
            return await self._around.offsets().commit_for(self._seat, self._source.partition, offset)
        except KafkaError as error:
            raise BrokerError(
                f"offset {offset} cannot be committed: {type(error).__name__}: {error}. The rows before it are stored. "
                "Mend that, then start the sink again: it stores the same rows, once."
            ) from error


def _size(messages: Sequence[Message]) -> int:
    return sum([len(message.value or b"") for message in messages])
