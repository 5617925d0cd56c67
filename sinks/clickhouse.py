"""ClickHouse: one place for a server and for the embedded engine, behind the same few calls.

Two connections: one writes, the other is `readonly = 1` from its first moment and applies FINAL to every read, so a
row that was inserted twice is seen once. Inserts are whole Arrow tables with a token; the engine forgets a block whose
token it has seen, and the keys of the tables replace whatever slipped through.

The embedded engine (chDB) has one owner: one process, and in it one directory at a time, which may be opened any
number of times. A lock on the directory goes away with its process, however that dies.
"""

import errno
import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error, InterfaceError, OperationalError
from urllib3.exceptions import ReadTimeoutError

from sinks import migrations
from sinks.errors import Busy, NoSpace, Occupied, Refused, SinkError, TimedOut, Unreachable, WrongSchema
from sinks.read_only import check_read_only

EMBEDDED = "chdb://"

_INSERT: dict[str, int | str] = {
    "async_insert": 0,  # on by default in new engines, and then an insert is acknowledged without its token's check
    "insert_deduplicate": 1,
    "optimize_on_insert": 0,  # to replace rows by their keys within a block doubles the time, and reads do it by FINAL
    "max_partitions_per_insert_block": 0,  # no limit: a block of historic usage spans more than the usual 100 months
}
_EXACT_SKIPPING = "use_skip_indexes_if_final_exact_mode"
"""Whether a read with FINAL gives up what an index saves, for the sake of rows that have equal keys and differ in an
indexed column. In the tables that have such indexes none do: a month's revenue takes a sixth of the time without."""

_TIMED_OUT = frozenset({159, 160, 209})
_UNREACHABLE = frozenset({210, 236, 242, 279, 285, 319, 394, 999})  # a server that shuts down or lost its replicas too
_BUSY = frozenset({202, 241, 252})
_FULL = frozenset({243})
_MISSING = frozenset({60, 81})
_NO_START = "Unable to open the chdb engine"
_NO_ANSWER = (OSError, InterfaceError, OperationalError)
_CONNECT_S = 10


class ClickHouse:
    """One database, open until `close`. Safe to use from several threads; calls of a kind wait for each other."""

    def __init__(self, dsn: str, *, database: str = "ratestream", timeout_s: int = 60) -> None:
        """Open `chdb:///absolute/directory`, made where it is missing, or `http(s)://user:password@host:port`.

        `timeout_s` limits a read, and the wait for a server's answer. Raises Unreachable, Occupied or Refused.
        """
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", database):
            raise Refused(f"{database!r} is no name for a database. Use letters, digits and underscores.")
        self.database = database
        self.where = _without_password(dsn)
        self._timeout_s = timeout_s
        self._table_functions: list[str] = []
        reading = {
            "max_execution_time": timeout_s,
            "final": 1,
            "do_not_merge_across_partitions_select_final": 1,  # a key lies in one partition
        }
        with ExitStack() as stack, self._told("open the database"):
            self._writer = stack.enter_context(closing(self._connect(dsn, {})))
            if _EXACT_SKIPPING in self._writer.server_settings:  # newer engines
                reading[_EXACT_SKIPPING] = 0
            reading["readonly"] = 1  # last: it locks the others
            self._reader = stack.enter_context(closing(self._connect(dsn, reading)))
            self._open = stack.pop_all()

    def _connect(self, dsn: str, settings: dict[str, int]) -> Client:
        if dsn.startswith(EMBEDDED):
            client = clickhouse_connect.get_client(interface="chdb", path=_directory(dsn), settings=settings)
        elif dsn.startswith(("http://", "https://")):
            client = clickhouse_connect.get_client(
                dsn=dsn,
                settings=settings,
                connect_timeout=_CONNECT_S,
                send_receive_timeout=self._timeout_s,
                autogenerate_session_id=False,  # a session allows one query at a time, and nothing here needs one
                client_name="ratestream",
            )
        else:
            raise Refused(f"{self.where} is no address of a database. Use chdb:///directory, http:// or https://.")
        client.database = self.database
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close both connections. The embedded directory is free for others when its last owner has closed."""
        self._open.close()

    def migrate(self) -> list[str]:
        """Make or renew the tables; the names of the migrations applied now. Raises WrongSchema where none fits."""
        with self._told("make the database"):
            self._writer.command(f"CREATE DATABASE IF NOT EXISTS {self.database}", use_database=False)
        return migrations.apply(self, migrations.load())

    def check(self) -> None:
        """Raise WrongSchema unless the database has all tables of this program, and no later ones."""
        known = migrations.load()
        try:
            recorded = migrations.recorded(self)
        except Refused as error:
            if _is_missing(error):
                raise WrongSchema(f"{self.where} has no tables yet. Make them: ratestream migrate") from error
            raise
        migrations.check(recorded, known)
        if lacking := known[len(recorded) :]:
            names = ", ".join(migration.name for migration in lacking)
            raise WrongSchema(f"{self.where} lacks {names}. Renew its tables: ratestream migrate")

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run one trusted statement that has no result."""
        with self._told("run a statement"):
            self._writer.command(sql, parameters=dict(parameters or {}))

    def insert(self, table_name: str, table: pa.Table, token: str) -> None:
        """Insert the whole table, durably, before returning.

        The engine writes month by month. A month of `table_name` that got this token lately is not inserted again,
        whatever it holds: the token must name the content (which usage, which positions). On any error, or after a
        crash, repeat with the same token: the months that are missing are added, and rows are replaced by their keys.
        """
        if not token:
            raise Refused(f"an insert into {table_name} needs a token that names what it holds.")
        if not table.num_rows:
            return
        settings = _INSERT | {"insert_deduplication_token": token}
        if "deduplicate_insert" in self._writer.server_settings:  # newer engines: it decides over insert_deduplicate
            settings["deduplicate_insert"] = "enable"
        with self._told(f"insert {table.num_rows} rows into {table_name}"):
            self._writer.insert_arrow(table_name, table, database=self.database, settings=settings)

    def query_arrow(self, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        """The result of one trusted SELECT; `{name:Type}` in it stands for a parameter. Reads only, with FINAL."""
        with self._told("answer a query"), pa.BufferReader(self._read(sql, parameters)) as answer:
            return pa.ipc.open_file(answer).read_all()

    def query_unmerged(self, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        """As `query_arrow`, without FINAL: a row that was inserted twice is seen twice until the engine merges it."""
        with self._told("answer a query"):
            answer = self._writer.raw_query(sql, parameters=dict(parameters or {}), fmt="Arrow")
            with pa.BufferReader(answer) as read:
                return pa.ipc.open_file(read).read_all()

    def _read(self, sql: str, parameters: Mapping[str, object] | None) -> bytes:
        return self._reader.raw_query(sql, parameters=dict(parameters or {}), fmt="Arrow")

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        """The result of a user's SQL, which can neither change anything nor read files or other servers.

        Raises Refused where it would, or where the engine does not understand it.
        """
        canonical = self._only("SELECT formatQuery({statement:String}) AS answer", {"statement": sql})
        with self._told("read a statement"):
            tree = self._reader.raw_query(f"EXPLAIN AST {canonical}", parameters=dict(parameters or {})).decode()
        if not self._table_functions:
            self._table_functions = self.query_arrow("SELECT name FROM system.table_functions")["name"].to_pylist()
        check_read_only(canonical, tree, self._table_functions)
        return self.query_arrow(canonical, parameters)

    def _only(self, sql: str, parameters: Mapping[str, object]) -> str:
        answer: str = self.query_arrow(sql, parameters)["answer"][0].as_py()
        return answer

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn the driver's errors into those of this package, told with what was tried and where."""
        try:
            yield
        except SinkError:
            raise
        except ModuleNotFoundError as error:
            raise Unreachable(f"{self.where}: {error}. Install it: pip install 'ratestream[embedded]'.") from error
        except (ClickHouseError, OSError, pa.ArrowInvalid) as error:
            raise _told(f"{self.where}: cannot {what}", error) from error


def _told(what: str, error: Exception) -> SinkError:
    code = error.code if isinstance(error, Error) else None
    text = str(error).strip()
    if code in _FULL or getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in text:
        return NoSpace(f"{what}: the disk is full. Make room, then repeat. {text}")
    if code in _TIMED_OUT or isinstance(error.__cause__, ReadTimeoutError):
        return TimedOut(f"{what} within its time limit. Ask for less, or allow more time. {text}")
    if code in _BUSY:
        return Busy(f"{what}: the engine is overloaded. Repeat later. {text}")
    if "already initialized with path" in text:
        return Occupied(f"{what}: this process has another embedded database open. Close that first. {text}")
    if code in _UNREACHABLE or _NO_START in text or (code is None and isinstance(error, _NO_ANSWER)):
        return Unreachable(f"{what}: no answer. Is it running, and is the address right? {text}")
    return Refused(f"{what}: {text}")


def _is_missing(error: Refused) -> bool:
    """Whether there is no such table, or no such database."""
    return isinstance(error.__cause__, Error) and error.__cause__.code in _MISSING


def _without_password(dsn: str) -> str:
    parts = urlsplit(dsn)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _directory(dsn: str) -> str:
    """The directory of an embedded database, made where it is missing. Raises Occupied where another has it."""
    path = Path("/" + dsn.removeprefix(EMBEDDED).lstrip("/"))
    if not dsn.startswith(EMBEDDED + "/") or "?" in dsn:
        raise Refused(f"{dsn} does not name an absolute directory without question marks. Use chdb:///directory.")
    path.mkdir(parents=True, exist_ok=True)
    owner = _owner(path / "status")
    if owner not in {"", str(os.getpid())}:
        raise Occupied(f"{path} is in use by process {owner}, and has one owner at a time. Ask or stop that process.")
    return str(path)


def _owner(status: Path) -> str:
    """The process that holds the engine's lock on its status file; "" where nobody does.

    The engine's own refusal is an empty message, and lines on standard error.
    """
    if not status.exists():
        return ""
    with status.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            found = re.match(rb"PID: (\d+)", file.read(64))
            return found[1].decode() if found else "(unknown)"
    return ""
