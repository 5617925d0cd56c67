"""Settling: what credits and interim statements pay of a statement, and what is due then; the units that are free."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from pipeline.settling import balances
from schemas.credit import Credit
from schemas.statement import LineKind, Settlement, Statement, StatementLine
from tests.small_books import Books, Json, Number, account, graduated, money, package, per_unit, reading, tariff, units

PLAN = tariff(per_unit("1"))


def credit(name: str, amount: str, start: str = "2024-01-01", **rest: object) -> Json:
    return {"name": name, "amount": amount, "from": start, **rest}


def paid(settlements: tuple[Settlement, ...] | list[Settlement]) -> list[tuple[str, Number, Number]]:
    """Name, amount and what remains."""
    return [(one.name, money(one.amount), money(one.remaining)) for one in settlements]


def dues(statement: Statement) -> list[Number]:
    """What is due of each line."""
    return [money(line.due) for line in statement.lines]


def two_lines(*listed: Json) -> Statement:
    """Lines of 100 and 50."""
    meters = {name: {"unit": "kWh", "price": per_unit("1")} for name in ("power", "tail")}
    books = Books(tariff(meters=meters), account(credits=listed))
    books.take(reading("a", "100", "2024-01-10"), reading("b", "50", "2024-01-10", meter="tail"))
    return books.only()


@pytest.mark.parametrize(
    ("amounts", "due", "remaining"),
    [
        (["150"], [0, 0], [0]),  # OpenMeter, credits_test.go
        (["75", "75"], [0, 0], [0, 0]),
        (["120"], [0, 30], [0]),
        (["60", "30"], [10, 50], [0, 0]),
        (["200"], [0, 0], [50]),
        (["0"], [100, 50], [0]),
    ],
)
def test_credits_pay_the_lines_in_their_order(amounts: list[str], due: list[int], remaining: list[int]) -> None:
    statement = two_lines(*(credit(f"c{n}", amount) for n, amount in enumerate(amounts)))
    assert dues(statement) == due
    assert [money(one.remaining) for one in statement.settlements] == remaining
    assert money(statement.total) == 150
    assert statement.due == statement.total - sum(one.amount for one in statement.settlements)


def test_what_a_credit_does_not_cover_is_due() -> None:
    """A prepaid 200 and a charge of 300: 200 drawn, 100 of overage."""
    books = Books(PLAN, account(credits=[credit("Prepaid", "200")]))
    books.take(reading("a", "300", "2024-01-10"))
    statement = books.only()
    assert paid(statement.settlements) == [("Prepaid", 200, 0)]
    assert (money(statement.total), money(statement.due)) == (300, 100)


def test_taxes_are_paid_too() -> None:
    books = Books(tariff(per_unit("1"), tax=[{"name": "VAT", "percent": "20"}]), account(credits=[credit("C", "500")]))
    books.take(reading("a", "100", "2024-01-10"))
    statement = books.only()
    assert paid(statement.settlements) == [("C", 120, 380)]
    assert (money(statement.total), money(statement.due)) == (120, 0)
    assert dues(statement) == [0]


def test_a_credit_lasts_over_periods_and_restarts() -> None:
    books = Books(PLAN, account(credits=[credit("C", "100")]))
    books.take(reading("a", "70", "2024-01-10"), reading("b", "50", "2024-02-10"))
    books.restart()
    books.take(reading("c", "5", "2024-03-10"))
    books.restart()
    books.close_all()
    assert [paid(s.settlements) for s in books.statements] == [[("C", 70, 30)], [("C", 30, 0)], [("C", 0, 0)]]
    assert [money(s.due) for s in books.statements] == [0, 20, 5]


@pytest.mark.parametrize(
    ("start", "end", "drawn"),
    [
        ("2024-01-01", None, [10, 20, 30]),
        ("2024-01-02", None, [20, 30]),
        ("2024-01-01", "2024-02-01", [10]),
        ("2024-01-01", "2024-02-02", [10, 20]),
        ("2024-03-01", None, [30]),
    ],
)
def test_a_credit_pays_for_periods_that_begin_in_its_time(start: str, end: str | None, drawn: list[int]) -> None:
    zone = "America/New_York"
    books = Books(PLAN, account(zone=zone, credits=[credit("C", "999", start, until=end)]))
    for month, quantity in ((1, "10"), (2, "20"), (3, "30")):
        books.take(reading(f"r{month}", quantity, f"2024-{month:02d}-10"))
    books.close_all()
    assert [money(one.amount) for s in books.statements for one in s.settlements] == drawn


def test_the_order_of_credits() -> None:
    listed = [
        credit("late", "1", until="2024-12-01"),
        credit("endless", "1"),
        credit("b", "1", until="2024-06-01"),
        credit("a", "1", until="2024-06-01"),
        credit("older", "1", "2023-01-01", until="2024-06-01"),
        credit("first", "1", priority=1),
        credit("last", "1", "2023-01-01", until="2024-02-01", priority=9),
    ]
    for one in listed:
        one.setdefault("priority", 2)
    statement = two_lines(*listed)
    assert [one.name for one in statement.settlements] == ["first", "older", "a", "b", "late", "endless", "last"]


def test_a_negative_total_draws_nothing() -> None:
    fees = [{"name": "Thanks", "amount": "-20", "per": "period"}]
    books = Books(tariff(per_unit("1"), fees=fees), account(credits=[credit("C", "100")]))
    books.take(reading("a", "5", "2024-01-10"))
    statement = books.only()
    assert paid(statement.settlements) == [("C", 0, 100)]
    assert money(statement.due) == money(statement.total) == -15


def changed(*listed: Json) -> Statement:
    """February's statement of 50, where January drew 70 of a credit C of 100 and these are listed since."""
    books = Books(PLAN, account(credits=[credit("C", "100")]))
    books.take(reading("a", "70", "2024-01-10"), reading("b", "50", "2024-02-10"))
    books.redeclare([PLAN], [account(credits=listed)])
    books.take(reading("c", "1", "2024-03-10"))
    return books.statements[-1]


@pytest.mark.parametrize(
    ("listed", "settlements"),
    [
        ([credit("C", "110")], [("C", 40, 0)]),
        ([credit("C", "90")], [("C", 20, 0)]),
        ([credit("C", "60")], [("C", 0, 0)]),  # less than was drawn
        ([credit("C", "100"), credit("D", "15")], [("C", 30, 0), ("D", 15, 0)]),
        ([], []),
    ],
)
def test_credits_that_the_document_changes(listed: list[Json], settlements: list[tuple[str, int, int]]) -> None:
    assert paid(changed(*listed).settlements) == settlements


def test_balances_tell_what_credits_are_worth_now() -> None:
    """A call of 0.01 against a credit of 10 leaves 9.99, before anything is closed (CGRateS)."""
    books = Books(tariff(per_unit("0.0005")), account(credits=[credit("Balance", "10"), credit("Other", "3")]))
    assert paid(balances(books.state())) == [("Balance", 0, 10), ("Other", 0, 3)]
    books.take(reading("call", "20", "2024-01-10"))
    assert paid(balances(books.state())) == [("Balance", Decimal("0.01"), Decimal("9.99")), ("Other", 0, 3)]
    books.take(reading("talk", "23000", "2024-01-11"), reading("next", "1000", "2024-02-01"))
    books.restart()
    assert paid(balances(books.state())) == [("Balance", 10, 0), ("Other", Decimal("2.01"), Decimal("0.99"))]


def test_balances_after_a_statement() -> None:
    books = Books(PLAN, account(credits=[credit("C", "100"), credit("Later", "5", "2025-01-01")]))
    books.take(reading("a", "70", "2024-01-10"), reading("b", "10", "2024-02-10"))
    assert paid(books.statements[0].settlements) == [("C", 70, 30)]
    assert paid(balances(books.state())) == [("C", 10, 20), ("Later", 0, 5)]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"until": "2024-01-01"}, "until is not after from"),
        ({"amount": "-1"}, "at least 0"),
        ({"priority": 0}, "must be from 1"),
    ],
)
def test_credits_that_are_refused(changes: Json, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Credit.model_validate(credit("C", "1") | changes)


def test_two_credits_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="the same name twice"):
        account(credits=[credit("C", "1"), credit("C", "2")])


def allowances(books: Books) -> list[tuple[str, str, Number, Number, Number]]:
    """Meter, unit, included, used and left of the only statement."""
    return [(a.meter, a.unit, units(a.included), units(a.used), units(a.left)) for a in books.only().allowances]


@pytest.mark.parametrize(
    ("quantity", "used", "left"), [("0", 0, 100), ("30", 30, 70), ("100", 100, 0), ("250", 100, 0)]
)
@pytest.mark.parametrize(
    "price",
    [
        per_unit("1", free_units="100"),
        graduated(["200", "1"], [None, "2"], free_units="100"),
        package("10", "1", free_units="100"),
    ],
)
def test_free_units_are_an_allowance(price: Json, quantity: str, used: int, left: int) -> None:
    books = Books(tariff(price))
    books.take(reading("a", quantity, "2024-01-10"))
    assert allowances(books) == [("power", "kWh", 100, used, left)]


def test_an_allowance_that_nobody_used_is_told() -> None:
    meters = {
        "power": {"unit": "kWh", "price": per_unit("1")},
        "sms": {"unit": "message", "price": per_unit("1", free_units="50")},
    }
    books = Books(tariff(meters=meters))
    books.take(reading("a", "1", "2024-01-10"))
    assert allowances(books) == [("sms", "message", 50, 0, 50)]


def test_each_version_has_an_allowance_of_its_own() -> None:
    tariffs = [
        tariff(per_unit("1", free_units="10")),
        tariff(per_unit("1", free_units="20"), version="2", effective_from="2024-01-16"),
    ]
    books = Books(tariffs)
    books.take(reading("a", "15", "2024-01-10"), reading("b", "15", "2024-01-20"))
    assert allowances(books) == [("power", "kWh", 10, 10, 0), ("power", "kWh", 20, 15, 5)]


def test_allowances_of_bands_are_those_of_the_season() -> None:
    def band(name: str, season: str, free_units: str, **when: object) -> Json:
        return {"name": name, "season": season, "price": per_unit("1", free_units=free_units), **when}

    seasons = {"summer": {"from": "05-01", "to": "10-31"}, "winter": {"from": "11-01", "to": "04-30"}}
    bands = [
        band("hot", "summer", "7"),
        band("day", "winter", "10", hours=["08:00-20:00"]),
        band("night", "winter", "20"),
    ]
    books = Books(tariff(bands=bands, seasons=seasons))
    books.take(reading("a", "15", "2024-01-10T10:00"), reading("b", "15", "2024-01-10T21:00"))
    assert allowances(books) == [("power", "kWh", 30, 25, 5)]


def usage_lines(statement: Statement) -> list[StatementLine]:
    return [line for line in statement.lines if line.kind is LineKind.USAGE]


def test_a_free_line_takes_nothing_of_a_credit() -> None:
    books = Books(tariff(per_unit("1", free_units="10")), account(credits=[credit("C", "3")]))
    books.take(reading("a", "15", "2024-01-10"))
    statement = books.only()
    assert [(line.tier, money(line.due)) for line in usage_lines(statement)] == [(0, 0), (1, 2)]
    assert money(statement.due) == 2
