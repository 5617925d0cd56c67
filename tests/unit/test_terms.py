"""Terms: which version is in force when, and over which range it counts."""

import pytest

from schemas.instants import to_iso
from tests.small_books import Books, account, graduated, per_unit, tariff

PLAN_1 = tariff(per_unit("1"), effective_from="2020-01-01")
PLAN_2 = tariff(per_unit("2"), version="2", effective_from="2024-02-11")
OTHER = tariff(per_unit("3"), tariff="other")


def in_force(books: Books, local: str, zone: str = "UTC") -> tuple[str, str, str] | None:
    """Version and range of the terms at a wall time."""
    terms = books.terms(local, zone=zone)
    return None if terms is None else (f"{terms.tariff} {terms.version}", to_iso(terms.start), to_iso(terms.end))


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2023-12-31T23:59:59.999999", None),
        ("2024-01-01", ("plan 1", "2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z")),
        ("2024-02-10T23:59:59.999999", ("plan 1", "2024-02-01T00:00:00Z", "2024-02-11T00:00:00Z")),
        ("2024-02-11", ("plan 2", "2024-02-11T00:00:00Z", "2024-03-01T00:00:00Z")),
        ("2024-03-19T23:59", ("plan 2", "2024-03-01T00:00:00Z", "2024-03-20T00:00:00Z")),
        ("2024-03-20", ("other 1", "2024-03-20T00:00:00Z", "2024-04-01T00:00:00Z")),
        ("2024-04-10", None),  # a gap
        ("2024-05-05", ("plan 2", "2024-05-05T00:00:00Z", "2024-06-01T00:00:00Z")),
    ],
)
def test_versions_and_entries_follow_each_other(local: str, expected: tuple[str, str, str] | None) -> None:
    home = account(
        ("plan", "2024-01-01", "2024-03-20"), ("other", "2024-03-20", "2024-04-10"), ("plan", "2024-05-05", None)
    )
    assert in_force(Books([PLAN_1, PLAN_2, OTHER], home), local) == expected


def test_dates_begin_at_midnight_of_the_account() -> None:
    books = Books([PLAN_1, PLAN_2], account(zone="America/Toronto"))
    assert in_force(books, "2024-02-11T04:59:59+00:00") == (
        "plan 1",
        "2024-02-01T05:00:00Z",
        "2024-02-11T05:00:00Z",
    )
    assert in_force(books, "2024-02-11T05:00:00+00:00") == (
        "plan 2",
        "2024-02-11T05:00:00Z",
        "2024-03-01T05:00:00Z",
    )


def test_terms_end_with_the_billing_period() -> None:
    books = Books([PLAN_1], account(billing_day=15))
    assert in_force(books, "2024-01-03") == ("plan 1", "2024-01-01T00:00:00Z", "2024-01-15T00:00:00Z")
    assert in_force(books, "2024-01-15") == ("plan 1", "2024-01-15T00:00:00Z", "2024-02-15T00:00:00Z")


def test_two_tariffs_at_once_each_price_their_meters() -> None:
    gas = tariff(tariff="gas", meters={"gas": {"unit": "kWh", "price": per_unit("9")}})
    books = Books([PLAN_1, gas], account(("plan", "2024-01-01", None), ("gas", "2024-01-10", None)))
    assert in_force(books, "2024-01-20") == ("plan 1", "2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z")
    terms = books.terms("2024-01-20", meter="gas")
    assert terms is not None
    assert (terms.tariff, to_iso(terms.start)) == ("gas", "2024-01-10T00:00:00Z")
    assert books.terms("2024-01-05", meter="gas") is None
    assert books.terms("2024-01-20", meter="water") is None


def test_days_of_a_part_of_a_period_count_for_bounds_per_day() -> None:
    """20 days of 2 units are at 1, the rest at 10; the first 11 days were under another tariff."""
    daily = tariff(graduated(["2", "1"], [None, "10"], tiers_per="day"), tariff="daily")
    books = Books([OTHER, daily], account(("other", "2024-01-01", "2024-01-12"), ("daily", "2024-01-12", None)))
    terms = books.terms("2024-01-20")
    assert terms is not None
    parts = terms.prices.between([0], [41_000_000])
    assert [(part.tier, part.quantity) for part in parts] == [(1, 40_000_000), (2, 1_000_000)]
