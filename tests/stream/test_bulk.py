"""Splitting usage-bulk on a real Kafka: every record once and in order, whatever is killed, fenced or fetched again."""

import asyncio
import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2
from kafka.structs import OffsetAndMetadata

from agents.errors import BrokerError, StateError
from agents.stream.bulk import BulkLog, BulkTask
from agents.stream.messages import Outgoing, rejection_of
from agents.stream.partition import Message
from agents.stream.publishing import Publisher
from agents.stream.splitting import ORIGIN_HEADER, Piece, Place, Splitter
from agents.stream.task import Surroundings
from agents.stream.topics import group_of
from deploy.broker import Broker
from schemas.codecs import usage_json
from schemas.usage import UsageRecord
from tests.stream.containers import BROKEN, container, usage, with_broken_blocks
from tests.stream.streaming import PARTITIONS, WAIT_S, Desk

RECORDS, ACCOUNTS = 10_000, 500
BULK = 1
"""The partition of usage-bulk that the tests fill."""
DAY_S = 24 * 3600.0


@pytest.fixture
def desk(broker: Broker, prefix: str) -> Desk:
    return Desk(broker, prefix)


def publish(desk: Desk, *values: bytes) -> None:
    with Publisher(desk.connection) as publisher:
        for value in values:
            publisher.send(desk.topics.usage_bulk, Outgoing(None, value), BULK)


def committed(desk: Desk) -> Place:
    """Where the next worker goes on; a transaction that is open does not count."""
    consumer = KafkaConsumer(
        **desk.connection.for_kafka_python(),
        group_id=group_of(desk.connection.prefix),
        enable_auto_commit=False,
        isolation_level="read_uncommitted",  # read_committed would wait until it is decided
    )
    try:
        found = consumer.committed(TopicPartition(desk.topics.usage_bulk, BULK), metadata=True)
    finally:
        consumer.close()
    if found is None:
        return Place(0)
    return Place(found.offset, int(found.metadata.removeprefix("index=") or 0))


def ids_by_account(messages: Sequence[Any]) -> dict[str, list[str]]:
    """The ids on `usage` in their order, whose messages are where their accounts belong."""
    found: dict[str, list[str]] = {}
    for message in messages:
        said = json.loads(message.value)
        assert message.key == f"default/{said['account']}".encode()
        assert message.partition == (murmur2(message.key) & 0x7FFFFFFF) % PARTITIONS
        found.setdefault(said["account"], []).append(said["id"])
    return found


def expected(records: Sequence[UsageRecord]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in records:
        found.setdefault(record.account, []).append(record.id)
    return found


def origins(messages: Sequence[Any]) -> Counter[str]:
    return Counter(dict(message.headers)[ORIGIN_HEADER].decode() for message in messages)


def refused(desk: Desk) -> list[tuple[int, int]]:
    """Offset and number of what of usage-bulk was rejected."""
    found = [rejection_of(message.value, message.headers) for message in desk.messages(desk.topics.usage_rejected)]
    places = [one.position for one in found if one.position.origin == desk.topics.usage_bulk]
    return sorted((place.offset, place.index) for place in places)


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Workers:
    """`ratestream worker` on one directory, one process after the other."""

    def __init__(self, desk: Desk, directory: Path) -> None:
        self.desk = desk
        self.directory = directory

    def killed_at(self, crash: str) -> None:
        """A worker that ends itself by SIGKILL at that step."""
        process = self.started(crash)
        try:
            _, told = process.communicate(timeout=WAIT_S)
        finally:
            process.kill()
        assert process.returncode == -signal.SIGKILL, told

    def runs_until(self, reached: Callable[[], bool]) -> None:
        process = self.started("")
        try:
            wait_until(lambda: reached() or process.poll() is not None)
            process.terminate()
            _, told = process.communicate(timeout=WAIT_S)
        finally:
            process.kill()
        assert process.returncode == 0, told

    def started(self, crash: str) -> "subprocess.Popen[str]":
        settings = {**self.desk.environment, "RATESTREAM_TEST_CRASH": crash, "RATESTREAM_QUARANTINE_AFTER": "0"}
        self.desk.environment = {name: value for name, value in settings.items() if value}
        return self.desk.start("worker", "--data", self.directory, "--log", "warning")


def test_killed_between_and_within_transactions_every_record_goes_once_and_in_order(desk: Desk, tmp_path: Path) -> None:
    records = [usage(number, ACCOUNTS) for number in range(RECORDS)]
    first, broken_in_first = with_broken_blocks(records[:9_000], every=2_500)
    second, broken_in_second = with_broken_blocks(records[9_000:], every=400)
    publish(desk, first, b"nothing that could be read", second)
    workers = Workers(desk, tmp_path / "data")

    workers.killed_at("bulk-before-commit:1")
    assert committed(desk) == Place(0)
    workers.killed_at("bulk-after-commit:1")
    place = committed(desk)
    assert place.offset == 0
    assert 8_000 < place.number < 9_000  # in the middle of a message
    workers.killed_at("bulk-before-commit:1")
    assert committed(desk) == place
    workers.killed_at("bulk-after-commit:1")
    records.append(usage(RECORDS, ACCOUNTS))
    publish(desk, usage_json(records[-1]))
    workers.runs_until(lambda: committed(desk) == Place(4))

    messages = desk.messages(desk.topics.usage)
    assert ids_by_account(messages) == expected(records)
    assert set(origins(messages).values()) == {1}
    broken = [(0, number) for number in broken_in_first] + [(1, 0)] + [(2, number) for number in broken_in_second]
    assert refused(desk) == broken


async def split(desk: Desk, messages: Sequence[Message]) -> None:
    """A task of its own for these messages, from its opening to its end."""
    log = BulkLog(desk.connection, desk.topics, BULK)
    task = BulkTask(Splitter(desk.topics, BULK, PARTITIONS), log, "bulk", Surroundings(fail))
    done = asyncio.Event()
    await task.open()
    task.offer(messages, done.set)
    await asyncio.wait_for(done.wait(), WAIT_S)
    await task.close()


def fail(error: BaseException, place: str) -> NoReturn:
    raise AssertionError(place) from error


def test_what_is_fetched_again_is_not_split_again(desk: Desk) -> None:
    """Faust may begin where the group was before the last transaction of the partition's owner."""
    records = [usage(number, ACCOUNTS) for number in range(300)]
    publish(desk, container([records[:100]]), container([records[100:200], BROKEN]), container([records[200:]]))
    fetched = desk.messages(desk.topics.usage_bulk)
    for messages in (fetched[:2], fetched, fetched):
        asyncio.run(split(desk, messages))
    assert ids_by_account(desk.messages(desk.topics.usage)) == expected(records)
    assert refused(desk) == [(1, 100)]
    assert committed(desk) == Place(3)


def piece(desk: Desk) -> Piece:
    piece = Piece(Place(1))
    piece.add(desk.topics.usage, 0, Outgoing(b"default/a", b"{}"))
    return piece


def test_who_was_fenced_commits_nothing(desk: Desk) -> None:
    async def run() -> None:
        old, new = (BulkLog(desk.connection, desk.topics, BULK) for _ in range(2))
        await old.take_over()
        await new.take_over()
        with pytest.raises(BrokerError, match=r"usage-bulk\[1\]: cannot commit: ProducerFenced"):
            await old.commit(piece(desk))
        await old.close()
        await new.close()

    asyncio.run(run())
    assert desk.messages(desk.topics.usage) == []
    assert committed(desk) == Place(0)


def test_a_producer_that_is_renewed_finds_out_who_came_between(desk: Desk) -> None:
    now_s = 0.0

    async def run() -> None:
        nonlocal now_s
        old = BulkLog(desk.connection, desk.topics, BULK, clock=lambda: now_s)
        await old.take_over()
        await old.commit(piece(desk))
        now_s += 2 * DAY_S
        await old.commit(piece(desk))  # renewed, and nobody came between
        new = BulkLog(desk.connection, desk.topics, BULK)
        await new.take_over()
        await new.commit(Piece(Place(5, 7)))
        await new.close()
        now_s += 2 * DAY_S
        with pytest.raises(StateError, match="another worker"):
            await old.commit(piece(desk))
        await old.close()

    asyncio.run(run())
    assert len(desk.messages(desk.topics.usage)) == 2
    assert committed(desk) == Place(5, 7)


def test_a_place_that_no_worker_committed_is_not_guessed_at(desk: Desk) -> None:
    async def run() -> None:
        log = BulkLog(desk.connection, desk.topics, BULK)
        try:
            await log.take_over()
        finally:
            await log.close()

    consumer = KafkaConsumer(
        **desk.connection.for_kafka_python(), group_id=group_of(desk.connection.prefix), enable_auto_commit=False
    )
    try:
        consumer.commit({TopicPartition(desk.topics.usage_bulk, BULK): OffsetAndMetadata(4, "mine", -1)})
    finally:
        consumer.close()
    with pytest.raises(StateError, match="offset 4 was committed with 'mine'"):
        asyncio.run(run())


def test_a_registry_that_does_not_answer_keeps_nobody_from_the_partition(desk: Desk) -> None:
    async def run() -> None:
        asked = asyncio.Event()

        async def prepare(_messages: Sequence[Message]) -> None:
            asked.set()
            await asyncio.Event().wait()

        log = BulkLog(desk.connection, desk.topics, BULK)
        task = BulkTask(Splitter(desk.topics, BULK, PARTITIONS), log, "bulk", Surroundings(fail, prepare=prepare))
        await task.open()
        task.offer(fetched, lambda: pytest.fail("acknowledged"))
        await asyncio.wait_for(asked.wait(), WAIT_S)
        await asyncio.wait_for(task.close(), WAIT_S)

    publish(desk, b"{}")
    fetched = desk.messages(desk.topics.usage_bulk)
    asyncio.run(run())
    assert committed(desk) == Place(0)
