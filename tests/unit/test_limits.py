"""Limits: discount, maximum and minimum of an item, beside those of its tariff, and fees that need no usage."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from pipeline.pricing.limits import Limits
from tests.small_books import (
    Books,
    Json,
    account,
    amounts,
    graduated,
    money,
    per_unit,
    printed,
    reading,
    tariff,
    volume,
)


def books(item: Json, **rest: Any) -> Books:  # noqa: ANN401 - any key of a tariff document
    return Books(tariff(meters={"power": {"unit": "kWh", "negative": "accept", **item}}, **rest), closes=False)


@pytest.mark.parametrize(
    ("discount", "maximum", "price", "expected"),
    [
        ("50", None, "10", [5, 5, 5]),
        (None, "12", "10", [10, 2, 0]),
        ("50", "12", "10", [5, 5, 2]),
        ("100", "12", "10", [0, 0, 0]),
        ("50", "0", "-10", [-5, -5, -5]),
        ("33.333333", None, "1", [Decimal("0.66666667")] * 3),
    ],
)
def test_the_discount_comes_first_then_the_maximum(
    discount: str | None, maximum: str | None, price: str, expected: list[Decimal]
) -> None:
    item = {"price": per_unit(price), "discount_percent": discount, "maximum": maximum}
    made = books({key: value for key, value in item.items() if value is not None})
    for number in range(3):
        made.take(reading(f"r{number}", "1", "2024-01-10"))
        made.restart()
    assert amounts(made.charges) == expected
    assert money(made.only().exact) == sum(expected)


def test_a_correction_comes_back_from_the_maximum() -> None:
    made = books({"price": per_unit("10"), "maximum": "12"})
    made.take(reading("a", "1", "2024-01-10"), reading("b", "1", "2024-01-10"))
    made.take(reading("c", "0.1", "2024-01-10", corrects="a"))
    assert amounts(made.charges) == [10, 2, -2, 1]


def test_what_is_taken_off_has_lines_of_its_own() -> None:
    made = books({"price": per_unit("10"), "discount_percent": "50", "maximum": "12"})
    made.take(reading("a", "3", "2024-01-10"))
    assert [(line.name, money(line.amount)) for line in made.only().lines] == [
        ("", 30),
        ("discount", -15),
        ("maximum", -3),
    ]


def test_limits_add_up_over_any_steps() -> None:
    limits = Limits(25_000_000, 100)
    steps = [0, 40, 200, 50, -40, 1000, 0]
    sums = [sum(part.amount for part in limits.between(a, b)) for a, b in pairwise(steps)]
    assert sum(sums) == 0
    assert sums[0] == -10


@pytest.mark.parametrize(
    ("least", "of_tariff", "used", "expected"),
    [
        ("10", "30", "4", [6, 20]),
        ("10", "30", "40", []),
        ("10", "8", "4", [6]),
        ("10", "10", "10", []),
        ("10", "30", "12", [18]),
    ],
)
def test_what_fills_an_item_s_minimum_counts_for_its_tariff_s(
    least: str, of_tariff: str, used: str, expected: list[int]
) -> None:
    made = books({"price": per_unit("1"), "minimum": least}, minimum={"amount": of_tariff, "prorate": "none"})
    made.take(reading("a", used, "2024-01-10"))
    statement = made.only()
    dues = sorted(money(line.amount) for line in statement.lines if line.kind == "true_up")
    assert dues == sorted(expected)


def test_an_item_s_minimum_is_by_the_days_of_each_version() -> None:
    plans = [
        tariff(
            version=version,
            effective_from=date,
            meters={"power": {"unit": "kWh", "price": per_unit("1"), "minimum": least}},
        )
        for version, date, least in (("1", "2000-01-01", "31"), ("2", "2024-01-11", "62"))
    ]
    made = Books(plans, closes=False)
    made.take(reading("a", "4", "2024-01-05"), reading("b", "50", "2024-01-20"))
    assert [money(line.amount) for line in made.only().lines if line.kind == "true_up"] == [6]


def test_late_usage_takes_back_what_was_charged_up_to_a_minimum() -> None:
    item = {"unit": "kWh", "price": per_unit("1"), "minimum": "10"}
    made = Books(tariff(meters={"power": item}, closing={"grace_s": 0, "lateness_s": 20_000_000}))
    made.take(reading("a", "4", "2024-01-10"), reading("feb", "10", "2024-02-10"))
    assert money(made.statements[0].exact) == 10
    made.take(reading("late", "3", "2024-01-11"))
    made.close_all()
    assert [money(s.exact) for s in made.statements] == [10, 10]
    assert amounts(made.charges)[-2:] == [3, -3]


TIERS = (("10", "1", "7"), (None, "1", "2"))


@pytest.mark.parametrize("price", [graduated, volume])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_first_flat_fee_that_is_always_due(price: object, restarts: bool) -> None:
    document = price(*TIERS, first_flat_fee="always")  # type: ignore[operator] # one of the two above
    plan = tariff(
        meters={"power": {"unit": "kWh", "price": document}},
        closing={"grace_s": 0, "lateness_s": 20_000_000},
    )
    made = Books(plan)
    made.take(reading("feb", "4", "2024-02-10"))
    assert [money(s.exact) for s in made.statements] == [7], "without usage"
    assert amounts(made.charges[:1]) == [11], "with its first usage"
    if restarts:
        made.restart()
    made.take(reading("late", "11", "2024-01-10"))
    second = 2 if price is graduated else 2 - 7
    assert money(made.charges[-1].amount) == 11 + second, "not again with late usage"
    made.take(reading("void", None, "2024-01-10", corrects="late"))
    made.close_all()
    assert [money(s.exact) for s in made.statements] == [7, 11]


def test_no_first_flat_fee_without_usage_otherwise() -> None:
    made = books({"price": graduated(*TIERS)})
    made.take(reading("a", "0", "2024-01-10"))
    assert printed(made.only()) == (0, 0, 0)


@pytest.mark.parametrize(
    ("rest", "quantity", "expected"),
    [
        ({}, "10", 17),
        ({"on_bound": "upper"}, "10", 12),
        ({"on_bound": "upper"}, "9.999999", Decimal("16.999999")),
        ({}, "10.5", Decimal("12.5")),
        ({"between_bounds": "unpriced"}, "10.5", 0),
        ({"between_bounds": "unpriced"}, "11", 13),
        ({"between_bounds": "unpriced"}, "0.5", Decimal("7.5")),
    ],
)
def test_a_quantity_on_a_bound_or_between_two(rest: Json, quantity: str, expected: Decimal) -> None:
    made = books({"price": volume(*TIERS, **rest)})
    made.take(reading("a", quantity, "2024-01-10"))
    assert money(made.only().exact) == expected


def test_an_upper_bound_begins_the_fee_of_a_graduated_tier() -> None:
    for on_bound, expected in (("lower", 17), ("upper", 19)):
        made = books({"price": graduated(*TIERS, on_bound=on_bound)})
        made.take(reading("a", "4", "2024-01-10"), reading("b", "6", "2024-01-10"))
        assert money(made.only().exact) == expected


def test_an_account_without_usage_pays_its_standing_fee_less_the_discount() -> None:
    meters = {
        "power": {"unit": "kWh", "price": graduated(*TIERS, first_flat_fee="always"), "discount_percent": "50"},
        "gas": {"unit": "kWh", "price": per_unit("1")},
    }
    made = Books(tariff(meters=meters), account(), closes=False)
    made.take(reading("a", "1", "2024-01-10", meter="gas"))
    assert money(made.only().exact) == Decimal("4.5")
