"""Local: usage files in, charges and statements out, on one machine and without a broker.

The order is the guarantee:
  1. batch after batch of a file, the pipeline decides: charges, statements, refusals, and what they change;
  2. all of it is written to the directory at once, with how far the file was read;
  3. from time to time the journal is brought to ClickHouse (projection.py).
A crash before 2 has changed nothing; after it, the same command goes on from there. Nothing depends on how the records
were batched.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agents.directory import Directory
from agents.intake_log import FileEntry, Tally, decode_file, encode, file_key
from agents.journal import encode_entry
from agents.projection import Projection
from agents.reference import Reference
from pipeline.entries import Key
from pipeline.ledger import Ledger
from pipeline.processing import Outcome, Pipeline
from pipeline.terms import Plans
from schemas.codecs import UsageBatch
from schemas.files import NO_MAPPING, ColumnMapping, read_usage
from schemas.rejection import Rejection

BATCH_RECORDS = 1_024
"""Records that are decoded and rated together: few enough to stay in the processor's cache."""
COMMIT_RECORDS = 16_384
"""Records after which what was decided is written down."""
_ENTRIES_PER_INSERT = 6
_ACCOUNTS_PER_COMMIT = 1_000


@dataclass(frozen=True, slots=True)
class FileResult:
    """What came of one usage file: its tally, how many of its records were read before, and whether all are now."""

    path: Path
    tally: Tally
    before: int
    finished: bool

    @property
    def known(self) -> bool:
        """Whether there was nothing new in it."""
        return self.finished and self.before == self.tally.received


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a reading stands: the file, how many of its bytes have been read, and of its records by this reading."""

    path: Path
    bytes_read: int
    records: int


class LocalRunner:
    """Rates usage files into one directory."""

    def __init__(
        self,
        directory: Directory,
        reference: Reference,
        plans: Plans,
        projection: Projection,
        *,
        between: Callable[[], bool] = lambda: True,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """`between` is called after each commit; False stops there. `progress` hears of each."""
        self._directory = directory
        self._reference = reference
        self._ledger = Ledger(plans, directory)
        self._pipeline = Pipeline(self._ledger)
        self._projection = projection
        self._between = between
        self._progress = progress
        calm_collector()

    def read(self, path: Path, now: int, mapping: ColumnMapping = NO_MAPPING, *, again: bool = False) -> FileResult:
        """Rate what has not been rated of a file; `now` is when it arrived, if it is new. Raises OSError.

        `again` reads a file that was read to its end once more: what was accepted is a duplicate now, and what was
        rejected for want of an account or a tariff has another chance.
        """
        key = file_key(path, mapping)
        stored = self._directory.get(key)
        entry = decode_file(stored) if stored is not None else None
        if entry is not None and entry.finished and not again:
            return FileResult(path, entry.tally, entry.tally.received, finished=True)
        if entry is None or entry.finished:
            entry = FileEntry(str(path), path.stat().st_size, now, Tally())
            self._directory.commit({key: encode(entry)})
        before = entry.tally.received
        decided = _Decided()
        for batch in read_usage(path, origin=entry.name, batch_size=BATCH_RECORDS, skip=before, mapping=mapping):
            self._decide(batch, entry, decided)
            if decided.records >= COMMIT_RECORDS:
                self._commit(decided, {key: encode(entry)})
                decided = _Decided()
                self._progress(Progress(path, batch.bytes_read, entry.tally.received - before))
                if not self._between():
                    return FileResult(path, entry.tally, before, finished=False)
        entry.finished = True
        self._commit(decided, {key: encode(entry)})
        return FileResult(path, entry.tally, before, finished=True)

    def close_silent(self, now: int) -> Tally:
        """Close the periods of accounts that have sent nothing for as long as their tariffs say; what came of it."""
        tally = Tally()
        decided = _Decided()
        for count, (tenant, account) in enumerate(self._ledger.plans.accounts(), 1):
            state = self._ledger.account(tenant, account)
            if state is not None:
                self._pipeline.close_silent(state, now, self._reference.declared(tenant, account), decided.outcome)
            if count % _ACCOUNTS_PER_COMMIT == 0:
                tally.add_outcome(decided.outcome)
                self._commit(decided, {})
                decided = _Decided()
        tally.add_outcome(decided.outcome)
        self._commit(decided, {})
        return tally

    def project(self) -> None:
        """Bring ClickHouse up to the directory. Raises sinks.errors.SinkError."""
        self._projection.catch_up()

    def _decide(self, batch: UsageBatch, entry: FileEntry, decided: "_Decided") -> None:
        outcome = self._pipeline.process(batch.records, [entry.received] * len(batch.records))
        rejections = rejections_of(batch, outcome)
        entry.tally.received += batch.received
        entry.tally.add_rejections(rejections)
        entry.tally.add_outcome(outcome)
        decided.records += batch.received
        decided.rejections += rejections
        decided.outcome.charges += outcome.charges
        decided.outcome.statements += outcome.statements

    def _commit(self, decided: "_Decided", file: dict[Key, bytes]) -> None:
        outcome = decided.outcome
        changes = {**self._ledger.changes(), **file}
        if changes:
            self._directory.commit(changes, encode_entry(outcome.charges, outcome.statements, decided.rejections))
            self._ledger.committed()
        if self._directory.seq - self._projection.position >= _ENTRIES_PER_INSERT:
            self._projection.catch_up()


@dataclass(slots=True)
class _Decided:
    """What has been decided since the last commit."""

    records: int = 0
    outcome: Outcome = field(default_factory=Outcome)
    rejections: list[Rejection] = field(default_factory=list)


def calm_collector() -> None:
    """Rating makes no cycles to speak of, and looking for them among a batch's records took a tenth of all the time."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def rejections_of(batch: UsageBatch, outcome: Outcome) -> list[Rejection]:
    """Everything of the batch that was not accepted, in the order in which it came."""
    refused = [batch.rejection(index, refusal.reason, refusal.message) for index, refusal in outcome.refusals]
    return sorted([*batch.rejections, *refused], key=lambda r: (r.position.offset, r.position.index))
