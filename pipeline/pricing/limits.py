"""Limits: a discount and a maximum on what an item costs, in this order."""

from dataclasses import dataclass

from pipeline.pricing.difference import difference
from schemas.charge import Part
from schemas.fixed_point import HUNDRED_PERCENT, RoundingMode, divide

DISCOUNT, MAXIMUM = "discount", "maximum"


@dataclass(frozen=True, slots=True)
class Limits:
    """`discount` is a percentage times 10⁶, `maximum` an amount; None is no limit."""

    discount: int
    maximum: int | None

    def between(self, before: int, after: int) -> list[Part]:
        """What the limits add when the price before them goes from one amount to another."""
        return difference(self.parts(before), self.parts(after))

    def parts(self, price: int) -> list[Part]:
        """What is taken off a price."""
        off = divide(price * self.discount, HUNDRED_PERCENT, RoundingMode.HALF_EVEN)
        parts = [Part("", 0, 0, 0, -off, DISCOUNT)] if off else []
        excess = price - off - self.maximum if self.maximum is not None else 0
        if excess > 0:
            parts.append(Part("", 0, 0, 0, -excess, MAXIMUM))
        return parts
