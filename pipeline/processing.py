"""Processing: usage records in, charges and statements out, one record after the other.

Every result depends on the records and their order alone, never on how they were batched or on a clock: `received` is
when each record arrived, as whoever took it in has written it down. For each record, in this order:
  1. its account, times, terms and quantity are checked (intake.py);
  2. a record that was accepted before is a duplicate; the same id with other facts is refused;
  3. it is rated in pieces, all of them before any is posted (rating.py), and posted (posting.py), which may give cause
     for an interim statement (progressive.py);
  4. the periods that its account has now passed are closed (closing.py).
Nothing that is refused has changed anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.acceptance import Acceptance
from pipeline.adjusting import plan_revisions
from pipeline.closing import close_next
from pipeline.intake import (
    FUTURE_TOLERANCE_US,
    Refusal,
    id_reused,
    impossible_times,
    measure,
    no_terms,
    unknown_account,
)
from pipeline.ledger import LONG_AGO, AccountState, Ledger
from pipeline.placing import NO_FACTS, Piece, pieces_of
from pipeline.progressive import interim_statements
from pipeline.rating import in_bands
from pipeline.terms import FOREVER
from schemas.charge import Charge
from schemas.digest import identity, usage_hash
from schemas.instants import to_us
from schemas.statement import Statement
from schemas.usage import UsageRecord


@dataclass
class Outcome:
    """What a run of records came to. `refusals` have the index of their record; `late` and `rounded` were accepted."""

    charges: list[Charge] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    refusals: list[tuple[int, Refusal]] = field(default_factory=list)
    accepted: int = 0
    duplicates: int = 0
    late: int = 0
    rounded: int = 0


class Pipeline:
    """The pipeline over one ledger. `closes` False leaves all closing to `close_all`."""

    def __init__(self, ledger: Ledger, *, closes: bool = True) -> None:
        self.ledger = ledger
        self._closes = closes

    def process(self, records: Sequence[UsageRecord], received: Sequence[int]) -> Outcome:
        """Take the records in, each with the instant at which it arrived.

        Raises MoneyError where charges, totals and statement do not agree.
        """
        outcome = Outcome()
        identities = [identity(usage.tenant, usage.source, usage.id) for usage in records]
        stored = self.ledger.stored_entries(identities)
        for index, usage in enumerate(records):
            refusal = self._take(usage, identities[index], stored[index], received[index], outcome)
            if refusal is not None:
                outcome.refusals.append((index, refusal))
        outcome.accepted = len(records) - outcome.duplicates - len(outcome.refusals)
        return outcome

    def close_silent(self, state: AccountState, now: int, declared: int, outcome: Outcome) -> None:
        """Close the periods that wait in vain: silence has lasted since the last usage, or since `declared`."""
        while (due := state.silent_after(declared)) is not None and due <= now:
            self._close(state, outcome)

    def close_until(self, state: AccountState, end: int, outcome: Outcome) -> None:
        """Close the periods that end by an instant, whatever they wait for."""
        while state.silent_after(LONG_AGO) is not None and state.plan.calendar.period(state.open_from)[1] <= end:
            self._close(state, outcome)

    def close_all(self, state: AccountState, outcome: Outcome) -> None:
        """Close every period of the account that holds usage, and those before it."""
        while state.held():
            self._close(state, outcome)

    def _take(  # noqa: C901, PLR0911, PLR0912 - the four steps, told in one place
        self, usage: UsageRecord, key: bytes, stored: bytes | None, received: int, outcome: Outcome
    ) -> Refusal | None:
        """Accept the record and add what it causes to the outcome, or say why not."""
        # 1. Is it a measurement that this account's meter can have made?
        ledger = self.ledger
        state = ledger.account(usage.tenant, usage.account)
        if state is None:
            return unknown_account(usage)
        start, end = to_us(usage.start), to_us(usage.end)
        if end < start or end > received + FUTURE_TOLERANCE_US:
            return impossible_times(usage, received)
        seat = state.seat(usage.meter, start)
        if seat is None:
            return no_terms(usage, priced=usage.meter in state.plan.meters)
        measured = measure(usage, seat.terms)
        if isinstance(measured, Refusal):
            return measured
        quantity, rounded = measured
        # 2. Is it new?
        facts = usage_hash(
            key, usage.account, usage.meter, quantity, start, end, usage.session, usage.attributes, usage.corrects
        )
        known = ledger.entry_of(key, stored)
        if known is not None and not known.is_awaited:
            if known.usage_hash != facts:
                return id_reused(usage)
            outcome.duplicates += 1
            return None
        if known is not None and (quantity is None or (known.account, known.meter) != (usage.account, usage.meter)):
            known = None  # what came to correct it cannot: this is a void, or about something else
        # 3. What does it change?
        if quantity is None:
            pieces: list[Piece] = []
        elif seat.is_plain and end <= seat.terms.end:  # nearly every record
            timeline = seat.terms.timeline
            shares = [(0, quantity)] if timeline is None else in_bands(timeline, start, end, quantity)
            pieces = [(seat, start, end, shares, NO_FACTS)]
        else:
            placed = pieces_of(state, seat, usage, key, quantity)
            if isinstance(placed, Refusal):
                return placed
            pieces = placed
        acceptance = Acceptance(ledger, state, usage, key, facts)
        if known is None and seat.is_plain and len(pieces) == 1 and usage.corrects is None:  # nearly every record
            refusal = acceptance.plan(pieces[0], 1, "")
        else:
            refusal = acceptance.correct(seat) if usage.corrects is not None else None
            refusal = refusal or acceptance.put_in(pieces, known)
        if refusal is not None:
            return refusal
        charges = acceptance.post(received, known)
        outcome.charges += charges
        if acceptance.is_late:
            outcome.late += 1
            plan_revisions(ledger, state, charges)
        if state.progressive is not None:
            outcome.statements += interim_statements(ledger, state, state.progressive, charges)
        if rounded:
            outcome.rounded += 1
        # 4. What has ended?
        if self._closes and end >= state.awaited.get(usage.meter, FOREVER):
            while state.is_complete():
                self._close(state, outcome)
        return None

    def _close(self, state: AccountState, outcome: Outcome) -> None:
        closed = close_next(self.ledger, state)
        outcome.charges += closed.charges
        outcome.statements += closed.statements
