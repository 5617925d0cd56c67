"""Revisions: late usage that joins the statement of its own period. By either policy it names that period."""

from decimal import Decimal

import pytest

from schemas.charge import ChargeKind
from schemas.rejection import Reason
from schemas.statement import Statement
from tests.small_books import (
    Books,
    Json,
    Number,
    account,
    graduated,
    money,
    package,
    per_unit,
    printed,
    reading,
    tariff,
    us,
)

POLICIES = ["next-statement", "revision"]
JANUARY = reading("jan", "1", "2024-01-10")
FEBRUARY = reading("feb", "2", "2024-02-10")  # closes January
MARCH = reading("mar", "3", "2024-03-10")  # closes February
APRIL = reading("apr", "4", "2024-04-10")
LATE = reading("late", "5", "2024-01-20")


def revised(price: Json, late: str = "revision", **rest: object) -> Books:
    return Books(tariff(price, closing={"late": late, "lateness_s": 20_000_000}), account(**rest))


def ids(books: Books) -> list[str]:
    return [statement.statement_id.removeprefix("default/home/") for statement in books.statements]


def totals(books: Books) -> list[Number]:
    return [money(statement.total) for statement in books.statements]


def test_late_usage_makes_a_new_revision_at_the_next_closing() -> None:
    books = revised(per_unit("1"))
    books.take(JANUARY, FEBRUARY)
    outcome = books.take(LATE)
    assert (outcome.late, outcome.statements) == (1, [])
    books.take(MARCH)
    assert ids(books) == ["2024-01/1", "2024-01/2", "2024-02/1"]
    assert totals(books) == [1, 6, 2]
    first, second, february = books.statements
    assert [s.revision for s in books.statements] == [1, 2, 1]
    assert [(s.usage_records, s.charges) for s in books.statements] == [(1, 1), (2, 2), (1, 1)]
    assert [[money(line.amount) for line in s.lines] for s in (second, february)] == [[6], [2]]
    assert second.complete
    assert (first.usage_last, second.usage_last) == (us("2024-01-10"), us("2024-01-20"))


def test_the_charge_is_on_the_statement_of_its_period() -> None:
    books = revised(per_unit("1"))
    books.take(JANUARY, FEBRUARY, LATE)
    charge = books.charges[-1]
    assert (charge.kind, charge.period_start, charge.statement_start) == (
        ChargeKind.USAGE,
        us("2024-01-01"),
        us("2024-01-01"),
    )
    assert (money(charge.amount), money(charge.running_total)) == (5, 6)


def test_the_last_revision_is_what_one_statement_with_all_of_it_says() -> None:
    late, on_time = revised(graduated(["4", "1"], [None, "3"])), revised(graduated(["4", "1"], [None, "3"]))
    late.take(JANUARY, FEBRUARY, LATE, MARCH)
    on_time.take(JANUARY, LATE, FEBRUARY, MARCH)
    first, second = late.statements[1], on_time.statements[0]
    assert (first.lines, first.total, first.usage_digest) == (second.lines, second.total, second.usage_digest)
    assert first.charges_digest == second.charges_digest


def test_several_late_records_make_one_revision_for_each_closing() -> None:
    books = revised(per_unit("1"))
    books.take(JANUARY, FEBRUARY, LATE, reading("l2", "10", "2024-01-21"), MARCH)
    books.take(reading("l3", "20", "2024-01-22"), reading("l4", "30", "2024-02-22"), APRIL)
    assert ids(books) == ["2024-01/1", "2024-01/2", "2024-02/1", "2024-01/3", "2024-02/2", "2024-03/1"]
    assert totals(books) == [1, 16, 2, 36, 32, 3]


@pytest.mark.parametrize("restarts", [False, True])
def test_revisions_survive_a_restart(restarts: bool) -> None:
    books = revised(per_unit("1"), credits=[{"name": "C", "amount": "4", "from": "2024-01-01"}])
    for record in (JANUARY, FEBRUARY, LATE, MARCH, reading("l2", "1", "2024-01-21"), APRIL):
        books.take(record)
        if restarts:
            books.restart()
    assert ids(books) == ["2024-01/1", "2024-01/2", "2024-02/1", "2024-01/3", "2024-03/1"]
    assert [money(s.due) for s in books.statements] == [0, 2, 2, 3, 3]


def test_closing_all_draws_up_what_has_changed() -> None:
    books = revised(per_unit("1"))
    books.take(JANUARY, reading("feb", "0", "2024-02-10"))
    books.close_all()
    books.take(LATE)
    books.restart()
    assert [s.statement_id[13:] for s in books.close_all()] == ["2024-01/2", "2024-03/1"]
    assert totals(books) == [1, 0, 6, 0]


def test_a_void_of_closed_usage() -> None:
    books = revised(per_unit("1"))
    books.take(JANUARY, FEBRUARY, reading("void", None, "2024-01-10", corrects="jan"), MARCH)
    assert totals(books) == [1, 0, 2]
    reversal = books.charges[2]
    assert (reversal.kind, reversal.statement_start) == (ChargeKind.REVERSAL, us("2024-01-01"))
    assert (books.statements[1].usage_records, books.statements[1].charges) == (2, 2)


def test_a_revision_has_the_true_up_that_is_left() -> None:
    closing = {"late": "revision", "lateness_s": 20_000_000}
    plan = tariff(per_unit("1"), minimum={"amount": "10"}, closing=closing)
    books = Books(plan)
    books.take(JANUARY, FEBRUARY, LATE, MARCH)
    books.take(reading("l2", "6", "2024-01-21"), APRIL)
    january = [s for s in books.statements if s.period_start == us("2024-01-01")]
    assert [[money(line.amount) for line in s.lines] for s in january] == [[1, 9], [6, 4], [12]]
    charges = [c for c in books.charges if c.statement_start == us("2024-01-01")]
    assert [(c.kind, money(c.amount)) for c in charges] == [
        (ChargeKind.USAGE, 1),
        (ChargeKind.TRUE_UP, 9),
        (ChargeKind.USAGE, 5),
        (ChargeKind.TRUE_UP, -5),
        (ChargeKind.USAGE, 6),
        (ChargeKind.TRUE_UP, -4),
    ]
    assert len({c.charge_id for c in books.charges}) == len(books.charges)
    assert [s.charges for s in january] == [2, 4, 6]


def settlements(statement: Statement) -> list[tuple[str, Number, Number]]:
    return [(one.name, money(one.amount), money(one.remaining)) for one in statement.settlements]


def credits_of(*amounts: str) -> list[Json]:
    return [{"name": f"c{n}", "amount": amount, "from": "2024-01-01"} for n, amount in enumerate(amounts)]


def test_the_difference_is_settled_on_the_new_revision() -> None:
    books = revised(per_unit("1"), credits=credits_of("3", "2"))
    books.take(JANUARY, FEBRUARY, LATE, MARCH)
    assert [settlements(s) for s in books.statements] == [
        [("c0", 1, 2), ("c1", 0, 2)],
        [("c0", 3, 0), ("c1", 2, 0)],
        [("c0", 0, 0), ("c1", 0, 0)],
    ]
    assert [money(s.due) for s in books.statements] == [0, 1, 2]


def test_what_a_revision_comes_to_less_goes_back_to_the_credit_drawn_last() -> None:
    books = revised(per_unit("1"), credits=credits_of("3", "9"))
    books.take(reading("jan", "5", "2024-01-10"), FEBRUARY)
    books.take(reading("less", "2", "2024-01-10", corrects="jan"), MARCH)
    assert [settlements(s) for s in books.statements] == [
        [("c0", 3, 0), ("c1", 2, 7)],
        [("c0", 2, 1), ("c1", 0, 9)],
        [("c0", 1, 0), ("c1", 1, 8)],
    ]
    assert [money(s.due) for s in books.statements] == [0, 0, 0]


def test_a_credit_that_is_gone_keeps_what_it_paid() -> None:
    books = revised(per_unit("1"), credits=credits_of("1"))
    books.take(JANUARY, FEBRUARY, LATE)
    books.redeclare([books.plans.tariff("plan", "1")], [account(credits=[])])
    books.take(MARCH)
    assert settlements(books.statements[1]) == [("c0", 1, 0)]
    assert money(books.statements[1].due) == 5


def test_interim_statements_pay_of_a_revision_too() -> None:
    books = revised(per_unit("1"), progressive={"thresholds": ["10"]})
    books.take(reading("jan", "12", "2024-01-10"), FEBRUARY, LATE, MARCH)
    assert ids(books) == ["2024-01/interim-1", "2024-01/1", "2024-01/2", "2024-02/1"]
    assert [money(s.due) for s in books.statements] == [12, 0, 5, 2]


def test_usage_that_comes_too_late_is_refused() -> None:
    books = Books(tariff(per_unit("1"), closing={"late": "revision"}))
    books.take(JANUARY, reading("mar", "3", "2024-03-07T00:00:01"))
    assert books.refused(reading("late", "5", "2024-01-31")) == [Reason.TOO_LATE]


def test_a_period_keeps_the_policy_that_it_was_closed_under() -> None:
    """Otherwise usage that was adjusted elsewhere would be on a revision once more."""
    books = Books(tariff(per_unit("1")))
    books.take(JANUARY, FEBRUARY)
    books.redeclare([tariff(per_unit("1"), closing={"late": "revision"})], [account()])
    books.take(LATE, MARCH, reading("l2", "6", "2024-02-20"), APRIL)
    assert ids(books) == ["2024-01/1", "2024-02/1", "2024-02/2", "2024-03/1"]
    assert totals(books) == [1, 7, 13, 3]
    assert [line.name for line in books.statements[2].lines] == ["", "Adjustment of 2024-01"]


def test_a_revision_says_again_what_it_said_of_earlier_periods() -> None:
    """January is adjusted on February's statement with its tax, and February is revised."""
    tax = [{"name": "GST", "percent": "10"}]
    plans = [
        tariff(per_unit("1"), tax=tax),
        tariff(per_unit("1"), tax=tax, version="2", effective_from="2024-02-01", closing={"late": "revision"}),
    ]
    books = Books(plans)
    books.take(JANUARY, FEBRUARY, LATE, MARCH)
    books.restart()
    books.take(reading("l2", "10", "2024-02-20"), APRIL)
    february, again = (s for s in books.statements if s.period_start == us("2024-02-01"))
    assert printed(february) == (7, Decimal("0.7"), Decimal("7.7"))
    assert printed(again) == (17, Decimal("1.7"), Decimal("18.7"))
    assert february.lines[-1] == again.lines[-1]
    assert february.taxes[-1] == again.taxes[-1]


def test_tariffs_that_disagree_adjust() -> None:
    other = tariff(tariff="other", meters={"gas": {"unit": "kWh", "price": per_unit("1")}}, closing={"grace_s": 0})
    plan = tariff(per_unit("1"), closing={"late": "revision"})
    books = Books([plan, other], account(("plan", "2024-01-01", None), ("other", "2024-01-01", None)))
    books.take(JANUARY, FEBRUARY, reading("gas", "1", "2024-02-02", meter="gas"), LATE)
    assert books.charges[-1].kind is ChargeKind.ADJUSTMENT


@pytest.mark.parametrize("late", POLICIES)
def test_late_units_are_booked_for_their_own_period(late: str) -> None:
    """OpenMeter, period preserving: 3, 2 and 3 units of 10, and a fourth for the first period during the third."""
    books = revised(per_unit("10"), late)
    books.take(reading("p1", "3", "2024-01-10"))
    books.take(reading("p2", "2", "2024-02-10"))
    books.take(reading("p3", "3", "2024-03-10"), reading("late", "1", "2024-01-20"), APRIL)
    by_period: dict[str, list[Number]] = {"2024-01-01": [], "2024-02-01": [], "2024-03-01": []}
    for charge in books.charges[:-1]:
        start = next(day for day in by_period if us(day) == charge.period_start)
        by_period[start].append(money(charge.amount))
    assert by_period == {"2024-01-01": [30, 10], "2024-02-01": [20], "2024-03-01": [30]}
    if late == "revision":
        assert ids(books) == ["2024-01/1", "2024-02/1", "2024-01/2", "2024-03/1"]
        assert totals(books) == [30, 20, 40, 30]
    else:
        assert totals(books) == [30, 20, 40]
        line = books.statements[2].lines[-1]
        assert (line.name, line.period_start, money(line.amount)) == ("Adjustment of 2024-01", us("2024-01-01"), 10)


@pytest.mark.parametrize("late", POLICIES)
def test_late_blocks_are_booked_for_their_own_period(late: str) -> None:
    """Kill Bill: May is billed at 0, then 199 late units of May cost two blocks of 100 for 2.95."""
    books = Books(
        tariff(package("100", "2.95"), closing={"late": late, "lateness_s": 20_000_000}),
        account(("plan", "2024-05-01", None)),
    )
    books.take(reading("may", "0", "2024-05-01"), reading("june", "0", "2024-06-10"))
    books.take(reading("late", "199", "2024-05-01"), reading("july", "0", "2024-07-10"))
    late_charge = next(charge for charge in books.charges if charge.usage_id == "late")
    assert (late_charge.period_start, late_charge.period_end) == (us("2024-05-01"), us("2024-06-01"))
    assert money(late_charge.amount) == Decimal("5.90")
    assert totals(books) == ([0, Decimal("5.90"), 0] if late == "revision" else [0, Decimal("5.90")])
    line = next(line for s in books.statements for line in s.lines if line.amount)
    assert line.period_start == us("2024-05-01")
    assert line.name == ("" if late == "revision" else "Adjustment of 2024-05")
