"""Publishing on a real Kafka: everything arrives, where it belongs, and what cannot is told."""

import json
import signal
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.partitioner.default import murmur2

from agents.errors import BrokerError, SuccessionError
from agents.stream.declaring import declare
from agents.stream.messages import Close, Outgoing, Release, decode_command
from agents.stream.publishing import Publisher
from deploy.broker import Broker
from schemas.account import Account
from schemas.catalogue import Catalogue, load_catalogue
from schemas.codecs import decode_message, usage_json
from schemas.rejection import Position
from schemas.tariff import Tariff, canonical
from schemas.usage import UsageRecord
from tests.integration.command import ACCOUNTS, TARIFFS
from tests.stream.streaming import PARTITIONS, Desk

START = datetime(2024, 5, 1, tzinfo=UTC)
ACCOUNT_NAMES = ("home", "flat/3", "büro", "shed%")


@pytest.fixture
def desk(broker: Broker, prefix: str) -> Desk:
    return Desk(broker, prefix)


def usage(number: int, tenant: str = "default") -> UsageRecord:
    start = START + timedelta(hours=number)
    return UsageRecord(
        f"r{number}",
        ACCOUNT_NAMES[number % len(ACCOUNT_NAMES)],
        "power",
        Decimal(number) / 8,
        start,
        start + timedelta(minutes=90),
        "test",
        tenant,
        "kWh",
        f"s{number}" if number % 2 else None,
        {"region": "eu"} if number % 3 else None,
    )


USAGES = [*(usage(number) for number in range(200)), *(usage(number, "a/b") for number in range(40))]


def jsonl(folder: Path, usages: list[UsageRecord]) -> Path:
    file = folder / "usage.jsonl"
    file.write_bytes(b"".join(usage_json(one) + b"\n" for one in usages))
    return file


def partition_of(key: bytes) -> int:
    """As another client of Kafka works it out."""
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % PARTITIONS


def identity(one: UsageRecord) -> tuple[str, str]:
    return one.tenant, one.id


@pytest.mark.parametrize("encoding", ["json", "cloudevents", "avro", "container", "bulk"])
def test_every_record_arrives_once_and_as_it_was(desk: Desk, tmp_path: Path, encoding: str) -> None:
    told = json.loads(desk.ask("publish", jsonl(tmp_path, USAGES), "--as", encoding, "--format", "json"))
    assert (told["files"], told["received"], told["published"], told["refused"]) == (1, 240, 240, 0)
    messages = desk.messages(desk.topics.usage_bulk if encoding == "bulk" else desk.topics.usage)
    assert told["messages"] == len(messages)
    assert told["bytes"] == sum(len(message.value) for message in messages)
    found: list[UsageRecord] = []
    for message in messages:
        batch = decode_message(message.value, Position(message.topic, message.partition, message.offset))
        assert batch.rejections == []
        found += batch.records
        if encoding != "bulk":
            (key,) = {f"{one.tenant.replace('/', '%2F')}/{one.account}".encode() for one in batch.records}
            assert message.key == key
            assert message.partition == partition_of(key)
        else:
            assert message.key is None
    assert sorted(found, key=identity) == sorted(USAGES, key=identity)
    assert len(messages) == {"container": 8, "bulk": 1}.get(encoding, 240)


def test_what_cannot_be_read_or_encoded_is_told_with_its_line_and_the_rest_arrives(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "usage.csv"
    row = "{},home,power,2024-05-01T00:00:00Z,2024-05-01T01:00:00{},{}\n"
    head = "id,account,meter,start,end,quantity\n"
    rows = [row.format("a", "Z", "1"), row.format("b", "", "1"), row.format("c", "Z", "0.1234567")]
    file.write_text(head + "".join(rows) + row.format("d", "Z", "2"), encoding="utf-8")
    result = desk.asked("publish", file, "--as", "container")
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{file}:3: no-zone: ")
    assert second.startswith(f"{file}:4: 0.1234567 has more than 6 decimals")
    assert "left out                2" in result.stdout
    (message,) = desk.messages(desk.topics.usage)
    assert [one.id for one in decode_message(message.value, Position("", 0, 0)).records] == ["a", "d"]


def test_columns_are_mapped_and_a_file_without_columns_refuses_that(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "usage.csv"
    file.write_text("nr,start,end,quantity\n7,2024-05-01T00:00:00Z,2024-05-01T01:00:00Z,1\n", encoding="utf-8")
    desk.ask("publish", file, "--map", "id=nr", "--set", "account=home", "--set", "meter=power")
    (message,) = desk.messages(desk.topics.usage)
    assert message.key == b"default/home"
    refused = desk.asked("publish", jsonl(tmp_path, USAGES), "--set", "account=home")
    assert refused.exit_code == 2


def test_a_message_above_the_topic_s_limit_ends_the_publishing(desk: Desk) -> None:
    name = f"{desk.connection.prefix}small"
    admin = KafkaAdminClient(**desk.connection.for_kafka_python())
    try:
        admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "1000"})])
    finally:
        admin.close()
    began = time.monotonic()
    publisher = Publisher(desk.connection)
    publisher.send(name, Outgoing(b"a", b"x" * 10), 0)
    publisher.settle()
    publisher.send(name, Outgoing(b"a", b"x" * 5000), 0)
    with pytest.raises(BrokerError, match="did not take a message"), publisher:
        publisher.settle()
    assert time.monotonic() - began < 10
    assert [message.value for message in desk.messages(name)] == [b"x" * 10]


def test_what_waits_is_bounded_and_all_of_it_arrives(desk: Desk) -> None:
    most, value = 0, b"x" * 100
    with Publisher(desk.connection) as publisher:
        for number in range(45_000):
            publisher.send(desk.topics.usage, Outgoing(b"", value), number % PARTITIONS)
            most = max(most, publisher.waiting)
    assert 10_000 < most <= 20_000
    assert desk.size(desk.topics.usage) == 45_000


def test_a_broker_that_is_not_there_is_told_soon(desk: Desk, tmp_path: Path) -> None:
    desk.environment = {**desk.environment, "RATESTREAM_BROKERS": "127.0.0.1:1"}
    result = desk.asked("publish", jsonl(tmp_path, USAGES))
    assert result.exit_code == 1
    assert "127.0.0.1:1" in result.stderr


def test_tariffs_and_accounts_go_to_their_topics(desk: Desk) -> None:
    told = json.loads(desk.ask("publish", "--tariffs", TARIFFS, "--accounts", ACCOUNTS, "--format", "json"))
    catalogue = load_catalogue(TARIFFS, ACCOUNTS)
    tariffs = {
        f"{one.tariff}@{one.version}".encode(): canonical(one) for some in catalogue.tariffs.values() for one in some
    }
    assert told == {"tariffs": len(tariffs), "tariffs_known": 0, "accounts": len(catalogue.accounts)}
    published = desk.messages(desk.topics.tariffs)
    assert {message.key: message.value for message in published} == tariffs
    messages = desk.messages(desk.topics.accounts)
    accounts = {message.key: Account.model_validate_json(message.value) for message in messages}
    assert accounts == {f"{tenant}/{name}".encode(): one for (tenant, name), one in catalogue.accounts.items()}
    for message in messages:
        assert message.partition == partition_of(message.key)
    assert max(message.timestamp for message in published) <= min(message.timestamp for message in messages)
    again = json.loads(desk.ask("publish", "--tariffs", TARIFFS, "--format", "json"))
    assert (again["tariffs"], again["tariffs_known"]) == (0, len(tariffs))
    assert len(desk.messages(desk.topics.tariffs)) == len(tariffs)


def test_a_tariff_version_that_changed_is_refused_and_nothing_is_sent(desk: Desk) -> None:
    def tariff(price: str) -> Tariff:
        meters = {"power": {"unit": "kWh", "price": {"model": "per_unit", "unit_price": price}}}
        of = {"tariff": "plan", "version": "1", "effective_from": "2024-01-01", "currency": "USD", "meters": meters}
        return Tariff.model_validate(of)

    account = Account.model_validate(
        {"account": "home", "zone": "UTC", "currency": "USD", "tariffs": [{"tariff": "plan", "from": "2024-01-01"}]}
    )
    with Publisher(desk.connection) as publisher:
        declare(publisher, desk.connection, desk.topics, PARTITIONS, Catalogue.of([tariff("0.5")], []))
        with pytest.raises(SuccessionError, match="plan@1 is not what"):
            declare(publisher, desk.connection, desk.topics, PARTITIONS, Catalogue.of([tariff("0.6")], [account]))
    assert len(desk.messages(desk.topics.tariffs)) == 1
    assert desk.messages(desk.topics.accounts) == []


def test_wrong_accounts_are_refused_before_anything_is_sent(desk: Desk, tmp_path: Path) -> None:
    wrong = tmp_path / "accounts.yaml"
    wrong.write_text("accounts: [{account: a, zone: UTC, currency: USD, tariffs: [{tariff: x, from: 2024-01-01}]}]")
    assert desk.asked("publish", "--tariffs", TARIFFS, "--accounts", wrong).exit_code == 3
    assert desk.messages(desk.topics.tariffs) == []


def test_a_closing_goes_to_the_partition_of_its_account_or_to_all(desk: Desk) -> None:
    desk.ask("close", "--period", "2024-05", "--account", "home")
    (message,) = desk.messages(desk.topics.commands)
    assert decode_command(message.value) == Close("2024-05", "default", "home")
    assert (message.key, message.partition) == (b"default/home", partition_of(b"default/home"))
    desk.ask("close", "--period", "2024-Q2")
    desk.ask("rejected", "release", "--source", "meter-7")
    commands = [(one.partition, decode_command(one.value)) for one in desk.messages(desk.topics.commands)]
    for everywhere in (Close("2024-Q2"), Release("default", "meter-7")):
        assert [partition for partition, one in commands if one == everywhere] == [0, 1, 2]
    assert desk.asked("close", "--period", "May").exit_code == 2


def test_a_simulation_declares_its_accounts_and_sends_what_it_says(desk: Desk) -> None:
    options = ("--accounts", 50, "--rate", 2000, "--seconds", 0.5, "--meters", 2, "--format", "json")
    told = json.loads(desk.ask("simulate", *options))
    assert told["records"] == 1000
    accounts = {message.key for message in desk.messages(desk.topics.accounts)}
    assert len(accounts) == 50
    messages = desk.messages(desk.topics.usage)
    assert {message.key for message in messages} <= accounts
    records = [decode_message(message.value, Position("", 0, 0)).records[0] for message in messages]
    assert len({one.id for one in records}) == 1000
    assert {one.meter for one in records} == {"charger-1", "charger-2"}
    assert all(
        one.end.timestamp() * 1000 <= message.timestamp + 2000 for one, message in zip(records, messages, strict=True)
    )
    desk.ask("simulate", *options)
    assert len(desk.messages(desk.topics.tariffs)) == 1


def test_an_interrupted_simulation_ends_with_everything_sent(desk: Desk) -> None:
    process = desk.start("simulate", "--accounts", 5, "--rate", 200, "--format", "json")
    try:
        desk.size(desk.topics.usage, above=50)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    assert json.loads(out)["records"] == desk.size(desk.topics.usage)
