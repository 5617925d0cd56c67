"""A broker as a process of this machine: Apache Kafka's own jars under Java.

It ends when this process ends, killed included (keeper.py), and its directory goes with it unless the caller named one.
"""

import base64
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.errors import BrokerError
from deploy.kafka_jars import java, kafka_jars
from deploy.kafka_properties import Properties, kafka_version

START_TIMEOUT_S = 60
KEEPER = Path(__file__).parent / "keeper.py"

STARTED = "Kafka Server started"
"""What Kafka logs once it serves clients: before, its ports are closed."""

_POLL_S = 0.03
_LOG_TAIL = 4000
_SHORT_LIVED = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_SERVING = (
    *("-Xmx1g", "-Xms64m", "-XX:+UseSerialGC"),
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
)


class KafkaProcess:
    """A broker of ours, serving since it was made. Raises NoBrokerError without Java, Maven or the jars."""

    ours = True

    def __init__(self, directory: Path | None, properties: Mapping[str, str], environment: Mapping[str, str]) -> None:
        runs = [java(environment), "-cp", f"{kafka_jars(environment)}/*"]
        home = directory or Path(tempfile.mkdtemp(prefix="ratestream-kafka-"))
        home.mkdir(parents=True, exist_ok=True)
        self.directory = home
        settings = Properties.of(properties, data=str(home / "data"))
        self.listeners: Mapping[str, str] = settings.listeners
        self.bootstrap = next(iter(settings.listeners.values()))
        self.how = f"Apache Kafka {kafka_version()} under Java"
        self._log = home / "kafka.log"
        server = home / "server.properties"
        command = [runs[0], *_SERVING, *runs[1:], "kafka.Kafka", str(server)]
        self._keeper = _start_keeper(home if directory is None else None, self._log, command)
        try:
            server.write_text(settings.text(), encoding="utf-8")
            _format(runs, server, home / "data")
            self.restart()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it; what lies in a directory that the caller named stays there, and can be started again."""
        if self._keeper.stdin and self._keeper.stdout and not self._keeper.stdin.closed:
            self._keeper.stdin.close()
            self._keeper.wait()
            self._keeper.stdout.close()

    def kill(self) -> None:
        """Kills it as `kill -9` does."""
        self._ask("kill")

    def restart(self) -> None:
        """Starts it on the same data and the same ports; returns when it serves. It may have been killed before."""
        self._ask("kill")
        self._ask("start")
        deadline = time.monotonic() + START_TIMEOUT_S
        while STARTED not in (told := self._log.read_text(encoding="utf-8", errors="replace")):
            if (state := self._ask("check")) != "running":
                raise BrokerError(f"Kafka ended with exit code {state}; it told:\n{told[-_LOG_TAIL:]}")
            if time.monotonic() > deadline:
                raise BrokerError(f"Kafka does not serve after {START_TIMEOUT_S} s; it told:\n{told[-_LOG_TAIL:]}")
            time.sleep(_POLL_S)

    def _ask(self, what: str) -> str:
        stdin, stdout = self._keeper.stdin, self._keeper.stdout
        if stdin is None or stdout is None or stdin.closed:
            raise BrokerError("this broker was stopped. Start another one.")
        with suppress(BrokenPipeError):  # then it has ended, and what it told says why
            stdin.write(f"{what}\n")
            stdin.flush()
        answer = stdout.readline().strip()
        if not answer or answer.startswith("Traceback"):
            raise BrokerError(f"the keeper of Kafka failed; it told:\n{answer}\n{stdout.read()}")
        return answer


def _start_keeper(removed: Path | None, log: Path, command: Sequence[str]) -> subprocess.Popen[str]:
    """In a session of its own: Ctrl-C in a terminal is for the owner, which may still need the broker."""
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", str(KEEPER), str(removed or ""), str(log), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _format(runs: Sequence[str], server: Path, data: Path) -> None:
    """Makes the data directory that Kafka wants, unless it is there already."""
    if (data / "meta.properties").exists():
        return
    tool = ["kafka.tools.StorageTool", "format", "--cluster-id", _cluster_id(), "--config", str(server)]
    done = subprocess.run(  # noqa: S603
        [runs[0], *_SHORT_LIVED, *runs[1:], *tool], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BrokerError(
            f"Kafka refuses its settings ({server}); it told:\n{(done.stdout + done.stderr)[-_LOG_TAIL:]}"
        )


def _cluster_id() -> str:
    """A new one, as Kafka writes them: 22 characters, the first of them no dash, which would begin an option."""
    return base64.urlsafe_b64encode(b"\x00" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
