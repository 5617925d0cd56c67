"""Reporting: what a report is asked with (an account, the name of a period, a zone) becomes a question of the sink.

It is the same for the ClickHouse of a data directory (answers.py) and for one that the stream fills: what periods are
called, and in which zone an account lives, is in the accounts' documents, which the sink has, too. An answer is a list
of encoded tables (sinks/columns). Their metadata name the zone in which their instants are to be shown.
"""

from typing import assert_never

import pyarrow as pa

from agents.errors import NoAnswerError
from agents.reports import (
    BillReport,
    CompletenessReport,
    LateReport,
    LineReport,
    MoversReport,
    ProfileReport,
    RecordReport,
    RejectedReport,
    Report,
    RevenueReport,
    StatementReport,
    Tabular,
    TopReport,
)
from pipeline.calendar import Calendar, zone_of
from schemas.account import Account, Cycle
from schemas.codecs import json_bytes
from schemas.instants import SECOND_US, to_us
from schemas.zone import zone_named
from sinks import queries
from sinks.columns import encode_table
from sinks.queries import Readable
from sinks.reports.accounts import AccountDocuments
from sinks.reports.bills import RunningBill, StatementRows
from sinks.reports.dimensions import By
from sinks.reports.lineage import Lineage, StatementsOfRecord
from sinks.reports.question import ALWAYS, ask, engine_zone
from sinks.reports.rejections import RejectedByReason
from sinks.reports.revenue import Movers, Revenue, TierRevenue, TopAccounts
from sinks.reports.usage import Completeness, HourProfile, LateUsage

_ZONE = "zone"
_FEW = 100
"""Names that a question may carry; of more accounts, all documents are read."""

_UNITS = ("year", "quarter", "month", "week", "day")


def answer_report(sink: Readable, report: Report) -> list[bytes]:
    """The answer. Raises NoAnswerError where there is no such account, period or record, or sinks.errors.SinkError."""
    if isinstance(report, StatementReport):
        return _statement(sink, report)
    return [encode_table(_table(sink, report))]


def _table(sink: Readable, report: Tabular) -> pa.Table:  # noqa: PLR0911 - one return for each report
    match report:
        case RevenueReport() | TopReport() | MoversReport():
            return _told(_revenue(sink, report), zone=report.zone)
        case BillReport():
            calendar = _calendar(sink, report.tenant, report.account)
            return _told(ask(sink, RunningBill(report.tenant, report.account)), zone=calendar.zone.key)
        case ProfileReport():
            return _profile(sink, report)
        case LineReport():
            return _lines(sink, report)
        case RecordReport():
            return _record(sink, report)
        case LateReport():
            return _with_zones(sink, ask(sink, LateUsage(report.tenant, report.account)))
        case RejectedReport():
            return ask(sink, RejectedByReason())
        case CompletenessReport():
            return _completeness(sink, report)
        case _:
            assert_never(report)


def _revenue(sink: Readable, report: RevenueReport | TopReport | MoversReport) -> pa.Table:
    before, start, end = _span(report.period, report.zone)
    if isinstance(report, TopReport):
        return ask(sink, TopAccounts(report.limit, report.tenant, start, end))
    if isinstance(report, MoversReport):
        return ask(sink, Movers(report.limit, before, start, end, report.tenant))
    kind = TierRevenue if {By.BAND, By.TIER} & {*report.by} else Revenue
    found = ask(sink, kind(engine_zone(report.zone), report.step, report.by, report.tenant, start, end))
    return found.select([name for name in found.column_names if name not in {*By} - {*report.by}])


def _statement(sink: Readable, report: StatementReport) -> list[bytes]:
    tenant, account = report.tenant, report.account
    calendar = _calendar(sink, tenant, account)
    start = _latest(sink, tenant, account) if not report.period else _period(calendar, account, report.period)[0]
    found = queries.statement(sink, tenant, account, start)
    if found is None:
        raise _no_statement(account, calendar.name(start))
    return [json_bytes(found), encode_table(ask(sink, StatementRows(tenant, account, start, found.number)))]


def _profile(sink: Readable, report: ProfileReport) -> pa.Table:
    calendar = _calendar(sink, report.tenant, report.account)
    zone = report.zone or calendar.zone.key
    span = _period(calendar, report.account, report.period) if report.period else ALWAYS
    found = ask(sink, HourProfile(engine_zone(zone), report.tenant, report.account, report.meter, *span))
    return _told(found, zone=zone)


def _lines(sink: Readable, report: LineReport) -> pa.Table:
    calendar = _calendar(sink, report.tenant, report.account)
    start = _period(calendar, report.account, report.period)[0]
    found = ask(sink, Lineage(report.tenant, report.account, start, report.line))
    if not found.num_rows and report.line:
        raise NoAnswerError(
            f"the statement of {report.period} of account {report.account} has no line {report.line} with charges. "
            f"Its lines: ratestream report statement {report.account} --period {report.period} --format csv"
        )
    return _told(found, zone=calendar.zone.key)


def _record(sink: Readable, report: RecordReport) -> pa.Table:
    found = ask(sink, StatementsOfRecord(report.tenant, report.source, report.usage_id)).to_pylist()
    if not found:
        raise NoAnswerError(
            f"no charge names the usage record {report.usage_id!r} of tenant {report.tenant!r}. What was rejected: "
            "ratestream rejected list"
        )
    tables = [
        ask(
            sink,
            Lineage(
                report.tenant,
                row["account"],
                to_us(row["statement_start"]),
                source=row["source"],
                usage_id=report.usage_id,
            ),
        )
        for row in found
    ]
    return _told(pa.concat_tables(tables), zone=_calendar(sink, report.tenant, found[0]["account"]).zone.key)


def _completeness(sink: Readable, report: CompletenessReport) -> pa.Table:
    span = ALWAYS
    if report.period:
        calendar = _calendar(sink, report.tenant, report.account)
        start, end = _period(calendar, report.account, report.period)
        span = (start, end)
    question = Completeness(report.tenant, report.account, report.interval_s * SECOND_US, *span)
    return _with_zones(sink, ask(sink, question))


def _span(period: str, zone: str) -> tuple[int, int, int]:
    """Where the period before begins, where the named one begins, and where it ends; without a name all time."""
    if not period:
        return ALWAYS[0], ALWAYS[0], ALWAYS[1]
    for unit in _UNITS:
        calendar = Calendar(zone_named(zone), cycle=Cycle(unit=unit))
        try:
            start, end = calendar.period_named(period)
        except ValueError:
            continue
        return calendar.period(start - 1)[0], start, end
    raise NoAnswerError(f"{period!r} is no period. Write 2016, 2016-Q3, 2016-07, 2016-W27 or 2016-07-04")


def _calendar(sink: Readable, tenant: str, account: str) -> Calendar:
    found = _accounts(sink, tenant, (account,))
    if not found:
        raise NoAnswerError(f"no account {account!r} of tenant {tenant!r}")
    return _calendar_of(found[0])


def _calendar_of(account: Account) -> Calendar:
    return Calendar(zone_of(account), account.billing_day, account.cycle)


def _accounts(sink: Readable, tenant: str, names: tuple[str, ...]) -> list[Account]:
    found = ask(sink, AccountDocuments(names, tenant))
    return [Account.model_validate_json(document) for document in found["document"].to_pylist()]


def _period(calendar: Calendar, account: str, name: str) -> tuple[int, int]:
    try:
        return calendar.period_named(name)
    except ValueError as error:
        raise NoAnswerError(f"account {account}: {error}") from None


def _latest(sink: Readable, tenant: str, account: str) -> int:
    heads = queries.statement_heads(sink, tenant=tenant, account=account)
    if not heads.num_rows:
        raise NoAnswerError(
            f"account {account} has no statement yet. Its running bill: ratestream report bill {account}"
        )
    return to_us(heads["period_start"][-1].as_py())


def _no_statement(account: str, name: str) -> NoAnswerError:
    return NoAnswerError(f"account {account} has no statement of {name}: the period is open, or not its own")


def _told(table: pa.Table, *, zone: str) -> pa.Table:
    return table.replace_schema_metadata({_ZONE: zone})


def _with_zones(sink: Readable, table: pa.Table) -> pa.Table:
    """The table with a column more: in which zone the account of each row lives, "UTC" where that is not known."""
    keys = [*zip(table["tenant"].to_pylist(), table["account"].to_pylist(), strict=True)]
    names = tuple(sorted({account for _, account in keys}))
    few = names if len(names) <= _FEW else ()
    zones = {(one.tenant, one.account): _calendar_of(one).zone.key for one in _accounts(sink, "", few)}
    return table.append_column(_ZONE, pa.array([zones.get(key, "UTC") for key in keys], pa.string()))
