"""Pieces: what the reader of a format hands on, some records at a time."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from schemas.codecs.batch import Cut, Fault
from schemas.codecs.fields import Refusal
from schemas.usage import UsageRecord

Results = Sequence[UsageRecord | Refusal]


class Decoded(NamedTuple):
    """Records and refusals in their order, with what they were before and their lines; the three are parallel."""

    results: Results
    originals: Sequence[bytes | Cut]
    lines: Sequence[int]


class Piece(NamedTuple):
    """`size` records of a file in their order. `read` decodes them: what is skipped on resuming is not decoded."""

    size: int
    read: Callable[[], Decoded]


def text_piece(decode: Callable[[list[bytes]], Results], texts: list[bytes], lines: list[int]) -> Piece:
    """Lines or rows of a text, each decoded by itself."""
    return Piece(len(texts), lambda: Decoded(decode(texts), texts, lines))


def fault_piece(fault: Fault, line: int = 0) -> Piece:
    """A part of the file that could not be read, received and rejected as one record."""
    return Piece(1, partial(Decoded, [fault.refusal], [fault.original], [line]))
