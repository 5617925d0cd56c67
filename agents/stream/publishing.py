"""Publishing: messages go to their topics, and each is known to have arrived.

A message counts once the broker has acknowledged it (acks=all, idempotent). What waits for that is bounded, so that a
producer that is faster than the broker waits. The first message that the broker does not take ends the publishing with
an error; to publish the same once more is safe, since a usage record that came before is a duplicate and counts once.
"""

from collections import deque
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from agents.errors import BrokerError
from agents.stream.connection import Connection
from agents.stream.messages import Outgoing

MAX_MESSAGE_BYTES = 15 << 20
"""A message with its key and headers; the topics of usage take 16 MiB with what Kafka adds."""

_WAITING_BYTES = 32 << 20
_WAITING_MESSAGES = 20_000
_BATCH_BYTES = 256 << 10
_LINGER_MS = 20
_DELIVERY_S = 120.0
_NO_BROKER_MS = 20_000
_GIVEN_UP_S = 1.0


class Publisher:
    """A producer whose every message is acknowledged when the `with` block has ended, or BrokerError is raised.

    `messages` and `bytes_sent` count what was handed to it.
    """

    def __init__(self, connection: Connection, *, linger_ms: int = _LINGER_MS) -> None:
        self._brokers = ",".join(connection.brokers)
        self._waiting: deque[tuple[Any, str, int]] = deque()
        self._waiting_bytes = 0
        self.messages = self.bytes_sent = 0
        try:
            self._producer = KafkaProducer(
                **connection.for_kafka_python(),
                enable_idempotence=True,
                acks="all",
                batch_size=_BATCH_BYTES,
                linger_ms=linger_ms,
                max_request_size=MAX_MESSAGE_BYTES,
                allow_auto_create_topics=False,
                delivery_timeout_ms=int(_DELIVERY_S * 1000),
                bootstrap_timeout_ms=_NO_BROKER_MS,
                max_block_ms=_NO_BROKER_MS,
                metrics_enabled=False,
            )
        except KafkaError as error:
            what = f"no broker answers at {self._brokers}: {error}"
            raise BrokerError(f"{what}. Start it, or correct RATESTREAM_BROKERS and RATESTREAM_SECURITY") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Waits for all messages, unless an error ends the block: then what waits is given up."""
        if kind is not None:
            self._give_up()
            return
        try:
            self.settle()
        except BaseException:
            self._give_up()
            raise
        self._producer.close()

    def send(self, topic: str, message: Outgoing, partition: int | None = None) -> None:
        """Hands a message on; without a partition its key chooses, as in every client of Kafka.

        Waits while too much is unacknowledged. Raises BrokerError for an earlier message that did not arrive.
        """
        try:
            future = self._producer.send(
                topic, value=message.value, key=message.key, headers=list(message.headers), partition=partition
            )
        except KafkaError as error:
            raise self._refused(topic, error) from error
        size = len(message.value)
        self._waiting.append((future, topic, size))
        self._waiting_bytes += size
        self.messages += 1
        self.bytes_sent += size
        if self._waiting_bytes > _WAITING_BYTES or len(self._waiting) > _WAITING_MESSAGES:
            self._settle(len(self._waiting) // 2)

    @property
    def waiting(self) -> int:
        """Messages that may not be acknowledged yet."""
        return len(self._waiting)

    def settle(self) -> None:
        """Waits until every message so far is acknowledged. Raises BrokerError for one that is not."""
        self._settle(len(self._waiting))

    def _settle(self, count: int) -> None:
        for _ in range(count):
            future, topic, size = self._waiting[0]
            try:
                future.get(_DELIVERY_S)
            except KafkaError as error:
                raise self._refused(topic, error) from error
            self._waiting.popleft()
            self._waiting_bytes -= size

    def _refused(self, topic: str, error: KafkaError) -> BrokerError:
        arrived = self.messages - len(self._waiting)
        return BrokerError(
            f"{topic} at {self._brokers} did not take a message: {error}. {arrived:,} messages before it arrived. "
            "Mend the cause and publish the same again: usage that has arrived counts once"
        )

    def _give_up(self) -> None:
        # Without this `close` would wait for what cannot arrive and raise, once more at the end of the process.
        self._producer._sender.force_close()  # noqa: SLF001
        self._producer.close(_GIVEN_UP_S)
