"""Every encoding of `usage` through a worker's process: what it is charged, and that it waits for a schema registry."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from kafka import KafkaProducer

from agents.stream.encoding import cloudevent_json
from agents.stream.keys import account_key
from agents.stream.messages import rejection_of
from deploy.broker import Broker
from schemas.charge import Charge
from schemas.codecs import avro_container, avro_single, json_from, usage_json
from schemas.codecs.avro_schema import avro_schema
from schemas.fixed_point import AMOUNT_SCALE, to_decimal
from schemas.rejection import Reason
from schemas.usage import UsageRecord
from tests.stream.registry_server import Answering, RegistryServer
from tests.stream.streaming import WAIT_S, Desk

START = datetime(2026, 3, 1, tzinfo=UTC)
SCHEMA_ID, UNKNOWN_ID, PROTOBUF_ID = 263, 264, 265
TARIFF = """\
tariff: flat
version: "1"
currency: USD
effective_from: 2026-01-01
meters:
  power: {unit: kWh, price: {model: per_unit, unit_price: "2"}}
"""
ACCOUNTS = """\
accounts:
  - {account: home, zone: UTC, currency: USD, tariffs: [{tariff: flat, from: 2026-01-01}]}
"""


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        server.holds(SCHEMA_ID, avro_schema("usage"))
        server.says(PROTOBUF_ID, {"schemaType": "PROTOBUF", "schema": 'syntax = "proto3";'})
        yield server


@pytest.fixture
def desk(broker: Broker, prefix: str, server: RegistryServer, tmp_path: Path) -> Desk:
    desk = Desk(broker, prefix)
    (tmp_path / "tariff.yaml").write_text(TARIFF)
    (tmp_path / "accounts.yaml").write_text(ACCOUNTS)
    desk.ask("publish", "--tariffs", tmp_path / "tariff.yaml", "--accounts", tmp_path / "accounts.yaml")
    desk.environment = {**desk.environment, "RATESTREAM_SCHEMA_REGISTRY": server.url}
    return desk


def usage(number: int) -> UsageRecord:
    start = START + timedelta(hours=number)
    return UsageRecord(f"u{number}", "home", "power", Decimal(number), start, start + timedelta(hours=1))


def framed(schema_id: int, record: UsageRecord) -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big") + avro_single(record)[10:]


def publish(desk: Desk, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(**desk.connection.for_kafka_python())
    try:
        for value in values:
            producer.send(topic, value, account_key("default", "home")).get(WAIT_S)
    finally:
        producer.close()


def charges(desk: Desk) -> dict[str, Decimal]:
    """Amounts by the ids of usage, in the order in which they were charged."""
    found = [json_from(message.value, Charge) for message in desk.messages(desk.topics.charges)]
    amounts = {charge.usage_id: to_decimal(charge.amount, AMOUNT_SCALE) for charge in found}
    assert len(amounts) == len(found)
    return amounts


@contextmanager
def worker(desk: Desk, data: Path) -> Iterator["subprocess.Popen[str]"]:
    """A worker that ends as it should when it is told to."""
    process = desk.start("worker", "--data", data, "--log", "warning")
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
    assert process.returncode == 0, told


def wait_until(reached: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + WAIT_S
    while not reached():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_all_encodings_are_charged_alike_and_in_their_order(desk: Desk, server: RegistryServer, tmp_path: Path) -> None:
    publish(
        desk,
        desk.topics.usage,
        usage_json(usage(1)),
        framed(SCHEMA_ID, usage(2)),
        cloudevent_json(usage(3)),
        framed(UNKNOWN_ID, usage(97)),
        avro_single(usage(4)),
        avro_container([usage(5), usage(6)], UsageRecord),
        framed(PROTOBUF_ID, usage(98)),
        framed(SCHEMA_ID, usage(7)),
        framed(SCHEMA_ID, usage(99))[:-1],
        usage_json(usage(8)),
    )
    with worker(desk, tmp_path / "data") as process:
        wait_until(lambda: "u8" in charges(desk), process)
    found = charges(desk)
    assert list(found.items()) == [(f"u{number}", Decimal(2 * number)) for number in range(1, 9)]
    rejected = [rejection_of(message.value, message.headers) for message in desk.messages(desk.topics.usage_rejected)]
    assert [(one.reason, one.position.offset) for one in rejected] == [(Reason.UNREADABLE, at) for at in (3, 6, 8)]
    assert [one.original for one in rejected] == [
        framed(UNKNOWN_ID, usage(97)),
        framed(PROTOBUF_ID, usage(98)),
        framed(SCHEMA_ID, usage(99))[:-1],
    ]
    told = ["not in the schema registry", "PROTOBUF", "cannot be decoded"]
    assert all(words in one.message for words, one in zip(told, rejected, strict=True))
    ids = [int(path.rpartition("/")[2]) for path in server.asked]
    assert sorted(set(ids)) == [SCHEMA_ID, UNKNOWN_ID, PROTOBUF_ID]
    assert ids.count(SCHEMA_ID) == 1


def test_a_worker_waits_for_the_registry_and_ends_when_it_is_told_to(
    desk: Desk, server: RegistryServer, tmp_path: Path
) -> None:
    """And neither loses nor rejects what waited, on both topics."""

    def silence(to: Answering) -> None:
        to.server.registry.stopping.wait()

    server.does(SCHEMA_ID, silence)
    publish(desk, desk.topics.usage, framed(SCHEMA_ID, usage(1)), usage_json(usage(2)))
    publish(desk, desk.topics.usage_bulk, framed(SCHEMA_ID, usage(3)))
    with worker(desk, tmp_path / "data") as process:
        wait_until(lambda: len(server.asked) >= 2, process)
        began = time.monotonic()
    assert time.monotonic() - began < 15
    assert (charges(desk), desk.messages(desk.topics.usage_rejected)) == ({}, [])
    server.stop()
    server.holds(SCHEMA_ID, avro_schema("usage"))
    server.start()
    with worker(desk, tmp_path / "data") as process:
        wait_until(lambda: len(charges(desk)) == 3, process)
    assert charges(desk) == {"u1": Decimal(2), "u2": Decimal(4), "u3": Decimal(6)}
    assert desk.messages(desk.topics.usage_rejected) == []
    assert json.loads(desk.ask("rejected", "replay", "--format", "json")) == {"replayed": 0, "left": 0}
