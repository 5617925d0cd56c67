"""Placing: where usage is cut, where it counts whole, and the attributes without which it has no place."""

import pytest
from msgspec.structs import replace

from schemas.rejection import Reason
from tests.small_books import Books, Json, account, money, per_unit, reading, tariff, units

DAY_NIGHT: Json = {
    "unit": "kWh",
    "bands": [
        {"name": "day", "hours": ["08:00-20:00"], "price": per_unit("2")},
        {"name": "night", "price": per_unit("1")},
    ],
}
COUNT: Json = {"unit": "kWh", "aggregation": {"function": "count"}, "price": per_unit("1")}
MOST: Json = {"unit": "kWh", "aggregation": {"function": "max"}, "price": per_unit("1")}
SESSION: Json = {"unit": "kWh", "priced_per": "session", "price": per_unit("1")}


def books(item: Json, **rest: object) -> Books:
    return Books(tariff(meters={"power": item}), account(**rest), closes=False)


def test_usage_is_cut_where_a_period_ends() -> None:
    made = books({**DAY_NIGHT, "priced_per": "hour"})
    made.take(reading("a", "6", "2024-01-31T22:00", "2024-02-01T01:00"))
    assert [(units(c.quantity), money(c.amount)) for c in made.charges] == [(4, 4), (2, 2)]
    assert made.charges[0].usage_end == made.charges[1].usage_start == made.charges[1].period_start


@pytest.mark.parametrize("item", [COUNT, MOST, SESSION], ids=["count", "max", "session"])
def test_what_counts_whole_is_never_cut(item: Json) -> None:
    made = books(item)
    made.take(reading("a", "6", "2024-01-31T22:00", "2024-02-01T01:00"))
    (charge,) = made.charges
    assert charge.period_end < charge.usage_end
    assert money(charge.amount) == (1 if item is COUNT else 6)


def test_what_counts_whole_may_outlast_its_tariff() -> None:
    plans = [tariff(meters={"power": MOST}), tariff(tariff="other", meters={"gas": MOST})]
    served = account(("plan", "2024-01-01", "2024-01-11"), ("other", "2024-01-11", None))
    made = Books(plans, served)
    made.take(reading("a", "6", "2024-01-10T22:00", "2024-01-11T01:00"))
    assert money(made.charges[0].amount) == 6
    plain = Books([tariff(meters={"power": {**MOST, "aggregation": {"function": "sum"}}}), plans[1]], served)
    assert plain.refused(reading("a", "6", "2024-01-10T22:00", "2024-01-11T01:00")) == [Reason.NO_TARIFF]


def test_usage_is_cut_at_bands_and_windows_and_adds_up() -> None:
    made = books({**DAY_NIGHT, "priced_per": "day"})
    made.take(reading("a", "10", "2024-01-10T19:30", "2024-01-11T00:30"))
    (charge,) = made.charges
    assert [(p.band, units(p.quantity)) for p in charge.parts] == [("day", 1), ("night", 9)]
    assert money(charge.amount) == 11
    (totals,) = made.state().period(charge.period_start).totals.values()
    assert {name: sum(f.quantity for f in facts) for name, facts in totals.groups.items()} == {
        "2024-01-10": 9_000_000,
        "2024-01-11": 1_000_000,
    }


def test_an_event_on_a_border_is_in_the_later_band() -> None:
    made = books({**DAY_NIGHT, "aggregation": {"function": "max"}})
    made.take(reading("a", "1", "2024-01-10T08:00"), reading("b", "1", "2024-01-10T20:00"))
    assert [c.parts[0].band for c in made.charges] == ["day", "night"]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        (None, Reason.MISSING_FIELD),
        ({"seconds": "3"}, Reason.MISSING_FIELD),
        ({"seconds": "3", "user": "a", "gb": "2"}, None),
        ({"seconds": "fast", "user": "a"}, Reason.WRONG_TYPE),
        ({"seconds": "0.0000001", "user": "a"}, Reason.WRONG_TYPE),
        ({"seconds": "1e999999999", "user": "a"}, Reason.WRONG_TYPE),
        ({"seconds": "1e-999999999", "user": "a"}, Reason.WRONG_TYPE),
        ({"seconds": "0e999999999", "user": "a"}, Reason.WRONG_TYPE),
        ({"seconds": "NaN", "user": "a"}, Reason.WRONG_TYPE),
        ({"seconds": "-3", "user": "a"}, Reason.WRONG_TYPE),
    ],
)
def test_usage_without_the_attributes_of_its_price_leaves_no_trace(
    attributes: dict[str, str] | None, reason: Reason | None
) -> None:
    item = {
        "unit": "kWh",
        "convert": {"unit": "s", "attributes": ["seconds"]},
        "priced_per": "resource",
        "resource": "user",
        "price": per_unit("1"),
    }
    made = books(item)
    assert made.refused(replace(reading("a", "1", "2024-01-10"), attributes=attributes)) == ([reason] if reason else [])
    assert bool(made.store.values) == (reason is None)
    assert bool(made.charges) == (reason is None)


def test_an_attribute_may_be_below_zero_where_quantities_may() -> None:
    item = {"unit": "kWh", "negative": "accept", "convert": {"unit": "s", "attributes": ["n"]}, "price": per_unit("1")}
    made = books(item)
    made.take(replace(reading("a", "2", "2024-01-10"), attributes={"n": "-1.5"}))
    assert money(made.charges[0].amount) == -3
