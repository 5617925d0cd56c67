"""Rows: what the messages of a topic's partition come to as tables, in the order in which they are to be inserted.

The same messages always come to the same rows. A message that nothing of ours wrote there, or that no column holds,
raises MessageError, which names it: nothing is left out in silence. Before documents.py and usage.py.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol, TypeVar

import pyarrow as pa

from agents.errors import MessageError
from agents.stream.messages import rejection_of, statements_of
from agents.stream.rejected import REPLAYED_HEADER
from schemas.rejection import Rejection
from schemas.statement import Statement
from sinks.charge_json import charges_from_json
from sinks.errors import Refused
from sinks.rejection_columns import rejections_table
from sinks.statement_columns import statement_lines_table, statements_table, taxes_table


class Message(Protocol):
    """A message of a partition; `timestamp` is when the broker appended it, in milliseconds."""

    @property
    def topic(self) -> str:
        """The full name."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


Tables = Sequence[tuple[str, pa.Table]]
"""Tables by name, in the order of insertion."""


class Rows(NamedTuple):
    """What is to be inserted, and of how many messages from the first on it is."""

    tables: Tables
    taken: int


MakeRows = Callable[[Sequence[Message]], Rows]
"""The rows of as many of the messages as can be stored by now, perhaps none. Raises MessageError."""

N = TypeVar("N")
T = TypeVar("T")


def charge_rows(messages: Sequence[Message]) -> Rows:
    """A row for each charge."""
    values = [message.value or b"" for message in messages]
    return Rows([("charges", _all_of(messages, values, "charge", charges_from_json))], len(messages))


def statement_rows(messages: Sequence[Message]) -> Rows:
    """Statements with their lines and taxes, the statements last: one that can be seen is whole.

    A statement whose last part is still to come is not taken, and nothing after it.
    """
    begins: list[Message] = []
    statements: list[Statement] = []
    taken = 0
    for first, end in _wholes(messages):
        begins.append(messages[first])
        with _reading(messages[first], "statement"):
            parts = [_Part(message.value or b"", message.headers) for message in messages[first:end]]
            (statement,) = statements_of(parts)
        statements.append(statement)
        taken = end
    return Rows(_all_of(begins, statements, "statement", _statement_tables), taken)


class _Part(NamedTuple):
    value: bytes
    headers: Sequence[tuple[str, bytes]]


def _wholes(messages: Sequence[Message]) -> Iterator[tuple[int, int]]:
    """Where each statement begins and ends: the parts of one follow one another."""
    first = 0
    for place, message in enumerate(messages, 1):
        said = dict(message.headers)
        if "part" not in said or said["part"] == said.get("parts", said["part"]):
            yield first, place
            first = place


def _statement_tables(statements: Sequence[Statement]) -> Tables:
    return [
        ("statement_lines", statement_lines_table(statements)),
        ("taxes", taxes_table(statements)),
        ("statements", statements_table(statements)),
    ]


def rejection_rows(messages: Sequence[Message]) -> Rows:
    """A row for each rejection. What marks one as replayed is none."""
    open_ones = [message for message in messages if all(name != REPLAYED_HEADER for name, _ in message.headers)]
    rejections: list[Rejection] = []
    for message in open_ones:
        with _reading(message, "rejection"):
            rejections.append(rejection_of(message.value or b"", message.headers))
    return Rows([("rejected", _all_of(open_ones, rejections, "rejection", rejections_table))], len(messages))


def _all_of(messages: Sequence[Message], read: Sequence[N], what: str, make: Callable[[Sequence[N]], T]) -> T:
    """What `make` makes of all that was read from the messages. Raises MessageError for the first that it refuses."""
    try:
        return make(read)
    except _WRONG:
        for message, noun in zip(messages, read, strict=True):
            with _reading(message, what):
                make([noun])
        raise


@contextmanager
def _reading(message: Message, what: str) -> Iterator[None]:
    """Tells which message is not what it should be. Raises MessageError."""
    try:
        yield
    except _WRONG as error:
        raise MessageError(
            f"{message.topic}[{message.partition}]@{message.offset} is no {what} that can be stored: {error}. Nothing "
            "of its partition is stored from there on. Find out who wrote it, which only workers may; to go on without "
            "it, move the group's offset past it with Kafka's own kafka-consumer-groups."
        ) from error


_WRONG = (ValueError, OverflowError, Refused)
