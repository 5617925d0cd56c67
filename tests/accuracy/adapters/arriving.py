"""Arrival: what each record, or each run of rating, adds at the moment it is known."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from schemas.charge import Charge
from schemas.instants import from_us
from tests.accuracy.adapters.prices import price_of, priced_by
from tests.accuracy.case import Given, NotCoveredError, Question, listed, text
from tests.accuracy.comparing import Each, Printed
from tests.accuracy.documents import (
    BEGIN,
    PLAN,
    USAGE,
    Documents,
    Json,
    Step,
    account,
    at,
    instant,
    item,
    on,
    per_unit,
    rated,
    record,
    tariff,
)
from tests.accuracy.result import Answers, Result, Run, charged, money


def increments(cumulative: Iterable[str], start: str = "0") -> list[str]:
    """What each cumulative quantity adds to the one before: the only sums of a translation."""
    before, found = Decimal(start), []
    for quantity in cumulative:
        found.append(str(Decimal(quantity) - before))
        before = Decimal(quantity)
    return found


def cumulative(question: Question) -> Documents:
    """Cumulative quantities seen by successive runs, told in two ways to two accounts: each replaces the record of the
    run before, or is a further record of what it adds.

    Each run closes with a statement, so the first is stated and the others are adjustments of it; charges and statement
    have to say the same. With `round` the statement alone does: it carries what rounding left over.
    """
    params = question.params
    decimals, most = params.maybe("round"), params.maybe("max")
    limit = {} if most is None else {"maximum": most}
    rounding = {"at": "total", "decimals": decimals or "12"}
    seen = [text(quantity) for quantity in question.listed]
    plan = tariff({USAGE: item(priced_by(question, params), negative="accept", **limit)}, rounding=rounding)
    later = tariff({"later": item(per_unit("0"))}, "later")
    entries = [{"tariff": name, "from": BEGIN} for name in (PLAN, "later")]
    ways = (REPLACED, ADDED)
    homes = [{**account(*entries), "account": way} for way in ways]
    steps = []
    for number, (total, more) in enumerate(zip(seen, increments(seen), strict=True), 1):
        corrects = f"{REPLACED} {number - 1}" if number > 1 else None
        usage = [
            {**record(number, total, _FIRST, corrects=corrects), "id": f"{REPLACED} {number}", "account": REPLACED},
            {**record(number, more, _FIRST), "id": f"{ADDED} {number}", "account": ADDED},
        ]
        end = record(number, "0", at(on(31 * number)), meter="later")
        usage += [{**end, "id": f"{way} until {number}", "account": way} for way in ways]
        steps.append(Step([plan, later], homes, usage))

    def read(result: Result) -> Answers:
        return [_added(run, charges_too=decimals is None) for run in result.runs]

    return Documents(steps, read, order="arrival")


REPLACED, ADDED = "replaced", "added"
_FIRST = at(BEGIN, "12:00")


def _added(run: Run, *, charges_too: bool) -> Each:
    """What a run adds, as both accounts tell it."""
    found = []
    for way in (REPLACED, ADDED):
        found.append(money(sum(one.total for one in run.statements if one.account == way)))
        if charges_too:
            found.append(charged(charge for charge in run.charges if charge.account == way))
    return Each(tuple(found))


def sequence(question: Question) -> Documents:
    """Transactions, each charged as it arrives."""
    price = price_of(question, "graduated_percentage", question.params.raw("tiers_pct"))
    usage = [
        record(number, text(quantity), at("2024-01-10", f"12:{number:02d}"))
        for number, quantity in enumerate(question.listed, 1)
    ]
    step = Step([tariff({USAGE: item(price)})], [account()], usage)
    return Documents([step], lambda result: [Printed(money(c.amount)) for c in result.charges], order="arrival")


def percentage(question: Question) -> Documents:
    """Transactions of which a percentage is charged, with what is free, and the least and the most for each."""
    params, given = question.params, question.input
    price: Json = {"model": "percentage", "percent": params.text("rate")}
    for key in ("fixed_per_event", "free_events", "free_amount", "min_per_event", "max_per_event"):
        value = params.maybe(key)
        if value is not None:
            price[key] = value
    usage = [
        record(number, quantity, at("2024-01-10", f"12:{number:02d}"))
        for number, quantity in enumerate(_transactions(params, given), 1)
    ]

    def read(result: Result) -> Answers:
        return Each((Printed(charged(result.charges)), Printed(money(result.statement.exact))))

    return rated(tariff({USAGE: item(price)}), usage, read)


def _transactions(params: Given, given: Given) -> list[str]:
    """The transactions: each told, or told by running totals, or their sum and how many there are."""
    total = given.text("amount")
    count = int(params.maybe("events") or 1)
    params.describes("amount")
    if "event_amounts" in params:
        return [text(one) for one in listed(params.raw("event_amounts"), "event_amounts")]
    reached = (
        [text(one) for one in listed(params.raw("running_total"), "running_total")] if "running_total" in params else []
    )
    found = increments([*reached, total] if len(reached) < count else reached)
    return [*found, *["0"] * (count - len(found))]


def period_preserving(question: Question) -> Documents:
    """Runs that see cumulative quantities of all periods so far; what is late is booked on its own period."""
    plan = tariff({USAGE: item(per_unit(question.params.text("unit_price")), negative="accept")})
    months = [on(31 * number).replace(day=10) for number in range(len(question.listed))]
    steps, seen, number = [], ["0"] * len(months), 0
    for row in question.rows():
        row.describes("run")
        known = increments(text(one) for one in listed(row.raw("cum"), "cum"))
        usage = []
        for index, (month, quantity) in enumerate(zip(months, known, strict=False)):
            (new,) = increments([quantity], seen[index])
            seen[index] = quantity
            if Decimal(new) or index == len(known) - 1:
                number += 1
                usage.append(record(number, new, at(month, "12:00")))
        steps.append(Step([plan], [account()], usage))

    def read(result: Result) -> Answers:
        names = {f"{month:%Y-%m}": f"p{number}" for number, month in enumerate(months, 1)}
        return [_by_period(run.charges, names) for run in result.runs]

    return Documents(steps, read, order="arrival")


def _by_period(charges: Iterable[Charge], names: Mapping[str, str]) -> dict[str, Decimal]:
    """What the charges come to for each period that they are about, where it is not nothing."""
    found: dict[str, list[Charge]] = {}
    for charge in charges:
        found.setdefault(names[f"{from_us(charge.period_start):%Y-%m}"], []).append(charge)
    return {name: charged(of) for name, of in found.items() if charged(of)}


def reordered(question: Question) -> Documents:
    """Free minutes go to the call that comes first: as processed, and again in the order of the calls' own times."""
    params, rows = question.params, question.rows()
    price = per_unit(params.text("rate_per_min"), free_units=params.text("free_min_bundle"))
    plan = tariff({USAGE: item(price, "min")})
    begins = [row.text("answer") for row in rows]
    calls = [
        record(int(row.text("processed")), row.text("min"), instant(begin))
        for row, begin in zip(rows, begins, strict=True)
    ]
    clocks = {call["id"]: begin[11:16] for call, begin in zip(calls, begins, strict=True)}
    month = [account({"tariff": "plan", "from": f"{min(begins)[:7]}-01"})]
    processed = sorted(calls, key=lambda call: int(call["id"][1:]))
    # The calls once more, in an account of their own and in the order of their times, as `ratestream rate` takes them.
    again = [{**call, "account": "again", "id": f"again {call['id']}"} for call in calls]
    timely = sorted(again, key=lambda call: str(call["start"]))
    steps = [Step([plan], [*month, {**month[0], "account": "again"}], [*processed, *timely])]

    def read(result: Result) -> Answers:
        home = [charge for charge in result.charges if charge.account == "home"]
        other = [charge for charge in result.charges if charge.account == "again"]
        due = [statement.due for statement in result.statements]
        return question.choose(
            {
                "as_processed": [money(charge.amount) for charge in home],
                "after_rerate_by_answer_time": {
                    clocks[charge.usage_id.removeprefix("again ")]: money(charge.amount) for charge in other
                },
                "balance": Each(tuple(-money(one) for one in due)),
            }
        )

    return Documents(steps, read, order="arrival")


def cross_meter(question: Question) -> Documents:
    """A threshold that the usage of several meters reaches together, in the order of time."""
    params, rows = question.params, question.rows()
    base, after = params.within("base"), params.within("after")
    names = (
        [text(one) for one in listed(params.raw("shared_across"), "shared_across")]
        if "shared_across" in params
        else [*base]
    )
    if sorted(names) != sorted(base):
        raise NotCoveredError("params.shared_across should be the names in params.base")
    (threshold,) = [params.text(key) for key in params if key.startswith("threshold")]
    bands = [
        {
            "name": name,
            "meters": [name],
            "price": {
                "model": "graduated",
                "tiers": [
                    {"up_to": threshold, "unit_price": base.text(name)},
                    {"unit_price": after.text(name) if name in after else base.text(name)},
                ],
            },
        }
        for name in names
    ]
    together = {"unit": "unit", "usage_of": names, "tiers_across_bands": "chronological", "bands": bands}
    used = [(row.text("sku"), row.text("qty")) for row in rows]
    probes = [(name.removeprefix("next_"), "1") for name in question.names() if name.startswith("next_")]
    usage = [
        record(number, quantity, at("2024-01-10", f"12:{number:02d}"), meter=sku)
        for number, (sku, quantity) in enumerate([*used, *probes], 1)
    ]

    def read(result: Result) -> Answers:
        known, following = result.charges[: len(used)], result.charges[len(used) :]
        answers = {f"next_{sku}": money(c.amount) for (sku, _), c in zip(probes, following, strict=True)}
        return question.choose({"total": charged(known), **answers})

    return rated(tariff({"shared": together}), usage, read)


ARRIVING: Mapping[str, Callable[[Question], Documents]] = {
    "cumulative_delta": cumulative,
    "graduated_percentage_sequence": sequence,
    "percentage": percentage,
    "late_event_period_preserving": period_preserving,
    "bundle_reorder": reordered,
    "cross_sku_threshold": cross_meter,
}
"""The translation of each model in which the order of records matters."""
