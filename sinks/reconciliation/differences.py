"""Differences: which rows of two sides are missing, extra, doubled or different, each by its name and place.

One side says what has to be there, the other is what came of it. A row of the first that is not due yet may be missing
on the other; it is on the way. After tallies.py, which finds the groups that are worth the look.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from sinks.reconciliation.shapes import Group, Shape

Key = tuple[str, ...]


class Kind(StrEnum):
    """How a row is wrong."""

    MISSING = "missing"
    EXTRA = "extra"
    DOUBLED = "doubled"
    DIFFERENT = "different"
    CLASHING = "clashing"


class Row(NamedTuple):
    """A row: what tells it apart, what it is called, its text, and where it is. `is_due` is of the first side alone."""

    group: Group
    key: Key
    name: str
    text: str
    place: str
    is_due: bool = True


class Difference(NamedTuple):
    """One finding. `places` are all that the row has; `told` says what differs."""

    kind: Kind
    group: Group
    name: str
    places: tuple[str, ...]
    told: str


class Found(NamedTuple):
    """The differences of some groups, and how many rows are on the way."""

    differences: list[Difference]
    on_the_way: int


def differences(shape: Shape, due: Iterable[Row], there: Iterable[Row]) -> Found:
    """Every row that differs."""
    wanted, found = _by_key(due), _by_key(there)
    result: list[Difference] = []
    waiting = 0
    for key in sorted({*wanted, *found}):
        left, right = wanted.get(key, []), found.get(key, [])
        if left and not right and not any(row.is_due for row in left):
            waiting += 1
        else:
            result += _of_key(shape, left, right)
    return Found(sorted(result, key=lambda one: (one.group, one.name)), waiting)


def _by_key(rows: Iterable[Row]) -> dict[Key, list[Row]]:
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault(row.key, []).append(row)
    return found


def _of_key(shape: Shape, due: list[Row], there: list[Row]) -> Iterator[Difference]:
    if not there:
        yield _difference(Kind.MISSING, due, "")
    elif not due:
        yield _difference(Kind.EXTRA, there, "")
    for rows in (due, there):
        if len(rows) > 1:
            yield _difference(Kind.DOUBLED, rows, f"{len(rows)} times")
    if due and there:
        texts = {row.text for row in due}
        for row in there:
            if row.text not in texts:
                yield _difference(Kind.DIFFERENT, [due[0], row], told(shape, due[0].text, row.text))


def told(shape: Shape, one: str, other: str) -> str:
    """In which columns two texts differ, for a reader."""
    return ", ".join(f"{column} {here} and {there}" for column, here, there in shape.differing(one, other))


def _difference(kind: Kind, rows: list[Row], told: str) -> Difference:
    return Difference(kind, rows[0].group, rows[0].name, tuple(row.place for row in rows), told)
