"""Adjusting: late usage and corrections. What a closed statement said never changes."""

from decimal import Decimal

import pytest

from schemas.charge import ChargeKind
from schemas.rejection import Reason
from schemas.statement import LineKind, Statement
from schemas.usage import UsageRecord
from tests.small_books import (
    Books,
    Number,
    account,
    amounts,
    graduated,
    money,
    per_unit,
    printed,
    reading,
    tariff,
    units,
    volume,
)

JANUARY = reading("jan", "1", "2024-01-10")
FEBRUARY = reading("feb", "2", "2024-02-10")  # closes January
MARCH = reading("mar", "3", "2024-03-10")  # closes February
APRIL = reading("apr", "4", "2024-04-10")


def adjustments(statement: Statement) -> list[tuple[str, Number, Number]]:
    """Name, exact and printed amount of each adjustment."""
    return [
        (line.name, money(line.exact), money(line.amount))
        for line in statement.lines
        if line.kind is LineKind.ADJUSTMENT
    ]


def kinds(books: Books) -> list[tuple[ChargeKind, Number, str]]:
    """Kind, amount and what it corrects of each charge; ids of charges as that of their record."""
    records = {charge.charge_id: charge.usage_id for charge in books.charges}
    return [(c.kind, money(c.amount), records.get(c.corrects, c.corrects)) for c in books.charges]


def test_late_usage_is_an_adjustment_on_the_next_statement() -> None:
    books = Books(tariff(per_unit("1")))
    books.take(JANUARY, FEBRUARY)
    outcome = books.take(reading("late", "5", "2024-01-20"), MARCH)
    assert outcome.late == 1
    late = outcome.charges[0]
    assert (late.kind, money(late.amount), units(late.used_before)) == (ChargeKind.ADJUSTMENT, 5, 1)
    assert late.period_start < late.statement_start == books.statements[1].period_start
    january, february = books.statements
    assert (printed(january)[2], printed(february)[2]) == (1, 7)
    assert adjustments(february) == [("Adjustment of 2024-01", 5, 5)]
    assert (january.usage_records, february.usage_records, february.charges) == (1, 2, 2)


def test_late_usage_reaches_the_tiers_of_its_own_period() -> None:
    books = Books(tariff(graduated(["10", "1"], [None, "5"])))
    books.take(reading("jan", "9", "2024-01-10"), FEBRUARY, reading("late", "2", "2024-01-20"), MARCH)
    assert adjustments(books.statements[1]) == [("Adjustment of 2024-01", 6, 6)]


def test_the_amount_of_an_adjustment_is_the_difference_of_two_rounded_results() -> None:
    """0.333 is stated 0.33; with as much again it is 0.666, 0.67: the adjustment is 0.34, not 0.33."""
    books = Books(tariff(per_unit("0.001")))
    books.take(reading("jan", "333", "2024-01-10"), FEBRUARY, reading("late", "333", "2024-01-20"), MARCH)
    assert printed(books.statements[0])[2] == Decimal("0.33")
    assert adjustments(books.statements[1]) == [("Adjustment of 2024-01", Decimal("0.333"), Decimal("0.34"))]


def test_adjustments_of_one_period_on_several_statements_add_up() -> None:
    """Thirds of a cent: what has been stated in all is always the rounded whole."""
    books = Books(tariff(per_unit("0.001"), closing={"lateness_s": 20_000_000}))
    books.take(reading("jan", "4", "2024-01-10"), FEBRUARY)
    books.take(reading("l1", "4", "2024-01-20"), MARCH)
    books.take(reading("l2", "4", "2024-01-21"), APRIL)
    printed_amounts = [
        money(line.amount) for s in books.statements for line in s.lines if _of_january(line.period_start, books)
    ]
    assert printed_amounts == [0, Decimal("0.01"), 0]  # 0.004, 0.008, 0.012


def _of_january(start: int, books: Books) -> bool:
    return start == books.statements[0].period_start


def test_the_tax_of_an_adjustment_is_stated_too() -> None:
    books = Books(tariff(per_unit("0.55"), tax=[{"name": "GST", "percent": "10"}]))
    books.take(JANUARY, FEBRUARY, reading("late", "1", "2024-01-20"), MARCH)
    january, february = books.statements
    assert printed(january) == (Decimal("0.55"), Decimal("0.06"), Decimal("0.61"))  # 0.055
    assert [(tax.name, money(tax.base), money(tax.amount)) for tax in february.taxes] == [
        ("GST", Decimal("1.1"), Decimal("0.11")),
        ("GST, adjustment of 2024-01", Decimal("0.55"), Decimal("0.05")),  # 1.10 has 0.11 in all
    ]
    assert printed(february) == (Decimal("1.65"), Decimal("0.16"), Decimal("1.81"))


def test_late_usage_lowers_the_true_up_of_its_period() -> None:
    books = Books(tariff(per_unit("1"), minimum={"amount": "10"}))
    books.take(reading("jan", "4", "2024-01-10"), FEBRUARY, reading("late", "5", "2024-01-20"), MARCH)
    january, february = books.statements
    assert printed(january)[2] == 10
    assert adjustments(february) == [("Adjustment of 2024-01", 0, 0)]
    assert [money(c.amount) for c in books.charges if c.kind is ChargeKind.ADJUSTMENT] == [5, -5]
    assert printed(february)[2] == 10  # 2 used, 8 to the minimum


@pytest.mark.parametrize(("start", "refused"), [("2024-01-31T23:59:59", True), ("2024-02-01", False)])
def test_usage_that_comes_too_late_is_refused(start: str, refused: bool) -> None:
    """35 days after the end of January the meter stands at 7 March 00:00:01."""
    books = Books(tariff(per_unit("1")))
    books.take(JANUARY, reading("mar", "3", "2024-03-07T00:00:01"))
    assert books.refused(reading("late", "5", start)) == ([Reason.TOO_LATE] if refused else [])


def test_usage_of_the_last_instant_of_lateness_is_taken() -> None:
    books = Books(tariff(per_unit("1")))
    books.take(JANUARY, reading("mar", "3", "2024-03-07"))
    assert books.refused(reading("late", "5", "2024-01-31T23:59:59")) == []


def test_a_record_over_a_closed_and_an_open_period_is_late_in_one() -> None:
    books = Books(tariff(per_unit("1")))
    books.take(JANUARY, FEBRUARY, reading("long", "2", "2024-01-31T12:00", "2024-02-01T12:00"), MARCH)
    assert kinds(books)[2:4] == [(ChargeKind.ADJUSTMENT, 1, ""), (ChargeKind.USAGE, 1, "")]
    assert [printed(statement)[2] for statement in books.statements] == [1, 4]
    assert books.statements[1].usage_records == 2


def test_a_void_takes_back_what_its_record_cost() -> None:
    books = Books(tariff(per_unit("2")))
    books.take(JANUARY, reading("void", None, "2024-01-10", corrects="jan"))
    assert kinds(books) == [(ChargeKind.USAGE, 2, ""), (ChargeKind.REVERSAL, -2, "jan")]
    found = books.only()
    assert (printed(found)[2], found.usage_records, found.charges) == (0, 2, 2)


def test_a_replacement_takes_back_and_charges_anew() -> None:
    books = Books(tariff(graduated(["10", "1"], [None, "5"])))
    books.take(reading("a", "8", "2024-01-10"), reading("b", "4", "2024-01-11"))
    books.take(reading("a2", "3", "2024-01-12", corrects="a"))
    assert kinds(books) == [
        (ChargeKind.USAGE, 8, ""),
        (ChargeKind.USAGE, 12, ""),
        (ChargeKind.REVERSAL, -16, "a"),  # at what it is worth now
        (ChargeKind.USAGE, 3, ""),
    ]
    assert printed(books.only())[2] == 7


def test_a_correction_can_move_usage_to_another_period() -> None:
    books = Books(tariff(per_unit("1")), closes=False)
    books.take(reading("a", "8", "2024-01-10"), reading("a2", "8", "2024-02-10", corrects="a"))
    assert [printed(statement)[2] for statement in books.close_all()] == [0, 8]


def test_a_void_that_makes_a_volume_price_rise() -> None:
    books = Books(tariff(volume(["15", "10"], [None, "5"])))
    books.take(reading("a", "15", "2024-01-10"), reading("b", "1", "2024-01-11"))
    books.take(reading("void", None, "2024-01-12", corrects="b"))
    assert amounts(books.charges) == [150, -70, 70]


@pytest.mark.parametrize("batches", [1, 2])
def test_a_void_before_its_record(batches: int) -> None:
    books = Books(tariff(per_unit("2")))
    void = reading("void", None, "2024-01-10", corrects="jan")
    if batches == 1:
        books.take(void, JANUARY)
    else:
        books.take(void)
        books.restart()
        books.take(JANUARY)
    assert kinds(books) == [(ChargeKind.USAGE, 2, ""), (ChargeKind.REVERSAL, -2, "jan")]
    found = books.only()
    assert (printed(found)[2], found.usage_records) == (0, 2)


@pytest.mark.parametrize("correction", [None, "5"])
def test_order_of_a_record_and_its_correction_does_not_matter(correction: str | None) -> None:
    records = JANUARY, reading("c", correction, "2024-01-11", corrects="jan")
    first, second = Books(tariff(per_unit("2"))), Books(tariff(per_unit("2")))
    first.take(*records)
    second.take(*reversed(records))
    one, other = first.only(), second.only()
    assert (one.lines, one.total, one.usage_records) == (other.lines, other.total, other.usage_records)
    assert one.usage_digest == other.usage_digest


def test_a_chain_of_corrections() -> None:
    books = Books(tariff(per_unit("1")))
    books.take(
        reading("r", "1", "2024-01-10"),
        reading("c1", "10", "2024-01-10", corrects="r"),
        reading("c2", "100", "2024-01-10", corrects="c1"),
    )
    assert amounts(books.charges) == [1, -1, 10, -10, 100]
    assert books.refused(reading("c3", "1", "2024-01-10", corrects="r")) == [Reason.ALREADY_CORRECTED]
    assert books.refused(reading("c4", "1", "2024-01-10", corrects="c1")) == [Reason.ALREADY_CORRECTED]
    assert books.refused(reading("c5", None, "2024-01-10", corrects="c2")) == []
    assert printed(books.only())[2] == 0


CHAIN = (
    reading("r", "1", "2024-01-10"),
    reading("c1", "10", "2024-01-10", corrects="r"),
    reading("c2", "100", "2024-01-10", corrects="c1"),
)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_a_chain_in_any_order_comes_to_its_last_link(order: tuple[int, ...]) -> None:
    books, in_order = Books(tariff(per_unit("1"))), Books(tariff(per_unit("1")))
    in_order.take(*CHAIN)
    for place in order:
        assert books.refused(CHAIN[place]) == []
        books.restart()
    found, expected = books.only(), in_order.only()
    assert printed(found)[2] == 100
    assert (found.usage_records, found.usage_digest) == (expected.usage_records, expected.usage_digest)


@pytest.mark.parametrize(
    ("correction", "reason"),
    [
        (reading("c", None, "2024-01-10", corrects="r"), Reason.ALREADY_CORRECTED),
        (reading("c", "1", "2024-01-10", corrects="void"), Reason.WRONG_CORRECTION),  # a void has no usage
        (reading("c", "1", "2024-01-10", corrects="q", meter="gas"), Reason.WRONG_CORRECTION),
        (reading("c", None, "2024-01-10", corrects="q", account="flat"), Reason.WRONG_CORRECTION),
        (reading("c", "1", "2024-01-10", corrects="c"), Reason.WRONG_CORRECTION),
    ],
)
def test_corrections_that_are_refused(correction: UsageRecord, reason: Reason) -> None:
    meters = {name: {"unit": "kWh", "price": per_unit("1")} for name in ("power", "gas")}
    books = Books(tariff(meters=meters), [account(), account(account="flat")])
    books.take(
        reading("r", "1", "2024-01-10"),
        reading("q", "1", "2024-01-10"),
        reading("void", None, "2024-01-10", corrects="r"),
    )
    stored = dict(books.store.values)
    assert books.refused(correction) == [reason]
    assert books.store.values == stored


def test_a_correction_of_another_source_waits_for_its_own() -> None:
    books = Books(tariff(per_unit("1")))
    books.take(JANUARY, reading("void", None, "2024-01-10", corrects="jan", source="other"))
    assert amounts(books.charges) == [1]
    books.take(reading("jan", "7", "2024-01-10", source="other"))
    assert amounts(books.charges) == [1, 7, -7]


def test_a_correction_twice_is_a_duplicate() -> None:
    books = Books(tariff(per_unit("1")))
    correction = reading("c", "5", "2024-01-10", corrects="jan")
    outcome = books.take(JANUARY, correction, correction, JANUARY)
    assert (outcome.accepted, outcome.duplicates, amounts(outcome.charges)) == (2, 2, [1, -1, 5])


def test_a_correction_of_a_closed_period_is_on_the_next_statement() -> None:
    books = Books(tariff(per_unit("0.5"), tax=[{"name": "GST", "percent": "10"}]))
    books.take(reading("jan", "10", "2024-01-10"), FEBRUARY)
    outcome = books.take(reading("c", "4", "2024-01-10", corrects="jan"), MARCH)
    assert [(c.kind, money(c.amount)) for c in outcome.charges[:2]] == [
        (ChargeKind.REVERSAL, -5),
        (ChargeKind.ADJUSTMENT, 2),
    ]
    january, february = books.statements
    assert printed(january) == (5, Decimal("0.5"), Decimal("5.5"))
    assert adjustments(february) == [("Adjustment of 2024-01", -3, -3)]
    assert printed(february) == (-2, Decimal("-0.2"), Decimal("-2.2"))


def test_a_correction_that_comes_too_late_is_refused_whole() -> None:
    books = Books(tariff(per_unit("1")))
    books.take(JANUARY, reading("mar", "3", "2024-03-08"))
    stored = dict(books.store.values)
    assert books.refused(reading("c", "9", "2024-03-07", corrects="jan")) == [Reason.TOO_LATE]
    assert books.store.values == stored


def test_a_void_of_a_record_in_two_periods_takes_back_both() -> None:
    books = Books(tariff(per_unit("1")))
    books.take(reading("long", "2", "2024-01-31T12:00", "2024-02-01T12:00"), FEBRUARY)
    books.take(reading("void", None, "2024-02-11", corrects="long"), MARCH)
    assert kinds(books)[3:5] == [(ChargeKind.REVERSAL, -1, "long"), (ChargeKind.REVERSAL, -1, "long")]
    assert [printed(statement)[2] for statement in books.statements] == [1, 1]
    assert books.charges[3].charge_id != books.charges[4].charge_id


def test_a_void_of_a_record_in_several_bands_leaves_nothing() -> None:
    bands = [
        {"name": "day", "hours": ["08:00-20:00"], "price": graduated(["5", "3"], [None, "4"])},
        {"name": "night", "price": graduated(["5", "1"], [None, "2"])},
    ]
    for across in ("separate", "pro-rata"):
        books = Books(tariff(bands=bands, tiers_across_bands=across))
        books.take(reading("a", "7", "2024-01-10T07:00", "2024-01-10T10:00"), reading("b", "7", "2024-01-10"))
        books.take(reading("void", None, "2024-01-10", corrects="a"))
        other = Books(tariff(bands=bands, tiers_across_bands=across))
        other.take(reading("b", "7", "2024-01-10"))
        assert books.only().lines == other.only().lines


def test_a_void_never_moves_time_on() -> None:
    books = Books(tariff(per_unit("1")))
    books.take(JANUARY, reading("void", None, "2024-06-10", corrects="jan"))
    assert books.statements == []


def test_what_came_to_correct_another_meter_corrects_nothing() -> None:
    """The void was accepted before its record was known to be of another meter."""
    meters = {name: {"unit": "kWh", "price": per_unit("1")} for name in ("power", "gas")}
    books = Books(tariff(meters=meters))
    books.take(reading("void", None, "2024-01-10", corrects="jan", meter="gas"), JANUARY)
    assert amounts(books.charges) == [1]


def test_a_late_replacement_before_its_late_record_counts_each_once() -> None:
    books = Books(tariff(per_unit("2")))
    books.take(JANUARY, FEBRUARY)
    books.take(reading("c", "5", "2024-01-21", corrects="late"))
    books.restart()
    books.take(reading("late", "4", "2024-01-20"), MARCH)
    assert printed(books.statements[1])[2] == 2 * 2 + 5 * 2
    assert books.statements[1].usage_records == 3  # February's reading, the late record and its replacement


def test_a_correction_of_a_void_that_has_not_come_yet_corrects_nothing() -> None:
    books = Books(tariff(per_unit("2")))
    void = reading("void", None, "2024-01-11", corrects="jan")
    books.take(JANUARY, reading("c", None, "2024-01-12", corrects="void"))
    assert books.take(void).accepted == 1
    assert books.take(void).duplicates == 1
    assert printed(books.only())[2] == 0
