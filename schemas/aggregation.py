"""Aggregation: how the usage of a period becomes the one quantity that a price is asked for."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.field import DAY_MINUTES, Noun, Percent, Quantity, Text, whole
from schemas.problem import Finding, refusal

Function = Literal["sum", "count", "max", "latest", "unique", "percentile", "demand", "average", "level"]

_OWN_KEY: dict[Function, str] = {"unique": "attribute", "percentile": "percentile", "demand": "interval_minutes"}
"""The key that one function alone has."""


class Aggregation(Noun):
    """What is done with the quantities of a period, of a time band and of whatever else is priced by itself."""

    function: Function = Field(examples=["max"])
    """sum: their sum. count: how many records. max: the largest. latest: the one that ends last. unique: how many
    values an attribute has. percentile: the smallest that so many percent of them do not exceed (nearest rank).
    demand: the highest mean rate of an interval, such as kW of kWh. average: the mean over time of a level that records
    raise and lower, carried over from period to period. level: the price of that level at each moment, by days."""
    attribute: Text | None = Field(default=None, examples=["user"])
    """The attribute whose values unique counts."""
    percentile: Percent | None = Field(default=None, examples=["95"])
    """The percentile, above 0."""
    interval_minutes: Annotated[int, *whole(1, DAY_MINUTES)] | None = Field(default=None, examples=[15])
    """Length of a demand interval in minutes, a divisor of a day; 60 by default."""
    at_least: Quantity | None = Field(default=None, examples=["3"])
    """The least that is taken where anything was used, in the unit of the usage, before it is converted."""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        findings = list(self._findings())
        if findings:
            raise refusal(findings)
        return self

    @property
    def is_carried(self) -> bool:
        """Whether the quantities are changes of a level, which the next period begins with."""
        return self.function in ("average", "level")

    def _findings(self) -> Iterator[Finding]:
        for function, key in _OWN_KEY.items():
            if getattr(self, key) is not None and self.function != function:
                yield Finding(f"{key} belongs to {function}", f"remove it, or write function: {function}", (key,))
        if self.function == "unique" and self.attribute is None:
            yield Finding("unique without an attribute", "name the attribute whose values are counted", ("attribute",))
        if self.function == "percentile" and not self.percentile:
            yield Finding("percentile without a number", "write one above 0, such as 95", ("percentile",))
        if self.interval_minutes is not None and DAY_MINUTES % self.interval_minutes:
            yield Finding("no divisor of a day", "write 5, 15, 30 or 60 minutes", ("interval_minutes",))
        if self.at_least is not None and self.function in ("average", "level"):
            yield Finding("a level has no floor", "remove it", ("at_least",))
