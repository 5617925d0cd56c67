"""Usage in Avro: single-object encoding by our schema, and containers by any schema whose fields are a usage record's.

A container's own schema says how its values are read; what they must be is decided in fields, as for JSON. Decimals
are taken digit by digit from their bytes. A float or double is taken as the shortest decimal that is the same number,
since the container holds no other truth.
"""

import io
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Context, Decimal
from functools import cache, partial
from typing import Any, NamedTuple

import fastavro

from schemas.codecs.avro_container import Block, Container
from schemas.codecs.avro_schema import (
    FINGERPRINT_BYTES,
    SINGLE_OBJECT,
    avro_schema,
    fingerprint,
    long_bytes,
)
from schemas.codecs.batch import MIB, Cut, Fault, Limits
from schemas.codecs.compression import BLOCK_CODECS, block_content
from schemas.codecs.fields import MAX_DIGITS, Number, Refusal, usage_from
from schemas.instants import EPOCH, from_us
from schemas.rejection import Reason
from schemas.usage import UsageRecord

Values = dict[str, Any]
_WIDE = Context(prec=4 * MAX_DIGITS)
_LONGEST_DECIMAL = 64
_AGAIN = "Write the container again with a schema like schemas/avro/usage.avsc"


class DecodedBlock(NamedTuple):
    """The results of one block; originals are b"" for records that were accepted."""

    results: list[UsageRecord | Refusal]
    originals: list[bytes | Cut]


class _Reading(NamedTuple):
    """How records of one schema are read: the plain schema, and what its fields' values become."""

    schema: Any
    converters: dict[str, Callable[[Any], object]]

    def usage(self, values: Values) -> UsageRecord | Refusal:
        """The usage record of one decoded record; changes `values` into what they mean."""
        for name, convert in self.converters.items():
            value = values.get(name)
            if value is not None:
                values[name] = convert(value)
        return usage_from(values)


def usage_from_single(data: bytes) -> UsageRecord | Refusal:
    """The usage record of one message in single-object encoding."""
    start = len(SINGLE_OBJECT) + FINGERPRINT_BYTES
    if len(data) < start:
        return Refusal(Reason.TRUNCATED, "the Avro message ends before its record. Send it again whole")
    if data[len(SINGLE_OBJECT) : start] != fingerprint("usage"):
        what = f"Avro schema {data[len(SINGLE_OBJECT) : start].hex()} is not known"
        remedy = f"Write with schemas/avro/usage.avsc, whose fingerprint is {fingerprint('usage').hex()}"
        return Refusal(Reason.UNREADABLE, f"{what}. {remedy}")
    reading = _ours()
    stream = io.BytesIO(data[start:])
    values = _read(stream, reading.schema)
    if isinstance(values, Refusal):
        return values
    if stream.read(1):
        return Refusal(Reason.UNREADABLE, "bytes follow the Avro record. Send one record a message")
    return reading.usage(values)


def usage_from_container(pieces: Iterator[bytes], limits: Limits, most: int) -> Iterator[DecodedBlock]:
    """The records of one container, a block at a time; `most` bytes may come out of all of them."""
    container = Container(pieces, limits)
    reading = _reading_of(container) if container.fault is None else None
    if isinstance(reading, Refusal):
        container.refuse(reading)
    if container.fault is not None or not isinstance(reading, _Reading):
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
        else:
            yield _decoded(reading, Block(block.records, content))


def _faulted(fault: Fault) -> DecodedBlock:
    return DecodedBlock([fault.refusal], [fault.original])


def _reading_of(container: Container) -> _Reading | Refusal:
    if container.codec not in BLOCK_CODECS:
        what = f"Avro codec {container.codec[:40]!r} is not read"
        return Refusal(Reason.UNREADABLE, f"{what}. Write the container with one of {', '.join(sorted(BLOCK_CODECS))}")
    try:
        return _reading(json.loads(container.schema))
    except Exception as error:  # noqa: BLE001 - a hostile schema fails in many ways, and all mean the same
        return Refusal(Reason.UNREADABLE, f"the container's schema cannot be used ({str(error)[:200]}). {_AGAIN}")


def _decoded(reading: _Reading, block: Block) -> DecodedBlock:
    """All records of a decompressed block; what does not decode is one refusal at its end."""
    decoded = DecodedBlock([], [])
    rest = None if _add_at_once(decoded, reading, block) else _add_one_by_one(decoded, reading, block)
    if rest is not None:
        what = f"record {len(decoded.results) + 1} of the {block.records} of an Avro block cannot be decoded"
        refusal = Refusal(Reason.UNREADABLE, f"{what}, nor what follows it. {_AGAIN}")
        decoded.results.append(refusal)
        decoded.originals.append(rest)
    return decoded


def _add_at_once(decoded: DecodedBlock, reading: _Reading, block: Block) -> bool:
    """Reads the block as the array that it is but for its frame, and twice as fast. False where that fails."""
    if not 0 < block.records <= len(block.data):
        return False
    stream = io.BytesIO(long_bytes(block.records) + block.data + long_bytes(0))
    records = _read(stream, {"type": "array", "items": reading.schema})
    if isinstance(records, Refusal) or len(records) != block.records or stream.read(1):
        return False
    for values in records:
        _add(decoded, reading, values)
    return True


def _add_one_by_one(decoded: DecodedBlock, reading: _Reading, block: Block) -> bytes | None:
    """Reads as far as records decode, and returns what is left; None where that is nothing, as it should be."""
    stream = io.BytesIO(block.data)
    at = 0
    for _ in range(min(block.records, len(block.data))):
        values = _read(stream, reading.schema)
        if isinstance(values, Refusal):
            return block.data[at:]
        at = stream.tell()
        _add(decoded, reading, values)
    return None if block.records == len(decoded.results) and at == len(block.data) else block.data[at:]


def _add(decoded: DecodedBlock, reading: _Reading, values: Values) -> None:
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


def _read(stream: io.BytesIO, schema: Any) -> Any:  # noqa: ANN401 - what the schema says
    try:
        return fastavro.schemaless_reader(stream, schema, None)
    except Exception as error:  # noqa: BLE001 - fastavro raises whatever its parsing stumbled over
        return Refusal(Reason.UNREADABLE, f"the Avro record cannot be decoded ({str(error)[:200]}). {_AGAIN}")


@cache
def _ours() -> _Reading:
    return _reading(avro_schema("usage"))


class _SchemaError(Exception):
    pass


def _reading(schema: Any) -> _Reading:  # noqa: ANN401 - any JSON value
    """How to read records of a schema. Raises where a usage record cannot have such fields.

    Only types of a usage record are let through, so no schema can ask for endless work.
    """
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise _SchemaError("it is no record")
    converters: dict[str, Callable[[Any], object]] = {}
    fields = []
    for number, field in enumerate(schema["fields"]):
        plain, convert = _type(field["type"], f"Type{number}")
        fields.append({"name": field["name"], "type": plain})
        if convert:
            converters[field["name"]] = convert
    if len({field["name"] for field in fields}) < len(fields):
        raise _SchemaError("a field occurs twice")
    return _Reading(fastavro.parse_schema({"type": "record", "name": "Record", "fields": fields}), converters)


def _type(schema: Any, name: str) -> tuple[Any, Callable[[Any], object] | None]:  # noqa: ANN401 - any JSON value
    """The plain type of a field, and what its values become."""
    if isinstance(schema, list):
        inner = [_type(branch, name) for branch in schema if branch != "null"]
        if len(inner) > 1:
            raise _SchemaError("a field may have one type, or null and one type")
        return (["null" if branch == "null" else inner[0][0] for branch in schema], inner[0][1] if inner else None)
    if isinstance(schema, str):
        schema = {"type": schema}
    kind = schema["type"]
    if kind == "map" and _type(schema["values"], name)[0] == "string":
        return {"type": "map", "values": "string"}, None
    if kind == "enum":
        return {"type": "enum", "name": name, "symbols": schema["symbols"]}, None
    if kind == "fixed" and 0 < schema["size"] <= _LONGEST_DECIMAL:
        return {"type": "fixed", "name": name, "size": schema["size"]}, _converter(schema, kind)
    if kind not in {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}:
        raise _SchemaError(f"no field of a usage record has the type {str(kind)[:40]}")
    return kind, _converter(schema, kind)


def _converter(schema: Mapping[str, Any], kind: str) -> Callable[[Any], object] | None:
    """What a value of a type becomes, None where it stays as it is."""
    logical = schema.get("logicalType")
    if logical == "decimal" and kind in {"bytes", "fixed"}:
        scale = schema.get("scale", 0)
        if not isinstance(scale, int) or not 0 <= scale <= MAX_DIGITS:
            raise _SchemaError(f"a decimal has the scale {str(scale)[:40]}")
        return partial(_decimal, scale=scale)
    if kind in {"int", "long"} and isinstance(logical, str):
        unit = logical.rpartition("-")
        if unit[0] in {"timestamp", "local-timestamp"} and unit[2] in _PER_SECOND:
            return partial(instant_at, per_second=_PER_SECOND[unit[2]], local=unit[0] != "timestamp")
    if kind == "float":
        return shortest_single
    return shortest_double if kind == "double" else None


_PER_SECOND = {"millis": 1_000, "micros": 1_000_000, "nanos": 1_000_000_000}


def _decimal(data: bytes, *, scale: int) -> Decimal | Refusal:
    if len(data) > _LONGEST_DECIMAL:
        return Refusal(Reason.OUT_OF_RANGE, f"a decimal of {len(data)} bytes is beyond any quantity. Correct it")
    return _WIDE.scaleb(Decimal(int.from_bytes(data, "big", signed=True)), -scale)


def instant_at(count: int, *, per_second: int, local: bool) -> datetime | Refusal:
    """The instant so many parts of a second since 1970 UTC, cut to microseconds; a naive datetime for local time."""
    us = count * 1_000_000 // per_second
    try:
        return (EPOCH + timedelta(microseconds=us)).replace(tzinfo=None) if local else from_us(us)
    except OverflowError:
        what = f"{count} / {per_second} s since 1970 is in no year from 1 to 9999"
        return Refusal(Reason.OUT_OF_RANGE, f"{what}. Correct it at its producer and send the record again")


def shortest_double(value: float) -> Number:
    """The shortest decimal text that is the same 64-bit number."""
    return Number(repr(value))


def shortest_single(value: float) -> Number:
    """The shortest decimal text that is the same 32-bit number.

    >>> shortest_single(0.10000000149011612)
    '0.1'
    """
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - the test for NaN
        return Number(repr(value))
    single = struct.pack("f", value)
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    return Number(next(text for text in texts if _packs_to(text, single)))


def _packs_to(text: str, single: bytes) -> bool:
    try:
        return struct.pack("f", float(text)) == single
    except OverflowError:
        return False
