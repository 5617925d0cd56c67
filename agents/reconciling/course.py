"""Course: one reconciliation from its first look to its report.

The order of looking keeps what is in flight from being taken for a difference:
  1. how far the sink has inserted, and the workers have rated: all before that must have arrived;
  2. ClickHouse: sums of each table by group, and each statement with its charges;
  3. the ends of the topics: whatever is in ClickHouse was there before; usage last, since what comes of it follows it;
  4. the topics up to these ends, as sums again: what is due by 1., and what may have arrived or not;
  5. groups that do not agree are read again, in the same order, row by row (drilling.py).
Nothing is written anywhere. After legs.py, records.py and reading.py.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.errors import LayoutError, NoAnswerError
from agents.reconciling.billing import Billing
from agents.reconciling.drilling import Drill
from agents.reconciling.legs import STORED, Compared, Leg, Report
from agents.reconciling.periods import Period
from agents.reconciling.reading import Assembly, Cuts, Offsets, Source
from agents.reconciling.records import (
    Record,
    charge_of,
    is_marker,
    rejection_in,
    rejection_record,
    statement_records,
    usage_of,
    usage_record,
)
from agents.reconciling.splitting import Splitting
from schemas.codecs.confluent import NO_REGISTRY, Registry
from sinks.reconciliation import stored
from sinks.reconciliation.shapes import (
    BETWEEN,
    CHARGE_SHAPE,
    LINE_SHAPE,
    REJECTED_SHAPE,
    STATEMENT_SHAPE,
    TAX_SHAPE,
    USAGE_SHAPE,
    Group,
    Shape,
    fixed,
    hash_of,
)
from sinks.reconciliation.statements import owner_of
from sinks.reconciliation.stored import EVERYTHING, Database, Selection
from sinks.reconciliation.tallies import Tally, compare

SHAPES: Mapping[Leg, Shape] = {
    Leg.USAGE: USAGE_SHAPE,
    Leg.CHARGES: CHARGE_SHAPE,
    Leg.STATEMENTS: STATEMENT_SHAPE,
    Leg.LINES: LINE_SHAPE,
    Leg.TAXES: TAX_SHAPE,
    Leg.REJECTED: REJECTED_SHAPE,
}
LEG_OF: Mapping[str, Leg] = {shape.table: leg for leg, shape in SHAPES.items()}
_IN_PERIODS = frozenset({Leg.CHARGES, Leg.STATEMENTS, Leg.LINES, Leg.TAXES})


@dataclass(frozen=True)
class Wanted:
    """What is to be compared: all accounts or some, all billing periods or those of a name.

    Usage and rejections have no billing period, and are compared whole. `limit` is how many differing groups of a leg
    are looked into, and how many differences of each are told; None is all.
    """

    selection: Selection = EVERYTHING
    period: str = ""
    limit: int | None = None


@dataclass
class Sides:
    """What is due, what may have arrived or not, and what is there."""

    due: Tally = field(default_factory=Tally)
    coming: Tally = field(default_factory=Tally)
    found: Tally = field(default_factory=Tally)

    def add(self, record: Record, *, is_due: bool) -> None:
        """A row that a message says."""
        (self.due if is_due else self.coming).add(record.group, record.amount, hash_of(record.text))


class Course:
    """One reconciliation."""

    def __init__(
        self, source: Source, database: Database, wanted: Wanted = Wanted(), registry: Registry = NO_REGISTRY
    ) -> None:
        self._source, self._database, self._wanted, self._registry = source, database, wanted, registry
        self._sides: dict[Leg, Sides] = {leg: Sides() for leg in (*SHAPES, Leg.RATED)}
        self._period = Period(wanted.period, stored.zones(database)) if wanted.period else None
        self._report = Report(time.time())
        self._rejected_tail: set[tuple[int, int, int]] = set()

    def run(self) -> Report:
        """Compare everything. Raises NoAnswerError, BrokerError and errors of the sink; a difference is none."""
        began = time.monotonic()
        source, topics, report = self._source, self._source.topics, self._report
        selection = self._wanted.selection
        self._check_feeds()
        # 1. How far have they come?
        cuts = asyncio.run(source.cuts())
        begins = asyncio.run(source.begins(topics.usage))
        # 2. What is stored?
        self._tally_tables(begins)
        self._tally_identities(cuts)
        self._billing = Billing(self._database, self._wanted.selection, self._period)
        self._billing.look()
        self._splitting = Splitting(source, self._registry, begins)
        # 3. Where do the topics end?
        ends = asyncio.run(source.ends(topics.charges, topics.statements, topics.usage_rejected, topics.usage))
        # 4. What do they hold?
        asyncio.run(self._tally_topics(cuts, ends))
        # 5. Which rows differ?
        drill = Drill(source, self._database, selection, self._registry)
        if selection == EVERYTHING:  # nobody knows whose a message is that cannot be read
            report.legs.append(asyncio.run(self._splitting.compared(cuts.split, self._wanted.limit)))
        report.legs += [self._compared(leg, drill) for leg in (Leg.USAGE, Leg.RATED, Leg.CHARGES)]
        report.legs.append(self._billing.compared(self._sides[Leg.CHARGES].coming, self._wanted.limit))
        report.legs += [self._compared(leg, drill) for leg in (Leg.STATEMENTS, Leg.LINES, Leg.TAXES, Leg.REJECTED)]
        if selection != EVERYTHING and not any(leg.due.rows or leg.found.rows for leg in report.legs):
            of = selection.account or "any account", selection.tenant or "any tenant"
            raise NoAnswerError("There is nothing of {} of {} in the topics and tables. Correct the name.".format(*of))
        report.took_s = time.monotonic() - began
        return report

    def _check_feeds(self) -> None:
        """Whether the tables are of these topics."""
        ids = self._source.layout.topic_ids
        for topic, topic_id in stored.feeds(self._database).items():
            if ids.get(topic, topic_id) != topic_id:
                raise LayoutError(
                    f"The tables are of another topic {topic} than the brokers have ({topic_id} and {ids[topic]}). "
                    "Name the database of these topics, or fill a new one."
                )

    def _tally_tables(self, begins: Offsets) -> None:
        database, selection = self._database, self._wanted.selection
        for leg, shape in SHAPES.items():
            of_topic = _listed(begins) if leg is Leg.USAGE else ()
            found = stored.tally(database, shape, selection, of_topic)
            self._sides[leg].found = found.part(lambda group, leg=leg: self._is_wanted(leg, group))  # type: ignore[misc]
            self._report.held[shape.table] = stored.held(database, shape, selection)
        shown = self._report.held[USAGE_SHAPE.table].shown
        self._report.only_archived = shown - self._sides[Leg.USAGE].found.total().rows

    def _tally_identities(self, cuts: Cuts) -> None:
        usage, sides = self._source.topics.usage, self._sides[Leg.RATED]
        rated, archived = _listed(cuts.rated), _listed(cuts.inserted[usage])
        for accounts in stored.ranges(self._database, [USAGE_SHAPE.table], self._wanted.selection):
            due, may, received = stored.identities(self._database, accounts, usage, rated, archived)
            sides.due.join(due)
            sides.coming.join(may)
            self._report.received += received

    async def _tally_topics(self, cuts: Cuts, ends: Mapping[str, Offsets]) -> None:
        topics = self._source.topics
        inserted = cuts.inserted
        await self._tally_rejections(cuts, inserted[topics.usage_rejected], ends[topics.usage_rejected])
        await self._tally_charges(inserted[topics.charges], ends[topics.charges])
        await self._tally_statements(inserted[topics.statements], ends[topics.statements])
        await self._tally_usage(cuts, inserted[topics.usage], ends[topics.usage])

    async def _tally_rejections(self, cuts: Cuts, inserted: Offsets, until: Offsets) -> None:
        topics, selection, sides = self._source.topics, self._wanted.selection, self._sides[Leg.REJECTED]
        archived = cuts.inserted[topics.usage]
        of_rated = 0
        async for message in self._source.messages(topics.usage_rejected, until):
            if is_marker(message):
                continue
            rejection = rejection_in(message)
            self._splitting.rejected(rejection)
            if not selection.takes((rejection.tenant, rejection.account, "", "")):
                continue
            sides.add(rejection_record(rejection), is_due=message.offset < inserted[message.partition])
            position = rejection.position
            if position.origin == topics.usage:
                if position.offset >= archived[position.partition]:
                    self._rejected_tail.add((position.partition, position.offset, position.index))
                elif position.offset < cuts.rated[position.partition]:
                    of_rated += 1
        self._report.undecodable = of_rated - self._report.received.rejected

    async def _tally_charges(self, inserted: Offsets, until: Offsets) -> None:
        sides, begun, selection = self._sides[Leg.CHARGES], self._sides[Leg.RATED].found, self._wanted.selection
        async for message in self._source.messages(self._source.topics.charges, until):
            charge = charge_of(message)
            group = charge.group
            if not selection.takes(group):
                continue
            if charge.begins:
                begun.add((charge.tenant, charge.account, "", ""), 0, _identity_hash(charge.source, charge.usage_id))
            if not self._is_wanted(Leg.CHARGES, group):
                continue
            tally = sides.due if message.offset < inserted[message.partition] else sides.coming
            tally.add(group, fixed(charge.amount), hash_of(charge.text))
            self._billing.take(charge)

    async def _tally_statements(self, inserted: Offsets, until: Offsets) -> None:
        assembly = Assembly()
        async for message in self._source.messages(self._source.topics.statements, until):
            value = assembly.whole(message)
            if value is None:
                continue
            for record in statement_records(value, message):
                if self._wanted.selection.takes(record.group) and self._is_wanted(Leg.STATEMENTS, record.group):
                    is_due = message.offset < inserted[message.partition]
                    self._sides[LEG_OF[record.shape.table]].add(record, is_due=is_due)

    async def _tally_usage(self, cuts: Cuts, inserted: Offsets, until: Offsets) -> None:
        selection, sides, rated = self._wanted.selection, self._sides[Leg.USAGE], self._sides[Leg.RATED]
        async for message in self._source.messages(self._source.topics.usage, until):
            number, offset = message.partition, message.offset
            is_inserted = offset < inserted[number]
            self._splitting.usage(message)
            for usage in usage_of(message, self._registry):
                said = usage.record
                if not selection.takes((said.tenant, said.account, "", "")):
                    continue
                sides.add(usage_record(usage, message), is_due=is_inserted)
                if is_inserted or (number, offset, usage.number) in self._rejected_tail:
                    continue
                is_rated = offset < cuts.rated[number]
                if not is_rated:
                    self._report.received += stored.Received(waiting=1)
                tally = rated.due if is_rated and said.quantity is not None else rated.coming
                tally.add((said.tenant, said.account, "", ""), 0, _identity_hash(said.source, said.id))

    def _compared(self, leg: Leg, drill: Drill) -> Compared:
        sides, limit = self._sides[leg], self._wanted.limit
        agreed = compare(sides.due, sides.coming, sides.found)
        suspects = agreed.suspects
        found = drill.look(leg, SHAPES.get(leg, USAGE_SHAPE), suspects, sides, limit)
        clashing = drill.clashes(SHAPES[leg], self._report.held, limit) if leg in STORED else []
        waiting = self._report.received.waiting if leg is Leg.RATED else agreed.on_the_way + found.on_the_way
        return Compared(
            leg,
            len({*sides.due.groups(), *sides.found.groups()}),
            sides.due.total(),
            sides.found.total(),
            waiting,
            found.left_out,
            [*found.differences, *clashing],
        )

    def _is_wanted(self, leg: Leg, group: Group) -> bool:
        return self._period is None or leg not in _IN_PERIODS or self._period.takes(owner_of(group))


def _identity_hash(source: str, usage_id: str) -> int:
    return hash_of(f"{source}{BETWEEN}{usage_id}")


def _listed(offsets: Offsets) -> list[int]:
    return [offsets[number] for number in sorted(offsets)]
