"""Intake log: which usage files a directory has read, how far, and what came of them.

A file is known by its content and the column mapping that it was read with, so the same file under another name is
not read again, and one that has grown is another file (whose old records are then duplicates). The entry is written
together with what a batch of the file has changed; `received` is fixed when the file is first taken in, so a reading
that resumes is the same reading.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from pipeline.entries import Key
from pipeline.processing import Outcome
from schemas.files import ColumnMapping
from schemas.rejection import Rejection


class Tally(Struct):
    """What became of the records of a file or a run. `late` and `rounded` are among the accepted.

    accepted + duplicates + rejected = received. `reasons` says how many were rejected why. `charged` is the exact sum
    of the charges per currency, before tax.
    """

    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    late: int = 0
    rounded: int = 0
    charges: int = 0
    statements: int = 0
    reasons: dict[str, int] = {}
    charged: dict[str, str] = {}

    @property
    def adds_up(self) -> bool:
        """Whether everything that was received became one thing, and one only."""
        return self.accepted + self.duplicates + self.rejected == self.received

    def add_outcome(self, outcome: Outcome) -> None:
        """Count what the pipeline did; what was received and rejected is counted by whoever read the records."""
        self.accepted += outcome.accepted
        self.duplicates += outcome.duplicates
        self.late += outcome.late
        self.rounded += outcome.rounded
        self.charges += len(outcome.charges)
        self.statements += len(outcome.statements)
        sums: dict[str, int] = {}
        for charge in outcome.charges:
            sums[charge.currency] = sums.get(charge.currency, 0) + charge.amount
        self._charge(sums)

    def add_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Count what was not accepted."""
        self.rejected += len(rejections)
        for rejection in rejections:
            self.reasons[rejection.reason] = self.reasons.get(rejection.reason, 0) + 1

    def add(self, other: "Tally") -> None:
        """Count what another tally has counted."""
        for name in self.__struct_fields__:
            if name not in {"reasons", "charged"}:
                setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count
        self._charge({currency: int(amount) for currency, amount in other.charged.items()})

    def _charge(self, sums: dict[str, int]) -> None:
        for currency, amount in sums.items():
            self.charged[currency] = str(int(self.charged.get(currency, "0")) + amount)


class FileEntry(Struct):
    """One usage file: where it was first found, when, and how far it has been read."""

    name: str
    size: int
    received: int
    tally: Tally
    finished: bool = False


encode = Encoder().encode
decode_file = Decoder(FileEntry).decode


def file_key(path: Path, mapping: ColumnMapping) -> Key:
    """Where the file of this content, read with this mapping, is kept. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).digest()
    if not mapping:
        return b"f" + content
    columns, constants = sorted(mapping.columns.items()), sorted(mapping.constants.items())
    return b"f" + hashlib.blake2b(content + encode((columns, constants)), digest_size=32).digest()


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    result = Tally()
    for tally in tallies:
        result.add(tally)
    return result
