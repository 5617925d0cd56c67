"""The embedded sink, killed in the middle of inserts and started again, ends with exactly what one quiet run gives."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("chdb", reason="the embedded engine is not installed: pip install 'ratestream[embedded]'")

ROOT = Path(__file__).parents[2]
BATCHES = 16
KILLS = 10
SEED = 20_120_201


def start(directory: Path, export: Path) -> subprocess.Popen[bytes]:
    program = [sys.executable, str(Path(__file__).with_name("insert_until_killed.py"))]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(directory.parent)}
    return subprocess.Popen(
        [*program, str(directory), str(BATCHES), str(export)], stdout=subprocess.PIPE, env=environment
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    with process:
        assert process.wait(60) == 0


def kill_while_inserting(process: subprocess.Popen[bytes], after_s: float) -> int:
    """The batch with which it began. Fails where it had nothing left to do before it was killed."""
    assert process.stdout
    with process:
        begin = int(process.stdout.readline())
        time.sleep(after_s)
        process.kill()
        assert process.wait() < 0
    return begin


def test_killed_inserts_end_as_if_never_killed(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    quiet, export = tmp_path / "quiet", tmp_path / "export"
    finish(start(tmp_path / "quiet-db", quiet))
    begins = [kill_while_inserting(start(tmp_path / "db", export), chance.uniform(0.0, 0.3)) for _ in range(KILLS)]
    finish(start(tmp_path / "db", export))

    assert len(set(begins)) > 2, f"the kills came too early to meet more than the first batches: {begins}"
    names = sorted(file.name for file in quiet.iterdir())
    assert names == [f"{name}.jsonl" for name in ("charges", "rejected", "statement_lines", "statements", "taxes")]
    for name in names:
        assert (export / name).read_bytes() == (quiet / name).read_bytes(), f"{name} differs (seed {SEED})"
    assert (quiet / "charges.jsonl").read_bytes().count(b"\n") == BATCHES * 500
