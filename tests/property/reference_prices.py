"""Reference prices: what a quantity costs by the words of the tariff, worked out naively in fractions.

They share no code with the pipeline. Nothing is a difference here: a total is priced as it is.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from tests.small_books import Json

SMALLEST = Fraction(1, 10**18)


def rounded(exact: Fraction, step: Fraction = SMALLEST, mode: str = "half-even") -> Fraction:
    """The nearest multiple of the step; halves and the rest as the mode says, away from zero for up."""
    count, sign = abs(exact) / step, -1 if exact < 0 else 1
    below = floor(count)
    rest = count - below
    if mode == "half-even":
        return sign * round(count) * step
    more = {"half-up": rest >= Fraction(1, 2), "up": rest > 0, "down": False}[mode]
    return sign * (below + more) * step


def price_of(price: Json, total: Fraction, days: int) -> list[tuple[int, Fraction]]:
    """(tier, amount) of a total that may be below zero."""
    model = price["model"]
    if model == "commitment":
        return _commitment(price, total)
    times = days if price.get("tiers_per") == "day" else 1
    free = Fraction(price.get("free_units", 0)) * times
    paid = total - min(max(total, Fraction(0)), free)
    if model == "per_unit":
        return [(1, paid * Fraction(price["unit_price"]))] if not (free and total < 0) else []
    if model == "package":
        return [(1, ceil(max(paid, Fraction(0)) / Fraction(price["size"])) * Fraction(price["package_price"]))]
    tiers = _tiers(price, times)
    if model == "volume":
        return _volume(price, tiers, paid)
    return _graduated(price, tiers, total, free)


class Tier(NamedTuple):
    number: int
    lower: Fraction
    upper: Fraction | None
    unit_price: Fraction
    flat_fee: Fraction


def _tiers(price: Json, times: int) -> list[Tier]:
    found = []
    lower = Fraction(0)
    for number, tier in enumerate(price["tiers"], 1):
        upper = None if tier["up_to"] is None else Fraction(tier["up_to"]) * times
        unit_price = Fraction(tier["unit_price"]) if "unit_price" in tier else Fraction(tier["percent"]) / 100
        found.append(Tier(number, lower, upper, unit_price, Fraction(tier["flat_fee"])))
        lower = upper or lower
    return found


def _graduated(price: Json, tiers: Sequence[Tier], total: Fraction, free: Fraction) -> list[tuple[int, Fraction]]:
    paid = max(total - free, Fraction(0)) if free else total  # what is free is the tier that goes on below zero
    found = []
    for tier in tiers:
        bound = tier.lower + free
        reached = total > 0 and (total > bound or (price.get("on_bound") == "upper" and total == bound))
        units = min(paid, paid if tier.upper is None else tier.upper) - tier.lower
        if tier.number == 1 or units > 0:
            found.append((tier.number, units * tier.unit_price))
        always = tier.number == 1 and price.get("first_flat_fee") == "always"
        if always or reached:
            found.append((tier.number, tier.flat_fee))
    return found


def _volume(price: Json, tiers: Sequence[Tier], paid: Fraction) -> list[tuple[int, Fraction]]:
    always = price.get("first_flat_fee") == "always"
    if paid <= 0:
        first = tiers[0]
        return [(1, paid * first.unit_price + (first.flat_fee if always else 0))]
    for tier in tiers:
        if tier.upper is None or paid < tier.upper or (paid == tier.upper and price.get("on_bound") != "upper"):
            if price.get("between_bounds") == "unpriced" and tier.lower and 0 < paid - tier.lower < 1:
                return []
            return [(tier.number, paid * tier.unit_price + tier.flat_fee)]
    raise AssertionError("the last tier has no end")


def _commitment(price: Json, total: Fraction) -> list[tuple[int, Fraction]]:
    unit_price, cost = Fraction(price["unit_price"]), total * Fraction(price["unit_price"])
    committed = Fraction(price["amount"]) if "amount" in price else Fraction(price["quantity"]) * unit_price
    if cost > committed:
        return [(1, committed), (2, (cost - committed) * Fraction(price["overage_factor"]))]
    return [(1, committed if price["true_up"] and cost > 0 else cost)]
