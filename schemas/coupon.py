"""Coupons: what is taken off an account's statements before tax, for a while."""

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.field import Day, LeastMoney, Noun, Percent, Text, whole
from schemas.problem import Finding, refusal

MOST_PERIODS = 1200


class Coupon(Noun):
    """An amount or a percentage off each of some billing periods.

    It is spread over the period's own lines of more than nothing (usage, true-ups and fees), pro rata of their rounded
    amounts, and never takes more than there is. What it cannot use up in a period is lost.
    """

    name: Text = Field(examples=["Welcome"])
    """What the statement calls it."""
    amount: LeastMoney | None = Field(default=None, examples=["10"])
    """In the account's currency, off each billing period, before tax."""
    percent: Percent | None = Field(default=None, examples=["20"])
    """Percent off what the coupons before it have left."""
    from_: Day = Field(alias="from", examples=["2024-01-01"])
    """The first billing period is the first one that begins on this date or later."""
    until: Day | None = Field(default=None, examples=["2025-01-01"])
    """A period that begins on this date or later has it no more; without it the coupon has no end."""
    periods: Annotated[int, *whole(1, MOST_PERIODS)] | None = Field(default=None, examples=[3])
    """For how many billing periods at most, counted from the first one."""
    meters: tuple[Text, ...] | None = Field(default=None, min_length=1, examples=[["requests"]])
    """Only off the lines of these meters, as the tariff names them; by default off all lines."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        findings = []
        if (self.amount is None) == (self.percent is None):
            what = "neither amount nor percent" if self.amount is None else "both amount and percent"
            findings.append(Finding(what, "write `amount` for an amount off, or `percent` for a share"))
        if Decimal(0) in (self.amount, self.percent):
            findings.append(Finding("takes nothing off", "write more than 0, or remove the coupon"))
        if self.until is not None and self.until <= self.from_:
            findings.append(Finding("until is not after from", "write a later date or remove it", ("until",)))
        if findings:
            raise refusal(findings)
        return self
