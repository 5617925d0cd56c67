"""Pricing: what a quantity costs, one file per price model.

Every price answers one question: `between(band, before, after)`, the signed parts that going from one total to
another adds to the price. The price of a total is `between(band, 0, total)` and a charge is a difference, so the
charges of a period always add up to the price of its usage. A new model is a document class in schemas/price.py,
a file here, and an arm of `compile_price`.
"""

from collections.abc import Callable

from pipeline.pricing.across_bands import AcrossBands
from pipeline.pricing.bands import BandPrices
from pipeline.pricing.models import compile_price
from pipeline.pricing.tiered import Graduated
from schemas.meter import Meter

__all__ = ["BandPrices", "compile_bands", "compile_price"]


def compile_bands(meter: Meter, days: Callable[[str | None], int], fineness: int = 1) -> BandPrices:
    """The prices of a meter for one range and quantities times `fineness`.

    `days(season)` is how many days of it count for per-day bounds.
    """
    if meter.price is not None:
        return BandPrices(("",), (compile_price(meter.price, days(None), fineness),))
    bands = meter.bands or ()
    names = tuple(band.name for band in bands)
    prices = [compile_price(band.price, days(band.season), fineness) for band in bands]
    if meter.tiers_across_bands != "pro-rata":
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
