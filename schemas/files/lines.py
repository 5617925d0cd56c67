"""Lines: a text file, piece by piece, split at its newlines.

A line above the limit is skipped without being held. Where the stream is broken, the lines before are delivered and
the partial line is part of the fault. Lines keep what stands before their newline, a carriage return included.
"""

from collections.abc import Iterator
from typing import NamedTuple

from schemas.codecs.batch import MIB, Cutting, Fault, Limits
from schemas.codecs.compression import BrokenStreamError
from schemas.codecs.fields import Refusal
from schemas.rejection import Reason

_WAITING_BYTES = MIB


class Lines(NamedTuple):
    """Lines that follow each other: `first` is the number of the first, from 1.

    `unterminated` is set where there is one line, the file's last, without a newline.
    """

    texts: list[bytes]
    first: int
    unterminated: bool = False

    def filled(self) -> tuple[list[bytes], list[int]]:
        """The lines that are not blank, and their numbers."""
        if all(map(bytes.strip, self.texts)):
            return self.texts, list(range(self.first, self.first + len(self.texts)))
        filled = [(text, number) for number, text in enumerate(self.texts, self.first) if text.strip()]
        return [text for text, _ in filled], [number for _, number in filled]


class BadLine(NamedTuple):
    """A line, or the end of a broken file, that cannot be read."""

    fault: Fault
    number: int


def lines_of(pieces: Iterator[bytes], limits: Limits) -> Iterator[Lines | BadLine]:
    """The lines of a text, some thousands at a time."""
    splitter = _Splitter(limits)
    try:
        for piece in pieces:
            yield from splitter.split(piece)
    except BrokenStreamError as error:
        yield from splitter.broken(error.refusal)
        return
    yield from splitter.ended()


class _Splitter:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: list[bytes] = []
        self._size = 0
        self._first = 1
        self._tail = b""
        self._long: Cutting | None = None

    def split(self, piece: bytes) -> Iterator[Lines | BadLine]:
        """What one more piece completes."""
        if self._long:
            end, newline, piece = piece.partition(b"\n")
            self._long.add(end)
            if not newline:
                return
            yield from self._oversized()
        data = self._tail + piece
        *texts, self._tail = data.split(b"\n")
        if texts and len(data) > self._limits.max_line_bytes < max(map(len, texts)):
            yield from self._some_oversized(texts)
        else:
            self._waiting += texts
        self._size += len(data) - len(self._tail)
        if self._size >= _WAITING_BYTES:
            yield from self._lines()
        if len(self._tail) > self._limits.max_line_bytes:
            self._long, self._tail = Cutting(self._limits.original_cap).add(self._tail), b""

    def ended(self) -> Iterator[Lines | BadLine]:
        """What the end of the file completes."""
        if self._long:
            yield from self._oversized()
        yield from self._lines()
        if self._tail:
            yield Lines([self._tail], self._first, unterminated=True)

    def broken(self, refusal: Refusal) -> Iterator[Lines | BadLine]:
        """What is left where the stream is broken: complete lines, then the fault with the partial line."""
        yield from self._lines()
        partial = (self._long or Cutting(self._limits.original_cap)).add(self._tail)
        yield BadLine(Fault(refusal, partial.cut()), self._first)

    def _lines(self) -> Iterator[Lines]:
        if self._waiting:
            yield Lines(self._waiting, self._first)
            self._first += len(self._waiting)
        self._waiting, self._size = [], 0

    def _some_oversized(self, texts: list[bytes]) -> Iterator[Lines | BadLine]:
        for text in texts:
            if len(text) > self._limits.max_line_bytes:
                self._long = Cutting(self._limits.original_cap).add(text)
                yield from self._oversized()
            else:
                self._waiting.append(text)

    def _oversized(self) -> Iterator[Lines | BadLine]:
        """The long line, which has now ended, after the lines before it."""
        yield from self._lines()
        if self._long:
            what = f"a line of {self._long.size} bytes is above the limit of {self._limits.max_line_bytes}"
            refusal = Refusal(Reason.OVERSIZED, f"{what}. Write one record a line, or raise the limit if it is meant")
            yield BadLine(Fault(refusal, self._long.cut()), self._first)
        self._long = None
        self._first += 1
