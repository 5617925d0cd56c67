"""Strategies: tariffs with items of every model, accounts in awkward zones, and usage of some months."""

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
from tests.property.price_documents import HOLIDAYS, SEASONS, decimals, items
from tests.small_books import Books, Json, account, at, tariff

ZONES = ("UTC", "Europe/London", "America/Toronto", "Australia/Lord_Howe", "Asia/Kathmandu")
FIRST = at("2024-01-15")
"""Records begin in the 75 days after it, which holds a leap day and the clock changes of spring."""
SPAN_MINUTES = 75 * 1440
USUAL = 100
"""How many examples Hypothesis takes where nobody says anything."""


def examples(count: int) -> settings:
    """So many examples, or as many as the profile asks for where that is more than usual."""
    asked = settings().max_examples
    return settings(max_examples=asked if asked > USUAL else count)


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
def tariffs(draw: st.DrawFn, /, *kinds: str, **rest: Any) -> Tariff:  # noqa: ANN401 - any key of a tariff document
    """Items of these kinds, by default of all; all price the meter `power`."""
    rules = {"unit": "kWh", "negative": draw(st.sampled_from(["accept", "reject"]))}
    meters: Json = {"power": {**rules, **draw(items(*kinds))}}
    if draw(st.integers(0, 2)) == 0:
        other = {"usage_of": ["power"], **rules, **draw(items(*kinds))}
        meters["other"] = {**other, "where": draw(st.sampled_from([{}, {"region": "eu-*"}, {"instance": "a"}]))}
    for item in meters.values():
        if draw(st.integers(0, 3)) == 0:
            item["minimum"] = draw(decimals(0, 10, 2))
    document: Json = {
        "meters": meters,
        "seasons": SEASONS,
        "holidays": HOLIDAYS,
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
        **draw(derivations),
    }
    minimum = draw(st.none() | decimals(0, 60, 2))
    if minimum is not None and "maximum" not in document:
        document["minimum"] = {"amount": minimum, "prorate": draw(st.sampled_from(["days", "thirty", "none"]))}
    return tariff(**{**document, **rest})


derivations: st.SearchStrategy[Json] = st.sampled_from(
    [
        *[{}] * 4,
        {"surcharges": [{"name": "Levy", "percent": "7.5", "of": ["power"]}]},
        {"surcharges": [{"name": "Levy", "percent": "-3.3333333333", "base": "rounded"}]},
        {"maximum": {"amount": "20"}},
        {"maximum": {"amount": "35.5", "prorate": "days"}, "surcharges": [{"name": "Levy", "percent": "10"}]},
    ]
)
"""What is charged for what items cost."""


@dataclass(frozen=True)
class World:
    """Tariff versions and an account on them."""

    tariffs: tuple[Tariff, ...]
    account: Account

    def books(self, *, closes: bool = True) -> Books:
        return Books(self.tariffs, self.account, closes=closes)


@st.composite
def worlds(draw: st.DrawFn, *kinds: str) -> World:
    """One or two versions, for an account that may begin, pause or change in the middle of a period."""
    first = draw(tariffs(*kinds))
    later = draw(st.none() | tariffs(*kinds, version="2", effective_from="2024-02-17"))
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


ATTRIBUTES: tuple[dict[str, str], ...] = (
    {"region": "eu-north", "instance": "a", "user": "u1", "seconds": "0.5", "memory_mb": "512"},
    {"region": "eu-north", "instance": "b", "user": "u2", "seconds": "3", "memory_mb": "1024", "power_kw": "22"},
    {"region": "eu-west", "instance": "a", "user": "u1", "seconds": "60", "memory_mb": "1", "phase": "parking"},
    {"region": "eu-west", "instance": "c", "user": "u3", "seconds": "7", "memory_mb": "100", "current_a": "16"},
    {"region": "us", "instance": "b", "user": "u2", "seconds": "1", "memory_mb": "3", "phase": "reservation"},
    {"region": "us", "instance": "c", "user": "u4", "seconds": "0", "memory_mb": "8", "phase": "reservation"}
    | {"expired": "true"},
)
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
                session=draw(st.sampled_from([None, None, "s1", "s2"])),
                attributes=draw(st.sampled_from(ATTRIBUTES)),
                corrects=None if corrects is None else f"r{corrects}",
            )
        )
    return records


def plain_usage(**rest: int) -> st.SearchStrategy[list[UsageRecord]]:
    """The same without corrections and negative quantities."""
    return usage(**rest).map(_plain)


def _plain(records: Sequence[UsageRecord]) -> list[UsageRecord]:
    return [replace(r, quantity=abs(r.quantity or Decimal(1)), corrects=None) for r in records]
