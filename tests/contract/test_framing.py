"""Confluent's framing: whose schema a message names, and what becomes of it whatever the registry says."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codecs import Refusal, UsageBatch, avro_single, decode_message
from schemas.codecs.avro_reading import Reading, UnusableSchemaError, reading_of
from schemas.codecs.avro_schema import avro_schema
from schemas.codecs.confluent import schema_id
from schemas.rejection import Position, Reason
from schemas.usage import UsageRecord

POSITION = Position("usage", 3, 41)
START = datetime(2012, 2, 1, 5, tzinfo=UTC)
USAGE = UsageRecord("h/1", "home", "electricity", Decimal("0.39"), START, START, source="amr")
RECORD = avro_single(USAGE)[10:]
HIGHEST = (1 << 31) - 1
REFUSAL = Refusal(Reason.UNREADABLE, "it is another's")


class Schemas(dict[int, Reading | Refusal]):
    """A registry that knows these, and remembers what it was asked for."""

    def __init__(self, known: dict[int, Reading | Refusal]) -> None:
        super().__init__(known)
        self.asked: list[int] = []

    def reading(self, schema_id: int) -> Reading | Refusal:
        self.asked.append(schema_id)
        return self[schema_id]


def usage_reading() -> Reading:
    return reading_of(json.dumps(avro_schema("usage")))


def frame(named: int, record: bytes = RECORD) -> bytes:
    return b"\x00" + named.to_bytes(4, "big") + record


def decoded(data: bytes, **known: Reading | Refusal) -> UsageBatch:
    return decode_message(data, POSITION, registry=Schemas({int(name[1:]): what for name, what in known.items()}))


@pytest.mark.parametrize("named", [0, 1, 255, 256, 1 << 24, HIGHEST])
def test_every_id_that_a_registry_gives_is_looked_up(named: int) -> None:
    schemas = Schemas({named: usage_reading()})
    assert schema_id(frame(named)) == named
    batch = decode_message(frame(named), POSITION, registry=schemas)
    assert (batch.records, batch.originals, schemas.asked) == ([USAGE], [frame(named)], [named])


@pytest.mark.parametrize("named", [HIGHEST + 1, (1 << 32) - 1])
def test_what_can_be_no_id_is_refused_and_not_asked_for(named: int) -> None:
    schemas = Schemas({})
    assert schema_id(frame(named)) is None
    (rejection,) = decode_message(frame(named), POSITION, registry=schemas).rejections
    assert rejection.reason is Reason.UNREADABLE
    assert named.to_bytes(4, "big").hex() in rejection.message
    assert schemas.asked == []


@pytest.mark.parametrize("length", range(1, 5))
def test_a_frame_without_its_id_is_truncated(length: int) -> None:
    assert schema_id(frame(7)[:length]) is None
    (rejection,) = decoded(frame(7)[:length]).rejections
    assert (rejection.reason, rejection.original) == (Reason.TRUNCATED, frame(7)[:length])


@pytest.mark.parametrize("length", range(len(RECORD)))
def test_a_record_that_ends_early_is_one_rejection(length: int) -> None:
    batch = decoded(frame(7, RECORD[:length]), _7=usage_reading())
    assert (batch.records, [one.reason for one in batch.rejections]) == ([], [Reason.UNREADABLE])


@pytest.mark.parametrize("more", [b"\x00", RECORD])
def test_what_follows_the_record_is_refused_with_it(more: bytes) -> None:
    (rejection,) = decoded(frame(7, RECORD + more), _7=usage_reading()).rejections
    assert rejection.reason is Reason.UNREADABLE
    assert "bytes follow" in rejection.message


def test_what_a_registry_refuses_is_rejected_in_its_words() -> None:
    (rejection,) = decoded(frame(7), _7=REFUSAL).rejections
    assert (rejection.reason, rejection.message, rejection.original) == (REFUSAL.reason, REFUSAL.message, frame(7))


def test_without_a_registry_the_setting_is_named() -> None:
    (rejection,) = decode_message(frame(7), POSITION).rejections
    assert rejection.reason is Reason.UNREADABLE
    assert "RATESTREAM_SCHEMA_REGISTRY" in rejection.message


@given(st.binary(max_size=40))
def test_whatever_is_framed_is_one_record_or_one_rejection(record: bytes) -> None:
    assert decoded(frame(7, record), _7=usage_reading()).received == 1


def test_a_writer_s_own_schema_is_read_by_its_own_order_and_types() -> None:
    schema = {
        "type": "record",
        "name": "Metered",
        "namespace": "com.example",
        "fields": [
            {"name": "end", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "start", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "quantity", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 4}},
            {"name": "meter", "type": {"type": "enum", "name": "Meter", "symbols": ["gas", "electricity"]}},
            {"name": "account", "type": {"type": "string", "avro.java.string": "String"}},
            {"name": "id", "type": "string", "default": ""},
            {"name": "unit", "type": ["null", "string"], "default": None},
        ],
    }
    values = {"end": START, "start": START, "quantity": Decimal("-0.0039"), "meter": "electricity"}
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, values | {"account": "home", "id": "h/1", "unit": None})
    (usage,) = decoded(frame(7, stream.getvalue()), _7=reading_of(json.dumps(schema))).records
    assert usage == UsageRecord("h/1", "home", "electricity", Decimal("-0.0039"), START, START)


def record_of(*types: Any) -> str:  # noqa: ANN401 - any JSON value
    fields = [{"name": f"f{number}", "type": one} for number, one in enumerate(types)]
    return json.dumps({"type": "record", "name": "U", "fields": fields})


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("", "no Avro schema"),
        ("null", "no record"),
        ("[" * 100_000, "no Avro schema"),
        ('{"type":"record"}', "no Avro schema"),
        ('{"type":"record","fields":7}', "no Avro schema"),
        (record_of(*["string"] * 257), "257 fields"),
        (record_of("null"), "the type null"),
        (record_of("U"), "the type U"),
        (record_of({"type": "array", "items": "string"}), "the type array"),
        (record_of({"type": "map", "values": {"type": "map", "values": "string"}}), "the type map"),
        (record_of(["null", "string", "long"]), "one type"),
        (record_of({"type": "fixed", "size": 1 << 40}), "the type fixed"),
        (record_of({"type": "fixed", "size": 0}), "the type fixed"),
        (record_of({"type": "bytes", "logicalType": "decimal", "scale": 61}), "the scale 61"),
        (record_of({"type": {"type": "string"}}), "no Avro schema"),
        (record_of({"type": "x" * 100_000}), "the type xxx"),
    ],
)
def test_a_schema_that_no_usage_can_have_is_refused_in_few_words(schema: str, why: str) -> None:
    with pytest.raises(UnusableSchemaError) as raised:
        reading_of(schema)
    assert why in str(raised.value)
    assert len(str(raised.value)) <= 200


def test_a_schema_of_as_many_fields_as_may_be_is_read() -> None:
    assert len(reading_of(record_of(*["string"] * 256)).schema["fields"]) == 256
