"""Tiers that several bands fill in the order of time: each fact takes up where the one before it ended.

The order is that of the events, so a record that comes late moves the later ones on, and what it changes in all of them
is its charge. Seasons fill tiers of their own.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from pipeline.keeping import Fact, Kept
from pipeline.pricing.bands import BandPrices
from pipeline.pricing.conversion import divided
from pipeline.pricing.difference import merged
from schemas.charge import Part


@dataclass(frozen=True, slots=True)
class Chronological(Kept):
    """A price per band, compiled for quantities times `divisor`, and the season of each."""

    prices: BandPrices
    seasons: tuple[str | None, ...]
    divisor: int
    _: KW_ONLY
    is_whole: bool = False

    def price(self, facts: Sequence[Fact]) -> list[Part]:
        """The price of all usage of a range."""
        filled: dict[str | None, int] = {}
        parts: list[Part] = []
        for fact in facts:
            season, price = self.seasons[fact.band], self.prices.separate[fact.band]
            before = filled.get(season, 0)
            filled[season] = before + fact.quantity
            if price is not None:
                parts += price.between(self.prices.names[fact.band], before, before + fact.quantity)
        return [divided(part, self.divisor) for part in merged(parts)] if self.divisor != 1 else merged(parts)
