"""Percentages of transactions: what is free, by count and by amount, and the limits of each."""

from decimal import Decimal
from itertools import permutations

import pytest
from msgspec.structs import replace

from tests.small_books import Books, Json, amounts, money, reading, tariff


def books(**price: object) -> Books:
    base: Json = {"model": "percentage", "percent": "10", "fixed_per_event": "1", **price}
    return Books(tariff(meters={"power": {"unit": "USD", "negative": "accept", "price": base}}), closes=False)


def charged(made: Books, *quantities: str) -> list[Decimal]:
    """What each of these costs when they come in the order of time."""
    made.take(*(reading(f"r{n}", quantity, f"2024-01-{n + 1:02}") for n, quantity in enumerate(quantities)))
    return [Decimal(amount) for amount in amounts(made.charges)]


@pytest.mark.parametrize(
    ("price", "quantities", "expected"),
    [
        ({}, ["100", "0", "-10"], ["11", "1", "0"]),
        ({"free_events": 2}, ["100", "50", "20"], ["0", "0", "3"]),
        ({"free_events": 1}, ["0", "0", "10"], ["0", "1", "2"]),
        ({"free_events": 0}, ["0", "10"], ["1", "2"]),
        ({"free_amount": "100"}, ["60", "60", "10"], ["0", "3", "2"]),
        ({"free_amount": "100"}, ["100", "10"], ["0", "2"]),
        ({"free_events": 1, "free_amount": "100"}, ["60", "60"], ["0", "7"]),
        ({"free_events": 3, "free_amount": "100"}, ["60", "60", "10", "10"], ["0", "3", "2", "2"]),
        ({"min_per_event": "5", "max_per_event": "8"}, ["10", "55", "500"], ["5", "6.5", "8"]),
        ({"min_per_event": "5", "free_events": 1}, ["10", "10"], ["0", "5"]),
        ({"percent": "-2", "fixed_per_event": "0"}, ["100"], ["-2"]),
        ({"percent": "0.0000000001", "fixed_per_event": "0"}, ["0.000001"], ["0.000000000000000001"]),
    ],
)
def test_a_transaction_costs_its_percentage_and_fee(price: Json, quantities: list[str], expected: list[str]) -> None:
    assert charged(books(**price), *quantities) == [Decimal(amount) for amount in expected]


def test_the_free_ones_are_the_first_by_time_not_by_arrival() -> None:
    late = reading("z", "1000", "2024-01-01")
    made = books(free_events=1)
    made.take(reading("a", "10", "2024-01-10"))
    made.take(late)
    assert amounts(made.charges) == [0, 2]
    records = [reading("a", "10", "2024-01-10"), reading("b", "70", "2024-01-10"), late]
    totals = set()
    for order in permutations(records):
        made = books(free_amount="1020")
        made.take(*order)
        totals.add(made.only().exact)
    assert len(totals) == 1


def test_a_void_gives_its_place_among_the_free_to_the_next() -> None:
    made = books(free_events=1)
    made.take(reading("a", "10", "2024-01-01"), reading("b", "20", "2024-01-02"))
    made.take(reading("v", None, "2024-01-01", corrects="a"))
    assert amounts(made.charges) == [0, 3, -3]
    assert money(made.only().exact) == 0


def test_bands_have_what_is_free_of_their_own() -> None:
    bands = [
        {"name": name, **condition, "price": {"model": "percentage", "percent": percent, "free_events": free}}
        for name, condition, percent, free in (("card", {"where": {"by": "card"}}, "10", 1), ("other", {}, "20", 0))
    ]
    made = Books(tariff(meters={"power": {"unit": "USD", "bands": bands}}), closes=False)
    for number, by in enumerate(("card", "cash", "card", "cash")):
        made.take(replace(reading(f"r{number}", "10", f"2024-01-0{number + 1}"), attributes={"by": by}))
    assert amounts(made.charges) == [0, 2, 1, 2]
    assert [c.parts[-1].band for c in made.charges] == ["card", "other", "card", "other"]
