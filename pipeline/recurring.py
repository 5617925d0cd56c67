"""Recurring fees: what an account owes for having a tariff, used or not.

A fee in arrears is on the statement of the period that it is about. A fee in advance is on the statement before, and
for an account's first period on that period's own. What was charged in advance is compared with what turns out to be
due, so a plan that begins, changes or ends in the middle gives a credit or a further charge by itself.
"""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.calendar import days_between
from pipeline.entries import FeeEntry
from pipeline.ledger import AccountState
from pipeline.posting import Period
from schemas.fee import Fee
from schemas.fixed_point import PRICE_SCALE, QUANTITY_ONE, RoundingMode, divide, to_fixed

FeeKey = tuple[str, str, str, int]
"""Tariff and version ("" for the account's own fees), name, start of the period that the fee is about."""


class Due(NamedTuple):
    """What a fee comes to for one period: exact amount, price and count of its unit."""

    exact: int
    unit_price: int
    quantity: int
    unit: str


def fees_to_charge(state: AccountState, period: Period) -> list[FeeEntry]:
    """The fees that this period's statement charges, each less what was charged in advance; keeps `state.advance`."""
    following = state.plan.calendar.period(period.end)
    due = dict(_due(state, period.start, period.end, advance_only=False))
    ahead = dict(_due(state, *following, advance_only=True))
    entries = []
    for about, fees in (((period.start, period.end), due), (following, ahead)):
        charged = {key: exact for key, exact in state.advance.items() if key[3] == about[0]}
        for key in [*fees, *(key for key in charged if key not in fees)]:
            entry = _entry(key, about, fees.get(key), charged.get(key))
            if entry is not None:
                entries.append(entry)
    state.advance = {key: fee.exact for key, fee in ahead.items()}
    return entries


def _entry(key: FeeKey, about: tuple[int, int], due: Due | None, charged: int | None) -> FeeEntry | None:
    exact = (due.exact if due else 0) - (charged or 0)
    if exact == 0:
        return None
    unit_price, quantity, unit = (due.unit_price, due.quantity, due.unit) if due and charged is None else (0, 0, "")
    return FeeEntry(key[0], key[1], key[2], *about, str(unit_price), str(quantity), unit, str(exact))


def _due(state: AccountState, start: int, end: int, *, advance_only: bool) -> Iterator[tuple[FeeKey, Due]]:
    """Every fee for the billing period `[start, end)`."""
    found: dict[FeeKey, Due] = {}
    for tariff, version, fees, low, high in _in_force(state, start, end):
        for fee in fees:
            if fee.due == "advance" or not advance_only:
                key = (tariff, version, fee.name, start)
                due = _amount(state, fee, (low, high), (start, end))
                found[key] = _added(found[key], due) if key in found else due
    yield from found.items()


def _in_force(state: AccountState, start: int, end: int) -> Iterator[tuple[str, str, tuple[Fee, ...], int, int]]:
    entries = list(state.plan.within(start, end))
    for entry in entries:
        yield entry.tariff.tariff, entry.tariff.version, entry.tariff.fees, entry.start, entry.end
    if entries and state.plan.account.fees:
        low, high = min(entry.start for entry in entries), max(entry.end for entry in entries)
        yield "", "", state.plan.account.fees, low, high


def _amount(state: AccountState, fee: Fee, served: tuple[int, int], period: tuple[int, int]) -> Due:
    """A fee for the days served: each day's price, or the period's price by its share of days (rounded at 10⁻¹⁸)."""
    unit_price = to_fixed(fee.amount, PRICE_SCALE)
    days = days_between(*served, state.plan.zone)
    if fee.per == "day":
        return Due(unit_price * days * QUANTITY_ONE, unit_price, days * QUANTITY_ONE, "day")
    whole = days_between(*period, state.plan.zone)
    if fee.prorate == "none" or days == whole:
        return Due(unit_price * QUANTITY_ONE, unit_price, QUANTITY_ONE, "period")
    return Due(
        prorated(unit_price * QUANTITY_ONE, days, whole), unit_price, prorated(QUANTITY_ONE, days, whole), "period"
    )


def prorated(value: int, days: int, whole: int) -> int:
    """value × days ÷ whole, half-even at the stored digit.

    >>> prorated(31_000_000, 18, 31), prorated(1_000_000, 1, 3)
    (18000000, 333333)
    """
    return divide(value * days, whole, RoundingMode.HALF_EVEN)


def _added(one: Due, other: Due) -> Due:
    return Due(one.exact + other.exact, one.unit_price, one.quantity + other.quantity, one.unit)
