"""A run that is killed at any moment and started again ends in exactly what an undisturbed run ends in.

The moments are drawn uniformly over the life of an undisturbed run: start-up, reading, closing and projection. A run
that has come to its end is compared, and killing goes on in a new directory.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic

import pytest

from tests.integration.command import ACCOUNTS, TARIFFS, Forked, export, succeed
from tests.integration.mixed_usage import write_mixed_usage
from tests.oracle.comparison import compare
from tests.oracle.exported import read_export
from tests.oracle.own_side import Question

pytest.importorskip("chdb", reason="the embedded engine is not installed: pip install 'ratestream[embedded]'")

SEED = int(os.environ.get("RATESTREAM_TEST_SEED", "20120229"))
"""Set RATESTREAM_TEST_SEED to kill at other moments."""
KILLS = 50


@dataclass(frozen=True)
class Quiet:
    """What an undisturbed run made of the files, and how long it took."""

    files: list[Path]
    data: Path
    exported: dict[str, bytes]
    life_s: float


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Quiet:
    folder = tmp_path_factory.mktemp("quiet")
    files = write_mixed_usage(folder / "usage")
    began = monotonic()
    succeed(*run_into(folder / "data", files))
    life_s = monotonic() - began
    return Quiet(files, folder / "data", export(folder / "data", folder / "export"), life_s)


def run_into(data: Path, files: list[Path]) -> list[str | Path]:
    return ["run", "--data", data, "--tariffs", TARIFFS, "--accounts", ACCOUNTS, *files]


def is_killed(arguments: list[str | Path], after_s: float) -> bool:
    """Whether the command was still running then, and so was killed; otherwise it has succeeded."""
    with Forked(*arguments) as process:
        done = process.ended(after_s)
    assert done is None or done.returncode == 0, f"exit {done.returncode} after a kill: {done.stderr}"
    return done is None


def assert_same(found: dict[str, bytes], quiet: Quiet, when: str) -> None:
    """Byte by byte; what differs is shown by its first lines."""
    for name, content in quiet.exported.items():
        if found[name] != content:
            here, there = (set(lines.splitlines()) for lines in (content, found[name]))
            differing = b"\n".join([*sorted(here - there)[:2], b"-- is now --", *sorted(there - here)[:2]]).decode()
            pytest.fail(f"{name} differs {when} (seed {SEED}):\n{differing}")


def test_the_undisturbed_run_is_right(quiet: Quiet, tmp_path: Path) -> None:
    for name, content in quiet.exported.items():
        (tmp_path / f"{name}.jsonl").write_bytes(content)
    report = compare(Question(quiet.files, TARIFFS, ACCOUNTS, read_export(tmp_path), by_event_time=False))
    assert report.findings == []
    assert report.statements > 20
    assert b'"adjustment"' in quiet.exported["statement_lines"]
    assert b'"reversal"' in quiet.exported["charges"]
    assert b'"too-late"' in quiet.exported["rejected"]


def test_fifty_kills_change_nothing(quiet: Quiet, tmp_path: Path) -> None:
    chance = Random(SEED)
    print(f"seed {SEED}, life {quiet.life_s:.2f} s")
    kills = rounds = kills_of_round = 0
    while kills < KILLS or kills_of_round:
        data = tmp_path / f"round-{rounds}"
        if kills < KILLS and is_killed(run_into(data, quiet.files), chance.uniform(0, quiet.life_s)):
            kills, kills_of_round = kills + 1, kills_of_round + 1
            continue
        succeed(*run_into(data, quiet.files))
        assert_same(export(data, tmp_path / "export"), quiet, f"after {kills_of_round} kills in round {rounds}")
        print(f"round {rounds}: {kills_of_round} kills, the same")
        shutil.rmtree(data)
        rounds, kills_of_round = rounds + 1, 0
    assert kills >= KILLS


def test_a_lost_clickhouse_is_filled_again(quiet: Quiet, tmp_path: Path) -> None:
    """Its directory is deleted, and what fills it again is killed, and then it is deleted once more."""
    chance = Random(SEED)
    data = tmp_path / "data"
    shutil.copytree(quiet.data, data, symlinks=True)
    kills = 0
    for _ in range(5):
        shutil.rmtree(data / "clickhouse")
        began = monotonic()
        assert not is_killed(run_into(data, quiet.files), 60)
        life_s = monotonic() - began
        shutil.rmtree(data / "clickhouse")
        kills += is_killed(run_into(data, quiet.files), chance.uniform(life_s / 2, life_s))
    assert kills > 0, "no run was killed: they ended too early"
    assert_same(export(data, tmp_path / "half"), quiet, "where a killed projection is completed by a question")
    shutil.rmtree(data / "clickhouse")
    succeed(*run_into(data, quiet.files))
    assert_same(export(data, tmp_path / "full"), quiet, "after clickhouse was deleted")
