"""Accounts: who is billed, in which zone and currency, and by which tariffs from when.

A change of plan is one more dated entry, never an edit of an old one. Dates begin at midnight in the account's zone.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.coupon import Coupon
from schemas.credit import Credit, Progressive
from schemas.fee import Fee, Tax, repeated_names
from schemas.field import CALENDAR, Anchor, Currency, Day, Noun, TariffName, Text, Zone, whole
from schemas.problem import Finding, refusal


class TariffEntry(Noun):
    """From when, and until when, a tariff holds for an account. Its versions follow each other by their own dates."""

    tariff: TariffName = Field(examples=["uk-electricity"])
    """Name of a tariff, without version."""
    from_: Day = Field(alias="from", examples=["2020-04-01"])
    """First date, from midnight in the account's zone."""
    until: Day | None = Field(default=None, examples=["2022-12-01"])
    """The date at whose midnight it ends; without it, and without last_day, the entry has no end."""
    last_day: Day | None = Field(default=None, examples=["2022-11-30"])
    """The same end told by the last date that belongs to it."""

    @property
    def end(self) -> date | None:
        """The date at whose midnight it ends, whichever way the document says it; None where it has no end."""
        return self.last_day + timedelta(days=1) if self.last_day is not None else self.until

    @model_validator(mode="after")
    def _ends_later(self) -> Self:
        findings = []
        if self.until is not None and self.last_day is not None:
            what = "until and last_day both say when it ends"
            findings.append(Finding(what, "remove one of them", ("last_day",)))
        if self.until is not None and self.until <= self.from_:
            findings.append(Finding("until is not after from", "write a later date or remove it", ("until",)))
        if self.last_day is not None and self.last_day < self.from_:
            findings.append(Finding("last_day is before from", "write a later date or remove it", ("last_day",)))
        if findings:
            raise refusal(findings)
        return self


class Cycle(Noun):
    """How long billing periods are and where they begin."""

    every: Annotated[int, *whole(1, 366)] = Field(default=1, examples=[1])
    """How many units make a period."""
    unit: Literal["month", "quarter", "year", "week", "day"] = Field(default="month", examples=["quarter"])
    """What a period is measured in."""
    anchor: Anchor = Field(default=CALENDAR, examples=["2024-01-31"])
    """The calendar's own units (calendar; weeks begin on Monday), or a date on which a period begins, with others
    before and after it; days 29 to 31 clamp to a shorter month's last day and return."""

    @model_validator(mode="after")
    def _has_a_beginning(self) -> Self:
        in_a_year = {"month": 12, "quarter": 4}.get(self.unit, 1)
        if self.anchor == CALENDAR and in_a_year % self.every:
            what = f"the calendar does not say where every {self.every} {self.unit}s begin"
            raise refusal([Finding(what, "give as anchor the first date of one period", ("anchor",))])
        return self

    def __str__(self) -> str:
        """What it says, in a line: `every 1 month, anchor calendar`."""
        return f"every {self.every} {self.unit}, anchor {self.anchor}"


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
    cycle: Cycle = Field(default=Cycle(), examples=[{"every": 1, "unit": "quarter", "anchor": "calendar"}])
    """Billing periods that are not a month from billing_day."""
    clock: Literal["zone", "fixed-offset"] = "zone"
    """Local time as the zone's clocks show it (zone), or always by the offset from UTC that the zone had when the
    account's first tariff began (fixed-offset)."""
    tariffs: tuple[TariffEntry, ...] = Field(min_length=1)
    """What it pays for each meter, by date."""
    fees: tuple[Fee, ...] = ()
    """Recurring fees of this account alone."""
    tax: tuple[Tax, ...] | None = None
    """Replaces the taxes of its tariffs, and of their items and fees; an empty list exempts it."""
    coupons: tuple[Coupon, ...] = ()
    """What is taken off its statements before tax, in this order."""
    credits: tuple[Credit, ...] = ()
    """Money paid in advance, which its statements draw on."""
    progressive: Progressive | None = None
    """Interim statements as soon as a billing period's usage comes to certain amounts."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        findings = [*repeated_names("fees", self.fees), *repeated_names("tax", self.tax or ())]
        findings += repeated_names("coupons", self.coupons)
        findings += repeated_names("credits", self.credits)
        findings += self._cycle_findings()
        if findings:
            raise refusal(findings)
        return self

    def _cycle_findings(self) -> Iterator[Finding]:
        if self.billing_day != 1 and self.cycle != Cycle():
            remedy = "remove billing_day, and give the cycle an anchor on such a day"
            yield Finding("billing_day and cycle both say when periods begin", remedy, ("billing_day",))


class AccountFile(Noun):
    """A document of accounts."""

    accounts: tuple[Account, ...] = Field(min_length=1)
    """The accounts."""
