"""Stored: what ClickHouse holds of one account: all statements, and the charges of each when they are asked for."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from schemas.charge import Charge
from schemas.statement import Statement
from sinks import archive_reads, queries
from sinks.queries import Readable

_KEPT = 4
"""Statements whose charges are in memory at once: the open one, the one before, and earlier ones with late usage."""

Rows = dict[str, list[Charge]]
"""The rows of a statement's charges, by charge id: more than one where something has doubled a charge."""


class Stored:
    """What is stored of one account; `read` gives the charges of the statement of a period."""

    def __init__(self, statements: Iterable[Statement], read: Callable[[int], Iterable[Charge]]) -> None:
        self.statements = {statement.statement_id: statement for statement in statements}
        self.last_start = max((statement.period_start for statement in self.statements.values()), default=0)
        self._read = read
        self._rows: OrderedDict[int, Rows] = OrderedDict()

    def rows(self, statement_start: int) -> Rows:
        """The charges of the statement whose period begins there."""
        found = self._rows.pop(statement_start, None)
        if found is None:
            found = {}
            for charge in self._read(statement_start):
                found.setdefault(charge.charge_id, []).append(charge)
        self._rows[statement_start] = found
        if len(self._rows) > _KEPT:
            self._rows.popitem(last=False)
        return found

    def of_period(self, start: int) -> list[Statement]:
        """The statements of one period, interim ones first, by number and revision."""
        found = [statement for statement in self.statements.values() if statement.period_start == start]
        return sorted(found, key=in_order)

    def expected(self, statement: Statement) -> Statement | None:
        """What is stored under the id of a statement."""
        return self.statements.get(statement.statement_id)


def in_order(statement: Statement) -> tuple[bool, int, int]:
    """Interim statements by number, then the period's own by revision."""
    return statement.number == 0, statement.number, statement.revision


def stored(sink: Readable, tenant: str, account: str) -> Stored:
    """What ClickHouse holds."""
    return Stored(
        archive_reads.statements(sink, tenant, account),
        lambda start: queries.charges(sink, tenant, account, statement_start=start),
    )
