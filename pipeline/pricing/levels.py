"""Levels: records raise and lower something that lasts, such as stored bytes or seats, and time is what is billed.

A change counts from the moment of its record, or from the beginning of its local day where the level itself is priced,
until the end of the range. The level at the end is what the next range begins with.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from pipeline.calendar import days_between, local_date, midnight
from pipeline.keeping import Fact, Kept
from pipeline.pricing.bands import BandPrices
from pipeline.pricing.conversion import ConvertedPrices, divided
from pipeline.pricing.difference import merged
from schemas.charge import Part


@dataclass(frozen=True, slots=True)
class Level(Kept):
    """A level over the range `[start, end)` of a billing period.

    average: the price of its mean over the period; `prices` are converted ones whose divisor is the period's length.
    level: the price of the level on each day, by its share of the period's `days`; flat fees of all tiers reached.
    """

    function: Literal["average", "level"]
    prices: BandPrices | ConvertedPrices
    numerator: int
    start: int
    end: int
    days: int
    zone: ZoneInfo
    _: KW_ONLY
    is_weighed: bool = False
    is_carried: bool = True

    def price(self, facts: Sequence[Fact]) -> list[Part]:
        """The price of the level over the range."""
        if self.function == "average":
            area = sum([fact.quantity * (self.end - max(fact.start, self.start)) for fact in facts])
            return self.prices.between([0], [area * self.numerator])
        return self._daily(facts)

    def _daily(self, facts: Sequence[Fact]) -> list[Part]:
        changes: dict[int, int] = {}
        for fact in facts:
            day = max(midnight(local_date(fact.start, self.zone), self.zone), self.start)
            changes[day] = changes.get(day, 0) + fact.quantity
        level = highest = 0
        prices, divisor = self._undivided()
        units: list[Part] = []
        days = sorted(changes)
        for day, until in zip(days, [*days[1:], self.end], strict=True):
            level += changes[day]
            length = days_between(day, until, self.zone)
            units += [
                Part(part.band, part.tier, part.unit_price, part.quantity * length, part.amount * length, part.name)
                for part in prices.between([0], [level * self.numerator])
                if part.quantity
            ]
        level = 0
        for fact in facts:  # every moment counts for what was reached
            level += fact.quantity
            highest = max(highest, level)
        fees = [part for part in self.prices.between([0], [highest * self.numerator]) if not part.quantity]
        return [*fees, *(divided(part, self.days * divisor) for part in merged(units))]

    def _undivided(self) -> tuple[BandPrices | ConvertedPrices, int]:
        """The prices of a level, and what their parts are too large by: they are divided once, with the days."""
        if isinstance(self.prices, ConvertedPrices) and self.prices.step is None:
            return self.prices.inner, self.prices.divisor
        return self.prices, 1


def level_of(facts: Sequence[Fact]) -> int:
    """What the facts leave behind."""
    return sum([fact.quantity for fact in facts])
