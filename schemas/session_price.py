"""Prices of whole sessions, as a tariff writes them: telecom calls, and EV charging as in OCPI 2.2.

A session is priced as one, however many records told of it. How is the matter of pipeline/pricing/call.py and
pipeline/pricing/charging.py; here is what may be written, and what contradicts itself.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from schemas.field import (
    Day,
    LeastMoney,
    Money,
    Noun,
    Percent,
    PositiveQuantity,
    Quantity,
    Seconds,
    Text,
    clock,
    whole,
)
from schemas.fixed_point import PRICE_SCALE, RoundingMode
from schemas.problem import Finding, refusal

Decimals = Annotated[int, *whole(0, PRICE_SCALE)]
PositiveSeconds = Annotated[int, *whole(1, 366 * 86_400)]
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class Slot(Noun):
    """A range of a call's duration with a rate of its own; it ends where the next one begins."""

    from_s: Seconds = 0
    """Second of the call at which the slot begins."""
    rate: Money = Field(examples=["0.10"])
    """Price of `unit_s` seconds, in the tariff's currency."""
    unit_s: PositiveSeconds = Field(examples=[60])
    """How many seconds the rate is for."""
    increment_s: PositiveSeconds = Field(examples=[1])
    """Time is billed in begun increments of so many seconds; the slot that an increment begins in prices all of it."""


class Call(Noun):
    """A connection fee, and a call's duration in increments. The usage is in seconds; a session is a call."""

    model: Literal["call"]
    """A connection fee, and the call's duration in increments."""
    connection_fee: Money = Field(default=Decimal(0), examples=["0.20"])
    """Due once per call that has lasted at all, in the tariff's currency; included seconds do not cover it."""
    slots: tuple[Slot, ...] = Field(min_length=1)
    """The slots in rising order, the first from second 0."""
    seconds: Literal["exact", "up", "down", "half-up"] = "exact"
    """A call's duration is taken as metered (exact) or rounded to whole seconds before anything else."""
    included_s: Seconds = Field(default=0, examples=[3600])
    """Seconds per billing period that cost nothing, used by the calls in order of their begin, whatever their order of
    arrival. An included second still moves its call on through the slots; increments begin where they end."""
    increment_decimals: Decimals | None = Field(default=None, examples=[5])
    """Round the amount of each increment half-up to so many decimals; without it they are exact."""
    decimals: Decimals | None = Field(default=None, examples=[4])
    """Round the amount of each call, its connection fee included, to so many decimals; without it it is exact."""
    mode: RoundingMode | None = Field(default=None, examples=["up"])
    """How `decimals` rounds a call; half-up by default."""
    maximum: LeastMoney | None = Field(default=None, examples=["0.62"])
    """The most that one call costs, its connection fee included, after rounding."""
    beyond_maximum: Literal["free", "charged"] = "free"
    """A call that goes on beyond its maximum is free from there (free), or the maximum is told and does not lower the
    price, because the network ends the call there (charged)."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        findings = list(self._findings())
        if findings:
            raise refusal(findings)
        return self

    def _findings(self) -> Iterator[Finding]:
        if self.slots[0].from_s != 0:
            remedy = "let it begin at 0, or add one before it"
            yield Finding("the first slot does not begin at second 0", remedy, ("slots", 0, "from_s"))
        for index, (slot, following) in enumerate(pairwise(self.slots), start=1):
            if following.from_s <= slot.from_s:
                what = f"from_s does not rise: the slot before begins at {slot.from_s}"
                yield Finding(what, "list the slots in rising order", ("slots", index, "from_s"))
        if self.mode is not None and self.decimals is None:
            yield Finding("there is nothing to round", "say to how many decimals, or remove mode", ("mode",))
        if self.beyond_maximum == "charged" and self.maximum is None:
            yield Finding("there is no maximum", "say the maximum, or remove beyond_maximum", ("beyond_maximum",))


class Dimension(StrEnum):
    """What a component of a charging session's price is counted in."""

    FLAT = "flat"
    ENERGY = "energy"
    TIME = "time"
    PARKING_TIME = "parking_time"
    RESERVATION = "reservation"
    RESERVATION_FEE = "reservation_fee"


ONCE = (Dimension.FLAT, Dimension.RESERVATION_FEE)
"""Dimensions that are due once per session and have no steps."""
_WHILE_CONNECTED = (Dimension.ENERGY, Dimension.TIME, Dimension.PARKING_TIME)


class Component(Noun):
    """The price of one dimension of a charging session."""

    dimension: Dimension = Field(examples=["energy"])
    """flat: once per session; energy: per kWh; time, parking_time and reservation: per hour of charging, of being
    connected without charging, and of reservation; reservation_fee: once per reservation that expired."""
    price: Money = Field(examples=["0.25"])
    """Price of one unit (session, kWh, hour) in the tariff's currency, before tax."""
    step: Annotated[int, *whole(0, 10**9)] = Field(default=0, examples=[900])
    """The session's total is rounded up to a multiple of so many Wh (energy) or seconds (times); 0 bills it exactly.
    The step of the component that priced last in the session counts, once for all of the session."""
    tax_percent: Percent | None = Field(default=None, examples=["20"])
    """Tax on this component alone, in percent; without it none."""

    @model_validator(mode="after")
    def _steps(self) -> Self:
        if self.step and self.dimension in ONCE:
            what = f"{self.dimension} is due once and has no steps"
            raise refusal([Finding(what, "remove step", ("step",))])
        return self


def _clock(value: object) -> int:
    """Minutes after midnight of text as `HH:MM`."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return value
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        what, remedy = "must be a time of day", 'write it as "HH:MM" in quotes, from "00:00" to "23:59"'
        raise refusal([Finding(what, remedy)])
    hour, minute = map(int, match.groups())
    return hour * 60 + minute


ClockTime = Annotated[
    int,
    PlainValidator(_clock),
    PlainSerializer(clock, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_CLOCK.pattern}$"}),
]
WeekDay = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Restrictions(Noun):
    """When an element holds: all that is written must be true at that moment of the session.

    Lower limits are inclusive, upper ones exclusive. Times, dates and days are those of a clock in the account's zone.
    """

    start_time: ClockTime | None = Field(default=None, examples=["17:00"])
    """From this time of each day; later than end_time it goes over midnight (which ends the weekday in `days`)."""
    end_time: ClockTime | None = Field(default=None, examples=["20:00"])
    """Until this time of each day; "00:00" is its end."""
    start_date: Day | None = Field(default=None, examples=["2026-12-24"])
    """From this day."""
    end_date: Day | None = Field(default=None, examples=["2026-12-27"])
    """Until the day before this one."""
    days: tuple[WeekDay, ...] | None = Field(default=None, min_length=1, examples=[["sat", "sun"]])
    """On these days of the week."""
    min_kwh: Quantity | None = Field(default=None, examples=["1"])
    """From this energy of the session on."""
    max_kwh: PositiveQuantity | None = Field(default=None, examples=["50"])
    """Until the session has drawn this energy."""
    min_power_kw: Quantity | None = Field(default=None, examples=["16"])
    """While charging with this power or more, as the record's attribute power_kw tells; not where it tells none."""
    max_power_kw: PositiveQuantity | None = Field(default=None, examples=["32"])
    """While charging with less than this power; not where the record tells none."""
    min_current_a: Quantity | None = Field(default=None, examples=["32"])
    """While charging with this current or more, over all phases, as the attribute current_a tells."""
    max_current_a: PositiveQuantity | None = Field(default=None, examples=["32"])
    """While charging with less than this current."""
    min_duration_s: Seconds | None = Field(default=None, examples=[1800])
    """From this age of the session on, since its first charging or parking; a reservation's since its own begin."""
    max_duration_s: PositiveSeconds | None = Field(default=None, examples=[3600])
    """Until the session has this age."""
    reservation: Literal["only", "expires"] | None = None
    """For reservations (only), or for those that expired (expires), which go by these elements before all others."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        findings = list(self._findings())
        if findings:
            raise refusal(findings)
        return self

    def _findings(self) -> Iterator[Finding]:
        limits = (
            ("start_date", self.start_date, "end_date", self.end_date),
            ("min_kwh", self.min_kwh, "max_kwh", self.max_kwh),
            ("min_power_kw", self.min_power_kw, "max_power_kw", self.max_power_kw),
            ("min_current_a", self.min_current_a, "max_current_a", self.max_current_a),
            ("min_duration_s", self.min_duration_s, "max_duration_s", self.max_duration_s),
        )
        for lower, low, upper, high in limits:
            if low is not None and high is not None and low >= high:  # type: ignore[operator]
                yield Finding(f"never holds: {lower} is not below {upper}", f"raise {upper}, or remove one", (upper,))
        if self.end_time is not None and self.start_time == self.end_time:
            yield Finding("starts and ends at the same time", "remove both for all of the day", ("end_time",))


class Element(Noun):
    """Prices that hold together, while the restrictions do."""

    name: Text | None = Field(default=None, examples=["evening"])
    """What charges and statements call it."""
    components: tuple[Component, ...] = Field(min_length=1)
    """A price for each of some dimensions."""
    restrictions: Restrictions = Field(default_factory=Restrictions)
    """When it holds; without them always."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        findings = list(self._findings())
        if findings:
            raise refusal(findings)
        return self

    def _findings(self) -> Iterator[Finding]:
        seen: set[Dimension] = set()
        for index, component in enumerate(self.components):
            at = ("components", index, "dimension")
            if component.dimension in seen:
                yield Finding("the same dimension twice in one element", "remove one, or make it another element", at)
            if self.restrictions.reservation is not None and component.dimension in _WHILE_CONNECTED:
                what = f"{component.dimension} never occurs during a reservation"
                yield Finding(what, "use reservation for its time, or remove the restriction to reservations", at)
            seen.add(component.dimension)


class PriceLimit(Noun):
    """A limit on the price of one session, without tax and with it; each is kept by itself."""

    excl: LeastMoney = Field(examples=["10"])
    """The limit before tax, in the tariff's currency."""
    incl: LeastMoney | None = Field(default=None, examples=["11"])
    """The limit with the components' taxes; without it those taxes stay as they are."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.incl is not None and self.incl < self.excl:
            what = f"the limit with tax is below the one without ({self.excl})"
            raise refusal([Finding(what, "exchange them, or correct one", ("incl",))])
        return self


class Charging(Noun):
    """An EV charging session as in OCPI 2.2. The usage is energy in kWh, a record for each charging period.

    Attributes of a record: phase (charging, the default, parking or reservation), power_kw, current_a, and
    expired: "true" for a reservation that expired.
    """

    model: Literal["charging"]
    """An EV charging session as in OCPI 2.2."""
    elements: tuple[Element, ...] = Field(min_length=1)
    """At each moment, the first element that holds and has a dimension prices it; without one it costs nothing."""
    after_step: Literal["own-step", "swallowed", "parking-only"] = "own-step"
    """Where parking follows charging whose time is rounded up: parking is billed and rounded by itself (own-step), or
    not billed as far as the rounded-up time reaches (swallowed, OCPI 2.2); or charging time is not rounded in a session
    whose parking is priced (parking-only, OCPI 2.2.1)."""
    minimum: PriceLimit | None = None
    """The least that a session costs; a reservation without any is none."""
    maximum: PriceLimit | None = None
    """The most that a session costs."""

    @model_validator(mode="after")
    def _limits(self) -> Self:
        least, most = self.minimum, self.maximum
        findings = []
        if least is not None and most is not None:
            if least.excl > most.excl:
                remedy = "raise the maximum or lower the minimum"
                findings.append(
                    Finding(f"the maximum is below the minimum ({least.excl})", remedy, ("maximum", "excl"))
                )
            if least.incl is not None and most.incl is not None and least.incl > most.incl:
                remedy = "raise the maximum or lower the minimum"
                findings.append(
                    Finding(f"the maximum is below the minimum ({least.incl})", remedy, ("maximum", "incl"))
                )
        if findings:
            raise refusal(findings)
        return self
