"""Lineage: from a statement's line to its charges and to their usage where it lies in Kafka, and from usage back."""

from typing import ClassVar

from sinks.reports.question import Question


class StatementsOfRecord(Question, frozen=True):
    """On which statements of which accounts a usage record was charged: tenant, account, source, statement_start.

    "" as source stands for any.
    """

    tenant: str
    source: str
    usage_id: str

    sql: ClassVar[str] = """
SELECT DISTINCT tenant, account, source, statement_start
FROM charges FINAL
WHERE usage_id = {usage_id:String} AND usage_id != '' AND tenant = {tenant:String}
    AND ({source:String} = '' OR source = {source:String})
ORDER BY tenant, account, source, statement_start
"""


class Lineage(Question, frozen=True):
    """A row for each part of each charge of the period that begins at `start`, its line and its record.

    `statement_id` is null where the period is open. `line` is that of its latest statement, and null for a part that no
    line sums by itself: others cancel it out (a tier that was left behind), or a price was worked out again as a whole.
    0 asks for all lines. `line_exact` is all that the line sums. `usage_id` asks for one record, "" for all.
    The position is where the record came first on the topic `usage`, null where the archive has not got it; `copies` is
    how often it came.
    """

    tenant: str
    account: str
    start: int
    line: int = 0
    source: str = ""
    usage_id: str = ""

    sql: ClassVar[str] = """
SELECT of_line.line AS line, of_line.exact AS line_exact,
    nullIf(
        (
            SELECT max(statement_id) FROM latest_statements
            WHERE tenant = {tenant:String} AND account = {account:String}
                AND period_start = fromUnixTimestamp64Micro({start:Int64}, 'UTC') AND number = 0
        ),
        '') AS statement_id,
    part.charge_id AS charge_id, part.kind AS kind, part.source AS source, part.usage_id AS usage_id,
    part.usage_start AS usage_start, part.usage_end AS usage_end, part.meter AS meter, part.band AS band,
    part.tier AS tier, part.name AS name, part.quantity AS quantity, part.unit AS unit, part.amount AS amount,
    part.currency AS currency, archive.partition AS partition, archive.offset AS offset, archive.index AS `index`,
    archive.copies AS copies
FROM
(
    SELECT * FROM charge_parts
    WHERE tenant = {tenant:String} AND account = {account:String}
        AND statement_start = fromUnixTimestamp64Micro({start:Int64}, 'UTC')
        AND ({usage_id:String} = '' OR usage_id = {usage_id:String})
        AND ({source:String} = '' OR source = {source:String})
) AS part
LEFT JOIN
(
    SELECT DISTINCT toNullable(line) AS line, toNullable(line_exact) AS exact, charge_id, band, tier, unit_price, name
    FROM line_charges
    WHERE tenant = {tenant:String} AND account = {account:String}
        AND statement_start = fromUnixTimestamp64Micro({start:Int64}, 'UTC')
) AS of_line USING (charge_id, band, tier, unit_price, name)
LEFT JOIN
(
    SELECT source, usage_id, toNullable(position.1) AS partition, toNullable(position.2) AS offset,
        toNullable(position.3) AS `index`, toNullable(copies) AS copies
    FROM usage_positions
    WHERE tenant = {tenant:String} AND account = {account:String}
        AND ({usage_id:String} = '' OR usage_id = {usage_id:String})
) AS archive USING (source, usage_id)
WHERE {line:UInt32} = 0 OR of_line.line = {line:UInt32}
ORDER BY isNull(of_line.line), of_line.line, part.usage_start, part.charge_id, part.band, part.tier, part.name
"""
