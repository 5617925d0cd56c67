"""The simulation on the command line: `python -m tests.simulation --seed 7 --schedules 1000000`."""

import sys
from argparse import ArgumentParser
from time import monotonic

from tests.simulation.running import Figures, run_all

_TELL_EVERY_S = 10.0


def main() -> int:
    """Run the schedules; the exit code says whether all of them held."""
    parser = ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first schedule")
    parser.add_argument("--schedules", type=int, default=1, help="how many, one seed after the other")
    asked = parser.parse_args()
    began = told = monotonic()
    total = Figures()
    for figures in run_all(asked.seed, asked.schedules):
        total += figures
        if total.failures:
            break
        if monotonic() - told > _TELL_EVERY_S:
            told = monotonic()
            print(_line(total, told - began), flush=True)
    print(_line(total, monotonic() - began))
    for failure in total.failures:
        print(failure)
    return 1 if total.failures else 0


def _line(total: Figures, seconds: float) -> str:
    return (
        f"{total.schedules:,} schedules ({total.schedules / seconds:.0f}/s): {total.faults:,} processes ended or "
        f"stopped, {total.commits:,} commits, {total.records:,} records, {total.charges:,} charges, "
        f"{total.statements:,} statements"
    )


if __name__ == "__main__":
    sys.exit(main())
