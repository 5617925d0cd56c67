"""Recurring fees: what an account owes for having a tariff, used or not.

A fee in arrears is on the statement of the period that it is about. A fee in advance is on the statement before, and
for an account's first period on that period's own. What was charged in advance is compared with what turns out to be
due, so a plan that begins, changes or ends in the middle gives a credit or a further charge by itself. A fee for
calendar months, quarters or years is due for what of them falls into the billing period, whatever its length.
"""

from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from typing import Literal, NamedTuple, assert_never
from zoneinfo import ZoneInfo

from pipeline.calendar import MONTHS_OF, ONE_DAY, days_between, local_date, months_on
from pipeline.entries import FeeEntry
from pipeline.ledger import AccountState
from pipeline.posting import Period
from pipeline.terms import AccountPlan
from schemas.fee import Fee
from schemas.fixed_point import PRICE_SCALE, QUANTITY_SCALE, RoundingMode, divide, to_fixed

Prorate = Literal["days", "thirty", "none"]

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


def fee_changes(before: AccountState, after: AccountState, start: int, end: int) -> Iterator[tuple[FeeEntry, int, int]]:
    """What the fees about a billing period change by from one plan of an account to another: the entry to charge, and
    what the fee came to before and after.
    """
    was = dict(_due(before, start, end, advance_only=False))
    now = dict(_due(after, start, end, advance_only=False))
    for key in [*now, *(key for key in was if key not in now)]:
        due, charged = now.get(key), was[key].exact if key in was else None
        entry = _entry(key, (start, end), due, charged)
        if entry is not None:
            yield entry, charged or 0, due.exact if due else 0


def fees_about(state: AccountState, start: int, end: int) -> dict[tuple[str, str], Fraction]:
    """What the fees of each tariff version for the billing period come to, wherever they are charged; exact."""
    sums: dict[tuple[str, str], Fraction] = {}
    for served in _in_force(state.plan, start, end):
        for fee in served.fees:
            price, count = _price(fee), _count(fee)
            worth = price * count * _share(state.plan, fee, served, (start, end))
            key = (served.tariff, served.version)
            sums[key] = sums.get(key, Fraction(0)) + worth
    return sums


def _due(state: AccountState, start: int, end: int, *, advance_only: bool) -> Iterator[tuple[FeeKey, Due]]:
    """Every fee for the billing period `[start, end)`."""
    found: dict[FeeKey, Due] = {}
    for served in _in_force(state.plan, start, end):
        for fee in served.fees:
            if fee.due == "advance" or not advance_only:
                key = (served.tariff, served.version, fee.name, start)
                due = _amount(fee, _share(state.plan, fee, served, (start, end)))
                found[key] = _added(found[key], due) if key in found else due
    yield from found.items()


class _Served(NamedTuple):
    """The part of a billing period for which fees are due: a tariff version's, or ("", "") the account's own."""

    tariff: str
    version: str
    fees: tuple[Fee, ...]
    start: int
    end: int


def _in_force(plan: AccountPlan, start: int, end: int) -> Iterator[_Served]:
    entries = list(plan.within(start, end))
    for entry in entries:
        yield _Served(entry.tariff.tariff, entry.tariff.version, entry.tariff.fees, entry.start, entry.end)
    if entries and plan.account.fees:
        low, high = min(entry.start for entry in entries), max(entry.end for entry in entries)
        yield _Served("", "", plan.account.fees, low, high)


def _share(plan: AccountPlan, fee: Fee, served: _Served, period: tuple[int, int]) -> Fraction:
    """How many times the fee's price is due for what was served of the period."""
    match fee.per:
        case "period":
            return share_of(fee.prorate, (served.start, served.end), period, plan.zone)
        case "day":
            return Fraction(days_between(served.start, served.end, plan.zone))
        case "once":
            return Fraction(_begun(plan, served) == served.start)
        case "month" | "quarter" | "year":
            return _calendar_share(fee.prorate, MONTHS_OF[fee.per], served, plan)
        case _:
            assert_never(fee.per)


def share_of(prorate: Prorate, served: tuple[int, int], whole: tuple[int, int], zone: ZoneInfo) -> Fraction:
    """The share of a range that counts as served; all instants are local midnights."""
    if prorate == "none":
        return Fraction(1)
    if prorate == "days":
        return Fraction(days_between(*served, zone), days_between(*whole, zone))
    days, of = (_days_of_thirty(*_dates(range_, zone)) for range_ in (served, whole))
    return Fraction(days, of) if of else Fraction(1)  # a period that is a 31st alone


def _calendar_share(prorate: Prorate, months: int, served: _Served, plan: AccountPlan) -> Fraction:
    """The same of each stretch of so many calendar months that the dates belong to, added up."""
    low, high = _dates((served.start, served.end), plan.zone)
    if prorate == "thirty":
        return Fraction(_days_of_thirty(low, high), 30 * months)
    begun = local_date(_begun(plan, served), plan.zone) if prorate == "none" else low
    share = Fraction(0)
    first = low.replace(month=low.month - (low.month - 1) % months, day=1)
    while first < high:
        following = months_on(first, months)
        if prorate == "none":
            share += low <= max(first, begun) < high
        else:
            share += Fraction((min(high, following) - max(low, first)).days, (following - first).days)
        first = following
    return share


def _begun(plan: AccountPlan, served: _Served) -> int:
    """Since when the tariff is in force without a break, in whatever versions and entries, or the account has one."""
    if not served.tariff:
        return plan.assignments[0].start
    begun = served.start
    for entry in reversed(plan.assignments):
        if entry.tariff.tariff == served.tariff and entry.start < begun <= entry.end:
            begun = entry.start
    return begun


def _dates(range_: tuple[int, int], zone: ZoneInfo) -> tuple[date, date]:
    """The first local date of a range between midnights, and the first one after it."""
    return local_date(range_[0], zone), local_date(range_[1] - 1, zone) + ONE_DAY


def _days_of_thirty(low: date, high: date) -> int:
    """The days of `[low, high)` where each month has 30 (30/360): the 31st is none, February's last makes up for it.

    >>> _days_of_thirty(date(2023, 2, 1), date(2023, 3, 1)), _days_of_thirty(date(2023, 1, 30), date(2023, 2, 1))
    (30, 1)
    """
    return (high.year - low.year) * 360 + (high.month - low.month) * 30 + high.day - low.day


def _amount(fee: Fee, share: Fraction) -> Due:
    """The fee times its quantity and share, each rounded at its stored digit."""
    price, count = _price(fee), _count(fee)
    return Due(rounded(price * count * share), price, rounded(count * share), "" if fee.per == "once" else fee.per)


def _price(fee: Fee) -> int:
    return to_fixed(fee.amount, PRICE_SCALE)


def _count(fee: Fee) -> int:
    return to_fixed(fee.quantity, QUANTITY_SCALE)


def rounded(exact: Fraction) -> int:
    """The whole number nearest to it, half-even: an exact amount at the digit that is kept.

    >>> rounded(Fraction(5, 2)), rounded(Fraction(-1, 3))
    (2, 0)
    """
    return divide(exact.numerator, exact.denominator, RoundingMode.HALF_EVEN)


def _added(one: Due, other: Due) -> Due:
    return Due(one.exact + other.exact, one.unit_price, one.quantity + other.quantity, one.unit)
