"""Groups: what is priced by itself, in zones and at clock changes that make hours and days uneven."""

from datetime import UTC, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from schemas.usage import UsageRecord
from tests.small_books import Books, Json, account, amounts, at, graduated, money, per_unit, reading, tariff

HALF_HOUR = timedelta(minutes=30)
FIRST_COSTS = graduated(("1", "10"), (None, "1"))
"""The first unit of each group costs 10, the others 1."""


def books(per: str, zone: str = "UTC", **rest: object) -> Books:
    item = {"unit": "kWh", "priced_per": per, "price": FIRST_COSTS, **rest}
    return Books(tariff(meters={"power": item}), account(zone=zone), closes=False)


def groups(made: Books) -> dict[str, int]:
    """The quantity of each group, in millionths."""
    (totals,) = next(p for p in made.state().held()).totals.values()
    return {name: sum(fact.quantity for fact in facts) for name, facts in sorted(totals.groups.items())}


def in_session(record: UsageRecord, session: str) -> UsageRecord:
    return replace(record, session=session)


@pytest.mark.parametrize(
    ("zone", "start", "end", "expected"),
    [
        ("UTC", "2024-01-10T10:30", "2024-01-10T12:30", ["10+0000", "11+0000", "12+0000"]),
        ("Asia/Kathmandu", "2024-01-10T10:45", "2024-01-10T12:45", ["10+0545", "11+0545", "12+0545"]),
        ("UTC", "2024-01-10T10:00", "2024-01-10T10:00", ["10+0000"]),
        # London's clocks go from 02:00 back to 01:00 at 01:00 UTC
        (
            "Europe/London",
            "2024-10-27T00:00+00:00",
            "2024-10-27T03:00+00:00",
            ["01+0000", "01+0100", "02+0000"],
        ),
        # Lord Howe's from 02:00 back to 01:30 at 15:00 UTC
        (
            "Australia/Lord_Howe",
            "2024-04-06T14:00+00:00",
            "2024-04-06T16:30+00:00",
            ["01+1030", "01+1100", "02+1030"],
        ),
        # and from 02:00 on to 02:30 at 15:30 UTC
        (
            "Australia/Lord_Howe",
            "2024-10-05T14:30+00:00",
            "2024-10-05T16:30+00:00",
            ["01+1030", "02+1100", "03+1100"],
        ),
    ],
)
def test_an_hour_is_one_of_the_local_clock(zone: str, start: str, end: str, expected: list[str]) -> None:
    made = books("hour", zone)
    made.take(reading("a", "9", at(start, zone), at(end, zone)))
    assert [name[11:] for name in groups(made)] == expected
    assert sum(groups(made).values()) == 9_000_000


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/London"])
@pytest.mark.parametrize("per", ["hour", "day"])
def test_a_record_is_worth_the_sum_of_its_pieces(per: str, zone: str) -> None:
    """A month in one record, or in records of half an hour."""
    for month, following in (("2024-04-01", "2024-05-01"), ("2024-10-01", "2024-11-01")):
        begin, end = at(month, zone).astimezone(UTC), at(following, zone).astimezone(UTC)
        whole, pieces = books(per, zone), books(per, zone)
        halves = [begin + number * HALF_HOUR for number in range((end - begin) // HALF_HOUR)]
        pieces.take(*(reading(f"r{number}", "1", half, half + HALF_HOUR) for number, half in enumerate(halves)))
        whole.take(reading("a", str(len(halves)), begin, end))
        assert groups(whole) == groups(pieces)


def test_a_day_begins_at_local_midnight() -> None:
    made = books("day", "Asia/Kathmandu")
    made.take(reading("a", "4", "2024-01-10T17:15+00:00", "2024-01-10T19:15+00:00"))
    assert groups(made) == {"2024-01-10": 2_000_000, "2024-01-11": 2_000_000}
    assert amounts(made.charges) == [22]


def test_each_record_session_or_resource_fills_tiers_of_its_own() -> None:
    for per, expected in (("record", [11, 11, 11]), ("session", [11, 2, 11]), ("resource", [11, 11, 2])):
        made = books(per, **({"resource": "user"} if per == "resource" else {}))
        for number, (session, user) in enumerate((("s", "a"), ("s", "b"), ("t", "a"))):
            record = in_session(reading(f"r{number}", "2", "2024-01-10"), session)
            made.take(replace(record, attributes={"user": user}))
        assert amounts(made.charges) == expected


def test_a_record_without_a_session_is_one_by_itself() -> None:
    made = books("session")
    made.take(reading("a", "2", "2024-01-10"), reading("b", "2", "2024-01-10"))
    assert amounts(made.charges) == [11, 11]


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_parts_of_a_session_cost_what_it_would_in_one_record(parts: int) -> None:
    call: Json = {
        "model": "call",
        "connection_fee": "1",
        "slots": [{"rate": "6", "unit_s": 60, "increment_s": 60}],
    }
    made = books("period", price=call)
    for number in range(parts):
        record = reading(f"r{number}", str(Decimal(120) / parts), f"2024-01-10T10:0{number}")
        made.take(in_session(record, "one"))
    assert money(made.only().exact) == 13


def test_each_period_and_version_prices_its_own_part_of_a_session() -> None:
    """A record is never cut; the parts of a session that begin in another range are priced by that one."""
    plans = [
        tariff(version=version, effective_from=date, meters={"power": {"unit": "s", "priced_per": "session", **price}})
        for version, date, price in (
            ("1", "2000-01-01", {"price": per_unit("1")}),
            ("2", "2024-01-16", {"price": per_unit("2")}),
        )
    ]
    parts = [
        in_session(reading("a", "2", "2024-01-15T23:00", "2024-01-16T01:00"), "one"),
        in_session(reading("b", "2", "2024-01-16T01:00", "2024-01-16T02:00"), "one"),
        in_session(reading("c", "2", "2024-01-31T23:00", "2024-02-01T01:00"), "two"),
        in_session(reading("d", "2", "2024-02-01T01:00", "2024-02-01T02:00"), "two"),
    ]
    for order in (parts, parts[::-1]):
        made = Books(plans, closes=False)
        made.take(*order)
        assert sorted((c.usage_id, money(c.amount)) for c in made.charges) == [("a", 2), ("b", 4), ("c", 4), ("d", 4)]
        assert [money(s.exact) for s in made.close_all()] == [10, 4]


def test_what_each_costs_is_rounded_where_that_is_asked_for() -> None:
    made = books("record", price=per_unit("0.333"), round_each={"decimals": 2, "mode": "up"})
    made.take(reading("a", "1", "2024-01-10"), reading("b", "1", "2024-01-10"))
    assert amounts(made.charges) == [Decimal("0.34")] * 2
    made.take(reading("c", None, "2024-01-10", corrects="a"))
    assert money(made.only().exact) == Decimal("0.34")
