"""Transport: how Faust reads the topics, as its driver for the URL scheme `ratestream`. Read before app.py.

Faust's own driver hands over one message at a time, reads what was never committed, commits by itself, and moves most
partitions at every rebalance. This one

- hands over record batches: the value of an event is the list of a partition's records that were fetched together;
- reads only what was committed;
- never commits by itself: the task of a partition does so, in the transaction that holds its results, or where it has
  none, once they are safe;
- keeps partitions where they are (sticky assignment, static members), because each has a state that is costly to move;
- fetches a partition only while it is released: from when its task is open, and not while too much waits for it.

The invariant is that no record of a partition is left out between two that are handed over. A partition begins at its
committed offset in each generation of the group, nothing is taken from the fetcher between a revocation and the next
release, and what was taken under an old generation is dropped whole.

Faust runs the Kafka client in a thread with a loop of its own, so the heart beats while the main loop rates.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalGenerationError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import ServiceT

from agents.errors import AgentError
from agents.stream.assignment import StickyByTopic

SCHEME = "ratestream"

LARGEST_MESSAGE = 16 << 20
"""Bytes of the largest batch that a topic takes; whatever is smaller can be fetched at once."""
_FETCH_BYTES = 48 << 20
_FETCH_WAIT_MS = 100
"""A partition that was held is not part of the fetch that waits at the broker, and comes in with the next one."""
_COMMIT_AGAIN_S = 0.2
_LOST = (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError)
_LOOK_AROUND_MS = 1_000
"""How often a fetch that finds nothing looks whether the group is still well. New records end it at once."""


class Fetched(NamedTuple):
    """What one fetch brought, and the generation of the group in which it did."""

    generation: int
    batches: Mapping[TopicPartition, list[ConsumerRecord]]


class Seat(NamedTuple):
    """Who this process is in its group, from one assignment of partitions to the next."""

    generation: int
    member: str


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The Kafka client, in its thread."""

    consumer: "Consumer"
    seat: Seat
    """As of the last assignment."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._woken = asyncio.Event()
        # The library keeps what it must remember between rebalances in the class: each consumer needs its own.
        self._sticky: Any = type("Sticky", (StickyByTopic,), {})

    def wake(self) -> None:
        """Ends a fetch that waits, from any thread: what may be fetched has changed."""
        if not self.thread_loop.is_closed():
            self.thread_loop.call_soon_threadsafe(self._woken.set)

    async def fetch(self) -> Fetched:
        """Records of partitions that are released, as soon as there are any; none after a while, or when woken."""
        return cast(Fetched, await self.call_thread(self._fetch))

    async def _fetch(self) -> Fetched:
        kafka = self._ensure_consumer()
        self._woken.clear()
        coordinator = kafka._coordinator  # noqa: SLF001 - as Faust does: nothing public tells its errors and generation
        coordinator.check_errors()
        generation = coordinator.generation
        flowing = [partition for partition in kafka.assignment() if partition in self.consumer.flowing]
        try:
            return Fetched(generation, await self._records(kafka, flowing))
        except NoOffsetForPartitionError as error:  # nothing of it was ever committed
            await kafka.seek_to_beginning(*error.args)
            return Fetched(generation, {})
        except OffsetOutOfRangeError as error:
            raise AgentError(_out_of_range(error.args[0])) from error

    async def _records(
        self, kafka: AIOKafkaConsumer, flowing: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, list[ConsumerRecord]]:
        waking = asyncio.ensure_future(self._woken.wait())
        getting = asyncio.ensure_future(
            kafka.getmany(*flowing, timeout_ms=_LOOK_AROUND_MS)
            if flowing  # for no partition at all, `getmany` would bring the records of every one
            else asyncio.sleep(_LOOK_AROUND_MS / 1_000, {})
        )
        try:
            await asyncio.wait({getting, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
            getting.cancel()  # it takes records in its last step only, so one that is cancelled has taken none
        await asyncio.wait({getting})
        return {} if getting.cancelled() else getting.result()

    async def commit_for(self, seat: Seat, partition: TP, offset: int) -> bool:
        """Commits the next offset to read; False where the group no longer knows this process by that seat."""
        return cast(bool, await self.call_thread(self._commit_for, seat, partition, offset))

    async def _commit_for(self, seat: Seat, partition: TP, offset: int) -> bool:
        kafka = self._ensure_consumer()
        coordinator = kafka._coordinator  # noqa: SLF001 - see above
        told = {TopicPartition(*partition): OffsetAndMetadata(offset, "")}
        while True:
            await coordinator.ensure_coordinator_known()
            if Seat(coordinator.generation, coordinator.member_id) != seat:
                return False
            try:
                # One request, made before anything is waited for: it names the seat that was looked at. The public way
                # tries again by itself, and could then name another one, or none, which an empty group accepts.
                await coordinator._do_commit_offsets(None, told)  # noqa: SLF001
            except _LOST:
                return False
            except KafkaError as error:
                if not error.retriable:
                    raise
                await asyncio.sleep(_COMMIT_AGAIN_S)
            else:
                return True

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.wake()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self.seat = Seat(generation_id, self._ensure_consumer()._coordinator.member_id)  # noqa: SLF001
        self._sticky.on_generation_assignment(generation_id)  # who had a partition last is who keeps it
        await super().on_partitions_assigned(assigned, generation_id)

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Faust's
        """Prints nothing: the app tells what ended it."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        conf = self.app.conf
        return AIOKafkaConsumer(
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._sticky],
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",  # an offset that is gone means lost usage: never skipped in silence
            session_timeout_ms=int(conf.broker_session_timeout * 1_000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1_000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1_000),
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1_000),
            request_timeout_ms=int(conf.broker_request_timeout * 1_000),
            max_poll_records=conf.broker_max_poll_records,
            max_partition_fetch_bytes=LARGEST_MESSAGE,
            fetch_max_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            check_crcs=conf.broker_check_crcs,
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )


class Consumer(driver.Consumer):
    """What Faust reads with, in its main loop."""

    _thread: ConsumerThread
    flowing: frozenset[TP] = frozenset()
    """The partitions that are released."""

    def release(self, partition: TP) -> None:
        """Records of the partition may come, until the next revocation."""
        self.flowing |= {partition}
        self._thread.wake()

    def hold(self, partition: TP) -> None:
        """No more records of the partition, save those that are on their way already."""
        self.flowing -= {partition}

    @property
    def seat(self) -> Seat:
        """Who commits for the partitions that are assigned."""
        return self._thread.seat

    async def commit_for(self, seat: Seat, partition: TP, offset: int) -> bool:
        """Commits the next offset to read, for a task that has no transaction to do so in.

        False, and nothing is committed, where the partition is no longer this process's under that seat. Tries for as
        long as the brokers do not answer. Raises KafkaError where they refuse.
        """
        return await self._thread.commit_for(seat, partition, offset)

    def stop_flow(self) -> None:
        super().stop_flow()
        self._thread.wake()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.flowing = frozenset()
        await super().on_partitions_revoked(revoked)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ANN401, ARG002
        """Nothing: offsets are committed by the tasks alone, in their transactions or by `commit_for`."""
        return False

    async def perform_seek(self) -> None:
        """Nothing: the client begins at the committed offsets by itself, and a second seek could repeat records."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: whether partitions advance is told by progress.py."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """The fetcher's loop, until it is stopped. Each step waits for something to happen, none for time to pass."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                if self.flow_active:
                    await self._hand_over(await self._thread.fetch())
                else:
                    await self.wait(self.can_resume_flow.wait())
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    async def _hand_over(self, fetched: Fetched) -> None:
        for partition, records in fetched.batches.items():
            if not self.flow_active or fetched.generation != self.app.consumer_generation_id:
                return
            await self.callback(_message(partition, records, fetched.generation))

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:  # noqa: ANN401 - Faust's
        return _message(tp, [record], self.app.consumer_generation_id)


class Transport(driver.Transport):
    """Named in pyproject.toml, where Faust finds the drivers of its URL schemes."""

    Consumer = Consumer


def _message(partition: TopicPartition, records: list[ConsumerRecord], generation: int) -> ConsumerMessage:
    last = records[-1]
    return ConsumerMessage(
        topic=partition.topic,
        partition=partition.partition,
        offset=last.offset,
        timestamp=last.timestamp / 1_000,
        timestamp_type=last.timestamp_type,
        headers=None,
        key=None,
        value=cast(Any, records),
        checksum=None,
        tp=partition,
        generation_id=generation,
    )


def _out_of_range(offsets: Mapping[TopicPartition, int]) -> str:
    told = ", ".join(f"{partition.topic}[{partition.partition}]@{offset}" for partition, offset in offsets.items())
    return (
        f"{told}: the topic does not hold the next record to read. Its retention deleted records that nobody had read, "
        "or the topic is another one, or the brokers lost its end. Nothing was skipped. Publish the records again if "
        "there is a copy of them; to go on without, move the group's offset with Kafka's own kafka-consumer-groups."
    )
