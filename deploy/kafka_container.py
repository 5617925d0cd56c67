"""A broker in Docker: Apache Kafka's own image, through testcontainers, whose reaper removes what killed owners leave.

Inside and outside it has the same ports, so that what it advertises holds for both, and after a restart too.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from deploy.docker_socket import knock
from deploy.errors import BrokerError, NoBrokerError
from deploy.kafka_properties import Properties, kafka_version

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

START_TIMEOUT_S = 120
SETTINGS = "/mnt/shared/config/server.properties"
"""Where the image looks for a whole file of settings."""

STARTED = b"Kafka Server started"
_POLL_S = 0.1
_LOG_TAIL = 4000


class KafkaContainer:
    """A broker of ours, serving since it was made. Raises NoBrokerError without Docker or the image."""

    ours = True

    def __init__(self, properties: Mapping[str, str]) -> None:
        settings = Properties.of(properties, data="/tmp/kafka-data")  # noqa: S108 - inside the container
        self.listeners: Mapping[str, str] = settings.listeners
        self.bootstrap = next(iter(settings.listeners.values()))
        image = f"apache/kafka:{kafka_version()}"
        self.how = f"Docker, {image}"
        self._stopped = False
        self._container = _container(image, settings)
        try:
            self._wait(starts=1)
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
        """Starts it on the same data and the same ports; returns when it serves."""
        wrapped = self._container.get_wrapped_container()
        starts = self._starts() + 1
        wrapped.restart(timeout=0)
        self._wait(starts)

    def _wait(self, starts: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        wrapped = self._container.get_wrapped_container()
        while self._starts() < starts:
            wrapped.reload()
            if wrapped.status == "exited" or time.monotonic() > deadline:
                told = wrapped.logs()[-_LOG_TAIL:].decode(errors="replace")
                raise BrokerError(f"Kafka in Docker does not serve ({wrapped.status}); it told:\n{told}")
            time.sleep(_POLL_S)

    def _starts(self) -> int:
        logs: bytes = self._container.get_wrapped_container().logs()
        return logs.count(STARTED)


def _container(image: str, settings: Properties) -> "DockerContainer":
    """The running container. Raises NoBrokerError."""
    from docker.errors import DockerException  # type: ignore[import-untyped] # and its types are not needed besides
    from testcontainers.core.container import DockerContainer

    try:
        knock()
        container = DockerContainer(image)
        if (host := container.get_docker_client().host()) not in {"localhost", "127.0.0.1"}:
            raise NoBrokerError(f"its containers are at {host}, and Kafka advertises the loopback address.")
        for port in settings.ports:
            container.with_bind_ports(port, port)
        text = settings.listening_everywhere().text()
        return container.with_copy_into_container(text.encode(), SETTINGS).start()
    except (DockerException, OSError) as error:
        raise NoBrokerError(f"{error}. Install Docker and start it.") from error
