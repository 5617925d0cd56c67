"""Results: where an answer stands in the charges and statements of a run.

Nothing here prices anything. What is summed are lines of a statement, or charges, that a source prints as one figure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.charge import Charge, Part
from schemas.fixed_point import AMOUNT_SCALE, QUANTITY_SCALE, to_decimal
from schemas.statement import LineKind, Statement, StatementLine, TaxLine

Answers = Any
"""Answers in the form of what is expected: an answer, or answers by name or in a list. See comparing.py."""


class UnclearError(Exception):
    """A result in which an answer does not stand where it should."""


@dataclass(frozen=True)
class Run:
    """What one step came to."""

    charges: Sequence[Charge]
    statements: Sequence[Statement]


@dataclass(frozen=True)
class Result:
    """What all steps came to."""

    runs: Sequence[Run]

    @property
    def charges(self) -> list[Charge]:
        """All charges, in the order in which they were made."""
        return [charge for run in self.runs for charge in run.charges]

    @property
    def statements(self) -> list[Statement]:
        """All statements, in the order in which they were drawn up."""
        return [statement for run in self.runs for statement in run.statements]

    @property
    def statement(self) -> Statement:
        """The only statement."""
        if len(self.statements) != 1:
            raise UnclearError(f"{len(self.statements)} statements instead of one")
        return self.statements[0]

    def lines(
        self,
        *kinds: LineKind,
        meter: str | None = None,
        tariff: str | None = None,
        name: str | None = None,
        band: str | None = None,
        tier: int | None = None,
    ) -> list[StatementLine]:
        """The lines of all statements that are of one of these kinds (or any), and as asked."""
        asked = {"meter": meter, "tariff": tariff, "name": name, "band": band, "tier": tier}
        return [
            line
            for statement in self.statements
            for line in statement.lines
            if (not kinds or line.kind in kinds)
            and all(value is None or getattr(line, key) == value for key, value in asked.items())
        ]

    def usage(self, meter: str | None = None) -> list[StatementLine]:
        """The lines of usage."""
        return self.lines(LineKind.USAGE, meter=meter)


def money(amount: int) -> Decimal:
    """An amount."""
    return to_decimal(amount, AMOUNT_SCALE)


def units(quantity: int) -> Decimal:
    """A quantity."""
    return to_decimal(quantity, QUANTITY_SCALE)


def amount(lines: Iterable[StatementLine | TaxLine]) -> Decimal:
    """What these lines print, together."""
    return money(sum(line.amount for line in lines))


def exact(lines: Iterable[StatementLine]) -> Decimal:
    """What these lines come to before rounding."""
    return money(sum(line.exact for line in lines))


def gross(lines: Iterable[StatementLine]) -> Decimal:
    """What these lines print with their taxes."""
    return money(sum(line.gross for line in lines))


def quantity(lines: Iterable[StatementLine]) -> Decimal:
    """How many units these lines are for."""
    return units(sum(line.quantity for line in lines))


def charged(charges: Iterable[Charge]) -> Decimal:
    """What these charges come to."""
    return money(sum(charge.amount for charge in charges))


def parts(charges: Iterable[Charge], *names: str) -> Decimal:
    """What the parts of these names come to."""
    return money(sum(part.amount for charge in charges for part in charge.parts if part.name in names))


def priced_units(parts_of: Iterable[Part]) -> Decimal:
    """How many units of these parts are not free."""
    return units(sum(part.quantity for part in parts_of if part.tier > 0))


def quantity_of_parts(parts_of: Iterable[Part]) -> Decimal:
    """How many units these parts are for."""
    return units(sum(part.quantity for part in parts_of))


def only(lines: Sequence[StatementLine], what: str) -> StatementLine:
    """The one line that there should be."""
    if len(lines) != 1:
        raise UnclearError(f"{len(lines)} lines of {what} instead of one")
    return lines[0]


def average_price(lines: Sequence[StatementLine]) -> Decimal:
    """What a unit costs on average: the one answer that is a ratio of two figures of the statement."""
    return exact(lines) / quantity(lines)
