"""Compression: gzip and zstd streams and the codecs of Avro blocks, read piece by piece within limits.

What a damaged stream held before the damage is delivered first; then BrokenStreamError says what is wrong. A
decompression bomb is such damage, too.
"""

import bz2
import lzma
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

import zstandard

from schemas.codecs.batch import MIB, Limits
from schemas.codecs.fields import Refusal
from schemas.rejection import Reason

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
BLOCK_CODECS = frozenset({"null", "deflate", "zstandard", "bzip2", "xz"})
"""Codecs of Avro containers that are read. (Snappy would need a library of its own.)"""

_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
_ZSTD_SLICE = 1024
"""One byte of zstd can become 32 KiB, and its decoder takes no limit: so small a slice never yields over 40 MiB."""
_ZSTD_WINDOW = 1 << 27


class BrokenStreamError(Exception):
    """A stream ends before its end, is damaged or grows beyond its limit."""

    def __init__(self, reason: Reason, what: str, remedy: str) -> None:
        super().__init__(what)
        self.refusal = Refusal(reason, f"{what}. {remedy}")


_TRANSFER = "Transfer the file again and read it once more: what was accepted before counts once"


class _Counted:
    """Pieces, and how many bytes of them were taken."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.size += len(piece)
            yield piece


def decompressed(pieces: Iterator[bytes], limits: Limits) -> Iterator[bytes]:
    """The pieces of the stream inside, whether gzip, zstd (told by their first bytes) or none.

    Raises BrokenStreamError after the last good piece.
    """
    first = next(pieces, b"")
    counted = _Counted(chain([first], pieces))
    if first.startswith(GZIP):
        return _joined(_guarded(_gunzipped(counted), counted, limits))
    if _is_zstd(first):
        return _joined(_guarded(_unzstd(counted), counted, limits))
    return iter(counted)


def is_compressed(start: bytes) -> bool:
    """Whether a stream that begins so is gzip or zstd."""
    return start.startswith(GZIP) or _is_zstd(start)


def _is_zstd(start: bytes) -> bool:
    return start.startswith(ZSTD) or (start[1:4] == _ZSTD_SKIPPABLE and 0x50 <= start[0] <= 0x5F)


def _guarded(pieces: Iterator[bytes], counted: _Counted, limits: Limits) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        most = min(limits.max_decompressed_bytes, max(limits.ratio_from_bytes, limits.max_ratio * counted.size))
        if total + len(piece) > most:
            yield piece[: most - total]
            what = f"{counted.size} compressed bytes become more than {most}, the limit"
            remedy = "Split the file, or raise the limit if it is meant"
            raise BrokenStreamError(Reason.OVERSIZED, what, remedy)
        total += len(piece)
        yield piece


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of 1 MiB or more, so that each costs its reader little."""
    waiting: list[bytes] = []
    size = 0
    broken = None
    try:
        for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= MIB:
                yield b"".join(waiting)
                waiting, size = [], 0
    except BrokenStreamError as error:
        broken = error
    if waiting:
        yield b"".join(waiting)
    if broken:
        raise broken


def _gunzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """All members of a gzip stream; zeros after a member are padding."""
    member = None
    for piece in pieces:
        data = piece
        while data or member:
            if member is None:
                data = data.lstrip(b"\0")
                if not data:
                    break
                member = zlib.decompressobj(wbits=31)
            out = _inflated(member, data, MIB)
            yield out
            if member.eof:
                data, member = member.unused_data, None
                continue
            data = member.unconsumed_tail
            if not data and len(out) < MIB:
                break
    if member:
        raise BrokenStreamError(Reason.TRUNCATED, "the gzip stream ends in the middle", _TRANSFER)


def _inflated(member: "zlib._Decompress", data: bytes, most: int) -> bytes:
    try:
        return member.decompress(data, most)
    except zlib.error as error:
        raise BrokenStreamError(Reason.UNREADABLE, f"the compressed stream is damaged ({error})", _TRANSFER) from error


def _unzstd(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """All frames of a zstd stream."""
    frame = None
    for piece in pieces:
        for start in range(0, len(piece), _ZSTD_SLICE):
            data = piece[start : start + _ZSTD_SLICE]
            while data:
                frame = frame or zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
                try:
                    out = frame.decompress(data)
                except zstandard.ZstdError as error:
                    what = f"the zstd stream is damaged ({error})"
                    raise BrokenStreamError(Reason.UNREADABLE, what, _TRANSFER) from error
                if out:
                    yield out
                data = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
    if frame:
        raise BrokenStreamError(Reason.TRUNCATED, "the zstd stream ends in the middle", _TRANSFER)


def block_content(codec: str, data: bytes, most: int) -> bytes | Refusal:
    """One block of an Avro container, decompressed to at most `most` bytes. `codec` is one of BLOCK_CODECS."""
    try:
        content = _block_content(codec, data, most)
    except BrokenStreamError as error:
        return error.refusal
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        return Refusal(Reason.UNREADABLE, f"the {codec} block is damaged ({error}). {_TRANSFER}")
    if content is None:
        return Refusal(Reason.TRUNCATED, f"the {codec} block ends in the middle. {_TRANSFER}")
    if len(content) > most:
        what = f"the {codec} block of {len(data)} bytes holds more than {most}"
        return Refusal(Reason.OVERSIZED, f"{what}. Write smaller blocks")
    return content


def _block_content(codec: str, data: bytes, most: int) -> bytes | None:
    """The content, up to a little more than `most` bytes; None where the data ends too early."""
    if codec == "null":
        return data
    if codec == "zstandard":
        return _up_to(_unzstd([data]), most)
    if codec == "deflate":
        stream = zlib.decompressobj(wbits=-15)
        content = stream.decompress(data, most + 1)
        return content if stream.eof or len(content) > most else None
    unpacker = bz2.BZ2Decompressor() if codec == "bzip2" else lzma.LZMADecompressor(memlimit=256 * MIB)
    content = unpacker.decompress(data, most + 1)
    return content if unpacker.eof or len(content) > most else None


def _up_to(pieces: Iterator[bytes], most: int) -> bytes:
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) > most:
            break
    return bytes(content)
