"""The archive in the real engine: usage comes back as it was, and a database is only filled by who may fill it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from agents.errors import StateError
from agents.sink.feeds import claim
from schemas.usage import UsageRecord
from sinks.clickhouse import ClickHouse
from sinks.errors import WrongSchema
from sinks.migrations import apply, load
from sinks.usage_columns import (
    ArchivedCommand,
    ArchivedDocument,
    ArchivedUsage,
    commands_from_table,
    commands_table,
    documents_from_table,
    documents_table,
    usage_from_table,
    usage_table,
)

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
AT = 1_700_000_000_000_001
TOPICS = {"r.charges": "id-1", "r.usage": "id-2"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Open once: a process has one embedded database at a time."""
    pytest.importorskip("chdb", reason="NOT RUN on chDB: pip install 'ratestream[embedded]'")
    address = f"chdb://{tmp_path_factory.mktemp('chdb')}/archive"
    with ClickHouse(address, database="default"):
        yield address


@pytest.fixture
def archive(engine: str) -> Iterator[ClickHouse]:
    with ClickHouse(engine, database="archive") as archive:
        archive.migrate()
        yield archive
        archive.execute("DROP DATABASE archive")


def record(number: int, quantity: str | None, start: datetime = FIRST, end: datetime = LAST) -> ArchivedUsage:
    usage = UsageRecord(
        f"u{number}",
        f"home-{number % 2}",
        "power",
        None if quantity is None else Decimal(quantity),
        start,
        end,
        unit="kWh" if number else None,
        session="s" if number % 2 else None,
        attributes={"b": "1", "a": "ä"} if number % 3 else None,
        corrects=f"u{number - 1}" if quantity is None else None,
    )
    return ArchivedUsage(usage, number % 2, 2**53 + number, 0, AT + number)


def test_usage_comes_back_as_it_was_however_often_it_came(archive: ClickHouse) -> None:
    quantities = [
        "1.5",
        None,
        "-0.000001",
        "0.0000001",
        "9" * 60,
        "1E-60",
        "0",
        "12345678901234567890123456789012.123456",
    ]
    rows = [record(number, quantity) for number, quantity in enumerate(quantities)]
    rows.append(rows[0]._replace(index=1))
    archive.insert("usage", usage_table(rows), "one")
    archive.insert("usage", usage_table(rows[::-1]), "two")
    found = usage_from_table(archive.query_arrow("SELECT * FROM usage ORDER BY offset, index"))
    assert found == sorted(rows, key=lambda row: row[2:4])


def test_commands_and_documents_come_back_as_they_were(archive: ClickHouse) -> None:
    commands = [ArchivedCommand(number, 7, AT, b'{"command":"tick"}\xff') for number in range(3)]
    documents = [
        ArchivedDocument("accounts", b"default/home", b"{}", 1, 0, AT),
        ArchivedDocument("accounts", b"default/home", None, 1, 1, AT),
        ArchivedDocument("tariffs", b"", b"\xff", 0, 0, AT),
    ]
    for token in ("one", "two"):
        archive.insert("commands", commands_table(commands), token)
        archive.insert("documents", documents_table(documents), token)
    assert commands_from_table(archive.query_arrow("SELECT * FROM commands ORDER BY partition")) == commands
    assert documents_from_table(archive.query_arrow("SELECT * FROM documents ORDER BY topic, offset")) == documents


def test_a_database_without_its_tables_is_told_to_be_migrated(engine: str, archive: ClickHouse) -> None:
    with ClickHouse(engine, database="made_later") as database:
        with pytest.raises(WrongSchema, match=r"has no tables yet\. Make them: ratestream migrate"):
            database.check()
        archive.execute("CREATE DATABASE made_later")
        apply(database, load()[:3])
        with pytest.raises(WrongSchema, match=r"lacks 004_archive\.sql.*Renew its tables: ratestream migrate"):
            database.check()
        database.migrate()
        database.check()
        database.execute("INSERT INTO migrations (number, name, checksum) VALUES (999, '999_later.sql', 'x')")
        with pytest.raises(WrongSchema, match=r"999_later\.sql"):
            database.check()
        archive.execute("DROP DATABASE made_later")


def test_a_database_is_filled_from_the_topics_that_it_was_first_filled_from(archive: ClickHouse) -> None:
    claim(archive, "cluster", TOPICS)
    claim(archive, "cluster", TOPICS)
    claim(archive, "cluster", {**TOPICS, "r.tariffs": "id-3"})
    recorded = archive.query_arrow("SELECT topic, cluster, topic_id FROM feeds ORDER BY topic").to_pylist()
    assert [tuple(row.values()) for row in recorded] == [
        ("r.charges", "cluster", "id-1"),
        ("r.tariffs", "cluster", "id-3"),
        ("r.usage", "cluster", "id-2"),
    ]


@pytest.mark.parametrize(
    ("cluster", "topics", "told"),
    [
        ("cluster", {**TOPICS, "r.usage": "id-9"}, r"r\.usage: .* id id-2 of cluster cluster, now it has the id id-9"),
        ("other", TOPICS, r"r\.charges: .* id id-1 of cluster cluster, now it has the id id-1 in cluster other"),
        ("cluster", {"q.charges": "id-1", "q.usage": "id-2"}, r"r\.charges: .*, which is none of this sink's"),
    ],
)
def test_other_topics_are_refused(archive: ClickHouse, cluster: str, topics: dict[str, str], told: str) -> None:
    claim(archive, "cluster", TOPICS)
    with pytest.raises(StateError, match=told):
        claim(archive, cluster, topics)
