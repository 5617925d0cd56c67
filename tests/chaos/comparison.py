"""Comparison: each difference between what the topics hold and what they have to hold; and the table of figures.

Each charge is compared in all that the oracle knows of it, and none may be there twice. A statement's charges digest
has to be that of the charges which were found.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from tests.chaos.expected import Expected, Place
from tests.chaos.model import DueCharge, DueLine, DueStatement
from tests.oracle.digests import charge_hash, hex_sum
from tests.oracle.exported import Charge, Statement

_LONGEST = 600
"""Characters of a difference that are shown."""

ChargeKey = tuple[str, ...]


class FoundRejection(NamedTuple):
    """A rejection as it was read."""

    place: Place
    reason: str


@dataclass
class Found:
    """What was read, in the order in which it stood there."""

    charges: list[Charge] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    rejections: list[FoundRejection] = field(default_factory=list)


KINDS = (
    "missing charges",
    "doubled charges",
    "charges from nowhere",
    "wrong amounts",
    "wrong running totals",
    "wrong charges otherwise",
    "missing statements",
    "doubled statements",
    "statements from nowhere",
    "wrong statements",
    "missing rejections",
    "doubled rejections",
    "rejections from nowhere",
    "wrong reasons",
    "records unaccounted for",
)


@dataclass
class Report:
    """The differences by kind, and the figures of the run."""

    differences: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """Whether nothing differs."""
        return not any(self.differences.values())

    def counts(self) -> dict[str, int]:
        """How many differences there are of each kind that has any."""
        return {kind: len(items) for kind, items in self.differences.items() if items}

    def table(self, *, shown: int = 5) -> str:
        """The figures, then the number of differences of each kind with the first of them."""
        lines = [f"  {name:<34}{number:>12,}" for name, number in self.figures.items()]
        for kind, items in self.differences.items():
            lines.append(f"  {kind:<34}{len(items):>12,}")
            lines += [f"      {item[:_LONGEST]}" for item in items[:shown]]
        return "\n".join(lines)


def compare(due: Expected, found: Found) -> Report:
    """Every difference."""
    report = Report()
    _compare_charges(due, found, report)
    _compare_statements(due, found, report)
    _compare_rejections(due, found, report)
    accounted = due.accepted + due.duplicates + len(due.rejections)
    if accounted != due.received:
        report.differences["records unaccounted for"].append(f"{due.received} received, {accounted} accounted for")
    report.figures = {
        "records received": due.received,
        "accepted": due.accepted,
        "of these late": due.late,
        "duplicates": due.duplicates,
        "rejected": len(due.rejections),
        **{f"  {reason or 'any reason'}": count for reason, count in sorted(due.reasons.items())},
        "charges due": len(due.charges),
        "charges found": len(found.charges),
        "statements due": len(due.statements),
        "statements found": len(found.statements),
        "rejections found": len(found.rejections),
    }
    return report


def _key(charge: Charge | DueCharge, statement: datetime) -> ChargeKey:
    """What tells a charge from all others: account and id, or what it is for where no usage caused it.

    Records of one id whose accounts lie in different partitions are never compared, and their charges have one id.
    """
    if charge.usage_id:
        return (charge.account, charge.charge_id)
    return (charge.kind, charge.account, statement.isoformat())


def _compare_charges(due: Expected, found: Found, report: Report) -> None:
    wanted = {_key(charge, charge.statement): charge for charge in due.charges}
    there: dict[ChargeKey, list[Charge]] = defaultdict(list)
    for charge in found.charges:
        there[_key(charge, charge.statement_start)].append(charge)
    report.differences["missing charges"] += [f"{charge}" for key, charge in wanted.items() if key not in there]
    for key, charges in there.items():
        if key not in wanted:
            report.differences["charges from nowhere"].append(f"{charges[0]}")
            continue
        report.differences["doubled charges"] += [f"{charge}" for charge in charges[1:]]
        for kind, what in _wrong_charge(wanted[key], charges[0]):
            report.differences[kind].append(what)


def _wrong_charge(due: DueCharge, found: Charge) -> Iterator[tuple[str, str]]:
    name = f"{due.account} {due.usage_id or due.kind} ({found.charge_id})"
    if Fraction(found.amount) != due.amount:
        yield "wrong amounts", f"{name}: {found.amount}, not {float(due.amount)}"
    if Fraction(found.running_total) != due.running_total:
        yield "wrong running totals", f"{name}: {found.running_total}, not {float(due.running_total)}"
    told = (found.kind, found.account, found.usage_id, found.period_start, found.statement_start, found.corrects)
    known = (due.kind, due.account, due.usage_id, due.period, due.statement, due.corrects)
    numbers = (Fraction(found.used_before), Fraction(found.quantity))
    if told != known or numbers != (due.used_before, due.quantity):
        yield "wrong charges otherwise", f"{name}: {found}, not {due}"
    parts = sum((Fraction(part.amount) for part in found.parts), Fraction(0))
    if parts != due.amount:
        yield "wrong charges otherwise", f"{name}: its parts come to {float(parts)}, not {float(due.amount)}"


def _compare_statements(due: Expected, found: Found, report: Report) -> None:
    wanted = {statement.statement_id: statement for statement in due.statements}
    there: dict[str, list[Statement]] = defaultdict(list)
    for statement in found.statements:
        there[statement.statement_id].append(statement)
    hashes = _charges_by_statement(found.charges)
    report.differences["missing statements"] += sorted(wanted.keys() - there.keys())
    report.differences["statements from nowhere"] += sorted(there.keys() - wanted.keys())
    for name in wanted.keys() & there.keys():
        report.differences["doubled statements"] += [name for _ in there[name][1:]]
        first = there[name][0]
        wrong = list(_wrong_statement(wanted[name], first))
        digest = hex_sum(hashes.get((first.tenant, first.account, first.period_start), []))
        if digest != first.charges_digest:
            wrong.append("its charges digest is not that of its charges")
        if wrong:
            report.differences["wrong statements"].append(f"{name}: {'; '.join(wrong)}")


def _charges_by_statement(charges: Iterable[Charge]) -> dict[tuple[str, str, datetime], list[int]]:
    """The hashes of the charges that each statement carries, each charge once."""
    distinct = {(charge.account, charge.charge_id): charge for charge in charges}
    hashes: dict[tuple[str, str, datetime], list[int]] = defaultdict(list)
    for charge in distinct.values():
        hashes[charge.tenant, charge.account, charge.statement_start].append(charge_hash(charge))
    return hashes


def _wrong_statement(due: DueStatement, found: Statement) -> Iterator[str]:
    told: dict[str, object] = {
        "complete": found.complete,
        "exact": Fraction(found.exact),
        "total": Fraction(found.total),
        "usage_records": found.usage_records,
        "charges": found.charges,
        "usage_first": found.usage_first,
        "usage_last": found.usage_last,
        "usage_digest": found.usage_digest,
        "lines": frozenset(_line(found)),
    }
    for name, value in told.items():
        if value != getattr(due, name):
            yield f"{name} is {value}, not {getattr(due, name)}"
    if len(found.lines) != len(due.lines):
        yield f"{len(found.lines)} lines, not {len(due.lines)}"
    if found.net != found.total or found.tax or found.due != found.total:
        yield f"net {found.net}, tax {found.tax}, due {found.due} of a total of {found.total}"


def _line(statement: Statement) -> Iterator[DueLine]:
    for line in statement.lines:
        yield DueLine(
            line.kind,
            line.period_start,
            line.tier,
            Fraction(line.unit_price),
            Fraction(line.quantity),
            Fraction(line.exact),
            Fraction(line.amount),
        )


def _compare_rejections(due: Expected, found: Found, report: Report) -> None:
    there = Counter(rejection.place for rejection in found.rejections)
    reasons = {rejection.place: rejection.reason for rejection in found.rejections}
    for place, reason in due.rejections.items():
        if place not in there:
            report.differences["missing rejections"].append(f"{_shown(place)}: {reason}")
        elif reason and reasons[place] != reason:
            report.differences["wrong reasons"].append(f"{_shown(place)}: {reasons[place]}, not {reason}")
    for place, count in there.items():
        if place not in due.rejections:
            report.differences["rejections from nowhere"].append(f"{_shown(place)}: {reasons[place]}")
        report.differences["doubled rejections"] += [_shown(place)] * (count - 1)


def _shown(place: Place) -> str:
    partition, offset, index = place
    return f"usage[{partition}]@{offset}" + (f"#{index}" if index else "")
