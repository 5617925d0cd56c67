"""Volume prices: the whole quantity at the unit price of the tier that it reaches, plus that tier's flat fee.

Free units are taken off first. Below zero (net credit) the first tier goes on, without its flat fee. When one more unit
reaches a cheaper tier the price can fall, so a charge can be negative: the earlier units are given back at their old
price and charged at the new one.
"""

from dataclasses import dataclass

from pipeline.pricing.tiered import Tier
from schemas.charge import Part


@dataclass(frozen=True, slots=True)
class Volume:
    """Tiers as of a graduated price, without the free one."""

    tiers: tuple[Tier, ...]
    free_units: int
    ends_before_bound: bool = False
    """Whether a quantity on a bound is in the tier above."""
    gap: int = 0
    """How far above a bound the next tier begins; what lies between costs nothing."""
    is_due_unused: bool = False
    """Whether the first tier's flat fee is due without usage; then it is no part of what usage adds."""

    def between(self, band: str, before: int, after: int) -> list[Part]:
        """What going from the total `before` to the total `after` adds to the price.

        >>> two = Volume((Tier(1, 0, 10, 5, 0), Tier(2, 10, None, 4, 0)), 0)
        >>> [(part.tier, part.quantity, part.amount) for part in two.between("", 10, 11)]
        [(1, -10, -50), (2, 11, 44)]
        """
        old, new = self._tier(before), self._tier(after)
        paid_before, paid_after = self._paid(before), self._paid(after)
        parts = []
        free = (after - paid_after) - (before - paid_before)
        if free:
            parts.append(Part(band, 0, 0, free, 0))
        if old is new and old is not None and (self.is_due_unused or (paid_before > 0) == (paid_after > 0)):
            if paid_after != paid_before:
                parts.append(_units(band, old, paid_after - paid_before))
            return parts
        if old is not None:
            parts.extend(self._whole(band, old, paid_before, -1))
        if new is not None:
            parts.extend(self._whole(band, new, paid_after, 1))
        return parts

    def _paid(self, total: int) -> int:
        return total - min(max(total, 0), self.free_units)

    def _tier(self, total: int) -> Tier | None:
        """The tier that the paid quantity reaches; None where nothing is to be paid."""
        paid = self._paid(total)
        if paid == 0:
            return self.tiers[0] if self.is_due_unused else None
        for tier in self.tiers:
            if tier.upper is None or paid < tier.upper or (paid == tier.upper and not self.ends_before_bound):
                return None if 0 < paid - tier.lower < self.gap and tier.lower else tier
        raise ValueError(f"no tier for {paid}: the last one has an end")

    def _whole(self, band: str, tier: Tier, quantity: int, sign: int) -> list[Part]:
        """All of a tier's price for the quantity, added (sign 1) or given back (sign -1)."""
        parts = [_units(band, tier, sign * quantity)] if quantity else []
        if tier.flat_fee and (quantity > 0 or self.is_due_unused):
            parts.append(Part(band, tier.number, 0, 0, sign * tier.flat_fee))
        return parts


def _units(band: str, tier: Tier, quantity: int) -> Part:
    return Part(band, tier.number, tier.unit_price, quantity, quantity * tier.unit_price)
