"""Percentages of transactions: a record's quantity is an amount of money, and the first ones of a period may be free.

Free ones are taken in the order of time. Where transactions have a least or a highest price, that is of each of them
that is not wholly free.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.keeping import Fact, Kept
from pipeline.pricing.difference import merged
from schemas.charge import Part
from schemas.fixed_point import PRICE_SCALE, QUANTITY_ONE, QUANTITY_SCALE, to_fixed
from schemas.price import Percentage

PER_EVENT, LEAST, MOST = "per transaction", "minimum", "maximum"


@dataclass(frozen=True, slots=True)
class Transactions(Kept):
    """One percentage per band. Fees and limits are amounts, the percentage a unit price."""

    names: tuple[str, ...]
    prices: tuple[Percentage, ...]

    def group(self, fact: Fact) -> str:
        """The transaction by itself, or all that share something free."""
        price = self.prices[fact.band]
        return fact.key.hex() if price.free_events is None and price.free_amount is None else ""

    def price(self, facts: Sequence[Fact]) -> list[Part]:
        """The price of the transactions of one group."""
        parts: list[Part] = []
        for band, price in enumerate(self.prices):
            of_band = [fact.quantity for fact in facts if fact.band == band]
            if of_band:
                parts += _parts(self.names[band], price, of_band)
        return merged(parts)


def _parts(band: str, price: Percentage, amounts: Sequence[int]) -> list[Part]:
    rate = to_fixed(price.percent, PRICE_SCALE - 2)
    fee = to_fixed(price.fixed_per_event, PRICE_SCALE) * QUANTITY_ONE
    allowed = None if price.free_amount is None else to_fixed(price.free_amount, QUANTITY_SCALE)
    has_free = allowed is not None or price.free_events is not None
    parts: list[Part] = []
    summed = 0
    for number, amount in enumerate(amounts, 1):
        counts_free = has_free and (price.free_events is None or number <= price.free_events)
        free = 0
        if counts_free:
            free = amount if allowed is None else max(min(amount, allowed - summed), 0)
        summed += amount
        if free:
            parts.append(Part(band, 0, 0, free, 0))
        if counts_free and (allowed is None or summed <= allowed):
            continue
        taxable = amount - free
        if taxable:
            parts.append(Part(band, 1, rate, taxable, taxable * rate))
        if fee:
            parts.append(Part(band, 1, fee // QUANTITY_ONE, QUANTITY_ONE, fee, PER_EVENT))
        parts += _limits(band, price, taxable * rate + fee)
    return parts


def _limits(band: str, price: Percentage, cost: int) -> list[Part]:
    if price.min_per_event is not None:
        missing = to_fixed(price.min_per_event, PRICE_SCALE) * QUANTITY_ONE - cost
        if missing > 0:
            return [Part(band, 1, 0, 0, missing, LEAST)]
    if price.max_per_event is not None:
        excess = cost - to_fixed(price.max_per_event, PRICE_SCALE) * QUANTITY_ONE
        if excess > 0:
            return [Part(band, 1, 0, 0, -excess, MOST)]
    return []
