"""Processes: one worker as several processes, each with partitions and a directory of its own, to use several cores.

The first that ends takes the others with it, so whoever supervises a worker sees one thing that runs or does not.
"""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_BY_SIGNAL = 128


def directories(data: Path, processes: int) -> list[Path]:
    """The data directory of each process.

    >>> directories(Path("data"), 1), directories(Path("data"), 2)
    ([PosixPath('data')], [PosixPath('data/1'), PosixPath('data/2')])
    """
    return [data] if processes == 1 else [data / str(number) for number in range(1, processes + 1)]


def run_processes(data: Path, processes: int, log: str) -> int:
    """Runs the processes until one ends or SIGTERM or SIGINT comes, then ends all; the exit code of the first."""
    running: dict[int, subprocess.Popen[bytes]] = {}

    def end(*_: object) -> None:
        for process in running.values():
            process.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    for directory in directories(data, processes):
        itself = [sys.executable, "-m", "ratestream", "worker", "--processes", "1"]
        command = [*itself, "--log", log, "--data", str(directory)]
        process = subprocess.Popen(command, preexec_fn=_end_with_parent)  # noqa: PLW1509, S603 - one thread; our own
        running[process.pid] = process
    codes = []
    while running:
        pid, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        process = running.pop(pid)
        process.returncode = code
        codes.append(code if code >= 0 else _BY_SIGNAL - code)
        end()
    return codes[0]


def _end_with_parent() -> None:
    """A process whose parent is killed is told to end, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
