"""Partition: what the messages of one usage partition come to, decided in memory and told as what to send and store.

Nothing here touches Kafka, a clock or a disk: whoever drives it (task.py) sends and stores what `decide` gives as one,
calls `committed`, and only then goes on. The same messages give the same charges, whatever was read together. In order:
  1. messages are decoded; a marker among them is a command, which takes effect where it stands;
  2. records of accounts of other partitions and of quarantined sources are rejected;
  3. the pipeline rates the others (pipeline/processing.py);
  4. what comes of it is gathered with what it changes, and how far the inputs have been applied.
"""

import logging
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Protocol

from agents.local import rejections_of
from agents.stream.documents import Documents, Name, Published, account_named
from agents.stream.keys import account_key, partition_of
from agents.stream.messages import (
    COMMAND_HEADER,
    Close,
    Outgoing,
    Release,
    Tick,
    charge_message,
    decode_command,
    encode_command,
    rejection_message,
    statement_messages,
)
from agents.stream.pruning import pack_to_prune, periods_to_drop, records_to_keep
from agents.stream.quarantine import NOT_ITS_FAULT, Quarantine, Source
from agents.stream.table import Change, Sweep, Table
from agents.stream.topics import Topics
from pipeline.entries import Key, entry_key
from pipeline.ledger import LONG_AGO, Ledger
from pipeline.processing import Outcome, Pipeline
from schemas.codecs import Limits, UsageBatch
from schemas.codecs.confluent import NO_REGISTRY, Registry
from schemas.codecs.fields import Refusal
from schemas.codecs.message import add_message
from schemas.rejection import Reason, Rejection

logger = logging.getLogger(__name__)

_MILLISECOND_US = 1_000
_MARKED = ((COMMAND_HEADER, b""),)


@dataclass(frozen=True)
class Slices:
    """How much is done at once: `records` are rated together, few enough to stay in the processor's cache; a sweep
    closes no more periods than `closed` and looks at no more accounts than `looked_at`, about.
    """

    records: int = 512
    closed: int = 250
    looked_at: int = 1_000


_SLICES = Slices()


class Message(Protocol):
    """A message of a usage partition; `timestamp` is when the broker appended it, in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class Decided:
    """What is to be sent and stored as one. `markers` go to the usage partition itself.

    `usage` is the offset of the next message to apply, `size` the bytes of charges, statements and rejections.
    """

    charges: list[Outgoing] = field(default_factory=list)
    statements: list[Outgoing] = field(default_factory=list)
    rejections: list[Outgoing] = field(default_factory=list)
    markers: list[Outgoing] = field(default_factory=list)
    entries: list[Change] = field(default_factory=list)
    usage: int = 0
    size: int = 0

    @property
    def messages(self) -> int:
        """How many there are to send."""
        sent = (self.charges, self.statements, self.rejections, self.markers)
        return sum(len(messages) for messages in sent) + len(self.entries)


Place = tuple[int, int]
"""The offset of a message, and the number of a record within it."""


@dataclass(slots=True)
class _Waiting:
    """Decoded records of messages that are still to be rated, when each arrived, and the place after them."""

    messages: Sequence[Message]
    batch: UsageBatch
    received: list[int]
    then: Place


class Partition:
    """The rating of one usage partition."""

    def __init__(
        self,
        table: Table,
        topics: Topics,
        number: int,
        partitions: int,
        *,
        registry: Registry = NO_REGISTRY,
        quarantine_after: int = 0,
        slices: Slices = _SLICES,
    ) -> None:
        self.table = table
        self._slices = slices
        self._topics = topics
        self._number, self._partitions = number, partitions
        self._registry = registry
        self._documents = Documents(table, number, partitions)
        self._quarantine = Quarantine(table, quarantine_after)
        self._keys: dict[Name, bytes] = {}
        self._limits = Limits()
        self._reset()

    def _reset(self) -> None:
        """Begin with empty hands: after a start, and under new plans."""
        self._ledger = Ledger(self._documents.plans, self.table)
        self._pipeline = Pipeline(self._ledger)
        self._decided = Decided()
        self._changes: dict[Key, bytes | None] = {}
        self._last_end = LONG_AGO

    @property
    def is_closing(self) -> bool:
        """Whether there are accounts to be closed by `sweep`."""
        return bool(self.table.applied.sweeps)

    @property
    def size(self) -> int:
        """Bytes of the charges, statements and rejections that were decided since the last commit."""
        return self._decided.size

    def tick(self) -> None:
        """Write a marker whose append time lets silent accounts be closed."""
        self._decided.markers.append(Outgoing(None, encode_command(Tick()), _MARKED))

    def rate(self, messages: Sequence[Message]) -> Iterator[None]:
        """Apply messages in order, and pause after each slice of records, where what was decided may be committed."""
        run: list[Message] = []
        for message in messages:
            if message.offset < self.table.applied.usage:
                continue
            command = _command_of(message)
            if command is None:
                run.append(message)
                continue
            yield from self._rate_run(run)
            run = []
            self._take_command(message, command)
        yield from self._rate_run(run)

    def _rate_run(self, run: Sequence[Message]) -> Iterator[None]:
        start = 0
        while start < len(run):
            waiting = self._decode(run, start)
            start += len(waiting.messages)
            for part in _slices(waiting, self._slices.records):
                for piece in self._pieces(part):
                    self._rate_slice(piece)
                yield

    def _pieces(self, waiting: _Waiting) -> Iterator[_Waiting]:
        """The same in pieces that each end where a source may be cut off, so that what follows it is rejected."""
        while self._quarantine.may_cut_off(waiting.batch.received):
            sources = sorted(_sources(waiting.batch))
            reach = self._quarantine.reach(source for _, source in sources)
            if reach is None or reach == len(sources):
                break
            then = sources[reach][0]
            yield _between(waiting, (0, 0), then)
            waiting = _between(waiting, then, waiting.then)
        yield waiting

    def _decode(self, run: Sequence[Message], start: int) -> _Waiting:
        """The messages from `start` on, no more than make a slice: one of them may hold very many records."""
        most = self._slices.records
        messages = run[start : start + most]
        applied, limits, registry = self.table.applied, self._limits, self._registry
        batch = UsageBatch(self._topics.usage, self._number, limits.original_cap)
        received: list[int] = []
        records = batch.records
        for number, message in enumerate(messages, 1):
            add_message(batch, message.value or b"", message.offset, limits, registry)
            received += [message.timestamp * _MILLISECOND_US] * (len(records) - len(received))
            if len(records) >= most:
                messages = messages[:number]
                break
        applied.appended = messages[-1].timestamp * _MILLISECOND_US
        waiting = _Waiting(messages, batch, received, (messages[-1].offset + 1, 0))
        return _between(waiting, (applied.usage, applied.index), waiting.then) if applied.index else waiting

    def _rate_slice(self, waiting: _Waiting) -> None:
        batch = waiting.batch
        applied, counts, decided = self.table.applied, self.table.applied.counts, self._decided
        counts.received += batch.received
        rejections, batch, received = self._held_back(batch, waiting.received)
        outcome = self._pipeline.process(batch.records, received)
        rejections += rejections_of(batch, outcome)
        if rejections or self._quarantine.counts:
            rejections.sort(key=_place)
            self._judge(batch, rejections)
            keys = {message.offset: message.key for message in waiting.messages}
            refused = [rejection_message(each, keys[each.position.offset]) for each in rejections]
            decided.rejections += refused
            decided.size += _size(refused)
        counts.accepted += outcome.accepted
        counts.duplicates += outcome.duplicates
        counts.rejected += len(rejections)
        counts.late += outcome.late
        self._tell(outcome)
        applied.usage, applied.index = waiting.then

    def _tell(self, outcome: Outcome) -> None:
        """Make messages of charges and statements."""
        applied, keys, decided = self.table.applied, self._keys, self._decided
        if outcome.charges:
            last_end = max([charge.usage_end for charge in outcome.charges])
            self._last_end = max(self._last_end, last_end)
            applied.reached = max(applied.reached, last_end)
            charges = [charge_message(charge, keys[charge.tenant, charge.account]) for charge in outcome.charges]
            decided.charges += charges
            decided.size += _size(charges)
        for statement in outcome.statements:
            name = (statement.tenant, statement.account)
            parts = statement_messages(statement, keys[name])
            decided.statements += parts
            decided.size += _size(parts)
            applied.reached = max(applied.reached, statement.period_end)
            state = self._ledger.account(*name)
            if state is not None:
                self._changes.update(dict.fromkeys(periods_to_drop(self.table, state)))
        applied.counts.charges += len(outcome.charges)
        applied.counts.statements += len(outcome.statements)

    def _held_back(self, batch: UsageBatch, received: list[int]) -> tuple[list[Rejection], UsageBatch, list[int]]:
        """The rejections of records that are not rated here, and the batch of the others."""
        keys, held = self._keys, self._quarantine.held
        back: dict[int, Refusal] = {}
        for place, usage in enumerate(batch.records):
            if (usage.tenant, usage.account) not in keys and not self._belongs((usage.tenant, usage.account)):
                back[place] = self._wrong_partition(usage.id, usage.tenant, usage.account)
            elif held and (usage.tenant, usage.source) in held:
                back[place] = _quarantined(usage.id, usage.tenant, usage.source)
        if not back:
            return [], batch, received
        rejections = [batch.rejection(place, refusal.reason, refusal.message) for place, refusal in back.items()]
        stay = [place for place in range(len(batch.records)) if place not in back]
        return rejections, batch.part(stay, batch.rejections), [received[place] for place in stay]

    def _belongs(self, name: Name) -> bool:
        key = account_key(*name)
        if partition_of(key, self._partitions) != self._number:
            return False
        self._keys[name] = key
        return True

    def _wrong_partition(self, usage_id: str, tenant: str, account: str) -> Refusal:
        key = account_key(tenant, account).decode("utf-8", "backslashreplace")
        return Refusal(
            Reason.WRONG_PARTITION,
            f"usage {usage_id}: account {account} does not belong to partition {self._number}. Send it with the key "
            f"{key!r} and Kafka's own partitioner (murmur2).",
        )

    def _judge(self, batch: UsageBatch, rejections: Sequence[Rejection]) -> None:
        """Count what was rejected in a row, by source."""
        refused = {_place(rejection): rejection for rejection in rejections}
        found = [
            (place, (rejection.tenant, rejection.source), False)
            for place, rejection in refused.items()
            if rejection.source and rejection.reason not in NOT_ITS_FAULT
        ]
        found += [
            (place, (usage.tenant, usage.source), True)
            for usage, place in zip(batch.records, zip(batch.offsets, batch.indexes, strict=True), strict=True)
            if place not in refused
        ]
        for tenant, source in self._quarantine.judge((of, is_taken) for _, of, is_taken in sorted(found)):
            logger.error(
                "source %r of tenant %r is in quarantine: %s of its records in a row were rejected. See them with "
                "`ratestream rejected list`, mend the source, then: ratestream rejected release --source NAME",
                source,
                tenant,
                self._quarantine.after,
            )

    def _take_command(self, message: Message, value: bytes) -> None:
        """A command takes effect where its marker stands."""
        applied = self.table.applied
        appended = message.timestamp * _MILLISECOND_US
        try:
            command = decode_command(value)
        except ValueError as error:
            self._refuse(message.key, value, self._topics.usage, message.offset, str(error))
        else:
            if isinstance(command, Close):
                applied.sweeps.append(Sweep(appended, command.period, command.tenant, command.account))
            elif isinstance(command, Release):
                self._quarantine.release((command.tenant, command.source))
            elif not any(not sweep.period for sweep in applied.sweeps):
                applied.sweeps.append(Sweep(appended))
        applied.appended = appended
        applied.usage, applied.index = message.offset + 1, 0

    def sweep(self) -> None:
        """Close accounts: one slice of the first sweep."""
        slices, sweeps = self._slices, self.table.applied.sweeps
        sweep = sweeps[0]
        outcome = Outcome()
        looked_at = 0
        for cursor, name in islice(self._names(sweep), slices.looked_at):
            self._close(name, sweep, outcome)
            sweep.cursor = cursor
            looked_at += 1
            if len(outcome.statements) >= slices.closed:
                break
        if looked_at < slices.looked_at and len(outcome.statements) < slices.closed:
            sweeps.pop(0)
        self._tell(outcome)

    def _names(self, sweep: Sweep) -> Iterator[tuple[bytes, Name]]:
        if not sweep.account:
            for cursor, name in self._documents.names_after(sweep.cursor):
                if not sweep.tenant or name[0] == sweep.tenant:
                    yield cursor, name
        elif not sweep.cursor and self._belongs((sweep.tenant, sweep.account)):
            yield b"done", (sweep.tenant, sweep.account)

    def _close(self, name: Name, sweep: Sweep, outcome: Outcome) -> None:
        state = self._ledger.account(*name)
        if state is None or not self._belongs(name):
            return
        if not sweep.period:
            self._pipeline.close_silent(state, sweep.as_of, self._documents.declared(*name), outcome)
            return
        try:
            _, end = state.plan.calendar.period_named(sweep.period)
        except ValueError:
            return  # its billing periods are of another kind
        if end <= sweep.as_of:
            self._pipeline.close_until(state, end, outcome)

    def adopt(self, published: Sequence[Published]) -> None:
        """Take in documents and commands, in order; nothing else may have been decided since the last commit."""
        applied = self.table.applied
        adoption = self._documents.adopt(published, self._ledger)
        self._changes.update(adoption.changes)
        for message, refusal in adoption.refused:
            self._refuse(message.key, message.value, getattr(self._topics, message.topic), message.offset, refusal)
        for message in published:
            if message.topic == "commands":
                self._decided.markers.append(Outgoing(message.key, message.value or b"", _MARKED))
            setattr(applied, message.topic, message.offset + 1)
        self._adoption = adoption

    def adopted(self) -> None:
        """What `adopt` has decided is stored: go on under it."""
        self._documents.taken(self._adoption)
        if self._adoption.tariffs:
            self._reset()
        for name in self._adoption.accounts:
            self._ledger.forget(*name)

    def _refuse(self, key: bytes | None, value: bytes | None, topic: str, offset: int, message: str) -> None:
        batch = UsageBatch(topic, self._number, self._limits.original_cap)
        tenant, account = account_named(key)
        batch.refuse(Refusal(Reason.INVALID_DOCUMENT, message, tenant, account), value or b"", offset)
        self._decided.rejections += [rejection_message(rejection, key) for rejection in batch.rejections]
        logger.error("%s", message)

    def decide(self) -> Decided:
        """All that has been decided since the last commit, to be sent and stored as one."""
        dropped: list[int] = []
        changes: dict[Key, bytes | None] = dict(self._changes)
        pack = pack_to_prune(self.table)
        if pack is not None:
            kept = records_to_keep(pack, self._ledger)
            changes |= {entry_key(identity): stored for identity, stored in kept.items()}
            dropped = [pack.number]
            self._last_end = max(self._last_end, self.table.applied.reached if kept else LONG_AGO)
        changes |= self._quarantine.changes()
        changes |= self._ledger.changes()
        decided = self._decided
        decided.entries = self.table.entries(changes, self._last_end, dropped)
        decided.usage = self.table.applied.usage
        return decided

    def committed(self) -> None:
        """All of it is sent and stored."""
        self._ledger.committed()
        self._decided = Decided()
        self._changes = {}
        self._last_end = LONG_AGO


def _command_of(message: Message) -> bytes | None:
    """The command whose marker this is; None for usage."""
    if message.headers:
        for name, _ in message.headers:
            if name == COMMAND_HEADER:
                return message.value or b""
    return None


def _size(messages: Iterable[Outgoing]) -> int:
    return sum([len(message.value) for message in messages])


def _place(rejection: Rejection) -> Place:
    return rejection.position.offset, rejection.position.index


def _slices(waiting: _Waiting, records: int) -> Iterable[_Waiting]:
    """The same in parts of no more than so many records, as one message may hold very many."""
    if waiting.batch.received <= records:
        return [waiting]
    batch = waiting.batch
    places = sorted([*zip(batch.offsets, batch.indexes, strict=True), *map(_place, batch.rejections)])
    borders = [*places[::records], waiting.then]
    return (_between(waiting, start, stop) for start, stop in pairwise(borders))


def _sources(batch: UsageBatch) -> Iterator[tuple[Place, Source]]:
    """Whose each record is, and where it stands."""
    for usage, offset, index in zip(batch.records, batch.offsets, batch.indexes, strict=True):
        yield (offset, index), (usage.tenant, usage.source)
    for rejection in batch.rejections:
        yield _place(rejection), (rejection.tenant, rejection.source)


def _between(waiting: _Waiting, start: Place, stop: Place) -> _Waiting:
    """What stands in `[start, stop)`; all of it is in order, and there may be millions."""
    batch = waiting.batch
    records, rejections = range(len(batch.records)), batch.rejections
    low, high = (bisect_left(records, at, key=lambda i: (batch.offsets[i], batch.indexes[i])) for at in (start, stop))
    first, last = (bisect_left(rejections, at, key=_place) for at in (start, stop))
    part = batch.part(records[low:high], rejections[first:last])
    return _Waiting(waiting.messages, part, waiting.received[low:high], stop)


def _quarantined(usage_id: str, tenant: str, source: str) -> Refusal:
    return Refusal(
        Reason.QUARANTINED,
        f"usage {usage_id}: source {source!r} of tenant {tenant!r} is in quarantine, as its records before were "
        "rejected one after the other. Mend it, then: ratestream rejected release, and ratestream rejected replay "
        "--reason quarantined.",
    )
