"""Placing: which items price a record, and what of it falls to each billing period, tariff version, band and window.

A record that crosses a border gives each side its share by time. Quantities are multiplied by a conversion before they
are cut and divided after it, and what lies before a border is rounded down to the last digit of that product: six
decimals where nothing is converted.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import floor
from typing import NamedTuple

from tests.oracle.contracts import Account, Tariff, midnight
from tests.oracle.items import Band, Meter, conditions_met
from tests.oracle.local_time import ONE_DAY, BandClock, Span, billing_period, days_in
from tests.oracle.record import Identity, Reading, RejectedError, require

MILLIONTH = Fraction(1, 10**6)
MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
_COUNTED = ("sum", "count")


class Range(NamedTuple):
    """Where the quantities of an item add up: under one tariff version, within one billing period."""

    item: str
    tariff: Tariff
    start: datetime
    end: datetime
    period: Span

    @property
    def rules(self) -> Meter:
        """The item's rules."""
        return self.tariff.meters[self.item]


class Fact(NamedTuple):
    """A share of a record that one band prices. Sums hold converted quantities, other aggregations measured ones."""

    identity: Identity
    start: datetime
    end: datetime
    quantity: Fraction
    band: str
    session: str
    attributes: Mapping[str, str]


class Piece(NamedTuple):
    """What of a record falls to one item in one range; `quantity` is what its charge says."""

    where: Range
    quantity: Fraction
    facts: tuple[Fact, ...]


class Placer:
    """Cuts the records of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._current: dict[str, tuple[Tariff, datetime, datetime, Span]] = {}
        self._clocks: dict[tuple[str, str, str, object], BandClock] = {}

    def pieces(self, reading: Reading) -> list[Piece]:
        """Everything that the record falls into. Raises RejectedError."""
        pieces = []
        ranges = self._ranges(reading)
        begins = [reading.start, *(start for _, start, _, _ in ranges[1:])]
        attributes = dict(reading.attributes)
        for number, (tariff, start, end, period) in enumerate(ranges):
            for item in tariff.items_of(reading.meter):
                rules = tariff.meters[item]
                if conditions_met(rules.where, attributes) and not (rules.is_whole and number):
                    where = Range(item, tariff, start, end, period)
                    pieces.append(self._piece(where, reading, attributes, begins, number))
        require(bool(pieces), "no-tariff")
        return pieces

    def _ranges(self, reading: Reading) -> list[tuple[Tariff, datetime, datetime, Span]]:
        found = [self._range(reading.meter, reading.start)]
        first = found[0]
        require(first is not None, "no-tariff")
        ranges = [one for one in found if one is not None]
        while ranges[-1][2] < reading.end:
            following = self._range(reading.meter, ranges[-1][2])
            if following is None:
                rules = [ranges[0][0].meters[item] for item in ranges[0][0].items_of(reading.meter)]
                require(all(one.is_whole for one in rules), "no-tariff")
                break
            ranges.append(following)
        return ranges

    def _range(self, meter: str, at: datetime) -> tuple[Tariff, datetime, datetime, Span] | None:
        found = self._current.get(meter)
        if found is None or not found[1] <= at < found[2]:
            entry = self._account.pricing(meter, at)
            if entry is None:
                return None
            period = billing_period(at, self._account.zone, self._account.cycle)
            found = entry.tariff, max(entry.start, period[0]), min(entry.end, period[1]), period
            self._current[meter] = found
        return found

    def _piece(
        self, where: Range, reading: Reading, attributes: Mapping[str, str], begins: Sequence[datetime], number: int
    ) -> Piece:
        rules = where.rules
        for name in (rules.resource, rules.aggregation.attribute):
            require(not name or name in attributes, "missing-field")
        weight, digit = self._weight(where, reading, attributes)
        bands = self._bands(where, reading.meter, attributes)
        session = reading.session or ""
        if rules.is_whole:
            band = bands.cut(reading.start, reading.start)[0][0].name
            fact = Fact(reading.identity, reading.start, reading.end, weight, band, session, attributes)
            return Piece(where, _told(rules, where, self._account, weight), (fact,))
        span = begins[number], begins[number + 1] if number + 1 < len(begins) else reading.end
        share = shares_by_time(weight, (reading.start, reading.end), begins[1:], digit)[number]
        pieces = bands.cut(*span)
        cuts = sorted({*(begin for _, begin in pieces[1:]), *self._windows(rules, span)})
        edges = [span[0], *cuts, span[1]]
        facts = []
        for begin, end, part in zip(edges, edges[1:], shares_by_time(share, span, cuts, digit), strict=False):
            band = [band for band, since in pieces if since <= begin][-1].name
            facts.append(Fact(reading.identity, begin, end, part, band, session, attributes))
        return Piece(where, _told(rules, where, self._account, share), tuple(facts))

    def _weight(self, where: Range, reading: Reading, attributes: Mapping[str, str]) -> tuple[Fraction, Fraction]:
        """The quantity of the whole record in the priced unit, and the last digit to which it is cut."""
        rules, convert = where.rules, where.rules.convert
        quantity = Fraction(1) if rules.aggregation.function == "count" else Fraction(reading.quantity or 0)
        if convert is None or rules.aggregation.function not in _COUNTED:
            return quantity, MILLIONTH
        quantity *= convert.multiply_by
        digit = MILLIONTH**2
        for name in convert.attributes:
            quantity *= _number(attributes, name)
            digit *= MILLIONTH
        if convert.times == "hours":
            quantity *= Fraction((reading.end - reading.start) // MICROSECOND, HOUR // MICROSECOND)
            digit /= HOUR // MICROSECOND
        if convert.over_period:
            digit /= (where.period[1] - where.period[0]) // MICROSECOND
        quantity = quantity * constants_of(where, self._account) / convert.multiply_by
        if convert.per_record:
            return rounded(quantity, convert.decimals, convert.mode), MILLIONTH
        return quantity, digit / convert.divide_by

    def _bands(self, where: Range, meter: str, attributes: Mapping[str, str]) -> BandClock:
        """The clock of the most special bands that are for such usage."""
        fitting = [
            band
            for band in where.rules.bands
            if conditions_met(band.where, attributes) and (not band.meters or meter in band.meters)
        ]
        require(bool(fitting), "no-tariff")
        best = max(fitting, key=lambda band: band.rank)
        key = (where.tariff.name, where.tariff.version, where.item, best.is_for)
        if key not in self._clocks:
            alike: list[Band] = [band for band in where.rules.bands if band.is_for == best.is_for]
            self._clocks[key] = BandClock(where.tariff, alike, self._account.zone)
        return self._clocks[key]

    def _windows(self, rules: Meter, span: Span) -> Iterator[datetime]:
        """The instants inside the span at which hours or days begin that are priced by themselves."""
        zone = self._account.zone
        local = span[0].astimezone(zone)
        if rules.per == "hour":
            past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
            at = span[0] - past + HOUR
            while at < span[1]:
                yield at
                at += HOUR
        elif rules.per == "day":
            day = local.date() + ONE_DAY
            while midnight(day, zone) < span[1]:
                yield midnight(day, zone)
                day += ONE_DAY


def constants_of(where: Range, account: Account) -> Fraction:
    """The factor of a conversion that is the same for all records of a range."""
    convert = where.rules.convert
    if convert is None:
        return Fraction(1)
    factor = convert.multiply_by / convert.divide_by
    if convert.times == "days":
        factor *= len(days_in(where.start, where.end, account.zone))
    if convert.over_period:
        factor *= Fraction(HOUR // MICROSECOND, (where.period[1] - where.period[0]) // MICROSECOND)
    return factor


def _told(rules: Meter, where: Range, account: Account, weight: Fraction) -> Fraction:
    """The quantity that a charge tells, in the priced unit."""
    if rules.aggregation.function not in _COUNTED:
        weight *= constants_of(where, account)
    return rounded(weight, 6, "half-even")


def rounded(value: Fraction, decimals: int, mode: str) -> Fraction:
    """The value, rounded to so many decimals; a half goes away from zero, or to the even neighbour."""
    scaled = abs(value) * 10**decimals
    whole = floor(scaled)
    rest = scaled - whole
    up = {
        "half-up": rest >= Fraction(1, 2),
        "half-even": rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1),
        "up": rest > 0,
        "down": False,
    }[mode]
    result = Fraction(whole + up, 10**decimals)
    return -result if value < 0 else result


def shares_by_time(quantity: Fraction, span: Span, borders: Sequence[datetime], digit: Fraction) -> list[Fraction]:
    """The quantity cut at the borders; what lies before a border is rounded down to the last digit."""
    if not borders:
        return [quantity]
    start, length = span[0], span[1] - span[0]
    shares, given = [], Fraction(0)
    for border in borders:
        part = Fraction((border - start) // MICROSECOND, length // MICROSECOND)
        upto = floor(quantity * part / digit) * digit
        shares.append(upto - given)
        given = upto
    return [*shares, quantity - given]


def _number(attributes: Mapping[str, str], name: str) -> Fraction:
    require(name in attributes, "missing-field")
    try:
        value = Fraction(Decimal(attributes[name]))
    except (InvalidOperation, ValueError, OverflowError):
        raise RejectedError("wrong-type") from None
    require((value * 10**6).denominator == 1, "wrong-type")
    return value
