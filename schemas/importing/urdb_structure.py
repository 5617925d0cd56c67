"""URDB's rate structures: for each period its tiers, which become prices per kWh or per kW.

`energyratestructure`, `demandratestructure` and `flatdemandstructure` are alike: lists of periods, each a list of tiers
{rate, adj, max, unit}; a tier costs rate + adj per unit and ends at `max`, cumulative and inclusive. Periods and tiers
are named from 1, as OpenEI's pages show them.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.importing.reading import Inexpressible, Json, Reading, digits, mapping, number, sequence
from schemas.node import cut

UNLIMITED = Decimal(10) ** 12
"""A tier that ends here or later has no end: 1e38 stands for infinity."""
_COUNTS = {"kWh": "period", "kWh daily": "day"}
_TIER = {"rate", "adj", "max", "unit"}


class Tier(NamedTuple):
    """A tier: its bound, None for no end, and what a unit costs."""

    up_to: Decimal | None
    unit_price: Decimal


class Period(NamedTuple):
    """The tiers of one period, and whether their bounds count the billing period or each day of it."""

    tiers_per: str
    tiers: tuple[Tier, ...]

    @property
    def shape(self) -> tuple[str, tuple[Decimal | None, ...]]:
        """What has to agree where tiers are shared."""
        return self.tiers_per, tuple(tier.up_to for tier in self.tiers)

    def price(self, reading: Reading, extra: Decimal, *, tiered: bool) -> Json:
        """The price, `extra` more for each unit; graduated where any period of the structure has tiers."""
        tiers = [{} if tier.up_to is None else {"up_to": digits(tier.up_to)} for tier in self.tiers]
        for document, tier in zip(tiers, self.tiers, strict=True):
            document["unit_price"] = reading.price(tier.unit_price + extra)
        if not tiered:
            return {"model": "per_unit", **tiers[0]}
        per_day = {"tiers_per": "day"} if self.tiers_per == "day" else {}
        return {"model": "graduated", **per_day, "tiers": tiers}


def periods_of(structure: object, name: str, reading: Reading) -> list[Period]:
    """The periods of a structure. Raises Inexpressible."""
    listed = sequence(structure, name)
    return [_period(reading, tiers, name, index) for index, tiers in enumerate(listed)]


def is_tiered(periods: list[Period]) -> bool:
    """Whether any period has more than one tier."""
    return any(len(period.tiers) > 1 for period in periods)


def costs(periods: list[Period]) -> bool:
    """Whether anything in it is not free."""
    return any(tier.unit_price for period in periods for tier in period.tiers)


def _period(reading: Reading, tiers: object, name: str, index: int) -> Period:
    listed = [mapping(tier, name, index, at) for at, tier in enumerate(sequence(tiers, name, index))]
    if not listed:
        raise Inexpressible("a period without tiers", "give it a rate", name, index)
    counts = {_counted(tier, name, index, at) for at, tier in enumerate(listed)}
    if len(counts) > 1:
        raise Inexpressible("tiers of different units", "write all in kWh or in kWh daily", name, index)
    found = [_tier(reading, tier, name, index, at) for at, tier in enumerate(listed)]
    last = found[-1]
    if last.up_to is not None:
        reading.note(f"{name}: the last tier of period {index + 1} ends at {last.up_to}; its price holds beyond it too")
    return Period(counts.pop(), (*found[:-1], last._replace(up_to=None)))


def _tier(reading: Reading, tier: Mapping[str, Any], *at: str | int) -> Tier:
    if "rate" not in tier and "adj" not in tier:
        raise Inexpressible("a tier without a rate", "write its rate, 0 where it costs nothing", *at)
    for key in sorted(tier.keys() - _TIER):
        if key == "sell":
            reading.note("sell: what is paid for energy fed in is not imported")
        else:
            reading.note(f"{at[0]}: {key} = {cut(str(tier[key]))} is not known and not imported")
    most = UNLIMITED if tier.get("max") in (None, "") else number(tier["max"], *at, "max", below=400)
    parts = [number(tier[key], *at, key) for key in ("rate", "adj") if tier.get(key) is not None]
    return Tier(most if most < UNLIMITED else None, sum(parts, Decimal(0)))


def _counted(tier: Mapping[str, Any], *at: str | int) -> str:
    if at[0] != "energyratestructure":
        return "period"
    unit = str(tier.get("unit") or "kWh")
    if unit not in _COUNTS:
        what = f"tiers count {cut(unit)}"
        raise Inexpressible(what, f"only {' and '.join(_COUNTS)} can be expressed", *at, "unit")
    return _COUNTS[unit]
