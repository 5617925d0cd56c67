"""Reading: one usage file of any format becomes batches.

Compression and format are told by the file's first bytes. Only text that does not begin like JSON is told by its
name: JSONL if it is called .jsonl, .ndjson or .json, otherwise CSV. The k-th record of a file is the same in every
reading, whatever the batch size, so that reading can resume by a count.
"""

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from schemas.codecs.avro_schema import CONTAINER
from schemas.codecs.avro_usage import DecodedBlock, usage_from_container
from schemas.codecs.batch import MIB, Cutting, Fault, Limits, UsageBatch
from schemas.codecs.compression import BrokenStreamError, decompressed, is_compressed
from schemas.codecs.fields import Refusal
from schemas.codecs.usage_json import BOM
from schemas.files.columns import NO_MAPPING, ColumnMapping
from schemas.files.csv_rows import csv_pieces
from schemas.files.jsonl import jsonl_pieces
from schemas.files.lines import lines_of
from schemas.files.parquet import MAGIC, parquet_pieces
from schemas.files.piece import Decoded, Piece, fault_piece
from schemas.rejection import Reason

_LIMITS = Limits()
_JSONL_NAMES = frozenset({".jsonl", ".ndjson", ".json"})
_BATCH_BYTES = 64 * MIB


def read_usage(
    path: Path,
    *,
    origin: str | None = None,
    batch_size: int = 16384,
    skip: int = 0,
    mapping: ColumnMapping = NO_MAPPING,
    limits: Limits = _LIMITS,
) -> Iterator[UsageBatch]:
    """The records and rejections of a usage file, after the first `skip` of them, at most `batch_size` in a batch.

    `origin` names the file in positions (its path if None). A record's offset is its number in the file, from 0.
    Raises OSError where the file cannot be opened or read, and ValueError for a wrong argument: a batch size below 1,
    a negative skip, or a column mapping for a file that has no columns.
    """
    if batch_size < 1 or skip < 0:
        raise ValueError(f"batch_size {batch_size} must be at least 1, and skip {skip} at least 0")
    name = str(path) if origin is None else origin
    return _batches(path, name, batch_size, skip, mapping, limits)


def _batches(
    path: Path, origin: str, batch_size: int, skip: int, mapping: ColumnMapping, limits: Limits
) -> Iterator[UsageBatch]:
    """Cuts the pieces of a file into batches; one of long records ends early, to keep memory bounded."""
    batch = UsageBatch(origin, original_cap=limits.original_cap)
    received = held = 0
    with path.open("rb") as file:
        for piece in _pieces(file, path, mapping, limits):
            start, received = received, received + piece.size
            if received <= skip:
                continue
            decoded = piece.read()
            taken = max(0, skip - start)
            while taken < piece.size:
                end = min(piece.size, taken + batch_size - batch.received)
                originals = decoded.originals[taken:end]
                batch.add(
                    decoded.results[taken:end], originals, range(start + taken, start + end), decoded.lines[taken:end]
                )
                held += sum(map(len, originals))
                taken = end
                if batch.received == batch_size or held > _BATCH_BYTES:
                    batch.bytes_read = file.tell()
                    yield batch
                    batch, held = UsageBatch(origin, original_cap=limits.original_cap), 0
        batch.bytes_read = file.tell()
    if batch.received:
        yield batch


def _pieces(file: BinaryIO, path: Path, mapping: ColumnMapping, limits: Limits) -> Iterator[Piece]:
    """The pieces of a file by the format that its first bytes tell."""
    if file.read(len(MAGIC)) == MAGIC:
        yield from parquet_pieces(file, mapping, limits)
        return
    damage = _damage(file, limits)
    if damage is not None:
        yield fault_piece(damage)
        return
    file.seek(0)
    contents = decompressed(iter(partial(file.read, MIB), b""), limits)
    try:
        first = next(contents, b"")
    except BrokenStreamError as error:
        yield fault_piece(Fault(error.refusal, b""))
        return
    contents = chain([first.removeprefix(BOM)], contents)
    if first.startswith(MAGIC):
        what = "a compressed Parquet file is not read, as Parquet compresses by itself"
        yield fault_piece(Fault(Refusal(Reason.UNREADABLE, f"{what}. Decompress it and read it again"), b""))
    elif first.startswith(CONTAINER):
        _no_columns(path, mapping, "an Avro container")
        for block in usage_from_container(contents, limits, limits.max_decompressed_bytes):
            yield Piece(len(block.results), partial(_decoded, block))
    elif _is_jsonl(path, first):
        _no_columns(path, mapping, "JSONL")
        yield from jsonl_pieces(lines_of(contents, limits))
    else:
        yield from csv_pieces(lines_of(contents, limits), mapping, limits)


def _damage(file: BinaryIO, limits: Limits) -> Fault | None:
    """What is wrong with a compressed file whose checksum does not hold: none of it can be believed.

    The checksum stands behind what it is of, so this reads the file once before any record of it counts. A file that
    only ends too early is as good as what was written of it, and a plain file has no checksum.
    """
    file.seek(0)
    start = file.read(4)
    if not is_compressed(start):
        return None
    file.seek(0)
    try:
        for _ in decompressed(iter(partial(file.read, MIB), b""), limits):
            pass
    except BrokenStreamError as error:
        if error.refusal.reason is not Reason.UNREADABLE:
            return None
        file.seek(0)
        stored = Cutting(limits.original_cap)
        for piece in iter(partial(file.read, MIB), b""):
            stored.add(piece)
        return Fault(error.refusal, stored.cut())
    return None


def _decoded(block: DecodedBlock) -> Decoded:
    return Decoded(block.results, block.originals, [0] * len(block.results))


def _is_jsonl(path: Path, first: bytes) -> bool:
    start = first.removeprefix(BOM).lstrip()[:1]
    return start in {b"{", b"["} or not _JSONL_NAMES.isdisjoint(path.suffixes)


def _no_columns(path: Path, mapping: ColumnMapping, what: str) -> None:
    if mapping:
        raise ValueError(f"{path} is {what}, which has no columns: read it without a column mapping")
