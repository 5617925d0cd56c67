"""Reconciled: what a reconciliation has found, for a reader, as JSON lines or CSV, and as metrics."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from rich.text import Text

from agents.reconciling.legs import SIDES, Compared, Leg, Report, advice
from ratestream.options import Output
from ratestream.rows import write_csv, write_json
from ratestream.screen import cells, grid, printable, show
from schemas.fixed_point import to_text
from sinks.reconciliation.differences import Difference, Kind
from sinks.reconciliation.shapes import SUM_SCALE, Group

_SHOWN_DECIMALS = 6
_GROUP = ("tenant", "account", "meter", "period")
_DIFFERENCE = ("leg", "kind", *_GROUP, "name", "places", "told", "advice")


def write(report: Report, output: Output) -> None:
    """All of it on standard output. CSV has the differences alone."""
    if output is Output.CSV:
        write_csv(_DIFFERENCE, _differences(report))
    elif output is Output.JSON:
        write_json(_legs(report))
        write_json({"what": "difference", **row} for row in _differences(report))
        write_json([_verdict(report)])
    else:
        _print(report)


def line(report: Report) -> str:
    """The verdict on one line, with when it was."""
    at = datetime.fromtimestamp(report.began_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return f"{at} {verdict(report)}"


def verdict(report: Report) -> str:
    """What came of it, as a sentence.

    >>> verdict(Report(0.0))
    'CLEAN: 0 usage records, 0 charges, 0 statements (0.0 s)'
    """
    rows = {leg.leg: leg.due.rows for leg in report.legs}
    counts = ", ".join(
        f"{rows.get(leg, 0):,} {noun}"
        for leg, noun in ((Leg.USAGE, "usage records"), (Leg.CHARGES, "charges"), (Leg.STATEMENTS, "statements"))
    )
    way = f"; {report.on_the_way:,} still on the way" if report.on_the_way else ""
    took = f"({report.took_s:.1f} s)"
    if report.is_clean:
        return f"CLEAN: {counts}{way} {took}"
    wrong = ", ".join(f"{leg.leg} {_count(leg)}" for leg in report.legs if not leg.is_clean)
    return f"NOT CLEAN: differences in {wrong}{way} {took}"


def _count(leg: Compared) -> str:
    count = len(leg.differences) + leg.left_out
    return f"{count:,}{' or more' if leg.left_out else ''}"


def _print(report: Report) -> None:
    table = grid(
        ("What is due, and what there is", "left"),
        ("Groups", "right"),
        ("Rows", "right"),
        ("Sum", "right"),
        ("Differ", "right"),
    )
    for leg in report.legs:
        if leg.leg is Leg.BULK and leg.is_clean and not leg.groups:
            continue
        due, found = SIDES[leg.leg]
        table.add_row(*cells(due, f"{leg.groups:,}", f"{leg.due.rows:,}", _sum(leg.due.amount, leg.leg), ""))
        last = cells(f"  {found}", "", f"{leg.found.rows:,}", _sum(leg.found.amount, leg.leg), _count(leg))
        table.add_row(*last, style="" if leg.is_clean else "bold")
    show(table)
    show()
    for text in _facts(report):
        show(Text(text))
    for leg in report.legs:
        _print_differences(leg)
    show()
    show(Text(verdict(report), style="bold"))


def _sum(amount: int, leg: Leg) -> str:
    """A sum with its first decimals; rejections and identities have none."""
    if leg in {Leg.RATED, Leg.REJECTED, Leg.BULK}:
        return ""
    whole, point, decimals = to_text(amount, SUM_SCALE).partition(".")
    return f"{int(whole):,}{point}{decimals[:_SHOWN_DECIMALS]}{'…' if len(decimals) > _SHOWN_DECIMALS else ''}"


def _facts(report: Report) -> Iterator[str]:
    received = report.received
    yield (
        f"Received {received.records + report.undecodable:,} = accepted {received.accepted:,} "
        f"+ duplicates {received.duplicates:,} + rejected {received.rejected + report.undecodable:,}"
    )
    if report.only_archived:
        yield f"{report.only_archived:,} usage records are in the archive alone: the topic no longer holds them"
    for table, held in report.held.items():
        again = held.rows - held.shown
        if again:
            share = 100 * again / held.rows
            yield f"{table}: {again:,} of {held.rows:,} rows on disk ({share:.2f} %) are there twice and not merged yet"


def _print_differences(leg: Compared) -> None:
    group: Group | None = None
    for one in leg.differences:
        if one.group != group:
            group = one.group
            show()
            show(Text(printable(f"{leg.leg}: {', '.join(filter(None, group))}"), style="bold"))
        show(Text(printable(f"  {one.kind} {one.name}{': ' if one.told else ''}{one.told}")))
        for place in one.places:
            show(Text(printable(f"    {place}"), style="dim"))
    for kind in dict.fromkeys(one.kind for one in leg.differences):
        show(Text(f"  {kind}: {advice(leg.leg, kind)}"))
    if leg.left_out:
        show(Text(f"  and {leg.left_out:,} more in {leg.leg}, at least; --limit gives more, --format json all"))


def _legs(report: Report) -> Iterator[dict[str, object]]:
    for leg in report.legs:
        due, found = SIDES[leg.leg]
        yield {
            "what": "leg",
            "leg": leg.leg,
            "groups": leg.groups,
            "due": {"of": due, "rows": leg.due.rows, "sum": to_text(leg.due.amount, SUM_SCALE)},
            "found": {"of": found, "rows": leg.found.rows, "sum": to_text(leg.found.amount, SUM_SCALE)},
            "hashes": [f"{leg.due.hashes:032x}", f"{leg.found.hashes:032x}"],
            "on_the_way": leg.on_the_way,
            "differences": len(leg.differences) + leg.left_out,
        }


def _differences(report: Report) -> Iterator[dict[str, object]]:
    for leg in report.legs:
        for one in leg.differences:
            yield _difference(leg.leg, one)


def _difference(leg: Leg, one: Difference) -> dict[str, object]:
    return {
        "leg": leg,
        "kind": one.kind,
        **dict(zip(_GROUP, one.group, strict=True)),
        "name": one.name,
        "places": list(one.places),
        "told": one.told,
        "advice": advice(leg, one.kind),
    }


def _verdict(report: Report) -> dict[str, object]:
    return {
        "what": "verdict",
        "clean": report.is_clean,
        "differences": report.differences,
        "on_the_way": report.on_the_way,
        "received": report.received._asdict() | {"undecodable": report.undecodable},
        "only_archived": report.only_archived,
        "repeated_rows": {table: held.rows - held.shown for table, held in report.held.items()},
        "took_s": round(report.took_s, 3),
    }


def metrics_text(report: Report) -> str:
    """The report in Prometheus's text format, for node_exporter's textfile collector.

    The format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
    """
    counts: list[Sample] = [
        ({"leg": leg.leg, "kind": kind}, sum(one.kind is kind for one in leg.differences))
        for leg in report.legs
        for kind in Kind
    ]
    families: list[tuple[str, str, list[Sample]]] = [
        ("differences", "Rows that differ, by leg and kind.", counts),
        ("left_out", "Differences that were not named, at least.", _by_leg(report, lambda leg: leg.left_out)),
        ("on_the_way", "Rows that had not arrived yet.", _by_leg(report, lambda leg: leg.on_the_way)),
        ("rows", "Rows that are due.", _by_leg(report, lambda leg: leg.due.rows)),
        (
            "repeated_rows",
            "Rows that are there twice and not merged yet.",
            [({"table": table}, held.rows - held.shown) for table, held in report.held.items()],
        ),
        ("last_run_timestamp_seconds", "When the last reconciliation began.", [({}, report.began_s)]),
        ("duration_seconds", "How long it took.", [({}, report.took_s)]),
        ("ok", "1 where nothing differs, 0 otherwise.", [({}, int(report.is_clean))]),
    ]
    return "".join(_family(f"ratestream_reconcile_{name}", told, samples) for name, told, samples in families)


Sample = tuple[Mapping[str, str], float]
"""The labels of a figure, and the figure."""


def _by_leg(report: Report, figure: Callable[[Compared], int]) -> list[Sample]:
    return [({"leg": leg.leg}, figure(leg)) for leg in report.legs]


def _family(name: str, told: str, samples: list[Sample]) -> str:
    lines = [f"# HELP {name} {told}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        said = ",".join(f'{label}="{text}"' for label, text in labels.items())
        lines.append(f"{name}{{{said}}} {value}" if said else f"{name} {value}")
    return "\n".join(lines) + "\n"
