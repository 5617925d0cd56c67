"""Tallies: what a leg's rows come to by group: how many, their exact sum, and the sum of their hashes.

Memory grows with the groups, never with the rows. Two tallies that agree prove that the rows are the same ones; where
they do not, differences.py says which rows differ. Messages that the sink had not committed when ClickHouse was read
may have arrived there or not: a group agrees without them, and with all of them. After shapes.py.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from sinks.reconciliation.shapes import HASHES, Group


class Sums(NamedTuple):
    """How many rows, their sum (integer of SUM_SCALE decimals) and that of their hashes."""

    rows: int = 0
    amount: int = 0
    hashes: int = 0

    def __add__(self, other: "Sums") -> "Sums":  # type: ignore[override] # of sums, not of tuples
        return Sums(self.rows + other.rows, self.amount + other.amount, (self.hashes + other.hashes) % HASHES)


NOTHING = Sums()


class Tally:
    """The sums of each group, added up row by row."""

    def __init__(self) -> None:
        self._groups: dict[Group, list[int]] = {}

    def add(self, group: Group, amount: int, hashed: int) -> None:
        """One more row."""
        sums = self._groups.get(group)
        if sums is None:
            self._groups[group] = [1, amount, hashed]
        else:
            sums[0] += 1
            sums[1] += amount
            sums[2] += hashed

    def put(self, group: Group, sums: Sums) -> None:
        """More rows at once."""
        have = self._groups.setdefault(group, [0, 0, 0])
        for place, value in enumerate(sums):
            have[place] += value

    def join(self, other: "Tally") -> None:
        """All that another has, too."""
        for group in other.groups():
            self.put(group, other.of(group))

    def part(self, takes: Callable[[Group], bool]) -> "Tally":
        """The groups that are taken."""
        part = Tally()
        part._groups = {group: sums for group, sums in self._groups.items() if takes(group)}
        return part

    def of(self, group: Group) -> Sums:
        """The sums of a group, nothing where it has no row."""
        sums = self._groups.get(group)
        return NOTHING if sums is None else Sums(sums[0], sums[1], sums[2] % HASHES)

    def groups(self) -> Collection[Group]:
        """All that have a row."""
        return self._groups.keys()

    def total(self) -> Sums:
        """Of all groups."""
        rows, amount, hashes = map(sum, zip(*self._groups.values(), strict=True)) if self._groups else (0, 0, 0)
        return Sums(rows, amount, hashes % HASHES)


class Compared(NamedTuple):
    """What comparing gave: the groups that do not agree, and how many rows of the others are on the way."""

    suspects: list[Group]
    on_the_way: int


def compare(due: Tally, on_the_way: Tally, found: Tally) -> Compared:
    """Compare what has to be there, and what may be there already, with what is there."""
    suspects: list[Group] = []
    waiting = 0
    for group in sorted({*due.groups(), *on_the_way.groups(), *found.groups()}):
        has, wanted, coming = found.of(group), due.of(group), on_the_way.of(group)
        if has == wanted:
            waiting += coming.rows
        elif has != wanted + coming:
            suspects.append(group)
    return Compared(suspects, waiting)


def batches(suspects: Iterable[Group], tallies: Iterable[Tally], rows: int) -> Iterable[list[Group]]:
    """The groups in batches that hold about so many rows at most; a group that holds more is a batch of its own."""
    sizes: Mapping[Group, int] = {group: sum(tally.of(group).rows for tally in tallies) for group in suspects}
    batch: list[Group] = []
    size = 0
    for group, held in sizes.items():
        if batch and size + held > rows:
            yield batch
            batch, size = [], 0
        batch.append(group)
        size += held
    if batch:
        yield batch
