"""Closing: when a period becomes a statement, and what the statement says."""

import pytest

from pipeline.ledger import LostTermsError
from schemas.charge import ChargeKind
from schemas.instants import to_iso
from schemas.statement import LineKind
from tests.small_books import (
    Books,
    account,
    amounts,
    graduated,
    money,
    per_unit,
    printed,
    reading,
    tariff,
    us,
)

PLAN = tariff(per_unit("1"))  # a day of grace, 35 of lateness, 7 of silence


def names(books: Books) -> list[str]:
    """The statements that there have been."""
    return [statement.statement_id for statement in books.statements]


@pytest.mark.parametrize(
    ("start", "end", "closed"),
    [
        ("2024-02-01T23:59:59", "2024-02-01T23:59:59.999999", 0),
        ("2024-02-01T23:00", "2024-02-02T00:00", 1),
        ("2024-03-02T00:00", "2024-03-02T00:00", 2),
        ("2024-02-01T23:00", "2024-03-02T00:00", 2),
    ],
)
def test_a_period_closes_when_its_meter_has_passed_its_end_and_grace(start: str, end: str, closed: int) -> None:
    books = Books(PLAN)
    books.take(reading("a", "1", "2024-01-10"), reading("b", "2", start, end))
    assert names(books) == ["default/home/2024-01/1", "default/home/2024-02/1"][:closed]
    assert all(statement.complete for statement in books.statements)


def test_the_grace_is_the_tariff_s() -> None:
    books = Books(tariff(per_unit("1"), closing={"grace_s": 0}))
    books.take(reading("a", "1", "2024-01-31T23:00", "2024-02-01"))
    assert names(books) == ["default/home/2024-01/1"]


def test_every_meter_has_to_pass() -> None:
    meters = {name: {"unit": "kWh", "price": per_unit("1")} for name in ("power", "gas")}
    books = Books(tariff(meters=meters))
    books.take(reading("a", "1", "2024-02-10"))
    assert names(books) == []
    books.take(reading("b", "1", "2024-02-01", meter="gas"))
    assert names(books) == []
    books.take(reading("c", "1", "2024-02-02", meter="gas"))
    assert names(books) == ["default/home/2024-01/1"]


def test_a_meter_of_a_tariff_that_ended_has_to_pass_that_end_only() -> None:
    other = tariff(tariff="other", meters={"gas": {"unit": "kWh", "price": per_unit("1")}})
    books = Books([PLAN, other], account(("plan", "2024-01-01", "2024-01-11"), ("other", "2024-01-11", None)))
    books.take(reading("a", "1", "2024-01-10T23:00", "2024-01-11"))
    books.take(reading("b", "1", "2024-02-02", meter="gas"))
    assert names(books) == ["default/home/2024-01/1"]


def test_a_statement_tells_what_it_sums() -> None:
    books = Books(PLAN, account(zone="Europe/London"))
    books.take(
        reading("a", "1.5", "2024-01-10T10:00", "2024-01-10T11:00"),
        reading("b", "2", "2024-01-31T23:30", "2024-02-01T00:30"),
        reading("c", "0", "2024-01-05"),
        reading("d", "9", "2024-02-03"),
    )
    (january,) = books.statements
    assert (january.statement_id, january.revision, january.complete) == ("default/home/2024-01/1", 1, True)
    assert (january.tenant, january.account, january.zone, january.currency) == (
        "default",
        "home",
        "Europe/London",
        "USD",
    )
    assert (to_iso(january.period_start), to_iso(january.period_end)) == (
        "2024-01-01T00:00:00Z",
        "2024-02-01T00:00:00Z",
    )
    assert (january.usage_first, january.usage_last) == (us("2024-01-05"), us("2024-02-01"))
    assert (january.usage_records, january.charges) == (3, 3)
    charged = [charge for charge in books.charges if charge.statement_start == january.period_start]
    assert money(january.exact) == money(sum(charge.amount for charge in charged)) == 2.5
    assert [len(digest) for digest in (january.usage_digest, january.charges_digest)] == [64, 64]


def test_digests_tell_any_other_usage() -> None:
    def digests(*quantities: str) -> tuple[str, str]:
        books = Books(PLAN, closes=False)
        books.take(*(reading(f"r{n}", q, f"2024-01-{n + 1:02d}") for n, q in enumerate(quantities)))
        return books.only().usage_digest, books.only().charges_digest

    base = digests("1", "2")
    assert digests("1", "2") == base
    assert digests("2", "1") != base
    assert digests("1", "2", "0")[0] != base[0]


def test_a_silent_account_is_closed_incomplete() -> None:
    books = Books(PLAN)
    books.take(reading("a", "1", "2024-01-10"), received=us("2024-01-11"))
    assert books.close_silent("2024-02-08T23:59:59").statements == []  # end, a day of grace, seven of silence
    (statement,) = books.close_silent("2024-02-09").statements
    assert (statement.statement_id, statement.complete, money(statement.total)) == ("default/home/2024-01/1", False, 1)


def test_silence_begins_with_what_came_last() -> None:
    books = Books(PLAN)
    books.take(reading("a", "1", "2024-01-10"), received=us("2024-02-20"))
    assert books.close_silent("2024-02-26T23:59:59").statements == []
    assert len(books.close_silent("2024-02-27").statements) == 1


def test_an_account_without_usage_is_silent_since_it_was_declared() -> None:
    books = Books(tariff(per_unit("1"), fees=[{"name": "Fee", "amount": "5", "per": "period"}]))
    assert books.close_silent("2024-05-07", declared="2024-05-01").statements == []
    statements = books.close_silent("2024-05-08", declared="2024-05-01").statements
    assert [statement.statement_id[-9:-2] for statement in statements] == ["2024-01", "2024-02", "2024-03"]
    assert [printed(statement) for statement in statements] == [(5, 0, 5)] * 3
    assert all(not statement.complete for statement in statements)


def test_silent_closing_is_the_same_after_a_restart() -> None:
    kept, restarted = Books(PLAN), Books(PLAN)
    for books in (kept, restarted):
        books.take(reading("a", "1", "2024-01-10"), reading("b", "1", "2024-02-10"), received=us("2024-02-20"))
        if books is restarted:
            books.restart()
        books.close_silent("2024-03-12")
    assert kept.statements == restarted.statements
    assert kept.store.values == restarted.store.values


def test_a_silent_meter_does_not_hold_the_others_for_ever() -> None:
    """Nothing of January has come for weeks, while the other meter goes on."""
    meters = {name: {"unit": "kWh", "price": per_unit("1")} for name in ("power", "gas")}
    books = Books(tariff(meters=meters))
    books.take(reading("a", "1", "2024-01-10"), received=us("2024-01-10"))
    for day in range(10, 20):
        books.take(reading(f"b{day}", "1", f"2024-03-{day}"), received=us(f"2024-03-{day}"))
    assert [s.statement_id for s in books.close_silent("2024-03-19").statements] == [
        "default/home/2024-01/1",
        "default/home/2024-02/1",
    ]


def test_a_tariff_that_ended_does_not_hold_the_account_for_ever() -> None:
    """The old plan's meter cannot pass the end of January, and the new plan's goes on."""
    other = tariff(tariff="other", meters={"gas": {"unit": "kWh", "price": per_unit("1")}})
    books = Books([PLAN, other], account(("plan", "2024-01-01", "2024-02-01"), ("other", "2024-02-01", None)))
    books.take(reading("a", "1", "2024-01-31T23:00", "2024-02-01"), received=us("2024-02-01"))
    for day in range(10, 20):
        books.take(reading(f"b{day}", "1", f"2024-02-{day}", meter="gas"), received=us(f"2024-02-{day}"))
    books.close_silent("2024-02-19")
    assert names(books) == ["default/home/2024-01/1"]


def test_periods_without_usage_are_stated_while_a_tariff_is_in_force() -> None:
    books = Books(PLAN, account(("plan", "2024-01-01", "2024-02-11"), ("plan", "2024-04-11", None)))
    books.take(reading("a", "1", "2024-01-10"), reading("b", "1", "2024-04-20"))
    books.close_all()
    assert [name[-9:-2] for name in names(books)] == ["2024-01", "2024-02", "2024-04"]
    assert [printed(statement)[2] for statement in books.statements] == [1, 0, 1]


def test_close_all_closes_what_holds_usage_and_all_before() -> None:
    books = Books(PLAN, closes=False)
    books.take(reading("b", "1", "2024-03-20"), reading("a", "1", "2024-02-10"))
    assert [statement.statement_id[-9:-2] for statement in books.close_all()] == ["2024-01", "2024-02", "2024-03"]
    assert books.close_all() == []


DAILY_TIERS = graduated(["2", "1"], [None, "10"], tiers_per="day")


def test_an_account_that_leaves_early_is_priced_again() -> None:
    """40 units are inside 31 days of 2; of 10 days only 20 are, and 20 cost 10 each."""
    plan = tariff(DAILY_TIERS)
    books = Books(plan)
    books.take(reading("a", "40", "2024-01-05"))
    assert amounts(books.charges) == [40]
    books.redeclare([plan], [account(("plan", "2024-01-01", "2024-01-11"))])
    statement = books.only()
    (adjustment,) = (charge for charge in books.charges if charge.kind is ChargeKind.ADJUSTMENT)
    assert money(adjustment.amount) == 180
    assert money(statement.total) == 220 == money(sum(charge.amount for charge in books.charges))
    assert [(line.tier, money(line.amount)) for line in statement.lines] == [(1, 20), (2, 200)]


def test_leaving_early_changes_nothing_where_no_price_depends_on_days() -> None:
    books = Books(PLAN)
    books.take(reading("a", "40", "2024-01-05"))
    books.redeclare([PLAN], [account(("plan", "2024-01-01", "2024-01-11"))])
    assert money(books.only().total) == 40
    assert [charge.kind for charge in books.charges] == [ChargeKind.USAGE]


def test_usage_after_an_early_leave_is_refused_and_before_it_is_not() -> None:
    plan = tariff(DAILY_TIERS)
    books = Books(plan)
    books.take(reading("a", "15", "2024-01-05"))
    books.redeclare([plan], [account(("plan", "2024-01-01", "2024-01-11"))])
    outcome = books.take(reading("b", "10", "2024-01-10"), reading("c", "1", "2024-01-11"))
    assert [refusal.reason for _, refusal in outcome.refusals] == ["no-tariff"]
    assert money(books.only().total) == 20 + 50


def test_a_version_that_is_gone_stops() -> None:
    other = tariff(per_unit("2"), tariff="other")
    books = Books([PLAN, other])
    books.take(reading("a", "40", "2024-01-05"))
    books.redeclare([PLAN, other], [account(("other", "2024-01-01", None))])
    with pytest.raises(LostTermsError, match=r"rated under tariff plan version 1, which its list .* no longer"):
        books.take(reading("b", "1", "2024-01-06"))


def test_a_new_version_joins_the_open_period() -> None:
    books = Books(PLAN)
    books.take(reading("a", "4", "2024-01-05"))
    books.redeclare([PLAN, tariff(per_unit("2"), version="2", effective_from="2024-01-11")], [account()])
    books.take(reading("b", "4", "2024-01-12"))
    assert amounts(books.charges) == [4, 8]
    assert [(line.kind, line.version, money(line.amount)) for line in books.only().lines] == [
        (LineKind.USAGE, "1", 4),
        (LineKind.USAGE, "2", 8),
    ]


def test_what_is_stored_of_an_account_does_not_depend_on_a_restart() -> None:
    """Meters that come up in another order than their periods do."""
    meters = {name: {"unit": "kWh", "price": per_unit("1")} for name in ("power", "gas", "heat")}
    kept, restarted = Books(tariff(meters=meters)), Books(tariff(meters=meters))
    for books in (kept, restarted):
        books.take(reading("a", "1", "2024-01-10"))
        books.take(reading("b", "1", "2024-02-10"))
        books.take(reading("c", "1", "2024-02-10", meter="heat"))
        books.take(reading("d", "1", "2024-01-10", meter="gas"))
        if books is restarted:
            books.restart()
        books.take(reading("e", "1", "2024-03-10"))
    assert kept.store.values == restarted.store.values


def test_closed_periods_leave_the_memory_once_they_are_stored() -> None:
    books = Books(PLAN)
    books.take(*(reading(f"r{month}", "1", f"2024-{month:02d}-10") for month in range(1, 7)))
    assert len(books.statements) == 5
    assert [to_iso(start)[:7] for start in books.state().periods] == ["2024-06"]
