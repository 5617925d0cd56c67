"""Allowances: the units of a period that cost nothing, and how many of them were used.

The prices in force say how many there are, the lines of tier 0 how many were used. What is free for each session,
window or resource by itself is no allowance of the period. After bill.py, before closing.py, which puts them on the
statement.
"""

from collections.abc import Iterable
from decimal import Decimal

from pipeline.calendar import days_between
from pipeline.posting import Period
from pipeline.terms import AccountPlan, Assignment, Plans
from schemas.fixed_point import QUANTITY_SCALE, to_fixed
from schemas.meter import Meter
from schemas.price import Price
from schemas.statement import Allowance, LineKind, StatementLine

Item = tuple[str, str, str]
"""Tariff, version and name of an item."""


def allowances_of(
    plans: Plans, plan: AccountPlan, period: Period, lines: Iterable[StatementLine]
) -> tuple[Allowance, ...]:
    """The allowances of a period, by tariff in the order of its documents; used or not."""
    included: dict[Item, int] = {}
    units: dict[Item, str] = {}
    for entry in plan.within(period.start, period.end):
        for name, rules in entry.tariff.meters.items():
            if rules.priced_per == "period" and any(_free(price, 1) for price in rules.prices):
                item = (entry.tariff.tariff, entry.tariff.version, name)
                included[item] = included.get(item, 0) + _included(plans, plan, period, entry, name, rules)
                units[item] = rules.convert.unit if rules.convert is not None else rules.unit
    used = dict.fromkeys(included, 0)
    for line in lines:
        item = (line.tariff, line.version, line.meter)
        if line.kind is LineKind.USAGE and line.tier == 0 and item in used:
            used[item] += line.quantity
    return tuple(
        Allowance(item[2], units[item], amount, used[item], max(amount - used[item], 0))
        for item, amount in included.items()
        if amount
    )


def _included(plans: Plans, plan: AccountPlan, period: Period, entry: Assignment, name: str, rules: Meter) -> int:
    """The free units of an item while an assignment holds: of its price, or of the bands whose season there is."""
    if rules.price is not None:
        return to_fixed(_free(rules.price, days_between(entry.start, entry.end, plan.zone)), QUANTITY_SCALE)
    tariff = entry.tariff
    terms = plans.terms_under(plan, name, tariff.tariff, tariff.version, (period.start, period.end), entry.start)
    found: dict[object, Decimal] = {}
    for band in rules.bands or ():
        if terms is not None and terms.timeline is not None and (days := terms.timeline.days(band.season)):
            shared = (band.season, tuple(band.where.items()), band.meters)
            found[band.name if rules.tiers_across_bands == "separate" else shared] = _free(band.price, days)
    return to_fixed(sum(found.values(), Decimal(0)), QUANTITY_SCALE)


def _free(price: Price, days: int) -> Decimal:
    """The units that a price lets go free while it holds for so many days."""
    match price.model:
        case "graduated" | "volume":
            return price.free_units * (days if price.tiers_per == "day" else 1)
        case "per_unit" | "package" | "graduated_percentage":
            return price.free_units
        case "call":
            return Decimal(price.included_s)
        case _:
            return Decimal(0)
