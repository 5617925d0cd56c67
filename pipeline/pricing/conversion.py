"""Conversion: usage in the units that a price is for, multiplied first and divided last.

A quantity stays a whole number: it counts millionths of the priced unit times `denominator`. The prices are compiled
for such quantities, so that tier bounds compare exactly, and only the parts of a whole price are divided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipeline.pricing.bands import BandPrices
from pipeline.pricing.difference import difference
from schemas.charge import Part
from schemas.conversion import Conversion
from schemas.fixed_point import QUANTITY_ONE, QUANTITY_SCALE, RoundingMode, divide, to_fixed, to_step
from schemas.instants import SECOND_US

HOUR_US = 3600 * SECOND_US
MAGNITUDE, SMALLEST = 15, -60
"""Powers of ten between which an attribute's value and its last digit have to lie, however it is written."""


class AttributeValueError(ValueError):
    """An attribute that multiplies a quantity is missing or no number."""

    def __init__(self, name: str, value: str | None) -> None:
        wrong = f"attribute {name!r} is {value!r}, no number of at most {QUANTITY_SCALE} decimals below 10^{MAGNITUDE}"
        super().__init__(f"no attribute {name!r}" if value is None else wrong)
        self.is_missing = value is None


@dataclass(frozen=True, slots=True)
class Measure:
    """A conversion for one range of terms: quantity × numerator × attributes ( × hours) ÷ denominator.

    `step` is the unit of rounding, in millionths; None does not round.
    """

    numerator: int
    denominator: int
    attributes: tuple[str, ...]
    by_length: bool
    mode: RoundingMode
    step: int | None
    per_record: bool

    @property
    def divisor(self) -> int:
        """What totals have to be divided by."""
        return 1 if self.per_record else self.denominator

    def weigh(self, quantity: int, attributes: Mapping[str, str], length: int) -> int:
        """A record's quantity times `divisor`. Raises AttributeValueError."""
        value = quantity * self.numerator
        for name in self.attributes:
            value *= _number(name, attributes.get(name))
        if self.by_length:
            value *= length
        if self.per_record and self.step is not None:
            return to_step(value, self.step, self.mode, self.denominator)
        return value


def compile_measure(conversion: Conversion, days: int, period: int) -> Measure:
    """The conversion where a tariff is billed for so many days of a period of so many microseconds."""
    numerator = to_fixed(conversion.multiply_by, QUANTITY_SCALE)
    denominator = to_fixed(conversion.divide_by, QUANTITY_SCALE) * QUANTITY_ONE ** len(conversion.attributes)
    if conversion.times == "days":
        numerator *= days
    if conversion.times == "hours":
        denominator *= HOUR_US
    if conversion.over == "period":
        numerator, denominator = numerator * HOUR_US, denominator * period
    return Measure(
        numerator=numerator,
        denominator=denominator,
        attributes=conversion.attributes,
        by_length=conversion.times == "hours",
        mode=conversion.round or RoundingMode.HALF_EVEN,
        step=None if conversion.round is None else QUANTITY_ONE // 10**conversion.decimals,
        per_record=conversion.round_per == "record",
    )


@dataclass(frozen=True, slots=True)
class ConvertedPrices:
    """The prices of converted totals: `inner` is for quantities times `fineness`.

    Where a total is rounded, it is divided and rounded first, and `inner` is for plain quantities.
    """

    inner: BandPrices
    divisor: int
    mode: RoundingMode
    step: int | None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the bands."""
        return self.inner.names

    def between(self, before: Sequence[int], after: Sequence[int]) -> list[Part]:
        """What going from the bands' totals `before` to `after` adds to the price."""
        return difference(self.whole(before), self.whole(after))

    def whole(self, quantities: Sequence[int]) -> list[Part]:
        """The price of the bands' totals."""
        if self.step is not None:
            rounded = [to_step(q, self.step, self.mode, self.divisor) for q in quantities]
            return self.inner.between([0] * len(rounded), rounded)
        parts = self.inner.between([0] * len(quantities), quantities)
        return [divided(part, self.divisor) for part in parts]


def divided(part: Part, divisor: int) -> Part:
    """A part whose quantity and amount are too large by the divisor."""
    quantity = divide(part.quantity, divisor, RoundingMode.HALF_EVEN)
    amount = divide(part.amount, divisor, RoundingMode.HALF_EVEN)
    return Part(part.band, part.tier, part.unit_price, quantity, amount, part.name)


def _number(name: str, value: str | None) -> int:
    try:
        number = Decimal(value or "")
        if number.is_finite() and not (int(number.as_tuple().exponent) >= SMALLEST and number.adjusted() < MAGNITUDE):
            raise AttributeValueError(name, value)
        return to_fixed(number, QUANTITY_SCALE)
    except (ArithmeticError, ValueError):
        raise AttributeValueError(name, value) from None
