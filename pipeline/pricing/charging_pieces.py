"""Charging pieces: the periods of a charging session, cut where a restriction of its price can begin or cease to hold.

First at times of day, midnights and changes of the clock in the account's zone and at ages of the session, where energy
is shared by time; then where the session's energy reaches a bound, where time is shared by energy. Before charging.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pipeline.calendar import same_offset_pieces
from pipeline.keeping import Fact
from pipeline.splitting import share_by_time
from schemas.instants import DAY_US, SECOND_US, from_us

MINUTE_US = 60 * SECOND_US


class Phase(StrEnum):
    """What a charging period is, as the attribute `phase` of its record tells."""

    CHARGING = "charging"
    PARKING = "parking"
    RESERVATION = "reservation"


class Piece(NamedTuple):
    """A part of a charging period that nothing cuts.

    Instants, `age` of the session and length are microseconds; `energy` and `drawn`, the energy of the session so far,
    millionths of a kWh; `local` is what a clock in the account's zone shows as the piece starts.
    """

    start: int
    end: int
    local: datetime
    age: int
    energy: int
    drawn: int
    phase: Phase
    expired: bool
    power: Decimal | None
    current: Decimal | None


class _Period(NamedTuple):
    """A fact with its attributes read."""

    fact: Fact
    phase: Phase
    expired: bool
    power: Decimal | None
    current: Decimal | None


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where periods are cut: minutes of the local day, ages in microseconds, energies in millionths of a kWh."""

    zone: ZoneInfo
    minutes: tuple[int, ...]
    ages: tuple[int, ...]
    bounds: tuple[int, ...]

    def pieces(self, facts: Sequence[Fact]) -> Iterator[Piece]:
        """The pieces of one session, in order of time. Raises ValueError for an attribute that cannot be used."""
        periods = [_period(fact) for fact in sorted(facts, key=lambda f: (f.start, f.end, f.key))]
        expired = any(period.expired for period in periods)
        begins: dict[bool, int] = {}
        drawn = 0
        for fact, phase, _, power, current in periods:
            # The age of a session counts from its first charging or parking, that of a reservation from its own begin.
            begun = begins.setdefault(phase is Phase.RESERVATION, fact.start)
            for start, end, energy in self._cut(fact, begun, drawn):
                local = from_us(start).astimezone(self.zone)
                yield Piece(start, end, local, start - begun, energy, drawn, phase, expired, power, current)
                drawn += energy

    def _cut(self, fact: Fact, begun: int, drawn: int) -> Iterator[tuple[int, int, int]]:
        """The fact's (start, end, energy) between all borders: first those of time, then those of energy in each."""
        borders = {begun + age for age in self.ages if fact.start < begun + age < fact.end}
        borders.update(self._clock_borders(fact.start, fact.end))
        instants = sorted(borders)
        energies = share_by_time(fact.quantity, fact.start, fact.end, instants)
        for (start, end), energy in zip(pairwise([fact.start, *instants, fact.end]), energies, strict=True):
            yield from self._cut_energy(start, end, energy, drawn)
            drawn += energy

    def _cut_energy(self, start: int, end: int, energy: int, drawn: int) -> Iterator[tuple[int, int, int]]:
        """The range cut where the session's energy reaches a bound, its time in proportion."""
        low, high = min(drawn, drawn + energy), max(drawn, drawn + energy)
        inside = [bound - drawn for bound in self.bounds if low < bound < high]
        shares = [0, *sorted(inside, reverse=energy < 0), energy]
        instants = [start, *(start + (end - start) * share // energy for share in shares[1:-1]), end]
        for (begin, until), (before, after) in zip(pairwise(instants), pairwise(shares), strict=True):
            yield begin, until, after - before

    def _clock_borders(self, start: int, end: int) -> Iterator[int]:
        """The instants inside the range when a local clock shows one of the minutes, or is put forward or back."""
        if not self.minutes:
            return
        for low in range(start, end, DAY_US):
            for begin, until, offset in same_offset_pieces(low, min(low + DAY_US, end), self.zone):
                if begin > start:
                    yield begin
                for day in range((begin + offset) // DAY_US, (until + offset) // DAY_US + 1):
                    instants = (day * DAY_US + minute * MINUTE_US - offset for minute in self.minutes)
                    yield from (instant for instant in instants if begin < instant < until)


def attribute_problem(attributes: Mapping[str, str]) -> str:
    """What keeps a record with these attributes from being priced, and what to write instead; "" where nothing does.

    >>> attribute_problem({"phase": "parking"})
    ''
    >>> attribute_problem({"power_kw": "fast"})
    "power_kw 'fast' is no number: write digits and a point, in kW"
    """
    phase, expired = attributes.get("phase", Phase.CHARGING), attributes.get("expired", "false")
    if phase not in tuple(Phase):
        return f"phase {phase!r} is unknown: write charging, parking or reservation"
    if expired not in ("true", "false"):
        return f"expired {expired!r} is neither true nor false: write one of them"
    for name, unit in (("power_kw", "kW"), ("current_a", "A")):
        if name in attributes and _decimal(attributes[name]) is None:
            return f"{name} {attributes[name]!r} is no number: write digits and a point, in {unit}"
    return ""


def _period(fact: Fact) -> _Period:
    attributes = fact.attributes
    problem = attribute_problem(attributes)
    if problem:
        raise ValueError(problem)
    phase = Phase(attributes.get("phase", Phase.CHARGING))
    expired = phase is Phase.RESERVATION and attributes.get("expired") == "true"
    power, current = (_decimal(attributes[name]) if name in attributes else None for name in ("power_kw", "current_a"))
    return _Period(fact, phase, expired, power, current)


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
