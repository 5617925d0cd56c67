"""Taxing: which taxes a line bears, whether lines are taxed together, on what, and what a line is with its taxes."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from pipeline.bill import plain_line
from pipeline.taxing import Section, Taxed
from schemas.account import Account
from schemas.fixed_point import AMOUNT_SCALE, to_fixed
from schemas.statement import LineKind, Statement, TaxLine
from schemas.tariff import Tariff
from tests.small_books import Books, Number, account, graduated, money, per_unit, printed, reading, tariff

HOME = ("plan", "2024-01-01", "2024-02-01")
VAT = [{"name": "VAT", "percent": "20"}]
GST = [{"name": "GST", "percent": "10"}]


def item(price: str | dict[str, Any], **rest: Any) -> dict[str, Any]:  # noqa: ANN401 - any key of an item
    """An item of a tariff."""
    return {"unit": "kWh", "price": per_unit(price) if isinstance(price, str) else price, **rest}


def statement(of_tariff: Tariff, home: Account | None = None, **used: str) -> Statement:
    """The statement of January 2024 over these quantities, by meter."""
    books = Books(of_tariff, home or account(HOME), closes=False)
    books.take(*(reading(f"of {meter}", quantity, "2024-01-02", meter=meter) for meter, quantity in used.items()))
    return books.only()


def taxes(of: Statement) -> list[tuple[str, str, str, Number, Number]]:
    """Item, name, percent, base and amount of each tax."""
    return [(tax.item, tax.name, tax.percent, money(tax.base), money(tax.amount)) for tax in of.taxes]


def grosses(of: Statement) -> list[Number]:
    """Each line with its taxes."""
    return [money(line.gross) for line in of.lines]


def test_an_item_s_own_taxes_replace_the_tariff_s() -> None:
    meters = {"power": item("1", tax=VAT), "gas": item("1"), "water": item("1", tax=[])}
    found = statement(tariff(meters=meters, tax=GST), power="3", gas="5", water="7")
    assert sorted(taxes(found)) == [("", "GST", "10", 5, Decimal("0.5")), ("power", "VAT", "20", 3, Decimal("0.6"))]
    assert printed(found) == (15, Decimal("1.1"), Decimal("16.1"))


def test_a_fee_s_own_taxes_replace_the_tariff_s_and_so_do_an_account_s_fee_s() -> None:
    fees = [
        {"name": "Line", "amount": "30", "per": "period", "tax": VAT},
        {"name": "Paper", "amount": "2", "per": "day"},
    ]
    home = account(HOME, fees=[{"name": "Own", "amount": "8", "per": "period", "tax": VAT}])
    found = statement(tariff(per_unit("1"), fees=fees, tax=GST), home, power="1")
    assert sorted(taxes(found)) == [
        ("", "GST", "10", 63, Decimal("6.3")),
        ("Line", "VAT", "20", 30, 6),
        ("Own", "VAT", "20", 8, Decimal("1.6")),
    ]


def test_a_minimum_s_own_taxes_are_on_the_true_up() -> None:
    found = statement(tariff(per_unit("1"), minimum={"amount": "10", "tax": VAT}, tax=GST), power="4")
    assert taxes(found) == [("", "GST", "10", 4, Decimal("0.4")), ("Minimum", "VAT", "20", 6, Decimal("1.2"))]


def test_lines_that_bear_the_same_are_taxed_together() -> None:
    """0.02 and 0.02 with 20 % each are 0.004: nothing by itself, a cent together."""
    meters = {"power": item("0.02", tax=VAT), "gas": item("0.02", tax=VAT)}
    together = statement(tariff(meters=meters), power="1", gas="1")
    assert taxes(together) == [("gas, power", "VAT", "20", Decimal("0.04"), Decimal("0.01"))]
    single = statement(tariff(meters=meters, rounding={"tax_at": "line"}), power="1", gas="1")
    assert taxes(single) == [(name, "VAT", "20", Decimal("0.02"), 0) for name in ("gas", "power")]


def test_taxed_by_line_each_tier_is_a_line_and_what_is_free_is_none() -> None:
    price = graduated(["10", "0.12"], [None, "0.07"], free_units="5")
    found = statement(tariff(price, tax=VAT, rounding={"tax_at": "line"}), power="16")
    assert taxes(found) == [
        ("power", "VAT", "20", Decimal("1.2"), Decimal("0.24")),
        ("power", "VAT", "20", Decimal("0.07"), Decimal("0.01")),
    ]


@pytest.mark.parametrize("tax", [[], GST])
def test_an_account_s_taxes_replace_those_of_items_and_fees(tax: list[dict[str, str]]) -> None:
    fees = [{"name": "Line", "amount": "30", "per": "period", "tax": VAT}]
    home = account(HOME, tax=tax)
    found = statement(tariff(meters={"power": item("1", tax=VAT)}, fees=fees), home, power="10")
    assert taxes(found) == [("", "GST", "10", 40, 4)][: len(tax)]


def test_a_spending_minimum_taxed_fee_by_fee() -> None:
    """25 of 28 days of 10.00 are 8.93, less 8.00 used: 0.93 with 0.19 tax, and 1.60 on the usage."""
    minimum = {"amount": "10.00", "prorate": "days"}
    home = account(("plan", "2023-02-04", "2023-03-01"))
    books = Books(tariff(per_unit("8"), minimum=minimum, tax=VAT, rounding={"tax_at": "line"}), home, closes=False)
    books.take(reading("one", "1", "2023-02-10"))
    found = books.only()
    assert [money(line.amount) for line in found.lines] == [8, Decimal("0.93")]
    assert taxes(found) == [
        ("power", "VAT", "20", 8, Decimal("1.6")),
        ("Minimum", "VAT", "20", Decimal("0.93"), Decimal("0.19")),
    ]
    assert money(found.total) == Decimal("10.72")


def test_a_water_bill_taxes_its_rounded_lines() -> None:
    """Singapore 2018, 14.5 m³: 17.545, half of it, and 13.34 are 39.66 once rounded, with 7 % of that."""
    meters = {"water": item("1.21"), "conservation": item("0.605"), "waterborne": item("0.92")}
    gst = [{"name": "GST", "percent": "7"}]
    found = statement(tariff(meters=meters, tax=gst), None, **dict.fromkeys(meters, "14.5"))
    assert sorted(money(line.amount) for line in found.lines) == [Decimal("8.77"), Decimal("13.34"), Decimal("17.55")]
    assert printed(found) == (Decimal("39.66"), Decimal("2.78"), Decimal("42.44"))


@pytest.mark.parametrize(
    ("rounding", "base", "tax"),
    [
        ({}, "0.67", "0.34"),
        ({"tax_base": "exact"}, "0.666", "0.33"),
        ({"at": "total"}, "0.666", "0.33"),
        ({"at": "total", "tax_base": "rounded"}, "0.67", "0.34"),
    ],
)
def test_a_tax_is_on_rounded_or_exact_amounts(rounding: dict[str, str], base: str, tax: str) -> None:
    half = [{"name": "Half", "percent": "50"}]
    found = statement(tariff(per_unit("0.666"), rounding=rounding, tax=half), power="1")
    assert taxes(found) == [("", "Half", "50", Decimal(base), Decimal(tax))]


def test_a_credit_note_rounds_net_and_tax_apart() -> None:
    """29 of 30 days of 200.00 are 193.33, with 25 % 48.33: 241.66, where the exact sum is 241.67."""
    quarter = [{"name": "VAT", "percent": "25"}]
    for rounding, total in (({"at": "total", "tax_base": "rounded"}, "241.66"), ({"at": "total"}, "241.67")):
        found = statement(tariff(per_unit("193.333333333333"), rounding=rounding, tax=quarter), power="1")
        assert money(found.total) == Decimal(total)


def test_taxes_of_several_items_rounded_on_the_total_add_up_to_it() -> None:
    """0.333 with 20 % and 0.333 with 10 % are 0.7659: 0.67 + 0.06 + 0.04."""
    meters = {"gas": item("0.333", tax=VAT), "power": item("0.333", tax=GST)}
    found = statement(tariff(meters=meters, rounding={"at": "total"}), power="1", gas="1")
    assert printed(found) == (Decimal("0.67"), Decimal("0.1"), Decimal("0.77"))


SUPPLY = {"name": "Supply", "amount": "0.89572", "per": "day"}


def test_each_line_with_its_tax_is_rounded_by_itself() -> None:
    """Ergon T11: 21.68 and 38.58 are 60.26, and the bill is 60.25."""
    ergon = tariff(per_unit("0.2461"), currency="AUD", rounding={"at": "total"}, tax=GST, fees=[SUPPLY])
    home = account(("plan", "2018-01-05", "2018-01-27"), currency="AUD")
    books = Books(ergon, home, closes=False)
    books.take(reading("r", "142.50", "2018-01-05", "2018-01-27"))
    found = books.only()
    assert grosses(found) == [Decimal("38.58"), Decimal("21.68")]
    assert money(found.total) == Decimal("60.25")


def test_a_demand_bill_with_each_line_s_tax() -> None:
    """Ergon T14: 20.64, 30.31 and 47.58 are the lines with GST, and 98.53 the bill."""
    meters = {"demand": item("61.79"), "power": item("0.14984")}
    fees = [SUPPLY | {"amount": "0.60514"}]
    found = statement(
        tariff(meters=meters, currency="AUD", rounding={"at": "total"}, tax=GST, fees=fees),
        account(HOME, currency="AUD"),
        demand="0.700",
        power="183.92",
    )
    assert grosses(found) == [Decimal("47.58"), Decimal("30.31"), Decimal("20.64")]
    assert money(found.total) == Decimal("98.53")


def test_a_line_with_its_tax_by_line_and_by_tax_base() -> None:
    half = [{"name": "Half", "percent": "50"}]
    for rounding, gross in (({}, "1.01"), ({"tax_base": "exact"}, "1")):  # 0.67 + 0.335, 0.67 + 0.333
        found = statement(tariff(per_unit("0.666"), rounding=rounding, tax=half), power="1")
        assert grosses(found) == [Decimal(gross)]


def component(name: str, exact: str, percent: str, tax: str) -> Taxed:
    """A line of a component of meter `power` that is taxed by itself."""
    line = plain_line(LineKind.USAGE, (0, 1), name, fixed(exact))
    return Taxed(replace(line, tariff="plan", version="1", meter="power"), percent, fixed(tax))


def fixed(amount: str) -> int:
    """An amount as the pipeline has it."""
    return to_fixed(Decimal(amount), AMOUNT_SCALE)


COMPONENTS = [
    component("energy", "4.114", "10", "0.4114"),
    component("time", "2.225", "20", "0.445"),
    component("parking", "1.225", "20", "0.245"),
    component("limit", "-1", "", "-0.12"),
]


def component_taxes(rounding: dict[str, str], home: Account) -> tuple[list[Number], list[TaxLine]]:
    """Each line with its tax, and the taxes."""
    section = Section(home, tariff(per_unit("1"), rounding=rounding, tax=GST))
    lines = [section.printed(one) for one in COMPONENTS]
    return [money(one.line.gross) for one in lines], section.taxes(lines)


def test_components_are_taxed_by_their_own_percentages_from_their_exact_taxes() -> None:
    gross, found = component_taxes({}, account(HOME))
    assert gross == [Decimal("4.52"), Decimal("2.68"), Decimal("1.48"), Decimal("-1.12")]
    assert [(tax.item, tax.percent, money(tax.base), money(tax.amount)) for tax in found] == [
        ("power", "10", Decimal("4.11"), Decimal("0.41")),
        ("power", "20", Decimal("3.46"), Decimal("0.69")),
        ("power", "", -1, Decimal("-0.12")),
    ]


def test_components_rounded_on_the_total_add_up_to_it() -> None:
    """6.564 with taxes of 0.9814 is 7.5454: 6.56 and 0.99."""
    _, found = component_taxes({"at": "total"}, account(HOME))
    assert sum(money(one.amount) for one in found) == Decimal("0.99")


def test_an_exempt_account_pays_no_component_s_tax_either() -> None:
    gross, found = component_taxes({}, account(HOME, tax=[]))
    assert found == []
    assert gross == [Decimal("4.11"), Decimal("2.23"), Decimal("1.23"), -1]
