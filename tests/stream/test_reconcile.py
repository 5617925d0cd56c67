"""Reconciling real topics with the real engine: a clean stream is clean, and each damage is found and named."""

import random
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from aiokafka import ConsumerRecord
from msgspec import structs
from msgspec.json import decode

from agents.reconciling.legs import Leg, Report
from agents.reconciling.reading import Offsets, Source, sink_group
from agents.reconciling.records import charge_of, is_marker, rejection_in
from agents.reconciling.splitting import BULK_HEADER
from agents.sink.app import group_of
from agents.stream.keys import account_key, partition_of
from agents.stream.messages import Outgoing, charge_message
from agents.stream.splitting import ORIGIN_HEADER
from deploy.broker import Broker
from schemas.charge import ChargeKind
from schemas.codecs import avro_container, json_bytes, usage_json
from schemas.usage import UsageRecord
from sinks.clickhouse import ClickHouse
from sinks.reconciliation.differences import Kind
from sinks.reconciliation.stored import Received, Selection
from sinks.usage_columns import ArchivedUsage, usage_table
from tests.small_books import reading, us
from tests.stream.filled import NAMES, PARTITIONS, Filled

Row = dict[str, Any]
Findings = set[tuple[Leg, Kind, str]]


class Table(NamedTuple):
    """How rows of a table are damaged: what tells them apart, what their finding names, what makes another key of
    theirs, and the least by which a column can be changed.
    """

    leg: Leg
    name: str
    key: tuple[str, ...]
    other: Mapping[str, Any]
    changed: str
    least: Any


ATOM = Decimal("1e-18")
TABLES = {
    "usage": Table(
        Leg.USAGE, "{usage_id}", ("partition", "offset", "index"), {"index": 7}, "quantity", Decimal("0.000001")
    ),
    "charges": Table(Leg.CHARGES, "{charge_id}", ("charge_id", "account"), {"charge_id": "x"}, "amount", ATOM),
    "statements": Table(
        Leg.STATEMENTS, "{statement_id}", ("statement_id",), {"statement_id": "x", "revision": 7}, "total", ATOM
    ),
    "statement_lines": Table(
        Leg.LINES, "{statement_id}, line {line}", ("statement_id", "line"), {"line": 7}, "amount", ATOM
    ),
    "taxes": Table(Leg.TAXES, "{statement_id}, tax {line}", ("statement_id", "line"), {"line": 7}, "base", ATOM),
    "rejected": Table(
        Leg.REJECTED, "{origin}[{partition}]@{offset}", ("partition", "offset", "index"), {"offset": 7_000}, "size", 1
    ),
}
TABLE_OF = {table.leg: f"{name} (" for name, table in TABLES.items()}


@pytest.fixture(scope="module")
def filled(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with ClickHouse(f"chdb://{tmp_path_factory.mktemp('reconciled')}") as database:
        yield Filled(broker, f"test-{uuid.uuid4().hex[:12]}.", database)


@pytest.fixture
def tables(filled: Filled) -> Iterator[Callable[[str], pa.Table]]:
    """What a table holds; it will hold that again, whatever becomes of it."""
    before: dict[str, pa.Table] = {}

    def held(name: str) -> pa.Table:
        before[name] = filled.database.query_arrow(f"SELECT * FROM {name} FINAL ORDER BY ALL")
        return before[name]

    yield held
    for name, rows in before.items():
        filled.database.execute(f"TRUNCATE TABLE {name}")
        filled.database.insert(name, rows, uuid.uuid4().hex)
        filled.database.execute(f"SYSTEM START MERGES {name}")


def findings(report: Report, *legs: Leg) -> Findings:
    """What was found in some legs, or in all."""
    return {
        (leg.leg, one.kind, one.name) for leg in report.legs for one in leg.differences if not legs or leg.leg in legs
    }


def test_a_quiet_stream_is_clean(filled: Filled) -> None:
    report = filled.reconcile()
    assert findings(report) == set()
    assert (report.is_clean, report.on_the_way) == (True, 0)
    rows = {leg.leg: (leg.due.rows, leg.found.rows) for leg in report.legs}
    assert rows[Leg.CHARGES] == (len(filled.charges), len(filled.charges))
    assert rows[Leg.STATEMENTS] == (len(filled.statements), len(filled.statements))
    received, counts = report.received, filled.counts()
    assert received == Received(
        counts["received"] - PARTITIONS, counts["accepted"], counts["duplicates"], counts["rejected"] - PARTITIONS, 0
    )
    assert report.undecodable == 2 * PARTITIONS, "in each partition a message that is no usage, and one no command"


def more(row: Row, column: str, least: str | int | Decimal) -> Row:
    with localcontext(prec=60):
        return {**row, column: row[column] + least}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", TABLES)
def test_each_damage_to_a_table_is_named_and_nothing_else(
    filled: Filled, tables: Callable[[str], pa.Table], name: str, seed: int
) -> None:
    table, whole = TABLES[name], tables(name)
    rows = [row for row in whole.to_pylist() if row[table.changed] is not None]
    deleted, doubled, repeated, changed, clashing = random.Random(f"{name}{seed}").sample(rows, 5)
    other = dict(doubled)
    for column, least in table.other.items():
        other = more(other, column, least)

    def where(row: Row) -> str:
        return " AND ".join(f"`{column}` = {row[column]!r}" for column in table.key)

    def named(row: Row) -> str:
        return table.name.format(**row)

    execute = filled.database.execute
    execute(f"ALTER TABLE {name} DELETE WHERE {where(deleted)} SETTINGS mutations_sync = 2")
    value = Decimal(more(changed, table.changed, table.least)[table.changed])
    execute(
        f"ALTER TABLE {name} UPDATE {table.changed} = '{value:f}' WHERE {where(changed)} SETTINGS mutations_sync = 2"
    )
    execute(f"SYSTEM STOP MERGES {name}")
    inserted = [other, repeated, more(clashing, table.changed, table.least)]
    filled.database.insert(name, pa.Table.from_pylist(inserted, schema=whole.schema), uuid.uuid4().hex)

    report = filled.reconcile(limit=None)
    assert findings(report, table.leg) == {
        (table.leg, Kind.MISSING, named(deleted)),
        (table.leg, Kind.EXTRA, named(other)),
        (table.leg, Kind.DIFFERENT, named(changed)),
        (table.leg, Kind.DIFFERENT, named(clashing)),
        (table.leg, Kind.CLASHING, named(clashing)),
    }
    held = report.held[name]
    assert held.rows - held.shown == 2
    hurt = {(row["tenant"], row["account"]) for row in (deleted, doubled, changed, clashing)}
    beside = [one for leg in report.legs if leg.leg is not table.leg for one in leg.differences]
    assert {one.group[:2] for one in beside} <= hurt, "what follows from it names the same accounts alone"


def test_a_row_that_was_inserted_twice_is_harmless_and_told(filled: Filled, tables: Callable[[str], pa.Table]) -> None:
    tables("charges")
    filled.database.execute("SYSTEM STOP MERGES charges")
    filled.database.execute("INSERT INTO charges SELECT * FROM charges LIMIT 3")
    report = filled.reconcile()
    assert report.is_clean
    assert report.held["charges"].rows - report.held["charges"].shown == 3


class Doctored(Source):
    """Topics one of which somebody has damaged as Kafka itself never would: `doctor` says what it has become."""

    def __init__(self, source: Source, topic: str, doctor: Callable[[list[Any]], list[Any]]) -> None:
        super().__init__(source.connection, source.topics, source.layout)
        self._topic, self._doctor = topic, doctor

    async def messages(self, topic: str, until: Offsets) -> AsyncIterator[ConsumerRecord]:
        found = [message async for message in super().messages(topic, until)]
        for message in self._doctor(found) if topic == self._topic else found:
            yield message


@pytest.mark.parametrize(
    ("leg", "subject", "digit"),
    [
        (Leg.USAGE, "usage", b'"quantity":"'),
        (Leg.CHARGES, "charges", b'"amount":"'),
        (Leg.STATEMENTS, "statements", b'"net":"'),
        (Leg.REJECTED, "usage_rejected", b'"quantity":"'),
    ],
)
def test_each_damage_to_a_topic_is_named_and_nothing_else(filled: Filled, leg: Leg, subject: str, digit: bytes) -> None:
    """A message is lost, another one doubled, a third has one digit more."""
    topic = getattr(filled.topics, subject)
    readable = [message for message in filled.messages(topic) if digit in message.value[:1_000]]
    lost, doubled, changed = ((one.partition, one.offset) for one in random.Random(subject).sample(readable, 3))

    def doctor(messages: list[Any]) -> list[Any]:
        by_place = {(one.partition, one.offset): one for one in messages}
        one = by_place[changed]
        by_place[changed] = replace(one, value=one.value.replace(digit, digit + b"1", 1))
        del by_place[lost]
        return [*by_place.values(), by_place[doubled]]

    report = filled.reconcile(Doctored(filled.source, topic, doctor), limit=None)
    (found,) = (one.differences for one in report.legs if one.leg is leg)
    places = {one.kind: one.places for one in found}
    assert len(found) == len(places) == 3
    assert places[Kind.EXTRA][0].startswith(TABLE_OF[leg])
    assert places[Kind.DOUBLED] == (f"{topic}[{doubled[0]}]@{doubled[1]}",) * 2
    assert places[Kind.DIFFERENT][0] == f"{topic}[{changed[0]}]@{changed[1]}"


def test_usage_without_charge_and_charge_without_usage(filled: Filled) -> None:
    """Both are named where they stand; so is the void that had a charge, by its charge in the table alone."""
    topic = filled.topics.charges
    kept = random.Random(1).choice([one for one in filled.charges if one.kind is ChargeKind.USAGE])
    forged = structs.replace(kept, charge_id="f" * 32, usage_id="nobody sent this")

    def doctor(messages: list[Any]) -> list[Any]:
        mine = b'"charge_id":"%b"' % kept.charge_id.encode()
        return [replace(one, value=json_bytes(forged)) if mine in one.value else one for one in messages]

    report = filled.reconcile(Doctored(filled.source, topic, doctor), limit=None)
    assert findings(report, Leg.RATED, Leg.CHARGES) == {
        (Leg.RATED, Kind.MISSING, kept.usage_id),
        (Leg.RATED, Kind.EXTRA, f"{forged.charge_id}, of usage {forged.usage_id}"),
        (Leg.CHARGES, Kind.MISSING, forged.charge_id),
        (Leg.CHARGES, Kind.EXTRA, kept.charge_id),
    }
    (rated,) = (leg.differences for leg in report.legs if leg.leg is Leg.RATED)
    (missing,) = (one for one in rated if one.kind is Kind.MISSING)
    first = min(one[1:] for one in filled.usage if one.usage.id == kept.usage_id)
    assert missing.places[0].partition("#")[0] == f"{filled.topics.usage}[{first[0]}]@{first[1]}"


@pytest.fixture
def offsets(filled: Filled) -> Iterator[None]:
    """However far the sink and the workers are said to be, they have come to the end again afterwards."""
    yield
    filled.commit(rated=True)


@pytest.mark.usefixtures("offsets")
@pytest.mark.parametrize("seed", range(3))
def test_what_is_in_flight_is_no_alarm(filled: Filled, tables: Callable[[str], pa.Table], seed: int) -> None:
    """The sink has committed less than there is, and inserted any of the rest."""
    chance = random.Random(seed)
    behind = {"usage": 9, "charges": (3, 40, 1_000)[seed], "statements": 3, "usage_rejected": 4}
    filled.commit(rated=True, behind=behind)
    share = (1.0, 0.5, 0.1)[seed]
    last = {subject: filled.last(subject, count) for subject, count in behind.items()}
    lost = {subject: [one for one in messages if chance.random() < share] for subject, messages in last.items()}
    charges = [charge_of(one).charge_id for one in lost["charges"]]
    statements = [decode(one.value)["statement_id"] for one in lost["statements"]]
    rejected = [rejection_in(one).position for one in lost["usage_rejected"] if not is_marker(one)]
    for name, column, values in (
        ("usage", "(partition, offset)", [(one.partition, one.offset) for one in lost["usage"]]),
        ("charges", "charge_id", charges),
        ("statement_lines", "statement_id", statements),
        ("taxes", "statement_id", statements),
        ("statements", "statement_id", statements),
        ("rejected", "(partition, offset)", [(one.partition, one.offset) for one in rejected]),
    ):
        tables(name)
        gone = ", ".join(map(repr, values)) or "''"
        if values:
            filled.database.execute(f"ALTER TABLE {name} DELETE WHERE {column} IN ({gone}) SETTINGS mutations_sync = 2")
    report = filled.reconcile()
    assert findings(report) == set()
    on_the_way = {leg.leg: leg.on_the_way for leg in report.legs}
    assert on_the_way[Leg.CHARGES] == len(charges)
    assert on_the_way[Leg.STATEMENTS] == len(statements)
    assert on_the_way[Leg.REJECTED] == len(rejected)
    assert on_the_way[Leg.USAGE] >= len(lost["usage"]) - PARTITIONS * 3, "all but commands and what is no usage"


def test_only_some_accounts_or_periods(filled: Filled) -> None:
    part = filled.reconcile(selection=Selection(account=NAMES[1]))
    assert part.is_clean
    rows = {leg.leg: leg.due.rows for leg in part.legs}
    own = [one for one in filled.charges if one.account == NAMES[1]]
    assert rows[Leg.CHARGES] == len(own)
    assert rows[Leg.USAGE] == sum(one.usage.account == NAMES[1] for one in filled.usage)
    month = filled.reconcile(period="2024-02")
    assert month.is_clean
    rows = {leg.leg: leg.due.rows for leg in month.legs}
    assert rows[Leg.CHARGES] == sum(one.statement_start == us("2024-02-01") for one in filled.charges)
    assert rows[Leg.STATEMENTS] == sum(one.period_start == us("2024-02-01") for one in filled.statements)


def test_the_archive_outlives_the_topic(filled: Filled, tables: Callable[[str], pa.Table]) -> None:
    """What the topic no longer holds is compared with its charges all the same."""
    begin = 20

    class Shortened(Doctored):
        async def begins(self, _topic: str) -> Offsets:
            return dict.fromkeys(range(PARTITIONS), begin)

    def doctor(messages: list[Any]) -> list[Any]:
        return [one for one in messages if one.offset >= begin]

    source = Shortened(filled.source, filled.topics.usage, doctor)
    report = filled.reconcile(source)
    older = [one for one in filled.usage if one.offset < begin]
    assert findings(report) == set()
    assert report.only_archived == len(older)
    lost = older[0]
    tables("usage")
    filled.database.execute(f"ALTER TABLE usage DELETE WHERE usage_id = '{lost.usage.id}' SETTINGS mutations_sync = 2")
    assert {kind for _, kind, _ in findings(filled.reconcile(source), Leg.RATED)} == {Kind.EXTRA}


def test_the_command_says_what_differs_and_what_to_do(
    filled: Filled, tables: Callable[[str], pa.Table], tmp_path: Path
) -> None:
    clean = filled.asked("reconcile", "--metrics", tmp_path / "clean.prom")
    assert (clean.exit_code, clean.stderr) == (0, "")
    assert max(map(len, clean.stdout.splitlines())) <= 80
    assert clean.stdout.splitlines()[-1].startswith("CLEAN: 442 usage records, 408 charges, 21 statements (")
    assert "\nratestream_reconcile_ok 1\n" in (tmp_path / "clean.prom").read_text()
    tables("charges")
    charge = filled.charges[17]
    filled.database.execute(
        f"ALTER TABLE charges DELETE WHERE charge_id = '{charge.charge_id}' SETTINGS mutations_sync = 2"
    )
    wrong = filled.asked("reconcile", "--metrics", tmp_path / "wrong.prom")
    assert wrong.exit_code == 70
    assert f"missing {charge.charge_id}" in wrong.stdout
    assert "set its group's offset of that topic back" in wrong.stdout.replace("\n", " ")
    assert wrong.stdout.splitlines()[-1].startswith("NOT CLEAN: differences in charges 1, billed 1 (")
    metrics = (tmp_path / "wrong.prom").read_text()
    assert 'ratestream_reconcile_differences{leg="charges",kind="missing"} 1\n' in metrics
    assert "\nratestream_reconcile_ok 0\n" in metrics
    *_, difference, billed, verdict = map(decode, filled.asked("reconcile", "--format", "json").stdout.splitlines())
    assert (difference["name"], difference["kind"]) == (charge.charge_id, "missing")
    assert billed["leg"] == "billed"
    assert (verdict["clean"], verdict["differences"]) == (False, 2)
    assert filled.asked("reconcile", "--period", "soon").exit_code == 2
    assert filled.asked("reconcile", "--account", "nobody's").exit_code == 4


def test_messages_that_came_by_a_wrong_hand(filled: Filled) -> None:
    """The last of these tests, as a topic keeps what was sent: on the way at first, and named once it has arrived."""
    charge = next(one for one in filled.charges if one.kind is ChargeKind.USAGE)
    key = account_key(charge.tenant, charge.account)
    number = partition_of(key, PARTITIONS)
    usage = reading("never charged", "1", "2024-03-20", account=charge.account)
    bulk = f"{filled.topics.usage_bulk}/0/0/"
    filled.send("charges", number, charge_message(charge, key))
    filled.send("usage_bulk", 0, Outgoing(None, avro_container([usage, usage], UsageRecord)))
    filled.send("usage", number, Outgoing(key, usage_json(usage), [(BULK_HEADER, f"{bulk}0".encode())]))
    (sent,) = (one for one in filled.last("usage", 1) if one.partition == number)
    report = filled.reconcile()
    on_the_way = {leg.leg: leg.on_the_way for leg in report.legs if leg.on_the_way}
    assert findings(report) == set()
    assert on_the_way == {Leg.BULK: 1, Leg.USAGE: 1, Leg.RATED: 1, Leg.CHARGES: 1}
    archived = ArchivedUsage(usage, number, sent.offset, 0, sent.timestamp * 1_000)
    filled.database.insert("usage", usage_table([archived]), "never charged")
    filled.commit(rated=True)
    assert findings(filled.reconcile()) == {
        (Leg.BULK, Kind.MISSING, f"{bulk}1"),
        (Leg.RATED, Kind.MISSING, "never charged"),
        (Leg.CHARGES, Kind.DOUBLED, charge.charge_id),
    }


def test_names_are_those_of_who_writes_them() -> None:
    assert (sink_group("x."), BULK_HEADER) == (group_of("x."), ORIGIN_HEADER)
