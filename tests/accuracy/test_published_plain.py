"""Published bills that today's models cover, through the whole pipeline: tariff document, usage records, statement.

`plain_bills.json` holds each bill with its source. What is here translates a bill into documents and records and does
no arithmetic of its own: every figure that is compared was published.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.calendar import Calendar
from schemas.account import Account
from schemas.instants import SECOND_US, from_us, to_iso
from schemas.statement import LineKind, Statement
from tests.small_books import (
    Books,
    Json,
    Number,
    account,
    at,
    graduated,
    money,
    package,
    per_unit,
    printed,
    reading,
    tariff,
    us,
    volume,
)

BILLS: list[Json] = json.loads((Path(__file__).parent / "plain_bills.json").read_text())
JANUARY = account(("plan", "2024-01-01", "2024-02-01"))


def bills(*models: str, but: str = "") -> pytest.MarkDecorator:
    """One test for each published bill of these models, but one that has a test of its own."""
    chosen = [bill for bill in BILLS if bill["model"] in models and bill["id"] != but]
    return pytest.mark.parametrize("bill", chosen, ids=[bill["id"] for bill in chosen])


def tiers(listed: Sequence[Sequence[Any]]) -> list[list[str | None]]:
    """Tiers as published: whole numbers become text."""
    return [[None if value is None else str(value) for value in tier] for tier in listed]


def price_of(model: str, params: Json) -> Json:
    """The price document of a published price."""
    match model:
        case "graduated":
            return graduated(*tiers(params.get("tiers") or params["graduated"]))
        case "volume":
            return volume(*tiers(params.get("tiers") or params["volume"]))
        case "package":
            of = params.get("package", params)
            return package(str(of["size"]), str(of["price"]), free_units=str(of.get("free", 0)))
        case _:
            raise ValueError(model)


def closed(books: Books, *quantities: object) -> Statement:
    """The one statement of these readings."""
    books.take(*(reading(f"r{n}", str(quantity), "2024-01-10") for n, quantity in enumerate(quantities)))
    return books.only()


def sum_of(statement: Statement, kind: LineKind) -> Number:
    """The exact sum of the lines of one kind."""
    return money(sum(line.exact for line in statement.lines if line.kind is kind))


@bills("graduated", "volume", "package")
def test_a_price(bill: Json) -> None:
    params = bill["params"]
    fees = [{"name": "Fixed", "amount": params["fixed"], "per": "period"}] if "fixed" in params else []
    price = price_of(bill["model"], params)
    statement = closed(Books(tariff(price, fees=fees), JANUARY, closes=False), bill["input"]["qty"])
    if "round" in params:
        lines = [line for line in statement.lines if line.kind is LineKind.USAGE]
        assert [money(line.amount) for line in lines] == [Decimal(bill["expected"])]
    else:
        assert sum_of(statement, LineKind.USAGE) == Decimal(bill["expected"])
    assert sum_of(statement, LineKind.RECURRING) == Decimal(params.get("fixed", 0))


@bills("cumulative_delta", but="OM-DELTA-ROUND-333-666")
@pytest.mark.parametrize("way", ["replaced", "added"])
def test_what_each_run_adds(bill: Json, way: str) -> None:
    """Each run's total as a replacement of the one before, or as a record of what came on top of it."""
    (model,) = bill["params"]
    books = Books(tariff(price_of(model, bill["params"]), negative="accept"), JANUARY)
    before = 0
    for run, total in enumerate(bill["input"]):
        quantity = total if way == "replaced" else total - before
        corrects = {"corrects": f"r{run - 1}"} if way == "replaced" and run else {}
        outcome = books.take(reading(f"r{run}", str(quantity), "2024-01-10", **corrects))
        assert money(sum(charge.amount for charge in outcome.charges)) == Decimal(bill["expected"][run])
        before = total


def test_rounding_residue_is_carried() -> None:
    """The second run comes after the first was stated: its adjustment is 0.67 − 0.33."""
    (bill,) = (bill for bill in BILLS if bill["id"] == "OM-DELTA-ROUND-333-666")
    first, second = bill["input"]
    books = Books(tariff(per_unit(bill["params"]["multiplier"]), rounding={"decimals": bill["params"]["round"]}))
    books.take(reading("a", str(first), "2024-01-10"), reading("next", "0", "2024-02-10"))
    books.take(reading("b", str(second), "2024-01-10", corrects="a"), reading("last", "0", "2024-03-10"))
    assert [str(printed(statement)[2]) for statement in books.statements] == bill["expected"]


@bills("round_half_up")
def test_rounding(bill: Json) -> None:
    books = Books(tariff(per_unit(bill["input"]["amount"]), rounding=bill["params"]), JANUARY, closes=False)
    assert money(closed(books, 1).total) == Decimal(bill["expected"])


@bills("rounding")
def test_rounding_by_a_mode(bill: Json) -> None:
    params = bill["params"]
    rounding = {"mode": params["mode"], "decimals": params["decimals"]}
    statement = closed(
        Books(tariff(per_unit(params["unit"]), rounding=rounding), JANUARY, closes=False), bill["input"]["sec"]
    )
    assert money(statement.total) == Decimal(bill["expected"])


@bills("sum_of_rounded")
def test_rounded_lines_then_summed(bill: Json) -> None:
    lines = {f"m{n}": {"unit": "u", "price": per_unit(line)} for n, line in enumerate(bill["input"]["lines"])}
    books = Books(tariff(meters=lines, rounding={"at": "line", **bill["params"]}), JANUARY, closes=False)
    books.take(*(reading(name, "1", "2024-01-10", meter=name) for name in lines))
    assert money(books.only().total) == Decimal(bill["expected"])


@bills("trueup_rounded")
def test_a_true_up(bill: Json) -> None:
    minimum = {"amount": bill["params"]["commitment"]}
    statement = closed(Books(tariff(per_unit(bill["input"]["used"]), minimum=minimum), JANUARY, closes=False), 1)
    amounts = [money(line.amount) for line in statement.lines if line.kind is LineKind.TRUE_UP]
    assert amounts == [Decimal(bill["expected"])]


@bills("min_commit")
def test_a_minimum(bill: Json) -> None:
    minimum, expected = {"amount": str(bill["params"]["min"])}, bill["expected"]
    books = Books(tariff(price_of("volume", bill["params"]), minimum=minimum), JANUARY, closes=False)
    statement = closed(books, bill["input"]["qty"])
    assert sum_of(statement, LineKind.USAGE) == Decimal(expected["usage"])
    assert sum_of(statement, LineKind.TRUE_UP) == Decimal(expected["true_up"])
    assert money(statement.total) == Decimal(expected["total"])


@bills("prorated_min_spend")
def test_a_minimum_by_days(bill: Json) -> None:
    """The last 25 days of a February of 28."""
    params, expected = bill["params"], bill["expected"]
    assert (params["days"], params["period_days"]) == (25, 28)
    plan = tariff(
        per_unit(params["unit_price"]),
        minimum={"amount": params["min"]},
        tax=[{"name": "Tax", "percent": str(params["tax_pct"])}],
    )
    books = Books(plan, account(("plan", "2023-02-04", "2023-03-01")), closes=False)
    books.take(reading("r", str(bill["input"]["qty"]), "2023-02-10"))
    statement = books.only()
    usage, true_up = statement.lines
    assert (money(usage.amount), money(true_up.amount)) == (Decimal(expected["usage"]), Decimal(expected["true_up"]))
    assert money(statement.tax) == Decimal(expected["usage_tax"]) + Decimal(expected["true_up_tax"])
    assert money(statement.total) == Decimal(expected["total"])


@bills("bill")
def test_a_town_s_electricity_bill(bill: Json) -> None:
    """The same kWh under two prices, each a meter of its own; rounded per line, half up."""
    params, expected = bill["params"], bill["expected"]
    meters = {
        "energy": {"unit": "kWh", "price": price_of("graduated", params["energy"])},
        "power cost": {"unit": "kWh", "price": per_unit(params["power_cost_adj_per_kwh"])},
    }
    plan = tariff(
        meters=meters,
        fees=[{"name": "Fixed", "amount": params["fixed"], "per": "period"}],
        tax=[{"name": "Tax", "percent": params["tax_pct"]}],
        rounding={"at": "line", "decimals": params["round_each_line"]},
    )
    books = Books(plan, JANUARY, closes=False)
    books.take(*(reading(name, str(bill["input"]["kwh"]), "2024-01-10", meter=name) for name in meters))
    statement = books.only()
    lines = [money(line.amount) for line in statement.lines]
    assert lines == [Decimal(line) for line in (*expected["energy_lines"], expected["power_cost"], expected["fixed"])]
    assert printed(statement) == tuple(Decimal(expected[key]) for key in ("subtotal", "tax", "total"))


@bills("qld_tariff")
def test_a_bill_rounded_on_its_total(bill: Json) -> None:
    """Prices in cents, so whole amounts; the printed lines have GST in them and add up to one more than the total."""
    params = bill["params"]
    plan = tariff(
        per_unit(params["per_kwh"]),
        fees=[{"name": "Supply", "amount": params["supply_per_day"], "per": "day"}],
        tax=[{"name": "GST", "percent": params["gst_pct"]}],
        rounding={"at": "total", "decimals": 0},
    )
    assert bill["input"]["days"] == 22
    books = Books(plan, account(("plan", "2024-01-01", "2024-01-23")), closes=False)
    assert money(closed(books, bill["input"]["kwh"]).total) == Decimal(bill["expected"]["total"])


def periods(home: Account, days: Sequence[str]) -> list[str]:
    """The first date of the billing period that holds each day."""
    calendar = Calendar(ZoneInfo(home.zone), home.billing_day)
    return [to_iso(calendar.period(us(day, home.zone))[0])[:10] for day in days]


@bills("billing_boundaries")
def test_boundaries(bill: Json) -> None:
    if "start" in bill["params"]:
        assert periods(account(billing_day=31), bill["expected"]) == bill["expected"]
        return
    for zone in bill["input"]["tz"]:  # December ends with the year
        _, end = Calendar(ZoneInfo(zone), 1).period(us("2023-12-15", zone))
        assert to_iso(end - SECOND_US) == bill["expected"][zone]


@bills("timezone_bucketing")
@pytest.mark.parametrize("since", ["2023-01-01", "2023-03-13"])
def test_events_around_a_change_of_clocks(bill: Json, since: str) -> None:
    """One unit at 1 USD each; it does not matter on which side of the change the account began, but for what was
    before it.
    """
    zone = bill["params"]["tz"]
    home = account(("plan", since, None), zone=zone)
    books = Books(tariff(per_unit("1")), home, closes=False)
    books.take(
        *(reading(f"r{n}", "1", instant) for n, instant in enumerate(bill["input"]) if at(instant) >= at(since, zone))
    )
    found = {
        from_us(s.period_start).astimezone(ZoneInfo(zone)).strftime("%Y-%m"): str(money(s.total))
        for s in books.close_all()
        if s.usage_records
    }
    expected = dict(bill["expected"])
    if since != "2023-01-01":
        expected["2023-03"] = "2"  # the first of its three events was before
    assert found == expected


CLOSING = {"grace_s": 0, "silence_s": 0}


def monthly(amount: str, **rest: str) -> Json:
    return {"name": "Subscription", "amount": amount, "per": "period", "due": "advance", **rest}


def one(bill_id: str) -> Json:
    return next(bill for bill in BILLS if bill["id"] == bill_id)


def test_a_plan_added_in_the_middle() -> None:
    bill = one("FP-PRORATE-ADD25")
    ((quantity, amount),) = bill["input"]["new"]
    assert quantity == 1
    plan = tariff(per_unit("0"), fees=[monthly(amount)], closing=CLOSING)
    home = account(("plan", bill["input"]["change_on"], "2024-04-01"))
    (march,) = Books(plan, home).close_silent("2024-04-01").statements
    assert money(march.net) == Decimal(bill["expected"]["net"])


def test_a_plan_removed_in_the_middle_is_credited() -> None:
    """March was charged in advance on February's statement."""
    bill = one("FP-PRORATE-REMOVE40")
    ((quantity, amount),) = bill["input"]["old"]
    assert quantity == 1
    plan = tariff(per_unit("0"), fees=[monthly(amount)], closing=CLOSING)
    books = Books(plan, account(("plan", "2024-02-01", None)))
    books.close_silent("2024-03-01")
    books.redeclare([plan], [account(("plan", "2024-02-01", bill["input"]["change_on"]))])
    (march,) = books.close_silent("2024-04-01").statements
    assert money(march.net) == Decimal(bill["expected"]["net"])


def test_a_subscription_from_the_eighth_with_tax() -> None:
    bill = one("LAGO-SUB-PRORATE-24/31")
    params = bill["params"]
    plan = tariff(
        per_unit("0"),
        fees=[monthly(params["fee"])],
        tax=[{"name": "Tax", "percent": str(params["tax_pct"])}],
        closing=CLOSING,
    )
    (january,) = (
        Books(plan, account(("plan", "2023-01-08", "2023-02-01")))
        .close_silent("2023-02-01", declared="2023-01-08")
        .statements
    )
    assert money(january.total) == Decimal(bill["expected"]["total"])


def test_every_bill_has_a_source_and_is_used() -> None:
    assert all(bill["source"] and bill["status"] for bill in BILLS)
    used = {"graduated", "volume", "package", "cumulative_delta", "round_half_up", "rounding", "sum_of_rounded"}
    used |= {"trueup_rounded", "min_commit", "prorated_min_spend", "bill", "qld_tariff", "billing_boundaries"}
    used |= {"timezone_bucketing", "proration"}
    assert {bill["model"] for bill in BILLS} == used
    assert len(BILLS) == len({bill["id"] for bill in BILLS}) == 100
