"""Rejected: what the topic usage-rejected holds, and what of it is still open.

A rejection is open until it has been replayed: then a marker follows it in its partition, a message whose header
`replayed` names the position of what was rejected. Both stay, so that the topic tells what happened.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple

from aiokafka import ConsumerRecord

from agents.errors import BrokerError
from agents.stream.connection import Connection
from agents.stream.messages import Outgoing, rejection_of
from agents.stream.reading import committed, ends
from schemas.rejection import Position, Reason, Rejection

REPLAYED_HEADER = "replayed"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rejections are meant: all that agree with whatever is given."""

    reason: Reason | None = None
    tenant: str = ""
    account: str = ""
    source: str = ""

    def takes(self, rejection: Rejection) -> bool:
        """Whether this rejection is meant."""
        return (
            self.reason in {None, rejection.reason}
            and self.tenant in {"", rejection.tenant}
            and self.account in {"", rejection.account}
            and self.source in {"", rejection.source}
        )


class Rejected(NamedTuple):
    """A rejection, the key of its message, and where in usage-rejected that is."""

    rejection: Rejection
    key: bytes | None
    partition: int
    offset: int


Closed = Mapping[tuple[int, bytes], int]
"""By partition of usage-rejected and the position that a marker names: the offset of the marker."""


class Snapshot(NamedTuple):
    """usage-rejected at one moment: the offsets at which it ended, and its markers."""

    topic: str
    ends: Mapping[int, int]
    closed: Closed

    def is_open(self, rejected: Rejected) -> bool:
        """Whether no marker follows the rejection. (One before it is of an earlier topic of the same name.)"""
        marked = self.closed.get((rejected.partition, _named(rejected.rejection.position)), -1)
        return marked < rejected.offset


async def snapshot(connection: Connection, topic: str, partitions: int) -> Snapshot:
    """usage-rejected as it is now. Raises BrokerError where it cannot be read."""
    until = await ends(connection, topic, partitions)
    closed: dict[tuple[int, bytes], int] = {}
    async for message in committed(connection, topic, until):
        name = _marked(message)
        if name is not None:
            closed[message.partition, name] = message.offset
    return Snapshot(topic, until, closed)


async def rejections(connection: Connection, taken: Snapshot) -> AsyncGenerator[Rejected]:
    """All rejections of the snapshot, open or not, partition by partition."""
    async with aclosing(committed(connection, taken.topic, taken.ends)) as messages:
        async for message in messages:
            if _marked(message) is None:
                yield _rejected(message)


def marker(rejected: Rejected) -> Outgoing:
    """The message that closes the rejection; it belongs into the same partition of usage-rejected."""
    return Outgoing(rejected.key, b"", [(REPLAYED_HEADER, _named(rejected.rejection.position))])


def _named(position: Position) -> bytes:
    """What a marker calls it.

    >>> _named(Position("ratestream.usage", 3, 1093, index=7))
    b'ratestream.usage/3/1093/7'
    """
    return f"{position.origin}/{position.partition}/{position.offset}/{position.index}".encode()


def _marked(message: ConsumerRecord) -> bytes | None:
    return next((value for name, value in message.headers if name == REPLAYED_HEADER), None)


def _rejected(message: ConsumerRecord) -> Rejected:
    try:
        rejection = rejection_of(message.value, message.headers)
    except ValueError as error:
        what = f"{message.topic}[{message.partition}]@{message.offset} is no rejection: {error}"
        raise BrokerError(f"{what}. Find out who wrote it: only workers and replays may") from error
    return Rejected(rejection, message.key, message.partition, message.offset)
