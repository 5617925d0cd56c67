"""Item prices: what all usage of an item in a range costs, from its facts.

The facts are put into groups that are priced by themselves, each group comes to a quantity for each band, these are
converted and priced, and a discount and a maximum are taken off at the end.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from hashlib import blake2b
from math import ceil

from tests.oracle.calls import call_rows
from tests.oracle.contracts import Account, Tariff
from tests.oracle.items import Aggregation, Meter, Price
from tests.oracle.local_time import days_in, season_of
from tests.oracle.packing import packed
from tests.oracle.placing import MILLIONTH, Fact, Range, constants_of, rounded, shares_by_time
from tests.oracle.prices import ZERO, Row, added_up, attos, flat, rows_of, slices, standing_rows

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def item_rows(account: Account, where: Range, facts: Sequence[Fact]) -> list[Row]:
    """What the facts of one item in one range cost; without facts what is due without usage."""
    rules = where.rules
    days = _day_counter(account, where)
    if rules.bands[0].price.model == "call":
        found = list(call_rows(rules, _in_time(facts), {band.name: band.price.document for band in rules.bands}))
    elif rules.by_record:
        found = _transactions(rules, facts)
    elif rules.across == "chronological":
        found = _in_order_of_time(rules, facts, days)
    elif rules.adds_up:
        found = [*standing_rows(rules), *_group_rows(account, where, facts, days)]
    else:
        groups: dict[str, list[Fact]] = {}
        for fact in facts:
            groups.setdefault(_group(account, rules, fact), []).append(fact)
        found = [row for group in groups.values() for row in _each(rules, _group_rows(account, where, group, days))]
    found = added_up(found)
    return [*found, *_limits(rules, sum((row.exact for row in found), ZERO))]


def derived_rows(tariff: Tariff, amounts: dict[str, Fraction], share: Fraction) -> Iterable[tuple[str, Row]]:
    """Surcharges and the tariff's maximum, where the items of a range cost these amounts; `share` of its period."""
    amounts = {**amounts}
    for surcharge in tariff.surcharges:
        base = ZERO
        for name in surcharge.of or tariff.meters:
            amount = amounts.get(name, ZERO)
            base += rounded(amount, tariff.rules.decimals, tariff.rules.mode) if surcharge.of_rounded else amount
        exact = attos(base * surcharge.percent / 100)
        amounts[surcharge.name] = exact
        if exact:
            name = f"{Decimal(surcharge.document_percent).normalize():f} %"
            yield surcharge.name, Row("", 0, name, surcharge.percent / 100, ZERO, exact, "")
    if tariff.maximum is not None:
        most = tariff.maximum.amount
        if tariff.maximum.prorate == "days":
            most = attos(most * share)
        excess = sum(amounts.values(), ZERO) - most
        if excess > 0:
            yield "maximum", flat("", 0, "maximum", -excess)


def _each(rules: Meter, rows: list[Row]) -> list[Row]:
    """The rows of something that is priced by itself, with what rounding it adds."""
    exact = sum((row.exact for row in rows), ZERO)
    change = rounded(exact, *rules.round_each) - exact if rules.round_each else ZERO
    return [*rows, flat("", 0, "rounding", change)] if change else rows


def _day_counter(account: Account, where: Range) -> Callable[[str | None], int]:
    def days(season: str | None) -> int:
        of_range = days_in(where.start, where.end, account.zone)
        return len(of_range) if season is None else sum(season_of(where.tariff, day) == season for day in of_range)

    return days


def _group(account: Account, rules: Meter, fact: Fact) -> str:
    """What is priced together with the fact."""
    local = fact.start.astimezone(account.zone)
    return {
        "period": "",
        "record": "\n".join(fact.identity),
        "session": f"session {fact.session}" if fact.session else "\n".join(fact.identity),
        "resource": fact.attributes.get(rules.resource, ""),
        "hour": f"{local:%Y-%m-%d %H %z}",
        "day": f"{local:%Y-%m-%d}",
    }[rules.per]


def _group_rows(account: Account, where: Range, facts: Sequence[Fact], days: Callable[[str | None], int]) -> list[Row]:
    rules, convert = where.rules, where.rules.convert
    sums = rules.aggregation.function in ("sum", "count")
    used: dict[str, list[Fact]] = {}
    for fact in facts:
        used.setdefault(fact.band, []).append(fact)
    quantities = {}
    for band, of_band in used.items():
        quantity = _aggregate(rules.aggregation, of_band, constants_of(where, account) if sums else Fraction(1))
        if not sums:
            quantity *= constants_of(where, account)
        if convert is not None and convert.mode != "none" and not convert.per_record:
            quantity = rounded(quantity, convert.decimals, convert.mode)
        quantities[band] = quantity
    return rows_of(rules, quantities, days)


def _aggregate(aggregation: Aggregation, facts: Sequence[Fact], factor: Fraction) -> Fraction:
    """One quantity; `factor` has been applied to those of the facts, and has to be to the least that is taken."""
    quantities = [fact.quantity for fact in facts]
    match aggregation.function:
        case "sum" | "count":
            found = sum(quantities, ZERO)
        case "max":
            found = max(quantities)
        case "latest":
            found = max(facts, key=lambda fact: (fact.end, fact.start, _key(fact))).quantity
        case "unique":
            found = Fraction(len({fact.attributes[aggregation.attribute] for fact in facts}))
        case "percentile":
            found = sorted(quantities)[max(ceil(aggregation.percentile * len(quantities) / 100), 1) - 1]
        case "demand":
            found = _demand(timedelta(minutes=aggregation.interval_minutes), facts)
        case other:
            raise LookupError(f"nothing is known of the aggregation {other}")
    return found if aggregation.at_least is None else max(found, aggregation.at_least * factor)


def _demand(interval: timedelta, facts: Sequence[Fact]) -> Fraction:
    """The highest sum of an interval of UTC, by the hour."""
    sums: dict[datetime, Fraction] = {}
    for fact in facts:
        first = fact.start - (fact.start - _EPOCH) % interval
        begins = [first]
        while begins[-1] + interval < fact.end:
            begins.append(begins[-1] + interval)
        shares = shares_by_time(fact.quantity, (fact.start, fact.end), begins[1:], MILLIONTH)
        for begin, share in zip(begins, shares, strict=True):
            sums[begin] = sums.get(begin, ZERO) + share
    return rounded(max(sums.values()) * 3600 / (interval // timedelta(seconds=1)), 6, "half-even")


def _key(fact: Fact) -> bytes:
    """What makes the order of simultaneous records certain."""
    return blake2b(packed(fact.identity), digest_size=16).digest()


def _in_time(facts: Sequence[Fact]) -> list[Fact]:
    return sorted(facts, key=lambda fact: (fact.start, fact.end, _key(fact)))


def _in_order_of_time(rules: Meter, facts: Sequence[Fact], days: Callable[[str | None], int]) -> list[Row]:
    bands = {band.name: band for band in rules.bands}
    filled: dict[str | None, Fraction] = {}
    rows = []
    for fact in _in_time(facts):
        band = bands[fact.band]
        before = filled.get(band.season, ZERO)
        filled[band.season] = before + fact.quantity
        rows += slices(rules, band, before, filled[band.season], days(band.season))
    # Added up before they are rounded.
    return [
        row._replace(quantity=rounded(row.quantity, 6, "half-even"), exact=attos(row.exact)) for row in added_up(rows)
    ]


def _transactions(rules: Meter, facts: Sequence[Fact]) -> list[Row]:
    rows = []
    for band in rules.bands:
        of_band = _in_time([fact for fact in facts if fact.band == band.name])
        rows += _of_transactions(rules, band.name, band.price, [fact.quantity for fact in of_band])
    return [row._replace(exact=attos(row.exact)) for row in rows]


def _of_transactions(rules: Meter, band: str, price: Price, amounts: Sequence[Fraction]) -> list[Row]:
    document, unit = price.document, rules.priced_unit
    rate, fee = price.number("percent") / 100, price.number("fixed_per_event")
    gives = "free_events" in document or "free_amount" in document
    rows = []
    before = ZERO
    for number, amount in enumerate(amounts, 1):
        is_free = gives and number <= price.number("free_events", str(len(amounts)))
        free = amount if is_free else ZERO
        if is_free and "free_amount" in document:
            free = max(ZERO, min(amount, price.number("free_amount") - before))
            is_free = before + amount <= price.number("free_amount")
        before += amount
        rows.append(Row(band, 0, "included", ZERO, free, ZERO, unit))
        if is_free:
            continue
        paid = amount - free
        cost = paid * rate + fee
        rows.append(Row(band, 1, "", rate, paid, paid * rate, unit))
        if fee:
            rows.append(Row(band, 1, "per transaction", fee, Fraction(1), fee, "transaction"))
        if "min_per_event" in document and cost < price.number("min_per_event"):
            rows.append(flat(band, 1, "minimum", price.number("min_per_event") - cost))
        elif "max_per_event" in document and cost > price.number("max_per_event"):
            rows.append(flat(band, 1, "maximum", price.number("max_per_event") - cost))
    return rows


def _limits(rules: Meter, price: Fraction) -> list[Row]:
    off = attos(price * rules.discount / 100)
    rows = [flat("", 0, "discount", -off)] if off else []
    if rules.maximum is not None and price - off > rules.maximum:
        rows.append(flat("", 0, "maximum", rules.maximum - price + off))
    return rows
