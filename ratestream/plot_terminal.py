"""Plots on the terminal: bars and lines by plotext, weeks and months as shades of one character.

No colours: a plot reads the same in a pipe, in a file and on any background.
"""

from importlib.util import find_spec
from textwrap import fill

import typer

from ratestream.report_charts import Bars, Chart, Heat, Lines
from ratestream.screen import WIDTH, printable

SHADES = " ░▒▓█"
_TICKS = 4
_HEIGHT = 18
_LABEL = 36
_UNKNOWN = "·"
_MARKERS = "●○■□▲△◆◇"


def plot(chart: Chart) -> str:
    """The chart in lines of 80 columns. Raises typer.BadParameter where plotext is missing."""
    if isinstance(chart, Heat):
        return _heat(chart)
    if find_spec("plotext") is None:
        raise typer.BadParameter("plotext is not installed: pip install 'ratestream[plots]'", param_hint="--plot")
    return _bars(chart) if isinstance(chart, Bars) else _lines(chart)


def _bars(chart: Bars) -> str:
    from plotext import figure  # type: ignore[import-untyped] # it has no types

    count = len(chart.labels)
    least, most = min(0.0, *chart.values), max(0.0, *chart.values)
    figure.clear()
    figure.plot_size(WIDTH, 2 * count + 5)  # a line for each bar, one between, and what is around them
    figure.theme("colorless")
    places = [*range(count, 0, -1)]
    figure.draw(figure.bar(places, chart.values, orientation="horizontal", width=0.1))
    figure.ruler("y").ticks(places, [_short(label) for label in chart.labels])
    figure.ruler("y").lim(0.5, count + 0.5)
    figure.ruler("x").lim(least, most if most > least else 1.0)
    ticks = [least + (most - least) * step / _TICKS for step in range(_TICKS + 1)]
    figure.ruler("x").ticks(ticks, [f"{tick:,.4g}" if abs(tick) < 1000 else f"{tick:,.0f}" for tick in ticks])
    figure.title(printable(f"{chart.title}, {chart.unit}"))
    return _built(figure.build().string(True))


def _lines(chart: Lines) -> str:
    from plotext import figure

    figure.clear()
    figure.plot_size(WIDTH, _HEIGHT)
    figure.theme("colorless")
    seconds = [time.timestamp() for time in chart.times]
    several = len(chart.series) > 1
    for marker, values in zip(_MARKERS, chart.series.values(), strict=False):
        figure.draw(figure.signal(seconds, values, marker=marker if several else "hd").lines())
    values = [value for line in chart.series.values() for value in line]
    figure.ruler("y").lim(min(0.0, *values), max(0.0, *values) or 1.0)
    named = [round(place * (len(seconds) - 1) / _TICKS) for place in range(_TICKS + 1)]
    figure.ruler("x").ticks([seconds[place] for place in named], [chart.names[place] for place in named])
    figure.title(printable(f"{chart.title}, {chart.unit} ({chart.zone})"))
    legend = "  ".join(f"{marker} {_short(name)}" for marker, name in zip(_MARKERS, chart.series, strict=False))
    return _built(figure.build().string(True) + ("\n" + fill(legend, WIDTH) if several else ""))


def _heat(chart: Heat) -> str:
    """A row of shades for each row; what is darker is more."""
    known = [value for row in chart.values for value in row if value is not None]
    most = max(known, default=0.0)
    side = max(len(_short(name)) for name in chart.rows) + 1
    width = max(1, min(4, (WIDTH - side) // len(chart.columns)))
    shown = (WIDTH - side) // width  # the last ones, where there are more
    lines = [fill(printable(f"{chart.title}, {chart.unit}"), WIDTH), _head(chart.columns[-shown:], side, width)]
    for name, values in zip(chart.rows, chart.values, strict=True):
        shades = "".join(_shade(value, most) * width for value in values[-shown:])
        lines.append(f"{_short(name):<{side}}{shades}")
    scale = [f"{shade * 2} {most * step / (len(SHADES) - 1):.3g}" for step, shade in enumerate(SHADES) if step]
    unknown = [f"{_UNKNOWN * 2} none"] * any(value is None for row in chart.values for value in row)
    return _built("\n".join([*lines, " " * side + "  ".join([*scale, *unknown])]))


def _shade(value: float | None, most: float) -> str:
    if value is None:
        return _UNKNOWN
    return SHADES[max(1, round(value / most * (len(SHADES) - 1)))] if value > 0 else SHADES[0]


def _head(columns: list[str], side: int, width: int) -> str:
    """The names of columns, as many as there is room for."""
    line = " " * side
    for place, name in enumerate(columns):
        if side + place * width >= len(line) and side + place * width + len(name) <= WIDTH:
            line = f"{line:<{side + place * width}}{name} "
    return line


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…"


def _built(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
