"""Bands: when each time-of-use price holds, as ranges of microseconds.

The tariff says it in local wall time; where clocks change, an hour that does not exist has no length and an hour that
occurs twice counts twice. The ranges of a billing period are worked out when it is first needed, and kept.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from pipeline.calendar import ONE_DAY, local_date, midnight, same_offset_pieces
from schemas.band import HOLIDAY, Band
from schemas.field import DAY_MINUTES, MonthDay
from schemas.instants import DAY_US, EPOCH, SECOND_US
from schemas.tariff import Tariff

MINUTE_US = 60 * SECOND_US

DayPlan = list[tuple[int, int, int]]
"""The local day as (first minute, end minute, band index), in order, without gaps."""


class BandTimeline:
    """The bands of one meter over `[start, end)`: `days` counts local dates by season, `cut` finds borders."""

    def __init__(self, tariff: Tariff, bands: Sequence[Band], zone: ZoneInfo, start: int, end: int) -> None:
        self._tariff = tariff
        self._bands = bands
        self._plans: dict[tuple[str | None, int], DayPlan] = {}
        self._days: dict[str | None, int] = {None: 0}
        self._begins: list[int] = []
        self._band_at: list[int] = []
        day = local_date(start, zone)
        low = midnight(day, zone)
        while low < end:
            high = midnight(day + ONE_DAY, zone)
            self._add_day(day, max(low, start), min(high, end), zone, counts=low >= start)
            day, low = day + ONE_DAY, high

    def days(self, season: str | None) -> int:
        """How many local dates begin in the range and the season; None for all."""
        return self._days.get(season, 0)

    def cut(self, start: int, end: int) -> tuple[list[int], list[int]]:
        """The bands that `[start, end)` runs through, and the instants between them."""
        first = bisect_right(self._begins, start) - 1
        last = bisect_right(self._begins, end - 1) - 1 if end > start else first
        return self._band_at[first : last + 1], self._begins[first + 1 : last + 1]

    def _add_day(self, day: date, start: int, end: int, zone: ZoneInfo, *, counts: bool) -> None:
        season = next((name for name, season in self._tariff.seasons.items() if season.holds(day)), None)
        if counts:
            self._days[None] += 1
            if season is not None:
                self._days[season] = self._days.get(season, 0) + 1
        plan = self._plan(season, self._day_type(day))
        date_us = (day - EPOCH.date()).days * DAY_US
        for low, high, offset in same_offset_pieces(start, end, zone) if start < end else ():
            wall = low + offset - date_us  # below zero where the clock has gone back over midnight
            for first, until, band in plan:
                begin = max(first * MINUTE_US, wall)
                if begin < min(until * MINUTE_US, wall + high - low):
                    self._add(low + begin - wall, band)

    def _add(self, begin: int, band: int) -> None:
        if not self._band_at or self._band_at[-1] != band:
            self._begins.append(begin)
            self._band_at.append(band)

    def _day_type(self, day: date) -> int:
        holidays = self._tariff.holidays
        is_holiday = day in holidays or MonthDay(day.month, day.day) in holidays
        return HOLIDAY if is_holiday else day.weekday()

    def _plan(self, season: str | None, day_type: int) -> DayPlan:
        plan = self._plans.get((season, day_type))
        if plan is None:
            plan = self._plans[season, day_type] = list(day_plan(self._bands, season, day_type))
        return plan


def day_plan(bands: Sequence[Band], season: str | None, day_type: int) -> Iterator[tuple[int, int, int]]:
    """The bands of a day of this season and type; the band that takes the rest fills what no other claims."""
    active = [(index, band) for index, band in enumerate(bands) if band.season in (None, season)]
    rest = next((index for index, band in active if band.is_rest), -1)
    reached = 0
    for first, until, index in sorted((*claim, index) for index, band in active for claim in band.claims(day_type)):
        if first > reached:
            yield reached, first, rest
        yield first, until, index
        reached = until
    if reached < DAY_MINUTES:
        yield reached, DAY_MINUTES, rest
