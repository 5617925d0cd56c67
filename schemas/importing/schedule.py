"""Schedule: months and hours of a foreign tariff become seasons, and the days and hours that bands claim.

A schedule has a row of 24 hours for weekdays and one for weekends in each of 12 months; an hour holds the index of its
period. Runs of equal months are seasons, also over the end of the year. In each season one period takes the rest, so
that it may have other hours on weekends than on weekdays; every other period that does needs two bands.
"""

from calendar import monthrange
from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from schemas.importing.reading import Inexpressible, Json, sequence
from schemas.node import cut

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LEAP_YEAR = 2000
_HOURS = 24

Row = tuple[int, ...]


class Day(NamedTuple):
    """The periods of the 24 hours of a weekday and of a day of the weekend."""

    weekday: Row
    weekend: Row


class Run(NamedTuple):
    """Months that are alike: index of the first one, and of the last one, which may be before it."""

    first: int
    last: int

    @property
    def name(self) -> str:
        """What the season is called: jun-sep, or one month's name."""
        return MONTHS[self.first] if self.first == self.last else f"{MONTHS[self.first]}-{MONTHS[self.last]}"

    @property
    def season(self) -> Json:
        """Its first and last day."""
        days = monthrange(_LEAP_YEAR, self.last + 1)[1]
        return {"from": f"{self.first + 1:02d}-01", "to": f"{self.last + 1:02d}-{days:02d}"}


class Claim(NamedTuple):
    """What one band holds of its season: the period's index and the band's days and hours, neither for the rest."""

    period: int
    when: Json


def runs(*calendars: Sequence[Hashable]) -> list[Run]:
    """The longest runs of months in which each calendar of 12 values has one value; none where all the year is alike.

    >>> [run.name for run in runs("WWWWWSSSSWWW")]
    ['jun-sep', 'oct-may']
    """
    months = list(zip(*calendars, strict=True)) or [()] * 12
    starts = [month for month in range(12) if months[month] != months[month - 1]]
    ends = [*starts[1:], starts[0] + 12] if starts else []
    return [Run(start, (end - 1) % 12) for start, end in zip(starts, ends, strict=True)]


def months_of(values: object, name: str) -> list[Any]:
    """One value for each month. Raises Inexpressible."""
    months = sequence(values, name)
    if len(months) != 12:
        raise Inexpressible(f"{len(months)} months", "write one for each month of the year", name)
    return months


def days_of(schedule: object, periods: int, name: str) -> list[Row]:
    """The 12 rows of 24 hours of a schedule. Raises Inexpressible where an hour is not one of so many periods."""
    rows = months_of(schedule, name)
    for month, row in enumerate(rows):
        if len(sequence(row, name, month)) != _HOURS:
            raise Inexpressible(f"{len(row)} hours", "write one period for each hour of a day", name, month)
        for hour, period in enumerate(row):
            if not isinstance(period, int) or isinstance(period, bool) or not 0 <= period < periods:
                what = f"no such period: {cut(str(period))}"
                raise Inexpressible(what, f"write an index from 0 to {periods - 1}", name, month, hour)
    return [tuple(row) for row in rows]


def claims(day: Day) -> list[Claim]:
    """The bands of a season, in the order of their periods and the one for the rest last.

    >>> for claim in claims(Day((0,) * 12 + (1,) * 6 + (0,) * 6, (0,) * 24)): print(claim)
    Claim(period=1, when={'days': ['weekdays'], 'hours': ['12:00-18:00']})
    Claim(period=0, when={})
    """
    periods = sorted({*day.weekday, *day.weekend})
    rest = max(periods, key=lambda period: (_is_split(day, period), _hours_a_week(day, period), -period))
    found = [claim for period in periods if period != rest for claim in _claims_of(day, period)]
    return [*found, Claim(rest, {})]


def split_periods(found: Sequence[Claim]) -> list[int]:
    """The periods that need more than one band."""
    periods = [claim.period for claim in found]
    return sorted({period for period in periods if periods.count(period) > 1})


def _claims_of(day: Day, period: int) -> list[Claim]:
    weekday, weekend = _ranges(day.weekday, period), _ranges(day.weekend, period)
    if weekday == weekend:
        return [Claim(period, {"hours": weekday})]
    by_days = {"weekdays": weekday, "weekends": weekend}
    return [Claim(period, _when(days, hours)) for days, hours in by_days.items() if hours]


def _when(days: str, hours: list[str]) -> Json:
    return {"days": [days]} if hours == ["00:00-24:00"] else {"days": [days], "hours": hours}


def _is_split(day: Day, period: int) -> bool:
    weekday, weekend = _ranges(day.weekday, period), _ranges(day.weekend, period)
    return bool(weekday and weekend) and weekday != weekend


def _hours_a_week(day: Day, period: int) -> int:
    return 5 * day.weekday.count(period) + 2 * day.weekend.count(period)


def _ranges(row: Row, period: int) -> list[str]:
    """The hours of the period as clock ranges."""
    spans = []
    for is_in, hours in groupby(range(_HOURS), key=lambda hour: row[hour] == period):
        if is_in:
            of_run = list(hours)
            spans.append(f"{of_run[0]:02d}:00-{of_run[-1] + 1:02d}:00")
    return spans
