"""Figures of reports: how exact amounts, times and places of an answer are told, in tables and on charts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby
from typing import Any, assert_never

import pyarrow as pa

from ratestream.screen import dates, decimal
from schemas.currency import minor_digits
from schemas.instants import to_us
from schemas.zone import zone_named
from sinks.reports.dimensions import Step

Row = Mapping[str, Any]

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_LENGTHS = ((86_400, "day"), (3_600, "hour"), (60, "min"), (1, "s"))


def zone_of(table: pa.Table) -> str:
    """The zone in which the instants of an answer are shown."""
    name: str = (table.schema.metadata or {}).get(b"zone", b"UTC").decode()
    return name


def grouped(rows: Iterable[Row], *names: str) -> Iterator[tuple[tuple[Any, ...], list[Row]]]:
    """Neighbours with the same values of these columns, together."""
    for key, group in groupby(rows, lambda row: tuple(row[name] for name in names)):
        yield key, list(group)


def amount(value: Decimal, currency: str) -> str:
    """An exact amount, with at least its currency's decimals.

    >>> amount(Decimal("1.5"), "EUR"), amount(Decimal("0.125"), "EUR")
    ('1.50', '0.125')
    """
    whole, _, digits = decimal(value).partition(".")
    digits = digits.ljust(minor_digits(currency), "0")
    return f"{whole}.{digits}" if digits else whole


def rounded(value: Decimal, currency: str) -> str:
    """An amount as its currency is paid, half up.

    >>> rounded(Decimal("0.125"), "EUR"), rounded(Decimal("-7.5"), "JPY")
    ('0.13', '-8')
    """
    return f"{value.quantize(Decimal(1).scaleb(-minor_digits(currency)), ROUND_HALF_UP):f}"


def total(rows: Sequence[Row]) -> Decimal:
    """What the amounts, of one currency, add up to."""
    return sum((row["amount"] for row in rows), Decimal(0))


def percent(part: Decimal | int, whole: Decimal | int) -> str:
    """A share with one decimal, never rounded up to the whole; "" of nothing.

    >>> percent(2, 3), percent(1999, 2000), percent(3, 3), percent(1, 0)
    ('66.6', '99.9', '100.0', '')
    """
    if not whole:
        return ""
    return f"{int(Decimal(part) * 1000 / Decimal(whole)) / Decimal(10):.1f}"


def part_name(row: Row) -> str:
    """What a part of a charge is for: its meter, band, tier and name."""
    tier = f"tier {row['tier']}" if row["tier"] else "" if row["name"] else "included"
    return ", ".join(filter(None, (f"{row['meter']} {row['band']}".strip(), tier, row["name"])))


def local_dates(start: datetime, end: datetime, zone: str) -> str:
    """The local dates of `[start, end)`, both included."""
    return dates(to_us(start), to_us(end), zone)


def local_date(instant: datetime, zone: str) -> str:
    """The date that a clock in the zone shows."""
    return instant.astimezone(zone_named(zone)).date().isoformat()


def step_name(time: datetime, step: Step, zone: str) -> str:
    """What a clock or calendar in the zone calls the hour, day, week, month or year that begins then.

    An hour has its offset from UTC, as one occurs twice when clocks go back.
    """
    local = time.astimezone(zone_named(zone))
    match step:
        case Step.HOUR:
            return local.isoformat(" ", "minutes").replace("+00:00", "Z")
        case Step.DAY:
            return f"{local:%Y-%m-%d}"
        case Step.WEEK:
            return f"{local:%G-W%V}"
        case Step.MONTH:
            return f"{local:%Y-%m}"
        case Step.YEAR:
            return f"{local:%Y}"
        case _:
            assert_never(step)


def length(seconds: int) -> str:
    """A length of time in the largest unit that it is a whole number of.

    >>> length(1800), length(86_400), length(5400)
    ('30 min', '1 day', '90 min')
    """
    size, name = next((size, name) for size, name in _LENGTHS if seconds % size == 0)
    number = seconds // size
    return f"{number} {name}{'s' if number > 1 and size >= 3600 else ''}"


def position(row: Row) -> str:
    """Where a record is on the topic `usage`: partition, offset, index, how often it came; "" where not known."""
    if row["partition"] is None:
        return ""
    copies = f", {row['copies']} times" if row["copies"] > 1 else ""
    return f"[{row['partition']}]@{row['offset']}#{row['index']}{copies}"
