"""Fixed point: quantities, unit prices and amounts as scaled integers.

A quantity counts millionths of its unit, a unit price 10⁻¹² of its currency and an amount 10⁻¹⁸, so that
quantity × unit price is an amount with no rounding at all. Python's integers never wrap; what must fit the
stored Decimal(38, scale) is checked by `fits`. Decimal appears at the edges only, float nowhere.
"""

from decimal import Decimal
from enum import StrEnum
from typing import assert_never

QUANTITY_SCALE = 6
PRICE_SCALE = 12
AMOUNT_SCALE = QUANTITY_SCALE + PRICE_SCALE

QUANTITY_ONE: int = 10**QUANTITY_SCALE
AMOUNT_ONE: int = 10**AMOUNT_SCALE

PERCENT_SCALE = 6
HUNDRED_PERCENT: int = 100 * 10**PERCENT_SCALE
"""A percentage counts millionths of a percent; so many of them are the whole."""

DIGITS = 38
LIMIT: int = 10**DIGITS
QUANTITY_LIMIT = 9 * 10**12 * QUANTITY_ONE
"""No single usage record may reach this: 9 × 10¹² units, so that its fixed point fits 64 bits in every encoding."""


class RoundingMode(StrEnum):
    """How a digit is dropped. Half-way cases: half-up goes away from zero, half-even to the even neighbour."""

    HALF_UP = "half-up"
    HALF_EVEN = "half-even"
    UP = "up"
    DOWN = "down"


def to_fixed(value: Decimal, scale: int) -> int:
    """`value` × 10^scale, exactly.

    Raises ValueError where the value is not finite or has more than `scale` decimals.

    >>> to_fixed(Decimal("0.39"), QUANTITY_SCALE)
    390000
    >>> to_fixed(Decimal("0.0000001"), QUANTITY_SCALE)
    Traceback (most recent call last):
    ValueError: 1E-7 has more than 6 decimals
    """
    if not value.is_finite():
        raise ValueError(f"{value} is not a finite number")
    sign, digits, exponent = value.as_tuple()
    shift = int(exponent) + scale
    magnitude = int("".join(map(str, digits)) or "0")
    if shift >= 0:
        fixed = magnitude * int(10**shift)
    else:
        fixed, rest = divmod(magnitude, int(10**-shift))
        if rest:
            raise ValueError(f"{value} has more than {scale} decimals")
    return -fixed if sign else fixed


def to_decimal(fixed: int, scale: int) -> Decimal:
    """`fixed` × 10^-scale, exactly, with all its decimals.

    >>> to_decimal(-1_230_000, QUANTITY_SCALE)
    Decimal('-1.230000')
    """
    sign = 1 if fixed < 0 else 0
    return Decimal((sign, tuple(map(int, str(abs(fixed)))), -scale))


def to_text(fixed: int, scale: int, decimals: int = 0) -> str:
    """The plain decimal text of `fixed`, with no exponent and at least `decimals` decimals.

    >>> to_text(26_125_000_000_000_000_000, AMOUNT_SCALE, 2), to_text(-5 * AMOUNT_ONE, AMOUNT_SCALE, 2)
    ('26.125', '-5.00')
    """
    whole, fraction = divmod(abs(fixed), 10**scale)
    digits = str(fraction).zfill(scale).rstrip("0").ljust(decimals, "0")
    return f"{'-' if fixed < 0 else ''}{whole}{'.' if digits else ''}{digits}"


def divide(numerator: int, denominator: int, mode: RoundingMode) -> int:
    """numerator ÷ denominator (> 0) as a whole number, rounded by `mode`.

    >>> divide(25, 10, RoundingMode.HALF_UP), divide(-25, 10, RoundingMode.HALF_UP)
    (3, -3)
    >>> divide(25, 10, RoundingMode.HALF_EVEN)
    2
    """
    whole, rest = divmod(abs(numerator), denominator)
    match mode:
        case RoundingMode.HALF_UP:
            up = 2 * rest >= denominator
        case RoundingMode.HALF_EVEN:
            up = 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1)
        case RoundingMode.UP:
            up = rest > 0
        case RoundingMode.DOWN:
            up = False
        case _:
            assert_never(mode)
    whole += up
    return -whole if numerator < 0 else whole


def step_of(decimals: int) -> int:
    """The smallest amount that is written with so many decimals."""
    return AMOUNT_ONE // int(10**decimals)


def to_step(numerator: int, step: int, mode: RoundingMode, denominator: int = 1) -> int:
    """numerator ÷ denominator, rounded by `mode` to a multiple of `step`.

    >>> to_step(1_250, 100, RoundingMode.HALF_UP), to_step(2_500, 100, RoundingMode.DOWN, 2)
    (1300, 1200)
    """
    return divide(numerator, denominator * step, mode) * step


def fits(fixed: int) -> bool:
    """Whether a stored Decimal(38) can hold it."""
    return -LIMIT < fixed < LIMIT
