"""Prices of a quantity: the price document of a case, and the models that are nothing but one."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from schemas.statement import LineKind
from tests.accuracy.case import Given, NotCoveredError, Question, listed, text
from tests.accuracy.comparing import Printed, Within
from tests.accuracy.documents import USAGE, Documents, Json, fee, item, per_unit, rated, record, tariff
from tests.accuracy.result import Answers, Result, amount, average_price, exact, money, priced_units, quantity

ALWAYS_CHARGE_FIRST_FLAT_FEE = ("getlago/", "openmeterio/", "getlago.com")
"""Sources whose totals charge the first flat fee without usage, where a case does not tell."""
_UPPER = re.compile(r"bound(ary)?\b.*\bupper tier", re.IGNORECASE)
_UNPRICED = re.compile(r"no tier at all|billed 0\b|in no tier|unpriced", re.IGNORECASE)


def tiers(of: object, key: str = "unit_price") -> list[Json]:
    """Tiers as a case lists them: upper bound, price or percentage, flat fee."""
    return [_tier(listed(tier, "a tier"), key) for tier in listed(of, "tiers")]


def _tier(tier: Sequence[Any], key: str) -> Json:
    if not 2 <= len(tier) <= 3:
        raise NotCoveredError(f"a tier has a bound, a price and perhaps a flat fee: {tier}")
    price: Json = {key: text(tier[1]), "flat_fee": text(tier[2]) if len(tier) > 2 else "0"}
    return price if tier[0] is None else {"up_to": text(tier[0]), **price}


def price_of(question: Question, kind: str, of: object, **rest: object) -> Json:
    """The price of one kind, from its tiers or its package."""
    match kind:
        case "graduated":
            return {"model": kind, "tiers": tiers(of), **_conventions(question), **rest}
        case "volume":
            between = {"between_bounds": "unpriced"} if _UNPRICED.search(question.note) else {}
            return {"model": kind, "tiers": tiers(of), **_conventions(question), **between, **rest}
        case "graduated_percentage":
            return {"model": kind, "tiers": tiers(of, "percent"), **_first_flat_fee(question), **rest}
        case "package" if isinstance(of, Given):
            free = {"free_units": of.text("free")} if "free" in of else {}
            return {"model": kind, "size": of.text("size"), "package_price": of.text("price"), **free, **rest}
        case "unit_price":
            return per_unit(text(of, kind), **rest)
        case _:
            raise NotCoveredError(f"no price of kind {kind}")


def priced_by(question: Question, params: Given, **rest: object) -> Json:
    """The price that the params name: graduated, volume, package, unit price or multiplier."""
    kinds = [kind for kind in ("graduated", "volume", "package", "unit_price", "multiplier") if kind in params]
    if len(kinds) != 1:
        raise NotCoveredError(f"{params.where} should name one price, not {len(kinds)}")
    (kind,) = kinds
    if kind == "package":
        return price_of(question, kind, params.within(kind), **rest)
    return price_of(question, "unit_price" if kind == "multiplier" else kind, params.raw(kind), **rest)


def _conventions(question: Question) -> Json:
    upper = {"on_bound": "upper"} if _UPPER.search(question.note) else {}
    return {**_first_flat_fee(question), **upper}


def _first_flat_fee(question: Question) -> Json:
    always = question.params.flag("zero_usage_first_flat")
    if always is None:
        always = question.source.startswith(ALWAYS_CHARGE_FIRST_FLAT_FEE) and question.model != "cumulative_delta"
    return {"first_flat_fee": "always"} if always else {}


def one_price(question: Question) -> Documents:
    """A quantity of one meter at one price. `fixed` is a fee beside it, which is not in the expected amount."""
    params, kind = question.params, question.model
    match kind:
        case "graduated" | "volume":
            price = price_of(question, kind, params.raw("tiers"), **_free(params))
        case "graduated_percentage":
            price = price_of(question, kind, params.raw("tiers_pct"), **_free(params))
        case _:
            price = price_of(question, kind, params)
    rest: Json = {}
    decimals = params.maybe("round")
    fixed = params.maybe("fixed")
    if fixed is not None:
        rest["fees"] = [fee("Fixed", fixed)]
    if decimals is not None:
        rest["rounding"] = {"at": "line" if fixed else "total", "decimals": decimals}

    def read(result: Result) -> Answers:
        lines = result.usage()
        if decimals is None:
            return Printed(exact(lines))
        return amount(lines) if fixed else money(result.statement.net)

    return rated(tariff({USAGE: item(price)}, **rest), [record(1, _quantity(question), "2024-01-10T12:00:00Z")], read)


def _free(params: Given) -> Json:
    free = params.maybe("free")
    return {} if free is None else {"free_units": free}


def _quantity(question: Question) -> str:
    """The one quantity of the input, whatever it is called."""
    names = list(question.input)
    if len(names) != 1:
        raise NotCoveredError(f"input should have one quantity, not {len(names)}")
    return question.input.text(names[0])


def average(question: Question) -> Documents:
    """What a unit costs on average under tiers."""
    price = price_of(question, "graduated", question.params.raw("tiers"))
    tolerance = question.params.maybe("tolerance")

    def read(result: Result) -> Answers:
        found = average_price(result.usage())
        return Printed(found) if tolerance is None else Within(found, Decimal(tolerance))

    return rated(tariff({USAGE: item(price)}), [record(1, _quantity(question), "2024-01-10T12:00:00Z")], read)


def amount_rounded(question: Question) -> Documents:
    """An amount, or so many units at a price, rounded by a mode."""
    params, given = question.params, question.input
    rounding: Json = {"at": "total", "decimals": params.text("decimals")}
    if "mode" in params:
        rounding["mode"] = _mode(params.text("mode"))
    price, units = (params.text("unit"), _quantity(question)) if "unit" in params else (given.text("amount"), "1")
    plan = tariff({USAGE: item(per_unit(price))}, rounding=rounding)
    return rated(plan, [record(1, units, "2024-01-10T12:00:00Z")], lambda result: money(result.statement.total))


def sum_of_rounded(question: Question) -> Documents:
    """Lines that are rounded each, and then summed."""
    lines = [text(line) for line in listed(question.input.raw("lines"), "lines")]
    meters = {f"line {number}": item(per_unit(line)) for number, line in enumerate(lines, 1)}
    plan = tariff(meters, rounding={"at": "line", "decimals": question.params.text("decimals")})
    usage = [record(number, "1", "2024-01-10T12:00:00Z", meter=name) for number, name in enumerate(meters, 1)]
    return rated(plan, usage, lambda result: money(result.statement.total))


def converted(question: Question) -> Documents:
    """Quantities that become other units before they are priced."""
    params = question.params
    convert: Json = {"unit": "converted"}
    for key, told in (("divide_by", "divide"), ("multiply_by", "multiply")):
        if told in params:
            convert[key] = params.text(told)
    if "round" in params:
        convert |= {"round": _mode(params.text("round")), "decimals": params.maybe("decimals") or "0"}
    plan = tariff({USAGE: item(priced_by(question, params), convert=convert)})

    def read(result: Result) -> Answers:
        lines = result.usage()
        return question.choose({"billed": quantity(lines), "total": Printed(exact(lines))})

    return rated(plan, [record(1, _quantity(question), "2024-01-10T12:00:00Z")], read)


_MODES = {
    **dict.fromkeys(("up", "ceil", "ceiling"), "up"),
    **dict.fromkeys(("down", "floor", "truncate"), "down"),
    **dict.fromkeys(("half-up", "middle", "nearest"), "half-up"),
    **dict.fromkeys(("half-even", "bankers"), "half-even"),
}


def _mode(told: str) -> str:
    """The name that tariffs give a way of rounding."""
    name = told.lower().lstrip("*").replace("_", "-")
    if name not in _MODES:
        raise NotCoveredError(f"no way of rounding is called {told}")
    return _MODES[name]


def free_units(question: Question) -> Documents:
    """Free units, which earlier usage of the period takes first."""
    given = question.input
    plan = tariff({USAGE: item(per_unit("1", free_units=question.params.text("free_units")))})
    names = [name for name in ("pre", "line") if name in given]
    usage = [record(number, given.text(name), f"2024-01-1{number}T12:00:00Z") for number, name in enumerate(names)]

    def read(result: Result) -> Answers:
        return question.choose(
            {
                f"billable_{name}": priced_units(charge.parts)
                for name, charge in zip(names, result.charges, strict=True)
            },
        )

    return rated(plan, usage, read)


def minimum(question: Question) -> Documents:
    """Usage, and what it falls short of a minimum."""
    params = question.params
    plan = tariff({USAGE: item(priced_by(question, params))}, minimum={"amount": params.text("min")})

    def read(result: Result) -> Answers:
        return question.choose(
            {
                "usage": amount(result.usage()),
                "true_up": amount(result.lines(LineKind.TRUE_UP)),
                "total": money(result.statement.total),
            },
        )

    return rated(plan, [record(1, _quantity(question), "2024-01-10T12:00:00Z")], read)


def true_up(question: Question) -> Documents:
    """An amount used, and what is charged up to the commitment."""
    params = question.params
    plan = tariff(
        {USAGE: item(per_unit(question.input.text("used")))},
        minimum={"amount": params.text("commitment")},
        rounding={"decimals": params.text("decimals")},
    )
    return rated(
        plan,
        [record(1, "1", "2024-01-10T12:00:00Z")],
        lambda result: amount(result.lines(LineKind.TRUE_UP)),
    )


PRICES = {
    **dict.fromkeys(("graduated", "volume", "package", "graduated_percentage"), one_price),
    "graduated_average": average,
    "round_half_up": amount_rounded,
    "rounding": amount_rounded,
    "sum_of_rounded": sum_of_rounded,
    "unit_conversion": converted,
    "usage_discount": free_units,
    "min_commit": minimum,
    "trueup_rounded": true_up,
}
"""The translation of each model that is a price of one quantity."""
