"""Contracts: tariffs and accounts read from YAML as texts, so that no number passes through a float."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import yaml

from tests.oracle.items import Document, Meter, Taxes, meter_of, taxes_in

NEVER = datetime.max.replace(tzinfo=UTC)
_DECIMALS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "VND": 0, "KWD": 3, "BHD": 3, "TND": 3, "JOD": 3, "OMR": 3}


@dataclass(frozen=True)
class Fee:
    """A recurring fee. `taxes` None: those of the tariff."""

    name: str
    amount: Decimal
    quantity: Decimal
    per: str
    in_advance: bool
    prorate: str
    taxes: Taxes | None


class Rules(NamedTuple):
    """How the amounts of a tariff are rounded and taxed. `tax_base` is rounded or exact, `tax_at` section or line."""

    at: str
    decimals: int
    mode: str
    tax_base: str
    tax_at: str


class Limit(NamedTuple):
    """A tariff's minimum or maximum."""

    amount: Fraction
    prorate: str
    counts_fees: bool
    of_rounded: bool
    taxes: Taxes | None


class Surcharge(NamedTuple):
    """A percentage of what other items cost."""

    name: str
    percent: Fraction
    document_percent: str
    of: tuple[str, ...]
    of_rounded: bool
    taxes: Taxes | None


@dataclass(frozen=True, eq=False)
class Tariff:
    """One version of a tariff."""

    name: str
    version: str
    effective_from: date
    rules: Rules
    taxes: Taxes
    seasons: dict[str, tuple[str, str]]
    holidays: frozenset[str]
    minimum: Limit | None
    maximum: Limit | None
    surcharges: tuple[Surcharge, ...]
    fees: tuple[Fee, ...]
    grace_s: int
    meters: dict[str, Meter]

    def items_of(self, meter: str) -> list[str]:
        """The items that price the usage of a meter."""
        return [name for name, item in self.meters.items() if meter in item.usage_of]

    @property
    def derived(self) -> tuple[str, ...]:
        """What is charged for what items cost."""
        return (*(surcharge.name for surcharge in self.surcharges), *(["maximum"] if self.maximum else []))


class Assignment(NamedTuple):
    """A tariff version in force for an account in `[start, end)`."""

    tariff: Tariff
    start: datetime
    end: datetime


class Cycle(NamedTuple):
    """Billing periods of so many months, or else days, counted from a date; `named_by` is the unit of their names."""

    months: int
    days: int
    origin: date
    named_by: str

    def name(self, day: date) -> str:
        """What a period is called that begins on the date."""
        year, week, _ = day.isocalendar()
        return {
            "year": f"{day:%Y}",
            "quarter": f"{day:%Y}-Q{(day.month - 1) // 3 + 1}",
            "month": f"{day:%Y-%m}",
            "week": f"{year}-W{week:02d}",
            "day": f"{day:%Y-%m-%d}",
        }[self.named_by]


class Coupon(NamedTuple):
    """What is taken off some statements before tax: an amount, or else a percentage."""

    name: str
    amount: Fraction | None
    percent: Fraction
    start: datetime
    end: datetime
    periods: int | None
    meters: tuple[str, ...] | None


class Credit(NamedTuple):
    """Money paid in advance."""

    name: str
    amount: Fraction
    start: datetime
    end: datetime
    priority: int


@dataclass(frozen=True, eq=False)
class Account:
    """One account and what is in force for it, in order."""

    tenant: str
    name: str
    zone: tzinfo
    zone_name: str
    currency: str
    cycle: Cycle
    fees: tuple[Fee, ...]
    taxes: Taxes | None
    coupons: tuple[Coupon, ...]
    credits: tuple[Credit, ...]
    assignments: tuple[Assignment, ...]

    def in_force(self, start: datetime, end: datetime) -> Iterator[Assignment]:
        """The assignments within `[start, end)`, cut to it."""
        for tariff, begin, until in self.assignments:
            low, high = max(begin, start), min(until, end)
            if low < high:
                yield Assignment(tariff, low, high)

    def pricing(self, meter: str, at: datetime) -> Assignment | None:
        """What prices the meter at the instant."""
        found = (entry for entry in self.assignments if entry.start <= at < entry.end and entry.tariff.items_of(meter))
        return next(found, None)

    def period_name(self, start: datetime) -> str:
        """What the billing period is called that starts at the instant."""
        return self.cycle.name(start.astimezone(self.zone).date())


def decimals_of(currency: str) -> int:
    """The decimals of the currency's smallest coin, of those that examples and tests use (ISO 4217)."""
    return _DECIMALS.get(currency, 2)


def midnight(day: date, zone: tzinfo) -> datetime:
    """The first instant of the local date, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


class Contracts(NamedTuple):
    """All accounts, and the documents that they were read from."""

    accounts: dict[tuple[str, str], Account]
    tariff_documents: list[Document]
    account_documents: list[Document]


def contracts_from(tariffs: Path, accounts: Path) -> Contracts:
    """The accounts of two YAML files, or directories of such."""
    documents = list(_documents(tariffs))
    entries = [entry for document in _documents(accounts) for entry in document["accounts"]]
    versions: dict[str, list[Tariff]] = {}
    for document in documents:
        tariff = _tariff(document)
        versions.setdefault(tariff.name, []).append(tariff)
    for of_name in versions.values():
        of_name.sort(key=lambda tariff: tariff.effective_from)
    found = [_account(entry, versions) for entry in entries]
    return Contracts({(account.tenant, account.name): account for account in found}, documents, entries)


def _documents(place: Path) -> Iterator[Document]:
    for file in sorted(place.glob("*.yaml")) if place.is_dir() else [place]:
        for document in yaml.load_all(file.read_text(encoding="utf-8"), yaml.BaseLoader):
            if document:
                yield document


def _account(document: Document, versions: dict[str, list[Tariff]]) -> Account:
    zone = _zone(document)
    entries = [entry for dated in document["tariffs"] for entry in _assignments(dated, versions, zone)]
    return Account(
        tenant=document.get("tenant", "default"),
        name=document["account"],
        zone=zone,
        zone_name=document["zone"] if isinstance(zone, ZoneInfo) else "",
        currency=document["currency"],
        cycle=_cycle(document),
        fees=tuple(map(_fee, document.get("fees", []))),
        taxes=taxes_in(document),
        coupons=tuple(_coupon(coupon, zone) for coupon in document.get("coupons", [])),
        credits=tuple(_credit(credit, zone) for credit in document.get("credits", [])),
        assignments=tuple(sorted(entries, key=lambda entry: (entry.start, entry.tariff.name))),
    )


def _zone(document: Document) -> tzinfo:
    """The clock of an account: its zone's, or the offset from UTC which that had when the first tariff began."""
    zone = ZoneInfo(document["zone"])
    if document.get("clock", "zone") == "zone":
        return zone
    first = min(date.fromisoformat(entry["from"]) for entry in document["tariffs"])
    return timezone(midnight(first, zone).astimezone(zone).utcoffset() or timedelta())


def _cycle(document: Document) -> Cycle:
    written = document.get("cycle", {})
    unit, every, anchor = written.get("unit", "month"), int(written.get("every", "1")), written.get("anchor")
    months = {"month": 1, "quarter": 3, "year": 12}.get(unit, 0) * every
    days = {"week": 7, "day": 1}.get(unit, 0) * every
    if anchor not in (None, "calendar"):
        return Cycle(months, days, date.fromisoformat(anchor), "month" if months else "day")
    # 1 January 1900 was a Monday.
    return Cycle(months, days, date(1900, 1, int(document.get("billing_day", "1"))), unit)


def _assignments(dated: Document, versions: dict[str, list[Tariff]], zone: tzinfo) -> Iterator[Assignment]:
    of_name = versions[dated["tariff"]]
    first, last = midnight(date.fromisoformat(dated["from"]), zone), _end(dated, zone)
    if "last_day" in dated:
        last = midnight(date.fromisoformat(dated["last_day"]) + timedelta(days=1), zone)
    for number, tariff in enumerate(of_name):
        following = of_name[number + 1] if number + 1 < len(of_name) else None
        start = max(first, midnight(tariff.effective_from, zone))
        end = min(last, midnight(following.effective_from, zone)) if following else last
        if start < end:
            yield Assignment(tariff, start, end)


def _end(dated: Document, zone: tzinfo) -> datetime:
    return midnight(date.fromisoformat(dated["until"]), zone) if "until" in dated else NEVER


def _coupon(document: Document, zone: tzinfo) -> Coupon:
    return Coupon(
        name=document["name"],
        amount=Fraction(document["amount"]) if "amount" in document else None,
        percent=Fraction(document.get("percent", "0")),
        start=midnight(date.fromisoformat(document["from"]), zone),
        end=_end(document, zone),
        periods=int(document["periods"]) if "periods" in document else None,
        meters=tuple(document["meters"]) if "meters" in document else None,
    )


def _credit(document: Document, zone: tzinfo) -> Credit:
    return Credit(
        name=document["name"],
        amount=Fraction(document["amount"]),
        start=midnight(date.fromisoformat(document["from"]), zone),
        end=_end(document, zone),
        priority=int(document.get("priority", "1")),
    )


def _tariff(document: Document) -> Tariff:
    return Tariff(
        name=document["tariff"],
        version=document["version"],
        effective_from=date.fromisoformat(document["effective_from"]),
        rules=_rules(document),
        taxes=taxes_in(document) or (),
        seasons={name: (season["from"], season["to"]) for name, season in document.get("seasons", {}).items()},
        holidays=frozenset(document.get("holidays", [])),
        minimum=_limit(document["minimum"], "days") if document.get("minimum") else None,
        maximum=_limit(document["maximum"], "none") if document.get("maximum") else None,
        surcharges=tuple(map(_surcharge, document.get("surcharges", []))),
        fees=tuple(map(_fee, document.get("fees", []))),
        grace_s=int(document.get("closing", {}).get("grace_s", "86400")),
        meters={name: meter_of(name, meter) for name, meter in document["meters"].items()},
    )


def _rules(document: Document) -> Rules:
    rounding = document.get("rounding", {})
    at, decimals = rounding.get("at", "line"), rounding.get("decimals")
    return Rules(
        at=at,
        decimals=int(decimals) if decimals is not None else decimals_of(document["currency"]),
        mode=rounding.get("mode", "half-up"),
        tax_base=rounding.get("tax_base", "rounded" if at == "line" else "exact"),
        tax_at=rounding.get("tax_at", "section"),
    )


def _limit(document: Document, prorate: str) -> Limit:
    return Limit(
        Fraction(document["amount"]),
        document.get("prorate", prorate),
        document.get("counts") == "usage-and-fees",
        document.get("base") == "rounded",
        taxes_in(document),
    )


def _surcharge(document: Document) -> Surcharge:
    return Surcharge(
        document["name"],
        Fraction(document["percent"]),
        document["percent"],
        tuple(document.get("of", [])),
        document.get("base") == "rounded",
        taxes_in(document),
    )


def _fee(document: Document) -> Fee:
    return Fee(
        name=document["name"],
        amount=Decimal(document["amount"]),
        quantity=Decimal(document.get("quantity", "1")),
        per=document["per"],
        in_advance=document.get("due") == "advance",
        prorate=document.get("prorate", "days"),
        taxes=taxes_in(document),
    )
