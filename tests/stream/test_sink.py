"""The sink as it is started by its operators: what the topics hold is stored once, whenever it is killed."""

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from msgspec.structs import replace

from agents.sink.app import feeds, group_of
from agents.sink.feeds import claim
from agents.stream.messages import COMMAND_HEADER, Outgoing, rejection_of, statement_messages, statements_of
from agents.stream.reading import group_offsets
from agents.stream.wiring import CRASH
from deploy.broker import Broker
from schemas.charge import Charge
from schemas.codecs import json_bytes, json_from
from schemas.statement import Statement
from schemas.usage import UsageRecord
from sinks.charge_columns import charges_from_table
from sinks.clickhouse import ClickHouse
from sinks.rejection_columns import rejections_from_table
from sinks.statement_columns import statements_from_tables
from sinks.usage_columns import (
    ArchivedCommand,
    ArchivedDocument,
    ArchivedUsage,
    commands_from_table,
    documents_from_table,
    usage_from_table,
)
from tests.contract.made_nouns import made_charge, made_statement
from tests.integration.command import ROOT
from tests.integration.mixed_usage import home_lines
from tests.stream.recorded import wait_until
from tests.stream.streaming import PARTITIONS, Desk

EXAMPLES = ROOT / "examples"
RECORDS = 1_200
ROWS = 150
"""In a block, so that there are many."""
PATIENCE_S = 60
BROKEN = b"not a record"


@pytest.fixture
def desk(broker: Broker, prefix: str, tmp_path: Path) -> Desk:
    """Topics, and an embedded database that is still empty."""
    desk = Desk(broker, prefix)
    desk.environment = {
        **desk.environment,
        "RATESTREAM_CLICKHOUSE": f"chdb://{tmp_path}/clickhouse",
        "RATESTREAM_SINK_ROWS": str(ROWS),
        "RATESTREAM_SESSION_TIMEOUT_S": "6",
    }
    return desk


def test_what_the_topics_hold_is_stored_once(desk: Desk, tmp_path: Path) -> None:
    last_part = fill(desk, tmp_path)
    desk.ask("migrate")
    for crash in ("sink-after-insert:5", "sink-after-commit:3"):
        with sinking(desk, tmp_path, crash) as sink:
            assert sink.wait(PATIENCE_S) == -signal.SIGKILL, sink.communicate()
    with sinking(desk, tmp_path) as sink:
        wait_until_stored(desk, sink, but=2)
        send(desk, desk.topics.statements, 0, last_part)
        wait_until_stored(desk, sink)
        assert desk.asked("sink", "--data", tmp_path / "sink", "--check").exit_code == 0
        sink.send_signal(signal.SIGTERM)
        assert sink.wait(PATIENCE_S) == 0
    with ClickHouse(desk.environment["RATESTREAM_CLICKHOUSE"]) as stored:
        assert_stored(desk, stored)


def fill(desk: Desk, tmp_path: Path) -> Outgoing:
    """Charges, statements and rejections that a worker makes, a command, and two statements in parts.

    The last part of the second is not there yet: it is returned.
    """
    usage = tmp_path / "usage.csv"
    usage.write_text("\n".join([*home_lines(("uk-home-1",))][: RECORDS + 1]) + "\n")
    desk.ask("publish", "--tariffs", EXAMPLES / "tariffs", "--accounts", EXAMPLES / "accounts.yaml")
    desk.ask("publish", usage)
    desk.ask("close", "--period", "2012-11")
    for partition in range(PARTITIONS):
        send(desk, desk.topics.usage, partition, Outgoing(None, BROKEN))
    worker = desk.start("worker", "--data", tmp_path / "worker")
    try:
        wait_until(lambda: len(desk.messages(desk.topics.statements)) >= 2, worker.poll)
        wait_until(lambda: len(desk.messages(desk.topics.usage_rejected)) == PARTITIONS, worker.poll)
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=PATIENCE_S)
    *parts, last = [part for number in (0, 1) for part in statement_messages(long_statement(number), b"default/home-1")]
    send(desk, desk.topics.statements, 0, *parts)
    return last


def send(desk: Desk, topic: str, partition: int, *messages: Outgoing) -> None:
    """Messages that have arrived on return."""
    producer = KafkaProducer(**desk.connection.for_kafka_python())
    for key, value, headers in messages:
        producer.send(topic, value, key, list(headers), partition=partition)
    producer.flush()
    producer.close()


def long_statement(number: int) -> Statement:
    """One of three parts."""
    made = made_statement(number)
    return replace(made, lines=tuple(replace(made.lines[0], tier=tier) for tier in range(6_000)))


@contextmanager
def sinking(desk: Desk, tmp_path: Path, crash: str = "") -> Iterator[subprocess.Popen[str]]:
    """A sink, killed at the end where it has not ended."""
    environment = desk.environment
    desk.environment = {**environment, **({CRASH: crash} if crash else {})}
    sink = desk.start("sink", "--data", tmp_path / "sink", "--log", "warning")
    desk.environment = environment
    try:
        yield sink
    finally:
        sink.kill()
        sink.communicate()


def wait_until_stored(desk: Desk, sink: subprocess.Popen[str], *, but: int = 0) -> None:
    """Until the group has committed the offset after the last message of each partition.

    Of the statements of partition 0 all `but` so many: parts of one that is not whole.
    """
    due = Counter[tuple[str, int]]()
    for feed in feeds(desk.topics, {}):
        for message in desk.messages(feed.topic):
            due[feed.topic, message.partition] = message.offset + 1
    due[desk.topics.statements, 0] -= but

    def committed() -> Counter[tuple[str, int]]:
        found = Counter[tuple[str, int]]()
        for topic in {topic for topic, _ in due}:
            partitions = 1 if topic == desk.topics.tariffs else PARTITIONS
            offsets = asyncio.run(group_offsets(desk.connection, group_of(desk.connection.prefix), topic, partitions))
            found.update({(topic, partition): offset for partition, offset in offsets.items()})
        return found

    wait_until(lambda: sink.poll() is not None or committed() == due, lambda: (due - committed(), sink.poll()))
    assert sink.poll() is None, sink.communicate()


def assert_stored(desk: Desk, stored: ClickHouse) -> None:
    """Each table holds what its topics do, and nothing else."""
    topics = desk.topics
    charges = [json_from(message.value, Charge) for message in desk.messages(topics.charges)]
    assert len(charges) > RECORDS
    assert same(charges_from_table(stored.query_arrow("SELECT * FROM charges")), charges)

    statements = [*statements_of(desk.messages(topics.statements))]
    tables = [stored.query_arrow(f"SELECT * FROM {name}") for name in ("statements", "statement_lines", "taxes")]
    assert same(statements_from_tables(*tables), statements)

    rejections = [rejection_of(message.value, message.headers) for message in desk.messages(topics.usage_rejected)]
    assert same(rejections_from_table(stored.query_arrow("SELECT * FROM rejected")), rejections)

    usage, commands = [], []
    for message in desk.messages(topics.usage):
        place = (message.partition, message.offset)
        if COMMAND_HEADER in dict(message.headers):
            commands.append(ArchivedCommand(*place, message.timestamp * 1_000, message.value))
        elif message.value != BROKEN:
            usage.append(ArchivedUsage(json_from(message.value, UsageRecord), *place, 0, message.timestamp * 1_000))
    assert len(usage) == RECORDS
    assert len(commands) >= PARTITIONS
    archived = usage_from_table(stored.query_arrow("SELECT * FROM usage"))
    assert sorted(archived, key=lambda row: row[1:]) == usage
    assert same(commands_from_table(stored.query_arrow("SELECT * FROM commands")), commands)

    documents = [
        ArchivedDocument(name, message.key, message.value, message.partition, message.offset, message.timestamp * 1_000)
        for name, topic in (("accounts", topics.accounts), ("tariffs", topics.tariffs))
        for message in desk.messages(topic)
    ]
    assert same(documents_from_table(stored.query_arrow("SELECT * FROM documents")), documents)
    latest = stored.query_arrow("SELECT document FROM accounts UNION ALL SELECT document FROM tariffs")
    assert same(latest["document"].to_pylist(), [(document.value or b"").decode() for document in documents])

    lying = stored.query_unmerged("SELECT count() AS rows FROM charges")["rows"][0].as_py()
    print(f"{lying - len(charges)} of {lying} charges lie there once more")


def same(found: list[Any], wanted: list[Any]) -> bool:
    """Whether both hold the same, in whatever order."""
    return Counter(map(repr, found)) == Counter(map(repr, wanted))


def test_a_message_that_is_no_charge_stops_the_sink_and_is_named(desk: Desk, tmp_path: Path) -> None:
    desk.ask("migrate")
    good = Outgoing(None, json_bytes(made_charge(1)))
    send(desk, desk.topics.charges, 1, good, Outgoing(None, b'{"charge_id":"2"}'), good)
    with sinking(desk, tmp_path) as sink:
        assert sink.wait(PATIENCE_S) == 70
        told = sink.communicate()[1].strip().splitlines()[-1]
    assert told.startswith(f"ratestream sink: {desk.topics.charges}[1]: {desk.topics.charges}[1]@1 is no charge")


def test_another_topic_of_the_same_name_is_refused(desk: Desk, tmp_path: Path) -> None:
    desk.ask("migrate")
    with ClickHouse(desk.environment["RATESTREAM_CLICKHOUSE"]) as stored:
        claim(stored, "cluster", {desk.topics.charges: "earlier"})
    with sinking(desk, tmp_path) as sink:
        assert sink.wait(PATIENCE_S) == 1
        told = sink.communicate()[1]
    assert f"{desk.topics.charges}: the database is filled from the topic with id earlier of cluster cluster" in told
