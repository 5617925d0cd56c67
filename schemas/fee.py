"""Fees and taxes: what recurs whatever was used, and what is added in percent. Tariffs and accounts both have them."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal, Protocol, Self

from pydantic import Field, model_validator

from schemas.field import Money, Noun, Percent, Quantity, Text
from schemas.problem import Finding, refusal


class Tax(Noun):
    """A tax on all that is billed, before other taxes."""

    name: Text = Field(examples=["VAT"])
    """What the statement calls it."""
    percent: Percent = Field(examples=["5"])
    """Percent of the net amount, 0 to 100."""


class Fee(Noun):
    """A fee that is due whatever was used: an amount for a stretch of time, or once."""

    name: Text = Field(examples=["Standing charge"])
    """What the statement calls it."""
    amount: Money = Field(examples=["0.2475"])
    """The fee for one, in the tariff's currency; negative is a recurring discount."""
    quantity: Quantity = Field(default=Decimal(1), examples=["5"])
    """How many it is due for, such as seats."""
    per: Literal["period", "day", "month", "quarter", "year", "once"]
    """Due for each billing period, for each day, for each month, quarter or year of the calendar by what of it is
    served, or only when the tariff begins for the account (once)."""
    due: Literal["arrears", "advance"] = "arrears"
    """For the period that has ended (arrears) or for the one that begins (advance)."""
    prorate: Literal["days", "thirty", "none"] = "days"
    """A stretch of time that is served in part is due by its days (days); by its days where each month counts 30, the
    31st none and the last of February what is missing (thirty); or in full where its first served day is (none)."""
    tax: tuple[Tax, ...] | None = None
    """Taxes on this fee, instead of the tariff's."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        findings = repeated_names("tax", self.tax or ())
        if self.per == "day" and self.prorate != "days":
            what = "a fee per day is always due by its days"
            findings.append(Finding(what, "remove prorate, or make it a fee per period", ("prorate",)))
        if self.per == "once" and self.prorate == "thirty":
            what = "a fee that is due once is due in full"
            findings.append(Finding(what, "remove prorate, or make it a fee per period", ("prorate",)))
        if findings:
            raise refusal(findings)
        return self


class Named(Protocol):
    """What a statement calls by a name."""

    @property
    def name(self) -> str:
        """The name."""


def repeated_names(key: str, named: Iterable[Named]) -> list[Finding]:
    """A finding for each fee, tax or credit of the list under `key` whose name stands there already."""
    seen: set[str] = set()
    findings = []
    for index, item in enumerate(named):
        if item.name in seen:
            findings.append(Finding("the same name twice in one list", "give it another name", (key, index, "name")))
        seen.add(item.name)
    return findings
