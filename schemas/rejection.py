"""Rejection: what was not accepted, from where, why, and what to do about it."""

from enum import StrEnum

from msgspec import Struct


class Reason(StrEnum):
    """The closed list of reasons. A reason is stable: people filter and replay by it."""

    UNREADABLE = "unreadable"  # not JSON, not Avro, bad UTF-8, a row with other columns than the header
    TRUNCATED = "truncated"  # the file or block ends in the middle
    OVERSIZED = "oversized"  # a message, row or decompressed file above its limit
    MISSING_FIELD = "missing-field"
    UNKNOWN_FIELD = "unknown-field"
    WRONG_TYPE = "wrong-type"
    NOT_FINITE = "not-finite"
    NEGATIVE = "negative"
    OUT_OF_RANGE = "out-of-range"
    EXCESS_DECIMALS = "excess-decimals"
    WRONG_UNIT = "wrong-unit"
    NO_ZONE = "no-zone"
    END_BEFORE_START = "end-before-start"
    FUTURE = "future"
    TOO_LATE = "too-late"
    UNKNOWN_ACCOUNT = "unknown-account"
    UNKNOWN_METER = "unknown-meter"
    NO_TARIFF = "no-tariff"
    ID_REUSED = "id-reused"
    ALREADY_CORRECTED = "already-corrected"
    WRONG_CORRECTION = "wrong-correction"
    WRONG_PARTITION = "wrong-partition"  # a message whose key belongs to another partition, or to another account
    QUARANTINED = "quarantined"  # its source sent too much that was rejected, and is not taken until it is released
    INVALID_DOCUMENT = "invalid-document"  # an account, a tariff or a command that cannot be taken


class Position(Struct, frozen=True, gc=False):
    """Where a message came from: a file with its record's number from 0, or a topic, partition and offset.

    `line` is the 1-based line of a text file, 0 where there are no lines. `index` is the number of the record within
    its message, from 0: only a container holds more than one.
    """

    origin: str
    partition: int
    offset: int
    line: int = 0
    index: int = 0

    def __str__(self) -> str:
        if self.line:
            return f"{self.origin}:{self.line}"
        return f"{self.origin}[{self.partition}]@{self.offset}{f'#{self.index}' if self.index else ''}"


class Rejection(Struct, frozen=True, gc=False):
    """One message that was not accepted.

    `original` is what came, cut at a cap; `size` and `sha256` are of all of it.
    """

    reason: Reason
    message: str
    position: Position
    tenant: str
    account: str
    source: str
    usage_id: str
    original: bytes
    size: int
    sha256: str
