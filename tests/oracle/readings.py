"""Readings: every record of the usage files is accepted, a duplicate, or rejected for a reason."""

import csv
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from tests.oracle.contracts import Account, Assignment
from tests.oracle.placing import Piece, Placer
from tests.oracle.record import Identity, Place, Reading, RejectedError, require

LIMIT = Decimal(9 * 10**12)
TOLERANCE = timedelta(minutes=5)
_REQUIRED = ("id", "account", "meter", "start", "end")
_FIELDS = frozenset((*_REQUIRED, "quantity", "source", "tenant", "unit", "session", "attributes", "corrects"))
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
_ZONED = re.compile(r".*(Z|z|[+-]\d\d:\d\d)")


@dataclass
class Intake:
    """What became of the records: received = accepted + duplicates + rejected."""

    received: int = 0
    duplicates: int = 0
    accepted: dict[Identity, Reading] = field(default_factory=dict)
    pieces: dict[Identity, list[Piece]] = field(default_factory=dict)
    corrected_by: dict[Identity, Reading] = field(default_factory=dict)
    rejected: dict[Place, str] = field(default_factory=dict)
    not_judged: set[Place] = field(default_factory=set)
    """Records of accounts that are left out."""

    def billed(self) -> Iterator[Reading]:
        """Accepted records with a quantity that no other record has replaced or voided."""
        for identity, reading in self.accepted.items():
            if reading.quantity is not None and identity not in self.corrected_by:
                yield reading


def take_in(
    files: Iterable[Path],
    accounts: dict[tuple[str, str], Account],
    *,
    left_out: AbstractSet[tuple[str, str]],
    now: datetime,
    by_event_time: bool,
    too_late: frozenset[Place] = frozenset(),
) -> Intake:
    """All records of the files, in the order in which they stand there or, `by_event_time`, in that of their time.

    Which records came too late depends on when others came, so that is told.
    """
    intake = Intake()
    placers = {key: Placer(account) for key, account in accounts.items()}
    readings = []
    for file in files:
        for number, row in enumerate(_rows(file)):
            intake.received += 1
            place = (str(file), number)
            try:
                readings.append(_reading(place, row))
            except RejectedError as rejected:
                intake.rejected[place] = str(rejected)
    for reading in sorted(readings, key=Reading.in_event_order) if by_event_time else readings:
        if (reading.tenant, reading.account) in left_out:
            intake.not_judged.add(reading.place)
            continue
        if reading.place in too_late:
            intake.rejected[reading.place] = "too-late"
            continue
        try:
            _take(reading, intake, accounts, placers, now)
        except RejectedError as rejected:
            intake.rejected[reading.place] = str(rejected)
    return intake


def _take(
    reading: Reading,
    intake: Intake,
    accounts: dict[tuple[str, str], Account],
    placers: dict[tuple[str, str], Placer],
    now: datetime,
) -> None:
    key = (reading.tenant, reading.account)
    require(key in accounts, "unknown-account")
    require(reading.start <= reading.end, "end-before-start")
    require(reading.end <= now + TOLERANCE, "future")
    measured = reading._replace(quantity=_measured(reading, _pricing(accounts[key], reading)))
    known = intake.accepted.get(reading.identity)
    if known is not None:
        require(known._replace(place=measured.place, unit=measured.unit) == measured, "id-reused")
        intake.duplicates += 1
        return
    pieces = [] if measured.quantity is None else placers[key].pieces(measured)
    if reading.corrects is not None:
        corrected = (reading.tenant, reading.source, reading.corrects)
        _check_correction(reading, corrected, intake)
        intake.corrected_by[corrected] = measured
    intake.accepted[reading.identity] = measured
    intake.pieces[reading.identity] = pieces


def _pricing(account: Account, reading: Reading) -> Assignment:
    """What prices the record's start."""
    meters = {
        meter for entry in account.assignments for item in entry.tariff.meters.values() for meter in item.usage_of
    }
    require(reading.meter in meters, "unknown-meter")
    entry = account.pricing(reading.meter, reading.start)
    if entry is None:
        raise RejectedError("no-tariff")
    return entry


def _measured(reading: Reading, entry: Assignment) -> Decimal | None:
    quantity = reading.quantity
    rules = entry.tariff.meters[entry.tariff.items_of(reading.meter)[0]]
    require(reading.unit in (None, rules.unit), "wrong-unit")
    if quantity is None:
        return None
    require(abs(quantity) < LIMIT, "out-of-range")
    rounded = quantity.quantize(Decimal(1).scaleb(-rules.decimals), ROUND_HALF_EVEN)
    require(rounded == quantity or rules.rounds, "excess-decimals")
    require(rounded >= 0 or rules.takes_negative, "negative")
    return rounded


def _check_correction(reading: Reading, corrected: tuple[str, str, str], intake: Intake) -> None:
    target = intake.accepted.get(corrected)
    require(corrected not in intake.corrected_by, "already-corrected")
    if target is not None:
        same = (target.account, target.meter) == (reading.account, reading.meter)
        require(target.quantity is not None and same, "wrong-correction")


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
            yield _named(header, row) if len(row) == len(header) else "unreadable"
    else:
        yield from (_object(line) for line in lines if line.strip())
    if not is_whole:
        yield "truncated"


def _named(header: list[str], row: list[str]) -> dict[str, Any]:
    """The fields of a row; a column that is no field is an attribute."""
    cells = dict(zip(header, row, strict=True))
    attributes = {name: cell for name, cell in cells.items() if name not in _FIELDS and cell}
    return {name: cell for name, cell in cells.items() if name in _FIELDS} | {"attributes": attributes or None}


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
        raise RejectedError(row)
    values = {name: value for name, value in row.items() if value is not None and value != ""}
    require(values.keys() <= _FIELDS, "unknown-field")
    for name, value in values.items():
        right = isinstance(value, dict) if name == "attributes" else isinstance(value, str)
        require(right and (name == "quantity" or not isinstance(value, _Number)), "wrong-type")
    quantity = _quantity(values["quantity"]) if "quantity" in values else None
    start, end = (_instant(values[name]) if name in values else None for name in ("start", "end"))
    require(all(name in values for name in _REQUIRED), "missing-field")
    if start is None or end is None or (quantity is None and "corrects" not in values):
        raise RejectedError("missing-field")
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
    require(not _NOT_FINITE.fullmatch(text), "not-finite")
    require(_NUMBER.fullmatch(text) is not None, "wrong-type")
    quantity = Decimal(text)
    require(not quantity or -60 <= quantity.adjusted() < 60, "out-of-range")
    return quantity


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise RejectedError("wrong-type") from None
    require(_ZONED.fullmatch(text) is not None, "no-zone" if len(text) > len("2012-02-01") else "wrong-type")
    return instant.astimezone(UTC)
