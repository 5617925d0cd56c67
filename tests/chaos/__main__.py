"""The harness's command line: runs the suites and prints their figures; the exit code is 1 where anything is wrong.

python -m tests.chaos --kills 30       CI's set
python -m tests.chaos --full           500 kills, each crash point 20 times, 100,000 mutants
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom
from time import monotonic

from deploy.broker import start_broker
from tests.chaos.faust_run import run_faust
from tests.chaos.refused_writes import AUTHORIZER
from tests.chaos.run import Size
from tests.chaos.suites import Outcome, Place, duplicates, fuzz, kills, refusals


def main() -> int:
    """0 where nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=30, help="how often a worker is killed")
    parser.add_argument("--full", action="store_true", help="500 kills, 20 of each crash point, 100,000 mutants")
    parser.add_argument("--seed", type=int, help="the seed of an earlier run")
    parser.add_argument("--brokers", help="HOST:PORT of a broker that is not to be killed, instead of one of its own")
    parser.add_argument("--keep", type=Path, help="a directory for the workers' data and logs, which stays")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else SystemRandom().randrange(1 << 31)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        folder = given.keep or Path(temporary)
        if given.brokers:
            return _run_all(Place(given.brokers, folder), seed, given)
        broker = start_broker(folder / "kafka", properties=AUTHORIZER)
        print(f"broker: {broker.how}", flush=True)
        try:
            return _run_all(Place(broker.bootstrap, folder, broker), seed, given)
        finally:
            broker.stop()


def _run_all(place: Place, seed: int, given: argparse.Namespace) -> int:
    right = True
    began = monotonic()
    for outcome in _outcomes(place, seed, full=given.full, count=given.kills):
        print(f"{outcome.told()}\n  after {monotonic() - began:.0f} s, seed {seed}", flush=True)
        right = right and outcome.is_right
    faults = run_faust(place.bootstrap, f"{place.prefix}faust-{seed}.", place.folder / "faust", seed)
    print(f"== Faust as documented, which has to be wrong\n  {faults}")
    right = right and faults.is_wrong
    print("all right" if right else f"WRONG; again with --seed {seed}")
    return 0 if right else 1


def _outcomes(place: Place, seed: int, *, full: bool, count: int) -> Iterator[Outcome]:
    if full:
        yield kills(place, seed, Size(500_000, 2_000, kills=500, stops=20, crashes_each=20, is_thorough=True))
        yield duplicates(place, seed, Size(50_000, 500, kills=20))
        yield refusals(place, seed, Size(10_000, 200))
        yield fuzz(place, seed, Size(20_000, 200), 100_000)
    else:
        yield kills(place, seed, Size(20_000, 300, kills=count, stops=2, crashes_each=1))
        yield refusals(place, seed, Size(2_000, 50))
        yield fuzz(place, seed, Size(2_000, 50), 2_000)


if __name__ == "__main__":
    sys.exit(main())
