"""Keeps one process for an owner, and ends it when its owner ends, in whatever way.

    python keeper.py DIRECTORY LOG COMMAND...

The owner holds the other end of standard input, which the system closes when the owner is gone, killed included: then
the process is killed, and DIRECTORY, where one is named, is removed. Until then each line asks for one thing and is
answered with one line:

    start   runs COMMAND, its output in LOG      the process id
    kill    kills it as `kill -9` does           killed
    check                                        running, or the exit code

A script of its own that imports nothing of ours: it starts in a few hundredths of a second.
"""

import ctypes
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def main(directory: str, log: str, *command: str) -> None:
    """Answers until standard input ends."""
    kept = _Kept(command, Path(log))
    answers = {"start": kept.start, "kill": kept.kill, "check": kept.check}
    try:
        for line in sys.stdin:
            print(answers[line.strip()](), flush=True)  # noqa: T201 - the owner reads it
    finally:
        kept.kill()
        if directory:
            shutil.rmtree(directory, ignore_errors=True)


class _Kept:
    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the owner's command
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_keeper if sys.platform == "linux" else None,  # noqa: PLW1509 - one thread
            )
        return str(self._process.pid)

    def kill(self) -> str:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        return "killed"

    def check(self) -> str:
        code = self._process.poll() if self._process is not None else None
        return "running" if code is None else str(code)


def _end_with_keeper() -> None:
    """Should even the keeper be killed, the system kills the process."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
