"""Differences: what is stored beside what it should be, field by field, in the words of their JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.json import decode
from msgspec.structs import replace

from agents.proving.history import UsageId
from schemas.charge import Charge
from schemas.codecs import json_bytes
from schemas.statement import Statement
from sinks.archive_reads import RecordPlace

FOLLOWS = frozenset({"used_before", "running_total"})
"""Fields of a charge that differ in all charges after one that is missing or has another amount."""


class Difference(Struct, frozen=True):
    """One field of a charge or a statement, as stored and as recomputed; with no field all of it is meant.

    None is what is not there. `by` says what it was recomputed from: the stored charges, or the usage. `record` is the
    usage record that a charge is for, with its place on the topic where that is known.
    """

    what: Literal["charge", "statement"]
    id: str
    field: str
    stored: str | None
    recomputed: str | None
    by: Literal["charges", "usage"] = "usage"
    record: str = ""


def of_statement(stored: Statement | None, recomputed: Statement | None) -> list[Difference]:
    """What of a statement is not as the usage says."""
    return _of_nouns("statement", _id(stored, recomputed), stored, recomputed)


def _id(stored: Statement | None, recomputed: Statement | None) -> str:
    found = stored or recomputed
    return "" if found is None else found.statement_id


def of_charges(
    stored: Mapping[str, Sequence[Charge]], recomputed: Sequence[Charge], places: Mapping[UsageId, RecordPlace]
) -> Iterator[Difference]:
    """Which charges of a statement are missing, different or too many, in the order in which they are made."""
    left = {charge_id: list(rows) for charge_id, rows in stored.items()}
    for charge in recomputed:
        record = _record(charge, places)
        rows = left.get(charge.charge_id)
        if not rows:
            yield Difference("charge", charge.charge_id, "", None, _text(charge), record=record)
            continue
        row = charge if charge in rows else rows[0]
        rows.remove(row)
        for difference in _of_nouns("charge", charge.charge_id, row, charge):
            yield replace(difference, record=record)
    for charge_id, rows in left.items():
        for row in rows:
            yield Difference("charge", charge_id, "", _text(row), None, record=_record(row, places))


def _record(charge: Charge, places: Mapping[UsageId, RecordPlace]) -> str:
    if not charge.usage_id:
        return ""
    place = places.get((charge.source, charge.usage_id))
    at = "" if place is None else f" at offset {place.offset}" + (f"#{place.index}" if place.index else "")
    return f"usage {charge.source}/{charge.usage_id}{at}"


def _text(charge: Charge) -> str:
    """A charge in a line."""
    said = decode(json_bytes(charge))
    return f"{said['kind']}, {charge.meter} {said['quantity']}, {said['amount']} {charge.currency}"


def _of_nouns(
    what: Literal["charge", "statement"],
    name: str,
    stored: Charge | Statement | None,
    recomputed: Charge | Statement | None,
) -> list[Difference]:
    if stored == recomputed:
        return []
    if stored is None or recomputed is None:
        return [Difference(what, name, "", _whole(stored), _whole(recomputed))]
    before, after = (dict(_values(decode(json_bytes(noun)))) for noun in (stored, recomputed))
    found = []
    for field in {**before, **after}:
        one, other = before.get(field), after.get(field)
        if one is None or other is None:
            found.append(Difference(what, name, field, _told(one), _told(other)))
            continue
        found += [
            Difference(what, name, f"{field}: {inner}" if inner else field, one.get(inner), other.get(inner))
            for inner in {**one, **other}
            if one.get(inner) != other.get(inner)
        ]
    return found


def _whole(noun: Charge | Statement | None) -> str | None:
    return None if noun is None else "a whole one"


Value = dict[str, str]
"""What stands in one field, or in one row of a list of rows, by the names there; "" where it is a single value."""

_NAMES = ("kind", "tariff", "version", "meter", "item", "name", "band", "tier", "unit_price", "percent", "period_start")
"""What tells a row from the others of its list."""


def _values(document: dict[str, object]) -> Iterator[tuple[str, Value]]:
    """The fields of a noun's JSON, and the rows of its lists, which have names of their own."""
    start = document.get("period_start")  # of a line it says something where it is another one's
    for name, value in document.items():
        if not isinstance(value, list):
            yield name, {"": _text_of(value)}
            continue
        seen = Counter[str]()
        for row in value:
            of = " ".join(str(row[part]) for part in _NAMES if row.get(part) not in (None, "", 0, "0", start))
            seen[of] += 1
            again = f" ({seen[of]})" if seen[of] > 1 else ""
            yield f"{name} {of}{again}", {field: _text_of(inner) for field, inner in row.items()}


def _text_of(value: object) -> str:
    return "" if value is None else str(value)


def _told(value: Value | None) -> str | None:
    """A row that the other side has not, by its amount."""
    return None if value is None else value.get("exact") or value.get("amount") or "a whole one"
