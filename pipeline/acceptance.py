"""Acceptance: everything that one usage record changes, worked out whole before any of it is posted.

A record is rated in steps: what it corrects is taken out of the totals, then its own pieces are put in. Each step is a
charge. A step whose period has closed goes on the account's first open statement, or on a new revision of its own; one
that comes too late, or that no stored amount could hold, refuses the whole record, and nothing has changed.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from pipeline.adjusting import check_correction, seat_of
from pipeline.entries import Entry, Posting
from pipeline.intake import Refusal, amount_out_of_range, too_late
from pipeline.keeping import Fact, Groups, with_facts
from pipeline.ledger import LONG_AGO, AccountState, Ledger, Seat
from pipeline.placing import Piece, carried
from pipeline.posting import Period, Totals
from pipeline.rating import Rated, Used, is_storable, rate, rate_item
from schemas.charge import Charge, ChargeKind, Part
from schemas.digest import identity
from schemas.fixed_point import LIMIT
from schemas.instants import SECOND_US
from schemas.usage import UsageRecord


class Step(Struct, frozen=True, gc=False):
    """A posting put in (sign 1) or taken out (sign −1), and the charge that this makes on a statement.

    A step is not the record's own where it follows from another one: a level carried on, or a derived item.
    """

    charge_id: str
    seat: Seat
    posting: Posting
    sign: int
    corrects: str
    statement: Period
    rated: Rated
    is_own: bool = True


USAGE, ADJUSTMENT, REVERSAL = ChargeKind.USAGE, ChargeKind.ADJUSTMENT, ChargeKind.REVERSAL


def charge_id(key: bytes, number: int) -> str:
    """The id of a record's charge: the hex digits of the record's identity, numbered from the second charge on."""
    return f"{key.hex()}-{number}" if number else key.hex()


class Acceptance:
    """One record on its way into the ledger: `correct` and `put_in` plan its steps, `post` carries them out.

    `first` is the number of its first charge; where it is not 0, the record was accepted before and cannot be too late.
    """

    __slots__ = (
        "_corrected",
        "_facts",
        "_first",
        "_key",
        "_ledger",
        "_state",
        "_steps",
        "_usage",
        "is_late",
    )

    def __init__(
        self, ledger: Ledger, state: AccountState, usage: UsageRecord, key: bytes, facts: bytes, first: int = 0
    ) -> None:
        self._ledger = ledger
        self._state = state
        self._usage = usage
        self._key = key
        self._facts = facts
        self._first = first
        self._steps: list[Step] = []
        self._corrected: tuple[bytes, Entry] | None = None
        self.is_late = False

    def correct(self, seat: Seat) -> Refusal | None:
        """Plan to take out what the record corrects, or say why that cannot be; `seat` is the record's own."""
        usage = self._usage
        target = identity(usage.tenant, usage.source, usage.corrects or "")
        entry = self._ledger.find(target)
        refusal = check_correction(usage, entry)
        if refusal is not None:
            return refusal
        if entry is None:  # it has not come yet, and will be taken out when it does
            self._corrected = (target, Entry(self._facts, usage.account, usage.meter, [], usage.id, usage.tenant))
            is_closed = seat.period.start < self._state.open_from
            return self._too_late(seat) if is_closed else None
        self._corrected = (target, replace(entry, corrected_by=usage.id))
        return self._take_out(entry.postings, target)

    def take_out(self, postings: Sequence[Posting]) -> Refusal | None:
        """Plan to take out what the record itself has posted, or say why that cannot be."""
        refusal = self._take_out(postings, self._key)
        return self._derive() if refusal is None else refusal

    def _take_out(self, postings: Sequence[Posting], target: bytes) -> Refusal | None:
        """Plan to take out what the record of this identity has posted."""
        for posting in postings:
            seat = seat_of(self._state, posting)
            own = (seat, posting.usage_start, posting.usage_end, posting.shares, posting.facts)
            for piece in (own, *carried(self._state, own)):
                refusal = self.plan(piece, -1, charge_id(target, posting.number))
                if refusal is not None:
                    return refusal
        return None

    def put_in(self, pieces: Sequence[Piece], awaited_by: Entry | None) -> Refusal | None:
        """Plan to put the record's pieces in, and out again where a correction came before it; or say why not."""
        for piece in pieces:
            refusal = self.plan(piece, 1, "")
            if refusal is not None:
                return refusal
        if awaited_by is not None:
            for step in [step for step in self._steps if step.sign > 0]:
                posting = step.posting
                piece = (step.seat, posting.usage_start, posting.usage_end, posting.shares, posting.facts)
                self.plan(piece, -1, step.charge_id)
        for step in self._steps:
            if step.seat.terms.surcharged:
                return self._derive()
        return None

    def post(self, received: int, awaited_by: Entry | None) -> list[Charge]:
        """Carry the steps out and remember the record; the charges, in order."""
        ledger, state, usage, facts = self._ledger, self._state, self._usage, self._facts
        charges: list[Charge] = []
        postings: list[Posting] = []
        counted: list[Period] = []
        for step in self._steps:
            charges.append(self._post_step(step))
            if not step.is_own:
                continue
            statement, end = step.statement, step.posting.usage_end
            statement.cover(step.posting.usage_start, end)
            if statement not in counted:
                counted.append(statement)
                statement.count(facts)
                if awaited_by is not None and not self._counts(awaited_by, statement):
                    statement.count(awaited_by.usage_hash)
            if step.sign > 0:
                postings.append(step.posting)
                if state.advance_to(usage.meter, end, step.seat.period, received):
                    ledger.move(state)
        corrected_by = awaited_by.corrected_by if awaited_by is not None else ""
        ledger.entries[self._key] = Entry(facts, usage.account, usage.meter, postings, corrected_by, usage.tenant)
        if self._corrected is not None:
            target, entry = self._corrected
            ledger.entries[target] = entry
        return charges

    def post_again(self) -> tuple[list[Charge], list[Posting]]:
        """Carry out the steps of a record that is counted already; the charges, and what the record has posted."""
        charges = [self._post_step(step) for step in self._steps]
        return charges, [step.posting for step in self._steps if step.sign > 0 and step.is_own]

    def _counts(self, awaited_by: Entry, statement: Period) -> bool:
        """Whether the correction that waited for this record was counted on the statement for usage of its own."""
        usage = self._usage
        correction = self._ledger.find(identity(usage.tenant, usage.source, awaited_by.corrected_by))
        postings = correction.postings if correction is not None else []
        return any(posting.statement_start == statement.start for posting in postings)

    def plan(self, piece: Piece, sign: int, corrects: str) -> Refusal | None:
        """Rate one step on top of the steps before it, or say why not."""
        seat, start, end, shares, facts = piece
        steps = self._steps
        terms, statement, totals = seat.terms, seat.period, seat.totals
        if statement.start < self._state.open_from:
            late = self._late_statement(seat)
            if isinstance(late, Refusal):
                return late
            statement = late
        quantities, amount = totals.quantities, totals.amount
        if steps:
            for step in steps:
                if step.seat.totals is totals:
                    quantities, amount = step.rated.quantities, amount + step.rated.amount
        if terms.is_plain:
            rated = rate(terms.prices, quantities, shares, sign)
        else:
            rated = rate_item(terms.item, self._used(totals, quantities), shares, facts, sign)
            if not is_storable(rated):
                return amount_out_of_range(self._usage)
        change = rated.amount
        if not (-LIMIT < amount + change < LIMIT and -LIMIT < statement.running + change < LIMIT):
            return amount_out_of_range(self._usage)
        number = self._first + len(steps)
        posting = Posting(
            number,
            terms.period_start,
            terms.tariff,
            terms.version,
            terms.start,
            statement.start,
            start,
            end,
            shares,
            terms.meter,
            facts,
        )
        is_own = not facts or bool(facts[0].key)  # a level carried on has none
        steps.append(Step(charge_id(self._key, number), seat, posting, sign, corrects, statement, rated, is_own))
        return None

    def _late_statement(self, seat: Seat) -> Period | Refusal:
        """The statement that carries what comes after its period has closed, or why it comes too late."""
        state, period = self._state, seat.period
        self.is_late = True
        refusal = None if self._first else self._too_late(seat)
        return refusal or (period if period.revision else state.period(state.open_from))

    def _too_late(self, seat: Seat) -> Refusal | None:
        """Why a record of a closed period is not taken any more; None where it is."""
        state, terms = self._state, seat.terms
        if terms.period_end + terms.lateness >= state.watermarks.get(self._usage.meter, LONG_AGO):
            return None
        return too_late(self._usage, state.plan.calendar.name(terms.period_start), terms.lateness // SECOND_US)

    def _used(self, totals: Totals, quantities: list[int]) -> Used:
        """The state of the totals after the steps before."""
        before = [step.rated for step in self._steps if step.seat.totals is totals]
        if not before:
            groups = totals.groups if totals.added else self._begun_with(totals)
            return Used(quantities, groups, totals.base, not totals.added)
        groups = dict(totals.groups)
        for rated in before:
            groups.update(rated.groups)
        return Used(quantities, groups, before[-1].base, is_new=False)

    def _begun_with(self, totals: Totals) -> Groups:
        """What new totals begin with: a level as the steps before leave it, which are not posted yet."""
        kept, terms = totals.terms.item.kept, totals.terms
        if kept is None or not kept.is_carried or terms.period_start < self._state.open_from:  # those are carried to
            return totals.groups
        earlier = [
            step
            for step in self._steps
            if step.is_own and step.seat.terms.meter == terms.meter and step.seat.terms.start < terms.start
        ]
        change = sum(step.sign * fact.quantity for step in earlier for fact in step.posting.facts)
        fact = Fact(b"", terms.start, terms.start, change)
        return {**totals.groups, **with_facts(kept, totals.groups, (fact,), 1)} if change else totals.groups

    def _derive(self) -> Refusal | None:
        """Plan what the steps change in the items that are derived from those of the same terms."""
        state = self._state
        ranges = {
            (step.seat.terms.tariff, step.seat.terms.version, step.seat.terms.start): step
            for step in self._steps
            if step.seat.terms.surcharged
        }
        for step in ranges.values():
            period = step.seat.period
            amounts = self._amounts(step)
            for terms in state.derived_terms(step.seat.terms):
                totals = period.totals_of(terms)
                parts = terms.derived.price(amounts) if terms.derived is not None else []
                amounts[terms.meter] = sum(part.amount for part in parts)
                change = amounts[terms.meter] - totals.amount
                if not change:
                    continue
                name = parts[0] if parts else Part("", 0, 0, 0, 0)
                rated = Rated(totals.quantities, 0, 0, (replace(name, amount=change),), change)
                if not (-LIMIT < amounts[terms.meter] < LIMIT and -LIMIT < step.statement.running + change < LIMIT):
                    return amount_out_of_range(self._usage)
                number = self._first + len(self._steps)
                posting = replace(step.posting, number=number, shares=[], item=terms.meter, facts=())
                seat, made = Seat(terms, period, totals), charge_id(self._key, number)
                self._steps.append(Step(made, seat, posting, 1, "", step.statement, rated, is_own=False))
        return None

    def _amounts(self, step: Step) -> dict[str, int]:
        """What each item with the terms of a step costs after all steps."""
        of = step.seat.terms
        amounts = {
            name: totals.amount
            for (name, tariff, version, start), totals in step.seat.period.totals.items()
            if (tariff, version, start) == (of.tariff, of.version, of.start) and totals.terms.derived is None
        }
        for other in self._steps:
            terms = other.seat.terms
            if (terms.tariff, terms.version, terms.start) == (of.tariff, of.version, of.start):
                amounts[terms.meter] = amounts.get(terms.meter, 0) + other.rated.amount
        return amounts

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
            step.posting.usage_start,
            step.posting.usage_end,
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
        if not terms.is_plain:
            totals.base = rated.base
            totals.groups.update(rated.groups)
            for name in [name for name in rated.groups if not rated.groups[name]]:
                del totals.groups[name]
        statement.post(charge)
        if not period.touched:
            self._ledger.touch(self._state, period)
        if not statement.touched:
            self._ledger.touch(self._state, statement)
        return charge
