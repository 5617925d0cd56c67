"""Reading: how far topics and groups have come, and what topics hold up to there.

The order of looking is what keeps a running system from false alarms, and it is told in course.py. After records.py.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from typing import NamedTuple

from aiokafka import ConsumerRecord, TopicPartition

from agents.errors import BrokerError
from agents.stream.connection import Connection
from agents.stream.reading import committed, reader
from agents.stream.topics import Layout, Topics, group_of

Offsets = Mapping[int, int]
"""By partition."""


def sink_group(prefix: str) -> str:
    """The consumer group under which the sink commits how far it has inserted."""
    return f"{prefix}sink"


class Cuts(NamedTuple):
    """How far the sink has inserted each topic, and the workers have rated usage, by full name: offsets."""

    inserted: Mapping[str, Offsets]
    rated: Offsets
    split: Offsets


class Source:
    """The topics, as an independent reader sees them."""

    def __init__(self, connection: Connection, topics: Topics, layout: Layout) -> None:
        self.connection, self.topics, self.layout = connection, topics, layout
        self.partitions = {topic.name: topic.partitions for topic in layout.topics}

    async def cuts(self) -> Cuts:
        """How far the sink and the workers have come."""
        topics = self.topics
        sunk = (topics.usage, topics.charges, topics.statements, topics.usage_rejected)
        inserted = await self._committed(sink_group(self.connection.prefix), sunk)
        rated = await self._committed(group_of(self.connection.prefix), (topics.usage, topics.usage_bulk))
        return Cuts(inserted, rated[topics.usage], rated[topics.usage_bulk])

    async def _committed(self, group: str, topics: Iterable[str]) -> dict[str, Offsets]:
        async with reader(self.connection, group=group) as consumer:
            found: dict[str, Offsets] = {}
            for topic in topics:
                places = self._places(topic)
                consumer.assign(places)
                found[topic] = {place.partition: await consumer.committed(place) or 0 for place in places}
            return found

    async def ends(self, *topics: str) -> dict[str, Offsets]:
        """The offset behind the last message of each partition, open transactions included.

        Usage is asked after all others: what came of a message cannot be seen before the message itself.
        """
        usage = self.topics.usage
        found: dict[TopicPartition, int] = {}
        async with reader(self.connection, committed=False) as consumer:
            for some in ([topic for topic in topics if topic != usage], [topic for topic in topics if topic == usage]):
                if some:
                    found |= await consumer.end_offsets([place for topic in some for place in self._places(topic)])
        return {topic: _by_partition({place: found[place] for place in self._places(topic)}) for topic in topics}

    async def begins(self, topic: str) -> Offsets:
        """The first offset that each partition still has."""
        async with reader(self.connection) as consumer:
            return _by_partition(await consumer.beginning_offsets(self._places(topic)))

    async def messages(self, topic: str, until: Offsets) -> AsyncIterator[ConsumerRecord]:
        """The committed messages before the offsets, partition by partition."""
        async with aclosing(committed(self.connection, topic, until)) as messages:
            async for message in messages:
                yield message

    def _places(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self.partitions[topic])]


def _by_partition(found: Mapping[TopicPartition, int]) -> Offsets:
    return {place.partition: offset for place, offset in found.items()}


class Assembly:
    """Puts statements together that came in parts. The message is the one that completes it."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[int, bytes], list[bytes]] = {}

    def whole(self, message: ConsumerRecord) -> bytes | None:
        """All of a statement; None while parts of it are to come. Raises BrokerError where one is missing."""
        said = dict(message.headers)
        if "part" not in said:
            return message.value or b""
        of = (message.partition, said["statement-id"])
        pieces = self._pieces.setdefault(of, [])
        pieces.append(message.value or b"")
        if int(said["part"]) != len(pieces):
            what = f"{message.topic}[{message.partition}]@{message.offset}: part {len(pieces)} did not come before it"
            raise BrokerError(f"{what}. Find out who wrote it: only workers may")
        return b"".join(self._pieces.pop(of)) if len(pieces) == int(said["parts"]) else None
