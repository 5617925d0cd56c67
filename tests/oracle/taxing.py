"""Taxing: how a section of a bill, which is what one tariff version bills, is rounded and taxed.

A line bears its account's own taxes, or else those of its item, fee, surcharge or minimum, or else its tariff's. Lines
that bear the same are taxed together, or each by itself.
"""

from collections.abc import Hashable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from tests.oracle.contracts import Account, Rules, Tariff, decimals_of
from tests.oracle.items import Taxes
from tests.oracle.placing import rounded

ZERO = Fraction(0)


class Bearer(NamedTuple):
    """A line in the eyes of the tax: what it is about decides; `key` tells it from others."""

    key: Hashable
    kind: str
    meter: str
    name: str
    exact: Fraction
    amount: Fraction

    @property
    def item(self) -> str:
        """The item, or the name of a fee."""
        return self.meter or self.name


class TaxDue(NamedTuple):
    """One tax, as a statement has to say it."""

    name: str
    percent: Fraction
    base: Fraction
    amount: Fraction
    item: str


def rules_of(account: Account, tariff: Tariff | None) -> Rules:
    """The rounding of a tariff, or of the account's own fees."""
    return tariff.rules if tariff else Rules("line", decimals_of(account.currency), "half-up", "rounded", "section")


def round_by(rules: Rules, value: Fraction) -> Fraction:
    """The value, rounded by the rules."""
    return rounded(value, rules.decimals, rules.mode)


def taxes_on(account: Account, tariff: Tariff | None, bearer: Bearer) -> tuple[Taxes, bool]:
    """The taxes on a line, and whether they are its item's alone."""
    if account.taxes is not None:
        return account.taxes, False
    own = _own_taxes(account, tariff, bearer)
    if own is not None:
        return own, True
    return (tariff.taxes if tariff else ()), False


def _own_taxes(account: Account, tariff: Tariff | None, bearer: Bearer) -> Taxes | None:
    if bearer.kind == "recurring" and not bearer.meter:
        fees = tariff.fees if tariff else account.fees
        return next((fee.taxes for fee in fees if fee.name == bearer.name), None)
    if tariff is None:
        return None
    if bearer.kind == "true_up" and not bearer.meter:
        return tariff.minimum.taxes if tariff.minimum else None
    if bearer.meter in tariff.meters:
        return tariff.meters[bearer.meter].taxes
    return next((surcharge.taxes for surcharge in tariff.surcharges if surcharge.name == bearer.meter), None)


def gross_of(account: Account, tariff: Tariff | None, bearer: Bearer) -> Fraction:
    """A line with its taxes, rounded by itself."""
    rules = rules_of(account, tariff)
    percents = sum((Fraction(percent) for _, percent in taxes_on(account, tariff, bearer)[0]), ZERO)
    net = bearer.amount if rules.at == "line" else bearer.exact
    base = bearer.amount if rules.tax_base == "rounded" else bearer.exact
    return round_by(rules, net + base * percents / 100)


def net_of(rules: Rules, bearers: Sequence[Bearer]) -> Fraction:
    """What lines come to before tax."""
    if rules.at == "line":
        return sum((bearer.amount for bearer in bearers), ZERO)
    return round_by(rules, sum((bearer.exact for bearer in bearers), ZERO))


def taxes_due(account: Account, tariff: Tariff | None, bearers: Sequence[Bearer]) -> list[TaxDue]:
    """The taxes on the lines of a section.

    Where exact lines are summed and taxed, each tax is what it adds to the rounded sum of all before it.
    """
    rules = rules_of(account, tariff)
    groups: dict[Hashable, list[Bearer]] = {}
    for bearer in bearers:
        key = bearer.key if rules.tax_at == "line" else taxes_on(account, tariff, bearer)[0]
        groups.setdefault(key, []).append(bearer)
    adds_up = (rules.at, rules.tax_at, rules.tax_base) == ("total", "section", "exact")
    reached = sum((bearer.exact for bearer in bearers), ZERO)
    found = []
    for group in groups.values():
        exact = sum((bearer.exact for bearer in group), ZERO)
        base = exact
        if rules.tax_base == "rounded":
            base = sum((bearer.amount for bearer in group), ZERO) if rules.at == "line" else round_by(rules, exact)
        if rules.tax_at == "line" and not base:
            continue
        names = list(dict.fromkeys(bearer.item for bearer in group))
        is_own = all(taxes_on(account, tariff, bearer)[1] for bearer in group)
        item = ", ".join(names) if is_own or rules.tax_at == "line" else ""
        for name, percent in taxes_on(account, tariff, group[0])[0]:
            share = base * Fraction(percent) / 100
            amount = round_by(rules, share)
            if adds_up:
                amount = round_by(rules, reached + share) - round_by(rules, reached)
                reached += share
            found.append(TaxDue(name, Fraction(Decimal(percent)), base, amount, item))
    return found
