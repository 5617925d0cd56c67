"""Keeping: what is kept of usage whose price is not a function of a quantity alone."""

from msgspec import Struct


class Fact(Struct, frozen=True, array_like=True):
    """What is kept of one record, or of its share in a range.

    `key` identifies it, `start` and `end` are microseconds, `quantity` counts millionths of the usage unit.
    """

    key: bytes
    start: int
    end: int
    quantity: int
    band: int = 0
    meter: str = ""
    session: str = ""
    attributes: dict[str, str] = {}
