"""Rating: one accepted usage record becomes the signed charges that it makes to its account's bill.

A price is a function of what was used in the period, never of the order in which it arrived, and a charge is the
difference that a record makes to it: price(usage with it) − price(usage before it), exact and unrounded. A record is
rated in pieces where it crosses a border: each billing period and tariff version gets a charge of its own, each time
band its own parts. After intake.py, before posting.py.
"""

from collections.abc import Sequence

from msgspec import Struct

from pipeline.bands import BandTimeline
from pipeline.items import Item
from pipeline.keeping import NO_GROUPS, Fact, Groups, price_of_groups, with_facts
from pipeline.pricing.bands import BandPrices
from pipeline.pricing.difference import difference, merged
from pipeline.splitting import share_by_time
from schemas.charge import Part
from schemas.fixed_point import RoundingMode, divide, fits

Shares = list[tuple[int, int]]
"""Band index and quantity; no band twice."""


class Rated(Struct, frozen=True, gc=False):
    """What a piece does to its totals: the bands' quantities after it, and the parts that it adds to the price.

    `used_before` is what filled the same tiers before it. `groups` are those that it changes, `base` what the item then
    costs before a discount and a maximum.
    """

    quantities: list[int]
    used_before: int
    quantity: int
    parts: tuple[Part, ...]
    amount: int
    groups: Groups = NO_GROUPS
    base: int = 0


class Used(Struct, frozen=True, gc=False):
    """The state of an item's totals that a piece comes to. `is_new` says that nothing was charged for the item yet."""

    quantities: list[int]
    groups: Groups
    base: int
    is_new: bool


def in_bands(timeline: BandTimeline | None, start: int, end: int, quantity: int) -> Shares:
    """The quantity of `[start, end)` by time band."""
    if timeline is None:
        return [(0, quantity)]
    bands, borders = timeline.cut(start, end)
    if not borders:
        return [(bands[0], quantity)]
    shares: dict[int, int] = {}
    for band, share in zip(bands, share_by_time(quantity, start, end, borders), strict=True):
        shares[band] = shares.get(band, 0) + share
    return list(shares.items())


def rate(prices: BandPrices, quantities: list[int], shares: Shares, sign: int = 1) -> Rated:
    """The difference that the shares make to the price of `quantities`; sign −1 takes them away."""
    if len(shares) == 1:  # nearly every record
        band, quantity = shares[0]
        quantity *= sign
        price = prices.separate[band]
        if price is not None:
            before = quantities[band]
            total = before + quantity
            after = [total] if len(quantities) == 1 else [*quantities[:band], total, *quantities[band + 1 :]]
            parts = price.between(prices.names[band], before, total)
            amount = parts[0].amount if len(parts) == 1 else sum([part.amount for part in parts])
            return Rated(after, before, quantity, tuple(parts), amount)
    after = [*quantities]
    for band, quantity in shares:
        after[band] += sign * quantity
    parts = prices.between(quantities, after)
    used_before = prices.counted(quantities, [band for band, _ in shares])
    quantity = sign * sum([quantity for _, quantity in shares])
    return Rated(after, used_before, quantity, tuple(parts), sum([part.amount for part in parts]))


def rate_item(item: Item, used: Used, shares: Shares, facts: Sequence[Fact], sign: int = 1) -> Rated:
    """The difference that a piece makes to the price of any item; sign −1 takes it away."""
    after = [*used.quantities]
    for band, quantity in shares:
        after[band] += sign * quantity
    groups: dict[str, tuple[Fact, ...]] = {}
    if item.kept is None:
        parts = item.prices.between(used.quantities, after)
    else:
        groups = with_facts(item.kept, used.groups, facts, sign)
        before = {} if used.is_new else {name: used.groups[name] for name in groups if name in used.groups}
        if used.is_new:
            groups = {**used.groups, **groups}
        each = item.round_each
        parts = difference(price_of_groups(item.kept, before, each), price_of_groups(item.kept, groups, each))
    if used.is_new:
        parts = [*item.standing, *parts]
    base = used.base + sum(part.amount for part in parts)
    if item.limits is not None:
        parts += item.limits.between(used.base, base)
    divisor, numerator = item.measure.divisor, item.measure.numerator if item.is_raw else 1
    counted = sum(used.quantities[band] for band, _ in shares)
    return Rated(
        after,
        divide(counted * numerator, divisor, RoundingMode.HALF_EVEN),
        divide(sign * sum(quantity for _, quantity in shares) * numerator, divisor, RoundingMode.HALF_EVEN),
        tuple(parts),
        sum(part.amount for part in parts),
        groups,
        base,
    )


def is_storable(rated: Rated) -> bool:
    """Whether every number of a charge fits the columns that it is stored in."""
    numbers = (number for part in rated.parts for number in (part.quantity, part.unit_price, part.amount, part.tax))
    return fits(rated.used_before) and fits(rated.quantity) and all(map(fits, numbers))


def base_of(item: Item, quantities: Sequence[int], groups: Groups) -> list[Part]:
    """The whole price of an item's usage before a discount and a maximum."""
    if item.kept is not None:
        return [*item.standing, *merged(price_of_groups(item.kept, groups, item.round_each))]
    return [*item.standing, *item.prices.between([0] * len(quantities), quantities)]


def price_of(item: Item, quantities: Sequence[int], groups: Groups) -> list[Part]:
    """The whole price of an item's usage, worked out from what is kept of it."""
    parts = base_of(item, quantities, groups)
    if item.limits is not None:
        parts += item.limits.parts(sum(part.amount for part in parts))
    return parts
