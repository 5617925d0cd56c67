"""Likeness: how far what a step comes to is from what is stored: of several ways, the nearest is how it went."""

from typing import NamedTuple

from agents.proving.stored import Stored
from pipeline.processing import Outcome
from schemas.charge import Charge, ChargeKind
from schemas.statement import Statement


class Amiss(NamedTuple):
    """How much differs: of what was charged to which statement (`shape`), and of all that is said (`whole`)."""

    shape: int
    whole: int


def amiss(outcome: Outcome, stored: Stored) -> Amiss:
    """What of an outcome is not as stored. A refusal counts, as what was rejected before is not rated again."""
    shape = whole = len(outcome.refusals)
    for charge in outcome.charges:
        rows = stored.rows(charge.statement_start).get(charge.charge_id, [])
        if charge not in rows:
            whole += 1
            shape += _shape(charge) not in map(_shape, rows)
    for statement in outcome.statements:
        expected = stored.expected(statement)
        if expected != statement:
            whole += 1 if expected is None else _different_fields(expected, statement)
            shape += expected is None or _shape_of(expected) != _shape_of(statement)
    return Amiss(shape, whole)


def _shape(charge: Charge) -> tuple[object, ...]:
    """What of a charge depends on documents and markers, and not on the usage before it."""
    amount = charge.amount if charge.kind is ChargeKind.RECURRING else 0
    about = (charge.period_start, charge.statement_start, charge.corrects)
    return charge.kind, charge.meter, charge.tariff, charge.version, *about, amount


def _shape_of(statement: Statement) -> tuple[object, ...]:
    lines = {(line.kind, line.tariff, line.version, line.meter, line.name) for line in statement.lines}
    taxes = {(tax.tariff, tax.version, tax.name, tax.percent) for tax in statement.taxes}
    return statement.revision, statement.number, lines, taxes, [paid.name for paid in statement.settlements]


def _different_fields(one: Statement, other: Statement) -> int:
    return sum(getattr(one, name) != getattr(other, name) for name in Statement.__struct_fields__)
