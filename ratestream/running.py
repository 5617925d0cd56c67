"""Running: one `ratestream run`, from its files to its summary.

Between two batches it answers the questions of others, and looks whether it has been told to stop. Stopping finishes
the batch in hand, so there is nothing to repair; the same command goes on from there.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from agents.answers import answer
from agents.books import Books, open_books
from agents.errors import SettingError
from agents.intake_log import Tally
from agents.local import FileResult, LocalRunner, Progress
from agents.owner import Owner
from pipeline.bill import MoneyError
from pipeline.terms import RatedPast
from ratestream.progress import Report, reporting
from ratestream.stopping import noting_signals
from ratestream.usage_files import Watch
from schemas.catalogue import Catalogue
from schemas.files import NO_MAPPING, ColumnMapping
from schemas.instants import to_iso, to_us

_LOOK_S = 1.0
_CLOSE_S = 3600.0
_SHOWN = 20


class NoReferenceError(SettingError):
    """Neither the command nor the data directory has tariffs and accounts."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to run: files into the directory, then what appears in `watch`. None of `catalogue` means the stored one."""

    data: Path
    files: list[Path]
    catalogue: Catalogue | None
    watch: Path | None = None
    mapping: ColumnMapping = NO_MAPPING
    again: bool = False
    clickhouse_dsn: str = ""


@dataclass(slots=True)
class Summary:
    """What a run came to. `tally` is of the files that had something new, and of what was closed besides.

    `records` were read now, in `seconds` of work, `before` of the same files by earlier runs; `known` files had
    nothing new. `stopped` is the exit code of the signal that stopped it, or 0.
    """

    data: Path
    tally: Tally = field(default_factory=Tally)
    files: int = 0
    known: int = 0
    records: int = 0
    before: int = 0
    seconds: float = 0
    stopped: int = 0


def now_us() -> int:
    """The clock, in microseconds since 1970."""
    return to_us(datetime.now(UTC))


def run(order: Order) -> Summary:
    """Rate the usage. Raises what agents, sinks and the pipeline raise, and OSError for a file that cannot be read."""
    began = monotonic()
    with (
        open_books(order.data, order.clickhouse_dsn) as books,
        _signals() as stop,  # before anybody can know of this run
        closing(Owner(books.directory)) as owner,
        reporting(0 if order.watch else _size(order.files)) as report,
    ):
        summary = _Run(order, books, owner, stop, report).go(began)
    if not summary.tally.adds_up:
        raise MoneyError(
            f"{order.data}: of {summary.tally.received} records received, {summary.tally.accepted} are accepted, "
            f"{summary.tally.duplicates} duplicates and {summary.tally.rejected} rejected, which is not all of them. "
            "Stop, keep the data directory, and report this."
        )
    return summary


class _Stop:
    """Which signal asked to stop, as the exit code it makes; 0 for none."""

    code = 0


class _Run:
    """The parts of one run, and how far it has come."""

    def __init__(self, order: Order, books: Books, owner: Owner, stop: _Stop, report: Report) -> None:
        self._order, self._books, self._owner, self._stop, self._report = order, books, owner, stop, report
        self._summary = Summary(books.directory.path)
        self._bytes_done = self._records_done = 0
        self._idle_s = 0.0
        plans = books.reference.plans() if order.catalogue is None else books.reference.adopt(order.catalogue, now_us())
        if order.catalogue is not None:
            _tell_behind(books.reference.behind(), report)
        if not plans.accounts():
            raise NoReferenceError(f"{order.data} holds no accounts yet. Name them: --tariffs PATH --accounts PATH")
        self._runner = LocalRunner(
            books.directory,
            books.reference,
            plans,
            books.projection,
            between=self._between,
            progress=self._progress,
        )

    def go(self, began: float) -> Summary:
        """Read the files, then watch; the summary, with ClickHouse up to date, of the time since `began`."""
        self._began = began
        summary = self._summary
        if self._order.watch is not None:
            summary.tally.add(self._runner.close_silent(now_us()))
        for file in self._order.files:
            if self._stop.code:
                break
            self._read(file)
        if self._order.watch is not None:
            self._runner.project()
            self._watch(self._order.watch)
        if not self._stop.code:
            summary.tally.add(self._runner.close_silent(now_us()))
        self._runner.project()
        summary.stopped = self._stop.code
        summary.seconds = self._worked_s()
        return summary

    def _worked_s(self) -> float:
        return monotonic() - self._began - self._idle_s

    def _watch(self, folder: Path) -> None:
        watch = Watch(folder)
        self._report.say(f"watching {folder}; Ctrl-C stops")
        look_at, close_at = monotonic(), monotonic() + _CLOSE_S
        while not self._stop.code:
            if monotonic() >= look_at:
                for file in watch.look():
                    self._read_watched(file)
                look_at = monotonic() + _LOOK_S
            if monotonic() >= close_at:
                self._summary.tally.add(self._runner.close_silent(now_us()))
                self._runner.project()
                close_at = monotonic() + _CLOSE_S
            idle_from = monotonic()
            self._owner.serve(lambda question: answer(self._books, question), timeout_s=_LOOK_S)
            self._idle_s += monotonic() - idle_from

    def _read_watched(self, file: Path) -> None:
        """One file more; one that cannot be read is told and left."""
        if self._stop.code:
            return
        try:
            result = self._read(file)
        except OSError as error:
            self._report.say(f"{file}: {error.strerror or error}. It is left out until it changes.")
            return
        self._runner.project()
        tally = result.tally
        self._report.say(
            f"{file}: nothing new"
            if result.known
            else f"{file}: {tally.received} received, {tally.accepted} accepted, {tally.duplicates} duplicates, "
            f"{tally.rejected} rejected"
        )

    def _read(self, file: Path) -> FileResult:
        before = self._records_done
        result = self._runner.read(file, now_us(), self._order.mapping, again=self._order.again)
        summary = self._summary
        self._bytes_done += file.stat().st_size
        self._records_done = before + result.tally.received - result.before
        summary.records = self._records_done
        if result.known:
            summary.known += 1
        else:
            summary.files += 1
            summary.before += result.before
            summary.tally.add(result.tally)
        return result

    def _between(self) -> bool:
        self._owner.serve(lambda question: answer(self._books, question))
        return not self._stop.code

    def _progress(self, progress: Progress) -> None:
        bytes_done = self._bytes_done + progress.bytes_read
        records = self._records_done + progress.records
        self._report.advance(progress.path, bytes_done, records, self._worked_s())


def _tell_behind(behind: Mapping[tuple[str, str], RatedPast], report: Report) -> None:
    """What was rated stays, though the documents by now say something else of that time."""
    for (_, account), past in sorted(behind.items())[:_SHOWN]:
        report.say(
            f"account {account}: other tariffs or versions are given for a time in which usage was rated already. "
            f"What was in force stays until {to_iso(past.until)}; see the differences: ratestream rerate"
        )
    if len(behind) > _SHOWN:
        report.say(f"... and {len(behind) - _SHOWN} more accounts of the kind")


@contextmanager
def _signals() -> Iterator[_Stop]:
    """SIGINT and SIGTERM ask to stop; the second one of a kind does what it did before."""
    stop = _Stop()

    def note(number: int) -> None:
        stop.code = 128 + number

    with noting_signals(note):
        yield stop


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)
