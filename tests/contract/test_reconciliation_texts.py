"""A row's text is the same from ClickHouse as from the message, whatever it says."""

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from agents.reconciling.records import (
    Record,
    Usage,
    charge_of,
    charge_record,
    rejection_record,
    statement_records,
    usage_record,
)
from schemas.charge import Charge
from schemas.codecs import json_bytes
from schemas.digest import charge_hash
from schemas.rejection import Position
from sinks.charge_columns import charges_table
from sinks.clickhouse import ClickHouse
from sinks.reconciliation import stored
from sinks.reconciliation.shapes import (
    CHARGE_SHAPE,
    LINE_SHAPE,
    REJECTED_SHAPE,
    STATEMENT_SHAPE,
    TAX_SHAPE,
    USAGE_SHAPE,
    Shape,
)
from sinks.reconciliation.statements import Digested
from sinks.rejection_columns import rejections_table
from sinks.statement_columns import statement_lines_table, statements_table, taxes_table
from sinks.usage_columns import ArchivedUsage, usage_table
from tests.contract.made_nouns import made_charge, made_interim, made_rejection, made_statement
from tests.small_books import reading

WILD = ["'", '"', "\\", "\\0", "\0", "\1", "\t\n", "é", "\U0001f600", "{a:String}", "%", "🧾'); DROP", "-", " "]
LARGEST = 10**38 - 1


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with ClickHouse(f"chdb://{tmp_path_factory.mktemp('texts')}") as database:
        database.migrate()
        yield database


def assert_same(database: ClickHouse, shape: Shape, records: Iterable[Record]) -> None:
    """Sums and rows of the table are those of the records."""
    own = [record for record in records if record.shape is shape]
    groups = {record.group for record in own}
    rows = {row.key: row for row in stored.rows(database, shape, groups)}
    assert {row.key: (row.group, row.name, row.text) for row in rows.values()} == {
        record.key: (record.group, record.name, record.text) for record in own
    }
    sums = stored.tally(database, shape, stored.EVERYTHING)
    assert set(sums.groups()) == groups
    assert (sums.total().rows, sums.total().amount) == (len(own), sum(record.amount for record in own))


def message(value: bytes, **rest: Any) -> Any:  # noqa: ANN401 - of what a client has
    return SimpleNamespace(value=value, topic="t", partition=1, offset=2, timestamp=1_700_000_000_123, **rest)


def test_charges(database: ClickHouse) -> None:
    charges = [*map(made_charge, range(12))]
    charges += [
        replace(charge, usage_id=text, account=text, tenant=text, corrects=text, meter=text)
        for charge, text in zip(map(made_charge, range(100, 200)), WILD, strict=False)
    ]
    charges.append(replace(made_charge(300), amount=-LARGEST, running_total=LARGEST, used_before=1, quantity=0))
    database.insert("charges", charges_table(charges), "charges")
    records = [charge_record(charge_of(message(json_bytes(charge)))) for charge in charges]
    assert_same(database, CHARGE_SHAPE, records)


def test_statements(database: ClickHouse) -> None:
    statements = [*map(made_statement, range(4)), made_interim(1, 1)]
    database.insert("statements", statements_table(statements), "statements")
    database.insert("statement_lines", statement_lines_table(statements), "lines")
    database.insert("taxes", taxes_table(statements), "taxes")
    records = [record for statement in statements for record in statement_records(json_bytes(statement), message(b""))]
    for shape in (STATEMENT_SHAPE, LINE_SHAPE, TAX_SHAPE):
        assert_same(database, shape, records)


def test_rejections(database: ClickHouse) -> None:
    """Lines belong to files."""
    rejections = [replace(one, position=replace(one.position, line=0)) for one in map(made_rejection, range(12))]
    rejections += [
        replace(
            rejections[number % 12],
            position=Position("usage", 3, number),
            usage_id=text,
            message=text,
            original=text.encode("utf-8", "surrogatepass"),
        )
        for number, text in enumerate([*WILD, "\ud800"])
    ]
    database.insert("rejected", rejections_table(rejections), "rejected")
    assert_same(database, REJECTED_SHAPE, map(rejection_record, rejections))


def test_usage(database: ClickHouse) -> None:
    quantities = [
        "0",
        "-0",
        "-0.0",
        "1e3",
        "1.50",
        "0.000001",
        "-12.5",
        None,
        "0.0000001",
        "1e40",
        f"{'9' * 32}.999999",
    ]
    usage = [reading(f"u-{text}", text, "2024-01-01T00:00:00.000001", corrects="x") for text in quantities]
    wild = [(text, reading(text, "1", "2024-01-01")) for text in WILD]
    usage += [replace(one, attributes={text: "b", "a": text}, session=text) for text, one in wild]
    usage += [reading("long ago", "1", "0001-01-01"), reading("far away", "1", "9999-12-31T23:59:59.999999")]
    archived = [ArchivedUsage(one, 1, 2, number, 1_700_000_000_123_000) for number, one in enumerate(usage)]
    database.insert("usage", usage_table(archived), "usage")
    assert_same(database, USAGE_SHAPE, [usage_record(Usage(one.usage, one.index), message(b"")) for one in archived])


def test_the_digest_of_charges_is_the_one_that_statements_print() -> None:
    """Two programs from one description."""
    for charge in map(made_charge, range(20)):
        sums = Digested()
        sums.add(*facts(charge))
        assert sums.digest == charge_hash(charge)


def facts(charge: Charge) -> tuple[str, str, str, int, int, int, str, str]:
    names = ("charge_id", "kind", "meter", "period_start", "quantity", "amount", "tariff", "version")
    return tuple(getattr(charge, name) for name in names)
