"""The stream and the local way decide the same: every charge and statement, byte for byte."""

import csv
import gzip
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.books import open_books
from agents.journal import merged_tables
from agents.local import LocalRunner
from agents.stream.messages import statements_of
from agents.stream.topics import group_of
from deploy.broker import Broker
from schemas.catalogue import load_catalogue
from schemas.codecs import json_bytes
from sinks.charge_columns import charges_from_table
from sinks.statement_columns import statements_from_tables
from tests.integration.command import ROOT
from tests.stream.streaming import PARTITIONS, Desk

EXAMPLES = ROOT / "examples"
NOW = 1_800_000_000_000_000
PATIENCE_S = 120

Bytes = dict[str, bytes]


@pytest.fixture
def desk(broker: Broker, prefix: str) -> Desk:
    desk = Desk(broker, prefix)
    desk.ask("publish", "--tariffs", EXAMPLES / "tariffs", "--accounts", EXAMPLES / "accounts.yaml")
    return desk


def test_all_real_homes(desk: Desk, tmp_path: Path) -> None:
    """One home after the other, from 2011 to 2022, over two workers."""
    _assert_same(desk, EXAMPLES / "homes.csv.gz", tmp_path)


def test_homes_interleaved(desk: Desk, tmp_path: Path) -> None:
    """All homes at once, in the order of time, as they would have sent it; every home's own order is another, too."""
    with gzip.open(EXAMPLES / "homes.csv.gz", "rt", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        columns = list(reader.fieldnames or ())
        rows = sorted(list(reader)[::4], key=lambda row: (row["end"], row["account"]))
    with (tmp_path / "interleaved.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
    _assert_same(desk, tmp_path / "interleaved.csv", tmp_path)


def _assert_same(desk: Desk, usage: Path, tmp_path: Path) -> None:
    with _workers(desk, tmp_path, 2):
        desk.ask("publish", usage)
        _wait_until_rated(desk)
    charges, statements = _decided_locally(usage, tmp_path / "local")
    assert len(charges) > 10_000, "the homes have charges"
    assert len(statements) > 50, "the homes have statements"
    messages = desk.messages(desk.topics.charges)
    assert len(messages) == len(charges), "no charge is there twice"
    found = {_text(message.value, b'"charge_id":"'): message.value for message in messages}
    assert found == charges
    assert {
        one.statement_id: json_bytes(one) for one in statements_of(desk.messages(desk.topics.statements))
    } == statements


def _text(value: bytes, before: bytes) -> str:
    start = value.index(before) + len(before)
    return value[start : value.index(b'"', start)].decode()


@contextmanager
def _workers(desk: Desk, tmp_path: Path, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    workers = [desk.start("worker", "--data", tmp_path / f"worker-{number}") for number in range(count)]
    try:
        yield workers
        assert [worker.poll() for worker in workers] == [None] * count, "a worker has ended by itself"
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.communicate(timeout=60)
    assert [worker.returncode for worker in workers] == [0] * count


def _wait_until_rated(desk: Desk) -> None:
    import asyncio

    from agents.stream.reading import ends, group_offsets

    until = asyncio.run(ends(desk.connection, desk.topics.usage, PARTITIONS))
    deadline = time.monotonic() + PATIENCE_S
    group = group_of(desk.connection.prefix)
    while asyncio.run(group_offsets(desk.connection, group, desk.topics.usage, PARTITIONS)) != until:
        assert time.monotonic() < deadline, "not all usage is rated"
        time.sleep(0.2)


def _decided_locally(usage: Path, directory: Path) -> tuple[Bytes, Bytes]:
    """Charges and statements as JSON, by their ids."""
    with open_books(directory) as books:
        catalogue = load_catalogue(EXAMPLES / "tariffs", EXAMPLES / "accounts.yaml")
        plans = books.reference.adopt(catalogue, NOW)
        LocalRunner(books.directory, books.reference, plans, books.projection).read(usage, NOW)
        tables = dict(merged_tables(entry for _, entry in books.directory.journal(0)))
    charges = charges_from_table(tables["charges"])
    statements = statements_from_tables(tables["statements"], tables["statement_lines"], tables["taxes"])
    return (
        {charge.charge_id: json_bytes(charge) for charge in charges},
        {statement.statement_id: json_bytes(statement) for statement in statements},
    )
