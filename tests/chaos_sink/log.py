"""The topics of one run: fed at a rate, read from their start, and asked how far the sinks have stored them."""

from collections.abc import Callable, Iterator, Sequence
from threading import Event, Thread
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import CommitFailedError
from kafka.structs import OffsetAndMetadata

from tests.chaos.topics import Topics
from tests.chaos_sink.expected import Standing
from tests.chaos_sink.generation import Sent

_SESSION_S = 30
TOPICS = ("charges", "statements", "usage-rejected", "usage", "accounts", "tariffs")


class Log:
    """The topics by their prefix; `tariffs` has one partition, the others have `partitions`."""

    def __init__(self, bootstrap: str, prefix: str, partitions: int) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.group = f"{prefix}sink"
        self._partitions = partitions

    def messages(self) -> Iterator[Standing]:
        """Everything that stands on the topics, partition by partition, in order."""
        for name in TOPICS:
            for record in Topics(self.bootstrap, self.prefix, self._count(name)).messages(name):
                place = record.partition, record.offset, record.timestamp
                yield Standing(name, *place, record.key, record.value, dict(record.headers))

    def waiting(self) -> int:
        """How many messages the sinks have not committed yet."""
        committed = self._committed()
        return sum(end - committed.get(place, 0) for place, end in self._ends().items())

    def commit_unstored(self) -> None:
        """Commit everything in the sinks' name, stored or not: what a sink would do that commits too early."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=self.group, enable_auto_commit=False)
        try:
            ends = self._ends()
            consumer.assign(list(ends))
            offsets = {place: OffsetAndMetadata(end, "", -1) for place, end in ends.items()}
            until = monotonic() + _SESSION_S
            while not _is_committed(consumer, offsets):
                assert monotonic() < until, "the group still has members"
                sleep(0.5)
        finally:
            consumer.close()

    def delete(self) -> None:
        """Remove all topics of this prefix."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            if made := [topic for topic in admin.list_topics() if topic.startswith(self.prefix)]:
                admin.delete_topics(made)
        finally:
            admin.close()

    def _count(self, topic: str) -> int:
        return 1 if topic == "tariffs" else self._partitions

    def _ends(self) -> dict[TopicPartition, int]:
        places = [TopicPartition(self.prefix + name, number) for name in TOPICS for number in range(self._count(name))]
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap)
        try:
            return dict(consumer.end_offsets(places))
        finally:
            consumer.close()

    def _committed(self) -> dict[TopicPartition, int]:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            offsets = admin.list_group_offsets({self.group: None})[self.group]
        finally:
            admin.close()
        return {place: found.offset for place, found in offsets.items()}


class Feeder:
    """Sends messages at a rate, beside whatever else goes on; `finish` waits and raises what went wrong."""

    def __init__(self, log: Log, messages: Sequence[Sent], rate: Callable[[int], float]) -> None:
        """`rate`: messages a second, given how many were sent; asked for again and again."""
        self._log = log
        self._messages = messages
        self._rate = rate
        self._stopping = Event()
        self._failure: Exception | None = None
        self._thread = Thread(target=self._feed, name="feeder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def finish(self) -> None:
        """Wait until everything was sent."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _feed(self) -> None:
        try:
            self._send()
        except Exception as error:  # noqa: BLE001 - raised again by `finish`
            self._failure = error

    def _send(self) -> None:
        producer = KafkaProducer(bootstrap_servers=self._log.bootstrap, enable_idempotence=True, linger_ms=5)
        try:
            sent = [
                producer.send(self._log.prefix + one.topic, one.value, one.key, list(one.headers), one.partition)
                for one in self._paced()
            ]
            producer.flush()
            for future in sent:
                future.get(timeout=60)
        finally:
            producer.close()

    def _paced(self) -> Iterator[Sent]:
        allowed, before = 0.0, monotonic()
        for number, message in enumerate(self._messages):
            while allowed < 1 and not self._stopping.is_set():
                sleep(0.005)
                now = monotonic()
                allowed += (now - before) * self._rate(number)
                before = now
            if self._stopping.is_set():
                return
            allowed -= 1
            yield message


def _is_committed(consumer: KafkaConsumer, offsets: dict[TopicPartition, OffsetAndMetadata]) -> bool:
    """Whether the group takes them: a sink that has ended is a member until its session ends."""
    try:
        consumer.commit(offsets)
    except CommitFailedError:
        return False
    return True
