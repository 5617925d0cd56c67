"""Reference: the log of a schedule rated in one go, by one process to which nothing happens.

Which documents were known when a usage record was rated, which part of a sweep was done, and which old records were
forgotten is settled by the commits and by nothing else: a document that is published while usage waits may be taken in
before or after it, closing goes on between batches, and what lateness no longer reaches is forgotten by the commit that
finds it. So the reference takes documents in, sweeps on and forgets exactly where the log says that it was done, and
makes sure that it was allowed; between these places it rates all that there is at once. How often the task had
committed, crashed and begun again on the way must not show.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.stream.documents import Documents, Published
from agents.stream.messages import Outgoing
from agents.stream.partition import Partition, Slices
from agents.stream.pruning import records_to_keep
from agents.stream.table import Applied, Change, Pack, Place, Table
from pipeline.entries import Key
from pipeline.ledger import Ledger
from pipeline.terms import FOREVER
from tests.simulation.disk import Disk, DiskStore
from tests.simulation.documents import PARTITION, PARTITIONS
from tests.simulation.kafka import Commit, Kafka, Record
from tests.simulation.schedule import TOPICS, ProtocolError, Schedule

_RECORDS, _PACKS = b"d", b"u"
_NUMBER = 8  # bytes of a pack's number, before an entry
_DOCUMENTS = ("accounts", "tariffs", "commands")
_MILLISECOND_US = 1_000


class _Remembering(Table):
    """A table that forgets nothing by itself."""

    @property
    def first_end(self) -> int:
        """An instant that never comes."""
        return FOREVER


@dataclass(eq=False)
class Reference:
    """What the log comes to. `charges`, `statements`, `rejections` and `markers` are in the order of sending."""

    kafka: Kafka
    table: Table
    disk: Disk
    partition: Partition
    usage: Sequence[Record]
    mirror: Disk = field(default_factory=Disk)
    charges: list[Outgoing] = field(default_factory=list)
    statements: list[Outgoing] = field(default_factory=list)
    rejections: list[Outgoing] = field(default_factory=list)
    markers: list[Outgoing] = field(default_factory=list)

    def follow(self, history: Sequence[Commit]) -> None:
        """Do what the commits say."""
        before = Applied()
        for after, entries in history:
            forgotten = self._forgotten(entries)
            place = (before.usage, before.index)
            if any(getattr(after, topic) != getattr(before, topic) for topic in _DOCUMENTS):
                self._rate(place)
                self._adopt(after)
            elif (after.usage, after.index) == place and after.sweeps != before.sweeps:
                self._rate(place)
                if not self.partition.is_closing:
                    raise ProtocolError(f"at {place} the log closes accounts, and nothing has asked for it")
                self.partition.sweep()
                self._commit()
            if forgotten:
                self._rate((after.usage, after.index))
                self._forget(forgotten)
            before = after
        self._rate((before.usage, before.index))
        if self.place != (before.usage, before.index):
            raise ProtocolError(f"the log ends at {(before.usage, before.index)}, and the usage at {self.place}")

    def _forgotten(self, entries: Sequence[Change]) -> list[Key]:
        """The usage records whose entries go with this commit, as the changelog tells it."""
        values = self.mirror.values
        dropped = any(key.startswith(_PACKS) and value is None for key, value in entries)
        before = [key for key in values if key.startswith(_RECORDS)] if dropped else []
        Table(DiskStore(self.mirror, lambda _: None)).write(entries, Place())
        return [key for key in before if key not in values]

    def _forget(self, keys: Sequence[Key]) -> None:
        values = self.disk.values
        ledger = Ledger(Documents(self.table, PARTITION, PARTITIONS).plans, self.table)
        kept = records_to_keep(Pack(0, 0, [(key[len(_RECORDS) :], values[key][_NUMBER:]) for key in keys]), ledger)
        if kept:
            raise ProtocolError(f"{len(kept)} usage records were forgotten and can still come again")
        for key in keys:
            del values[key]

    @property
    def place(self) -> tuple[int, int]:
        """How far usage has been rated."""
        return self.table.applied.usage, self.table.applied.index

    def _rate(self, until: tuple[int, int]) -> None:
        if self.place >= until:
            return
        last = until[0] + bool(until[1])
        messages = [record for record in self.usage if self.place[0] <= record.offset < last]
        for _ in self.partition.rate(messages):
            if self.place >= until:
                break
        self._commit()

    def _adopt(self, after: Applied) -> None:
        found = []
        for topic in _DOCUMENTS:
            records = self.kafka.records[topic][getattr(self.table.applied, topic) : getattr(after, topic)]
            found += [
                Published(topic, r.key, r.value, r.offset, r.timestamp * _MILLISECOND_US)  # type: ignore[arg-type]
                for r in records
                if r is not None
            ]
        self.partition.adopt(found)
        self._commit()
        self.partition.adopted()

    def _commit(self) -> None:
        decided = self.partition.decide()
        self.charges += decided.charges
        self.statements += decided.statements
        self.rejections += decided.rejections
        self.markers += decided.markers
        self.table.write(decided.entries, Place())
        self.partition.committed()


def uninterrupted(schedule: Schedule) -> Reference:
    """What the log of a schedule comes to, rated in one go."""
    kafka = schedule.kafka
    disk = Disk()
    table = _Remembering(DiskStore(disk, lambda _: None))
    # Only slices of one record can stop in the middle of a message.
    slices = Slices(records=1) if any(commit.applied.index for commit in kafka.history) else Slices()
    sweeps = schedule.sizes.slices
    partition = Partition(
        table,
        TOPICS,
        PARTITION,
        PARTITIONS,
        quarantine_after=schedule.sizes.quarantine_after,
        slices=Slices(slices.records, sweeps.closed, sweeps.looked_at),
    )
    reference = Reference(kafka, table, disk, partition, kafka.read("usage"))
    reference.follow(kafka.history)
    return reference
