"""A disk that is full stops a run with one clear message, and never leaves half a statement.

The disk is a limit on the size of files: what would grow a file beyond it fails as a full disk would, at whatever file
gets there first. The same command with room again ends as if nothing had happened.
"""

import json
import shutil
from pathlib import Path

import pytest

from tests.integration.command import ACCOUNTS, TARIFFS, Done, export, ratestream, succeed
from tests.integration.mixed_usage import write_mixed_usage

pytest.importorskip("chdb", reason="the embedded engine is not installed: pip install 'ratestream[embedded]'")

KIB = 1024


@pytest.fixture(scope="module")
def usage(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_mixed_usage(tmp_path_factory.mktemp("full") / "usage", homes=("ontario-home",))


@pytest.fixture(scope="module")
def whole(usage: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("room")
    succeed(*run_into(folder / "data", usage))
    return export(folder / "data", folder / "export")


def run_into(data: Path, files: list[Path]) -> list[str | Path]:
    return ["run", "--data", data, "--tariffs", TARIFFS, "--accounts", ACCOUNTS, *files]


def assert_told(done: Done) -> None:
    assert done.returncode == 1, f"exit {done.returncode}: {done.stderr}"
    assert "Traceback" not in done.stderr
    told = done.stderr.strip().splitlines()[-1]
    assert "room" in told.lower() or "space" in told.lower() or "too large" in told.lower(), told


@pytest.mark.parametrize("size", [16 * KIB, 128 * KIB, 640 * KIB])
def test_a_run_without_room(size: int, usage: list[Path], whole: dict[str, bytes], tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = ratestream(*run_into(data, usage), largest_file=size)
    assert_told(done)
    if (data / "state" / "CURRENT").exists():
        assert_part_of(export(data, tmp_path / "part"), whole)
    succeed(*run_into(data, usage))
    assert export(data, tmp_path / "export") == whole


def assert_part_of(part: dict[str, bytes], whole: dict[str, bytes]) -> None:
    """Whole statements only: with all their lines and taxes, and all their charges."""
    for name, content in part.items():
        extra = set(content.splitlines()) - set(whole[name].splitlines())
        assert not extra, f"{name} has what the whole has not: {min(extra).decode()}"
    stated = [json.loads(line) for line in part["statements"].splitlines()]
    for statement in stated:
        owner = f'"statement_id":"{statement["statement_id"]}"'.encode()
        for name in ("statement_lines", "taxes"):
            here, there = (sorted(line for line in rows[name].splitlines() if owner in line) for rows in (part, whole))
            assert here == there, f"{statement['statement_id']} has lost {name}"
    charged: dict[tuple[str, str], int] = {}
    for line in part["charges"].splitlines():
        charge = json.loads(line)
        key = (charge["account"], charge["statement_start"])
        charged[key] = charged.get(key, 0) + 1
    for statement in stated:
        assert charged[statement["account"], statement["period_start"]] == statement["charges"]


def test_clickhouse_without_room(usage: list[Path], whole: dict[str, bytes], tmp_path: Path) -> None:
    """The state has been written; what projects it into ClickHouse finds the disk full."""
    data = tmp_path / "data"
    succeed(*run_into(data, usage))
    shutil.rmtree(data / "clickhouse")
    assert_told(ratestream(*run_into(data, usage), largest_file=48 * KIB))
    succeed(*run_into(data, usage))
    assert export(data, tmp_path / "export") == whole


def test_an_export_without_room(usage: list[Path], whole: dict[str, bytes], tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    succeed(*run_into(data, usage))
    done = ratestream("export", "--data", data, "--out", out, "--format", "jsonl", largest_file=512 * KIB)
    assert_told(done)
    for file in out.glob("*.jsonl"):
        assert file.read_bytes() == whole[file.stem], f"{file.name} is not whole"
    assert export(data, tmp_path / "export") == whole


def test_rate_without_room(usage: list[Path], tmp_path: Path) -> None:
    arguments: list[str | Path] = ["rate", "--tariffs", TARIFFS, "--accounts", ACCOUNTS, "--format", "jsonl", *usage]
    out = tmp_path / "out"
    assert_told(ratestream(*arguments, "--out", out, largest_file=512 * KIB))
    succeed(*arguments, "--out", tmp_path / "whole")
    for file in out.glob("*.jsonl"):
        assert file.read_bytes() == (tmp_path / "whole" / file.name).read_bytes(), f"{file.name} is not whole"
