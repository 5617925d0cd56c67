"""Nouns on the wire: usage, charges, statements and rejections as JSON and as Avro, there and back.

JSON says quantities, prices and amounts as decimal texts, instants as RFC 3339 in UTC and bytes as base64. Avro says
them as its logical types decimal and timestamp-micros, by the schemas in schemas/avro: one noun in single-object
encoding, many in an object container file. Reading back raises ValueError for anything that this program would not
have written; usage from elsewhere is read by message and schemas.files, which raise nothing.
"""

import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeVar

import fastavro
import msgspec
import zstandard

from schemas.charge import Charge
from schemas.codecs.avro_container import Block, Container, container_bytes
from schemas.codecs.avro_schema import (
    FINGERPRINT_BYTES,
    SINGLE_OBJECT,
    avro_schema,
    fingerprint,
    plain_schema,
)
from schemas.codecs.avro_usage import usage_from_container, usage_from_single
from schemas.codecs.batch import GIB, Fault, Limits
from schemas.codecs.charge_json import charge_json
from schemas.codecs.compression import block_content
from schemas.codecs.fields import Refusal
from schemas.codecs.layout import AVRO, AVRO_FIXED, JSON, layout
from schemas.codecs.usage_json import usage_from_json, usage_json
from schemas.fixed_point import QUANTITY_SCALE, to_fixed
from schemas.instants import to_us
from schemas.rejection import Rejection
from schemas.statement import Statement
from schemas.usage import UsageRecord

N = TypeVar("N", UsageRecord, Charge, Statement, Rejection)
Codec = Literal["null", "deflate", "zstandard"]

_NAMES: dict[type, str] = {UsageRecord: "usage", Charge: "charge", Statement: "statement", Rejection: "rejection"}
_BLOCK_RECORDS = 1000
_LIMITS = Limits()


def json_bytes(noun: UsageRecord | Charge | Statement | Rejection) -> bytes:
    """The noun as one JSON object."""
    match noun:
        case UsageRecord():
            return usage_json(noun)
        case Charge():
            return charge_json(noun)
        case _:
            return _encode(layout(type(noun), JSON).write(noun))


def json_from(data: bytes, kind: type[N]) -> N:
    """The noun that `json_bytes` wrote."""
    if kind is UsageRecord:
        return _accepted(usage_from_json(data), kind)
    try:
        values = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not the JSON of a {_NAMES[kind]}: {error}") from error
    noun: N = layout(kind, JSON).read(values)
    return noun


def avro_single(noun: UsageRecord | Charge | Statement | Rejection) -> bytes:
    """The noun in Avro single-object encoding: 2 bytes of mark, 8 of fingerprint, the record.

    Raises ValueError where a quantity has more than 6 decimals or a number more than 38 digits.
    """
    name = _NAMES[type(noun)]
    return SINGLE_OBJECT + fingerprint(name) + _record(noun)


def avro_from(data: bytes, kind: type[N]) -> N:
    """The noun that `avro_single` wrote."""
    if kind is UsageRecord:
        return _accepted(usage_from_single(data), kind)
    name = _NAMES[kind]
    start = len(SINGLE_OBJECT) + FINGERPRINT_BYTES
    if data[:start] != SINGLE_OBJECT + fingerprint(name):
        raise ValueError(f"not a {name} in single-object encoding: it begins with {data[:start].hex()}")
    (noun,) = _records(data[start:], 1, kind)
    return noun


def avro_container(nouns: Sequence[N], kind: type[N], codec: Codec = "deflate") -> bytes:
    """The nouns as one Avro object container file. Raises ValueError as `avro_single` does."""
    schema = json.dumps(avro_schema(_NAMES[kind]), separators=(",", ":")).encode()
    return container_bytes(schema, _blocks(nouns, _COMPRESS[codec]), codec)


def nouns_from_container(data: bytes, kind: type[N]) -> list[N]:
    """The nouns that `avro_container` wrote, in their order."""
    if kind is UsageRecord:
        decoded = usage_from_container(iter([data]), _LIMITS, GIB)
        return [_accepted(result, kind) for block in decoded for result in block.results]
    container = Container(iter([data]), _LIMITS)
    if container.fault is None and json.loads(container.schema) != avro_schema(_NAMES[kind]):
        raise ValueError(f"the container's schema is not schemas/avro/{_NAMES[kind]}.avsc")
    blocks = [container.fault] if container.fault else list(container)
    return [noun for block in blocks for noun in _nouns(block, container.codec, kind)]


def _nouns(block: Block | Fault, codec: str, kind: type[N]) -> list[N]:
    if isinstance(block, Fault):
        raise ValueError(block.refusal.message)  # noqa: TRY004 - it stands for damaged bytes
    content = block_content(codec, block.data, _LIMITS.max_block_bytes)
    if isinstance(content, Refusal):
        raise ValueError(content.message)  # noqa: TRY004 - it stands for damaged bytes
    return _records(content, block.records, kind)


def _blocks(nouns: Sequence[N], compress: Callable[[bytes], bytes]) -> Iterator[Block]:
    for start in range(0, len(nouns), _BLOCK_RECORDS):
        some = nouns[start : start + _BLOCK_RECORDS]
        yield Block(len(some), compress(b"".join(_record(noun) for noun in some)))


def _record(noun: UsageRecord | Charge | Statement | Rejection) -> bytes:
    values = _usage_values(noun) if isinstance(noun, UsageRecord) else layout(type(noun), AVRO).write(noun)
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, plain_schema(_NAMES[type(noun)]), values)
    return stream.getvalue()


def _usage_values(usage: UsageRecord) -> dict[str, Any]:
    values = {name: getattr(usage, name) for name in UsageRecord.__struct_fields__}
    if usage.quantity is not None:
        values["quantity"] = AVRO_FIXED.write(to_fixed(usage.quantity, QUANTITY_SCALE))
    return values | {"start": to_us(usage.start), "end": to_us(usage.end)}


def _records(data: bytes, count: int, kind: type[N]) -> list[N]:
    stream = io.BytesIO(data)
    schema = plain_schema(_NAMES[kind])
    try:
        values = [fastavro.schemaless_reader(stream, schema, None) for _ in range(count)]
    except Exception as error:  # fastavro raises whatever its parsing stumbled over
        raise ValueError(f"not the Avro of a {_NAMES[kind]}: {error}") from error
    if stream.read(1):
        raise ValueError(f"bytes follow the Avro of a {_NAMES[kind]}")
    way = layout(kind, AVRO)
    return [way.read(value) for value in values]


def _accepted(result: UsageRecord | Refusal, _kind: type[N]) -> N:
    if isinstance(result, Refusal):
        raise ValueError(result.message)  # noqa: TRY004 - it stands for wrong bytes
    return result  # type: ignore[return-value]  # the kind is UsageRecord


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


_encode = msgspec.json.Encoder().encode
_COMPRESS: dict[Codec, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": _deflate,
    "zstandard": lambda data: zstandard.ZstdCompressor().compress(data),
}
