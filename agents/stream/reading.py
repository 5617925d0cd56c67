"""Reading: what a topic holds, committed and up to its end at one moment.

The end is the end of everything, open transactions included, and reading waits until they are decided. Up to the last
stable offset only, a committed message behind another writer's open transaction would be overlooked.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from agents.errors import BrokerError
from agents.stream.connection import Connection

_POLL_MS = 200
_PATIENCE_S = 120.0
"""Longer than a transaction may stay open: the broker aborts one whose writer is gone."""
_FETCH_BYTES = 4 << 20


@asynccontextmanager
async def reader(
    connection: Connection, *, committed: bool = True, group: str | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer, stopped at the end; one of a group only looks at its offsets. Raises BrokerError."""
    consumer = AIOKafkaConsumer(
        **connection.for_aiokafka(),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed" if committed else "read_uncommitted",
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    try:
        async with consumer:
            yield consumer
    except (KafkaError, TimeoutError) as error:
        what = f"{','.join(connection.brokers)} cannot be read: {error!r}"
        raise BrokerError(f"{what}. Start the broker, or correct RATESTREAM_BROKERS and RATESTREAM_SECURITY") from error


async def ends(connection: Connection, topic: str, partitions: int) -> dict[int, int]:
    """The offset behind the last message of each partition, open transactions included."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    async with reader(connection, committed=False) as consumer:
        found = await consumer.end_offsets(places)
    return {place.partition: offset for place, offset in found.items()}


async def group_offsets(connection: Connection, group: str, topic: str, partitions: int) -> dict[int, int]:
    """The offset that a consumer group has committed for each partition; 0 where it has none."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    async with reader(connection, group=group) as consumer:
        consumer.assign(places)
        return {place.partition: await consumer.committed(place) or 0 for place in places}


async def committed(
    connection: Connection, topic: str, until: Mapping[int, int], since: Mapping[int, int] | None = None
) -> AsyncGenerator[ConsumerRecord]:
    """The committed messages from the offsets `since`, or from the first ones, to before the offsets `until`.

    They come partition by partition, each in its order.
    """
    async with reader(connection) as consumer:
        for partition, end in sorted(until.items()):
            place = TopicPartition(topic, partition)
            consumer.assign([place])
            first: int = (await consumer.beginning_offsets([place]))[place]
            consumer.seek(place, first if since is None else max(first, since[partition]))
            async with aclosing(_before(consumer, place, end)) as messages:
                async for message in messages:
                    yield message


async def message_at(consumer: AIOKafkaConsumer, place: TopicPartition, offset: int) -> ConsumerRecord | None:
    """The committed message at this offset; None where it is not retained, or never was."""
    consumer.assign([place])
    first = (await consumer.beginning_offsets([place]))[place]
    last = (await consumer.end_offsets([place]))[place]
    if first <= offset < last:
        consumer.seek(place, offset)
        async with aclosing(_before(consumer, place, offset + 1)) as messages:
            return await anext(messages, None)
    return None


async def _before(consumer: AIOKafkaConsumer, place: TopicPartition, end: int) -> AsyncGenerator[ConsumerRecord]:
    clock = asyncio.get_running_loop()
    before, moved = -1, clock.time()
    while (position := await consumer.position(place)) < end:
        if position != before:
            before, moved = position, clock.time()
        elif clock.time() - moved > _PATIENCE_S:
            what = f"{place.topic}[{place.partition}]@{position}: a transaction has been open for {_PATIENCE_S:.0f} s"
            raise BrokerError(f"{what}. Stop or restart its writer, and ask again")
        found = await consumer.getmany(place, timeout_ms=_POLL_MS)
        for message in found.get(place, ()):
            if message.offset >= end:
                return
            yield message
