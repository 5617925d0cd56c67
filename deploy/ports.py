"""Ports of this machine for servers that are started for tests and development."""

import random
import socket
from collections.abc import Iterator

PORTS = range(20_000, 32_000)
"""Below those that a system gives to outgoing connections: nobody takes the port while its server restarts."""


def free_ports() -> Iterator[int]:
    """Ports of the loopback address that nobody listens on at this moment, in any order."""
    for port in random.SystemRandom().sample(PORTS, k=len(PORTS)):  # a seeded test must not choose another's ports
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
