"""Periods: billing cycles, and what is due for a part of one."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from schemas.instants import SECOND_US, from_us, to_iso
from schemas.statement import LineKind
from tests.accuracy.case import Given, NotCoveredError, Question, listed, text
from tests.accuracy.comparing import Each
from tests.accuracy.documents import (
    PLAN,
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
from tests.accuracy.result import Answers, Result, amount, money

UNITS = {
    **dict.fromkeys(("week", "weekly"), "week"),
    **dict.fromkeys(("month", "monthly"), "month"),
    **dict.fromkeys(("quarter", "quarterly"), "quarter"),
    **dict.fromkeys(("year", "yearly", "annual", "annually"), "year"),
}
LENGTHS = {"7": "week", "28": "month", "29": "month", "30": "month", "31": "month"}
LENGTHS |= {"90": "quarter", "91": "quarter", "92": "quarter", "365": "year", "366": "year"}
"""The period of the calendar that has so many days."""
BEGINS = {"7": "2023-01-02", "28": "2023-02-01", "29": "2024-02-01", "30": "2023-04-01", "31": "2023-01-01"}
BEGINS |= {"90": "2023-01-01", "91": "2023-04-01", "92": "2023-07-01", "365": "2023-01-01", "366": "2024-01-01"}
"""The first day of one that has."""
INCLUSIVE = "inclusive"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _idle(day: str | date, number: int = 1) -> Json:
    """Usage of nothing, so that the period of this day has a statement."""
    return record(number, "0", at(day, "12:00"))


def _free() -> dict[str, Json]:
    return {USAGE: item(per_unit("0"))}


def _check_days(told: str, begin: date, last: date, what: str) -> None:
    """A case tells how many days its dates are; the dates decide."""
    days = (last - begin).days + 1
    if Decimal(told) != days:
        raise NotCoveredError(f"{what} says {told} days, but {begin} to {last} are {days}")


def proration(question: Question) -> Documents:
    """A plan that begins, ends or changes within a period."""
    return _fee_for_days(question) if "fee" in question.params else _change_of_plan(question)


def _change_of_plan(question: Question) -> Documents:
    """Old items, charged in advance for all of the period, are credited from a day on, and new ones charged."""
    params, given = question.params, question.input
    params.describes("day_count")
    start, end = (date.fromisoformat(text(one)) for one in listed(given.raw("period"), "period"))
    change = date.fromisoformat(given.text("change_on"))
    inclusive = INCLUSIVE in params.text("day_count")
    following = end + timedelta(days=1) if inclusive else end
    per = _per(params.text("factor"), change, following, start)
    rounding = {"at": "line", "decimals": params.maybe("round_each_item") or "2"}
    old = _items(given, "old", per, rounding)
    new = _items(given, "new", per, rounding)
    cycle = {"every": (following - start).days, "unit": "day", "anchor": start.isoformat()}
    before = start - timedelta(days=1)
    until_change = {"tariff": "old", "from": before.isoformat(), "until": change.isoformat()}
    from_change = {"tariff": "new", "from": change.isoformat(), "until": following.isoformat()}
    steps = []
    if old is not None:
        open_end = account({"tariff": "old", "from": before.isoformat()}, cycle=cycle)
        steps.append(Step([old], [open_end], [_idle(before)]))
    tariffs = [each for each in (old, new) if each is not None]
    entries = [entry for entry, each in ((until_change, old), (from_change, new)) if each is not None]
    # A tariff without fees keeps the account in all of the period, whether a plan is there or not.
    entries.append({"tariff": "idle", "from": (start if old is None else before).isoformat()})
    idle = tariff({"idle": item(per_unit("0"))}, "idle")
    steps.append(
        Step([*tariffs, idle], [account(*entries, cycle=cycle)], [record(2, "0", at(start, "12:00"), meter="idle")])
    )

    def read(result: Result) -> Answers:
        statement = result.runs[-1].statements[-1]
        of = {name: amount(line for line in statement.lines if line.tariff == name) for name in ("old", "new")}
        return question.choose({"credit": of["old"], "charge": of["new"], "net": money(statement.net)})

    return Documents(steps, read, order="arrival")


def _per(factor: str, change: date, following: date, start: date) -> Json:
    """What an amount is for, as the case's factor tells: the period, a year, or nothing that is divided.

    The factor itself is left to the pipeline; what it says of the days has to agree with the dates.
    """
    told = Fraction(factor)
    left, days = (following - change).days, (following - start).days
    if told == Fraction(left, days):
        return {"per": "period", "due": "advance"}
    if told == 1:
        return {"per": "once", "prorate": "none"}
    for whole, unit in LENGTHS.items():
        if told == Fraction(left, int(whole)) and unit != "week":
            return {"per": unit, "due": "advance"}
    raise NotCoveredError(f"params.factor {factor} does not follow from {left} of {days} days")


def _items(given: Given, name: str, per: Json, rounding: Json) -> Json | None:
    """The tariff of some items, each a quantity and a price."""
    listed_items = listed(given.raw(name), name)
    fees = [
        fee(f"{name} {number}", text(price), quantity=text(quantity), **per)
        for number, (quantity, price) in enumerate(listed_items, 1)
    ]
    return tariff(_free(), name, fees=fees, rounding=rounding) if fees else None


def _fee_for_days(question: Question) -> Documents:
    """A fee for some days of a period of the calendar, both ends included."""
    params, given = question.params, question.input
    begin = _day(given.text("start"))
    told = given.maybe("end")
    unit = LENGTHS.get(params.text("period_days"))
    if unit is None:
        raise NotCoveredError("params.period_days is no week, month, quarter or year")
    last = _last_day(unit, begin) if told is None else _day(told)
    _check_days(params.text("days"), begin, last, "params.days")
    _check_days(params.text("period_days"), _first_day(unit, begin), _last_day(unit, begin), "params.period_days")
    percent = params.maybe("tax_pct")
    due = "advance" if told is None else "arrears"
    plan = tariff(
        _free(), fees=[fee("Subscription", params.text("fee"), due=due)], tax=[] if percent is None else tax(percent)
    )
    entry = {"tariff": "plan", "from": begin.isoformat(), "last_day": last.isoformat()}
    home = account(entry, cycle={"unit": unit})

    def read(result: Result) -> Answers:
        statement = result.statement
        total = money(statement.total)
        if question.asked is None:
            return total
        return question.choose({"net": money(statement.net), "tax": money(statement.tax), "total": total})

    return rated(plan, [_idle(begin)], read, [home])


def _day(told: str) -> date:
    found = _DATE.search(told)
    if found is None:
        raise NotCoveredError(f"no date in {told!r}")
    return date.fromisoformat(found[0])


def _first_day(unit: str, day: date) -> date:
    """The first day of the calendar's week, month, quarter or year."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    first_month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[unit]
    return date(day.year, first_month, 1)


def _last_day(unit: str, day: date) -> date:
    """The last day of the calendar's week, month, quarter or year."""
    return _next_begin(unit, day) - timedelta(days=1)


def _next_begin(unit: str, day: date) -> date:
    if unit == "week":
        return day + timedelta(days=7 - day.weekday())
    last_month = {"month": day.month, "quarter": (day.month + 2) // 3 * 3, "year": 12}[unit]
    return (date(day.year, last_month, 1) + timedelta(days=32)).replace(day=1)


def commitment(question: Question) -> Documents:
    """What a subscription falls short of a commitment, for the days of it in the period."""
    params = question.params
    told = question.input.text("start").lower()
    words = re.findall(r"[a-z]+", told)
    unit = next((UNITS[word] for word in words if word in UNITS), "month")
    found = _DATE.search(told)
    begin = date.fromisoformat(found[0]) if found else date(2023, 1, 1)
    cycle: Json = {"unit": unit}
    if "anniversary" in told:
        cycle["anchor"] = begin.isoformat()
        params.describes("days_used", "days_in_period")
    else:
        _check_days(params.text("days_used"), begin, _last_day(unit, begin), "params.days_used")
        last = _last_day(unit, begin)
        _check_days(params.text("days_in_period"), _first_day(unit, begin), last, "params.days_in_period")
    minimum = {"amount": params.text("commitment"), "counts": "usage-and-fees", "base": "rounded"}
    subscription = params.maybe("subscription_fee")
    fees = [] if subscription is None else [fee("Subscription", subscription)]
    plan = tariff(_free(), fees=fees, minimum=minimum)
    home = account({"tariff": "plan", "from": begin.isoformat()}, cycle=cycle)

    def read(result: Result) -> Answers:
        true_up = amount(result.lines(LineKind.TRUE_UP))
        return true_up if question.asked is None else question.choose({"true_up": true_up})

    return rated(plan, [_idle(begin)], read, [home])


def spending_minimum(question: Question) -> Documents:
    """Usage, and what it falls short of a minimum that holds for a part of the period; taxed line by line."""
    params = question.params
    begin, served = _begin_and_end(params, "days")
    percent = params.maybe("tax_pct")
    plan = tariff(
        {USAGE: item(per_unit(params.text("unit_price")))},
        minimum={"amount": params.text("min")},
        tax=[] if percent is None else tax(percent),
        rounding={"at": "line", "tax_at": "line"},
    )
    entry = {"tariff": "plan", "from": begin.isoformat(), "last_day": served.isoformat()}
    home = account(entry, cycle={"unit": LENGTHS[params.text("period_days")]})

    def read(result: Result) -> Answers:
        usage, true_up = result.usage(), result.lines(LineKind.TRUE_UP)
        taxes = result.statement.taxes
        return question.choose(
            {
                "usage": amount(usage),
                "true_up": amount(true_up),
                "usage_tax": amount(line for line in taxes if line.item == USAGE),
                "true_up_tax": amount(line for line in taxes if line.item == "Minimum"),
                "total": money(result.statement.total),
            }
        )

    return rated(plan, [record(1, question.input.text("qty"), at(begin, "12:00"))], read, [home])


def _begin_and_end(params: Given, days: str) -> tuple[date, date]:
    """The first day of a period of so many days, and the day on which so many of them have passed."""
    begin = BEGINS.get(params.text("period_days"))
    if begin is None:
        raise NotCoveredError("params.period_days is no week, month, quarter or year")
    first = date.fromisoformat(begin)
    return first, first + timedelta(days=int(params.text(days)) - 1)


def credit_note(question: Question) -> Documents:
    """A fee that was charged in advance, of which the unused days are given back."""
    params = question.params
    first, _ = _begin_and_end(params, "unused_days")
    unit = LENGTHS[params.text("period_days")]
    unused_from = _next_begin(unit, first) - timedelta(days=int(params.text("unused_days")))
    percent = params.maybe("tax_pct")
    plan = tariff(
        _free(),
        fees=[fee("Subscription", params.text("fee"), due="advance")],
        tax=[] if percent is None else tax(percent),
    )
    before = first - timedelta(days=1)
    cycle = {"unit": unit}
    open_end = account({"tariff": "plan", "from": before.isoformat()}, cycle=cycle)
    ended = account(
        {"tariff": "plan", "from": before.isoformat(), "until": unused_from.isoformat()},
        {"tariff": "idle", "from": before.isoformat()},
        cycle=cycle,
    )
    idle = tariff({"idle": item(per_unit("0"))}, "idle")
    steps = [
        Step([plan], [open_end], [_idle(before)]),
        Step([plan, idle], [ended], [record(2, "0", at(first, "12:00"), meter="idle")]),
    ]

    def read(result: Result) -> Answers:
        statement = result.runs[-1].statements[-1]  # a credit note tells what it gives back without a sign
        return question.choose(
            {"net": -money(statement.net), "tax": -money(statement.tax), "total": -money(statement.total)}
        )

    return Documents(steps, read, order="arrival")


_CALENDAR = re.compile(r"calendar (week|month|quarter|year)(?: ([0-9]{4})(?:-([0-9]{2}))?)?")


def boundaries(question: Question) -> Documents:
    """Where billing periods begin, or end in several zones."""
    return _ends(question) if "cycle" in question.params else _begins(question)


def _begins(question: Question) -> Documents:
    start = date.fromisoformat(question.params.text("start"))
    told = question.params.maybe("cycle_unit") or "month"
    count = len(question.asked)
    home = account({"tariff": "plan", "from": start.isoformat()}, cycle={"unit": told, "anchor": start.isoformat()})
    usage = [_idle(start + timedelta(days=31 * count))]
    return rated(
        tariff(_free()),
        usage,
        lambda result: [to_iso(one.period_start)[:10] for one in result.statements[:count]],
        [home],
    )


def _ends(question: Question) -> Documents:
    """The last second of a period of the calendar."""
    unit, day = _period(question.params.text("cycle"))
    zones = [text(one) for one in listed(question.input.raw("tz"), "tz")]
    accounts = [
        {**account({"tariff": "plan", "from": day.isoformat()}, cycle={"unit": unit}), "account": zone, "zone": zone}
        for zone in zones
    ]
    usage = [{**_idle(day + timedelta(days=1), number), "account": zone} for number, zone in enumerate(zones, 1)]

    def read(result: Result) -> Answers:
        return question.choose({one.account: to_iso(one.period_end - SECOND_US) for one in result.statements})

    return rated(tariff(_free()), usage, read, accounts)


def _period(told: str) -> tuple[str, date]:
    found = _CALENDAR.search(told)
    if found is None:
        raise NotCoveredError(f"{told!r} is no period of the calendar")
    return found[1], date(int(found[2] or 2023), int(found[3] or 1), 1)


def by_local_month(question: Question) -> Documents:
    """Events of one unit at one dollar, by the month of the account's zone.

    An account that begins with the first of them, and one that began when clocks showed the other time of the year,
    have to have the same, unless the case says that the account's begin decides what a day is.
    """
    zone = question.params.text("tz")
    cycle = question.params.maybe("cycle")
    unit = "month" if cycle is None else _period(cycle)[0]
    instants = [datetime.fromisoformat(text(one)) for one in question.listed]
    first = min(instants).astimezone(ZoneInfo(zone)).date()
    clock = _clock(question)
    begins = {"begins": first} if clock else {"begins": first, "began": first - timedelta(days=180)}
    accounts = [
        {**account(_from(begin), cycle={"unit": unit}, **clock), "account": name, "zone": zone}
        for name, begin in begins.items()
    ]
    usage = [
        {**record(number, "1", one.isoformat()), "id": f"{name} {number}", "account": name}
        for name in begins
        for number, one in enumerate(instants, 1)
    ]

    def read(result: Result) -> Answers:
        months: dict[str, list[Decimal]] = {}
        for one in result.statements:
            if one.usage_records:
                month = from_us(one.period_start).astimezone(ZoneInfo(zone)).strftime("%Y-%m")
                months.setdefault(month, []).append(money(one.total))
        return {month: Each(tuple(totals)) for month, totals in months.items()}

    return rated(tariff({USAGE: item(per_unit("1"))}), usage, read, accounts)


def _from(begin: date) -> Json:
    return {"tariff": PLAN, "from": begin.isoformat()}


def _clock(question: Question) -> Json:
    """Whether the local day is that of the offset in force when the account began."""
    params = question.params
    told = " ".join(params.text(key) for key in params if key not in ("tz", "cycle"))
    return {"clock": "fixed-offset"} if "fixed" in told else {}


PERIODS: Mapping[str, Callable[[Question], Documents]] = {
    "proration": proration,
    "prorated_min_commit": commitment,
    "prorated_min_spend": spending_minimum,
    "credit_note": credit_note,
    "billing_boundaries": boundaries,
    "timezone_bucketing": by_local_month,
}
"""The translation of each model that is about billing periods."""
