"""Bills: what the open periods of an account come to so far, and what a statement says, in rows."""

from typing import ClassVar

from sinks.reports.question import Question


class RunningBill(Question, frozen=True):
    """A row for each open period, meter, band and tier of an account, from the charges that have been made.

    Fees, minimums and coupons are charged when the period closes, and are not among them. Periods close one after the
    other, so the open ones begin where the last closed one ends; the view `running_bills` takes a third more time.
    """

    tenant: str
    account: str

    sql: ClassVar[str] = """
SELECT statement_start AS period_start, any(statement_end) AS period_end, currency, meter, band, tier, name,
    sum(part.quantity) AS quantity, unit, uniqExact(charge_id) AS charges, sum(part.amount) AS amount
FROM charge_parts AS part
WHERE tenant = {tenant:String} AND account = {account:String} AND statement_start >=
    (
        SELECT ifNull(maxOrNull(closed.period_end), toDateTime64('1900-01-01 00:00:00', 6, 'UTC'))
        FROM statements AS closed FINAL
        WHERE tenant = {tenant:String} AND account = {account:String} AND number = 0
    )
GROUP BY period_start, currency, meter, unit, band, tier, name
ORDER BY period_start, currency, meter, band, tier, name, unit
"""


class StatementRows(Question, frozen=True):
    """Lines, taxes and settlements of the latest revision of a statement, of the period that begins at `start`.

    `number` is 0 for the period's own statement. What the column `amount` of lines and taxes adds up to is the total.
    """

    tenant: str
    account: str
    start: int
    number: int = 0

    sql: ClassVar[str] = """
SELECT statement_id, revision, number, kind, line, period_start, period_end, tariff, version, meter, name, band, tier,
    unit_price, quantity, unit, exact, amount
FROM statement_rows
WHERE tenant = {tenant:String} AND account = {account:String}
    AND statement_start = fromUnixTimestamp64Micro({start:Int64}, 'UTC') AND number = {number:UInt32}
ORDER BY section, line
"""
