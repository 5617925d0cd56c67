"""Levels: what is carried from range to range, with and without usage, and what late changes and corrections do."""

from decimal import Decimal
from itertools import permutations

import pytest
from msgspec.structs import replace

from schemas.account import Account
from schemas.charge import Charge
from tests.small_books import (
    Books,
    Json,
    Number,
    account,
    amounts,
    graduated,
    money,
    per_unit,
    reading,
    tariff,
    units,
    us,
)

# Prices of one unit for a whole month; February 2024 has 29 days.
SEATS: Json = {"unit": "seat", "negative": "accept", "aggregation": {"function": "level"}, "price": per_unit("31")}
STORED: Json = {**SEATS, "aggregation": {"function": "average"}}


def books(item: Json = SEATS, served: Account | None = None, *, closes: bool = False, **rest: object) -> Books:
    closing = {"lateness_s": 20_000_000, "grace_s": 0, **rest}
    return Books(tariff(meters={"power": item}, closing=closing), served or account(), closes=closes)


def by_month(charges: list[Charge]) -> list[Number]:
    """What was charged for the usage of each month, in order."""
    sums: dict[int, int] = {}
    for charge in charges:
        sums[charge.period_start] = sums.get(charge.period_start, 0) + charge.amount
    return [money(sums[start]) for start in sorted(sums)]


@pytest.mark.parametrize(("item", "raised", "lowered"), [(SEATS, "64", "-2"), (STORED, "62", "-1.5")])
def test_a_change_counts_from_its_day_or_from_its_moment(item: Json, raised: str, lowered: str) -> None:
    made = books(item)
    made.take(reading("a", "4", "2024-01-16T12:00"), reading("b", "-1", "2024-01-30T12:00"))
    assert amounts(made.charges) == [Decimal(raised), Decimal(lowered)]


@pytest.mark.parametrize("item", [SEATS, STORED])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_level_goes_on_without_usage(item: Json, restarts: bool) -> None:
    made = books(item, closes=True)
    made.take(reading("a", "2", "2024-01-01"), reading("b", "0", "2024-02-01"))
    if restarts:
        made.restart()
    made.take(reading("c", "1", "2024-05-01"))
    made.close_all()
    assert by_month(made.charges) == [62, 62, 62, 62, 93]
    assert [money(s.exact) for s in made.statements] == [62, 62, 62, 62, 93]
    assert [s.usage_records for s in made.statements] == [1, 1, 0, 0, 1]


def test_a_level_that_costs_nothing_is_carried_on() -> None:
    made = books({**SEATS, "price": graduated(("5", "0"), (None, "31"))}, closes=True)
    made.take(reading("a", "4", "2024-01-01"), reading("b", "0", "2024-02-01"), reading("c", "0", "2024-04-01"))
    made.restart()
    made.take(reading("d", "3", "2024-04-01"))
    assert by_month(made.charges)[-1] == 62


@pytest.mark.parametrize("late", ["next-statement", "revision"])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_late_change_is_carried_through_closed_periods(late: str, restarts: bool) -> None:
    made = books(closes=True, late=late)
    made.take(reading("zero", "0", "2024-01-01"), reading("march", "0", "2024-03-10"))
    assert by_month(made.charges) == [0, 0]
    if restarts:
        made.restart()
    made.take(reading("a", "2", "2024-01-01"))
    assert by_month(made.charges) == [62, 62, 62]
    if restarts:
        made.restart()
    made.take(reading("b", None, "2024-01-01", corrects="a"))
    assert by_month(made.charges) == [0, 0, 0]
    made.take(reading("c", "1", "2024-02-01"))
    made.close_all()
    assert by_month(made.charges) == [0, 31, 31]
    assert made.statements[0].usage_records == 1


@pytest.mark.parametrize("restarts", [False, True])
def test_a_correction_reaches_the_periods_that_began_after_it(restarts: bool) -> None:
    made = books()
    made.take(reading("a", "2", "2024-01-01"), reading("b", "1", "2024-02-01"), reading("c", "1", "2024-03-01"))
    assert by_month(made.charges) == [62, 93, 124]
    if restarts:
        made.restart()
    made.take(reading("d", "1", "2024-01-01", corrects="a"))
    assert by_month(made.charges) == [31, 62, 93]
    assert [s.usage_records for s in made.close_all()] == [2, 1, 1]


def test_the_only_change_may_be_voided() -> None:
    made = books()
    made.take(reading("a", "2", "2024-01-01"), reading("v", None, "2024-01-01", corrects="a"))
    assert amounts(made.charges) == [62, -62]
    assert [money(s.exact) for s in made.close_all()] == [0]


@pytest.mark.parametrize("item", [SEATS, STORED])
def test_the_order_of_arrival_is_no_matter(item: Json) -> None:
    records = (
        reading("a", "2", "2024-01-10T08:00"),
        reading("b", "-1", "2024-01-10T09:00"),
        reading("c", "3", "2024-02-05T08:00"),
        reading("d", "0", "2024-03-05T08:00"),
    )
    plain = []
    for order in permutations(records):
        made = books(item)
        for record in order:
            made.take(record)
            made.restart()
        plain.append([replace(s, charges=0, charges_digest="") for s in made.close_all()])
    assert len(plain[0]) == 3
    assert all(statements == plain[0] for statements in plain)


@pytest.mark.parametrize("closes", [False, True])
def test_a_level_outlasts_a_gap_in_which_nothing_is_charged(closes: bool) -> None:
    served = account(("plan", "2024-01-01", "2024-01-16"), ("plan", "2024-03-16", None))
    made = books(SEATS, served, closes=closes)
    made.take(reading("a", "2", "2024-01-01"), reading("b", "0", "2024-03-20"), reading("c", "0", "2024-04-20"))
    made.close_all()
    assert by_month(made.charges) == [30, 32, 62]


def test_a_level_goes_on_under_the_next_version() -> None:
    plans = [
        tariff(version=version, effective_from=date, meters={"power": {**SEATS, "price": per_unit(price)}})
        for version, date, price in (("1", "2000-01-01", "31"), ("2", "2024-01-16", "62"))
    ]
    made = Books(plans, closes=False)
    made.take(reading("a", "1", "2024-01-01"))
    (january,) = made.close_all()
    assert money(january.exact) == 15 + 32
    late = Books(plans, closes=False)
    late.take(reading("b", "0", "2024-01-20"), reading("a", "1", "2024-01-01"))
    assert [(c.version, money(c.amount)) for c in late.charges] == [("2", 0), ("1", 15), ("2", 32)]
    assert [money(s.exact) for s in late.close_all()] == [47]


def test_meters_of_one_item_see_each_others_changes() -> None:
    shared = {**SEATS, "usage_of": ["power", "gas"]}
    made = Books(tariff(meters={"both": shared}), closes=False)
    assert made.refused(reading("no", "1", "2024-02-01", unit="kWh")) == ["wrong-unit"]
    made.take(reading("a", "2", "2024-01-01", meter="gas"), reading("b", "1", "2024-02-01"))
    assert by_month(made.charges) == [62, 93]


def test_a_level_has_the_flat_fees_of_the_highest_tier_that_it_reached() -> None:
    price = graduated(("5", "31", "10"), (None, "62", "7"))
    made = books({**SEATS, "price": price})
    made.take(reading("a", "7", "2024-01-01T00:00"), reading("b", "-7", "2024-01-01T09:00"))
    assert by_month(made.charges) == [17]
    made.take(reading("c", "1", "2024-01-31"))
    assert by_month(made.charges) == [18]


def test_a_change_is_told_in_the_unit_of_the_price() -> None:
    made = books({**STORED, "convert": {"unit": "GB", "divide_by": "1000"}})
    made.take(reading("a", "2000", "2024-01-01"))
    (charge,) = made.charges
    assert (charge.unit, units(charge.quantity), money(charge.amount)) == ("GB", 2, 62)
    assert charge.usage_start == us("2024-01-01")


def test_a_closing_prices_a_level_by_the_days_that_are_left() -> None:
    plan = tariff(meters={"power": {**SEATS, "discount_percent": "50"}})
    made = Books(plan, closes=False)
    made.take(reading("a", "2", "2024-01-01"))
    assert amounts(made.charges) == [31]
    made.redeclare([plan], [account(("plan", "2024-01-01", "2024-01-11"))])
    assert [money(s.exact) for s in made.close_all()] == [10]


@pytest.mark.parametrize("closes", [False, True])
def test_a_change_may_be_moved_into_a_later_period(closes: bool) -> None:
    made = books(closes=closes)
    made.take(reading("a", "2", "2024-01-01"))
    if closes:
        made.take(reading("zero", "0", "2024-03-10"))
    made.take(reading("b", "3", "2024-02-01", corrects="a"))
    made.close_all()
    assert by_month(made.charges) == ([0, 93, 93] if closes else [0, 93])
