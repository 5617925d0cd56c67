"""A ClickHouse server for tests and development, had in the first of these ways that there is, and told which:

1. the one that RATESTREAM_TEST_CLICKHOUSE names, as http(s)://user:password@host:port;
2. ClickHouse in Docker, through testcontainers;
3. whatever the caller has besides: the tests have an HTTP front over the embedded engine.
"""

import os
import socket
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from deploy.clickhouse_container import ClickHouseContainer
from deploy.errors import NoServerError, ServerError

TEST_CLICKHOUSE = "RATESTREAM_TEST_CLICKHOUSE"

_CONNECT_TIMEOUT_S = 5
_PORTS = {"http": 8123, "https": 8443}


class Server(Protocol):
    """A server that answers over HTTP."""

    dsn: str
    """`http(s)://user:password@host:port`, of a user who may do everything."""

    how: str
    """In which way it was had, for people; no password in it."""

    ours: bool
    """Whether it is here for this process alone, and may be killed."""

    def stop(self) -> None:
        """Ends it, if it is ours, and removes what it wrote. Once more does nothing."""

    def kill(self) -> None:
        """Kills it as `kill -9` does; its data stays. Raises ServerError if it is not ours."""

    def restart(self) -> None:
        """Starts it again on the same data and the same port. Raises ServerError if it is not ours, or fails."""


class NamedServer:
    """A server that somebody else runs."""

    ours = False

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        parts = urlsplit(dsn)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ServerError(f"{TEST_CLICKHOUSE} names no server. Write http(s)://user:password@host:port.")
        port = parts.port or _PORTS[parts.scheme]
        self.how = f"{TEST_CLICKHOUSE}={parts.scheme}://{parts.hostname}:{port}"
        try:
            socket.create_connection((parts.hostname, port), _CONNECT_TIMEOUT_S).close()
        except OSError as error:
            raise ServerError(f"{self.how}: {error}. Start it, or unset it.") from error

    def stop(self) -> None:
        """Leaves it running."""

    def kill(self) -> None:
        """Raises ServerError."""
        raise ServerError(f"{self.how} is not ours to kill. Unset it to have one that may be killed.")

    def restart(self) -> None:
        """Raises ServerError."""
        raise ServerError(f"{self.how} is not ours to restart. Unset it to have one that may be restarted.")


def start_clickhouse(
    otherwise: Callable[[], Server] | None = None, *, environment: Mapping[str, str] = os.environ
) -> Server:
    """A serving ClickHouse; one of ours ends with this process at the latest.

    `otherwise` makes a server where none is named and there is no Docker. Raises NoServerError, which says what to
    install, or ServerError if there is one and it fails.
    """
    if named := environment.get(TEST_CLICKHOUSE, ""):
        return NamedServer(named)
    try:
        return ClickHouseContainer()
    except NoServerError as error:
        if otherwise is not None:
            return otherwise()
        name_one = f"Or name one: {TEST_CLICKHOUSE}=http://USER:PASSWORD@HOST:8123"
        raise NoServerError(f"no ClickHouse can be had here.\nDocker: {error}\n{name_one}") from error
