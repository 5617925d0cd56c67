"""History: what an account's worker was given: its usage records, the markers that close, and the documents, in order.

From the archive it is read in pieces, so an account of many years needs no more memory than one of a month. A record
that was rejected is no part of it. Where each document was taken in, and where a marker took effect, nobody has written
down: it follows from what the records came to (replay.py).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Literal, NamedTuple, Protocol, TypeVar

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from agents.proving.replica import Closing
from agents.stream.documents import Name, Published
from agents.stream.keys import account_key
from agents.stream.messages import Close, Tick, decode_command
from schemas.usage import UsageRecord
from sinks import archive_reads
from sinks.archive_reads import BEFORE_ALL, Readable, RecordPlace
from sinks.usage_columns import ArchivedCommand, ArchivedDocument, ArchivedUsage

PIECE = 10_000
"""Records or markers that are read together."""

T = TypeVar("T")

UsageId = tuple[str, str]
"""Source and id of a record."""


class UnknownHistoryError(Exception):
    """What an account was given cannot be told for certain; the text says why."""


class Taken(NamedTuple):
    """A record that was not rejected, where it stands, and when it was appended (microseconds)."""

    place: RecordPlace
    appended: int
    usage: UsageRecord


class Marked(NamedTuple):
    """A marker, where it stands, and when it was appended (microseconds)."""

    place: RecordPlace
    appended: int
    closing: Closing


Event = Taken | Marked


class History(Protocol):
    """What an account was given, from wherever it is read."""

    @property
    def partition(self) -> int:
        """The partition of the topic usage that the account belongs to."""

    @property
    def documents(self) -> Sequence[Published]:
        """The account's documents and those of its tariffs that were not refused, by when they were published."""

    @property
    def needed(self) -> frozenset[UsageId]:
        """The records that others correct."""

    def events(self) -> Iterator[Event]:
        """Records and markers in the order of the topic."""

    def last_of(self, usage_ids: Sequence[str], after: RecordPlace) -> RecordPlace:
        """Where the last of these records first stands behind a place; BEFORE_ALL where none does."""


@dataclass(frozen=True)
class Archived:
    """The history that ClickHouse has kept of one account, in one partition."""

    sink: Readable
    name: Name
    partition: int
    documents: Sequence[Published]
    needed: frozenset[UsageId]
    rejected: frozenset[RecordPlace]
    before: int | None = None
    """Only what stands before this offset, where it is said."""
    piece: int = PIECE

    def events(self) -> Iterator[Event]:
        """Records and markers in the order of the topic."""
        for event in merge(self._records(), self._markers(), key=lambda event: event.place):
            if self.before is not None and event.place.offset >= self.before:
                return
            yield event

    def last_of(self, usage_ids: Sequence[str], after: RecordPlace) -> RecordPlace:
        """Where the last of these records first stands behind a place; BEFORE_ALL where none does."""
        return archive_reads.last_of(self.sink, *self.name, self.partition, after, usage_ids)

    def _records(self) -> Iterator[Event]:
        def read(after: RecordPlace) -> list[ArchivedUsage]:
            return archive_reads.usage_after(self.sink, *self.name, self.partition, after, self.piece)

        for row in _pieces(read, lambda row: RecordPlace(row.offset, row.index), self.piece):
            place = RecordPlace(row.offset, row.index)
            if place not in self.rejected:
                yield Taken(place, row.appended, row.usage)

    def _markers(self) -> Iterator[Event]:
        def read(after: RecordPlace) -> list[ArchivedCommand]:
            return archive_reads.commands_after(self.sink, *self.name, self.partition, after.offset, self.piece)

        for row in _pieces(read, lambda row: RecordPlace(row.offset, 0), self.piece):
            closing = closing_of(row.command, row.appended, self.name)
            if closing is not None:
                yield Marked(RecordPlace(row.offset, 0), row.appended, closing)


@dataclass(frozen=True)
class Listed:
    """A history that is in memory."""

    partition: int
    listed: Sequence[Event]
    documents: Sequence[Published]
    needed: frozenset[UsageId]

    def events(self) -> Iterator[Event]:
        """Records and markers in the order of the topic."""
        return iter(self.listed)

    def last_of(self, usage_ids: Sequence[str], after: RecordPlace) -> RecordPlace:
        """Where the last of these records first stands behind a place; BEFORE_ALL where none does."""
        return last_of(self.listed, usage_ids, after)


def last_of(events: Iterable[Event], usage_ids: Sequence[str], after: RecordPlace) -> RecordPlace:
    """Where the last of these records first stands among the events behind a place; BEFORE_ALL where none does."""
    wanted, first = set(usage_ids), dict[str, RecordPlace]()
    for event in events:
        if isinstance(event, Taken) and event.place > after and event.usage.id in wanted:
            first.setdefault(event.usage.id, event.place)
    return max(first.values(), default=BEFORE_ALL)


def archived(sink: Readable, name: Name, partition: int | None = None) -> Archived:
    """The history in ClickHouse, of the account's partition; where that is not known, it is the one that has its usage.

    Raises UnknownHistoryError where that cannot be told.
    """
    rejected = archive_reads.rejected_records(sink, *name)
    found = archive_reads.account_documents(sink, account_key(*name).decode("utf-8", "surrogatepass"))
    if partition is None:
        records = archive_reads.records_by_partition(sink, *name)
        taken = [number for number, count in records.items() if count > len(rejected.get(number, ()))]
        partition = _partition(taken, [document.partition for document in found])
    return Archived(
        sink,
        name,
        partition,
        _documents(sink, found, partition),
        frozenset(archive_reads.corrected_records(sink, *name)),
        frozenset(rejected.get(partition, ())),
    )


def _partition(taken: Iterable[int], published: Iterable[int]) -> int:
    """Where the account's usage is taken: all of it in one partition; where there is none, that of its documents."""
    found = sorted(set(taken)) or sorted(set(published))
    if len(found) == 1:
        return found[0]
    if not found:
        raise UnknownHistoryError("neither usage nor documents of the account are in the archive")
    told = ", ".join(map(str, found))
    raise UnknownHistoryError(
        f"the archive has what nobody rejected of the account in the partitions {told}, and only one can be its own: "
        "rejections are missing. Compare the topic usage-rejected with the table rejected"
    )


def _documents(sink: Readable, of_account: Sequence[ArchivedDocument], partition: int) -> list[Published]:
    """Those of the account and of the tariffs that it names, without those that the partition's worker refused."""
    own = [document for document in of_account if document.partition == partition]
    names = sorted({name for document in own for name in _tariffs_of(document.value)})
    found = [*(row for name in names for row in archive_reads.tariff_documents(sink, name)), *own]
    refused = archive_reads.refused_documents(sink, partition)
    published = [_published(row) for row in found if (row.topic, row.offset) not in refused]
    return sorted(published, key=lambda document: (document.appended, document.topic != "tariffs", document.offset))


def _published(row: ArchivedDocument) -> Published:
    topic: Literal["accounts", "tariffs"] = "accounts" if row.topic == "accounts" else "tariffs"
    return Published(topic, row.key, row.value, row.offset, row.appended)


class _Entry(Struct):
    tariff: str


class _Document(Struct):
    tariffs: list[_Entry] = []


_decode = Decoder(_Document).decode


def _tariffs_of(document: bytes | None) -> list[str]:
    """The tariffs that an account's document names; none where it is not valid, as it is refused then."""
    try:
        return [entry.tariff for entry in _decode(document or b"").tariffs]
    except (DecodeError, UnicodeDecodeError):
        return []


def closing_of(command: bytes, appended: int, name: Name) -> Closing | None:
    """What a marker closes of an account; None for one that is about others, or is no command at all."""
    try:
        said = decode_command(command)
    except ValueError:
        return None  # it was rejected where it stands
    match said:
        case Tick():
            return Closing(appended)
        case Close(period, tenant, account) if (account and (tenant, account) == name) or (
            not account and tenant in ("", name[0])
        ):
            return Closing(appended, period)
        case _:
            return None


def _pieces(read: Callable[[RecordPlace], list[T]], place: Callable[[T], RecordPlace], piece: int) -> Iterator[T]:
    after = BEFORE_ALL
    while rows := read(after):
        yield from rows
        if len(rows) < piece:
            return
        after = place(rows[-1])
