"""CGRateS' files: the rows of the CSV files of a tariff plan that price calls.

Files have no header: a line that begins with # is a comment, and columns go by their position. Durations are written as
in Go (1m30s); a bare number other than 0 counts units and not seconds, as for messages and data.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from schemas.importing.reading import Inexpressible, number

FILES = ("Timings", "Destinations", "Rates", "DestinationRates", "RatingPlans", "RatingProfiles")
_NEEDED = ("Rates", "DestinationRates", "RatingPlans")
_COLUMNS = {
    "Timings": 6,
    "Destinations": 2,
    "Rates": 6,
    "DestinationRates": 7,
    "RatingPlans": 4,
    "RatingProfiles": 6,
}
_DURATION = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]):00")
ANY = "*any"
WEEK = frozenset(range(7))


class Rate(NamedTuple):
    """A row of Rates: a slot of a call's duration, in seconds, and what connecting costs."""

    connect_fee: Decimal
    rate: Decimal
    unit_s: int
    increment_s: int
    from_s: int


class DestinationRate(NamedTuple):
    """A row of DestinationRates: which rate a destination has, and how its amounts are rounded and limited."""

    name: str
    destination: str
    rate: str
    rounding: str
    decimals: str
    max_cost: str
    strategy: str


class Binding(NamedTuple):
    """A row of RatingPlans."""

    destination_rate: str
    timing: str
    weight: Decimal


class Profile(NamedTuple):
    """A row of RatingProfiles: who has a rating plan from when on."""

    tenant: str
    category: str
    subject: str
    activation: str
    plan: str
    fallback: str


@dataclass(frozen=True, slots=True)
class PlanFiles:
    """The rows of a tariff plan's files, by what they are called; rates as they are written."""

    timings: Mapping[str, list[list[str]]]
    destinations: Mapping[str, list[str]]
    rates: Mapping[str, list[list[str]]]
    destination_rates: Mapping[str, list[DestinationRate]]
    plans: Mapping[str, list[Binding]]
    profiles: Mapping[str, list[Profile]]


def plan_files(files: Mapping[str, bytes]) -> PlanFiles:
    """The rows of files by name, such as Rates.csv. Raises Inexpressible where one is missing or cannot be read."""
    for name in _NEEDED:
        if f"{name}.csv" not in files:
            what = f"no {name}.csv"
            raise Inexpressible(what, "give the folder of a tariff plan; its files are named as CGRateS names them")
    rows = {name: list(_rows(name, files.get(f"{name}.csv", b""))) for name in FILES}
    return PlanFiles(
        timings=_by_first(rows["Timings"]),
        destinations={name: [row[1] for row in found] for name, found in _by_first(rows["Destinations"]).items()},
        rates=_by_first(rows["Rates"]),
        destination_rates=_destination_rates(rows["DestinationRates"]),
        plans={
            name: [Binding(row[1], row[2], number(row[3] or "0", "RatingPlans.csv", name)) for row in found]
            for name, found in _by_first(rows["RatingPlans"]).items()
        },
        profiles=_profiles(rows["RatingProfiles"]),
    )


def rate_of(row: list[str]) -> Rate:
    """The slot of a row of Rates. Raises Inexpressible."""
    name = row[0]
    fee, rate = (number(text or "0", "Rates.csv", name) for text in row[1:3])
    unit, increment, start = (_seconds(text, name) for text in row[3:6])
    return Rate(fee, rate, unit or 1, increment or 1, start)


def window_of(rows: list[list[str]]) -> tuple[frozenset[int], int]:
    """The days of the week, Monday 0, and the minute of the day from which a timing holds until midnight."""
    name = rows[0][0]
    if len(rows) > 1:
        raise Inexpressible("a timing of several rows", "give each a name of its own", "Timings.csv", name)
    _, years, months, month_days, week_days, time = rows[0]
    for key, value in (("years", years), ("months", months), ("days of the month", month_days)):
        if value not in ("", ANY):
            what = f"a timing by {key} ({value})"
            raise Inexpressible(what, "only days of the week and hours can be expressed", "Timings.csv", name)
    match = _TIME.fullmatch(time) if time not in ("", ANY) else _TIME.fullmatch("00:00:00")
    if match is None:
        raise Inexpressible(f"begins at {time}", "write HH:MM:00", "Timings.csv", name)
    return _week_days(week_days, name), int(match[1]) * 60 + int(match[2])


def _week_days(text: str, name: str) -> frozenset[int]:
    """CGRateS counts Monday as 1, and Sunday as 0 and as 7."""
    if text in ("", ANY):
        return WEEK
    days = text.split(";")
    if not all(re.fullmatch("[0-7]", day) for day in days):
        remedy = "write days from 0 to 7 with ; between them"
        raise Inexpressible(f"no days of the week: {text}", remedy, "Timings.csv", name)
    return frozenset((int(day) + 6) % 7 for day in days)


def _seconds(text: str, name: str) -> int:
    """The seconds of a duration.

    >>> [_seconds(text, "RT") for text in ("60s", "1m", "1h30m", "0", "")]
    [60, 60, 5400, 0, 0]
    """
    if text in ("", "0"):
        return 0
    match = _DURATION.fullmatch(text)
    if match is None:
        what = f"{text} is no duration in whole seconds"
        remedy = "write 60s or 1m; a number without a unit counts messages or bytes, which are no calls"
        raise Inexpressible(what, remedy, "Rates.csv", name)
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def _rows(name: str, content: bytes) -> Iterator[list[str]]:
    """The rows, as long as the file has columns."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
        for row in csv.reader(
            (line for line in lines if line.strip() and not line.lstrip().startswith("#")), strict=True
        ):
            width = _COLUMNS[name]
            if len(row) > width and any(row[width:]):
                raise Inexpressible(f"{len(row)} columns", f"it has {width}", f"{name}.csv", row[0])
            yield [cell.strip() for cell in [*row, *[""] * width][:width]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise Inexpressible(f"cannot be read: {error}", "save it as CSV in UTF-8", f"{name}.csv") from None


def _by_first(rows: list[list[str]]) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return found


def _destination_rates(rows: list[list[str]]) -> dict[str, list[DestinationRate]]:
    return {name: [DestinationRate(*row) for row in found] for name, found in _by_first(rows).items()}


def _profiles(rows: list[list[str]]) -> dict[str, list[Profile]]:
    found: dict[str, list[Profile]] = {}
    for row in rows:
        profile = Profile(*row)
        found.setdefault(profile.plan, []).append(profile)
    return found
