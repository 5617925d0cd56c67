"""Offline: usage files become charges and statements without a directory, and nothing is remembered.

All records are taken first and rated in the order of their event time, so the result depends on which records there
are and not on the order of the files or of the lines. Every period that holds usage is closed; the ones that usage
had not yet passed are marked incomplete.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.intake_log import Tally
from pipeline.entries import Key
from pipeline.ledger import Ledger
from pipeline.processing import Outcome, Pipeline
from pipeline.terms import Plans
from schemas.codecs import UsageBatch
from schemas.files import NO_MAPPING, ColumnMapping, read_usage
from schemas.rejection import Rejection
from schemas.usage import UsageRecord


@dataclass(frozen=True, slots=True)
class Rated:
    """What the files came to; rejections in the order in which they were read."""

    outcome: Outcome
    rejections: list[Rejection]
    tally: Tally


class MemoryStore:
    """A store that begins empty and ends with the process."""

    def __init__(self) -> None:
        self._values: dict[Key, bytes] = {}

    def get(self, key: Key) -> bytes | None:
        """The value, or None."""
        return self._values.get(key)

    def get_many(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """The values of the keys, in their order."""
        return [self._values.get(key) for key in keys]


def rate_files(paths: Iterable[Path], plans: Plans, received: int, mapping: ColumnMapping = NO_MAPPING) -> Rated:
    """Rate the files. Raises OSError where one cannot be read."""
    batches = [batch for path in paths for batch in read_usage(path, mapping=mapping)]
    places = sorted(
        ((batch, index) for batch in batches for index in range(len(batch.records))),
        key=lambda place: event_order(place[0].records[place[1]]),
    )
    pipeline = Pipeline(Ledger(plans, MemoryStore()), closes=False)
    outcome = pipeline.process([batch.records[index] for batch, index in places], [received] * len(places))
    for tenant, account in plans.accounts():
        state = pipeline.ledger.account(tenant, account)
        if state is not None:
            pipeline.close_all(state, outcome)
    return _rated(batches, places, outcome)


def event_order(usage: UsageRecord) -> tuple[object, ...]:
    """By time; what else is in the key only makes the order of simultaneous records certain."""
    return (
        usage.start,
        usage.end,
        usage.corrects or "",
        usage.tenant,
        usage.source,
        usage.account,
        usage.meter,
        usage.id,
        str(usage.quantity),
        usage.unit or "",
        usage.session or "",
        sorted((usage.attributes or {}).items()),
    )


def _rated(batches: list[UsageBatch], places: list[tuple[UsageBatch, int]], outcome: Outcome) -> Rated:
    rejections = [rejection for batch in batches for rejection in batch.rejections]
    for number, refusal in outcome.refusals:
        batch, index = places[number]
        rejections.append(batch.rejection(index, refusal.reason, refusal.message))
    tally = Tally(received=sum(batch.received for batch in batches))
    tally.add_outcome(outcome)
    tally.add_rejections(rejections)
    return Rated(outcome, sorted(rejections, key=lambda r: (r.position.origin, r.position.offset)), tally)
