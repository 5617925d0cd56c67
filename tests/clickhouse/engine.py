"""Statements on chDB, each on a connection of its own: what it sets and uses is gone with it, as over HTTP."""

import re
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LIKE_A_SERVER = {"implicit_select": "0"}
"""What chDB has otherwise than a server does, and a client could notice."""

_CODE = re.compile(r"Code: (\d+)\.")
_INSERT = re.compile(r"\s*(INSERT\s+INTO\s.*?)\s+FORMAT\s+(\w+)\s*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Statement:
    """What one request asks for; `data` are the rows of an insert, in the format that `sql` names at its end."""

    sql: str
    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    data: bytes = b""


class EngineError(Exception):
    """The engine said no; `code` is the number that ClickHouse has for it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        found = _CODE.search(text)
        self.code = int(found[1]) if found else 1002


class Engine:
    """The engine on one directory, open as long as this is; a file may say what its user may do (access.py)."""

    def __init__(self, directory: Path, configuration: Path | None = None) -> None:
        self._directory = f"{directory}?config-file={configuration}" if configuration else str(directory)
        self._keeps_it_open = _connect(self._directory)

    def run(self, statement: Statement) -> bytes:
        """What it answers; tab-separated where the statement names no format. Raises EngineError."""
        with closing(_connect(self._directory)) as connection:
            if statement.database:
                _ask(connection, f"USE {_quoted(statement.database, '`')}")
            settings = _LIKE_A_SERVER | dict(statement.settings)
            _ask(connection, f"SET {', '.join(f'{name} = {_quoted(value)}' for name, value in settings.items())}")
            if statement.data:
                return _insert(connection, statement)
            return _ask(connection, statement.sql, statement.parameters)


def _connect(directory: str) -> Any:  # noqa: ANN401 - chDB has no types
    import chdb

    return chdb.connect(directory)  # type: ignore[no-untyped-call]


def _insert(connection: Any, statement: Statement) -> bytes:  # noqa: ANN401
    into = _INSERT.fullmatch(statement.sql)
    if not into:
        raise EngineError(f"Code: 62. DB::Exception: rows came with {statement.sql!r}. (SYNTAX_ERROR)")
    with tempfile.NamedTemporaryFile() as file:
        file.write(statement.data)
        file.flush()
        return _ask(connection, f"{into[1]} FROM INFILE {_quoted(file.name)} FORMAT {into[2]}", statement.parameters)


def _ask(connection: Any, sql: str, parameters: Mapping[str, str] | None = None) -> bytes:  # noqa: ANN401
    try:
        return connection.query(sql, "TabSeparated", params=dict(parameters or {})).bytes() or b""
    except RuntimeError as error:
        raise EngineError(str(error)) from error


def _quoted(text: str, quote: str = "'") -> str:
    escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return f"{quote}{escaped}{quote}"
