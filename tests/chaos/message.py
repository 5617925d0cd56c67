"""Message: what a message of a run holds, and what has to become of it.

A record that can be read is a Reading; whether it is accepted, a duplicate or too late follows from the records before
it (model.py). A record that nobody may accept is a Refused with its reason. Where bytes were changed at random, it can
be Doubtful: it is either accepted with the facts that the oracle reads in it, or rejected, but never both or neither.
"""

from dataclasses import dataclass
from typing import NamedTuple

from tests.oracle.record import Reading


class Refused(NamedTuple):
    """A record that cannot be accepted. `reason` "" stands for any."""

    reason: str


class Doubtful(NamedTuple):
    """A record that may be accepted as this, or rejected."""

    reading: Reading


Content = Reading | Refused | Doubtful


@dataclass(frozen=True, slots=True)
class Message:
    """One message to be sent. `misplaced_by` moves it so many partitions from where its key belongs."""

    number: int
    key: bytes
    value: bytes | None
    contents: tuple[Content, ...]
    misplaced_by: int = 0
