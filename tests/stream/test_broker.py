"""The broker that the other tests stand on: it serves, dies and comes back as asked, and never outlives its owner."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError

from deploy import kafka_jars
from deploy.broker import TEST_BROKERS, Broker, start_broker
from deploy.errors import BrokerError, NoBrokerError
from tests.integration.command import ROOT

TIMEOUT_S = 30
OWNER = """
import os, time
from deploy.kafka_process import KafkaProcess
broker = KafkaProcess(None, {}, os.environ)
print(broker.bootstrap, broker.directory, flush=True)
time.sleep(600)
"""
SASL = {
    "listeners": (
        "PLAINTEXT://127.0.0.1:{plaintext_port},SASL://127.0.0.1:{sasl_port},CONTROLLER://127.0.0.1:{controller_port}"
    ),
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "listener.name.sasl.plain.sasl.jaas.config": (
        'org.apache.kafka.common.security.plain.PlainLoginModule required user_me="right";'
    ),
}


@pytest.fixture(scope="module")
def own() -> Iterator[Broker]:
    """A broker that these tests may kill, with a listener for SASL beside the plain one."""
    try:
        broker = start_broker(properties=SASL)
    except NoBrokerError as error:
        pytest.skip(f"NOT RUN on Kafka: {error}")
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def java() -> None:
    """Skips where a process of ours cannot be had."""
    try:
        kafka_jars.java(os.environ)
        kafka_jars.kafka_jars(os.environ)
    except NoBrokerError as error:
        pytest.skip(f"NOT RUN on Kafka under Java: {error}")


def publish(broker: Broker, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
    try:
        for sent in [producer.send(topic, value) for value in values]:
            sent.get(TIMEOUT_S)
    finally:
        producer.close()


def read(broker: Broker, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        topic, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=TIMEOUT_S * 1000
    )
    try:
        return [next(consumer).value for _ in range(count)]
    finally:
        consumer.close()


def create(broker: Broker, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        admin.close()


def is_open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def soon(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + TIMEOUT_S
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def test_it_serves(broker: Broker, prefix: str) -> None:
    create(broker, f"{prefix}served")
    publish(broker, f"{prefix}served", b"one", b"two")
    assert read(broker, f"{prefix}served", 2) == [b"one", b"two"]


def test_prefixes_differ(prefix: str, request: pytest.FixtureRequest, broker: Broker) -> None:
    assert re.fullmatch(r"test-[0-9a-f]{12}\.", prefix)
    assert broker is request.getfixturevalue("broker")


def test_killed_and_restarted_it_has_what_was_acknowledged(own: Broker) -> None:
    create(own, "survives")
    publish(own, "survives", b"before")
    own.kill()
    assert not is_open(own.bootstrap)
    own.restart()
    publish(own, "survives", b"after")
    assert read(own, "survives", 2) == [b"before", b"after"]


@pytest.mark.parametrize(("password", "let_in"), [("right", True), ("wrong", False)])
def test_a_listener_of_a_caller_asks_for_the_password(own: Broker, password: str, let_in: bool) -> None:
    def describe() -> str:
        admin = KafkaAdminClient(
            bootstrap_servers=own.listeners["SASL"],
            bootstrap_timeout_ms=5_000,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN",
            sasl_plain_username="me",
            sasl_plain_password=password,
        )
        try:
            return str(admin.describe_cluster()["cluster_id"])
        finally:
            admin.close()

    if let_in:
        assert len(describe()) == 22
    else:
        with pytest.raises(KafkaError):
            describe()


@pytest.mark.usefixtures("java")
def test_killing_its_owner_ends_it_and_removes_its_directory() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout
            bootstrap, directory = owner.stdout.readline().split()
            assert is_open(bootstrap)
            assert (Path(directory) / "data").is_dir()
        finally:
            owner.kill()
    assert soon(lambda: not is_open(bootstrap) and not Path(directory).exists())


@pytest.mark.usefixtures("java")
def test_a_named_directory_stays_and_is_started_again(tmp_path: Path) -> None:
    first = start_broker(tmp_path / "kafka")
    try:
        create(first, "kept")
        publish(first, "kept", b"kept")
    finally:
        first.stop()
    first.stop()
    assert not is_open(first.bootstrap)
    with pytest.raises(BrokerError, match="was stopped"):
        first.restart()
    second = start_broker(tmp_path / "kafka")
    try:
        assert read(second, "kept", 1) == [b"kept"]
    finally:
        second.stop()


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize("wrong", [{"num.partitions": "many"}, {"inter.broker.listener.name": "NOBODY"}])
def test_settings_that_kafka_refuses_are_told_and_leave_nothing(tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(BrokerError, match=next(iter(wrong.values()))) as refused:
        start_broker(tmp_path, properties=wrong)
    assert not isinstance(refused.value, NoBrokerError), "a broker that fails would be a test that is skipped"


@pytest.mark.usefixtures("java")
def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listeners = f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{{controller_port}}"
        with pytest.raises(BrokerError, match="Address already in use"):
            start_broker(tmp_path, properties={"listeners": listeners})


def test_a_broker_that_is_named_is_used_and_left_alone(broker: Broker) -> None:
    named = start_broker(environment={TEST_BROKERS: f"127.0.0.1:1,{broker.bootstrap}"})
    assert named.bootstrap == f"127.0.0.1:1,{broker.bootstrap}"
    assert TEST_BROKERS in named.how
    for forbidden in (named.kill, named.restart):
        with pytest.raises(BrokerError, match="is not ours"):
            forbidden()
    named.stop()
    assert is_open(broker.bootstrap.split(",")[0])


def test_a_named_broker_that_is_not_there_is_an_error() -> None:
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1.*Start it, or unset it") as refused:
        start_broker(environment={TEST_BROKERS: "127.0.0.1:1"})
    assert not isinstance(refused.value, NoBrokerError)


def test_without_any_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoBrokerError, match=rf"(?s)Java: .*apt install.*{TEST_BROKERS}=HOST:PORT"):
        start_broker(tmp_path / "kafka", environment={"PATH": str(tmp_path)})


def run_with_broker(*command: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.broker", "run", "--", *command],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_command_is_run_with_a_broker(broker: Broker) -> None:
    program = "import os; print(os.environ['RATESTREAM_BROKERS']); raise SystemExit(7)"
    with run_with_broker(sys.executable, "-c", program, environment={TEST_BROKERS: broker.bootstrap}) as running:
        out, err = running.communicate(timeout=TIMEOUT_S)
    assert running.returncode == 7
    assert out == f"{broker.bootstrap}\n"
    assert TEST_BROKERS in err


@pytest.mark.usefixtures("java")
def test_a_command_that_is_asked_to_stop_stops_before_its_broker() -> None:
    program = """
import os, signal, socket
host, port = os.environ["RATESTREAM_BROKERS"].split(":")
print(host, port, flush=True)
signal.sigwait({signal.SIGTERM})
socket.create_connection((host, int(port)), timeout=5).close()
raise SystemExit(9)
"""
    blocking = f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})\n{program}"
    with run_with_broker(sys.executable, "-c", blocking, environment={TEST_BROKERS: ""}) as running:
        try:
            assert running.stdout
            host, port = running.stdout.readline().split()
        finally:
            running.send_signal(signal.SIGTERM)
        assert running.wait(TIMEOUT_S) == 9
    assert not is_open(f"{host}:{port}")
