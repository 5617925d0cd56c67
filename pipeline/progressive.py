"""Progressive billing: an interim statement as soon as a period's usage comes to a threshold, so that less is at risk.

What counts is the exact amount of the period's own usage, before tax. Several thresholds passed by one record make one
interim statement. It asks for all that the usage comes to so far, less what the ones before it asked for; fees,
true-ups and coupons wait for the period's own statement. It is never taken back: a correction makes the period's own
statement ask for less, and no threshold is passed a second time. It is not drawn up while it would ask for nothing, nor
while an account that leaves early has usage to be priced again, which is done when the period closes. After posting.py,
before closing.py.
"""

from collections.abc import Iterable, Iterator

from pipeline.closing import draw_up
from pipeline.entries import InterimEntry
from pipeline.ledger import AccountState, Ledger
from pipeline.posting import Period
from pipeline.settling import asked_by_interims
from schemas.charge import Charge
from schemas.credit import Progressive
from schemas.fixed_point import PRICE_SCALE, QUANTITY_ONE, to_fixed
from schemas.statement import Statement


def interim_statements(
    ledger: Ledger, state: AccountState, rule: Progressive, charges: Iterable[Charge]
) -> Iterator[Statement]:
    """The interim statements that the charges of one record, which are posted, give cause for; remembers them.

    Raises MoneyError where charges and totals disagree.
    """
    changes: dict[int, int] = {}
    for charge in charges:
        if charge.period_start >= state.open_from:
            changes[charge.period_start] = changes.get(charge.period_start, 0) + charge.amount
    for start, change in sorted(changes.items()):
        period = state.period(start)
        if change > 0 and _is_due(rule, period):
            yield from _interim(ledger, state, period)


def passed(rule: Progressive, amount: int) -> int:
    """How many thresholds an amount has come to, the repeated ones included."""
    thresholds = [to_fixed(threshold, PRICE_SCALE) * QUANTITY_ONE for threshold in rule.thresholds]
    count = sum(threshold <= amount for threshold in thresholds)
    if rule.repeat is not None and count == len(thresholds):
        count += (amount - thresholds[-1]) // (to_fixed(rule.repeat, PRICE_SCALE) * QUANTITY_ONE)
    return count


def _usage(period: Period) -> int:
    """The exact amount of an open period's own usage: its charges but those of late usage of earlier periods."""
    return period.running - sum(period.adjusted.values())


def _is_due(rule: Progressive, period: Period) -> bool:
    before = max((int(interim.usage) for interim in period.interims), default=0)
    if passed(rule, _usage(period)) <= passed(rule, before):
        return False
    return all(totals.terms.end == totals.priced_until for totals in period.totals.values())


def _interim(ledger: Ledger, state: AccountState, period: Period) -> Iterator[Statement]:
    statement = draw_up(ledger, state, period, complete=False, interim=len(period.interims) + 1)
    asked = statement.total - asked_by_interims(period)
    if asked > 0:
        period.interims.append(InterimEntry(str(_usage(period)), str(period.running), str(asked)))
        ledger.touch(state, period)
        ledger.move(state)
        yield statement
