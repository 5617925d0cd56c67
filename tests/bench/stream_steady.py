"""A producer at a steady rate, as many small ones together would send: a process of its own.

    python -m tests.bench.stream_steady --rate 1000 --seconds 20 [--first 0] [--accounts 10000] [--partitions 4]

Every few milliseconds each partition gets the records that are due, in one batch that is sent at once. They are made
before the first one is sent. SIGTERM ends it early; what was sent has arrived when it ends.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aiokafka import AIOKafkaProducer

from agents.stream.connection import Connection, connection
from agents.stream.keys import partition_of
from agents.stream.topics import Topics
from tests.bench.stream_load import usage

_STEP_S = 0.005

Message = tuple[int, bytes, bytes]
"""Partition, key and value."""


@contextmanager
def sending(
    environment: Mapping[str, str], rate: int, seconds: float, first: int, accounts: int, partitions: int
) -> Iterator[subprocess.Popen[bytes]]:
    """The producer, which sends the records numbered from `first`; stopped at the end."""
    named = {"rate": rate, "seconds": seconds, "first": first, "accounts": accounts, "partitions": partitions}
    settings = [f"--{name}={value}" for name, value in named.items()]
    producer = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.stream_steady", *settings], env={**os.environ, **environment}
    )
    try:
        yield producer
    finally:
        producer.send_signal(signal.SIGTERM)
        if producer.wait():
            raise SystemExit(f"the producer ended with {producer.returncode}")


def main() -> None:
    """Send until the time is over, or SIGTERM comes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--partitions", type=int, default=4)
    wanted = parser.parse_args()
    stop = asyncio.Event()
    count = int(wanted.rate * wanted.seconds)
    asyncio.run(_send(connection(os.environ), wanted, count, stop))


async def _send(where: Connection, wanted: argparse.Namespace, count: int, stop: asyncio.Event) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    messages = _messages(wanted.first, count, wanted.accounts, wanted.partitions)
    topic = Topics.of(where.prefix).usage
    async with AIOKafkaProducer(**where.for_aiokafka(), enable_idempotence=True) as producer:
        sent, began = 0, time.perf_counter()
        while sent < count and not stop.is_set():
            due = min(count, int((time.perf_counter() - began) * wanted.rate) + 1)
            await _send_run(producer, topic, messages[sent:due])
            sent = due
            await asyncio.sleep(_STEP_S)


def _messages(first: int, count: int, accounts: int, partitions: int) -> list[Message]:
    places: dict[bytes, int] = {}
    messages = []
    for number in range(first, first + count):
        key, value = usage(number, accounts)
        place = places.get(key)
        if place is None:
            place = places[key] = partition_of(key, partitions)
        messages.append((place, key, value))
    return messages


async def _send_run(producer: AIOKafkaProducer, topic: str, messages: list[Message]) -> None:
    batches = {place: producer.create_batch() for place in sorted({place for place, _, _ in messages})}
    for place, key, value in messages:
        if batches[place].append(key=key, value=value, timestamp=None) is None:
            await producer.send_batch(batches[place], topic, partition=place)
            batches[place] = producer.create_batch()
            batches[place].append(key=key, value=value, timestamp=None)
    for place, batch in batches.items():
        await producer.send_batch(batch, topic, partition=place)


if __name__ == "__main__":
    main()
