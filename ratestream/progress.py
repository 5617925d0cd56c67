"""Progress: how far a run has come, on standard error: a bar on a terminal, plain lines now and then elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from ratestream.screen import printable

if TYPE_CHECKING:
    from rich.progress import Progress

_INTERVAL_S = 5.0


class Report(Protocol):
    """Hears how far a run has come."""

    def advance(self, path: Path, bytes_done: int, records: int, seconds: float) -> None:
        """`bytes_done` of all files and `records` of this run took `seconds` of work; `path` is being read."""

    def say(self, text: str) -> None:
        """Something that happened."""


@contextmanager
def reporting(total_bytes: int) -> Iterator[Report]:
    """A report for files of so many bytes in all; 0 where nobody knows how many will come."""
    if not sys.stderr.isatty():
        yield _Lines(total_bytes)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    screen = Console(stderr=True, markup=False, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen, transient=True) as progress:
        yield _Bar(progress, total_bytes)


class _Bar:
    def __init__(self, progress: "Progress", total_bytes: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total_bytes or None, rate="")

    def advance(self, path: Path, bytes_done: int, records: int, seconds: float) -> None:
        rate = f"{_rate(records, seconds)} records/s"
        self._progress.update(self._task, description=printable(path.name), completed=bytes_done, rate=rate)

    def say(self, text: str) -> None:
        self._progress.console.print(printable(text))


class _Lines:
    def __init__(self, total_bytes: int) -> None:
        self._total = total_bytes
        self._told = monotonic()

    def advance(self, path: Path, bytes_done: int, records: int, seconds: float) -> None:
        if monotonic() - self._told < _INTERVAL_S:
            return
        self._told = monotonic()
        share = bytes_done / self._total if self._total else 0
        left = f", {share:.0%} read, {seconds * (1 - share) / share:.0f} s left" if share else ""
        self.say(f"{path.name}: {records:,} records at {_rate(records, seconds)} records/s{left}")

    def say(self, text: str) -> None:
        print(printable(text), file=sys.stderr, flush=True)


def _rate(records: int, seconds: float) -> str:
    return f"{records / max(seconds, 0.001):,.0f}"
