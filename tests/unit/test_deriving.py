"""Deriving: surcharges and the maximum of a tariff follow whatever changes what items cost."""

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from schemas.charge import ChargeKind
from tests.small_books import Books, Json, account, amounts, graduated, money, per_unit, printed, reading, tariff

WATER: Json = {"water": {"usage_of": ["power"], "unit": "m3", "price": per_unit("10")}}
LEVIES: list[Json] = [
    {"name": "levy", "percent": "50", "of": ["water"]},
    {"name": "levy on both", "percent": "10", "of": ["water", "levy"]},
]


def books(**rest: Any) -> Books:  # noqa: ANN401 - any key of a tariff document
    closes = bool(rest.pop("closes", False))
    return Books(tariff(**{"meters": WATER, **rest}), closes=closes)


def test_a_surcharge_may_be_of_another_one() -> None:
    made = books(surcharges=LEVIES)
    made.take(reading("a", "2", "2024-01-10"))
    assert [(c.meter, money(c.amount)) for c in made.charges] == [("water", 20), ("levy", 10), ("levy on both", 3)]
    assert [c.charge_id.partition("-")[2] for c in made.charges] == ["", "1", "2"]
    assert printed(made.only()) == (33, 0, 33)


def test_a_correction_takes_surcharges_along() -> None:
    made = books(surcharges=LEVIES)
    made.take(reading("a", "2", "2024-01-10"))
    made.restart()
    made.take(reading("b", "1", "2024-01-10", corrects="a"))
    assert amounts(made.charges[3:]) == [-20, 10, -5, Decimal("-1.5")]
    made.take(reading("c", None, "2024-01-10", corrects="b"))
    assert money(made.only().exact) == 0


@pytest.mark.parametrize(("base", "expected"), [("exact", "0.0525"), ("rounded", "0.055")])
def test_the_base_may_be_rounded_as_the_line_is(base: str, expected: str) -> None:
    meters = {"water": {"usage_of": ["power"], "unit": "m3", "price": per_unit("0.105")}}
    made = books(meters=meters, surcharges=[{"name": "levy", "percent": "50", "base": base}])
    made.take(reading("a", "0.5", "2024-01-10"), reading("b", "0.5", "2024-01-10"))
    assert sum(amounts([c for c in made.charges if c.meter == "levy"])) == Decimal(expected)
    assert money(made.only().exact) == Decimal("0.105") + Decimal(expected)


@pytest.mark.parametrize(("prorate", "limit"), [("none", 31), ("days", 16)])
def test_a_maximum_may_be_by_the_days_of_the_tariff(prorate: str, limit: int) -> None:
    plan = tariff(meters=WATER, maximum={"amount": "31", "prorate": prorate})
    made = Books(plan, account(("plan", "2024-01-01", "2024-01-17")), closes=False)
    made.take(reading("a", "2", "2024-01-10"), reading("b", "2", "2024-01-11"))
    assert sum(amounts(made.charges)) == limit
    made.take(reading("c", None, "2024-01-11", corrects="b"))
    assert sum(amounts(made.charges)) == min(20, limit)
    assert money(made.only().exact) == min(20, limit)


def test_surcharges_count_for_the_maximum_and_for_the_minimum() -> None:
    made = books(surcharges=LEVIES, maximum={"amount": "30"})
    made.take(reading("a", "2", "2024-01-10"))
    assert [(c.meter, money(c.amount)) for c in made.charges][-1] == ("maximum", -3)
    least = books(surcharges=LEVIES, minimum={"amount": "40"})
    least.take(reading("a", "2", "2024-01-10"))
    assert [money(line.amount) for line in least.only().lines if line.kind == "true_up"] == [7]


@pytest.mark.parametrize("late", ["next-statement", "revision"])
def test_late_usage_brings_its_surcharges(late: str) -> None:
    made = books(surcharges=LEVIES, closing={"late": late, "grace_s": 0, "lateness_s": 20_000_000}, closes=True)
    made.take(reading("jan", "1", "2024-01-10"), reading("feb", "1", "2024-02-10"))
    made.restart()
    made.take(reading("late", "2", "2024-01-11"))
    assert amounts(made.charges[-3:]) == [20, 10, 3]
    assert {c.kind for c in made.charges[-3:]} == {ChargeKind.USAGE if late == "revision" else ChargeKind.ADJUSTMENT}
    made.close_all()
    january = [s for s in made.statements if s.statement_id.startswith("default/home/2024-01")]
    assert [money(s.exact) for s in january] == ([Decimal("16.5"), Decimal("49.5")][: len(january)])
    assert len(january) == (2 if late == "revision" else 1)
    assert sum(amounts(made.charges)) == 66


def test_the_order_of_arrival_is_no_matter() -> None:
    records = [
        reading("a", "2", "2024-01-10"),
        reading("b", "5", "2024-01-11"),
        reading("c", "1", "2024-01-12", corrects="a"),
        reading("d", "3", "2024-01-31T23:00", "2024-02-01T01:00"),
    ]
    exact = set()
    for order in permutations(records):
        made = books(surcharges=LEVIES, maximum={"amount": "55"})
        for record in order:
            made.take(record)
            made.restart()
        exact.add(tuple(s.exact for s in made.close_all()))
    assert len(exact) == 1


@pytest.mark.parametrize("used", [True, False])
def test_fees_that_need_no_usage_have_surcharges_too(used: bool) -> None:
    """The fee is charged when the period closes, and what is derived from it with it."""
    meters = {
        "water": {"unit": "m3", "price": graduated(("10", "1", "8"), (None, "1"), first_flat_fee="always")},
        "power": {"unit": "kWh", "price": per_unit("1")},
    }
    made = books(meters=meters, surcharges=[{"name": "levy", "percent": "50"}], maximum={"amount": "20"})
    made.take(reading("a", "4" if used else "0", "2024-01-10"))
    assert money(made.only().exact) == (18 if used else 12)


def test_versions_have_surcharges_and_a_maximum_of_their_own() -> None:
    plans = [
        tariff(version=version, effective_from=date, meters=WATER, maximum={"amount": most})
        for version, date, most in (("1", "2000-01-01", "15"), ("2", "2024-01-16", "25"))
    ]
    made = Books(plans, closes=False)
    made.take(reading("a", "6", "2024-01-15T12:00", "2024-01-16T12:00"))
    assert sorted((c.version, c.meter, money(c.amount)) for c in made.charges) == [
        ("1", "maximum", -15),
        ("1", "water", 30),
        ("2", "maximum", -5),
        ("2", "water", 30),
    ]
    assert money(made.only().exact) == 40
