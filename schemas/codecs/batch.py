"""Batches: what every decoder hands on. Each message or record that came is in one of two places, and in one only.

`received` = accepted for the moment (`records`) + `rejections`. A record that intake refuses later becomes a
Rejection through the same batch, which still holds where it came from and its original bytes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import Struct

from schemas.codecs.fields import Refusal
from schemas.codecs.usage_json import usage_json
from schemas.rejection import Position, Reason, Rejection
from schemas.usage import UsageRecord

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one input may ask for, in bytes, before it is refused as oversized.

    A compressed input may grow to `max_ratio` times its size, or to `ratio_from_bytes`, whichever is more. A block is
    one of an Avro container, before and after decompression; it may grow by the same ratio, or to 1 MiB. What is
    decoded at once is also limited in records, as a record takes far more memory than the fewest bytes it may have.
    """

    max_line_bytes: int = MIB
    max_message_bytes: int = 8 * MIB
    max_block_bytes: int = 16 * MIB
    max_decompressed_bytes: int = 64 * GIB
    max_decompressed_message_bytes: int = 256 * MIB
    max_block_records: int = 250_000
    max_message_records: int = 250_000
    max_ratio: int = 1000
    ratio_from_bytes: int = 64 * MIB
    original_cap: int = 64 * KIB


class Cut(Struct, frozen=True, gc=False):
    """What came, cut at a cap: its first bytes, and the size and SHA-256 (hex) of all of it."""

    start: bytes
    size: int
    sha256: str

    def __len__(self) -> int:
        return len(self.start)


class Fault(NamedTuple):
    """A part of an input that could not be read: it counts as one record received and rejected."""

    refusal: Refusal
    original: bytes | Cut


class Cutting:
    """Takes bytes piece by piece, however many, and keeps only what a Cut holds."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._start = bytearray()
        self._hash = hashlib.sha256()
        self.size = 0

    def add(self, piece: bytes) -> "Cutting":
        """The same cutting, with one more piece."""
        room = self._cap - len(self._start)
        self._start += piece[:room] if room > 0 else b""
        self._hash.update(piece)
        self.size += len(piece)
        return self

    def cut(self) -> Cut:
        """All pieces so far."""
        return Cut(bytes(self._start), self.size, self._hash.hexdigest())


@dataclass(slots=True)
class UsageBatch:
    """Records and rejections of one file or partition, each kind in the order in which they came.

    `records`, `offsets`, `lines`, `indexes` and `originals` are parallel. An offset is the number of a record in its
    file, or a message's offset in its partition; a line is 1-based, 0 where there are none; an index is the number of
    a record within its message, from 0. An original is b"" where the encoding has no bytes for one record by itself
    (Parquet, Avro container): `original` then writes it as JSON.
    `bytes_read` is how much of its file had been read, as it is stored, when the batch was full.
    """

    origin: str
    partition: int = 0
    original_cap: int = 64 * KIB
    records: list[UsageRecord] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    originals: list[bytes] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    bytes_read: int = 0

    @property
    def received(self) -> int:
        """How many records came, whatever became of them."""
        return len(self.records) + len(self.rejections)

    def part(self, places: Sequence[int], rejections: list[Rejection]) -> "UsageBatch":
        """A batch of the records at these places, and of these rejections."""
        part = UsageBatch(self.origin, self.partition, self.original_cap, rejections=rejections)
        for name in ("records", "offsets", "lines", "indexes", "originals"):
            values = getattr(self, name)
            setattr(part, name, [values[place] for place in places])
        return part

    def position(self, place: int) -> Position:
        """Where the record at `place` in `records` came from."""
        return Position(self.origin, self.partition, self.offsets[place], self.lines[place], self.indexes[place])

    def original(self, place: int) -> bytes:
        """What the record at `place` was before it was decoded, whole."""
        return self.originals[place] or usage_json(self.records[place])

    def rejection(self, place: int, reason: Reason, message: str) -> Rejection:
        """The rejection of the record at `place` for a reason found later. The batch itself does not change."""
        usage = self.records[place]
        refusal = Refusal(reason, message, usage.tenant, usage.account, usage.source, usage.id)
        return self._rejection(refusal, self.position(place), self.original(place))

    def refuse(self, refusal: Refusal, original: bytes | Cut, offset: int, line: int = 0, index: int = 0) -> None:
        """Adds what could not be decoded as a rejection."""
        position = Position(self.origin, self.partition, offset, line, index)
        self.rejections.append(self._rejection(refusal, position, original))

    def add(
        self,
        results: Sequence[UsageRecord | Refusal],
        originals: Sequence[bytes | Cut],
        offsets: Sequence[int],
        lines: Sequence[int],
        indexes: Sequence[int] | None = None,
    ) -> None:
        """Adds decoded records and refusals; all are parallel. Without `indexes` each is its message's only one."""
        if indexes is None:
            indexes = [0] * len(results)
        if Refusal not in set(map(type, results)):
            self.records += results  # type: ignore[arg-type]  # no refusal is among them
            self.originals += originals  # type: ignore[arg-type]  # only what was refused is cut
            self.offsets += offsets
            self.lines += lines
            self.indexes += indexes
            return
        for result, original, *place in zip(results, originals, offsets, lines, indexes, strict=True):
            if isinstance(result, Refusal):
                self.refuse(result, original, *place)
            else:
                self.add([result], [original], *([one] for one in place))

    def _rejection(self, refusal: Refusal, position: Position, original: bytes | Cut) -> Rejection:
        cut = Cutting(self.original_cap).add(original).cut() if isinstance(original, bytes) else original
        return Rejection(
            refusal.reason,
            refusal.message,
            position,
            refusal.tenant,
            refusal.account,
            refusal.source,
            refusal.usage_id,
            cut.start,
            cut.size,
            cut.sha256,
        )
