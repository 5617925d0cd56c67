"""How quickly ClickHouse answers what analysts ask: 20 million charges of 100,000 accounts in 13 months, embedded.

    python -m tests.bench.questions [--charges 20000000] [--accounts 100000] [--directory DIR]

The charges are made inside the engine, in the order of time, eight inserts a month; statements follow from them for
all months but the last. Closed months are then merged to one part each, which the engine does by itself when nothing
has come for an hour (min_age_to_force_merge_seconds); the open month stays as it was inserted. Bills and statements
are those of random accounts, one after another on a warm engine: the time of the query, without starting a process.
CPU is that of all threads, and tells more than seconds do on a machine that has other work.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

from schemas.instants import to_us
from sinks import queries
from sinks.clickhouse import ClickHouse
from sinks.queries import Readable
from sinks.reports.bills import RunningBill, StatementRows
from sinks.reports.dimensions import By, Step
from sinks.reports.lineage import Lineage, StatementsOfRecord
from sinks.reports.question import Question, ask
from sinks.reports.rejections import RejectedByReason
from sinks.reports.revenue import Movers, Revenue, TierRevenue, TopAccounts
from sinks.reports.usage import Completeness, HourProfile, LateUsage

MONTHS = 13
INSERTS = 8
BUSY = 1_000
"""So many accounts have a quarter of all charges, as sites with readings every few minutes do."""
WARMING, ASKED, REPEATED = 20, 200, 4
SEED = 20250101

_MONTH = """
    toDateTime64(addMonths(toDateTime64('2025-01-01 00:00:00', 6, 'UTC'), {month:UInt32}), 6, 'UTC') AS begin,
    toDateTime64(addMonths(begin, 1), 6, 'UTC') AS finish,
"""

CHARGES = f"""
INSERT INTO charges WITH {_MONTH}
    sipHash64(number, {{month:UInt32}}) AS dice,
    dice % if(number % 4 = 0, {{busy:UInt64}}, {{accounts:UInt64}}) AS who,
    concat('account-', leftPad(toString(who), 6, '0')) AS owner,
    if(number % 16 < 10, 0, number % 16 - 9) % 4 + 1 AS place,
    addSeconds(begin, toInt64(intDiv(number * dateDiff('second', begin, finish), {{all:UInt64}}))) AS began,
    toDecimal128(1 + intDiv(dice, 7) % 5000000, 0) / 1000000 AS used,
    toDecimal128(0.2, 12) * place AS price,
    toDecimal128(used, 6) * toDecimal128(price, 12) AS cost,
    intDiv(dice, 11) % 4 AS nth
SELECT lower(hex(sipHash128(number, {{month:UInt32}}))), 'usage', 'default', owner, 'meter',
    concat('reading-', toString({{month:UInt32}}), '-', toString(number)),
    ['electricity', 'gas', 'water', 'api'][place], ['kWh', 'm3', 'm3', 'call'][place], began, addSeconds(began, 1800),
    begin, finish, begin, finish,
    toDecimal128(number % 1000, 6), toDecimal128(used, 6), [if(place = 1, ['peak', 'off-peak'][nth % 2 + 1], '')],
    [toUInt32(1 + intDiv(nth, 2))], [toDecimal128(price, 12)], [toDecimal128(used, 6)], [cost], [''], [''],
    [toDecimal128(0, 18)], cost, 'EUR', ['power', 'heat', 'supply', 'cloud'][place], '2025', toDecimal128(1, 18), ''
FROM numbers({{first:UInt64}}, {{count:UInt64}})
"""

LINES = f"""
INSERT INTO statement_lines (statement_id, tenant, account, statement_start, revision, number, line, kind, period_start,
    period_end, tariff, version, meter, band, tier, unit_price, quantity, unit, exact, amount, gross, due)
WITH {_MONTH} 1 AS one
SELECT concat('default/', account, '/', formatDateTime(begin, '%Y-%m'), '/1'), 'default', account, begin, 1, 0,
    row_number() OVER (PARTITION BY account ORDER BY meter, band, tier), 'usage', begin, finish, tariff, version, meter,
    band, tier, unit_price, sum(part.quantity), unit, sum(part.amount) AS exact, round(exact, 2) AS amount, amount,
    amount
FROM charge_parts AS part
WHERE statement_start = begin
GROUP BY account, tariff, version, meter, unit, band, tier, unit_price
"""

TAXES = f"""
INSERT INTO taxes (statement_id, tenant, account, statement_start, revision, number, line, tariff, version, name,
    percent, base, amount)
WITH {_MONTH} 1 AS one
SELECT any(statement_id), 'default', account, begin, 1, 0, 1, 'power', '2025', 'VAT', '20', sum(line.amount),
    round(sum(line.amount) / 5, 2)
FROM statement_lines AS line
WHERE statement_start = begin
GROUP BY account
"""

STATEMENTS = f"""
INSERT INTO statements (statement_id, tenant, account, period_start, period_end, zone, currency, revision, number,
    complete, exact, net, tax, total, usage_records, charges, usage_digest, charges_digest, kind, due)
WITH {_MONTH} 1 AS one
SELECT any(statement_id), 'default', account, begin, finish, 'UTC', 'EUR', 1, 0, true, sum(line.exact),
    sum(line.amount) AS net, round(net / 5, 2) AS tax, net + tax, 1, 1, repeat('0', 64), repeat('0', 64), 'statement',
    net + tax
FROM statement_lines AS line
WHERE statement_start = begin
GROUP BY account
"""


def main() -> None:
    """Fill, measure and print; the figures are of this machine at this moment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charges", type=int, default=20_000_000)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--directory", type=Path, help="keep the database here, and use it again")
    wanted = parser.parse_args()
    folder = wanted.directory or Path(tempfile.mkdtemp(prefix="ratestream-bench-"))
    try:
        with ClickHouse(f"chdb://{folder.absolute()}/clickhouse", timeout_s=900) as sink:
            if sink.migrate() or not _count(sink, "charges"):
                fill(sink, wanted.charges, wanted.accounts)
            measure(sink, wanted.accounts)
    finally:
        if wanted.directory is None:
            shutil.rmtree(folder)


def fill(sink: ClickHouse, charges: int, accounts: int) -> None:
    """Charges of all months, and statements of all but the last, whose parts are merged."""
    monthly = charges // MONTHS
    for month in range(MONTHS):
        for insert in range(INSERTS):
            first = monthly * insert // INSERTS
            parameters = {"first": first, "count": monthly * (insert + 1) // INSERTS - first, "all": monthly}
            sink.execute(CHARGES, {**parameters, "month": month, "busy": BUSY, "accounts": accounts})
        if month < MONTHS - 1:
            for statement in (LINES, TAXES, STATEMENTS):
                sink.execute(statement, {"month": month})
            for table in ("charges", "statement_lines", "taxes", "statements"):
                sink.execute(f"OPTIMIZE TABLE {table} PARTITION {202501 + month} FINAL")
        print(f"filled month {month + 1} of {MONTHS}", file=sys.stderr)


def measure(sink: ClickHouse, accounts: int) -> None:
    """A line for each question, after one about what there is."""
    _tell_parts(sink)
    print(f"\n{'question':44} {'p50 ms':>8} {'p95 ms':>8} {'CPU ms':>8}")
    dice = random.Random(SEED)
    names = [f"account-{dice.randrange(accounts):06}" for _ in range(ASKED)]
    busy = [f"account-{dice.randrange(BUSY):06}" for _ in range(ASKED)]
    june, july, august = (_instant(sink, month) for month in (5, 6, 7))
    for kind, chosen in (("", names), (", busy account", busy)):
        _report(f"bill{kind}", [_asking(sink, RunningBill("default", name)) for name in chosen])
        _report(f"statement{kind}", [_stating(sink, name, june) for name in chosen])
        _report(f"statement as rows{kind}", [_asking(sink, StatementRows("default", name, june)) for name in chosen])
    questions: dict[str, Question] = {
        "revenue by hour, 13 months": Revenue(),
        "revenue by hour, one month": Revenue(start=june, end=july),
        "revenue by month, tariff, meter": Revenue(step=Step.MONTH, by=(By.TARIFF, By.METER)),
        "revenue by month, tier": TierRevenue(step=Step.MONTH, by=(By.TIER,)),
        "top 10 accounts, 13 months": TopAccounts(10),
        "top 10 accounts, one month": TopAccounts(10, start=june, end=july),
        "10 biggest movers, one month": Movers(10, june, july, august),
        "hours of the week, busy account": HourProfile("Europe/London", "default", busy[0]),
        "completeness, busy account": Completeness("default", busy[0]),
        "lineage of a statement, busy account": Lineage("default", busy[0], june),
        "statements of a usage record": StatementsOfRecord("default", "", "reading-5-4711"),
        "late usage, all accounts": LateUsage(),
        "rejected by reason": RejectedByReason(),
    }
    for name, question in questions.items():
        _report(name, [_asking(sink, question)] * REPEATED)


def _tell_parts(sink: Readable) -> None:
    found = sink.query_arrow(
        "SELECT table, count() AS parts, sum(rows) AS rows, sum(bytes_on_disk) AS bytes, "
        "countIf(partition = '202601') AS open_parts FROM system.parts WHERE active AND database = currentDatabase() "
        "AND table IN ('charges', 'statements', 'statement_lines', 'taxes') GROUP BY table ORDER BY table"
    )
    version = sink.query_arrow("SELECT version() AS version")["version"][0]
    print(f"ClickHouse {version}, embedded; the open month is 2026-01")
    for row in found.to_pylist():
        parts = f"{row['parts']} parts, {row['open_parts']} of them of the open month"
        print(f"{row['table']:16} {row['rows']:>12,} rows, {row['bytes'] / 1e6:7,.0f} MB, {parts}")


def _asking(sink: Readable, question: Question) -> Callable[[], object]:
    return lambda: ask(sink, question)


def _stating(sink: Readable, account: str, start: int) -> Callable[[], object]:
    return lambda: queries.statement(sink, "default", account, start)


def _report(name: str, asked: list[Callable[[], object]]) -> None:
    for one in asked[: min(WARMING, len(asked) // 4)]:
        one()
    taken, before = [], time.process_time()
    for one in asked:
        began = time.perf_counter()
        one()
        taken.append((time.perf_counter() - began) * 1000)
    cpu = (time.process_time() - before) * 1000 / len(asked)
    cuts = quantiles(taken, n=20, method="inclusive")
    print(f"{name:44} {cuts[9]:8.1f} {cuts[18]:8.1f} {cpu:8.1f}", flush=True)


def _instant(sink: Readable, month: int) -> int:
    found = sink.query_arrow(
        "SELECT addMonths(toDateTime64('2025-01-01 00:00:00', 6, 'UTC'), {month:UInt32}) AS begin", {"month": month}
    )
    return to_us(found["begin"][0].as_py())


def _count(sink: Readable, table: str) -> int:
    rows: int = sink.query_arrow(f"SELECT count() AS rows FROM {table}")["rows"][0].as_py()
    return rows


if __name__ == "__main__":
    main()
