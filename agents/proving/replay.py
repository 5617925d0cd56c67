"""Replay: an account's usage is rated again from nothing, and comes to charges and statements once more.

Records are rated in the order of their topic; that order and the documents decide what they cost. Two things the topic
does not say, as they depend on how far the worker had come: before which record a document was taken in (by the time of
its publication, or earlier where the worker was behind), and before which record a marker closed a period (where it
stands, or later, as closing goes on between batches). Where the usual place does not give what is stored, the other
places are tried in turn, and what gives the same as is stored is how it went: the digests leave no room for chance.
Where none does, the usual place stands, and the difference is found by whoever compares.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agents.proving.history import History, Taken, UsageId
from agents.proving.likeness import Amiss, amiss
from agents.proving.replica import Closing, Replica
from agents.proving.stored import Stored
from agents.stream.documents import Name, Published
from pipeline.bill import MoneyError
from pipeline.ledger import LONG_AGO, LostTermsError
from pipeline.processing import Outcome
from schemas.charge import Charge
from schemas.digest import identity
from schemas.instants import SECOND_US
from schemas.statement import Statement
from sinks.archive_reads import AFTER_ALL, BEFORE_ALL, RecordPlace

_TOGETHER = 512
"""Records that are rated between two commits."""
_PATIENCE = 200
"""After so many steps for which no place of documents and markers gives what is stored, only the usual one is tried."""

_SKEW_US = 60 * SECOND_US
"""So much the clocks of brokers may differ: what was published longer before a record had been taken in before it."""


class StuckError(Exception):
    """The pipeline cannot go on: what is to be rated contradicts the documents. The text says where and why."""


@dataclass(slots=True)
class Replayed:
    """What the usage comes to. Charges are those of the statements of one period, in the order of their making."""

    charges: list[Charge] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    places: dict[UsageId, RecordPlace] = field(default_factory=dict)
    refused: dict[UsageId, str] = field(default_factory=dict)
    """Why records that are charged are not accepted this time."""
    unseen: set[UsageId] = field(default_factory=set)
    """Records that are charged and did not come."""
    records: int = 0
    first: RecordPlace | None = None
    last: RecordPlace | None = None
    elsewhere: set[int] = field(default_factory=set)
    """The starts of other periods whose statements or charges are not as stored."""
    documents: list[str] = field(default_factory=list)
    """Why documents are not taken this time."""


class _Way(NamedTuple):
    """One way in which a step may have gone: how many documents were known, what was closed before it, and whether the
    record that is corrected had been let go of.
    """

    documents: int
    closings: Sequence[Closing] = ()
    forgets: bool = False


class _Step(NamedTuple):
    """A step that was tried."""

    draft: Replica
    way: _Way
    outcome: Outcome
    amiss: Amiss
    refused: list[tuple[Published, str]]


class Replay:
    """The replay of one account, for the statements of the period that begins at `start`."""

    def __init__(
        self, name: Name, history: History, stored: Stored, start: int, *, documents_first: bool = True
    ) -> None:
        """`documents_first`: what was published about when a record was appended had been taken in before that."""
        needed = frozenset(identity(name[0], source, usage_id) for source, usage_id in history.needed)
        self._replica = Replica(name, needed)
        self._history, self._stored, self._start = history, stored, start
        self._documents = history.documents
        self._documents_first = documents_first
        self._adopted = 0
        self.is_certain = True
        """Whether there was no document about which `documents_first` says anything."""
        self._waiting: list[Closing] = []
        self._run: list[Taken] = []
        self._astray = False
        self._fruitless = 0
        self._place = self._until = BEFORE_ALL
        self._appended = LONG_AGO
        self._result = Replayed()
        rows = stored.rows(start).values()
        self._charged = {(row.source, row.usage_id) for each in rows for row in each if row.usage_id}
        self._result.unseen = set(self._charged)

    def run(self) -> Replayed:
        """All of it. Raises StuckError."""
        for event in self._history.events():
            self._place, self._appended = event.place, event.appended
            if isinstance(event, Taken):
                self._take(event)
            else:
                self._close(event.closing)
        self._commit()
        if self._waiting:
            self._go(self._closed(self._waiting), None)
        return self._result

    # Records.

    def _take(self, event: Taken) -> None:
        result = self._result
        result.records += 1
        result.first = result.first or event.place
        result.last = event.place
        result.unseen.discard((event.usage.source, event.usage.id))
        usual = self._usual()
        ways = list(self._ways(usual, event))
        if usual == self._adopted:
            outcome = self._rated(event)
            is_right = outcome is not None and self._is_right(amiss(outcome, self._stored))
            if outcome is not None and (is_right or len(ways) == 1):
                self._astray = self._astray or not is_right
                self._run.append(event)
                self._accept(outcome, event)
                if len(self._run) >= _TOGETHER:
                    self._commit()
                self._close_what_waited()
                return
            self._go_back()
        self._commit()
        self._go(self._tried(ways, event), event)
        self._close_what_waited()

    def _rated(self, event: Taken) -> Outcome | None:
        """What the record comes to; None where the pipeline cannot go on."""
        try:
            return self._replica.rate(event.usage, event.appended)
        except (MoneyError, LostTermsError):
            return None

    def _ways(self, usual: int, event: Taken | None = None) -> Iterator[_Way]:
        """The ways in which a step may have gone, the usual one first."""
        if self._fruitless >= _PATIENCE:
            yield _Way(usual)
            return
        fewer, more = range(usual - 1, self._known(_SKEW_US) - 1, -1), range(usual + 1, len(self._documents) + 1)
        for count in (usual, *fewer, *more):
            for closings in ((), tuple(self._waiting)) if self._waiting else ((),):
                yield _Way(count, closings)
                if event is not None and event.usage.corrects is not None:
                    yield _Way(count, closings, forgets=True)

    def _usual(self) -> int:
        """How many documents have been taken in by now, unless what is stored says otherwise."""
        for_certain = self._known(_SKEW_US)
        published = self._known(0)
        self.is_certain = self.is_certain and published == for_certain
        return published if self._documents_first else for_certain

    def _known(self, skew: int) -> int:
        """How many documents had been published so long before what is looked at now."""
        count = self._adopted
        while count < len(self._documents) and self._documents[count].appended <= self._appended - skew:
            count += 1
        return count

    # Closing.

    def _close(self, closing: Closing) -> None:
        """A marker: close what it is about, unless that has to wait for records that come after it."""
        if self._usual() == self._adopted and not self._replica.closes(closing):
            return
        self._commit()
        step = self._closed((*self._waiting, closing))
        if self._is_early(step):
            self._fruitless += bool(self._waiting)
            self._waiting.append(closing)
        else:
            self._go(step, None)

    def _closed(self, closings: Sequence[Closing]) -> _Step:
        """What these closings come to here."""
        return self._tried(
            [_Way(way.documents, closings) for way in self._ways(self._usual()) if not way.closings], None
        )

    def _is_early(self, step: _Step) -> bool:
        """Whether records that come later are on a statement of this closing, or complete it; `_until` is the last."""
        if self._fruitless >= _PATIENCE:
            return False
        self._until = BEFORE_ALL
        for statement in step.outcome.statements:
            expected = self._stored.expected(statement)
            if expected is None:
                continue
            if expected.complete > statement.complete:
                self._until = AFTER_ALL
            elif expected.usage_records > statement.usage_records:
                self._until = max(self._until, self._last_to_come(step, expected))
        return self._until > self._place

    def _last_to_come(self, step: _Step, statement: Statement) -> RecordPlace:
        """Where the last of the usage stands that is on a statement and has not come yet, as far as it ever comes."""
        rows = [row for each in self._stored.rows(statement.period_start).values() for row in each if row.usage_id]
        lacking = dict.fromkeys(row.usage_id for row in rows if not step.draft.has(row.source, row.usage_id))
        return self._history.last_of(list(lacking), self._place)

    def _close_what_waited(self) -> None:
        """Once the open period has all of the usage that its statement says, or no more of it is to come."""
        if not self._waiting or not (self._place >= self._until or self._has_all()):
            return
        self._waiting = [closing for closing in self._waiting if self._replica.closes(closing)]
        if self._waiting:
            self._commit()
            step = self._closed(self._waiting)
            if not self._is_early(step):
                self._go(step, None)

    def _has_all(self) -> bool:
        state = self._replica.state
        if state is None:
            return False
        period = state.period(state.open_from)
        own = [statement for statement in self._stored.of_period(period.start) if statement.number == 0]
        return bool(own) and own[0].usage_records == period.usage_records and not own[0].complete

    # Steps.

    def _tried(self, ways: Sequence[_Way], event: Taken | None) -> _Step:
        """The first way that gives what is stored, or the one that comes nearest. Raises StuckError."""
        best: _Step | None = None
        why: Exception | None = None
        for way in ways:
            try:
                step = self._tried_one(way, event)
            except (MoneyError, LostTermsError) as error:
                why = why or error
                continue
            if best is None or step.amiss < best.amiss:
                best = step
            if self._is_right(best.amiss):
                break
        if best is None:
            at = "at the end" if event is None else f"at offset {event.place.offset}"
            raise StuckError(f"{at}: {why}")
        return best

    def _tried_one(self, way: _Way, event: Taken | None) -> _Step:
        draft = self._replica.draft()
        refused = draft.adopt(self._documents[self._adopted : way.documents]) if way.documents > self._adopted else []
        outcome = Outcome()
        if way.forgets and event is not None:
            draft.forget_record(event.usage.source, event.usage.corrects or "")
        for closing in way.closings:
            _add(outcome, draft.close(closing))
        if event is not None:
            _add(outcome, draft.rate(event.usage, event.appended))
        return _Step(draft, way, outcome, amiss(outcome, self._stored), refused)

    def _go(self, step: _Step, event: Taken | None) -> None:
        """Take the step."""
        step.draft.commit()
        self._replica.keep(step.draft)
        self._adopted = step.way.documents
        if step.way.closings:
            self._waiting.clear()
        if not self._is_right(step.amiss):
            self._astray = True
            self._fruitless += 1
        self._result.documents += [why for _, why in step.refused]
        self._accept(step.outcome, event)

    def _go_back(self) -> None:
        """To before the last record, which did not come to what is stored."""
        self._replica.forget_uncommitted()
        for event in self._run:
            self._replica.rate(event.usage, event.appended)

    def _commit(self) -> None:
        if self._run:
            self._replica.commit()
            self._run.clear()

    def _accept(self, outcome: Outcome, event: Taken | None) -> None:
        """Keep what is about the period; of others, whether they are as stored."""
        result = self._result
        for charge in outcome.charges:
            if charge.statement_start == self._start:
                result.charges.append(charge)
                if event is not None and charge.usage_id:
                    result.places[charge.source, charge.usage_id] = event.place
            elif charge.statement_start <= self._stored.last_start and not self._is_stored(charge):
                result.elsewhere.add(charge.statement_start)
        for statement in outcome.statements:
            if statement.period_start == self._start:
                result.statements.append(statement)
            elif self._stored.expected(statement) != statement and statement.period_start <= self._stored.last_start:
                result.elsewhere.add(statement.period_start)  # after the last one, closing may not have come so far
        if event is not None and (event.usage.source, event.usage.id) in self._charged:
            for _, refusal in outcome.refusals:
                result.refused[event.usage.source, event.usage.id] = refusal.message

    # What is stored.

    def _is_stored(self, charge: Charge) -> bool:
        return charge in self._stored.rows(charge.statement_start).get(charge.charge_id, ())

    def _is_right(self, amiss: Amiss) -> bool:
        """Whether it is what is stored; once something is not, sums differ, and what was charged where has to do."""
        return not amiss.shape if self._astray else not amiss.whole


def _add(outcome: Outcome, more: Outcome) -> None:
    outcome.charges += more.charges
    outcome.statements += more.statements
    outcome.refusals += more.refusals
