"""What ClickHouse holds, asked over plain HTTP."""

import json
from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode, urlsplit

from tests.chaos_sink.expected import Key, Rows

_TIMEOUT_S = 120
_KEYS: Mapping[str, tuple[str, ...]] = {
    "charges": ("charge_id",),
    "statements": ("statement_id",),
    "statement_lines": ("statement_id", "line"),
    "taxes": ("statement_id", "line"),
    "rejected": ("origin", "partition", "offset", "index", "sha256"),
    "usage": ("partition", "offset", "index"),
    "commands": ("partition", "offset"),
    "documents": ("topic", "partition", "offset"),
    "accounts": ("tenant", "account"),
    "tariffs": ("tariff", "version"),
}
_BYTES = {"rejected": ("original",), "commands": ("command",), "documents": ("key", "value")}
_WRITTEN = {
    "output_format_json_quote_decimals": "1",
    "output_format_json_quote_64bit_integers": "0",
    "date_time_output_format": "iso",
}
TABLES = tuple(_KEYS)


class Held(NamedTuple):
    """What a table shows with FINAL; how many rows lie there, doubled ones among them; and the types of its columns."""

    rows: Rows
    doubled: list[Key]
    """Keys that FINAL shows more than once."""
    lying: int
    types: Mapping[str, str]


class Database:
    """The database of the product on a server."""

    def __init__(self, dsn: str, name: str = "ratestream") -> None:
        parts = urlsplit(dsn)
        self._host, self._port = parts.hostname or "", parts.port
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        self._headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
        self._name = name

    def ask(self, sql: str, **settings: str) -> bytes:
        """The answer as it comes. Raises OSError and RuntimeError."""
        connection = HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        try:
            query = urlencode({"database": self._name, **settings})
            connection.request("POST", f"/?{query}", sql.encode(), self._headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{sql}: {body.decode(errors='replace')}")
        return body

    def held(self, table: str) -> Held:
        """All of a table."""
        replaced = ", ".join(f"lower(hex({name})) AS {name}" for name in _BYTES.get(table, ()))
        columns = f"* REPLACE ({replaced})" if replaced else "*"
        sql = f"SELECT {columns} FROM {table} FINAL FORMAT JSONCompactEachRowWithNamesAndTypes"
        names, types, *values = (json.loads(line) for line in self.ask(sql, **_WRITTEN).splitlines())
        rows: Rows = {}
        doubled = []
        for value in values:
            row: dict[str, Any] = dict(zip(names, value, strict=True))
            key = tuple(row[name] for name in _KEYS[table])
            if key in rows:
                doubled.append(key)
            rows[key] = row
        lying = int(self.ask(f"SELECT count() FROM {table} SETTINGS final = 0"))
        return Held(rows, doubled, lying, dict(zip(names, types, strict=True)))
