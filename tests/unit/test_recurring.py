"""Recurring fees: in arrears and in advance, for whole periods and parts of them."""

from decimal import Decimal

import pytest

from schemas.account import Account
from schemas.charge import ChargeKind
from schemas.instants import to_iso
from schemas.statement import LineKind, Statement
from tests.small_books import Books, Number, account, money, per_unit, reading, tariff, units

MONTHLY = {"name": "Monthly", "amount": "31", "per": "period"}
DAILY = {"name": "Daily", "amount": "0.25", "per": "day"}
AHEAD = {**MONTHLY, "name": "Ahead", "due": "advance"}


def fees(statement: Statement) -> list[tuple[str, str, Number]]:
    """Name, first day of the period that it is about, and amount of each fee."""
    return [
        (line.name, _day(line.period_start), money(line.amount))
        for line in statement.lines
        if line.kind is LineKind.RECURRING
    ]


def _day(start: int) -> str:
    return to_iso(start)[:10]


def run(home: Account, *listed: dict[str, str], until: str = "2024-04-02", **rest: object) -> list[Statement]:
    """The statements of an account with these fees and no usage, closed by silence."""
    books = Books(tariff(per_unit("1"), fees=list(listed), closing={"grace_s": 0, "silence_s": 0}, **rest), home)
    return books.close_silent(until).statements


def test_in_arrears_a_fee_is_on_the_statement_of_its_period() -> None:
    statements = run(account(), MONTHLY, DAILY)
    assert [fees(statement) for statement in statements] == [
        [("Monthly", "2024-01-01", 31), ("Daily", "2024-01-01", Decimal("7.75"))],
        [("Monthly", "2024-02-01", 31), ("Daily", "2024-02-01", Decimal("7.25"))],  # 29 days
        [("Monthly", "2024-03-01", 31), ("Daily", "2024-03-01", Decimal("7.75"))],
    ]


def test_in_advance_the_first_statement_has_its_own_fee_and_the_next() -> None:
    statements = run(account(), AHEAD)
    assert [fees(statement) for statement in statements] == [
        [("Ahead", "2024-01-01", 31), ("Ahead", "2024-02-01", 31)],
        [("Ahead", "2024-03-01", 31)],
        [("Ahead", "2024-04-01", 31)],
    ]


@pytest.mark.parametrize(
    ("home", "fee", "expected"),
    [
        (account(("plan", "2024-01-15", "2024-02-01")), MONTHLY, "17"),
        (account(("plan", "2024-01-15", "2024-01-16")), MONTHLY, "1"),
        (account(("plan", "2024-01-01", "2024-01-15")), MONTHLY, "14"),
        (account(("plan", "2024-01-15", "2024-01-20")), {**MONTHLY, "prorate": "none"}, "31"),
        (account(("plan", "2024-01-15", "2024-01-20")), DAILY, "1.25"),
        (account(("plan", "2024-01-15", "2024-01-20")), {**MONTHLY, "amount": "-31"}, "-5"),
        (account(("plan", "2024-01-15", "2024-01-20")), {**MONTHLY, "amount": "10"}, "1.61"),  # 50 ÷ 31
    ],
)
def test_a_part_of_a_period_is_due_by_its_days(home: Account, fee: dict[str, str], expected: str) -> None:
    (statement,) = run(home, fee)
    assert [amount for _, _, amount in fees(statement)] == [Decimal(expected)]


def test_a_prorated_fee_shows_its_price_and_share() -> None:
    (statement,) = run(account(("plan", "2024-01-15", "2024-01-20")), {**MONTHLY, "amount": "10"})
    (line,) = statement.lines
    assert (money(line.unit_price * 10**6), units(line.quantity), line.unit) == (10, Decimal("0.161290"), "period")
    assert money(line.exact) == Decimal("1.612903225806451613")


@pytest.mark.parametrize(
    ("zone", "expected"), [("America/Toronto", "7.75"), ("Europe/London", "7.75"), ("Australia/Lord_Howe", "7.75")]
)
def test_days_are_local_dates_whatever_the_clocks_do(zone: str, expected: str) -> None:
    statements = run(account(zone=zone), DAILY)
    assert fees(statements[2])[0][2] == Decimal(expected)


def test_a_change_of_plan_shares_the_period() -> None:
    other = tariff(
        per_unit("1"), tariff="other", fees=[{**MONTHLY, "amount": "62"}], closing={"grace_s": 0, "silence_s": 0}
    )
    plan = tariff(per_unit("1"), fees=[MONTHLY], closing={"grace_s": 0, "silence_s": 0})
    books = Books([plan, other], account(("plan", "2024-01-01", "2024-01-11"), ("other", "2024-01-11", None)))
    (statement,) = books.close_silent("2024-02-02").statements
    assert [(line.tariff, money(line.amount)) for line in statement.lines] == [("other", 42), ("plan", 10)]


def test_a_plan_that_ends_in_a_period_paid_in_advance_gives_a_credit() -> None:
    """The end is known only after February was charged in advance; 10 of its 29 days are due."""
    plan = tariff(per_unit("1"), fees=[{**AHEAD, "amount": "29"}], closing={"grace_s": 0, "silence_s": 0})
    books = Books(plan)
    (january,) = books.close_silent("2024-02-01").statements
    assert fees(january) == [("Ahead", "2024-01-01", 29), ("Ahead", "2024-02-01", 29)]
    books.redeclare([plan], [account(("plan", "2024-01-01", "2024-02-11"))])
    (february,) = books.close_silent("2024-03-02").statements
    assert fees(february) == [("Ahead", "2024-02-01", -19)]
    assert books.close_silent("2024-06-02").statements == []


def test_a_plan_that_ends_where_a_period_paid_in_advance_begins_gives_all_of_it_back() -> None:
    plan = tariff(per_unit("1"), fees=[AHEAD], closing={"grace_s": 0, "silence_s": 0})
    books = Books(plan)
    books.close_silent("2024-02-01")
    books.redeclare([plan], [account(("plan", "2024-01-01", "2024-02-01"))])
    (february,) = books.close_silent("2024-06-02").statements
    assert fees(february) == [("Ahead", "2024-02-01", -31)]
    assert books.close_silent("2024-09-02").statements == []


def test_a_change_of_plan_after_the_advance_was_charged() -> None:
    """February was charged 29 for `plan`; 10 days of it are due, and 19 days of the other at 2 a day."""
    closing = {"grace_s": 0, "silence_s": 0}
    plan = tariff(per_unit("1"), fees=[{**AHEAD, "amount": "29"}], closing=closing)
    other = tariff(per_unit("1"), tariff="other", fees=[{**AHEAD, "amount": "58"}], closing=closing)
    books = Books([plan, other])
    books.close_silent("2024-02-01")
    books.redeclare([plan, other], [account(("plan", "2024-01-01", "2024-02-11"), ("other", "2024-02-11", None))])
    (february,) = books.close_silent("2024-03-01").statements
    assert [(line.tariff, _day(line.period_start), money(line.amount)) for line in february.lines] == [
        ("other", "2024-02-01", 38),
        ("other", "2024-03-01", 58),
        ("plan", "2024-02-01", -19),
    ]


def test_fees_of_the_account_alone_are_due_while_it_has_any_tariff() -> None:
    home = account(("plan", "2024-01-15", "2024-02-01"), fees=[{**MONTHLY, "name": "Paper bill"}])
    (statement,) = run(home, DAILY)
    assert [(line.tariff, line.name, money(line.amount)) for line in statement.lines] == [
        ("", "Paper bill", 17),
        ("plan", "Daily", Decimal("4.25")),
    ]


def test_fees_are_charges_of_their_statement() -> None:
    books = Books(tariff(per_unit("1"), fees=[AHEAD, DAILY]), account(("plan", "2024-01-01", None)), closes=False)
    books.take(reading("r", "1", "2024-01-02"))
    statement = books.close_all()[0]
    charged = [(c.kind, c.meter, money(c.amount), _day(c.period_start), _day(c.statement_start)) for c in books.charges]
    assert charged == [
        (ChargeKind.USAGE, "power", 1, "2024-01-01", "2024-01-01"),
        (ChargeKind.RECURRING, "Ahead", 31, "2024-01-01", "2024-01-01"),
        (ChargeKind.RECURRING, "Daily", Decimal("7.75"), "2024-01-01", "2024-01-01"),
        (ChargeKind.RECURRING, "Ahead", 31, "2024-02-01", "2024-01-01"),
    ]
    assert (statement.charges, money(statement.exact)) == (4, Decimal("70.75"))


def test_charges_of_fees_name_no_usage_and_have_ids_that_do_not_change() -> None:
    def charge_ids() -> list[str]:
        plan = tariff(per_unit("1"), fees=[AHEAD, DAILY], closing={"grace_s": 0, "silence_s": 0})
        outcome = Books(plan).close_silent("2024-03-02")
        assert {charge.kind for charge in outcome.charges} == {ChargeKind.RECURRING}
        assert {(charge.source, charge.usage_id) for charge in outcome.charges} == {("", "")}
        assert sum(charge.amount for charge in outcome.charges) == sum(s.exact for s in outcome.statements)
        return [charge.charge_id for charge in outcome.charges]

    assert charge_ids() == charge_ids()
    assert len(set(charge_ids())) == len(charge_ids()) == 5
