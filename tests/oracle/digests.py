"""Digests: the sums of hashes by which a statement proves its usage and its charges.

A fact is hashed with BLAKE2b over its MessagePack array; a digest is the sum of hashes modulo 2²⁵⁶.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b

from tests.oracle.exported import Charge
from tests.oracle.packing import packed
from tests.oracle.record import Reading

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def usage_hash(reading: Reading) -> int:
    """The number that stands for a record's facts."""
    identity = blake2b(packed(reading.identity), digest_size=16).digest()
    quantity = None if reading.quantity is None else _scaled(reading.quantity, 6)
    start, end = _microseconds(reading.start), _microseconds(reading.end)
    attributes = dict(reading.attributes) or None
    facts = (reading.account, reading.meter, quantity, start, end, reading.session, attributes, reading.corrects)
    return int.from_bytes(blake2b(identity + packed(facts), digest_size=32).digest(), "big")


def charge_hash(charge: Charge) -> int:
    """The number that stands for a charge, amount included."""
    facts = (
        *(charge.charge_id, charge.kind, charge.meter, _microseconds(charge.period_start)),
        *(str(_scaled(charge.quantity, 6)), str(_scaled(charge.amount, 18))),
        *(charge.tariff, charge.version),
    )
    return int.from_bytes(blake2b(packed(facts), digest_size=32).digest(), "big")


def hex_sum(hashes: Sequence[int]) -> str:
    """The digest as a statement has it."""
    return f"{sum(hashes) % 2**256:064x}"


def _scaled(value: Decimal, decimals: int) -> int:
    return int(value.scaleb(decimals))


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
