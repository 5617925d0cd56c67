"""Tariffs: a dated, immutable set of prices, as a YAML or JSON document.

A version never changes: what is different is a new version, and `canonical` tells whether that was kept to.
Attributes are named as the document's keys, `from_` for `from`. Numbers are Decimal; the pipeline turns them into
fixed point.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from schemas.band import Band, Season, band_findings, pro_rata_findings, season_findings
from schemas.currency import minor_digits
from schemas.fee import Fee, Tax, repeated_names
from schemas.field import Currency, Day, Holiday, LeastMoney, Noun, Seconds, TariffName, Text, Version, whole
from schemas.fixed_point import PRICE_SCALE, QUANTITY_SCALE, RoundingMode
from schemas.price import Price
from schemas.problem import Finding, refusal

DAY_S = 86_400


class Rounding(Noun):
    """Where, to how many decimals and how amounts are rounded; charges stay exact."""

    at: Literal["line", "total"] = "line"
    """Each line is rounded, then summed (line), or the exact lines are summed, then rounded once (total)."""
    decimals: Annotated[int, *whole(0, PRICE_SCALE)] | None = Field(default=None, examples=[2])
    """Decimals of a rounded amount; the currency's own by default."""
    mode: RoundingMode = Field(default=RoundingMode.HALF_UP, examples=["half-up"])
    """What happens to a half: half-up goes away from zero, half-even to the even neighbour; up and down as they say."""


class Minimum(Noun):
    """The least that a billing period of this tariff's usage costs; its fees do not count."""

    amount: LeastMoney = Field(examples=["10"])
    """In the tariff's currency, before tax."""
    prorate: Literal["days", "none"] = "days"
    """Where the tariff holds for a part of the period: by its days (days) or in full (none)."""


class Closing(Noun):
    """When a billing period closes and how long late usage is taken."""

    grace_s: Seconds = Field(default=DAY_S, examples=[86400])
    """Seconds of event time past the period's end before it closes."""
    lateness_s: Seconds = Field(default=35 * DAY_S, examples=[3024000])
    """Seconds past the period's end during which late usage is still taken, as an adjustment."""
    silence_s: Seconds = Field(default=7 * DAY_S, examples=[604800])
    """Seconds without usage after which a silent meter no longer holds a closing."""


class Meter(Noun):
    """What one meter measures and costs: exactly one of price and bands."""

    unit: Text = Field(examples=["kWh"])
    """Unit of the quantities; usage that states another unit is rejected."""
    decimals: Annotated[int, *whole(0, QUANTITY_SCALE)] = Field(default=QUANTITY_SCALE, examples=[3])
    """Decimals that a quantity may have, 0 to 6."""
    excess_decimals: Literal["round", "reject"] = "round"
    """A quantity with more decimals is rounded half-even and counted (round), or rejected (reject)."""
    negative: Literal["reject", "accept"] = "reject"
    """Whether a quantity may be negative."""
    tiers_across_bands: Literal["separate", "pro-rata"] = "separate"
    """Each band has tiers of its own (separate), or the tiers count all bands of a season together (pro-rata)."""
    price: Price | None = None
    """What a unit costs at any time."""
    bands: tuple[Band, ...] | None = Field(default=None, min_length=1)
    """Prices by season, day and hour; together they cover every moment exactly once."""

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
        elif self.tiers_across_bands == "pro-rata" and self.bands is None:
            yield Finding("pro-rata without bands", "remove it, or write bands", ("tiers_across_bands",))
        elif self.tiers_across_bands == "pro-rata" and self.bands is not None:
            yield from pro_rata_findings(self.bands)


class Tariff(Noun):
    """A dated set of prices, fees and rules for one or more meters."""

    tariff: TariffName = Field(examples=["pge-residential-tou"])
    """Name of the tariff, the same in all its versions: a to z, 0 to 9 and -."""
    version: Version = Field(examples=["2013-05"])
    """Name of the version, in quotes. A version never changes: what is different is a new version."""
    effective_from: Day = Field(examples=["2011-01-01"])
    """First date on which it is in force, from midnight in the account's zone until the next version's."""
    currency: Currency = Field(examples=["USD"])
    """ISO 4217 code of all its prices."""
    description: str | None = Field(default=None, max_length=2000, examples=["Residential time of use"])
    """Free text for people."""
    rounding: Rounding = Rounding()
    """How amounts are rounded."""
    tax: tuple[Tax, ...] = ()
    """Taxes on what this tariff bills."""
    seasons: Mapping[Text, Season] = Field(default={}, examples=[{"summer": {"from": "01-01", "to": "12-31"}}])
    """Ranges of days that bands name; together they cover each day of the year exactly once."""
    holidays: tuple[Holiday, ...] = Field(default=(), examples=[["2012-01-02", "12-25"]])
    """Dates, or MM-DD for every year, that are of the day type `holidays` instead of their weekday."""
    minimum: Minimum | None = None
    """The least that usage costs per billing period."""
    fees: tuple[Fee, ...] = ()
    """Recurring fees."""
    closing: Closing = Closing()
    """When billing periods close."""
    meters: Mapping[Text, Meter] = Field(min_length=1)
    """What each meter costs, by the name that usage records give it."""

    @property
    def decimals(self) -> int:
        """Decimals of a rounded amount: the rounding's, or the currency's own."""
        return minor_digits(self.currency) if self.rounding.decimals is None else self.rounding.decimals

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        findings = [*repeated_names("fees", self.fees), *repeated_names("tax", self.tax)]
        seasons = season_findings(self.seasons)
        findings += seasons or self._band_findings()
        if findings:
            raise refusal(findings)
        return self

    def _band_findings(self) -> list[Finding]:
        return [
            finding._replace(at=("meters", name, "bands", *finding.at))
            for name, meter in self.meters.items()
            if meter.bands is not None
            for finding in band_findings(meter.bands, self.seasons, has_holidays=bool(self.holidays))
        ]


def canonical(tariff: Tariff) -> bytes:
    """The one JSON text of what this version charges: sorted keys, plain decimal texts, no defaults, no description.

    Two documents with the same meaning give the same bytes, and `Tariff.model_validate_json` reads them back.

    >>> base = {"tariff": "t", "version": "1", "effective_from": "2012-01-01", "currency": "USD"}
    >>> meters = {"m": {"unit": "h", "price": {"model": "per_unit", "unit_price": "0.50", "free_units": 0}}}
    >>> canonical(Tariff.model_validate({**base, "meters": meters})).partition(b'"meters":')[2]
    b'{"m":{"price":{"model":"per_unit","unit_price":"0.5"},"unit":"h"}},"tariff":"t","version":"1"}'
    """
    plain = tariff.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"description"})
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def tariff_json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a tariff document, for editors to complete and check."""
    schema = Tariff.model_json_schema(by_alias=True)
    schema["$defs"]["Meter"]["oneOf"] = [{"required": ["price"]}, {"required": ["bands"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "ratestream tariff"}
