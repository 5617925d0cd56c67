"""The schema registry: what framed messages come to, whatever it answers, and when it does not."""

import asyncio
import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import fastavro
import pytest

from agents.errors import RegistryError, SettingError
from agents.stream.looking_up import LookedUp
from agents.stream.registry import UNKNOWN_S, Meaning, SchemaRegistry, schema_registry
from agents.stream.registry_http import MOST_BYTES, Address, address_in
from schemas.codecs import Refusal, UsageBatch, avro_single, decode_message
from schemas.codecs.avro_reading import Reading
from schemas.codecs.avro_schema import avro_schema
from schemas.rejection import Position, Reason
from schemas.usage import UsageRecord
from tests.stream.registry_server import Answering, RegistryServer, Reply, unknown

START = datetime(2024, 5, 1, tzinfo=UTC)
USAGE = UsageRecord("u1", "home", "power", Decimal("0.125"), START, START + timedelta(hours=1))
TIMEOUT_S = 0.3
RETRY_S = 0.05
WAIT_S = 20


@dataclass
class Message:
    """A message as it was fetched."""

    value: bytes | None
    offset: int = 41
    key: bytes | None = None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class Clock:
    """Stands still unless it is set."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        yield server


def address_of(server: RegistryServer) -> Address:
    address = address_in({"RATESTREAM_SCHEMA_REGISTRY": server.url})
    assert address is not None
    return address


def registry_at(server: RegistryServer, timeout_s: float = WAIT_S, most: int = 100) -> SchemaRegistry:
    return SchemaRegistry(address_of(server), timeout_s=timeout_s, most=most)


def framed(schema_id: int, record: bytes = b"") -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big") + (record or avro_single(USAGE)[10:])


def asked(registry: SchemaRegistry, *ids: int) -> dict[int, Meaning]:
    """What the registry says of these ids."""
    found: dict[int, Meaning] = {}
    registry.fetch(ids, found, threading.Event())
    return found


async def reached(condition: Callable[[], bool]) -> None:
    def wait() -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    await asyncio.to_thread(wait)


def prepare(schemas: LookedUp, *values: bytes | None) -> None:
    asyncio.run(asyncio.wait_for(schemas.prepare([Message(value) for value in values]), WAIT_S))


def decoded(schemas: LookedUp, value: bytes) -> UsageBatch:
    return decode_message(value, Position("usage", 3, 41), registry=schemas)


def test_framed_messages_are_decoded_and_an_id_is_asked_for_once(server: RegistryServer) -> None:
    server.holds(7, avro_schema("usage"))
    server.holds(8, avro_schema("usage"), schemaType="AVRO", references=[])
    registry = registry_at(server)
    schemas = LookedUp(registry, RETRY_S)
    for _ in range(3):
        prepare(schemas, None, b"{}", *[framed(7)] * 100, framed(8), b"\x00\x00", b"\x00\xff\xff\xff\xff")
        assert decoded(schemas, framed(7)).records == decoded(schemas, framed(8)).records == [USAGE]
    prepare(LookedUp(registry, RETRY_S), framed(7))  # of another partition
    assert server.asked == ["/schemas/ids/7", "/schemas/ids/8"]


def test_a_writer_s_own_schema_is_read_as_it_says(server: RegistryServer) -> None:
    texts = [{"name": name, "type": "string"} for name in ("meter", "account", "id")]
    times = [{"name": name, "type": {"type": "long", "logicalType": "timestamp-millis"}} for name in ("start", "end")]
    fields = [*times, {"name": "quantity", "type": "double"}, *texts]
    schema = {"type": "record", "name": "Other", "fields": fields}
    server.holds(1 << 30, schema)
    stream = io.BytesIO()
    fastavro.schemaless_writer(
        stream,
        schema,
        {name: getattr(USAGE, name) for name in ("id", "account", "meter", "start", "end")} | {"quantity": 0.125},
    )
    schemas = LookedUp(registry_at(server))
    message = framed(1 << 30, stream.getvalue())
    prepare(schemas, message)
    assert decoded(schemas, message).records == [USAGE]


def test_an_unknown_id_is_a_rejection_and_is_asked_for_again_after_a_minute(server: RegistryServer) -> None:
    clock = Clock()
    schemas = LookedUp(SchemaRegistry(address_of(server), clock=clock))
    for clock.now_s in (0.0, UNKNOWN_S / 2):
        prepare(schemas, framed(7))
        (rejection,) = decoded(schemas, framed(7)).rejections
        assert (rejection.reason, rejection.original) == (Reason.UNREADABLE, framed(7))
        assert "schema 7 is not in the schema registry" in rejection.message
    assert len(server.asked) == 1
    server.holds(7, avro_schema("usage"))
    clock.now_s = UNKNOWN_S
    prepare(schemas, framed(7))
    assert decoded(schemas, framed(7)).records == [USAGE]


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"schemaType": "PROTOBUF", "schema": 'syntax = "proto3";'}, "PROTOBUF"),
    ({"schemaType": "JSON", "schema": "{}"}, "JSON"),
    ({"schemaType": ["AVRO"], "schema": json.dumps(avro_schema("usage"))}, "AVRO"),
    ({"schema": json.dumps(avro_schema("usage")), "references": [{"name": "a", "subject": "b"}]}, "refers to other"),
    ({"schema": '"string"'}, "no record"),
    ({"schema": "[" * 100_000}, "no Avro schema"),
    ({"schema": '{"type":"map","values":' * 8_000}, "no Avro schema"),
    ({"schema": "{"}, "no Avro schema"),
    ({"schema": '{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}'}, "the type R"),
    ({"schema": '{"type":"record","name":"R","fields":[{"name":"n","type":"null"}]}'}, "the type null"),
    ({"schema": json.dumps(avro_schema("usage")) + " " * MOST_BYTES}, f"larger than {MOST_BYTES} bytes"),
]


@pytest.mark.parametrize(("answer", "why"), REFUSED)
def test_a_schema_that_cannot_be_used_is_its_messages_fault(
    server: RegistryServer, answer: dict[str, object], why: str
) -> None:
    server.says(7, answer)
    schemas = LookedUp(registry_at(server), RETRY_S)
    for _ in range(2):
        prepare(schemas, framed(7))
        (rejection,) = decoded(schemas, framed(7)).rejections
        assert rejection.reason is Reason.UNREADABLE
        assert "schema 7" in rejection.message
        assert why in rejection.message
        assert len(rejection.message) < 500
    assert len(server.asked) == 1


def said(status: int, body: bytes, kind: str = "application/json", **headers: str) -> Reply:
    return lambda to: to.answer(status, body, kind, **headers)


def chunked_forever(to: Answering) -> None:
    to.send_response(200)
    to.send_header("Content-Type", "application/json")
    to.send_header("Transfer-Encoding", "chunked")
    to.end_headers()
    while not to.server.registry.stopping.is_set():
        to.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def trickle(to: Answering) -> None:
    """A byte now and then, so that no single one is late."""
    to.send_response(200)
    to.send_header("Content-Type", "application/json")
    to.send_header("Content-Length", "100000")
    to.end_headers()
    while not to.server.registry.stopping.wait(TIMEOUT_S / 10):
        to.wfile.write(b" ")


def silence(to: Answering) -> None:
    to.server.registry.stopping.wait()


def headers_forever(to: Answering) -> None:
    to.send_response(200)
    while not to.server.registry.stopping.is_set():
        to.send_header("X-More", "x" * 1_000)
        to.flush_headers()


def hang_up(to: Answering) -> None:
    to.close_connection = True


def no_http(to: Answering) -> None:
    to.wfile.write(b"220 mail.example ESMTP\r\n")
    to.close_connection = True


def half(to: Answering) -> None:
    to.send_response(200)
    to.send_header("Content-Type", "application/json")
    to.send_header("Content-Length", "1000")
    to.end_headers()
    to.wfile.write(b'{"schema": "')
    to.close_connection = True


TROUBLE: dict[str, tuple[Reply, str]] = {
    "internal error": (said(500, b'{"error_code": 50001}'), "answers 500. See what its log says"),
    "no leader": (said(503, b""), "answers 503"),
    "too many": (said(429, b"{}"), "answers 429. See what its log says"),
    "no login": (said(401, b'{"error_code": 40101}'), "answers 401. Write a user and password"),
    "not allowed": (said(403, b'{"error_code": 40301}'), "answers 403. Write a user and password"),
    "redirect": (said(302, b"", Location="http://127.0.0.1:1/"), "answers 302. Write its own address"),
    "another's 404": (said(404, b"<html>", "text/html"), "answers 'text/html', as no registry does"),
    "another's JSON 404": (said(404, b'{"error": "no such page"}'), "answers 404 in words"),
    "a page": (said(200, b"<html>", "text/html"), "answers 'text/html', as no registry does"),
    "no JSON": (said(200, b"{'schema': 1}"), "answers 200 in words"),
    "JSON bomb": (said(200, b"[" * 200_000), "answers 200 in words"),
    "no object": (said(200, b'["schema"]'), "answers 200 in words"),
    "no schema": (said(200, b'{"schemaType": "AVRO"}'), "answers 200 in words"),
    "schema is no text": (said(200, b'{"schema": {"type": "record"}}'), "answers 200 in words"),
    "not UTF-8": (said(200, b'{"schema": "\xff"}'), "answers 200 in words"),
    "half": (half, "answers 200 in words"),
    "silence": (silence, f"it took longer than {TIMEOUT_S} s"),
    "trickle": (trickle, f"it took longer than {TIMEOUT_S} s"),
    "headers forever": (headers_forever, "does not answer"),
    "hung up": (hang_up, "does not answer"),
    "no HTTP": (no_http, "does not answer"),
}


@pytest.mark.parametrize("what", TROUBLE)
def test_a_registry_in_trouble_is_nobody_s_fault(server: RegistryServer, what: str) -> None:
    reply, told = TROUBLE[what]
    server.holds(6, avro_schema("usage"))
    server.does(7, reply)
    registry = registry_at(server, TIMEOUT_S)
    found: dict[int, Meaning] = {}
    began = time.monotonic()
    with pytest.raises(RegistryError) as raised:
        registry.fetch([6, 7, 8], found, threading.Event())
    assert time.monotonic() - began < WAIT_S / 2
    assert told in str(raised.value)
    assert server.url in str(raised.value)
    assert "wait" in str(raised.value)
    assert found.keys() == registry.known([6, 7, 8]).keys() == {6}
    server.holds(7, avro_schema("usage"))
    registry.fetch([6, 7, 8], found, threading.Event())
    assert [type(found[one]) for one in (6, 7, 8)] == [Reading, Reading, Refusal]
    assert server.asked.count("/schemas/ids/6") == 1


def test_a_body_without_end_is_read_no_further_than_a_schema_may_be_long(server: RegistryServer) -> None:
    server.does(7, chunked_forever)
    server.holds(8, avro_schema("usage"))
    found = asked(registry_at(server), 7, 8)
    assert isinstance(found[7], Refusal)
    assert f"larger than {MOST_BYTES} bytes" in found[7].message
    assert isinstance(found[8], Reading)


def test_nobody_there_is_told_with_what_to_do() -> None:
    with RegistryServer() as server:
        registry = registry_at(server, TIMEOUT_S)
    with pytest.raises(RegistryError, match=r"does not answer: .*refused.*RATESTREAM_SCHEMA_REGISTRY"):
        asked(registry, 7)


def test_messages_wait_while_the_registry_is_away_and_go_on_when_it_is_back(
    server: RegistryServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.holds(6, avro_schema("usage"))
    server.holds(7, avro_schema("usage"))
    schemas = LookedUp(registry_at(server, TIMEOUT_S), RETRY_S)

    async def scene() -> None:
        server.stop()
        waiting = asyncio.ensure_future(schemas.prepare([Message(framed(6)), Message(framed(7))]))
        await reached(lambda: "waiting for schemas" in caplog.text)
        server.does(7, said(500, b""))
        server.start()
        await reached(lambda: "answers 500" in caplog.text)
        assert not waiting.done()
        server.holds(7, avro_schema("usage"))
        await waiting

    asyncio.run(asyncio.wait_for(scene(), WAIT_S))
    assert decoded(schemas, framed(7)).records == [USAGE]
    assert server.asked.count("/schemas/ids/6") == 1


def test_who_gives_up_waiting_leaves_no_question_behind(server: RegistryServer) -> None:
    def slowly(to: Answering) -> None:
        server.stopping.wait(0.1)
        unknown(to)

    for one in range(100):
        server.does(one, slowly)
    schemas = LookedUp(registry_at(server))

    async def scene() -> None:
        waiting = asyncio.ensure_future(schemas.prepare([Message(framed(one)) for one in range(100)]))
        await reached(lambda: bool(server.asked))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(scene())  # waits for its threads
    assert len(server.asked) <= 3


def test_a_batch_that_names_more_schemas_than_are_remembered_is_decoded(server: RegistryServer) -> None:
    """As many as garbage that begins with 0 may name, while others of this process forget and ask."""
    for one in range(20):
        server.holds(one, avro_schema("usage"))
    registry = registry_at(server, most=5)
    schemas = LookedUp(registry, RETRY_S)
    messages = [framed(one) for one in range(20)]
    prepare(schemas, *messages)
    prepare(LookedUp(registry, RETRY_S), *[framed(one) for one in range(100, 120)])
    assert [decoded(schemas, message).records for message in messages] == [[USAGE]] * 20
    assert len(server.asked) == 40
    assert len(registry.known(range(200))) == 5


def test_refusals_that_expire_while_others_are_looked_up_are_not_asked_for_again(server: RegistryServer) -> None:
    clock = Clock()

    def slowly(to: Answering) -> None:
        clock.now_s += UNKNOWN_S / 2
        unknown(to)

    for one in range(10):
        server.does(one, slowly)
    schemas = LookedUp(SchemaRegistry(address_of(server), clock=clock), RETRY_S)
    prepare(schemas, *[framed(one) for one in range(10)])
    assert len(server.asked) == 10
    assert [len(decoded(schemas, framed(one)).rejections) for one in range(10)] == [1] * 10


def test_what_was_not_prepared_stops_the_decoder(server: RegistryServer) -> None:
    schemas = LookedUp(registry_at(server))
    with pytest.raises(RegistryError, match="schema 7 was not looked up"):
        decoded(schemas, framed(7))


def test_a_password_goes_to_the_registry_and_nowhere_else(server: RegistryServer) -> None:
    url = f"http://me:p%40ss%2Fword@127.0.0.1:{server.port}/v1/"
    registry = schema_registry({"RATESTREAM_SCHEMA_REGISTRY": url})
    assert registry is not None
    server.replies["/v1/schemas/ids/7"] = said(302, b"", Location=f"{server.url}/elsewhere")
    with pytest.raises(RegistryError) as raised:
        asked(registry, 7)
    assert f"http://127.0.0.1:{server.port}/v1" in str(raised.value)
    assert not any(part in str(raised.value) for part in ("me:", "ss/word", "ss%2Fword", "bWU6"))
    assert server.asked == ["/v1/schemas/ids/7"]
    assert server.authorizations == ["Basic bWU6cEBzcy93b3Jk"]


SECRET = "hunter2"  # noqa: S105 - nobody's


@pytest.mark.parametrize(
    "url",
    [
        f"me:{SECRET}@registry",
        f"ftp://me:{SECRET}@registry",
        f"https://me:{SECRET}@",
        f"https://me:{SECRET}@registry:99999",
        f"https://me:{SECRET}@registry:0",
        f"https://me:{SECRET}@registry/?a=b",
        f"https://me:{SECRET}@registry/#a",
        f"https://me:{SECRET}@registry/a b",
        f"https://me:{SECRET}@regi stry",
        f"https://me:{SECRET}@registry..example",
        f"https://me:{SECRET}@{'r' * 64}",
        f"https://me:{SECRET}@[::1",
        f"https://me:{SECRET}@[registry]",
        f"https://me:12/{SECRET}@registry",
        f"https://me:{SECRET}#12@registry",
        f"https://me:{SECRET}\N{ACCOUNT OF}@registry",
        f"http://me:{SECRET}@registry",
    ],
)
def test_an_address_that_is_none_is_told_without_its_secret(url: str) -> None:
    with pytest.raises(SettingError) as raised:
        schema_registry({"RATESTREAM_SCHEMA_REGISTRY": url})
    assert str(raised.value).startswith("RATESTREAM_SCHEMA_REGISTRY ")
    assert SECRET not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://registry", "http://registry:80"),
        ("https://me:secret@registry.example:8443/a/b/", "https://registry.example:8443/a/b"),
        ("http://me:secret@127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("http://me:secret@[::1]:8081", "http://[::1]:8081"),
    ],
)
def test_an_address_shows_no_secret(url: str, text: str) -> None:
    address = address_in({"RATESTREAM_SCHEMA_REGISTRY": url})
    assert str(address) == text
    assert "secret" not in repr(address)


def test_no_registry_is_named() -> None:
    assert schema_registry({}) is schema_registry({"RATESTREAM_SCHEMA_REGISTRY": " "}) is None
