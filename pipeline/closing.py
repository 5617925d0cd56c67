"""Closing: a billing period that has ended becomes a statement.

What no usage record causes is charged here, and the order is part of the result:
  1. totals whose terms have changed since they were priced (an account that leaves early) are priced again;
  2. recurring fees;
  3. the true-up to a tariff's minimum;
  4. what late usage changes in the true-ups of earlier periods.
Then the statement is drawn up from the totals, not from the charges, and has to come to the same. After posting.py;
adjusting.py tells what happens to usage that comes later.
"""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.adjusting import adjustment_lines, stated_of
from pipeline.bill import MoneyError, bill_of
from pipeline.calendar import days_between
from pipeline.ledger import AccountState, Ledger
from pipeline.posting import Period
from pipeline.recurring import fees_to_charge, prorated
from schemas.charge import Charge, ChargeKind, Part
from schemas.digest import identity, to_hex
from schemas.fixed_point import AMOUNT_SCALE, PRICE_SCALE, QUANTITY_ONE, to_fixed, to_text
from schemas.statement import Statement


class Closed(NamedTuple):
    """What closing one period gives: the charges that no usage record caused, and the statement (None if empty)."""

    charges: list[Charge]
    statement: Statement | None


def close_next(ledger: Ledger, state: AccountState) -> Closed:
    """Close the account's first open period. Raises MoneyError where charges and totals disagree."""
    period = state.period(state.open_from)
    complete = state.is_complete()
    charges = list(_closing_charges(state, period))
    statement = _statement(ledger, state, period, complete=complete)
    period.stated = stated_of(ledger.plans, state, period)
    for start in period.adjusted:
        ledger.touch(state, state.period(start))
    ledger.touch(state, period)
    ledger.move(state)
    state.open_from = period.end
    state.current.clear()
    state.await_next()
    return Closed(charges, statement)


def _closing_charges(state: AccountState, period: Period) -> Iterator[Charge]:
    """Post, and yield, the charges of the closing."""
    issue = _Issue(state, period)
    # 1. Totals whose terms have changed.
    for totals in period.totals.values():
        if totals.terms.end != totals.priced_until:
            parts = totals.terms.prices.between([0] * len(totals.quantities), totals.quantities)
            change = sum(part.amount for part in parts) - totals.amount
            totals.amount += change
            totals.priced_until = totals.terms.end
            if change:
                terms = totals.terms
                tariff = (terms.tariff, terms.version)
                yield issue(ChargeKind.ADJUSTMENT, period, tariff, terms.meter, change, since=terms.start)
    # 2. Recurring fees.
    period.fees = fees_to_charge(state, period)
    for fee in period.fees:
        about = Period(fee.period_start, fee.period_end)
        yield issue(ChargeKind.RECURRING, about, (fee.tariff, fee.version), fee.name, int(fee.exact))
    # 3. True-ups to the minimum.
    for key, exact in _true_ups(state, period).items():
        period.true_ups[key] = exact
        yield issue(ChargeKind.TRUE_UP, period, key, "Minimum", exact)
    # 4. True-ups of earlier periods. Late usage of a period may have come without changing what it costs, hence all.
    for start in sorted(period.adjusted):
        earlier = state.period(start)
        due = _true_ups(state, earlier)
        for key in sorted({*due, *earlier.true_ups}):
            change = due.get(key, 0) - earlier.true_ups.get(key, 0)
            if change:
                earlier.true_ups[key] = due.get(key, 0)
                yield issue(ChargeKind.ADJUSTMENT, earlier, key, "Minimum", change)


class _Issue:
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


def _true_ups(state: AccountState, period: Period) -> dict[tuple[str, str], int]:
    """What each tariff version's usage falls short of its minimum, for the days that it was in force."""
    used: dict[tuple[str, str], int] = {}
    for (_, tariff, version, _), totals in period.totals.items():
        used[tariff, version] = used.get((tariff, version), 0) + totals.amount
    least: dict[tuple[str, str], int] = {}
    whole = days_between(period.start, period.end, state.plan.zone)
    for entry in state.plan.within(period.start, period.end):
        minimum = entry.tariff.minimum
        if minimum is not None:
            key = (entry.tariff.tariff, entry.tariff.version)
            amount = to_fixed(minimum.amount, PRICE_SCALE) * QUANTITY_ONE
            if minimum.prorate == "days":
                amount = prorated(amount, days_between(entry.start, entry.end, state.plan.zone), whole)
                amount += least.get(key, 0)
            least[key] = amount
    return {key: due for key, amount in sorted(least.items()) if (due := amount - used.get(key, 0)) > 0}


def _statement(ledger: Ledger, state: AccountState, period: Period, *, complete: bool) -> Statement | None:
    """The statement of a period whose charges have all been posted; None where there is nothing to state."""
    account = state.plan.account
    bill = bill_of(ledger.plans, state.plan, period)
    lines, taxes = adjustment_lines(ledger.plans, state, period)
    exact = bill.exact + sum(line.exact for line in lines)
    name = state.plan.calendar.name(period.start)
    if exact != period.running:
        raise MoneyError(
            f"account {account.account}, {name}: its charges add up to {to_text(period.running, AMOUNT_SCALE)}, the "
            f"lines of its statement to {to_text(exact, AMOUNT_SCALE)}. Stop, keep the data directory, and report this."
        )
    if not period.charges and not any(state.plan.within(period.start, period.end)):
        return None
    net = bill.net + sum(line.amount for line in lines)
    tax = bill.tax + sum(line.amount for line in taxes)
    return Statement(
        statement_id=f"{account.tenant}/{account.account}/{name}/1",
        tenant=account.tenant,
        account=account.account,
        period_start=period.start,
        period_end=period.end,
        zone=account.zone,
        currency=account.currency,
        revision=1,
        complete=complete,
        lines=(*bill.lines, *lines),
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
    )
