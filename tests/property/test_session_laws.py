"""Laws of sessions and of borders in time: how usage is cut into records, and what lies beside it, changes nothing."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.calendar import Calendar
from schemas.instants import SECOND_US, from_us, to_us
from schemas.statement import Statement
from schemas.tariff import Tariff
from schemas.usage import UsageRecord
from tests.property.price_documents import CARRIED, HOLIDAYS, KINDS, SEASONS, decimals, items, prices
from tests.property.strategies import ATTRIBUTES, FIRST, SPAN_MINUTES, ZONES, World, examples, plain_usage, tariffs
from tests.property.test_pipeline_laws import closed, money
from tests.small_books import Json, account, tariff

BORDER_ZONES = (*ZONES, "America/New_York", "America/Los_Angeles")


def cut(record: UsageRecord, seconds: Sequence[int], *, whole_quantity: bool = False) -> list[UsageRecord]:
    """Partial records of a record of so many whole millionths a second; the first keeps its id."""
    length = (to_us(record.end) - to_us(record.start)) // SECOND_US
    per_second = (record.quantity or Decimal(0)) / length
    parts = []
    for number, (low, high) in enumerate(pairwise([0, *sorted(seconds), length])):
        parts.append(
            replace(
                record,
                id=f"{record.id}-{number}" if number else record.id,
                quantity=record.quantity if whole_quantity else per_second * (high - low),
                start=record.start + timedelta(seconds=low),
                end=record.start + timedelta(seconds=high),
            )
        )
    return parts


def sessions(begins: Sequence[datetime], data: st.DataObject) -> Iterator[tuple[UsageRecord, list[UsageRecord]]]:
    """Sessions that begin then, each as one record and in parts, at an even rate."""
    for number, begin in enumerate(begins):
        length = data.draw(st.integers(2, 7_000))
        quantity = Decimal(length * data.draw(st.integers(0, 3_000))).scaleb(-6)
        attributes = data.draw(st.sampled_from(ATTRIBUTES))
        session = UsageRecord(
            id=f"r{number}",
            account="home",
            meter="power",
            quantity=quantity,
            start=begin,
            end=begin + timedelta(seconds=length),
            session=f"s{number}",
            attributes=attributes,
        )
        yield session, cut(session, data.draw(st.lists(st.integers(1, length - 1), max_size=4, unique=True)))


SESSION_KINDS = ("call", "charging", "per-session")


@pytest.mark.parametrize("kind", SESSION_KINDS)
@examples(100)
@given(st.data(), st.sampled_from(ZONES), st.lists(st.integers(0, 15 * 1440), min_size=1, max_size=3, unique=True))
def test_a_session_in_parts_costs_what_it_costs(kind: str, data: st.DataObject, zone: str, begins: list[int]) -> None:
    """Flat fees, included seconds, steps, limits and tiers count the session, not its records."""
    item = data.draw(items(kind)) if kind in KINDS else {"priced_per": "session", "price": data.draw(_due_with_usage)}
    document = tariff(meters={"power": {"unit": "kWh", **item}}, seasons=SEASONS, holidays=HOLIDAYS)
    world = World((document,), account(zone=zone))
    both = list(sessions([FIRST + timedelta(minutes=minute) for minute in begins], data))
    parts = data.draw(st.permutations([part for _, of in both for part in of]))
    assert money(closed(world, parts)) == money(closed(world, [session for session, _ in both]))


_due_with_usage = prices.map(lambda price: {key: of for key, of in price.items() if key != "first_flat_fee"})


@st.composite
def spread_items(draw: st.DrawFn) -> Json:
    """Items whose usage is spread over its time and counts by its quantity alone."""
    item = draw(items("summed", "grouped", "pro-rata", "chronological"))
    convert = dict(item.get("convert", {}))
    if convert.get("round_per") == "record":
        item["convert"] = {**convert, "round_per": "total"}
    if item.get("aggregation", {}).get("function", "sum") not in ("sum", "demand"):
        del item["aggregation"]
    if item.get("priced_per") in ("record", "session"):
        del item["priced_per"]
    return item


@examples(80)
@given(st.data(), st.sampled_from(BORDER_ZONES), st.integers(0, SPAN_MINUTES), st.integers(1, 4_000))
def test_a_change_of_tariff_inside_a_session_is_the_sum_of_its_parts(
    data: st.DataObject, zone: str, before: int, after: int
) -> None:
    """At midnight, and anywhere else: the parts before and after it cost what all of it costs."""
    item, other = data.draw(spread_items()), data.draw(spread_items())
    if _by_hours(item) != _by_hours(other):
        other = item
    midnight = FIRST.replace(tzinfo=ZoneInfo(zone)) + timedelta(days=data.draw(st.integers(1, 60)))
    border = from_us(to_us(midnight))
    start, end = border - timedelta(minutes=1 + before % 4_000), border + timedelta(minutes=after)
    seconds = int((end - start).total_seconds())
    quantity = Decimal(seconds * data.draw(st.integers(0, 2_000))).scaleb(-6)
    attributes = data.draw(st.sampled_from(ATTRIBUTES))
    whole = UsageRecord("whole", "home", "power", quantity, start, end, attributes=attributes)
    first = _priced(item, version="1")
    second = _priced(other, version="2", effective_from=f"{midnight:%Y-%m-%d}")
    world = World((first, second), account(zone=zone))
    others = data.draw(st.lists(st.integers(1, seconds - 1), max_size=3, unique=True))
    parts = cut(whole, [*{*others, int((border - start).total_seconds())}], whole_quantity=_by_hours(item))
    assert money(closed(world, parts)) == money(closed(world, [whole]))


def _by_hours(item: Json) -> bool:
    return bool(item.get("convert", {}).get("times") == "hours")


def _priced(item: Json, **rest: Any) -> Tariff:  # noqa: ANN401 - any key of a tariff document
    return tariff(meters={"power": {"unit": "kWh", **item}}, seasons=SEASONS, holidays=HOLIDAYS, **rest)


@examples(80)
@given(
    tariffs(*(kind for kind in KINDS if kind != CARRIED)),
    decimals(0, 50, 6),
    st.sampled_from(BORDER_ZONES),
    st.sampled_from([1, 15, 31]),
    plain_usage(),
    st.sampled_from(ATTRIBUTES),
)
def test_one_second_over_the_end_of_a_period_changes_these_two_periods_alone(
    of: Tariff, quantity: str, zone: str, billing_day: int, records: list[UsageRecord], attributes: dict[str, str]
) -> None:
    """Each statement is what it would be without the event, or with it; and no other one changes."""
    world = World((of,), account(zone=zone, billing_day=billing_day))
    _, border = Calendar(ZoneInfo(zone), billing_day).period(to_us(FIRST + timedelta(days=25)))
    anchors = [replace(records[0], id=f"a{n}", start=at, end=at) for n, at in enumerate(_months_about(from_us(border)))]
    others = [*anchors, *(replace(record, id=f"other-{record.id}", session=None) for record in records)]

    def statements(at: int | None) -> dict[int, Statement]:
        instant = from_us(at or border)
        event = UsageRecord("event", "home", "power", Decimal(quantity), instant, instant, attributes=attributes)
        return {s.period_start: s for s in closed(world, others if at is None else [*others, event])}

    before, after, without = statements(border - SECOND_US), statements(border), statements(None)
    assert before.keys() == after.keys() == without.keys()
    for start, statement in without.items():
        if start != border:
            assert money([after[start]]) == money([statement])
        if statement.period_end != border:
            assert money([before[start]]) == money([statement])


def _months_about(instant: datetime) -> list[datetime]:
    return [instant + timedelta(days=days) for days in (-40, -5, 5, 40, 70)]
