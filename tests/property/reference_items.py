"""Reference items: what usage of a month costs, worked out naively in fractions and with no code of the pipeline.

Nothing is kept and nothing depends on arrival: all usage of the month is there, is put in heaps (by what is priced by
itself, by band), and each heap is priced. What is spread over time is taken minute by minute. Every amount stands for
one sum that is rounded by itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.property.price_documents import SEASONS
from tests.property.reference_prices import price_of, rounded
from tests.small_books import Json

ONE_MINUTE = timedelta(minutes=1)


class Amount(NamedTuple):
    """What one band and tier cost, before it is rounded to the last stored digit."""

    band: str
    tier: int
    exact: Fraction


@dataclass(frozen=True)
class Use:
    """One usage record, or one minute of it."""

    id: str
    start: datetime
    end: datetime
    quantity: Fraction
    session: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Month:
    """A billing period, for which the tariff is in force all the time. Both ends are UTC."""

    start: datetime
    end: datetime
    zone: ZoneInfo

    @property
    def days(self) -> int:
        return (self.end.astimezone(self.zone).date() - self.start.astimezone(self.zone).date()).days

    @property
    def hours(self) -> Fraction:
        return hours_between(self.start, self.end)


def hours_between(start: datetime, end: datetime) -> Fraction:
    return Fraction((end - start) // timedelta(microseconds=1), 3_600_000_000)


def cost_of(item: Json, uses: Sequence[Use], month: Month) -> list[Amount]:
    """All amounts of an item with some usage in the month, without its minimum."""
    found = _amounts(item, sorted(uses, key=lambda use: (use.start, use.end, use.id)), month)
    price = sum((rounded(amount.exact) for amount in found), Fraction(0))
    discount = rounded(price * Fraction(item.get("discount_percent", 0)) / 100)
    found.append(Amount("", 0, -discount))
    if "maximum" in item:
        found.append(Amount("", 0, -max(price - discount - Fraction(item["maximum"]), Fraction(0))))
    return found


def _amounts(item: Json, uses: Sequence[Use], month: Month) -> list[Amount]:
    model = (item.get("price") or item["bands"][0]["price"])["model"]
    aggregation = item.get("aggregation", {"function": "sum"})
    if model == "percentage":
        return _by_band(item, uses, month, _transactions)
    if model == "call":
        return _by_band(item, uses, month, _calls)
    if aggregation["function"] in ("average", "level"):
        return _level(item, uses, month)
    if item.get("tiers_across_bands") == "chronological":
        return _chronological(item, uses, month)
    return _heaps(item, uses, month)


def _price_in(item: Json, band: str) -> Json:
    return item["price"] if "price" in item else next(b["price"] for b in item["bands"] if b["name"] == band)


def _names(item: Json) -> list[str]:
    return [band["name"] for band in item["bands"]] if "bands" in item else [""]


def _heaps(item: Json, uses: Sequence[Use], month: Month) -> list[Amount]:
    """Usage by what is priced by itself, then by band."""
    aggregation = item.get("aggregation", {"function": "sum"})
    function, per = aggregation["function"], item.get("priced_per", "period")
    spread = function in ("sum", "demand") and per not in ("record", "session")
    if function == "sum" and "at_least" not in aggregation:
        uses = [replace(use, quantity=converted(item, use, month, per_record=True)) for use in uses]
    heaps: dict[str, dict[str, list[Use]]] = {}
    for use in minutes_of(uses) if spread else uses:
        bands = heaps.setdefault(_group(item, use, month.zone), {})
        bands.setdefault(band_of(item, use, month.zone), []).append(use)
    found = []
    seen: set[str] = set()
    for bands in heaps.values():
        for band, heap in bands.items():
            if function == "sum" and per != "record" and not sum(use.quantity for use in heap):
                continue  # nothing was used, so that there is no floor either
            quantity = aggregated(aggregation, heap)
            if function != "sum" or "at_least" in aggregation:
                quantity = _by_constants(item, quantity, month)
            quantity = _rounded_total(item, quantity)
            seen.add(band)
            price = _price_in(item, band)
            found += [Amount(band, *one) for one in _added(price_of(price, quantity, _days(item, band, month)))]
    for band in set(_names(item)) - seen:  # what is due without usage
        unused = price_of(_price_in(item, band), Fraction(0), 1)
        found += [Amount(band, *one) for one in unused]
    return found


def _added(amounts: Iterable[tuple[int, Fraction]]) -> list[tuple[int, Fraction]]:
    sums: dict[int, Fraction] = {}
    for tier, amount in amounts:
        sums[tier] = sums.get(tier, Fraction(0)) + amount
    return list(sums.items())


def _group(item: Json, use: Use, zone: ZoneInfo) -> str:
    match item.get("priced_per", "period"):
        case "record":
            return use.id
        case "session":
            return f"session {use.session}" if use.session else use.id
        case "resource":
            return use.attributes[item["resource"]]
        case "hour":
            return f"{use.start.astimezone(zone):%Y-%m-%d %H %z}"
        case "day":
            return f"{use.start.astimezone(zone):%Y-%m-%d}"
        case _:
            return ""


def minutes_of(uses: Iterable[Use]) -> Iterable[Use]:
    """The same usage minute by minute; what has no length is left as it is."""
    for use in uses:
        count = (use.end - use.start) // ONE_MINUTE
        if not count:
            yield use
        for minute in range(count):
            start = use.start + minute * ONE_MINUTE
            yield replace(use, start=start, end=start + ONE_MINUTE, quantity=use.quantity / count)


def aggregated(aggregation: Json, uses: Sequence[Use]) -> Fraction:
    quantities = sorted(use.quantity for use in uses)
    match aggregation["function"]:
        case "sum":
            found = sum(quantities, Fraction(0))
        case "count":
            found = Fraction(len(uses))
        case "max":
            found = quantities[-1]
        case "latest":
            found = max(uses, key=lambda use: (use.end, use.start, use.id)).quantity
        case "unique":
            found = Fraction(len({use.attributes[aggregation["attribute"]] for use in uses}))
        case "percentile":
            found = quantities[ceil(Fraction(aggregation["percentile"]) * len(uses) / 100) - 1]
        case _:
            found = _demand(aggregation.get("interval_minutes", 60), uses)
    return max(found, Fraction(aggregation.get("at_least", found)))


def _demand(minutes: int, uses: Iterable[Use]) -> Fraction:
    sums: dict[int, Fraction] = {}
    for use in minutes_of(uses):
        interval = int(use.start.timestamp()) // (60 * minutes)
        sums[interval] = sums.get(interval, Fraction(0)) + use.quantity
    return rounded(max(sums.values()) * 60 / minutes, Fraction(1, 10**6))


# Conversion.


def converted(item: Json, use: Use, month: Month, *, per_record: bool) -> Fraction:
    """A record's quantity in the units of the price, rounded where each record is."""
    convert = item.get("convert")
    if convert is None:
        return use.quantity
    quantity = _by_constants(item, use.quantity, month)
    for name in convert.get("attributes", ()):
        quantity *= Fraction(use.attributes[name])
    if convert["times"] == "hours":
        quantity *= hours_between(use.start, use.end)
    if per_record and convert.get("round") and convert["round_per"] == "record":
        return rounded(quantity, Fraction(1, 10 ** convert["decimals"]), convert["round"])
    return quantity


def _by_constants(item: Json, quantity: Fraction, month: Month) -> Fraction:
    convert = item.get("convert")
    if convert is None:
        return quantity
    quantity *= Fraction(convert["multiply_by"]) / Fraction(convert["divide_by"])
    if convert["times"] == "days":
        quantity *= month.days
    return quantity / month.hours if convert["over"] else quantity


def _rounded_total(item: Json, quantity: Fraction) -> Fraction:
    convert = item.get("convert", {})
    if convert.get("round") and convert["round_per"] == "total":
        return rounded(quantity, Fraction(1, 10 ** convert["decimals"]), convert["round"])
    return quantity


# Bands.


def band_of(item: Json, use: Use, zone: ZoneInfo) -> str:
    """The band of the moment at which the usage begins, of the most special set that it fits."""
    if "bands" not in item:
        return ""
    fitting = [band for band in item["bands"] if _fits(band.get("where", {}), use.attributes)]
    rank = max(_rank(band.get("where", {})) for band in fitting)
    local = use.start.astimezone(zone)
    bands = [b for b in fitting if _rank(b.get("where", {})) == rank and in_season(b.get("season"), local)]
    claiming = [band for band in bands if "days" in band or "hours" in band]
    names = [band["name"] for band in claiming if _claims(band, local)]
    rest = (str(band["name"]) for band in bands if band not in claiming)
    return str(names[0]) if names else next(rest)


def _fits(where: Mapping[str, str], attributes: Mapping[str, str]) -> bool:
    return all(
        attributes[name].startswith(value[:-1]) if value.endswith("*") else attributes[name] == value
        for name, value in where.items()
    )


def _rank(where: Mapping[str, str]) -> tuple[int, int]:
    return len(where), sum(len(value.rstrip("*")) for value in where.values())


def in_season(name: str | None, local: datetime) -> bool:
    if name is None:
        return True
    first, last, today = SEASONS[name]["from"], SEASONS[name]["to"], f"{local:%m-%d}"
    return first <= today <= last if first <= last else today >= first or today <= last


def _claims(band: Json, local: datetime) -> bool:
    is_holiday = f"{local:%m-%d}" == "01-26" or f"{local:%Y-%m-%d}" == "2024-02-29"
    kinds = ["holidays"] if is_holiday else ["weekends" if local.weekday() > 4 else "weekdays"]
    hours = [one.split("-") for one in band.get("hours", ["00:00-24:00"])]
    on_day = "days" not in band or any(kind in band["days"] for kind in kinds)
    return on_day and any(low <= f"{local:%H:%M}" < high for low, high in hours)


def _days(item: Json, band: str, month: Month) -> int:
    """The dates of the month that count for bounds per day."""
    season = next((b.get("season") for b in item.get("bands", ()) if b["name"] == band), None)
    first = month.start.astimezone(month.zone)
    return sum(in_season(season, first + timedelta(days=day)) for day in range(month.days))


# What is priced by itself in its own way.


Priced = Callable[[Json, Sequence[Use]], list[tuple[int, Fraction]]]


def _by_band(item: Json, uses: Sequence[Use], month: Month, price: Priced) -> list[Amount]:
    bands: dict[str, list[Use]] = {}
    sessions: dict[str, str] = {}
    for use in uses:
        band = band_of(item, use, month.zone)
        if price is _calls and use.session:
            band = sessions.setdefault(use.session, band)
        bands.setdefault(band, []).append(use)
    return [Amount(band, tier, exact) for band, of in bands.items() for tier, exact in price(_price_in(item, band), of)]


def _transactions(price: Json, uses: Sequence[Use]) -> list[tuple[int, Fraction]]:
    found = []
    summed = Fraction(0)
    for number, use in enumerate(uses, 1):
        amount = use.quantity
        allowed = Fraction(price["free_amount"]) - summed if "free_amount" in price else amount
        has_free = "free_amount" in price or "free_events" in price
        free = min(amount, max(allowed, Fraction(0)))
        if not has_free or number > price.get("free_events", number):
            free = Fraction(-1)  # not even nothing is free
        summed += amount
        if free == amount and amount <= allowed:
            continue
        cost = (amount - max(free, Fraction(0))) * Fraction(price["percent"]) / 100 + Fraction(price["fixed_per_event"])
        cost = max(cost, Fraction(price.get("min_per_event", cost)))
        found.append((1, min(cost, Fraction(price.get("max_per_event", cost)))))
    return found


def _calls(price: Json, uses: Sequence[Use]) -> list[tuple[int, Fraction]]:
    durations: dict[str, Fraction] = {}
    for use in uses:  # in order of time, so calls are in order of their begin
        call = f"session {use.session}" if use.session else use.id
        durations[call] = durations.get(call, Fraction(0)) + use.quantity
    left = Fraction(price["included_s"])
    found: list[tuple[int, Fraction]] = []
    for duration in durations.values():
        if duration > 0:
            counted = duration if price["seconds"] == "exact" else rounded(duration, Fraction(1), price["seconds"])
            included = min(left, counted)
            left -= included
            found += _call(price, included, counted)
    return found


def _call(price: Json, included: Fraction, duration: Fraction) -> list[tuple[int, Fraction]]:
    """Increment by increment from the end of the included seconds."""
    costs = [Fraction(price["connection_fee"])]
    sums = [Fraction(0) for _ in price["slots"]]
    at = included
    while at < duration:
        index = max(number for number, slot in enumerate(price["slots"]) if slot["from_s"] <= at)
        slot = price["slots"][index]
        cost = Fraction(slot["rate"]) * slot["increment_s"] / slot["unit_s"]
        if "increment_decimals" in price:
            cost = rounded(cost, Fraction(1, 10 ** price["increment_decimals"]), "half-up")
        sums[index] += cost
        at += slot["increment_s"]
    exact = costs[0] + sum(sums, Fraction(0))
    total = costs[0] + sum((rounded(cost) for cost in sums), Fraction(0))
    if "decimals" in price:
        total = rounded(exact, Fraction(1, 10 ** price["decimals"]), price["mode"])
    if "maximum" in price and price["beyond_maximum"] == "free":
        total = min(total, Fraction(price["maximum"]))
    return [(1, total)]


def _chronological(item: Json, uses: Sequence[Use], month: Month) -> list[Amount]:
    """Minute after minute takes up where the one before it ended, in the tiers of its season."""
    filled: dict[str | None, Fraction] = {}
    sums: dict[tuple[str, int], Fraction] = {}
    for band in _names(item):
        for tier, amount in price_of(_price_in(item, band), Fraction(0), 1):
            sums[band, tier] = sums.get((band, tier), Fraction(0)) + amount
    for use in minutes_of([replace(u, quantity=converted(item, u, month, per_record=False)) for u in uses]):
        band = band_of(item, use, month.zone)
        season = next(b.get("season") for b in item["bands"] if b["name"] == band)
        price, days = _price_in(item, band), _days(item, band, month)
        before = filled.get(season, Fraction(0))
        filled[season] = before + use.quantity
        for sign, total in ((-1, before), (1, filled[season])):
            for tier, amount in price_of(price, total, days):
                sums[band, tier] = sums.get((band, tier), Fraction(0)) + sign * amount
    return [Amount(band, tier, exact) for (band, tier), exact in sums.items()]


def _level(item: Json, uses: Sequence[Use], month: Month) -> list[Amount]:
    price = item["price"]
    if item["aggregation"]["function"] == "average":
        mean = sum((u.quantity * hours_between(u.start, month.end) for u in uses), Fraction(0)) / month.hours
        quantity = _rounded_total(item, _by_constants(item, mean, month))
        return [Amount("", *one) for one in _added(price_of(price, quantity, month.days))]
    changes = [(use.start.astimezone(month.zone).date(), use.quantity) for use in uses]
    first = month.start.astimezone(month.zone).date()
    units: dict[int, Fraction] = {}
    level = Fraction(0)
    for day in (first + timedelta(days=number) for number in range(month.days)):
        level += sum(quantity for at, quantity in changes if at == day)
        for tier, amount in _units_of(item, level, month):
            units[tier] = units.get(tier, Fraction(0)) + amount / month.days
    highest = max(
        [Fraction(0), *(sum((q for _, q in changes[: number + 1]), Fraction(0)) for number in range(len(changes)))]
    )
    fees = _fees_of(item, highest, month)
    return [Amount("", *one) for one in (*units.items(), *fees)]


def _units_of(item: Json, level: Fraction, month: Month) -> list[tuple[int, Fraction]]:
    """The price of a level without the flat fees of its tiers."""
    quantity = _rounded_total(item, _by_constants(item, level, month))
    price = dict(item["price"])
    price["true_up"] = False
    if "tiers" in price:
        price["tiers"] = [{**tier, "flat_fee": "0"} for tier in price["tiers"]]
    return price_of(price, quantity, month.days)


def _fees_of(item: Json, level: Fraction, month: Month) -> list[tuple[int, Fraction]]:
    quantity = _rounded_total(item, _by_constants(item, level, month))
    whole = _added(price_of(item["price"], quantity, month.days))
    units = dict(_added(_units_of(item, level, month)))
    return [(tier, amount - units.get(tier, Fraction(0))) for tier, amount in whole]
