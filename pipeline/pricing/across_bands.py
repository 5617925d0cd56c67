"""Tiers that count the usage of several time bands together, allotted to the bands pro rata.

The tiers are filled by the total of all bands; each band then takes its share of each tier in proportion to its
usage, and pays its own price for that tier. The allotment is in whole millionths of the unit and adds up exactly
both ways (`splitting.allot`), so every line is quantity × unit price and no unit is lost. This is how a utility bills
daily-allowance tiers under a time-of-use rate from a month's totals (NREL SSC, `ur_energy_charge_tou_tiers`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.pricing.tiered import Graduated
from pipeline.splitting import allot
from schemas.charge import Part


@dataclass(frozen=True, slots=True)
class AcrossBands:
    """One graduated price per band, all with the same bounds and no flat fees."""

    names: tuple[str, ...]
    prices: tuple[Graduated, ...]

    def between(self, before: Sequence[int], after: Sequence[int]) -> list[Part]:
        """What going from the bands' totals `before` to `after` adds to the price."""
        old, new = self._allotment(before), self._allotment(after)
        parts = []
        for band, name in enumerate(self.names):
            for index, tier in enumerate(self.prices[band].tiers):
                quantity = new[band][index] - old[band][index]
                if quantity:
                    parts.append(Part(name, tier.number, tier.unit_price, quantity, quantity * tier.unit_price))
        return parts

    def _allotment(self, quantities: Sequence[int]) -> list[list[int]]:
        """The quantity of each band in each tier. A total of zero or less stays in the first tier."""
        total = sum(quantities)
        filled = self.prices[0].filled(total)
        if total <= 0:
            return [[quantity, *[0] * (len(filled) - 1)] for quantity in quantities]
        return allot(quantities, filled)
