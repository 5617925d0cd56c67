"""Delays: from a usage record's append on the broker until its charge can be read, by a consumer of its own.

While usage is rated, the consumer only notes up to which offset charges were readable when; which charge is of which
record is looked up afterwards, so that the look itself takes nearly nothing from what it looks at. Both instants are of
one clock where broker and consumer are on one machine; the append time is told in whole milliseconds.
"""

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.stream.connection import Connection
from agents.stream.reading import committed, ends
from agents.stream.topics import Topics

_USAGE_ID, _CHARGED_ID = b'"id":"', b'"usage_id":"'


class Delay(NamedTuple):
    """When a usage record was appended, and how long after that its charge could be read; seconds."""

    appended: float
    seconds: float


class Arrivals:
    """Up to which offset the charges of each partition were readable, and when."""

    def __init__(self, since: Mapping[int, int]) -> None:
        self.since = since
        """The usage offsets, by partition, from which on records are looked at."""
        self._offsets: dict[int, list[int]] = {number: [] for number in since}
        self._instants: dict[int, list[float]] = {number: [] for number in since}

    async def follow(self, consumer: AIOKafkaConsumer) -> None:
        """Note what arrives, without end."""
        while True:
            found = await consumer.getmany(timeout_ms=1_000)
            now = time.time()
            for place, records in found.items():
                self._offsets[place.partition].append(records[-1].offset)
                self._instants[place.partition].append(now)

    def instant(self, partition: int, offset: int) -> float:
        """When the charge at this offset had arrived. Raises IndexError for one that has not."""
        return self._instants[partition][bisect_left(self._offsets[partition], offset)]


@asynccontextmanager
async def arrivals(where: Connection, topics: Topics, partitions: int) -> AsyncIterator[Arrivals]:
    """The arrivals of charges, noted in the background, for usage that comes from now on."""
    places = [TopicPartition(topics.charges, number) for number in range(partitions)]
    consumer = AIOKafkaConsumer(**where.for_aiokafka(), isolation_level="read_committed", enable_auto_commit=False)
    async with consumer:
        consumer.assign(places)
        for place, offset in (await consumer.end_offsets(places)).items():
            consumer.seek(place, offset)
        found = Arrivals(await ends(where, topics.usage, partitions))
        following = asyncio.create_task(found.follow(consumer))
        try:
            yield found
        finally:
            following.cancel()
            await asyncio.wait({following})
    if not following.cancelled():
        following.result()


async def delays(where: Connection, topics: Topics, found: Arrivals) -> list[Delay]:
    """The delay of every usage record in the order of their append; all of them are rated.

    Raises SystemExit where a record has no charge.
    """
    appended = {}
    async for usage in committed(where, topics.usage, await ends(where, topics.usage, len(found.since))):
        if usage.offset >= found.since[usage.partition] and not usage.headers:  # no marker of a command
            appended[_text(usage.value, _USAGE_ID)] = usage.timestamp / 1_000
    delays = []
    async for charge in committed(where, topics.charges, await ends(where, topics.charges, len(found.since))):
        at = appended.pop(_text(charge.value, _CHARGED_ID), None)
        if at is not None:
            delays.append(Delay(at, found.instant(charge.partition, charge.offset) - at))
    if appended:
        raise SystemExit(f"{len(appended):,} usage records have no charge")
    return sorted(delays)


def percentile(delays: Sequence[Delay], percent: float) -> float:
    """The delay that so many of a hundred stay within; seconds."""
    ordered = sorted(delay.seconds for delay in delays)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _text(value: bytes, before: bytes) -> bytes:
    start = value.index(before) + len(before)
    return value[start : value.index(b'"', start)]
