"""Replaying: what was rejected goes to its topic once more, each exactly once, after its cause is mended.

A slice of messages and the markers that close their rejections are one Kafka transaction, so a replay that is killed
goes on where it was when it is run again. The transactional id is fixed: who begins later fences who began earlier, and
whatever that one had open is decided before the topic is read. What cannot be replayed is told and stays open.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation, KafkaError, ProducerFenced

from agents.errors import BrokerError
from agents.stream.connection import Connection
from agents.stream.keys import account_key, partition_of
from agents.stream.messages import LONGEST_TEXT, Outgoing
from agents.stream.publishing import MAX_MESSAGE_BYTES
from agents.stream.reading import message_at, reader
from agents.stream.rejected import Rejected, Selection, marker, rejections, snapshot
from agents.stream.topics import Topics
from schemas.codecs import decode_message
from schemas.rejection import Reason, Rejection

SLICE_MESSAGES = 500
_SLICE_BYTES = 8 << 20
_TRANSACTION_MS = 60_000
_START_S = 60.0
"""An earlier replay's transaction is decided within this time."""
_BATCH_BYTES = 1 << 20
_TENANT = "default"
"""The tenant of a record that names none."""


class _Again(NamedTuple):
    """A message that goes out once more, and the rejection that this closes. Without a partition any is right."""

    topic: str
    partition: int | None
    message: Outgoing
    closes: Rejected


async def replay(
    connection: Connection, topics: Topics, partitions: int, selection: Selection, left: Callable[[Rejected, str], None]
) -> int:
    """Publishes the originals of the open rejections that are meant; how many.

    `left` hears of each that cannot be, and why. Raises BrokerError where the broker fails, or another replay begins.
    """
    count = 0
    async with reader(connection) as consumer, _producing(connection) as producer:
        taken = await snapshot(connection, topics.usage_rejected, partitions)
        waiting: list[_Again] = []
        size = 0
        async with aclosing(rejections(connection, taken)) as found:
            async for rejected in found:
                if not selection.takes(rejected.rejection) or not taken.is_open(rejected):
                    continue
                original = await _original(consumer, topics, rejected.rejection)
                if isinstance(original, str):
                    left(rejected, original)
                    continue
                waiting.append(_again(rejected, original, topics, partitions))
                size += len(original)
                if len(waiting) >= SLICE_MESSAGES or size > _SLICE_BYTES:
                    count += await _commit(producer, topics, waiting)
                    waiting, size = [], 0
        count += await _commit(producer, topics, waiting)
    return count


@asynccontextmanager
async def _producing(connection: Connection) -> AsyncIterator[AIOKafkaProducer]:
    """The one producer of replays: once it has started, no earlier one can commit."""
    producer = AIOKafkaProducer(
        **connection.for_aiokafka(),
        transactional_id=f"{connection.prefix}replay",
        transaction_timeout_ms=_TRANSACTION_MS,
        max_batch_size=_BATCH_BYTES,
        max_request_size=MAX_MESSAGE_BYTES,
    )
    asyncio.get_running_loop().set_exception_handler(_tell_once)
    try:
        async with asyncio.timeout(_START_S):
            await producer.start()
        yield producer
    except ProducerFenced as error:
        what = "another replay began while this one ran, and goes on with what is left"
        raise BrokerError(f"{what}. What this one had committed stays replayed") from error
    except (KafkaError, IllegalOperation, TimeoutError) as error:
        what = f"{','.join(connection.brokers)} did not take the replay: {error!r}"
        raise BrokerError(f"{what}. Mend the cause and replay again: nothing goes twice") from error
    finally:
        await producer.stop()


def _tell_once(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A failed producer leaves copies of its failure in futures that nobody waits for; one has been raised."""
    if not isinstance(context.get("exception"), KafkaError):
        loop.default_exception_handler(context)


async def _commit(producer: AIOKafkaProducer, topics: Topics, slice_: list[_Again]) -> int:
    """One transaction: the messages, and the markers that close their rejections."""
    if not slice_:
        return 0
    async with producer.transaction():
        await _send_all(producer, topics, slice_)
    return len(slice_)


async def _send_all(producer: AIOKafkaProducer, topics: Topics, slice_: list[_Again]) -> None:
    """Raises KafkaError where any of the messages did not arrive; ProducerFenced if that is at the bottom of it."""
    futures: list[Awaitable[object]] = []
    failed: list[BaseException] = []
    try:
        for again in slice_:
            futures.append(await _send(producer, again.topic, again.message, again.partition))
            closing = marker(again.closes)
            futures.append(await _send(producer, topics.usage_rejected, closing, again.closes.partition))
    except (KafkaError, IllegalOperation) as error:  # the latter from a producer that has meanwhile been fenced
        failed.append(error)
    failed += [one for one in await asyncio.gather(*futures, return_exceptions=True) if isinstance(one, BaseException)]
    if failed:
        raise next((error for error in failed if isinstance(error, ProducerFenced)), failed[0])


async def _send(producer: AIOKafkaProducer, topic: str, message: Outgoing, partition: int | None) -> Awaitable[object]:
    future: Awaitable[object] = await producer.send(
        topic, message.value, message.key, partition, headers=list(message.headers)
    )
    return future


def _again(rejected: Rejected, original: bytes, topics: Topics, partitions: int) -> _Again:
    """The message as it should have come: under its account's key, where the account is known."""
    rejection, key = rejected.rejection, rejected.key
    if rejection.account:
        key = account_key(rejection.tenant or _TENANT, rejection.account)
    if key is not None:
        return _Again(topics.usage, partition_of(key, partitions), Outgoing(key, original), rejected)
    position = rejection.position
    partition = position.partition if position.origin == topics.usage else None
    return _Again(position.origin, partition, Outgoing(None, original), rejected)


async def _original(consumer: AIOKafkaConsumer, topics: Topics, rejection: Rejection) -> bytes | str:
    """All of what was rejected, or why it cannot be replayed."""
    position = rejection.position
    if rejection.reason is Reason.INVALID_DOCUMENT or position.origin not in {topics.usage, topics.usage_bulk}:
        return "it is no usage. Publish it again as it should be"
    if max(len(rejection.tenant), len(rejection.account)) >= LONGEST_TEXT:
        return "the name of its account is longer than what a rejection holds. Send it again from its producer"
    if _is_whole(rejection.original, rejection):
        return rejection.original
    message = await message_at(consumer, TopicPartition(position.origin, position.partition), position.offset)
    found = None if message is None else _found(message.value, rejection)
    if found is None:
        what = f"its {rejection.size} bytes are above what a rejection holds, and {position} is not retained any more"
        return f"{what}. Send it again from its producer"
    return found


def _found(value: bytes, rejection: Rejection) -> bytes | None:
    """What was rejected of the message at its position: all of it, or one record of a container."""
    if _is_whole(value, rejection):
        return value
    batch = decode_message(value, rejection.position)
    for place, index in enumerate(batch.indexes):
        if index == rejection.position.index and _is_whole(original := batch.original(place), rejection):
            return original
    return None


def _is_whole(original: bytes, rejection: Rejection) -> bool:
    return len(original) == rejection.size and hashlib.sha256(original).hexdigest() == rejection.sha256
