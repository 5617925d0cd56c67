"""Files: usage files become messages on `usage`, or on `usage-bulk` where containers span accounts.

What cannot be read or encoded is told with its place and counted; everything else is published. After schemas.files.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agents.stream.encoding import Encoding, Unfit, encoded
from agents.stream.publishing import Publisher
from agents.stream.topics import Topics
from schemas.files import NO_MAPPING, ColumnMapping, read_usage
from schemas.rejection import Position

_BATCH = 50_000
"""Records that are grouped into containers at once; the reader ends a batch of long records early."""


@dataclass(slots=True)
class Counts:
    """What files came to: received = published + refused."""

    files: int = 0
    published: int = 0
    refused: int = 0

    @property
    def received(self) -> int:
        """Records that the files hold."""
        return self.published + self.refused


class Told(NamedTuple):
    """A record that is not published, where it stands, and why."""

    position: Position
    why: str


class Files:
    """Publishes usage files, one after the other. `refuse` hears of every record that is left out."""

    def __init__(
        self,
        publisher: Publisher,
        topics: Topics,
        partitions: int,
        encoding: Encoding,
        *,
        refuse: Callable[[Told], None],
        progress: Callable[[Path, int, int], None],
    ) -> None:
        self._publisher, self._partitions, self._encoding = publisher, partitions, encoding
        self._topic = topics.usage_bulk if encoding is Encoding.BULK else topics.usage
        self._refuse, self._progress = refuse, progress
        self.counts = Counts()

    def publish(self, paths: Iterable[Path], mapping: ColumnMapping = NO_MAPPING) -> Counts:
        """Publishes the files; all has arrived on return. Raises OSError for a file that cannot be read."""
        for path in paths:
            self._file(path, mapping)
        self._publisher.settle()
        return self.counts

    def _file(self, path: Path, mapping: ColumnMapping) -> None:
        for batch in read_usage(path, batch_size=_BATCH, mapping=mapping):
            for rejection in batch.rejections:
                self._leave_out(Told(rejection.position, f"{rejection.reason}: {rejection.message}"))
            for one in encoded(batch.records, self._encoding, self._partitions):
                if isinstance(one, Unfit):
                    self._leave_out(Told(batch.position(one.place), one.why))
                else:
                    self._publisher.send(self._topic, one.message, one.partition)
                    self.counts.published += one.records
            self._progress(path, batch.bytes_read, self.counts.received)
        self.counts.files += 1

    def _leave_out(self, told: Told) -> None:
        self.counts.refused += 1
        self._refuse(told)
