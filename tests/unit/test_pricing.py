"""Pricing: what totals cost and what going from one to another adds, for every model, worked out by hand."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from pipeline.pricing import BandPrices, compile_bands
from schemas.charge import Part
from schemas.fixed_point import PRICE_SCALE, QUANTITY_SCALE, to_fixed
from tests.small_books import Json, Number, graduated, money, package, per_unit, tariff, units, volume

THREE_TIERS = (["5", "1"], ["10", "2"], [None, "3"])
FLAT_TIERS = (["5", "0", "100"], ["10", "0", "50"], ["15", "10"], [None, "5"])
FALLING = (["5", "0", "100"], ["10", "0", "150"], ["15", "10"], [None, "5"])
MIXED = (["5", "1", "100"], ["10", "2", "200"], [None, "3"])


def prices(price: Json, days: int = 1) -> BandPrices:
    return compile_bands(tariff(price).meters["power"], lambda _: days)


def fixed(quantity: str) -> int:
    return to_fixed(Decimal(quantity), QUANTITY_SCALE)


def difference(price: BandPrices, before: str, after: str) -> list[Part]:
    return price.between([fixed(before)], [fixed(after)])


def rows(parts: Sequence[Part]) -> list[tuple[str, int, Number, Number, Number]]:
    """Band, tier, unit price, quantity and amount of each part."""
    return [(p.band, p.tier, money(p.unit_price * 10**6), units(p.quantity), money(p.amount)) for p in parts]


@pytest.mark.parametrize(
    ("price", "quantity", "amount"),
    [
        # per unit
        (per_unit("0.20"), "0", "0"),
        (per_unit("0.000000000001"), "0.000001", "0.000000000000000001"),
        (per_unit("0.20"), "-10", "-2"),
        (per_unit("-0.05"), "10", "-0.5"),  # a price below zero pays the customer
        (per_unit("0.20", free_units="100"), "100", "0"),
        (per_unit("0.20", free_units="100"), "100.000001", "0.0000002"),
        # graduated: exactly on a bound is still the lower tier
        (graduated(*THREE_TIERS), "0", "0"),
        (graduated(*THREE_TIERS), "5", "5"),
        (graduated(*THREE_TIERS), "5.000001", "5.000002"),
        (graduated(*THREE_TIERS), "10", "15"),
        (graduated(*THREE_TIERS), "12", "21"),
        (graduated(*THREE_TIERS), "-2", "-2"),  # below zero the first tier goes on
        # the flat fee of a tier is due with its first unit
        (graduated(*FLAT_TIERS), "0", "0"),
        (graduated(*FLAT_TIERS), "0.000001", "100"),
        (graduated(*FLAT_TIERS), "5", "100"),
        (graduated(*FLAT_TIERS), "5.000001", "150"),
        (graduated(*FLAT_TIERS), "22", "235"),
        (graduated(*FLAT_TIERS), "-1", "0"),
        # free units move the bounds up
        (graduated(*THREE_TIERS, free_units="100"), "100", "0"),
        (graduated(*THREE_TIERS, free_units="100"), "105", "5"),
        (graduated(*THREE_TIERS, free_units="100"), "112", "21"),
        (graduated(*FLAT_TIERS, free_units="100"), "100", "0"),
        (graduated(*FLAT_TIERS, free_units="100"), "100.000001", "100"),
        # volume: all of it at the price of the tier reached
        (volume(*FALLING), "0", "0"),
        (volume(*FALLING), "5", "100"),
        (volume(*FALLING), "5.000001", "150"),
        (volume(*FALLING), "15", "150"),
        (volume(*FALLING), "16", "80"),
        (volume(["10", "5"], [None, "4"], free_units="100"), "110", "50"),
        (volume(["10", "5"], [None, "4"], free_units="100"), "111", "44"),
        (volume(["10", "5"], [None, "4"], free_units="100"), "99", "0"),
        (volume(["10", "5"], [None, "4"]), "-2", "-10"),
        # package: each one that is begun
        (package("100", "7"), "0", "0"),
        (package("100", "7"), "0.000001", "7"),
        (package("100", "7"), "100", "7"),
        (package("100", "7"), "100.000001", "14"),
        (package("100", "7", free_units="50"), "50", "0"),
        (package("100", "7", free_units="50"), "150", "7"),
        (package("100", "7", free_units="50"), "150.000001", "14"),
        (package("100", "7"), "-250", "0"),
    ],
)
def test_price_of_a_total(price: Json, quantity: str, amount: str) -> None:
    parts = difference(prices(price), "0", quantity)
    assert money(sum(part.amount for part in parts)) == Decimal(amount)


@pytest.mark.parametrize(
    ("price", "before", "after", "amount"),
    [
        (graduated(*THREE_TIERS), "3", "12", "18"),
        (graduated(*THREE_TIERS), "5", "6", "2"),
        (graduated(*THREE_TIERS), "7", "3", "-6"),
        (graduated(*THREE_TIERS), "2", "-2", "-4"),
        (graduated(*MIXED), "3", "4", "1"),  # the flat fee is not repeated
        (graduated(*MIXED), "3", "7", "206"),
        (graduated(*MIXED), "7", "5", "-204"),  # and given back with the last unit of its tier
        (graduated(*MIXED), "5", "0", "-105"),
        (volume(*FALLING), "15", "16", "-70"),
        (volume(*FALLING), "16", "16", "0"),
        (volume(*FALLING), "16", "15", "70"),
        (volume(*FALLING), "16", "0", "-80"),
        (package("10", "15"), "9", "10", "0"),
        (package("10", "15"), "1", "0", "-15"),
        (package("10", "15"), "11", "9", "-15"),
    ],
)
def test_what_going_from_one_total_to_another_adds(price: Json, before: str, after: str, amount: str) -> None:
    assert money(sum(part.amount for part in difference(prices(price), before, after))) == Decimal(amount)


def test_a_flat_fee_of_volume_is_not_due_below_zero() -> None:
    price = prices(volume(["10", "5", "3"], [None, "4"]))
    assert money(sum(part.amount for part in difference(price, "0", "-2"))) == -10
    assert money(sum(part.amount for part in difference(price, "-2", "2"))) == 23


def test_parts_of_a_graduated_difference() -> None:
    assert rows(difference(prices(graduated(*MIXED, free_units="2")), "1", "9")) == [
        ("", 0, 0, 1, 0),
        ("", 1, 0, 0, 100),
        ("", 1, 1, 5, 5),
        ("", 2, 0, 0, 200),
        ("", 2, 2, 2, 4),
    ]


def test_parts_of_a_volume_difference_give_back_what_the_old_tier_cost() -> None:
    price = prices(volume(["10", "5", "1"], [None, "4", "2"], free_units="3"))
    assert rows(difference(price, "13", "14")) == [
        ("", 1, 5, -10, -50),
        ("", 1, 0, 0, -1),
        ("", 2, 4, 11, 44),
        ("", 2, 0, 0, 2),
    ]
    assert rows(difference(price, "1", "4")) == [("", 0, 0, 2, 0), ("", 1, 5, 1, 5), ("", 1, 0, 0, 1)]


def test_a_package_part_counts_packages() -> None:
    assert rows(difference(prices(package("100", "7", free_units="50")), "20", "151")) == [
        ("", 0, 0, 30, 0),
        ("", 1, 7, 2, 14),
    ]


@pytest.mark.parametrize("days", [1, 28, 31])
def test_bounds_and_free_units_per_day_are_multiplied_by_the_days(days: int) -> None:
    price = prices(graduated(["2", "1"], [None, "10"], tiers_per="day", free_units="1"), days)
    assert money(sum(p.amount for p in difference(price, "0", str(days)))) == 0
    assert money(sum(p.amount for p in difference(price, "0", str(3 * days)))) == 2 * days
    assert money(sum(p.amount for p in difference(price, "0", str(3 * days + 1)))) == 2 * days + 10


TWO_BANDS = [
    {"name": "peak", "hours": ["12:00-18:00"], "price": graduated(["10", "3"], [None, "5"])},
    {"name": "rest", "price": graduated(["10", "1"], [None, "2"])},
]


def banded(bands: Sequence[Json], *, shared: bool) -> BandPrices:
    across = "pro-rata" if shared else "separate"
    return compile_bands(tariff(bands=list(bands), tiers_across_bands=across).meters["power"], lambda _: 1)


def test_bands_with_tiers_of_their_own() -> None:
    parts = banded(TWO_BANDS, shared=False).between([0, 0], [fixed("12"), fixed("12")])
    assert rows(parts) == [
        ("peak", 1, 3, 10, 30),
        ("peak", 2, 5, 2, 10),
        ("rest", 1, 1, 10, 10),
        ("rest", 2, 2, 2, 4),
    ]


def test_bands_that_share_their_tiers_pro_rata() -> None:
    """16 units fill 10 of the first tier and 6 of the second; each band has its share of both."""
    parts = banded(TWO_BANDS, shared=True).between([0, 0], [fixed("4"), fixed("12")])
    assert rows(parts) == [
        ("peak", 1, 3, Decimal("2.5"), Decimal("7.5")),
        ("peak", 2, 5, Decimal("1.5"), Decimal("7.5")),
        ("rest", 1, 1, Decimal("7.5"), Decimal("7.5")),
        ("rest", 2, 2, Decimal("4.5"), Decimal(9)),
    ]


def test_usage_of_one_band_changes_what_the_other_costs() -> None:
    """From (4, 0) to (4, 12): 1.5 units of peak move into the second tier."""
    parts = banded(TWO_BANDS, shared=True).between([fixed("4"), 0], [fixed("4"), fixed("12")])
    assert rows(parts)[:2] == [
        ("peak", 1, 3, Decimal("-1.5"), Decimal("-4.5")),
        ("peak", 2, 5, Decimal("1.5"), Decimal("7.5")),
    ]


def test_one_unit_that_two_bands_share_unevenly_is_not_lost() -> None:
    """A third of a millionth cannot be stored: the parts still add up to both bands and both tiers."""
    bands = [{**band, "price": graduated(["0.000001", "1"], [None, "2"])} for band in TWO_BANDS]
    parts = banded(bands, shared=True).between([0, 0], [1, 2])
    assert sum(part.quantity for part in parts if part.band == "peak") == 1
    assert sum(part.quantity for part in parts if part.tier == 1) == 1
    assert sum(part.quantity for part in parts) == 3


def test_seasons_share_no_tiers() -> None:
    seasons = {"summer": {"from": "05-01", "to": "10-31"}, "winter": {"from": "11-01", "to": "04-30"}}
    bands = [{"name": n, "season": n, "price": graduated(["10", "1"], [None, "9"])} for n in ("summer", "winter")]
    meter = tariff(bands=bands, tiers_across_bands="pro-rata", seasons=seasons).meters["power"]
    parts = compile_bands(meter, lambda _: 1).between([0, 0], [fixed("10"), fixed("10")])
    assert rows(parts) == [("summer", 1, 1, 10, 10), ("winter", 1, 1, 10, 10)]


def test_prices_have_twelve_decimals_and_every_part_is_exact() -> None:
    (part,) = difference(prices(per_unit("0.000000000001")), "0", "123456.789012")
    assert part.unit_price == to_fixed(Decimal("1E-12"), PRICE_SCALE)
    assert part.amount == part.unit_price * part.quantity == 123456789012
