"""A real Kafka for the tests of the stream: one for all, told at the end; without one they are skipped, loudly."""

import uuid
from collections.abc import Iterator

import pytest

from deploy.broker import Broker, start_broker
from deploy.errors import NoBrokerError

_KAFKA = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    try:
        broker = start_broker()
    except NoBrokerError as error:
        request.config.stash[_KAFKA] = "NOT RUN on Kafka"
        pytest.skip(f"NOT RUN on Kafka: {error}")
    request.config.stash[_KAFKA] = f"run on Kafka: {broker.how}"
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def prefix(broker: Broker) -> Iterator[str]:
    """What this test's topics begin with, and no other's. A broker that is not ours is left without them."""
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    yield prefix
    if not broker.ours:
        _delete_topics(broker, prefix)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if told := config.stash.get(_KAFKA, ""):
        terminalreporter.write_line(f"tests of the stream: {told}")


def _delete_topics(broker: Broker, prefix: str) -> None:
    from kafka import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        if made := [topic for topic in admin.list_topics() if topic.startswith(prefix)]:
            admin.delete_topics(made)
    finally:
        admin.close()
