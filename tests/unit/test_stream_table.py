"""The table: a store that its changelog restores, whatever compaction has left of it."""

from collections.abc import Iterable, Mapping, Sequence

import pytest

from agents.stream.table import Applied, Change, Counts, Owner, Place, Sweep, Table
from pipeline.entries import Key, entry_key
from pipeline.terms import FOREVER
from tests.simulation.disk import Disk, DiskStore

OWNER = Owner("cluster", {"usage": "1"}, 3, 4, 2)
A, B, C, D = (bytes([number]) * 16 for number in range(4))


def table_over(disk: Disk) -> Table:
    return Table(DiskStore(disk, lambda _: None))


class Changelogged:
    """A table, and the changelog of what it has written."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.table = table_over(self.disk)
        self.changelog: list[Change] = []

    def write(
        self, records: Mapping[bytes, bytes], last_end: int = 0, dropped: Iterable[int] = (), **other: bytes | None
    ) -> None:
        """One transaction: entries of usage records, and other keys."""
        changes: dict[Key, bytes | None] = {entry_key(identity): entry for identity, entry in records.items()}
        changes |= {name.encode(): value for name, value in other.items()}
        entries = self.table.entries(changes, last_end, dropped)
        self.changelog += entries
        self.table.write(entries, Place(len(self.changelog)))

    def compacted(self) -> list[Change]:
        """The last entry of each key, where it stands, and no tombstones."""
        last = {key: number for number, (key, _) in enumerate(self.changelog)}
        return [
            entry for number, entry in enumerate(self.changelog) if last[entry[0]] == number and entry[1] is not None
        ]


def restored(changelog: Sequence[Change], place: int, run: int) -> Disk:
    """A new store, restored in runs of so many entries."""
    disk = Disk()
    table = table_over(disk)
    for start in range(0, len(changelog), run):
        table.write(changelog[start : start + run], Place(min(start + run, place)))
    table.write([], Place(place))
    return disk


def lively() -> Changelogged:
    """Records that are corrected later, packs dropped whole, in part and in the transaction that keeps the rest."""
    live = Changelogged()
    live.table.begin(OWNER)
    live.write({A: b"a1", B: b"b1"}, 10, p1=b"x")
    live.write({C: b"c1"}, 20, p2=b"y")
    live.write({A: b"a2"}, 30, p1=None)
    live.write({}, dropped=[0])
    live.write({C: b"c1", D: b"d1"}, 40, dropped=[1], p1=b"z")
    live.write({D: b"d2"}, 50, p2=None)
    return live


@pytest.mark.parametrize("run", [1, 2, 3, 100])
@pytest.mark.parametrize("is_compacted", [False, True])
def test_the_changelog_alone_restores_the_store(run: int, is_compacted: bool) -> None:
    live = lively()
    changelog = live.compacted() if is_compacted else live.changelog
    assert restored(changelog, len(live.changelog), run).values == live.disk.values


@pytest.mark.parametrize("start", range(6))
def test_entries_that_a_store_has_already_change_nothing(start: int) -> None:
    live = lively()
    before = dict(live.disk.values)
    begins = [number for number, (key, _) in enumerate(live.changelog) if key == b"@"]
    live.table.write(live.changelog[[0, *(at + 1 for at in begins)][start] :], live.table.place)
    assert live.disk.values == before


def test_a_record_is_read_without_the_number_of_its_pack() -> None:
    live = lively()
    assert [live.table.get(entry_key(identity)) for identity in (A, B, C, D)] == [b"a2", None, b"c1", b"d2"]
    assert live.table.get_many([entry_key(B), entry_key(A)]) == [None, b"a2"]
    assert live.table.get(b"p1") == b"z"
    assert live.table.get(b"p2") is None
    assert [key for key, _ in live.table.scan(b"p")] == [b"p1"]


def test_an_oldest_pack_holds_only_what_was_not_written_again() -> None:
    live = Changelogged()
    assert live.table.oldest_pack() is None
    live.write({A: b"a1", B: b"b1"}, 10)
    live.write({A: b"a2"}, 20)
    pack = live.table.oldest_pack()
    assert pack is not None
    assert (pack.number, pack.last_end, pack.records) == (0, 10, [(B, b"b1")])


def test_dropping_a_pack_deletes_only_what_is_still_in_it() -> None:
    live = Changelogged()
    live.write({A: b"a1", B: b"b1"}, 10)
    live.write({A: b"a2"}, 20)
    live.write({}, dropped=[0])
    assert live.table.get(entry_key(A)) == b"a2"
    assert live.table.get(entry_key(B)) is None
    pack = live.table.oldest_pack()
    assert pack is not None
    assert pack.number == 1
    live.write({}, dropped=[1])
    assert live.table.oldest_pack() is None
    assert not [key for key in live.disk.values if key.startswith((b"d", b"u"))]


def test_tombstones_within_one_run() -> None:
    table = table_over(disk := Disk())
    source = Changelogged()
    source.write({A: b"a1"}, 10, p1=b"x", p2=b"x")
    source.write({A: b"a2", B: b"b1"}, 20, p1=None, p2=None)
    source.write({}, dropped=[0], p2=b"again")
    source.write({B: b"b2"}, dropped=[1])
    table.write(source.changelog, Place(9))
    assert disk.values == {**source.disk.values, b"!place": disk.values[b"!place"]}
    assert (table.get(b"p1"), table.get(b"p2")) == (None, b"again")
    assert (table.get(entry_key(A)), table.get(entry_key(B))) == (None, b"b2")


def test_a_tombstone_of_a_pack_that_compaction_took_before() -> None:
    table = table_over(disk := Disk())
    table.write([(b"u" + bytes(8), None), (b"p1", None)], Place(2))
    assert set(disk.values) == {b"!place"}


def test_only_the_end_of_the_oldest_pack_is_remembered() -> None:
    live = Changelogged()
    assert live.table.first_end == FOREVER
    live.write({A: b"a1"}, 30)
    assert live.table.first_end == 30
    live.write({B: b"b1"}, 10)
    assert live.table.first_end == 30
    live.write({}, dropped=[0])
    assert live.table.first_end == 10
    live.write({C: b"c1"}, 50, dropped=[1])
    assert live.table.first_end == 50
    live.write({}, dropped=[2])
    assert live.table.first_end == FOREVER
    assert table_over(live.disk).first_end == FOREVER


def test_what_changes_no_record_makes_no_pack() -> None:
    live = Changelogged()
    live.write({}, p1=b"x")
    live.write({A: b"a1"})
    assert [key for key, _ in live.changelog] == [b"p1", b"@", b"u" + bytes(8), b"@"]
    assert live.table.applied.packs == 1


def test_how_far_the_inputs_have_been_applied_is_stored_with_them() -> None:
    live = Changelogged()
    assert (live.table.applied, live.table.place) == (Applied(), Place())
    applied = live.table.applied
    applied.usage, applied.index, applied.reached = 7, 3, -(1 << 63)
    applied.counts = Counts(received=9, accepted=8, rejected=1)
    applied.sweeps.append(Sweep(5, "2024-01", cursor=b"\x92"))
    entries = live.table.entries({}, 0)
    assert table_over(live.disk).applied == Applied()
    live.table.write(entries, Place(4, 99))
    again = table_over(live.disk)
    assert again.applied == applied
    assert again.place == Place(4, 99)
    assert [key for key, _ in entries] == [b"@"]


def test_the_place_is_the_stores_own() -> None:
    live = lively()
    assert live.table.place == Place(len(live.changelog))
    assert not [key for key, _ in live.changelog if key.startswith(b"!")]


def test_reloading_reads_what_somebody_else_has_written() -> None:
    live = lively()
    table = table_over(disk := Disk())
    assert table.first_end == FOREVER
    disk.values.update(live.disk.values)
    table.reload()
    assert (table.applied, table.place) == (live.table.applied, live.table.place)
    assert table.first_end == live.table.first_end == 30


def test_a_new_state_says_once_whose_it_is() -> None:
    live = Changelogged()
    live.table.begin(OWNER)
    assert live.table.owner is None
    live.write({}, p1=b"x")
    live.write({}, p1=b"y")
    assert live.table.owner == OWNER
    assert [key for key, _ in live.changelog].count(b"@owner") == 1
    assert table_over(restored(live.changelog, 4, 1)).owner == OWNER
