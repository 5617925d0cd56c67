"""Reconciling: the command that compares usage, charges, statements and ClickHouse, once or again and again."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents import settings
from ratestream.failures import WRONG_MONEY
from ratestream.options import Output, OutputOption

if TYPE_CHECKING:
    from agents.reconciling.course import Wanted
    from agents.reconciling.legs import Report

_TOLD = 10


def reconcile(
    period: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Of charges and statements, only the billing periods that begin then: 2026-10, 2026-Q4, 2026-10-31.",
            show_default=False,
        ),
    ] = "",
    tenant: Annotated[str, typer.Option(envvar=settings.TENANT, help="Only this tenant's.", show_default=False)] = "",
    account: Annotated[str, typer.Option(help="Only this account.", show_default=False)] = "",
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many groups of each leg, and rows of each group, are named; 10, or all in JSON and CSV."
        ),
    ] = None,
    watch: Annotated[
        int | None,
        typer.Option(min=1, metavar="SECONDS", help="Again after so many seconds, with one line each time."),
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write metrics for Prometheus here.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Compare what was used, charged, stated and stored, topic by topic and table by table, and name what differs.

    It reads the topics (RATESTREAM_BROKERS) and the tables (RATESTREAM_CLICKHOUSE) by itself and writes to neither, so
    it may run beside workers and sink. Exit code 0 where all agrees, 70 where something differs.
    """
    from agents.reconciling.course import Wanted
    from agents.reconciling.periods import Period
    from ratestream.reconciled import line, write
    from sinks.reconciliation.stored import Selection

    if period:
        try:
            Period(period, {})
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--period") from error
    told = limit or (_TOLD if output is Output.TABLE else None)
    once = _reconciler(Wanted(Selection(tenant, account), period, told))
    if watch is not None:
        raise typer.Exit(_watch(once, watch, metrics, lambda report: print(line(report), flush=True)))
    report = once()
    _keep(report, metrics)
    write(report, output)
    raise typer.Exit(0 if report.is_clean else WRONG_MONEY)


def _reconciler(wanted: "Wanted") -> Callable[[], "Report"]:
    from agents.reconciling.course import Course
    from agents.reconciling.reading import Source
    from agents.reconciling.records import Schemas
    from agents.stream import topics
    from agents.stream.registry import schema_registry
    from ratestream.stream import open_stream
    from schemas.codecs.confluent import NO_REGISTRY
    from sinks.clickhouse import ClickHouse

    dsn = settings.stored_in(os.environ)
    registry = schema_registry(os.environ)

    def once() -> "Report":
        stream = open_stream()
        source = Source(stream.connection, stream.topics, topics.check(stream.connection))
        with ClickHouse(dsn, timeout_s=_PATIENCE_S) as clickhouse:
            clickhouse.check()
            schemas = NO_REGISTRY if registry is None else Schemas(registry)
            return Course(source, clickhouse, wanted, schemas).run()

    return once


_PATIENCE_S = 3_600
"""A sum over all charges may take so long."""


def _watch(once: Callable[[], "Report"], every_s: int, metrics: Path | None, tell: Callable[["Report"], None]) -> int:
    """Reconciles until a signal comes; the exit code of the last time."""
    from agents.errors import AgentError
    from ratestream.stopping import noting_signals
    from sinks.errors import SinkError

    stopped = threading.Event()
    code = 0
    with noting_signals(lambda _: stopped.set()):
        while not stopped.is_set():
            try:
                report = once()
            except (AgentError, SinkError) as error:  # the metrics grow old, which is an alarm of its own
                print(f"trouble: {error}", file=sys.stderr, flush=True)
                code = 1
            else:
                _keep(report, metrics)
                tell(report)
                code = 0 if report.is_clean else WRONG_MONEY
            stopped.wait(every_s)
    return code


def _keep(report: "Report", metrics: Path | None) -> None:
    if metrics is None:
        return
    from ratestream.reconciled import metrics_text

    new = metrics.with_name(f"{metrics.name}.new")
    new.write_text(metrics_text(report), encoding="utf-8")
    new.replace(metrics)
