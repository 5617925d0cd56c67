"""Meters: the items of a tariff, each a price for the usage of one or more meters, and how that usage is counted."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.aggregation import Aggregation
from schemas.band import Band, Conditions, chronological_findings, pro_rata_findings
from schemas.conversion import Conversion
from schemas.fee import Tax
from schemas.field import LeastMoney, Noun, Percent, Text, whole
from schemas.fixed_point import PRICE_SCALE, QUANTITY_SCALE, RoundingMode
from schemas.price import Graduated, GraduatedPercentage, Percentage, Price, Volume
from schemas.problem import Finding, refusal
from schemas.session_price import Call, Charging

_ACROSS = ("tiers_across_bands",)
_BY_RECORD = (Percentage, Call, Charging)


class RoundEach(Noun):
    """How the amount of each thing that is priced by itself is rounded; the statement then adds up rounded amounts."""

    decimals: Annotated[int, *whole(0, PRICE_SCALE)] = Field(examples=[2])
    """Decimals of a rounded amount."""
    mode: RoundingMode = RoundingMode.HALF_UP
    """What happens to a half: half-up goes away from zero, half-even to the even neighbour; up and down as they say."""


class Meter(Noun):
    """One item: the usage that it prices, and what that costs: exactly one of price and bands."""

    usage_of: tuple[Text, ...] = Field(default=(), min_length=1, examples=[["energy"]])
    """The meters whose usage is priced; by default the one of this name. Several items may price the same usage."""
    where: Conditions = Field(default={}, examples=[{"region": "eu-*"}])
    """Attributes that usage has to have to be priced here; a value ending in * is a prefix."""
    unit: Text = Field(examples=["kWh"])
    """Unit of the quantities; usage that states another unit is rejected."""
    decimals: Annotated[int, *whole(0, QUANTITY_SCALE)] = Field(default=QUANTITY_SCALE, examples=[3])
    """Decimals that a quantity may have, 0 to 6."""
    excess_decimals: Literal["round", "reject"] = "round"
    """A quantity with more decimals is rounded half-even and counted (round), or rejected (reject)."""
    negative: Literal["reject", "accept"] = "reject"
    """Whether a quantity may be negative."""
    convert: Conversion | None = None
    """How usage becomes what is priced."""
    aggregation: Aggregation = Aggregation(function="sum")
    """What is done with the quantities of a period."""
    priced_per: Literal["period", "record", "session", "hour", "day", "resource"] = "period"
    """What is priced by itself, with tiers of its own: all of the period, or each record, session, local hour, local
    day, or value of the attribute `resource`."""
    resource: Text | None = Field(default=None, examples=["instance"])
    """The attribute that names a resource."""
    round_each: RoundEach | None = None
    """Rounds what each record, session, hour, day or resource costs, where those are priced by themselves. Without it
    nothing is rounded before the statement."""
    tiers_across_bands: Literal["separate", "pro-rata", "chronological"] = "separate"
    """Each band has tiers of its own (separate), or the tiers count all bands of a season together: each band has its
    share of each tier (pro-rata), or they are filled in the order of time (chronological)."""
    discount_percent: Percent | None = Field(default=None, examples=["50"])
    """Percent off what the item costs, before its maximum."""
    maximum: LeastMoney | None = Field(default=None, examples=["100"])
    """The most that the item costs in a billing period."""
    minimum: LeastMoney | None = Field(default=None, examples=["10"])
    """The least that the item costs in a billing period, charged when it closes; by the days of the tariff in it."""
    tax: tuple[Tax, ...] | None = None
    """Taxes on this item, instead of the tariff's."""
    price: Price | None = None
    """What a unit costs at any time."""
    bands: tuple[Band, ...] | None = Field(default=None, min_length=1)
    """Prices by season, day and hour, or by attribute; together they cover every moment exactly once."""

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        findings = list(self._findings())
        if findings:
            raise refusal(findings)
        return self

    def _findings(self) -> Iterator[Finding]:
        if (self.price is None) == (self.bands is None):
            what = "neither price nor bands" if self.price is None else "both price and bands"
            yield Finding(what, "write `price` for one price at all times, or `bands` for prices by time")
        elif self.tiers_across_bands != "separate" and self.bands is None:
            yield Finding(f"{self.tiers_across_bands} without bands", "remove it, or write bands", _ACROSS)
        elif self.tiers_across_bands == "pro-rata" and self.bands is not None:
            yield from pro_rata_findings(self.bands)
        elif self.tiers_across_bands == "chronological" and self.bands is not None:
            yield from chronological_findings(self.bands)
        yield from self._combinations()

    @property
    def prices(self) -> tuple[Price, ...]:
        """The price, or the prices of the bands."""
        return (self.price,) if self.price is not None else tuple(band.price for band in self.bands or ())

    def _combinations(self) -> Iterator[Finding]:
        """What cannot be combined, because it would leave open what is priced."""
        if (self.priced_per == "resource") != (self.resource is not None):
            what = "no attribute that names the resource" if self.resource is None else "resource without its pricing"
            yield Finding(what, "write both priced_per: resource and resource: ATTRIBUTE", ("resource",))
        repeated = next((meter for meter in self.usage_of if self.usage_of.count(meter) > 1), None)
        if repeated is not None:
            yield Finding(f"meter {repeated} is priced twice", "list it once", ("usage_of",))
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            yield Finding("the minimum is above the maximum", "exchange them, or remove one", ("minimum",))
        if self.priced_per != "period":
            yield from self._standing_findings()
        if self.round_each is not None and not self._prices_each:
            what = "nothing is priced by itself that could be rounded"
            yield Finding(what, "write priced_per, such as record, or round on the statement", ("round_each",))
        for price in self.prices:
            if isinstance(price, _BY_RECORD):
                yield from self._by_record(price.model)
                break
        yield from self._aggregation_findings()

    def _standing_findings(self) -> Iterator[Finding]:
        """Flat fees that are due without usage, where nothing is priced before it is used."""
        for index, price in enumerate(self.prices):
            if isinstance(price, Graduated | Volume | GraduatedPercentage) and price.first_flat_fee == "always":
                at: tuple[str | int, ...] = ("price",) if self.price is not None else ("bands", index, "price")
                what = f"a fee that is due without usage belongs to the period, not to each {self.priced_per}"
                remedy = "write first_flat_fee: on-usage, or remove priced_per"
                yield Finding(what, remedy, (*at, "first_flat_fee"))

    @property
    def _prices_each(self) -> bool:
        """Whether records, sessions, windows or resources are priced by themselves, sharing nothing that is free."""
        return all(
            not price.included_s
            if isinstance(price, Call)
            else price.free_events is None and price.free_amount is None
            if isinstance(price, Percentage)
            else isinstance(price, Charging) or self.priced_per != "period"
            for price in self.prices
        )

    def _aggregation_findings(self) -> Iterator[Finding]:
        """What an aggregation, or tiers in the order of time, cannot be combined with."""
        if self.aggregation.is_carried and self.priced_per != "period":
            yield Finding("a level belongs to the whole period", "write priced_per: period", ("priced_per",))
        if self.aggregation.is_carried and self.convert is not None and self.convert.times == "hours":
            yield Finding("a level is weighted by time already", "remove times", ("convert", "times"))
        if self.tiers_across_bands == "chronological" and self.aggregation.function != "sum":
            remedy = "use tiers_across_bands: separate, or aggregation function: sum"
            yield Finding("tiers in the order of time count sums", remedy, _ACROSS)
        if self.tiers_across_bands == "chronological" and self.convert is not None and self.convert.round is not None:
            yield Finding("tiers in the order of time are not rounded", "remove round", ("convert", "round"))
        if self.tiers_across_bands == "chronological" and self.priced_per != "period":
            yield Finding("tiers in the order of time count the whole period", "remove priced_per", ("priced_per",))
        if self.aggregation.is_carried and self.bands is not None:
            yield Finding("a level has one price at all times", "write price instead of bands", ("bands",))
        if self.convert is None or not self.convert.is_by_record:
            return
        if self.aggregation.function != "sum":
            what = f"{self.aggregation.function} takes records as they are measured"
            yield Finding(what, "convert by constants only", ("convert",))
        elif self.aggregation.at_least is not None:
            what = "a floor in the unit of the usage, which each record converts in its own way"
            yield Finding(what, "convert by constants only, or remove at_least", ("aggregation", "at_least"))

    def _by_record(self, model: str) -> Iterator[Finding]:
        """A price of whole records or sessions says itself what it counts."""
        if self.aggregation != Aggregation(function="sum") or self.priced_per != "period":
            yield Finding(f"{model} prices each record or session", "remove aggregation and priced_per")
        if self.tiers_across_bands != "separate":
            yield Finding(f"{model} has no tiers of several bands", "remove tiers_across_bands", _ACROSS)
        if self.convert is not None and self.convert.round_per == "total":
            what = f"{model} takes records as they are measured"
            yield Finding(what, "remove convert, or round each record: round_per: record", ("convert",))
        if len({type(price) for price in self.prices}) > 1:
            yield Finding(f"{model} in some bands only", "use one model in all bands of the item", ("bands",))
