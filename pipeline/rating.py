"""Rating: one accepted usage record becomes the signed charges that it makes to its account's bill.

A price is a function of what was used in the period, never of the order in which it arrived, and a charge is the
difference that a record makes to it: price(usage with it) − price(usage before it), exact and unrounded. A record is
rated in pieces where it crosses a border: each billing period and tariff version gets a charge of its own, each time
band its own parts. After intake.py, before posting.py.
"""

from msgspec import Struct

from pipeline.splitting import share_by_time
from pipeline.terms import Terms
from schemas.charge import Part

Shares = list[tuple[int, int]]
"""Band index and quantity; no band twice."""


class Rated(Struct, frozen=True, gc=False):
    """What a piece does to its totals: the bands' quantities after it, and the parts that it adds to the price.

    `used_before` is what filled the same tiers before it.
    """

    quantities: list[int]
    used_before: int
    quantity: int
    parts: tuple[Part, ...]
    amount: int


def in_bands(terms: Terms, start: int, end: int, quantity: int) -> Shares:
    """The quantity of `[start, end)` by time band."""
    if terms.timeline is None:
        return [(0, quantity)]
    bands, borders = terms.timeline.cut(start, end)
    if not borders:
        return [(bands[0], quantity)]
    shares: dict[int, int] = {}
    for band, share in zip(bands, share_by_time(quantity, start, end, borders), strict=True):
        shares[band] = shares.get(band, 0) + share
    return list(shares.items())


def rate(terms: Terms, quantities: list[int], shares: Shares, sign: int = 1) -> Rated:
    """The difference that the shares make to the price of `quantities`; sign −1 takes them away."""
    prices = terms.prices
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
