"""Log: the Kafka side of one partition: fencing, the changelog, what is published, and one transaction per commit.

The transactional id is fixed per partition, so a new owner fences the one before it. `commit` sends everything, waits
for every batch, and only then ends the transaction; an error in it leaves open whether it has been committed, and the
process has to end: the next owner finds out from the changelog. After partition.py; task.py drives it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Literal, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from agents.errors import BrokerError
from agents.stream.connection import Connection
from agents.stream.documents import Published
from agents.stream.messages import Outgoing
from agents.stream.partition import Decided
from agents.stream.table import Applied, Change, Place
from agents.stream.topics import Topics, group_of

_BATCH_BYTES = 1 << 20
_LARGEST_REQUEST = 64 << 20
_TRANSACTION_MS = 60_000
_FETCH_BYTES = 8 << 20
_RESTORED_TOGETHER = 20_000
_STEP_S = 0.5
_RENEW_RECORDS = 1 << 30
"""Well before a producer's sequence to one partition passes 2³¹, where aiokafka stops."""
_RENEW_S = 24 * 3600
"""Well before brokers forget an idle transactional id (7 days)."""
_MILLISECOND_US = 1_000

Steps = Callable[[str], None]
"""Hears of each step of the protocol as it is reached; tests end the process there."""


class PartitionLog(Protocol):
    """What a partition's task needs of Kafka: KafkaLog, or one in memory for simulation."""

    async def fence(self) -> None:
        """Take the partition over: whoever had it can commit nothing more."""

    def restore(self, position: int) -> AsyncIterator[tuple[list[Change], Place]]:
        """The committed changelog from a position to its end, in runs, each with the place after it."""

    async def range_of(self, topic: Literal["changelog", "usage"]) -> tuple[int, int]:
        """The first offset that the topic's partition still has, and the next one after its last."""

    async def committed(self) -> int | None:
        """The usage offset that the consumer group has committed."""

    async def published(self, applied: Applied) -> list[Published]:
        """All documents and commands from what is applied to what is there now, those of one topic in order."""

    async def commit(self, decided: Decided) -> Place:
        """Send all of it in one transaction, with the usage offset; the place after it in the changelog."""

    async def close(self) -> None:
        """Let go of the partition, when nothing is being committed."""


class KafkaLog:
    """The log of one partition on real brokers."""

    def __init__(self, connection: Connection, topics: Topics, partition: int, steps: Steps = lambda _: None) -> None:
        self._settings = connection.for_aiokafka()
        self._topics, self._partition = topics, partition
        self._group = group_of(connection.prefix)
        self._id = f"{self._group}-{partition}"
        self._steps = steps
        self._producer: AIOKafkaProducer | None = None
        self._reader: AIOKafkaConsumer | None = None
        self._sent = 0
        self._started = 0.0
        self._usage = TopicPartition(topics.usage, partition)
        self._changelog = TopicPartition(topics.changelog, partition)
        self._accounts = TopicPartition(topics.accounts, partition)
        self._commands = TopicPartition(topics.commands, partition)
        self._tariffs = TopicPartition(topics.tariffs, 0)

    async def fence(self) -> None:
        """Take the partition over: whoever had it can commit nothing more. Raises BrokerError."""
        self._producer = AIOKafkaProducer(
            **self._settings,
            transactional_id=self._id,
            transaction_timeout_ms=_TRANSACTION_MS,
            max_batch_size=_BATCH_BYTES,
            max_request_size=_LARGEST_REQUEST,
            compression_type="lz4",
        )
        with self._trouble("take over"):
            await self._producer.start()
        self._sent, self._started = 0, monotonic()

    async def restore(self, position: int) -> AsyncIterator[tuple[list[Change], Place]]:
        """The committed changelog from a position to its end, in runs, each with the place after it."""
        async with self._consumer(self._changelog) as consumer:
            end = (await consumer.end_offsets([self._changelog]))[self._changelog]
            consumer.seek(self._changelog, position)
            at = position
            while at < end:
                found = await consumer.getmany(
                    self._changelog, timeout_ms=int(_STEP_S * 1000), max_records=_RESTORED_TOGETHER
                )
                records = found.get(self._changelog, [])
                at = await consumer.position(self._changelog)
                if records:
                    appended = records[-1].timestamp * _MILLISECOND_US
                    yield [(record.key, record.value) for record in records], Place(at, appended)

    async def range_of(self, topic: Literal["changelog", "usage"]) -> tuple[int, int]:
        """The first offset that the topic's partition still has, and the next one after its last."""
        partition = self._changelog if topic == "changelog" else self._usage
        async with self._consumer(partition) as consumer:
            begin = (await consumer.beginning_offsets([partition]))[partition]
            end = (await consumer.end_offsets([partition]))[partition]
        return begin, end

    async def committed(self) -> int | None:
        """The usage offset that the consumer group has committed."""
        async with self._consumer(self._usage, group_id=self._group) as consumer:
            offset: int | None = await consumer.committed(self._usage)
        return offset

    async def published(self, applied: Applied) -> list[Published]:
        """All documents and commands from what is applied to what is there now, those of one topic in order.

        Tariffs are looked for last: an account that is here was published after its tariffs.
        """
        reader = await self._published_reader(applied)
        with self._trouble("read"):
            ends = await reader.end_offsets([self._accounts, self._commands])
            ends |= await reader.end_offsets([self._tariffs])
            found: list[Published] = []
            while behind := [tp for tp, end in ends.items() if await reader.position(tp) < end]:
                for tp, records in (await reader.getmany(*behind, timeout_ms=int(_STEP_S * 1000))).items():
                    found += [_published(self._name_of(tp), record) for record in records]
        return found

    async def commit(self, decided: Decided) -> Place:
        """Send all of it in one transaction, with the usage offset; the place after it in the changelog."""
        producer = await self._renewed_producer()
        steps, topics = self._steps, self._topics
        with self._trouble("commit"):
            # 1. Begin.
            steps("batch-before-begin")
            await producer.begin_transaction()
            steps("batch-after-begin")
            # 2. What others read.
            waiting = await self._send(producer, topics.charges, decided.charges)
            waiting += await self._send(producer, topics.statements, decided.statements)
            waiting += await self._send(producer, topics.usage_rejected, decided.rejections)
            waiting += await self._send(producer, topics.usage, decided.markers)
            steps("batch-after-charges")
            # 3. What the state becomes.
            waiting += await self._send(producer, topics.changelog, decided.entries)
            *_, last = await asyncio.gather(*waiting)
            steps("batch-after-changelog")
            # 4. How far usage has been read, for whoever looks at the group: the state itself has it, too.
            await producer.send_offsets_to_transaction({self._usage: decided.usage}, self._group)
            steps("batch-after-offsets")
            # 5. All of it counts, or nothing.
            steps("batch-before-commit")
            await producer.commit_transaction()
            steps("batch-after-commit")
        self._sent += decided.messages
        return Place(last.offset + 1, last.timestamp * _MILLISECOND_US)

    async def close(self) -> None:
        """Let go of the partition, when nothing is being committed."""
        if self._reader is not None:
            await self._reader.stop()
        if self._producer is not None:
            await self._producer.stop()
        self._reader = self._producer = None

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, messages: Iterable[Outgoing | Change]
    ) -> list["asyncio.Future[Any]"]:
        """Send messages in batches, in order; what to wait for."""
        waiting = []
        batch = producer.create_batch()
        for key, value, *rest in messages:
            headers = list(rest[0]) if rest else []
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                waiting.append(await producer.send_batch(batch, topic, partition=self._partition))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        if batch.record_count():
            waiting.append(await producer.send_batch(batch, topic, partition=self._partition))
        return waiting

    async def _renewed_producer(self) -> AIOKafkaProducer:
        """The producer; a new one in good time before its sequence or its id runs out."""
        if self._sent > _RENEW_RECORDS or monotonic() - self._started > _RENEW_S:
            if self._producer is not None:
                await self._producer.stop()
            await self.fence()
        if self._producer is None:
            raise BrokerError(f"partition {self._partition}: not taken over yet. Report this.")
        return self._producer

    async def _published_reader(self, applied: Applied) -> AIOKafkaConsumer:
        if self._reader is None:
            partitions = [self._accounts, self._commands, self._tariffs]
            self._reader = await self._started_consumer(partitions)
            for partition, offset in zip(
                partitions, (applied.accounts, applied.commands, applied.tariffs), strict=True
            ):
                self._reader.seek(partition, offset)
        return self._reader

    def _name_of(self, partition: TopicPartition) -> Literal["accounts", "tariffs", "commands"]:
        if partition == self._accounts:
            return "accounts"
        return "tariffs" if partition == self._tariffs else "commands"

    @asynccontextmanager
    async def _consumer(self, partition: TopicPartition, **settings: str) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer of one partition, for as long as it is needed."""
        with self._trouble("read"):
            consumer = await self._started_consumer([partition], **settings)
            try:
                yield consumer
            finally:
                await consumer.stop()

    async def _started_consumer(self, partitions: Sequence[TopicPartition], **settings: str) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **self._settings,
            **settings,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        await consumer.start()
        consumer.assign(list(partitions))
        return consumer

    def _trouble(self, what: str) -> "_Trouble":
        return _Trouble(what, self._topics.usage, self._partition)


class _Trouble:
    """Kafka's errors become a BrokerError that says of which partition and what to do."""

    def __init__(self, what: str, topic: str, partition: int) -> None:
        self._text = f"{topic}[{partition}]: cannot {what}"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KafkaError):
            raise BrokerError(
                f"{self._text}: {type(error).__name__}: {error}. Look at the brokers, then start the worker again: it "
                "goes on from the last whole transaction."
            ) from error


def _published(topic: Literal["accounts", "tariffs", "commands"], record: Any) -> Published:  # noqa: ANN401 - aiokafka's
    return Published(topic, record.key, record.value, record.offset, record.timestamp * _MILLISECOND_US)
