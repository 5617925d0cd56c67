"""Rating: a record becomes the difference that it makes, in pieces where it crosses a border."""

from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.rating import in_bands, rate
from schemas.catalogue import load_catalogue
from schemas.charge import Charge, ChargeKind
from schemas.instants import to_iso
from schemas.tariff import Tariff
from tests.small_books import (
    Books,
    Number,
    account,
    amounts,
    graduated,
    money,
    package,
    per_unit,
    reading,
    tariff,
    units,
    us,
    volume,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
DAY_AND_NIGHT = [
    {"name": "day", "hours": ["08:00-20:00"], "price": per_unit("3")},
    {"name": "night", "price": per_unit("1")},
]


def parts(charge: Charge) -> list[tuple[str, int, Number, Number]]:
    """Band, tier, quantity and amount of each part."""
    return [(p.band, p.tier, units(p.quantity), money(p.amount)) for p in charge.parts]


@pytest.mark.parametrize(
    ("quantities", "expected"),
    [
        (["3", "9"], ["3", "18"]),
        (["5", "5", "0", "2"], ["5", "10", "0", "6"]),
        (["12"], ["21"]),
    ],
)
def test_charges_are_differences(quantities: list[str], expected: list[str]) -> None:
    books = Books(tariff(graduated(["5", "1"], ["10", "2"], [None, "3"])))
    books.take(*(reading(f"r{n}", q, f"2024-01-{n + 1:02d}") for n, q in enumerate(quantities)))
    assert amounts(books.charges) == [Decimal(amount) for amount in expected]


def test_a_volume_price_that_falls_gives_a_negative_charge() -> None:
    books = Books(tariff(volume(["5", "0", "100"], ["10", "0", "150"], ["15", "10"], [None, "5"])))
    books.take(reading("a", "15", "2024-01-02"), reading("b", "1", "2024-01-03"))
    assert amounts(books.charges) == [150, -70]
    assert [money(charge.running_total) for charge in books.charges] == [150, 80]
    assert [units(charge.used_before) for charge in books.charges] == [0, 15]
    assert money(books.only().total) == 80


def test_a_charge_tells_all_that_it_depends_on() -> None:
    books = Books(tariff(per_unit("0.5")))
    (charge,) = books.take(reading("r1", "4", "2024-01-02T10:00", "2024-01-02T11:00", source="s")).charges
    assert charge.kind is ChargeKind.USAGE
    assert (charge.tenant, charge.account, charge.source, charge.usage_id) == ("default", "home", "s", "r1")
    assert (charge.meter, charge.unit, charge.currency) == ("power", "kWh", "USD")
    assert (charge.tariff, charge.version, charge.corrects) == ("plan", "1", "")
    assert (to_iso(charge.usage_start), to_iso(charge.usage_end)) == ("2024-01-02T10:00:00Z", "2024-01-02T11:00:00Z")
    assert (to_iso(charge.period_start), to_iso(charge.period_end)) == ("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z")
    assert (charge.statement_start, charge.statement_end) == (charge.period_start, charge.period_end)
    assert len(charge.charge_id) == 32


def test_the_same_record_gives_the_same_charge_id() -> None:
    record = reading("r1", "4", "2024-01-31T23:00", "2024-02-01T01:00")
    ids = [[c.charge_id for c in Books(tariff(per_unit("1"))).take(record).charges] for _ in range(2)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_a_record_over_the_end_of_a_period_is_charged_in_both() -> None:
    books = Books(tariff(per_unit("1")), account(zone="America/Toronto"))
    books.take(reading("r", "4", "2024-02-01T04:00+00:00", "2024-02-01T08:00+00:00"))
    assert [(money(c.amount), to_iso(c.usage_start), to_iso(c.usage_end)) for c in books.charges] == [
        (1, "2024-02-01T04:00:00Z", "2024-02-01T05:00:00Z"),
        (3, "2024-02-01T05:00:00Z", "2024-02-01T08:00:00Z"),
    ]
    assert [money(statement.total) for statement in books.close_all()] == [1, 3]


def test_a_record_that_ends_with_the_period_is_in_it_and_one_that_begins_then_is_not() -> None:
    books = Books(tariff(per_unit("1")))
    books.take(reading("a", "1", "2024-01-31T23:00", "2024-02-01"), reading("b", "2", "2024-02-01"))
    assert [money(statement.total) for statement in books.close_all()] == [1, 2]


def test_a_record_over_three_periods_has_a_charge_in_each() -> None:
    books = Books(tariff(graduated(["10", "1"], [None, "2"])))
    books.take(reading("r", "90", "2024-01-31", "2024-03-02"))  # 1 + 29 + 1 days
    assert [units(charge.quantity) for charge in books.charges] == [
        Decimal("2.903225"),
        Decimal("84.193549"),
        Decimal("2.903226"),
    ]
    assert amounts(books.charges)[1] == 10 + 2 * (Decimal("84.193549") - 10)


def test_a_record_over_a_change_of_version_is_rated_by_both() -> None:
    books = Books([tariff(per_unit("1")), tariff(per_unit("5"), version="2", effective_from="2024-01-11")])
    books.take(reading("r", "24", "2024-01-10T18:00", "2024-01-11T18:00"))
    assert [(c.version, money(c.amount)) for c in books.charges] == [("1", 6), ("2", 90)]


def test_tiers_start_again_with_a_new_version() -> None:
    tiers = ["10", "1"], [None, "9"]
    books = Books([tariff(graduated(*tiers)), tariff(graduated(*tiers), version="2", effective_from="2024-01-11")])
    books.take(reading("a", "10", "2024-01-10"), reading("b", "10", "2024-01-12"))
    assert amounts(books.charges) == [10, 10]


def test_a_record_over_a_border_between_bands_has_parts_in_both() -> None:
    books = Books(tariff(bands=DAY_AND_NIGHT))
    (charge,) = books.take(reading("r", "12", "2024-01-02T06:00", "2024-01-02T10:00")).charges
    assert parts(charge) == [("day", 1, 6, 18), ("night", 1, 6, 6)]


def test_a_record_of_several_days_has_one_part_for_each_band() -> None:
    books = Books(tariff(bands=DAY_AND_NIGHT))
    (charge,) = books.take(reading("r", "48", "2024-01-02", "2024-01-04")).charges
    assert parts(charge) == [("day", 1, 24, 72), ("night", 1, 24, 24)]


@pytest.mark.parametrize(
    ("zone", "start", "end", "day", "night"),
    [
        ("America/Toronto", "2012-03-11T05:00+00:00", "2012-03-12T04:00+00:00", 12, 11),
        ("America/Toronto", "2012-11-04T04:00+00:00", "2012-11-05T05:00+00:00", 12, 13),
        ("Australia/Lord_Howe", "2019-04-06T13:00+00:00", "2019-04-07T13:30+00:00", 24, 25),
    ],
)
def test_a_day_on_which_clocks_change(zone: str, start: str, end: str, day: int, night: int) -> None:
    books = Books(tariff(bands=DAY_AND_NIGHT), account(("plan", "2010-01-01", None), zone=zone))
    (charge,) = books.take(reading("r", str(day + night), start, end)).charges
    assert [units(part.quantity) for part in charge.parts] == [day, night]


def test_both_passes_of_an_hour_are_priced() -> None:
    bands = [
        {"name": "one", "hours": ["01:00-02:00"], "price": per_unit("7")},
        {"name": "rest", "price": per_unit("1")},
    ]
    books = Books(tariff(bands=bands), account(("plan", "2010-01-01", None), zone="Europe/London"))
    books.take(
        reading("a", "1", "2013-10-27T00:59:59+01:00"),
        reading("b", "1", "2013-10-27T01:59:59+01:00"),
        reading("c", "1", "2013-10-27T01:59:59+00:00"),
        reading("d", "1", "2013-10-27T02:00:00+00:00"),
    )
    assert amounts(books.charges) == [1, 7, 7, 1]


def test_in_bands_adds_up_shares_of_a_band_that_comes_again() -> None:
    terms = Books(tariff(bands=DAY_AND_NIGHT)).terms("2024-01-02")
    assert terms is not None
    shares = in_bands(terms.timeline, us("2024-01-02T18:00"), us("2024-01-03T12:00"), 18)
    assert shares == [(0, 6), (1, 12)]


def test_taking_away_is_the_opposite_of_putting_in() -> None:
    terms = Books(tariff(package("10", "15"))).terms("2024-01-02")
    assert terms is not None
    put_in = rate(terms.prices, [9_000_000], [(0, 2_000_000)])
    taken = rate(terms.prices, put_in.quantities, [(0, 2_000_000)], -1)
    assert (put_in.quantities, taken.quantities) == ([11_000_000], [9_000_000])
    assert money(put_in.amount) == 15 == -money(taken.amount)
    assert (taken.quantity, taken.used_before) == (-2_000_000, 11_000_000)


def pge() -> Tariff:
    """The published PG&E tariff of the examples."""
    return load_catalogue(EXAMPLES / "tariffs", EXAMPLES / "accounts.yaml").tariffs["pge-residential-tou"][0]


LA = "America/Los_Angeles"


def test_pge_daily_tiers_in_winter() -> None:
    """January 2013: 31 days of 11.2, 14.56 and 22.4 kWh are 347.2, 451.36 and 694.4; 400 kWh off-peak and 100 peak
    fill 347.2 + 104.16 + 48.64, of which off-peak has four fifths.
    """
    home = account(("pge-residential-tou", "2011-01-01", None), zone=LA)
    books = Books(pge(), home, closes=False)
    books.take(
        reading("a", "400", "2013-01-06T00:00-08:00", meter="electricity"),  # a Sunday
        reading("b", "100", "2013-01-07T12:00-08:00", meter="electricity"),
    )
    statement = next(s for s in books.close_all() if s.lines)
    assert [(line.band, line.tier, units(line.quantity), money(line.exact)) for line in statement.lines] == [
        ("winter-peak", 1, Decimal("69.44"), Decimal("10.3062848")),
        ("winter-peak", 2, Decimal("20.832"), Decimal("3.75559296")),
        ("winter-peak", 3, Decimal("9.728"), Decimal("2.27674112")),
        ("winter-off-peak", 1, Decimal("277.76"), Decimal("32.8812288")),
        ("winter-off-peak", 2, Decimal("83.328"), Decimal("12.51919872")),
        ("winter-off-peak", 3, Decimal("38.912"), Decimal("7.938048")),
    ]
    assert money(statement.exact) == Decimal("69.6770944")
    assert money(statement.total) == Decimal("69.69")  # 10.31 + 3.76 + 2.28 + 32.88 + 12.52 + 7.94


def test_pge_season_that_changes_inside_a_period() -> None:
    """15 April to 14 May has 16 days of winter and 14 of summer, each with the tiers of its own days."""
    home = account(("pge-residential-tou", "2011-01-01", None), zone=LA, billing_day=15)
    books = Books(pge(), home, closes=False)
    books.take(
        reading("a", "200", "2013-04-20T01:00-07:00", meter="electricity"),  # 179.2 in the first tier
        reading("b", "200", "2013-05-01T12:00-07:00", meter="electricity"),  # 193.2 in the first tier, all peak
    )
    statement = next(s for s in books.close_all() if s.lines)
    assert [(line.band, line.tier, units(line.quantity), money(line.exact)) for line in statement.lines] == [
        ("summer-peak", 1, Decimal("193.2"), Decimal("70.116144")),
        ("summer-peak", 2, Decimal("6.8"), Decimal("2.684572")),
        ("winter-off-peak", 1, Decimal("179.2"), Decimal("21.213696")),
        ("winter-off-peak", 2, Decimal("20.8"), Decimal("3.124992")),
    ]


def test_a_record_over_the_change_of_season_is_split_there() -> None:
    home = account(("pge-residential-tou", "2011-01-01", None), zone=LA, billing_day=15)
    books = Books(pge(), home, closes=False)
    (charge,) = books.take(
        reading("a", "2", "2013-04-30T23:00-07:00", "2013-05-01T01:00-07:00", meter="electricity")
    ).charges
    assert parts(charge) == [
        ("summer-off-peak", 1, 1, Decimal("0.11477")),
        ("winter-off-peak", 1, 1, Decimal("0.11838")),
    ]
