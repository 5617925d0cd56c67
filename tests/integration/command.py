"""The command as people start it: a process of its own, in an environment without settings."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TARIFFS = EXAMPLES / "tariffs"
ACCOUNTS = EXAMPLES / "accounts.yaml"
HOMES = EXAMPLES / "homes.csv.gz"
CLOUD = EXAMPLES / "cloud-usage.jsonl.gz"

TABLES = ("charges", "rejected", "statement_lines", "statements", "taxes")
TIMEOUT_S = 120

Done = subprocess.CompletedProcess[str]


def start(*arguments: str | Path, largest_file: int = 0) -> subprocess.Popen[str]:
    """The running command; where `largest_file` is not 0, the command can make no file larger than so many bytes."""
    size = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest_file}, {largest_file})); "
    program = "from ratestream.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", (size if largest_file else "") + program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    )


def ratestream(*arguments: str | Path, largest_file: int = 0) -> Done:
    """The command, ended."""
    with start(*arguments, largest_file=largest_file) as process:
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


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
