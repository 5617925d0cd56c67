"""Topics on a real Kafka: made once, checked, and refused where they would break the guarantees."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from typer.testing import CliRunner, Result

from agents.errors import BrokerError, LayoutError
from agents.stream.connection import Connection, connection
from agents.stream.topics import Topics, check, create
from deploy.broker import Broker
from ratestream.cli import app


@pytest.fixture
def environment(broker: Broker, prefix: str) -> dict[str, str]:
    return {"RATESTREAM_BROKERS": broker.bootstrap, "RATESTREAM_PREFIX": prefix}


@pytest.fixture
def made(environment: dict[str, str]) -> Connection:
    return connection(environment)


@pytest.fixture
def admin(broker: Broker) -> Iterator[Any]:
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        yield client
    finally:
        client.close()


def topics(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(app, ["topics", *arguments], env=environment)


def settings_of(admin: Any, topic: str) -> dict[str, str]:  # noqa: ANN401 - the client has no types
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    found = admin.describe_configs([resource], config_filter="all")["topic"][topic]
    return {name: setting["value"] for name, setting in found.items()}


def partitions_of(admin: Any, names: Topics) -> dict[str, int]:  # noqa: ANN401 - the client has no types
    described = admin.describe_topics(list(names))
    return {topic["name"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}


def delete(admin: Any, topic: str) -> None:  # noqa: ANN401 - the client has no types
    """Returns when the broker knows of it, and so of all that was changed before."""
    admin.delete_topics([topic])
    deadline = time.monotonic() + 10
    while not admin.describe_topics([topic])[0]["error_code"]:
        assert time.monotonic() < deadline, f"{topic} is still there"
        time.sleep(0.02)


def set_to(admin: Any, topic: str, **settings: str) -> None:  # noqa: ANN401 - the client has no types
    changed = {name.replace("_", "."): value for name, value in settings.items()}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=changed)])


def test_create_makes_them_once_and_shows_them(environment: dict[str, str], admin: Any) -> None:  # noqa: ANN401
    first = topics(environment, "create", "--partitions", "3")
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout.endswith("\nOK: 9 made, 0 were there\n")
    assert max(map(len, first.stdout.splitlines())) <= 80
    names = Topics.of(environment["RATESTREAM_PREFIX"])
    assert partitions_of(admin, names) == dict.fromkeys(names, 3) | {names.tariffs: 1}
    assert (
        settings_of(admin, names.changelog).items()
        >= {
            "cleanup.policy": "compact",
            "delete.retention.ms": "604800000",
            "max.message.bytes": "67108864",
            "message.timestamp.type": "LogAppendTime",
            "min.cleanable.dirty.ratio": "0.3",
            "min.insync.replicas": "1",
            "unclean.leader.election.enable": "false",
        }.items()
    )
    assert settings_of(admin, names.usage).items() >= {"cleanup.policy": "delete", "retention.ms": "604800000"}.items()
    assert settings_of(admin, names.charges)["retention.ms"] == "-1"

    again = topics(environment, "create", "--partitions", "3")
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout.endswith("\nOK: 0 made, 9 were there\n")
    checked = topics(environment, "check")
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert "OK: 9 topics, cluster " in checked.stdout


def test_the_layout_tells_what_workers_hold_on_to(made: Connection, admin: Any) -> None:  # noqa: ANN401
    layout = create(made, partitions=2, replicas=1).layout
    assert check(made) == layout
    names = Topics.of(made.prefix)
    assert (layout.partitions, layout.delete_retention_ms) == (2, 7 * 86_400_000)
    assert layout.cluster_id == admin.describe_cluster()["cluster_id"]
    assert set(layout.topic_ids) == set(names)
    assert len(set(layout.topic_ids.values())) == 9

    delete(admin, names.commands)
    created = create(made, partitions=2, replicas=1)
    assert created.made == {names.commands}
    changed = {name for name, topic_id in created.layout.topic_ids.items() if topic_id != layout.topic_ids[name]}
    assert changed == {names.commands}


def test_messages_get_the_broker_s_time(made: Connection) -> None:
    create(made, partitions=1, replicas=1)
    topic = Topics.of(made.prefix).usage
    producer = KafkaProducer(**made.for_kafka_python())
    try:
        stored = producer.send(topic, b"usage", timestamp_ms=1).get(10)
    finally:
        producer.close()
    consumer = KafkaConsumer(**made.for_kafka_python())
    try:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek(TopicPartition(topic, 0), stored.offset)
        message = next(consumer)
    finally:
        consumer.close()
    assert (message.value, message.timestamp_type) == (b"usage", 1)
    assert message.timestamp > 1_600_000_000_000


def test_another_number_of_partitions_is_refused(environment: dict[str, str], admin: Any) -> None:  # noqa: ANN401
    assert topics(environment, "create", "--partitions", "2").exit_code == 0
    refused = topics(environment, "create", "--partitions", "3")
    assert refused.exit_code == 1
    assert "have 2 partitions, not 3, and stay so: an account's partition follows from their number" in refused.stderr
    assert "Ask for --partitions 2" in refused.stderr
    assert set(partitions_of(admin, Topics.of(environment["RATESTREAM_PREFIX"])).values()) == {1, 2}


def test_check_tells_every_problem(environment: dict[str, str], admin: Any) -> None:  # noqa: ANN401
    assert topics(environment, "create", "--partitions", "2").exit_code == 0
    names = Topics.of(environment["RATESTREAM_PREFIX"])
    set_to(admin, names.changelog, cleanup_policy="delete", message_timestamp_type="CreateTime")
    set_to(admin, names.usage, cleanup_policy="compact")
    set_to(admin, names.accounts, min_insync_replicas="2")
    set_to(admin, names.charges, max_message_bytes="1000")
    admin.create_partitions({names.statements: 3})
    delete(admin, names.tariffs)
    checked = topics(environment, "check")
    assert checked.exit_code == 1
    assert checked.stdout == ""
    told = [line for line in checked.stderr.splitlines() if line.startswith("- ")]
    for problem in (
        f"- {names.tariffs}: not there.",
        "- partitions differ (",
        f"- {names.usage} has cleanup.policy=compact:",
        f"- {names.charges} has max.message.bytes=1000:",
        f"- {names.changelog} has cleanup.policy=delete:",
        f"- {names.changelog} has message.timestamp.type=CreateTime:",
        f"- {names.accounts} has min.insync.replicas=2: with 1 replica nothing could be written.",
    ):
        assert any(line.startswith(problem) for line in told), problem
    assert f"{names.statements} 3" in checked.stderr
    assert len(told) == 7


def test_nothing_is_made_beside_a_topic_that_is_wrong(made: Connection, admin: Any) -> None:  # noqa: ANN401
    names = Topics.of(made.prefix)
    admin.create_topics({names.changelog: {"num_partitions": 4, "replication_factor": 1}}, wait_for_metadata=True)
    with pytest.raises(LayoutError, match=r"changelog has cleanup\.policy=delete"):
        create(made, partitions=4, replicas=1)
    assert partitions_of(admin, names) == {names.changelog: 4}


def test_more_replicas_than_brokers_are_refused(made: Connection, admin: Any) -> None:  # noqa: ANN401
    brokers = len(admin.describe_cluster()["brokers"])
    with pytest.raises(LayoutError, match=f"{brokers + 1} replicas need as many brokers, and {brokers} answered"):
        create(made, partitions=1, replicas=brokers + 1)
    assert partitions_of(admin, Topics.of(made.prefix)) == {}


def test_what_the_broker_refuses_to_make_is_told(made: Connection) -> None:
    create(made, partitions=1, replicas=1)
    colliding = Connection(made.brokers, made.prefix.replace(".", "_"), made.security)
    with pytest.raises(BrokerError, match=r"refused to make:\n- .*_usage.* collides with existing topic") as caught:
        create(colliding, partitions=1, replicas=1)
    assert str(caught.value).endswith("Mend that, then: ratestream topics create")


def test_two_that_create_at_once_agree(made: Connection) -> None:
    with ThreadPoolExecutor() as both:
        first, second = both.map(lambda _: create(made, partitions=2, replicas=1), range(2))
    assert first.layout == second.layout


def test_check_without_brokers_ends_with_1(environment: dict[str, str]) -> None:
    checked = topics({**environment, "RATESTREAM_BROKERS": "127.0.0.1:1"}, "check")
    assert checked.exit_code == 1
    assert checked.stderr == "127.0.0.1:1: Connection refused. Start the broker, or correct RATESTREAM_BROKERS.\n"
    assert topics({**environment, "RATESTREAM_BROKERS": ""}, "check").exit_code == 2
