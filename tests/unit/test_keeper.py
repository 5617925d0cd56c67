"""What the keeper of a broker keeps ends with its owner, however that ends. A sleep stands for the broker."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.kafka_process import KEEPER

TIMEOUT_S = 10
SLEEP = [sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(600)"]

OWNER = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts with & ignore it
directory, log, *command = sys.argv[1:]
keeper = subprocess.Popen(
    [sys.executable, "-I", {str(KEEPER)!r}, directory, log, *command],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
)
print(keeper.pid, flush=True)
keeper.stdin.write("start\\n")
keeper.stdin.flush()
print(keeper.stdout.readline().strip(), flush=True)
sibling = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
time.sleep(600)
"""
"""Starts a keeper, tells its process and the kept one, and then another process, which must not keep them alive."""


def keeper(directory: Path | str, log: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", str(KEEPER), str(directory), str(log), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process: subprocess.Popen[str], what: str) -> str:
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{what}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def is_running(pid: int) -> bool:
    """Whether it runs: what was killed and is only waited for does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def soon(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + TIMEOUT_S
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "data").write_text("0")
    return home


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_owner_that_is_killed_leaves_nothing(home: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", OWNER, str(home), str(home / "log"), *SLEEP]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        try:
            assert owner.stdout
            kept_by, kept = int(owner.stdout.readline()), int(owner.stdout.readline())
            assert is_running(kept_by)
            assert is_running(kept)
        finally:
            owner.send_signal(number)
    assert soon(lambda: not is_running(kept) and not is_running(kept_by))
    assert soon(lambda: not home.exists())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_what_is_kept_ends_with_a_killed_keeper(home: Path) -> None:
    with keeper(home, home / "log", *SLEEP) as process:
        kept = int(ask(process, "start"))
        assert soon(lambda: (home / "log").read_text() == "awake\n")
        process.kill()
    assert soon(lambda: not is_running(kept))


def test_it_is_killed_and_started_again(home: Path) -> None:
    with keeper("", home / "log", *SLEEP) as process:
        first = int(ask(process, "start"))
        assert ask(process, "check") == "running"
        assert ask(process, "kill") == "killed"
        assert not is_running(first)
        assert ask(process, "check") == str(-signal.SIGKILL)
        second = int(ask(process, "start"))
        assert second != first
        assert ask(process, "check") == "running"
        assert process.stdin
        process.stdin.close()
        assert process.wait(TIMEOUT_S) == 0
    assert not is_running(second)
    assert (home / "data").exists(), "a directory that is not the keeper's was removed"


def test_it_tells_how_what_it_keeps_ended(home: Path) -> None:
    with keeper("", home / "log", sys.executable, "-c", "print('done'); raise SystemExit(7)") as process:
        ask(process, "start")
        assert soon(lambda: ask(process, "check") == "7")
        assert (home / "log").read_text() == "done\n"
