"""Expected: what a usage topic, read from its start, has to come to.

The order of an account's messages in the log decides what is late, a duplicate or already corrected; everything else
was known when the messages were made. A command in the log takes effect where it stands.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.chaos.book import Customer, partition_of
from tests.chaos.message import Doubtful, Message, Refused
from tests.chaos.model import AccountModel, DueCharge, DueStatement

_ANY = "any"
Place = tuple[int, int, int]
"""Partition, offset, and the number of the record within its message."""


class Logged(NamedTuple):
    """One message of the usage topic: one that was sent, or the command to close the periods up to `closes`."""

    partition: int
    offset: int
    message: Message | None
    closes: str = ""


@dataclass
class Expected:
    """What has to be found. `rejections` by place; a reason "" stands for any."""

    charges: list[DueCharge] = field(default_factory=list)
    statements: list[DueStatement] = field(default_factory=list)
    rejections: dict[Place, str] = field(default_factory=dict)
    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    late: int = 0

    @property
    def reasons(self) -> Counter[str]:
        """How often each reason has to be given."""
        return Counter(self.rejections.values())


def expected(
    log: Iterable[Logged],
    customers: Iterable[Customer],
    partitions: int = 1,
    is_rejected: Callable[[Place], bool] = lambda _: False,
) -> Expected:
    """What the log has to come to; `is_rejected` tells what became of a doubtful record, and all else follows."""
    models = {(customer.tenant, customer.account): AccountModel(customer) for customer in customers}
    found = Expected()
    for entry in log:
        if entry.closes:
            for model in models.values():
                if partition_of(model.customer.key, partitions) == entry.partition:
                    model.close_through(entry.closes)
            continue
        for place, reason in _fates(entry, models, is_rejected):
            found.received += 1
            if reason:
                found.rejections[place] = "" if reason == _ANY else reason
    for model in models.values():
        found.charges += model.charges
        found.statements += model.statements
        found.accepted += model.accepted
        found.duplicates += model.duplicates
        found.late += model.late
    return found


def _fates(
    entry: Logged, models: dict[tuple[str, str], AccountModel], is_rejected: Callable[[Place], bool]
) -> Iterator[tuple[Place, str]]:
    """Each record of a message, and the reason why it is not accepted, "" where it is."""
    for index, content in enumerate(entry.message.contents if entry.message else ()):
        place = (entry.partition, entry.offset, index)
        if isinstance(content, Refused):
            yield place, content.reason or _ANY
        elif isinstance(content, Doubtful) and is_rejected(place):
            yield place, _ANY
        else:
            reading = content.reading if isinstance(content, Doubtful) else content
            yield place, models[reading.tenant, reading.account].take(reading)
