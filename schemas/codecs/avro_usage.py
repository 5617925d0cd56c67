"""Usage in Avro: single-object encoding by our schema, and containers by their own.

Both are read as avro_reading says. Before message and schemas.files.
"""

import io
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from schemas.codecs.avro_container import Block, Container
from schemas.codecs.avro_reading import (
    AGAIN,
    Reading,
    UnusableSchemaError,
    Values,
    our_reading,
    read_values,
    reading_of,
)
from schemas.codecs.avro_schema import FINGERPRINT_BYTES, SINGLE_OBJECT, fingerprint, long_bytes
from schemas.codecs.batch import MIB, Cut, Fault, Limits
from schemas.codecs.compression import BLOCK_CODECS, block_content
from schemas.codecs.fields import Refusal
from schemas.rejection import Reason
from schemas.usage import UsageRecord


class DecodedBlock(NamedTuple):
    """The results of one block; originals are b"" for records that were accepted."""

    results: list[UsageRecord | Refusal]
    originals: list[bytes | Cut]


@cache
def _our_mark() -> bytes:
    return SINGLE_OBJECT + fingerprint("usage")


def usage_from_single(data: bytes) -> UsageRecord | Refusal:
    """The usage record of one message in single-object encoding."""
    start = len(SINGLE_OBJECT) + FINGERPRINT_BYTES
    if data.startswith(_our_mark()):
        return our_reading().only_usage(data[start:])
    if len(data) < start:
        return Refusal(Reason.TRUNCATED, "the Avro message ends before its record. Send it again whole")
    what = f"Avro schema {data[len(SINGLE_OBJECT) : start].hex()} is not known"
    remedy = f"Write with schemas/avro/usage.avsc, whose fingerprint is {fingerprint('usage').hex()}"
    return Refusal(Reason.UNREADABLE, f"{what}. {remedy}")


def usage_from_container(pieces: Iterator[bytes], limits: Limits, most: int) -> Iterator[DecodedBlock]:
    """The records of one container, a block at a time; `most` bytes may come out of all of them."""
    container = Container(pieces, limits)
    reading = _reading_of(container) if container.fault is None else None
    if isinstance(reading, Refusal):
        container.refuse(reading)
    if container.fault is not None or not isinstance(reading, Reading):
        yield _faulted(container.fault) if container.fault else DecodedBlock([], [])
        return
    total = 0
    for block in container:
        if isinstance(block, Fault):
            yield _faulted(block)
            continue
        room = min(limits.max_block_bytes, max(MIB, limits.max_ratio * len(block.data)), most - total)
        content = block_content(container.codec, block.data, room)
        total += 0 if isinstance(content, Refusal) else len(content)
        if isinstance(content, Refusal):
            yield _faulted(Fault(content, block.data))
        elif min(block.records, len(content)) > limits.max_block_records:
            yield _faulted(Fault(_too_many(block.records, limits), block.data))
        else:
            yield _decoded(reading, Block(block.records, content))


def _faulted(fault: Fault) -> DecodedBlock:
    return DecodedBlock([fault.refusal], [fault.original])


def _too_many(records: int, limits: Limits) -> Refusal:
    what = f"a block of {records} records is above the limit of {limits.max_block_records}"
    return Refusal(Reason.OVERSIZED, f"{what}. Write smaller blocks")


def _reading_of(container: Container) -> Reading | Refusal:
    if container.codec not in BLOCK_CODECS:
        what = f"Avro codec {container.codec[:40]!r} is not read"
        return Refusal(Reason.UNREADABLE, f"{what}. Write the container with one of {', '.join(sorted(BLOCK_CODECS))}")
    try:
        return reading_of(container.schema)
    except UnusableSchemaError as error:
        return Refusal(Reason.UNREADABLE, f"the container's schema cannot be used ({error}). {AGAIN}")


def _decoded(reading: Reading, block: Block) -> DecodedBlock:
    """All records of a decompressed block; what does not decode is one refusal at its end."""
    decoded = DecodedBlock([], [])
    rest = None if _add_at_once(decoded, reading, block) else _add_one_by_one(decoded, reading, block)
    if rest is not None:
        what = f"record {len(decoded.results) + 1} of the {block.records} of an Avro block cannot be decoded"
        refusal = Refusal(Reason.UNREADABLE, f"{what}, nor what follows it. {AGAIN}")
        decoded.results.append(refusal)
        decoded.originals.append(rest)
    return decoded


def _add_at_once(decoded: DecodedBlock, reading: Reading, block: Block) -> bool:
    """Reads the block as the array that it is but for its frame, and twice as fast. False where that fails."""
    if not 0 < block.records <= len(block.data):
        return False
    stream = io.BytesIO(long_bytes(block.records) + block.data + long_bytes(0))
    records = read_values(stream, {"type": "array", "items": reading.schema})
    if isinstance(records, Refusal) or len(records) != block.records or stream.read(1):
        return False
    for values in records:
        _add(decoded, reading, values)
    return True


def _add_one_by_one(decoded: DecodedBlock, reading: Reading, block: Block) -> bytes | None:
    """Reads as far as records decode, and returns what is left; None where that is nothing, as it should be."""
    stream = io.BytesIO(block.data)
    at = 0
    for _ in range(min(block.records, len(block.data))):
        values = read_values(stream, reading.schema)
        if isinstance(values, Refusal):
            return block.data[at:]
        at = stream.tell()
        _add(decoded, reading, values)
    return None if block.records == len(decoded.results) and at == len(block.data) else block.data[at:]


def _add(decoded: DecodedBlock, reading: Reading, values: Values) -> None:
    result = reading.usage(values)
    decoded.results.append(result)
    decoded.originals.append(values_json(values) if isinstance(result, Refusal) else b"")


def values_json(values: Mapping[str, object]) -> bytes:
    """Values that are no usage record as JSON, for people to read: bytes in hex, instants as ISO 8601."""
    return json.dumps(values, default=_shown, ensure_ascii=True).encode()


def _shown(value: object) -> str:
    if isinstance(value, Refusal):
        return value.message
    return value.hex() if isinstance(value, bytes) else str(value)
