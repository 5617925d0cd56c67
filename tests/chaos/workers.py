"""Workers: the processes that are killed, each with a data directory and a log of its own.

A worker that ends without being asked to is started again, as a supervisor would, and that is counted.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Protocol

ROOT = Path(__file__).parents[2]
CRASH = "RATESTREAM_TEST_CRASH"

Command = Callable[[Path], Sequence[str]]
"""The command line of a worker, given its data directory."""


class Process(Protocol):
    """What is killed: subprocess.Popen, or the like."""

    def poll(self) -> int | None:
        """The exit code, or minus the signal; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended. Raises subprocess.TimeoutExpired."""

    def send_signal(self, sig: int) -> None:
        """Nothing where it has ended."""

    def kill(self) -> None:
        """As `kill -9` does."""


Spawn = Callable[[Sequence[str], Mapping[str, str], Path], Process]
"""Starts a command line in an environment, its output in a file."""


def spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """As a process of its own."""
    with log.open("wb") as out:
        return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)


def ratestream(*arguments: str | Path) -> list[str]:
    """The product's command line."""
    return [sys.executable, "-c", "from ratestream.cli import main; main()", *map(str, arguments)]


def worker_command(data: Path) -> list[str]:
    """The command line of the product's worker."""
    return ratestream("worker", "--data", data)


def environment_of(bootstrap: str, prefix: str) -> dict[str, str]:
    """The environment of the product's commands: these brokers and no other setting."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RATESTREAM_")}
    return plain | {"PYTHONPATH": str(ROOT), "RATESTREAM_BROKERS": bootstrap, "RATESTREAM_PREFIX": prefix}


@dataclass
class Worker:
    """One process."""

    name: str
    data: Path
    log: Path
    process: Process

    @property
    def is_alive(self) -> bool:
        """Whether it runs (or is stopped)."""
        return self.process.poll() is None

    @property
    def has_begun(self) -> bool:
        """Whether it has said anything: before that it hears no request to end."""
        return self.log.stat().st_size > 0

    def last_lines(self, count: int = 15) -> str:
        """The end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    {self.name}: {line}" for line in lines[-count:])


@dataclass
class Workers:
    """All of them. `ended` counts the exit codes of those that ended without being asked to."""

    folder: Path
    environment: Mapping[str, str]
    command: Command = worker_command
    spawn: Spawn = spawn
    running: list[Worker] = field(default_factory=list)
    ended: Counter[int] = field(default_factory=Counter)
    started: int = 0

    def start(self, *, data: Path | None = None, crash: str = "") -> Worker:
        """One more, in a new data directory or a known one; `crash`: where it is to kill itself, as point:N."""
        self.started += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        data = data or self.folder / f"data-{self.started}"
        name = f"{data.name}-{self.started}"
        log = self.folder / f"{name}.log"
        environment = {**self.environment, **({CRASH: crash} if crash else {})}
        worker = Worker(name, data, log, self.spawn(self.command(data), environment, log))
        self.running.append(worker)
        return worker

    def kill(self, worker: Worker, *, lose_data: bool) -> None:
        """Kill it as `kill -9` does, and start it again; `lose_data` deletes its directory between."""
        self.remove(worker)
        if lose_data:
            shutil.rmtree(worker.data, ignore_errors=True)
        self.start(data=worker.data)

    def remove(self, worker: Worker) -> None:
        """Kill it for good."""
        worker.process.kill()
        worker.process.wait()
        self.running.remove(worker)

    def stop(self, worker: Worker, timeout_s: float = 60) -> int:
        """Ask it to end, once it has begun; its exit code. Raises subprocess.TimeoutExpired where it does not."""
        self.wait_for(worker)
        if worker.is_alive:
            worker.process.send_signal(signal.SIGTERM)
        code = worker.process.wait(timeout_s)
        self.running.remove(worker)
        return code

    def wait_for(self, worker: Worker) -> None:
        """Wait until it has begun, or has ended; at the latest half a minute."""
        until = monotonic() + 30
        while worker.is_alive and not worker.has_begun and monotonic() < until:
            sleep(0.05)

    def scale(self, count: int) -> None:
        """Start or stop workers until there are so many."""
        while len(self.running) < count:
            self.start()
        while len(self.running) > count:
            self.stop(self.running[0])

    def mend(self) -> None:
        """Start those again that have ended by themselves."""
        for worker in list(self.running):
            code = worker.process.poll()
            if code is not None:
                self.ended[code] += 1
                self.running.remove(worker)
                self.start(data=worker.data)

    def rest(self, seconds: float) -> None:
        """Let time pass, mending meanwhile."""
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            self.mend()
            sleep(min(0.2, left))

    def kill_all(self) -> None:
        """Leave nothing behind."""
        for worker in list(self.running):
            self.remove(worker)  # SIGKILL ends a stopped process, too

    def told(self) -> str:
        """The last lines of the workers that run, for a report."""
        return "\n".join(worker.last_lines() for worker in self.running)
