"""Call prices: a connection fee and the duration in begun increments, for each call of a period.

A call is a session; its duration is the sum of its records, so partial records cost what one record would. A record
without a session is a call by itself. Included seconds go to the calls in order of their begin, so a call that arrives
late can take them from one that was priced before: the charge is the difference, and the total does not depend on
arrival. An included second still moves its call on through the slots, and increments begin where the included seconds
end. In this order: whole seconds, included seconds, increments, rounding of the call, maximum.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import assert_never

from pipeline.keeping import Fact
from pipeline.pricing.difference import merged
from schemas import session_price as documents
from schemas.charge import Part
from schemas.fixed_point import (
    AMOUNT_SCALE,
    PRICE_SCALE,
    QUANTITY_ONE,
    RoundingMode,
    divide,
    to_fixed,
)

CONNECTION, INCLUDED, ROUNDING, MAXIMUM = "connection", "included", "rounding", "maximum"


@dataclass(frozen=True, slots=True)
class Slot:
    """A range of a call from `begin` on. Times are millionths of a second; `increment_amount` is exact.

    `unit_price` is one second's, rounded to its twelve decimals.
    """

    number: int
    begin: int
    increment: int
    increment_amount: Fraction
    unit_price: int


@dataclass(frozen=True, slots=True)
class Call:
    """Slots in rising order; amounts and times are fixed point. None is no limit, no rounding."""

    connection_fee: int
    slots: tuple[Slot, ...]
    seconds: RoundingMode | None
    included: int
    decimals: int | None
    mode: RoundingMode
    maximum: int | None

    def price(self, facts: Sequence[Fact]) -> list[Part]:
        """What all of these calls cost together; their order does not matter."""
        left = self.included
        parts: list[Part] = []
        for duration in _durations(facts):
            counted = duration if self.seconds is None else divide(duration, QUANTITY_ONE, self.seconds) * QUANTITY_ONE
            free = min(left, counted)
            left -= free
            parts += self._call(counted, free)
        return merged(parts)

    def _call(self, duration: int, free: int) -> Iterator[Part]:
        """One call of which the first `free` are included."""
        amount = self.connection_fee
        exact = Fraction(self.connection_fee)
        if self.connection_fee:
            yield Part("", 1, 0, 0, self.connection_fee, CONNECTION)
        if free:
            yield Part("", 0, 0, free, 0, INCLUDED)
        for slot, increments in self._increments(free, duration):
            cost = increments * slot.increment_amount
            part = Part("", slot.number, slot.unit_price, increments * slot.increment, _whole(cost))
            exact += cost
            amount += part.amount
            yield part
        total = amount if self.decimals is None else _rounded(exact, self.decimals, self.mode)
        if total != amount:
            yield Part("", 1, 0, 0, total - amount, ROUNDING)
        if self.maximum is not None and total > self.maximum:
            yield Part("", 1, 0, 0, self.maximum - total, MAXIMUM)

    def _increments(self, position: int, end: int) -> Iterator[tuple[Slot, int]]:
        """How many increments begin in each slot between the two positions of a call."""
        for index, slot in enumerate(self.slots):
            until = end if index + 1 == len(self.slots) else min(end, self.slots[index + 1].begin)
            if position < until:
                increments = -((position - until) // slot.increment)
                position += increments * slot.increment
                yield slot, increments


def compile_call(document: documents.Call) -> Call:
    """The runnable form of a call price."""
    return Call(
        connection_fee=to_fixed(document.connection_fee, AMOUNT_SCALE),
        slots=tuple(_slot(number, slot, document.increment_decimals) for number, slot in enumerate(document.slots, 1)),
        seconds=_seconds_mode(document),
        included=document.included_s * QUANTITY_ONE,
        decimals=document.decimals,
        mode=document.mode or RoundingMode.HALF_UP,
        maximum=None
        if document.maximum is None or document.beyond_maximum == "charged"
        else to_fixed(document.maximum, AMOUNT_SCALE),
    )


def _durations(facts: Iterable[Fact]) -> list[int]:
    """The duration of each call that lasted, in order of their begin, then of their keys."""
    calls: dict[str | bytes, list[Fact]] = {}
    for fact in facts:
        calls.setdefault(fact.session or fact.key, []).append(fact)
    begun = [(min((f.start, f.key) for f in records), sum(f.quantity for f in records)) for records in calls.values()]
    return [duration for _, duration in sorted(begun) if duration > 0]


def _slot(number: int, slot: documents.Slot, decimals: int | None) -> Slot:
    rate = to_fixed(slot.rate, AMOUNT_SCALE)
    amount = Fraction(rate * slot.increment_s, slot.unit_s)
    if decimals is not None:
        amount = Fraction(_rounded(amount, decimals, RoundingMode.HALF_UP))
    unit_price = divide(to_fixed(slot.rate, PRICE_SCALE), slot.unit_s, RoundingMode.HALF_EVEN)
    return Slot(number, slot.from_s * QUANTITY_ONE, slot.increment_s * QUANTITY_ONE, amount, unit_price)


def _seconds_mode(document: documents.Call) -> RoundingMode | None:
    match document.seconds:
        case "exact":
            return None
        case "up":
            return RoundingMode.UP
        case "down":
            return RoundingMode.DOWN
        case "half-up":
            return RoundingMode.HALF_UP
        case _:
            assert_never(document.seconds)


def _whole(amount: Fraction) -> int:
    return divide(amount.numerator, amount.denominator, RoundingMode.HALF_EVEN)


def _rounded(amount: Fraction, decimals: int, mode: RoundingMode) -> int:
    """The exact amount rounded to so many decimals, in fixed point."""
    unit = int(10 ** (AMOUNT_SCALE - decimals))
    return divide(amount.numerator, amount.denominator * unit, mode) * unit
