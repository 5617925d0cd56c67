"""Measures: what records become before they are priced: aggregations, levels, demand, windows, resources."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta

from schemas.statement import LineKind
from tests.accuracy.adapters.prices import price_of, priced_by
from tests.accuracy.case import Given, NotCoveredError, Question, listed, text
from tests.accuracy.comparing import Printed
from tests.accuracy.documents import (
    BEGIN,
    USAGE,
    Documents,
    Json,
    account,
    at,
    instant,
    iso,
    item,
    minutes_on,
    moment,
    per_unit,
    rated,
    record,
    tariff,
)
from tests.accuracy.result import Answers, Result, amount, charged, exact, money, parts, quantity

FUNCTIONS = ("sum", "count", "max", "latest", "unique")


def aggregated(question: Question) -> Documents:
    """Events, of each of which a quantity is counted in several ways."""
    attributes: dict[str, str] = {}
    usage = []
    for number, event in enumerate(question.listed, 1):
        counted, attributes = _counted(event)
        usage.append(record(number, counted, at("2024-01-10", f"12:{number:02d}"), attributes=attributes or None))
    items = {}
    for name in question.names():
        if name not in FUNCTIONS:
            raise NotCoveredError(f"no aggregation called {name}")
        of: Json = {"function": name}
        if name == "unique":
            if len(attributes) != 1:
                raise NotCoveredError("unique values of what? events should have one attribute")
            of["attribute"] = next(iter(attributes))
        items[name] = item(per_unit("1"), "event", usage_of=[USAGE], aggregation=of)

    def read(result: Result) -> Answers:
        return question.choose({name: quantity(result.usage(name)) for name in items})

    return rated(tariff(items), usage, read)


def _counted(event: object) -> tuple[str, dict[str, str]]:
    """The quantity of an event, which it tells as a number, and its attributes, which it tells as text."""
    if not isinstance(event, dict):
        return text(event), {}
    counts = [name for name, value in event.items() if isinstance(value, int)]
    if len(counts) != 1:
        raise NotCoveredError("an event should have one quantity, told as a number")
    return text(event[counts[0]]), {name: text(value) for name, value in event.items() if name != counts[0]}


MONTH_BY_HOURS = {"672": "2023-02-01", "696": "2024-02-01", "720": "2023-04-01", "744": "2023-01-01"}
"""The first day of a month of so many hours."""


def stored(question: Question) -> Documents:
    """Bytes that are stored for some time, as a share of the month, in gigabytes."""
    params = question.params
    begin = MONTH_BY_HOURS.get(params.text("hours_in_month"))
    if begin is None:
        raise NotCoveredError("params.hours_in_month is no month's")
    now, usage = moment(begin), []
    for number, row in enumerate([question.input] if list(question.input) else question.rows(), 1):
        length = timedelta(hours=int(row.text("hours"))) if "hours" in row else timedelta(days=int(row.text("days")))
        attributes = {"bytes": row.text("bytes")}
        usage.append(record(number, "1", iso(now), iso(now + length), attributes=attributes))
        now += length
    convert: Json = {"unit": "byte-hours", "attributes": ["bytes"], "times": "hours"}
    share = {**convert, "unit": "GB-month", "divide_by": params.text("gb"), "over": "period"}
    kind = "graduated" if "tiers" in params else "unit_price"
    price = price_of(question, kind, params.raw("tiers" if "tiers" in params else "price"))
    plan = tariff(
        {
            "byte_hours": item(per_unit("0"), "object", usage_of=[USAGE], convert=convert),
            "storage": item(price, "object", usage_of=[USAGE], convert=share),
        }
    )

    def read(result: Result) -> Answers:
        lines = result.usage("storage")
        return question.choose(
            {
                "byte_hours": quantity(result.usage("byte_hours")),
                "gb_months": Printed(quantity(lines)),
                "cost": amount(lines),
                "lines": [amount([line]) for line in lines],
                "total": money(result.statement.total),
            }
        )

    return rated(plan, usage, read, [account({"tariff": "plan", "from": begin})])


def weighted(question: Question) -> Documents:
    """A level weighted by time: told for some days each, or by its changes."""
    return _changes(question) if "opening" in question.params else _stretches(question)


def _stretches(question: Question) -> Documents:
    days = question.params.text("days")
    now, usage = moment(BEGIN), []
    for number, row in enumerate(question.rows(), 1):
        end = now + timedelta(days=int(row.text("days")))
        usage.append(record(number, row.text("gb"), iso(now), iso(end)))
        now = end
    convert = {"unit": "GB-month", "times": "hours", "over": "period"}
    plan = tariff({USAGE: item(per_unit("1"), "GB", convert=convert)})
    cycle = account(cycle={"every": days, "unit": "day", "anchor": BEGIN})
    return rated(plan, usage, lambda result: question.choose({"gb_months": Printed(quantity(result.usage()))}), [cycle])


def _changes(question: Question) -> Documents:
    params = question.params
    begin = f"{params.text('period')}-01"
    changes = [(f"{begin}T00:00Z", params.text("opening"))]
    changes += [(row.text("at"), row.text("delta")) for row in question.rows()]
    usage = [record(number, delta, instant(when)) for number, (when, delta) in enumerate(changes, 1)]
    items = {
        name: item(per_unit(price), "unit", usage_of=[USAGE], negative="accept", aggregation={"function": function})
        for name, price, function in (
            ("priced", params.maybe("unit_price") or "1", "average"),
            ("mean", "1", "average"),
            ("level", "1", "sum"),
        )
    }

    def read(result: Result) -> Answers:
        return question.choose(
            {
                "units": Printed(exact(result.usage("mean"))),
                "amount": amount(result.usage("priced")),
                "total_units": quantity(result.usage("level")),
            }
        )

    return rated(tariff(items), usage, read, [account({"tariff": "plan", "from": begin})])


WEEKDAY = "2024-01-09"
PEAK, REST = "1", "2"


def demand(question: Question) -> Documents:
    """The highest power of an hour in each of two bands, with tiers of its own, on a weekday."""
    params = question.params
    tiers = params.within("tou_demand_tiers")
    first, last = params.text("peak_hours_weekday").split("-")
    hours = f"{int(first):02d}:00-{int(last) + 1:02d}:00"
    when = {PEAK: {"days": ["weekdays"], "hours": [hours]}, REST: {}}
    bands = [
        {"name": name, **when[name], "price": price_of(question, "graduated", tiers.raw(name))} for name in (PEAK, REST)
    ]
    peak = {"function": "demand", "interval_minutes": 60}
    plan = tariff({"demand": {"unit": "kWh", "usage_of": ["energy"], "aggregation": peak, "bands": bands}})
    usage = _hourly(question.input.raw("kw_by_hour"), moment(WEEKDAY), "energy")

    def read(result: Result) -> Answers:
        answers: dict[str, Answers] = {
            f"p{name}_peak": quantity(result.lines(LineKind.USAGE, band=name)) for name in (PEAK, REST)
        }
        return question.choose({**answers, "charge": Printed(exact(result.usage()))})

    return rated(plan, usage, read)


def _hourly(kilowatts: object, begin: datetime, meter: str, **facts: object) -> list[Json]:
    """A record for each hour: power that lasts an hour is as many kWh as kW."""
    hours = [begin + timedelta(hours=number) for number in range(len(listed(kilowatts, "kw")) + 1)]
    return [
        record(number, text(kw), iso(hours[number]), iso(hours[number + 1]), meter, **facts)
        for number, kw in enumerate(listed(kilowatts, "kw"))
    ]


MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def demand_and_energy(question: Question) -> Documents:
    """A session across the end of a month, in which the prices change and the demand begins anew."""
    params, given = question.params, question.input
    energy = params.within("offpeak_energy")
    flat = params.raw("offpeak_demand")
    month, day, clock = given.text("start").split()
    peak = {"function": "demand", "interval_minutes": 60}
    tariffs: list[Json] = []
    begins = _months(energy)
    for name, begin in begins.items():
        tiers = flat if isinstance(flat, list) else params.within("offpeak_demand").raw(name)
        items = {
            "energy": item(per_unit(energy.text(name)), "kWh"),
            "demand": item(price_of(question, "graduated", tiers), "kWh", usage_of=["energy"], aggregation=peak),
        }
        tariffs.append({**tariff(items), "version": name, "effective_from": begin.isoformat()})
    start = moment(_months([month])[month].replace(day=int(day)), clock)
    usage = _hourly(given.raw("kw"), start, "energy", session="session")
    first = min(begins.values()).isoformat()

    def read(result: Result) -> Answers:
        return question.choose(
            {
                "total": Printed(money(sum(statement.exact for statement in result.statements))),
                "energy": Printed(exact(result.usage("energy"))),
                "demand": Printed(exact(result.usage("demand"))),
            }
        )

    return rated(tariffs, usage, read, [account({"tariff": "plan", "from": first})])


def _months(names: Iterable[str]) -> dict[str, date]:
    """The first day of each month, the months following each other from 2023 on."""
    found: dict[str, date] = {}
    year, before = 2023, 0
    for name in names:
        number = MONTHS.index(name.lower()[:3]) + 1
        year, before = year + (number < before), number
        found[name] = date(year, number, 1)
    return found


def windows(question: Question) -> Documents:
    """Hours of the day with a price and a commitment of their own, each hour for itself, and the other hours."""
    params = question.params
    bucket, rest = _window_price(params, "bucket"), _window_price(params, "base")
    begin, end = (text(one) for one in listed(params.raw("bucket"), "bucket"))
    bands = [{"name": "bucket", "hours": [f"{begin}-{end}"], "price": bucket}, {"name": "base", "price": rest}]
    plan = tariff({USAGE: {"unit": "unit", "priced_per": "hour", "bands": bands}})
    usage = [
        record(number, row.text("qty"), at(WEEKDAY, f"{int(row.text('hour')):02d}:30"))
        for number, row in enumerate(question.rows(), 1)
    ]

    def read(result: Result) -> Answers:
        charges = result.charges
        return question.choose(
            {
                "windows": [money(charge.amount) for charge in charges],
                "total": money(result.statement.total),
                "utilized": parts([c for c in charges if _committed(params, c.parts[0].band)], ""),
                "overage": parts(charges, "overage"),
                "true_up": parts(charges, "true-up"),
            }
        )

    return rated(plan, usage, read)


def _committed(params: Given, band: str) -> bool:
    return any(key.startswith(f"{band}_commit") for key in params)


def _window_price(params: Given, name: str) -> Json:
    unit_price = params.text(f"{name}_price")
    commitments = [key for key in params if key.startswith(f"{name}_commit")]
    factors = [key for key in (f"{name}_overage_factor", f"{name}_overage") if key in params]
    true_up = params.flag(f"{name}_true_up")
    if not commitments:
        return per_unit(unit_price)
    (commitment,) = commitments
    how = "quantity" if commitment.endswith("_qty") else "amount"
    price = {"model": "commitment", "unit_price": unit_price, how: params.text(commitment)}
    factor = params.text(factors[0]) if factors else "1"
    return {**price, "overage_factor": factor, **({"true_up": True} if true_up else {})}


def window_maximum(question: Question) -> Documents:
    """The largest quantity of each hour, and tiers that begin anew in each."""
    maxima = listed(question.input.raw("window_max"), "window_max")
    price = priced_by(question, question.params)
    plan = tariff({USAGE: item(price, priced_per="hour", aggregation={"function": "max"})})
    usage = []
    for hour, most in enumerate(maxima):
        usage += [
            record(2 * hour + 1, text(most), iso(minutes_on(moment(WEEKDAY), 60 * hour + 10))),
            record(2 * hour + 2, "0", iso(minutes_on(moment(WEEKDAY), 60 * hour + 20))),
        ]
    return rated(plan, usage, lambda result: question.choose({"total": Printed(exact(result.usage()))}))


def per_group(question: Question) -> Documents:
    """Tiers for each resource by itself."""
    groups = question.input.within("groups")
    plan = tariff({USAGE: item(priced_by(question, question.params), priced_per="resource", resource="resource")})
    usage = [
        record(number, groups.text(name), at("2024-01-10", "12:00"), attributes={"resource": name})
        for number, name in enumerate(groups, 1)
    ]

    def read(result: Result) -> Answers:
        of_each = {name: charged([charge]) for name, charge in zip(groups, result.charges, strict=True)}
        return question.choose({**of_each, "total": Printed(exact(result.usage()))})

    return rated(plan, usage, read)


_DAY = re.compile(r"([0-9]{2})-([0-9]{2})")


def level_by_days(question: Question) -> Documents:
    """A level, each change of which is priced for the rest of the month by days; the next month begins with it."""
    params = question.params
    price = price_of(question, "graduated", params.raw("graduated"), first_flat_fee="always")
    of_level: Json = {"aggregation": {"function": "level"}, "negative": "accept"}
    changes = [(row.text("d"), row.text("u")) for row in question.rows()]
    month = changes[0][0][:2]
    first = date(2023, int(month), 1)
    following = (first + timedelta(days=32)).replace(day=1)
    if int(params.text("period_days")) != (following - first).days:
        raise NotCoveredError(f"params.period_days is not that of {first:%B %Y}")
    usage = [record(0, "0", at(first))]
    usage += [record(number, change, at(f"2023-{day}")) for number, (day, change) in enumerate(changes, 1)]
    usage.append(record(len(usage), "0", at(following)))

    def read(result: Result) -> Answers:
        running = [money(charge.running_total) for charge in result.charges]
        full = [Printed(money(statement.total)) for statement in result.statements[1:2]]
        return question.choose(
            {
                "initial": Printed(running[0]),
                "running": [Printed(total) for total in running[1 : len(changes) + 1]],
                f"{following:%B}_full_month".lower(): full[0] if full else None,
            }
        )

    return rated(
        tariff({USAGE: item(price, **of_level)}), usage, read, [account({"tariff": "plan", "from": str(first)})]
    )


MEASURES: Mapping[str, Callable[[Question], Documents]] = {
    "aggregations": aggregated,
    "byte_hours": stored,
    "byte_hours+graduated": stored,
    "weighted_sum": weighted,
    "demand_charge": demand,
    "demand_charge+energy": demand_and_energy,
    "tou_window_commitment": windows,
    "max_per_window_then_slab": window_maximum,
    "per_group_slab": per_group,
    "prorated_graduated_stream": level_by_days,
}
"""The translation of each model in which records are measured before they are priced."""
