"""Every encoding of every noun passes the same suite: what is written is read back, and what is wrong is refused."""

# ruff: noqa: ANN401 - one suite for nouns and schemas of all types

import io
import json
import random
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from schemas.charge import Charge, ChargeKind, Part
from schemas.codecs import (
    Limits,
    Refusal,
    UsageBatch,
    avro_container,
    avro_from,
    avro_single,
    decode_message,
    json_bytes,
    json_from,
    nouns_from_container,
    usage_json,
)
from schemas.codecs.avro_container import Block, container_bytes
from schemas.codecs.avro_reading import Reading, our_reading
from schemas.codecs.avro_schema import avro_schema, crc_64_avro, fingerprint
from schemas.codecs.charge_json import charge_json
from schemas.codecs.confluent import NO_REGISTRY
from schemas.codecs.fields import LONGEST_TEXT
from schemas.codecs.layout import JSON, layout
from schemas.codecs.usage_json import usage_from_any_json, usage_from_json
from schemas.files import read_usage
from schemas.fixed_point import AMOUNT_SCALE, QUANTITY_SCALE, to_decimal
from schemas.instants import from_us, to_us
from schemas.rejection import Position, Reason, Rejection
from schemas.statement import (
    Allowance,
    LineKind,
    Settlement,
    Statement,
    StatementKind,
    StatementLine,
    TaxLine,
)
from schemas.usage import UsageRecord
from tests.contract.made_nouns import made_charge

START = datetime(2012, 2, 1, 5, tzinfo=UTC)
USAGE = UsageRecord("h/1", "home", "electricity", Decimal("0.39"), START, START + timedelta(hours=1), source="amr")
POSITION = Position("usage", 3, 41)
SCHEMA_ID = 263

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
quantities = st.decimals(-(10**14), 10**14, places=6).map(lambda value: value.normalize())
instants = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - with UTC
us = st.integers(0, 4 * 10**15)
fixed = st.integers(-(10**38) + 1, 10**38 - 1)
counts = st.integers(0, 2**31 - 1)
usages = st.builds(
    UsageRecord,
    id=words,
    account=words,
    meter=words,
    quantity=quantities,
    start=instants,
    end=instants,
    source=words,
    tenant=words,
    unit=st.none() | words,
    session=st.none() | words,
    attributes=st.none() | st.dictionaries(words, words, min_size=1, max_size=3),
    corrects=st.none() | words,
)
parts = st.builds(
    Part,
    tier=counts,
    **dict.fromkeys(("band", "name", "tax_percent"), words),
    **dict.fromkeys(("unit_price", "quantity", "amount", "tax"), fixed),
)
lines = st.builds(
    StatementLine,
    kind=st.sampled_from(LineKind),
    **dict.fromkeys(("period_start", "period_end"), us),
    **dict.fromkeys(("unit_price", "quantity", "exact", "amount", "gross", "due"), fixed),
    tier=counts,
)
taxes = st.builds(TaxLine, base=fixed, amount=fixed, item=words)
settlements = st.builds(Settlement, amount=fixed, remaining=fixed)
allowances = st.builds(Allowance, included=fixed, used=fixed, left=fixed)
US_FIELDS = ("usage_start", "usage_end", "period_start", "period_end", "statement_start", "statement_end")
charges = st.builds(
    Charge,
    kind=st.sampled_from(ChargeKind),
    parts=st.lists(parts, max_size=3).map(tuple),
    **dict.fromkeys(US_FIELDS, us),
    **dict.fromkeys(("used_before", "quantity", "amount", "running_total"), fixed),
)
statements = st.builds(
    Statement,
    lines=st.lists(lines, max_size=3).map(tuple),
    taxes=st.lists(taxes, max_size=2).map(tuple),
    kind=st.sampled_from(StatementKind),
    settlements=st.lists(settlements, max_size=2).map(tuple),
    allowances=st.lists(allowances, max_size=2).map(tuple),
    **dict.fromkeys(("period_start", "period_end"), us),
    **dict.fromkeys(("usage_first", "usage_last"), st.none() | us),
    **dict.fromkeys(("exact", "net", "tax", "total", "due"), fixed),
    **dict.fromkeys(("revision", "number", "usage_records", "charges"), counts),
)
positions = st.builds(Position, partition=counts, offset=counts, line=counts, index=counts)
rejections = st.builds(Rejection, reason=st.sampled_from(Reason), position=positions, size=counts)
nouns = usages | charges | statements | rejections


def cloud_event(usage: UsageRecord) -> bytes:
    envelope = {"id": usage.id, "source": usage.source, "subject": usage.account, "type": usage.meter}
    data = json.loads(usage_json(usage))
    for name in ("id", "source", "account", "meter"):
        data.pop(name, None)
    return json.dumps({"specversion": "1.0", **envelope, "data": data}).encode()


def message_batch(data: bytes, _folder: Path) -> UsageBatch:
    return decode_message(data, POSITION)


def file_batch(data: bytes, folder: Path) -> UsageBatch:
    path = folder / "usage"
    path.write_bytes(data)
    batches = list(read_usage(path, origin="usage"))
    assert len(batches) == 1
    return batches[0]


class OneSchema:
    """A registry that holds the schema of usage."""

    def reading(self, schema_id: int) -> Reading:
        assert schema_id == SCHEMA_ID
        return our_reading()


def framed(usage: UsageRecord) -> bytes:
    return b"\x00" + SCHEMA_ID.to_bytes(4, "big") + avro_single(usage)[10:]


def framed_batch(data: bytes, _folder: Path) -> UsageBatch:
    named = data[:5] == framed(USAGE)[:5]
    return decode_message(data, POSITION, registry=OneSchema() if named else NO_REGISTRY)


def container(usage: UsageRecord) -> bytes:
    return avro_container([usage], UsageRecord)


def csv_file(usage: UsageRecord) -> bytes:
    fields = [*json.loads(usage_json(usage)).items()]
    fields = [(name, value) for name, value in fields if name != "attributes"] + [
        (f"attribute {name}", value) for name, value in (usage.attributes or {}).items()
    ]
    rows = ([name for name, _ in fields], [value for _, value in fields])
    return "\n".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows).encode()


def parquet_file(usage: UsageRecord) -> bytes:
    columns = {
        "id": pa.array([usage.id]),
        "account": pa.array([usage.account]),
        "meter": pa.array([usage.meter]).dictionary_encode(),
        "quantity": pa.array([usage.quantity], pa.decimal128(38, 6)),
        "start": pa.array([usage.start], pa.timestamp("us", "Europe/London")),
        "end": pa.array([usage.end.isoformat()]),
        "source": pa.array([usage.source]),
        "tenant": pa.array([usage.tenant]),
        "unit": pa.array([usage.unit], pa.string()),
        "session": pa.array([usage.session], pa.large_string()),
        "attributes": pa.array([list((usage.attributes or {}).items())], pa.map_(pa.string(), pa.string())),
        "corrects": pa.array([usage.corrects], pa.string()),
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


Encode = Callable[[UsageRecord], bytes]
Decode = Callable[[bytes, Path], UsageBatch]
ENCODINGS: dict[str, tuple[Encode, Decode]] = {
    "JSON message": (usage_json, message_batch),
    "CloudEvent message": (cloud_event, message_batch),
    "Avro single-object message": (avro_single, message_batch),
    "framed Avro message": (framed, framed_batch),
    "Avro container message": (container, message_batch),
    "JSONL file": (usage_json, file_batch),
    "JSONL file of CloudEvents": (cloud_event, file_batch),
    "CSV file": (csv_file, file_batch),
    "Parquet file": (parquet_file, file_batch),
    "Avro container file": (container, file_batch),
}
encodings = pytest.mark.parametrize(("encode", "decode"), ENCODINGS.values(), ids=ENCODINGS)


@encodings
def test_usage_is_read_back_as_it_was_written(encode: Encode, decode: Decode, tmp_path: Path) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(usages)
    def check(usage: UsageRecord) -> None:
        if decode is file_batch and encode is csv_file:
            named = {f"attribute {name}": value for name, value in (usage.attributes or {}).items()}
            batch, usage = decode(encode(usage), tmp_path), replaced(usage, attributes=named or None)
        else:
            batch = decode(encode(usage), tmp_path)
        assert [rejection.message for rejection in batch.rejections] == []
        assert batch.records == [usage]
        assert batch.records[0].start.tzinfo is UTC

    check()


def replaced(usage: UsageRecord, **values: Any) -> UsageRecord:
    return UsageRecord(**({name: getattr(usage, name) for name in UsageRecord.__struct_fields__} | values))


@encodings
def test_a_record_refused_later_still_has_its_original_and_position(
    encode: Encode, decode: Decode, tmp_path: Path
) -> None:
    data = encode(USAGE)
    batch = decode(data, tmp_path)
    rejection = batch.rejection(0, Reason.FUTURE, "usage h/1 lies ahead")
    assert (rejection.reason, rejection.account, rejection.source) == (Reason.FUTURE, "home", "amr")
    assert rejection.position.origin == "usage"
    assert b"h/1" in rejection.original
    assert rejection.original in data or rejection.original == usage_json(batch.records[0])
    assert batch.received == 1
    assert batch.rejections == []


@encodings
def test_damaged_bytes_are_counted_and_raise_nothing(encode: Encode, decode: Decode, tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    whole = encode(USAGE)
    damaged = [whole[:size] for size in range(0, len(whole), 1 + len(whole) // 100)]
    for _ in range(100):
        changed_bytes = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            changed_bytes[chance.randrange(len(whole))] = chance.randrange(256)
        damaged.append(bytes(changed_bytes))
    for data in damaged:
        if decode is not file_batch:
            batch = decode(data, tmp_path)
            assert batch.received == 1 or data.startswith(b"Obj\x01")
            continue
        path = tmp_path / "usage"
        path.write_bytes(data)
        for batch in read_usage(path):
            assert len(batch.records) == len(batch.offsets) == len(batch.lines) == len(batch.indexes)
            assert len(batch.records) == len(batch.originals)
            assert batch.received > 0
            for usage in batch.records:
                assert usage.start.tzinfo is UTC
                assert usage.quantity is None or usage.quantity.is_finite()


WRONG: list[tuple[str, str, Reason]] = [
    ("quantity", "NaN", Reason.NOT_FINITE),
    ("quantity", "-Infinity", Reason.NOT_FINITE),
    ("quantity", "inf", Reason.NOT_FINITE),
    ("quantity", "1e999999", Reason.OUT_OF_RANGE),
    ("quantity", "1e-999999", Reason.OUT_OF_RANGE),
    ("quantity", "1e99999999999999999999", Reason.OUT_OF_RANGE),
    ("quantity", "1" * 61, Reason.OUT_OF_RANGE),
    ("quantity", "0." + "0" * 60 + "1", Reason.OUT_OF_RANGE),
    ("quantity", "1" * 5000, Reason.OUT_OF_RANGE),
    ("quantity", "1_000", Reason.WRONG_TYPE),
    ("quantity", " 1", Reason.WRONG_TYPE),
    ("quantity", "١", Reason.WRONG_TYPE),  # noqa: RUF001 - an Arabic digit
    ("quantity", "0x10", Reason.WRONG_TYPE),
    ("quantity", "many", Reason.WRONG_TYPE),
    ("quantity", "", Reason.MISSING_FIELD),
    ("id", "", Reason.MISSING_FIELD),
    ("account", "", Reason.MISSING_FIELD),
    ("meter", "", Reason.MISSING_FIELD),
    ("start", "", Reason.MISSING_FIELD),
    ("start", "2012-02-01T05:00:00", Reason.NO_ZONE),
    ("end", "2012-02-01 05:00:00.5", Reason.NO_ZONE),
    ("start", "2012-02-01", Reason.WRONG_TYPE),
    ("start", "2012-02-30T05:00:00Z", Reason.WRONG_TYPE),
    ("start", "2012-02-01T05Z", Reason.WRONG_TYPE),
    ("start", "20120201T050000Z", Reason.WRONG_TYPE),
    ("start", "2012-W05-3T05:00:00Z", Reason.WRONG_TYPE),
    ("start", "2012-02-01T24:00:00Z", Reason.WRONG_TYPE),
    ("start", "2012-02-01T23:59:60Z", Reason.WRONG_TYPE),
    ("start", "2012-02-01T05:00:00+24:00", Reason.WRONG_TYPE),
    ("start", "05:00:00Z", Reason.WRONG_TYPE),
    ("start", "1328072400", Reason.WRONG_TYPE),
    ("end", "0001-01-01T00:00:00+14:00", Reason.OUT_OF_RANGE),
    ("end", "9999-12-31T23:59:59-14:00", Reason.OUT_OF_RANGE),
]
TEXTUAL = ("JSON message", "CloudEvent message", "JSONL file", "CSV file")


@pytest.mark.parametrize("encoding", TEXTUAL)
@pytest.mark.parametrize(("name", "text", "reason"), WRONG)
def test_every_encoding_refuses_the_same_values(
    encoding: str, name: str, text: str, reason: Reason, tmp_path: Path
) -> None:
    if encoding == "CloudEvent message":
        event = json.loads(cloud_event(USAGE))
        names = {"id": "id", "account": "subject", "meter": "type"}
        (event if name in names else event["data"])[names.get(name, name)] = text
        data = json.dumps(event).encode()
    elif encoding == "CSV file":
        fields = json.loads(usage_json(USAGE)) | {name: text}
        data = "\n".join(",".join(cells) for cells in (fields, fields.values())).encode()
    else:
        data = json.dumps(json.loads(usage_json(USAGE)) | {name: text}).encode()
    batch = ENCODINGS[encoding][1](data, tmp_path)
    assert batch.records == []
    (rejection,) = batch.rejections
    assert rejection.reason == reason
    assert rejection.usage_id == ("" if name == "id" else "h/1")
    assert rejection.original == (data.split(b"\n")[-1])
    assert rejection.size == len(rejection.original)


def changed(text: str, by: str) -> bytes:
    """The JSON of a good record with one passage replaced."""
    whole = usage_json(USAGE).decode()
    assert text in whole
    return whole.replace(text, by, 1).encode()


JSON_MESSAGES: list[tuple[bytes, Reason]] = [
    (b"", Reason.UNREADABLE),
    (b" ", Reason.UNREADABLE),
    (b"null", Reason.UNREADABLE),
    (b"[" + usage_json(USAGE) + b"]", Reason.UNREADABLE),
    (usage_json(USAGE) + usage_json(USAGE), Reason.UNREADABLE),
    (usage_json(USAGE)[:-9], Reason.UNREADABLE),
    (usage_json(USAGE).replace(b"home", b"h\xffme"), Reason.UNREADABLE),
    (changed("home", r"h\ud800me"), Reason.UNREADABLE),
    (changed('"h/1"', "7"), Reason.WRONG_TYPE),
    (changed('"h/1"', "null"), Reason.MISSING_FIELD),
    (changed('"id":"h/1",', ""), Reason.MISSING_FIELD),
    (changed('"0.39"', "NaN"), Reason.NOT_FINITE),
    (changed('"0.39"', "-Infinity"), Reason.NOT_FINITE),
    (changed('"0.39"', "1e999999"), Reason.OUT_OF_RANGE),
    (changed('"0.39"', "true"), Reason.WRONG_TYPE),
    (changed('"0.39"', "[1]"), Reason.WRONG_TYPE),
    (changed('"0.39"', "null"), Reason.MISSING_FIELD),
    (changed('"0.39"', "1_0"), Reason.UNREADABLE),
    (changed('"2012-02-01T05:00:00Z"', "1328072400"), Reason.WRONG_TYPE),
    (changed('"id":', '"quantitty":1,"id":'), Reason.UNKNOWN_FIELD),
    (changed('"id":', '"attributes":{"a":1},"id":'), Reason.WRONG_TYPE),
    (changed('"id":', '"attributes":[],"id":'), Reason.WRONG_TYPE),
    (changed('"id":', '"quantity":1,"id":'), Reason.UNREADABLE),
    (changed('"id":', r'"quantit\u0079":1,"id":'), Reason.UNREADABLE),
    (changed('"id":', '"quantity" : 1,"id":'), Reason.UNREADABLE),
    (changed('"id":', '"attributes":{"a":"1","a":"2"},"id":'), Reason.UNREADABLE),
    (changed('"id":', '"attributes":' + '{"a":' * 50_000 + '"id":'), Reason.UNREADABLE),
    (b"\x00\x00\x00\x00\x01abc", Reason.UNREADABLE),
    (b"\xc3\x01", Reason.TRUNCATED),
    (b"\xc3\x01" + bytes(8) + b"abc", Reason.UNREADABLE),
    (avro_single(USAGE) + b"\x00", Reason.UNREADABLE),
    (avro_single(USAGE)[:-1], Reason.UNREADABLE),
    (b"Obj\x01", Reason.TRUNCATED),
]


@pytest.mark.parametrize(("data", "reason"), JSON_MESSAGES)
def test_a_bad_message_is_one_rejection(data: bytes, reason: Reason) -> None:
    batch = decode_message(data, POSITION)
    assert batch.records == []
    (rejection,) = batch.rejections
    assert rejection.reason == reason, rejection.message
    assert rejection.position == POSITION
    assert (rejection.original, rejection.size) == (data[: 64 * 1024], len(data))


def test_unknown_fields_are_named() -> None:
    (rejection,) = decode_message(changed('"id":', '"quantitty":1,"id":'), POSITION).rejections
    assert "'quantitty'" in rejection.message
    assert rejection.account == "home"


def test_an_oversized_message_keeps_its_start_size_and_hash() -> None:
    data = changed("home", "h" * 5000)
    (rejection,) = decode_message(data, POSITION, Limits(max_message_bytes=4096, original_cap=100)).rejections
    assert rejection.reason == Reason.OVERSIZED
    assert (rejection.original, rejection.size, len(rejection.sha256)) == (data[:100], len(data), 64)


@pytest.mark.parametrize("number", ["0.028999999999999998", "-0", "1E+3", "123456789012345678901234567890.123456789"])
def test_numbers_are_taken_digit_by_digit(number: str) -> None:
    for text in (number, f'"{number}"'):
        (usage,) = decode_message(changed('"0.39"', text), POSITION).records
        assert str(usage.quantity) == str(Decimal(number))


def test_offsets_become_utc_and_decimals_beyond_microseconds_are_cut() -> None:
    (usage,) = decode_message(changed("2012-02-01T05:00:00Z", "2012-02-01T00:00:00.1234567-05:00"), POSITION).records
    assert usage.start == START + timedelta(microseconds=123456)
    assert usage.start.tzinfo is UTC


def test_a_void_needs_no_quantity() -> None:
    for quantity in ('"quantity":null,', ""):
        (usage,) = decode_message(changed('"quantity":"0.39",', f'"corrects":"h/0",{quantity}'), POSITION).records
        assert (usage.quantity, usage.corrects) == (None, "h/0")


def test_nulls_defaults_escapes_and_a_bom_are_read() -> None:
    data = changed('"id":"h/1"', '"unit":null,"tenant":"default","session":"a\\"b","attributes":{},"id":"h\\u002f1"')
    (usage,) = decode_message(b"\xef\xbb\xbf" + data, POSITION).records
    assert usage == replaced(USAGE, session='a"b')


json_values = st.recursive(
    st.none() | st.booleans() | st.sampled_from(["1", "", "2012-02-01T05:00:00Z", "x"]) | st.integers() | st.floats(),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", ""]), inner, max_size=2),
    max_leaves=3,
)


@given(st.dictionaries(st.sampled_from([*UsageRecord.__struct_fields__, "x"]), json_values, max_size=3), st.booleans())
def test_the_quick_and_the_slow_way_read_the_same(changes: dict[str, object], repeat: bool) -> None:
    members = [*json.loads(usage_json(USAGE)).items()]
    members = [*members, *changes.items()] if repeat else [*(dict(members) | changes).items()]
    data = ("{" + ",".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in members) + "}").encode()
    slow = usage_from_any_json(data)
    assert usage_from_json(data) == slow
    if repeat and set(changes) & set(json.loads(usage_json(USAGE))):
        assert isinstance(slow, Refusal)


def event(**changes: object) -> bytes:
    members = {
        "specversion": "1.0",
        "id": "e1",
        "source": "gateway",
        "type": "tokens",
        "subject": "acme",
        "time": "2024-01-01T00:00:00.001Z",
        "data": {"quantity": 10},
    }
    return json.dumps({name: value for name, value in (members | changes).items() if value is not ...}).encode()


def test_an_event_as_openmeter_sends_it() -> None:
    data = {"quantity": "10", "model": "gpt", "status": 200, "cached": False, "note": None}
    (usage,) = decode_message(
        event(data=data, traceparent="00-1", datacontenttype="application/json"), POSITION
    ).records
    instant = datetime(2024, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)
    attributes = {"model": "gpt", "status": "200", "cached": "false"}
    assert usage == UsageRecord(
        "e1", "acme", "tokens", Decimal(10), instant, instant, source="gateway", attributes=attributes
    )


def test_event_data_may_name_meter_and_times() -> None:
    data = {"quantity": 1, "meter": "calls", "start": "2023-12-31T23:00:00Z", "attributes": {"a": "1"}, "b": "2"}
    (usage,) = decode_message(event(data=data), POSITION).records
    assert (usage.meter, usage.start.hour, usage.end.hour) == ("calls", 23, 0)
    assert usage.attributes == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"specversion": "0.3"}, Reason.UNREADABLE),
        ({"source": ...}, Reason.MISSING_FIELD),
        ({"subject": ...}, Reason.MISSING_FIELD),
        ({"type": ""}, Reason.MISSING_FIELD),
        ({"time": ...}, Reason.MISSING_FIELD),
        ({"data": ...}, Reason.MISSING_FIELD),
        ({"data": "10"}, Reason.WRONG_TYPE),
        ({"data": {"quantity": 1, "dimensions": {"a": "b"}}}, Reason.WRONG_TYPE),
        ({"data": {"quantity": 1, "id": "other"}}, Reason.UNKNOWN_FIELD),
        ({"data": {"quantity": 1, "account": "other"}}, Reason.UNKNOWN_FIELD),
        ({"data": {"quantity": 1, "attributes": {"a": "1"}, "a": "2"}}, Reason.UNREADABLE),
        ({"data_base64": "eyJ9"}, Reason.UNKNOWN_FIELD),
        ({"tenant": "other"}, Reason.UNKNOWN_FIELD),
        ({"id": 7}, Reason.WRONG_TYPE),
    ],
)
def test_a_wrong_event_is_refused(changes: dict[str, object], reason: Reason) -> None:
    (rejection,) = decode_message(event(**changes), POSITION).rejections
    assert rejection.reason == reason, rejection.message


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nouns)
def test_nouns_are_read_back(noun: Any) -> None:
    assert json_from(json_bytes(noun), type(noun)) == noun
    assert avro_from(avro_single(noun), type(noun)) == noun


any_us = st.integers(to_us(datetime(1, 1, 1, tzinfo=UTC)), to_us(datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)))
whole_us = st.integers(-200, 200).map(lambda seconds: seconds * 1_000_000)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(charges, st.fixed_dictionaries(dict.fromkeys(US_FIELDS, any_us | whole_us)), st.booleans())
def test_the_quick_json_of_a_charge_is_that_of_its_layout(charge: Charge, instants: Any, shared: bool) -> None:
    charge = structs.replace(charge, **instants)
    if shared:  # one part is all of the charge
        charge = structs.replace(charge, parts=(Part("", 0, 0, charge.quantity, charge.amount), *charge.parts[1:]))
    assert charge_json(charge) == msgspec.json.encode(layout(Charge, JSON).write(charge))


def test_the_quick_json_of_a_charge_stays_right_when_what_it_keeps_is_full() -> None:
    way = layout(Charge, JSON)
    for number in range(70_000):
        charge = made_charge(number, months=1_000_000)
        data = charge_json(charge)
        if number % 500 == 0 or number == 65_536:
            assert data == msgspec.json.encode(way.write(charge))


def test_a_charge_with_half_a_surrogate_pair_is_no_json() -> None:
    with pytest.raises(UnicodeEncodeError):
        charge_json(structs.replace(made_charge(1), usage_id="\ud800"))


@pytest.mark.parametrize("codec", ["null", "deflate", "zstandard"])
@pytest.mark.parametrize("strategy", [usages, charges, statements, rejections])
def test_containers_are_read_back(codec: Any, strategy: st.SearchStrategy[Any]) -> None:
    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(strategy, min_size=1, max_size=3), st.sampled_from([1, 400]))
    def check(some: list[Any], times: int) -> None:
        kind = type(some[0])
        assert nouns_from_container(avro_container(some * times, kind, codec), kind) == some * times

    check()


CHARGE = Charge(
    charge_id="c1",
    kind=ChargeKind.USAGE,
    tenant="default",
    account="home",
    source="amr",
    usage_id="h/1",
    meter="electricity",
    unit="kWh",
    usage_start=1_328_072_400_000_000,
    usage_end=1_328_076_000_000_001,
    period_start=0,
    period_end=0,
    statement_start=0,
    statement_end=0,
    used_before=0,
    quantity=390_000,
    parts=(Part("peak", 1, 67_000_000_000, 390_000, 26_130_000_000_000_000),),
    amount=26_130_000_000_000_000,
    currency="USD",
    tariff="hydro",
    version="1",
    running_total=-5 * 10**18,
    corrects="",
)


def test_a_charge_in_json_has_decimals_instants_and_objects() -> None:
    written = json.loads(json_bytes(CHARGE))
    assert written["amount"] == "0.02613"
    assert written["running_total"] == "-5"
    assert written["usage_start"] == "2012-02-01T05:00:00Z"
    assert written["usage_end"] == "2012-02-01T06:00:00.000001Z"
    assert written["kind"] == "usage"
    part = {"band": "peak", "tier": 1, "unit_price": "0.067", "quantity": "0.39", "amount": "0.02613"}
    assert written["parts"] == [part | {"name": "", "tax_percent": "", "tax": "0"}]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        json_bytes(CHARGE).replace(b'"0.02613"', b"0.02613"),
        json_bytes(CHARGE).replace(b'"0.02613"', b'"0.0261300000000000001"'),
        json_bytes(CHARGE).replace(b'"0.02613"', b'"1e3"'),
        json_bytes(CHARGE).replace(b'"tier":1', b'"tier":"1"'),
        json_bytes(CHARGE).replace(b'"usage"', b'"fee"'),
        json_bytes(CHARGE).replace(b'"charge_id"', b'"id"'),
        json_bytes(CHARGE).replace(b"05:00:00Z", b"05:00:00"),
    ],
)
def test_what_is_no_charge_raises(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any message
        json_from(data, Charge)


@pytest.mark.parametrize("data", [b"", avro_single(CHARGE)[:-1], avro_single(CHARGE) + b"x", avro_single(USAGE)])
def test_what_is_no_avro_charge_raises(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any message
        avro_from(data, Charge)


def test_avro_refuses_to_write_what_its_schema_cannot_hold() -> None:
    with pytest.raises(ValueError, match="more than 6 decimals"):
        avro_single(replaced(USAGE, quantity=Decimal("0.0000001")))


def logical(noun: Any, schema: str) -> dict[str, Any]:
    """A noun as another Avro implementation would have it: decimals and datetimes, by the schema's logical types."""
    stream = io.BytesIO(avro_single(noun)[10:])
    value = fastavro.schemaless_reader(stream, avro_schema(schema), None)
    assert isinstance(value, dict)
    return value


def test_another_reader_understands_our_logical_types() -> None:
    value = logical(CHARGE, "charge")
    assert value["amount"] == to_decimal(CHARGE.amount, AMOUNT_SCALE)
    assert value["quantity"] == to_decimal(CHARGE.quantity, QUANTITY_SCALE)
    assert value["usage_end"] == from_us(CHARGE.usage_end)
    assert value["parts"][0]["unit_price"] == Decimal("0.067")
    assert logical(USAGE, "usage")["quantity"] == Decimal("0.39")
    data = avro_container([CHARGE] * 3, Charge)
    assert [read["amount"] for read in fastavro.reader(io.BytesIO(data))] == [Decimal("0.02613")] * 3  # type: ignore[index,call-overload]


def test_schemas_have_the_fields_of_the_nouns_in_their_order() -> None:
    kinds = {"usage": UsageRecord, "charge": Charge, "statement": Statement, "rejection": Rejection}
    for name, kind in kinds.items():
        assert [field["name"] for field in avro_schema(name)["fields"]] == list(kind.__struct_fields__)
    inner = {
        "parts": Part,
        "lines": StatementLine,
        "taxes": TaxLine,
        "settlements": Settlement,
        "allowances": Allowance,
    }
    for field in [*avro_schema("charge")["fields"], *avro_schema("statement")["fields"]]:
        if field["name"] in inner:
            record = field["type"]["items"]
            assert [one["name"] for one in record["fields"]] == list(inner[field["name"]].__struct_fields__)


def test_what_an_older_program_wrote_has_the_defaults_of_what_is_new() -> None:
    """By the schema resolution of Avro, which fills in the defaults of the reader's schema."""
    part = next(field for field in avro_schema("charge")["fields"] if field["name"] == "parts")["type"]["items"]
    older = {**part, "fields": [field for field in part["fields"] if "default" not in field]}
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, older, logical(CHARGE, "charge")["parts"][0])
    stream.seek(0)
    read = fastavro.schemaless_reader(stream, older, part)
    assert isinstance(read, dict)
    assert (read["tier"], read["name"], read["tax_percent"], read["tax"]) == (1, "", "", "\0")


def test_the_fingerprint_is_the_specification_s() -> None:
    def crc(data: bytes) -> int:
        """CRC-64-AVRO bit by bit, as the specification defines it."""
        value = 0xC15D213AA4D7A795
        for byte in data:
            value ^= byte
            for _ in range(8):
                value = (value >> 1) ^ (0xC15D213AA4D7A795 if value & 1 else 0)
        return value

    assert crc_64_avro("int") == crc(b'"int"').to_bytes(8, "little")
    canonical = fastavro.schema.to_parsing_canonical_form(avro_schema("usage"))
    assert fingerprint("usage") == crc(canonical.encode()).to_bytes(8, "little")
    assert avro_single(USAGE).startswith(b"\xc3\x01" + fingerprint("usage"))


def test_the_fingerprint_of_usage_does_not_change_by_accident() -> None:
    assert fingerprint("usage").hex() == "232a54fe3c3b0588"


def foreign(fields: list[dict[str, Any]], values: list[dict[str, Any]], **options: Any) -> bytes:
    stream = io.BytesIO()
    schema = {"type": "record", "name": "Read", "fields": fields}
    fastavro.writer(stream, fastavro.parse_schema(schema), values, **options)
    return stream.getvalue()


TIMES: list[dict[str, Any]] = [
    {"name": name, "type": {"type": "long", "logicalType": "timestamp-millis"}} for name in ("start", "end")
]
TEXTS: list[dict[str, Any]] = [{"name": name, "type": "string"} for name in ("id", "account", "meter")]
VALUES = {"id": "h/1", "account": "home", "meter": "gas", "start": START, "end": START}


@pytest.mark.parametrize(
    ("quantity", "value", "expected"),
    [
        ({"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}, Decimal("0.39"), "0.39"),
        (
            {"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 8, "scale": 3},
            Decimal(-1),
            "-1",
        ),
        ("double", 0.1, "0.1"),
        ("float", 0.1, "0.1"),
        (["null", "float"], 16777216.0, "16777216"),
        ("long", 7, "7"),
        ("string", "1.50", "1.50"),
        ("double", float("nan"), Reason.NOT_FINITE),
        ("double", float("inf"), Reason.NOT_FINITE),
        (["null", "double"], None, Reason.MISSING_FIELD),
        ("boolean", True, Reason.WRONG_TYPE),
        ("bytes", b"1", Reason.WRONG_TYPE),
        ({"type": "map", "values": "string"}, {"a": "b"}, Reason.WRONG_TYPE),
    ],
)
@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz", "zstandard"])
def test_containers_of_other_writers(quantity: Any, value: Any, expected: Any, codec: str) -> None:
    data = foreign(
        [*TEXTS, *TIMES, {"name": "quantity", "type": quantity}], [VALUES | {"quantity": value}], codec=codec
    )
    batch = decode_message(data, POSITION)
    if isinstance(expected, Reason):
        assert [rejection.reason for rejection in batch.rejections] == [expected]
    else:
        assert [usage.quantity for usage in batch.records] == [Decimal(expected)], batch.rejections
        assert batch.records[0].start == START


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ({"type": "long", "logicalType": "local-timestamp-micros"}, 0, Reason.NO_ZONE),
        ("string", "2012-02-01T05:00:00", Reason.NO_ZONE),
        ("long", 0, Reason.WRONG_TYPE),
        ({"type": "long", "logicalType": "timestamp-millis"}, 2**62, Reason.OUT_OF_RANGE),
        ({"type": "int", "logicalType": "date"}, 0, Reason.WRONG_TYPE),
    ],
)
def test_containers_with_other_instants(kind: Any, value: Any, reason: Reason) -> None:
    fields: list[dict[str, Any]] = [
        *TEXTS,
        {"name": "start", "type": kind},
        TIMES[1],
        {"name": "quantity", "type": "long"},
    ]
    batch = decode_message(foreign(fields, [VALUES | {"start": value, "quantity": 1}]), POSITION)
    assert [rejection.reason for rejection in batch.rejections] == [reason]


def test_a_field_that_usage_has_not_refuses_each_record_of_a_container() -> None:
    fields: list[dict[str, Any]] = [
        *TEXTS,
        *TIMES,
        {"name": "quantity", "type": "long"},
        {"name": "phase", "type": "string"},
    ]
    batch = decode_message(foreign(fields, [VALUES | {"quantity": 1, "phase": "a"}] * 3), POSITION)
    assert [rejection.reason for rejection in batch.rejections] == [Reason.UNKNOWN_FIELD] * 3
    assert json.loads(batch.rejections[0].original)["phase"] == "a"


@pytest.mark.parametrize(
    "schema",
    [
        b"",
        b"{}",
        b'"long"',
        b"[" * 100_000,
        b'{"type":"record","name":"U","fields":[{"name":"id","type":{"type":"array","items":"null"}}]}',
        b'{"type":"record","name":"U","fields":[{"name":"id","type":"U"}]}',
        b'{"type":"record","name":"U","fields":[{"name":"id","type":"string"},{"name":"id","type":"string"}]}',
        b'{"type":"record","name":"U","fields":[{"name":"a","type":{"type":"bytes","logicalType":"decimal","scale":99}}]}',
    ],
)
def test_a_container_with_an_unusable_schema_is_one_rejection(schema: bytes) -> None:
    data = container_bytes(schema, [Block(1 << 60, b"\x00")], "null")
    batch = decode_message(data, POSITION)
    assert [rejection.reason for rejection in batch.rejections] == [Reason.UNREADABLE]
    assert batch.rejections[0].size == len(data)


def test_the_records_of_a_container_message_have_their_index_and_those_of_a_file_have_none(tmp_path: Path) -> None:
    schema = json.dumps(avro_schema("usage")).encode()
    good, bad = avro_single(USAGE)[10:], avro_single(replaced(USAGE, id=""))[10:]
    blocks = [Block(3, good + bad + good), Block(2, good), Block(1, bad), Block(1, good)]
    data = container_bytes(schema, blocks, "null")
    batch = decode_message(data, POSITION)
    assert [batch.position(place).index for place in range(4)] == [0, 2, 3, 6]
    assert [rejection.position.index for rejection in batch.rejections] == [1, 4, 5]
    assert set(batch.offsets) == {41} == {rejection.position.offset for rejection in batch.rejections}
    assert [str(batch.position(place)) for place in (0, 1)] == ["usage[3]@41", "usage[3]@41#2"]
    of_file = file_batch(data, tmp_path)
    assert [rejection.position.index for rejection in of_file.rejections] == [0] * 3
    assert of_file.indexes == [0] * 4


@pytest.mark.parametrize("fields", ["", '{"name":"id","type":"null"}'])
def test_records_that_take_no_bytes_cannot_be_counted_up(fields: str) -> None:
    schema = f'{{"type":"record","name":"U","fields":[{fields}]}}'.encode()
    batch = decode_message(container_bytes(schema, [Block(1 << 60, b""), Block(1 << 60, b"\x00")], "null"), POSITION)
    assert batch.records == []
    assert batch.received <= 3


def test_a_block_that_states_another_count_loses_nothing() -> None:
    schema = json.dumps(avro_schema("usage")).encode()
    record = avro_single(USAGE)[10:]
    for count in (1, 3):
        batch = decode_message(container_bytes(schema, [Block(count, record * 2)], "null"), POSITION)
        assert len(batch.records) == min(count, 2)
        assert [rejection.reason for rejection in batch.rejections] == [Reason.UNREADABLE]


def test_a_bomb_in_a_block_is_oversized_and_its_neighbours_are_read() -> None:
    schema = json.dumps(avro_schema("usage")).encode()
    packer = zlib.compressobj(wbits=-15)
    bomb = packer.compress(bytes(1 << 20)) + packer.flush()
    packer = zlib.compressobj(wbits=-15)
    good = packer.compress(avro_single(USAGE)[10:]) + packer.flush()
    data = container_bytes(schema, [Block(1, good), Block(1, bomb), Block(1, good)], "deflate")
    batch = decode_message(data, POSITION, Limits(max_block_bytes=100_000))
    assert len(batch.records) == 2
    assert [rejection.reason for rejection in batch.rejections] == [Reason.OVERSIZED]
    batch = decode_message(data, POSITION, Limits(max_decompressed_message_bytes=len(avro_single(USAGE)) + 10))
    assert len(batch.records) == 1
    assert [rejection.reason for rejection in batch.rejections] == [Reason.OVERSIZED] * 2


def test_records_that_take_little_more_than_no_bytes_are_limited_in_number() -> None:
    schema = json.dumps(avro_schema("usage")).encode()
    record = avro_single(USAGE)[10:]
    limits = Limits(max_block_records=3, max_message_records=4)
    blocks = [Block(count, record * count) for count in (3, 4, 1, 3)]
    batch = decode_message(container_bytes(schema, blocks, "null"), POSITION, limits)
    assert batch.indexes == [0, 1, 2, 4]
    assert [(one.reason, one.position.index) for one in batch.rejections] == [
        (Reason.OVERSIZED, 3),
        (Reason.OVERSIZED, 5),
    ]
    assert "what follows its first 5 is not read" in batch.rejections[1].message
    whole = decode_message(container_bytes(schema, blocks[:1] + blocks[2:3], "null"), POSITION, limits)
    assert (len(whole.records), whole.rejections) == (4, [])
    schema = b'{"type":"record","name":"U","fields":[{"name":"id","type":"boolean"}]}'
    packed = zlib.compressobj(wbits=-15)
    bomb = Block(1 << 20, packed.compress(bytes(1 << 20)) + packed.flush())
    batch = decode_message(container_bytes(schema, [bomb] * 1_000, "deflate"), POSITION)
    assert batch.received <= 1_000
    assert {rejection.reason for rejection in batch.rejections} == {Reason.OVERSIZED}


def test_a_damaged_block_does_not_hide_the_blocks_after_it() -> None:
    whole = avro_container([replaced(USAGE, id=str(number)) for number in range(3000)], UsageRecord)
    header_end = whole.index(whole[-16:]) + 16
    block_end = whole.index(whole[-16:], header_end)
    damages = {"count": header_end, "size": header_end + 2, "data": block_end - 5, "sync": block_end + 3}
    for what, at in damages.items():
        data = bytearray(whole)
        data[at] ^= 0xFF
        batch = decode_message(bytes(data), POSITION)
        ids = {int(usage.id) for usage in batch.records}
        assert ids >= set(range(2000 if what == "sync" else 1000, 3000)), what
        assert len(batch.rejections) == 1, what
        assert batch.rejections[0].original in bytes(data) or what == "data"


def test_an_instant_written_in_another_zone_is_the_same() -> None:
    local = replaced(USAGE, start=START.astimezone(timezone(timedelta(hours=-5))))
    (usage,) = decode_message(usage_json(local), POSITION).records
    assert usage == USAGE


TEXTS_OF_USAGE = ("id", "account", "meter", "source", "tenant", "unit", "session", "corrects", "attributes")


@encodings
@pytest.mark.parametrize("name", TEXTS_OF_USAGE)
def test_a_text_that_would_fit_no_message_is_refused(name: str, encode: Encode, decode: Decode, tmp_path: Path) -> None:
    """A charge repeats the texts of its record, so their length is bounded before anything is charged."""
    for length, reasons in ((LONGEST_TEXT, []), (LONGEST_TEXT + 1, [Reason.OVERSIZED])):
        text = "x" * length
        data = encode(replaced(USAGE, **{name: {"a": text} if name == "attributes" else text}))
        batch = decode(data, tmp_path)
        assert [rejection.reason for rejection in batch.rejections] == reasons
        assert len(batch.records) == 1 - len(reasons)
