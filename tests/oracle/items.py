"""Items: what a tariff's document says of one item, as texts turn into exact numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

Document = dict[str, Any]
Taxes = tuple[tuple[str, Decimal], ...]
Conditions = tuple[tuple[str, str], ...]

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_GROUPS = {"weekdays": frozenset(_WEEK[:5]), "weekends": frozenset(_WEEK[5:])}
EVERY_DAY = frozenset({*_WEEK, "holidays"})


class Tier(NamedTuple):
    """A tier that ends at `up_to` (None: never), per day where its price says so."""

    up_to: Decimal | None
    unit_price: Decimal
    flat_fee: Decimal


@dataclass(frozen=True, eq=False)
class Price:
    """A price document; per unit is a graduated price of one tier, as is a percentage of amounts; a package's tier
    holds the price of a package. What only one model has stays in `document`.
    """

    model: str
    tiers: tuple[Tier, ...]
    per_day: bool
    free_units: Decimal
    size: str
    first_fee_always: bool
    upper_on_bound: bool
    free_between_bounds: bool
    document: Document

    def number(self, key: str, default: str = "0") -> Fraction:
        """A number of the document."""
        return Fraction(self.document.get(key, default))

    def standing(self) -> Fraction:
        """What is due without any usage."""
        return Fraction(self.tiers[0].flat_fee) if self.first_fee_always else Fraction(0)


@dataclass(frozen=True, eq=False)
class Band:
    """When, and for which usage, a price holds. `takes_rest`: where no other band like it claims the moment."""

    name: str
    season: str | None
    days: frozenset[str]
    minutes: tuple[tuple[int, int], ...]
    takes_rest: bool
    where: Conditions
    meters: tuple[str, ...]
    price: Price

    @property
    def is_for(self) -> tuple[Conditions, tuple[str, ...]]:
        """The usage that it is for."""
        return self.where, self.meters

    @property
    def rank(self) -> tuple[int, int]:
        """How special that is: the number of conditions, then the length of their values."""
        return len(self.where) + (1 if self.meters else 0), sum(len(value.rstrip("*")) for _, value in self.where)


@dataclass(frozen=True)
class Conversion:
    """How usage becomes what is priced."""

    unit: str
    multiply_by: Fraction
    attributes: tuple[str, ...]
    times: str
    divide_by: Fraction
    over_period: bool
    mode: str
    decimals: int
    per_record: bool


@dataclass(frozen=True)
class Aggregation:
    """What is done with the quantities of a period."""

    function: str
    attribute: str
    percentile: Fraction
    interval_minutes: int
    at_least: Fraction | None


@dataclass(frozen=True, eq=False)
class Meter:
    """An item's rules. One without bands has a single band named ""."""

    usage_of: tuple[str, ...]
    where: Conditions
    unit: str
    decimals: int
    rounds: bool
    takes_negative: bool
    convert: Conversion | None
    aggregation: Aggregation
    per: str
    resource: str
    across: str
    discount: Fraction
    maximum: Fraction | None
    minimum: Fraction | None
    taxes: Taxes | None
    bands: tuple[Band, ...]
    round_each: tuple[int, str] | None

    @property
    def priced_unit(self) -> str:
        """The unit of what is priced."""
        return self.convert.unit if self.convert else self.unit

    @property
    def by_record(self) -> bool:
        """Whether transactions or calls are priced, not quantities."""
        return self.bands[0].price.model in ("percentage", "call")

    @property
    def is_whole(self) -> bool:
        """Whether a record is never cut, and counts where it begins."""
        counted = self.aggregation.function in ("count", "unique", "max", "latest", "percentile")
        return counted or self.per in ("record", "session") or self.by_record

    @property
    def adds_up(self) -> bool:
        """Whether only the sums of the bands matter."""
        plain = self.aggregation.function in ("sum", "count") and self.aggregation.at_least is None
        return plain and self.per == "period" and self.across != "chronological" and not self.by_record

    @property
    def is_simple(self) -> bool:
        """Whether every charge is for the quantity of its record, at prices of quantities."""
        return self.adds_up and self.convert is None and self.aggregation.function == "sum"


def conditions_met(where: Conditions, attributes: Mapping[str, str]) -> bool:
    """Whether attributes have the values that are asked for; a trailing * is any rest."""
    for name, value in where:
        found = attributes.get(name)
        if found is None:
            return False
        if value[-1:] == "*" and found[: len(value) - 1] != value[:-1]:
            return False
        if value[-1:] != "*" and found != value:
            return False
    return True


def taxes_in(document: Document) -> Taxes | None:
    """The taxes that a document has of its own; None where it has no such list."""
    if "tax" not in document:
        return None
    return tuple((tax["name"], Decimal(tax["percent"])) for tax in document["tax"])


def meter_of(name: str, document: Document) -> Meter:
    """The rules of the item of this name."""
    whole_time = [{"name": "", "price": document["price"]}] if "price" in document else []
    return Meter(
        usage_of=tuple(document.get("usage_of", [name])),
        where=tuple(document.get("where", {}).items()),
        unit=document["unit"],
        decimals=int(document.get("decimals", "6")),
        rounds=document.get("excess_decimals", "round") == "round",
        takes_negative=document.get("negative") == "accept",
        convert=_conversion(document["convert"]) if "convert" in document else None,
        aggregation=_aggregation(document.get("aggregation", {"function": "sum"})),
        per=document.get("priced_per", "period"),
        resource=document.get("resource", ""),
        across=document.get("tiers_across_bands", "separate"),
        discount=Fraction(document.get("discount_percent", "0")),
        maximum=_optional(document, "maximum"),
        minimum=_optional(document, "minimum"),
        taxes=taxes_in(document),
        bands=tuple(map(_band, whole_time or document["bands"])),
        round_each=_rounding(document["round_each"]) if "round_each" in document else None,
    )


def _rounding(document: Document) -> tuple[int, str]:
    return int(document["decimals"]), document.get("mode", "half-up")


def _optional(document: Document, key: str) -> Fraction | None:
    return Fraction(document[key]) if key in document else None


def _conversion(document: Document) -> Conversion:
    return Conversion(
        unit=document["unit"],
        multiply_by=Fraction(document.get("multiply_by", "1")),
        attributes=tuple(document.get("attributes", [])),
        times=document.get("times", "none"),
        divide_by=Fraction(document.get("divide_by", "1")),
        over_period=document.get("over") == "period",
        mode=document.get("round", "none"),
        decimals=int(document.get("decimals", "0")),
        per_record=document.get("round_per") == "record",
    )


def _aggregation(document: Document) -> Aggregation:
    return Aggregation(
        function=document["function"],
        attribute=document.get("attribute", ""),
        percentile=Fraction(document.get("percentile", "0")),
        interval_minutes=int(document.get("interval_minutes", "60")),
        at_least=_optional(document, "at_least"),
    )


def _band(document: Document) -> Band:
    days = document.get("days")
    named = (_GROUPS.get(day, frozenset({day})) for day in days or ())
    return Band(
        name=document["name"],
        season=document.get("season"),
        days=frozenset().union(*named) if days else EVERY_DAY,
        minutes=tuple(map(_minutes, document.get("hours", ["00:00-24:00"]))),
        takes_rest=days is None and "hours" not in document,
        where=tuple(sorted(document.get("where", {}).items())),
        meters=tuple(document.get("meters", [])),
        price=_price(document["price"]),
    )


def _minutes(hours: str) -> tuple[int, int]:
    first, last = ([int(number) for number in clock.split(":")] for clock in hours.split("-"))
    return first[0] * 60 + first[1], last[0] * 60 + last[1]


def _price(document: Document) -> Price:
    model = document["model"]
    one_tier = {"unit_price": document.get("unit_price", document.get("package_price", "0"))}
    tiers = tuple(map(_tier, document.get("tiers") or [one_tier]))
    return Price(
        model="graduated" if model in ("per_unit", "graduated_percentage") else model,
        tiers=tiers,
        per_day=document.get("tiers_per") == "day",
        free_units=Decimal(document.get("free_units", "0")),
        size=document.get("size", "0"),
        first_fee_always=document.get("first_flat_fee") == "always" and tiers[0].flat_fee != 0,
        upper_on_bound=document.get("on_bound") == "upper",
        free_between_bounds=document.get("between_bounds") == "unpriced",
        document=document,
    )


def _tier(document: Document) -> Tier:
    up_to = document.get("up_to")
    each = Decimal(document["unit_price"]) if "unit_price" in document else Decimal(document["percent"]) / 100
    return Tier(None if up_to is None else Decimal(up_to), each, Decimal(document.get("flat_fee", "0")))
