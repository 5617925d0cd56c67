"""Aggregates: one quantity out of the facts of a period, a band or a group."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import assert_never

from pipeline.keeping import Fact, event_order
from pipeline.pricing.conversion import HOUR_US
from pipeline.splitting import share_by_time
from schemas.aggregation import Aggregation
from schemas.fixed_point import (
    HUNDRED_PERCENT,
    PERCENT_SCALE,
    QUANTITY_ONE,
    QUANTITY_SCALE,
    RoundingMode,
    divide,
    to_fixed,
)
from schemas.instants import SECOND_US

Aggregate = Callable[[Sequence[Fact]], int]
"""The quantity of facts in the order of time, one at least."""

MINUTE_US = 60 * SECOND_US
DEMAND_MINUTES = 60


def compile_aggregate(aggregation: Aggregation, numerator: int = 1) -> Aggregate:
    """The aggregation as a function, with its floor. The facts' quantities are `numerator` times those of the usage."""
    aggregate = _plain(aggregation)
    if aggregation.at_least is None:
        return aggregate
    floor = to_fixed(aggregation.at_least, QUANTITY_SCALE) * numerator
    return lambda facts: max(floor, aggregate(facts))


def _plain(aggregation: Aggregation) -> Aggregate:  # noqa: PLR0911 - one for each function
    match aggregation.function:
        case "sum":
            return _sum
        case "count":
            return lambda facts: len(facts) * QUANTITY_ONE
        case "max":
            return lambda facts: max(fact.quantity for fact in facts)
        case "latest":
            return lambda facts: max(facts, key=lambda fact: (fact.end, *event_order(fact))).quantity
        case "unique":
            name = aggregation.attribute or ""
            return lambda facts: len({fact.attributes[name] for fact in facts}) * QUANTITY_ONE
        case "percentile":
            percentile = to_fixed(aggregation.percentile or Decimal(0), PERCENT_SCALE)
            return lambda facts: _percentile(percentile, facts)
        case "demand":
            interval = (aggregation.interval_minutes or DEMAND_MINUTES) * MINUTE_US
            return lambda facts: _demand(interval, facts)
        case "average" | "level":
            raise TypeError("a level is priced over time (levels.py)")
        case _:
            assert_never(aggregation.function)


def _sum(facts: Sequence[Fact]) -> int:
    return sum([fact.quantity for fact in facts])


def _percentile(percentile: int, facts: Sequence[Fact]) -> int:
    """The smallest quantity that so many percent do not exceed: nearest rank."""
    ordered = sorted(fact.quantity for fact in facts)
    rank = -(-percentile * len(ordered) // HUNDRED_PERCENT)
    return ordered[max(rank, 1) - 1]


def _demand(interval: int, facts: Sequence[Fact]) -> int:
    """The highest sum of an interval, per hour; usage is spread evenly over its time. Rounded half-even.

    Intervals begin with the hours and days of UTC, which zones share but for offsets that an interval does not divide.
    """
    sums: dict[int, int] = {}
    for fact in facts:
        first, last = fact.start // interval, max(fact.end - 1, fact.start) // interval
        borders = [number * interval for number in range(first + 1, last + 1)]
        for number, share in enumerate(share_by_time(fact.quantity, fact.start, fact.end, borders), first):
            sums[number] = sums.get(number, 0) + share
    highest = Fraction(max(sums.values()) * HOUR_US, interval)
    return divide(highest.numerator, highest.denominator, RoundingMode.HALF_EVEN)
