"""Pruning: what leaves the state is missed by nobody. Charges and statements are those of a state that keeps it all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.stream.messages import Tick
from agents.stream.pruning import pack_to_prune, records_to_keep
from agents.stream.table import Pack, Table
from pipeline.entries import Key, entry_key, period_key
from pipeline.ledger import LONG_AGO, Ledger
from pipeline.terms import FOREVER, Plans
from schemas.account import Account
from schemas.catalogue import Catalogue
from schemas.digest import identity
from schemas.instants import DAY_US, SECOND_US, from_us
from schemas.rejection import Reason
from schemas.tariff import Tariff
from schemas.usage import UsageRecord
from tests.property.strategies import examples
from tests.small_books import Json, account, at, graduated, per_unit, reading, tariff, us
from tests.small_partition import SmallPartition

_DAY_S = 86_400
RECEIVED, CLOSED = us("2024-10-01"), us("2024-10-09")
"""When all usage arrives, and when all that is silent is closed."""


class Remembering(Table):
    """A table that forgets neither usage records nor periods."""

    @property
    def first_end(self) -> int:
        """An instant that never comes."""
        return FOREVER

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[Key, bytes]]:
        """No periods are found, so that none is dropped."""
        return iter(()) if prefix.startswith(b"p") else super().scan(prefix, after)


class ForgettingPeriods(Remembering):
    """A table that forgets periods alone."""

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[Key, bytes]]:
        """All that is there."""
        return Table.scan(self, prefix, after)


class ForgettingRecords(Remembering):
    """A table that forgets usage records alone, those of the oldest pack with each commit."""

    @property
    def first_end(self) -> int:
        """An instant that is always past."""
        return LONG_AGO


class Forgetting(Table):
    """A table that forgets all that it can, with each commit."""

    @property
    def first_end(self) -> int:
        """An instant that is always past."""
        return LONG_AGO


POWER: Json = {"unit": "kWh", "price": graduated(("10", "0.3"), (None, "0.2"))}
SEATS: Json = {"unit": "seat", "negative": "accept", "aggregation": {"function": "level"}, "price": per_unit("3")}
COUNT: Json = {
    "unit": "message",
    "usage_of": ["seats"],
    "aggregation": {"function": "count"},
    "price": per_unit("1"),
}


@dataclass(frozen=True)
class World:
    tariffs: tuple[Tariff, ...]
    account: Account


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to three versions with a lateness of their own, monthly or shorter periods, with a pause or without."""
    rest: Json = draw(
        st.sampled_from([{}, {"minimum": {"amount": "4"}}, {"surcharges": [{"name": "Levy", "percent": "7.5"}]}])
    )
    late = draw(st.sampled_from(["next-statement", "revision"]))
    dates = ("2000-01-01", "2024-02-17", "2024-03-25")[: draw(st.sampled_from([1, 1, 2, 3]))]
    versions = [
        tariff(
            version=str(number),
            effective_from=since,
            meters=draw(st.sampled_from([{"power": POWER, "seats": SEATS}] * 3 + [{"power": POWER, "count": COUNT}])),
            closing={
                "grace_s": draw(st.sampled_from([0, _DAY_S])),
                "lateness_s": draw(st.sampled_from([0, 5, 20, 70])) * _DAY_S,
                "late": late,
            },
            **rest,
        )
        for number, since in enumerate(dates)
    ]
    pause = draw(st.sampled_from(["2024-02-05", "2024-02-25", "2024-04-01"]))
    entries = [("plan", "2024-01-01", "2024-02-05"), ("plan", pause, None)]
    cycle: Json = draw(
        st.sampled_from(
            [
                {},
                {"cycle": {"every": 10, "unit": "day", "anchor": "2024-01-01"}},
                {"progressive": {"thresholds": ["5"], "repeat": "5"}},
            ]
        )
    )
    return World(tuple(versions), account(*entries, **cycle))


@st.composite
def months(draw: st.DrawFn) -> list[UsageRecord]:
    """Usage of up to eight months in its order, with late records, duplicates and corrections of what came before."""
    records: list[UsageRecord] = []
    awaited: list[UsageRecord] = []
    now = at("2024-01-02")
    kinds = st.sampled_from(["new"] * 6 + ["late", "late", "again", "void", "replaced", "early void", "awaited"])
    for number in range(draw(st.integers(5, 30))):
        now += timedelta(hours=draw(st.integers(0, 16)) * 12)
        kind = draw(kinds)
        own = [record for record in records if record.corrects is None]
        if kind == "awaited" and awaited:
            records.append(awaited.pop())
        elif kind in ("again", "void", "replaced") and own:
            chosen = draw(st.sampled_from(own[-8:] if draw(st.booleans()) else own))
            quantity = None if kind == "void" else (chosen.quantity or 0) + 1
            corrected = replace(chosen, id=f"c{number}", quantity=quantity, corrects=chosen.id)
            records.append(chosen if kind == "again" else corrected)
        else:
            start = now - timedelta(days=draw(st.integers(1, 80))) if kind == "late" else now
            end = start + timedelta(hours=draw(st.sampled_from([0, 0, 1, 30])))
            meter = draw(st.sampled_from(["power", "power", "seats"]))
            record = reading(f"r{number}", str(draw(st.integers(1, 20))), start, end, meter=meter)
            if kind == "early void":
                awaited.append(record)
                record = replace(record, id=f"c{number}", quantity=None, corrects=record.id)
            records.append(record)
    return records


def batches(records: Sequence[UsageRecord], sizes: Sequence[int]) -> Iterator[Sequence[UsageRecord]]:
    """The records in batches of these sizes, again and again."""
    first = turn = 0
    while first < len(records):
        yield records[first : (first := first + sizes[turn % len(sizes)])]
        turn += 1


def run(
    kind: type[Table], world: World, records: Sequence[UsageRecord], sizes: Sequence[int], *, restarts: bool
) -> SmallPartition:
    """All of it taken in, and all that is silent closed."""
    stream = SmallPartition(kind=kind)
    assert stream.publish(*world.tariffs, world.account) == []
    for batch in batches(records, sizes):
        stream.take(*batch, received=RECEIVED)
        if restarts:
            stream.restart()
    stream.command(Tick(), received=CLOSED)
    return stream


@examples(50)
@given(worlds(), months(), st.lists(st.integers(1, 6), min_size=1, max_size=4), st.booleans())
def test_pruning_changes_no_charge(world: World, records: list[UsageRecord], sizes: list[int], restarts: bool) -> None:
    twice = [*records, *records]
    kept = run(Remembering, world, twice, sizes, restarts=False)
    verdicts = {rejection.position.offset: rejection.reason for rejection in kept.rejections}
    for kind in (Table, ForgettingPeriods, ForgettingRecords, Forgetting):
        pruned = run(kind, world, twice, sizes, restarts=restarts)
        assert pruned.charges == kept.charges
        assert pruned.statements == kept.statements
        found = {rejection.position.offset: rejection.reason for rejection in pruned.rejections}
        changed = {
            offset: found.get(offset) for offset in verdicts | found if found.get(offset) != verdicts.get(offset)
        }
        assert set(changed.values()) <= {Reason.TOO_LATE}
        for offset in changed:  # it, or what it corrects, has come before
            before = {record.id for record in twice[:offset]}
            assert before & {twice[offset].id, twice[offset].corrects}


JANUARY = reading("jan", "1", "2024-01-05")
JANUARY_ENDS, LATENESS_US = us("2024-02-01"), 35 * DAY_US
PLAN = tariff(meters={"power": POWER})
BOTH = tariff(meters={"power": POWER, "sms": {"unit": "message", "price": per_unit("1")}})


def forgetting(kind: type[Table] = Forgetting, plan: Tariff = PLAN) -> SmallPartition:
    stream = SmallPartition(kind=kind)
    assert stream.publish(plan, account()) == []
    return stream


def stored_at(record: UsageRecord) -> Key:
    return entry_key(identity(record.tenant, record.source, record.id))


def is_stored(stream: SmallPartition, record: UsageRecord) -> bool:
    return stored_at(record) in stream.disk.values


@pytest.mark.parametrize(("past_us", "is_kept"), [(-DAY_US, True), (0, True), (SECOND_US, False), (90 * DAY_US, False)])
def test_a_record_goes_when_its_duplicate_would_be_too_late(past_us: int, is_kept: bool) -> None:
    stream = forgetting()
    assert stream.take(JANUARY) == []
    assert stream.take(reading("far", "1", from_us(JANUARY_ENDS + LATENESS_US + past_us))) == []
    assert is_stored(stream, JANUARY) == is_kept
    assert stream.take(JANUARY) == ([] if is_kept else [Reason.TOO_LATE])
    assert [charge.usage_id for charge in stream.charges] == ["jan", "far"]
    duplicates = stream.table.applied.counts.duplicates
    assert duplicates == int(is_kept)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_pruned_record_is_neither_rated_twice_nor_corrected(restarts: bool) -> None:
    stream = forgetting()
    stream.take(JANUARY)
    stream.take(reading("far", "1", "2024-06-05"))
    assert not is_stored(stream, JANUARY)
    if restarts:
        stream.restart()
    others = [
        JANUARY,
        replace(JANUARY, id="void", quantity=None, corrects="jan"),
        replace(JANUARY, id="more", corrects="jan"),
        replace(JANUARY, start=at("2024-01-06"), end=at("2024-01-06")),
    ]
    assert stream.take(*others, JANUARY) == [Reason.TOO_LATE] * 5
    assert [charge.usage_id for charge in stream.charges] == ["jan", "far"]


def test_a_record_of_a_meter_that_is_behind_stays() -> None:
    stream = forgetting(plan=BOTH)
    sms = reading("sms", "1", "2024-01-05", meter="sms")
    stream.take(JANUARY, sms, received=us("2024-01-05"))
    stream.command(Tick(), received=us("2024-03-01"))
    assert len(stream.statements) == 1
    stream.take(reading("far", "1", "2024-06-05"))
    assert (is_stored(stream, JANUARY), is_stored(stream, sms)) == (False, True)
    assert stream.take(sms) == []
    assert stream.table.applied.counts.duplicates == 1


def test_a_record_of_an_open_period_stays() -> None:
    stream = forgetting(plan=BOTH)
    stream.take(JANUARY)
    stream.take(reading("far", "1", "2024-06-05"))
    assert stream.statements == []
    assert is_stored(stream, JANUARY)


def test_a_record_of_two_periods_stays_for_the_second() -> None:
    stream = forgetting()
    long = reading("long", "2", "2024-01-31T12:00", "2024-02-01T12:00")
    stream.take(long)
    stream.take(reading("march", "1", "2024-03-20"))
    assert is_stored(stream, long)
    stream.take(reading("april", "1", "2024-04-20"))
    assert not is_stored(stream, long)
    assert stream.take(long) == [Reason.TOO_LATE]


def test_voids_and_what_they_wait_for_stay() -> None:
    stream = forgetting()
    void = reading("void", None, "2024-01-06", corrects="unheard-of")
    stream.take(JANUARY, void)
    stream.take(reading("far", "1", "2024-06-05"))
    assert (is_stored(stream, JANUARY), is_stored(stream, void)) == (False, True)
    assert is_stored(stream, reading("unheard-of", "1", "2024-01-06"))


def test_what_stays_of_a_pack_moves_to_a_new_one() -> None:
    stream = forgetting()
    march = reading("march", "1", "2024-03-05")
    stream.take(JANUARY, march)
    stream.take(reading("april", "1", "2024-04-02T12:00"))
    assert (b"u" + bytes(8), None) in stream.entries[-1]
    pack = stream.table.oldest_pack()
    assert pack is not None
    assert (pack.number, pack.last_end) == (1, us("2024-04-02T12:00"))
    kept = [identity("default", "default", "march"), identity("default", "default", "april")]
    assert sorted(of for of, _ in pack.records) == sorted(kept)
    assert not is_stored(stream, JANUARY)
    stream.commit()  # moves them on, with no usage of its own
    pack = stream.table.oldest_pack()
    assert pack is not None
    assert (pack.number, pack.last_end, len(pack.records)) == (2, us("2024-04-02T12:00"), 2)


def test_a_pack_is_looked_at_when_most_of_it_may_be_past() -> None:
    stream = forgetting(Table)
    stream.take(JANUARY)
    stream.take(reading("near", "1", from_us(us("2024-01-05") + 66 * DAY_US)))
    assert pack_to_prune(stream.table) is None
    assert is_stored(stream, JANUARY)
    stream.take(reading("far", "1", from_us(us("2024-01-05") + 66 * DAY_US + SECOND_US)))
    assert not is_stored(stream, JANUARY)
    assert pack_to_prune(stream.table) is None


def test_records_of_an_account_that_is_unknown_stay() -> None:
    stream = forgetting(Remembering)
    stream.take(JANUARY)
    stream.take(reading("far", "1", "2024-06-05"))
    entry = stream.table.get(stored_at(JANUARY))
    assert entry is not None
    pack = Pack(0, 0, [(b"of January", entry)])
    nobody = Ledger(Plans(Catalogue.of([PLAN], [])), stream.table)
    assert records_to_keep(pack, nobody) == {b"of January": entry}
    assert records_to_keep(pack, Ledger(Plans(Catalogue.of([PLAN], [account()])), stream.table)) == {}


@pytest.mark.parametrize(("day", "held"), [("05", 3), ("08", 2), ("20", 2)])
def test_closed_periods_go_when_no_record_can_reach_them(day: str, held: int) -> None:
    """January can be reached until 7 March; February is the latest one closed, and March is open."""
    stream = forgetting(Table, BOTH)
    for month in (1, 2, 3):
        for meter in ("power", "sms"):
            stream.take(reading(f"{meter}{month}", "1", f"2024-0{month}-{day}", meter=meter))
    assert [statement.period_start for statement in stream.statements] == [us("2024-01-01"), us("2024-02-01")]
    assert periods_of(stream) == held
    late = stream.take(reading("late", "1", "2024-01-20"))
    assert late == ([] if held == 3 else [Reason.TOO_LATE])


def test_the_latest_closed_period_stays_where_nothing_late_is_taken() -> None:
    """Interim statements of March look for closed periods, too."""
    stream = SmallPartition()
    plan = tariff(meters={"power": POWER}, closing={"lateness_s": 0})
    stream.publish(plan, account(progressive={"thresholds": ["1"], "repeat": "1"}))
    for month in (1, 2, 3):
        for day in (20, 25):
            stream.take(reading(f"{month}-{day}", "5", f"2024-0{month}-{day}"))
    assert stream.statements[-1].period_start == us("2024-03-01")
    starts = [us(f"2024-0{month}-01") for month in (1, 2, 3)]
    held = [period_key("default", "home", start) in stream.disk.values for start in starts]
    assert held == [False, True, True]


def test_a_meter_that_is_behind_holds_its_closed_periods() -> None:
    stream = forgetting(Table, BOTH)
    stream.take(reading("sms", "1", "2024-01-05", meter="sms"), received=us("2024-01-05"))
    for month in range(1, 7):
        stream.take(reading(f"power{month}", "1", f"2024-0{month}-20"), received=us(f"2024-0{month}-20"))
    stream.command(Tick(), received=us("2024-08-20"))
    assert len(stream.statements) == periods_of(stream) == 7
    assert stream.take(reading("late", "1", "2024-01-20", meter="sms")) == []
    assert stream.take(reading("late power", "1", "2024-01-20")) == [Reason.TOO_LATE]


def periods_of(stream: SmallPartition) -> int:
    return sum(key.startswith(b"p") for key in stream.disk.values)


def same_as_remembered(
    versions: Sequence[Tariff], served: Account, *records: UsageRecord, restarts: bool
) -> SmallPartition:
    """All of it taken in one by one; checked against a table that forgets nothing."""
    kept, pruned = (SmallPartition(kind=kind) for kind in (Remembering, Table))
    for stream in (kept, pruned):
        assert stream.publish(*versions, served) == []
    for record in records:
        assert (pruned.take(record), kept.take(record)) == ([], [])
        if restarts:
            pruned.restart()
    assert pruned.charges == kept.charges
    assert pruned.statements == kept.statements
    return pruned


@pytest.mark.parametrize("late", ["next-statement", "revision"])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_period_stays_until_its_late_usage_is_stated(late: str, restarts: bool) -> None:
    """The interim statement of 10 March finds January past, which the one of March goes back to."""
    plan = tariff(meters={"power": POWER}, closing={"grace_s": 0, "lateness_s": 35 * _DAY_S, "late": late})
    days = ["01-05", "02-05", "03-02", "01-20", "03-10", "04-05"]
    records = [reading(f"on {day}", "10", f"2024-{day}") for day in days]
    served = account(progressive={"thresholds": ["5"], "repeat": "5"})
    stream = same_as_remembered([plan], served, *records, restarts=restarts)
    ids = [statement.statement_id.removeprefix("default/home/") for statement in stream.statements]
    assert "2024-03/interim-1" in ids
    assert ids[-1] == "2024-03/1"


@pytest.mark.parametrize("restarts", [False, True])
def test_a_level_outlasts_a_version_without_it(restarts: bool) -> None:
    closing = {"grace_s": 0, "lateness_s": 0}
    versions = [
        tariff(version=str(number), effective_from=since, meters=meters, closing=closing)
        for number, (since, meters) in enumerate(
            [("2000-01-01", {"seats": SEATS}), ("2024-02-01", {"count": COUNT}), ("2024-04-01", {"seats": SEATS})]
        )
    ]
    days = ["01-05", "02-05", "03-02", "04-02", "05-02", "06-02", "07-02"]
    records = [reading(f"on {day}", "10", f"2024-{day}", meter="seats") for day in days]
    stream = same_as_remembered(versions, account(), *records, restarts=restarts)
    assert periods_of(stream) == 2  # the latest closed one and the open one


def test_a_correction_stays_until_the_statement_that_counts_it() -> None:
    """It is of January, on the statement of March; what it corrects comes there, too."""
    plan = tariff(meters={"power": POWER}, closing={"grace_s": 0, "lateness_s": 35 * _DAY_S})
    records = [
        reading("january", "1", "2024-01-05"),
        reading("february", "1", "2024-02-05"),
        reading("march", "1", "2024-03-02"),
        reading("correction", "2", "2024-01-02", corrects="corrected"),
        reading("later", "1", "2024-03-20"),
        reading("corrected", "3", "2024-03-21"),
        reading("april", "1", "2024-04-02"),
    ]
    kept, pruned = (SmallPartition(kind=kind) for kind in (Remembering, Forgetting))
    for stream in (kept, pruned):
        stream.publish(plan, account())
        for record in records:
            assert stream.take(record) == []
    assert pruned.statements == kept.statements
