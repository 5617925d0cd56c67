"""Accounts: who is billed, in which zone and currency, and by which tariffs from when.

A change of plan is one more dated entry, never an edit of an old one. Dates begin at midnight in the account's zone.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.fee import Fee, Tax, repeated_names
from schemas.field import Currency, Day, Noun, TariffName, Text, Zone, whole
from schemas.problem import Finding, refusal


class TariffEntry(Noun):
    """From when, and until when, a tariff holds for an account. Its versions follow each other by their own dates."""

    tariff: TariffName = Field(examples=["uk-electricity"])
    """Name of a tariff, without version."""
    from_: Day = Field(alias="from", examples=["2020-04-01"])
    """First date, from midnight in the account's zone."""
    until: Day | None = Field(default=None, examples=["2022-12-01"])
    """The date at whose midnight it ends; without it the entry has no end."""

    @model_validator(mode="after")
    def _ends_later(self) -> Self:
        if self.until is not None and self.until <= self.from_:
            raise refusal([Finding("until is not after from", "write a later date or remove it", ("until",))])
        return self


class Account(Noun):
    """One customer of one tenant. `(tenant, account)` identifies it."""

    account: Text = Field(examples=["uk-home-0"])
    """The id that usage records give."""
    tenant: Text = Field(default="default", examples=["default"])
    """Whose customer it is."""
    zone: Zone = Field(examples=["Europe/London"])
    """IANA time zone of its billing periods and bands."""
    currency: Currency = Field(examples=["GBP"])
    """ISO 4217 code of its statements; its tariffs have the same."""
    billing_day: Annotated[int, *whole(1, 31)] = Field(default=1, examples=[15])
    """Day of the month on which its billing periods begin; 29 to 31 clamp to a shorter month's last day."""
    tariffs: tuple[TariffEntry, ...] = Field(min_length=1)
    """What it pays for each meter, by date."""
    fees: tuple[Fee, ...] = ()
    """Recurring fees of this account alone."""
    tax: tuple[Tax, ...] | None = None
    """Replaces the taxes of its tariffs; an empty list exempts it."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        findings = [*repeated_names("fees", self.fees), *repeated_names("tax", self.tax or ())]
        if findings:
            raise refusal(findings)
        return self


class AccountFile(Noun):
    """A document of accounts."""

    accounts: tuple[Account, ...] = Field(min_length=1)
    """The accounts."""
