"""Bill: lines, taxes and totals, rounded per line or on the total."""

from decimal import Decimal
from typing import Any

import pytest

from pipeline.bill import MoneyError, bill_of
from schemas.statement import LineKind, Statement
from tests.small_books import (
    Books,
    Number,
    account,
    graduated,
    money,
    package,
    per_unit,
    printed,
    reading,
    tariff,
    units,
    volume,
)


def statement(quantity: str, price: Any, *, home: Any = None, **rest: Any) -> Statement:  # noqa: ANN401
    """The statement of one record in January 2024."""
    books = Books(tariff(price, **rest), home or account(("plan", "2024-01-01", "2024-02-01")), closes=False)
    books.take(reading("r", quantity, "2024-01-02"))
    return books.only()


def lines(of: Statement) -> list[tuple[str, str, int, Number, Number, str, Number]]:
    """Name, band, tier, unit price, quantity, unit and amount of each line."""
    return [
        (n.name, n.band, n.tier, money(n.unit_price * 10**6), units(n.quantity), n.unit, money(n.amount))
        for n in of.lines
    ]


def test_a_line_for_each_tier_and_flat_fee() -> None:
    found = statement("112", graduated(["5", "1", "100"], ["10", "2"], [None, "3", "7"], free_units="100"))
    assert lines(found) == [
        ("included", "", 0, 0, 100, "kWh", 0),
        ("flat fee", "", 1, 0, 0, "", 100),
        ("", "", 1, 1, 5, "kWh", 5),
        ("", "", 2, 2, 5, "kWh", 10),
        ("flat fee", "", 3, 0, 0, "", 7),
        ("", "", 3, 3, 2, "kWh", 6),
    ]
    assert printed(found) == (128, 0, 128)


def test_a_package_line_counts_packages() -> None:
    found = statement("2500.5", package("1000", "1.25", free_units="500"))
    assert lines(found) == [
        ("included", "", 0, 0, 500, "kWh", 0),
        ("", "", 1, Decimal("1.25"), 3, "1000 kWh", Decimal("3.75")),
    ]


def test_a_fee_for_each_transaction_counts_transactions() -> None:
    found = statement("200", {"model": "percentage", "percent": "1", "fixed_per_event": "0.30"})
    assert lines(found) == [
        ("", "", 1, Decimal("0.01"), 200, "kWh", 2),
        ("per transaction", "", 1, Decimal("0.3"), 1, "transaction", Decimal("0.3")),
    ]


@pytest.mark.parametrize(("dimension", "unit"), [("energy", "kWh"), ("time", "hour")])
def test_the_time_of_a_charging_session_counts_hours(dimension: str, unit: str) -> None:
    component = {"dimension": dimension, "price": "6"}
    books = Books(tariff({"model": "charging", "elements": [{"components": [component]}]}))
    books.take(reading("r", "3", "2024-01-02", "2024-01-03"))
    assert [line.unit for line in books.only().lines] == [unit]


def test_zero_usage_has_no_lines_and_no_flat_fee() -> None:
    for price in (per_unit("1"), graduated(["5", "1", "9"], [None, "2"]), volume([None, "1", "9"]), package("10", "1")):
        found = statement("0", price)
        assert (found.lines, found.usage_records, found.charges, printed(found)) == ((), 1, 1, (0, 0, 0))


def test_a_meter_that_is_free_is_stated_too() -> None:
    assert lines(statement("5", per_unit("0"))) == [("", "", 1, 0, 5, "kWh", 0)]


def test_bands_are_lines_of_their_own() -> None:
    bands = [
        {"name": "day", "hours": ["08:00-20:00"], "price": graduated(["6", "3"], [None, "4"])},
        {"name": "night", "price": per_unit("1")},
    ]
    books = Books(tariff(bands=bands), closes=False)
    books.take(reading("r", "48", "2024-01-02", "2024-01-04"))
    assert lines(books.only()) == [
        ("", "day", 1, 3, 6, "kWh", 18),
        ("", "day", 2, 4, 18, "kWh", 72),
        ("", "night", 1, 1, 24, "kWh", 24),
    ]


SEYMOUR = graduated(["250", "0.064"], ["700", "0.049"], ["1250", "0.0475"], [None, "0.0446"])


def test_rounded_per_line_the_lines_add_up() -> None:
    """26.125 is printed 26.13 and 33.45 stays: 97.63, with 1 % tax 0.98 on that."""
    found = statement("2000", SEYMOUR, tax=[{"name": "State", "percent": "1"}])
    assert [money(line.amount) for line in found.lines] == [16, Decimal("22.05"), Decimal("26.13"), Decimal("33.45")]
    assert printed(found) == (Decimal("97.63"), Decimal("0.98"), Decimal("98.61"))
    assert [money(tax.base) for tax in found.taxes] == [Decimal("97.63")]
    assert money(found.exact) == Decimal("97.625")


THIRDS = graduated(["1", "0.335"], ["2", "0.334"], [None, "0.336"])  # three units: 1.005


@pytest.mark.parametrize(
    ("rounding", "total"),
    [
        ({}, "1.01"),  # 0.34 + 0.33 + 0.34
        ({"mode": "half-even"}, "1.01"),
        ({"mode": "up"}, "1.02"),
        ({"mode": "down"}, "0.99"),
        ({"at": "total"}, "1.01"),
        ({"at": "total", "mode": "half-even"}, "1"),
        ({"at": "total", "mode": "up"}, "1.01"),
        ({"at": "total", "mode": "down"}, "1"),
        ({"decimals": 3}, "1.005"),
        ({"decimals": 0}, "0"),
        ({"at": "total", "decimals": 0}, "1"),
        ({"at": "total", "decimals": 1}, "1"),
    ],
)
def test_rounding(rounding: dict[str, object], total: str) -> None:
    assert money(statement("3", THIRDS, rounding=rounding).total) == Decimal(total)


@pytest.mark.parametrize(
    ("mode", "total"), [("half-up", "-0.13"), ("half-even", "-0.12"), ("up", "-0.13"), ("down", "-0.12")]
)
def test_a_half_below_zero_is_rounded_away_from_zero_by_half_up(mode: str, total: str) -> None:
    assert money(statement("1", per_unit("-0.125"), rounding={"mode": mode}).total) == Decimal(total)


@pytest.mark.parametrize(("currency", "total"), [("USD", "1.24"), ("JPY", "1"), ("KWD", "1.235"), ("CLF", "1.2346")])
def test_decimals_are_the_currency_s_own(currency: str, total: str) -> None:
    home = account(("plan", "2024-01-01", "2024-02-01"), currency=currency)
    found = statement("1", per_unit("1.234567" if currency == "CLF" else "1.235"), home=home, currency=currency)
    assert (found.currency, money(found.total)) == (currency, Decimal(total))


def ergon(at: str) -> Statement:
    """Ergon T11 of 2017, 22 days and 142.50 kWh: 0.89572 a day and 0.2461 a kWh, GST on both."""
    books = Books(
        tariff(
            per_unit("0.2461"),
            currency="AUD",
            rounding={"at": at},
            tax=[{"name": "GST", "percent": "10"}],
            fees=[{"name": "Supply", "amount": "0.89572", "per": "day"}],
        ),
        account(("plan", "2018-01-05", "2018-01-27"), currency="AUD", zone="Australia/Brisbane"),
        closes=False,
    )
    books.take(reading("r", "142.50", "2018-01-05T00:00+10:00", "2018-01-27T00:00+10:00"))
    return books.only()


def test_rounded_on_the_total_lines_need_not_add_up() -> None:
    """With GST the lines are 21.68 and 38.58, which is 60.26; the bill is 60.25."""
    found = ergon("total")
    assert money(found.exact) == Decimal("54.77509")
    assert [money(line.amount) for line in found.lines] == [Decimal("35.07"), Decimal("19.71")]
    assert printed(found) == (Decimal("54.78"), Decimal("5.47"), Decimal("60.25"))
    assert [money(tax.base) for tax in found.taxes] == [Decimal("54.77509")]


def test_rounded_per_line_the_same_bill_is_a_cent_more() -> None:
    assert printed(ergon("line")) == (Decimal("54.78"), Decimal("5.48"), Decimal("60.26"))


TAXES = [{"name": "State", "percent": "7.25"}, {"name": "City", "percent": "0.55"}]


def test_several_taxes_are_each_on_the_net_amount() -> None:
    found = statement("1", per_unit("10.30"), tax=TAXES)
    assert [(tax.name, tax.percent, money(tax.base), money(tax.amount)) for tax in found.taxes] == [
        ("State", "7.25", Decimal("10.3"), Decimal("0.75")),  # 0.74675
        ("City", "0.55", Decimal("10.3"), Decimal("0.06")),  # 0.05665
    ]
    assert printed(found) == (Decimal("10.3"), Decimal("0.81"), Decimal("11.11"))


def test_several_taxes_rounded_on_the_total_add_up_to_it() -> None:
    """10.304 with 7.8 % is 11.107712: 10.30 + 0.75 + 0.06."""
    found = statement("1", per_unit("10.304"), tax=TAXES, rounding={"at": "total"})
    assert printed(found) == (Decimal("10.3"), Decimal("0.81"), Decimal("11.11"))
    assert [money(tax.amount) for tax in found.taxes] == [Decimal("0.75"), Decimal("0.06")]


def test_taxes_rounded_on_the_total_share_its_rounding() -> None:
    """0.05 with 50 % is 0.075, and with 100 % 0.10: the second tax is what the first one leaves."""
    halves = [{"name": "First", "percent": "50"}, {"name": "Second", "percent": "50"}]
    found = statement("1", per_unit("0.05"), tax=halves, rounding={"at": "total"})
    assert [money(tax.amount) for tax in found.taxes] == [Decimal("0.03"), Decimal("0.02")]
    assert money(found.total) == Decimal("0.1")


@pytest.mark.parametrize(
    ("tax", "expected"),
    [(None, ["GST"]), ([], []), ([{"name": "Reduced", "percent": "5"}], ["Reduced"])],
)
def test_an_account_s_own_taxes_replace_those_of_its_tariffs(tax: object, expected: list[str]) -> None:
    home = account(("plan", "2024-01-01", "2024-02-01"), tax=tax)
    found = statement("1", per_unit("10"), home=home, tax=[{"name": "GST", "percent": "10"}])
    assert [line.name for line in found.taxes] == expected


def test_each_version_is_rounded_and_taxed_by_its_own_rules() -> None:
    exempt = tariff(per_unit("0.015"), rounding={"mode": "down"})
    taxed = tariff(per_unit("0.015"), version="2", effective_from="2024-01-11", tax=[{"name": "GST", "percent": "100"}])
    books = Books([exempt, taxed], account(("plan", "2024-01-01", "2024-02-01")), closes=False)
    books.take(reading("r", "2", "2024-01-10", "2024-01-12"))
    found = books.only()
    assert [(line.version, money(line.amount)) for line in found.lines] == [
        ("1", Decimal("0.01")),
        ("2", Decimal("0.02")),
    ]
    assert [(tax.version, money(tax.amount)) for tax in found.taxes] == [("2", Decimal("0.02"))]
    assert money(found.total) == Decimal("0.05")


@pytest.mark.parametrize(
    ("minimum", "quantity", "true_up"),
    [
        ({"amount": "10"}, "4", "6"),
        ({"amount": "10"}, "10", None),
        ({"amount": "10"}, "12", None),
        ({"amount": "10"}, "0", "10"),
        ({"amount": "0"}, "0", None),
    ],
)
def test_usage_is_brought_up_to_the_minimum(minimum: dict[str, str], quantity: str, true_up: str | None) -> None:
    found = statement(quantity, per_unit("1"), minimum=minimum)
    amounts = [money(line.amount) for line in found.lines if line.kind is LineKind.TRUE_UP]
    assert amounts == ([] if true_up is None else [Decimal(true_up)])


@pytest.mark.parametrize(("prorate", "true_up"), [("days", "2"), ("none", "27")])
def test_a_minimum_for_a_part_of_the_period(prorate: str, true_up: str) -> None:
    """6 of January's 31 days of 31 are 6, less 4 used."""
    home = account(("plan", "2024-01-26", "2024-02-01"))
    books = Books(tariff(per_unit("1"), minimum={"amount": "31", "prorate": prorate}), home, closes=False)
    books.take(reading("r", "4", "2024-01-28"))
    (line,) = (line for line in books.only().lines if line.kind is LineKind.TRUE_UP)
    assert (money(line.amount), line.name, line.tariff, line.version) == (Decimal(true_up), "Minimum", "plan", "1")


def test_each_version_has_its_share_of_the_minimum() -> None:
    """10 days of 31 and 21 days of 62 are 10 and 42; 4 were used under the first."""
    books = Books(
        [
            tariff(per_unit("1"), minimum={"amount": "31"}),
            tariff(per_unit("1"), version="2", effective_from="2024-01-11", minimum={"amount": "62"}),
        ],
        account(("plan", "2024-01-01", "2024-02-01")),
        closes=False,
    )
    books.take(reading("r", "4", "2024-01-05"))
    true_ups = [(line.version, money(line.amount)) for line in books.only().lines if line.kind is LineKind.TRUE_UP]
    assert true_ups == [("1", 6), ("2", 42)]


def test_fees_do_not_count_for_the_minimum() -> None:
    found = statement(
        "4", per_unit("1"), minimum={"amount": "10"}, fees=[{"name": "Fee", "amount": "100", "per": "period"}]
    )
    assert printed(found) == (110, 0, 110)


def test_a_bill_that_its_charges_do_not_add_up_to_stops() -> None:
    books = Books(tariff(per_unit("1")))
    books.take(reading("r", "4", "2024-01-02"))
    state = books.state()
    period = state.period(state.open_from)
    next(iter(period.totals.values())).amount += 1
    with pytest.raises(MoneyError, match=r"account home, 2024-01, meter 'power': its charges add up to 4\.0*1, its"):
        bill_of(books.plans, state.plan, period)
    with pytest.raises(MoneyError):
        books.close_all()
