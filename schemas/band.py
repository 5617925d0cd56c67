"""Seasons and bands: which price holds at which local moment, and for which usage. Every moment has exactly one.

A season is a range of days of the year. A band claims the hours of some days of its season; the band with neither
days nor hours takes the rest. A holiday is a day type of its own: its weekday no longer counts. A moment that two
bands claim, or none, is refused here, so that rating never meets one. Bands with the same `where` and `meters` are a
set that covers all time by itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import combinations
from typing import Literal, NamedTuple

from pydantic import Field

from schemas.field import DAY_MINUTES, ClockRange, EveryYear, MonthDay, Noun, Text, clock
from schemas.price import Graduated, PerUnit, Price
from schemas.problem import Finding, nearest

DayName = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "weekdays", "weekends", "holidays"]

DAY_TYPES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holidays")
"""A day's type by its index: `date.weekday()`, or HOLIDAY."""
HOLIDAY = 7
_GROUPS = {"weekdays": range(5), "weekends": range(5, 7)}
_LEAP_YEAR = [date(2000, 1, 1) + timedelta(days=day) for day in range(366)]


class Season(Noun):
    """A range of days of the year, both ends included; it may go over the end of the year."""

    from_: EveryYear = Field(alias="from", examples=["05-01"])
    """First day of the season, as MM-DD."""
    to: EveryYear = Field(examples=["10-31"])
    """Last day of the season, as MM-DD, included."""

    def holds(self, day: date) -> bool:
        """Whether the local date is in the season."""
        month_day = MonthDay(day.month, day.day)
        if self.from_ <= self.to:
            return self.from_ <= month_day <= self.to
        return month_day >= self.from_ or month_day <= self.to


Conditions = Mapping[Text, Text]
"""Attributes by name, and the value that each has to have; a trailing * stands for any rest."""


class Selector(NamedTuple):
    """The usage that a set of bands is for: attributes and meters; no conditions are for all."""

    where: tuple[tuple[str, str], ...]
    meters: tuple[str, ...]

    @property
    def rank(self) -> tuple[int, int]:
        """How special it is; the highest one that fits is taken."""
        return len(self.where) + bool(self.meters), sum(len(value.removesuffix("*")) for _, value in self.where)

    def fits(self, meter: str, attributes: Mapping[str, str]) -> bool:
        """Whether usage of the meter with these attributes is meant."""
        return (not self.meters or meter in self.meters) and meets(self.where, attributes)


def meets(where: Iterable[tuple[str, str]], attributes: Mapping[str, str]) -> bool:
    """Whether the attributes have the values that are asked for.

    >>> meets([("destination", "49*")], {"destination": "4930123"}), meets([("region", "eu")], {})
    (True, False)
    """
    for name, value in where:
        found = attributes.get(name)
        if found is None or not (found.startswith(value[:-1]) if value.endswith("*") else found == value):
            return False
    return True


class Band(Noun):
    """A range of time with a price of its own."""

    name: Text = Field(examples=["summer-peak"])
    """What charges and statements call it."""
    season: Text | None = Field(default=None, examples=["summer"])
    """A season of this tariff; without it the band holds all the year."""
    days: tuple[DayName, ...] | None = Field(default=None, min_length=1, examples=[["weekdays"]])
    """Days of the week, weekdays, weekends or holidays; without it all days. A holiday is no longer its weekday."""
    hours: tuple[ClockRange, ...] | None = Field(default=None, min_length=1, examples=[["12:00-18:00"]])
    """Local wall time; without it all hours. With neither days nor hours the band takes the rest of its season."""
    where: Conditions = Field(default={}, examples=[{"region": "eu-*"}])
    """Attributes that usage has to have for this band; a value ending in * is a prefix. Of several sets of bands that
    fit, usage takes the one with the most conditions, then the one with the longest values, then the first."""
    meters: tuple[Text, ...] = Field(default=(), examples=[["inbound"]])
    """The meters whose usage this band is for, where an item prices several; without it all."""
    price: Price
    """What usage in this band costs."""

    @property
    def selector(self) -> "Selector":
        """Which usage the band is for."""
        return Selector(tuple(sorted(self.where.items())), self.meters)

    @property
    def is_rest(self) -> bool:
        """Whether the band takes what the others of its season leave."""
        return self.days is None and self.hours is None

    def claims(self, day_type: int) -> list[tuple[int, int]]:
        """The minutes `[start, end)` after midnight that the band claims on days of this type (see DAY_TYPES)."""
        if self.is_rest or day_type not in self._day_types():
            return []
        return [(hours.start, hours.end) for hours in self.hours] if self.hours else [(0, DAY_MINUTES)]

    def _day_types(self) -> frozenset[int]:
        if self.days is None:
            return frozenset(range(len(DAY_TYPES)))
        return frozenset(index for day in self.days for index in _GROUPS.get(day) or [DAY_TYPES.index(day)])


def season_findings(seasons: Mapping[str, Season]) -> list[Finding]:
    """What is wrong where the seasons do not cover every day of the year exactly once."""
    findings = []
    for (one, first), (other, second) in combinations(seasons.items(), 2):
        day = next((day for day in _LEAP_YEAR if first.holds(day) and second.holds(day)), None)
        if day:
            what = f"{day:%m-%d} is in two seasons, {one} and {other}"
            findings.append(Finding(what, "move the end of one before the start of the other", ("seasons", other)))
    day = next((day for day in _LEAP_YEAR if not any(season.holds(day) for season in seasons.values())), None)
    if day and seasons:
        remedy = 'let a season end or start there (February ends on "02-29")'
        findings.append(Finding(f"{day:%m-%d} is in no season", remedy, ("seasons",)))
    return findings


def band_findings(bands: Sequence[Band], seasons: Mapping[str, Season], *, has_holidays: bool) -> list[Finding]:
    """What is wrong with the bands of one meter: `at` starts with the band's index."""
    names = list(_name_findings(bands, seasons, has_holidays=has_holidays))
    if names:
        return names
    findings = []
    for selector in {band.selector: None for band in bands}:
        for season in seasons or [""]:
            active = [
                (index, band)
                for index, band in enumerate(bands)
                if band.selector == selector and band.season in (None, season)
            ]
            findings += _SeasonCheck(season, active, has_holidays=has_holidays).findings()
    return findings


def _name_findings(bands: Sequence[Band], seasons: Mapping[str, Season], *, has_holidays: bool) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, band in enumerate(bands):
        if band.name in seen:
            yield Finding("two bands of one meter have the same name", "give it another name", (index, "name"))
        if band.season is not None and band.season not in seasons:
            remedy = nearest(band.season, seasons) if seasons else "define it under seasons"
            yield Finding("no such season in this tariff", remedy, (index, "season"))
        if band.days and "holidays" in band.days and not has_holidays:
            yield Finding(
                "the tariff lists no holidays", "list them under holidays, or remove the day", (index, "days")
            )
        seen.add(band.name)


class _SeasonCheck:
    """Sweeps each day type of one season for moments that two bands claim, or none."""

    def __init__(self, season: str, bands: list[tuple[int, Band]], *, has_holidays: bool) -> None:
        self.season = season
        self.bands = bands
        self.day_types = range(HOLIDAY + has_holidays)
        self.gap: str = ""
        self.overlaps: dict[tuple[int, int], str] = {}

    def findings(self) -> list[Finding]:
        """One finding for each pair of bands that meet, and one for the first moment without a band."""
        for day_type in self.day_types:
            self._sweep(day_type)
        rest = [(index, band) for index, band in self.bands if band.is_rest]
        findings = [self._overlap(pair, moment) for pair, moment in self.overlaps.items()]
        for index, band in rest[1:]:
            what = f"two bands take the rest of {self.season or 'the year'}: {rest[0][1].name} and {band.name}"
            findings.append(Finding(what, "give one of them days or hours", (index,)))
        if self.gap and not rest:
            remedy = "let a band claim it, or add one without days and hours for the rest"
            findings.append(Finding(f"no band for {self.gap}", remedy))
        return findings

    def _overlap(self, pair: tuple[int, int], moment: str) -> Finding:
        names = dict(self.bands)
        one, other = names[pair[0]].name, names[pair[1]].name
        what = f"{one} and {other} both claim {moment}" if pair[0] != pair[1] else f"{one} claims {moment} twice"
        return Finding(what, "change the days or hours of one of them", (pair[1],))

    def _sweep(self, day_type: int) -> None:
        claims = sorted((start, end, index) for index, band in self.bands for start, end in band.claims(day_type))
        reached, holder = 0, -1
        for start, end, index in claims:
            if start < reached:
                pair = (min(holder, index), max(holder, index))
                self.overlaps.setdefault(pair, self._moment(day_type, start))
            elif start > reached:
                self.gap = self.gap or self._moment(day_type, reached)
            if end > reached:
                reached, holder = end, index
        if reached < DAY_MINUTES:
            self.gap = self.gap or self._moment(day_type, reached)

    def _moment(self, day_type: int, minute: int) -> str:
        return f"{self.season + ' ' if self.season else ''}{DAY_TYPES[day_type]} {clock(minute)}"


def pro_rata_findings(bands: Sequence[Band]) -> list[Finding]:
    """What keeps the tiers of these bands from being shared: in each season all must have the same bounds."""
    findings: dict[int, Finding] = {}
    selected = next((index for index, band in enumerate(bands) if band.selector.rank != (0, 0)), None)
    if selected is not None:
        what = "tiers_across_bands: pro-rata needs bands for all usage"
        remedy = "remove where and meters, or use tiers_across_bands: chronological"
        return [Finding(what, remedy, ("bands", selected))]
    if len({band.season is None for band in bands}) > 1:
        what = "tiers_across_bands: pro-rata needs a season in all bands or in none"
        return [Finding(what, "name the season of each band", ("bands",))]
    for season in {band.season: None for band in bands}:
        active = [(index, band) for index, band in enumerate(bands) if band.season == season]
        first = active[0][1]
        for index, band in active:
            obstacle = _obstacle(first, band)
            if obstacle:
                what = f"tiers_across_bands: pro-rata needs {obstacle}"
                remedy = "make them alike, or use tiers_across_bands: separate"
                findings.setdefault(index, Finding(what, remedy, ("bands", index, "price")))
    return list(findings.values())


def chronological_findings(bands: Sequence[Band]) -> list[Finding]:
    """What keeps the tiers of these bands from being filled in the order of time."""
    return [
        Finding(
            "tiers_across_bands: chronological needs graduated or per_unit prices",
            "make it graduated, or use tiers_across_bands: separate",
            ("bands", index, "price"),
        )
        for index, band in enumerate(bands)
        if not isinstance(band.price, Graduated | PerUnit)
    ]


def _obstacle(first: Band, band: Band) -> str:
    """What the band's price would have to be, "" where it can share the first band's tiers."""
    if not isinstance(band.price, Graduated):
        return "graduated prices"
    if any(tier.flat_fee for tier in band.price.tiers):
        return "tiers without flat fees"
    if isinstance(first.price, Graduated) and _shape(band.price) != _shape(first.price):
        return f"the same bounds, tiers_per and free_units as band {first.name}"
    return ""


def _shape(price: Graduated) -> tuple[object, ...]:
    return price.tiers_per, price.free_units, tuple(tier.up_to for tier in price.tiers)
