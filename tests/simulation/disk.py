"""Disk: the stores of one machine, in memory. A write happens whole or not at all, and nothing says that it lasts."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from pipeline.entries import Key

Values = dict[Key, bytes]
_REMEMBERED = 4
"""So many writes can be lost with a machine."""

Loss = Literal["nothing", "last writes", "everything"]


@dataclass(eq=False)
class Disk:
    """What a machine has stored, and what it had stored before its last writes."""

    values: Values = field(default_factory=dict)
    before: deque[Values] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def lose(self, loss: Loss, chance: Random) -> None:
        """What the end of a machine may cost."""
        if loss == "everything":
            self.values = {}
        elif loss == "last writes" and self.before:
            self.values = chance.choice(self.before)
        self.before.clear()


class DiskStore:
    """An open store; `reached` hears of the moments before and after each write, where a process may end."""

    def __init__(self, disk: Disk, reached: Callable[[str], None]) -> None:
        self._disk, self._reached = disk, reached

    def get(self, key: Key) -> bytes | None:
        """The value, or None."""
        return self._disk.values.get(key)

    def get_many(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """The values of the keys, in their order."""
        return list(map(self._disk.values.get, keys))

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[Key, bytes]]:
        """Keys and values that begin with `prefix`, in order, from the first one past prefix + `after`."""
        values = self._disk.values
        for key in sorted(key for key in values if key.startswith(prefix) and (not after or key > prefix + after)):
            yield key, values[key]

    def write(self, puts: Mapping[Key, bytes], deletes: Iterable[Key] = ()) -> None:
        """Delete, then put, as one."""
        self._reached("store-before-write")
        disk = self._disk
        disk.before.append(dict(disk.values))
        for key in deletes:
            disk.values.pop(key, None)
        disk.values.update(puts)
        self._reached("store-after-write")

    def close(self) -> None:
        """Close it."""


@dataclass(frozen=True, eq=False)
class DiskStores:
    """Where a process opens its store, and throws it away."""

    disk: Disk
    reached: Callable[[str], None]

    def open(self) -> DiskStore:
        """The store, new where there is none."""
        return DiskStore(self.disk, self.reached)

    def discard(self) -> None:
        """Remove the store."""
        self.reached("store-before-discard")
        self.disk.values = {}
        self.disk.before.clear()
        self.reached("store-after-discard")
