"""Tariffs: a dated, immutable set of prices, as a YAML or JSON document.

A version never changes: what is different is a new version, and `canonical` tells whether that was kept to.
Attributes are named as the document's keys, `from_` for `from`. Numbers are Decimal; the pipeline turns them into
fixed point.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from schemas.band import Season, band_findings, season_findings
from schemas.currency import minor_digits
from schemas.fee import Fee, Tax, repeated_names
from schemas.field import (
    AnyPercent,
    Currency,
    Day,
    Holiday,
    LeastMoney,
    Noun,
    Seconds,
    TariffName,
    Text,
    Version,
    whole,
)
from schemas.fixed_point import PRICE_SCALE, RoundingMode
from schemas.meter import Meter
from schemas.problem import Finding, nearest, refusal

DAY_S = 86_400
MAXIMUM = "maximum"
"""The item that holds what the maximum takes off."""


class Rounding(Noun):
    """Where, to how many decimals and how amounts are rounded; charges stay exact."""

    at: Literal["line", "total"] = "line"
    """Each line is rounded, then summed (line), or the exact lines are summed, then rounded once (total)."""
    decimals: Annotated[int, *whole(0, PRICE_SCALE)] | None = Field(default=None, examples=[2])
    """Decimals of a rounded amount; the currency's own by default."""
    mode: RoundingMode = Field(default=RoundingMode.HALF_UP, examples=["half-up"])
    """What happens to a half: half-up goes away from zero, half-even to the even neighbour; up and down as they say."""
    tax_base: Literal["rounded", "exact"] | None = None
    """Taxes are percentages of rounded or of exact amounts; by default of rounded ones where lines are rounded, and of
    exact ones where the total is: then net and taxes add up to the rounded total."""
    tax_at: Literal["section", "line"] = "section"
    """A tax is worked out once on all lines that bear it (section), or on each line by itself (line)."""

    @property
    def taxes_rounded(self) -> bool:
        """Whether taxes are percentages of rounded amounts."""
        return self.at == "line" if self.tax_base is None else self.tax_base == "rounded"


class Maximum(Noun):
    """The most that a billing period of this tariff's usage costs; its fees do not count."""

    amount: LeastMoney = Field(examples=["100"])
    """In the tariff's currency, before tax."""
    prorate: Literal["days", "none"] = "none"
    """Where the tariff holds for a part of the period: by its days (days) or in full (none)."""


class Surcharge(Noun):
    """A percentage of what other items cost, such as a conservation tax on water."""

    name: Text = Field(examples=["Water conservation tax"])
    """What the statement calls it."""
    percent: AnyPercent = Field(examples=["50"])
    """Percent of the items' amounts; negative is a discount."""
    of: tuple[Text, ...] = Field(default=(), examples=[["water"]])
    """The items, or surcharges listed before this one; without it all items."""
    base: Literal["exact", "rounded"] = "exact"
    """Of the exact amount of each, or of the amount as a line of the statement prints it."""
    tax: tuple[Tax, ...] | None = None
    """Taxes on it, instead of the tariff's."""


class Minimum(Noun):
    """The least that a billing period of this tariff costs."""

    amount: LeastMoney = Field(examples=["10"])
    """In the tariff's currency, before tax."""
    prorate: Literal["days", "thirty", "none"] = "days"
    """Where the tariff holds for a part of the period: by its days (days), by its days where each month counts 30
    (thirty), or in full (none)."""
    counts: Literal["usage", "usage-and-fees"] = "usage"
    """What counts towards it: usage alone, or also the tariff's fees for that period, whenever they are charged."""
    base: Literal["exact", "rounded"] = "exact"
    """Exact amounts are compared and the difference is rounded (exact), or the minimum by days, the usage and the fees
    are each rounded first, as Lago does (rounded)."""
    tax: tuple[Tax, ...] | None = None
    """Taxes on what is charged up to it, instead of the tariff's."""

    @model_validator(mode="after")
    def _taxes_differ(self) -> Self:
        findings = repeated_names("tax", self.tax or ())
        if findings:
            raise refusal(findings)
        return self


class Closing(Noun):
    """When a billing period closes and how long late usage is taken."""

    grace_s: Seconds = Field(default=DAY_S, examples=[86400])
    """Seconds of event time past the period's end before it closes."""
    lateness_s: Seconds = Field(default=35 * DAY_S, examples=[3024000])
    """Seconds past the period's end during which late usage is still taken."""
    silence_s: Seconds = Field(default=7 * DAY_S, examples=[604800])
    """Seconds without usage after which a silent meter no longer holds a closing."""
    late: Literal["next-statement", "revision"] = "next-statement"
    """What becomes of late usage: an adjustment on the account's next statement (next-statement), or a new revision of
    the statement of its own period, drawn up when the next one is (revision). A period under several tariffs is revised
    if all of them say so."""


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
    maximum: Maximum | None = None
    """The most that usage costs per billing period."""
    surcharges: tuple[Surcharge, ...] = ()
    """Percentages of what items cost."""
    fees: tuple[Fee, ...] = ()
    """Recurring fees."""
    closing: Closing = Closing()
    """When billing periods close."""
    meters: Mapping[Text, Meter] = Field(min_length=1)
    """What each item costs; its name is the meter that usage records give, or names the item where it has usage_of."""

    @cached_property
    def items(self) -> Mapping[str, tuple[str, ...]]:
        """The items that price the usage of each meter, in the order of the document."""
        found: dict[str, list[str]] = {}
        for name, item in self.meters.items():
            for meter in item.usage_of or (name,):
                found.setdefault(meter, []).append(name)
        return {meter: tuple(names) for meter, names in found.items()}

    @cached_property
    def derived(self) -> tuple[str, ...]:
        """The names of what is charged for what items cost, in the order in which it is worked out."""
        return (*(surcharge.name for surcharge in self.surcharges), *((MAXIMUM,) if self.maximum else ()))

    @property
    def decimals(self) -> int:
        """Decimals of a rounded amount: the rounding's, or the currency's own."""
        return minor_digits(self.currency) if self.rounding.decimals is None else self.rounding.decimals

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        findings = [*repeated_names("fees", self.fees), *repeated_names("tax", self.tax)]
        seasons = season_findings(self.seasons)
        findings += seasons or self._band_findings()
        findings += [*self._item_findings(), *self._surcharge_findings()]
        if self.minimum is not None and self.maximum is not None and self.minimum.amount > self.maximum.amount:
            findings.append(Finding("the minimum is above the maximum", "exchange them, or remove one", ("minimum",)))
        if findings:
            raise refusal(findings)
        return self

    def _item_findings(self) -> Iterator[Finding]:
        """Items that measure one meter differently, and names that mean nothing or two things."""
        for meter, names in self.items.items():
            first = self.meters[names[0]]
            for name in names[1:]:
                for key in ("unit", "decimals", "excess_decimals", "negative"):
                    if getattr(self.meters[name], key) != getattr(first, key):
                        what = f"items {names[0]} and {name} measure meter {meter} differently"
                        yield Finding(what, f"give both the same {key}", ("meters", name, key))
        for name, item in self.meters.items():
            for index, band in enumerate(item.bands or ()):
                unknown = [meter for meter in band.meters if meter not in (item.usage_of or (name,))]
                if unknown:
                    what = f"{unknown[0]} is not priced by this item"
                    yield Finding(what, "list it in usage_of", ("meters", name, "bands", index, "meters"))

    def _surcharge_findings(self) -> Iterator[Finding]:
        known = set(self.meters)
        if MAXIMUM in known and self.maximum is not None:
            what = "an item has the name of the tariff's maximum"
            yield Finding(what, "give it another name", ("meters", MAXIMUM))
        for index, surcharge in enumerate(self.surcharges):
            if surcharge.name in known or surcharge.name in self.items or surcharge.name == MAXIMUM:
                what = "an item, a meter or a surcharge has this name already"
                yield Finding(what, "give it another name", ("surcharges", index, "name"))
            for of in surcharge.of:
                if of not in known:
                    what = f"no item or earlier surcharge has the name {of}"
                    yield Finding(what, nearest(of, known), ("surcharges", index, "of"))
            if len(set(surcharge.of)) < len(surcharge.of):
                yield Finding("the same item twice", "list it once", ("surcharges", index, "of"))
            known.add(surcharge.name)

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
