"""Prices: what a quantity costs, tier by tier, in exact fractions.

Where the tiers count several bands together, each band's share of a tier is the exact fraction here; an export has
whole millionths of the unit, so its lines may differ by `slack`: one millionth with two bands, two with more.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from tests.oracle.contracts import Band, Meter, Price

MILLIONTH = Fraction(1, 10**6)


class Row(NamedTuple):
    """A share of the quantity at one unit price. `slack`: how far the quantity may be off."""

    band: str
    tier: int
    name: str
    unit_price: Fraction
    quantity: Fraction
    exact: Fraction
    unit: str
    slack: Fraction = Fraction(0)


class _Step(NamedTuple):
    """A tier with its number and its bounds for the whole range, free units included."""

    number: int
    lower: Fraction
    upper: Fraction | None
    unit_price: Fraction
    flat_fee: Fraction

    def filled(self, total: Fraction) -> Fraction:
        """How much of the total lies in it."""
        top = total if self.upper is None else min(total, self.upper)
        return max(Fraction(0), top - self.lower)


def rows_of(meter: Meter, quantities: Mapping[str, Decimal], days: Callable[[str | None], int]) -> list[Row]:
    """What the quantities of the bands cost; `days` says how many days of a season (None: of the year) count."""
    used = {band.name: Fraction(quantities.get(band.name, Decimal(0))) for band in meter.bands}
    if not meter.pro_rata:
        return [row for band in meter.bands for row in _rows(meter, band, used[band.name], days(band.season))]
    seasons = dict.fromkeys(band.season for band in meter.bands)
    groups = ([band for band in meter.bands if band.season == season] for season in seasons)
    return [row for group in groups for row in _pro_rata_rows(meter, group, used, days(group[0].season))]


def _rows(meter: Meter, band: Band, total: Fraction, days: int) -> list[Row]:
    if not total:
        return []
    if band.price.model == "package":
        return _package_rows(meter, band, total)
    if band.price.model == "volume":
        return _volume_rows(meter, band, total, days)
    rows = []
    steps = _steps(band.price, days)
    for step in steps:
        quantity = step.filled(total) if total > 0 else total if step is steps[0] else Fraction(0)
        rows += _priced(meter, band, step, quantity, flat=total > step.lower)
    return rows


def _volume_rows(meter: Meter, band: Band, total: Fraction, days: int) -> list[Row]:
    price = band.price
    free = min(max(total, Fraction(0)), Fraction(price.free_units) * (days if price.per_day else 1))
    paid = total - free
    rows = [Row(band.name, 0, "included", Fraction(0), free, Fraction(0), meter.unit)] if free else []
    if paid:
        step = next(step for step in _bounds(price, days) if step.upper is None or paid <= step.upper)
        rows += _priced(meter, band, step, paid, flat=True)
    return rows


def _package_rows(meter: Meter, band: Band, total: Fraction) -> list[Row]:
    price = band.price
    free = min(max(total, Fraction(0)), Fraction(price.free_units))
    packages = Fraction(max(0, ceil((total - Fraction(price.free_units)) / Fraction(price.size))))
    each = Fraction(price.tiers[0].unit_price)
    rows = [Row(band.name, 0, "included", Fraction(0), free, Fraction(0), meter.unit)] if free else []
    unit = f"{price.size} {meter.unit}"
    return [*rows, Row(band.name, 1, "", each, packages, packages * each, unit)] if packages else rows


def _pro_rata_rows(meter: Meter, bands: list[Band], used: Mapping[str, Fraction], days: int) -> list[Row]:
    total = sum((used[band.name] for band in bands), Fraction(0))
    rows = []
    for band in bands:
        steps = _steps(band.price, days)
        for step in steps:
            if total > 0:
                quantity = used[band.name] * step.filled(total) / total
            else:
                quantity = used[band.name] if step is steps[0] else Fraction(0)
            rows += _priced(meter, band, step, quantity, flat=False)
    slack = MILLIONTH * min(2, len(bands) - 1) if total > 0 else Fraction(0)
    return [row._replace(slack=slack) for row in rows]


def _priced(meter: Meter, band: Band, step: _Step, quantity: Fraction, *, flat: bool) -> list[Row]:
    rows = []
    if quantity:
        name = "" if step.number else "included"
        amount = quantity * step.unit_price
        rows.append(Row(band.name, step.number, name, step.unit_price, quantity, amount, meter.unit))
    if flat and step.flat_fee:
        rows.append(Row(band.name, step.number, "flat fee", Fraction(0), Fraction(0), step.flat_fee, ""))
    return rows


def _steps(price: Price, days: int) -> list[_Step]:
    """The tiers of a graduated price, moved up by the free units."""
    free = Fraction(price.free_units) * (days if price.per_day else 1)
    if not free:
        return _bounds(price, days)
    moved = [
        step._replace(lower=step.lower + free, upper=None if step.upper is None else step.upper + free)
        for step in _bounds(price, days)
    ]
    return [_Step(0, Fraction(0), free, Fraction(0), Fraction(0)), *moved]


def _bounds(price: Price, days: int) -> list[_Step]:
    steps: list[_Step] = []
    lower = Fraction(0)
    for number, tier in enumerate(price.tiers, 1):
        upper = None if tier.up_to is None else Fraction(tier.up_to) * (days if price.per_day else 1)
        steps.append(_Step(number, lower, upper, Fraction(tier.unit_price), Fraction(tier.flat_fee)))
        lower = upper or lower
    return steps
