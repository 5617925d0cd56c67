"""Acceptance: everything that one usage record changes, worked out whole before any of it is posted.

A record is rated in steps: what it corrects is taken out of the totals, then its own pieces are put in. Each step is a
charge. A step whose period has closed goes on the account's first open statement, or on a new revision of its own; one
that comes too late, or that no stored amount could hold, refuses the whole record, and nothing has changed.
"""

from collections.abc import Sequence

from msgspec import Struct

from pipeline.adjusting import check_correction, seat_of
from pipeline.entries import Entry, Posting
from pipeline.intake import Refusal, amount_out_of_range, too_late
from pipeline.ledger import LONG_AGO, AccountState, Ledger, Seat
from pipeline.posting import Period
from pipeline.rating import Rated, Shares, rate
from schemas.charge import Charge, ChargeKind
from schemas.digest import identity
from schemas.fixed_point import LIMIT
from schemas.instants import SECOND_US
from schemas.usage import UsageRecord

Piece = tuple[Seat, int, int, Shares]
"""The share of a record that falls to one seat: seat, start, end, quantity by band."""


class Step(Struct, frozen=True, gc=False):
    """A piece put in (sign 1) or taken out (sign −1), and the charge that this makes on a statement."""

    charge_id: str
    seat: Seat
    start: int
    end: int
    shares: Shares
    sign: int
    corrects: str
    statement: Period
    rated: Rated


USAGE, ADJUSTMENT, REVERSAL = ChargeKind.USAGE, ChargeKind.ADJUSTMENT, ChargeKind.REVERSAL


def charge_id(key: bytes, number: int) -> str:
    """The id of a record's charge: the hex digits of the record's identity, numbered from the second charge on."""
    return f"{key.hex()}-{number}" if number else key.hex()


class Acceptance:
    """One record on its way into the ledger: `correct` and `put_in` plan its steps, `post` carries them out."""

    __slots__ = ("_corrected", "_facts", "_key", "_ledger", "_state", "_steps", "_usage", "is_late")

    def __init__(self, ledger: Ledger, state: AccountState, usage: UsageRecord, key: bytes, facts: bytes) -> None:
        self._ledger = ledger
        self._state = state
        self._usage = usage
        self._key = key
        self._facts = facts
        self._steps: list[Step] = []
        self._corrected: tuple[bytes, Entry] | None = None
        self.is_late = False

    def correct(self) -> Refusal | None:
        """Plan to take out what the record corrects, or say why that cannot be."""
        usage = self._usage
        target = identity(usage.tenant, usage.source, usage.corrects or "")
        entry = self._ledger.find(target)
        refusal = check_correction(usage, entry)
        if refusal is not None:
            return refusal
        if entry is None:  # it has not come yet, and will be taken out when it does
            self._corrected = (target, Entry(self._facts, usage.account, usage.meter, [], usage.id))
            return None
        self._corrected = (target, Entry(entry.usage_hash, entry.account, entry.meter, entry.postings, usage.id))
        for posting in entry.postings:
            seat = seat_of(self._state, usage.meter, posting)
            refusal = self._plan(
                seat, posting.usage_start, posting.usage_end, posting.shares, -1, charge_id(target, posting.number)
            )
            if refusal is not None:
                return refusal
        return None

    def put_in(self, pieces: Sequence[Piece], awaited_by: Entry | None) -> Refusal | None:
        """Plan to put the record's pieces in, and out again where a correction came before it; or say why not."""
        for seat, start, end, shares in pieces:
            refusal = self._plan(seat, start, end, shares, 1, "")
            if refusal is not None:
                return refusal
        if awaited_by is not None:
            for step in [step for step in self._steps if step.sign > 0]:
                self._plan(step.seat, step.start, step.end, step.shares, -1, step.charge_id)
        return None

    def post(self, received: int, awaited_by: Entry | None) -> list[Charge]:
        """Carry the steps out and remember the record; the charges, in order."""
        ledger, state, usage, facts = self._ledger, self._state, self._usage, self._facts
        charges: list[Charge] = []
        postings: list[Posting] = []
        counted: list[Period] = []
        for number, step in enumerate(self._steps):
            statement, start, end = step.statement, step.start, step.end
            charges.append(self._post_step(step))
            statement.cover(start, end)
            if statement not in counted:
                counted.append(statement)
                statement.count(facts)
                if awaited_by is not None and not self._counts(awaited_by, statement):
                    statement.count(awaited_by.usage_hash)
            if step.sign > 0:
                terms = step.seat.terms
                postings.append(
                    Posting(
                        number,
                        terms.period_start,
                        terms.tariff,
                        terms.version,
                        terms.start,
                        statement.start,
                        start,
                        end,
                        step.shares,
                    )
                )
                if state.advance_to(terms.meter, end, step.seat.period, received):
                    ledger.move(state)
        corrected_by = awaited_by.corrected_by if awaited_by is not None else ""
        ledger.entries[self._key] = Entry(facts, usage.account, usage.meter, postings, corrected_by)
        if self._corrected is not None:
            target, entry = self._corrected
            ledger.entries[target] = entry
        return charges

    def _counts(self, awaited_by: Entry, statement: Period) -> bool:
        """Whether the correction that waited for this record was counted on the statement for usage of its own."""
        usage = self._usage
        correction = self._ledger.find(identity(usage.tenant, usage.source, awaited_by.corrected_by))
        postings = correction.postings if correction is not None else []
        return any(posting.statement_start == statement.start for posting in postings)

    def _plan(self, seat: Seat, start: int, end: int, shares: Shares, sign: int, corrects: str) -> Refusal | None:
        """Rate one step on top of the steps before it."""
        state, steps = self._state, self._steps
        terms, period, totals = seat.terms, seat.period, seat.totals
        statement = period
        if period.start < state.open_from:
            self.is_late = True
            if not period.revision:
                statement = state.period(state.open_from)
            if terms.period_end + terms.lateness < state.watermarks.get(terms.meter, LONG_AGO):
                name = state.plan.calendar.name(terms.period_start)
                return too_late(self._usage, name, terms.lateness // SECOND_US)
        quantities, amount = totals.quantities, totals.amount
        if steps:
            for step in steps:
                if step.seat.totals is totals:
                    quantities, amount = step.rated.quantities, amount + step.rated.amount
        rated = rate(terms, quantities, shares, sign)
        change = rated.amount
        if not (-LIMIT < amount + change < LIMIT and -LIMIT < statement.running + change < LIMIT):
            return amount_out_of_range(self._usage)
        steps.append(Step(charge_id(self._key, len(steps)), seat, start, end, shares, sign, corrects, statement, rated))
        return None

    def _post_step(self, step: Step) -> Charge:
        usage, rated, statement = self._usage, step.rated, step.statement
        terms, period, totals = step.seat.terms, step.seat.period, step.seat.totals
        kind = REVERSAL if step.sign < 0 else USAGE if statement is period else ADJUSTMENT
        amount = rated.amount
        charge = Charge(
            step.charge_id,
            kind,
            usage.tenant,
            usage.account,
            usage.source,
            usage.id,
            terms.meter,
            terms.unit,
            step.start,
            step.end,
            terms.period_start,
            terms.period_end,
            statement.start,
            statement.end,
            rated.used_before,
            rated.quantity,
            rated.parts,
            amount,
            terms.currency,
            terms.tariff,
            terms.version,
            statement.running + amount,
            step.corrects,
        )
        if not totals.added:
            period.add(totals)
        totals.quantities = rated.quantities
        totals.amount += amount
        statement.post(charge)
        if not period.touched:
            self._ledger.touch(self._state, period)
        if not statement.touched:
            self._ledger.touch(self._state, statement)
        return charge
