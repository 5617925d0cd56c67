"""Bills: fees, prices, surcharges and taxes together, put together from the names that a case gives."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from schemas.statement import LineKind, StatementLine
from tests.accuracy.adapters.prices import price_of
from tests.accuracy.case import Given, NotCoveredError, Question, text
from tests.accuracy.documents import (
    BEGIN,
    USAGE,
    Documents,
    Json,
    account,
    at,
    fee,
    item,
    on,
    per_unit,
    rated,
    record,
    tariff,
    tax,
)
from tests.accuracy.result import Answers, Result, amount, gross, money, priced_units, quantity

_TAX = re.compile(r"(gst|tax|vat)_(pct|percent)")
_FIXED = re.compile(r"(?:(.+)_)?fixed(?:_per_(month|period|day))?")
_SURCHARGE = re.compile(r"(.+)_pct_of_(.+)")
_OVER = re.compile(r"(?:(.+)_)?per_([a-z0-9]+)_over_([0-9.]+)")
_TIERED = re.compile(r"(?:(.+)_)?per_([a-z0-9]+)_(graduated|volume)")
_UNIT = re.compile(r"(?:(.+)_)?per_([a-z0-9]+)")
_PER_KWH = re.compile(r"(?:(.+)_)?per_kwh")
_TIER = re.compile(r"tier([0-9]+)")
_TOTALS = {"subtotal": "net", "net": "net", "tax": "tax", "gst": "tax", "vat": "tax", "total": "total"}
_IN = {("gallons", "kgal"): "1000", ("wh", "kwh"): "1000", ("liters", "m3"): "1000", ("litres", "m3"): "1000"}
"""How many of a measured unit are one of a priced unit."""


@dataclass
class _Bill:
    """The tariff of a bill, as it is put together."""

    question: Question
    measured: list[str]
    items: dict[str, Json] = field(default_factory=dict)
    fees: list[Json] = field(default_factory=list)
    surcharges: list[Json] = field(default_factory=list)
    taxes: list[Json] = field(default_factory=list)
    rounding: Json = field(default_factory=dict)

    def add(self, key: str) -> None:
        """Put in what one param says."""
        params = self.question.params
        if key in ("round_each_line", "round"):
            self.rounding = {"at": "line" if key == "round_each_line" else "total", "decimals": params.text(key)}
        elif _TAX.fullmatch(key):
            self.taxes += tax(params.text(key))
        elif found := _FIXED.fullmatch(key):
            self._add_fees(found[1] or "fixed", "day" if found[2] == "day" else "period", params.raw(key))
        elif found := _SURCHARGE.fullmatch(key):
            self.surcharges.append({"name": found[1], "percent": params.text(key), "of": [found[2]]})
        elif found := _OVER.fullmatch(key):
            self._add_item(found[1] or "usage", found[2], per_unit(params.text(key), free_units=found[3]))
        elif found := _TIERED.fullmatch(key):
            self._add_item(found[1] or "usage", found[2], price_of(self.question, found[3], params.raw(key)))
        elif (found := _UNIT.fullmatch(key)) and found[2] in ("day", "month"):
            self._add_fees(found[1] or "fixed", "day" if found[2] == "day" else "period", params.raw(key))
        elif found := _UNIT.fullmatch(key):
            self._add_item(found[1] or "usage", found[2], per_unit(params.text(key)))
        elif isinstance(params.raw(key), dict):
            self._add_nested(key)
        else:
            self._add_fees(key, "period", params.raw(key))

    def tariff(self) -> Json:
        """The tariff."""
        if not self.items:
            self._add_item("usage", None, per_unit("0"))
        extra: Json = {"fees": self.fees, "surcharges": self.surcharges, "tax": self.taxes, "rounding": self.rounding}
        return tariff(self.items, **{key: value for key, value in extra.items() if value})

    def _add_fees(self, name: str, per: str, told: object) -> None:
        amounts = told if isinstance(told, list) else [told]
        for number, each in enumerate(amounts, 1):
            self.fees.append(fee(name if len(amounts) == 1 else f"{name} {number}", text(each, name), per))

    def _add_nested(self, key: str) -> None:
        nested = self.question.params.within(key)
        for kind in nested:
            of = nested if kind == "size" else nested.raw(kind)
            self._add_item(key, None, price_of(self.question, kind, of))

    def _add_item(self, name: str, unit: str | None, price: Json) -> None:
        """An item that is told by its unit, or that prices the only quantity there is."""
        meters = [each for each in self.measured if unit in (None, each) or (each, unit) in _IN]
        if len(meters) != 1:
            raise NotCoveredError(f"input does not tell the quantity of {name} in {unit or 'one unit'}")
        (meter,) = meters
        rest: Json = {"usage_of": [meter]}
        if unit not in (None, meter):
            rest["convert"] = {"unit": unit, "divide_by": _IN[meter, str(unit)]}
        self.items[name] = item(price, meter, **rest)


def bill(question: Question) -> Documents:
    """A bill of one meter or several, or of a function as a service."""
    if any(key.startswith(("gbs_", "req_")) for key in question.params):
        return functions(question)
    given, params = question.input, question.params
    days = int(given.text("days")) if "days" in given else None
    measured = [key for key in given if key != "days"]
    made = _Bill(question, measured)
    for key in params:
        made.add(key)
    usage = [
        record(number, given.text(meter), at(BEGIN, "12:00"), meter=meter) for number, meter in enumerate(measured, 1)
    ]
    accounts = [] if days is None else [account({"tariff": "plan", "from": BEGIN, "until": on(days).isoformat()})]
    return rated(made.tariff(), usage, lambda result: _answers(question, result, made), accounts)


def _answers(question: Question, result: Result, made: _Bill) -> Answers:
    return question.choose({name: _answer(name, result, made) for name in question.names()})


def _answer(name: str, result: Result, made: _Bill) -> Callable[[], Answers]:
    """The figure of the bill that a name of the answers means."""
    if name in _TOTALS:
        return lambda: money(getattr(result.statement, _TOTALS[name]))
    if tier := _TIER.fullmatch(name):
        return lambda: amount(line for line in result.usage() if line.tier == int(tier[1]) and line.unit_price)
    if name.endswith("_lines"):
        return lambda: [amount([line]) for line in _section(name.removesuffix("_lines"), result, made)]
    return lambda: amount(_section(name, result, made))


def _section(name: str, result: Result, made: _Bill) -> list[StatementLine]:
    """The lines of a part of the bill: an item and its fees, a surcharge, a fee."""
    titles = [*made.items, *(each["name"] for each in made.fees + made.surcharges)]
    heads = {title for title in titles if title == name or title.split(" ")[0] == name}
    heads = heads or {title for title in titles if title.startswith(f"{name}_")}
    if not heads:
        raise NotCoveredError(f"no part of the bill is called {name}")
    return [line for line in result.lines() if line.meter in heads or line.name in heads]


def functions(question: Question) -> Documents:
    """A function as a service: requests, and the memory that each holds for so many seconds."""
    params, given = question.params, question.input
    compute = per_unit(params.text("gbs_price"), free_units=params.maybe("gbs_free") or "0")
    millions = f"{params.text('req_price_per_m')}e-6"
    requests = per_unit(millions, free_units=params.maybe("req_free") or "0")
    convert = {"unit": "GB-s", "attributes": ["seconds", "memory_mb"], "divide_by": "1024"}
    plan = tariff(
        {
            "compute": item(compute, "request", usage_of=["requests"], convert=convert),
            "requests": item(requests, "request"),
        }
    )
    attributes = {"seconds": given.text("sec_each"), "memory_mb": given.text("mem_mb")}
    usage = [record(1, given.text("requests"), "2024-01-10T12:00:00Z", meter="requests", attributes=attributes)]

    def read(result: Result) -> Answers:
        used, asked_for = result.usage("compute"), result.usage("requests")
        of_compute = [part for charge in result.charges if charge.meter == "compute" for part in charge.parts]
        of_requests = [part for charge in result.charges if charge.meter == "requests" for part in charge.parts]
        return question.choose(
            {
                "gbs": quantity(used),
                "billable_gbs": priced_units(of_compute),
                "billable_requests": priced_units(of_requests),
                "compute": amount(used),
                "requests": amount(asked_for),
                "total": money(result.statement.total),
            }
        )

    return rated(plan, usage, read)


def _energy(params: Given, given: Given) -> tuple[dict[str, Json], list[Json]]:
    """Energy at one price, or at several that have a name each, and a record of each."""
    items, usage = {}, []
    for key in params:
        if found := _PER_KWH.fullmatch(key):
            name, told = (found[1], f"{found[1]}_kwh") if found[1] else (USAGE, "kwh")
            items[name] = item(per_unit(params.text(key)), "kWh")
            usage.append(record(len(items), given.text(told), at(BEGIN, "12:00"), meter=name))
    return items, usage


def queensland(question: Question) -> Documents:
    """Electricity in Queensland: supply per day, usage, perhaps demand per kW and month by days; whole cents.

    The printed lines have the tax in them; what is rounded is the exact total.
    """
    params, given = question.params, question.input
    if params.maybe("unit") not in (None, "cents"):
        raise NotCoveredError("params.unit should be cents")
    days = int(given.text("days"))
    items, usage = _energy(params, given)
    if "demand_per_kw_month" in params:
        convert: Json = {"unit": "kW-month", "times": "days"}
        month = params.maybe("month_days")
        if month is not None:
            convert["divide_by"] = month
        aggregation: Json = {"function": "max"}
        least = params.maybe("min_kw")
        if least is not None:
            aggregation["at_least"] = least
        price = per_unit(params.text("demand_per_kw_month"))
        items["demand"] = item(price, "kW", convert=convert, aggregation=aggregation)
        usage.append(record(0, given.text("kw"), at(BEGIN, "12:00"), meter="demand"))
    percent = params.maybe("gst_pct")
    plan = tariff(
        items,
        fees=[fee("supply", params.text("supply_per_day"), "day")],
        tax=tax(percent, "GST") if percent is not None else [],
        rounding={"at": "total", "decimals": "0"},
    )
    served = account({"tariff": "plan", "from": BEGIN, "until": on(days).isoformat()})

    def read(result: Result) -> Answers:
        return question.choose(
            {
                **{name: gross(result.usage(name)) for name in items},
                "supply": gross(result.lines(LineKind.RECURRING)),
                "total": money(result.statement.total),
                "net": money(result.statement.net),
                "gst": money(result.statement.tax),
            }
        )

    return rated(plan, usage, read, [served])


BILLS: Mapping[str, Callable[[Question], Documents]] = {"bill": bill, "qld_tariff": queensland}
"""The translation of each model that is a whole bill."""
