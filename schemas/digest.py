"""Digests: what identifies a usage record, and the order-independent sums that prove what a statement holds.

Each fact is hashed with BLAKE2b over its MessagePack array, which is unambiguous; a digest is the sum of hashes
modulo 2²⁵⁶, so it does not depend on order and a program in any language can compute it again.
"""

from hashlib import blake2b

from msgspec.msgpack import Encoder

from schemas.charge import Charge

MODULUS = 1 << 256

_pack = Encoder(order="sorted").encode


def identity(tenant: str, source: str, usage_id: str) -> bytes:
    """The 16 bytes by which duplicates are found: BLAKE2b-128 of [tenant, source, id]."""
    return blake2b(_pack((tenant, source, usage_id)), digest_size=16).digest()


def usage_hash(  # noqa: PLR0913 - the facts of a usage record, positional because this runs once per record
    identity: bytes,
    account: str,
    meter: str,
    quantity: int | None,
    start: int,
    end: int,
    session: str | None,
    attributes: dict[str, str] | None,
    corrects: str | None,
) -> bytes:
    """The 32 bytes that stand for a record's facts: quantity in millionths of its unit, instants in microseconds."""
    facts = _pack((account, meter, quantity, start, end, session, attributes or None, corrects))
    return blake2b(identity + facts, digest_size=32).digest()


def charge_hash(charge: Charge) -> int:
    """The 256-bit number that stands for a charge, amount included; its statement says whose it is, and the currency.

    BLAKE2b-256 of [charge_id, kind, meter, period_start, quantity, amount, tariff, version]: quantity and amount as the
    decimal text of their fixed point.
    """
    facts = _pack(
        (
            charge.charge_id,
            charge.kind,
            charge.meter,
            charge.period_start,
            str(charge.quantity),
            str(charge.amount),
            charge.tariff,
            charge.version,
        )
    )
    return int.from_bytes(blake2b(facts, digest_size=32).digest(), "big")


def to_hex(digest: int) -> str:
    """A digest as statements print it: 64 hex digits."""
    return f"{digest:064x}"
