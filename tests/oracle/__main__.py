"""The oracle's command line: compares an export with the usage files, tariffs and accounts that it is of."""

import argparse
import sys
from pathlib import Path

from tests.oracle.comparison import compare
from tests.oracle.exported import read_export
from tests.oracle.own_side import Question

_SHOWN = 50


def main() -> int:
    """0 where nothing differs, 1 where something does or was not worked out."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--tariffs", type=Path, required=True)
    parser.add_argument("--accounts", type=Path, required=True)
    parser.add_argument(
        "--export", type=Path, required=True, help="a directory, or the JSON lines of `ratestream rate`"
    )
    parser.add_argument(
        "--rate", action="store_true", help="it is of `ratestream rate --out`, which closes every period"
    )
    parser.add_argument("usage", type=Path, nargs="+", help="the usage files, in the order in which they were read")
    given = parser.parse_args()
    by_event_time = given.rate or given.export.is_file()
    report = compare(Question(given.usage, given.tariffs, given.accounts, read_export(given.export), by_event_time))
    print(
        f"{report.received} received = {report.accepted} accepted + {report.duplicates} duplicates + "
        f"{report.rejected} rejected; {report.charges} charges, {report.statements} statements"
    )
    for (account, meter), (records, quantity) in sorted(report.totals.items()):
        print(f"  {account:<16}{meter:<16}{records:>8} records {quantity:>20f}")
    for note in report.notes:
        print(f"note: {note}")
    for finding in report.findings[:_SHOWN]:
        print(f"DIFFERS: {finding}")
    for gap in report.not_worked_out:
        print(f"NOT WORKED OUT: {gap}")
    if report.findings or report.not_worked_out:
        print(f"{len(report.findings)} differences, {len(report.not_worked_out)} things not worked out")
        return 1
    print("no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
