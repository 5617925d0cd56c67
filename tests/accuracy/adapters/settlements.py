"""Settlements: discounts, caps and coupons before tax; credits and interim statements after it."""

from collections.abc import Callable, Mapping
from datetime import date

from schemas.statement import LineKind, StatementKind
from tests.accuracy.case import Question, listed, text
from tests.accuracy.documents import (
    BEGIN,
    USAGE,
    Documents,
    Json,
    Step,
    account,
    at,
    fee,
    item,
    per_unit,
    rated,
    record,
    tariff,
    tax,
)
from tests.accuracy.result import Answers, Result, amount, charged, money, parts


def _lines(amounts: list[str], taxes: list[str] | None = None) -> tuple[dict[str, Json], list[Json]]:
    """An item and one unit of usage for each line of a bill."""
    items = {
        f"line {number}": {**item(per_unit(one)), **({"tax": tax(taxes[number - 1])} if taxes else {})}
        for number, one in enumerate(amounts, 1)
    }
    usage = [record(number, "1", at("2024-01-10", "12:00"), meter=name) for number, name in enumerate(items, 1)]
    return items, usage


def coupon(question: Question) -> Documents:
    """A coupon that is spread over lines, each of which has a tax of its own."""
    params = question.params
    rows = [listed(row, "a line") for row in listed(params.raw("lines"), "lines")]
    items, usage = _lines([text(row[0]) for row in rows], [text(row[1]) for row in rows])
    told = params.text("coupon")
    value = {"percent": told.removesuffix("%")} if told.endswith("%") else {"amount": told}
    home = account(coupons=[{"name": "Coupon", "from": BEGIN, **value}])

    def read(result: Result) -> Answers:
        statement = result.statement
        discounts = result.lines(LineKind.DISCOUNT)
        return question.choose(
            {
                "coupon_split": [-amount(line for line in discounts if line.meter == name) for name in items],
                "tax": [amount(line for line in statement.taxes if line.item == name) for name in items],
                "subtotal_ex_tax": money(statement.net),
                "tax_total": money(statement.tax),
                "total": money(statement.total),
            }
        )

    return rated(tariff(items, rounding={"at": "line", "tax_at": "line"}), usage, read, [home])


def drawdown(question: Question) -> Documents:
    """Lines of a bill, and credits that are drawn upon for them in order."""
    items, usage = _lines([text(line) for line in listed(question.params.raw("lines"), "lines")])
    told = [text(one) for one in listed(question.input.raw("credits"), "credits")]
    home = account(credits=[_credit(number, one) for number, one in enumerate(told, 1)])

    def read(result: Result) -> Answers:
        statement = result.statement
        return question.choose(
            {
                "remaining_due": [money(line.due) for line in result.usage()],
                "total_due": money(statement.due),
                "remaining_credits": [money(one.remaining) for one in statement.settlements],
            }
        )

    return rated(tariff(items), usage, read, [home])


def _credit(number: int, amount_of: str) -> Json:
    return {"name": f"Credit {number}", "amount": amount_of, "from": BEGIN, "priority": number}


def prepaid(question: Question) -> Documents:
    """Money paid in advance, and what goes beyond it."""
    items, usage = _lines([question.input.text("charge")])
    home = account(credits=[_credit(1, question.params.text("prepaid"))])

    def read(result: Result) -> Answers:
        statement = result.statement
        return question.choose(
            {
                "drawn": money(sum(one.amount for one in statement.settlements)),
                "overage": money(statement.due),
                "remaining": money(sum(one.remaining for one in statement.settlements)),
            }
        )

    return rated(tariff(items), usage, read, [home])


EARLIER = "earlier"


def discount_then_cap(question: Question) -> Documents:
    """Usage at a discount, under the most that a period may cost, of which some was billed earlier."""
    params = question.params
    discount = params.maybe("discount_pct")
    off = {} if discount is None else {"discount_percent": discount}
    items = {USAGE: item(per_unit(params.text("unit_price")), **off)}
    usage = [record(2, question.input.text("qty"), at("2024-01-10", "13:00"))]
    billed = params.maybe("previously_billed")
    if billed is not None:
        items[EARLIER] = item(per_unit(billed))
        usage.insert(0, record(1, "1", at("2024-01-10", "12:00"), meter=EARLIER))
    most = params.maybe("max")
    plan = {**tariff(items), **({} if most is None else {"maximum": {"amount": most}})}

    def read(result: Result) -> Answers:
        charges = [charge for charge in result.charges if charge.usage_id == "r2"]
        return question.choose(
            {
                "gross": parts(charges, ""),
                "discount": -parts(charges, "discount"),
                "cap_discount": -parts(charges, "maximum"),
                "total": charged(charges),
            }
        )

    return rated(plan, usage, read)


def progressive(question: Question) -> Documents:
    """A statement as soon as usage comes to a threshold, and the period's own, less what that one asked for."""
    params = question.params
    subscription = params.maybe("subscription_fee")
    fees = [] if subscription is None else [fee("Subscription", subscription)]
    plan = tariff({USAGE: item(per_unit(params.text("unit_price")))}, fees=fees)
    thresholds = listed(params.raw("thresholds"), "thresholds") if "thresholds" in params else [params.raw("threshold")]
    home = account(progressive={"thresholds": [text(one) for one in thresholds]})
    steps = []
    for number, row in enumerate(question.rows(), 1):
        day = row.text("day")
        ends = day == "end"
        usage = [record(number, row.text("qty"), at(date(2024, 1, int(day)), "12:00"))] if "qty" in row else []
        steps.append(Step([plan], [home], usage, closes=ends))

    def read(result: Result) -> Answers:
        answers: list[Answers] = []
        for run in result.runs:
            interim = [one for one in run.statements if one.kind is StatementKind.INTERIM]
            final = [one for one in run.statements if one.kind is StatementKind.STATEMENT]
            if final:
                (one,) = final
                credited = money(sum(paid.amount for paid in one.settlements))
                answers.append({"fees": money(one.net), "progressive_credit": credited, "total": money(one.due)})
            else:
                answers.append({"invoice": money(sum(each.due for each in interim)) if interim else None})
        return answers

    return Documents(steps, read, order="arrival")


SETTLEMENTS: Mapping[str, Callable[[Question], Documents]] = {
    "coupon_then_tax": coupon,
    "credit_drawdown": drawdown,
    "prepaid": prepaid,
    "discount_then_cap": discount_then_cap,
    "threshold_billing": progressive,
}
"""The translation of each model that says who pays what of a bill."""
