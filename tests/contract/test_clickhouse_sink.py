"""One suite for every ClickHouse: the embedded engine, and a server over HTTP (tests/conftest.py says which).

The embedded engine takes one directory per process at a time, so the module holds it open once; each test has a
database of its own.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest
from msgspec.structs import replace

from deploy.clickhouse import Server
from schemas.instants import DAY_US
from schemas.rejection import Reason
from sinks import queries
from sinks.charge_columns import charges_table
from sinks.clickhouse import ClickHouse
from sinks.document_columns import accounts_table, projection_table, tariffs_table
from sinks.errors import Occupied, Refused, TimedOut, Unreachable, WrongSchema
from sinks.export import Format, write_export
from sinks.migrations import apply, load
from sinks.rejection_columns import rejections_table
from sinks.statement_columns import statement_lines_table, statements_table, taxes_table
from tests.contract.made_nouns import FIRST_US, MONTH_US, made_charge, made_interim, made_rejection, made_statement

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=["chdb", "server"])
def dsn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "server":
        server: Server = request.getfixturevalue("clickhouse")
        yield server.dsn
        return
    pytest.importorskip("chdb", reason="NOT RUN on chDB: pip install 'ratestream[embedded]'")
    address = f"chdb://{tmp_path_factory.mktemp('chdb')}/some data"
    with ClickHouse(address, database="default"):
        yield address


@pytest.fixture
def sink(dsn: str) -> Iterator[ClickHouse]:
    with made_database(dsn) as sink:
        yield sink


@pytest.fixture(scope="module")
def asked(dsn: str) -> Iterator[ClickHouse]:
    """A database that tests only ask, or try to change in vain; it holds one charge."""
    with made_database(dsn) as sink:
        sink.insert("charges", charges_table([made_charge(1)]), "a")
        yield sink


@contextmanager
def made_database(dsn: str) -> Iterator[ClickHouse]:
    with ClickHouse(dsn, database=f"test_{uuid4().hex}") as sink:
        sink.migrate()
        yield sink
        sink.execute(f"DROP DATABASE {sink.database}")


def count(sink: ClickHouse, table_name: str) -> int:
    found: int = sink.query_arrow(f"SELECT count() AS n FROM {table_name} FINAL")["n"][0].as_py()
    return found


def test_charges_come_back_as_they_were(sink: ClickHouse) -> None:
    charges = [made_charge(number) for number in range(100)]
    sink.insert("charges", charges_table(charges), "a")
    of_account = [charge for charge in charges if charge.account == "home-2"]
    order = lambda charge: (charge.statement_start, charge.usage_start, charge.charge_id)  # noqa: E731
    assert queries.charges(sink, "default", "home-2") == sorted(of_account, key=order)
    assert queries.charges(sink, "default", "home-2", statement_start=FIRST_US) == sorted(
        (charge for charge in of_account if charge.statement_start == FIRST_US), key=order
    )
    assert queries.charge(sink, charges[7].charge_id) == charges[7]
    assert queries.charge(sink, "none") is None


def test_totals_are_exact_per_currency(sink: ClickHouse) -> None:
    charges = [made_charge(number) for number in range(100)]
    sink.insert("charges", charges_table(charges), "a")
    expected = {currency: [c.amount for c in charges if c.currency == currency] for currency in ("GBP", "USD")}
    assert queries.totals(sink) == [
        queries.Total(currency, len(amounts), sum(amounts)) for currency, amounts in expected.items()
    ]


def test_the_same_token_inserts_a_month_once(sink: ClickHouse) -> None:
    first, same_month, other_month = made_charge(0, months=2), made_charge(2, months=2), made_charge(1, months=2)
    sink.insert("charges", charges_table([first]), "token")
    sink.insert("charges", charges_table([same_month, other_month]), "token")
    assert queries.charge(sink, same_month.charge_id) is None
    assert queries.charge(sink, other_month.charge_id) == other_month, "an insert that was cut off goes on here"


def test_the_same_rows_under_another_token_are_seen_once(sink: ClickHouse) -> None:
    charges = [made_charge(number) for number in range(100)]
    sink.insert("charges", charges_table(charges[:60]), "one")
    sink.insert("charges", charges_table(charges), "two")
    assert count(sink, "charges") == 100
    assert sink.query("SELECT count() AS n FROM charges")["n"].to_pylist() == [100], "users need not write FINAL"


def test_an_insert_may_span_many_years(sink: ClickHouse) -> None:
    sink.insert("charges", charges_table([made_charge(number, months=130) for number in range(130)]), "old")
    assert count(sink, "charges") == 130


def test_an_insert_needs_a_token(sink: ClickHouse) -> None:
    with pytest.raises(Refused, match="token"):
        sink.insert("charges", charges_table([made_charge(1)]), "")


def test_an_empty_table_is_no_insert(sink: ClickHouse) -> None:
    sink.insert("charges", charges_table([]), "token")
    sink.insert("charges", charges_table([made_charge(1)]), "token")
    assert count(sink, "charges") == 1


def test_statements_come_back_in_their_latest_revision(sink: ClickHouse) -> None:
    statements = [made_statement(0), made_statement(1), made_statement(1, revision=1), made_statement(2)]
    sink.insert("statement_lines", statement_lines_table(statements), "a")
    sink.insert("taxes", taxes_table(statements), "a")
    sink.insert("statements", statements_table(statements), "a")
    for number, statement in ((0, statements[0]), (1, statements[2]), (2, statements[3])):
        assert queries.statement(sink, "default", "home-1", FIRST_US + number * MONTH_US) == statement
    assert queries.statement(sink, "default", "home-1", FIRST_US + DAY_US) is None
    heads = queries.statement_heads(sink, account="home-1")
    assert heads["revision"].to_pylist() == [0, 1, 0]
    assert queries.statement_heads(sink, account="home-9").num_rows == 0


def test_interim_statements_stand_beside_the_period_s_own(sink: ClickHouse) -> None:
    interims, final = [made_interim(1, 1), made_interim(1, 2)], made_statement(1)
    start = final.period_start
    for number, statements in enumerate((interims, [final])):
        sink.insert("statement_lines", statement_lines_table(statements), f"{number}")
        sink.insert("taxes", taxes_table(statements), f"{number}")
        sink.insert("statements", statements_table(statements), f"{number}")
        sink.execute("OPTIMIZE TABLE statement_lines FINAL")
        assert queries.statement(sink, "default", "home-1", start) == (statements[-1])
    assert queries.statement_heads(sink)["number"].to_pylist() == [1, 2, 0]
    assert count(sink, "statement_lines") == 3 * len(final.lines)


def test_rows_from_before_a_migration_have_the_defaults_of_its_columns(dsn: str, sink: ClickHouse) -> None:
    statement = replace(made_statement(0), allowances=(), due=762 * 10**16)
    charge, late, rejection = made_charge(1), made_charge(5), made_rejection(0)
    bare = tuple(replace(line, gross=0, due=0) for line in statement.lines)
    first, *later = load()
    sink.execute(f"CREATE DATABASE {sink.database}_old")
    with ClickHouse(dsn, database=f"{sink.database}_old") as old:
        apply(old, [first])
        for table_name, table in (
            ("charges", charges_table([charge])),
            ("statements", statements_table([statement])),
            ("statement_lines", statement_lines_table([statement])),
            ("rejected", rejections_table([rejection])),
        ):
            known = old.query_arrow(f"SELECT * FROM {table_name}").column_names
            old.insert(table_name, table.select(known), "from before")
        as_before = charges_table([late]).select(old.query_arrow("SELECT * FROM charges").column_names)
        for migration in later:
            for sql in migration.statements * 2:  # as after a crash between a statement and its record
                old.execute(sql)
        old.insert("charges", as_before, "from a journal that was written before")
        assert [queries.charge(old, one.charge_id) for one in (charge, late)] == [charge, late]
        assert queries.statement(old, "default", "home-1", statement.period_start) == replace(statement, lines=bare)
        assert queries.rejections(old) == [rejection]
        old.execute(f"DROP DATABASE {old.database}")


def test_rejections_keep_their_bytes(sink: ClickHouse) -> None:
    rejections = [made_rejection(number) for number in range(300)]
    sink.insert("rejected", rejections_table(rejections), "a")
    assert queries.rejections(sink) == rejections
    assert queries.rejections(sink, reason=Reason.NOT_FINITE, limit=2) == [rejections[1], rejections[3]]
    assert queries.rejection_counts(sink) == {Reason.NOT_FINITE: 150, Reason.UNREADABLE: 150}


def test_equal_records_of_one_message_are_as_many_rejections(sink: ClickHouse) -> None:
    made = made_rejection(1)
    rejections = [replace(made, position=replace(made.position, index=index)) for index in range(3)]
    for token in "ab":
        sink.insert("rejected", rejections_table(rejections), token)
    sink.execute("OPTIMIZE TABLE rejected FINAL")
    assert queries.rejections(sink) == rejections
    assert sink.query("SELECT index FROM rejected ORDER BY index")["index"].to_pylist() == [0, 1, 2]


def test_the_position_only_moves_forward(sink: ClickHouse) -> None:
    assert queries.position(sink, "local") is None
    for seq in (7, 9, 8):
        sink.insert("projection", projection_table("local", seq), f"seq {seq}")
    assert queries.position(sink, "local") == 9


def test_documents_are_kept_in_their_last_form(sink: ClickHouse) -> None:
    for seq, text in enumerate(("currency: EUR", "currency: 'GBP'\n")):
        sink.insert("accounts", accounts_table([("default", "home-1", text)], seq), f"{seq}")
        sink.insert("tariffs", tariffs_table([("gas", "2020", text)], seq), f"{seq}")
    for table_name in ("accounts", "tariffs"):
        assert sink.query_arrow(f"SELECT document FROM {table_name} FINAL")["document"].to_pylist() == [
            "currency: 'GBP'\n"
        ]


@pytest.mark.parametrize(
    "text", ["it's", "back\\slash", "tab\tnew\nline", "ü€😀", "{a:String}", "%s", "'; DROP TABLE x"]
)
def test_parameters_are_values_whatever_they_hold(asked: ClickHouse, text: str) -> None:
    assert asked.query("SELECT {text:String} AS text", {"text": text}).to_pylist() == [{"text": text}]


@pytest.mark.parametrize("kind", Format)
def test_equal_content_exports_equal_bytes(dsn: str, sink: ClickHouse, tmp_path: Path, kind: Format) -> None:
    charges = [made_charge(number) for number in range(200)]
    with ClickHouse(dsn, database=f"{sink.database}_other") as other:
        other.migrate()
        sink.insert("charges", charges_table(charges), "all at once")
        for place in range(0, 200, 50):
            other.insert("charges", charges_table(charges[place : place + 50][::-1]), f"{place}")
            other.insert("charges", charges_table(charges[: place + 20]), f"again {place}")
        for place, database in enumerate((sink, other)):
            database.insert("statements", statements_table([made_interim(1, 1), made_statement(1)]), "s")
            database.insert("rejected", rejections_table([made_rejection(1)]), "r")
            write_export(queries.export_reads(database), tmp_path / str(place), kind)
        other.execute(f"DROP DATABASE {other.database}")
    files = sorted((tmp_path / "0").iterdir())
    assert [file.name for file in files] == [
        f"{name}.{kind}" for name in ("charges", "rejected", "statement_lines", "statements", "taxes")
    ]
    for file in files:
        assert file.read_bytes() == (tmp_path / "1" / file.name).read_bytes()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() AS answer FROM charges",
        "SELECT 1 AS x -- with a comment",
        "WITH 1 AS x SELECT x UNION ALL SELECT 2;",
        "SELECT 'INTO OUTFILE file(1)' AS text, `total` FROM statements",
        "SELECT account, sum(amount) FROM charges WHERE account IN ('a', 'b') GROUP BY account ORDER BY 2 DESC",
        "SELECT * FROM numbers(3)",
        "SHOW TABLES",
        "SHOW CREATE TABLE charges",
        "DESCRIBE charges",
        "EXISTS TABLE charges",
        "EXPLAIN SELECT 1",
    ],
)
def test_reading_sql_is_answered(asked: ClickHouse, sql: str) -> None:
    assert asked.query(sql).num_columns


WRITING = [
    "INSERT INTO projection VALUES ('x', 1)",
    "INSERT INTO projection SELECT 'x', 1",
    "INSERT INTO FUNCTION file('{folder}/out.csv') SELECT 1",
    "DROP TABLE charges",
    "TRUNCATE TABLE charges",
    "ALTER TABLE charges DELETE WHERE 1",
    "CREATE TABLE more (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE more (a Int8)",
    "RENAME TABLE charges TO gone",
    "OPTIMIZE TABLE charges FINAL",
    "SYSTEM STOP MERGES",
    "SYSTEM FLUSH LOGS",
    "KILL QUERY WHERE 1",
    "USE system",
    "SET readonly = 0",
    "SET final = 0",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1; DROP TABLE charges",
    "SELECT 1; SYSTEM STOP MERGES",
    "SELECT 1 PARALLEL WITH SELECT 2",
    "SELECT 1 INTO OUTFILE '{folder}/out.csv'",
    "SELECT 1 /* */ INTO/**/OUTFILE '{folder}/out.csv' FORMAT CSV",
    "SHOW TABLES INTO OUTFILE '{folder}/out.csv'",
    "EXPLAIN SELECT 1 INTO OUTFILE '{folder}/out.csv'",
]
REACHING = [
    "SELECT * FROM file('{folder}/secret', 'LineAsString')",
    "SELECT file('{folder}/secret')",
    "SELECT `fi\\x6ce`('{folder}/secret')",
    "SELECT * APPLY(file) FROM (SELECT '{folder}/secret' AS name)",
    "SELECT * APPLY(x -> file('{folder}/secret')) FROM (SELECT 1)",
    "SELECT * FROM loop(file('{folder}/secret', 'LineAsString')) LIMIT 1",
    "SELECT * FROM view(SELECT * FROM file('{folder}/secret', 'LineAsString'))",
    "SELECT * FROM '{folder}/secret'",
    "SELECT * FROM default.`{folder}/secret`",
    "DESCRIBE TABLE file('{folder}/secret')",
    "EXPLAIN SELECT * FROM file('{folder}/secret', 'LineAsString')",
    "SELECT * FROM filesystem('{folder}')",
    "SELECT * FROM url('http://127.0.0.1:1/x', 'LineAsString')",
    "DESCRIBE TABLE url('http://127.0.0.1:1/x', 'CSV')",
    "DESCRIBE TABLE s3('http://127.0.0.1:1/bucket/x', 'CSV')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM sqlite('{folder}/secret', 'x')",
    "SELECT * FROM Python(sink)",
    "SELECT * FROM eval('SELECT 1')",
]


@pytest.mark.parametrize("sql", [*WRITING, *REACHING, "SELECT", "", "not SQL at all"])
def test_other_sql_is_refused(asked: ClickHouse, sql: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    with pytest.raises(Refused):
        asked.query(sql.replace("{folder}", str(tmp_path)))
    assert count(asked, "charges") == 1
    assert count(asked, "projection") == 0
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_trusted_reads_cannot_write_either(asked: ClickHouse) -> None:
    with pytest.raises(Refused):
        asked.query_arrow("INSERT INTO projection SELECT 'x', 1")
    assert count(asked, "projection") == 0


def test_a_long_read_ends_in_time(dsn: str) -> None:
    with ClickHouse(dsn, database="default", timeout_s=1) as sink, pytest.raises(TimedOut):
        sink.query("SELECT sum(sleepEachRow(0.1)) FROM numbers(100)")


def test_refusals_name_the_table_and_the_place(sink: ClickHouse) -> None:
    with pytest.raises(Refused, match=r"://.*insert 1 rows into nowhere"):
        sink.insert("nowhere", pa.table({"a": [1]}), "a")


def test_threads_share_one_sink(sink: ClickHouse) -> None:
    answers: list[int] = []
    reader = threading.Thread(target=lambda: answers.extend(count(sink, "charges") for _ in range(20)))
    reader.start()
    for number in range(10):
        sink.insert("charges", charges_table([made_charge(number)]), f"{number}")
    reader.join()
    assert len(answers) == 20
    assert answers == sorted(answers)
    assert count(sink, "charges") == 10


def test_migrations_apply_once(sink: ClickHouse) -> None:
    assert sink.migrate() == []
    applied = sink.query_arrow("SELECT number, name FROM migrations FINAL ORDER BY number").to_pylist()
    assert applied[0] == {"number": 1, "name": "001_tables.sql"}


@pytest.mark.parametrize(
    ("row", "message"),
    [("(999, '999_later.sql', 'x')", "999_later.sql"), ("(1, '001_tables.sql', 'changed')", "another 001_tables.sql")],
)
def test_another_versions_database_is_refused(sink: ClickHouse, row: str, message: str) -> None:
    sink.execute(f"INSERT INTO migrations (number, name, checksum) VALUES {row}")
    with pytest.raises(WrongSchema, match=message):
        sink.migrate()


def test_reading_before_migrating_says_what_is_missing(dsn: str) -> None:
    with ClickHouse(dsn, database="never_made") as sink, pytest.raises(Refused, match="never_made"):
        queries.totals(sink)


@pytest.mark.parametrize("address", ["chdb://memory", "chdb:///a?b", "ftp://host", "relative/path"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(Refused):
        ClickHouse(address)


def test_a_database_name_is_a_name() -> None:
    with pytest.raises(Refused, match="no name"):
        ClickHouse("chdb:///tmp", database="x; DROP DATABASE y")


def test_nobody_at_the_address_is_told_without_the_password() -> None:
    with pytest.raises(Unreachable) as told:
        ClickHouse("http://someone:geheim@127.0.0.1:1")
    assert "geheim" not in str(told.value)


def test_an_embedded_database_has_one_owner(dsn: str, tmp_path: Path) -> None:
    if not dsn.startswith("chdb:"):
        pytest.skip("a server takes many")
    program = f"from sinks.clickhouse import ClickHouse\nClickHouse({dsn!r})"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    second = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
    )
    assert f"is in use by process {os.getpid()}, and has one owner" in second.stderr
    with pytest.raises(Occupied, match="this process has another embedded database open"):
        ClickHouse(f"chdb://{tmp_path}/other")
