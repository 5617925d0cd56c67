"""Sessions: telephone calls, and charging sessions of electric vehicles as in OCPI."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from schemas.charge import Charge, Part
from tests.accuracy.case import Given, NotCoveredError, Question
from tests.accuracy.comparing import Printed
from tests.accuracy.documents import BEGIN, Documents, Json, account, iso, item, moment, rated, record, tariff
from tests.accuracy.result import Answers, Result, charged, exact, money, parts, quantity_of_parts, units

CALL = "call"
CGRATES_DECIMALS = "4"
"""What CGRateS rounds a call up to."""


def call(question: Question) -> Documents:
    """One call, priced exactly, and as CGRateS rounds it."""
    params = question.params
    price = _call_price(params)
    items = {"exact": item(price, "s", usage_of=[CALL])}
    decimals = params.maybe("increment_round_decimals")
    if decimals is not None:
        rounded = {"increment_decimals": decimals, "decimals": CGRATES_DECIMALS, "mode": "up"}
        items["cgrates"] = item({**price, **rounded}, "s", usage_of=[CALL])
    usage = [_call_record(1, question.input.text("sec"))]

    def read(result: Result) -> Answers:
        return question.choose({name: Printed(exact(result.usage(name))) for name in items})

    return rated(tariff(items), usage, read)


def _call_price(params: Given) -> Json:
    price: Json = {"model": "call", "connection_fee": params.maybe("connect_fee") or "0"}
    price["slots"] = [_slot(slot) for slot in params.rows("slots")] if "slots" in params else [_free_slot(params)]
    most = params.maybe("max_cost")
    if most is not None:
        strategy = params.maybe("strategy") or "free"
        if strategy not in _BEYOND:
            raise NotCoveredError(f"params.strategy {strategy} says nothing of what comes beyond max_cost")
        price |= {"maximum": most, "beyond_maximum": _BEYOND[strategy]}
    included = params.maybe("bundle_sec")
    return price if included is None else {**price, "included_s": included}


_BEYOND = {"free": "free", "*free": "free", "disconnect": "charged", "*disconnect": "charged"}


def _slot(slot: Given) -> Json:
    return {
        "from_s": slot.text("from"),
        "rate": slot.text("rate"),
        "unit_s": slot.text("unit_s"),
        "increment_s": slot.text("inc_s"),
    }


def _free_slot(params: Given) -> Json:
    """What comes beyond the bundle, where a case tells no slots."""
    return {"rate": params.maybe("rate_per_min") or "0", "unit_s": 60, "increment_s": params.maybe("inc_s") or 1}


def _call_record(number: int, seconds: str) -> Json:
    begin = moment(BEGIN, "12:00")
    end = begin + _length(seconds, seconds=1)
    return record(number, seconds, iso(begin), iso(end), CALL, session=f"call {number}")


def bundle(question: Question) -> Documents:
    """A call of a bundle of seconds, and what is left of the bundle and of prepaid money."""
    params = question.params
    money_before = params.maybe("money")
    purse = [] if money_before is None else [{"name": "Money", "amount": money_before, "from": BEGIN}]
    plan = tariff({CALL: item(_call_price(params), "s")})

    def read(result: Result) -> Answers:
        statement = result.statement
        return question.choose(
            {
                "cost": charged(result.charges),
                "bundle_left_sec": lambda: units(sum(allowance.left for allowance in statement.allowances)),
                "money_left": lambda: money(sum(one.remaining for one in statement.settlements)),
            }
        )

    return rated(plan, [_call_record(1, question.input.text("sec"))], read, [account(credits=purse)])


DIMENSIONS = {
    "FLAT": "flat",
    "ENERGY": "energy",
    "TIME": "time",
    "PARKING_TIME": "parking_time",
    "RESERVATION": "reservation",
    "RESERVATION_FEE": "reservation_fee",
}
CHARGING, PARKING, RESERVATION = "charging", "parking", "reservation"
SOME_MINUTES = "60"
"""How long a session charges where a case does not say and no price counts time."""


def session(question: Question) -> Documents:
    """A session of components, each with a step and a VAT of its own."""
    params, given = question.params, question.input
    components = {row.text("dim"): _component(row) for row in params.rows("components")}
    expired = "RESERVATION_FEE" in given
    elements: list[Json] = []
    for_reservations = [c for c in components.values() if c["dimension"].startswith("reservation")]
    others = [c for c in components.values() if c not in for_reservations]
    if for_reservations:
        elements.append(
            {"components": for_reservations, "restrictions": {"reservation": "expires" if expired else "only"}}
        )
    if others:
        elements.append({"components": others})
    price: Json = {"model": "charging", "elements": elements, "after_step": "own-step"}
    for limit, told in (("minimum", "min"), ("maximum", "max")):
        if f"{told}_excl" in params:
            including = params.maybe(f"{told}_incl")
            price[limit] = {"excl": params.text(f"{told}_excl"), **({"incl": including} if including else {})}
    return _charging(price, _phases(given, expired=expired), lambda result: question.choose(_with_and_without(result)))


def _phases(given: Given, *, expired: bool) -> list[Json]:
    """The charging periods of a session: reserved, charged, parked."""
    timeline = _Timeline(moment("2024-01-08", "09:30"))  # a Monday
    if "RESERVATION" in given:
        rest = {"expired": "true"} if expired else {}
        given.describes("RESERVATION_FEE")
        timeline.add(given.text("RESERVATION"), "0", RESERVATION, **rest)
    if any(name in given for name in ("ENERGY", "TIME", "FLAT")):
        given.describes("FLAT")
        timeline.add(given.maybe("TIME") or SOME_MINUTES, given.maybe("ENERGY") or "0", CHARGING)
    if "PARKING_TIME" in given:
        timeline.add(given.text("PARKING_TIME"), "0", PARKING)
    return timeline.records


class _Timeline:
    """The records of one session, one after the other."""

    def __init__(self, begin: datetime) -> None:
        self.now = begin
        self.records: list[Json] = []

    def add(self, minutes: str, energy: str, phase: str, **attributes: str) -> None:
        """A charging period that begins where the one before ended."""
        self.until(self.now + _length(minutes, minutes=1), energy, phase, **attributes)

    def until(self, end: datetime, energy: str, phase: str, **attributes: str) -> None:
        """The same, told by its end."""
        facts = {"session": "session", "attributes": {"phase": phase, **attributes}}
        self.records.append(record(len(self.records) + 1, energy, iso(self.now), iso(end), CHARGING, **facts))
        self.now = end


def _length(number: str, **unit: int) -> timedelta:
    """So many seconds, minutes or hours, exact to the microsecond."""
    (one,) = (timedelta(**{name: of}) for name, of in unit.items())
    return timedelta(microseconds=int(Decimal(number) * int(one / timedelta(microseconds=1))))


def _component(row: Given) -> Json:
    component: Json = {"dimension": DIMENSIONS[row.text("dim")], "price": row.text("price")}
    percent, step = row.maybe("vat_pct"), row.maybe("step")
    if percent is not None:
        component["tax_percent"] = percent
    return component if step is None else {**component, "step": step}


def _charging(price: Json, usage: Sequence[Json], read: Callable[[Result], Answers]) -> Documents:
    return rated(tariff({CHARGING: item(price, "kWh")}), usage, read)


def _with_and_without(result: Result) -> dict[str, Answers]:
    found = _parts(result.charges)
    return {"excl_vat": Printed(_excluding(found)), "incl_vat": Printed(_including(found))}


def _parts(charges: Iterable[Charge]) -> list[Part]:
    return [part for charge in charges for part in charge.parts]


def _excluding(found: Iterable[Part]) -> Decimal:
    return money(sum(part.amount for part in found))


def _including(found: Iterable[Part]) -> Decimal:
    return money(sum(part.amount + part.tax for part in found))


def _element(component: Json, name: str = "", **restrictions: object) -> Json:
    named = {"name": name} if name else {}
    limits = {key: value for key, value in restrictions.items() if value is not None}
    return {**named, "components": [component], **({"restrictions": limits} if limits else {})}


_RANGE = re.compile(r"(?:([0-9.]+)-([0-9.]+)|<([0-9.]+)|>=?([0-9.]+))\s*(min|kW)")


def by_range(question: Question) -> Documents:
    """Energy whose price depends on the age of the session, or on the power with which it charges."""
    prices, rows = question.params.within("per_kwh"), question.rows()
    elements = []
    for told in prices:
        found = _RANGE.fullmatch(told)
        if found is None:
            raise NotCoveredError(f"{prices.where}.{told} is no range of minutes or kW")
        low, high = found[1] or found[4], found[2] or found[3]
        component = {"dimension": "energy", "price": prices.text(told)}
        limits: Json
        if found[5] == "min":
            limits = {"min_duration_s": _seconds(low), "max_duration_s": _seconds(high)}
        else:
            limits = {"min_power_kw": low, "max_power_kw": high}
        elements.append(_element(component, told, **limits))
    timeline = _Timeline(moment("2024-01-08", "09:30"))
    begin = timeline.now
    for row in rows:
        power = {"power_kw": row.text("kw")} if "kw" in row else {}
        if "min" in row:
            timeline.until(
                begin + _length(row.text("min").split("-")[1], minutes=1), row.text("kwh"), CHARGING, **power
            )
        else:
            timeline.add(SOME_MINUTES, row.text("kwh"), CHARGING, **power)

    def read(result: Result) -> Answers:
        charges = result.charges
        return question.choose(
            {"lines": [money(charge.amount) for charge in charges], "total": charged(charges)},
        )

    return _charging({"model": "charging", "elements": elements}, timeline.records, read)


def _seconds(minutes: str | None) -> int | None:
    """The age of a session in seconds."""
    return None if minutes is None else int(_length(minutes, minutes=1).total_seconds())


def flat_once(question: Question) -> Documents:
    """A flat fee of a session that is told in several charging periods."""
    timeline = _Timeline(moment("2024-01-08", "09:30"))
    for _ in range(int(question.input.text("periods"))):
        timeline.add(SOME_MINUTES, "1", CHARGING)
    price = {"model": "charging", "elements": [_element({"dimension": "flat", "price": question.params.text("flat")})]}
    return _charging(price, timeline.records, lambda result: question.choose({"total": money(result.statement.total)}))


def grace(question: Question) -> Documents:
    """Parking that is free for a while, and energy with VAT."""
    params = question.params
    energy: Json = {"dimension": "energy", "price": params.text("energy_per_kwh")}
    percent = params.maybe("energy_vat_pct")
    if percent is not None:
        energy["tax_percent"] = percent
    parking = {"dimension": "parking_time", "price": params.text("parking_per_h_after")}
    elements = [_element(energy), _element(parking, min_duration_s=params.text("parking_free_until_s"))]
    records = []
    for number, row in enumerate(question.rows(), 1):
        begin = moment("2024-01-08", row.text("t").removesuffix("Z"))
        phase = PARKING if "park_h" in row else CHARGING
        end = begin + _length(row.maybe("park_h") or "1", hours=1)
        facts = {"session": "session", "attributes": {"phase": phase}}
        records.append(record(number, row.maybe("kwh") or "0", iso(begin), iso(end), CHARGING, **facts))

    def read(result: Result) -> Answers:
        found = _parts(result.charges)
        of_energy = [part for part in found if part.name == "energy"]
        return question.choose(
            {
                "parking": parts(result.charges, "parking"),
                "energy": _excluding(of_energy),
                "energy_incl": _including(of_energy),
                "total": _excluding(found),
                "total_incl": _including(found),
            }
        )

    return _charging({"model": "charging", "elements": elements}, records, read)


def stepped(question: Question) -> Documents:
    """Energy in several charging periods, rounded up to a step once for all of the session."""
    params, rows = question.params, question.rows()
    component = {"dimension": "energy", "price": params.text("per_kwh"), "step": params.text("step_wh")}
    begins = [moment("2024-01-08", row.text("t").removesuffix("Z")) for row in rows]
    timeline = _Timeline(begins[0])
    for end, row in zip([*begins[1:], begins[-1] + _length(SOME_MINUTES, minutes=1)], rows, strict=True):
        timeline.until(end, row.text("kwh"), CHARGING)

    def read(result: Result) -> Answers:
        return question.choose(
            {"billed_kwh": quantity_of_parts(_parts(result.charges)), "total": money(result.statement.total)}
        )

    return _charging({"model": "charging", "elements": [_element(component)]}, timeline.records, read)


_NAMED = re.compile(r"(before|after)_([0-9]{1,2})")


def switched(question: Question) -> Documents:
    """A session whose price changes at a time of day, and parking after it.

    OCPI 2.2 lets the rounded-up block of charging take the parking that begins in it; the tests of ocpi-tariffs do not.
    """
    given = question.input
    elements = []
    for row in question.params.rows("elements"):
        begin, until = row.maybe("from"), row.maybe("until")
        dimension = row.text("dim")
        name = "parking" if dimension == "PARKING_TIME" else f"before {until}" if begin is None else f"after {begin}"
        elements.append(_element(_component(row), name, start_time=begin, end_time=until))
    timeline = _Timeline(moment("2024-01-08", given.text("plug_in")))
    timeline.add(given.text("charge_min"), given.maybe("kwh") or "0", CHARGING)
    parked = given.maybe("park_min") or "0"
    if Decimal(parked):
        timeline.add(parked, "0", PARKING)
    swallows = question.source.startswith("ocpi/")
    price = {"model": "charging", "elements": elements, "after_step": "swallowed" if swallows else "own-step"}

    def read(result: Result) -> Answers:
        answers = {"total": charged(result.charges), "parking": parts(result.charges, "parking")}
        for name in question.names():
            if found := _NAMED.fullmatch(name):
                band = f"{found[1]} {int(found[2]):02d}:00"
                answers[name] = _excluding(p for p in _parts(result.charges) if p.band == band and p.name == "time")
        return question.choose(answers)

    return _charging(price, timeline.records, read)


SESSIONS: Mapping[str, Callable[[Question], Documents]] = {
    "call": call,
    "bundle": bundle,
    "ev_session": session,
    "ev_session_duration": by_range,
    "ev_session_power": by_range,
    "ev_session_flat_once": flat_once,
    "ev_session_grace": grace,
    "ev_session_step": stepped,
    "ev_session_switch": switched,
}
"""The translation of each model that prices a session."""
