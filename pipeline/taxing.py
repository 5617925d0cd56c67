"""Taxing: how a section of a bill is rounded, which taxes each of its lines bears, and what these come to.

A section is what one tariff version bills, or the account's own fees. The first that there is says which taxes a line
bears:
  1. the account's own taxes, which replace all others; an empty list exempts it of every one;
  2. the tax of a component of a price (a part of a charge) that is taxed by itself;
  3. the taxes of its item, surcharge, fee or minimum;
  4. the taxes of the tariff.
Then the tariff's rounding says whether lines that bear the same are taxed together or each by itself, on rounded or on
exact amounts. Before bill.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from pipeline.entries import Place
from schemas.account import Account
from schemas.currency import minor_digits
from schemas.fee import Tax
from schemas.fixed_point import HUNDRED_PERCENT, PERCENT_SCALE, step_of, to_fixed, to_step, to_text
from schemas.statement import LineKind, StatementLine, TaxLine
from schemas.tariff import Rounding, Tariff

COMPONENT_TAX = "VAT"
"""What the tax of a component is called: a price model that has such components gives it no name."""


class Taxed(NamedTuple):
    """A line that is not rounded yet, and the tax of the component that it is for: percent ("" for none), exact amount.

    A share of a coupon is taxed as the line that it `reduces`.
    """

    line: StatementLine
    tax_percent: str = ""
    tax: int = 0
    reduces: Place | None = None

    @property
    def place(self) -> Place:
        """The line that decides about the taxes."""
        return self.reduces or place_of(self.line, self.tax_percent)


def place_of(line: StatementLine, tax_percent: str) -> Place:
    """What tells the line from the others of its period."""
    return Place(
        kind=line.kind,
        tariff=line.tariff,
        version=line.version,
        meter=line.meter,
        name=line.name,
        band=line.band,
        tier=line.tier,
        unit_price=str(line.unit_price),
        tax_percent=tax_percent,
        about=line.period_start,
    )


class _Bears(NamedTuple):
    """What a line is taxed by: the tax of its component (its percent, None for none), or taxes in percent of it.

    `general` says that they are not those of its item alone.
    """

    component: str | None
    taxes: tuple[Tax, ...]
    general: bool = False


@dataclass(slots=True)
class _Group:
    """Lines that are taxed together, and what they come to. `item` is "" once one of them bears its taxes as all do."""

    bears: _Bears
    items: list[str] = field(default_factory=list)
    general: bool = False
    exact: int = 0
    printed: int = 0
    component_tax: int = 0

    def add(self, taxed: Taxed, *, general: bool) -> None:
        """Count a line."""
        self.exact += taxed.line.exact
        self.printed += taxed.line.amount
        self.component_tax += taxed.tax
        self.general |= general
        if taxed.place.item not in self.items:
            self.items.append(taxed.place.item)

    def shares(self, base: int) -> Iterator[tuple[str, str, int]]:
        """Name, percent and HUNDRED_PERCENT times the exact amount of each tax on the base."""
        if self.bears.component is not None:
            yield COMPONENT_TAX, self.bears.component, self.component_tax * HUNDRED_PERCENT
        for tax in self.bears.taxes:
            percent = to_fixed(tax.percent, PERCENT_SCALE)
            yield tax.name, to_text(percent, PERCENT_SCALE), base * percent


class Section:
    """The rules of one section for an account; the tariff is None for the account's own fees."""

    def __init__(self, account: Account, tariff: Tariff | None) -> None:
        self._account = account
        self._tariff = tariff
        self._rounding = tariff.rounding if tariff is not None else Rounding()
        self._per_line = self._rounding.at == "line"
        decimals = self._rounding.decimals
        digits = minor_digits(account.currency) if decimals is None else decimals
        self.step = step_of(digits)
        self.mode = self._rounding.mode

    def rounded(self, numerator: int, denominator: int = 1) -> int:
        """numerator ÷ denominator (> 0), as an amount of the section's decimals."""
        return to_step(numerator, self.step, self.mode, denominator)

    def printed(self, taxed: Taxed) -> Taxed:
        """The line with its rounded amount, and with its taxes rounded by itself."""
        line, bears = taxed.line, self._bears(taxed)
        amount = self.rounded(line.exact)
        base = amount if self._rounding.taxes_rounded else line.exact
        percents = sum(to_fixed(tax.percent, PERCENT_SCALE) for tax in bears.taxes)
        tax = taxed.tax * HUNDRED_PERCENT if bears.component is not None else base * percents
        gross = self.rounded((amount if self._per_line else line.exact) * HUNDRED_PERCENT + tax, HUNDRED_PERCENT)
        return taxed._replace(line=replace(line, amount=amount, gross=gross))

    def net(self, lines: Iterable[Taxed]) -> int:
        """What printed lines come to before tax."""
        if self._per_line:
            return sum(taxed.line.amount for taxed in lines)
        return self.rounded(sum(taxed.line.exact for taxed in lines))

    def taxes(self, lines: Sequence[Taxed]) -> list[TaxLine]:
        """The taxes on the section's printed lines, in the order of the lines that bear them first.

        Where exact lines are summed and taxes are percentages of exact amounts, each tax is what it adds to the rounded
        sum of all before it, so that they add up to the rounded total. Otherwise each is rounded by itself.
        """
        by_line = self._rounding.tax_at == "line"
        adds_up = not (self._per_line or by_line or self._rounding.taxes_rounded)
        reached = sum(taxed.line.exact for taxed in lines) * HUNDRED_PERCENT
        found = []
        for group in self._groups(lines, by_line=by_line):
            base = self._base(group)
            if by_line and not base and not group.component_tax:
                continue  # a line of nothing
            item = "" if group.general and not by_line else ", ".join(group.items)
            for name, percent, share in group.shares(base):
                amount = self.rounded(share, HUNDRED_PERCENT)
                if adds_up:
                    amount = self.rounded(reached + share, HUNDRED_PERCENT) - self.rounded(reached, HUNDRED_PERCENT)
                    reached += share
                line = lines[0].line
                found.append(TaxLine(line.tariff, line.version, name, percent, base, amount, item))
        return found

    def _base(self, group: _Group) -> int:
        if not self._rounding.taxes_rounded:
            return group.exact
        return group.printed if self._per_line else self.rounded(group.exact)

    def _groups(self, lines: Iterable[Taxed], *, by_line: bool) -> Iterable[_Group]:
        groups: dict[object, _Group] = {}
        for taxed in lines:
            bears = self._bears(taxed)
            of_item = taxed.place.item if bears.component is not None else ""
            key = taxed.place if by_line else (bears.component, bears.taxes, of_item)
            group = groups.setdefault(key, _Group(bears))
            group.add(taxed, general=bears.general)
        return groups.values()

    def _bears(self, taxed: Taxed) -> _Bears:
        # 1. The account's own taxes.
        if self._account.tax is not None:
            return _Bears(None, self._account.tax, general=True)
        # 2. A component's. One whose limit counts its tax has an amount without a percentage.
        if taxed.tax_percent or taxed.tax:
            return _Bears(taxed.tax_percent, ())
        # 3. Those of an item, surcharge, fee or minimum.
        taxes = self._own_taxes(taxed.place)
        if taxes is not None:
            return _Bears(None, taxes)
        # 4. The tariff's.
        return _Bears(None, self._tariff.tax if self._tariff is not None else (), general=True)

    def _own_taxes(self, place: Place) -> tuple[Tax, ...] | None:
        tariff = self._tariff
        if place.kind == LineKind.RECURRING:
            fees = tariff.fees if tariff is not None else self._account.fees
            return next((fee.tax for fee in fees if fee.name == place.item), None)
        if tariff is None:
            return None
        if place.kind == LineKind.TRUE_UP and not place.meter:
            return tariff.minimum.tax if tariff.minimum is not None else None
        if place.item in tariff.meters:
            return tariff.meters[place.item].tax
        return next((surcharge.tax for surcharge in tariff.surcharges if surcharge.name == place.item), None)
