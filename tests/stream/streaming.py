"""The stream as its tests use it: topics of their own, what they hold, and the command line on them."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from typer.testing import CliRunner, Result

from agents.stream import topics
from agents.stream.connection import Connection, connection
from agents.stream.topics import Topics
from deploy.broker import Broker
from ratestream.cli import app
from tests.integration.command import ROOT

PARTITIONS = 3
WAIT_S = 60


class Desk:
    """Topics under one prefix."""

    def __init__(self, broker: Broker, prefix: str) -> None:
        self.environment: Mapping[str, str] = {"RATESTREAM_BROKERS": broker.bootstrap, "RATESTREAM_PREFIX": prefix}
        self.connection: Connection = connection(self.environment)
        self.topics = Topics.of(prefix)
        topics.create(self.connection, PARTITIONS, 1)

    def messages(self, topic: str, *, committed: bool = True) -> list[Any]:
        """All messages of a topic, partition by partition."""
        consumer = KafkaConsumer(
            **self.connection.for_kafka_python(),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed" if committed else "read_uncommitted",
            fetch_max_wait_ms=50,
        )
        try:
            places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
            ends = consumer.end_offsets(places)
            consumer.assign(places)
            found: list[Any] = []
            while any(consumer.position(place) < ends[place] for place in places):
                for some in consumer.poll(timeout_ms=100).values():
                    found += some
        finally:
            consumer.close()
        return sorted(found, key=lambda message: (message.partition, message.offset))

    def size(self, topic: str, *, above: int = -1) -> int:
        """The sum of the offsets at which its partitions end, whatever is open; once that is `above`."""
        consumer = KafkaConsumer(**self.connection.for_kafka_python(), enable_auto_commit=False)
        deadline = time.monotonic() + WAIT_S
        try:
            places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
            while (size := sum(map(int, consumer.end_offsets(places).values()))) <= above:
                assert time.monotonic() < deadline, f"{topic} has not grown above {above}"
                time.sleep(0.005)
            return size
        finally:
            consumer.close()

    def asked(self, *arguments: object) -> Result:
        """The command in this process."""
        environment = {name: None for name in os.environ if name.startswith("RATESTREAM_")}
        return CliRunner().invoke(app, [str(one) for one in arguments], env={**environment, **self.environment})

    def ask(self, *arguments: object) -> str:
        """What the command says on standard output, given that it succeeds."""
        result = self.asked(*arguments)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """The command in a process of its own."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("RATESTREAM_")}
        return subprocess.Popen(
            [sys.executable, "-c", "from ratestream.cli import main; main()", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**plain, **self.environment, "PYTHONPATH": str(ROOT)},
        )
