"""Pruning: what leaves the state is missed by nobody. Charges and statements are those of a state that keeps it all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.stream.pruning import periods_to_drop, records_to_keep
from agents.stream.table import Place, Table
from pipeline.entries import Key, entry_key, period_key
from pipeline.ledger import Ledger
from pipeline.processing import Outcome, Pipeline
from pipeline.terms import Plans
from schemas.account import Account
from schemas.catalogue import Catalogue
from schemas.instants import DAY_US, to_us
from schemas.rejection import Reason
from schemas.tariff import Tariff
from schemas.usage import UsageRecord
from tests.property.strategies import examples
from tests.simulation.disk import Disk, DiskStore
from tests.small_books import LATER, Json, account, at, graduated, per_unit, reading, tariff

_DAY_S = 86_400


class Run:
    """The pipeline over a table, which lets go of periods and of records when it can, or keeps them."""

    def __init__(
        self, tariffs: Sequence[Tariff], served: Account, *, periods: bool = False, records: bool = False
    ) -> None:
        self.disk = Disk()
        self.table = Table(DiskStore(self.disk, lambda _: None))
        self.plans = Plans(Catalogue.of(tariffs, [served]))
        self._drops_periods, self._drops_records = periods, records
        self.outcome = Outcome()
        self.verdicts: list[Reason | None] = []
        self.restart()

    def restart(self) -> None:
        """Forget everything that is not stored."""
        self.ledger = Ledger(self.plans, self.table)
        self.pipeline = Pipeline(self.ledger)

    def take(self, records: Sequence[UsageRecord]) -> None:
        """One batch, committed."""
        outcome = self.pipeline.process(records, [LATER] * len(records))
        refused = {index: refusal.reason for index, refusal in outcome.refusals}
        self.verdicts += [refused.get(index) for index in range(len(records))]
        self._commit(outcome)

    def close_all(self) -> None:
        """Close every period with usage."""
        outcome = Outcome()
        self.pipeline.close_all(self._state, outcome)
        self._commit(outcome)

    @property
    def _state(self):
        state = self.ledger.account("default", "home")
        assert state is not None
        return state

    def _commit(self, outcome: Outcome) -> None:
        self.outcome.charges += outcome.charges
        self.outcome.statements += outcome.statements
        applied = self.table.applied
        applied.reached = max([applied.reached, *(charge.usage_end for charge in outcome.charges)])
        changes: dict[Key, bytes | None] = {}
        dropped: list[int] = []
        if self._drops_periods and outcome.statements:
            changes |= dict.fromkeys(periods_to_drop(self.table, self._state))
        pack = self.table.oldest_pack()
        if self._drops_records and pack is not None:
            changes |= {entry_key(of): stored for of, stored in records_to_keep(pack, self.ledger).items()}
            dropped = [pack.number]
        changes |= self.ledger.changes()
        self.table.write(self.table.entries(changes, applied.reached, dropped), Place())
        self.ledger.committed()


METERS = {
    "power": {"unit": "kWh", "price": graduated(("10", "0.3"), (None, "0.2"))},
    "seats": {"unit": "seat", "negative": "accept", "aggregation": {"function": "level"}, "price": per_unit("3")},
}


@dataclass(frozen=True)
class World:
    tariffs: tuple[Tariff, ...]
    account: Account


lateness = st.sampled_from([0, 5, 20, 70]).map(lambda days: days * _DAY_S)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One or two versions with a lateness of their own, monthly or in shorter periods, with a pause or without."""
    rest: Json = draw(
        st.sampled_from([{}, {"minimum": {"amount": "4"}}, {"surcharges": [{"name": "Levy", "percent": "7.5"}]}])
    )
    late = draw(st.sampled_from(["next-statement", "revision"]))
    counted: Json = {"unit": "message", "usage_of": ["seats"], "aggregation": {"function": "count"}, "price": per_unit("1")}
    versions = []
    for version, since in (("1", "2000-01-01"), ("2", "2024-02-17"), ("3", "2024-03-25"))[: draw(st.sampled_from([1, 1, 2, 3]))]:
        closing = {"grace_s": draw(st.sampled_from([0, _DAY_S])), "lateness_s": draw(lateness), "late": late}
        meters = METERS if draw(st.integers(0, 3)) else {"power": METERS["power"], "count": counted}
        versions.append(tariff(version=version, effective_from=since, meters=meters, closing=closing, **rest))
    entries = draw(
        st.sampled_from(
            [
                (("plan", "2024-01-01", None),),
                (("plan", "2024-01-01", "2024-02-05"), ("plan", "2024-02-25", None)),
                (("plan", "2024-01-01", "2024-02-05"), ("plan", "2024-04-01", None)),
            ]
        )
    )
    more: Json = draw(st.sampled_from([{}, {"cycle": {"every": 10, "unit": "day", "anchor": "2024-01-01"}}, {"cycle": {"unit": "week"}}]))
    if draw(st.booleans()):
        more = {**more, "progressive": {"thresholds": ["5"], "repeat": "5"}}
    return World(tuple(versions), account(*entries, **more))


@st.composite
def months(draw: st.DrawFn) -> list[UsageRecord]:
    """Usage of half a year in its order, with late records, duplicates and corrections of whatever came before."""
    records: list[UsageRecord] = []
    now = at("2024-01-02")
    kinds = st.sampled_from(["new"] * 6 + ["late", "late", "again", "void", "replaced", "early void"])
    ahead: list[UsageRecord] = []
    for number in range(draw(st.integers(5, 30))):
        now += timedelta(hours=draw(st.integers(0, 16)) * 12)
        kind = draw(kinds)
        own = [record for record in records if record.corrects is None]
        if kind in ("again", "void", "replaced") and own:
            chosen = draw(st.sampled_from(own[-8:] if draw(st.booleans()) else own))
            if kind != "again":
                quantity = None if kind == "void" else chosen.quantity and chosen.quantity + 1
                chosen = replace(chosen, id=f"c{number}", quantity=quantity, corrects=chosen.id)
            records.append(chosen)
            continue
        if ahead and draw(st.booleans()):
            records.append(ahead.pop())
            continue
        start = now - timedelta(days=draw(st.integers(1, 80))) if kind == "late" else now
        end = start + timedelta(hours=draw(st.sampled_from([0, 0, 1, 30])))
        meter = draw(st.sampled_from(["power", "power", "seats"]))
        record = reading(f"r{number}", str(draw(st.integers(1, 20))), start, end, meter=meter)
        if kind == "early void":
            ahead.append(record)
            record = replace(record, id=f"c{number}", quantity=None, corrects=record.id)
        records.append(record)
    return records


def batches(records: Sequence[UsageRecord], sizes: Sequence[int]) -> Iterator[Sequence[UsageRecord]]:
    """The records in batches of these sizes, again and again."""
    first = turn = 0
    while first < len(records):
        yield records[first : (first := first + sizes[turn % len(sizes)])]
        turn += 1


@pytest.mark.parametrize(("periods", "usage"), [(True, True), (True, False), (False, True)])
@examples(300)
@given(worlds(), months(), st.lists(st.integers(1, 6), min_size=1, max_size=4), st.booleans())
def test_pruning_changes_no_charge(
    periods: bool, usage: bool, world: World, records: list[UsageRecord], sizes: list[int], restarts: bool
) -> None:
    kept = Run(world.tariffs, world.account)
    pruned = Run(world.tariffs, world.account, periods=periods, records=usage)
    for batch in [*batches(records, sizes), *batches(records, sizes)]:
        for run in (kept, pruned):
            run.take(batch)
            if restarts:
                run.restart()
    for run in (kept, pruned):
        run.close_all()
    assert pruned.outcome.charges == kept.outcome.charges
    assert pruned.outcome.statements == kept.outcome.statements
    for here, there in zip(pruned.verdicts, kept.verdicts, strict=True):
        assert here in (there, Reason.TOO_LATE)
