"""Processes of the product that start in no time: one process imports it once, and forks for each that is wanted.

    python -m tests.chaos.nursery MODULE...

imports the modules, reads {"arguments": [...], "environment": {...}, "log": PATH} from standard input, one a line, runs
the product's command line with it in a fork, and writes {"started": PID}; and {"ended": PID, "code": CODE} when one has
ended. Its processes end with it, and it ends with standard input. A fork is killed, stopped and waited for as any other
process. What takes a second of processor time, and is the same each time, is only the imports.
"""

import ctypes
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.02


class Child:
    """A fork, as subprocess.Popen would have it."""

    def __init__(self, pid: int, ended: dict[int, int], news: threading.Condition) -> None:
        self.pid = pid
        self._ended = ended
        self._news = news

    def poll(self) -> int | None:
        """The exit code, or minus the signal; None while it runs."""
        with self._news:
            return self._ended.get(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended. Raises subprocess.TimeoutExpired."""
        with self._news:
            if not self._news.wait_for(lambda: self.pid in self._ended, timeout):
                raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0.0)
            return self._ended[self.pid]

    def send_signal(self, number: int) -> None:
        """Nothing where it has ended."""
        with self._news:
            if self.pid not in self._ended:
                os.kill(self.pid, number)

    def kill(self) -> None:
        """As `kill -9` does."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """Has the modules imported, until it is closed."""

    def __init__(self, *modules: str) -> None:
        self._news = threading.Condition()
        self._ended: dict[int, int] = {}
        self._started: list[int] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.nursery", *modules],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, name="nursery", daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all that run."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()
        self._listener.join()
        if self._process.stdout:
            self._process.stdout.close()

    def spawn(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        """A fork of the product's command line: of `workers.ratestream(...)`."""
        log.write_bytes(b"")
        said = {"arguments": list(command[3:]), "environment": dict(environment), "log": str(log)}
        with self._news:
            if self._process.stdin is None or self._process.poll() is not None:
                raise RuntimeError("the nursery has ended; what it told is above")
            self._process.stdin.write(f"{json.dumps(said)}\n")
            self._process.stdin.flush()
            self._news.wait_for(lambda: self._started)
            return Child(self._started.pop(), self._ended, self._news)

    def _listen(self) -> None:
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            said: dict[str, Any] = json.loads(line)
            with self._news:
                if "started" in said:
                    self._started.append(said["started"])
                else:
                    self._ended[said["ended"]] = said["code"]
                self._news.notify_all()


def main(*modules: str) -> None:
    for module in ("ratestream.cli", *modules):
        importlib.import_module(module)
    running: set[int] = set()
    pending = b""
    while True:
        for pid in list(running):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                running.remove(pid)
                _tell({"ended": pid, "code": os.waitstatus_to_exitcode(status)})
        readable, _, _ = select.select([0], [], [], _POLL_S)
        if not readable:
            continue
        some = os.read(0, 1 << 20)
        if not some:
            return
        *lines, pending = (pending + some).split(b"\n")
        for line in lines:
            pid = os.fork()
            if pid == 0:
                _run(**json.loads(line))
            running.add(pid)
            _tell({"started": pid})


def _tell(said: dict[str, int]) -> None:
    print(json.dumps(said), flush=True)


def _run(arguments: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    """The command line in this fork, which ends with it."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, log, os.O_WRONLY | os.O_APPEND)):
            os.dup2(os.open(path, flags), number)
        os.dup2(1, 2)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["ratestream", *arguments]
        importlib.import_module("ratestream.cli").main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - told as the interpreter would
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
