"""ClickHouse over HTTP when things go wrong: each fault is the error that says what to do, and repeating is safe.

What holds for every ClickHouse stands in test_clickhouse_sink.py. Here the server is always the front, which breaks on
demand; the engine behind it is the real one.
"""

import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from agents import settings
from agents.books import open_books
from deploy.clickhouse import TEST_CLICKHOUSE, Server, start_clickhouse
from deploy.errors import NoServerError, ServerError
from ratestream.cli import app
from sinks import queries
from sinks.charge_columns import charges_table
from sinks.clickhouse import ClickHouse
from sinks.errors import Busy, Refused, SinkError, TimedOut, Unreachable
from tests.clickhouse.faults import Fault
from tests.clickhouse.server import FrontServer
from tests.contract.made_nouns import made_charge

ROOT = Path(__file__).parents[2]
CHARGES = [made_charge(number, months=2) for number in range(50)]
PATIENCE_S = 3
TIMEOUT_S = 10


@pytest.fixture(scope="module")
def front(clickhouse: Server) -> Iterator[FrontServer]:
    """The server of the other tests, where that is the front, or one of our own."""
    if isinstance(clickhouse, FrontServer):
        yield clickhouse
        return
    own = FrontServer()
    try:
        yield own
    finally:
        own.stop()


@pytest.fixture
def sink(front: FrontServer) -> Iterator[ClickHouse]:
    with ClickHouse(front.dsn, database=f"test_{uuid4().hex}", timeout_s=PATIENCE_S) as sink:
        sink.migrate()
        try:
            yield sink
        finally:
            front.orders_nothing()
        sink.execute(f"DROP DATABASE {sink.database}")


@contextmanager
def told(kind: type[SinkError], front: FrontServer) -> Iterator[None]:
    """Fails unless exactly this is raised, and the password stands nowhere in it or its causes."""
    with pytest.raises(SinkError) as caught:
        yield
    assert type(caught.value) is kind, caught.value
    assert front.password not in "".join(traceback.format_exception(caught.value))
    assert f"127.0.0.1:{front.port}" in str(caught.value)


def rows(sink: ClickHouse) -> tuple[int, int]:
    """How many charges are seen, and how many lie there."""
    parts = (
        "SELECT sum(rows) AS n FROM system.parts WHERE database = currentDatabase() AND table = 'charges' AND active"
    )
    seen, stored = (sink.query_arrow(sql)["n"][0].as_py() for sql in ("SELECT count() AS n FROM charges", parts))
    return seen, stored


def insert(sink: ClickHouse, named: str = "all") -> None:
    sink.insert("charges", charges_table(CHARGES), named)


@pytest.mark.parametrize(
    ("fault", "kind", "applied"),
    [
        (Fault.UNAVAILABLE, Unreachable, 0),
        (Fault.UNAUTHORIZED, Refused, 0),
        (Fault.RESET_BEFORE, Unreachable, 0),
        (Fault.RESET_AFTER, Unreachable, 50),
        (Fault.SLOW, TimedOut, 50),
    ],
)
def test_an_insert_that_fails_is_repeated_to_the_same_rows(
    sink: ClickHouse, front: FrontServer, fault: Fault, kind: type[SinkError], applied: int
) -> None:
    front.orders(fault, where="INSERT INTO", seconds=PATIENCE_S + 1)
    with told(kind, front):
        insert(sink)
    assert front.taken == 1, "the driver asked again by itself"
    assert rows(sink) == (applied, applied)
    insert(sink)
    assert rows(sink) == (50, 50)
    assert queries.charge(sink, CHARGES[7].charge_id) == CHARGES[7]


def test_beyond_the_engine_s_memory_of_tokens_rows_lie_twice_and_are_seen_once(
    sink: ClickHouse, front: FrontServer
) -> None:
    sink.execute("ALTER TABLE charges MODIFY SETTING non_replicated_deduplication_window = 2")
    sink.execute("SYSTEM STOP MERGES charges")
    front.orders(Fault.RESET_AFTER, where="INSERT INTO")
    with told(Unreachable, front):
        insert(sink)
    for number in range(100, 104):
        sink.insert("charges", charges_table([made_charge(number)]), f"later {number}")
    insert(sink)
    assert rows(sink) == (54, 104)


@pytest.mark.parametrize(
    ("fault", "kind"), [(Fault.UNAVAILABLE, Unreachable), (Fault.RESET_BEFORE, Unreachable), (Fault.SLOW, TimedOut)]
)
def test_a_read_that_fails_says_why(sink: ClickHouse, front: FrontServer, fault: Fault, kind: type[SinkError]) -> None:
    front.orders(fault, where="count", times=9, seconds=PATIENCE_S + 1)
    with told(kind, front):
        rows(sink)
    front.orders_nothing()
    assert rows(sink) == (0, 0)


def test_too_many_parts_are_waited_for(sink: ClickHouse, front: FrontServer) -> None:
    sink.execute("SYSTEM STOP MERGES charges")
    sink.execute("ALTER TABLE charges MODIFY SETTING max_parts_in_total = 1")
    insert(sink, "first")
    with told(Busy, front):
        insert(sink, "second")
    sink.execute("ALTER TABLE charges RESET SETTING max_parts_in_total")
    insert(sink, "second")
    assert rows(sink) == (50, 100)


def test_a_killed_server_has_what_was_acknowledged_and_is_found_again(sink: ClickHouse, front: FrontServer) -> None:
    insert(sink, "before")
    front.kill()
    with told(Unreachable, front):
        insert(sink, "after")
    with told(Unreachable, front), ClickHouse(front.dsn):
        pass
    front.restart()
    assert rows(sink) == (50, 50)
    insert(sink, "after")
    assert rows(sink)[0] == 50


@pytest.mark.parametrize("login", ["ratestream:falsch", "somebody:falsch", "ratestream:"])
def test_a_wrong_login_is_refused_when_it_is_opened(front: FrontServer, login: str) -> None:
    with pytest.raises(Refused, match="Authentication failed") as refused:
        ClickHouse(f"http://{login}@127.0.0.1:{front.port}")
    assert "falsch" not in "".join(traceback.format_exception(refused.value))


def test_the_command_query_only_reads_a_server(front: FrontServer, tmp_path: Path) -> None:
    with open_books(tmp_path, front.dsn):
        pass
    asked, refused = (
        CliRunner().invoke(app, ["query", "--data", str(tmp_path), sql], env={settings.CLICKHOUSE: front.dsn})
        for sql in ("SELECT 6 * 7 AS answer", "DROP TABLE charges")
    )
    assert "42" in asked.stdout, asked.stderr
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "DropQuery" in refused.stderr
    with ClickHouse(front.dsn) as sink:
        assert "charges" in sink.query("SHOW TABLES")["name"].to_pylist()


def test_a_named_server_is_used_and_left_alone(front: FrontServer) -> None:
    named = start_clickhouse(environment={TEST_CLICKHOUSE: front.dsn})
    assert named.dsn == front.dsn
    assert named.how == f"{TEST_CLICKHOUSE}=http://127.0.0.1:{front.port}", "without the password"
    forbidden: tuple[Callable[[], None], ...] = (named.kill, named.restart)
    for verb in forbidden:
        with pytest.raises(ServerError, match="is not ours"):
            verb()
    named.stop()
    with ClickHouse(front.dsn):
        pass


@pytest.mark.parametrize("dsn", ["http://127.0.0.1:1", "chdb:///tmp", "127.0.0.1:8123"])
def test_a_named_server_that_is_not_there_is_an_error(dsn: str) -> None:
    with pytest.raises(ServerError) as refused:
        start_clickhouse(environment={TEST_CLICKHOUSE: dsn})
    assert not isinstance(refused.value, NoServerError), "a server that fails would be a test that is skipped"


def test_the_front_ends_with_its_owner() -> None:
    program = """
import sys
from tests.clickhouse.server import FrontServer
front = FrontServer()
print(front.port, front.directory, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        try:
            assert owner.stdout
            port, directory = owner.stdout.readline().split()
            assert is_open(int(port))
        finally:
            owner.kill()
    deadline = time.monotonic() + TIMEOUT_S
    while (is_open(int(port)) or Path(directory).exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_open(int(port))
    assert not Path(directory).exists()


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_dsn_keeps_its_password_to_itself(front: FrontServer) -> None:
    with ClickHouse(front.dsn) as sink:
        assert sink.where == f"http://127.0.0.1:{urlsplit(front.dsn).port}"


def test_without_any_server_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(NoServerError, match=rf"(?s)Docker: .*Install Docker.*{TEST_CLICKHOUSE}=http"):
        start_clickhouse(environment={})
