"""Exported: charges, statements and rejections as somebody wrote them.

Reads what `ratestream export` writes as JSON lines or Parquet, and the JSON lines of `ratestream rate`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

Values = dict[str, Any]


class Part(NamedTuple):
    """A share of a charge at one unit price."""

    band: str
    tier: int
    unit_price: Decimal
    quantity: Decimal
    amount: Decimal
    name: str
    tax_percent: str
    tax: Decimal


@dataclass(frozen=True)
class Charge:
    """One charge."""

    charge_id: str
    kind: str
    tenant: str
    account: str
    source: str
    usage_id: str
    meter: str
    unit: str
    usage_start: datetime
    usage_end: datetime
    period_start: datetime
    period_end: datetime
    statement_start: datetime
    statement_end: datetime
    used_before: Decimal
    quantity: Decimal
    parts: tuple[Part, ...]
    amount: Decimal
    currency: str
    tariff: str
    version: str
    running_total: Decimal
    corrects: str


@dataclass(frozen=True)
class Line:
    """One line of a statement."""

    kind: str
    period_start: datetime
    period_end: datetime
    tariff: str
    version: str
    meter: str
    name: str
    band: str
    tier: int
    unit_price: Decimal
    quantity: Decimal
    unit: str
    exact: Decimal
    amount: Decimal
    gross: Decimal
    due: Decimal


@dataclass(frozen=True)
class TaxLine:
    """One tax of a statement."""

    tariff: str
    version: str
    name: str
    percent: str
    base: Decimal
    amount: Decimal
    item: str


class Settlement(NamedTuple):
    """What was paid of a statement before it was drawn up."""

    name: str
    amount: Decimal
    remaining: Decimal


class Allowance(NamedTuple):
    """Units that cost nothing."""

    meter: str
    unit: str
    included: Decimal
    used: Decimal
    left: Decimal


@dataclass(frozen=True)
class Statement:
    """One statement."""

    statement_id: str
    tenant: str
    account: str
    period_start: datetime
    period_end: datetime
    zone: str
    currency: str
    revision: int
    complete: bool
    lines: tuple[Line, ...]
    taxes: tuple[TaxLine, ...]
    exact: Decimal
    net: Decimal
    tax: Decimal
    total: Decimal
    usage_records: int
    charges: int
    usage_first: datetime | None
    usage_last: datetime | None
    usage_digest: str
    charges_digest: str
    kind: str
    number: int
    settlements: tuple[Settlement, ...]
    allowances: tuple[Allowance, ...]
    due: Decimal


@dataclass
class Exported:
    """All of it. Rejections are (reason, file, number in the file)."""

    charges: list[Charge] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    rejections: list[tuple[str, str, int]] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    """What the lines of `rate` have that none of the nouns above has."""


def read_export(place: Path) -> Exported:
    """A directory of tables, or one file of JSON lines."""
    return _tables(place) if place.is_dir() else _documents(place)


def _documents(file: Path) -> Exported:
    found = Exported()
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            ((kind, values),) = json.loads(line).items()
            found.unknown.update(_unknown(kind, values))
            if kind == "charge":
                found.charges.append(_charge(values))
            elif kind == "statement":
                found.statements.append(_statement(values, values["lines"], values["taxes"]))
            else:
                position = values["position"]
                found.rejections.append((values["reason"], position["origin"], position["offset"]))
    return found


_NOUNS: dict[str, type] = {
    "charge": Charge,
    "charge.parts": Part,
    "statement": Statement,
    "statement.lines": Line,
    "statement.taxes": TaxLine,
    "statement.settlements": Settlement,
    "statement.allowances": Allowance,
}


def _unknown(kind: str, values: Values) -> Iterator[str]:
    """The keys that are not read."""
    if kind in _NOUNS:
        for key, value in values.items():
            if key not in _NOUNS[kind].__annotations__:
                yield f"{kind}.{key}"
            for inner in value if isinstance(value, list) else ():
                yield from _unknown(f"{kind}.{key}", inner)


def _tables(folder: Path) -> Exported:
    lines, taxes = (_by_statement(_rows(folder, name)) for name in ("statement_lines", "taxes"))
    keys = ("reason", "origin", "offset")
    return Exported(
        charges=[_charge(row) for row in _rows(folder, "charges")],
        statements=[
            _statement(row, lines.pop(_statement_key(row), []), taxes.pop(_statement_key(row), []))
            for row in _rows(folder, "statements")
        ],
        rejections=[(row[keys[0]], row[keys[1]], row[keys[2]]) for row in _rows(folder, "rejected")],
    )


def _rows(folder: Path, name: str) -> Iterator[Values]:
    file = folder / f"{name}.jsonl"
    if file.exists():
        with file.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
        return
    for batch in pq.ParquetFile(folder / f"{name}.parquet").iter_batches():
        for row in batch.to_pylist():
            yield row | {group: _nested(row, group) for group in {key.partition(".")[0] for key in row if "." in key}}


def _nested(row: Values, group: str) -> list[Values]:
    """The objects whose fields are in columns of their own: `parts.band`, `parts.tier`..."""
    columns = {key.partition(".")[2]: values for key, values in row.items() if key.startswith(f"{group}.")}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


StatementKey = tuple[str, int, int]


def _statement_key(row: Values) -> StatementKey:
    return row["statement_id"], row["revision"], row["number"]


def _by_statement(rows: Iterable[Values]) -> dict[StatementKey, list[Values]]:
    found: dict[StatementKey, list[Values]] = {}
    for row in sorted(rows, key=lambda row: int(row["line"])):
        found.setdefault(_statement_key(row), []).append(row)
    return found


def _charge(values: Values) -> Charge:
    made = _made(Charge, values)
    made["parts"] = tuple(Part(**_made(Part, part)) for part in values["parts"])
    return Charge(**made)


def _statement(values: Values, lines: Iterable[Values], taxes: Iterable[Values]) -> Statement:
    made = _made(Statement, {**values, "lines": (), "taxes": ()})
    made["lines"] = tuple(Line(**_made(Line, line)) for line in lines)
    made["taxes"] = tuple(TaxLine(**_made(TaxLine, tax)) for tax in taxes)
    made["settlements"] = tuple(Settlement(**_made(Settlement, one)) for one in values["settlements"])
    made["allowances"] = tuple(Allowance(**_made(Allowance, one)) for one in values["allowances"])
    return Statement(**made)


def _made(kind: type, values: Values) -> Values:
    """The values that a noun of this kind has, numbers and instants made from their texts."""
    hints: dict[str, object] = kind.__annotations__
    return {name: _value(hint, values[name]) for name, hint in hints.items()}


def _value(hint: object, value: Any) -> Any:  # noqa: ANN401 - of what the hint says
    if hint is Decimal:
        return Decimal(value)
    if hint is datetime or hint == datetime | None:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
        return instant and instant.astimezone(UTC)
    return value
