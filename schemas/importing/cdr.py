"""CDRs: OCPI's charge detail records become usage records, one for each charging period.

A period lasts until the next one begins, or until the CDR's end. It is a period of charging, of parking (connected
without charging) or of reservation; one that tells of both charging and parking becomes two records. The account is
the token's contract. Times are UTC, with or without Z. A CDR of nothing but a reservation tells of one that expired.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.importing.reading import (
    Inexpressible,
    Reading,
    digits,
    foreign_json,
    foreign_list,
    mapping,
    number,
    sequence,
)
from schemas.problem import Finding
from schemas.usage import UsageRecord

METER = "charging"
_TIMES = {"TIME": "charging", "PARKING_TIME": "parking", "RESERVATION_TIME": "reservation"}
_LEVELS = {
    "power_kw": ("POWER", "MIN_POWER", "MAX_POWER"),
    "current_a": ("CURRENT", "MIN_CURRENT", "MAX_CURRENT"),
}
"""Which dimension tells a level. A period lies within one range of a tariff's limits; its minimum is in it for sure."""
_KNOWN = {"ENERGY", *_TIMES, *(name for names in _LEVELS.values() for name in names)}
_VOLUME = 6
"""Digits before the point of a volume at most: no period has a million hours or kWh."""
_TOLERANCE = timedelta(minutes=1)
_ENERGY_TOLERANCE = Decimal("0.001")


class Sessions(NamedTuple):
    """The usage of a file, with notes by CDR and the findings that keep a CDR from being imported."""

    usage: list[UsageRecord]
    notes: list[tuple[str, str]]
    findings: list[tuple[str, Finding]]


def is_cdr(value: Mapping[str, Any]) -> bool:
    """Whether the JSON object is a CDR, and not a tariff."""
    return "charging_periods" in value


def instant(value: object, *at: str | int) -> datetime:
    """The instant of an OCPI DateTime. Raises Inexpressible.

    >>> instant("2015-06-29T21:39:09").isoformat()
    '2015-06-29T21:39:09+00:00'
    """
    try:
        parsed = datetime.fromisoformat(str(value))
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Inexpressible(f"no time: {value}", "write it as 2015-06-29T21:39:09Z", *at) from None


def usage_of(content: bytes) -> Sessions:
    """The usage records of the CDRs in a file: of one, of a list, or of an answer with them in `data`."""
    sessions = Sessions([], [], [])
    try:
        objects = foreign_list(foreign_json(content), "data")
    except Inexpressible as error:
        sessions.findings.append(("the file", error.finding))
        return sessions
    for one in objects:
        if isinstance(one, dict) and is_cdr(one):
            name = f"CDR {one.get('id', '')}"
            reading = Reading(name)
            with reading.part():
                sessions.usage.extend(_records(one, reading))
            sessions.notes.extend((name, note) for note in reading.notes)
            sessions.findings.extend((name, finding) for finding in reading.findings)
    return sessions


class _Period(NamedTuple):
    """A charging period: its times, and the volume of each dimension."""

    start: datetime
    end: datetime
    volumes: Mapping[str, Decimal]


def _records(cdr: Mapping[str, Any], reading: Reading) -> list[UsageRecord]:
    if cdr.get("credit"):
        remedy = "void the usage of the CDR that it credits: records with `corrects` and no quantity"
        raise Inexpressible(f"a credit for CDR {cdr.get('credit_reference_id')}", remedy, "credit")
    owner = "-".join(str(cdr[key]) for key in ("country_code", "party_id") if cdr.get(key))
    name = "-".join(filter(None, (owner, str(_needed(cdr, "id")))))
    token = mapping(_needed(cdr, "cdr_token"), "cdr_token")
    periods = _periods(cdr, reading)
    phased = [phase for period in periods for phase in _phases(period, reading)]
    expired = all(phase == "reservation" for phase, _ in phased)
    if expired:
        reading.note("only a reservation: its records say that it expired")
    return [
        UsageRecord(
            id=f"{name}-{index}",
            account=str(_needed(token, "contract_id")),
            meter=METER,
            quantity=period.volumes.get("ENERGY", Decimal(0)),
            start=period.start,
            end=period.end,
            source=f"ocpi-{owner}" if owner else "ocpi",
            unit="kWh",
            session=str(cdr.get("session_id") or name),
            attributes={"phase": phase, **({"expired": "true"} if expired else {}), **_levels(period)},
        )
        for index, (phase, period) in enumerate(phased, start=1)
    ]


def _needed(value: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - whatever somebody else wrote
    if value.get(key) in (None, ""):
        raise Inexpressible("is missing", "every CDR has it", key)
    return value[key]


def _periods(cdr: Mapping[str, Any], reading: Reading) -> list[_Period]:
    listed = sequence(cdr["charging_periods"], "charging_periods")
    if not listed:
        raise Inexpressible("no charging periods", "every CDR has one", "charging_periods")
    starts, volumes = [], []
    for index, value in enumerate(listed):
        at = ("charging_periods", index)
        period = mapping(value, *at)
        starts.append(instant(_needed(period, "start_date_time"), *at, "start_date_time"))
        dimensions = sequence(period.get("dimensions"), *at, "dimensions")
        volumes.append(_volumes([mapping(one, *at, "dimensions") for one in dimensions], reading, *at))
    ends = [*starts[1:], instant(_needed(cdr, "end_date_time"), "end_date_time")]
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if end < start:
            remedy = "list the periods by their begin, all before the CDR's end"
            raise Inexpressible(f"ends at {end.isoformat()}, before it begins", remedy, "charging_periods", index)
    _tell_energy(cdr, volumes, reading)
    _tell_tariffs(listed, reading)
    return [_Period(*period) for period in zip(starts, ends, volumes, strict=True)]


def _volumes(dimensions: Sequence[Mapping[str, Any]], reading: Reading, *at: str | int) -> dict[str, Decimal]:
    volumes: dict[str, Decimal] = {}
    for dimension in dimensions:
        kind = str(dimension.get("type"))
        if kind in _KNOWN:
            volume = number(dimension.get("volume"), *at, "dimensions", kind, below=_VOLUME)
            volumes[kind] = volumes.get(kind, Decimal(0)) + volume
        else:
            reading.note(f"{kind} prices nothing and is left out")
    return volumes


def _phases(period: _Period, reading: Reading) -> list[tuple[str, _Period]]:
    """The period by phases; charging comes before parking."""
    told = {_TIMES[kind]: _hours(volume) for kind, volume in period.volumes.items() if kind in _TIMES and volume}
    length = period.end - period.start
    if abs(sum(told.values(), timedelta()) - length) > _TOLERANCE and told:
        begin = period.start.isoformat()
        reading.note(
            f"the period from {begin} lasts {length} by the clock and {sum(told.values(), timedelta())} by its "
            "dimensions: the clock counts"
        )
    if told.keys() == {"charging", "parking"}:
        border = min(period.start + told["charging"], period.end)
        without_energy = {kind: volume for kind, volume in period.volumes.items() if kind != "ENERGY"}
        return [
            ("charging", period._replace(end=border)),
            ("parking", period._replace(start=border, volumes=without_energy)),
        ]
    if len(told) > 1:
        begin = period.start.isoformat()
        raise Inexpressible(f"the period from {begin} is {' and '.join(told)} at once", "split it", "charging_periods")
    return [(next(iter(told), "charging"), period)]


def _hours(volume: Decimal) -> timedelta:
    return timedelta(microseconds=int(volume * 3_600_000_000))


def _levels(period: _Period) -> dict[str, str]:
    found = {}
    for attribute, kinds in _LEVELS.items():
        kind = next((kind for kind in kinds if kind in period.volumes), None)
        if kind is not None:
            found[attribute] = digits(period.volumes[kind])
    return found


def _tell_energy(cdr: Mapping[str, Any], volumes: Sequence[Mapping[str, Decimal]], reading: Reading) -> None:
    told = sum((of_period.get("ENERGY", Decimal(0)) for of_period in volumes), Decimal(0))
    total = cdr.get("total_energy")
    if total is not None and abs(number(total, "total_energy") - told) > _ENERGY_TOLERANCE:
        reading.note(f"total_energy is {total} kWh and the charging periods tell of {told}: the periods count")


def _tell_tariffs(periods: Sequence[Mapping[str, Any]], reading: Reading) -> None:
    named = list(dict.fromkeys(str(period["tariff_id"]) for period in periods if period.get("tariff_id")))
    if len(named) > 1:
        reading.note(
            f"its periods go by several tariffs ({', '.join(named)}); here the account's tariff prices them all"
        )
