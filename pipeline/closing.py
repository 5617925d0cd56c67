"""Closing: a billing period that has ended becomes a statement.

What no usage record causes is charged here, and the order is part of the result:
  1. totals whose terms have changed since they were priced (an account that leaves early) are priced again;
  2. recurring fees;
  3. the true-up to a tariff's minimum;
  4. what late usage changes in the true-ups of earlier periods;
  5. what coupons take off.
Then the statement is drawn up from the totals, not from the charges, and has to come to the same. Statements of earlier
periods that late usage has joined are drawn up again before it. After posting.py; adjusting.py tells what happens to
usage that comes later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from pipeline.adjusting import adjustment_lines, adjustments_of, is_revised, stated_of
from pipeline.allowances import allowances_of
from pipeline.bill import MoneyError, bill_of, priced
from pipeline.coupons import coupons_to_give
from pipeline.ledger import AccountState, Ledger
from pipeline.posting import Period
from pipeline.pricing.models import standing_part
from pipeline.rating import base_of
from pipeline.recurring import fees_about, fees_to_charge, rounded, share_of
from pipeline.settling import settle, settle_interim
from pipeline.terms import Assignment, Terms
from schemas.charge import Charge, ChargeKind, Part
from schemas.digest import identity, to_hex
from schemas.fixed_point import (
    AMOUNT_SCALE,
    PRICE_SCALE,
    QUANTITY_ONE,
    RoundingMode,
    step_of,
    to_fixed,
    to_step,
    to_text,
)
from schemas.statement import Statement, StatementKind

TrueUpKey = tuple[str, str, str]
"""Tariff, version and item; "" is all of the tariff."""


class Closed(NamedTuple):
    """What closing one period gives: the charges that no usage record caused, new revisions of earlier statements, and
    the statement (None if empty).
    """

    charges: list[Charge]
    revisions: list[Statement]
    statement: Statement | None

    @property
    def statements(self) -> list[Statement]:
        """All of them, by period."""
        return self.revisions if self.statement is None else [*self.revisions, self.statement]


def close_next(ledger: Ledger, state: AccountState) -> Closed:
    """Close the account's first open period. Raises MoneyError where charges and totals disagree."""
    period = state.period(state.open_from)
    complete = state.is_complete()
    revised = [_revise(ledger, state, state.period(start)) for start in sorted(period.revised)]
    charges = [charge for closed in revised for charge in closed.charges]
    charges += _closing_charges(ledger, state, period)
    period.adjustments = adjustments_of(ledger.plans, state, period)
    period.revision = 1 if is_revised(state, period) else 0
    statement = _statement(ledger, state, period, complete=complete)
    period.stated = stated_of(ledger.plans, state, period)
    for start in period.adjusted:
        earlier = state.period(start)
        earlier.stated = stated_of(ledger.plans, state, earlier)
        ledger.touch(state, earlier)
    ledger.touch(state, period)
    ledger.move(state)
    state.open_from = period.end
    state.current.clear()
    state.await_next()
    return Closed(charges, [revision for closed in revised for revision in closed.revisions], statement)


def _revise(ledger: Ledger, state: AccountState, period: Period) -> Closed:
    """Draw the statement of a closed period up again, with the late usage that has joined it."""
    period.revision += 1
    charges = list(_true_up_changes(Issue(state, period), ChargeKind.TRUE_UP, period, since=period.revision))
    statement = draw_up(ledger, state, period, complete=state.is_complete(period), revision=period.revision)
    period.stated = stated_of(ledger.plans, state, period)
    ledger.touch(state, period)
    return Closed(charges, [statement], None)


def _closing_charges(ledger: Ledger, state: AccountState, period: Period) -> Iterator[Charge]:
    """Post, and yield, the charges of the closing."""
    issue = Issue(state, period)
    # 1. What is due without usage, and totals whose terms have changed.
    yield from unused(ledger, state, period, issue)
    yield from _repriced(ledger, state, period, issue)
    # 2. Recurring fees.
    period.fees = fees_to_charge(state, period)
    for fee in period.fees:
        about = Period(fee.period_start, fee.period_end)
        yield issue(ChargeKind.RECURRING, about, (fee.tariff, fee.version), fee.name, int(fee.exact))
    # 3. True-ups to the minimum.
    for key, exact in true_ups_due(state, period).items():
        period.true_ups[key] = exact
        yield issue(ChargeKind.TRUE_UP, period, key[:2], " ".join(filter(None, ("Minimum", key[2]))), exact)
    # 4. True-ups of earlier periods. Late usage of a period may have come without changing what it costs, hence all.
    for start in sorted(period.adjusted):
        yield from _true_up_changes(issue, ChargeKind.ADJUSTMENT, state.period(start))
    # 5. Coupons, on the lines of all that has been charged for the period itself.
    period.coupons = coupons_to_give(ledger.plans, state.plan, period)
    taken: dict[tuple[str, tuple[str, str]], int] = {}
    for entry in period.coupons:
        coupon = (entry.coupon, (entry.place.tariff, entry.place.version))
        taken[coupon] = taken.get(coupon, 0) + int(entry.amount)
    for (name, tariff), amount in taken.items():
        yield issue(ChargeKind.CREDIT, period, tariff, name, -amount)


def _true_up_changes(issue: "Issue", kind: ChargeKind, earlier: Period, *, since: int = 0) -> Iterator[Charge]:
    """Post, and yield, what late usage changes in the true-ups of an earlier period."""
    due = true_ups_due(issue.state, earlier)
    for key in sorted({*due, *earlier.true_ups}):
        change = due.get(key, 0) - earlier.true_ups.get(key, 0)
        if change:
            earlier.true_ups[key] = due.get(key, 0)
            if not earlier.true_ups[key]:
                del earlier.true_ups[key]
            name = " ".join(filter(None, ("Minimum", key[2])))
            yield issue(kind, earlier, key[:2], name, change, since=since)


class Issue:
    """Makes and posts the charges of one closing, whose ids follow from what they are for."""

    def __init__(self, state: AccountState, period: Period) -> None:
        self.state = state
        self.period = period

    def __call__(
        self, kind: ChargeKind, about: Period, tariff: tuple[str, str], name: str, exact: int, *, since: int = 0
    ) -> Charge:
        state, period = self.state, self.period
        purpose = "\n".join((kind, *tariff, name, str(about.start), str(period.start), str(since)))
        charge = Charge(
            charge_id=identity(state.tenant, state.account, purpose).hex(),
            kind=kind,
            tenant=state.tenant,
            account=state.account,
            source="",
            usage_id="",
            meter=name,
            unit="",
            usage_start=about.start,
            usage_end=about.end,
            period_start=about.start,
            period_end=about.end,
            statement_start=period.start,
            statement_end=period.end,
            used_before=0,
            quantity=0,
            parts=(Part("", 0, 0, 0, exact),),
            amount=exact,
            currency=state.plan.account.currency,
            tariff=tariff[0],
            version=tariff[1],
            running_total=period.running + exact,
            corrects="",
        )
        period.post(charge)
        return charge


def _repriced(ledger: Ledger, state: AccountState, period: Period, issue: "Issue") -> Iterator[Charge]:
    """Post, and yield, what has changed in the price of usage, and then in what is derived from it."""
    moved = [t for t in period.totals.values() if t.terms.end != t.priced_until and t.terms.derived is None]
    derived = [
        period.totals_of(terms)
        for entry in state.plan.within(period.start, period.end)
        for name in entry.tariff.derived
        if (terms := _terms_of(ledger, state, period, entry, name)) is not None
    ]
    for totals in (*moved, *derived):
        terms = totals.terms
        change = sum(part.amount for part in priced(period, totals)) - totals.amount
        totals.amount += change
        totals.base = sum(part.amount for part in base_of(terms.item, totals.quantities, totals.groups))
        totals.priced_until = terms.end
        if change:
            if not totals.added:
                period.add(totals)
            tariff = (terms.tariff, terms.version)
            yield issue(ChargeKind.ADJUSTMENT, period, tariff, terms.meter, change, since=terms.start)


def _terms_of(ledger: Ledger, state: AccountState, period: Period, entry: Assignment, item: str) -> Terms | None:
    """The terms of an item of an assignment within a period."""
    of = (entry.tariff.tariff, entry.tariff.version)
    return ledger.plans.terms_under(state.plan, item, *of, (period.start, period.end), entry.start)


def unused(ledger: Ledger, state: AccountState, period: Period, issue: "Issue") -> Iterator[Charge]:
    """Post, and yield, what items cost that had no usage: flat fees that are always due, and levels carried over."""
    for entry in state.plan.within(period.start, period.end):
        for name, rules in entry.tariff.meters.items():
            if not (rules.aggregation.is_carried or any(standing_part("", price) for price in rules.prices)):
                continue
            terms = _terms_of(ledger, state, period, entry, name)
            if terms is None or (totals := state.open_totals(terms, period)).added:
                continue
            exact = sum(part.amount for part in priced(period, totals))
            if exact or totals.groups:  # a level that costs nothing is carried on, too
                totals.amount = exact
                totals.base = sum(part.amount for part in base_of(terms.item, totals.quantities, totals.groups))
                period.add(totals)
            if exact:
                tariff = (terms.tariff, terms.version)
                yield issue(ChargeKind.RECURRING, period, tariff, name, exact, since=terms.start)


def true_ups_due(state: AccountState, period: Period) -> dict[TrueUpKey, int]:
    """What usage, and fees where they count, fall short of the minimum of an item or of a tariff while it was in force.

    By tariff, version and item, "" for all of the tariff. What an item is charged up to its own minimum counts for that
    of its tariff.
    """
    due: dict[TrueUpKey, int] = {}
    for key, least in sorted(_minimums(state, period).items(), reverse=True):  # items before their tariff
        used = sum(t.amount for of, t in period.totals.items() if of[1:3] == key[:2] and key[2] in ("", of[0]))
        used += sum(amount for of, amount in due.items() if of[:2] == key[:2] and not key[2])
        missing = least.missing(used)
        if missing > 0:
            due[key] = missing
    return dict(sorted(due.items()))


@dataclass(slots=True)
class _Least:
    """A minimum: its amount by days, the fees that count towards it, and the unit to which each is rounded first."""

    step: int
    mode: RoundingMode
    amount: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)

    def missing(self, used: int) -> int:
        """What usage of this amount falls short of it."""
        if not self.step:
            return rounded(self.amount - self.fees) - used
        least, fees, spent = (
            to_step(rounded(amount), self.step, self.mode) for amount in (self.amount, self.fees, Fraction(used))
        )
        return least - fees - spent


def _minimums(state: AccountState, period: Period) -> dict[TrueUpKey, _Least]:
    """The least that usage of each item, and of each tariff, has to come to in a period."""
    least: dict[TrueUpKey, _Least] = {}
    whole = (period.start, period.end)
    for entry in state.plan.within(*whole):
        of, served = entry.tariff, (entry.start, entry.end)
        for item, rules in of.meters.items():
            if rules.minimum is not None:
                found = least.setdefault((of.tariff, of.version, item), _Least(0, of.rounding.mode))
                share = share_of("days", served, whole, state.plan.zone)
                found.amount += to_fixed(rules.minimum, PRICE_SCALE) * QUANTITY_ONE * share
        minimum = of.minimum
        if minimum is not None:
            step = step_of(of.decimals) if minimum.base == "rounded" else 0
            found = least.setdefault((of.tariff, of.version, ""), _Least(step, of.rounding.mode))
            amount = to_fixed(minimum.amount, PRICE_SCALE) * QUANTITY_ONE
            amount_due = amount * share_of(minimum.prorate, served, whole, state.plan.zone)
            found.amount = amount_due if minimum.prorate == "none" else found.amount + amount_due
            if minimum.counts == "usage-and-fees":
                found.fees = fees_about(state, *whole).get((of.tariff, of.version), Fraction(0))
    return least


def _statement(ledger: Ledger, state: AccountState, period: Period, *, complete: bool) -> Statement | None:
    """The statement of a period whose charges have all been posted; None where there is nothing to state."""
    statement = draw_up(ledger, state, period, complete=complete)
    return statement if period.charges or any(state.plan.within(period.start, period.end)) else None


def draw_up(
    ledger: Ledger, state: AccountState, period: Period, *, complete: bool, revision: int = 1, interim: int = 0
) -> Statement:
    """The statement of all that the period's charges come to, settled; or an interim one, by its number from 1.

    Raises MoneyError where charges and totals disagree.
    """
    account = state.plan.account
    bill = bill_of(ledger.plans, state.plan, period)
    adjustments = adjustments_of(ledger.plans, state, period) if interim else period.adjustments
    lines, taxes = adjustment_lines(state, adjustments)
    exact = bill.exact + sum(line.exact for line in lines)
    name = state.plan.calendar.name(period.start)
    if exact != period.running:
        raise MoneyError(
            f"account {account.account}, {name}: its charges add up to {to_text(period.running, AMOUNT_SCALE)}, the "
            f"lines of its statement to {to_text(exact, AMOUNT_SCALE)}. Stop, keep the data directory, and report this."
        )
    net = bill.net + sum(line.amount for line in lines)
    tax = bill.tax + sum(line.amount for line in taxes)
    settled = (settle_interim if interim else settle)(state, period, [*bill.lines, *lines], net + tax)
    return Statement(
        statement_id=f"{account.tenant}/{account.account}/{name}/{f'interim-{interim}' if interim else revision}",
        tenant=account.tenant,
        account=account.account,
        period_start=period.start,
        period_end=period.end,
        zone=state.plan.zone.key,
        currency=account.currency,
        revision=revision,
        complete=complete,
        lines=settled.lines,
        taxes=(*bill.taxes, *taxes),
        exact=exact,
        net=net,
        tax=tax,
        total=net + tax,
        usage_records=period.usage_records,
        charges=period.charges,
        usage_first=period.first,
        usage_last=period.last,
        usage_digest=to_hex(period.usage_digest),
        charges_digest=to_hex(period.charges_digest),
        kind=StatementKind.INTERIM if interim else StatementKind.STATEMENT,
        number=interim,
        settlements=settled.settlements,
        allowances=allowances_of(ledger.plans, state.plan, period, bill.lines),
        due=settled.due,
    )
