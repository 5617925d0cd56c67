"""Revenue: what was charged, by time, tariff, meter, tier, tenant; the largest accounts; those that changed most.

A charge counts at the time of its usage, and a fee where the period begins that it is for.
"""

from typing import ClassVar

from sinks.reports.dimensions import By, Step
from sinks.reports.question import ALWAYS, Question

IN_TIME = """usage_start >= fromUnixTimestamp64Micro(greatest({start:Int64}, -2208988800000000), 'UTC')
        AND usage_start < fromUnixTimestamp64Micro(least({end:Int64}, 10413792000000000), 'UTC')
        AND ({tenant:String} = '' OR tenant = {tenant:String})"""
"""From 1900 until 2300, which is what the engine's instants hold."""

_REVENUE = """
SELECT toTimeZone(toDateTime64(step, 6, {zone:String}), 'UTC') AS time, of_tenant AS tenant, of_tariff AS tariff,
    of_meter AS meter, of_band AS band, of_tier AS tier, currency, amount, charges
FROM
(
    SELECT dateTrunc({step:String}, usage_start, {zone:String}) AS step,
        if(has({by:Array(String)}, 'tenant'), tenant, '') AS of_tenant,
        if(has({by:Array(String)}, 'tariff'), tariff, '') AS of_tariff,
        if(has({by:Array(String)}, 'meter'), meter, '') AS of_meter,
"""


class Revenue(Question, frozen=True):
    """Revenue in `[start, end)` by hour (or another step) of the zone, and by tenant, tariff and meter where `by` says.

    The columns band and tier are there, and empty.
    """

    zone: str = "UTC"
    step: Step = Step.HOUR
    by: tuple[By, ...] = ()
    tenant: str = ""
    start: int = ALWAYS[0]
    end: int = ALWAYS[1]

    sql: ClassVar[str] = f"""{_REVENUE}
        '' AS of_band, 0 AS of_tier, currency, sum(charge.amount) AS amount, count() AS charges
    FROM charges AS charge FINAL
    WHERE {IN_TIME}
    GROUP BY step, of_tenant, of_tariff, of_meter, currency
)
ORDER BY time, tenant, tariff, meter, currency
"""


class TierRevenue(Revenue, frozen=True):
    """The same also by band and tier; a charge counts in each of its tiers."""

    sql: ClassVar[str] = f"""{_REVENUE}
        if(has({{by:Array(String)}}, 'band'), band, '') AS of_band,
        if(has({{by:Array(String)}}, 'tier'), tier, 0) AS of_tier,
        currency, sum(part.amount) AS amount, count() AS charges
    FROM charge_parts AS part
    WHERE {IN_TIME}
    GROUP BY step, of_tenant, of_tariff, of_meter, of_band, of_tier, currency
)
ORDER BY time, tenant, tariff, meter, band, tier, currency
"""


class TopAccounts(Question, frozen=True):
    """The accounts with the largest revenue in `[start, end)`, so many of each currency."""

    limit: int
    tenant: str = ""
    start: int = ALWAYS[0]
    end: int = ALWAYS[1]

    sql: ClassVar[str] = f"""
SELECT tenant, account, currency, amount, charges
FROM
(
    SELECT tenant, account, currency, sum(charge.amount) AS amount, count() AS charges
    FROM charges AS charge FINAL
    WHERE {IN_TIME}
    GROUP BY tenant, account, currency
)
ORDER BY currency, amount DESC, tenant, account
LIMIT {{limit:UInt64}} BY currency
"""  # noqa: S608 - our own words


class Movers(Question, frozen=True):
    """The accounts whose revenue in `[middle, end)` differs most from that in `[start, middle)`, so many of a currency.

    `before` and `after` are the revenues of the two, `change` is `after` less `before`.
    """

    limit: int
    start: int
    middle: int
    end: int
    tenant: str = ""

    sql: ClassVar[str] = f"""
SELECT tenant, account, currency, before, after, change
FROM
(
    SELECT tenant, account, currency,
        sumIf(charge.amount, usage_start < fromUnixTimestamp64Micro({{middle:Int64}}, 'UTC')) AS before,
        sumIf(charge.amount, usage_start >= fromUnixTimestamp64Micro({{middle:Int64}}, 'UTC')) AS after,
        after - before AS change
    FROM charges AS charge FINAL
    WHERE {IN_TIME}
    GROUP BY tenant, account, currency
)
WHERE change != 0
ORDER BY currency, abs(change) DESC, tenant, account
LIMIT {{limit:UInt64}} BY currency
"""  # noqa: S608 - our own words
