"""Confluent's framing: a byte 0, the id of a schema in a registry as 4 bytes, the record in Avro by that schema.

Where schemas come from is the caller's: a Registry is a pure look-up, filled before a batch is decoded. The framing:
https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from typing import Protocol

from schemas.codecs.avro_reading import Reading
from schemas.codecs.fields import Refusal
from schemas.rejection import Reason
from schemas.usage import UsageRecord

FRAME = b"\x00"
_FRAME_BYTES = 5
_HIGHEST_ID = (1 << 31) - 1


class Registry(Protocol):
    """The writers' schemas by their ids."""

    def reading(self, schema_id: int) -> Reading | Refusal:
        """How records of a schema are read, or why they cannot be. Raises where that was not looked up before."""


class _NoRegistry:
    def reading(self, schema_id: int) -> Refusal:
        what = f"Avro framed for a schema registry (schema {schema_id}) is not read, as no registry is named"
        remedy = "Name it in RATESTREAM_SCHEMA_REGISTRY, or send Avro in single-object encoding, or JSON"
        return Refusal(Reason.UNREADABLE, f"{what}. {remedy}")


NO_REGISTRY: Registry = _NoRegistry()
"""Refuses whatever is framed."""


def schema_id(data: bytes) -> int | None:
    """The id that a framed message names; None where it is not framed, or names what can be no id.

    >>> schema_id(bytes.fromhex("00 00000107 02")), schema_id(b"{}"), schema_id(bytes.fromhex("00 ffffffff 02"))
    (263, None, None)
    """
    if len(data) < _FRAME_BYTES or not data.startswith(FRAME):
        return None
    named = int.from_bytes(data[1:_FRAME_BYTES], "big")
    return named if named <= _HIGHEST_ID else None


def usage_from_framed(data: bytes, registry: Registry) -> UsageRecord | Refusal:
    """The usage record of one framed message."""
    if len(data) < _FRAME_BYTES:
        return Refusal(Reason.TRUNCATED, "the framed Avro message ends before its record. Send it again whole")
    named = schema_id(data)
    if named is None:
        what = f"the framed Avro message names {data[1:_FRAME_BYTES].hex()}, which is no schema id"
        return Refusal(Reason.UNREADABLE, f"{what}. Write it with a serializer of the schema registry")
    reading = registry.reading(named)
    return reading if isinstance(reading, Refusal) else reading.only_usage(data[_FRAME_BYTES:])
