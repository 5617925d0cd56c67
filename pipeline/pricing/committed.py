"""Committed prices: what goes beyond a commitment costs a multiple, and one that was begun may be due in full."""

from dataclasses import dataclass

from pipeline.pricing.difference import difference
from schemas.charge import Part
from schemas.fixed_point import QUANTITY_ONE, RoundingMode, divide

OVERAGE, TRUE_UP = "overage", "true-up"


@dataclass(frozen=True, slots=True)
class Committed:
    """`committed` is an amount, `factor` millionths. Below zero the unit price goes on."""

    unit_price: int
    committed: int
    factor: int
    is_trued_up: bool

    def between(self, band: str, before: int, after: int) -> list[Part]:
        """What going from the total `before` to the total `after` adds to the price."""
        return difference(self._whole(band, before), self._whole(band, after))

    def _whole(self, band: str, total: int) -> list[Part]:
        cost = total * self.unit_price
        if cost <= self.committed:
            parts = [Part(band, 1, self.unit_price, total, cost)] if total else []
            if self.is_trued_up and 0 < cost < self.committed:
                parts.append(Part(band, 1, 0, 0, self.committed - cost, TRUE_UP))
            return parts
        within = self.committed // self.unit_price
        unit_price = divide(self.unit_price * self.factor, QUANTITY_ONE, RoundingMode.HALF_EVEN)
        beyond = divide((cost - self.committed) * self.factor, QUANTITY_ONE, RoundingMode.HALF_EVEN)
        parts = [Part(band, 1, self.unit_price, within, self.committed)] if self.committed else []
        return [*parts, Part(band, 2, unit_price, total - within, beyond, OVERAGE)]
