"""What all tests share: how Hypothesis searches, a real Kafka, and a real ClickHouse over HTTP.

Hypothesis tries the same examples in every run, so that a red run is red again. RATESTREAM_TEST_PROFILE=long (`make
test-long`) searches each law for as many examples as RATESTREAM_TEST_EXAMPLES says, 10,000 by default; `explore`
searches new ground in each run and prints how to repeat what it finds. No deadline in any: a busy machine is not a
failure.

One Kafka serves all tests of the stream, and one ClickHouse all that ask over HTTP. Which they are is told at the end;
without one, tests are skipped, loudly.
"""

import os
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from deploy.broker import Broker, start_broker
from deploy.clickhouse import Server, start_clickhouse
from deploy.errors import NoBrokerError
from tests.clickhouse.server import FrontServer

settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", max_examples=2_000, deadline=None, print_blob=True)
settings.register_profile(
    "long",
    parent=settings.get_profile("steady"),
    max_examples=int(os.environ.get("RATESTREAM_TEST_EXAMPLES", "10000")),
)
settings.load_profile(os.environ.get("RATESTREAM_TEST_PROFILE", "steady"))

_KAFKA = pytest.StashKey[str]()
_CLICKHOUSE = pytest.StashKey[str]()


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


@pytest.fixture(scope="session")
def clickhouse(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server over HTTP, for a database of one's own in it."""
    server = start_clickhouse(otherwise=FrontServer)
    is_front = isinstance(server, FrontServer)
    not_run = "; NOT RUN on a server: none is named, and there is no Docker" if is_front else ""
    request.config.stash[_CLICKHOUSE] = f"run on {server.how}{not_run}"
    try:
        yield server
    finally:
        server.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if told := config.stash.get(_KAFKA, ""):
        terminalreporter.write_line(f"tests of the stream: {told}")
    if told := config.stash.get(_CLICKHOUSE, ""):
        terminalreporter.write_line(f"tests of ClickHouse over HTTP: {told}")


def _delete_topics(broker: Broker, prefix: str) -> None:
    from kafka import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        if made := [topic for topic in admin.list_topics() if topic.startswith(prefix)]:
            admin.delete_topics(made)
    finally:
        admin.close()
