"""The protocol holds under schedules of faults, and protocols that are wrong are noticed."""

from collections.abc import Coroutine
from contextlib import suppress
from random import Random
from typing import Any, NoReturn

import pytest

from agents.errors import StateError
from agents.stream.table import Owner, Table
from agents.stream.task import Rules, Surroundings
from tests.simulation.disk import DiskStores
from tests.simulation.documents import PARTITION, PARTITIONS
from tests.simulation.process import Fate, SimulatedLog
from tests.simulation.running import Figures, first_noticed, run_all
from tests.simulation.sabotage import SABOTAGE
from tests.simulation.schedule import ProtocolError, Schedule, SimulatedTask

SCHEDULES = 10_000
_ENOUGH = 2000
"""Schedules within which each sabotage has to be noticed."""


def test_no_schedule_loses_or_doubles_anything() -> None:
    total = Figures()
    for figures in run_all(0, SCHEDULES):
        total += figures
        assert not total.failures, "\n".join(total.failures)
    assert total.schedules == SCHEDULES
    assert total.faults > SCHEDULES
    assert total.charges > 5 * SCHEDULES
    assert total.statements > SCHEDULES


@pytest.mark.parametrize("wrong", SABOTAGE)
def test_a_wrong_protocol_is_noticed(wrong: str) -> None:
    assert first_noticed(SABOTAGE[wrong], _ENOUGH), f"{wrong}: nothing was noticed in {_ENOUGH} schedules"


def test_a_store_of_other_topics_is_left_as_it_is() -> None:
    """Even where their changelog would go on at its place."""
    schedule = Schedule(1)
    schedule.run()
    disk = schedule.last_worker.disk
    before = dict(disk.values)
    for other in range(2, 5):
        following = Schedule(other)
        following.run()
        task = SimulatedTask(
            Owner("another", {"usage": "2"}, PARTITION, PARTITIONS, 1),
            SimulatedLog(following.kafka, Fate(), Random(0)),
            DiskStores(disk, lambda _: None),
            _no_partition,
            Rules(stale_us=1, tick_s=1.0),
            Surroundings(_no_failure),
        )
        with pytest.raises(StateError):
            _until_done(task.start())
        assert disk.values == before


def _until_done(running: Coroutine[Any, Any, None]) -> None:
    with suppress(StopIteration):
        while True:
            running.send(None)


def _no_partition(table: Table) -> NoReturn:
    raise ProtocolError(f"a partition was made over {table}")


def _no_failure(error: BaseException, place: str) -> NoReturn:
    raise ProtocolError(place) from error
