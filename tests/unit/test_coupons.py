"""Coupons: what they take off which lines, for how long, and that they stay as they were given."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.charge import ChargeKind
from schemas.coupon import Coupon
from schemas.statement import LineKind, Statement
from tests.small_books import Books, Number, account, amounts, graduated, money, per_unit, printed, reading, tariff

HOME = ("plan", "2024-01-01", "2024-02-01")
TEN = {"name": "Ten off", "amount": "10.00", "from": "2024-01-01"}


def vat(percent: str) -> list[dict[str, str]]:
    """One tax."""
    return [{"name": "VAT", "percent": percent}]


def discounts(of: Statement) -> list[tuple[str, str, Number]]:
    """Coupon, item and amount of each share."""
    return [(line.name, line.meter, money(line.amount)) for line in of.lines if line.kind is LineKind.DISCOUNT]


def statement(coupons: list[dict[str, Any]], quantity: str = "100", **rest: Any) -> Statement:  # noqa: ANN401
    """January 2024 of one meter at 1 a unit."""
    of_tariff = rest.pop("tariff", None) or tariff(per_unit("1"), **rest)
    books = Books(of_tariff, account(HOME, coupons=coupons), closes=False)
    books.take(reading("r", quantity, "2024-01-02"))
    found = books.only()
    assert sum(charge.amount for charge in books.charges) == found.exact == sum(line.exact for line in found.lines)
    return found


def test_a_coupon_reduces_every_line_before_its_own_tax() -> None:
    """100 at 10 %, 50 at 0 %, 30 at 20 % and a true-up of 20 at 20 %, less 10.00."""
    meters = {
        name: {"unit": "unit", "price": per_unit("1"), "tax": vat(percent)}
        for name, percent in (("a", "10"), ("b", "0"), ("c", "20"))
    }
    minimum = {"amount": "200", "tax": vat("20")}
    plan = tariff(meters=meters, minimum=minimum, rounding={"tax_at": "line"})
    books = Books(plan, account(HOME, coupons=[TEN]), closes=False)
    books.take(*(reading(m, q, "2024-01-02", meter=m) for m, q in (("a", "100"), ("b", "50"), ("c", "30"))))
    found = books.only()
    assert discounts(found) == [
        ("Ten off", "a", -5),
        ("Ten off", "b", Decimal("-2.5")),
        ("Ten off", "c", Decimal("-1.5")),
        ("Ten off", "Minimum", -1),
    ]
    assert [(tax.item, money(tax.amount)) for tax in found.taxes] == [
        ("a", Decimal("9.5")),
        ("b", 0),
        ("c", Decimal("5.7")),
        ("Minimum", Decimal("3.8")),
    ]
    assert printed(found) == (190, 19, 209)
    given = [charge for charge in books.charges if charge.kind is ChargeKind.CREDIT]
    assert [(charge.meter, charge.tariff, money(charge.amount)) for charge in given] == [("Ten off", "plan", -10)]
    assert sum(charge.amount for charge in books.charges) == found.exact


def test_shares_are_rounded_and_add_up() -> None:
    """Three equal lines share 1.00 as 0.33, 0.34 and 0.33."""
    price = graduated(["1", "5.001"], ["2", "5.002"], [None, "5.003"])
    found = statement([TEN | {"amount": "1"}], "3", tariff=tariff(price))
    assert [amount for _, _, amount in discounts(found)] == [Decimal("-0.33"), Decimal("-0.34"), Decimal("-0.33")]
    assert money(found.net) == 14


@pytest.mark.parametrize(("at", "total"), [("line", "9"), ("total", "9")])
def test_shares_have_the_decimals_of_the_statement_however_it_is_rounded(at: str, total: str) -> None:
    found = statement([TEN | {"amount": "1"}], "3", tariff=tariff(per_unit("3.3334"), rounding={"at": at}))
    assert [amount for _, _, amount in discounts(found)] == [-1]
    assert money(found.total) == Decimal(total)


def test_a_coupon_never_takes_more_than_there_is() -> None:
    found = statement([TEN | {"amount": "250"}], "100", fees=[{"name": "Rebate", "amount": "-20", "per": "period"}])
    assert discounts(found) == [("Ten off", "power", -100)]
    assert money(found.total) == -20  # a line below nothing is nobody's to reduce


def test_coupons_follow_each_other_in_the_order_of_the_account() -> None:
    half = {"name": "Half", "percent": "50", "from": "2024-01-01"}
    assert discounts(statement([TEN, half])) == [("Ten off", "power", -10), ("Half", "power", -45)]
    assert discounts(statement([half, TEN])) == [("Half", "power", -50), ("Ten off", "power", -10)]
    assert discounts(statement([half, TEN | {"amount": "80"}])) == [("Half", "power", -50), ("Ten off", "power", -50)]


def test_a_coupon_for_some_meters_leaves_the_others() -> None:
    meters = {name: {"unit": "kWh", "price": per_unit("1")} for name in ("power", "gas")}
    fees = [{"name": "Fee", "amount": "5", "per": "period"}]
    plan = tariff(meters=meters, fees=fees)
    found = statement([{"name": "Half", "percent": "50", "from": "2024-01-01", "meters": ["power"]}], "9", tariff=plan)
    assert discounts(found) == [("Half", "power", Decimal("-4.5"))]
    assert discounts(statement([TEN | {"meters": ["gas"]}], "9", tariff=plan)) == []


def test_a_coupon_is_off_fees_too_and_off_the_account_s_own() -> None:
    home = account(HOME, coupons=[TEN], fees=[{"name": "Own", "amount": "40", "per": "period"}])
    books = Books(tariff(per_unit("1"), fees=[{"name": "Line", "amount": "20", "per": "period"}]), home, closes=False)
    books.take(reading("r", "40", "2024-01-02"))
    found = books.only()
    assert sorted(discounts(found)) == [("Ten off", "Line", -2), ("Ten off", "Own", -4), ("Ten off", "power", -4)]
    given = [charge for charge in books.charges if charge.kind is ChargeKind.CREDIT]
    assert sorted((charge.tariff, money(charge.amount)) for charge in given) == [("", -4), ("plan", -6)]
    assert len({charge.charge_id for charge in given}) == 2


@pytest.mark.parametrize(
    ("dates", "months"),
    [
        ({}, [1, 2, 3, 4]),
        ({"from": "2024-01-02"}, [2, 3, 4]),
        ({"until": "2024-03-01"}, [1, 2]),
        ({"until": "2024-03-02"}, [1, 2, 3]),
        ({"periods": 2}, [1, 2]),
        ({"from": "2023-12-15", "periods": 3}, [1, 2, 3]),
        ({"from": "2023-12-01", "periods": 3}, [1, 2]),
        ({"from": "2024-02-01", "until": "2024-04-01", "periods": 9}, [2, 3]),
        ({"from": "2030-01-01"}, []),
        ({"from": "2000-01-01", "periods": 1}, []),
    ],
)
def test_for_which_periods_a_coupon_is(dates: dict[str, Any], months: list[int]) -> None:
    books = Books(tariff(per_unit("1")), account(coupons=[TEN | dates]), closes=False)
    books.take(*(reading(f"r{month}", "100", f"2024-{month:02}-10") for month in range(1, 5)))
    found = [money(statement.total) for statement in books.close_all()]
    assert found == [90 if month in months else 100 for month in range(1, 5)]


def test_late_usage_leaves_what_a_coupon_gave() -> None:
    """10 of 40 were given, 10 % tax on 30; with 20 more the tax is on 50, and nothing is spread anew."""
    half = {"name": "Quarter", "percent": "25", "from": "2024-01-01", "periods": 1}
    books = Books(tariff(per_unit("1"), tax=vat("10")), account(coupons=[half]))
    books.take(reading("jan", "40", "2024-01-10"), reading("feb", "1", "2024-02-10"))
    books.restart()
    books.take(reading("late", "20", "2024-01-20"), reading("mar", "1", "2024-03-10"))
    january, february = books.statements
    assert printed(january) == (30, 3, 33)
    assert printed(february) == (21, Decimal("2.1"), Decimal("23.1"))
    assert discounts(february) == []


def test_a_void_of_all_usage_leaves_what_a_coupon_gave_with_its_tax() -> None:
    books = Books(tariff(per_unit("1"), tax=vat("10")), account(coupons=[TEN | {"periods": 1}]))
    books.take(reading("jan", "40", "2024-01-10"), reading("feb", "100", "2024-02-10"))
    books.take(reading("void", None, "2024-01-11", corrects="jan"), reading("mar", "1", "2024-03-10"))
    assert printed(books.statements[0]) == (30, 3, 33)
    assert printed(books.statements[1]) == (60, 6, 66)


def test_a_coupon_makes_no_charge_where_it_takes_nothing() -> None:
    books = Books(tariff(per_unit("0")), account(HOME, coupons=[TEN]), closes=False)
    books.take(reading("r", "5", "2024-01-02"))
    assert discounts(books.only()) == []
    assert amounts(books.charges) == [0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "1", "percent": "1"},
        {},
        {"amount": "0"},
        {"percent": "0"},
        {"percent": "101"},
        {"amount": "-1"},
        {"amount": "1", "until": "2024-01-01"},
        {"amount": "1", "periods": 0},
        {"amount": "1", "meters": []},
    ],
)
def test_a_wrong_coupon_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Coupon.model_validate({"name": "x", "from": "2024-01-01", **wrong})


def test_two_coupons_of_an_account_have_two_names() -> None:
    with pytest.raises(ValidationError, match="the same name twice"):
        account(coupons=[TEN, TEN])
