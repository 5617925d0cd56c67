"""All cases: what is wrong, and the table. `python -m tests.accuracy`, or `make accuracy`."""

import sys

from tests.accuracy.case import load_cases
from tests.accuracy.checking import check
from tests.accuracy.table import table_lines


def main() -> int:
    """0 where every case is right, 1 where one is not, 2 where the cases cannot be read."""
    try:
        cases = load_cases()
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    verdicts = [check(case) for case in cases]
    for verdict in verdicts:
        if not verdict.right:
            print(verdict.told())
    print("\n".join(table_lines(verdicts)))
    return 0 if all(verdict.right for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
