"""Replica: one account as the worker of its partition had it, in memory, where steps can be tried and thrown away.

It does to one account what partition.py does to all of a partition, by the same pipeline and documents; what depends on
how much was read together is left to whoever drives it (replay.py).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from agents.stream.documents import Documents, Name, Published
from agents.stream.pruning import pack_to_prune, records_to_keep
from agents.stream.table import Pack, Place, Table
from pipeline.entries import Key, entry_key
from pipeline.ledger import LONG_AGO, AccountState, Ledger
from pipeline.processing import Outcome, Pipeline
from schemas.digest import identity
from schemas.usage import UsageRecord

_RECORDS = b"d"
_NO_RECORD = 0


class Closing(NamedTuple):
    """What a marker asks for: to close what has been silent for too long as of an instant, or a named period."""

    as_of: int
    period: str = ""


class DraftStore:
    """A store in memory, over another one that it leaves as it is until `keep`."""

    def __init__(self, under: "DraftStore | None" = None) -> None:
        self._under = under
        self._records: dict[Key, bytes | None] = {}
        self._others: dict[Key, bytes | None] = {}

    def get(self, key: Key) -> bytes | None:
        """The value, or None."""
        values = self._of(key)
        if key in values or self._under is None:
            return values.get(key)
        return self._under.get(key)

    def get_many(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """The values of the keys, in their order."""
        return [self.get(key) for key in keys]

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[Key, bytes]]:
        """Keys and values that begin with `prefix`, in order, from the first one past prefix + `after`."""
        for key in sorted(self._keys(prefix)):
            value = self.get(key)
            if value is not None and (not after or key > prefix + after):
                yield key, value

    def write(self, puts: Mapping[Key, bytes], deletes: Iterable[Key] = ()) -> None:
        """Delete, then put, as one."""
        for key in deletes:
            if self._under is None:
                self._of(key).pop(key, None)
            else:
                self._of(key)[key] = None
        for key, value in puts.items():
            self._of(key)[key] = value

    def keep(self) -> None:
        """Bring what was written to the store under this one."""
        if self._under is not None:
            changes = {**self._records, **self._others}
            deletes = [key for key, value in changes.items() if value is None]
            self._under.write({key: value for key, value in changes.items() if value is not None}, deletes)

    def close(self) -> None:
        """Nothing is open."""

    def _of(self, key: Key) -> dict[Key, bytes | None]:
        """Records apart from the rest, which is searched by prefix."""
        return self._records if key.startswith(_RECORDS) else self._others

    def _keys(self, prefix: bytes) -> set[Key]:
        own = {key for key in self._of(prefix) if key.startswith(prefix)}
        return own if self._under is None else own | self._under._keys(prefix)  # noqa: SLF001 - of its own kind


class Replica:
    """The account. `needed` are the identities of records that later ones correct, which are never let go of."""

    def __init__(self, name: Name, needed: frozenset[bytes], store: DraftStore | None = None) -> None:
        self.name = name
        self._needed = needed
        self._store = DraftStore() if store is None else store
        self.forget_uncommitted()

    def forget_uncommitted(self) -> None:
        """Go back to what was committed last."""
        self._table = Table(self._store)
        self._documents = Documents(self._table, 0, 1)
        self._begin()

    def _begin(self) -> None:
        self._ledger = Ledger(self._documents.plans, self._table)
        self._pipeline = Pipeline(self._ledger)
        self._last_end = LONG_AGO

    def draft(self) -> "Replica":
        """The same account as of the last commit, to try something."""
        return Replica(self.name, self._needed, DraftStore(self._store))

    def keep(self, draft: "Replica") -> None:
        """Go on from what a draft of this account has committed."""
        draft._store.keep()  # noqa: SLF001 - of its own kind
        self.forget_uncommitted()

    @property
    def state(self) -> AccountState | None:
        """The account's state; None while nobody has published it."""
        return self._ledger.account(*self.name)

    def has(self, source: str, usage_id: str) -> bool:
        """Whether a record has been accepted."""
        entry = self._ledger.find(identity(self.name[0], source, usage_id))
        return entry is not None and not entry.is_awaited

    def rate(self, usage: UsageRecord, received: int) -> Outcome:
        """What one record comes to."""
        return self._noted(self._pipeline.process([usage], [received]))

    def closes(self, closing: Closing) -> bool:
        """Whether there is a period to close now."""
        state = self.state
        if state is None:
            return False
        if not closing.period:
            due = state.silent_after(self._documents.declared(*self.name))
            return due is not None and due <= closing.as_of
        end = _named_end(state, closing)
        return end is not None and state.silent_after(LONG_AGO) is not None and _open_end(state) <= end

    def close(self, closing: Closing) -> Outcome:
        """What closing comes to."""
        outcome = Outcome()
        state = self.state
        if state is not None and not closing.period:
            self._pipeline.close_silent(state, closing.as_of, self._documents.declared(*self.name), outcome)
        elif state is not None:
            end = _named_end(state, closing)
            if end is not None:
                self._pipeline.close_until(state, end, outcome)
        return self._noted(outcome)

    def adopt(self, published: Sequence[Published]) -> list[tuple[Published, str]]:
        """Take documents in, when all else is committed; those that cannot be taken, and why."""
        adoption = self._documents.adopt(published, self._ledger)
        self._write(dict(adoption.changes))
        self._documents.taken(adoption)
        self._begin()
        self._ledger.forget(*self.name)
        return adoption.refused

    def forget_record(self, source: str, usage_id: str) -> bool:
        """Let go of an accepted record that lateness no longer reaches; whether there was one."""
        key = identity(self.name[0], source, usage_id)
        stored = self._table.get(entry_key(key))
        if stored is None or records_to_keep(Pack(_NO_RECORD, 0, [(key, stored)]), self._ledger):
            return False
        self._write({entry_key(key): None})
        return True

    def commit(self) -> None:
        """Keep all that has been done, and let go of records that lateness no longer reaches."""
        changes: dict[Key, bytes | None] = {}
        dropped: list[int] = []
        pack = pack_to_prune(self._table)
        if pack is not None:
            kept = records_to_keep(pack, self._ledger)
            kept |= {key: stored for key, stored in pack.records if key in self._needed}
            changes |= {entry_key(key): stored for key, stored in kept.items()}
            dropped = [pack.number]
            self._last_end = max(self._last_end, self._table.applied.reached if kept else LONG_AGO)
        changes |= self._ledger.changes()
        self._write(changes, dropped)
        self._ledger.committed()
        self._last_end = LONG_AGO

    def _write(self, changes: Mapping[Key, bytes | None], dropped: Iterable[int] = ()) -> None:
        self._table.write(self._table.entries(changes, self._last_end, dropped), Place())

    def _noted(self, outcome: Outcome) -> Outcome:
        ends = [charge.usage_end for charge in outcome.charges]
        self._last_end = max([self._last_end, *ends])
        reached = (*ends, *(statement.period_end for statement in outcome.statements))
        self._table.applied.reached = max([self._table.applied.reached, *reached])
        return outcome


def _named_end(state: AccountState, closing: Closing) -> int | None:
    """The end of the period that is to be closed; None where the account has none of that name, or it goes on."""
    try:
        _, end = state.plan.calendar.period_named(closing.period)
    except ValueError:
        return None  # its billing periods are of another kind
    return end if end <= closing.as_of else None


def _open_end(state: AccountState) -> int:
    return state.plan.calendar.period(state.open_from)[1]
