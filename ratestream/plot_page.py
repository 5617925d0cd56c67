"""Plots as a page: one HTML file by plotly that needs no network, light on a screen and on paper."""

from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

from ratestream.report_charts import Bars, Chart, Heat, Lines

_FONT = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"
_INK, _GRID = "#1f2933", "#e4e7eb"
_COLOURS = ["#0b6e99", "#d97706", "#2f855a", "#9f3a6b", "#5a67d8", "#8a6d3b", "#64748b", "#b8c0cc"]

_ALLOWED = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""What a browser lets the page do: nothing with the network."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{allowed}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0 auto; padding: 1.5rem; max-width: 70rem; background: #fff; color: {ink}; font-family: {font}; }}
h1 {{ font-size: 1.3rem; font-weight: 600; margin: 0 0 .25rem; }}
p {{ margin: 0 0 1rem; color: #52606d; font-size: .9rem; }}
section {{ margin-bottom: 2rem; break-inside: avoid; }}
@media print {{ body {{ padding: 0; max-width: none; }} }}
</style>
</head>
<body>
{sections}
</body>
</html>
"""


def write_page(charts: list[Chart], file: Path) -> None:
    """Write the charts as one page. Raises typer.BadParameter where plotly is missing."""
    if find_spec("plotly") is None:
        raise typer.BadParameter("plotly is not installed: pip install 'ratestream[plots]'", param_hint="--html")
    sections = "\n".join(_section(chart, with_library=place == 0) for place, chart in enumerate(charts))
    file.write_text(
        _PAGE.format(title=escape(charts[0].title), sections=sections, allowed=_ALLOWED, ink=_INK, font=_FONT),
        encoding="utf-8",
    )


def _section(chart: Chart, *, with_library: bool) -> str:
    from plotly.io import to_html  # type: ignore[import-untyped] # it has no types

    zone = f", times in {chart.zone}" if isinstance(chart, Lines) else ""
    drawn = to_html(
        _figure(chart),
        full_html=False,
        include_plotlyjs=with_library,
        config={"displayModeBar": False, "responsive": True},
    )
    return f"<section>\n<h1>{escape(chart.title)}</h1>\n<p>{escape(chart.unit + zone)}</p>\n{drawn}\n</section>"


def _figure(chart: Chart) -> Any:  # noqa: ANN401 - plotly has no types
    from plotly.graph_objects import Figure  # type: ignore[import-untyped]

    match chart:
        case Bars():
            figure = Figure(_bars(chart))
            figure.update_layout(height=140 + 28 * len(chart.labels))
            figure.update_yaxes(autorange="reversed", type="category", ticksuffix=" ")
            figure.update_xaxes(title_text=escape(chart.unit), gridcolor=_GRID, zerolinecolor="#9aa5b1")
        case Lines():
            figure = Figure(_lines(chart))
            figure.update_layout(height=440, legend={"orientation": "h", "y": -0.18})
            figure.update_yaxes(title_text=escape(chart.unit), rangemode="tozero", gridcolor=_GRID)
            figure.update_xaxes(title_text=escape(chart.zone), gridcolor=_GRID)
        case _:
            figure = Figure(_heat(chart))
            figure.update_layout(height=140 + 36 * len(chart.rows))
            figure.update_yaxes(autorange="reversed", type="category", ticksuffix=" ")
            figure.update_xaxes(type="category", side="top")
    figure.update_layout(
        template="plotly_white",
        font={"family": _FONT, "size": 13, "color": _INK},
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        colorway=_COLOURS,
        hoverlabel={"font_family": _FONT},
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


def _bars(chart: Bars) -> Any:  # noqa: ANN401
    from plotly.graph_objects import Bar

    colours = [_COLOURS[0] if value >= 0 else _COLOURS[1] for value in chart.values]
    return Bar(
        x=chart.values,
        y=[*map(escape, chart.labels)],
        orientation="h",
        marker_color=colours,
        hovertemplate="%{y}: %{x} " + escape(chart.unit) + "<extra></extra>",
    )


def _lines(chart: Lines) -> list[Any]:
    from plotly.graph_objects import Scatter

    return [
        Scatter(
            x=[time.replace(tzinfo=None) for time in chart.times],  # plotly draws wall clocks
            y=values,
            name=escape(name),
            customdata=chart.names,
            mode="lines" if len(chart.times) > 60 else "lines+markers",
            hovertemplate="%{customdata}: %{y} " + escape(chart.unit),
        )
        for name, values in chart.series.items()
    ]


def _heat(chart: Heat) -> Any:  # noqa: ANN401
    from plotly.graph_objects import Heatmap

    return Heatmap(
        z=chart.values,
        x=chart.columns,
        y=[*map(escape, chart.rows)],
        colorscale=[[0, "#f7fbff"], [0.35, "#9ecae1"], [0.7, "#2b7bba"], [1, "#08306b"]],
        zmin=0.0,
        zmax=max((value for row in chart.values for value in row if value is not None), default=1.0) or 1.0,
        xgap=1,
        ygap=1,
        hoverongaps=False,
        colorbar={"title": {"text": escape(chart.unit), "side": "right"}, "thickness": 14},
        hovertemplate="%{y} %{x}: %{z:.4g} " + escape(chart.unit) + "<extra></extra>",
    )
