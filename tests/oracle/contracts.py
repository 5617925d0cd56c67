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


