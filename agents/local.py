"""Local: usage files in, charges and statements out, on one machine and without a broker.

For each batch of a file, and the order is the guarantee:
  1. the pipeline decides: charges, statements, refusals, and what they change;
  2. all of it is written to the directory at once, with how far the file was read;
  3. from time to time the journal is brought to ClickHouse (projection.py).
A crash before 2 has changed nothing; after it, the same command goes on with the next batch. Nothing depends on how
the records were batched.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agents.directory import Directory
from agents.intake_log import FileEntry, Tally, decode_file, encode, file_key
from agents.journal import encode_entry
from agents.projection import Projection
from agents.reference import Reference
from pipeline.ledger import Ledger
from pipeline.processing import Outcome, Pipeline
from pipeline.terms import Plans
from schemas.codecs import UsageBatch
from schemas.files import NO_MAPPING, ColumnMapping, read_usage
from schemas.rejection import Rejection

BATCH_RECORDS = 8_192
_ENTRIES_PER_INSERT = 32
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
        """`between` is called after each batch; False stops there. `progress` hears of each batch."""
        self._directory = directory
        self._reference = reference
        self._ledger = Ledger(plans, directory)
        self._pipeline = Pipeline(self._ledger)
        self._projection = projection
        self._between = between
        self._progress = progress

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
        batches = read_usage(path, origin=entry.name, batch_size=BATCH_RECORDS, skip=before, mapping=mapping)
        for batch in batches:
            self._take(batch, entry, key)
            self._progress(Progress(path, batch.bytes_read, entry.tally.received - before))
            if not self._between():
                return FileResult(path, entry.tally, before, finished=False)
        entry.finished = True
        self._directory.commit({key: encode(entry)})
        return FileResult(path, entry.tally, before, finished=True)

    def close_silent(self, now: int) -> Tally:
        """Close the periods of accounts that have sent nothing for as long as their tariffs say; what came of it."""
        tally = Tally()
        outcome = Outcome()
        for count, (tenant, account) in enumerate(self._ledger.plans.accounts(), 1):
            state = self._ledger.account(tenant, account)
            if state is not None:
                self._pipeline.close_silent(state, now, self._reference.declared(tenant, account), outcome)
            if count % _ACCOUNTS_PER_COMMIT == 0:
                outcome = self._commit_closed(outcome, tally)
        self._commit_closed(outcome, tally)
        return tally

    def project(self) -> None:
        """Bring ClickHouse up to the directory. Raises sinks.errors.SinkError."""
        self._projection.catch_up()

    def _take(self, batch: UsageBatch, entry: FileEntry, key: bytes) -> None:
        # 1. Decide.
        outcome = self._pipeline.process(batch.records, entry.received)
        rejections = rejections_of(batch, outcome)
        entry.tally.received += batch.received
        entry.tally.add_rejections(rejections)
        entry.tally.add_outcome(outcome)
        # 2. Write it down, whole.
        changes = self._ledger.changes()
        changes[key] = encode(entry)
        self._directory.commit(changes, encode_entry(outcome.charges, outcome.statements, rejections))
        self._ledger.committed()
        # 3. Tell ClickHouse.
        if self._directory.seq - self._projection.position >= _ENTRIES_PER_INSERT:
            self._projection.catch_up()

    def _commit_closed(self, outcome: Outcome, tally: Tally) -> Outcome:
        """Write down what was closed; an empty outcome for what comes next."""
        changes = self._ledger.changes()
        if changes:
            self._directory.commit(changes, encode_entry(outcome.charges, outcome.statements, []))
            self._ledger.committed()
        tally.add_outcome(outcome)
        return Outcome()


def rejections_of(batch: UsageBatch, outcome: Outcome) -> list[Rejection]:
    """Everything of the batch that was not accepted, in the order in which it came."""
    refused = [batch.rejection(index, refusal.reason, refusal.message) for index, refusal in outcome.refusals]
    return sorted([*batch.rejections, *refused], key=lambda rejection: rejection.position.offset)
