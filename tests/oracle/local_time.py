"""Local time: billing periods, local days, and which band holds at an instant, by the account's own clock."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from math import gcd

from tests.oracle.contracts import Cycle, Tariff, midnight
from tests.oracle.items import Band

ONE_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Span = tuple[datetime, datetime]


@cache
def billing_period(at: datetime, zone: tzinfo, cycle: Cycle) -> Span:
    """The billing period that holds the instant."""
    day = at.astimezone(zone).date()
    if cycle.months:
        near = ((day.year - cycle.origin.year) * 12 + day.month - cycle.origin.month) // cycle.months
    else:
        near = (day - cycle.origin).days // cycle.days
    begins = [_begin(near + by, zone, cycle) for by in (-1, 0, 1, 2)]
    start = max(begin for begin in begins if begin <= at)
    return start, min(begin for begin in begins if begin > at)


def _begin(number: int, zone: tzinfo, cycle: Cycle) -> datetime:
    """The start of the billing period of this number, counted from the one that begins at the origin."""
    if cycle.days:
        return midnight(cycle.origin + timedelta(days=number * cycle.days), zone)
    month = cycle.origin.year * 12 + cycle.origin.month - 1 + number * cycle.months
    year, of_year = month // 12, month % 12 + 1
    return midnight(date(year, of_year, min(cycle.origin.day, monthrange(year, of_year)[1])), zone)


@cache
def days_in(start: datetime, end: datetime, zone: tzinfo) -> tuple[date, ...]:
    """The local dates that begin in `[start, end)`."""
    day, days = start.astimezone(zone).date(), []
    while midnight(day, zone) < end:
        if midnight(day, zone) >= start:
            days.append(day)
        day += ONE_DAY
    return tuple(days)


def season_of(tariff: Tariff, day: date) -> str | None:
    """The season of a local date."""
    here = f"{day:%m-%d}"
    for name, (first, last) in tariff.seasons.items():
        if (first <= here <= last) if first <= last else (here >= first or here <= last):
            return name
    return None


class BandClock:
    """Bands of a meter, alike but for their times, in one zone: cuts a record where they change.

    Bands change on whole minutes of local time only, so the record is walked in the longest steps that cannot miss
    one: the greatest common divisor of an hour, the minutes of all bounds and those of the zone's offset.
    """

    def __init__(self, tariff: Tariff, bands: Sequence[Band], zone: tzinfo) -> None:
        self._tariff = tariff
        self._bands = bands
        self._zone = zone
        self._bounds = gcd(60, *(minute for band in bands for pair in band.minutes for minute in pair))
        self._known: dict[datetime, Band] = {}

    def cut(self, start: datetime, end: datetime) -> list[tuple[Band, datetime]]:
        """The bands that `[start, end)` runs through, each with the instant at which it begins there."""
        if len(self._bands) == 1:
            return [(self._bands[0], start)]
        if start == end:
            return [(self._band_at(start), start)]
        step = _MINUTE * gcd(self._bounds, self._offset(start), self._offset(end))
        cell = start - (start - _EPOCH) % step
        pieces = [(self._band_at(cell), start)]
        cell += step
        while cell < end:
            band = self._band_at(cell)
            if band is not pieces[-1][0]:
                pieces.append((band, cell))
            cell += step
        return pieces

    def _offset(self, at: datetime) -> int:
        offset = at.astimezone(self._zone).utcoffset() or timedelta()
        return offset // _MINUTE

    def _band_at(self, at: datetime) -> Band:
        band = self._known.get(at)
        if band is None:
            band = self._known[at] = self._find(at)
        return band

    def _find(self, at: datetime) -> Band:
        local = at.astimezone(self._zone)
        day = local.date()
        holiday = {day.isoformat(), f"{day:%m-%d}"} & self._tariff.holidays
        kind = "holidays" if holiday else _WEEK[day.weekday()]
        minute = local.hour * 60 + local.minute
        active = [band for band in self._bands if band.season in (None, season_of(self._tariff, day))]
        for band in active:
            if not band.takes_rest and kind in band.days and any(low <= minute < high for low, high in band.minutes):
                return band
        return next(band for band in active if band.takes_rest)
