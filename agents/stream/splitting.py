"""Splitting: what the messages of one usage-bulk partition come to on `usage`, one message for each of their records.

A record goes out as JSON under its account's key. JSON holds every record that can be decoded, digit by digit: Avro's
decimal has a fixed scale, so that some quantities would not fit. What cannot be decoded goes to usage-rejected. Numbers
of records within a message count what was accepted and what was refused alike, as schemas.codecs.message counts them.

Pure, and the same for the same messages. A message may hold very many records, so they are handed on slice by slice,
and only one block of a container is decoded at a time. After messages.py, before bulk.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agents.stream.encoding import keyed
from agents.stream.keys import account_key, partition_of
from agents.stream.messages import Outgoing, rejection_message
from agents.stream.partition import Message
from agents.stream.topics import Topics
from schemas.codecs import Cut, Limits, UsageBatch, decode_message, usage_json
from schemas.codecs.avro_schema import CONTAINER
from schemas.codecs.avro_usage import usage_from_container
from schemas.codecs.confluent import NO_REGISTRY, Registry
from schemas.codecs.fields import Refusal, shown
from schemas.rejection import Position, Reason, Rejection
from schemas.usage import UsageRecord

ORIGIN_HEADER = "bulk"
"""Where a message on `usage` came from: topic/partition/offset/index."""

_SLICE_RECORDS = 1_024
_SLICE_BYTES = 1 << 20
_TENANT = "default"
"""The tenant of a record that names none."""


class Place(NamedTuple):
    """The next record to be handled: its message's offset, and its number within the message."""

    offset: int
    number: int = 0


@dataclass(slots=True)
class Piece:
    """What goes out together, by topic and partition; and the place after it. `size` is in bytes."""

    then: Place
    outgoing: dict[tuple[str, int], list[Outgoing]] = field(default_factory=dict)
    records: int = 0
    size: int = 0

    def add(self, topic: str, partition: int, message: Outgoing) -> None:
        """One more message, behind those of its partition."""
        self.outgoing.setdefault((topic, partition), []).append(message)
        self.records += 1
        self.size += len(message.key or b"") + len(message.value)

    def join(self, piece: "Piece") -> None:
        """The piece that follows, too."""
        for where, messages in piece.outgoing.items():
            self.outgoing.setdefault(where, []).extend(messages)
        self.then = piece.then
        self.records += piece.records
        self.size += piece.size


class Splitter:
    """The splitting of one usage-bulk partition; `partitions` is how many `usage` has."""

    def __init__(self, topics: Topics, number: int, partitions: int, registry: Registry = NO_REGISTRY) -> None:
        self._topics = topics
        self._number, self._partitions = number, partitions
        self._registry = registry
        self._limits = Limits()

    def split(self, messages: Sequence[Message], start: Place) -> Iterator[Piece]:
        """The messages from a place on, in slices. What lies before it was done."""
        for message in messages:
            if message.offset >= start.offset:
                yield from self._pieces(message, start.number if message.offset == start.offset else 0)

    def _pieces(self, message: Message, first: int) -> Iterator[Piece]:
        offset = message.offset
        origin = f"{self._topics.usage_bulk}/{self._number}/{offset}/".encode()
        piece = Piece(Place(offset, first))
        for index, result in enumerate(self._decoded(message)):
            if index < first:
                continue
            self._add(piece, message, index, result, origin)
            if piece.records >= _SLICE_RECORDS or piece.size >= _SLICE_BYTES:
                piece.then = Place(offset, index + 1)
                yield piece
                piece = Piece(piece.then)
        piece.then = Place(offset + 1)
        yield piece

    def _decoded(self, message: Message) -> Iterator[UsageRecord | Rejection]:
        """All that a message holds, in its order."""
        data, offset, limits = message.value or b"", message.offset, self._limits
        if not data.startswith(CONTAINER) or len(data) > limits.max_message_bytes:
            position = Position(self._topics.usage_bulk, self._number, offset)
            batch = decode_message(data, position, limits, self._registry)
            yield from batch.records
            yield from batch.rejections
            return
        index = 0
        for block in usage_from_container(iter([data]), limits, limits.max_decompressed_message_bytes):
            for result, original in zip(block.results, block.originals, strict=True):
                yield self._rejection(result, original, offset, index) if isinstance(result, Refusal) else result
                index += 1

    def _add(self, piece: Piece, message: Message, index: int, result: UsageRecord | Rejection, origin: bytes) -> None:
        if isinstance(result, UsageRecord):
            key, partition = keyed(result.tenant, result.account, self._partitions)
            value = usage_json(result)
            if len(key) + len(value) <= self._limits.max_message_bytes:
                header = (ORIGIN_HEADER, origin + b"%d" % index)
                piece.add(self._topics.usage, partition, Outgoing(key, value, (header,)))
                return
            result = self._too_large(result, value, message.offset, index)
        self._add_rejection(piece, message, result)

    def _add_rejection(self, piece: Piece, message: Message, rejection: Rejection) -> None:
        """Under the key of its account, where that is known."""
        key = message.key
        if rejection.account:
            key = account_key(rejection.tenant or _TENANT, rejection.account)
        refused = rejection_message(rejection, key)
        number = self._number if refused.key is None else partition_of(refused.key, self._partitions)
        piece.add(self._topics.usage_rejected, number % self._partitions, refused)

    def _too_large(self, usage: UsageRecord, value: bytes, offset: int, index: int) -> Rejection:
        most = self._limits.max_message_bytes
        what = f"usage {shown(usage.id)}: as a message of its own it is above the limit of {most} bytes with its key"
        refusal = Refusal(
            Reason.OVERSIZED, f"{what}. Send a shorter record", usage.tenant, usage.account, usage.source, usage.id
        )
        return self._rejection(refusal, value, offset, index)

    def _rejection(self, refusal: Refusal, original: bytes | Cut, offset: int, index: int) -> Rejection:
        batch = UsageBatch(self._topics.usage_bulk, self._number, self._limits.original_cap)
        batch.refuse(refusal, original, offset, index=index)
        return batch.rejections[0]
