"""Fees: what recurs, used or not, and the shares of a period that limits are due for."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction

from tests.oracle.contracts import Account, Assignment, Fee
from tests.oracle.local_time import Span, billing_period, days_in
from tests.oracle.prices import Row, attos, millionths

Section = tuple[str, str]
"""Tariff and version; ("", "") for the account's own fees."""

_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAY = timedelta(days=1)


def fee_rows(account: Account, period: Span) -> Iterator[tuple[Span, Section, Row]]:
    """Fees of this period in arrears, of the next in advance, and in the first period also of this one in advance."""
    first = billing_period(account.assignments[0].start, account.zone, account.cycle)
    following = billing_period(period[1], account.zone, account.cycle)
    for about in (period, following):
        rows: dict[tuple[Section, str], Row] = {}
        for section, fee, served in _served(account, about):
            is_due = fee.in_advance if about == following else not fee.in_advance or period == first
            if is_due:
                row = _row(account, section, fee, served, about)
                known = rows.get((section, fee.name))
                if known:
                    row = row._replace(quantity=row.quantity + known.quantity, exact=row.exact + known.exact)
                rows[section, fee.name] = row
        yield from ((about, section, row) for (section, _), row in rows.items() if row.exact)


def fees_for(account: Account, section: Section, period: Span) -> Fraction:
    """What a tariff version's fees for a period come to, wherever they are charged."""
    worth = Fraction(0)
    for of, fee, served in _served(account, period):
        if of == section:
            worth += Fraction(fee.amount) * Fraction(fee.quantity) * _share(account, section, fee, served, period)
    return worth


def share_of_period(prorate: str, served: Span, period: Span, account: Account) -> Fraction:
    """The share of a billing period that counts as served."""
    days, whole = days_in(*served, account.zone), days_in(*period, account.zone)
    if prorate == "none":
        return Fraction(1)
    if prorate == "days":
        return Fraction(len(days), len(whole))
    of = _of_thirty(whole)
    return Fraction(_of_thirty(days), of) if of else Fraction(1)


def _of_thirty(days: tuple[date, ...]) -> int:
    """How many days count where each month has 30: the 31st none, and February's last day what is missing."""
    count = 0
    for day in days:
        is_last = (day + _DAY).month != day.month
        count += 31 - day.day if is_last else 1
    return count


def _served(account: Account, about: Span) -> Iterator[tuple[Section, Fee, Span]]:
    entries: list[Assignment] = list(account.in_force(*about))
    for tariff, start, end in entries:
        for fee in tariff.fees:
            yield (tariff.name, tariff.version), fee, (start, end)
    if entries:
        span = min(entry.start for entry in entries), max(entry.end for entry in entries)
        for fee in account.fees:
            yield ("", ""), fee, span


def _row(account: Account, section: Section, fee: Fee, served: Span, about: Span) -> Row:
    amount, times = Fraction(fee.amount), Fraction(fee.quantity) * _share(account, section, fee, served, about)
    unit = "" if fee.per == "once" else fee.per
    return Row("", 0, fee.name, amount, millionths(times), attos(amount * times), unit)


def _share(account: Account, section: Section, fee: Fee, served: Span, about: Span) -> Fraction:
    """How many times a fee is due for what was served of a billing period."""
    if fee.per == "period":
        return share_of_period(fee.prorate, served, about, account)
    days = days_in(*served, account.zone)
    if fee.per == "day":
        return Fraction(len(days))
    began = _began(account, section, served)
    if fee.per == "once":
        return Fraction(began == served[0])
    months = _MONTHS[fee.per]
    if fee.prorate == "thirty":
        return Fraction(_of_thirty(days), 30 * months)
    share = Fraction(0)
    for stretch in dict.fromkeys(_stretch(day, months) for day in days):
        if fee.prorate == "none":  # where its first served day is
            share += max(stretch[0], began.astimezone(account.zone).date()) in days
        else:
            share += Fraction(sum(stretch[0] <= day < stretch[1] for day in days), (stretch[1] - stretch[0]).days)
    return share


def _stretch(day: date, months: int) -> tuple[date, date]:
    """The months, quarter or year of the calendar that holds the date."""
    month = (day.month - 1) // months * months
    end = day.year * 12 + month + months
    return date(day.year, month + 1, 1), date(end // 12, end % 12 + 1, 1)


def _began(account: Account, section: Section, served: Span) -> datetime:
    """Since when the tariff has been in force without a break; the account's own fees since its first tariff."""
    if section == ("", ""):
        return account.assignments[0].start
    began = served[0]
    while True:
        before = [e.start for e in account.assignments if e.tariff.name == section[0] and e.start < began <= e.end]
        if not before:
            return began
        began = min(before)
