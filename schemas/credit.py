"""Credits and progressive billing: money paid before a statement, and statements before a period has ended.

Both say who pays what and when. Neither changes what anything costs.
"""

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.field import Day, LeastMoney, Noun, Text, whole
from schemas.problem import Finding, refusal

HIGHEST_PRIORITY, LOWEST_PRIORITY = 1, 1_000_000


class Credit(Noun):
    """Money that the customer has paid in advance. Statements draw on it, their taxes included, until it is used up."""

    name: Text = Field(examples=["Prepaid 2024"])
    """What the statement calls it. What was drawn is remembered by this name, also while the credit is not listed."""
    amount: LeastMoney = Field(examples=["150"])
    """What was paid, in the account's currency. An amount that is changed changes what is left by the difference."""
    from_: Day = Field(alias="from", examples=["2024-01-01"])
    """It pays for billing periods that begin on this date or later, in the account's zone."""
    until: Day | None = Field(default=None, examples=["2025-01-01"])
    """It pays for no billing period that begins on this date or later; without it there is no end."""
    priority: Annotated[int, *whole(HIGHEST_PRIORITY, LOWEST_PRIORITY)] = Field(default=1, examples=[2])
    """The lowest number is drawn first; among equals the credit that ends first, then the one that begins first."""

    @model_validator(mode="after")
    def _ends_later(self) -> Self:
        if self.until is not None and self.until <= self.from_:
            raise refusal([Finding("until is not after from", "write a later date or remove it", ("until",))])
        return self


class Progressive(Noun):
    """Progressive billing: an interim statement as soon as a period's usage comes to a threshold."""

    thresholds: tuple[LeastMoney, ...] = Field(min_length=1, examples=[["200", "500"]])
    """Amounts of a billing period's usage, exact and before tax, in rising order."""
    repeat: LeastMoney | None = Field(default=None, examples=["100"])
    """After the last threshold, one more each time that the usage has risen by this."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        findings = [
            Finding(f"not above the one before, {lower}", "list them in rising order", ("thresholds", index))
            for index, (lower, upper) in enumerate(pairwise((Decimal(0), *self.thresholds)))
            if upper <= lower
        ]
        if self.repeat == 0:
            findings.append(Finding("must be above 0", "write an amount, or remove it", ("repeat",)))
        if findings:
            raise refusal(findings)
        return self
