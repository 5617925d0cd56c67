"""Aggregates: one quantity out of many, ties, intervals and floors included."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from pipeline.keeping import Fact
from pipeline.pricing.aggregates import compile_aggregate
from schemas.aggregation import Aggregation
from schemas.fixed_point import QUANTITY_ONE
from schemas.instants import SECOND_US
from tests.small_books import Books, Json, Number, account, amounts, money, per_unit, reading, tariff, units, us

MINUTE = 60 * SECOND_US


def aggregate(facts: list[Fact], function: str, **rest: object) -> int:
    return compile_aggregate(Aggregation.model_validate({"function": function, **rest}))(facts)


def of(*quantities: int) -> list[Fact]:
    """Facts of these quantities, an hour after each other."""
    return [Fact(bytes([n]), n * 60 * MINUTE, n * 60 * MINUTE, quantity) for n, quantity in enumerate(quantities)]


@pytest.mark.parametrize(
    ("percentile", "quantities", "expected"),
    [
        ("95", range(1, 21), 19),
        ("95", range(1, 22), 20),
        ("50", (5, 5, 1, 1), 1),
        ("50.000001", (5, 5, 1, 1), 5),
        ("100", (3, 9, 4), 9),
        ("0.000001", (3, 9, 4), 3),
        ("95", (7,), 7),
    ],
)
def test_a_percentile_is_the_nearest_rank(percentile: str, quantities: list[int], expected: int) -> None:
    assert aggregate(of(*quantities), "percentile", percentile=percentile) == expected


def test_the_latest_is_the_one_that_ends_last() -> None:
    long, short = Fact(b"1", 0, 9, 5), Fact(b"2", 5, 8, 7)
    assert aggregate([long, short], "latest") == 5
    assert aggregate([long, replace(short, end=9)], "latest") == 7
    assert aggregate([replace(long, start=5), replace(short, end=9)], "latest") == 7


def test_unique_counts_values_and_max_may_be_below_zero() -> None:
    facts = [replace(fact, attributes={"user": user}) for fact, user in zip(of(1, 2, 3), "aba", strict=True)]
    assert aggregate(facts, "unique", attribute="user") == 2 * QUANTITY_ONE
    assert aggregate(of(-5, -3), "max") == -3


@pytest.mark.parametrize(
    ("start", "end", "minutes", "expected"),
    [
        ("2024-01-10T10:00", "2024-01-10T10:15", 15, 12),
        ("2024-01-10T10:07:30", "2024-01-10T10:22:30", 15, 6),
        ("2024-01-10T10:00", "2024-01-10T11:00", 15, 3),
        ("2024-01-10T10:10", "2024-01-10T10:10", 30, 6),
        ("2024-01-10T10:59", "2024-01-10T11:00", 60, 3),
        ("2024-01-10T10:00", "2024-01-11T10:00", 1440, Decimal("0.072917")),
    ],
)
def test_demand_is_the_highest_mean_rate_of_an_interval(start: str, end: str, minutes: int, expected: Number) -> None:
    fact = Fact(b"", us(start), us(end), 3 * QUANTITY_ONE)
    assert units(aggregate([fact], "demand", interval_minutes=minutes)) == expected


def books(aggregation: Json, **rest: object) -> Books:
    zone = rest.pop("zone", "UTC")
    item = {"unit": "kWh", "aggregation": aggregation, "price": per_unit("1"), **rest}
    return Books(tariff(meters={"power": item}), account(zone=zone), closes=False)


def test_demand_of_an_interval_that_straddles_a_period_is_that_of_each_side() -> None:
    made = books({"function": "demand"}, zone="Asia/Kathmandu")  # midnight is 18:15 in UTC
    made.take(reading("a", "4", "2024-01-31T18:00+00:00", "2024-01-31T19:00+00:00"))
    assert amounts(made.charges) == [1, 3]
    made.take(reading("b", "2", "2024-01-31T18:00+00:00", "2024-01-31T18:15+00:00"))
    assert amounts(made.charges[2:]) == [2]


def test_demand_goes_on_when_clocks_change() -> None:
    made = books({"function": "demand"}, zone="Europe/London")
    made.take(reading("a", "2", "2024-10-27T00:00+00:00", "2024-10-27T01:00+00:00"))
    made.take(reading("b", "3", "2024-10-27T01:00+00:00", "2024-10-27T02:00+00:00"))
    assert amounts(made.charges) == [2, 1]


def test_demand_is_of_a_band_and_of_its_tiers() -> None:
    bands = [
        {"name": "peak", "hours": ["12:00-18:00"], "price": per_unit("10")},
        {"name": "rest", "price": per_unit("1")},
    ]
    made = books({"function": "demand", "interval_minutes": 60}, price=None, bands=bands)
    made.take(reading("a", "6", "2024-01-10T11:00", "2024-01-10T13:00"))
    assert money(made.charges[0].amount) == 33
    made.take(reading("b", "4", "2024-01-10T10:00", "2024-01-10T11:00"))
    assert money(made.charges[1].amount) == 1


def test_what_does_not_raise_an_aggregate_costs_nothing_and_a_correction_lowers_it() -> None:
    made = books({"function": "max"})
    made.take(reading("a", "5", "2024-01-10"), reading("b", "3", "2024-01-11"))
    made.take(reading("c", "2", "2024-01-10", corrects="a"))
    assert amounts(made.charges) == [5, 0, -2, 0]


@pytest.mark.parametrize(
    ("function", "convert", "expected"),
    [
        ("sum", None, [30, 0, 20]),
        ("sum", {"unit": "v", "divide_by": "4"}, [Decimal("7.5"), 0, 5]),
        ("sum", {"unit": "v", "multiply_by": "2", "divide_by": "3"}, [20, 0, Decimal(40) / 3]),
        ("max", {"unit": "v", "divide_by": "4"}, [Decimal("7.5"), 0, Decimal("2.5")]),
        ("count", None, [30, 0, 0]),
        ("count", {"unit": "v", "multiply_by": "2"}, [60, 0, 0]),
    ],
)
def test_a_floor_is_in_the_unit_of_the_usage(function: str, convert: Json | None, expected: list[Number]) -> None:
    rest = {"convert": convert} if convert else {}
    made = books({"function": function, "at_least": "30"}, **rest)
    made.take(reading("a", "5", "2024-01-10"), reading("b", "5", "2024-01-11"), reading("c", "40", "2024-01-12"))
    assert [round(amount, 17) for amount in amounts(made.charges)] == [round(Decimal(due), 17) for due in expected]


def test_each_resource_has_a_floor_of_its_own() -> None:
    made = books({"function": "sum", "at_least": "3"}, priced_per="resource", resource="user")
    for number, user in enumerate("aba"):
        made.take(replace(reading(f"r{number}", "1", "2024-01-10"), attributes={"user": user}))
    assert amounts(made.charges) == [3, 3, 0]
