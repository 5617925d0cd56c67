"""Re-rating: usage that was rated under the terms of its time is rated again under those of today.

Two plans of the same account are given: the one under which it is booked, and the one that is asked for. Where the
versions in force differ, whole ranges of terms are exchanged: every record is taken out of the totals of the old range
at what it is worth there, and put into those of the new one in the order of event time; what then is left of the old
range (a fee that is due without usage) is reversed by a charge of its own. So every total is the price of its usage
again, and what is owed is what the asked plan would have come to from the start. Closed statements stay: differences
are adjustments, or join a revision. A record is not used again: counts and digests of usage stay as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from pipeline.acceptance import Acceptance
from pipeline.adjusting import plan_revisions
from pipeline.closing import Issue, true_ups_due, unused
from pipeline.entries import Entry, Key, Posting, Store, account_key
from pipeline.intake import Refusal, measure, no_terms
from pipeline.ledger import LONG_AGO, AccountState, Ledger
from pipeline.placing import Piece, pieces_of
from pipeline.posting import Period, Totals
from pipeline.progressive import interim_statements
from pipeline.recurring import fee_changes
from pipeline.terms import FOREVER, AccountPlan, Plans
from schemas.charge import Charge, ChargeKind
from schemas.digest import identity, usage_hash
from schemas.fixed_point import QUANTITY_SCALE, to_text
from schemas.instants import to_iso, to_us
from schemas.statement import Statement
from schemas.usage import UsageRecord

FIRST_AGAIN = 1_000_000
"""The charges of a record's first re-rating are numbered from here, those of the next from twice this."""

Range = tuple[str, str, int, int]
"""Tariff, version, start and end of a range of terms."""


class CannotRerateError(Exception):
    """An account cannot be rated again; the text says why, and what to do."""


class Given(NamedTuple):
    """A usage record as it was booked: its identity, its quantity (None: a void) and its entry."""

    usage: UsageRecord
    key: bytes
    quantity: int | None
    entry: Entry

    @property
    def counts(self) -> bool:
        """Whether it is part of the totals: it is no void, and nothing has corrected it."""
        return self.quantity is not None and not self.entry.corrected_by


class Again(NamedTuple):
    """A record that was rated again: what it was booked under, and its charges now."""

    given: Given
    was: tuple[Posting, ...]
    charges: list[Charge]


class DueAgain(NamedTuple):
    """What is due without usage, before and after: a fee, or what a closed period falls short of a minimum."""

    period_start: int
    tariff: str
    version: str
    name: str
    booked: int
    now: int


class Rerated(Struct):
    """What rating an account again comes to. `changes` are to be stored together with charges and statements.

    `amounts` is what the usage of each period came to and comes to, exact; `exchanged` are the starts of the periods in
    which other versions are in force now.
    """

    records: list[Again] = []
    dues: list[DueAgain] = []
    charges: list[Charge] = []
    statements: list[Statement] = []
    amounts: dict[int, tuple[int, int]] = {}
    exchanged: frozenset[int] = frozenset()
    changes: dict[Key, bytes] = {}


def recognised(ledger: Ledger, usage: UsageRecord) -> Given | None:
    """The record as it was booked; None where it was never accepted, or with other facts."""
    state = ledger.account(usage.tenant, usage.account)
    key = identity(usage.tenant, usage.source, usage.id)
    entry = ledger.find(key)
    if state is None or entry is None or entry.is_awaited:
        return None
    start, end = to_us(usage.start), to_us(usage.end)
    seat = state.seat(usage.meter, start)
    measured = None if seat is None else measure(usage, seat.terms)
    if measured is None or isinstance(measured, Refusal):
        return None
    facts = usage_hash(
        key, usage.account, usage.meter, measured[0], start, end, usage.session, usage.attributes, usage.corrects
    )
    return Given(usage, key, measured[0], entry) if facts == entry.usage_hash else None


def differs(booked: AccountPlan, asked: AccountPlan) -> bool:
    """Whether other versions are in force for the account, at any time."""
    return _ranges(booked) != _ranges(asked)


def rerate(
    booked: Plans, asked: Plans, store: Store, account: tuple[str, str], given: Sequence[Given], *, compares: bool
) -> Rerated:
    """Rate an account's records again, given in the order of event time. Nothing is stored.

    To compare, all of them are rated again; to book, only what other terms are in force for now. Raises
    CannotRerateError.
    """
    old = Ledger(booked, store)
    state, plan = old.account(*account), asked.account(*account)
    if state is None or plan is None or store.get(account_key(*account)) is None:
        return Rerated()
    again = _Rerating(old, state, plan, compares=compares)
    counted = [one for one in given if one.counts]
    again.take_out(counted)
    overlay = _Overlay(store, old.changes())
    new = Ledger(asked, overlay)
    now = new.account(*account)
    if now is None:
        raise CannotRerateError(f"account {account[1]} is not declared any more. Declare it again.")
    again.put_in(new, now, counted)
    again.settle(new, now)
    again.result.changes = {**overlay.changes, **new.changes()}
    return again.result


class _Exchange(NamedTuple):
    """The ranges of a period that are in force no more, and those that are instead."""

    outs: frozenset[Range]
    ins: frozenset[Range]


class _Rerating:
    """One account on its way from one plan to another."""

    def __init__(self, ledger: Ledger, state: AccountState, plan: AccountPlan, *, compares: bool) -> None:
        self._ledger, self._state, self._plan, self._compares = ledger, state, plan, compares
        self._exchanges = _exchanges(state, plan)
        self._taken: dict[bytes, tuple[list[Posting], int]] = {}
        self._before: dict[int, int] = {}
        self.result = Rerated(exchanged=frozenset(self._exchanges))
        for start in self._exchanges:
            self._note(start)
        _refuse_levels(state, plan, self._exchanges)

    def take_out(self, given: Sequence[Given]) -> None:
        """Take the records out of the totals, the last one first; old ranges then are gone."""
        for one in reversed(given):
            outs = [posting for posting in one.entry.postings if self._compares or self._is_out(posting)]
            first = (max(posting.number for posting in one.entry.postings) // FIRST_AGAIN + 1) * FIRST_AGAIN
            self._taken[one.key] = ([], first)
            if not outs:
                continue
            for posting in outs:
                self._note(posting.period_start)
            move = Acceptance(self._ledger, self._state, one.usage, one.key, one.entry.usage_hash, first)
            _stop_at(move.take_out(outs))
            charges, _ = move.post_again()
            self.result.charges += charges
            self._taken[one.key] = (outs, first + len(charges))
        for start, exchange in self._exchanges.items():
            self._clear(self._state.period(start), exchange.outs)

    def put_in(self, ledger: Ledger, state: AccountState, given: Sequence[Given]) -> None:
        """Put the records into the totals of the ranges that are in force now."""
        for one in given:
            outs, first = self._taken[one.key]
            if not (outs or self._reaches(one.usage)):
                continue
            pieces = [piece for piece in _pieces(state, one) if self._compares or self._is_in(piece[0].totals)]
            if not (outs or pieces):
                continue
            move = Acceptance(ledger, state, one.usage, one.key, one.entry.usage_hash, first)
            _stop_at(move.put_in(pieces, None))
            charges, posted = move.post_again()
            self.result.charges += charges
            self.result.records.append(Again(one, tuple(outs), charges))
            stays = [posting for posting in one.entry.postings if posting not in outs]
            entry = one.entry
            ledger.entries[one.key] = replace(entry, postings=[*stays, *posted], corrected_by="")

    def settle(self, ledger: Ledger, state: AccountState) -> None:
        """What no record causes: fees and minimums of closed periods; then what follows from all of it."""
        result = self.result
        for start in sorted(self._exchanges):
            period = state.period(start)
            if start < state.open_from:
                self._settle_closed(ledger, state, period)
        for start, before in self._before.items():
            result.amounts[start] = (before, _usage_amount(state.period(start)))
        plan_revisions(ledger, state, result.charges)
        progressive = state.plan.account.progressive
        if progressive is not None:
            result.statements += interim_statements(ledger, state, progressive, result.charges)

    def _settle_closed(self, ledger: Ledger, state: AccountState, period: Period) -> None:
        result = self.result
        statement = _statement_of(state, period)
        issue = Issue(state, statement)
        result.charges += unused(ledger, state, period, issue)
        for fee, was, now in fee_changes(self._state, state, period.start, period.end):
            of = (fee.tariff, fee.version)
            result.dues.append(DueAgain(period.start, *of, fee.name, was, now))
            since = statement.charges + 1
            result.charges.append(issue(ChargeKind.ADJUSTMENT, period, of, fee.name, int(fee.exact), since=since))
            period.fees.append(fee)
        due = true_ups_due(state, period)
        for key in sorted({*due, *period.true_ups}):  # charged when the next statement is drawn up
            was, now = period.true_ups.get(key, 0), due.get(key, 0)
            if was != now:
                name = " ".join(filter(None, ("Minimum", key[2])))
                result.dues.append(DueAgain(period.start, *key[:2], name, was, now))
        if due != period.true_ups:
            if statement is period:
                state.period(state.open_from).revised.add(period.start)
            else:
                statement.adjusted.setdefault(period.start, 0)
            ledger.touch(state, state.period(state.open_from))
        ledger.touch(state, period)
        ledger.touch(state, statement)

    def _note(self, start: int) -> None:
        """Remember what the usage of a period came to."""
        if start not in self._before:
            self._before[start] = _usage_amount(self._state.period(start))

    def _clear(self, period: Period, outs: frozenset[Range]) -> None:
        """Let the totals of ranges go that are in force no more, and reverse what is left of their amounts."""
        issue = Issue(self._state, _statement_of(self._state, period))
        for key, totals in list(period.totals.items()):
            if _range(totals) not in outs:
                continue
            self._refuse_rest(period, totals)
            del period.totals[key]
            if totals.amount:
                terms, since = totals.terms, issue.period.charges + 1
                charge = issue(
                    ChargeKind.REVERSAL, period, (terms.tariff, terms.version), terms.meter, -totals.amount, since=since
                )
                self.result.charges.append(charge)
                self._ledger.touch(self._state, issue.period)
        self._ledger.touch(self._state, period)

    def _refuse_rest(self, period: Period, totals: Totals) -> None:
        """Usage that was not given cannot be rated again."""
        facts = [fact for group in totals.groups.values() for fact in group if fact.key or fact.quantity]
        if not facts and not any(totals.quantities):
            return
        terms, state = totals.terms, self._state
        rest = f" ({to_text(sum(totals.quantities), QUANTITY_SCALE)} {terms.unit})" if terms.is_plain else ""
        raise CannotRerateError(
            f"account {state.account}: usage of {terms.meter!r} in {state.plan.calendar.name(period.start)} that was "
            f"rated under {terms.tariff} {terms.version} is not in the files{rest}. Give the files with all of it."
        )

    def _reaches(self, usage: UsageRecord) -> bool:
        """Whether the record lies in a period in which something is exchanged, though it may not count there yet."""
        start, end = to_us(usage.start), to_us(usage.end)
        return any(start < self._state.period(at).end and end >= at for at in self._exchanges)

    def _is_out(self, posting: Posting) -> bool:
        exchange = self._exchanges.get(posting.period_start)
        of = (posting.tariff, posting.version, posting.start)
        return exchange is not None and any(out[:3] == of for out in exchange.outs)

    def _is_in(self, totals: Totals) -> bool:
        exchange = self._exchanges.get(totals.terms.period_start)
        return exchange is not None and _range(totals) in exchange.ins


class _Overlay:
    """A store with changes that are not stored yet."""

    def __init__(self, store: Store, changes: Mapping[Key, bytes]) -> None:
        self._store, self.changes = store, changes

    def get(self, key: Key) -> bytes | None:
        """The value, or None."""
        return self.changes.get(key) or self._store.get(key)

    def get_many(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """The values of the keys, in their order."""
        return [self.get(key) for key in keys]


def _exchanges(state: AccountState, plan: AccountPlan) -> dict[int, _Exchange]:
    """By the start of a period that has begun for the account: what is in force there no more, and what is instead."""
    booked = state.plan
    if not differs(booked, plan) or not booked.assignments:
        return {}
    _refuse_earlier(state, plan)
    found: dict[int, _Exchange] = {}
    start, end = booked.calendar.period(booked.assignments[0].start)
    last = max(
        [state.open_from, *(period.start for period in state.held()), *(m - 1 for m in state.watermarks.values())]
    )
    while start <= last:
        was, now = frozenset(_within(booked, start, end)), frozenset(_within(plan, start, end))
        if was != now:
            found[start] = _Exchange(was - now, now - was)
        start, end = booked.calendar.period(end)
    return found


def _refuse_earlier(state: AccountState, plan: AccountPlan) -> None:
    """What was never stated cannot be adjusted."""
    if plan.assignments and plan.calendar.period(plan.assignments[0].start)[0] < min(
        state.open_from, plan.calendar.period(state.plan.assignments[0].start)[0]
    ):
        raise CannotRerateError(
            f"account {state.account}: its tariffs would begin at {to_iso(plan.assignments[0].start)}, in a billing "
            "period before its first one. Begin them where they began, and charge what was before by hand."
        )


def _refuse_levels(state: AccountState, plan: AccountPlan, exchanges: Mapping[int, _Exchange]) -> None:
    """A level goes on from range to range, so exchanging one would change those that follow."""
    versions = {of[:2] for exchange in exchanges.values() for of in (*exchange.outs, *exchange.ins)}
    for entry in (*state.plan.assignments, *plan.assignments):
        of = entry.tariff
        if (of.tariff, of.version) not in versions:
            continue
        for item, rules in of.meters.items():
            if rules.aggregation.is_carried:
                raise CannotRerateError(
                    f"account {state.account}: {item!r} of tariff {of.tariff} {of.version} is a level that goes on "
                    "from period to period, and such an item cannot be rated again. Let the version take effect in a "
                    "period that has no usage yet."
                )


def _pieces(state: AccountState, given: Given) -> list[Piece]:
    """The pieces of a record in the ranges that are in force now."""
    usage = given.usage
    seat = state.seat(usage.meter, to_us(usage.start))
    if seat is None:
        raise CannotRerateError(no_terms(usage, priced=usage.meter in state.plan.meters).message)
    measured = measure(usage, seat.terms)
    if isinstance(measured, Refusal):
        raise CannotRerateError(measured.message)
    quantity = measured[0]
    if quantity is None or quantity != given.quantity:
        raise CannotRerateError(
            f"usage {usage.id}: tariff {seat.terms.tariff} {seat.terms.version} rounds its quantity to "
            f"{seat.terms.decimals} decimals, not as it was accepted. Give meter {usage.meter!r} its former decimals."
        )
    placed = pieces_of(state, seat, usage, given.key, quantity)
    if isinstance(placed, Refusal):
        raise CannotRerateError(placed.message)
    return placed


def _stop_at(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise CannotRerateError(refusal.message)


def _statement_of(state: AccountState, period: Period) -> Period:
    """The period whose statement carries what changes in this one."""
    return period if period.start >= state.open_from or period.revision else state.period(state.open_from)


def _usage_amount(period: Period) -> int:
    return sum(totals.amount for totals in period.totals.values())


def _range(totals: Totals) -> Range:
    terms = totals.terms
    return terms.tariff, terms.version, terms.start, terms.end


def _within(plan: AccountPlan, start: int, end: int) -> Iterator[Range]:
    return ((e.tariff.tariff, e.tariff.version, e.start, e.end) for e in plan.within(start, end))


def _ranges(plan: AccountPlan) -> list[Range]:
    """Every range in force, one that goes on as the same version told as one."""
    found: list[Range] = []
    for tariff, version, start, end in _within(plan, LONG_AGO, FOREVER):
        if found and found[-1][:2] == (tariff, version) and found[-1][3] == start:
            found[-1] = (tariff, version, found[-1][2], end)
        else:
            found.append((tariff, version, start, end))
    return found
