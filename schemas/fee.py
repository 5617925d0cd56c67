"""Fees and taxes: what recurs whatever was used, and what is added in percent. Tariffs and accounts both have them."""

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.field import Money, Noun, Percent, Text
from schemas.problem import Finding, refusal


class Fee(Noun):
    """A recurring fee: an amount per billing period or per day."""

    name: Text = Field(examples=["Standing charge"])
    """What the statement calls it."""
    amount: Money = Field(examples=["0.2475"])
    """The fee in the tariff's currency; negative is a recurring discount."""
    per: Literal["period", "day"]
    """Due once per billing period, or for each of its days."""
    due: Literal["arrears", "advance"] = "arrears"
    """For the period that has ended (arrears) or for the one that begins (advance)."""
    prorate: Literal["days", "none"] = "days"
    """A fee per period that holds for a part of it is due by its days (days) or in full (none)."""

    @model_validator(mode="after")
    def _whole_days(self) -> Self:
        if self.per == "day" and self.prorate == "none":
            what = "a fee per day is always due by its days"
            raise refusal([Finding(what, "remove prorate, or make it a fee per period", ("prorate",))])
        return self


class Tax(Noun):
    """A tax on all that is billed, before other taxes."""

    name: Text = Field(examples=["VAT"])
    """What the statement calls it."""
    percent: Percent = Field(examples=["5"])
    """Percent of the net amount, 0 to 100."""


def repeated_names(key: str, named: Iterable[Fee | Tax]) -> list[Finding]:
    """A finding for each fee or tax of the list under `key` whose name stands there already."""
    seen: set[str] = set()
    findings = []
    for index, item in enumerate(named):
        if item.name in seen:
            findings.append(Finding("the same name twice in one list", "give it another name", (key, index, "name")))
        seen.add(item.name)
    return findings
