"""Charts of reports: what there is to draw, whatever draws it.

Here exact figures become the floats that drawing needs. Nothing is worked out from them.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple, assert_never

import pyarrow as pa

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
    TopReport,
)
from ratestream.report_figures import (
    WEEKDAYS,
    Row,
    grouped,
    local_date,
    local_dates,
    part_name,
    step_name,
    zone_of,
)
from ratestream.report_tables import owner
from schemas.zone import zone_named
from sinks.reports.dimensions import Step

MOST_SERIES = 8
"""Lines that a reader can tell apart; the smaller ones of more are drawn as one, "others"."""


class Bars(NamedTuple):
    """A bar for each label; the first one on top."""

    title: str
    unit: str
    labels: list[str]
    values: list[float]


class Lines(NamedTuple):
    """A line for each name over the same times, local in the zone; `names` tell those times."""

    title: str
    unit: str
    zone: str
    times: list[datetime]
    names: list[str]
    series: dict[str, list[float]]


class Heat(NamedTuple):
    """A shade for each row and column; None is nothing known."""

    title: str
    unit: str
    columns: list[str]
    rows: list[str]
    values: list[list[float | None]]


Chart = Bars | Lines | Heat


def charts_of(report: Report, table: pa.Table) -> list[Chart]:
    """What is to draw of an answer; nothing of those that are all texts."""
    rows, zone = table.to_pylist(), zone_of(table)
    match report:
        case RevenueReport():
            return _revenue(report, rows, zone)
        case ProfileReport():
            return _profile(report, rows, zone)
        case CompletenessReport():
            return _completeness(rows)
        case BillReport() | TopReport() | MoversReport() | LateReport() | RejectedReport():
            return [*_ranked(report, rows, zone)]
        case StatementReport() | LineReport() | RecordReport():
            return []
        case _:
            assert_never(report)


def _ranked(
    report: BillReport | TopReport | MoversReport | LateReport | RejectedReport, rows: Sequence[Row], zone: str
) -> Iterator[Bars]:
    """Bars of amounts, those of each currency by themselves."""
    match report:
        case BillReport():
            for (start, end, currency), found in grouped(rows, "period_start", "period_end", "currency"):
                title = f"Running bill of {report.account}, {local_dates(start, end, zone)}"
                yield _bars(title, currency, map(part_name, found), found)
        case TopReport():
            for (currency,), found in grouped(rows, "currency"):
                yield _bars(f"Top accounts{_of(report.period)}", currency, _owners(found, rows), found)
        case MoversReport():
            for (currency,), found in grouped(rows, "currency"):
                title = f"Change of revenue in {report.period}"
                yield _bars(title, currency, _owners(found, rows), found, "change")
        case LateReport():
            for (account, currency), found in grouped(rows, "account", "currency"):
                yield _bars(f"Late usage and corrections of {account}", currency, map(_late_name, found), found)
        case RejectedReport():
            yield _bars("Rejected usage", "records", (row["reason"] for row in rows), rows, "rejections")
        case _:
            assert_never(report)


def _owners(rows: Sequence[Row], among: Sequence[Row]) -> list[str]:
    return [owner(row, among) for row in rows]


def _bars(title: str, unit: str, labels: Iterable[str], rows: Sequence[Row], value: str = "amount") -> Bars:
    return Bars(title, unit, [*labels], [float(row[value]) for row in rows])


def _late_name(row: Row) -> str:
    return f"{local_date(row['period_start'], row['zone'])} {row['meter']}, {row['kind']}"


def _revenue(report: RevenueReport, rows: Sequence[Row], zone: str) -> list[Chart]:
    charts: list[Chart] = []
    for currency in sorted({row["currency"] for row in rows}):
        own = [row for row in rows if row["currency"] == currency]
        times = _with_nothing(sorted({row["time"] for row in own}), report.step)
        places = {time: place for place, time in enumerate(times)}
        series: dict[str, list[float]] = {}
        for row in own:
            name = ", ".join(str(row[by]) for by in report.by) or "revenue"
            series.setdefault(name, [0.0] * len(times))[places[row["time"]]] += float(row["amount"])
        names = [step_name(time, report.step, zone) for time in times]
        local = [time.astimezone(zone_named(zone)) for time in times]
        title = f"Revenue{_of(report.period)} by {report.step}"
        charts.append(Lines(title, currency, zone, local, names, _fewer(series)))
    return charts


_LENGTHS = {Step.HOUR: 1 / 24, Step.DAY: 1, Step.WEEK: 7, Step.MONTH: 30.5, Step.YEAR: 365.25}
"""About how many days the steps have."""


def _with_nothing(times: Sequence[datetime], step: Step) -> list[datetime]:
    """The times, and the first and last step of each gap between them: nothing was charged there."""
    days = timedelta(days=_LENGTHS[step])
    found = [*times[:1]]
    for before, after in pairwise(times):
        if after - before > 1.6 * days:
            found += [before + days, after - days]
        found.append(after)
    return found


def _fewer(series: dict[str, list[float]]) -> dict[str, list[float]]:
    """The largest ones, and the sum of the others."""
    by_size = sorted(series, key=lambda name: -sum(map(abs, series[name])))
    if len(by_size) <= MOST_SERIES:
        return {name: series[name] for name in by_size}
    rest = [series[name] for name in by_size[MOST_SERIES - 1 :]]
    return {name: series[name] for name in by_size[: MOST_SERIES - 1]} | {
        "others": [*map(sum, zip(*rest, strict=True))]
    }


def _profile(report: ProfileReport, rows: Sequence[Row], zone: str) -> list[Chart]:
    hours = [f"{hour:02}" for hour in range(24)]
    return [
        Heat(
            f"{meter} of {report.account} by hour of the week{_of(report.period)} ({zone})",
            f"mean {unit} an hour",
            hours,
            [*WEEKDAYS],
            [[_mean(row) for row in week[24 * day : 24 * day + 24]] for day in range(7)],
        )
        for (meter, unit), week in grouped(rows, "meter", "unit")
    ]


def _mean(row: Row) -> float | None:
    return float(row["quantity"]) / row["hours"] if row["hours"] else None


def _completeness(rows: Sequence[Row]) -> list[Chart]:
    """Meters by periods, the latest ones."""
    columns = sorted({local_date(row["period_start"], row["zone"]) for row in rows})
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["expected"]:
            name = f"{owner(row, rows)} {row['meter']}"
            date = local_date(row["period_start"], row["zone"])
            found.setdefault(name, {})[date] = 100 * row["present"] / row["expected"]
    values = [[by_date.get(date) for date in columns] for by_date in found.values()]
    return [Heat("Intervals with usage, by period", "%", columns, [*found], values)] if found else []


def _of(period: str) -> str:
    return f" of {period}" if period else ""
