"""The transport: batches, isolation, who has which partition, and what happens when that changes. On a real Kafka."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from faust.types import TP
from kafka import KafkaAdminClient, TopicPartition

from agents.stream.app import Membership, app_of
from agents.stream.hosting import HOLD_ABOVE
from agents.stream.topics import group_of
from agents.stream.transport import Seat
from deploy.broker import Broker
from tests.stream.recorded import Worker, Workshop, wait_until

Open = Callable[[int], Workshop]


@pytest.fixture
def workshop(broker: Broker, prefix: str, tmp_path: Path) -> Iterator[Open]:
    made: list[Workshop] = []

    def make(partitions: int) -> Workshop:
        made.append(Workshop(broker, prefix, tmp_path, partitions))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_records_of_aborted_transactions_never_reach_a_task(workshop: Open) -> None:
    shop = workshop(1)
    asyncio.run(_transactions(shop))
    shop.publish(["plain"], 0)
    worker = shop.start("one")
    wait_until(lambda: "plain" in worker.offered(), worker.told)
    assert worker.offered() == ["committed", "plain"]


def test_records_come_in_batches_in_order_and_without_a_gap(workshop: Open) -> None:
    shop = workshop(4)
    large = "x" * (15 << 20)
    for partition in range(4):
        shop.publish([f"{partition}-{number}" for number in range(5_000)], partition)
    shop.publish([large], 2)
    worker = shop.start("one")
    for partition in range(4):
        shop.publish([f"{partition}-{number}" for number in range(5_000, 6_000)], partition)
    wait_until(lambda: len(worker.offered()) >= 24_001, worker.told)
    offers = worker.events("offer")
    for partition in range(4):
        values = [value for offer in offers if offer["partition"] == partition for value in offer["values"]]
        assert [value for value in values if value != large] == [f"{partition}-{number}" for number in range(6_000)]
    assert worker.offered().count(large) == 1
    assert len(offers) < 2_000


def test_a_restarted_worker_has_its_partitions_again_and_a_killed_one_gives_up_its_own_alone(workshop: Open) -> None:
    shop = workshop(6)
    one, two, three = (shop.start(name) for name in ("one", "two", "three"))
    wait_until(lambda: [len(worker.open()) for worker in (one, two, three)] == [2, 2, 2], one.told)
    had = {worker.name: worker.open() for worker in (one, two, three)}
    seen = len(two.events("opening")), len(three.events("opening"))

    one.signal(signal.SIGKILL)
    one.process.wait()
    again = shop.start("one")
    wait_until(lambda: len(again.open()) == 2, again.told)
    assert again.open() == had["one"]
    assert (len(two.events("opening")), len(three.events("opening"))) == seen

    three.signal(signal.SIGKILL)
    wait_until(lambda: len(again.open()) == len(two.open()) == 3, two.told)
    assert again.open() > had["one"]
    assert two.open() > had["two"]


def test_a_rebalance_goes_on_after_the_tasks_are_closed(workshop: Open) -> None:
    shop = workshop(4)
    one = shop.start("one", close_s="1.5")
    wait_until(lambda: len(one.open()) == 4, one.told)
    shop.publish(["before"], 0)
    two = shop.start("two")
    wait_until(lambda: len(one.open()) == len(two.open()) == 2, two.told)
    closed = {event["partition"]: event["at"] for event in one.events("closed")}
    assert closed.keys() == {0, 1, 2, 3}
    assert all(event["at"] > max(closed.values()) for event in two.events("opening"))
    assert all(event["at"] > max(closed.values()) for event in one.events("opening")[4:])
    assert [*one.offered(), *two.offered()] == ["before"]


def test_a_worker_that_was_stopped_for_longer_than_its_session_commits_nothing_more_for_it(workshop: Open) -> None:
    shop = workshop(4)
    one, two = shop.start("one"), shop.start("two")
    wait_until(lambda: len(one.open()) == len(two.open()) == 2, one.told)
    one.signal(signal.SIGSTOP)
    for partition in range(4):
        shop.publish([f"{partition}-{number}" for number in range(100)], partition)
    wait_until(lambda: len(two.open()) == 4 and len(two.offered()) == 400, two.told)
    openings = len(one.events("opening"))
    one.signal(signal.SIGCONT)
    wait_until(lambda: one.process.poll() or len(one.events("opening")) > openings, one.told)
    if one.process.poll():  # records that had come to its machine before were offered, and their commit was refused
        assert one.process.returncode == 70
        one = shop.start("one")
    wait_until(lambda: len(one.open()) == len(two.open()) == 2, one.told)
    for partition in range(4):
        shop.publish([f"{partition}-{number}" for number in range(100, 200)], partition)
    wait_until(lambda: len(_values("commit", one, two)) >= 800, one.told)
    for partition in range(4):
        mine = [value for value in _values("commit", one, two) if value.startswith(f"{partition}-")]
        assert mine == [f"{partition}-{number}" for number in range(200)]


def test_a_partition_whose_task_lags_is_held_and_the_others_go_on(workshop: Open, tmp_path: Path) -> None:
    shop = workshop(2)
    late = tmp_path / "go"
    worker = shop.start("one", **{"hold-0": "yes", "until": str(late)})
    count = HOLD_ABOVE + 20_000
    wait_until(lambda: worker.open() == {0, 1}, worker.told)
    shop.publish([f"0-{number}" for number in range(count)], 0)
    wait_until(lambda: len(worker.offered()) > HOLD_ABOVE, worker.told)
    for number in range(20):
        shop.publish([f"1-{number}"], 1)
        time.sleep(0.05)
    wait_until(lambda: "1-19" in worker.offered(), worker.told)
    others = [event["late_s"] for event in worker.events("offer") if event["partition"] == 1]
    assert sorted(others)[len(others) // 2] < 0.1
    held = sum(value.startswith("0-") for value in worker.offered())
    assert HOLD_ABOVE < held < count
    assert 0 not in _committed(shop)  # what a task was offered is committed by the task, and by nobody else

    late.touch()
    wait_until(lambda: len(worker.offered()) == count + 20, worker.told)
    assert [value for value in worker.offered() if value[0] == "0"] == [f"0-{number}" for number in range(count)]
    wait_until(lambda: _committed(shop).get(0) == count, worker.told)


def test_records_that_were_deleted_unread_end_the_worker(workshop: Open) -> None:
    shop = workshop(1)
    shop.publish([str(number) for number in range(10)], 0)
    first = shop.start("one")
    wait_until(lambda: _committed(shop).get(0) == 10, first.told)
    first.signal(signal.SIGTERM)
    assert first.process.wait(10) == 0
    shop.publish([str(number) for number in range(10, 20)], 0)
    admin = KafkaAdminClient(**shop.connection.for_kafka_python())
    admin.delete_records({TopicPartition(shop.topics.usage, 0): 15})
    admin.close()
    second = shop.start("one")
    assert second.process.wait(30) == 70
    assert f"{shop.topics.usage}[0]@10: the topic does not hold the next record to read" in second.told()
    assert second.offered() == []


def test_a_record_is_offered_as_soon_as_it_is_there(workshop: Open) -> None:
    shop = workshop(4)
    worker = shop.start("one")
    wait_until(lambda: len(worker.open()) == 4, worker.told)
    for number in range(100):
        shop.publish([str(number)], number % 4)
        time.sleep(0.01)
    wait_until(lambda: len(worker.offered()) == 100, worker.told)
    late = sorted(event["late_s"] for event in worker.events("offer"))
    assert late[len(late) // 2] < 0.02


class _Kept:
    """A task that does nothing."""

    async def open(self) -> None:
        pass

    def offer(self, records: Sequence[ConsumerRecord], ack: Callable[[], None]) -> None:
        pass

    async def close(self) -> None:
        pass


def _fail(error: BaseException, place: str) -> NoReturn:
    raise AssertionError(place) from error


def test_only_the_seat_of_the_assignment_commits(workshop: Open, tmp_path: Path) -> None:
    shop = workshop(1)
    partition = TP(shop.topics.usage, 0)

    async def run() -> list[bool]:
        app = app_of(shop.connection, group_of(shop.prefix), Membership("one", tmp_path), _fail)
        app.host(partition.topic, "kept", lambda _: _Kept())
        starting = asyncio.create_task(app.start())
        while partition not in app.flow().flowing:  # noqa: ASYNC110 - it is Faust that starts
            await asyncio.sleep(0.02)
        flow, seat = app.flow(), app.flow().seat
        others = [Seat(seat.generation, "another"), Seat(seat.generation - 1, seat.member)]
        told = [await flow.commit_for(one, partition, offset) for offset, one in enumerate([seat, *others], 5)]
        await app.stop()
        starting.cancel()
        return told

    assert asyncio.run(run()) == [True, False, False]
    assert _committed(shop) == {0: 5}


def _values(what: str, *workers: Worker) -> list[str]:
    """In the order of time."""
    events = sorted((event for worker in workers for event in worker.events(what)), key=lambda event: event["at"])
    return [value for event in events for value in event["values"]]


def _committed(shop: Workshop) -> dict[int, int]:
    """The offsets that the group has committed, by partition."""
    admin = KafkaAdminClient(**shop.connection.for_kafka_python())
    try:
        group = group_of(shop.prefix)
        found = admin.list_group_offsets(group)
        found = found.get(group, found)
        return {place.partition: stored.offset for place, stored in found.items() if stored.offset >= 0}
    finally:
        admin.close()


async def _transactions(shop: Workshop) -> None:
    producer = AIOKafkaProducer(**shop.connection.for_aiokafka(), transactional_id=f"{shop.prefix}test")
    await producer.start()
    try:
        for value in (b"committed", b"aborted"):
            await producer.begin_transaction()
            await producer.send_and_wait(shop.topics.usage, value, partition=0)
            await (producer.abort_transaction() if value == b"aborted" else producer.commit_transaction())
    finally:
        await producer.stop()
