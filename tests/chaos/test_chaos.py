"""CI's smaller set of the harness; `make chaos` runs the whole one. RATESTREAM_TEST_SEED chooses another seed."""

import os
from pathlib import Path

import pytest

from deploy.broker import Broker
from tests.chaos.run import Size
from tests.chaos.suites import Outcome, Place, fuzz, kills, refusals

SEED = int(os.environ.get("RATESTREAM_TEST_SEED", "20240331"))


@pytest.fixture
def place(broker: Broker, prefix: str, tmp_path: Path) -> Place:
    return Place(broker.bootstrap, tmp_path, broker if broker.ours else None, prefix)


def _assert_right(outcome: Outcome) -> None:
    print(outcome.told())
    assert outcome.is_right, f"seed {SEED}\n{outcome.told()}"


def test_thirty_kills_and_each_crash_point_change_nothing(place: Place) -> None:
    _assert_right(kills(place, SEED, Size(9_000, 200, kills=30, stops=1, crashes_each=1)))


def test_a_worker_that_cannot_write_ends_and_loses_nothing(place: Place) -> None:
    _assert_right(refusals(place, SEED, Size(1_000, 50)))


def test_no_mutant_stops_a_worker(place: Place) -> None:
    _assert_right(fuzz(place, SEED, Size(1_000, 50), 2_000))
