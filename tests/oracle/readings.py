"""Readings: every record of the usage files is accepted, a duplicate, or rejected for a reason."""

import csv
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tests.oracle.contracts import Account, Assignment

Place = tuple[str, int]
"""A file and the number of a record in it, from 0."""

LIMIT = Decimal(9 * 10**12)
TOLERANCE = timedelta(minutes=5)
_REQUIRED = ("id", "account", "meter", "start", "end")
_FIELDS = frozenset((*_REQUIRED, "quantity", "source", "tenant", "unit", "session", "attributes", "corrects"))
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
_ZONED = re.compile(r".*(Z|z|[+-]\d\d:\d\d)")


class Reading(NamedTuple):
    """One record; `quantity` None voids what `corrects` names."""

    place: Place
    tenant: str
    source: str
    id: str
    account: str
    meter: str
    quantity: Decimal | None
    start: datetime
    end: datetime
    unit: str | None
    session: str | None
    attributes: tuple[tuple[str, str], ...]
    corrects: str | None

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes two records the same one."""
        return self.tenant, self.source, self.id

    def in_event_order(self) -> tuple[object, ...]:
        """Where it stands when records are taken in the order of their time."""
        plain = (self.start, self.end, self.corrects or "", self.tenant, self.source, self.account, self.meter, self.id)
        return (*plain, str(self.quantity))


@dataclass
class Intake:
    """What became of the records: received = accepted + duplicates + rejected."""

    received: int = 0
    duplicates: int = 0
    accepted: dict[tuple[str, str, str], Reading] = field(default_factory=dict)
    corrected_by: dict[tuple[str, str, str], Reading] = field(default_factory=dict)
    rejected: dict[Place, str] = field(default_factory=dict)

    def billed(self) -> Iterator[Reading]:
        """Accepted records with a quantity that no other record has replaced or voided."""
        for identity, reading in self.accepted.items():
            if reading.quantity is not None and identity not in self.corrected_by:
                yield reading


class _RejectedError(Exception):
    """Its argument is the reason."""


def take_in(
    files: Iterable[Path],
    accounts: dict[tuple[str, str], Account],
    *,
    now: datetime,
    by_event_time: bool,
    too_late: frozenset[Place] = frozenset(),
) -> Intake:
    """All records of the files, in the order in which they stand there or, `by_event_time`, in that of their time.

    Which records came too late depends on when others came, so that is told.
    """
    intake = Intake()
    readings = []
    for file in files:
        for number, row in enumerate(_rows(file)):
            intake.received += 1
            place = (str(file), number)
            try:
                readings.append(_reading(place, row))
            except _RejectedError as rejected:
                intake.rejected[place] = str(rejected)
    for reading in sorted(readings, key=Reading.in_event_order) if by_event_time else readings:
        if reading.place in too_late:
            intake.rejected[reading.place] = "too-late"
            continue
        try:
            _take(reading, intake, accounts, now)
        except _RejectedError as rejected:
            intake.rejected[reading.place] = str(rejected)
    return intake


def _take(reading: Reading, intake: Intake, accounts: dict[tuple[str, str], Account], now: datetime) -> None:
    account = accounts.get((reading.tenant, reading.account))
    _require(account is not None, "unknown-account")
    _require(reading.start <= reading.end, "end-before-start")
    _require(reading.end <= now + TOLERANCE, "future")
    first = _pricing(account, reading)
    measured = reading._replace(quantity=_measured(reading, first))
    known = intake.accepted.get(reading.identity)
    if known is not None:
        _require(known._replace(place=measured.place, unit=measured.unit) == measured, "id-reused")
        intake.duplicates += 1
        return
    if reading.corrects is not None:
        corrected = (reading.tenant, reading.source, reading.corrects)
        _check_correction(reading, corrected, intake)
        intake.corrected_by[corrected] = measured
    intake.accepted[reading.identity] = measured


def _pricing(account: Account | None, reading: Reading) -> Assignment:
    """What prices the record's start; all of its time has to be priced."""
    assignments = account.assignments if account else ()
    meters = {meter for entry in assignments for meter in entry.tariff.meters}
    _require(reading.meter in meters, "unknown-meter")
    reached, first = reading.start, None
    while account and (first is None or reached < reading.end):
        entry = account.pricing(reading.meter, reached)
        if entry is None:
            break
        first, reached = first or entry, entry.end
    if first is None or (reached < reading.end and reading.quantity is not None):
        raise _RejectedError("no-tariff")
    return first


def _measured(reading: Reading, entry: Assignment) -> Decimal | None:
    rules, quantity = entry.tariff.meters[reading.meter], reading.quantity
    _require(reading.unit in (None, rules.unit), "wrong-unit")
    if quantity is None:
        return None
    _require(abs(quantity) < LIMIT, "out-of-range")
    rounded = quantity.quantize(Decimal(1).scaleb(-rules.decimals), ROUND_HALF_EVEN)
    _require(rounded == quantity or rules.rounds, "excess-decimals")
    _require(rounded >= 0 or rules.takes_negative, "negative")
    return rounded


def _check_correction(reading: Reading, corrected: tuple[str, str, str], intake: Intake) -> None:
    target = intake.accepted.get(corrected)
    _require(corrected not in intake.corrected_by, "already-corrected")
    if target is not None:
        same = (target.account, target.meter) == (reading.account, reading.meter)
        _require(target.quantity is not None and same, "wrong-correction")


def _rows(file: Path) -> Iterator[dict[str, Any] | str]:
    """The named values of each record, or the reason why there are none."""
    content, is_whole = _content(file)
    lines = content.decode().splitlines(keepends=True)
    if not is_whole:
        lines = lines[: content.count(b"\n")]
    if ".csv" in file.suffixes:
        rows = csv.reader(lines)
        header = next(rows)
        for row in filter(None, rows):
            yield dict(zip(header, row, strict=True)) if len(row) == len(header) else "unreadable"
    else:
        yield from (_object(line) for line in lines if line.strip())
    if not is_whole:
        yield "truncated"


def _content(file: Path) -> tuple[bytes, bool]:
    """What the file holds, decompressed as far as it goes, and whether that is all of it."""
    data = file.read_bytes()
    if file.suffix != ".gz":
        return data, True
    stream = zlib.decompressobj(wbits=31)
    return stream.decompress(data), stream.eof


def _object(line: str) -> dict[str, Any] | str:
    try:
        value = json.loads(line, parse_float=_Number, parse_int=_Number, parse_constant=_Number)
    except ValueError:
        return "unreadable" if line.endswith("\n") or line.rstrip().endswith("}") else "truncated"
    return value if isinstance(value, dict) else "unreadable"


class _Number(str):
    """The digits of a JSON number."""

    __slots__ = ()


def _reading(place: Place, row: dict[str, Any] | str) -> Reading:
    if isinstance(row, str):
        raise _RejectedError(row)
    values = {name: value for name, value in row.items() if value is not None and value != ""}
    _require(values.keys() <= _FIELDS, "unknown-field")
    for name, value in values.items():
        right = isinstance(value, dict) if name == "attributes" else isinstance(value, str)
        _require(right and (name == "quantity" or not isinstance(value, _Number)), "wrong-type")
    quantity = _quantity(values["quantity"]) if "quantity" in values else None
    start, end = (_instant(values[name]) if name in values else None for name in ("start", "end"))
    _require(all(name in values for name in _REQUIRED), "missing-field")
    if start is None or end is None or (quantity is None and "corrects" not in values):
        raise _RejectedError("missing-field")
    return Reading(
        place=place,
        tenant=values.get("tenant", "default"),
        source=values.get("source", "default"),
        id=values["id"],
        account=values["account"],
        meter=values["meter"],
        quantity=quantity,
        start=start,
        end=end,
        unit=values.get("unit"),
        session=values.get("session"),
        attributes=tuple(sorted(values.get("attributes", {}).items())),
        corrects=values.get("corrects"),
    )


def _quantity(text: str) -> Decimal:
    _require(not _NOT_FINITE.fullmatch(text), "not-finite")
    _require(_NUMBER.fullmatch(text) is not None, "wrong-type")
    quantity = Decimal(text)
    _require(not quantity or -60 <= quantity.adjusted() < 60, "out-of-range")
    return quantity


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise _RejectedError("wrong-type") from None
    _require(_ZONED.fullmatch(text) is not None, "no-zone" if len(text) > len("2012-02-01") else "wrong-type")
    return instant.astimezone(UTC)


def _require(is_so: bool, reason: str) -> None:
    if not is_so:
        raise _RejectedError(reason)
