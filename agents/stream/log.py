"""Log: the Kafka side of one partition: fencing, the changelog, what is published, and one transaction per commit.

Where an error leaves open whether a transaction has been committed, the next owner finds out from the changelog. After
partition.py and transactions.py; task.py drives it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.stream.connection import Connection
from agents.stream.documents import Published
from agents.stream.partition import Decided
from agents.stream.table import Applied, Change, Place
from agents.stream.topics import Topics, group_of
from agents.stream.transactions import Steps, Transactions, Trouble

_FETCH_BYTES = 8 << 20
_RESTORED_TOGETHER = 20_000
_STEP_S = 0.5
_MILLISECOND_US = 1_000


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

    @property
    def is_worn(self) -> bool:
        """Whether the partition has to be taken over anew soon, as what the brokers know of its owner runs out."""

    async def close(self) -> None:
        """Let go of the partition, when nothing is being committed."""


class KafkaLog:
    """The log of one partition on real brokers."""

    def __init__(self, connection: Connection, topics: Topics, partition: int, steps: Steps = lambda _: None) -> None:
        self._settings = connection.for_aiokafka()
        self._topics, self._partition = topics, partition
        self._group = group_of(connection.prefix)
        self._steps = steps
        self._transactions = Transactions(connection, f"{self._group}-{partition}")
        self._reader: AIOKafkaConsumer | None = None
        self._asker: AIOKafkaConsumer | None = None
        self._usage = TopicPartition(topics.usage, partition)
        self._changelog = TopicPartition(topics.changelog, partition)
        self._accounts = TopicPartition(topics.accounts, partition)
        self._commands = TopicPartition(topics.commands, partition)
        self._tariffs = TopicPartition(topics.tariffs, 0)

    async def fence(self) -> None:
        """Take the partition over: whoever had it can commit nothing more. Raises BrokerError."""
        with self._trouble("take over"):
            await self._transactions.fence()

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

        Where there are accounts, tariffs are looked for after them: an account was published after its tariffs.
        """
        reader, asker = await self._published_reader(applied)
        with self._trouble("read"):
            ends = await asker.end_offsets([self._accounts, self._commands, self._tariffs])
            if await reader.position(self._accounts) < ends[self._accounts]:
                ends |= await asker.end_offsets([self._tariffs])
            found: list[Published] = []
            while behind := [tp for tp, end in ends.items() if await reader.position(tp) < end]:
                for tp, records in (await reader.getmany(*behind, timeout_ms=int(_STEP_S * 1000))).items():
                    found += [_published(self._name_of(tp), record) for record in records]
        return found

    async def commit(self, decided: Decided) -> Place:
        """Send all of it in one transaction, with the usage offset; the place after it in the changelog."""
        transactions, steps, topics, partition = self._transactions, self._steps, self._topics, self._partition
        with self._trouble("commit"):
            # 1. Begin.
            steps("batch-before-begin")
            await transactions.begin()
            steps("batch-after-begin")
            # 2. What others read.
            await transactions.send(topics.charges, partition, decided.charges)
            await transactions.send(topics.statements, partition, decided.statements)
            await transactions.send(topics.usage_rejected, partition, decided.rejections)
            await transactions.send(topics.usage, partition, decided.markers)
            steps("batch-after-charges")
            # 3. What the state becomes.
            await transactions.send(topics.changelog, partition, decided.entries)
            *_, last = await transactions.arrived()
            steps("batch-after-changelog")
            # 4. How far usage has been read, for whoever looks at the group: the state itself has it, too.
            await transactions.send_offset(self._group, self._usage, decided.usage)
            steps("batch-after-offsets")
            # 5. All of it counts, or nothing.
            steps("batch-before-commit")
            await transactions.commit()
            steps("batch-after-commit")
        return Place(last.offset + 1, last.timestamp * _MILLISECOND_US)

    @property
    def is_worn(self) -> bool:
        """Whether the partition has to be taken over anew soon, as what the brokers know of its owner runs out."""
        return self._transactions.are_due_to_fence

    async def close(self) -> None:
        """Let go of the partition, when nothing is being committed."""
        for consumer in (self._reader, self._asker):
            if consumer is not None:
                await consumer.stop()
        self._reader = self._asker = None
        await self._transactions.close()

    async def _published_reader(self, applied: Applied) -> tuple[AIOKafkaConsumer, AIOKafkaConsumer]:
        """Who reads, and who asks for ends: on the reader's connection a fetch waits for news most of the time, and a
        question behind it is answered up to half a second later.
        """
        if self._asker is None:
            self._asker = await self._started_consumer([])
        if self._reader is None:
            partitions = [self._accounts, self._commands, self._tariffs]
            self._reader = await self._started_consumer(partitions)
            for partition, offset in zip(
                partitions, (applied.accounts, applied.commands, applied.tariffs), strict=True
            ):
                self._reader.seek(partition, offset)
        return self._reader, self._asker

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

    def _trouble(self, what: str) -> Trouble:
        return Trouble(what, self._topics.usage, self._partition)


def _published(topic: Literal["accounts", "tariffs", "commands"], record: Any) -> Published:  # noqa: ANN401 - aiokafka's
    return Published(topic, record.key, record.value, record.offset, record.timestamp * _MILLISECOND_US)
