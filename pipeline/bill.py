"""Bill: the lines, taxes and total of one billing period, from its totals, fees and true-ups.

Each tariff version is a section with its own rounding and taxes (taxing.py). Rounded per line, the printed lines add
up to the net amount, and tax is a percentage of that. Rounded on the total, exact lines are summed and rounded once,
with tax; what is printed for net and for each tax then adds up to it. What coupons have taken off is stated after the
lines that it reduces. The price of the totals is worked out again here and has to be the sum of the charges.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from pipeline.entries import CouponEntry, FeeEntry
from pipeline.posting import Period, Totals
from pipeline.pricing.charging import TIMED
from pipeline.pricing.transactions import PER_EVENT
from pipeline.rating import price_of
from pipeline.taxing import Section, Taxed
from pipeline.terms import AccountPlan, Plans
from schemas.charge import Part
from schemas.fixed_point import (
    AMOUNT_SCALE,
    HUNDRED_PERCENT,
    PERCENT_SCALE,
    RoundingMode,
    divide,
    to_fixed,
    to_text,
)
from schemas.price import Package, Percentage
from schemas.session_price import Charging
from schemas.statement import LineKind, StatementLine, TaxLine


class MoneyError(Exception):
    """Charges, totals and statement do not agree. Nothing may go on from here."""


class Bill(NamedTuple):
    """What a period comes to. `exact` is before rounding and tax; `net` and the taxes are rounded."""

    lines: list[StatementLine]
    taxes: list[TaxLine]
    exact: int
    net: int

    @property
    def tax(self) -> int:
        """All taxes together."""
        return sum(tax.amount for tax in self.taxes)


def bill_of(plans: Plans, plan: AccountPlan, period: Period) -> Bill:
    """The bill of a period's own usage, fees and true-ups; late usage of earlier periods is not in it.

    Raises MoneyError where the totals' price is not the sum of their charges.
    """
    sections: dict[tuple[str, str], list[Taxed]] = {}
    for taxed in (*own_lines(plan, period), *(_discount(period, entry) for entry in period.coupons)):
        sections.setdefault((taxed.line.tariff, taxed.line.version), []).append(taxed)
    parts = [_section(plans, plan, key, lines) for key, lines in sorted(sections.items())]
    return Bill(
        lines=[line for part in parts for line in part.lines],
        taxes=[tax for part in parts for tax in part.taxes],
        exact=sum(part.exact for part in parts),
        net=sum(part.net for part in parts),
    )


def own_lines(plan: AccountPlan, period: Period) -> Iterator[Taxed]:
    """The lines of a period's usage, true-ups and fees, not rounded yet. Raises MoneyError as `bill_of` does."""
    for totals in sorted(period.totals.values(), key=lambda t: (t.terms.tariff, t.terms.start, t.terms.meter)):
        yield from usage_lines(plan, period, totals)
    for (tariff, version, item), exact in sorted(period.true_ups.items()):
        line = plain_line(LineKind.TRUE_UP, (period.start, period.end), "Minimum", exact)
        yield Taxed(replace(line, tariff=tariff, version=version, meter=item))
    for fee in period.fees:
        yield Taxed(_fee_line(fee))


def section_of(plans: Plans, plan: AccountPlan, key: tuple[str, str]) -> Section:
    """How the account's lines of a tariff version ("" for its own fees) are rounded and taxed."""
    return Section(plan.account, plans.tariff(*key) if key[0] else None)


def usage_lines(plan: AccountPlan, period: Period, totals: Totals) -> list[Taxed]:
    """The price of the totals, a line for each band, tier and unit price."""
    terms = totals.terms
    parts = priced(period, totals)
    price = sum(part.amount for part in parts)
    if price != totals.amount:
        raise MoneyError(
            f"account {plan.account.account}, {plan.calendar.name(period.start)}, meter {terms.meter!r}: its charges "
            f"add up to {to_text(totals.amount, AMOUNT_SCALE)}, its usage costs {to_text(price, AMOUNT_SCALE)} under "
            f"tariff {terms.tariff} {terms.version}. Stop, keep the data directory, and report this."
        )
    merged: dict[tuple[str, int, int, str, str, bool], list[int]] = {}
    for part in parts:
        key = (part.band, part.tier, part.unit_price, part.name, part.tax_percent, _is_flat(part))
        sums = merged.setdefault(key, [0, 0, 0])
        for place, value in enumerate((part.quantity, part.amount, part.tax)):
            sums[place] += value
    return [
        Taxed(
            StatementLine(
                kind=LineKind.USAGE,
                period_start=period.start,
                period_end=period.end,
                tariff=terms.tariff,
                version=terms.version,
                meter=terms.meter,
                name=name or _name(tier, flat=flat),
                band=band,
                tier=tier,
                unit_price=unit_price,
                quantity=quantity,
                unit="" if flat else _unit(totals, band, tier, name),
                exact=exact,
                amount=0,
            ),
            tax_percent,
            tax,
        )
        for (band, tier, unit_price, name, tax_percent, flat), (quantity, exact, tax) in merged.items()
    ]


def priced(period: Period, totals: Totals) -> list[Part]:
    """The whole price of the totals, worked out from what is kept of their usage."""
    terms = totals.terms
    if terms.derived is not None:
        beside = {
            name: other.amount
            for (name, *key), other in period.totals.items()
            if key == [terms.tariff, terms.version, terms.start] and other is not totals
        }
        return terms.derived.price(beside)
    if terms.is_plain:
        return terms.prices.between([0] * len(totals.quantities), totals.quantities)
    return price_of(terms.item, totals.quantities, totals.groups)


def plain_line(kind: LineKind, about: tuple[int, int], name: str, exact: int) -> StatementLine:
    """A line about a billing period that is not about a meter; whoever asks for it fills in what else it has."""
    return StatementLine(
        kind=kind,
        period_start=about[0],
        period_end=about[1],
        tariff="",
        version="",
        meter="",
        name=name,
        band="",
        tier=0,
        unit_price=0,
        quantity=0,
        unit="",
        exact=exact,
        amount=0,
    )


def _fee_line(fee: FeeEntry) -> StatementLine:
    return replace(
        plain_line(LineKind.RECURRING, (fee.period_start, fee.period_end), fee.name, int(fee.exact)),
        tariff=fee.tariff,
        version=fee.version,
        unit_price=int(fee.unit_price),
        quantity=int(fee.quantity),
        unit=fee.unit,
    )


def _discount(period: Period, entry: CouponEntry) -> Taxed:
    place, exact = entry.place, -int(entry.amount)
    line = replace(
        plain_line(LineKind.DISCOUNT, (period.start, period.end), entry.coupon, exact),
        tariff=place.tariff,
        version=place.version,
        meter=place.item,
        band=place.band,
        tier=place.tier,
    )
    percent = to_fixed(Decimal(place.tax_percent or 0), PERCENT_SCALE)
    tax = divide(exact * percent, HUNDRED_PERCENT, RoundingMode.HALF_EVEN)
    return Taxed(line, place.tax_percent, tax, reduces=place)


def _section(plans: Plans, plan: AccountPlan, key: tuple[str, str], lines: Sequence[Taxed]) -> Bill:
    """One tariff version's lines, rounded and taxed by its own rules."""
    section = section_of(plans, plan, key)
    printed = [section.printed(taxed) for taxed in lines]
    return Bill(
        lines=[taxed.line for taxed in printed],
        taxes=section.taxes(printed),
        exact=sum(taxed.line.exact for taxed in printed),
        net=section.net(printed),
    )


def _is_flat(part: Part) -> bool:
    return part.quantity == 0 and part.amount != 0


def _name(tier: int, *, flat: bool) -> str:
    return "flat fee" if flat else "included" if tier == 0 else ""


def _unit(totals: Totals, band: str, tier: int, name: str) -> str:
    """The unit of a line's quantity: the item's, a package of so many of it, or what its part by itself counts."""
    rules, unit = totals.terms.rules, totals.terms.unit
    price = rules.price or next((b.price for b in rules.bands or () if b.name == band), rules.prices[0])
    match price:
        case Package() if tier:
            return f"{price.size.normalize():f} {unit}"
        case Charging() if name in TIMED:
            return "hour"
        case Percentage() if name == PER_EVENT:
            return "transaction"
    return unit
