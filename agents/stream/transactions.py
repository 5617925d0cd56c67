"""Transactions: what the task of a partition sends counts all at once, or not at all.

The transactional id is fixed per partition, so a new owner fences the one before it. Everything is sent in batches and
every batch is waited for before the transaction ends; an error leaves open whether it was committed, and the process
has to end. After connection.py, before log.py and bulk.py.
"""

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from agents.errors import BrokerError
from agents.stream.connection import Connection
from agents.stream.messages import Outgoing

_BATCH_BYTES = 1 << 20
_LARGEST_REQUEST = 64 << 20
_TRANSACTION_MS = 60_000
_RENEW_RECORDS = 1 << 30
"""Well before a producer's sequence to one partition passes 2³¹, where aiokafka stops."""
_RENEW_S = 24 * 3600
"""Well before brokers forget an idle transactional id (7 days)."""

Steps = Callable[[str], None]
"""Hears of each step of the protocol as it is reached; tests end the process there."""


class Transactions:
    """The transactions of one partition's task, one after the other. Raises KafkaError."""

    def __init__(self, connection: Connection, transactional_id: str, clock: Callable[[], float] = monotonic) -> None:
        self._settings = connection.for_aiokafka()
        self._id = transactional_id
        self._clock = clock
        self._producer: AIOKafkaProducer | None = None
        self._batches: list[asyncio.Future[Any]] = []
        self._sent = 0
        self._began = 0.0

    @property
    def are_due_to_fence(self) -> bool:
        """Whether `fence` is to be called again before the next one: the sequence or the id would run out."""
        return self._sent > _RENEW_RECORDS or self._clock() - self._began > _RENEW_S

    async def fence(self) -> None:
        """From now on nobody else can commit under this id, and whatever was open under it is decided."""
        await self.close()
        self._producer = AIOKafkaProducer(
            **self._settings,
            transactional_id=self._id,
            transaction_timeout_ms=_TRANSACTION_MS,
            max_batch_size=_BATCH_BYTES,
            max_request_size=_LARGEST_REQUEST,
            compression_type="zstd",  # a quarter of the time of aiokafka's lz4 (its highest level), and half the size
        )
        await self._producer.start()
        self._sent, self._began = 0, self._clock()

    async def begin(self) -> None:
        """The next transaction."""
        self._batches = []
        await self._ready.begin_transaction()

    async def send(self, topic: str, partition: int, messages: Iterable[Outgoing | tuple[bytes, bytes | None]]) -> None:
        """Messages, or bare keys with their values, in order."""
        batch = self._ready.create_batch()
        for key, value, *rest in messages:
            headers = list(rest[0]) if rest else []
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                await self._send_batch(batch, topic, partition)
                batch = self._ready.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        if batch.record_count():
            await self._send_batch(batch, topic, partition)

    async def arrived(self) -> list[Any]:
        """What the brokers say of each batch, in the order of sending, once all of them have arrived."""
        return await asyncio.gather(*self._batches)

    async def send_offset(self, group: str, partition: TopicPartition, offset: int, metadata: str = "") -> None:
        """How far the group has come in what it reads."""
        await self._ready.send_offsets_to_transaction({partition: (offset, metadata)}, group)

    async def commit(self) -> None:
        """All of it counts."""
        await self._ready.commit_transaction()

    async def close(self) -> None:
        """Let go, when no transaction is open."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _send_batch(self, batch: Any, topic: str, partition: int) -> None:  # noqa: ANN401 - aiokafka's
        self._sent += batch.record_count()
        self._batches.append(await self._ready.send_batch(batch, topic, partition=partition))

    @property
    def _ready(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise BrokerError(f"{self._id}: not taken over yet. Report this.")
        return self._producer


class Trouble:
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
