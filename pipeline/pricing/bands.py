"""The prices of a meter's bands, with tiers of their own or shared."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.pricing.across_bands import AcrossBands
from pipeline.pricing.models import Price
from schemas.charge import Part


@dataclass(frozen=True, slots=True)
class BandPrices:
    """The prices of a meter's time bands; a meter without bands has one, named "".

    Each band has either a price of its own in `separate`, or None there and a place in one of `shared`: the indices
    of the bands whose usage fills the same tiers, and their price.
    """

    names: tuple[str, ...]
    separate: tuple[Price | None, ...]
    shared: tuple[tuple[tuple[int, ...], AcrossBands], ...] = ()

    def between(self, before: Sequence[int], after: Sequence[int]) -> list[Part]:
        """What going from the bands' totals `before` to `after` adds to the price."""
        parts: list[Part] = []
        for band, price in enumerate(self.separate):
            if price is not None and before[band] != after[band]:
                parts += price.between(self.names[band], before[band], after[band])
        for bands, across in self.shared:
            low, high = [before[band] for band in bands], [after[band] for band in bands]
            if low != high:
                parts += across.between(low, high)
        return parts

    def counted(self, quantities: Sequence[int], bands: Sequence[int]) -> int:
        """How much of `quantities` fills the tiers that these bands use."""
        touched = set(bands)
        for shared, _ in self.shared:
            if touched.intersection(shared):
                touched.update(shared)
        return sum(quantities[band] for band in touched)
