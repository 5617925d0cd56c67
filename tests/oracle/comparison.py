"""Comparison: every difference between an export and what the oracle has worked out.

Nothing may differ, but for the slack of tiers that are allotted to several bands (see prices); where that slack could
move a rounded line over an edge, a note says so.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

from tests.oracle import bill_checks, charge_checks, statement_checks
from tests.oracle.exported import Exported
from tests.oracle.own_side import Own, Question, own_side

_DIGITS = 200

_CHECKS: tuple[Callable[[Own, Exported], Iterator[str]], ...] = (
    charge_checks.counts,
    charge_checks.records_charged,
    charge_checks.totals,
    charge_checks.parts,
    charge_checks.usage_prices,
    charge_checks.parts_and_lines,
    statement_checks.sums,
    statement_checks.lines,
    statement_checks.payments,
    statement_checks.allowances,
    bill_checks.bills,
)


@dataclass
class Report:
    """What was found. Nothing found and nothing left out: the export is right."""

    not_worked_out: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    statements: int = 0
    charges: int = 0
    totals: dict[tuple[str, str], tuple[int, Decimal]] = field(default_factory=dict)
    """Records and quantity of each account and meter, from the usage files alone."""


def compare(question: Question) -> Report:
    """The report on one export."""
    with localcontext(prec=_DIGITS):
        own = own_side(question)
        report = Report(
            not_worked_out=[gap.what for gap in own.gaps],
            received=own.intake.received,
            accepted=len(own.intake.accepted),
            duplicates=own.intake.duplicates,
            rejected=len(own.intake.rejected),
            statements=len(question.export.statements),
            charges=len(question.export.charges),
            totals=charge_checks.totals_of(own.intake.billed()),
        )
        for check in _CHECKS:
            report.findings += check(own, own.export)
        report.notes += bill_checks.rounding_notes(own, own.export)
        return report
