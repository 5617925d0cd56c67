"""Avro object container files: a header with the schema, then blocks, each ended by the header's sync marker.

A damaged block is one fault; reading goes on after the next sync marker, which is searched from the block's start, as
its stated size may be what is wrong. Decoding the records inside a block is another matter: avro_usage.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.codecs.avro_schema import CONTAINER, long_bytes
from schemas.codecs.batch import MIB, Cutting, Fault, Limits
from schemas.codecs.compression import BrokenStreamError
from schemas.codecs.fields import Refusal
from schemas.rejection import Reason

_SYNC = 16
_HEADER_LIMIT = MIB
_AGAIN = "Write or transfer the container again"


class Block(NamedTuple):
    """So many records, compressed or not."""

    records: int
    data: bytes


class _EndedError(Exception):
    """The bytes end here."""


class _DamagedError(Exception):
    """These bytes are no container."""

    def __init__(self, what: str, reason: Reason = Reason.UNREADABLE) -> None:
        super().__init__(what)
        self.reason = reason


class Container:
    """The header of one container; iterating gives its blocks and faults, in their order.

    `fault` is set where the header cannot be read: then there are no blocks.
    """

    def __init__(self, pieces: Iterator[bytes], limits: Limits) -> None:
        self._pieces = pieces
        self._limits = limits
        self._data = bytearray()
        self._at = 0
        self._broken: Refusal | None = None
        self._sync = b""
        self.schema = b""
        self.codec = "null"
        self.fault: Fault | None = None
        try:
            self._read_header()
        except (_EndedError, _DamagedError, UnicodeDecodeError) as error:
            self.refuse(self._refusal(error, "the header of the Avro container"))

    def __iter__(self) -> Iterator[Block | Fault]:
        while self.fault is None and self._has(1):
            self._drop()
            try:
                yield self._block()
            except (_EndedError, _DamagedError) as error:
                yield self._resumed(error)
        if self._broken and not self.fault:
            yield Fault(self._broken, b"")

    def refuse(self, refusal: Refusal) -> None:
        """Makes the whole container one fault, before any block was read."""
        self._at = 0
        self.fault = self._rest(refusal, Cutting(self._limits.original_cap))

    def _rest(self, refusal: Refusal, cutting: Cutting) -> Fault:
        while self._has(1):
            cutting.add(bytes(self._data[self._at :]))
            self._at = len(self._data)
            self._drop()
        refusal, self._broken = self._broken or refusal, None
        return Fault(refusal, cutting.cut())

    def _read_header(self) -> None:
        if self._take(4) != CONTAINER:
            raise _DamagedError("does not begin with Obj")
        meta: dict[str, bytes] = {}
        while count := self._long():
            if count < 0:
                self._long()
            for _ in range(abs(count)):
                key = self._take(self._size(_HEADER_LIMIT)).decode()
                meta[key] = self._take(self._size(_HEADER_LIMIT))
                if self._at > _HEADER_LIMIT:
                    raise _DamagedError("is larger than 1 MiB", Reason.OVERSIZED)
        self._sync = self._take(_SYNC)
        self.schema = meta.get("avro.schema", b"")
        self.codec = meta.get("avro.codec", b"null").decode()

    def _block(self) -> Block:
        """The next block. Where this raises, nothing counts as read."""
        start = self._at
        try:
            records = self._long()
            data = self._take(self._size(self._limits.max_block_bytes))
            sync = self._take(_SYNC)
        except (_EndedError, _DamagedError):
            self._at = start
            raise
        if records < 0 or sync != self._sync:
            self._at = start
            raise _DamagedError("does not end with the sync marker")
        return Block(records, data)

    def _resumed(self, error: Exception) -> Fault:
        """The damaged block as a fault, up to and with the next sync marker."""
        refusal = self._refusal(error, "a block of the Avro container")
        cutting = Cutting(self._limits.original_cap)
        while (found := self._data.find(self._sync, self._at)) < 0:
            end = max(self._at, len(self._data) - _SYNC + 1)
            cutting.add(bytes(self._data[self._at : end]))
            self._at = end
            self._drop()
            if not self._has(len(self._data) - self._at + 1):
                return self._rest(refusal, cutting)
        cutting.add(bytes(self._data[self._at : found + _SYNC]))
        self._at = found + _SYNC
        return Fault(refusal, cutting.cut())

    def _refusal(self, error: Exception, place: str) -> Refusal:
        if isinstance(error, _EndedError):
            return Refusal(Reason.TRUNCATED, f"{place} ends in the middle. {_AGAIN}")
        reason = error.reason if isinstance(error, _DamagedError) else Reason.UNREADABLE
        return Refusal(reason, f"{place} {error}. {_AGAIN}")

    def _has(self, size: int) -> bool:
        """Whether so many more bytes are there, getting pieces as needed."""
        while len(self._data) - self._at < size:
            try:
                piece = next(self._pieces, None)
            except BrokenStreamError as error:
                self._broken = error.refusal
                self._pieces = iter(())
                return False
            if piece is None:
                return False
            self._data += piece
        return True

    def _drop(self) -> None:
        """Forgets what was read, now and then, so that a long file needs little memory."""
        if self._at >= MIB or self._at == len(self._data):
            del self._data[: self._at]
            self._at = 0

    def _need(self, size: int) -> None:
        if not self._has(size):
            raise _EndedError

    def _take(self, size: int) -> bytes:
        self._need(size)
        taken = bytes(self._data[self._at : self._at + size])
        self._at += size
        return taken

    def _long(self) -> int:
        number = shift = 0
        while True:
            byte = self._take(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (number >> 1) ^ -(number & 1)
            if shift > 63:
                raise _DamagedError("holds a number of more than 64 bits")

    def _size(self, most: int) -> int:
        size = self._long()
        if size < 0:
            raise _DamagedError("holds a negative size")
        if size > most:
            raise _DamagedError(f"holds {size} bytes in one, above the limit of {most}", Reason.OVERSIZED)
        return size


def container_bytes(schema: bytes, blocks: Iterable[Block], codec: str) -> bytes:
    """A whole container, its blocks already compressed by `codec`. The sync marker is made from schema and codec."""
    sync = hashlib.sha256(codec.encode() + schema).digest()[:_SYNC]
    meta = {"avro.schema": schema, "avro.codec": codec.encode()}
    out = bytearray(CONTAINER + long_bytes(len(meta)))
    for key, value in meta.items():
        out += long_bytes(len(key)) + key.encode() + long_bytes(len(value)) + value
    out += long_bytes(0) + sync
    for block in blocks:
        out += long_bytes(block.records) + long_bytes(len(block.data)) + block.data + sync
    return bytes(out)
