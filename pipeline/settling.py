"""Settling: who has paid for a statement before it was drawn up, and what is left to pay.

First come the interim statements of its period, at what each of them asked for; then the account's credits by
priority, then the one that ends first, begins first, by name. Neither changes what anything costs. A new revision of a
statement settles the difference alone: what it comes to more is drawn, what it comes to less is given back, last drawn
first.
Before closing.py and progressive.py, which draw statements up.
"""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from pipeline.calendar import midnight
from pipeline.ledger import AccountState
from pipeline.posting import Period
from pipeline.terms import AccountPlan
from schemas.credit import Credit
from schemas.fixed_point import PRICE_SCALE, QUANTITY_ONE, to_fixed
from schemas.statement import Settlement, StatementLine


class Settled(NamedTuple):
    """A statement's lines with what is due of each, what was paid of its total, and what is due of that."""

    lines: tuple[StatementLine, ...]
    settlements: tuple[Settlement, ...]
    due: int


def settle(state: AccountState, period: Period, lines: Iterable[StatementLine], total: int) -> Settled:
    """Settle the period's own statement, at first or again; keeps `period.settled` and `state.drawn`."""
    return _settled(state, period, lines, total, period.settled)


def settle_interim(state: AccountState, period: Period, lines: Iterable[StatementLine], total: int) -> Settled:
    """Settle an interim statement, which asks for what the ones before it did not; keeps `state.drawn`."""
    return _settled(state, period, lines, total, {})


def asked_by_interims(period: Period) -> int:
    """What the period's interim statements have asked for in all."""
    return sum(int(interim.asked) for interim in period.interims)


def balances(state: AccountState) -> list[Settlement]:
    """What is left of each credit after the usage so far, and how much of it the open periods use: exact, before tax.

    Statements that are drawn up have drawn on the credits already; their `amount` is not in here.
    """
    used: dict[str, int] = {}
    for period in state.held():
        rest = period.running - (int(period.interims[-1].exact) if period.interims else 0)
        for credit in _in_force(state.plan, period.start):
            amount = min(max(rest, 0), _left(state, credit) - used.get(credit.name, 0))
            used[credit.name] = used.get(credit.name, 0) + amount
            rest -= amount
    return [
        Settlement(credit.name, used.get(credit.name, 0), _left(state, credit) - used.get(credit.name, 0))
        for credit in sorted(state.plan.account.credits, key=_order)
    ]


def _settled(
    state: AccountState, period: Period, lines: Iterable[StatementLine], total: int, taken: dict[str, int]
) -> Settled:
    """`taken` is what each credit has paid of this statement, and becomes what it pays now."""
    interims = [
        Settlement(f"Interim statement {number}", int(interim.asked), 0)
        for number, interim in enumerate(period.interims, 1)
    ]
    in_force = _in_force(state.plan, period.start)
    _draw(state, in_force, max(total - asked_by_interims(period), 0) - sum(taken.values()), taken)
    left = {credit.name: _left(state, credit) for credit in in_force}
    paid = [Settlement(name, taken.get(name, 0), left.get(name, 0)) for name in dict.fromkeys([*left, *taken])]
    settlements = (*interims, *(one for one in paid if one.amount or one.name in left))
    sum_paid = sum(one.amount for one in settlements)
    return Settled(tuple(_with_due(lines, sum_paid)), settlements, total - sum_paid)


def _draw(state: AccountState, in_force: list[Credit], amount: int, taken: dict[str, int]) -> None:
    """Draw the amount from the credits in force; a negative one is given back."""
    for credit in in_force:
        drawn = min(max(amount, 0), _left(state, credit))
        if drawn:
            _take(state, credit.name, drawn, taken)
            amount -= drawn
    for name in reversed([*taken]):
        returned = min(max(-amount, 0), taken[name])
        _take(state, name, -returned, taken)
        amount += returned


def _take(state: AccountState, name: str, amount: int, taken: dict[str, int]) -> None:
    taken[name] = taken.get(name, 0) + amount
    state.drawn[name] = state.drawn.get(name, 0) + amount


def _in_force(plan: AccountPlan, period_start: int) -> list[Credit]:
    """The credits that pay for a period, in the order in which they are drawn."""
    found = [
        credit
        for credit in plan.account.credits
        if midnight(credit.from_, plan.zone) <= period_start
        and (credit.until is None or period_start < midnight(credit.until, plan.zone))
    ]
    return sorted(found, key=_order)


def _order(credit: Credit) -> tuple[object, ...]:
    return credit.priority, credit.until is None, credit.until or credit.from_, credit.from_, credit.name


def _left(state: AccountState, credit: Credit) -> int:
    """What is left of a credit; nothing where more was drawn than its document says now."""
    return max(to_fixed(credit.amount, PRICE_SCALE) * QUANTITY_ONE - state.drawn.get(credit.name, 0), 0)


def _with_due(lines: Iterable[StatementLine], paid: int) -> Iterable[StatementLine]:
    for line in lines:
        share = min(paid, max(line.gross, 0))
        paid -= share
        yield replace(line, due=line.gross - share)
