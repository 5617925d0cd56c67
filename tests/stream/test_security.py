"""Logins and certificates on a real Kafka: both clients connect by each, wrong ones are told, and no secret shows."""

import asyncio
import logging
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import TopicPartition as Partition
from typer.testing import CliRunner

from agents.errors import BrokerError
from agents.stream.brokers import reach
from agents.stream.connection import Connection, connection
from agents.stream.topics import check, create
from deploy.broker import Broker
from deploy.errors import NoBrokerError
from ratestream.cli import app
from tests.stream.secured import (
    KEY_PASSWORD,
    PASSWORD,
    SCRAM_USER,
    STRANGER,
    Certificates,
    bearer_token,
    make_certificates,
    start_secured,
    with_certificate,
    with_login,
    with_token,
)

WRONG = "wrong-horse-battery"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("NOT RUN: no openssl to make certificates with. Install it (Debian, Ubuntu: apt install openssl)")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secured(certificates: Certificates) -> Iterator[Broker]:
    try:
        broker = start_secured(certificates)
    except NoBrokerError as error:
        pytest.skip(f"NOT RUN on Kafka: {error}")
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{bearer_token(3600)}\n", encoding="utf-8")
    return file


@pytest.fixture
def topic(secured: Broker) -> str:
    """A new one with one partition."""
    name = f"topic-{uuid.uuid4().hex}"
    client = KafkaAdminClient(bootstrap_servers=secured.listeners["PLAINTEXT"])
    try:
        client.create_topics({name: {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    finally:
        client.close()
    return name


def without_tls(secured: Broker) -> dict[str, str]:
    return {
        "RATESTREAM_BROKERS": secured.listeners["OPEN"],
        "RATESTREAM_SECURITY": "sasl-plaintext",
        "RATESTREAM_ALLOW_SASL_WITHOUT_TLS": "yes",
        "RATESTREAM_SASL_MECHANISM": "PLAIN",
        "RATESTREAM_SASL_USERNAME": "ratestream",
        "RATESTREAM_SASL_PASSWORD": PASSWORD,
    }


def ways_in(secured: Broker, certificates: Certificates, token_file: Path) -> dict[str, dict[str, str]]:
    """The settings of each way to connect."""
    mechanisms = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    return {
        **{mechanism: with_login(secured, certificates, mechanism) for mechanism in mechanisms},
        "SCRAM signs": with_login(secured, certificates, "SCRAM-SHA-256", SCRAM_USER),
        "OAUTHBEARER": with_token(secured, certificates, token_file),
        "mTLS": with_certificate(secured, certificates),
        "without TLS": without_tls(secured),
    }


@pytest.fixture
def made(way: str, secured: Broker, certificates: Certificates, token_file: Path) -> Connection:
    return connection(ways_in(secured, certificates, token_file)[way])


EVERY_WAY = pytest.mark.parametrize(
    "way", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM signs", "OAUTHBEARER", "mTLS", "without TLS"]
)


async def write_and_read(made: Connection, topic: str) -> list[bytes]:
    """What aiokafka reads of the topic after it has written to it as well."""
    async with AIOKafkaProducer(**made.for_aiokafka()) as producer:
        await producer.send_and_wait(topic, b"by aiokafka")
    async with AIOKafkaConsumer(**made.for_aiokafka(), auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(2)]


def write(made: Connection, topic: str) -> None:
    producer = KafkaProducer(**made.for_kafka_python())
    try:
        producer.send(topic, b"by kafka-python").get(20)
    finally:
        producer.close()


def read(made: Connection, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(**made.for_kafka_python(), auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    try:
        consumer.assign([Partition(topic, 0)])
        return [next(consumer).value for _ in range(2)]
    finally:
        consumer.close()


@EVERY_WAY
def test_both_clients_write_and_read(
    made: Connection, topic: str, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = [PASSWORD, KEY_PASSWORD, token_file.read_text(encoding="utf-8").strip()]
    with (
        caplog.at_level(logging.DEBUG),
        caplog.at_level(logging.DEBUG, "kafka"),
        caplog.at_level(logging.DEBUG, "aiokafka"),
    ):
        reach(made)
        write(made, topic)
        assert asyncio.run(write_and_read(made, topic)) == [b"by kafka-python", b"by aiokafka"]
        assert read(made, topic) == [b"by kafka-python", b"by aiokafka"]
    assert {"aiokafka", "kafka"} <= {record.name.partition(".")[0] for record in caplog.records}
    assert not [secret for secret in secrets if secret in caplog.text]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_password_is_told_without_it(
    secured: Broker, certificates: Certificates, mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {**with_login(secured, certificates, mechanism), "RATESTREAM_SASL_PASSWORD": WRONG}
    with (
        caplog.at_level(logging.DEBUG),
        caplog.at_level(logging.DEBUG, "kafka"),
        caplog.at_level(logging.DEBUG, "aiokafka"),
        pytest.raises(BrokerError) as caught,
    ):
        check(connection(environment))
    told = str(caught.value)
    assert f"it refuses user 'ratestream' by {mechanism}. Check RATESTREAM_SASL_USERNAME and the password" in told
    assert WRONG not in f"{told} {caught.getrepr(showlocals=True)} {caplog.text}"


def test_the_command_line_tells_a_wrong_password_without_it(secured: Broker, certificates: Certificates) -> None:
    environment = {**with_login(secured, certificates, "PLAIN"), "RATESTREAM_SASL_PASSWORD": WRONG}
    checked = CliRunner().invoke(app, ["topics", "check"], env=environment)
    assert (checked.exit_code, checked.stdout) == (1, "")
    assert "it refuses user 'ratestream' by PLAIN" in checked.stderr
    assert WRONG not in checked.stderr


def test_a_token_that_expired_is_told_and_a_renewed_one_taken(
    secured: Broker, certificates: Certificates, token_file: Path, topic: str
) -> None:
    made = connection(with_token(secured, certificates, token_file))
    expired = bearer_token(-300)
    token_file.write_text(expired, encoding="utf-8")
    with pytest.raises(BrokerError, match=r"it refuses this process by OAUTHBEARER\. Check that the token") as caught:
        reach(made)
    assert expired not in str(caught.value)
    token_file.write_text(bearer_token(3600), encoding="utf-8")
    reach(made)
    write(made, topic)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"RATESTREAM_TLS_CERT": "", "RATESTREAM_TLS_KEY": "", "RATESTREAM_TLS_KEY_PASSWORD": ""},
            "RATESTREAM_TLS_CERT",
        ),
        ({"RATESTREAM_TLS_CA": "other.pem"}, "its certificate is not trusted: unable to get local issuer certificate"),
        ({"RATESTREAM_TLS_CA": ""}, "its certificate is not trusted"),
        ({"RATESTREAM_BROKERS": "localhost"}, "certificate is not valid for 'localhost'"),
    ],
)
def test_a_wrong_certificate_is_told(
    secured: Broker, certificates: Certificates, changed: dict[str, str], told: str
) -> None:
    environment = {**with_certificate(secured, certificates), **changed}
    if changed.get("RATESTREAM_TLS_CA"):
        environment["RATESTREAM_TLS_CA"] = str(certificates.other_authority)
    if "RATESTREAM_BROKERS" in changed:
        environment["RATESTREAM_BROKERS"] = secured.listeners["MUTUAL"].replace("127.0.0.1", "localhost")
    with pytest.raises(BrokerError, match=told):
        reach(connection(environment))


def test_a_wrong_password_of_the_key_is_told_without_it(secured: Broker, certificates: Certificates) -> None:
    for wrong in (WRONG, ""):
        runs = CliRunner().invoke(
            app,
            ["topics", "check"],
            env={**with_certificate(secured, certificates), "RATESTREAM_TLS_KEY_PASSWORD": wrong},
        )
        assert runs.exit_code == 2
        assert runs.stderr.startswith("RATESTREAM_TLS_CERT, RATESTREAM_TLS_KEY, RATESTREAM_TLS_KEY_PASSWORD: ")
        assert WRONG not in runs.stderr


@pytest.mark.parametrize(
    ("way", "listener", "told"),
    [
        ("nothing", "LOGIN", "it closed the connection. If it wants TLS or a login, write RATESTREAM_SECURITY=ssl"),
        ("nothing", "OPEN", "it closed the connection. If it wants TLS or a login, write RATESTREAM_SECURITY=ssl"),
        ("nothing", "MUTUAL", "it closed the connection. If it wants TLS or a login, write RATESTREAM_SECURITY=ssl"),
        ("mTLS", "PLAINTEXT", "if it has no TLS at this port, name another one"),
        ("without TLS", "PLAINTEXT", "it has no login at this port"),
        ("SCRAM without TLS", "OPEN", "it does not know SCRAM-SHA-256"),
    ],
)
def test_a_listener_that_wants_something_else_is_told(
    secured: Broker, certificates: Certificates, way: str, listener: str, told: str
) -> None:
    environment = {
        "nothing": dict[str, str](),
        "mTLS": with_certificate(secured, certificates),
        "without TLS": without_tls(secured),
        "SCRAM without TLS": {**without_tls(secured), "RATESTREAM_SASL_MECHANISM": "SCRAM-SHA-256"},
    }[way]
    with pytest.raises(BrokerError, match=told):
        reach(connection({**environment, "RATESTREAM_BROKERS": secured.listeners[listener]}))


def test_one_broker_that_answers_is_enough(secured: Broker) -> None:
    reach(connection({"RATESTREAM_BROKERS": f"127.0.0.1:1,{secured.listeners['PLAINTEXT']}"}))


def test_a_user_without_rights_is_told_what_it_needs(secured: Broker, certificates: Certificates) -> None:
    stranger = connection(with_login(secured, certificates, "PLAIN", STRANGER))
    for ask in (check, lambda made: create(made, partitions=1, replicas=1)):
        with pytest.raises(BrokerError, match=r"user 'stranger' may not do this .* Allow it Create, Describe"):
            ask(stranger)


@pytest.mark.parametrize("way", ["SCRAM-SHA-512"])
def test_topics_are_made_and_checked_with_a_login(made: Connection) -> None:
    assert create(made, partitions=2, replicas=1).layout == check(made)
