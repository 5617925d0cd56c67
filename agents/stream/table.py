"""Table: the state of one usage partition, with billing periods for windows: keyed, changelogged, restored.

What a transaction changes is a list of changelog entries (a key, and a value or None). The same entries go to the
compacted changelog topic and, once that transaction is committed, to the store on this machine, together with the
changelog's position: so a store is always as it was after some transaction, and the changelog from its position on
brings it up to date. Keys, beside the pipeline's own (pipeline/entries.py) and the documents (succession.py):

    @                 Applied: how far the inputs have been applied, what came of them, and what is still to be closed
    @owner            Owner: the topics that the state belongs to
    u <8 bytes>       a pack: the usage records that one transaction accepted, with the latest end of their usage
    q [tenant, source]  how often in a row a source was rejected (quarantine.py)

In the store, a record's own entry (`d`) begins with the number of its pack, and a pack holds only identities. Keys with
"!" are the store's own: its position in the changelog.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field
from msgspec.msgpack import Decoder, Encoder

from pipeline.entries import Key
from pipeline.ledger import LONG_AGO
from pipeline.terms import FOREVER

Change = tuple[Key, bytes | None]
"""A changelog entry; None deletes the key."""

_APPLIED, _PACKS, _RECORDS = b"@", b"u", b"d"
_OWNER = b"@owner"
_PLACE = b"!place"
_NUMBER = 8  # bytes of a pack's number


class Store(Protocol):
    """Where the state is on this machine: agents.storage.Storage, or a dictionary in tests."""

    def get(self, key: Key) -> bytes | None:
        """The value, or None."""

    def get_many(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """The values of the keys, in their order."""

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[Key, bytes]]:
        """Keys and values that begin with `prefix`, in order, from the first one past prefix + `after`."""

    def write(self, puts: Mapping[Key, bytes], deletes: Iterable[Key] = ()) -> None:
        """Delete, then put, as one."""

    def close(self) -> None:
        """Close it."""


class Sweep(Struct, array_like=True):
    """Closing that goes on in slices: of silent accounts as of an instant, or of a named period; `cursor` is where."""

    as_of: int
    period: str = ""
    tenant: str = ""
    account: str = ""
    cursor: bytes = b""


class Counts(Struct, array_like=True):
    """What became of the usage records of a partition: accepted + duplicates + rejected = received."""

    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    late: int = 0
    charges: int = 0
    statements: int = 0


class Applied(Struct, array_like=True):
    """How far a partition has come. Offsets are of the next message to apply; of it, `index` records are applied.

    `appended` is the append time of the last message applied (microseconds), `reached` the latest event time, `packs`
    the number of the next pack.
    """

    usage: int = 0
    index: int = 0
    accounts: int = 0
    tariffs: int = 0
    commands: int = 0
    appended: int = 0
    reached: int = LONG_AGO
    packs: int = 0
    counts: Counts = field(default_factory=Counts)
    sweeps: list[Sweep] = []


class Place(Struct, array_like=True):
    """Where a store stands: the next changelog offset, and when that was committed (microseconds)."""

    position: int = 0
    committed: int = 0


class Owner(Struct, array_like=True, frozen=True):
    """What a state belongs to, so that it is never taken for that of other topics."""

    cluster_id: str
    topic_ids: dict[str, str]
    partition: int
    partitions: int
    layout: int


Records = list[tuple[bytes, bytes]]
"""Identities and entries of usage records."""

_encode = Encoder().encode
_decode_applied = Decoder(Applied, strict=False).decode
_decode_place = Decoder(Place).decode
_decode_owner = Decoder(Owner).decode
_decode_pack = Decoder(tuple[int, Records]).decode
_decode_index = Decoder(tuple[int, list[bytes]]).decode


class Pack(Struct, frozen=True):
    """The usage records that one transaction accepted, as far as they have not been written again since."""

    number: int
    last_end: int
    records: Records


class Table:
    """The state of one partition, over the store that holds it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._new_owner: Owner | None = None
        self.reload()

    def reload(self) -> None:
        """Read what is kept in memory from the store again."""
        self._first_end: int | None = None
        stored, place = self._store.get(_APPLIED), self._store.get(_PLACE)
        self.applied = _decode_applied(stored) if stored is not None else Applied()
        self.place = _decode_place(place) if place is not None else Place()

    @property
    def owner(self) -> Owner | None:
        """What the state belongs to; None for a new one."""
        stored = self._store.get(_OWNER)
        return None if stored is None else _decode_owner(stored)

    def begin(self, owner: Owner) -> None:
        """Say what a new state belongs to; its first entries tell it."""
        self._new_owner = owner

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def get(self, key: Key) -> bytes | None:
        """The value, or None."""
        value = self._store.get(key)
        return value if value is None or not key.startswith(_RECORDS) else value[_NUMBER:]

    def get_many(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """The entries of many usage records, in the order of their keys."""
        return [value and value[_NUMBER:] for value in self._store.get_many(keys)]

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[Key, bytes]]:
        """Keys and values that begin with `prefix`, in order, from the first one past prefix + `after`."""
        return self._store.scan(prefix, after)

    @property
    def first_end(self) -> int:
        """The latest end of the usage in the oldest pack; where there is none, an instant that never comes."""
        if self._first_end is None:
            first = next(self._store.scan(_PACKS), None)
            self._first_end = FOREVER if first is None else _decode_index(first[1])[0]
        return self._first_end

    def oldest_pack(self) -> Pack | None:
        """The first pack; None where there is none."""
        for key, value in self._store.scan(_PACKS):
            last_end, identities = _decode_index(value)
            number = key[len(_PACKS) :]
            stored = self._store.get_many([_RECORDS + identity for identity in identities])
            records = [
                (identity, entry[_NUMBER:])
                for identity, entry in zip(identities, stored, strict=True)
                if entry is not None and entry.startswith(number)
            ]
            return Pack(int.from_bytes(number, "big"), last_end, records)
        return None

    def entries(self, changes: Mapping[Key, bytes | None], last_end: int, dropped: Iterable[int] = ()) -> list[Change]:
        """What a transaction changes, as changelog entries; `last_end` is the latest end of the usage it accepted.

        `dropped` are packs whose records are gone, or among the changes. How far the inputs have been applied goes with
        it.
        """
        entries: list[Change] = [(_pack_key(number), None) for number in dropped]
        if self._new_owner is not None:
            entries.append((_OWNER, _encode(self._new_owner)))
            self._new_owner = None
        records: Records = []
        for key, value in changes.items():
            if value is not None and key.startswith(_RECORDS):
                records.append((key[len(_RECORDS) :], value))
            else:
                entries.append((key, value))
        if records:
            entries.append((_pack_key(self.applied.packs), _encode((last_end, records))))
            self.applied.packs += 1
        entries.append((_APPLIED, _encode(self.applied)))
        return entries

    def write(self, entries: Iterable[Change], place: Place) -> None:
        """Bring committed changelog entries, in their order, to the store; `place` is where the changelog goes on."""
        puts: dict[Key, bytes] = {}
        deletes: dict[Key, None] = {}
        for key, value in entries:
            if key.startswith(_PACKS):
                self._write_pack(key, value, puts, deletes)
                if value is None or self._first_end == FOREVER:
                    self._first_end = None  # to be read again
            elif value is None:
                puts.pop(key, None)
                deletes[key] = None
            else:
                puts[key] = value
        puts[_PLACE] = _encode(place)
        self._store.write(puts, deletes)
        self.place = place

    def _write_pack(self, key: Key, value: bytes | None, puts: dict[Key, bytes], deletes: dict[Key, None]) -> None:
        number = key[len(_PACKS) :]
        if value is not None:
            last_end, records = _decode_pack(value)
            for identity, entry in records:
                puts[_RECORDS + identity] = number + entry
            puts[key] = _encode((last_end, [identity for identity, _ in records]))
            return
        index = puts.pop(key, None) or self._store.get(key)
        deletes[key] = None
        identities = [] if index is None else _decode_index(index)[1]
        for identity, stored in zip(
            identities, self._store.get_many([_RECORDS + identity for identity in identities]), strict=True
        ):
            record = _RECORDS + identity
            current = puts.get(record, stored)
            if current is not None and current.startswith(number):
                puts.pop(record, None)
                deletes[record] = None


def _pack_key(number: int) -> Key:
    return _PACKS + number.to_bytes(_NUMBER, "big")
