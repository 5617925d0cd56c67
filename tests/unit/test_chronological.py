"""Tiers that bands fill in the order of time, whatever the order of arrival."""

from decimal import Decimal
from itertools import permutations

import pytest

from tests.small_books import Books, Json, account, amounts, graduated, money, per_unit, reading, tariff, units

DAY: Json = {"name": "day", "hours": ["08:00-20:00"], "price": graduated(("10", "1"), (None, "5"))}
NIGHT: Json = {"name": "night", "price": graduated(("10", "0.5"), (None, "2"))}


def books(*bands: Json, **rest: object) -> Books:
    seasons = rest.pop("seasons", {})
    item = {"unit": "kWh", "tiers_across_bands": "chronological", "bands": list(bands or (DAY, NIGHT)), **rest}
    return Books(tariff(meters={"power": item}, seasons=seasons), account(), closes=False)


def test_a_record_takes_up_where_the_one_before_it_ended() -> None:
    made = books()
    made.take(reading("a", "8", "2024-01-10T10:00"), reading("b", "4", "2024-01-10T22:00"))
    assert amounts(made.charges) == [8, 2 * Decimal("0.5") + 2 * 2]
    assert [(p.band, p.tier, units(p.quantity)) for p in made.charges[1].parts] == [("night", 1, 2), ("night", 2, 2)]


def test_a_record_that_comes_late_moves_the_later_ones_on() -> None:
    made = books()
    made.take(reading("b", "4", "2024-01-10T22:00"), reading("a", "8", "2024-01-10T10:00"))
    assert amounts(made.charges) == [2, 8 + 2 * 2 - 2 * Decimal("0.5")]
    assert {(p.band, p.tier, units(p.quantity)) for p in made.charges[1].parts} == {
        ("day", 1, 8),
        ("night", 1, -2),
        ("night", 2, 2),
    }


def test_any_order_gives_the_same_lines_and_a_void_takes_its_part_out() -> None:
    records = [
        reading("a", "6", "2024-01-10T10:00", "2024-01-10T22:00"),
        reading("b", "5", "2024-01-11T10:00"),
        reading("c", "7", "2024-01-12T22:00"),
    ]
    first = None
    for order in permutations(records):
        made = books()
        for record in order:
            made.take(record)
            made.restart()
        lines = made.only().lines
        first = first or lines
        assert lines == first
    made = books()
    made.take(*records, reading("v", None, "2024-01-10", corrects="a"))
    assert money(made.only().exact) == 5 + 5 * Decimal("0.5") + 2 * 2


def test_seasons_fill_tiers_of_their_own() -> None:
    seasons = {"cold": {"from": "11-01", "to": "01-15"}, "warm": {"from": "01-16", "to": "10-31"}}
    bands = [{**DAY, "name": season, "season": season, "hours": ["00:00-24:00"]} for season in seasons]
    made = books(*bands, seasons=seasons)
    made.take(reading("a", "10", "2024-01-10"), reading("b", "10", "2024-01-20"), reading("c", "1", "2024-01-11"))
    assert amounts(made.charges) == [10, 10, 5]


def test_converted_quantities_fill_the_tiers_exactly() -> None:
    made = books(convert={"unit": "v", "divide_by": "3"})
    made.take(*(reading(f"r{n}", "1", f"2024-01-{n + 1:02}T10:00") for n in range(30)))
    assert money(made.only().exact) == 10
    made.take(reading("more", "3", "2024-01-31T10:00"))
    assert money(made.charges[-1].amount) == 5


@pytest.mark.parametrize("negative", ["-3", "-20"])
def test_what_is_given_back_empties_the_tiers_it_is_in(negative: str) -> None:
    made = books({**DAY, "hours": ["00:00-24:00"]}, negative="accept")
    made.take(reading("a", "12", "2024-01-10"), reading("b", negative, "2024-01-11"))
    assert money(made.charges[-1].amount) == (-2 * 5 - 1 if negative == "-3" else -2 * 5 - 18)


def test_one_price_needs_no_tiers() -> None:
    made = books({**DAY, "price": per_unit("3")}, {**NIGHT, "price": per_unit("1", free_units="2")})
    made.take(reading("a", "1", "2024-01-10T10:00"), reading("b", "2", "2024-01-10T22:00"))
    assert amounts(made.charges) == [3, 1]
