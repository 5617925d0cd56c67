"""A Kafka broker for tests and development, had in the first of these ways that there is, and told which:

1. the one that RATESTREAM_TEST_BROKERS names;
2. Apache Kafka in Docker, through testcontainers;
3. Apache Kafka's jars from Maven Central, under Java 17 or later.

Who asks for settings or a directory of its own gets a broker of its own. From the top of the repository:

    python -m deploy.broker run                    serves until Ctrl-C
    python -m deploy.broker run -- COMMAND...      runs COMMAND with RATESTREAM_BROKERS, and exits as it does
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Protocol

from deploy.errors import BrokerError, NoBrokerError
from deploy.kafka_container import KafkaContainer
from deploy.kafka_process import KafkaProcess

TEST_BROKERS = "RATESTREAM_TEST_BROKERS"
BROKERS = "RATESTREAM_BROKERS"

_CONNECT_TIMEOUT_S = 5
_NO_PROPERTIES: Mapping[str, str] = MappingProxyType({})


class Broker(Protocol):
    """A broker that serves clients."""

    bootstrap: str
    """`host:port`, or several with commas between, of its first listener."""

    listeners: Mapping[str, str]
    """`host:port` by the listener's name."""

    how: str
    """In which way it was had, for people."""

    ours: bool
    """Whether it is here for this process alone, and may be killed."""

    def stop(self) -> None:
        """Ends it, if it is ours, and removes what it wrote. Once more does nothing."""

    def kill(self) -> None:
        """Kills it as `kill -9` does; its data stays. Raises BrokerError if it is not ours."""

    def restart(self) -> None:
        """Starts it again on the same data and the same ports. Raises BrokerError if it is not ours, or fails."""


class NamedBroker:
    """A broker that somebody else runs."""

    ours = False

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.listeners: Mapping[str, str] = {"PLAINTEXT": bootstrap}
        self.how = f"{TEST_BROKERS}={bootstrap}"
        _reach(bootstrap)

    def stop(self) -> None:
        """Leaves it running."""

    def kill(self) -> None:
        """Raises BrokerError."""
        raise BrokerError(f"{self.how} is not ours to kill. Ask for a broker of your own: give a directory.")

    def restart(self) -> None:
        """Raises BrokerError."""
        raise BrokerError(f"{self.how} is not ours to restart. Ask for a broker of your own: give a directory.")


def start_broker(
    directory: Path | None = None,
    *,
    properties: Mapping[str, str] = _NO_PROPERTIES,
    environment: Mapping[str, str] = os.environ,
) -> Broker:
    """A serving broker; it ends with this process at the latest.

    With `directory` it is a process of ours that writes there and leaves that there. `properties` go over those of
    kafka/server.properties, where `{NAME_port}` stands for a free port: for SASL beside plain text, say, `listeners`
    `PLAINTEXT://127.0.0.1:{plaintext_port},SASL://127.0.0.1:{sasl_port},CONTROLLER://127.0.0.1:{controller_port}`,
    `listener.security.protocol.map` for the three, and Broker.listeners["SASL"] to connect to. Name no files in them:
    a container does not have them (PEM can stand in a value).

    Raises NoBrokerError, which says what to install, or BrokerError if there is one and it fails.
    """
    named = environment.get(TEST_BROKERS, "")
    if named and directory is None and not properties:
        return NamedBroker(named)
    ways: dict[str, Callable[[], Broker]] = {"Docker": lambda: KafkaContainer(properties)} if directory is None else {}
    ways["Java"] = lambda: KafkaProcess(directory, properties, environment)
    reasons = []
    for way, start in ways.items():
        try:
            return start()
        except NoBrokerError as error:
            reasons.append(f"{way}: {error}")
    raise NoBrokerError("no Kafka can be had here.\n" + "\n".join(reasons) + f"\nOr name one: {TEST_BROKERS}=HOST:PORT")


def _reach(bootstrap: str) -> None:
    """Raises BrokerError unless one of the addresses takes connections."""
    refused = []
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_S).close()
        except (OSError, ValueError) as error:
            refused.append(f"{address}: {error}")
        else:
            return
    raise BrokerError(
        f"{TEST_BROKERS} names no broker that can be reached ({'; '.join(refused)}). Start it, or unset it."
    )


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.broker", description="A Kafka broker for development.")
    run = parser.add_subparsers(dest="verb", required=True).add_parser(
        "run", help="serve until Ctrl-C or COMMAND's end"
    )
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="gets RATESTREAM_BROKERS")
    command = parser.parse_args(arguments).command
    try:
        broker = start_broker()
    except BrokerError as error:
        _say(str(error))
        return 1
    try:
        _say(f"Kafka at {broker.bootstrap} ({broker.how})")
        return _run(command[1:] if command[:1] == ["--"] else command, broker)
    finally:
        broker.stop()


def _run(command: Sequence[str], broker: Broker) -> int:
    """Ctrl-C reaches the command too, by the terminal; SIGTERM is passed on. Both leave it the time to end."""
    if not command:
        _say(f"Ctrl-C stops it. For other commands: export {BROKERS}={broker.bootstrap}")
        stops = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, stops)
        signal.sigwait(stops)
        return 0
    with subprocess.Popen(command, env=os.environ | {BROKERS: broker.bootstrap}) as process:  # noqa: S603 - the user's

        def pass_on(number: int, _frame: FrameType | None) -> None:
            process.send_signal(number)

        signal.signal(signal.SIGTERM, pass_on)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = process.wait()
    return code if code >= 0 else 128 - code


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command's output is its own


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
