"""Bill: the lines, taxes and total of one billing period, from its totals, fees and true-ups.

Each tariff version is a section with its own rounding and taxes. Rounded per line, the printed lines add up to the
net amount, and tax is a percentage of that. Rounded on the total, exact lines are summed and rounded once, with tax;
what is printed for net and for each tax then adds up to it. The price of the totals is worked out again here and has
to be the sum of the charges.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from pipeline.entries import FeeEntry
from pipeline.posting import Period, Totals
from pipeline.terms import AccountPlan, Plans
from schemas.account import Account
from schemas.charge import Part
from schemas.currency import minor_digits
from schemas.fixed_point import AMOUNT_ONE, AMOUNT_SCALE, divide, to_fixed, to_text
from schemas.price import Package
from schemas.statement import LineKind, StatementLine, TaxLine
from schemas.tariff import Rounding

PERCENT_SCALE = 6


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
    sections: dict[tuple[str, str], list[StatementLine]] = {}
    for totals in sorted(period.totals.values(), key=lambda t: (t.terms.tariff, t.terms.start, t.terms.meter)):
        terms = totals.terms
        sections.setdefault((terms.tariff, terms.version), []).extend(usage_lines(plan, period, totals))
    for (tariff, version), exact in sorted(period.true_ups.items()):
        line = plain_line(LineKind.TRUE_UP, (period.start, period.end), "Minimum", exact)
        sections.setdefault((tariff, version), []).append(replace(line, tariff=tariff, version=version))
    for fee in period.fees:
        sections.setdefault((fee.tariff, fee.version), []).append(_fee_line(fee))
    parts = [_section(plans, plan.account, key, lines) for key, lines in sorted(sections.items())]
    return Bill(
        lines=[line for part in parts for line in part.lines],
        taxes=[tax for part in parts for tax in part.taxes],
        exact=sum(part.exact for part in parts),
        net=sum(part.net for part in parts),
    )


def usage_lines(plan: AccountPlan, period: Period, totals: Totals) -> list[StatementLine]:
    """The price of the totals, a line for each band, tier and unit price."""
    terms = totals.terms
    parts = terms.prices.between([0] * len(totals.quantities), totals.quantities)
    price = sum(part.amount for part in parts)
    if price != totals.amount:
        raise MoneyError(
            f"account {plan.account.account}, {plan.calendar.name(period.start)}, meter {terms.meter!r}: its charges "
            f"add up to {to_text(totals.amount, AMOUNT_SCALE)}, its usage costs {to_text(price, AMOUNT_SCALE)} under "
            f"tariff {terms.tariff} {terms.version}. Stop, keep the data directory, and report this."
        )
    merged: dict[tuple[str, int, int, bool], list[int]] = {}
    for part in parts:
        sums = merged.setdefault((part.band, part.tier, part.unit_price, _is_flat(part)), [0, 0])
        sums[0] += part.quantity
        sums[1] += part.amount
    return [
        StatementLine(
            kind=LineKind.USAGE,
            period_start=period.start,
            period_end=period.end,
            tariff=terms.tariff,
            version=terms.version,
            meter=terms.meter,
            name=_name(tier, flat=flat),
            band=band,
            tier=tier,
            unit_price=unit_price,
            quantity=quantity,
            unit="" if flat else _unit(totals, band, tier),
            exact=exact,
            amount=0,
        )
        for (band, tier, unit_price, flat), (quantity, exact) in merged.items()
    ]


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


def _section(plans: Plans, account: Account, key: tuple[str, str], lines: Sequence[StatementLine]) -> Bill:
    """One tariff version's lines, rounded and taxed by its own rules."""
    tariff = plans.tariff(*key) if key[0] else None
    rounding = tariff.rounding if tariff else Rounding()
    taxes = account.tax if account.tax is not None else tariff.tax if tariff else ()
    decimals = minor_digits(account.currency) if rounding.decimals is None else rounding.decimals
    step = AMOUNT_ONE // int(10**decimals)

    def rounded(numerator: int, denominator: int = 1) -> int:
        return divide(numerator, denominator * step, rounding.mode) * step

    printed = [replace(line, amount=rounded(line.exact)) for line in lines]
    exact = sum(line.exact for line in lines)
    per_line = rounding.at == "line"
    net: int = sum(line.amount for line in printed) if per_line else rounded(exact)
    base = net if per_line else exact
    hundred = 100 * 10**PERCENT_SCALE
    tax_lines = []
    percent_before = 0
    for tax in taxes:
        percent = to_fixed(tax.percent, PERCENT_SCALE)
        if per_line:
            amount = rounded(base * percent, hundred)
        else:
            with_tax = rounded(base * (hundred + percent_before + percent), hundred)
            amount = with_tax - rounded(base * (hundred + percent_before), hundred)
            percent_before += percent
        tax_lines.append(TaxLine(*key, tax.name, to_text(percent, PERCENT_SCALE), base, amount))
    return Bill(printed, tax_lines, exact, net)


def _is_flat(part: Part) -> bool:
    return part.quantity == 0 and part.amount != 0


def _name(tier: int, *, flat: bool) -> str:
    return "flat fee" if flat else "included" if tier == 0 else ""


def _unit(totals: Totals, band: str, tier: int) -> str:
    """The unit of a line's quantity: the meter's, or a package of so many of it."""
    rules = totals.terms.rules
    price = rules.price or next(b.price for b in rules.bands or () if b.name == band)
    if isinstance(price, Package) and tier:
        return f"{price.size.normalize():f} {rules.unit}"
    return rules.unit
