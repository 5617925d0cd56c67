"""Conversion: measured quantities become the units that a price is for."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.field import Noun, PositiveQuantity, Text, whole
from schemas.fixed_point import QUANTITY_SCALE, RoundingMode
from schemas.problem import Finding, refusal

ONE = Decimal(1)


class Conversion(Noun):
    """quantity × multiply_by × attributes × times ÷ divide_by ÷ over, in this order and exact until it is rounded."""

    unit: Text = Field(examples=["GB-s"])
    """Unit of what is priced; tiers and free units count it."""
    multiply_by: PositiveQuantity = ONE
    """A constant factor."""
    attributes: tuple[Text, ...] = Field(default=(), examples=[["seconds", "memory_mb"]])
    """Attributes of the record whose values multiply its quantity; a record without them is rejected."""
    times: Literal["hours", "days"] | None = None
    """The length of the record in hours, or the days for which the tariff is billed."""
    divide_by: PositiveQuantity = Field(default=ONE, examples=["1024"])
    """A constant divisor."""
    over: Literal["period"] | None = None
    """Divides by the hours of the billing period, so that hours become a share of it."""
    round: RoundingMode | None = Field(default=None, examples=["up"])
    """Rounds the result; without it the price is asked for the exact quotient."""
    decimals: Annotated[int, *whole(0, QUANTITY_SCALE)] = 0
    """Decimals of a rounded result."""
    round_per: Literal["total", "record"] = "total"
    """Whether the total of what is priced together is rounded, or each record."""

    @property
    def is_by_record(self) -> bool:
        """Whether each record is converted in its own way, and not all by the same factor."""
        return bool(self.attributes) or self.times == "hours" or self.round_per == "record"

    @model_validator(mode="after")
    def _rounding_is_asked_for(self) -> Self:
        if self.round is None and (self.decimals or self.round_per == "record"):
            key = "decimals" if self.decimals else "round_per"
            raise refusal([Finding(f"{key} without round", "write how to round, such as round: up", (key,))])
        return self
