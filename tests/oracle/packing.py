"""Packing: the few forms of MessagePack that facts need, written by hand."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

Packable = str | int | Sequence["Packable"] | Mapping[str, str] | None


def packed(value: Packable) -> bytes:
    """MessagePack in its shortest form."""
    if value is None:
        return b"\xc0"
    if isinstance(value, int):
        return _packed_int(value)
    if isinstance(value, str):
        return _packed_text(value)
    if isinstance(value, Mapping):
        pairs = b"".join(packed(key) + packed(text) for key, text in sorted(value.items()))
        return _head(len(value), 0x80, 16, {2: 0xDE, 4: 0xDF}) + pairs
    return _head(len(value), 0x90, 16, {2: 0xDC, 4: 0xDD}) + b"".join(map(packed, value))


@lru_cache(1 << 16)
def _packed_text(value: str) -> bytes:
    data = value.encode()
    return _head(len(data), 0xA0, 32, {1: 0xD9, 2: 0xDA, 4: 0xDB}) + data


def _head(length: int, short: int, below: int, marks: Mapping[int, int]) -> bytes:
    if length < below:
        return bytes([short | length])
    size = next(size for size in marks if length < 256**size)
    return bytes([marks[size]]) + length.to_bytes(size, "big")


def _packed_int(value: int) -> bytes:
    if -32 <= value < 128:
        return value.to_bytes(1, "big", signed=value < 0)
    if value >= 0:
        size = next(size for size in (1, 2, 4, 8) if value < 256**size)
        return bytes([{1: 0xCC, 2: 0xCD, 4: 0xCE, 8: 0xCF}[size]]) + value.to_bytes(size, "big")
    size = next(size for size in (1, 2, 4, 8) if -value <= 256**size // 2)
    return bytes([{1: 0xD0, 2: 0xD1, 4: 0xD2, 8: 0xD3}[size]]) + value.to_bytes(size, "big", signed=True)
