"""Contracts: tariffs and accounts read from YAML as texts, so that no number passes through a float."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import yaml

Document = dict[str, Any]

NEVER = datetime.max.replace(tzinfo=UTC)
_DECIMALS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "VND": 0, "KWD": 3, "BHD": 3, "TND": 3, "JOD": 3, "OMR": 3}
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_GROUPS = {"weekdays": frozenset(_WEEK[:5]), "weekends": frozenset(_WEEK[5:])}
EVERY_DAY = frozenset({*_WEEK, "holidays"})


class Tier(NamedTuple):
    """A tier that ends at `up_to` (None: never), per day where its price says so."""

    up_to: Decimal | None
    unit_price: Decimal
    flat_fee: Decimal


@dataclass(frozen=True)
class Price:
    """A price document; per unit is a graduated price of one tier, a package's tier holds the price of a package."""

    model: str
    tiers: tuple[Tier, ...]
    per_day: bool
    free_units: Decimal
    size: str


@dataclass(frozen=True)
class Band:
    """When a price holds. `takes_rest`: where no other band of its season claims the moment."""

    name: str
    season: str | None
    days: frozenset[str]
    minutes: tuple[tuple[int, int], ...]
    takes_rest: bool
    price: Price


@dataclass(frozen=True)
class Meter:
    """A meter's rules. One without bands has a single band named ""."""

    unit: str
    decimals: int
    rounds: bool
    takes_negative: bool
    pro_rata: bool
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class Fee:
    """A recurring fee."""

    name: str
    amount: Decimal
    per_day: bool
    in_advance: bool
    prorated: bool


Taxes = tuple[tuple[str, Decimal], ...]


@dataclass(frozen=True, eq=False)
class Tariff:
    """One version of a tariff."""

    name: str
    version: str
    effective_from: date
    rounded_at: str
    decimals: int
    mode: str
    taxes: Taxes
    seasons: dict[str, tuple[str, str]]
    holidays: frozenset[str]
    minimum: Decimal | None
    minimum_prorated: bool
    fees: tuple[Fee, ...]
    grace_s: int
    meters: dict[str, Meter]


class Assignment(NamedTuple):
    """A tariff version in force for an account in `[start, end)`."""

    tariff: Tariff
    start: datetime
    end: datetime


@dataclass(frozen=True, eq=False)
class Account:
    """One account and what is in force for it, in order."""

    tenant: str
    name: str
    zone: ZoneInfo
    currency: str
    billing_day: int
    fees: tuple[Fee, ...]
    taxes: Taxes | None
    assignments: tuple[Assignment, ...]

    def in_force(self, start: datetime, end: datetime) -> Iterator[Assignment]:
        """The assignments within `[start, end)`, cut to it."""
        for tariff, begin, until in self.assignments:
            low, high = max(begin, start), min(until, end)
            if low < high:
                yield Assignment(tariff, low, high)

    def pricing(self, meter: str, at: datetime) -> Assignment | None:
        """What prices the meter at the instant."""
        found = (entry for entry in self.assignments if meter in entry.tariff.meters and entry.start <= at < entry.end)
        return next(found, None)


def decimals_of(currency: str) -> int:
    """The decimals of the currency's smallest coin, of those that examples and tests use (ISO 4217)."""
    return _DECIMALS.get(currency, 2)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of the local date, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def accounts_from(tariffs: Path, accounts: Path) -> dict[tuple[str, str], Account]:
    """The accounts of two YAML files, or directories of such."""
    versions: dict[str, list[Tariff]] = {}
    for document in _documents(tariffs):
        tariff = _tariff(document)
        versions.setdefault(tariff.name, []).append(tariff)
    for of_name in versions.values():
        of_name.sort(key=lambda tariff: tariff.effective_from)
    found = [_account(entry, versions) for document in _documents(accounts) for entry in document["accounts"]]
    return {(account.tenant, account.name): account for account in found}


def _documents(place: Path) -> Iterator[Document]:
    for file in sorted(place.glob("*.yaml")) if place.is_dir() else [place]:
        for document in yaml.load_all(file.read_text(encoding="utf-8"), yaml.BaseLoader):
            if document:
                yield document


def _account(document: Document, versions: dict[str, list[Tariff]]) -> Account:
    zone = ZoneInfo(document["zone"])
    entries = [entry for dated in document["tariffs"] for entry in _assignments(dated, versions, zone)]
    return Account(
        tenant=document.get("tenant", "default"),
        name=document["account"],
        zone=zone,
        currency=document["currency"],
        billing_day=int(document.get("billing_day", "1")),
        fees=tuple(map(_fee, document.get("fees", []))),
        taxes=_taxes(document["tax"]) if "tax" in document else None,
        assignments=tuple(sorted(entries, key=lambda entry: (entry.start, entry.tariff.name))),
    )


def _assignments(dated: Document, versions: dict[str, list[Tariff]], zone: ZoneInfo) -> Iterator[Assignment]:
    of_name = versions[dated["tariff"]]
    first = midnight(date.fromisoformat(dated["from"]), zone)
    last = midnight(date.fromisoformat(dated["until"]), zone) if "until" in dated else NEVER
    for number, tariff in enumerate(of_name):
        following = of_name[number + 1] if number + 1 < len(of_name) else None
        start = max(first, midnight(tariff.effective_from, zone))
        end = min(last, midnight(following.effective_from, zone)) if following else last
        if start < end:
            yield Assignment(tariff, start, end)


def _tariff(document: Document) -> Tariff:
    rounding = document.get("rounding", {})
    minimum = document.get("minimum", {})
    decimals = rounding.get("decimals")
    return Tariff(
        name=document["tariff"],
        version=document["version"],
        effective_from=date.fromisoformat(document["effective_from"]),
        rounded_at=rounding.get("at", "line"),
        decimals=int(decimals) if decimals is not None else decimals_of(document["currency"]),
        mode=rounding.get("mode", "half-up"),
        taxes=_taxes(document.get("tax", [])),
        seasons={name: (season["from"], season["to"]) for name, season in document.get("seasons", {}).items()},
        holidays=frozenset(document.get("holidays", [])),
        minimum=Decimal(minimum["amount"]) if minimum else None,
        minimum_prorated=minimum.get("prorate", "days") == "days",
        fees=tuple(map(_fee, document.get("fees", []))),
        grace_s=int(document.get("closing", {}).get("grace_s", "86400")),
        meters={name: _meter(meter) for name, meter in document["meters"].items()},
    )


def _taxes(documents: list[Document]) -> Taxes:
    return tuple((tax["name"], Decimal(tax["percent"])) for tax in documents)


def _fee(document: Document) -> Fee:
    return Fee(
        name=document["name"],
        amount=Decimal(document["amount"]),
        per_day=document["per"] == "day",
        in_advance=document.get("due") == "advance",
        prorated=document.get("prorate", "days") == "days",
    )


def _meter(document: Document) -> Meter:
    whole_time = [{"name": "", "price": document["price"]}] if "price" in document else []
    return Meter(
        unit=document["unit"],
        decimals=int(document.get("decimals", "6")),
        rounds=document.get("excess_decimals", "round") == "round",
        takes_negative=document.get("negative") == "accept",
        pro_rata=document.get("tiers_across_bands") == "pro-rata",
        bands=tuple(map(_band, whole_time or document["bands"])),
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
        price=_price(document["price"]),
    )


def _minutes(hours: str) -> tuple[int, int]:
    first, last = ([int(number) for number in clock.split(":")] for clock in hours.split("-"))
    return first[0] * 60 + first[1], last[0] * 60 + last[1]


def _price(document: Document) -> Price:
    model = document["model"]
    tiers = document.get("tiers") or [{"unit_price": document.get("unit_price") or document["package_price"]}]
    return Price(
        model="graduated" if model == "per_unit" else model,
        tiers=tuple(map(_tier, tiers)),
        per_day=document.get("tiers_per") == "day",
        free_units=Decimal(document.get("free_units", "0")),
        size=document.get("size", "0"),
    )


def _tier(document: Document) -> Tier:
    up_to = document.get("up_to")
    unit_price, flat_fee = Decimal(document["unit_price"]), Decimal(document.get("flat_fee", "0"))
    return Tier(None if up_to is None else Decimal(up_to), unit_price, flat_fee)
