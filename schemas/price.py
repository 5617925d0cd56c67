"""Prices: what a quantity costs, as a tariff writes it. `model` tells them apart; a new model is one more class.

How a price turns into an amount is the matter of the pipeline. Bounds are cumulative and inclusive: a quantity
exactly on a bound belongs to the lower tier.
"""

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.field import Money, Noun, PositiveQuantity, Quantity
from schemas.problem import Finding, refusal

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


class _Tiered(Noun):
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


class Package(Noun):
    """Every begun package costs its price."""

    model: Literal["package"]
    """Every begun package costs its price."""
    size: PositiveQuantity = Field(examples=["1000"])
    """Units in one package."""
    package_price: Money = Field(examples=["1.25"])
    """Price of one package, in the tariff's currency."""
    free_units: FreeUnits = ZERO


Price = Annotated[PerUnit | Graduated | Volume | Package, Field(discriminator="model")]


def _bound_findings(tiers: tuple[Tier, ...]) -> list[Finding]:
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
