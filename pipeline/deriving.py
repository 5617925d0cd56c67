"""Deriving: what is charged for what other items cost: surcharges in percent, and the most that all of them may cost.

A derived item has totals of its own. Whatever changes the amount of an item changes them at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from schemas.charge import Part
from schemas.fixed_point import PRICE_SCALE, QUANTITY_ONE, RoundingMode, divide, step_of, to_fixed, to_step, to_text
from schemas.tariff import MAXIMUM, Tariff


class Derived(Protocol):
    """The price of an item that nobody uses."""

    def price(self, amounts: Mapping[str, int]) -> list[Part]:
        """What the item costs where the others cost these exact amounts."""


@dataclass(frozen=True, slots=True)
class Percentage:
    """`rate` times the amounts of the items `of`; each rounded to `step` first where that is not 0."""

    of: frozenset[str]
    rate: int
    step: int
    mode: RoundingMode

    def price(self, amounts: Mapping[str, int]) -> list[Part]:
        """What the surcharge comes to."""
        base = 0
        for name in self.of:
            amount = amounts.get(name, 0)
            base += to_step(amount, self.step, self.mode) if self.step else amount
        amount = divide(base * self.rate, 10**PRICE_SCALE, RoundingMode.HALF_EVEN)
        return [Part("", 0, self.rate, 0, amount, f"{to_text(self.rate, PRICE_SCALE - 2)} %")] if amount else []


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the sum of all other items has above the maximum is taken off."""

    maximum: int

    def price(self, amounts: Mapping[str, int]) -> list[Part]:
        """What is taken off."""
        excess = sum(amount for name, amount in amounts.items() if name != MAXIMUM) - self.maximum
        return [Part("", 0, 0, 0, -excess, MAXIMUM)] if excess > 0 else []


def derived_items(tariff: Tariff, days: int, whole: int) -> Iterator[tuple[str, Derived]]:
    """The derived items of a tariff that holds on so many days of a period of so many, in the order of their making."""
    step = step_of(tariff.decimals)
    for surcharge in tariff.surcharges:
        yield (
            surcharge.name,
            Percentage(
                of=frozenset(surcharge.of or tariff.meters),
                rate=to_fixed(surcharge.percent, PRICE_SCALE - 2),
                step=step if surcharge.base == "rounded" else 0,
                mode=tariff.rounding.mode,
            ),
        )
    if tariff.maximum is not None:
        limit = to_fixed(tariff.maximum.amount, PRICE_SCALE) * QUANTITY_ONE
        if tariff.maximum.prorate == "days":
            limit = divide(limit * days, whole, RoundingMode.HALF_EVEN)
        yield MAXIMUM, Ceiling(limit)
