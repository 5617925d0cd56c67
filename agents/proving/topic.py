"""Topic: a proof from the usage that Kafka has, committed and up to its end; what it no longer has is the archive's.

Documents and rejections are those of ClickHouse: the topic accounts keeps only the latest of each.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from aiokafka import TopicPartition
from msgspec.structs import replace

from agents.proving.archive import checked, prove_unknown, with_known_versions
from agents.proving.history import (
    Archived,
    Event,
    History,
    Marked,
    Taken,
    UnknownHistoryError,
    UsageId,
    archived,
    closing_of,
    last_of,
)
from agents.proving.proof import Proof, Subject, prove
from agents.proving.stored import stored
from agents.stream import reading
from agents.stream.connection import Connection
from agents.stream.documents import Name, Published
from agents.stream.keys import account_key, partition_of
from agents.stream.looking_up import LookedUp
from agents.stream.messages import COMMAND_HEADER
from agents.stream.registry import SchemaRegistry
from schemas.codecs import UsageBatch
from schemas.codecs.avro_schema import CONTAINER
from schemas.codecs.confluent import NO_REGISTRY
from schemas.codecs.message import add_message
from sinks import archive_reads
from sinks.archive_reads import Readable, RecordPlace

_MILLISECOND_US = 1_000


@dataclass(frozen=True)
class Feed:
    """The topic usage, and who knows the schemas of framed Avro."""

    connection: Connection
    topic: str
    partitions: int
    registry: SchemaRegistry | None


@dataclass(frozen=True)
class _Continued:
    """A history whose beginning is in the archive, and the rest in memory."""

    beginning: Archived
    rest: Sequence[Event]
    needed: frozenset[UsageId]

    @property
    def partition(self) -> int:
        """The partition of the topic usage that the account belongs to."""
        return self.beginning.partition

    @property
    def documents(self) -> Sequence[Published]:
        """Those of the archive."""
        return self.beginning.documents

    def events(self) -> Iterator[Event]:
        """Records and markers in the order of the topic."""
        return chain(self.beginning.events(), self.rest)

    def last_of(self, usage_ids: Sequence[str], after: RecordPlace) -> RecordPlace:
        """Where the last of these records first stands behind a place; BEFORE_ALL where none does."""
        return max(last_of(self.rest, usage_ids, after), self.beginning.last_of(usage_ids, after))


async def prove_published(sink: Readable, feed: Feed, subject: Subject) -> Proof:
    """The proof, with the usage of the topic. Raises NoAnswerError and BrokerError."""
    kept = stored(sink, *subject.name)
    partition = partition_of(account_key(*subject.name), feed.partitions)
    try:
        beginning = archived(sink, subject.name, partition)
    except UnknownHistoryError as error:
        return prove_unknown(subject, kept, str(error))
    first, history = await _history(feed, subject.name, beginning)
    proof = checked(subject, prove(subject, kept, history, "topic"))
    if any(not found.refused for found in proof.usage) and first:
        begin = archive_reads.first_archived(sink, partition)
        if begin is None or begin:
            lost = first if begin is None else min(begin, first)
            where = f"usage before offset {lost} of partition {partition}"
            return replace(proof, missing=f"{where} is neither in the archive nor in the topic")
    return with_known_versions(proof, kept, {document.key for document in history.documents})


async def _history(feed: Feed, name: Name, beginning: Archived) -> tuple[int, History]:
    """The first offset that the topic still has, and the history of what is before it and after."""
    place = TopicPartition(feed.topic, beginning.partition)
    async with reading.reader(feed.connection) as consumer:
        first: int = (await consumer.beginning_offsets([place]))[place]
    end = (await reading.ends(feed.connection, feed.topic, feed.partitions))[beginning.partition]
    messages = reading.committed(feed.connection, feed.topic, {beginning.partition: end})
    rest = [event async for event in _events(feed, name, messages) if event.place not in beginning.rejected]
    records = [event.usage for event in rest if isinstance(event, Taken)]
    needed = beginning.needed | {(usage.source, usage.corrects) for usage in records if usage.corrects is not None}
    before = Archived(
        beginning.sink, name, beginning.partition, beginning.documents, needed, beginning.rejected, before=first
    )
    return first, _Continued(before, rest, needed)


async def _events(feed: Feed, name: Name, messages: AsyncIterator[Any]) -> AsyncIterator[Event]:
    """What the messages hold of an account."""
    registry = None if feed.registry is None else LookedUp(feed.registry)
    key, account = account_key(*name), name[1].encode("utf-8", "surrogatepass")
    async for message in messages:
        appended = message.timestamp * _MILLISECOND_US
        if any(header == COMMAND_HEADER for header, _ in message.headers):
            closing = closing_of(message.value or b"", appended, name)
            if closing is not None:
                yield Marked(RecordPlace(message.offset, 0), appended, closing)
            continue
        if message.key != key and not _may_hold(message.value or b"", account):
            continue
        if registry is not None:
            await registry.prepare([message])
        batch = UsageBatch(feed.topic, message.partition)
        add_message(batch, message.value or b"", message.offset, registry=registry or NO_REGISTRY)
        for usage, index in zip(batch.records, batch.indexes, strict=True):
            if (usage.tenant, usage.account) == name:
                yield Taken(RecordPlace(message.offset, index), appended, usage)


def _may_hold(value: bytes, account: bytes) -> bool:
    """Whether a message with another key may hold a record of the account, which is rated all the same.

    Its name stands in it, unless that is compressed in a container or written with escapes.
    """
    return account in value or value.startswith(CONTAINER) or b"\\" in value
