"""Tables of reports for a reader: within 80 columns, figures exact, times local."""

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.reports import (
    BillReport,
    CompletenessReport,
    LateReport,
    LineReport,
    MoversReport,
    ProfileReport,
    RecordReport,
    RejectedReport,
    RevenueReport,
    Tabular,
    TopReport,
)
from ratestream.charges import short_id
from ratestream.report_figures import (
    WEEKDAYS,
    Row,
    amount,
    grouped,
    length,
    local_date,
    local_dates,
    part_name,
    percent,
    position,
    rounded,
    step_name,
    total,
    zone_of,
)
from ratestream.screen import WIDTH, cells, decimal, grid, moment, printable, show
from schemas.instants import to_us

_SHOWN_RANGES = 3
"""Missing ranges that are named for each meter and period; the other formats have all."""

_ANY_WIDTH = 1_000_000


def print_report(report: Tabular, table: pa.Table) -> None:
    """The answer of a report that has rows."""
    rows, zone = table.to_pylist(), zone_of(table)
    match report:
        case BillReport():
            _print_bill(report, rows, zone)
        case RevenueReport():
            _print_revenue(report, rows, zone)
        case TopReport():
            _print_top(report, rows, zone)
        case MoversReport():
            _print_movers(report, rows, zone)
        case ProfileReport():
            _print_profile(report, rows, zone)
        case LineReport() | RecordReport():
            _print_lineage(rows, zone)
        case LateReport():
            _print_late(rows)
        case RejectedReport():
            _print_rejected(rows)
        case CompletenessReport():
            _print_completeness(rows)
        case _:
            assert_never(report)


def _print_bill(report: BillReport, rows: Sequence[Row], zone: str) -> None:
    for (start, end, currency), parts in grouped(rows, "period_start", "period_end", "currency"):
        _title(f"Running bill of {report.account}, {local_dates(start, end, zone)} ({zone}), not final")
        table = grid(("", "left"), ("charges", "right"), ("quantity", "right"), ("unit", "left"), (currency, "right"))
        for row in parts:
            units = (decimal(row["quantity"]), row["unit"]) if row["quantity"] or not row["amount"] else ("", "")
            table.add_row(*cells(part_name(row), str(row["charges"]), *units, amount(row["amount"], currency)))
        exact = total(parts)
        table.add_section()
        table.add_row(*cells("Exact, before fees and tax", "", "", "", amount(exact, currency)))
        table.add_row(*cells("Rounded", "", "", "", rounded(exact, currency)), style="bold")
        show(table)
        show()


def _print_revenue(report: RevenueReport, rows: Sequence[Row], zone: str) -> None:
    _title(f"Revenue{_of(report.period)} by {', '.join((report.step, *report.by))} ({zone}), exact, before tax")
    named = tuple((str(name), "left") for name in report.by)
    table = grid((report.step, "left"), *named, ("charges", "right"), ("amount", "right"), ("", "left"))  # type: ignore[arg-type]
    for row in rows:
        currency = row["currency"]
        by = (str(row[name] or "") for name in report.by)
        paid = (str(row["charges"]), amount(row["amount"], currency), currency)
        table.add_row(*cells(step_name(row["time"], report.step, zone), *by, *paid))
    table.add_section()
    for currency in sorted({row["currency"] for row in rows}):
        paid = ("", amount(total([row for row in rows if row["currency"] == currency]), currency), currency)
        table.add_row(*cells("in all", *("" for _ in report.by), *paid), style="bold")
    show(table)


def _print_top(report: TopReport, rows: Sequence[Row], zone: str) -> None:
    for (currency,), accounts in grouped(rows, "currency"):
        _title(f"Top accounts{_of(report.period)} ({zone}), exact, before tax")
        table = grid(("", "right"), ("account", "left"), ("charges", "right"), (currency, "right"))
        for place, row in enumerate(accounts, 1):
            paid = amount(row["amount"], currency)
            table.add_row(*cells(str(place), owner(row, rows), str(row["charges"]), paid))
        show(table)
        show()


def _print_movers(report: MoversReport, rows: Sequence[Row], zone: str) -> None:
    for (currency,), accounts in grouped(rows, "currency"):
        _title(f"Biggest movers of {report.period} ({zone}), {currency}, exact, before tax")
        table = grid(
            ("account", "left"), ("before", "right"), (report.period, "right"), ("change", "right"), ("%", "right")
        )
        for row in accounts:
            paid = (amount(row[name], currency) for name in ("before", "after", "change"))
            table.add_row(*cells(owner(row, rows), *paid, percent(row["change"], row["before"])))
        show(table)
        show()


def owner(row: Row, rows: Sequence[Row]) -> str:
    """The account of a row, with its tenant where the rows are of several."""
    account: str = row["account"]
    return f"{row['tenant']}/{account}" if any(other["tenant"] != row["tenant"] for other in rows) else account


def _print_profile(report: ProfileReport, rows: Sequence[Row], zone: str) -> None:
    for (meter, unit), week in grouped(rows, "meter", "unit"):
        _title(f"{meter} of {report.account} by hour of the week{_of(report.period)} ({zone}), {unit}")
        table = grid(("hour", "right"), *((day, "right") for day in WEEKDAYS))
        for hour in range(24):
            table.add_row(*cells(f"{hour:02}", *(decimal(week[24 * day + hour]["quantity"]) for day in range(7))))
        show(table if Console(width=_ANY_WIDTH).measure(table).maximum <= WIDTH else _week_in_rows(week))
        if week[0]["longest_s"] > 3600:
            show(f"Records are up to {length(week[0]['longest_s'])} long. Each counts in the hour in which it begins.")
        show()


def _week_in_rows(week: Sequence[Row]) -> Table:
    table = grid(("day", "left"), ("hour", "right"), ("quantity", "right"), ("hours with usage", "right"))
    for row in week:
        day = WEEKDAYS[row["weekday"] - 1]
        table.add_row(*cells(day, f"{row['hour']:02}", decimal(row["quantity"]), str(row["hours"])))
    return table


def _print_lineage(rows: Sequence[Row], zone: str) -> None:
    for (statement, line, exact), parts in grouped(rows, "statement_id", "line", "line_exact"):
        currency = parts[0]["currency"]
        _title(f"{_line_name(statement, line)} ({zone})")
        table = grid(
            ("charge", "left"), ("usage record", "left"), ("from", "left"), ("quantity", "right"), (currency, "right")
        )
        places = any(row["partition"] is not None for row in parts)
        if places:
            table.add_column(Text("on usage"), overflow="fold")
        for row in parts:
            told = (short_id(row["charge_id"]), row["usage_id"] or f"({row['kind']})")
            when = moment(to_us(row["usage_start"]), zone)
            paid = (decimal(row["quantity"]), amount(row["amount"], currency))
            table.add_row(*cells(*told, when, *paid, *([position(row)] * places)))
        table.add_section()
        table.add_row(
            *cells(
                "in all",
                "1 part of a charge" if len(parts) == 1 else f"{len(parts)} parts of charges",
                "",
                "",
                amount(total(parts), currency),
            )
        )
        if exact is not None:
            table.add_row(*cells("the line", "", "", "", amount(exact, currency)), style="bold")
        show(table)
        show()


def _line_name(statement: str | None, line: int | None) -> str:
    if line is not None:
        return f"Line {line} of statement {statement}"
    return f"In no line of statement {statement} by itself" if statement else "On no statement yet"


def _print_late(rows: Sequence[Row]) -> None:
    for (_, _, zone), found in grouped(rows, "tenant", "account", "zone"):
        _title(f"Late usage and corrections of {owner(found[0], rows)} ({zone})")
        table = grid(
            ("used in", "left"),
            ("billed in", "left"),
            ("", "left"),
            ("charges", "right"),
            ("quantity", "right"),
            ("unit", "left"),
            ("amount", "right"),
            ("", "left"),
        )
        for row in found:
            periods = (local_date(row[name], zone) for name in ("period_start", "statement_start"))
            paid = (amount(row["amount"], row["currency"]), row["currency"])
            counts = (str(row["charges"]), decimal(row["quantity"]), row["unit"])
            table.add_row(*cells(*periods, f"{row['meter']}, {row['kind']}", *counts, *paid))
        show(table)
        show()


def _print_rejected(rows: Sequence[Row]) -> None:
    table = grid(("reason", "left"), ("rejected", "right"), ("%", "right"), ("first", "left"))
    for row in rows:
        table.add_row(*cells(row["reason"], f"{row['rejections']:,}", decimal(row["percent"]), row["first_at"]))
    show(table)
    show()
    for row in rows:
        show(Text(f"{row['reason']}: {printable(row['example'])}", style="dim"))


def _print_completeness(rows: Sequence[Row]) -> None:
    for (_, _, zone), found in grouped(rows, "tenant", "account", "zone"):
        _title(f"Completeness of {owner(found[0], rows)} ({zone})")
        table = grid(
            ("meter", "left"),
            ("period", "left"),
            ("every", "right"),
            ("expected", "right"),
            ("present", "right"),
            ("%", "right"),
        )
        for row in found:
            period = local_dates(row["period_start"], row["period_end"], zone)
            counts = (str(row["expected"]), str(row["present"]), percent(row["present"], row["expected"]))
            table.add_row(
                *cells(row["meter"], f"{period}{'' if row['closed'] else ', open'}", length(row["interval_s"]), *counts)
            )
        show(table)
        for row in found:
            _print_missing(row, zone)
        show()


def _print_missing(row: Row, zone: str) -> None:
    ranges = [[to_us(datetime.fromisoformat(end)) for end in text.split("/")] for text in row["missing"]]
    told = [" to ".join(moment(us, zone) for us in ends) for ends in ranges[:_SHOWN_RANGES]]
    if len(ranges) > _SHOWN_RANGES:
        told.append(f"and {len(ranges) - _SHOWN_RANGES:,} more ranges (--format json has all)")
    if told:
        show(Text(f"{printable(row['meter'])} misses {'; '.join(told)}", style="dim"))


def _of(period: str) -> str:
    return f" of {period}" if period else ""


def _title(text: str) -> None:
    show(Text(printable(text), style="bold"))
