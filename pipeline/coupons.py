"""Coupons: what an account's coupons take off a period, and off which of its lines.

A coupon is worked out once, when its period closes, on the rounded lines of the period's own usage, true-ups and fees.
Its shares add up to it to the last digit: each is the rounded sum of all shares so far less that of those before it.
Late usage changes none of them. Before closing.py, which charges them as credits; bill.py states them.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from pipeline.bill import own_lines, section_of
from pipeline.calendar import midnight
from pipeline.entries import CouponEntry, Place
from pipeline.posting import Period
from pipeline.terms import AccountPlan, Plans
from schemas.coupon import Coupon
from schemas.fixed_point import (
    HUNDRED_PERCENT,
    PERCENT_SCALE,
    PRICE_SCALE,
    QUANTITY_ONE,
    RoundingMode,
    to_fixed,
    to_step,
)


class _Digits(NamedTuple):
    """To which multiple of an amount the shares of a coupon are rounded, and how."""

    step: int
    mode: RoundingMode

    def rounded(self, numerator: int, denominator: int = 1) -> int:
        """numerator ÷ denominator (> 0)."""
        return to_step(numerator, self.step, self.mode, denominator)


def coupons_to_give(plans: Plans, plan: AccountPlan, period: Period) -> list[CouponEntry]:
    """The shares of the coupons that are in force for the period, in the order of the account's document."""
    coupons = [coupon for coupon in plan.account.coupons if _in_force(plan, coupon, period)]
    if not coupons:
        return []
    left: dict[Place, int] = {}
    digits: dict[Place, _Digits] = {}
    for taxed in own_lines(plan, period):
        if taxed.tax and not taxed.tax_percent:
            continue  # what a limit on a price with its tax leaves: there is no percentage to take off its tax
        section = section_of(plans, plan, (taxed.line.tariff, taxed.line.version))
        left[taxed.place] = left.get(taxed.place, 0) + section.rounded(taxed.line.exact)
        digits[taxed.place] = _Digits(section.step, section.mode)
    given = []
    for coupon in coupons:
        for place, amount in _shares(coupon, left, digits):
            left[place] -= amount
            given.append(CouponEntry(coupon.name, place, str(amount)))
    return given


def _in_force(plan: AccountPlan, coupon: Coupon, period: Period) -> bool:
    """Whether the period begins in the coupon's dates, and is not past the number of its periods."""
    begin = midnight(coupon.from_, plan.zone)
    if period.start < begin or (coupon.until is not None and period.start >= midnight(coupon.until, plan.zone)):
        return False
    start, end = plan.calendar.period(begin)
    if start < begin:
        start, end = plan.calendar.period(end)
    for _ in range(1, coupon.periods or 1):
        start, end = plan.calendar.period(end)
    return coupon.periods is None or period.start <= start


def _shares(coupon: Coupon, left: Mapping[Place, int], digits: Mapping[Place, _Digits]) -> Iterator[tuple[Place, int]]:
    """What the coupon takes off each place, of what earlier ones have left there."""
    meters = coupon.meters
    weights = {place: part for place, part in left.items() if part > 0 and (meters is None or place.meter in meters)}
    whole = sum(weights.values())
    if not weights:
        return
    coarsest = max((digits[place] for place in weights), key=lambda of_place: of_place.step)
    amount = min(_worth(coupon, whole, coarsest), whole - whole % coarsest.step)
    reached = given = 0
    for place, weight in weights.items():
        reached += weight
        share = coarsest.rounded(amount * reached, whole) - given
        given += share
        if share:
            yield place, share


def _worth(coupon: Coupon, whole: int, digits: _Digits) -> int:
    if coupon.amount is not None:
        return digits.rounded(to_fixed(coupon.amount, PRICE_SCALE) * QUANTITY_ONE)
    return digits.rounded(whole * to_fixed(coupon.percent or Decimal(0), PERCENT_SCALE), HUNDRED_PERCENT)
