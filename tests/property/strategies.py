"""Strategies: tariffs of every model, accounts in awkward zones, and usage of some months with corrections in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.account import Account
from schemas.tariff import Tariff
from schemas.usage import UsageRecord
from tests.small_books import Books, Json, account, at, tariff

ZONES = ("UTC", "Europe/London", "America/Toronto", "Australia/Lord_Howe", "Asia/Kathmandu")
FIRST = at("2024-01-15")
"""Records begin in the 75 days after it, which holds a leap day and the clock changes of spring."""
SPAN_MINUTES = 75 * 1440

SEASONS = {"cold": {"from": "11-01", "to": "02-20"}, "warm": {"from": "02-21", "to": "10-31"}}
LAYOUTS: tuple[tuple[Json, ...], ...] = (
    ({"name": "day", "hours": ["08:00-20:00"]}, {"name": "night"}),
    (
        {"name": "one", "hours": ["01:00-03:30"]},
        {"name": "weekend", "days": ["weekends"], "hours": ["12:00-24:00"]},
        {"name": "rest"},
    ),
    ({"name": "holiday", "days": ["holidays"]}, {"name": "rest"}),
    (
        {"name": "cold-day", "season": "cold", "hours": ["06:00-18:00"]},
        {"name": "cold", "season": "cold"},
        {"name": "warm", "season": "warm"},
    ),
)


def examples(count: int) -> settings:
    """At least so many examples, or as many as the profile asks for."""
    return settings(max_examples=max(count, settings().max_examples))


def decimals(low: int, high: int, places: int) -> st.SearchStrategy[str]:
    """Numbers from `low` to `high` with at most so many decimals, as text."""
    scaled = st.integers(low * 10**places, high * 10**places)
    return scaled.map(lambda number: f"{Decimal(number).scaleb(-places):f}")


unit_prices = st.one_of(decimals(0, 2, 2), decimals(-1, 3, 5), st.just("0.000000000001"))
fees_of_tiers = st.one_of(st.just("0"), decimals(0, 5, 2))


@st.composite
def bounds(draw: st.DrawFn) -> list[str | None]:
    steps = draw(st.lists(st.one_of(decimals(1, 40, 0), decimals(1, 9, 6)), max_size=3))
    found: list[str | None] = []
    reached = Decimal(0)
    for step in steps:
        reached += Decimal(step)
        found.append(f"{reached:f}")
    return [*found, None]


@st.composite
def tiered(draw: st.DrawFn, model: str | None = None, *, flat_fees: bool = True) -> Json:
    uppers = draw(bounds())
    return {
        "model": model or draw(st.sampled_from(["graduated", "volume"])),
        "tiers_per": draw(st.sampled_from(["period", "day"])),
        "free_units": draw(st.one_of(st.just("0"), decimals(0, 20, 1))),
        "tiers": [
            {"up_to": up_to, "unit_price": draw(unit_prices), "flat_fee": draw(fees_of_tiers) if flat_fees else "0"}
            for up_to in uppers
        ],
    }


free_units = st.one_of(st.just("0"), decimals(0, 20, 1))
per_units = st.fixed_dictionaries({"model": st.just("per_unit"), "unit_price": unit_prices, "free_units": free_units})
packages = st.fixed_dictionaries(
    {
        "model": st.just("package"),
        "size": st.one_of(decimals(1, 20, 0), decimals(1, 3, 6)),
        "package_price": unit_prices,
        "free_units": free_units,
    }
)
prices = st.one_of(per_units, tiered(), packages)


@st.composite
def meters(draw: st.DrawFn) -> Json:
    """The keys of a meter: one price, bands with prices of their own, or bands that share their tiers."""
    kind = draw(st.sampled_from(["price", "bands", "pro-rata"]))
    rules: Json = {"negative": draw(st.sampled_from(["accept", "reject"]))}
    if kind == "price":
        return {**rules, "price": draw(prices)}
    layout = draw(st.sampled_from(LAYOUTS))
    if kind == "bands":
        return {**rules, "bands": [{**band, "price": draw(prices)} for band in layout]}
    shape = draw(tiered("graduated", flat_fees=False))
    bands = [
        {**band, "price": {**shape, "tiers": [{**t, "unit_price": draw(unit_prices)} for t in shape["tiers"]]}}
        for band in layout
    ]
    return {**rules, "bands": bands, "tiers_across_bands": "pro-rata"}


fees = st.fixed_dictionaries(
    {
        "amount": decimals(-3, 30, 2),
        "per": st.sampled_from(["period", "day"]),
        "due": st.sampled_from(["arrears", "advance"]),
    }
)
roundings = st.fixed_dictionaries(
    {
        "at": st.sampled_from(["line", "total"]),
        "mode": st.sampled_from(["half-up", "half-even", "up", "down"]),
        "decimals": st.sampled_from([0, 2, 3]),
    }
)


@st.composite
def tariffs(draw: st.DrawFn, /, **rest: Any) -> Tariff:  # noqa: ANN401 - any key of a tariff document
    document: Json = {
        **draw(meters()),
        "seasons": SEASONS,
        "holidays": ["01-26", "2024-02-29"],
        "rounding": draw(roundings),
        "tax": [
            {"name": f"Tax {n}", "percent": p} for n, p in enumerate(draw(st.lists(decimals(0, 25, 3), max_size=2)))
        ],
        "fees": [{"name": f"Fee {n}", **fee} for n, fee in enumerate(draw(st.lists(fees, max_size=2)))],
        "closing": {
            "grace_s": draw(st.sampled_from([0, 86_400])),
            "lateness_s": draw(st.sampled_from([0, 864_000, 8_640_000])),
            "silence_s": draw(st.sampled_from([0, 604_800])),
        },
    }
    minimum = draw(st.none() | decimals(0, 60, 2))
    if minimum is not None:
        document["minimum"] = {"amount": minimum, "prorate": draw(st.sampled_from(["days", "none"]))}
    return tariff(**{**document, **rest})


@dataclass(frozen=True)
class World:
    """Tariff versions and an account on them."""

    tariffs: tuple[Tariff, ...]
    account: Account

    def books(self, *, closes: bool = True) -> Books:
        return Books(self.tariffs, self.account, closes=closes)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One or two versions, for an account that may begin, pause or change in the middle of a period."""
    first = draw(tariffs())
    later = draw(st.none() | tariffs(version="2", effective_from="2024-02-17"))
    entries = draw(
        st.sampled_from(
            [
                (("plan", "2024-01-01", None),),
                (("plan", "2024-01-10", "2024-03-13"),),
                (("plan", "2024-01-01", "2024-02-05"), ("plan", "2024-02-05", None)),
                (("plan", "2024-01-01", "2024-02-05"), ("plan", "2024-02-25", None)),
            ]
        )
    )
    home = account(*entries, zone=draw(st.sampled_from(ZONES)), billing_day=draw(st.sampled_from([1, 15, 31])))
    return World((first,) if later is None else (first, later), home)


quantities = st.one_of(decimals(0, 60, 0), decimals(0, 30, 6), decimals(-5, 5, 3))


@st.composite
def usage(draw: st.DrawFn, *, least: int = 1, most: int = 12) -> list[UsageRecord]:
    """Records with ids r0, r1, ...: events, sessions of up to days, and corrections of one another."""
    count = draw(st.integers(least, most))
    records = []
    for number in range(count):
        start = FIRST + timedelta(minutes=draw(st.integers(0, SPAN_MINUTES)))
        minutes = draw(st.sampled_from([0, 0, 15, 61, 1440, 4000]))
        corrects = draw(st.none() | st.none() | st.integers(0, count - 1))
        is_void = corrects is not None and draw(st.booleans())
        records.append(
            UsageRecord(
                id=f"r{number}",
                account="home",
                meter="power",
                quantity=None if is_void else Decimal(draw(quantities)),
                start=start,
                end=start + timedelta(minutes=minutes),
                corrects=None if corrects is None else f"r{corrects}",
            )
        )
    return records


def plain_usage(**rest: int) -> st.SearchStrategy[list[UsageRecord]]:
    """The same without corrections and negative quantities."""
    return usage(**rest).map(_plain)


def _plain(records: Sequence[UsageRecord]) -> list[UsageRecord]:
    return [replace(r, quantity=abs(r.quantity or Decimal(1)), corrects=None) for r in records]
