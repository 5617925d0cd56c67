"""The command as people start it: a process of its own, in an environment without settings.

Most of what a short command takes is importing. `start` begins from nothing, as people do; `ratestream`, `succeed` and
`Forked` take a copy of a process that has imported already. That one has started nothing, and must not import chDB,
whose threads are lost in a copy: the engine would wait for them for ever.
"""

import atexit
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TARIFFS = EXAMPLES / "tariffs"
ACCOUNTS = EXAMPLES / "accounts.yaml"
HOMES = EXAMPLES / "homes.csv.gz"
CLOUD = EXAMPLES / "cloud-usage.jsonl.gz"

TABLES = ("charges", "rejected", "statement_lines", "statements", "taxes")
TIMEOUT_S = 120

Done = subprocess.CompletedProcess[str]

_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "tests.integration.command",
        "ratestream.cli",
        "ratestream.running",
        "agents.answers",
        "agents.books",
        "clickhouse_connect.driver",
        "pandas",  # Arrow imports it where it is installed
        "pyarrow.parquet",
    ]
)


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """The running command, from nothing."""
    program = "from ratestream.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    )


class Forked:
    """The command in a process that need not import; killed at the end if it has not ended.

    Where `largest_file` is not 0, it can make no file larger than so many bytes.
    """

    def __init__(self, *arguments: str | Path, largest_file: int = 0) -> None:
        self._arguments = [str(one) for one in arguments]
        self._folder = TemporaryDirectory(prefix="ratestream-test-")
        told = dict(_environment()), Path(self._folder.name), largest_file
        self._process = _FORKS.Process(target=_be_the_command, args=(self._arguments, *told))
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._process.close()
        self._folder.cleanup()

    def ended(self, within_s: float) -> Done | None:
        """What it came to; None where it still runs after so many seconds."""
        self._process.join(within_s)
        code = self._process.exitcode
        if code is None:
            return None
        out, err = (Path(self._folder.name, name).read_text(encoding="utf-8") for name in ("out", "err"))
        return subprocess.CompletedProcess(self._arguments, code, out, err)

    def kill(self) -> None:
        """As `kill -9` does; it has ended when this returns."""
        self._process.kill()
        self._process.join()


def _be_the_command(arguments: list[str], environment: dict[str, str], folder: Path, largest_file: int) -> None:
    """What `start` makes a process do, with the streams as files `out` and `err` in the folder."""
    for number, name in ((1, "out"), (2, "err")):
        with (folder / name).open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    from ratestream.cli import main

    try:
        main()
    finally:
        atexit._run_exitfuncs()  # noqa: SLF001 - a forked process of multiprocessing ends without


def ratestream(*arguments: str | Path, largest_file: int = 0) -> Done:
    """The command, ended."""
    with Forked(*arguments, largest_file=largest_file) as process:
        done = process.ended(TIMEOUT_S)
    if done is None:
        raise subprocess.TimeoutExpired([*map(str, arguments)], TIMEOUT_S)
    return done


def succeed(*arguments: str | Path) -> str:
    """What the command says on standard output, given that it succeeds."""
    done = ratestream(*arguments)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
    return done.stdout


def export(data: Path, out: Path) -> dict[str, bytes]:
    """The tables of a data directory as JSON lines, written into `out`."""
    succeed("export", "--data", data, "--out", out, "--format", "jsonl")
    return tables(out)


def tables(folder: Path) -> dict[str, bytes]:
    """The exported files of a folder by table."""
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert sorted(files) == [f"{name}.jsonl" for name in TABLES]
    return {name.removesuffix(".jsonl"): content for name, content in files.items()}


def _environment() -> Mapping[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RATESTREAM_")}
    return plain | {"PYTHONPATH": str(ROOT)}
