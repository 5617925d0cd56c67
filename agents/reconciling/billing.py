"""Billing: each statement against itself, and against the charges of its period. Before course.py.

A period's own statement is checked against the rows that ClickHouse has, one by one. Where there are more or fewer than
it says, and for interim statements and those that a revision has followed, the topic's order tells which charges came
before it.
"""

from collections.abc import Iterable
from datetime import datetime

from agents.reconciling.legs import Compared, Leg
from agents.reconciling.periods import Period
from agents.reconciling.records import ChargeTexts
from schemas.instants import to_us
from sinks.reconciliation import stored, stored_statements
from sinks.reconciliation.differences import Difference, Kind
from sinks.reconciliation.shapes import fixed
from sinks.reconciliation.statements import InOrder, Owner, Stated, faults, owner_of
from sinks.reconciliation.stored import Database, Selection
from sinks.reconciliation.tallies import Sums, Tally

_TO_QUANTITY = 10**12
"""From the decimals of a sum to those of a quantity."""


class Billing:
    """The statements of one reconciliation: `look`, then `take` each charge in its order, then `compared`."""

    def __init__(self, database: Database, selection: Selection, period: Period | None) -> None:
        self._database, self._selection, self._period = database, selection, period
        self._told: dict[str, tuple[Stated, list[str]]] = {}
        self._by_order: list[Stated] = []
        self._order = InOrder([])
        self._due = self._found = Sums()
        self._statements = 0

    def look(self) -> None:
        """Read all statements and their charges from ClickHouse, account by account."""
        for accounts in stored.ranges(self._database, ["charges", "statements"], self._selection):
            statements = stored_statements.stated(self._database, accounts)
            if self._period is not None:
                statements = [one for one in statements if self._period.takes(one.owner)]
            self._judge(statements, accounts)
        self._order = InOrder(self._by_order)

    def _judge(self, statements: list[Stated], accounts: stored.Range) -> None:
        whole = {one.owner for one in statements if one.is_last and one.charges == one.stored_charges}
        sums = stored_statements.digested(self._database, accounts, whole) if whole else {}
        for one in statements:
            self._statements += 1
            self._tell(one, faults(one))
            if one.is_last:
                self._due += Sums(one.stored_charges, one.stored_exact)
                self._found += Sums(one.charges, one.exact)
            if one.is_last and one.owner in whole and sums[one.owner].charges == one.charges:
                self._tell(one, sums[one.owner].against(one))
            else:
                self._by_order.append(one)

    def _tell(self, stated: Stated, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self._told.setdefault(stated.statement_id, (stated, []))[1].append(sentence)

    def take(self, charge: ChargeTexts) -> None:
        """The next charge of the topic."""
        owner = (charge.tenant, charge.account, charge.statement_start)
        sums = self._order.wants(owner)
        if sums is None:
            return
        sums.add(
            charge.charge_id,
            charge.kind,
            charge.meter,
            to_us(datetime.fromisoformat(charge.period_start)),
            fixed(charge.quantity) // _TO_QUANTITY,
            fixed(charge.amount),
            charge.tariff,
            charge.version,
        )
        self._order.added(owner)

    def compared(self, coming: Tally, limit: int | None) -> Compared:
        """What became of the leg, once all charges were taken; `coming` are those that may not be stored yet."""
        self._order.finish()
        on_the_way = sum(self._is_waiting(one, coming) for one in self._by_order)
        found = [
            Difference(
                Kind.DIFFERENT,
                (one.owner[0], one.owner[1], "", one.owner[2]),
                one.statement_id,
                (),
                "; ".join(sentences),
            )
            for one, sentences in self._told.values()
        ]
        told = found if limit is None else found[:limit]
        return Compared(Leg.BILLED, self._statements, self._due, self._found, on_the_way, len(found) - len(told), told)

    def _is_waiting(self, stated: Stated, coming: Tally) -> bool:
        """Whether charges of the statement are on the way, or it waits for its revision; tells what is wrong if not."""
        wrong = self._order.faults.get(stated.statement_id)
        if wrong or not stated.is_last:
            self._tell(stated, wrong or ())
            return False
        there, says = stated.stored_charges, stated.charges
        in_topic = self._order.charges(stated.owner)
        if there <= says and there + _rows_of(stated.owner, coming) >= says:
            return there < says
        if there > says and in_topic > says and self._is_revised(stated.owner):
            return True
        late = f", of which {in_topic - says} came after it was drawn up" if in_topic > says else ""
        self._tell(stated, [f"it says {says} charges, ClickHouse has {there}{late}"])
        return False

    def _is_revised(self, owner: Owner) -> bool:
        """Whether late usage of the period makes a new revision of its statement."""
        return stored_statements.tariffs_of(self._database, owner) <= stored_statements.revising_tariffs(self._database)


def _rows_of(owner: Owner, tally: Tally) -> int:
    return sum(tally.of(group).rows for group in tally.groups() if owner_of(group) == owner)
