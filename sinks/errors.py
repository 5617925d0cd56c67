"""What can go wrong with a sink, as one small tree.

SinkError
├── Unreachable      no answer; the same call may succeed later
│   └── Occupied     another process owns the embedded database
├── TimedOut         it took longer than allowed
├── NoSpace          the disk is full
├── Busy             out of memory, too many queries or parts; the same call may succeed later
├── Refused          the engine or a check said no; the same call will fail again
│   └── WrongSchema  the database was made by another version of this program
└── Damaged          bytes that should be a table are not
"""
# ruff: noqa: N818 - "except Occupied" reads as what is the case


class SinkError(Exception):
    """Anything that a sink cannot do. The message says what, where and what to do next."""


class Unreachable(SinkError):
    """Nobody answered at the address."""


class Occupied(Unreachable):
    """Another process owns the embedded database: it has one owner at a time."""


class TimedOut(SinkError):
    """The call took longer than its limit. An insert may or may not have been kept: repeat it with its token."""


class NoSpace(SinkError):
    """The disk is full. Nothing of the failed block is visible in a partition that was not finished."""


class Busy(SinkError):
    """The engine is out of memory, or has too many queries or parts at the moment."""


class Refused(SinkError):
    """The engine does not accept the statement or the rows, or a read-only query is not read-only."""


class WrongSchema(Refused):
    """The migrations recorded in the database are not those of this program."""


class Damaged(SinkError):
    """Bytes that should hold a table are cut off or changed."""
