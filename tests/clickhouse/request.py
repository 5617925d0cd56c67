"""What a request over HTTP asks of the engine, in the ways of clickhouse-connect.

The statement stands in the URL (`query`), in the body, or in both: then the body holds the rows of an insert, or the
statement's rest. `param_NAME` is a parameter; what else is no matter of HTTP is a setting.
"""

import gzip
import re
import zlib
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import zstandard

from tests.clickhouse.engine import Statement

_OF_HTTP = {
    *("database", "query", "user", "password", "default_format", "quota_key", "role", "query_id"),
    *("session_id", "session_timeout", "session_check", "client_protocol_version"),
    *("compress", "decompress", "buffer_size", "wait_end_of_query"),
}
_INSERT_WITH_ROWS = re.compile(rb"\s*(INSERT\s+INTO\s[^\n]*?\sFORMAT\s+\w+)[ \t]*\n", re.IGNORECASE)
_DECOMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


class NotUnderstoodError(ValueError):
    """A request in a way that this front does not speak."""


class Login(NamedTuple):
    """Who asks."""

    user: str
    password: str


def statement_of(target: str, headers: Mapping[str, str], body: bytes) -> Statement:
    """What the request asks for. Raises NotUnderstoodError."""
    if headers.get("Content-Type", "").startswith("multipart/"):
        raise NotUnderstoodError("this front takes no forms")
    encoding = headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        if encoding not in _DECOMPRESS:
            raise NotUnderstoodError(f"this front does not know the encoding {encoding}")
        body = _DECOMPRESS[encoding](body)
    url = _url(target)
    sql, rows = _parts(url.get("query", ""), body)
    parameters = {name.removeprefix("param_"): text for name, text in url.items() if name.startswith("param_")}
    settings = {name: text for name, text in url.items() if not name.startswith("param_") and name not in _OF_HTTP}
    return Statement(sql, url.get("database", ""), settings, parameters, rows)


def _parts(query: str, body: bytes) -> tuple[str, bytes]:
    """The statement and its rows."""
    if query and body:
        return (query, body) if query.lstrip()[:6].upper() == "INSERT" else (f"{query}\n{body.decode()}", b"")
    if with_rows := _INSERT_WITH_ROWS.match(body):
        return with_rows[1].decode(), body[with_rows.end() :]
    return query or body.decode(), b""


def login_of(target: str, headers: Mapping[str, str]) -> Login:
    """Who asks, as the headers or the URL say it; `default` without a password where nobody says it."""
    authorization = headers.get("Authorization", "")
    if authorization.startswith("Basic "):
        user, _, password = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        return Login(user, password)
    url = _url(target)
    user = headers.get("X-ClickHouse-User") or url.get("user", "default")
    return Login(user, headers.get("X-ClickHouse-Key") or url.get("password", ""))


def _url(target: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
