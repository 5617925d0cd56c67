"""Report: the commands that ask the questions of analysts, and show, write or draw the answer.

The answer is that of a data directory (--data), or of the ClickHouse that RATESTREAM_CLICKHOUSE names.
"""

from pathlib import Path
from typing import Annotated

import typer

from agents import settings
from ratestream.options import AccountArgument, GrossOption, TenantOption
from ratestream.report_answers import Shape, Way, tell, tell_statement
from sinks.reports.dimensions import By, Step

report_app = typer.Typer(
    no_args_is_help=True,
    help="What analysts ask: bills, revenue, usage and where it came from, as tables, files and plots.",
)


_DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar=settings.DATA,
        metavar="DIR",
        file_okay=False,
        help=f"The data directory; without it the ClickHouse of {settings.CLICKHOUSE}.",
    ),
]
_FormatOption = Annotated[
    Shape, typer.Option("--format", help="For a reader, as JSON lines, as CSV, or as a Parquet file (with --out).")
]
_OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", dir_okay=False, help="The Parquet file: NAME.parquet.")
]
_PlotOption = Annotated[bool, typer.Option("--plot", help="Draw it on the terminal.")]
_HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", dir_okay=False, help="Draw it as a page that needs no network."),
]
_PeriodOption = Annotated[
    str, typer.Option("--period", metavar="NAME", help="The billing period by its name: 2024-05, 2024-Q2.")
]
_TimeOption = Annotated[
    str,
    typer.Option("--period", metavar="NAME", help="When it was used: 2016, 2016-Q3, 2016-07, 2016-W27, 2016-07-04."),
]
_LimitOption = Annotated[int, typer.Option(min=1, help="How many of each currency.")]
_AllTenants = Annotated[str, typer.Option(envvar=settings.TENANT, help="Only this tenant's.", show_default=False)]
_AllAccounts = Annotated[str, typer.Argument(metavar="[ACCOUNT]")]


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfoNotFoundError

    from schemas.zone import zone_named

    try:
        return zone_named(name).key if name else ""
    except (ZoneInfoNotFoundError, ValueError):
        raise typer.BadParameter(f"{name!r} is no time zone. Write Europe/London, or UTC+05:30.") from None


_ZoneOption = Annotated[str, typer.Option(callback=_zone, metavar="ZONE", help="Whose clocks and calendar days count.")]


@report_app.command()
def bill(
    account: AccountArgument,
    data: _DataOption = None,
    tenant: TenantOption = "default",
    shape: _FormatOption = Shape.TABLE,
    out: _OutOption = None,
    plot: _PlotOption = False,
    html: _HtmlOption = None,
) -> None:
    """What the open periods of an account come to so far: by meter, band and tier."""
    from agents.reports import BillReport

    tell(BillReport(tenant, account), data, Way(shape, out, plot, html))


@report_app.command()
def statement(
    account: AccountArgument,
    data: _DataOption = None,
    period: _PeriodOption = "",
    tenant: TenantOption = "default",
    shape: _FormatOption = Shape.TABLE,
    out: _OutOption = None,
    gross: GrossOption = False,
) -> None:
    """A statement of an account, of a period or the latest; as CSV or Parquet its lines, taxes and settlements."""
    from agents.reports import StatementReport

    tell_statement(StatementReport(tenant, account, period), data, Way(shape, out), gross=gross)


@report_app.command()
def revenue(  # noqa: PLR0913 - the options of the command
    data: _DataOption = None,
    step: Annotated[Step, typer.Option(help="The step of time.")] = Step.MONTH,
    by: Annotated[list[By] | None, typer.Option(help="And by this; may be given several times.")] = None,
    period: _TimeOption = "",
    zone: _ZoneOption = "UTC",
    tenant: _AllTenants = "",
    shape: _FormatOption = Shape.TABLE,
    out: _OutOption = None,
    plot: _PlotOption = False,
    html: _HtmlOption = None,
) -> None:
    """What was charged, by time, and by tenant, tariff, meter, band or tier."""
    from agents.reports import RevenueReport

    tell(RevenueReport(step, tuple(dict.fromkeys(by or ())), tenant, zone, period), data, Way(shape, out, plot, html))


@report_app.command()
def top(  # noqa: PLR0913 - the options of the command
    data: _DataOption = None,
    limit: _LimitOption = 10,
    period: _TimeOption = "",
    zone: _ZoneOption = "UTC",
    tenant: _AllTenants = "",
    shape: _FormatOption = Shape.TABLE,
    out: _OutOption = None,
    plot: _PlotOption = False,
    html: _HtmlOption = None,
) -> None:
    """The accounts with the largest revenue, of all time or of a period."""
    from agents.reports import TopReport

    tell(TopReport(limit, tenant, zone, period), data, Way(shape, out, plot, html))


@report_app.command()
def movers(  # noqa: PLR0913 - the options of the command
    period: Annotated[str, typer.Option("--period", metavar="NAME", help="2016, 2016-Q3, 2016-07, 2016-W27.")],
    data: _DataOption = None,
    limit: _LimitOption = 10,
    zone: _ZoneOption = "UTC",
    tenant: _AllTenants = "",
    shape: _FormatOption = Shape.TABLE,
    out: _OutOption = None,
    plot: _PlotOption = False,
    html: _HtmlOption = None,
) -> None:
    """The accounts whose revenue of a period differs most from that of the one before."""
    from agents.reports import MoversReport

    tell(MoversReport(limit, tenant, zone, period), data, Way(shape, out, plot, html))


@report_app.command()
def profile(  # noqa: PLR0913 - the options of the command
    account: AccountArgument,
    data: _DataOption = None,
    meter: Annotated[str, typer.Option(help="Only this meter.", show_default=False)] = "",
    period: _PeriodOption = "",
    zone: Annotated[str, typer.Option(callback=_zone, metavar="ZONE", help="Another than the account's.")] = "",
    tenant: TenantOption = "default",
    shape: _FormatOption = Shape.TABLE,
    out: _OutOption = None,
    plot: _PlotOption = False,
    html: _HtmlOption = None,
) -> None:
    """What an account uses by hour of the week, in its own zone or another."""
    from agents.reports import ProfileReport

    tell(ProfileReport(tenant, account, meter, zone, period), data, Way(shape, out, plot, html))


@report_app.command()
def lineage(  # noqa: PLR0913 - the options of the command
    account: _AllAccounts = "",
    data: _DataOption = None,
    period: _PeriodOption = "",
    line: Annotated[int, typer.Option(min=0, help="Only this line of the statement; 0 is all.")] = 0,
    record: Annotated[str, typer.Option(metavar="ID", help="The usage record that this is about instead.")] = "",
    source: Annotated[str, typer.Option(help="The source of that record.", show_default=False)] = "",
    tenant: TenantOption = "default",
    shape: _FormatOption = Shape.TABLE,
    out: _OutOption = None,
) -> None:
    """Which charges and usage records are behind a statement's lines; with --record, what a record was charged."""
    from agents.reports import LineReport, RecordReport

    if bool(record) == bool(account) or bool(account) != bool(period):
        raise typer.BadParameter("Name an ACCOUNT with --period NAME, or --record ID.")
    about = RecordReport(tenant, source, record) if record else LineReport(tenant, account, period, line)
    tell(about, data, Way(shape, out))


@report_app.command()
def late(
    account: _AllAccounts = "",
    data: _DataOption = None,
    tenant: _AllTenants = "",
    shape: _FormatOption = Shape.TABLE,
    out: _OutOption = None,
    plot: _PlotOption = False,
    html: _HtmlOption = None,
) -> None:
    """Usage that came after its period had closed, and corrections."""
    from agents.reports import LateReport

    tell(LateReport(tenant, account), data, Way(shape, out, plot, html))


@report_app.command()
def rejected(
    data: _DataOption = None,
    shape: _FormatOption = Shape.TABLE,
    out: _OutOption = None,
    plot: _PlotOption = False,
    html: _HtmlOption = None,
) -> None:
    """How much was rejected for which reason, with an example of each."""
    from agents.reports import RejectedReport

    tell(RejectedReport(), data, Way(shape, out, plot, html))


@report_app.command()
def completeness(  # noqa: PLR0913 - the options of the command
    account: _AllAccounts = "",
    data: _DataOption = None,
    period: _PeriodOption = "",
    interval: Annotated[
        int, typer.Option(min=0, metavar="SECONDS", help="How long they are; 0 is what most records last.")
    ] = 0,
    tenant: _AllTenants = "",
    shape: _FormatOption = Shape.TABLE,
    out: _OutOption = None,
    plot: _PlotOption = False,
    html: _HtmlOption = None,
) -> None:
    """Which intervals of usage are there, and which are missing, by meter and billing period."""
    from agents.reports import CompletenessReport

    if period and not account:
        raise typer.BadParameter("Periods are an account's: name an ACCOUNT with --period.")
    tell(CompletenessReport(tenant, account, period, interval), data, Way(shape, out, plot, html))
