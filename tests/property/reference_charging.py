"""Reference charging: an EV session watched every twenty seconds, in fractions and with no code of the pipeline.

Everything that can change (clocks, ages, energies) has to fall on such a moment; the test sees to that.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.property.reference_items import Use
from tests.small_books import Json

TICK = timedelta(seconds=20)
TIMES = {"charging": "time", "parking": "parking_time", "reservation": "reservation"}
ONCE = ("flat", "reservation_fee")


class Moment(NamedTuple):
    """What goes on in twenty seconds. Energy in kWh, age in seconds."""

    start: datetime
    local: datetime
    phase: str
    age: int
    drawn: Fraction
    energy: Fraction
    attributes: Mapping[str, str]
    expired: bool


class Priced(NamedTuple):
    """What one component prices of a moment: kWh, seconds, or 1 for a fee."""

    element: int
    component: Json
    quantity: Fraction
    end: datetime


def session_cost(price: Json, uses: Sequence[Use], zone: ZoneInfo) -> list[Fraction]:
    """All amounts of one session, without tax, each of which is rounded by itself; limits on the sum are the last."""
    moments = list(_moments(sorted(uses, key=lambda use: (use.start, use.end, use.id)), zone))
    priced = list(_priced(price, moments))
    total_by_component: dict[tuple[int, str, str, str | None], Fraction] = {}
    for one in _stepped(price["after_step"], priced):
        component = one.component
        key = (one.element, component["dimension"], component["price"], component.get("tax_percent"))
        total_by_component[key] = total_by_component.get(key, Fraction(0)) + one.quantity
    return [
        quantity * Fraction(unit_price) / (3600 if dimension in TIMES.values() else 1)
        for (_, dimension, unit_price, _), quantity in total_by_component.items()
    ]


def limited(price: Json, net: Fraction, uses: Sequence[Use]) -> Fraction:
    """The sum within its limits without tax; a reservation alone has no minimum."""
    if "minimum" in price and any(use.attributes.get("phase") != "reservation" for use in uses):
        net = max(net, Fraction(price["minimum"]["excl"]))
    return min(net, Fraction(price["maximum"]["excl"])) if "maximum" in price else net


def _moments(uses: Sequence[Use], zone: ZoneInfo) -> Iterator[Moment]:
    expired = any(use.attributes.get("expired") == "true" for use in uses)
    begins: dict[bool, datetime] = {}
    drawn = Fraction(0)
    for use in uses:
        phase = use.attributes.get("phase", "charging")
        begun = begins.setdefault(phase == "reservation", use.start)
        count = (use.end - use.start) // TICK
        for tick in range(count):
            start = use.start + tick * TICK
            age = (start - begun) // timedelta(seconds=1)
            energy = use.quantity / count
            yield Moment(start, start.astimezone(zone), phase, age, drawn, energy, use.attributes, expired)
            drawn += energy


def _priced(price: Json, moments: Sequence[Moment]) -> Iterator[Priced]:
    paid_once: set[tuple[str, bool]] = set()
    for moment in moments:
        reserved = moment.phase == "reservation"
        holding = [index for index, element in enumerate(price["elements"]) if _holds(element["restrictions"], moment)]
        if reserved:
            holding.sort(key=lambda index: price["elements"][index]["restrictions"].get("reservation") != "expires")
        quantities = {"flat": Fraction(1), "energy": moment.energy, TIMES[moment.phase]: Fraction(TICK.seconds)}
        if reserved and moment.expired:
            quantities["reservation_fee"] = Fraction(1)
        for dimension, quantity in quantities.items():
            for index in holding:
                element = price["elements"][index]
                found = [c for c in element["components"] if c["dimension"] == dimension]
                wrong_phase = dimension == "flat" and ("reservation" in element["restrictions"]) != reserved
                if not found or not quantity or wrong_phase:
                    continue
                if dimension not in ONCE or (dimension, reserved) not in paid_once:
                    paid_once.add((dimension, reserved))
                    yield Priced(index, found[0], quantity, moment.start + TICK)
                break


def _holds(limits: Json, moment: Moment) -> bool:
    attributes, local = moment.attributes, moment.local
    power, current = attributes.get("power_kw"), attributes.get("current_a")
    reservation = limits.get("reservation")
    clock, low, high = f"{local:%H:%M}", limits.get("start_time", ""), limits.get("end_time", "")
    return all(
        [
            reservation is None or moment.phase == "reservation",
            reservation != "expires" or moment.expired,
            not low or (low <= clock < high if low < high else clock >= low or clock < high),
            "days" not in limits or f"{local:%a}".lower() in limits["days"],
            limits.get("start_date", "") <= f"{local:%Y-%m-%d}" < limits.get("end_date", "9"),
            Fraction(limits.get("min_kwh", 0)) <= moment.drawn,
            "max_kwh" not in limits or moment.drawn < Fraction(limits["max_kwh"]),
            "min_power_kw" not in limits or (power is not None and Fraction(power) >= Fraction(limits["min_power_kw"])),
            "max_current_a" not in limits
            or (current is not None and Fraction(current) < Fraction(limits["max_current_a"])),
            limits.get("min_duration_s", 0) <= moment.age,
            "max_duration_s" not in limits or moment.age < limits["max_duration_s"],
        ]
    )


def _stepped(after_step: str, priced: list[Priced]) -> list[Priced]:
    """With what each dimension lacks to whole steps of the component that priced it last."""
    parks = any(one.component["dimension"] == "parking_time" for one in priced)
    block = None if after_step == "parking-only" and parks else _lacking(priced, "time")
    if block is not None and after_step == "swallowed":
        until = block.end + timedelta(seconds=int(block.quantity))
        priced = [_without(one, block.end, until) for one in priced]
        priced = [one for one in priced if one.quantity]
    others = [_lacking(priced, dimension) for dimension in ("energy", "parking_time", "reservation")]
    return [*priced, *(one for one in (block, *others) if one is not None)]


def _lacking(priced: Sequence[Priced], dimension: str) -> Priced | None:
    of = [one for one in priced if one.component["dimension"] == dimension]
    if not of or not of[-1].component["step"]:
        return None
    step = Fraction(of[-1].component["step"]) / (1000 if dimension == "energy" else 1)
    total = sum((one.quantity for one in of), Fraction(0))
    return of[-1]._replace(quantity=ceil(total / step) * step - total)


def _without(one: Priced, start: datetime, end: datetime) -> Priced:
    if one.component["dimension"] != "parking_time":
        return one
    overlap = min(one.end, end) - max(one.end - TICK, start)
    return one._replace(quantity=one.quantity - max(Fraction(overlap // timedelta(seconds=1)), Fraction(0)))
