"""Pricing: what a quantity costs, one file per price model.

Every price answers one question: `between(band, before, after)`, the signed parts that going from one total to
another adds to the price. The price of a total is `between(band, 0, total)` and a charge is a difference, so the
charges of a period always add up to the price of its usage. A new model is a document class in schemas/price.py, a
file here, and an arm of `compile_price`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, assert_never

from pipeline.pricing.across_bands import AcrossBands
from pipeline.pricing.package import Package
from pipeline.pricing.tiered import Graduated, Tier
from pipeline.pricing.volume import Volume
from schemas import price as documents
from schemas.charge import Part
from schemas.fixed_point import PRICE_SCALE, QUANTITY_SCALE, to_fixed
from schemas.meter import Meter


class Price(Protocol):
    """A compiled price model. Quantities, prices and amounts are fixed point."""

    def between(self, band: str, before: int, after: int) -> list[Part]:
        """What going from the total `before` to the total `after` adds to the price."""


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


def compile_bands(meter: Meter, days: Callable[[str | None], int]) -> BandPrices:
    """The prices of a meter for one range; `days(season)` is how many days of it count for per-day bounds."""
    if meter.price is not None:
        return BandPrices(("",), (compile_price(meter.price, days(None)),))
    bands = meter.bands or ()
    names = tuple(band.name for band in bands)
    prices = [compile_price(band.price, days(band.season)) for band in bands]
    if meter.tiers_across_bands == "separate":
        return BandPrices(names, tuple(prices))
    seasons: dict[str | None, list[int]] = {}
    for index, band in enumerate(bands):
        seasons.setdefault(band.season, []).append(index)
    shared = []
    for indices in seasons.values():
        graduated = [price for index in indices if isinstance(price := prices[index], Graduated)]
        if len(graduated) != len(indices):
            raise TypeError("tiers across bands need graduated prices; the tariff's own check lets no other through")
        shared.append((tuple(indices), AcrossBands(tuple(names[index] for index in indices), tuple(graduated))))
    return BandPrices(names, (None,) * len(names), tuple(shared))


def compile_price(price: documents.Price, days: int) -> Price:
    """The runnable form of a price document; `days` multiplies bounds that are per day."""
    match price:
        case documents.PerUnit():
            return Graduated(_with_free(_quantity(price.free_units), (Tier(1, 0, None, _price(price.unit_price), 0),)))
        case documents.Graduated():
            return Graduated(_with_free(_free_units(price, days), _tiers(price, days)))
        case documents.Volume():
            return Volume(_tiers(price, days), _free_units(price, days))
        case documents.Package():
            return Package(_quantity(price.size), _price(price.package_price), _quantity(price.free_units))
        case _:
            assert_never(price)


def _tiers(price: documents.Graduated | documents.Volume, days: int) -> tuple[Tier, ...]:
    times = days if price.tiers_per == "day" else 1
    tiers = []
    lower = 0
    for number, tier in enumerate(price.tiers, 1):
        upper = None if tier.up_to is None else _quantity(tier.up_to) * times
        tiers.append(Tier(number, lower, upper, _price(tier.unit_price), _price(tier.flat_fee) * 10**QUANTITY_SCALE))
        lower = upper or 0
    return tuple(tiers)


def _free_units(price: documents.Graduated | documents.Volume, days: int) -> int:
    return _quantity(price.free_units) * (days if price.tiers_per == "day" else 1)


def _with_free(free: int, tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """The tiers moved up by the free units, which become tier 0."""
    if not free:
        return tiers
    moved = (
        Tier(t.number, t.lower + free, None if t.upper is None else t.upper + free, t.unit_price, t.flat_fee)
        for t in tiers
    )
    return (Tier(0, 0, free, 0, 0), *moved)


def _quantity(value: Decimal) -> int:
    return to_fixed(value, QUANTITY_SCALE)


def _price(value: Decimal) -> int:
    return to_fixed(value, PRICE_SCALE)
