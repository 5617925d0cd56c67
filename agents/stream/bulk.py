"""Bulk: the task of one usage-bulk partition, which splits its messages into `usage`, each record exactly once.

  open    1. fence: whoever had the partition before can commit nothing more;
          2. the place that its last transaction committed is read anew: what Faust began to fetch from may be older.
  batch   1. what waits is taken, bounded in messages and bytes, and split from that place on (splitting.py);
          2. a piece of it goes out in one transaction with the place after it, then the next;
          3. the messages are acknowledged.
  close   the running transaction is finished.

The place is the group's committed offset. One message may need several transactions: then the offset is that message's
and its metadata `index=N` names the record to go on with. Where Kafka forgets the group's offsets, because no worker
ran for longer than offsets.retention.minutes, what is retained is split again, and rating finds the duplicates.

Any error ends the process. After splitting.py and transactions.py; app.py gives it what Faust has fetched.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from aiokafka import TopicPartition

from agents.errors import BrokerError, StateError
from agents.stream.connection import Connection
from agents.stream.partition import Message
from agents.stream.splitting import Piece, Place, Splitter
from agents.stream.task import Acknowledge, Preparation, Surroundings
from agents.stream.topics import Topics, group_of
from agents.stream.transactions import Steps, Transactions, Trouble

COMMIT_RECORDS = 8_192
"""Records that are committed as one, about."""
COMMIT_BYTES = 8 << 20
"""Bytes to send, or to split, above which a batch ends."""
_READ_WITHIN_S = 30
_INDEX = re.compile(r"index=([0-9]{1,18})")


class BulkLog:
    """The Kafka side of one usage-bulk partition."""

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        partition: int,
        steps: Steps = lambda _: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._connection = connection
        self._group = group_of(connection.prefix)
        self._bulk = TopicPartition(topics.usage_bulk, partition)
        self._transactions = Transactions(connection, f"{connection.prefix}bulk-{partition}", clock)
        self._steps = steps
        self.place = Place(0)
        """The next record to split."""

    async def take_over(self) -> None:
        """Fence whoever had the partition, and find the place where it ended. Raises BrokerError and StateError."""
        with self._trouble("take over"):
            await self._transactions.fence()
        self.place = await asyncio.to_thread(self._committed)

    async def commit(self, piece: Piece) -> None:
        """Send a piece in one transaction with the place after it. Raises BrokerError and StateError."""
        if self._transactions.are_due_to_fence:
            await self._take_over_again()
        transactions, offset, index = self._transactions, *piece.then
        with self._trouble("commit"):
            # 1. The records and rejections.
            await transactions.begin()
            for (topic, partition), messages in piece.outgoing.items():
                await transactions.send(topic, partition, messages)
            await transactions.arrived()
            # 2. How far the partition has been split.
            await transactions.send_offset(self._group, self._bulk, offset, f"index={index}" if index else "")
            # 3. All of it counts, or nothing.
            self._steps("bulk-before-commit")
            await transactions.commit()
            self._steps("bulk-after-commit")
        self.place = piece.then

    async def close(self) -> None:
        """Let go of the partition, when nothing is being committed."""
        await self._transactions.close()

    async def _take_over_again(self) -> None:
        """With a new producer, unless somebody else has had the partition meanwhile."""
        before = self.place
        await self.take_over()
        if self.place != before:
            raise StateError(
                f"{self._name}: another worker has split it up to {self.place}, this one up to {before}. Start this "
                "worker again: it joins the others anew."
            )

    def _committed(self) -> Place:
        """Blocks. Waits until the last transaction, which may be ending, has ended."""
        from kafka import KafkaConsumer, errors
        from kafka import TopicPartition as Bulk

        try:
            consumer = KafkaConsumer(
                **self._connection.for_kafka_python(),
                group_id=self._group,
                enable_auto_commit=False,
                isolation_level="read_committed",  # asks for a stable offset, which aiokafka does not
                bootstrap_timeout_ms=_READ_WITHIN_S * 1_000,
                metrics_enabled=False,
            )
            try:
                found = consumer.committed(Bulk(*self._bulk), metadata=True, timeout_ms=_READ_WITHIN_S * 1_000)
            finally:
                consumer.close()
        except errors.KafkaError as error:
            raise BrokerError(
                f"{self._name}: the committed offset cannot be read: {error}. Look at the brokers, then start the "
                "worker again: it goes on from the last whole transaction."
            ) from error
        return Place(0) if found is None else self._place_of(found)

    def _place_of(self, found: Any) -> Place:  # noqa: ANN401 - kafka-python's
        if not found.metadata:
            return Place(found.offset)
        index = _INDEX.fullmatch(found.metadata)
        if index is None:
            raise StateError(
                f"{self._name}: offset {found.offset} was committed with {found.metadata!r:.80}, not by a worker. Find "
                f"out who did; then set the offset of group {self._group} with Kafka's own kafka-consumer-groups."
            )
        return Place(found.offset, int(index[1]))

    @property
    def _name(self) -> str:
        return f"{self._bulk.topic}[{self._bulk.partition}]"

    def _trouble(self, what: str) -> Trouble:
        return Trouble(what, *self._bulk)


class BulkTask:
    """The task of one usage-bulk partition."""

    def __init__(self, splitter: Splitter, log: BulkLog, name: str, around: Surroundings) -> None:
        self._splitter = splitter
        self._log = log
        self._name = name
        self._around = around
        self._offered: deque[tuple[Sequence[Message], Acknowledge]] = deque()
        self._woken = asyncio.Event()
        self._stopping = False
        self._preparation = Preparation(around.prepare)
        self._running: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take the partition over. Raises BrokerError and StateError."""
        await self._log.take_over()
        self._running = asyncio.create_task(self._run())

    def offer(self, records: Sequence[Message], ack: Acknowledge) -> None:
        """Take records, in order and without a gap; `ack` is called when they are committed."""
        self._offered.append((records, ack))
        self._woken.set()

    async def close(self) -> None:
        """Finish the running transaction, and let go."""
        self._stopping = True
        self._woken.set()
        self._preparation.give_up()  # a registry that does not answer must not keep others from the partition
        if self._running is not None:
            await asyncio.wait({self._running})
        await self._log.close()

    async def _run(self) -> None:
        try:
            while not self._stopping:
                if self._offered:
                    await self._work()
                else:
                    self._woken.clear()
                    await self._woken.wait()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process
            self._around.fail(error, self._name)

    async def _work(self) -> None:
        """One batch: all of what waits, about, unless the task is closed in the middle of it."""
        messages, acknowledged = self._take()
        if not await self._preparation.is_done(messages):
            return
        await self._split(messages)
        if not self._stopping:
            for ack in acknowledged:
                ack()

    def _take(self) -> tuple[list[Message], list[Acknowledge]]:
        messages: list[Message] = []
        acknowledged = []
        size = 0
        while self._offered and len(messages) < COMMIT_RECORDS and size < COMMIT_BYTES:
            records, ack = self._offered.popleft()
            messages += records
            acknowledged.append(ack)
            size += sum(len(record.value or b"") for record in records)
        return messages, acknowledged

    async def _split(self, messages: Sequence[Message]) -> None:
        log = self._log
        waiting = Piece(log.place)
        for piece in self._splitter.split(messages, log.place):
            waiting.join(piece)
            if waiting.records >= COMMIT_RECORDS or waiting.size >= COMMIT_BYTES:
                await log.commit(waiting)
                waiting = Piece(log.place)
            if self._stopping:
                break
            await asyncio.sleep(0)  # other partitions go on between slices
        if waiting.then != log.place:
            await log.commit(waiting)
