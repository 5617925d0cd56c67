"""Graduated prices, and the per-unit price as a graduated one with a single tier.

Each tier prices only its own units `(lower, upper]`; a quantity on a bound belongs to the lower tier. A tier's flat
fee is due once its first unit is used. Free units are a tier 0 at price zero and the bounds count what comes after
them. Below zero (net credit) the first tier goes on.
"""

from dataclasses import dataclass, replace

from schemas.charge import Part


@dataclass(frozen=True, slots=True)
class Tier:
    """A range `(lower, upper]` of quantity at one unit price; `upper` None has no end, `number` 0 is free.

    Bounds are quantities, `unit_price` a price and `flat_fee` an amount.
    """

    number: int
    lower: int
    upper: int | None
    unit_price: int
    flat_fee: int


@dataclass(frozen=True, slots=True)
class Graduated:
    """Tiers in rising order, from the first to the one without end."""

    tiers: tuple[Tier, ...]

    def between(self, band: str, before: int, after: int) -> list[Part]:
        """What going from the total `before` to the total `after` adds to the price; negative where it takes away.

        >>> ten_then_five = Graduated((Tier(1, 0, 100, 10, 0), Tier(2, 100, None, 5, 0)))
        >>> [(part.tier, part.quantity, part.amount) for part in ten_then_five.between("", 90, 110)]
        [(1, 10, 100), (2, 10, 50)]
        """
        if after < before:
            return [
                Part(p.band, p.tier, p.unit_price, -p.quantity, -p.amount) for p in self.between(band, after, before)
            ]
        parts = []
        for tier in self.tiers:
            upper = tier.upper
            if upper is not None and upper <= before:
                continue
            lower = tier.lower
            if before <= lower < after and tier.flat_fee:
                parts.append(Part(band, tier.number, 0, 0, tier.flat_fee))
            low = before if before > lower or tier is self.tiers[0] else lower
            high = after if upper is None or after < upper else upper
            if low < high:
                quantity = high - low
                parts.append(Part(band, tier.number, tier.unit_price, quantity, quantity * tier.unit_price))
            if high == after:
                break
        return parts

    def filled(self, total: int) -> list[int]:
        """How much of the total lies in each tier; all of a total below zero lies in the first."""
        tiers = self.tiers
        if total <= 0:
            return [total, *[0] * (len(tiers) - 1)]
        return [max(0, (total if t.upper is None or total < t.upper else t.upper) - t.lower) for t in tiers]


@dataclass(frozen=True, slots=True)
class FlatOnBound(Graduated):
    """Tiers that begin on their lower bound: a total exactly on it owes the flat fee; units cost the same."""

    def between(self, band: str, before: int, after: int) -> list[Part]:
        """What going from the total `before` to the total `after` adds to the price."""
        units = Graduated(tuple(replace(tier, flat_fee=0) for tier in self.tiers)).between(band, before, after)
        fees = [
            Part(band, tier.number, 0, 0, (after_fee - before_fee) * tier.flat_fee)
            for tier in self.tiers
            if tier.flat_fee and (after_fee := _begun(tier, after)) != (before_fee := _begun(tier, before))
        ]
        return [*fees, *units]


def _begun(tier: Tier, total: int) -> bool:
    return total > 0 and total >= tier.lower
