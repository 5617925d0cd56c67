"""Groups of facts that are priced by themselves: each record, session, hour, day or resource, or all of a period."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from pipeline.calendar import ONE_DAY, local_date, midnight, same_offset_pieces
from pipeline.keeping import Fact, Kept
from pipeline.pricing.aggregates import Aggregate
from pipeline.pricing.bands import BandPrices
from pipeline.pricing.conversion import HOUR_US, ConvertedPrices
from pipeline.pricing.difference import merged
from schemas.charge import Part
from schemas.instants import DAY_US, from_us

Per = Literal["period", "record", "session", "hour", "day", "resource"]


@dataclass(frozen=True, slots=True)
class Grouped(Kept):
    """Facts by group, each with an aggregate per band that, times `numerator`, is priced like a total."""

    aggregate: Aggregate
    numerator: int
    prices: BandPrices | ConvertedPrices
    per: Per
    resource: str
    zone: ZoneInfo

    def borders(self, start: int, end: int) -> list[int]:
        """The hours or days that begin inside `[start, end)`, where those are priced by themselves."""
        match self.per:
            case "hour":
                return _hours(start, end, self.zone)
            case "day":
                return _days(start, end, self.zone)
            case _:
                return []

    def group(self, fact: Fact) -> str:
        """The name of the group that a fact belongs to."""
        match self.per:
            case "record":
                return fact.key.hex()
            case "session":
                return session_of(fact)
            case "resource":
                return fact.attributes[self.resource]
            case "hour":
                return _local(fact.start, self.zone).strftime("%Y-%m-%d %H%z")
            case "day":
                return _local(fact.start, self.zone).strftime("%Y-%m-%d")
            case _:
                return ""

    def price(self, facts: Sequence[Fact]) -> list[Part]:
        """The price of one group."""
        bands: dict[int, list[Fact]] = {}
        for fact in facts:
            bands.setdefault(fact.band, []).append(fact)
        nothing = [0] * len(self.prices.names)
        quantities = [
            self.aggregate(bands[band]) * self.numerator if band in bands else 0 for band in range(len(nothing))
        ]
        return self.prices.between(nothing, quantities)


@dataclass(frozen=True, slots=True)
class Sessions(Kept):
    """Prices of whole sessions, one per band; the band in which a session begins prices all of it.

    `is_shared` says that the sessions of a period have something in common, such as included seconds.
    """

    names: tuple[str, ...]
    prices: tuple[Callable[[Sequence[Fact]], list[Part]], ...]
    is_shared: bool

    def group(self, fact: Fact) -> str:
        """The session, or all of them."""
        return "" if self.is_shared else session_of(fact)

    def price(self, facts: Sequence[Fact]) -> list[Part]:
        """The price of the sessions in one group."""
        bands: dict[str, int] = {}
        for fact in facts:
            bands.setdefault(session_of(fact), fact.band)
        parts: list[Part] = []
        for band in sorted(set(bands.values())):
            name = self.names[band]
            of_band = [fact for fact in facts if bands[session_of(fact)] == band]
            parts += [replace(part, band=f"{name} {part.band}".strip()) for part in self.prices[band](of_band)]
        return merged(parts)


def session_of(fact: Fact) -> str:
    """The session that a fact belongs to; a record without one is a session by itself."""
    return fact.session or fact.key.hex()


def _local(us: int, zone: ZoneInfo) -> datetime:
    return from_us(us).astimezone(zone)


def _days(start: int, end: int, zone: ZoneInfo) -> list[int]:
    day = local_date(start, zone) + ONE_DAY
    found = []
    while (border := midnight(day, zone)) < end:
        found.append(border)
        day += ONE_DAY
    return found


def _hours(start: int, end: int, zone: ZoneInfo) -> list[int]:
    """Full local hours, and the instants at which clocks change, for the hour after that is another one."""
    found: set[int] = set()
    for day in range(start, end, DAY_US):
        for low, high, offset in same_offset_pieces(day, min(day + DAY_US, end), zone):
            found.update([low] if low > day else [])
            found.update(range(low - (low + offset) % HOUR_US + HOUR_US, high + 1, HOUR_US))
    return sorted(border for border in found if start < border < end)
