"""Kafka: the topics of one partition in memory, as far as the task's guarantees rest on them.

An offset is a place in a list. The end of a transaction takes an offset in every topic that it wrote to; readers of
committed messages see nothing from the first open transaction on, and nothing of aborted ones. Each new owner of the
transactional id ends the transaction of the one before it, and gets an epoch that the other's requests do not have.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.msgpack import Decoder

from agents.errors import BrokerError
from agents.stream.messages import Outgoing
from agents.stream.table import Applied, Change

TOPICS = ("usage", "charges", "statements", "usage_rejected", "changelog", "commands", "accounts", "tariffs")
_APPLIED = b"@"
_decode_applied = Decoder(Applied, strict=False).decode


class FencedError(BrokerError):
    """Somebody else has the transactional id."""


@dataclass(slots=True, eq=False)
class Transaction:
    """What one producer has sent since it began. `is_committed` is None while it is open."""

    places: list[tuple[str, int]] = field(default_factory=list)
    entries: list[Change] = field(default_factory=list)
    offset: int | None = None
    is_committed: bool | None = None


@dataclass(slots=True, eq=False)
class Record:
    """A message as a consumer gets it; `timestamp` in milliseconds, `number` its place among all messages."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    transaction: Transaction | None
    number: int


class Commit(NamedTuple):
    """How far the inputs had been applied, and the entries that say so among others."""

    applied: Applied
    entries: list[Change]


@dataclass(eq=False)
class Kafka:
    """One partition of each topic. `now_ms` is the brokers' clock, `history` what each commit did to the state.

    Deletions in the changelog stay `retention_ms` long.
    """

    now_ms: int
    retention_ms: int
    records: dict[str, list[Record | None]] = field(default_factory=lambda: {topic: [] for topic in TOPICS})
    epoch: int = 0
    running: Transaction | None = None
    group_offset: int | None = None
    history: list[Commit] = field(default_factory=list)
    others: list[Transaction] = field(default_factory=list)
    _numbered: int = 0

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        transaction: Transaction | None = None,
    ) -> int:
        """Append a message; its offset."""
        log = self.records[topic]
        offset = len(log)
        self._numbered += 1
        log.append(Record(offset, self.now_ms, key, value, headers, transaction, self._numbered))
        if transaction is not None:
            transaction.places.append((topic, offset))
        return offset

    def begin_other(self) -> Transaction:
        """Another producer's transaction, which nobody fences."""
        transaction = Transaction()
        self.others.append(transaction)
        return transaction

    def end_other(self, transaction: Transaction, *, is_committed: bool) -> None:
        """The end of another producer's transaction."""
        self.others.remove(transaction)
        self._end(transaction, is_committed=is_committed)

    def fence(self) -> int:
        """The new owner's epoch. What the one before had open is aborted."""
        self.epoch += 1
        self._abort()
        return self.epoch

    def begin(self, epoch: int) -> None:
        """The owner's next transaction. Raises FencedError, as all of its requests do."""
        self._check(epoch)
        self._abort()
        self.running = Transaction()

    def send(self, epoch: int, topic: str, messages: Sequence[Outgoing | Change]) -> int:
        """Append messages to the owner's transaction; the offset of the first one, or of the next."""
        self._check(epoch)
        transaction = self._open
        first = len(self.records[topic])
        for key, value, *headers in messages:
            self.append(topic, key, value, headers[0] if headers else (), transaction)
            if topic == "changelog" and key is not None:
                transaction.entries.append((key, value))
        return first

    def send_offset(self, epoch: int, offset: int) -> None:
        """The group's usage offset, with the owner's transaction."""
        self._check(epoch)
        self._open.offset = offset

    def commit(self, epoch: int) -> None:
        """All of the owner's transaction counts."""
        self._check(epoch)
        transaction = self._open
        self.running = None
        self._end(transaction, is_committed=True)
        if transaction.offset is not None:
            self.group_offset = transaction.offset
        applied = dict(transaction.entries).get(_APPLIED)
        if applied is not None:
            self.history.append(Commit(_decode_applied(applied), transaction.entries))

    def end(self, topic: str) -> int:
        """The first offset that readers of committed messages cannot pass."""
        end = len(self.records[topic])
        for transaction in [*self.others, *([self.running] if self.running is not None else [])]:
            end = min([end, *(offset for of, offset in transaction.places if of == topic)])
        return end

    def read(self, topic: str, start: int = 0) -> list[Record]:
        """Committed messages from an offset to the end."""
        return [
            record
            for record in self.records[topic][start : self.end(topic)]
            if record is not None and (record.transaction is None or record.transaction.is_committed)
        ]

    def compact(self) -> None:
        """Let go of changelog entries that a later one replaces, and of old deletions; offsets stay."""
        log = self.records["changelog"]
        end = self.end("changelog")
        last = {record.key: record.offset for record in self.read("changelog")}
        for offset, record in enumerate(log[:end]):
            if record is None:
                continue
            is_old = record.value is None and self.now_ms - record.timestamp >= self.retention_ms
            if last.get(record.key) != offset or is_old:
                log[offset] = None

    def _abort(self) -> None:
        if self.running is not None:
            transaction, self.running = self.running, None
            self._end(transaction, is_committed=False)

    def _end(self, transaction: Transaction, *, is_committed: bool) -> None:
        transaction.is_committed = is_committed
        for topic in dict.fromkeys(topic for topic, _ in transaction.places):
            self.records[topic].append(None)

    def _check(self, epoch: int) -> None:
        if epoch != self.epoch:
            raise FencedError(f"epoch {epoch} was fenced by {self.epoch}")

    @property
    def _open(self) -> Transaction:
        if self.running is None:
            raise BrokerError("no transaction is open")
        return self.running
