"""Whether Docker answers on this machine, asked without its client."""

import socket

DOCKER_SOCKET = "/var/run/docker.sock"
"""Where Docker is when nothing says otherwise."""


def knock() -> None:
    """Raises OSError unless Docker answers, or is said to be elsewhere: its own client would leave a socket open."""
    from testcontainers.core.docker_client import get_docker_host

    if get_docker_host() is not None:
        return
    with socket.socket(socket.AF_UNIX) as knocking:
        try:
            knocking.connect(DOCKER_SOCKET)
        except OSError as error:
            raise OSError(f"nobody answers at {DOCKER_SOCKET} ({error.strerror})") from error
