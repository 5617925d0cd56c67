"""Readings: how records of any Avro schema whose fields are a usage record's are read.

A writer's schema, from a container's header or a schema registry, says how its values are read; what they must be is
decided in fields, as for JSON. Decimals are taken digit by digit from their bytes. A float or double is taken as the
shortest decimal that is the same number, since the message holds no other truth. Only types of a usage record that take
at least a byte are let through, so no schema can ask for more work than its data has bytes. Before avro_usage and
confluent.
"""

import io
import json
import struct
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Context, Decimal
from functools import cache
from typing import Any, NamedTuple

import fastavro

from schemas.codecs.avro_schema import avro_schema
from schemas.codecs.fields import MAX_DIGITS, Known, Number, Refusal, shown, usage_from
from schemas.instants import EPOCH, from_us
from schemas.rejection import Reason
from schemas.usage import UsageRecord

Values = dict[str, Any]
_Convert = Callable[[Any], object]
_WIDE = Context(prec=4 * MAX_DIGITS)
_LONGEST_DECIMAL = 64
_MOST_FIELDS = 256
_PER_SECOND = {"millis": 1_000, "micros": 1_000_000, "nanos": 1_000_000_000}

AGAIN = "Write the usage again with a schema like schemas/avro/usage.avsc"


class UnusableSchemaError(Exception):
    """A schema that no usage record can have; the text says why, in at most 200 characters."""


class Reading(NamedTuple):
    """How records of one schema are read: the plain schema, and what its fields' values become."""

    schema: Any
    converters: dict[str, _Convert]

    def usage(self, values: Values) -> UsageRecord | Refusal:
        """The usage record of one decoded record; changes `values` into what they mean."""
        for name, convert in self.converters.items():
            value = values.get(name)
            if value is not None:
                values[name] = convert(value)
        return usage_from(values)

    def only_usage(self, data: bytes) -> UsageRecord | Refusal:
        """The usage record of bytes that hold one record and nothing else."""
        stream = io.BytesIO(data)
        values = read_values(stream, self.schema)
        if isinstance(values, Refusal):
            return values
        if stream.read(1):
            return Refusal(Reason.UNREADABLE, "bytes follow the Avro record. Send one record a message")
        return self.usage(values)


@cache
def our_reading() -> Reading:
    """How records of our own schema are read."""
    return _reading(avro_schema("usage"))


def reading_of(schema: bytes | str) -> Reading:
    """How records of a schema, given as its JSON, are read. Raises UnusableSchemaError."""
    try:
        return _reading(json.loads(schema))
    except UnusableSchemaError:
        raise
    except Exception as error:  # a hostile schema fails in many ways, and all mean the same
        raise UnusableSchemaError(f"it is no Avro schema: {shown(error)}") from error


def read_values(stream: io.BytesIO, schema: Any) -> Any:  # noqa: ANN401 - what the schema says
    """The value of a plain schema at the stream's place, or a Refusal."""
    try:
        return fastavro.schemaless_reader(stream, schema, None)
    except Exception as error:  # noqa: BLE001 - fastavro raises whatever its parsing stumbled over
        return Refusal(Reason.UNREADABLE, f"the Avro record cannot be decoded ({str(error)[:200]}). {AGAIN}")


def _reading(schema: Any) -> Reading:  # noqa: ANN401 - any JSON value
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise UnusableSchemaError("it is no record")
    converters: dict[str, _Convert] = {}
    fields = []
    if len(schema["fields"]) > _MOST_FIELDS:
        raise UnusableSchemaError(f"it has {len(schema['fields'])} fields, of at most {_MOST_FIELDS}")
    for number, field in enumerate(schema["fields"]):
        plain, convert = _type(field["type"], f"Type{number}")
        fields.append({"name": field["name"], "type": plain})
        if convert:
            converters[field["name"]] = convert
    if len({field["name"] for field in fields}) < len(fields):
        raise UnusableSchemaError("a field occurs twice")
    return Reading(fastavro.parse_schema({"type": "record", "name": "Record", "fields": fields}), converters)


def _type(schema: Any, name: str) -> tuple[Any, _Convert | None]:  # noqa: ANN401 - any JSON value
    """The plain type of a field, and what its values become."""
    if isinstance(schema, list):
        inner = [_type(branch, name) for branch in schema if branch != "null"]
        if len(inner) > 1:
            raise UnusableSchemaError("a field may have one type, or null and one type")
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
    if kind not in {"boolean", "int", "long", "float", "double", "bytes", "string"}:
        raise UnusableSchemaError(f"no field of a usage record has the type {str(kind)[:40]}")
    return kind, _converter(schema, kind)


def _converter(schema: Mapping[str, Any], kind: str) -> _Convert | None:
    """What a value of a type becomes, None where it stays as it is."""
    logical = schema.get("logicalType")
    if logical == "decimal" and kind in {"bytes", "fixed"}:
        scale = schema.get("scale", 0)
        if not isinstance(scale, int) or not 0 <= scale <= MAX_DIGITS:
            raise UnusableSchemaError(f"a decimal has the scale {str(scale)[:40]}")
        return lambda data: _DECIMALS[data, scale]
    if kind in {"int", "long"} and isinstance(logical, str):
        zone, _, unit = logical.rpartition("-")
        if zone in {"timestamp", "local-timestamp"} and unit in _PER_SECOND:
            per_second, local = _PER_SECOND[unit], zone != "timestamp"
            return lambda count: _COUNTED[count, per_second, local]
    if kind == "float":
        return shortest_single
    return shortest_double if kind == "double" else None


def _decimal(stated: tuple[bytes, int]) -> Decimal | Refusal:
    data, scale = stated
    if len(data) > _LONGEST_DECIMAL:
        return Refusal(Reason.OUT_OF_RANGE, f"a decimal of {len(data)} bytes is beyond any quantity. Correct it")
    return _WIDE.scaleb(Decimal(int.from_bytes(data, "big", signed=True)), -scale)


def _counted(stated: tuple[int, int, bool]) -> datetime | Refusal:
    count, per_second, local = stated
    return instant_at(count, per_second=per_second, local=local)


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


_DECIMALS: Known[tuple[bytes, int], Decimal] = Known(_decimal)
_COUNTED: Known[tuple[int, int, bool], datetime] = Known(_counted)
"""One look-up each for all schemas, so that many schemas need no more memory than one."""
