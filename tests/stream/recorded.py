"""Workers as processes, and what happened to their tasks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from agents.stream import topics
from agents.stream.connection import connection
from agents.stream.topics import Topics
from deploy.broker import Broker

WAIT_S = 60.0
SESSION_S = 6.0
"""The shortest that a broker allows by default."""


class Worker:
    """One process of tests/stream/recording_worker.py."""

    def __init__(self, broker: Broker, prefix: str, name: str, directory: Path, options: dict[str, str]) -> None:
        self.name = name
        self.directory = directory
        self.errors = directory / "stderr"
        directory.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.stream.recording_worker", broker.bootstrap, prefix, name, directory]
        told = {"session_s": str(SESSION_S), **options}
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*map(str, command), *(f"{option}={value}" for option, value in told.items())], stderr=errors
            )

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """What this process recorded, in order."""
        file = self.directory / "record.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("}")]
        return [event for event in found if event["pid"] == self.process.pid and event["what"] in kinds]

    def offered(self) -> list[str]:
        return [value for event in self.events("offer") for value in event["values"]]

    def open(self) -> set[int]:
        """The partitions whose tasks are open."""
        now: set[int] = set()
        for event in self.events("open", "closing"):
            (now.add if event["what"] == "open" else now.discard)(event["partition"])
        return now

    def told(self) -> str:
        return self.errors.read_text()


class Workshop:
    """Topics under one prefix, a producer, and workers, all of which are ended by `stop`."""

    def __init__(self, broker: Broker, prefix: str, home: Path, partitions: int) -> None:
        self.broker, self.prefix, self.home = broker, prefix, home
        self.connection = connection({"RATESTREAM_BROKERS": broker.bootstrap, "RATESTREAM_PREFIX": prefix})
        self.topics = Topics.of(prefix)
        topics.create(self.connection, partitions, 1)
        self.producer = KafkaProducer(
            **self.connection.for_kafka_python(), linger_ms=5, max_request_size=17 << 20, compression_type=None
        )
        self._workers: list[Worker] = []

    def start(self, name: str, **options: str) -> Worker:
        worker = Worker(self.broker, self.prefix, name, self.home / name, options)
        self._workers.append(worker)
        return worker

    def publish(self, values: list[str], partition: int) -> None:
        for value in values:
            self.producer.send(self.topics.usage, value.encode(), partition=partition)
        self.producer.flush()

    def stop(self) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.wait()
        self.producer.close()


def wait_until(what: Callable[[], object], told: Callable[[], object] = lambda: "", wait_s: float = WAIT_S) -> None:
    """Returns once it is so; fails where it is not after a while."""
    deadline = time.monotonic() + wait_s
    while not what():
        assert time.monotonic() < deadline, f"not within {wait_s:.0f} s: {told()}"
        time.sleep(0.02)
