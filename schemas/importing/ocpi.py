"""OCPI: tariffs of the Open Charge Point Interface, versions 2.2 to 2.3, as JSON objects.

A tariff has one item, `charging`, whose price model says the same as OCPI's elements, price components and
restrictions, one to one. Times of day are those of the location in OCPI and those of the account's zone here. FLAT and
TIME of an element for reservations are the reservation's own. Step sizes of times are read differently by OCPI 2.2 and
2.2.1; a file does not say which it is, so that is a note. OCPI leaves rounding open: here only the total is rounded.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from schemas.importing.cdr import instant, is_cdr
from schemas.importing.reading import (
    FALLBACK_START,
    Given,
    Imported,
    Inexpressible,
    Json,
    Reading,
    digits,
    foreign_json,
    foreign_list,
    mapping,
    number,
    one_line,
    refused,
    repeated,
    sequence,
    slug,
    whole,
)
from schemas.node import cut

ITEM = "charging"
_DIMENSIONS = {"FLAT": "flat", "ENERGY": "energy", "TIME": "time", "PARKING_TIME": "parking_time"}
_OF_RESERVATION = {"FLAT": "flat", "TIME": "reservation"}
_RESERVATIONS = {"RESERVATION": "only", "RESERVATION_EXPIRES": "expires"}
_LIMITS = {
    "start_time": "start_time",
    "end_time": "end_time",
    "start_date": "start_date",
    "end_date": "end_date",
    "min_kwh": "min_kwh",
    "max_kwh": "max_kwh",
    "min_power": "min_power_kw",
    "max_power": "max_power_kw",
    "min_current": "min_current_a",
    "max_current": "max_current_a",
    "min_duration": "min_duration_s",
    "max_duration": "max_duration_s",
}
"""Restrictions that only have another name here."""
_READ = {
    *("country_code", "party_id", "id", "currency", "elements", "min_price", "max_price", "tax_included"),
    *("start_date_time", "end_date_time", "last_updated", "tariff_alt_text"),
}
_DESCRIPTION_LENGTH = 2000


def tariffs(content: bytes, given: Given) -> list[Imported]:
    """The tariffs of one file: of a tariff or a CDR, a list of them, or an answer with them in `data`."""
    try:
        objects = foreign_list(foreign_json(content), "data")
    except Inexpressible as error:
        return [Imported("the file", None, (), (error.finding,))]
    placed = [place for index, one in enumerate(objects, start=1) for place in _placed(one, index)]
    return repeated(_imported(one, place, given) for place, one in placed)


def _placed(one: object, index: int) -> Iterable[tuple[str, object]]:
    """The tariffs of one object, each with the place where it stands."""
    if not isinstance(one, dict) or not is_cdr(one):
        return [(f"object {index}", one)]
    return [(f"CDR {one.get('id', index)}", tariff) for tariff in foreign_list(one.get("tariffs") or [])]


def _imported(tariff: object, place: str, given: Given) -> Imported:
    if not isinstance(tariff, dict) or not {"id", "elements"} <= tariff.keys():
        remedy = 'give a tariff as OCPI has it: {"id": ..., "currency": ..., "elements": [...]}, or a CDR'
        return refused(place, "no tariff of OCPI: it has no id or no elements", remedy)
    parts = [str(tariff[key]) for key in ("country_code", "party_id", "id") if tariff.get(key)]
    reading = Reading(cut("/".join(parts)))
    document: Json = {}
    with reading.part():
        document = _head(tariff, parts, reading, given)
    with reading.part():
        document["meters"] = {ITEM: {"unit": "kWh", "price": _price(tariff, reading)}}
    _tell_the_rest(tariff, reading)
    return reading.imported(document)


def _head(tariff: Mapping[str, Any], parts: list[str], reading: Reading, given: Given) -> Json:
    start = _start(tariff, reading, given)
    updated = instant(tariff["last_updated"], "last_updated").date() if tariff.get("last_updated") else start
    currency = given.currency or tariff.get("currency")
    if not currency:
        raise Inexpressible("no currency", "add it, or say one with --currency", "currency")
    return {
        "tariff": slug(*parts),
        "version": updated.isoformat(),
        "effective_from": start,
        "currency": str(currency),
        "description": _description(tariff, parts)[:_DESCRIPTION_LENGTH],
        "rounding": {"at": "total"},
    }


def _start(tariff: Mapping[str, Any], reading: Reading, given: Given) -> date:
    if tariff.get("end_date_time"):
        reading.note(f"end_date_time: ends at {tariff['end_date_time']}; end the account's entry by then")
    if given.effective_from is not None:
        return given.effective_from
    if tariff.get("start_date_time"):
        start = instant(tariff["start_date_time"], "start_date_time")
        if start.time().isoformat() != "00:00:00":
            reading.note(f"start_date_time: {tariff['start_date_time']} became the date {start.date()}")
        return start.date()
    reading.note(f"no start_date_time: in force from {FALLBACK_START}; say another day with --effective-from")
    return FALLBACK_START


def _description(tariff: Mapping[str, Any], parts: list[str]) -> str:
    texts = foreign_list(tariff.get("tariff_alt_text") or [])
    told = [one_line(text["text"]) for text in texts if isinstance(text, dict) and text.get("text")]
    return "; ".join([f"OCPI tariff {'/'.join(parts)}", *told])


def _price(tariff: Mapping[str, Any], reading: Reading) -> Json:
    listed = sequence(tariff["elements"], "elements")
    elements = [_element(mapping(one, "elements", index), reading, index) for index, one in enumerate(listed)]
    limits = {
        ours: _limit(mapping(tariff[theirs], theirs), theirs)
        for theirs, ours in (("min_price", "minimum"), ("max_price", "maximum"))
        if tariff.get(theirs)
    }
    _tell_steps(elements, reading)
    return {"model": "charging", **limits, "elements": elements}


def _element(element: Mapping[str, Any], reading: Reading, index: int) -> Json:
    at = ("elements", index)
    theirs = mapping(element.get("restrictions") or {}, *at, "restrictions")
    restrictions = _restrictions(theirs, *at)
    listed = sequence(element.get("price_components"), *at, "price_components")
    components = [
        _component(
            mapping(one, *at, "price_components", place),
            reading,
            *at,
            place,
            of_reservation="reservation" in restrictions,
        )
        for place, one in enumerate(listed)
    ]
    _tell_unknown(element, {"price_components", "restrictions"}, f"elements[{index}]", reading)
    return {"components": components, **({"restrictions": restrictions} if restrictions else {})}


def _component(component: Mapping[str, Any], reading: Reading, *at: str | int, of_reservation: bool) -> Json:
    kind = str(component.get("type"))
    dimensions = _OF_RESERVATION if of_reservation else _DIMENSIONS
    if kind not in dimensions:
        where = " in an element for reservations" if of_reservation else ""
        raise Inexpressible(f"no price component {kind}{where}", f"use one of: {', '.join(dimensions)}", *at, "type")
    priced: Json = {"dimension": dimensions[kind], "price": reading.price(number(component.get("price"), *at, "price"))}
    if kind != "FLAT" and component.get("step_size") is not None:
        step = whole(component["step_size"], *at, "step_size")
        priced |= {"step": step} if step else {}
    if component.get("vat") is not None:
        priced["tax_percent"] = digits(number(component["vat"], *at, "vat"))
    _tell_unknown(component, {"type", "price", "step_size", "vat"}, f"price component {kind}", reading)
    return priced


def _restrictions(restrictions: Mapping[str, Any], *at: str | int) -> Json:
    here = (*at, "restrictions")
    limits: Json = {}
    for key, value in restrictions.items():
        if value in (None, []):
            continue
        if key == "day_of_week":
            limits["days"] = [str(day)[:3].lower() for day in sequence(value, *here, key)]
        elif key == "reservation" and str(value) in _RESERVATIONS:
            limits[key] = _RESERVATIONS[str(value)]
        elif key in _LIMITS:
            limits[_LIMITS[key]] = _restriction(key, value, *here, key)
        else:
            raise Inexpressible(f"no such restriction: {cut(str(value))}", "write this tariff by hand", *here, key)
    if limits.get("start_time") == limits.get("end_time") == "00:00":
        del limits["start_time"], limits["end_time"]
    return limits


def _restriction(key: str, value: object, *at: str | int) -> object:
    if key.endswith("_duration"):
        return whole(value, *at)
    if key.endswith("_date"):
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            raise Inexpressible(f"no date: {cut(str(value))}", "write it as YYYY-MM-DD", *at) from None
    return str(value) if key.endswith("_time") else digits(number(value, *at))


def _limit(limit: Mapping[str, Any], name: str) -> Json:
    """A price without and with tax, as 2.2 and as 2.3 names them."""
    amounts = {
        ours: digits(number(limit[theirs], name, theirs))
        for theirs, ours in (
            ("excl_vat", "excl"),
            ("before_taxes", "excl"),
            ("incl_vat", "incl"),
            ("after_taxes", "incl"),
        )
        if limit.get(theirs) is not None
    }
    if "excl" not in amounts:
        raise Inexpressible("no limit without tax", "write excl_vat", name)
    return amounts


def _tell_steps(elements: list[Json], reading: Reading) -> None:
    components = [component for element in elements for component in element["components"]]
    stepped = {component["dimension"] for component in components if component.get("step", 1) > 1}
    priced = {component["dimension"] for component in components}
    if "time" in stepped and "parking_time" in priced:
        choices = "own-step (each rounded by itself), swallowed (2.2) or parking-only (2.2.1)"
        reading.note(f"step_size: where parking follows charging, set after_step: {choices}; it is own-step by default")


def _tell_the_rest(tariff: Mapping[str, Any], reading: Reading) -> None:
    """Names what has not become a part of the price."""
    if tariff.get("tax_included") == "YES":
        reading.note("tax_included: YES: prices hold their taxes, none is added and none is shown")
    elif tariff.get("tax_included") == "NO":
        reading.note("tax_included: NO: taxes that no price component names are for the tariff's `tax` to say")
    _tell_unknown(tariff, _READ, "", reading)


def _tell_unknown(value: Mapping[str, Any], known: set[str], where: str, reading: Reading) -> None:
    told = [f"{key} = {cut(one_line(item))}" for key, item in value.items() if key not in known and item is not None]
    if told:
        reading.note(f"not in the tariff: {where + ': ' if where else ''}{'; '.join(told)}")
