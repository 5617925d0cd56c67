"""The harness's command line: runs and their figures; the exit code is 1 where anything is wrong.

python -m tests.chaos_sink               CI's set: one run, 20 kills
python -m tests.chaos_sink --full        20 runs, 500 kills; in the first an answer is later than any sink waits
"""

import argparse
import sys
import tempfile
import uuid
from pathlib import Path
from random import SystemRandom
from time import monotonic

from deploy.broker import start_broker
from tests.chaos_sink.comparison import Report
from tests.chaos_sink.run import Size, prepared

CI = [Size(2_500, kills=20)]
FULL = [Size(3_000, kills=25, late_s=65.0 if number == 0 else 3.0) for number in range(20)]
"""A sink waits 60 s for an answer."""


def main() -> int:
    """0 where nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos_sink", description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="500 kills")
    parser.add_argument("--seed", type=int, help="the seed of an earlier run, and how all after it are counted")
    parser.add_argument("--keep", type=Path, help="a directory for the sinks' data and logs, which stays")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else SystemRandom().randrange(1 << 31)
    began = monotonic()
    broker = start_broker()
    try:
        with tempfile.TemporaryDirectory(prefix="chaos-sink-") as temporary:
            folder = given.keep or Path(temporary)
            sizes = FULL if given.full else CI
            reports = [_report(broker.bootstrap, folder, seed + number, size) for number, size in enumerate(sizes)]
    finally:
        broker.stop()
    print(f"== {len(reports)} runs, {monotonic() - began:.0f} s\n{sum(reports[1:], reports[0]).table()}")
    is_right = all(report.is_right for report in reports)
    print("all right" if is_right else "WRONG")
    return 0 if is_right else 1


def _report(bootstrap: str, folder: Path, seed: int, size: Size) -> Report:
    print(f"== seed {seed}", flush=True)
    prefix = f"chaos-sink-{uuid.uuid4().hex[:8]}."
    with prepared(bootstrap, prefix, folder / str(seed), seed, size) as run:
        run.hurt()
        report = run.finish()
    print(report.table(), flush=True)
    return report


if __name__ == "__main__":
    sys.exit(main())
