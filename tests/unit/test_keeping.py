"""Keeping: what a price needs beside quantities stays exact through corrections, restarts, lateness and any order."""

from itertools import permutations
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from pipeline.keeping import Fact, with_facts
from pipeline.pricing.aggregates import compile_aggregate
from pipeline.pricing.bands import BandPrices
from pipeline.pricing.grouping import Grouped, Per
from pipeline.pricing.models import compile_price
from schemas.aggregation import Aggregation
from schemas.price import PerUnit
from schemas.statement import Statement
from schemas.usage import UsageRecord
from tests.small_books import Books, Json, amounts, graduated, money, per_unit, reading, tariff

TIERS = graduated(("4", "1", "3"), (None, "0.5", "1"))
DAY_NIGHT: list[Json] = [{"name": "day", "hours": ["08:00-20:00"], "price": TIERS}, {"name": "night", "price": TIERS}]
CALL: Json = {
    "model": "call",
    "connection_fee": "0.1",
    "included_s": 3,
    "slots": [{"rate": "1", "unit_s": 60, "increment_s": 2}],
}
CHARGING: Json = {
    "model": "charging",
    "elements": [{"components": [{"dimension": "energy", "price": "0.3", "step": 900, "tax_percent": "20"}]}],
}
PERCENTAGE: Json = {"model": "percentage", "percent": "10", "fixed_per_event": "1", "free_events": 2}


def aggregated(function: str, **rest: object) -> Json:
    return {"aggregation": {"function": function, **rest}, "price": TIERS}


ITEMS: dict[str, Json] = {
    "max": aggregated("max"),
    "latest": aggregated("latest"),
    "unique": aggregated("unique", attribute="user"),
    "percentile": aggregated("percentile", percentile="50"),
    "demand": aggregated("demand", interval_minutes=15),
    "average": aggregated("average"),
    "level": aggregated("level"),
    "count": aggregated("count", at_least="3"),
    "floor": aggregated("sum", at_least="6"),
    "record": {"priced_per": "record", "price": TIERS, "round_each": {"decimals": 0, "mode": "up"}},
    "session": {"priced_per": "session", "price": TIERS},
    "hour": {"priced_per": "hour", "price": TIERS},
    "day": {"priced_per": "day", "price": TIERS, "discount_percent": "10", "maximum": "9"},
    "resource": {"priced_per": "resource", "resource": "user", "price": TIERS},
    "demand in bands": {**aggregated("demand"), "price": None, "bands": DAY_NIGHT},
    "chronological": {"tiers_across_bands": "chronological", "bands": DAY_NIGHT},
    "converted": {"convert": {"unit": "v", "divide_by": "3", "times": "hours", "round": "up"}, "price": TIERS},
    "percentage": {"price": PERCENTAGE},
    "call": {"price": CALL},
    "charging": {"price": CHARGING},
}
every_item = pytest.mark.parametrize("name", ITEMS)


def books(name: str, **rest: object) -> Books:
    closes = bool(rest.pop("closes", False))
    item = {"unit": "kWh", **{key: value for key, value in ITEMS[name].items() if value is not None}}
    return Books(tariff(meters={"power": item}, closing={"lateness_s": 20_000_000, **rest}), closes=closes)


def used(
    usage_id: str, quantity: str | None, start: str, end: str | None = None, user: str = "a", **rest: str
) -> UsageRecord:
    return replace(reading(usage_id, quantity, start, end, **rest), attributes={"user": user})


RECORDS = (
    used("a", "3", "2024-01-10T07:30", "2024-01-10T08:20", session="one"),
    used("b", "5.5", "2024-01-10T08:20", "2024-01-10T08:50", session="one", user="b"),
    used("c", "3", "2024-01-10T08:20", "2024-01-10T08:50", user="c"),
    used("d", "1.25", "2024-01-31T23:40", "2024-02-01T00:20", session="two"),
    used("e", "4", "2024-02-10T07:00", "2024-02-10T09:00", session="three"),
)


def facts(statements: list[Statement]) -> list[Statement]:
    """Without what tells in which order charges were made."""
    return [replace(statement, charges=0, charges_digest="") for statement in statements]


@every_item
def test_any_order_any_repetition_and_any_restart_come_to_the_same(name: str) -> None:
    expected = books(name)
    expected.take(*RECORDS)
    statements = expected.close_all()
    assert statements[0].usage_records == 4
    for order in [*permutations(RECORDS)][::17]:
        made = books(name)
        for record in order:
            made.take(record)
            made.restart()
            assert made.take(record).duplicates == 1
        assert facts(made.close_all()) == facts(statements)


@every_item
def test_a_void_leaves_nothing_whenever_it_comes(name: str) -> None:
    expected = books(name)
    expected.take(*RECORDS[1:])
    amounts_due = [s.exact for s in expected.close_all()]
    voided = replace(RECORDS[0], id="void", quantity=None, corrects="a", attributes=None, session=None)
    for order in ((*RECORDS, voided), (voided, *RECORDS), (*RECORDS[:2], voided, *RECORDS[2:])):
        made = books(name)
        for record in order:
            made.take(record)
            made.restart()
        assert [s.exact for s in made.close_all()] == amounts_due


@every_item
def test_voiding_everything_costs_nothing(name: str) -> None:
    made = books(name)
    for record in RECORDS:
        made.take(record)
        made.take(replace(record, id=f"-{record.id}", quantity=None, corrects=record.id, attributes=None))
    assert sum(charge.amount for charge in made.charges) == 0
    assert all(not totals.groups for p in made.state().held() for totals in p.totals.values())
    assert [s.exact for s in made.close_all()] == [0, 0]


@every_item
def test_a_void_and_the_same_again_is_the_record_once(name: str) -> None:
    once, twice = books(name), books(name)
    once.take(*RECORDS)
    twice.take(*RECORDS, replace(RECORDS[0], id="a2", corrects="a"))
    assert [s.exact for s in once.close_all()] == [s.exact for s in twice.close_all()]


@every_item
@pytest.mark.parametrize("late", ["next-statement", "revision"])
def test_late_usage_is_paid_as_if_it_had_been_in_time(name: str, late: str) -> None:
    in_time = books(name)
    in_time.take(*RECORDS)
    exact = {s.period_start: s.exact for s in in_time.close_all()}
    made = books(name, closes=True, late=late)
    made.take(RECORDS[0], RECORDS[2], used("march", "0", "2024-03-10", user="z"))
    void = used("void", None, "2024-03-10", corrects="march")
    for record in (RECORDS[3], RECORDS[4], RECORDS[1], void):
        outcome = made.take(record)
        assert outcome.refusals == []
        assert outcome.late == (record.corrects is None)
        made.restart()
    made.close_all()
    paid: dict[int, int] = {}
    for charge in made.charges:
        paid[charge.period_start] = paid.get(charge.period_start, 0) + charge.amount
    assert {start: paid[start] for start in exact} == exact
    if late == "revision":
        final = {s.period_start: s.exact for s in made.statements}
        assert {start: final[start] for start in exact} == exact


def grouped(function: str, per: Per = "period", *, is_sum: bool = False) -> Grouped:
    price = compile_price(PerUnit.model_validate(per_unit("1")), 31)
    return Grouped(
        aggregate=compile_aggregate(Aggregation.model_validate({"function": function})),
        numerator=1,
        prices=BandPrices(("",), (price,)),
        per=per,
        resource="",
        zone=ZoneInfo("UTC"),
        attributes=(),
        is_whole=True,
        is_sum=is_sum,
        is_weighed=True,
    )


def test_only_the_groups_that_change_are_told() -> None:
    kept = grouped("max", "session")
    one, two = Fact(b"1", 0, 1, 5, session="a"), Fact(b"2", 0, 1, 7, session="b")
    groups = with_facts(kept, {}, [one], 1)
    assert groups == {"a": (one,)}
    assert with_facts(kept, groups, [two], 1) == {"b": (two,)}
    assert with_facts(kept, groups, [one], -1) == {"a": ()}


def test_facts_stay_in_the_order_of_time() -> None:
    kept = grouped("max")
    first, second, third = Fact(b"9", 0, 5, 1), Fact(b"1", 0, 9, 1), Fact(b"5", 3, 3, 1)
    groups = with_facts(kept, {}, [third, second, first], 1)
    assert groups == {"": (first, second, third)}


def test_of_a_sum_only_the_sum_is_kept_and_nothing_where_it_is_nothing() -> None:
    kept = grouped("sum", is_sum=True)
    one, two = Fact(b"1", 0, 1, 5, attributes={"user": "a"}), Fact(b"2", 2, 3, 7, band=1)
    groups = with_facts(kept, {}, [one, two, one], 1)
    assert [(f.key, f.band, f.quantity, f.attributes) for f in groups[""]] == [(b"", 0, 10, {}), (b"", 1, 7, {})]
    assert [f.quantity for f in with_facts(kept, groups, [one, one], -1)[""]] == [7]
    assert with_facts(kept, {}, [replace(one, quantity=0)], 1) == {"": ()}


def test_a_floor_is_due_no_longer_when_all_usage_is_taken_out() -> None:
    made = books("floor")
    made.take(used("a", "2", "2024-01-10"))
    assert amounts(made.charges) == [3 + 4 + 1 + 1]
    made.take(used("b", None, "2024-01-10", corrects="a"))
    assert money(sum(charge.amount for charge in made.charges)) == 0
