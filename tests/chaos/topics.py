"""Topics: a run's topics, made by the product and fed and read by clients of our own.

Everything is read `read_committed` and from the start: what a customer of these topics would see.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from types import MappingProxyType, TracebackType
from typing import Any, Self

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from tests.chaos.book import partition_of
from tests.chaos.comparison import Found, FoundRejection
from tests.chaos.expected import Logged
from tests.chaos.message import Message
from tests.oracle.exported import read_export

NUMBER_HEADER = "chaos-number"
COMMAND_HEADER = "ratestream-command"
REPLAYED_HEADER = "replayed"
_READ_TIMEOUT_S = 120.0


class Topics:
    """The topics of one run, by their prefix."""

    def __init__(self, bootstrap: str, prefix: str, partitions: int) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.partitions = partitions
        self.group = f"{prefix}rating"

    def messages(self, name: str, start: Mapping[int, int] = MappingProxyType({})) -> Iterator[Any]:
        """All committed messages of a topic, partition by partition, in order. Raises TimeoutError.

        `start`: the offset from which each partition is read; from its begin where that is not said.
        """
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap, isolation_level="read_committed", enable_auto_commit=False
        )
        try:
            for partition in range(self.partitions):
                yield from _read(consumer, TopicPartition(self.prefix + name, partition), start.get(partition, 0))
        finally:
            consumer.close()

    def size(self, name: str) -> int:
        """How many offsets all partitions of a topic have, committed or not."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap)
        try:
            places = [TopicPartition(self.prefix + name, partition) for partition in range(self.partitions)]
            return sum(consumer.end_offsets(places).values())
        finally:
            consumer.close()

    def waiting(self) -> int:
        """How many messages of `usage` the workers have not committed yet."""
        return sum(1 for _ in self.messages("usage", self.committed()))

    def closings(self, since: Mapping[int, int]) -> int:
        """How many partitions of `usage` have got a command to close, from these offsets on."""
        return len({record.partition for record in self.messages("usage", since) if _closes(record)})

    def committed(self) -> dict[int, int]:
        """How far the workers have come with each partition of `usage`; a broker that just began is waited for."""
        until = monotonic() + _READ_TIMEOUT_S
        while True:
            try:
                return self._committed()
            except KafkaError as error:
                if not error.retriable or monotonic() > until:
                    raise
                sleep(0.5)

    def _committed(self) -> dict[int, int]:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            offsets = admin.list_group_offsets({self.group: None})[self.group]
        finally:
            admin.close()
        return {place.partition: found.offset for place, found in offsets.items() if place.topic == self.usage}

    @property
    def usage(self) -> str:
        """The full name of the topic that is fed."""
        return f"{self.prefix}usage"

    def log(self, messages: Sequence[Message]) -> list[Logged]:
        """The topic `usage`: which message stands where, and the commands."""
        by_number = {message.number: message for message in messages}
        return [logged for record in self.messages("usage") if (logged := _logged(record, by_number)) is not None]

    def found(self) -> Found:
        """What the workers have written."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "found.jsonl"
            with file.open("wb") as lines:
                for record in self.messages("charges"):
                    lines.write(b'{"charge":' + record.value + b"}\n")
                for statement in _whole(self.messages("statements")):
                    lines.write(b'{"statement":' + statement + b"}\n")
            exported = read_export(file)
        return Found(exported.charges, exported.statements, list(self._rejections()))

    def _rejections(self) -> Iterator[FoundRejection]:
        for record in self.messages("usage-rejected"):
            said = dict(record.headers)
            if REPLAYED_HEADER not in said:
                place = (int(said["partition"]), int(said["offset"]), int(said["index"]))
                yield FoundRejection(place, said["reason"].decode())


def _read(consumer: Any, place: TopicPartition, start: int) -> Iterator[Any]:  # noqa: ANN401 - a client without types
    """One partition, up to where it ends now."""
    consumer.assign([place])
    consumer.seek(place, start)
    end = consumer.end_offsets([place])[place]
    until = monotonic() + _READ_TIMEOUT_S
    while consumer.position(place) < end:
        for records in consumer.poll(timeout_ms=500, max_records=20_000).values():
            yield from records
            until = monotonic() + _READ_TIMEOUT_S
        if monotonic() > until:
            at = consumer.position(place)
            raise TimeoutError(f"{place.topic}[{place.partition}] ends at {end}, but nothing was read after {at}")


def _logged(record: Any, messages: Mapping[int, Message]) -> Logged | None:  # noqa: ANN401 - a client without types
    said = dict(record.headers)
    if COMMAND_HEADER in said:
        closes = _closes(record)
        return Logged(record.partition, record.offset, None, closes) if closes else None
    return Logged(record.partition, record.offset, messages[int(said[NUMBER_HEADER])])


def _closes(record: Any) -> str:  # noqa: ANN401 - a client without types
    """The period that a message commands to close, or ""."""
    closes: str = json.loads(record.value).get("period", "") if COMMAND_HEADER in dict(record.headers) else ""
    return closes


def _whole(records: Iterable[Any]) -> Iterator[bytes]:
    """The statements' JSON, those in parts put together."""
    held = b""
    for record in records:
        said = dict(record.headers)
        held += record.value
        if said.get("part") == said.get("parts"):
            yield held
            held = b""


class Feeder:
    """Sends messages at a rate, beside whatever else goes on; `finish` waits and raises what went wrong."""

    def __init__(self, topics: Topics, messages: Sequence[Message], rate: Callable[[], float]) -> None:
        """`rate`: messages a second, asked for again and again."""
        self._topics = topics
        self._messages = messages
        self._rate = rate
        self._stopping = Event()
        self._thread = Thread(target=self._feed, name="feeder", daemon=True)
        self._failure: Exception | None = None
        self.sent = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def is_done(self) -> bool:
        """Whether everything was sent, or sending has failed."""
        return not self._thread.is_alive()

    def finish(self) -> None:
        """Wait until everything was sent."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _feed(self) -> None:
        try:
            self._send_all()
        except Exception as error:  # noqa: BLE001 - raised again by `finish`
            self._failure = error

    def _send_all(self) -> None:
        producer = KafkaProducer(
            bootstrap_servers=self._topics.bootstrap,
            enable_idempotence=True,
            linger_ms=5,
            delivery_timeout_ms=300_000,
            max_request_size=16 << 20,
        )
        try:
            sent = [_send(producer, self._topics, message) for message in self._paced()]
            producer.flush()
            for future in sent:
                future.get(timeout=300)
        finally:
            producer.close()

    def _paced(self) -> Iterator[Message]:
        allowed, before = 0.0, monotonic()
        for message in self._messages:
            while allowed < 1 and not self._stopping.is_set():
                sleep(0.005)
                now = monotonic()
                allowed += (now - before) * self._rate()
                before = now
            if self._stopping.is_set():
                return
            allowed -= 1
            self.sent += 1
            yield message


def _send(producer: Any, topics: Topics, message: Message) -> Any:  # noqa: ANN401 - a client without types
    """Send one message to where it belongs, or to where it was misplaced; a future."""
    partition = (partition_of(message.key, topics.partitions) + message.misplaced_by) % topics.partitions
    headers = [(NUMBER_HEADER, b"%d" % message.number)]
    return producer.send(topics.usage, message.value, message.key, headers, partition)
