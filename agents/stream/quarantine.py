"""Quarantine: a source whose records are rejected one after the other is cut off, while the others go on.

A source that sends nothing but faults for so long is broken: what it gets right by chance is no basis for a bill. From
then on all that it sends is rejected as `quarantined`, kept, until an operator has seen to it and releases it; then it
can be replayed. Rejections that are not the source's own fault (an account that nobody has published yet) do not count.
"""

from collections.abc import Iterable

from msgspec.msgpack import Decoder

from agents.stream.table import Table
from pipeline.entries import Key, pack
from schemas.rejection import Reason

Source = tuple[str, str]
"""Tenant and source."""

NOT_ITS_FAULT = frozenset(
    {Reason.UNKNOWN_ACCOUNT, Reason.UNKNOWN_METER, Reason.NO_TARIFF, Reason.TOO_LATE, Reason.QUARANTINED}
)

_PREFIX = b"q"
_decode_count = Decoder(int).decode
_decode_source = Decoder(tuple[str, str]).decode


class Quarantine:
    """How often in a row each source of a partition was rejected; `after` so many it is cut off, 0 never."""

    def __init__(self, table: Table, after: int) -> None:
        self.after = after
        self._rows: dict[Source, int] = {
            _decode_source(key[len(_PREFIX) :]): _decode_count(value) for key, value in table.scan(_PREFIX)
        }
        self.held: set[Source] = {source for source, count in self._rows.items() if 0 < after <= count}
        self._changed: set[Source] = set()

    @property
    def counts(self) -> bool:
        """Whether any source has a row to be broken."""
        return bool(self._rows)

    def judge(self, found: Iterable[tuple[Source, bool]]) -> list[Source]:
        """Count sources and whether a record of theirs was taken, in order; those that are cut off by it."""
        cut_off = []
        for source, is_taken in found:
            if source in self.held:
                continue
            if is_taken:
                if self._rows.pop(source, 0):
                    self._changed.add(source)
                continue
            self._rows[source] = self._rows.get(source, 0) + 1
            self._changed.add(source)
            if self._rows[source] == self.after:
                self.held.add(source)
                cut_off.append(source)
        return cut_off

    def may_cut_off(self, records: int) -> bool:
        """Whether so many records more could cut a source off."""
        return 0 < self.after <= max(self._rows.values(), default=0) + records

    def reach(self, sources: Iterable[Source]) -> int | None:
        """How many records of these sources, in order, can be judged together: only the last can cut its source off.

        None for all of them.
        """
        rows: dict[Source, int] = {}
        for number, source in enumerate(sources, 1):
            rows[source] = row = rows.get(source, 0) + 1
            if row + self._rows.get(source, 0) == self.after:
                return number
        return None

    def release(self, source: Source) -> None:
        """Take the source's records again."""
        self.held.discard(source)
        if self._rows.pop(source, 0):
            self._changed.add(source)

    def changes(self) -> dict[Key, bytes | None]:
        """What has changed since the last call, as it is to be stored."""
        changes: dict[Key, bytes | None] = {
            _PREFIX + pack(source): pack(self._rows[source]) if source in self._rows else None
            for source in sorted(self._changed)
        }
        self._changed.clear()
        return changes
