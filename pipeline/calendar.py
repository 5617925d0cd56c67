"""Calendar: an account's billing periods and local days, as half-open ranges of microseconds (UTC).

A period starts at local midnight of the billing day; days 29 to 31 clamp to a shorter month's last day and return.
Local midnight is the first instant of the date, also where clocks change at midnight. Nothing here assumes that a
day has 24 hours.
"""

import re
from bisect import bisect_right
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from schemas.instants import SECOND_US, from_us, to_us

ONE_DAY = timedelta(days=1)
_MONTH = re.compile(r"(?:19|2[0-9])[0-9]{2}-(?:0[1-9]|1[0-2])")


def midnight(day: date, zone: tzinfo) -> int:
    """The first instant of the local date.

    >>> from_us(midnight(date(2012, 3, 11), ZoneInfo("America/Toronto"))).isoformat()
    '2012-03-11T05:00:00+00:00'
    """
    return to_us(datetime.combine(day, time(), zone).astimezone(UTC))


def local_date(us: int, zone: tzinfo) -> date:
    """The date that a clock in `zone` shows at this instant."""
    return from_us(us).astimezone(zone).date()


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


class Calendar:
    """The billing periods of one zone and billing day; bounds are computed once and kept."""

    def __init__(self, zone: ZoneInfo, billing_day: int) -> None:
        self.zone = zone
        self.billing_day = billing_day
        self._bounds: list[int] = []
        self._first = self._last = (0, 0)

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

    def period_named(self, name: str) -> tuple[int, int]:
        """The period that begins in the month `YYYY-MM`. Raises ValueError for another form.

        >>> start, _ = Calendar(ZoneInfo("UTC"), 15).period_named("2012-02")
        >>> from_us(start).date().isoformat()
        '2012-02-15'
        """
        if not _MONTH.fullmatch(name):
            raise ValueError(f"{name!r} is no month: write YYYY-MM")
        year, month = map(int, name.split("-"))
        return self.period(self._bound((year, month)))

    def name(self, start: int) -> str:
        """The month in which a period begins, as `YYYY-MM`."""
        return local_date(start, self.zone).strftime("%Y-%m")

    def _bound(self, month: tuple[int, int]) -> int:
        year, number = month
        day = min(self.billing_day, monthrange(year, number)[1])
        return midnight(date(year, number, day), self.zone)

    def _reach(self, us: int) -> None:
        """Extend the kept bounds in both directions until they enclose the instant."""
        if not self._bounds:
            day = local_date(us, self.zone)
            self._first = self._last = (day.year, day.month)
            self._bounds.append(self._bound(self._first))
        while us < self._bounds[0]:
            self._first = _months_on(self._first, -1)
            self._bounds.insert(0, self._bound(self._first))
        while us >= self._bounds[-1]:
            self._last = _months_on(self._last, 1)
            self._bounds.append(self._bound(self._last))


def _months_on(month: tuple[int, int], by: int) -> tuple[int, int]:
    year, index = divmod(month[0] * 12 + month[1] - 1 + by, 12)
    return year, index + 1
