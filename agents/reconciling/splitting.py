"""Splitting: each record of a message on usage-bulk is a message on usage, or a rejection, by its position.

Both topics keep messages for a time only: compared is what came to usage-bulk after the oldest message that every
partition of usage still has. Sums are kept for each message of usage-bulk. After reading.py; course.py uses it.
"""

from collections.abc import AsyncIterator, Iterator

from aiokafka import ConsumerRecord

from agents.reconciling.legs import Compared, Leg
from agents.reconciling.reading import Offsets, Source
from agents.reconciling.records import is_marker, rejection_in
from schemas.codecs import Limits, decode_message
from schemas.codecs.avro_schema import CONTAINER
from schemas.codecs.avro_usage import usage_from_container
from schemas.codecs.confluent import Registry
from schemas.rejection import Position, Rejection
from sinks.reconciliation.differences import Kind, Row, differences
from sinks.reconciliation.shapes import USAGE_SHAPE, Group, hash_of
from sinks.reconciliation.tallies import Tally, compare

BULK_HEADER = "bulk"
"""A message on usage with it is a record of usage-bulk: topic/partition/offset/index."""

_LIMITS = Limits()


class Splitting:
    """The leg of usage-bulk: takes what usage and usage-rejected hold, then is `compared`."""

    def __init__(self, source: Source, registry: Registry, begins: Offsets) -> None:
        """`begins` are the first offsets that usage still has."""
        self._source, self._registry, self._begins = source, registry, begins
        self._found = Tally()
        self._first_ms: dict[int, int] = {}

    def usage(self, message: ConsumerRecord) -> None:
        """The next message of usage."""
        number = message.partition
        if self._begins[number] and number not in self._first_ms:
            self._first_ms[number] = message.timestamp
        for position in _origin(message):
            self._found.add(_message_of(position), 0, hash_of(position))

    def rejected(self, rejection: Rejection) -> None:
        """The next rejection."""
        if rejection.position.origin == self._source.topics.usage_bulk:
            position = _text(rejection.position)
            self._found.add(_message_of(position), 0, hash_of(position))

    async def compared(self, split: Offsets, limit: int | None) -> Compared:
        """What became of the leg; below the offsets `split` all records must have arrived."""
        since_ms = max(self._first_ms.values(), default=0)
        due, coming, found = Tally(), Tally(), Tally()
        async for message in self._bulk():
            if message.timestamp >= since_ms:
                tally = due if message.offset < split[message.partition] else coming
                for position in self._positions(message):
                    tally.add(_message_of(position), 0, hash_of(position))
        for group in {*due.groups(), *coming.groups()}:
            found.put(group, self._found.of(group))
        agreed = compare(due, coming, found)
        chosen = agreed.suspects if limit is None else agreed.suspects[:limit]
        told = await self._rows(set(chosen), split) if chosen else ([], [])
        looked = differences(USAGE_SHAPE, *told)  # a message that was split twice does no harm
        missing = [one for one in looked.differences if one.kind is Kind.MISSING]
        on_the_way = agreed.on_the_way + looked.on_the_way
        named = missing if limit is None else missing[:limit]
        left_out = len(agreed.suspects) - len(chosen) + len(missing) - len(named)
        return Compared(Leg.BULK, len(due.groups()), due.total(), found.total(), on_the_way, left_out, named)

    async def _rows(self, groups: set[Group], split: Offsets) -> tuple[list[Row], list[Row]]:
        """The records of these messages, and what came of them."""
        source, topics = self._source, self._source.topics
        ends = await source.ends(topics.usage_rejected, topics.usage)
        there = [
            _row(_text(rejection_in(message).position), message.topic)
            async for message in source.messages(topics.usage_rejected, ends[topics.usage_rejected])
            if not is_marker(message)
        ]
        async for message in source.messages(topics.usage, ends[topics.usage]):
            there += [_row(position, message.topic) for position in _origin(message)]
        due = [
            _row(position, _place(message), is_due=message.offset < split[message.partition])
            async for message in self._bulk()
            for position in self._positions(message)
        ]
        return [row for row in due if row.group in groups], [row for row in there if row.group in groups]

    async def _bulk(self) -> AsyncIterator[ConsumerRecord]:
        topic = self._source.topics.usage_bulk
        until = (await self._source.ends(topic))[topic]
        async for message in self._source.messages(topic, until):
            yield message

    def _positions(self, message: ConsumerRecord) -> Iterator[str]:
        """Those of all its records, of which one may be no record."""
        data = message.value or b""
        if data.startswith(CONTAINER) and len(data) <= _LIMITS.max_message_bytes:
            blocks = usage_from_container(iter([data]), _LIMITS, _LIMITS.max_decompressed_message_bytes)
            count = sum(len(block.results) for block in blocks)
        else:
            position = Position(message.topic, message.partition, message.offset)
            count = decode_message(data, position, _LIMITS, self._registry).received
        return (f"{message.topic}/{message.partition}/{message.offset}/{index}" for index in range(count))


def _origin(message: ConsumerRecord) -> list[str]:
    """The position on usage-bulk of a message on usage; none of one that was not split."""
    return [value.decode() for name, value in message.headers if name == BULK_HEADER]


def _text(position: Position) -> str:
    return f"{position.origin}/{position.partition}/{position.offset}/{position.index}"


def _message_of(position: str) -> Group:
    return "", "", "", position.rpartition("/")[0]


def _place(message: ConsumerRecord) -> str:
    return f"{message.topic}[{message.partition}]@{message.offset}"


def _row(position: str, place: str, *, is_due: bool = True) -> Row:
    return Row(_message_of(position), (position,), position, "", place, is_due)
