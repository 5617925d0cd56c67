"""Laws of restarting: what is decided and stored depends on the records and their order, on nothing else.

Not on how the records were batched, and not on what was in memory: a process that is killed after any commit and
started again over its store goes on as if it had never ended.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replace_tariffs
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from pipeline.entries import Key
from pipeline.ledger import Ledger
from pipeline.processing import Outcome
from schemas.instants import DAY_US, to_us
from schemas.tariff import Tariff
from schemas.usage import UsageRecord
from tests.property.strategies import FIRST, World, examples, usage, worlds
from tests.small_books import LATER, Books

METERS = ("power", "gas", "heat")


@dataclass
class Told:
    """Everything that a run told the world."""

    outcome: Outcome = field(default_factory=Outcome)
    changes: list[Mapping[Key, bytes]] = field(default_factory=list)

    def add(self, other: Outcome, before: int) -> None:
        """An outcome of records from the number `before` on."""
        outcome = self.outcome
        outcome.charges += other.charges
        outcome.statements += other.statements
        outcome.refusals += [(before + index, refusal) for index, refusal in other.refusals]
        outcome.accepted += other.accepted
        outcome.duplicates += other.duplicates
        outcome.late += other.late
        outcome.rounded += other.rounded


class Recorder(Books):
    """Books that keep what each commit stored."""

    def __init__(self, world: World) -> None:
        super().__init__(world.tariffs, world.account)
        self.told = Told()

    def step(self, records: Sequence[UsageRecord], before: int, received: int) -> None:
        """Take a batch in and commit it."""
        self.told.add(self.pipeline.process(records, [received] * len(records)), before)
        self.commit()

    def silence(self, now: int) -> None:
        """Close what waits in vain and commit it."""
        outcome = Outcome()
        self.pipeline.close_silent(self.state(), now, to_us(FIRST), outcome)
        self.told.add(outcome, 0)
        self.commit()

    def finish(self) -> None:
        """Close everything, and commit it."""
        outcome = Outcome()
        self.pipeline.close_all(self.state(), outcome)
        self.told.add(outcome, 0)
        self.commit()

    def commit(self) -> None:
        changes = self.pipeline.ledger.changes()
        self.told.changes.append(changes)
        self.store.commit(changes)
        self.pipeline.ledger.committed()


def told(run: Recorder) -> bytes:
    """All charges, statements, refusals and counts, as bytes."""
    return json.encode(run.told.outcome)


@st.composite
def busy_worlds(draw: st.DrawFn) -> World:
    """Worlds of which half have two more meters at the same prices."""
    world = draw(worlds())
    if draw(st.booleans()):
        return world
    return replace_tariffs(world, tariffs=tuple(map(_of_three_meters, world.tariffs)))


def _of_three_meters(tariff: Tariff) -> Tariff:
    document = tariff.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    document["meters"] |= dict.fromkeys(METERS, document["meters"]["power"])
    return Tariff.model_validate(document)


@st.composite
def rough_usage(draw: st.DrawFn) -> list[UsageRecord]:
    """Usage of all meters with corrections, duplicates, ids used again and records that are refused, in any order."""
    records = [replace(r, meter=draw(st.sampled_from(METERS))) for r in draw(usage(most=14))]
    chosen = draw(st.lists(st.sampled_from(records), max_size=6))
    spoiled = [_spoiled(record, draw(st.sampled_from(range(6)))) for record in chosen]
    return draw(st.permutations([*records, *spoiled]))


def _spoiled(record: UsageRecord, how: int) -> UsageRecord:
    match how:
        case 0:
            return replace(record, account="nobody")
        case 1:
            return replace(record, id=f"{record.id}-unit", unit="MWh")
        case 2:
            return replace(record, id=f"{record.id}-meter", meter="water")
        case 3:
            return replace(record, start=record.start + timedelta(days=40), end=record.end + timedelta(days=40))
        case 4:
            return replace(record, id=f"{record.id}-early", start=record.start - timedelta(days=200))
        case _:
            return record


def batches(records: Sequence[UsageRecord], sizes: Sequence[int]) -> Iterator[tuple[int, Sequence[UsageRecord]]]:
    """The records in batches of these sizes, again and again, each with the number of its first."""
    first = turn = 0
    while first < len(records):
        size = sizes[turn % len(sizes)]
        yield first, records[first : first + size]
        first, turn = first + size, turn + 1


sizes_of_batches = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@examples(100)
@given(busy_worlds(), rough_usage(), sizes_of_batches, st.booleans())
def test_batching_and_restarting_change_nothing(
    world: World, records: list[UsageRecord], sizes: list[int], restarts: bool
) -> None:
    """Against one batch of all of it."""
    whole, parts = Recorder(world), Recorder(world)
    whole.step(records, 0, LATER)
    for first, batch in batches(records, sizes):
        parts.step(batch, first, LATER)
        if restarts:
            parts.restart()
    assert told(parts) == told(whole)
    assert meaning(parts) == meaning(whole)
    for run in (whole, parts):
        run.restart()
        run.finish()
    assert told(parts) == told(whole)
    assert meaning(parts) == meaning(whole)


def meaning(run: Recorder) -> object:
    """What the store holds, as a new process reads it.

    Of an account's own entry only what it comes to: it tells how far the meters had come when it was last written,
    which depends on the batches, and the periods tell the rest.
    """
    others = {key: value for key, value in run.store.values.items() if not key.startswith(b"a")}
    state = Ledger(run.plans, run.store).account("default", "home")
    if state is None:
        raise KeyError("home")
    return others, state.open_from, state.watermarks, state.advance, [period.start for period in state.held()]


@examples(100)
@given(busy_worlds(), rough_usage(), sizes_of_batches, st.sets(st.integers(0, 30)))
def test_what_was_in_memory_before_changes_nothing(
    world: World, records: list[UsageRecord], sizes: list[int], restarted_after: set[int]
) -> None:
    """Commit for commit, with silence in between: one process that lives on, one that is killed again and again."""
    kept, killed = Recorder(world), Recorder(world)
    for turn, (first, batch) in enumerate(batches(records, sizes)):
        received = to_us(FIRST) + (100 + 9 * turn) * DAY_US
        for run in (kept, killed):
            run.step(batch, first, received)
            run.silence(received + 2 * DAY_US)
        if not restarted_after or turn in restarted_after:
            killed.restart()
    for run in (kept, killed):
        run.finish()
    assert told(killed) == told(kept)
    assert killed.told.changes == kept.told.changes


@examples(100)
@given(busy_worlds(), rough_usage(), sizes_of_batches, st.data())
def test_a_batch_that_was_not_committed_is_taken_again(
    world: World, records: list[UsageRecord], sizes: list[int], data: st.DataObject
) -> None:
    """Killed after deciding and before the commit: the new process decides the same."""
    kept, killed = Recorder(world), Recorder(world)
    for first, batch in batches(records, sizes):
        kept.step(batch, first, LATER)
        if data.draw(st.booleans()):
            killed.pipeline.process(batch, [LATER] * len(batch))
            killed.restart()
        killed.step(batch, first, LATER)
    assert told(killed) == told(kept)
    assert killed.told.changes == kept.told.changes


@examples(100)
@given(busy_worlds(), rough_usage(), sizes_of_batches)
def test_every_record_is_counted_once(world: World, records: list[UsageRecord], sizes: list[int]) -> None:
    """accepted + duplicates + refused = received; and what was not refused is a duplicate when it comes again."""
    run = Recorder(world)
    for first, batch in batches(records, sizes):
        run.step(batch, first, LATER)
    outcome = run.told.outcome
    assert outcome.accepted + outcome.duplicates + len(outcome.refusals) == len(records)
    refused = {index for index, _ in outcome.refusals}
    taken = [record for index, record in enumerate(records) if index not in refused]
    run.restart()
    again = run.pipeline.process(taken, [LATER] * len(taken))
    assert again.duplicates == len(taken)
    assert (again.charges, again.statements, again.refusals) == ([], [], [])
    assert run.pipeline.ledger.changes() == {}
