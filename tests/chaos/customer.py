"""Customer's records: what one account sends in some months, in the order in which it arrives.

Readings of two hours or less, at random instants, at the very borders of billing periods and over their ends;
out of order by hours; late across the end of their month by days, and some too late; sent again at once, days later or
a thousand times; voided and replaced, also before they come, twice, or by themselves; with ids that were used before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

from tests.chaos.book import FIRST_DAY, METER, UNIT, Customer
from tests.oracle.local_time import Span
from tests.oracle.record import Reading

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_LATEST = 30 * DAY
"""After a period's end: a repeated or corrected record comes by then, while it is certainly still known."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How often what happens: shares of all readings."""

    duplicates: float = 0.01
    malformed: float = 0.10
    late: float = 0.04
    too_late: float = 0.01
    corrections: float = 0.04
    reused_ids: float = 0.005
    misplaced: float = 0.002
    crossing: float = 0.02
    """Over the end of a billing period."""
    months: int = 4
    repeats_of_one: int = 1_000
    """How often one record of the run is sent."""


PLAIN = Mix(0.05, 0, 0, 0, 0, 0, 0, 0, 1, 0)
"""Nothing but good records, and duplicates."""


class Arrival(NamedTuple):
    """A record, and when it comes."""

    at: datetime
    reading: Reading


def arrivals(customer: Customer, readings: int, mix: Mix, chance: Random) -> list[Arrival]:
    """What the account sends, in order."""
    periods = list(_periods(customer, mix.months))
    found: list[Arrival] = []
    for number in range(readings):
        reading = _reading(customer, chance.choice(periods), number, mix, chance)
        at = reading.end + _delay(mix, chance)
        first = Arrival(at, reading)
        found += [first, *(_by(customer, later) for later in _following(first, mix, chance))]
    return sorted(found, key=lambda arrival: arrival.at)


def _following(first: Arrival, mix: Mix, chance: Random) -> Iterator[Arrival]:
    """What comes because of a record: itself again, corrections of it, and another one under its id."""
    yield from _repeated(first, mix.duplicates, chance)
    if chance.random() < mix.corrections:
        yield from _corrections(first, chance)
    if chance.random() < mix.reused_ids:
        changed = first.reading._replace(quantity=(first.reading.quantity or Decimal(0)) + 1)
        yield Arrival(first.at + chance.random() * 5 * DAY, changed)


def _by(customer: Customer, arrival: Arrival) -> Arrival:
    """The same, no later than such a record is certainly known; unless its first one came later, too."""
    latest = customer.period(arrival.reading.start)[1] + _LATEST
    return arrival if arrival.at > latest + 30 * DAY else Arrival(min(arrival.at, latest), arrival.reading)


def _periods(customer: Customer, months: int) -> Iterator[Span]:
    period = customer.period(datetime.combine(FIRST_DAY, time(12), UTC))
    for _ in range(months):
        yield period
        period = customer.period(period[1])


def _reading(customer: Customer, period: Span, number: int, mix: Mix, chance: Random) -> Reading:
    start, end = _span(period, mix, chance)
    decimals = chance.choice((0, 1, 3, 6))
    quantity = Decimal(chance.randrange(1, 12 * 10**decimals)).scaleb(-decimals)
    return Reading(
        place=("usage", number),
        tenant=customer.tenant,
        source=f"meter-{chance.randrange(2)}",
        id=f"{customer.account}/{number}",
        account=customer.account,
        meter=METER,
        quantity=quantity,
        start=start,
        end=end,
        unit=chance.choice((None, UNIT)),
        session=None,
        attributes=(),
        corrects=None,
    )


def _span(period: Span, mix: Mix, chance: Random) -> Span:
    """At a random instant, or at the very begin or end of the period, or over its end, or without length."""
    start, end = period
    at = start + timedelta(seconds=chance.randrange((end - start - HOUR) // timedelta(seconds=1)))
    kind = chance.random()
    if kind < 0.01:
        return start, start + HOUR
    if kind < 0.02:
        return end - HOUR, end
    if kind < 0.04:
        return at, at
    if kind < 0.04 + mix.crossing:
        around = (timedelta(microseconds=chance.randrange(1, 3_600_000_000)) for _ in range(2))
        return end - next(around), end + next(around)
    return at, at + timedelta(microseconds=chance.randrange(1, 3_600_000_000))


def _delay(mix: Mix, chance: Random) -> timedelta:
    kind = chance.random()
    if kind < mix.too_late:
        return timedelta(days=chance.uniform(68, 90))
    if kind < mix.too_late + mix.late:
        return timedelta(days=chance.uniform(2, 25))
    return timedelta(hours=chance.expovariate(0.2)) if mix.malformed else timedelta()


def _repeated(first: Arrival, share: float, chance: Random) -> Iterator[Arrival]:
    """The same record again: at once, or up to days later."""
    while chance.random() < share:
        later = chance.choice((timedelta(), timedelta(minutes=1), chance.random() * 8 * DAY))
        yield Arrival(first.at + later, first.reading)


def _corrections(first: Arrival, chance: Random) -> Iterator[Arrival]:
    """A record that voids or replaces the first, now and then before it comes; and more that cannot be."""
    reading = first.reading
    correction = reading._replace(
        id=f"{reading.id}/corrected",
        corrects=reading.id,
        quantity=chance.choice((None, Decimal(chance.randrange(1, 9_000)) / 1_000)),
    )
    at = first.at + chance.uniform(-2, 12) * DAY
    yield Arrival(at, correction)
    yield from _repeated(Arrival(at, correction), 0.1, chance)
    kind = chance.random()
    if kind < 0.1:
        yield Arrival(at + DAY, correction._replace(id=f"{reading.id}/again"))
    elif kind < 0.2:
        yield Arrival(at + DAY, correction._replace(id=f"{reading.id}/void-of", corrects=correction.id, quantity=None))
    elif kind < 0.25:
        yield Arrival(at, correction._replace(id=f"{reading.id}/itself", corrects=f"{reading.id}/itself"))
