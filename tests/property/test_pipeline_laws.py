"""Laws of the pipeline, for any tariff and any usage: charges and statements agree, and only the usage counts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from pipeline.calendar import Calendar
from schemas.fixed_point import AMOUNT_ONE, QUANTITY_ONE
from schemas.instants import SECOND_US, from_us, to_us
from schemas.statement import LineKind, Statement
from schemas.usage import UsageRecord
from tests.property.price_documents import SEASONS, decimals, meters, unit_prices
from tests.property.strategies import (
    FIRST,
    SPAN_MINUTES,
    ZONES,
    World,
    examples,
    plain_usage,
    usage,
    worlds,
)
from tests.small_books import Books, account, per_unit, reading, tariff


def closed(world: World, records: Sequence[UsageRecord]) -> list[Statement]:
    """All statements of the records, closed at the end."""
    books = world.books(closes=False)
    books.take(*records)
    return books.close_all()


def in_order(records: Sequence[UsageRecord]) -> list[UsageRecord]:
    """By event time, and then in an order that is certain, as `rate` takes them."""
    return sorted(records, key=lambda usage: (usage.start, usage.end, usage.corrects or "", usage.id))


@examples(100)
@given(worlds(), usage())
def test_charges_add_up_to_their_statement(world: World, records: list[UsageRecord]) -> None:
    """Whatever comes late, is corrected or refused; and each statement is the sum of its lines and taxes."""
    books = world.books()
    books.take(*records)
    books.close_all()
    for statement in books.statements:
        charges = [c for c in books.charges if c.statement_start == statement.period_start]
        assert sum(charge.amount for charge in charges) == statement.exact
        assert len(charges) == statement.charges
        assert sum(line.exact for line in statement.lines) == statement.exact
        if all(of.rounding.at == "line" for of in world.tariffs):
            assert sum(line.amount for line in statement.lines) == statement.net
        assert statement.due == statement.total - sum(one.amount for one in statement.settlements)
        assert statement.total == statement.net + statement.tax
        assert statement.tax == sum(tax.amount for tax in statement.taxes)
        running = [charge.running_total for charge in charges]
        assert running == [sum(charge.amount for charge in charges[: n + 1]) for n in range(len(charges))]
    stated = {statement.period_start for statement in books.statements}
    assert {charge.statement_start for charge in books.charges} <= stated
    for charge in books.charges:
        assert charge.amount == sum(part.amount for part in charge.parts)
        assert charge.statement_start >= charge.period_start or charge.kind == "recurring"


@examples(100)
@given(worlds(), usage(), st.data())
def test_shuffled_and_repeated_records_taken_in_order_give_the_same_bytes(
    world: World, records: list[UsageRecord], data: st.DataObject
) -> None:
    repeated = data.draw(st.permutations([r for r in records for _ in range(data.draw(st.integers(2, 5)))]))
    assert json.encode(closed(world, in_order(repeated))) == json.encode(closed(world, in_order(records)))


def facts(statement: Statement) -> Statement:
    """Without what tells in which order its charges were made."""
    return replace(statement, charges=0, charges_digest="")


@examples(100)
@given(worlds(), plain_usage(), st.data())
def test_any_order_comes_to_the_same(world: World, records: list[UsageRecord], data: st.DataObject) -> None:
    repeated = data.draw(st.permutations([r for r in records for _ in range(data.draw(st.integers(2, 5)))]))
    assert [facts(s) for s in closed(world, repeated)] == [facts(s) for s in closed(world, records)]


@examples(100)
@given(worlds(), plain_usage(least=2), st.data())
def test_what_came_late_is_paid_in_the_end(world: World, records: list[UsageRecord], data: st.DataObject) -> None:
    """Closed on the way or all at the end, the exact amounts come to the same where nothing came too late."""
    patient = tuple(
        t.model_copy(update={"closing": t.closing.model_copy(update={"lateness_s": 300 * 86_400})})
        for t in world.tariffs
    )
    world = World(patient, world.account)
    late = world.books()
    outcome = late.take(*data.draw(st.permutations(records)))
    late.close_all()
    once = world.books(closes=False)
    others = once.take(*records)
    once.close_all()
    assert len(outcome.refusals) == len(others.refusals)
    if len(late.statements) == len(once.statements):
        assert sum(s.exact for s in late.statements) == sum(s.exact for s in once.statements)
        assert [_net_of_usage(late, s) for s in once.statements] == [_net_of_usage(once, s) for s in once.statements]


def _net_of_usage(books: Books, of: Statement) -> int:
    """What was printed for a period: on its own statement and as adjustments on later ones."""
    own = next(s for s in books.statements if s.period_start == of.period_start)
    adjusted = sum(
        line.amount
        for statement in books.statements
        for line in statement.lines
        if line.kind is LineKind.ADJUSTMENT and line.period_start == of.period_start
    )
    adjustments = sum(line.amount for line in own.lines if line.kind is LineKind.ADJUSTMENT)
    return own.net - adjustments + adjusted


@examples(100)
@given(worlds(), plain_usage(), st.data())
def test_a_void_and_the_record_again_are_the_record_once(
    world: World, records: list[UsageRecord], data: st.DataObject
) -> None:
    chosen = data.draw(st.sampled_from(records))
    void = replace(chosen, id="void", quantity=None, corrects=chosen.id)
    again = replace(chosen, id="again")
    repeated = data.draw(st.permutations([*records, void, again]))
    assert money(closed(world, repeated)) == money(closed(world, records))


@examples(100)
@given(worlds(), plain_usage(), plain_usage(most=1), st.data())
def test_a_replacement_is_a_void_and_a_new_record(
    world: World, records: list[UsageRecord], other: list[UsageRecord], data: st.DataObject
) -> None:
    chosen = data.draw(st.sampled_from(records))
    new = replace(other[0], id="new")
    void = replace(chosen, id="void", quantity=None, corrects=chosen.id)
    one = data.draw(st.permutations([*records, replace(new, corrects=chosen.id)]))
    two = data.draw(st.permutations([*records, void, new]))
    if _refused(world, one) == _refused(world, records) == _refused(world, two):
        assert money(closed(world, one)) == money(closed(world, two))


def test_a_replaced_change_of_a_level_is_not_carried_on() -> None:
    """Where the new one is the first usage of its period: its level began with the old one's."""
    level = tariff(meters={"power": {"unit": "seat", "aggregation": {"function": "average"}, "price": per_unit("1")}})
    old, new = reading("old", "1", "2024-01-15"), reading("new", "1", "2024-02-01", corrects="old")
    january, february = closed(World((level,), account()), [old, new])
    assert (january.exact, february.exact) == (0, AMOUNT_ONE)


def _refused(world: World, records: Sequence[UsageRecord]) -> int:
    return len(world.books(closes=False).take(*records).refusals)


def money(statements: Sequence[Statement]) -> list[tuple[object, ...]]:
    """Lines in a certain order, taxes and totals: what the customer sees."""
    return [
        (s.period_start, sorted(map(json.encode, s.lines)), s.taxes, s.exact, s.net, s.tax, s.total) for s in statements
    ]


@examples(100)
@given(
    meters(),
    st.sampled_from(ZONES),
    st.integers(0, SPAN_MINUTES),
    st.integers(1, 9_000),
    st.integers(0, 2_000),
    st.data(),
)
def test_parts_of_a_record_cost_what_it_costs(
    meter: dict[str, Any], zone: str, start: int, minutes: int, per_second: int, data: st.DataObject
) -> None:
    """Consecutive parts at an even rate, cut anywhere: across bands, seasons, clock changes and periods."""
    begin = FIRST + timedelta(minutes=start)
    end = begin + timedelta(minutes=minutes)
    cuts = sorted(data.draw(st.sets(st.integers(1, minutes * 60 - 1), max_size=5)))
    borders = [begin, *(begin + timedelta(seconds=cut) for cut in cuts), end]

    def record(usage_id: str, low: datetime, high: datetime) -> UsageRecord:
        quantity = Decimal((to_us(high) - to_us(low)) // SECOND_US * per_second).scaleb(-6)
        return UsageRecord(usage_id, "home", "power", quantity, low, high)

    world = World((tariff(**meter, seasons=SEASONS, holidays=["01-26", "2024-02-29"]),), account(zone=zone))
    parts = [record(f"p{n}", *ends) for n, ends in enumerate(pairwise(borders))]
    assert money(closed(world, parts)) == money(closed(world, [record("whole", begin, end)]))


@examples(100)
@given(unit_prices, decimals(0, 50, 6), st.sampled_from(ZONES), st.sampled_from([1, 15, 31]), plain_usage())
def test_one_second_over_the_end_of_a_period_moves_an_event_and_nothing_else(
    unit_price: str, quantity: str, zone: str, billing_day: int, records: list[UsageRecord]
) -> None:
    world = World((tariff(per_unit(unit_price)),), account(zone=zone, billing_day=billing_day))
    _, border = Calendar(ZoneInfo(zone), billing_day).period(to_us(FIRST + timedelta(days=25)))
    others = [replace(record, id=f"other-{record.id}") for record in records]

    def exact(at: int) -> dict[int, int]:
        event = UsageRecord("event", "home", "power", Decimal(quantity), from_us(at), from_us(at))
        sums = dict.fromkeys((border - SECOND_US, border), 0)
        for statement in closed(world, [*others, event]):
            for instant in sums:
                if statement.period_start <= instant < statement.period_end:
                    sums[instant] = statement.exact
        return sums

    before, after = exact(border - SECOND_US), exact(border)
    amount = int(Decimal(quantity) * QUANTITY_ONE) * int(Decimal(unit_price).scaleb(12))
    assert before[border - SECOND_US] - after[border - SECOND_US] == amount
    assert after[border] - before[border] == amount
