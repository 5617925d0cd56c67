"""Calendar: an account's billing periods and local days, as half-open ranges of microseconds (UTC).

A period starts at local midnight: of the billing day, of the first day of a calendar unit, or of an anniversary of a
date. Days 29 to 31 clamp to a shorter month's last day and return. Local midnight is the first instant of the date,
also where clocks change at midnight. Nothing here assumes that a day has 24 hours.
"""

import re
from bisect import bisect_right
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from schemas.account import Account, Cycle
from schemas.field import CALENDAR
from schemas.instants import SECOND_US, from_us, to_us
from schemas.zone import fixed_zone

ONE_DAY = timedelta(days=1)
MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}
"""How many months the calendar's longer units have."""

_DAYS_OF = {"week": 7, "day": 1}
_A_MONDAY = date(2001, 1, 1)
"""Where the calendar's units can all be counted from: it is also the first day of a year."""


def midnight(day: date, zone: tzinfo) -> int:
    """The first instant of the local date.

    >>> from_us(midnight(date(2012, 3, 11), ZoneInfo("America/Toronto"))).isoformat()
    '2012-03-11T05:00:00+00:00'
    """
    return to_us(datetime.combine(day, time(), zone).astimezone(UTC))


def local_date(us: int, zone: tzinfo) -> date:
    """The date that a clock in `zone` shows at this instant."""
    return from_us(us).astimezone(zone).date()


def zone_of(account: Account) -> ZoneInfo:
    """The zone of the account's local time: its own, or the offset from UTC that this had when the first tariff began.

    >>> home = {"account": "a", "zone": "America/New_York", "currency": "USD", "clock": "fixed-offset"}
    >>> tariffs = [{"tariff": "t", "from": "2012-08-01"}, {"tariff": "u", "from": "2012-02-01", "until": "2012-08-01"}]
    >>> zone_of(Account.model_validate({**home, "tariffs": tariffs})).key
    'UTC-05:00'
    """
    zone = ZoneInfo(account.zone)
    if account.clock == "zone":
        return zone
    began = midnight(min(entry.from_ for entry in account.tariffs), zone)
    return fixed_zone(_offset(began, zone) // SECOND_US)


def days_between(start: int, end: int, zone: tzinfo) -> int:
    """How many local dates begin in `[start, end)`.

    >>> toronto = ZoneInfo("America/Toronto")
    >>> days_between(midnight(date(2012, 3, 1), toronto), midnight(date(2012, 4, 1), toronto), toronto)
    31
    """
    return (local_date(end - 1, zone) - local_date(start - 1, zone)).days


def same_offset_pieces(start: int, end: int, zone: tzinfo) -> list[tuple[int, int, int]]:
    """`[start, end)`, at most some days long, cut where the zone's clocks change: (start, end, offset of local time).

    Offsets are in microseconds; the change is found by bisection to the second.
    """
    first, last = _offset(start, zone), _offset(end - 1, zone)
    if first == last:
        return [(start, end, first)]
    before, after = start, end - 1
    while after - before > SECOND_US:
        middle = (before + after) // 2
        before, after = (middle, after) if _offset(middle, zone) == first else (before, middle)
    change = after - after % SECOND_US
    return [(start, change, first), *same_offset_pieces(change, end, zone)]


def _offset(us: int, zone: tzinfo) -> int:
    offset = from_us(us).astimezone(zone).utcoffset()
    if offset is None:
        raise TypeError(f"{zone} gives no offset from UTC")
    return (offset.days * 86_400 + offset.seconds) * SECOND_US + offset.microseconds


def months_on(first: date, by: int) -> date:
    """The first day of the month that is so many months after that of `first`.

    >>> months_on(date(2012, 11, 30), 3), months_on(date(2012, 1, 1), -1)
    (datetime.date(2013, 2, 1), datetime.date(2011, 12, 1))
    """
    year, index = divmod(_month_number(first) + by, 12)
    return date(year, index + 1, 1)


def _month_number(day: date) -> int:
    return day.year * 12 + day.month - 1


class _Naming(NamedTuple):
    """How periods are called by the unit of the calendar in which they begin: no two begin in the same."""

    unit: str
    form: str
    pattern: re.Pattern[str]


_YEAR = r"((?:19|2[0-9])[0-9]{2})"
_NAMINGS = {
    naming.unit: naming
    for naming in (
        _Naming("month", "YYYY-MM", re.compile(_YEAR + r"-(0[1-9]|1[0-2])")),
        _Naming("quarter", "YYYY-Qn", re.compile(_YEAR + r"-Q([1-4])")),
        _Naming("year", "YYYY", re.compile(_YEAR)),
        _Naming("week", "YYYY-Www", re.compile(_YEAR + r"-W([0-5][0-9])")),
        _Naming("day", "YYYY-MM-DD", re.compile(_YEAR + r"-([0-9]{2})-([0-9]{2})")),
    )
}


class Calendar:
    """The billing periods of one zone and cycle; bounds are computed once and kept.

    `cycle` holds where it is another than a month, else `billing_day`.
    """

    def __init__(self, zone: ZoneInfo, billing_day: int = 1, cycle: Cycle = Cycle()) -> None:  # noqa: B008 - frozen
        self.zone = zone
        self._months = MONTHS_OF.get(cycle.unit, 0) * cycle.every
        self._days = _DAYS_OF.get(cycle.unit, 0) * cycle.every
        by_calendar = cycle.anchor == CALENDAR
        self._origin = cycle.anchor if isinstance(cycle.anchor, date) else _A_MONDAY.replace(day=billing_day)
        self._naming = _NAMINGS[cycle.unit if by_calendar else "month" if self._months else "day"]
        self._bounds: list[int] = []
        self._first = self._last = 0

    def period(self, us: int) -> tuple[int, int]:
        """The billing period `[start, end)` that holds the instant.

        >>> start, end = Calendar(ZoneInfo("UTC"), 31).period(to_us(datetime(2026, 2, 10, tzinfo=UTC)))
        >>> from_us(start).date().isoformat(), from_us(end).date().isoformat()
        ('2026-01-31', '2026-02-28')
        """
        bounds = self._bounds
        if not bounds or not bounds[0] <= us < bounds[-1]:
            self._reach(us)
        index = bisect_right(bounds, us)
        return bounds[index - 1], bounds[index]

    def name(self, start: int) -> str:
        """What the period that starts at this instant is called: the month, day or calendar unit in which it begins.

        >>> quarters = Calendar(ZoneInfo("UTC"), cycle=Cycle(unit="quarter"))
        >>> quarters.name(quarters.period(to_us(datetime(2024, 5, 31, tzinfo=UTC)))[0])
        '2024-Q2'
        """
        day = local_date(start, self.zone)
        match self._naming.unit:
            case "year":
                return f"{day.year:04d}"
            case "quarter":
                return f"{day.year:04d}-Q{(day.month + 2) // 3}"
            case "month":
                return f"{day.year:04d}-{day.month:02d}"
            case "week":
                year, week, _ = day.isocalendar()
                return f"{year:04d}-W{week:02d}"
            case _:
                return day.isoformat()

    def period_named(self, name: str) -> tuple[int, int]:
        """The period of this name. Raises ValueError, which says what to write, where there is none.

        >>> start, _ = Calendar(ZoneInfo("UTC"), 15).period_named("2012-02")
        >>> from_us(start).date().isoformat()
        '2012-02-15'
        """
        naming = self._naming
        match = naming.pattern.fullmatch(name)
        try:
            after = _day_after(naming.unit, *map(int, match.groups())) if match else None
        except ValueError:  # no such week or day
            after = None
        if after is None:
            raise ValueError(f"{name!r} is no period: write the {naming.unit} in which it begins as {naming.form}")
        start, end = self.period(midnight(after, self.zone) - 1)
        if self.name(start) != name:
            raise ValueError(f"no period begins in {name}: that {naming.unit} is in the one called {self.name(start)}")
        return start, end

    def _begin(self, index: int) -> int:
        """The first instant of a period, counted from the one that begins at the origin."""
        if self._days:
            return midnight(self._origin + timedelta(days=index * self._days), self.zone)
        first = months_on(self._origin, index * self._months)
        day = min(self._origin.day, monthrange(first.year, first.month)[1])
        return midnight(first.replace(day=day), self.zone)

    def _reach(self, us: int) -> None:
        """Extend the kept bounds in both directions until they enclose the instant."""
        if not self._bounds:
            day = local_date(us, self.zone)
            near = (day - self._origin).days // self._days if self._days else self._month_index(day)
            self._first = self._last = near
            self._bounds.append(self._begin(near))
        while us < self._bounds[0]:
            self._first -= 1
            self._bounds.insert(0, self._begin(self._first))
        while us >= self._bounds[-1]:
            self._last += 1
            self._bounds.append(self._begin(self._last))

    def _month_index(self, day: date) -> int:
        return (_month_number(day) - _month_number(self._origin)) // self._months


def _day_after(unit: str, year: int, number: int = 1, day: int = 1) -> date:
    """The first day after a month, quarter, year, ISO week or day. Raises ValueError where there is none such."""
    if unit == "week":
        return date.fromisocalendar(year, number, 1) + 7 * ONE_DAY
    if unit == "day":
        return date(year, number, day) + ONE_DAY
    return months_on(date(year, 1, 1), number * MONTHS_OF[unit])
