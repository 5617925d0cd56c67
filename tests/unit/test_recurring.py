"""Recurring fees: in arrears and in advance, for whole periods and parts of them."""

from decimal import Decimal

import pytest

from schemas.account import Account
from schemas.charge import ChargeKind
from schemas.instants import to_iso
from schemas.statement import LineKind, Statement
from schemas.tariff import Tariff
from tests.small_books import Books, Json, Number, account, money, per_unit, printed, reading, tariff, units

MONTHLY = {"name": "Monthly", "amount": "31", "per": "period"}
DAILY = {"name": "Daily", "amount": "0.25", "per": "day"}
AHEAD = {**MONTHLY, "name": "Ahead", "due": "advance"}
AT_ONCE = {"grace_s": 0, "silence_s": 0}


def fees(statement: Statement) -> list[tuple[str, str, Number]]:
    """Name, first day of the period that it is about, and amount of each fee."""
    return [
        (line.name, _day(line.period_start), money(line.amount))
        for line in statement.lines
        if line.kind is LineKind.RECURRING
    ]


def _day(start: int) -> str:
    return to_iso(start)[:10]


def run(home: Account, *listed: Json, until: str = "2024-04-02", **rest: object) -> list[Statement]:
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
def test_a_part_of_a_period_is_due_by_its_days(home: Account, fee: Json, expected: str) -> None:
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


def plan(name: str, *listed: Json, **rest: object) -> Tariff:
    """A tariff with these fees, each of them due in advance, that closes its periods at once."""
    ahead = [{"name": f"Fee {number}", "per": "period", "due": "advance", **fee} for number, fee in enumerate(listed)]
    return tariff(per_unit("1"), tariff=name, fees=ahead, closing=AT_ONCE, **rest)


def entry(name: str, first: str, last: str | None = None) -> Json:
    """An entry of an account's list, told by its last day."""
    return {"tariff": name, "from": first, **({"last_day": last} if last else {})}


def changed(old: Tariff, new: Tariff | None, entries: list[Json], now: str, *, paid: str, **home: object) -> Statement:
    """The statement of a period that was paid in advance for `old` before its entries became these."""
    tariffs = [old, new] if new else [old]
    books = Books(tariffs, account(tariffs=[entry(old.tariff, entries[0]["from"])], **home))
    assert books.close_silent(paid).statements
    books.redeclare(tariffs, [account(tariffs=entries, **home)])
    (statement,) = books.close_silent(now).statements
    return statement


def by_line(statement: Statement) -> list[Number]:
    return sorted(money(line.amount) for line in statement.lines)


FLEXPRICE = [
    # fees before, fees from 15 March with its 17 of 31 days, the lines, their sum
    ([(2, "50")], [(1, "30")], ["-54.84", "16.45"], "-38.39"),
    ([(5, "10")], [(10, "10")], ["-27.42", "54.84"], "27.42"),
    ([(1, "40")], [], ["-21.94"], "-21.94"),
]


@pytest.mark.parametrize(("old", "new", "lines", "net"), FLEXPRICE)
def test_a_change_of_seats_credits_the_days_left_and_charges_them_anew(
    old: list[tuple[int, str]], new: list[tuple[int, str]], lines: list[str], net: str
) -> None:
    before, after = (
        plan(name, *({"quantity": seats, "amount": amount} for seats, amount in fees_))
        for name, fees_ in (("old", old), ("new", new))
    )
    entries = [entry("old", "2024-02-01", "2024-03-14"), entry("new", "2024-03-15", "2024-03-31")]
    statement = changed(before, after, entries, "2024-04-01", paid="2024-03-01")
    assert (by_line(statement), money(statement.net)) == ([Decimal(line) for line in lines], Decimal(net))


def test_seats_that_are_added_are_due_for_the_days_left() -> None:
    (statement,) = run(account(("plan", "2024-03-15", "2024-04-01")), {**MONTHLY, "amount": "25", "due": "advance"})
    assert [amount for _, _, amount in fees(statement)] == [Decimal("13.71")]


def test_each_fee_of_a_changed_plan_is_credited_and_charged_by_itself() -> None:
    """A period of 30 days from 1 January, the change on the 16th: -50 + 100 - 15 + 25."""
    cycle = {"every": 30, "unit": "day", "anchor": "2025-01-01"}
    old, new = plan("old", {"amount": "100"}, {"amount": "30"}), plan("new", {"amount": "200"}, {"amount": "50"})
    entries = [entry("old", "2024-12-02", "2025-01-15"), entry("new", "2025-01-16", "2025-01-30")]
    statement = changed(old, new, entries, "2025-01-31", paid="2025-01-01", cycle=cycle)
    assert (by_line(statement), money(statement.net)) == ([-50, -15, 25, 100], 60)
    assert statement.statement_id == "default/home/2025-01-01/1"


@pytest.mark.parametrize(
    ("cycle", "fee", "tax", "entries", "paid", "now", "expected"),
    [
        ("month", "200", "25", ("2024-05-01", "2024-06-01"), "2024-06-01", "2024-07-01", "-193.33 -48.33 -241.66"),
        ("week", "29.99", "23.33", ("2024-05-06", "2024-05-13"), "2024-05-13", "2024-05-20", "-25.71 -6.00 -31.71"),
    ],
)
def test_what_was_paid_ahead_is_given_back_with_its_tax(
    cycle: str, fee: str, tax: str, entries: tuple[str, str], paid: str, now: str, expected: str
) -> None:
    """One of 30 days, and one of 7, is used; net and tax are rounded by themselves."""
    old = plan("old", {"amount": fee}, tax=[{"name": "VAT", "percent": tax}])
    statement = changed(old, None, [entry("old", *entries)], now, paid=paid, cycle={"unit": cycle})
    assert printed(statement) == tuple(map(Decimal, expected.split()))


@pytest.mark.parametrize(
    ("home", "fee", "expected"),
    [
        # 32 of the quarter's 91 days
        (
            account(tariffs=[entry("plan", "2024-05-20", "2024-06-20")], cycle={"unit": "quarter"}),
            {**MONTHLY, "amount": "910"},
            "320",
        ),
        # 30 of the year's 365, not of the period's 30
        (
            account(
                tariffs=[entry("plan", "2025-01-01", "2025-01-30")],
                cycle={"every": 30, "unit": "day", "anchor": "2025-01-01"},
            ),
            {**MONTHLY, "amount": "3650", "per": "year"},
            "300",
        ),
        # never in part: 8 of 30 days are left
        (
            account(
                tariffs=[entry("plan", "2025-01-23", "2025-01-30")],
                cycle={"every": 30, "unit": "day", "anchor": "2025-01-01"},
            ),
            {**MONTHLY, "quantity": "2", "amount": "500", "per": "once"},
            "1000",
        ),
    ],
)
def test_published_parts_of_a_period(home: Account, fee: Json, expected: str) -> None:
    (statement,) = run(home, fee, until="2025-02-02")
    assert [amount for _, _, amount in fees(statement)] == [Decimal(expected)]


def test_a_part_of_a_month_in_advance_with_tax() -> None:
    home = account(tariffs=[entry("plan", "2023-01-08", "2023-01-31")], tax=[{"name": "VAT", "percent": "20"}])
    (statement,) = run(home, {**AHEAD, "amount": "50"})
    assert printed(statement) == (Decimal("38.71"), Decimal("7.74"), Decimal("46.45"))


def shown(statement: Statement) -> list[tuple[Number, str, Number]]:
    """Quantity, unit and exact amount of each line."""
    return [(units(line.quantity), line.unit, money(line.exact)) for line in statement.lines]


@pytest.mark.parametrize(
    ("fee", "expected"),
    [
        ({"per": "month"}, [(15, "month", 90), (15, "month", 90)]),
        ({"per": "quarter"}, [(5, "quarter", 30)] * 2),
        ({"per": "year"}, [(Decimal("1.243169"), "year", Decimal("7.459016393442622951"))] * 2),  # 91 of 366 days
        ({"per": "year", "prorate": "thirty"}, [(Decimal("1.25"), "year", Decimal("7.5"))] * 2),
        ({"per": "year", "prorate": "none"}, [(5, "year", 30)]),
        ({"per": "month", "prorate": "none"}, [(15, "month", 90)] * 2),
        ({"per": "once"}, [(5, "", 30)]),
        ({"per": "period"}, [(5, "period", 30)] * 2),
        ({"per": "day"}, [(455, "day", 2730)] * 2),
    ],
)
def test_a_fee_of_calendar_time_is_due_for_what_of_it_is_in_the_period(
    fee: Json, expected: list[tuple[Number, str, Number]]
) -> None:
    home = account(cycle={"unit": "quarter"}, tariffs=[entry("plan", "2024-01-01", "2024-06-30")])
    statements = run(home, {"name": "Seats", "amount": "6", "quantity": "5", **fee}, until="2024-12-31")
    assert [line for statement in statements for line in shown(statement)] == expected


@pytest.mark.parametrize(
    ("per", "first", "last", "days", "thirty"),
    [
        ("month", "2024-01-01", "2024-01-30", "3483.87", "3600"),
        ("month", "2024-01-01", "2024-01-31", "3600", "3600"),
        ("month", "2023-02-01", "2023-02-28", "3600", "3600"),
        ("month", "2023-02-28", "2023-02-28", "128.57", "360"),
        ("month", "2024-01-31", "2024-01-31", "116.13", "0"),
        ("period", "2024-01-16", "2024-01-31", "1858.06", "1800"),
        ("period", "2024-02-16", "2024-02-29", "1737.93", "1800"),
        ("quarter", "2024-01-01", "2024-01-31", "1226.37", "1200"),
        ("year", "2024-02-01", "2024-02-29", "285.25", "300"),
    ],
)
def test_months_of_thirty_days(per: str, first: str, last: str, days: str, thirty: str) -> None:
    home = account(tariffs=[entry("plan", first, last)])
    fee = {"amount": "3600", "per": per}
    (statement,) = run(
        home, {**fee, "name": "days"}, {**fee, "name": "thirty", "prorate": "thirty"}, {**DAILY, "amount": "-1"}
    )
    found = {name: amount for name, _, amount in fees(statement)}
    assert (found["days"], found.get("thirty", 0)) == (Decimal(days), Decimal(thirty))


def test_days_of_thirty_add_up_wherever_a_plan_changes() -> None:
    fee = [{"amount": "30", "prorate": "thirty", "due": "arrears"}]
    for day in range(2, 32):
        entries = [
            entry("old", "2024-01-01", f"2024-01-{day - 1:02d}"),
            entry("new", f"2024-01-{day:02d}", "2024-01-31"),
        ]
        books = Books([plan("old", *fee), plan("new", *fee)], account(tariffs=entries))
        (statement,) = books.close_silent("2024-02-01").statements
        assert money(statement.net) == 30


SETUP = {"name": "Setup", "amount": "99", "per": "once"}


def versions(*dates: str) -> list[Tariff]:
    """Versions of a tariff with a setup fee."""
    return [
        tariff(per_unit("1"), version=str(number), effective_from=effective, fees=[SETUP, DAILY], closing=AT_ONCE)
        for number, effective in enumerate(dates)
    ]


@pytest.mark.parametrize(
    ("entries", "months"),
    [
        ([entry("plan", "2024-01-10")], ["01"]),
        ([entry("plan", "2024-01-10", "2024-02-09"), entry("plan", "2024-02-10")], ["01"]),  # goes on
        ([entry("plan", "2024-01-10", "2024-02-09"), entry("plan", "2024-03-10")], ["01", "03"]),  # begins again
        ([entry("plan", "2024-03-01")], ["03"]),  # under the second version, from its first day
    ],
)
def test_a_fee_that_is_due_once_is_charged_when_the_tariff_begins(entries: list[Json], months: list[str]) -> None:
    """Not again for another period, and not for the versions of February and March."""
    books = Books(versions("2000-01-01", "2024-02-05", "2024-03-01"), account(tariffs=entries))
    statements = books.close_silent("2024-05-02").statements
    assert len(statements) in (2, 4)
    charged = [fee for statement in statements for fee in fees(statement) if fee[0] == "Setup"]
    assert charged == [("Setup", f"2024-{month}-01", 99) for month in months]


def test_once_in_advance_is_on_the_statement_before() -> None:
    first = tariff(per_unit("1"), tariff="first", closing=AT_ONCE)
    other = tariff(per_unit("1"), fees=[{**SETUP, "due": "advance"}], closing=AT_ONCE)
    home = account(tariffs=[entry("first", "2024-01-01", "2024-02-09"), entry("plan", "2024-02-10", "2024-03-31")])
    statements = Books([first, other], home).close_silent("2024-05-02").statements
    assert [fees(statement) for statement in statements] == [[("Setup", "2024-02-01", 99)], [], []]


def test_once_among_an_account_s_own_fees_is_charged_when_its_first_tariff_begins() -> None:
    home = account(("plan", "2024-01-10", "2024-02-10"), ("plan", "2024-03-10", None), fees=[SETUP])
    assert [fees(s) for s in run(home)] == [[("Setup", "2024-01-01", 99)], [], []]


@pytest.mark.parametrize(
    ("cycle", "first", "due", "expected"),
    [
        ({"unit": "quarter"}, "2023-02-04", "arrears", "5600"),  # 56 of 90 days
        ({"unit": "quarter"}, "2023-02-04", "advance", "5600"),
        ({"unit": "week"}, "2023-02-01", "arrears", "6428.57"),  # 5 of 7
        ({"unit": "week"}, "2023-02-01", "advance", "6428.57"),
        ({"anchor": "2023-02-04"}, "2023-02-04", "arrears", "9000"),  # a whole period
    ],
)
def test_fees_count_towards_a_minimum_that_says_so(cycle: Json, first: str, due: str, expected: str) -> None:
    """The fee of the period, whenever it is charged: one in advance for the next period does not count in this one."""
    minimum = {"amount": "10000", "counts": "usage-and-fees"}
    fee = {**MONTHLY, "amount": "1000", "due": due}
    statements = run(account(("plan", first, None), cycle=cycle), fee, until="2024-01-02", minimum=minimum)
    true_ups = [money(line.amount) for s in statements for line in s.lines if line.kind is LineKind.TRUE_UP]
    assert true_ups[0] == Decimal(expected)
    assert set(true_ups[1:]) == {9000}
    assert len(true_ups) == len(statements)


@pytest.mark.parametrize(
    ("counts", "used", "expected"),
    [
        ("usage", 7, 93),
        ("usage-and-fees", 7, 73),
        ("usage-and-fees", 79, 1),
        ("usage-and-fees", 80, 0),
        ("usage", 100, 0),
    ],
)
def test_what_a_minimum_counts(counts: str, used: int, expected: int) -> None:
    """Fees of another tariff and of the account do not count."""
    minimum = {"amount": "100", "counts": counts}
    plans = [
        tariff(per_unit("1"), fees=[{**MONTHLY, "amount": "20"}], minimum=minimum, closing=AT_ONCE),
        tariff(tariff="other", meters={"gas": {"unit": "m3", "price": per_unit("1")}}, fees=[DAILY], closing=AT_ONCE),
    ]
    home = account(("plan", "2024-01-01", "2024-02-01"), ("other", "2024-01-01", "2024-02-01"), fees=[SETUP])
    books = Books(plans, home, closes=False)
    books.take(reading("a", str(used), "2024-01-05"))
    (statement,) = books.close_all()
    assert sum(money(line.amount) for line in statement.lines if line.kind is LineKind.TRUE_UP) == expected


def test_a_minimum_less_its_fees_is_rounded_once() -> None:
    """(10.03 - 10) × 5 ÷ 30 is half a cent exactly, though neither has an end by itself."""
    home = account(("plan", "2024-06-01", "2024-06-06"))
    minimum = {"amount": "10.03", "counts": "usage-and-fees"}
    (statement,) = run(home, {**MONTHLY, "amount": "10"}, until="2024-07-02", minimum=minimum)
    assert [money(line.exact) for line in statement.lines if line.kind is LineKind.TRUE_UP] == [Decimal("0.005")]


def test_a_minimum_by_months_of_thirty_days() -> None:
    home = account(tariffs=[entry("plan", "2024-02-16", "2024-02-29")])
    (statement,) = run(home, minimum={"amount": "100", "prorate": "thirty"})
    assert money(statement.net) == 50


EVENTS = [
    *("2023-03-01T04:00-05:00", "2023-03-15T00:00-04:00", "2023-03-31T23:59-04:00"),
    *("2023-04-01T00:00-04:00", "2023-04-01T00:01-04:00", "2023-04-15T00:00-04:00", "2023-04-30T23:59-04:00"),
    *("2023-05-01T00:00-04:00", "2023-05-01T00:01-04:00"),
]


@pytest.mark.parametrize(
    ("clock", "began", "zone", "months"),
    [
        ("zone", "2023-02-01", "America/New_York", [3, 4, 2]),
        ("zone", "2022-07-01", "America/New_York", [3, 4, 2]),
        ("fixed-offset", "2022-07-01", "UTC-04:00", [3, 4, 2]),
        ("fixed-offset", "2023-02-01", "UTC-05:00", [5, 4]),  # midnight of summer is the evening before
    ],
)
def test_local_days_by_the_clocks_or_by_the_offset_at_the_beginning(
    clock: str, began: str, zone: str, months: list[int]
) -> None:
    books = Books(tariff(per_unit("1")), account(("plan", began, None), zone="America/New_York", clock=clock))
    books.take(*(reading(str(number), "1", event) for number, event in enumerate(EVENTS)))
    books.close_all()
    billed = {s.statement_id.split("/")[2]: money(s.total) for s in books.statements if s.usage_records}
    assert billed == dict(zip(("2023-03", "2023-04", "2023-05"), months, strict=False))
    assert {statement.zone for statement in books.statements} == {zone}
