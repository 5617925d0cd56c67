"""The law of all laws: what is charged is what the tariff says, by an independent reading of it in fractions.

Every line agrees to the last stored digit (10⁻¹⁸), so what is converted, shared or taken in percent is multiplied first
and rounded once.
"""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.calendar import Calendar
from schemas.fixed_point import AMOUNT_ONE
from schemas.instants import from_us, to_us
from schemas.statement import LineKind, Statement
from schemas.usage import UsageRecord
from tests.property.price_documents import HOLIDAYS, SEASONS, chargings, items
from tests.property.reference_charging import limited, session_cost
from tests.property.reference_items import Month, Use, cost_of
from tests.property.reference_prices import rounded
from tests.property.strategies import ATTRIBUTES, FIRST, ZONES, examples
from tests.small_books import Books, Json, account, at, reading, tariff

LONGEST_MINUTES = 61
IN_STEPS = ("call", "percentage")
"""Prices whose lines the reference does not tell apart."""


@st.composite
def months(draw: st.DrawFn) -> tuple[Month, int]:
    """A billing period about February, and its billing day."""
    zone, billing_day = ZoneInfo(draw(st.sampled_from(ZONES))), draw(st.sampled_from([1, 15, 31]))
    start, end = Calendar(zone, billing_day).period(to_us(FIRST + timedelta(days=25)))
    return Month(from_us(start), from_us(end), zone), billing_day


@st.composite
def month_usage(draw: st.DrawFn, month: Month) -> list[UsageRecord]:
    """Records that begin at different moments of the month; spread evenly, each minute has whole millionths."""
    minutes = (month.end - month.start) // timedelta(minutes=1) - LONGEST_MINUTES
    begins = draw(st.lists(st.integers(0, minutes), min_size=1, max_size=8, unique=True))
    records = []
    for number, begin in enumerate(begins):
        length = draw(st.sampled_from([0, 0, 15, LONGEST_MINUTES]))
        per_minute = draw(st.one_of(st.integers(0, 20_000), st.integers(-2_000, 2_000))) * 1_000
        start = month.start + timedelta(minutes=begin)
        records.append(
            UsageRecord(
                id=f"r{number}",
                account="home",
                meter="power",
                quantity=Decimal(per_minute if length else per_minute * 15).scaleb(-6),
                start=start,
                end=start + timedelta(minutes=length),
                session=draw(st.sampled_from([None, "s1", "s2"])),
                attributes=draw(st.sampled_from(ATTRIBUTES)),
            )
        )
        if length:
            quantity = Decimal(per_minute * length).scaleb(-6)
            records[-1] = UsageRecord(**{**_fields(records[-1]), "quantity": quantity})
    return records


def _fields(record: UsageRecord) -> Json:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def stated(item: Json, records: Sequence[UsageRecord], month: Month, billing_day: int) -> Statement:
    """The month's statement of the pipeline."""
    rules = {"unit": "kWh", "negative": "accept", **item}
    document = tariff(meters={"power": rules}, seasons=SEASONS, holidays=HOLIDAYS)
    books = Books(document, account(zone=month.zone.key, billing_day=billing_day), closes=False)
    assert books.take(*records).refusals == []
    return next(s for s in books.close_all() if s.period_start == to_us(month.start))


@pytest.mark.parametrize("kind", ["summed", "grouped", "chronological", "level", "percentage", "call"])
@examples(100)
@given(st.data(), months())
def test_every_line_is_what_the_tariff_says(kind: str, data: st.DataObject, about: tuple[Month, int]) -> None:
    month, billing_day = about
    item = data.draw(items(kind))
    records = data.draw(month_usage(month))
    statement = stated(item, records, month, billing_day)
    by_tier = kind not in IN_STEPS
    found: dict[tuple[str, int], Fraction] = {}
    for line in statement.lines:
        if line.kind is LineKind.USAGE:
            key = (line.band, line.tier if by_tier else 0)
            found[key] = found.get(key, Fraction(0)) + Fraction(line.exact, AMOUNT_ONE)
    uses = [Use(r.id, r.start, r.end, Fraction(r.quantity or 0), r.session, r.attributes or {}) for r in records]
    expected: dict[tuple[str, int], Fraction] = {}
    for band, tier, exact in cost_of(item, uses, month):
        key = (band, tier if by_tier else 0)
        expected[key] = expected.get(key, Fraction(0)) + rounded(exact)
    assert {key: amount for key, amount in found.items() if amount} == {k: e for k, e in expected.items() if e}


@examples(80)
@given(st.data(), chargings(), st.sampled_from(ZONES), st.lists(st.integers(0, 14 * 1440), min_size=1, max_size=3))
def test_a_charging_session_is_what_the_tariff_says(
    data: st.DataObject, price: Json, zone: str, begins: list[int]
) -> None:
    """Periods of a hundred seconds and more, at powers that reach each bound of energy on a moment that is watched."""
    records = []
    for number, begin in enumerate(sorted(begins)):
        start = FIRST + timedelta(minutes=begin)
        seconds = 100 * data.draw(st.integers(1, 40))
        quantity = Decimal(seconds * data.draw(st.sampled_from([0, 1_000, 5_000]))).scaleb(-6)
        attributes = data.draw(st.sampled_from(ATTRIBUTES))
        end = start + timedelta(seconds=seconds)
        records.append(
            UsageRecord(f"r{number}", "home", "power", quantity, start, end, session="s", attributes=attributes)
        )
    document = tariff(meters={"power": {"unit": "kWh", "price": price}})
    books = Books(document, account(zone=zone), closes=False)
    books.take(*data.draw(st.permutations(records)))
    (statement,) = books.close_all()
    uses = [Use(r.id, r.start, r.end, Fraction(r.quantity or 0), r.session, r.attributes or {}) for r in records]
    net = sum((rounded(amount) for amount in session_cost(price, uses, ZoneInfo(zone))), Fraction(0))
    assert Fraction(statement.exact, AMOUNT_ONE) == limited(price, net, uses)


def test_a_level_is_divided_once() -> None:
    """0.03 ÷ 7 × 10⁻¹² × 26 ÷ 29 days ends in 3842.36…: rounded before the days are counted, it would end in 3843."""
    item = {
        "price": {"model": "per_unit", "unit_price": "0.000000000001"},
        "aggregation": {"function": "level"},
        "convert": {"unit": "seat", "divide_by": "7"},
    }
    month = Month(at("2024-02-01"), at("2024-03-01"), ZoneInfo("UTC"))
    statement = stated(item, [reading("r", "0.03", "2024-02-04")], month, 1)
    assert statement.exact == 3842
