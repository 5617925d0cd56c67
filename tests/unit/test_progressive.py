"""Progressive billing: interim statements of a period that goes on, and what its own statement makes of them."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from pipeline.progressive import passed
from schemas.credit import Progressive
from schemas.fixed_point import AMOUNT_ONE
from schemas.statement import Statement, StatementKind
from schemas.usage import UsageRecord
from tests.small_books import Books, Json, Number, account, graduated, money, per_unit, printed, reading, tariff

PLAN = tariff(per_unit("1"))
AT_200: Json = {"thresholds": ["200"]}
MARCH = ("plan", "2024-03-01", None)


def books_at(progressive: Json, **rest: object) -> Books:
    return Books(PLAN, account(progressive=progressive, **rest))


def interims(statements: list[Statement]) -> list[tuple[str, Number, Number]]:
    """Id without its account, total and due of the interim statements."""
    return [
        (s.statement_id.removeprefix("default/home/"), money(s.total), money(s.due))
        for s in statements
        if s.kind is StatementKind.INTERIM
    ]


def settlements(statement: Statement) -> list[tuple[str, Number, Number]]:
    return [(one.name, money(one.amount), money(one.remaining)) for one in statement.settlements]


def test_an_interim_statement_at_once_and_its_amount_off_the_final_one() -> None:
    """Lago: 1,000,000 × 0.0002 on day 5, as much on day 15, fees of 31.00, a threshold of 200.00."""
    fees = [{"name": "Subscription", "amount": "31.00", "per": "period"}]
    books = Books(tariff(per_unit("0.0002"), fees=fees), account(MARCH, progressive={"thresholds": ["200.00"]}))
    (interim,) = books.take(reading("a", "1000000", "2024-03-05")).statements
    assert (interim.statement_id, interim.kind, interim.number) == ("default/home/2024-03/interim-1", "interim", 1)
    assert (printed(interim), money(interim.due), interim.settlements) == ((200, 0, 200), 200, ())
    assert (interim.usage_records, interim.charges, interim.complete) == (1, 1, False)
    assert books.take(reading("b", "1000000", "2024-03-15")).statements == []
    (final,) = books.close_all()
    assert (final.statement_id, final.kind, final.number) == ("default/home/2024-03/1", "statement", 0)
    assert [money(line.amount) for line in final.lines] == [400, 31]
    assert settlements(final) == [("Interim statement 1", 200, 0)]
    assert (money(final.total), money(final.due)) == (431, 231)
    assert (final.usage_records, final.charges) == (2, 3)


def test_a_tenant_that_leaves_pays_its_days() -> None:
    """Lago, terminated on day 17 after the first usage: 18.00 due (31.00 × 18/31) after 200 were credited."""
    fees = [{"name": "Subscription", "amount": "31.00", "per": "period"}]
    plan = tariff(per_unit("0.0002"), fees=fees)
    books = Books(plan, account(progressive=AT_200))
    books.take(reading("a", "1000000", "2024-01-05"))
    books.redeclare([plan], [account(("plan", "2024-01-01", "2024-01-19"), progressive=AT_200)])
    (final,) = books.close_all()
    assert (settlements(final), money(final.due)) == ([("Interim statement 1", 200, 0)], 18)


def test_interim_statements_say_what_has_come_so_far() -> None:
    books = books_at({"thresholds": ["10", "20", "30"]})
    books.take(reading("a", "12", "2024-01-05"), reading("b", "10", "2024-01-06"))
    first, second = books.statements
    assert [money(line.exact) for line in second.lines] == [22]
    assert settlements(second) == [("Interim statement 1", 12, 0)]
    assert [(s.usage_records, money(s.exact)) for s in (first, second)] == [(1, 12), (2, 22)]
    assert first.usage_digest != second.usage_digest
    final = books.close_all()[0]
    assert (final.usage_digest, final.charges_digest) == (second.usage_digest, second.charges_digest)
    assert settlements(final) == [("Interim statement 1", 12, 0), ("Interim statement 2", 10, 0)]
    assert (money(final.total), money(final.due)) == (22, 0)


def test_several_thresholds_passed_at_once_give_one() -> None:
    books = books_at({"thresholds": ["10", "20", "30"]})
    books.take(reading("a", "25", "2024-01-05"), reading("b", "1", "2024-01-06"), reading("c", "4", "2024-01-07"))
    assert interims(books.statements) == [("2024-01/interim-1", 25, 25), ("2024-01/interim-2", 30, 5)]


def test_the_last_threshold_repeats() -> None:
    books = books_at({"thresholds": ["20"], "repeat": "10"})
    for day, quantity in enumerate(("19", "1", "9", "1", "35"), 1):
        books.take(reading(f"r{day}", quantity, f"2024-01-{day:02d}"))
    assert [(total, due) for _, total, due in interims(books.statements)] == [(20, 20), (30, 10), (65, 35)]


@pytest.mark.parametrize(
    ("amount", "count"), [("0", 0), ("9.99", 0), ("10", 1), ("49", 1), ("50", 2), ("74.9", 2), ("75", 3), ("130", 5)]
)
def test_how_many_thresholds_an_amount_has_passed(amount: str, count: int) -> None:
    rule = Progressive.model_validate({"thresholds": ["10", "50"], "repeat": "25"})
    assert passed(rule, int(Decimal(amount) * AMOUNT_ONE)) == count


def test_each_period_begins_anew() -> None:
    books = books_at(AT_200)
    books.take(reading("a", "250", "2024-01-05"), reading("b", "199", "2024-02-05"), reading("c", "1", "2024-02-06"))
    assert [s.statement_id[13:] for s in books.statements] == ["2024-01/interim-1", "2024-01/1", "2024-02/interim-1"]
    assert settlements(books.statements[1]) == [("Interim statement 1", 250, 0)]


def test_a_record_over_two_periods_can_give_two() -> None:
    books = books_at(AT_200)
    books.take(reading("a", "600", "2024-01-31", "2024-02-02"))
    assert interims(books.statements) == [("2024-01/interim-1", 300, 300), ("2024-02/interim-1", 300, 300)]


def test_a_correction_takes_no_interim_statement_back() -> None:
    books = books_at(AT_200)
    books.take(reading("a", "250", "2024-01-05"), reading("void", None, "2024-01-05", corrects="a"))
    books.take(reading("b", "240", "2024-01-06"))
    assert interims(books.statements) == [("2024-01/interim-1", 250, 250)]
    (final,) = books.close_all()
    assert (money(final.total), settlements(final)) == (240, [("Interim statement 1", 250, 0)])
    assert money(final.due) == -10


def test_what_was_corrected_counts_for_the_next_threshold() -> None:
    books = books_at({"thresholds": ["200", "300"]})
    books.take(reading("a", "250", "2024-01-05"), reading("a2", "100", "2024-01-05", corrects="a"))
    books.take(reading("b", "199", "2024-01-06"), reading("c", "1", "2024-01-07"))
    assert [(total, due) for _, total, due in interims(books.statements)] == [(250, 250), (300, 50)]


def test_usage_that_lowers_the_amount_gives_none() -> None:
    negative = tariff(per_unit("1"), negative="accept")
    books = Books(negative, account())
    books.take(reading("a", "300", "2024-01-05"))
    books.redeclare([negative], [account(progressive=AT_200)])  # agreed on in the middle of the period
    assert books.take(reading("b", "-10", "2024-01-06"), reading("c", "0", "2024-01-06")).statements == []
    assert interims(books.take(reading("d", "1", "2024-01-07")).statements) == [("2024-01/interim-1", 291, 291)]


def test_taxes_are_asked_for_but_do_not_count() -> None:
    taxed = tariff(per_unit("1"), tax=[{"name": "VAT", "percent": "20"}])
    books = Books(taxed, account(progressive=AT_200))
    assert books.take(reading("a", "190", "2024-01-05")).statements == []
    (interim,) = books.take(reading("b", "10", "2024-01-06")).statements
    assert printed(interim) == (200, 40, 240)
    books.take(reading("c", "50", "2024-01-07"))
    (final,) = books.close_all()
    assert (money(final.total), money(final.due)) == (300, 60)


def test_late_usage_of_an_earlier_period_is_told_but_does_not_count() -> None:
    books = books_at(AT_200)
    books.take(reading("jan", "1", "2024-01-05"), reading("feb", "100", "2024-02-05"))
    assert books.take(reading("late", "150", "2024-01-06")).statements == []
    (interim,) = books.take(reading("more", "100", "2024-02-06")).statements
    assert interims([interim]) == [("2024-02/interim-1", 350, 350)]
    assert [(line.name, money(line.amount)) for line in interim.lines][-1] == ("Adjustment of 2024-01", 150)
    final = books.close_all()[0]
    assert ([money(line.amount) for line in final.lines], money(final.due)) == ([200, 150], 0)


def test_interim_statements_draw_on_credits() -> None:
    books = books_at({"thresholds": ["200", "400"]}, credits=[{"name": "C", "amount": "250", "from": "2024-01-01"}])
    books.take(reading("a", "200", "2024-01-05"), reading("b", "200", "2024-01-06"), reading("c", "7", "2024-01-07"))
    (final,) = books.close_all()
    assert [settlements(s) for s in books.statements] == [
        [("C", 200, 50)],
        [("Interim statement 1", 200, 0), ("C", 50, 0)],
        [("Interim statement 1", 200, 0), ("Interim statement 2", 200, 0), ("C", 0, 0)],
    ]
    assert [money(s.due) for s in books.statements] == [0, 150, 7]
    assert (money(final.total), money(final.lines[0].due)) == (407, 7)


RECORDS = [
    reading("a", "120", "2024-01-05"),
    reading("b", "90", "2024-01-06"),
    reading("b2", "10", "2024-01-06", corrects="b"),
    reading("c", "300", "2024-01-07"),
    reading("c", "300", "2024-01-07"),
    reading("d", "200", "2024-02-07"),
    reading("e", "100", "2024-01-08"),
    reading("f", "400", "2024-02-08"),
    reading("g", "1", "2024-03-08"),
]


def told(records: list[UsageRecord], size: int) -> list[Statement]:
    """All statements of the records in batches of a size, with a restart after each."""
    tiered = tariff(graduated(["150", "1"], [None, "0.7"]))
    rule = {"thresholds": ["100", "200"], "repeat": "50"}
    books = Books(tiered, account(progressive=rule, credits=[{"name": "C", "amount": "250", "from": "2024-01-01"}]))
    for first in range(0, len(records), size):
        books.take(*records[first : first + size])
        books.restart()
    books.close_all()
    return books.statements


@pytest.mark.parametrize("size", [1, 2, 3])
def test_batches_and_restarts_change_nothing(size: int) -> None:
    assert told(RECORDS, size) == told(RECORDS, len(RECORDS))
    assert len(interims(told(RECORDS, size))) > 3


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({"thresholds": []}, "at least 1 item"),
        ({"thresholds": ["0"]}, "not above the one before, 0"),
        ({"thresholds": ["20", "20"]}, "not above the one before, 20"),
        ({"thresholds": ["20"], "repeat": "0"}, "must be above 0"),
    ],
)
def test_rules_that_are_refused(document: Json, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Progressive.model_validate(document)
