"""Prices: what a quantity costs, tier by tier, in exact fractions.

Where the tiers count several bands together, each band's share of a tier is the exact fraction here; an export has
whole millionths of the unit, so its lines may differ by `slack`: one millionth with two bands, two with more.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from tests.oracle.items import Band, Meter, Price
from tests.oracle.placing import MILLIONTH

ZERO = Fraction(0)
ATTO = Fraction(1, 10**18)


class Row(NamedTuple):
    """A share of the quantity at one unit price. `slack`: how far the quantity may be off."""

    band: str
    tier: int
    name: str
    unit_price: Fraction
    quantity: Fraction
    exact: Fraction
    unit: str
    slack: Fraction = ZERO


def attos(value: Fraction) -> Fraction:
    """Rounded half-even to 18 decimals, as amounts are kept."""
    return round(value / ATTO) * ATTO


def millionths(value: Fraction) -> Fraction:
    """Rounded half-even to six decimals, as quantities are kept."""
    return round(value / MILLIONTH) * MILLIONTH


def flat(band: str, tier: int, name: str, exact: Fraction) -> Row:
    """An amount without a quantity."""
    return Row(band, tier, name, ZERO, ZERO, exact, "")


def added_up(rows: Iterable[Row]) -> list[Row]:
    """The rows of one kind added up, without those of nothing."""
    sums: dict[tuple[str, int, str, Fraction, str], Row] = {}
    for row in rows:
        key = (row.band, row.tier, row.name, row.unit_price, row.unit)
        one = sums.get(key)
        sums[key] = (
            row
            if one is None
            else one._replace(
                quantity=one.quantity + row.quantity, exact=one.exact + row.exact, slack=one.slack + row.slack
            )
        )
    return [row for row in sums.values() if row.quantity or row.exact]


class Step(NamedTuple):
    """A tier with its number and its bounds for the whole range, free units included."""

    number: int
    lower: Fraction
    upper: Fraction | None
    unit_price: Fraction
    flat_fee: Fraction

    def filled(self, total: Fraction) -> Fraction:
        """How much of the total lies in it."""
        top = total if self.upper is None else min(total, self.upper)
        return max(ZERO, top - self.lower)


def rows_of(meter: Meter, used: Mapping[str, Fraction], days: Callable[[str | None], int]) -> list[Row]:
    """What the quantities of the bands cost, each row rounded to what can be kept; `days` says how many days of a
    season (None: of the year) count.
    """
    if meter.across != "pro-rata":
        found = [
            row for band in meter.bands for row in _rows(meter, band, used.get(band.name, ZERO), days(band.season))
        ]
    else:
        seasons = dict.fromkeys(band.season for band in meter.bands)
        groups = ([band for band in meter.bands if band.season == season] for season in seasons)
        found = [row for group in groups for row in _pro_rata_rows(meter, group, used, days(group[0].season))]
    return [row._replace(quantity=millionths(row.quantity), exact=attos(row.exact)) for row in found]


def standing_rows(meter: Meter) -> list[Row]:
    """What is due without any usage, in each band; a volume price has it only until a tier is reached."""
    return [
        flat(band.name, 1, "flat fee", band.price.standing())
        for band in meter.bands
        if band.price.standing() and band.price.model != "volume"
    ]


def slices(meter: Meter, band: Band, before: Fraction, after: Fraction, days: int) -> list[Row]:
    """What going on from one total to another costs in a band of graduated tiers."""
    if after < before:
        return [
            row._replace(quantity=-row.quantity, exact=-row.exact) for row in slices(meter, band, after, before, days)
        ]
    rows = []
    steps = steps_of(band.price, days)
    for step in steps:
        low = max(before, step.lower) if step is not steps[0] else before
        high = after if step.upper is None else min(after, step.upper)
        quantity = max(ZERO, high - low)
        rows += _priced(meter, band, step, quantity, has_fee=before <= step.lower < after)
    return rows


def _rows(meter: Meter, band: Band, total: Fraction, days: int) -> list[Row]:
    if band.price.model == "volume":
        return _volume_rows(meter, band, total, days)
    if not total:
        return []
    if band.price.model == "package":
        return _package_rows(meter, band, total)
    if band.price.model == "commitment":
        return _committed_rows(meter, band, total)
    rows = []
    steps = steps_of(band.price, days)
    for step in steps:
        quantity = step.filled(total) if total > 0 else total if step is steps[0] else ZERO
        is_reached = total > step.lower or (band.price.upper_on_bound and total > 0 and total == step.lower)
        rows += _priced(meter, band, step, quantity, has_fee=is_reached)
    return rows


def _volume_rows(meter: Meter, band: Band, total: Fraction, days: int) -> list[Row]:
    price = band.price
    free = min(max(total, ZERO), Fraction(price.free_units) * (days if price.per_day else 1))
    paid = total - free
    rows = [Row(band.name, 0, "included", ZERO, free, ZERO, meter.priced_unit)] if free else []
    steps = tiers_of(price, days)
    if not paid and price.first_fee_always:
        return [*rows, flat(band.name, 1, "flat fee", steps[0].flat_fee)]
    if paid:
        step = next(
            step
            for step in steps
            if step.upper is None or paid < step.upper or (paid == step.upper and not price.upper_on_bound)
        )
        if price.free_between_bounds and step is not steps[0] and 0 < paid - step.lower < 1:
            return rows
        rows += _priced(meter, band, step, paid, has_fee=paid > 0 or price.first_fee_always)
    return rows


def _package_rows(meter: Meter, band: Band, total: Fraction) -> list[Row]:
    price = band.price
    free = min(max(total, ZERO), Fraction(price.free_units))
    packages = Fraction(max(0, ceil((total - Fraction(price.free_units)) / Fraction(price.size))))
    each = Fraction(price.tiers[0].unit_price)
    rows = [Row(band.name, 0, "included", ZERO, free, ZERO, meter.priced_unit)] if free else []
    unit = f"{Decimal(price.size).normalize():f} {meter.priced_unit}"
    return [*rows, Row(band.name, 1, "", each, packages, packages * each, unit)] if packages else rows


def _committed_rows(meter: Meter, band: Band, total: Fraction) -> list[Row]:
    price = band.price
    each, factor = price.number("unit_price"), price.number("overage_factor")
    worth = price.number("quantity") * each if "quantity" in price.document else price.number("amount")
    cost = total * each
    if cost <= worth:
        rows = [Row(band.name, 1, "", each, total, cost, meter.priced_unit)]
        if price.document.get("true_up") == "true" and 0 < cost < worth:
            rows.append(flat(band.name, 1, "true-up", worth - cost))
        return rows
    within = Fraction(floor(worth / each / MILLIONTH)) * MILLIONTH
    dearer = Fraction(round(each * factor * 10**12), 10**12)
    rows = [Row(band.name, 1, "", each, within, worth, meter.priced_unit)] if worth else []
    return [
        *rows,
        Row(band.name, 2, "overage", dearer, total - within, (cost - worth) * factor, meter.priced_unit),
    ]


def _pro_rata_rows(meter: Meter, bands: list[Band], used: Mapping[str, Fraction], days: int) -> list[Row]:
    total = sum((used.get(band.name, ZERO) for band in bands), ZERO)
    rows = []
    for band in bands:
        steps = steps_of(band.price, days)
        of_band = used.get(band.name, ZERO)
        for step in steps:
            quantity = of_band * step.filled(total) / total if total > 0 else of_band if step is steps[0] else ZERO
            rows += _priced(meter, band, step, quantity, has_fee=False)
    slack = MILLIONTH * min(2, len(bands) - 1) if total > 0 else ZERO
    return [row._replace(slack=slack) for row in rows]


def _priced(meter: Meter, band: Band, step: Step, quantity: Fraction, *, has_fee: bool) -> list[Row]:
    rows = []
    if quantity:
        name = "" if step.number else "included"
        amount = quantity * step.unit_price
        rows.append(Row(band.name, step.number, name, step.unit_price, quantity, amount, meter.priced_unit))
    if has_fee and step.flat_fee:
        rows.append(flat(band.name, step.number, "flat fee", step.flat_fee))
    return rows


def steps_of(price: Price, days: int) -> list[Step]:
    """The tiers of a graduated price, moved up by the free units; the first fee is not theirs where always due."""
    free = Fraction(price.free_units) * (days if price.per_day else 1)
    tiers = tiers_of(price, days)
    if price.first_fee_always:
        tiers[0] = tiers[0]._replace(flat_fee=ZERO)
    if not free:
        return tiers
    moved = [
        step._replace(lower=step.lower + free, upper=None if step.upper is None else step.upper + free)
        for step in tiers
    ]
    return [Step(0, ZERO, free, ZERO, ZERO), *moved]


def tiers_of(price: Price, days: int) -> list[Step]:
    """The tiers with their bounds."""
    steps: list[Step] = []
    lower = ZERO
    for number, tier in enumerate(price.tiers, 1):
        upper = None if tier.up_to is None else Fraction(tier.up_to) * (days if price.per_day else 1)
        steps.append(Step(number, lower, upper, Fraction(tier.unit_price), Fraction(tier.flat_fee)))
        lower = upper or lower
    return steps
