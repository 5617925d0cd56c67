"""deploy/clickhouse/: what each role may and sees, on the real engine, as far as the embedded one can show it.

It cannot keep users and roles, so every statement is run until it has to be kept, and then each role is tried with its
grants, policies and settings as those of the engine's one user (tests/clickhouse/access.py). What is NOT RUN here is
the keeping itself, quotas, and two users at a time: that needs a server.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from agents import settings
from ratestream.cli import app
from schemas.instants import to_us
from schemas.usage import UsageRecord
from sinks.charge_columns import charges_table
from sinks.clickhouse import ClickHouse
from sinks.document_columns import accounts_table, tariffs_table
from sinks.errors import Refused
from sinks.rejection_columns import rejections_table
from sinks.statement_columns import statement_lines_table, statements_table, taxes_table
from sinks.usage_columns import ArchivedUsage, usage_table
from tests.clickhouse import access
from tests.clickhouse.server import FrontServer
from tests.contract.made_nouns import made_charge, made_rejection, made_statement
from tests.stream.containers import usage

OWN, OTHER = "acme", "other"
EVERY = access.statements(*access.FILES, *access.TEMPLATES)
PARAMETERS = {"user": "ann", "tenant": OWN, "password_sha256": "0" * 64}
TENANTS = "ratestream_access.tenants"
KEPT_NOWHERE = r"no writeable access storage|There is no role"


@pytest.fixture(scope="module")
def front() -> Iterator[FrontServer]:
    """Made by the migrator's role, filled for two tenants, and told that its user belongs to one of them."""
    front = FrontServer()
    try:
        with as_role(front, "ratestream_migrator") as migrator:
            assert migrator.migrate()
        with as_role(front, "ratestream_sink") as sink:
            sink.check()
            assert not sink.query("SELECT * FROM feeds").num_rows
            for tenant in (OWN, OTHER):
                fill(sink, tenant)
        with as_role(front, "") as admin:
            for statement in EVERY:
                if statement.startswith(("CREATE DATABASE", "CREATE TABLE", "INSERT")):
                    admin.execute(statement, PARAMETERS | {"user": "default"})
            admin.execute("INSERT INTO ratestream_access.tenants VALUES ('another user', {t:String})", {"t": OTHER})
        yield front
    finally:
        front.stop()


@contextmanager
def as_role(front: FrontServer, role: str) -> Iterator[ClickHouse]:
    """The server as those with the role see it; "" may do everything."""
    front.restart(access.users_file(role))
    with ClickHouse(front.dsn) as opened:
        yield opened


def fill(sink: ClickHouse, tenant: str) -> None:
    charges = [replace(made_charge(number), tenant=tenant) for number in range(5)]
    statements = [replace(made_statement(1), tenant=tenant)]
    record = usage(1, 5)
    archived = UsageRecord(
        record.id, record.account, record.meter, record.quantity, record.start, record.end, tenant=tenant
    )
    tables = {
        "charges": charges_table(charges),
        "statements": statements_table(statements),
        "statement_lines": statement_lines_table(statements),
        "taxes": taxes_table(statements),
        "rejected": rejections_table([replace(made_rejection(len(tenant)), tenant=tenant)]),
        "usage": usage_table([ArchivedUsage(archived, 0, len(tenant), 0, to_us(record.end))]),
        "accounts": accounts_table([(tenant, "home-1", "{}")], 1),
        "tariffs": tariffs_table([("gas", tenant, "{}")], 1),
    }
    for name, table in tables.items():
        sink.insert(name, table, f"{tenant} {name}")


def names(clickhouse: ClickHouse, condition: str) -> set[str]:
    """The tables and views of the program for which the condition on system.columns holds."""
    columns = f"SELECT DISTINCT table FROM system.columns WHERE database = 'ratestream' AND {condition}"
    return set(clickhouse.query_arrow(columns)["table"].to_pylist())


def tenants_in(clickhouse: ClickHouse, name: str) -> list[str]:
    found: list[str] = clickhouse.query(f"SELECT DISTINCT tenant FROM {name} ORDER BY tenant")["tenant"].to_pylist()
    return found


def tenants_reported(front: FrontServer) -> set[str]:
    """Those whose revenue the command line shows."""
    told = CliRunner().invoke(
        app, ["report", "revenue", "--by", "tenant", "--format", "json"], env={settings.CLICKHOUSE: front.dsn}
    )
    assert told.exit_code == 0, told.stderr
    return {json.loads(line)["tenant"] for line in told.stdout.splitlines()}


def refused(clickhouse: ClickHouse, statement: str, why: str) -> None:
    """Fails unless it is, and for that reason."""
    try:
        clickhouse.execute(statement)
    except Refused as error:
        told = str(error)
    else:
        pytest.fail(f"{statement} was not refused")
    assert re.search(why, told)


def test_every_statement_is_understood_until_it_has_to_be_kept(front: FrontServer) -> None:
    kept = [one for one in EVERY if not one.startswith(("CREATE DATABASE", "CREATE TABLE", "INSERT"))]
    assert len(kept) > 40
    with as_role(front, "") as admin:
        for statement in kept:
            used = {name: text for name, text in PARAMETERS.items() if f"{{{name}:" in statement}
            with pytest.raises(Refused, match=KEPT_NOWHERE):
                admin.execute(statement, used)
        with pytest.raises(Refused, match="Syntax error"):
            admin.execute("CREATE ROW POLICY a ON ratestream.charges USING AS RESTRICTIVE TO ALL")


def test_a_tenant_may_read_what_has_a_tenant_and_only_its_rows(front: FrontServer) -> None:
    with as_role(front, "") as admin:
        tables = names(admin, "name = 'tenant'")
        views = tables & names(admin, "table IN (SELECT name FROM system.tables WHERE engine = 'View')")
        others = names(admin, "1") - tables
    granted = {grant.removeprefix("SELECT ON ") for grant in access.grants("ratestream_tenant")}
    assert granted == {f"ratestream.{name}" for name in tables | {"migrations"}} | {TENANTS}
    restricted = {policy.table for policy in access.policies() if policy.role == "ratestream_tenant"}
    assert restricted == {f"ratestream.{name}" for name in tables - views} | {TENANTS}

    with as_role(front, "ratestream_analyst") as analyst:
        seen_by_analyst = {name: tenants_in(analyst, name) for name in tables}
        assert tenants_reported(front) == {OWN, OTHER}
    with as_role(front, "ratestream_tenant") as own:
        assert {name: tenants_in(own, name) for name in tables - views} == {name: [OWN] for name in tables - views}
        for name in views:
            assert OTHER not in tenants_in(own, name), name
        assert own.query(f"SELECT * FROM {TENANTS}").to_pylist() == [{"user": "default", "tenant": OWN}]
        assert tenants_reported(front) == {OWN}
        for name in others - {"migrations"}:
            with pytest.raises(Refused, match="Not enough privileges"):
                own.query(f"SELECT * FROM {name}")
    assert all(seen_by_analyst[name] == [OWN, OTHER] for name in tables - views), "or the policies would prove nothing"


@pytest.mark.parametrize("role", ["ratestream_tenant", "ratestream_analyst", "ratestream_sink"])
def test_who_reads_or_inserts_changes_nothing_and_reaches_nothing(
    front: FrontServer, role: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret\n")
    with as_role(front, role) as limited:
        for statement in (
            "DROP TABLE charges",
            "TRUNCATE TABLE charges",
            "ALTER TABLE charges DELETE WHERE 1",
            "CREATE TABLE mine (a Int8) ENGINE = Memory",
            "CREATE USER mine",
            "SYSTEM STOP MERGES charges",
            "INSERT INTO ratestream_access.tenants VALUES ('default', 'other')",
            f"INSERT INTO FUNCTION file('{tmp_path}/out.csv') SELECT 1",
            f"SELECT * FROM file('{tmp_path}/secret', 'LineAsString')",
            "SELECT * FROM url('http://127.0.0.1:1/x', 'LineAsString')",
            "SELECT * FROM system.query_log",
            *(["INSERT INTO accounts VALUES ('acme', 'a', '{}', 9)"] if role != "ratestream_sink" else []),
            *(["SELECT * FROM charges", "SELECT * FROM usage"] if role == "ratestream_sink" else []),
        ):
            refused(limited, statement, r"Not enough privileges|Unknown table")
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_settings_are_the_role_s_and_have_limits(front: FrontServer) -> None:
    with as_role(front, "ratestream_tenant") as own:
        own.execute("SELECT 1 SETTINGS max_execution_time = 60")
        for setting in (
            "max_execution_time = 61",
            "max_execution_time = 0",
            "final = 0",
            "max_memory_usage = 0",
            "max_threads = 64",
        ):
            refused(own, f"SELECT 1 SETTINGS {setting}", r"shouldn't be|should not be")


def test_quotas_are_by_user() -> None:
    quotas = [statement for statement in EVERY if statement.startswith("CREATE QUOTA")]
    assert {re.search(r"TO (\w+)$", quota)[1] for quota in quotas} == {"ratestream_analyst", "ratestream_tenant"}  # type: ignore[index]
    assert all("KEYED BY user_name FOR INTERVAL" in quota for quota in quotas)
