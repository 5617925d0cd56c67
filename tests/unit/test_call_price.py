"""Call prices: published calls, included seconds in order of time, and calls told in any number of records."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import permutations

import pytest
from pydantic import ValidationError

from pipeline.keeping import Fact
from pipeline.pricing.call import compile_call
from schemas.charge import Part
from schemas.fixed_point import AMOUNT_SCALE, PRICE_SCALE, QUANTITY_ONE, QUANTITY_SCALE, to_decimal, to_fixed, to_text
from schemas.instants import SECOND_US
from schemas.session_price import Call
from tests.small_books import Json

HOUR_S = 3600
CGRATES: Json = {"increment_decimals": 5, "decimals": 4, "mode": "up"}


def slot(from_s: int, rate: str, unit_s: int, increment_s: int) -> Json:
    return {"from_s": from_s, "rate": rate, "unit_s": unit_s, "increment_s": increment_s}


def call(*slots: Json, **more: object) -> Json:
    return {"model": "call", "slots": list(slots), **more}


def fact(key: str, seconds: str, *, at_s: int = 0, session: str = "") -> Fact:
    quantity = to_fixed(Decimal(seconds), QUANTITY_SCALE)
    start = at_s * SECOND_US
    return Fact(key.encode(), start, start + quantity, quantity, session=session)


def parts(document: Json, *facts: Fact) -> list[Part]:
    return compile_call(Call.model_validate(document)).price(facts)


def total(found: Sequence[Part]) -> Decimal:
    return to_decimal(sum(part.amount for part in found), AMOUNT_SCALE)


def cost(document: Json, *facts: Fact) -> Decimal:
    return total(parts(document, *facts))


TEN = call(slot(0, "0.1", 60, 60), slot(60, "0.05", 60, 1), connection_fee="0.2")
TWENTY = call(slot(0, "0.2", 60, 60), slot(60, "0.1", 60, 1), connection_fee="0.4")
FORTY = call(slot(0, "0.4", 60, 30), slot(60, "0.2", 60, 10), connection_fee="0.8")
CANADA = call(slot(0, "0.006", 60, 30), slot(30, "0.006", 60, 6))
CENT_A_SECOND = call(slot(0, "0.01", 1, 1))
PER_MINUTE = call(slot(0, "0.6", 60, 60))


@pytest.mark.parametrize(
    ("document", "seconds", "amount"),
    [
        # CGRateS, each with exact increments and as CGRateS rounds
        (TEN, "90", "0.325"),
        (TEN | CGRATES, "90", "0.3249"),
        (TWENTY, "85", "0.641666666666666667"),
        (TWENTY | CGRATES, "85", "0.6418"),
        (FORTY, "20", "1"),
        (FORTY | CGRATES, "20", "1"),
        (CANADA, "32", "0.0036"),
        (CANADA, "57", "0.006"),
        (CANADA, "75", "0.0078"),
        (CENT_A_SECOND | {"maximum": "0.62"}, "70", "0.62"),
        (CENT_A_SECOND | {"maximum": "0.62", "beyond_maximum": "charged"}, "70", "0.7"),
        (call(slot(0, "0.033", 1, 1), decimals=1, mode="down"), "10", "0.3"),
        (PER_MINUTE | {"connection_fee": "0.01", "included_s": 40}, "20", "0.01"),
        # bounds of an increment and of a slot
        (CANADA, "30", "0.003"),
        (CANADA, "30.000001", "0.0036"),
        (CANADA, "36", "0.0036"),
        # an increment that reaches over the next slot's begin is priced by the slot in which it began
        (call(slot(0, "1", 1, 50), slot(60, "2", 1, 1)), "100", "100"),
        (call(slot(0, "1", 1, 50), slot(60, "2", 1, 1)), "101", "102"),
        (call(slot(0, "1", 1, 50), slot(10, "5", 1, 1), slot(50, "2", 1, 1)), "51", "52"),  # a slot leapt over
        # a call that has not lasted costs nothing, not even its connection
        (TEN, "0", "0"),
        (TEN, "0.000001", "0.3"),
        # the maximum holds for the connection fee too, and after rounding
        (TEN | {"maximum": "0.15"}, "1", "0.15"),
        (CENT_A_SECOND | {"maximum": "0.625", "decimals": 2, "mode": "up"}, "70", "0.625"),
        # whole seconds
        (CENT_A_SECOND | {"seconds": "exact"}, "10.5", "0.11"),
        (CENT_A_SECOND | {"seconds": "up"}, "10.1", "0.11"),
        (CENT_A_SECOND | {"seconds": "down"}, "10.9", "0.1"),
        (CENT_A_SECOND | {"seconds": "half-up"}, "10.5", "0.11"),
        (CENT_A_SECOND | {"seconds": "half-up"}, "10.499999", "0.1"),
    ],
)
def test_what_a_call_costs(document: Json, seconds: str, amount: str) -> None:
    assert cost(document, fact("a", seconds)) == Decimal(amount)


def test_a_call_is_rounded_from_its_exact_price() -> None:
    # Three thirds of two are two; the sum of three amounts that were each rounded would be a little more.
    third = call(slot(0, "2", 3, 1), slot(1, "4", 6, 1), slot(2, "6", 9, 1), decimals=4, mode="up")
    assert cost(third, fact("a", "3")) == 2
    assert sum(part.amount for part in parts(third, fact("a", "3")) if part.name != "rounding") != 2 * 10**AMOUNT_SCALE


def test_parts_name_what_they_are_for() -> None:
    document = TEN | {"included_s": 30, "decimals": 2, "mode": "down", "maximum": "0.25"}
    found = parts(document, fact("a", "95.5"))
    rows = [(p.name, p.tier, p.quantity // QUANTITY_ONE, to_text(p.amount, AMOUNT_SCALE)) for p in found]
    assert rows == [
        ("connection", 1, 0, "0.2"),
        ("included", 0, 30, "0"),
        ("", 1, 60, "0.1"),  # begins at second 30 and ends at 90, in the second slot
        ("", 2, 6, "0.005"),
        ("rounding", 1, 0, "-0.005"),
        ("maximum", 1, 0, "-0.05"),
    ]
    assert [p.unit_price for p in found if not p.name] == [
        to_fixed(Decimal(second), PRICE_SCALE) for second in ("0.001666666667", "0.000833333333")
    ]


def test_a_call_costs_the_same_in_any_number_and_order_of_records() -> None:
    whole = cost(TWENTY | CGRATES, fact("a", "85"))
    records = [
        fact("a", "30", session="s"),
        fact("b", "0.5", at_s=30, session="s"),
        fact("c", "54.5", at_s=31, session="s"),
    ]
    assert {cost(TWENTY | CGRATES, *order) for order in permutations(records)} == {whole}


def test_records_without_a_session_are_calls_by_themselves() -> None:
    assert cost(TEN, fact("a", "30"), fact("b", "30")) == 2 * cost(TEN, fact("a", "30"))
    assert parts(TEN, fact("a", "30"), fact("b", "30"))[0].amount == to_fixed(Decimal("0.4"), AMOUNT_SCALE)


def test_a_correction_that_takes_all_of_a_call_away_leaves_nothing() -> None:
    assert parts(TEN, fact("a", "30", session="s"), fact("b", "-30", session="s")) == []
    assert parts(TEN) == []


def test_included_seconds_go_to_the_earlier_call() -> None:
    bundle = PER_MINUTE | {"included_s": 60}
    late, early = fact("x", "120", at_s=16 * HOUR_S), fact("y", "120", at_s=15 * HOUR_S)
    assert cost(bundle, late) == Decimal("0.6")  # while nobody knows of the other call
    assert cost(bundle, late, early) == cost(bundle, early, late) == Decimal("1.8")
    # told apart by different lengths: the earlier one takes the free minute and pays nothing
    short = fact("y", "60", at_s=15 * HOUR_S)
    names = [(part.name, part.quantity // QUANTITY_ONE) for part in parts(bundle, late, short)]
    assert names == [("included", 60), ("", 120)]


def test_included_seconds_move_a_call_on_through_its_slots() -> None:
    document = call(slot(0, "1", 1, 1), slot(60, "2", 1, 1), included_s=70)
    assert cost(document, fact("a", "80")) == 20
    # The second call finds none left and starts in its first slot; calls that begin together go by their keys.
    assert cost(document, fact("b", "80"), fact("a", "80")) == 20 + 60 + 40


def test_included_seconds_that_end_within_a_call_begin_its_increments() -> None:
    assert cost(PER_MINUTE | {"included_s": 40}, fact("a", "100")) == Decimal("0.6")
    assert cost(PER_MINUTE | {"included_s": 40}, fact("a", "101")) == Decimal("1.2")


@pytest.mark.parametrize(
    ("document", "what"),
    [
        (call(), "at least 1 item"),
        (call(slot(1, "1", 60, 1)), "the first slot does not begin at second 0"),
        (call(slot(0, "1", 60, 1), slot(0, "2", 60, 1)), "from_s does not rise: the slot before begins at 0"),
        (call(slot(0, "1", 60, 0)), "must be from 1 to"),
        (call(slot(0, "1", 0, 1)), "must be from 1 to"),
        (call(slot(-1, "1", 60, 1)), "must be from 0 to"),
        (TEN | {"mode": "up"}, "there is nothing to round"),
        (TEN | {"beyond_maximum": "charged"}, "there is no maximum"),
        (TEN | {"maximum": "-1"}, "must be at least 0"),
        (TEN | {"decimals": 13}, "must be from 0 to 12"),
        (TEN | {"seconds": "half-even"}, "should be 'exact', 'up', 'down' or 'half-up'"),
        (TEN | {"minimum": "1"}, "extra"),
    ],
)
def test_what_contradicts_itself_is_refused(document: Json, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Call.model_validate(document)


def test_a_call_document_reads_back_as_written() -> None:
    document = Call.model_validate(FORTY | CGRATES | {"maximum": "5", "included_s": 60, "seconds": "up"})
    assert Call.model_validate(document.model_dump(mode="json")) == document
