"""Drilling: groups that do not agree are read again, both sides row by row, so that each difference has its name.

The order of looking is that of course.py, with offsets of its own: what has arrived since then is no difference. What
is held at once are the rows of BATCH_ROWS, or of one group. Before course.py.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from typing import NamedTuple, Protocol

from agents.reconciling.legs import Leg
from agents.reconciling.reading import Assembly, Cuts, Offsets, Source
from agents.reconciling.records import (
    Record,
    charge_of,
    charge_record,
    is_marker,
    rejection_in,
    rejection_record,
    statement_records,
    usage_of,
    usage_record,
)
from schemas.codecs.confluent import Registry
from sinks.reconciliation import stored
from sinks.reconciliation.differences import Difference, Found, Key, Row, differences
from sinks.reconciliation.shapes import Group, Shape
from sinks.reconciliation.stored import Database, Held, Selection
from sinks.reconciliation.tallies import Tally, batches

BATCH_ROWS = 1_000_000
"""How many rows of each side are compared at once, about."""


class Sides(Protocol):
    """The sums of a leg."""

    due: Tally
    coming: Tally
    found: Tally


class Looked(NamedTuple):
    """What was found, how many rows are on the way, and how many groups and differences were left out, at least."""

    differences: list[Difference]
    on_the_way: int
    left_out: int


class Drill:
    """A second look at what does not agree."""

    def __init__(self, source: Source, database: Database, selection: Selection, registry: Registry) -> None:
        self._source, self._database, self._selection, self._registry = source, database, selection, registry

    def look(self, leg: Leg, shape: Shape, suspects: list[Group], sides: Sides, limit: int | None) -> Looked:
        """The rows in which these groups differ. No more than `limit` groups are looked into; None is all."""
        chosen = suspects if limit is None else suspects[:limit]
        result: list[Difference] = []
        waiting = 0
        for batch in batches(chosen, (sides.due, sides.coming, sides.found), BATCH_ROWS):
            rows = self._rated(set(batch)) if leg is Leg.RATED else self._stored(leg, shape, set(batch))
            found: Found = differences(shape, *rows)
            result += found.differences
            waiting += found.on_the_way
        told = _limited(result, limit)
        return Looked(told, waiting, len(suspects) - len(chosen) + len(result) - len(told))

    def clashes(self, shape: Shape, held: Mapping[str, Held], limit: int | None) -> list[Difference]:
        """Rows that were inserted several times with several contents; nothing is read where none was."""
        if held[shape.table].rows == held[shape.table].shown:
            return []
        every = stored.tally(self._database, shape, self._selection, merged=False)
        shown = stored.tally(self._database, shape, self._selection)
        suspects = [group for group in sorted(every.groups()) if every.of(group).rows != shown.of(group).rows]
        result: list[Difference] = []
        for batch in batches(suspects, (every,), BATCH_ROWS):
            result += stored.clashes(self._database, shape, set(batch))
        return _limited(result, limit)

    def _stored(self, leg: Leg, shape: Shape, groups: Collection[Group]) -> tuple[list[Row], list[Row]]:
        """What a topic says, and what its table has."""
        topic = self._topic(leg)
        inserted = asyncio.run(self._source.cuts()).inserted[topic]
        there = stored.rows(self._database, shape, groups)
        until = asyncio.run(self._source.ends(topic))[topic]
        said = asyncio.run(self._said(leg, topic, until, inserted, shape, groups))
        if leg is Leg.USAGE:  # the topic no longer holds all that the archive does
            begins = asyncio.run(self._source.begins(topic))
            there = [row for row in there if _offset(row.key) >= begins[_partition(row.key)]]
        return said, there

    def _topic(self, leg: Leg) -> str:
        topics = self._source.topics
        if leg in {Leg.STATEMENTS, Leg.LINES, Leg.TAXES}:
            return topics.statements
        return {Leg.USAGE: topics.usage, Leg.CHARGES: topics.charges, Leg.REJECTED: topics.usage_rejected}[leg]

    async def _said(
        self, leg: Leg, topic: str, until: Offsets, inserted: Offsets, shape: Shape, groups: Collection[Group]
    ) -> list[Row]:
        found = []
        async for record, number, offset in self._records(leg, topic, until):
            if record.shape is shape and record.group in groups:
                place = f"{topic}[{number}]@{offset}"
                is_due = offset < inserted[number]
                found.append(Row(record.group, record.key, record.name, record.text, place, is_due))
        return found

    async def _records(self, leg: Leg, topic: str, until: Offsets) -> AsyncIterator[tuple[Record, int, int]]:
        """The rows that a topic's messages say, with partition and offset."""
        assembly = Assembly()
        async for message in self._source.messages(topic, until):
            records: list[Record] = []
            if leg is Leg.USAGE:
                records = [usage_record(usage, message) for usage in usage_of(message, self._registry)]
            elif leg is Leg.CHARGES:
                records = [charge_record(charge_of(message))]
            elif leg is Leg.REJECTED:
                records = [] if is_marker(message) else [rejection_record(rejection_in(message))]
            elif (value := assembly.whole(message)) is not None:
                records = list(statement_records(value, message))
            for record in records:
                yield record, message.partition, message.offset

    def _rated(self, groups: Collection[Group]) -> tuple[list[Row], list[Row]]:
        """The usage of these accounts that was accepted, and the charges that it caused."""
        source, topics = self._source, self._source.topics
        cuts = asyncio.run(source.cuts())
        archived = stored.archived_records(
            self._database, groups, [offset for _, offset in sorted(cuts.inserted[topics.usage].items())]
        )
        ends = asyncio.run(source.ends(topics.charges, topics.usage_rejected, topics.usage))
        return asyncio.run(self._usage_and_charges(groups, cuts, archived, ends))

    async def _usage_and_charges(
        self,
        groups: Collection[Group],
        cuts: Cuts,
        archived: list[stored.ArchivedRecord],
        ends: Mapping[str, Offsets],
    ) -> tuple[list[Row], list[Row]]:
        source, topics = self._source, self._source.topics
        names = {group[:2] for group in groups}
        rejected = set()
        async for message in source.messages(topics.usage_rejected, ends[topics.usage_rejected]):
            if not is_marker(message):
                position = rejection_in(message).position
                if position.origin == topics.usage:
                    rejected.add((position.partition, position.offset, position.index))
        charges: dict[Key, Row] = {}
        async for message in source.messages(topics.charges, ends[topics.charges]):
            charge = charge_of(message)
            if charge.begins and (charge.tenant, charge.account) in names:
                key = (charge.tenant, charge.account, charge.source, charge.usage_id)
                group = (charge.tenant, charge.account, charge.meter, charge.statement_start)
                place = f"{message.topic}[{message.partition}]@{message.offset}"
                charges.setdefault(key, Row(group, key, f"{charge.charge_id}, of usage {charge.usage_id}", "", place))
        records = list(archived)
        inserted = cuts.inserted[topics.usage]
        async for message in source.messages(topics.usage, ends[topics.usage]):
            number, offset = message.partition, message.offset
            if offset >= inserted[number]:
                for usage in usage_of(message, self._registry):
                    said = usage.record
                    if (said.tenant, said.account) in names:
                        own = (said.tenant, said.account, said.source, said.id, number, offset, usage.number)
                        records.append(stored.ArchivedRecord(*own, said.quantity is not None))
        return list(_accepted(topics.usage, records, rejected, cuts.rated).values()), list(charges.values())


def _accepted(
    topic: str, records: list[stored.ArchivedRecord], rejected: set[tuple[int, int, int]], rated: Offsets
) -> dict[Key, Row]:
    """Each identity once: the first of its records that has to have a charge, or any where none has to."""
    rows: dict[Key, Row] = {}
    for record in sorted(records, key=lambda one: (one.partition, one.offset, one.number)):
        if (record.partition, record.offset, record.number) in rejected:
            continue
        key = (record.tenant, record.account, record.source, record.usage_id)
        is_due = record.is_required and record.offset < rated[record.partition]
        if key not in rows or (is_due and not rows[key].is_due):
            place = f"{topic}[{record.partition}]@{record.offset}" + (f"#{record.number}" if record.number else "")
            group = (record.tenant, record.account, "", "")
            rows[key] = Row(group, key, record.usage_id, "", place, is_due)
    return rows


def _limited(found: list[Difference], limit: int | None) -> list[Difference]:
    """The first of each group."""
    if limit is None:
        return found
    told: list[Difference] = []
    counts: dict[Group, int] = {}
    for one in found:
        counts[one.group] = counts.get(one.group, 0) + 1
        if counts[one.group] <= limit:
            told.append(one)
    return told


def _partition(key: Key) -> int:
    return int(key[0].partition("@")[0])


def _offset(key: Key) -> int:
    return int(key[0].partition("@")[2].partition("#")[0])
