"""Prices: what a quantity costs, as a tariff writes it. `model` tells them apart; a new model is one more class.

How a price turns into an amount is the matter of the pipeline. Bounds are cumulative and inclusive: a quantity
exactly on a bound belongs to the lower tier.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.field import MAGNITUDE, AnyPercent, LeastMoney, Money, Noun, PositiveQuantity, Quantity, whole
from schemas.problem import Finding, refusal
from schemas.session_price import Call, Charging

ZERO = Decimal(0)
FreeUnits = Annotated[
    Quantity,
    Field(description="Quantity per billing period that costs nothing, in the meter's unit.", examples=["100"]),
]


class PerUnit(Noun):
    """Each unit costs the same."""

    model: Literal["per_unit"]
    """Each unit costs the same."""
    unit_price: Money = Field(examples=["0.20"])
    """Price of one unit, in the tariff's currency; at most 12 decimals."""
    free_units: FreeUnits = ZERO


class Tier(Noun):
    """A range of quantity that ends at `up_to`, inclusive."""

    up_to: PositiveQuantity | None = Field(default=None, examples=["100"])
    """Upper bound of the tier, counted from zero and inclusive; the last tier has none."""
    unit_price: Money = Field(examples=["0.11"])
    """Price of one unit in this tier, in the tariff's currency; at most 12 decimals."""
    flat_fee: Money = Field(default=ZERO, examples=["5"])
    """What reaching this tier costs, once per billing period."""


FirstFlatFee = Annotated[
    Literal["on-usage", "always"],
    Field(description="The first tier's flat fee is due with its first unit (on-usage) or without any usage (always)."),
]


class _Tiered(Noun):
    first_flat_fee: FirstFlatFee = "on-usage"
    on_bound: Literal["lower", "upper"] = "lower"
    """Which tier a quantity exactly on a bound belongs to; upper is for bounds that say from where a tier begins."""
    tiers_per: Literal["period", "day"] = "period"
    """What the bounds count: the billing period, or each of its days that the tariff is in force."""
    free_units: FreeUnits = ZERO
    tiers: tuple[Tier, ...] = Field(min_length=1)
    """The tiers in rising order; the last one has no up_to."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        findings = list(_bound_findings(self.tiers))
        if findings:
            raise refusal(findings)
        return self


class Graduated(_Tiered):
    """Each tier prices its own units only."""

    model: Literal["graduated"]
    """Each tier prices its own units only."""


class Volume(_Tiered):
    """The tier that the whole quantity reaches prices all of it."""

    model: Literal["volume"]
    """The tier that the whole quantity reaches prices all of it."""
    between_bounds: Literal["next-tier", "unpriced"] = "next-tier"
    """A quantity above a tier's bound by less than one unit is in the next tier, or in none and costs nothing, as where
    tiers are lists of whole numbers (Meteroid)."""


class Package(Noun):
    """Every begun package costs its price."""

    model: Literal["package"]
    """Every begun package costs its price."""
    size: PositiveQuantity = Field(examples=["1000"])
    """Units in one package."""
    package_price: Money = Field(examples=["1.25"])
    """Price of one package, in the tariff's currency."""
    free_units: FreeUnits = ZERO


class PercentageTier(Noun):
    """A range of amounts that ends at `up_to`, inclusive."""

    up_to: PositiveQuantity | None = Field(default=None, examples=["1000"])
    """Upper bound of the tier, counted from zero and inclusive; the last tier has none."""
    percent: AnyPercent = Field(examples=["1.5"])
    """Percent of the amounts in this tier; at most 10 decimals."""
    flat_fee: Money = Field(default=ZERO, examples=["200"])
    """What reaching this tier costs, once per billing period."""


class GraduatedPercentage(Noun):
    """Each tier takes its percentage of its own amounts only. Quantities are amounts of money."""

    model: Literal["graduated_percentage"]
    """Each tier takes its percentage of its own amounts only."""
    first_flat_fee: FirstFlatFee = "on-usage"
    free_units: FreeUnits = ZERO
    tiers: tuple[PercentageTier, ...] = Field(min_length=1)
    """The tiers in rising order; the last one has no up_to."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        findings = list(_bound_findings(self.tiers))
        if findings:
            raise refusal(findings)
        return self


class Percentage(Noun):
    """A percentage of each transaction, whose amount is the record's quantity, and a fee for each.

    Free transactions are the first ones by time: so many of them (`free_events`), and as long as their sum does not
    pass `free_amount`. Of the one that passes it only the rest of its amount is free.
    """

    model: Literal["percentage"]
    """A percentage of each transaction and a fee for each."""
    percent: AnyPercent = Field(examples=["2.9"])
    """Percent of the amount; at most 10 decimals."""
    fixed_per_event: Money = Field(default=ZERO, examples=["0.30"])
    """Fee for each transaction that is not free."""
    free_events: Annotated[int, *whole(0, 10**9)] | None = Field(default=None, examples=[3])
    """How many transactions of a billing period cost nothing."""
    free_amount: Quantity | None = Field(default=None, examples=["250"])
    """How much of a billing period's amounts costs nothing."""
    min_per_event: LeastMoney | None = Field(default=None, examples=["1.75"])
    """The least that a transaction costs which is not wholly free."""
    max_per_event: LeastMoney | None = Field(default=None, examples=["12"])
    """The most that a transaction costs."""

    @model_validator(mode="after")
    def _limits(self) -> Self:
        least, most = self.min_per_event, self.max_per_event
        if least is not None and most is not None and least > most:
            what = "min_per_event is above max_per_event"
            raise refusal([Finding(what, "exchange them, or remove one", ("min_per_event",))])
        return self


class Commitment(Noun):
    """So much is committed to at one price; what goes beyond it costs a multiple of that."""

    model: Literal["commitment"]
    """A committed quantity or amount at one price, and more than it at a multiple."""
    unit_price: Money = Field(examples=["2"])
    """Price of one unit within the commitment."""
    quantity: Quantity | None = Field(default=None, examples=["4"])
    """The commitment in units."""
    amount: LeastMoney | None = Field(default=None, examples=["5"])
    """The commitment as what the units within it cost."""
    overage_factor: PositiveQuantity = Field(examples=["2"])
    """Multiplies the unit price beyond the commitment."""
    true_up: bool = False
    """Whether a commitment that was begun and not used up is charged in full."""

    @model_validator(mode="after")
    def _one_commitment(self) -> Self:
        if (self.quantity is None) == (self.amount is None):
            what = "neither quantity nor amount" if self.quantity is None else "both quantity and amount"
            raise refusal([Finding(what, "write the commitment either in units or in money")])
        if self.amount is not None and self.unit_price <= 0:
            remedy = "write a unit price above 0, or the commitment in units"
            raise refusal([Finding("an amount cannot be used up at this price", remedy, ("unit_price",))])
        if self.unit_price < 0:
            raise refusal([Finding("a commitment to be paid", "write a unit price of 0 or more", ("unit_price",))])
        if (self.unit_price * self.overage_factor).adjusted() >= MAGNITUDE:
            what = f"the price beyond the commitment is out of range: 10^{MAGNITUDE} or more"
            raise refusal([Finding(what, "write a smaller factor", ("overage_factor",))])
        return self


Price = Annotated[
    PerUnit | Graduated | Volume | Package | GraduatedPercentage | Percentage | Commitment | Call | Charging,
    Field(discriminator="model"),
]


def _bound_findings(tiers: Sequence[Tier | PercentageTier]) -> list[Finding]:
    """What is wrong with the bounds: they rise strictly and only the last tier has none."""
    last = len(tiers) - 1
    findings = [
        Finding("only the last tier has no up_to", "give it an up_to or make it the last", ("tiers", index))
        for index, tier in enumerate(tiers[:-1])
        if tier.up_to is None
    ]
    if tiers[-1].up_to is not None:
        remedy = "remove it, or add a tier without up_to for what lies beyond"
        findings.append(Finding("the last tier has no up_to", remedy, ("tiers", last, "up_to")))
    for index, (lower, upper) in enumerate(pairwise(tiers), start=1):
        if lower.up_to is not None and upper.up_to is not None and upper.up_to <= lower.up_to:
            what = f"up_to does not rise: the tier before ends at {lower.up_to}"
            findings.append(Finding(what, "list the tiers in rising order", ("tiers", index, "up_to")))
    return findings
