"""Closing goes on in slices, through a SIGKILL, while usage is rated between them; every account is closed once."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from aiokafka import ConsumerRecord

from agents.stream.connection import Connection, connection
from agents.stream.reading import committed, ends, group_offsets
from agents.stream.topics import Topics, group_of
from agents.stream.wiring import CRASH
from deploy.broker import Broker
from schemas.codecs import json_from
from schemas.statement import Statement
from tests.bench.stream_closing import close
from tests.bench.stream_load import fill, prepare
from tests.bench.stream_steady import sending

ACCOUNTS = 3_000
SLICES = 12
"""At least, for so many accounts."""
RATE = 400
HOURS = 31 * 24
PATIENCE_S = 90


class Place(NamedTuple):
    """One partition, and the settings that lead to it."""

    environment: dict[str, str]
    where: Connection
    topics: Topics


@pytest.fixture
def place(broker: Broker, prefix: str) -> Place:
    """January's usage of all accounts, which waits to be rated."""
    environment = {"RATESTREAM_BROKERS": broker.bootstrap, "RATESTREAM_PREFIX": prefix}
    where = connection(environment)
    topics = prepare(where, 1, ACCOUNTS)
    fill(where, topics, 1, ACCOUNTS, ACCOUNTS)
    return Place(environment, where, topics)


def test_closing(place: Place, tmp_path: Path) -> None:
    with _worker(place, tmp_path):
        _wait_until(lambda: _rated(place) >= ACCOUNTS, "January is not rated")
    with sending(place.environment, RATE, PATIENCE_S, HOURS * ACCOUNTS, ACCOUNTS, 1):
        close(place.environment)
        # 1. The command, its marker, and then slices and usage: killed in between.
        with _worker(place, tmp_path, {CRASH: "batch-after-commit:7"}, ends_with=-signal.SIGKILL) as worker:
            worker.wait(PATIENCE_S)
        assert 0 < len(_messages(place, place.topics.statements)) < ACCOUNTS, "killed in the middle of the sweep"
        # 2. It goes on where it was.
        with _worker(place, tmp_path):
            _wait_until(lambda: len(_messages(place, place.topics.statements)) >= ACCOUNTS, "not all are closed")
    with _worker(place, tmp_path):
        _wait_until(lambda: _rated(place) >= _end(place), "February is not rated")
    _assert_closed_once(place)
    _assert_charged_once(place)
    _assert_rated_between_slices(place)


def _assert_closed_once(place: Place) -> None:
    statements = [json_from(message.value, Statement) for message in _messages(place, place.topics.statements)]
    assert Counter(Counter(statement.account for statement in statements).values()) == {1: ACCOUNTS}
    assert {statement.usage_records for statement in statements} == {1}


def _assert_charged_once(place: Place) -> None:
    sent = [_text(message, b'"id":"') for message in _messages(place, place.topics.usage) if not message.headers]
    charged = [_text(message, b'"usage_id":"') for message in _messages(place, place.topics.charges)]
    assert len(sent) > ACCOUNTS + RATE, "records arrived meanwhile"
    assert charged == sent


def _assert_rated_between_slices(place: Place) -> None:
    """A transaction's statements follow one another; its marker is between them and the next ones."""
    statements = _messages(place, place.topics.statements)
    borders = [(one, after) for one, after in pairwise(statements) if after.offset > one.offset + 1]
    assert len(borders) >= SLICES - 1
    charged_at = [message.timestamp for message in _messages(place, place.topics.charges)]
    gaps = [any(one.timestamp <= at <= after.timestamp for at in charged_at) for one, after in borders]
    assert sum(gaps) > len(gaps) // 2, "most slices have usage rated between them"


@contextmanager
def _worker(
    place: Place, data: Path, more: dict[str, str] | None = None, ends_with: int = 0
) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "ratestream", "worker", "--data", str(data), "--log", "error"]
    worker = subprocess.Popen(command, env={**os.environ, **place.environment, **(more or {})})
    try:
        yield worker
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(PATIENCE_S)
    assert worker.returncode == ends_with


def _messages(place: Place, topic: str) -> list[ConsumerRecord]:
    async def read() -> list[ConsumerRecord]:
        return [message async for message in committed(place.where, topic, await ends(place.where, topic, 1))]

    return asyncio.run(read())


def _rated(place: Place) -> int:
    return asyncio.run(group_offsets(place.where, group_of(place.where.prefix), place.topics.usage, 1))[0]


def _end(place: Place) -> int:
    return asyncio.run(ends(place.where, place.topics.usage, 1))[0]


def _wait_until(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.2)


def _text(message: ConsumerRecord, before: bytes) -> bytes:
    start = message.value.index(before) + len(before)
    return bytes(message.value[start : message.value.index(b'"', start)])
