"""Conversion: exact, multiplied first and divided last, however large the numbers between are."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from schemas.rejection import Reason
from tests.small_books import Books, Json, account, amounts, graduated, money, package, per_unit, reading, tariff, units


def books(convert: Json, price: Json | None = None, **rest: object) -> Books:
    served = rest.pop("served", None) or account()
    item = {"unit": "B", "convert": {"unit": "v", **convert}, "price": price or per_unit("1"), **rest}
    return Books(tariff(meters={"power": item}), served, closes=False)  # type: ignore[arg-type] # an account, if any


def test_nothing_is_lost_in_a_division() -> None:
    made = books({"divide_by": "3"})
    for number in range(9):
        made.take(reading(f"r{number}", "1", "2024-01-10"))
        made.restart()
    assert money(made.only().exact) == 3
    third = Decimal("0.333333333333333333")
    assert amounts(made.charges)[:3] == [third, third + Decimal("1e-18"), third]


@pytest.mark.parametrize(
    ("mode", "by_record", "by_total"),
    [
        ("up", [1, 1, 2], [1, 1, 1]),
        ("down", [0, 1, 1], [0, 1, 2]),
        ("half-up", [1, 1, 2], [1, 1, 1]),
        ("half-even", [0, 1, 2], [0, 2, 1]),
    ],
)
def test_a_total_is_rounded_or_each_record(mode: str, by_record: list[int], by_total: list[int]) -> None:
    for round_per, expected in (("record", by_record), ("total", by_total)):
        made = books({"divide_by": "2", "round": mode, "round_per": round_per})
        made.take(*(reading(f"r{n}", quantity, "2024-01-10") for n, quantity in enumerate(("1", "2", "3"))))
        assert amounts(made.charges) == expected


def test_attributes_hours_and_constants_multiply() -> None:
    made = books({"multiply_by": "2", "attributes": ["gb", "n"], "times": "hours", "divide_by": "4"})
    record = reading("a", "3", "2024-01-10T10:00", "2024-01-10T10:20")
    made.take(replace(record, attributes={"gb": "1.5", "n": "4"}))
    (charge,) = made.charges
    assert (charge.unit, units(charge.quantity), money(charge.amount)) == ("v", 3, 3)
    event = replace(reading("b", "3", "2024-01-10T10:00"), attributes={"gb": "1.5", "n": "4"})
    made.take(event)
    assert money(made.charges[-1].amount) == 0


def test_days_are_those_that_the_tariff_is_billed_for() -> None:
    served = account(("plan", "2024-01-11", "2024-02-11"))
    made = books({"times": "days"}, served=served)
    made.take(reading("a", "2", "2024-01-20"), reading("b", "2", "2024-02-05"))
    assert amounts(made.charges) == [42, 20]


@pytest.mark.parametrize(
    ("zone", "start", "hours"),
    [("UTC", "2024-02-01", 29 * 24), ("Europe/London", "2024-03-01", 743), ("Europe/London", "2024-10-01", 745)],
)
def test_hours_are_a_share_of_those_of_the_period(zone: str, start: str, hours: int) -> None:
    made = books({"times": "hours", "over": "period"}, per_unit(str(hours)), served=account(zone=zone))
    record = reading("a", "1", f"{start}T10:00", f"{start}T20:00")
    made.take(record)
    assert round(money(made.charges[0].amount), 12) == 10


def test_tiers_and_packages_count_what_is_converted() -> None:
    made = books({"divide_by": "3"}, graduated(("1", "3"), (None, "30")))
    made.take(reading("a", "3", "2024-01-10"), reading("b", "0.000001", "2024-01-10"))
    assert amounts(made.charges) == [3, Decimal("0.00001")]
    packages = books({"divide_by": "1024"}, package("1", "5"))
    packages.take(reading("a", "1024", "2024-01-10"), reading("b", "0.000001", "2024-01-10"))
    assert amounts(packages.charges) == [5, 5]


BYTE_HOURS: Json = {"attributes": ["copies"], "times": "hours", "divide_by": "1073741824"}


@pytest.mark.parametrize("rest", [{}, {"priced_per": "session"}, {"priced_per": "day"}], ids=str)
def test_numbers_beyond_64_bits_are_exact_and_survive_a_restart(rest: Json) -> None:
    made = books(BYTE_HOURS, per_unit("1"), **rest)
    record = replace(reading("a", "8796093022208", "2024-01-01", "2024-01-31"), attributes={"copies": "3"})
    made.take(record)
    assert money(made.charges[0].amount) == 8192 * 720 * 3
    made.restart()
    assert made.take(record).duplicates == 1
    made.take(replace(record, id="b", corrects="a", attributes={"copies": "1"}))
    made.restart()
    assert money(made.only().exact) == 8192 * 720


@pytest.mark.parametrize("copies", ["999999999999999", "-999999999999999"])
def test_what_no_column_could_hold_is_refused_and_changes_nothing(copies: str) -> None:
    made = books(
        {"attributes": ["copies", "copies2"], "multiply_by": "900000000000000"},
        per_unit("0"),
        negative="accept",
        priced_per="session",
    )
    made.take(replace(reading("first", "1", "2024-01-10"), attributes={"copies": "1", "copies2": "1"}))
    stored = dict(made.store.values)
    record = replace(reading("a", "8000000000000", "2024-01-10"), attributes={"copies": copies, "copies2": copies})
    assert made.refused(record) == [Reason.OUT_OF_RANGE]
    assert made.store.values == stored


@pytest.mark.parametrize("function", ["max", "latest", "percentile"])
def test_a_charge_tells_the_converted_quantity_of_an_aggregate(function: str) -> None:
    aggregation = {"function": function, **({"percentile": "95"} if function == "percentile" else {})}
    made = books({"multiply_by": "3", "divide_by": "2"}, aggregation=aggregation)
    made.take(reading("a", "4", "2024-01-10"), reading("b", "6", "2024-01-11"))
    assert [(units(c.used_before), units(c.quantity), money(c.amount)) for c in made.charges] == [(0, 6, 6), (6, 9, 3)]
