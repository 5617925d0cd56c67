"""A ClickHouse server in Docker, through testcontainers, whose reaper removes what killed owners leave.

Its port outside is chosen once, so that it is the same after a restart.
"""

import http.client
import secrets
import time
from typing import TYPE_CHECKING

from deploy.docker_socket import knock
from deploy.errors import NoServerError, ServerError
from deploy.ports import free_ports

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

IMAGE = "clickhouse/clickhouse-server:26.8"
"""The one that docker-compose.yml runs."""

START_TIMEOUT_S = 120
USER = "ratestream"

_HTTP_PORT = 8123
_POLL_S = 0.1
_ANSWER_TIMEOUT_S = 5
_LOG_TAIL = 4000


class ClickHouseContainer:
    """A server of ours, serving since it was made. Raises NoServerError without Docker or the image."""

    ours = True

    def __init__(self) -> None:
        self.how = f"Docker, {IMAGE}"
        self._port = next(free_ports())
        password = secrets.token_urlsafe(16)
        self.dsn = f"http://{USER}:{password}@127.0.0.1:{self._port}"
        self._stopped = False
        self._container = _container(self._port, password)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Removes the container."""
        if not self._stopped:
            self._stopped = True
            self._container.stop()

    def kill(self) -> None:
        """Kills it as `kill -9` does; its data stays."""
        self._container.get_wrapped_container().kill()

    def restart(self) -> None:
        """Starts it on the same data and the same port; returns when it serves."""
        self._container.get_wrapped_container().restart(timeout=0)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        wrapped = self._container.get_wrapped_container()
        while not self._answers():
            wrapped.reload()
            if wrapped.status == "exited" or time.monotonic() > deadline:
                told = wrapped.logs()[-_LOG_TAIL:].decode(errors="replace")
                raise ServerError(f"ClickHouse in Docker does not serve ({wrapped.status}); it told:\n{told}")
            time.sleep(_POLL_S)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_TIMEOUT_S)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _container(port: int, password: str) -> "DockerContainer":
    """The running container. Raises NoServerError."""
    from docker.errors import DockerException  # type: ignore[import-untyped] # and its types are not needed besides
    from testcontainers.core.container import DockerContainer

    try:
        knock()
        container = DockerContainer(IMAGE).with_bind_ports(_HTTP_PORT, port)
        if (host := container.get_docker_client().host()) not in {"localhost", "127.0.0.1"}:
            raise NoServerError(f"its containers are at {host}, and only those of this machine are used.")
        container.with_env("CLICKHOUSE_USER", USER).with_env("CLICKHOUSE_PASSWORD", password)
        return container.with_env("CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT", "1").start()
    except (DockerException, OSError) as error:
        raise NoServerError(f"{error}. Install Docker and start it.") from error
