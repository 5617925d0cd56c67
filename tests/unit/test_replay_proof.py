"""Proofs from memory: whatever the worker did, the usage comes to the same again."""

import logging
import random
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.proving.proof import Verdict
from agents.stream.messages import Close, Tick
from agents.stream.partition import Slices
from schemas.account import Account
from schemas.instants import DAY_US, to_us
from schemas.usage import UsageRecord
from tests.property.strategies import World, examples, usage, worlds
from tests.simulation.documents import FIRST_ACCOUNTS
from tests.simulation.schedule import Parts, Schedule
from tests.small_archive import Archive, RememberedPartition
from tests.small_partition import Message

MARKERS = (Tick(), Close("2024-01"), Close("2024-02"), Close("2024-03"))


@examples(30)
@given(worlds(), usage(), st.randoms(use_true_random=False))
def test_whatever_came_when_is_proved(world: World, records: list[UsageRecord], chance: random.Random) -> None:
    """Records in any order, days apart or together; the second version of the tariff and closing in between."""
    rated = RememberedPartition(slices=Slices(chance.choice((1, 2, 512))))
    rated.publish(world.tariffs[0], world.account)
    later = list(world.tariffs[1:])
    left = [*records, *chance.choices(records, k=2)]
    chance.shuffle(left)
    while left:
        together = [left.pop() for _ in range(min(len(left), chance.choice((1, 1, 3))))]
        rated.now = max([rated.now, *(to_us(one.end) for one in together)]) + chance.choice((0, DAY_US))
        if later and chance.random() < 0.3:
            rated.publish(later.pop())
        marked = chance.randrange(-7, len(together) + 1)
        rated.rate(*messages(rated, together, marked, chance.choice(MARKERS)))
        for _ in rated.sweeps():
            pass
    rated.now += 90 * DAY_US
    rated.command(Tick(), rated.now)
    for proof in Archive.of(rated).proofs(world.account):
        assert proof.verdict is Verdict.PROVED, proof


def messages(
    rated: RememberedPartition, records: Sequence[UsageRecord], marked: int, marker: Close | Tick
) -> Iterator[Message]:
    """The records, and before one of them or after all a marker, if `marked` says which."""
    for number, record in enumerate(records):
        if number == marked:
            yield rated.marker(marker, rated.now)
        yield rated.message(record, received=rated.now)
    if marked == len(records):
        yield rated.marker(marker, rated.now)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happened_to_the_workers_is_proved(seed: int) -> None:
    """Simulated schedules: closing that is late, documents taken in early, duplicates, voids, revisions, crashes."""
    logging.disable(logging.CRITICAL)
    try:
        schedule = Schedule(seed, Parts())
        schedule.run()
    finally:
        logging.disable(logging.NOTSET)
    archive = Archive.of_topics(schedule.kafka)
    for document in FIRST_ACCOUNTS:
        for proof in archive.proofs(Account.model_validate_json(document.value or b"")):
            assert proof.verdict is Verdict.PROVED, proof
