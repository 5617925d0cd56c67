"""Usage: when in the week it happens, how much of it came late, and what of it is missing."""

from typing import ClassVar

from sinks.reports.question import ALWAYS, Question
from sinks.reports.revenue import IN_TIME


class HourProfile(Question, frozen=True):
    """168 rows for each meter and unit: what was used in `[start, end)`, by hour of the week in the zone.

    `weekday` is 1 on Mondays, `hour` what clocks in the zone show, and `hours` how many such hours had any usage: the
    hour that occurs twice when clocks go back is two of them. A record counts in the hour in which it begins;
    `longest_s` is how long the longest one of the meter is.
    """

    zone: str
    tenant: str = ""
    account: str = ""
    meter: str = ""
    start: int = ALWAYS[0]
    end: int = ALWAYS[1]

    sql: ClassVar[str] = f"""
SELECT meter, unit, toUInt8(intDiv(place - 1, 24) + 1) AS weekday, toUInt8((place - 1) % 24) AS hour, quantity, hours,
    longest_s
FROM
(
    WITH (toDayOfWeek(usage_start, 0, {{zone:String}}) - 1) * 24 + toHour(usage_start, {{zone:String}}) AS cell
    SELECT meter, unit,
        sumResample(0, 168, 1)(charge.quantity, cell) AS quantities,
        uniqExactResample(0, 168, 1)(toStartOfHour(usage_start, {{zone:String}}), cell) AS counts,
        max(dateDiff('second', usage_start, usage_end)) AS longest_s
    FROM charges AS charge FINAL
    WHERE {IN_TIME}
        AND ({{account:String}} = '' OR account = {{account:String}})
        AND ({{meter:String}} = '' OR meter = {{meter:String}}) AND usage_id != ''
    GROUP BY meter, unit
)
ARRAY JOIN quantities AS quantity, counts AS hours, arrayEnumerate(quantities) AS place
ORDER BY meter, unit, place
"""  # noqa: S608 - our own words


class LateUsage(Question, frozen=True):
    """Late usage and corrections, by account, period of the usage, statement that carries it, meter and kind."""

    tenant: str = ""
    account: str = ""

    sql: ClassVar[str] = """
SELECT tenant, account, period_start, statement_start, meter, kind, count() AS charges,
    sum(charge.quantity) AS quantity, unit, sum(charge.amount) AS amount, currency
FROM late_charges AS charge
WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({account:String} = '' OR account = {account:String})
GROUP BY tenant, account, period_start, statement_start, meter, kind, unit, currency
ORDER BY tenant, account, period_start, statement_start, meter, kind, unit, currency
"""


class Completeness(Question, frozen=True):
    """How many intervals of each billing period that begins in `[start, end)` have usage, and which times have none.

    `interval_us` is how long an interval is; 0 takes for each meter and period how long most of its records are. A row
    for each account, meter and period; `missing` names ranges as RFC 3339 instants with a slash between.
    """

    tenant: str = ""
    account: str = ""
    interval_us: int = 0
    start: int = ALWAYS[0]
    end: int = ALWAYS[1]

    sql: ClassVar[str] = """
WITH
    intDiv(2 * span_us + length_us - 1, 2 * length_us) AS expected,
    arrayMap(gap -> intDiv(2 * (gap.2 - gap.1) + length_us - 1, 2 * length_us), gaps) AS counts
SELECT tenant, account, meter, period_start, period_end, closed, intDiv(length_us, 1000000) AS interval_s, expected,
    expected - arraySum(counts) AS present,
    arrayMap(
        gap -> concat(
            formatDateTime(fromUnixTimestamp64Micro(gap.1, 'UTC'), '%Y-%m-%dT%H:%i:%SZ', 'UTC'), '/',
            formatDateTime(fromUnixTimestamp64Micro(gap.2, 'UTC'), '%Y-%m-%dT%H:%i:%SZ', 'UTC')),
        arrayFilter((gap, missed) -> missed > 0, gaps, counts)) AS missing
FROM
(
    SELECT *, if({interval_us:Int64} = 0, interval_us, {interval_us:Int64}) AS length_us
    FROM usage_coverage
    WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({account:String} = '' OR account = {account:String})
        AND toUnixTimestamp64Micro(period_start) >= {start:Int64}
        AND toUnixTimestamp64Micro(period_start) < {end:Int64} AND interval_us > 0
)
ORDER BY tenant, account, meter, period_start
"""
