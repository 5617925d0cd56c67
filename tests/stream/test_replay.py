"""Replaying on a real Kafka: each original once, whatever is killed, fenced or open; and what the commands tell."""

import asyncio
import gc
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaProducer
from kafka.partitioner.default import murmur2

from agents.errors import BrokerError
from agents.stream.messages import Outgoing, rejection_message
from agents.stream.publishing import Publisher
from agents.stream.rejected import REPLAYED_HEADER, Rejected, Selection
from agents.stream.replaying import SLICE_MESSAGES, replay
from deploy.broker import Broker
from schemas.codecs import Limits, avro_container, decode_message, usage_json
from schemas.rejection import Position, Reason, Rejection
from schemas.usage import UsageRecord
from tests.stream.streaming import PARTITIONS, Desk

START = datetime(2024, 5, 1, tzinfo=UTC)
CAP = 64
HOME = b"default/home"
ALL = Selection()


@pytest.fixture
def desk(broker: Broker, prefix: str) -> Desk:
    return Desk(broker, prefix)


def usage(number: int, account: str = "home", source: str = "test") -> UsageRecord:
    return UsageRecord(f"r{number}", account, "power", Decimal(number), START, START, source)


def rejection(desk: Desk, number: int, account: str = "home", reason: Reason = Reason.NO_TARIFF) -> Rejection:
    """One whose original stood at offset `number` of `usage`."""
    original = usage_json(usage(number, account))
    position = Position(desk.topics.usage, partition_of(f"default/{account}".encode()), number)
    return Rejection(reason, "because", position, "default", account, "test", f"r{number}", original, *facts(original))


def facts(original: bytes) -> tuple[int, str]:
    return len(original), hashlib.sha256(original).hexdigest()


def partition_of(key: bytes) -> int:
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % PARTITIONS


def reject(desk: Desk, rejections: Sequence[Rejection], key: bytes | None = HOME, partition: int = 0) -> None:
    with Publisher(desk.connection) as publisher:
        for one in rejections:
            publisher.send(desk.topics.usage_rejected, rejection_message(one, key), partition)


def replayed(desk: Desk, selection: Selection = ALL) -> tuple[int, list[str]]:
    """How many went, and why others did not."""
    left: list[str] = []
    count = asyncio.run(replay(desk.connection, desk.topics, PARTITIONS, selection, lambda _, why: left.append(why)))
    return count, left


def originals(desk: Desk) -> Counter[bytes]:
    return Counter(message.value for message in desk.messages(desk.topics.usage))


def markers(desk: Desk) -> list[str]:
    found = (dict(message.headers).get(REPLAYED_HEADER) for message in desk.messages(desk.topics.usage_rejected))
    return [value.decode() for value in found if value is not None]


def test_originals_go_out_once_with_their_key_and_a_marker_closes_each(desk: Desk) -> None:
    accounts = ["home", "flat", "shed"] * 5
    made = [rejection(desk, number, account) for number, account in enumerate(accounts)]
    for number, one in enumerate(made):
        reject(desk, [one], f"default/{one.account}".encode(), number % PARTITIONS)
    assert replayed(desk) == (15, [])
    messages = desk.messages(desk.topics.usage)
    assert {message.value: message.key for message in messages} == {
        one.original: f"default/{one.account}".encode() for one in made
    }
    assert all(message.partition == partition_of(message.key) for message in messages)
    assert len(messages) == 15
    places = [f"{one.position.origin}/{one.position.partition}/{one.position.offset}/0" for one in made]
    assert sorted(markers(desk)) == sorted(places)
    assert replayed(desk) == (0, [])
    assert len(desk.messages(desk.topics.usage)) == 15


def test_only_what_is_selected_is_replayed(desk: Desk) -> None:
    reject(desk, [rejection(desk, 0), rejection(desk, 1, "flat"), rejection(desk, 2, reason=Reason.QUARANTINED)])
    assert replayed(desk, Selection(source="other"))[0] == 0
    assert replayed(desk, Selection(tenant="other"))[0] == 0
    assert replayed(desk, Selection(reason=Reason.QUARANTINED, source="test"))[0] == 1
    assert replayed(desk, Selection(account="flat"))[0] == 1
    assert originals(desk) == Counter([usage_json(usage(1, "flat")), usage_json(usage(2))])
    assert replayed(desk)[0] == 1


def test_a_record_on_the_wrong_partition_goes_to_its_own(desk: Desk) -> None:
    wrong = (partition_of(HOME) + 1) % PARTITIONS
    reject(desk, [rejection(desk, 0, reason=Reason.WRONG_PARTITION)], b"somebody else", wrong)
    assert replayed(desk)[0] == 1
    (message,) = desk.messages(desk.topics.usage)
    assert (message.key, message.partition) == (HOME, partition_of(HOME))


def test_what_nobody_could_read_goes_back_where_it_came_from(desk: Desk) -> None:
    raw = b"\x00\x00\x00\x00\x07confluent"
    unread = Rejection(Reason.UNREADABLE, "", Position(desk.topics.usage, 2, 5), "", "", "", "", raw, *facts(raw))
    bulk = Rejection(
        Reason.UNREADABLE, "", Position(desk.topics.usage_bulk, 0, 5), "", "", "", "", b"Obj", *facts(b"Obj")
    )
    reject(desk, [unread, bulk], None)
    assert replayed(desk) == (2, [])
    (message,) = desk.messages(desk.topics.usage)
    assert (message.key, message.partition, message.value) == (None, 2, raw)
    (message,) = desk.messages(desk.topics.usage_bulk)
    assert (message.key, message.value) == (None, b"Obj")


def test_documents_are_no_usage(desk: Desk) -> None:
    position = Position(desk.topics.accounts, 0, 3)
    document = Rejection(Reason.INVALID_DOCUMENT, "", position, "", "", "", "", b"{}", *facts(b"{}"))
    reject(desk, [document])
    assert replayed(desk) == (0, ["it is no usage. Publish it again as it should be"])
    assert desk.size(desk.topics.usage) == 0


def test_a_cut_original_is_read_whole_where_it_came_from(desk: Desk) -> None:
    """As one message, and as a record within a container."""
    long = usage_json(usage(0, source="s" * 500))
    some = [usage(number, source="c" * 500) for number in range(1, 4)]
    container = avro_container(some, UsageRecord)
    with Publisher(desk.connection) as publisher:
        for value in (long, container):
            publisher.send(desk.topics.usage, Outgoing(HOME, value), 1)
    limits = Limits(original_cap=CAP)
    single = decode_message(long, Position(desk.topics.usage, 1, 0), limits).rejection(0, Reason.NO_TARIFF, "")
    within = decode_message(container, Position(desk.topics.usage, 1, 1), limits).rejection(1, Reason.NO_TARIFF, "")
    assert (len(single.original), len(within.original), within.position.index) == (CAP, CAP, 1)
    reject(desk, [single, within])
    assert replayed(desk) == (2, [])
    record = decode_message(container, within.position).original(1)
    assert b'"id":"r2"' in record
    assert originals(desk) == Counter([long, container, long, record])


def test_a_cut_original_that_is_gone_or_another_is_left_and_stays_open(desk: Desk) -> None:
    with Publisher(desk.connection) as publisher:
        publisher.send(desk.topics.usage, Outgoing(HOME, b"another message"), 1)
    long = usage_json(usage(0, source="s" * 500))
    for offset in (0, 7):
        batch = decode_message(long, Position(desk.topics.usage, 1, offset), Limits(original_cap=CAP))
        reject(desk, [batch.rejection(0, Reason.NO_TARIFF, "")])
    result = desk.asked("rejected", "replay", "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"replayed": 0, "left": 2}
    assert result.stderr.count("is not retained any more. Send it again from its producer") == 2
    assert len(desk.ask("rejected", "list", "--format", "json").splitlines()) == 2
    assert desk.size(desk.topics.usage) == 1


def test_a_killed_replay_goes_on_and_nothing_goes_twice(desk: Desk) -> None:
    made = [rejection(desk, number) for number in range(16 * SLICE_MESSAGES)]
    reject(desk, made)
    for _ in range(3):
        before = desk.size(desk.topics.usage)
        process = desk.start("rejected", "replay")
        try:
            desk.size(desk.topics.usage, above=before)
            assert process.poll() is None
        finally:
            process.kill()
            process.communicate()
    done = sum(originals(desk).values())
    assert done == len(markers(desk)) < len(made)
    assert replayed(desk) == (len(made) - done, [])
    assert originals(desk) == Counter(one.original for one in made)
    assert len(markers(desk)) == len(made)


def test_of_two_replays_the_later_one_fences_the_earlier(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """The earlier holds a slice that it has not committed when the later one runs from beginning to end."""
    position = Position(desk.topics.accounts, 0, 3)
    document = Rejection(Reason.INVALID_DOCUMENT, "", position, "", "", "", "", b"{}", *facts(b"{}"))
    made = [rejection(desk, number) for number in range(10)]
    reject(desk, [*made[:5], document, *made[5:]])
    later: list[int] = []

    def overtake(_rejected: Rejected, _why: str) -> None:
        with ThreadPoolExecutor(1) as threads:
            later.append(threads.submit(replayed, desk).result()[0])

    with pytest.raises(BrokerError, match="another replay began"):
        asyncio.run(replay(desk.connection, desk.topics, PARTITIONS, ALL, overtake))
    gc.collect()
    assert "never retrieved" not in caplog.text
    assert later == [10]
    assert originals(desk) == Counter(one.original for one in made)
    assert len(markers(desk)) == 10


def test_a_marker_behind_an_open_transaction_is_seen(desk: Desk) -> None:
    """A worker's transaction is open before the markers: they are committed, and past the last stable offset."""
    reject(desk, [rejection(desk, 0)])

    async def scene() -> tuple[int, int]:
        worker = AIOKafkaProducer(**desk.connection.for_aiokafka(), transactional_id=f"{desk.connection.prefix}worker")
        async with worker:
            await worker.begin_transaction()
            late = rejection_message(rejection(desk, 1), HOME)
            await (await worker.send(desk.topics.usage_rejected, late.value, late.key, 0, headers=list(late.headers)))
            marker = ("replayed", f"{desk.topics.usage}/{partition_of(b'default/home')}/0/0".encode())
            await asyncio.to_thread(send_plain, desk, marker)
            waiting = asyncio.create_task(
                replay(desk.connection, desk.topics, PARTITIONS, ALL, lambda _, why: pytest.fail(why))
            )
            await asyncio.sleep(2)
            done = waiting.done()
            await worker.commit_transaction()
            return int(done), await waiting

    assert asyncio.run(scene()) == (0, 1)
    assert originals(desk) == Counter([usage_json(usage(1))])


def send_plain(desk: Desk, header: tuple[str, bytes]) -> None:
    producer = KafkaProducer(**desk.connection.for_kafka_python())
    producer.send(desk.topics.usage_rejected, b"", HOME, [header], 0).get(10)
    producer.close()


def test_a_marker_closes_only_what_came_before_it(desk: Desk) -> None:
    """A topic `usage` made anew begins at offset 0 again."""
    reject(desk, [rejection(desk, 0)])
    assert replayed(desk)[0] == 1
    reject(desk, [rejection(desk, 0)])
    assert replayed(desk)[0] == 1


def test_list_show_and_replay_tell_what_is_open(desk: Desk) -> None:
    reject(desk, [rejection(desk, 0), rejection(desk, 1, "flat", Reason.FUTURE)])
    found = [json.loads(line) for line in desk.ask("rejected", "list", "--format", "json").splitlines()]
    assert [(one["account"], one["reason"]) for one in found] == [("home", "no-tariff"), ("flat", "future")]
    assert desk.ask("rejected", "list", "--account", "flat").startswith("future  ")
    assert "usage_id" in desk.ask("rejected", "list", "--format", "csv").splitlines()[0]
    limited = desk.asked("rejected", "list", "--limit", "1")
    assert "These are the first 1" in limited.stderr
    flat = f"usage[{partition_of(b'default/flat')}]@1"
    shown = desk.ask("rejected", "show", flat)
    assert "open" in shown
    assert usage_json(usage(1, "flat")).decode()[:60] in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert json.loads(desk.ask("rejected", "replay", "--reason", "future", "--format", "json")) == {
        "replayed": 1,
        "left": 0,
    }
    assert "replayed" in desk.ask("rejected", "show", f"{desk.connection.prefix}{flat}")
    assert len(desk.ask("rejected", "list", "--format", "json").splitlines()) == 1
    assert desk.asked("rejected", "show", "usage[0]@99").exit_code == 4
    assert desk.ask("rejected", "replay").startswith("1 replayed to ")
    assert "There are none." in desk.asked("rejected", "list").stderr
