"""Calls: what telephone calls cost, each a connection fee and its duration in begun increments."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil

from tests.oracle.items import Document, Meter
from tests.oracle.placing import Fact, rounded
from tests.oracle.prices import ZERO, Row, attos, flat

_WHOLE_SECONDS = ("up", "down", "half-up")


def call_rows(rules: Meter, facts: Sequence[Fact], price_of: Mapping[str, Document]) -> Iterator[Row]:
    """The price of all calls, whose facts are in order of time; the band in which a call begins prices all of it."""
    calls: dict[tuple[object, ...], list[Fact]] = {}
    for fact in facts:
        calls.setdefault((fact.session,) if fact.session else fact.identity, []).append(fact)
    left = {band: Fraction(price.get("included_s", "0")) for band, price in price_of.items()}
    for records in calls.values():  # in the order of their begin
        band = records[0].band
        price = price_of[band]
        duration = sum((fact.quantity for fact in records), ZERO)
        if duration <= 0:
            continue
        if price.get("seconds") in _WHOLE_SECONDS:
            duration = rounded(duration, 0, price["seconds"])
        free = min(left[band], duration)
        left[band] -= free
        yield Row(band, 0, "included", ZERO, free, ZERO, rules.priced_unit)
        yield from _call(rules, band, price, free, duration)


def _call(rules: Meter, band: str, price: Document, free: Fraction, duration: Fraction) -> Iterator[Row]:
    """One call from the end of its included seconds on."""
    fee = Fraction(price.get("connection_fee", "0"))
    told = exact = fee
    if fee:
        yield flat(band, 1, "connection", fee)
    slots = price["slots"]
    begins = [Fraction(slot.get("from_s", "0")) for slot in slots]
    at = free
    for number, (slot, end) in enumerate(zip(slots, [*begins[1:], duration], strict=True), 1):
        until = min(end, duration)
        if at >= until:
            continue
        increment, unit = Fraction(slot["increment_s"]), Fraction(slot["unit_s"])
        each = Fraction(slot["rate"]) * increment / unit
        if "increment_decimals" in price:
            each = rounded(each, int(price["increment_decimals"]), "half-up")
        begun = ceil((until - at) / increment)
        at += begun * increment
        exact += begun * each
        told += attos(begun * each)
        second = rounded(Fraction(slot["rate"]) / unit, 12, "half-even")
        yield Row(band, number, "", second, begun * increment, attos(begun * each), rules.priced_unit)
    total = rounded(exact, int(price["decimals"]), price.get("mode", "half-up")) if "decimals" in price else told
    if total != told:
        yield flat(band, 1, "rounding", total - told)
    most = Fraction(price.get("maximum", "0"))
    if "maximum" in price and price.get("beyond_maximum") != "charged" and total > most:
        yield flat(band, 1, "maximum", most - total)
