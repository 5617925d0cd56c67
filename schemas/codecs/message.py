"""Messages: one message of any encoding becomes usage records and rejections.

The encoding is told by the first bytes: JSON (a usage record or a CloudEvent), Avro single-object encoding, Avro
framed for a schema registry, or an Avro container that carries many records in bulk. The records of one container
share their message's offset, and an index tells them apart.
"""

from schemas.codecs.avro_schema import CONTAINER, SINGLE_OBJECT
from schemas.codecs.avro_usage import usage_from_container, usage_from_single
from schemas.codecs.batch import Limits, UsageBatch
from schemas.codecs.confluent import FRAME, NO_REGISTRY, Registry, usage_from_framed
from schemas.codecs.fields import Refusal, shown
from schemas.codecs.usage_json import BOM, usage_from_json
from schemas.rejection import Position, Reason
from schemas.usage import UsageRecord

_BEGINS_JSON = frozenset(b"{ \t\r\n" + BOM[:1])
_LIMITS = Limits()


def decode_message(
    data: bytes, position: Position, limits: Limits = _LIMITS, registry: Registry = NO_REGISTRY
) -> UsageBatch:
    """What one message holds: one record or rejection, or all those of a container."""
    batch = UsageBatch(position.origin, position.partition, limits.original_cap)
    add_message(batch, data, position.offset, limits, registry)
    return batch


def add_message(
    batch: UsageBatch, data: bytes, offset: int, limits: Limits = _LIMITS, registry: Registry = NO_REGISTRY
) -> None:
    """Adds what one message holds to the batch of its partition. Raises only what the registry raises.

    Of a container with too many records, the blocks after the one that passes the limit are one rejection.
    """
    if data.startswith(CONTAINER) and len(data) <= limits.max_message_bytes:
        index = 0
        for block in usage_from_container(iter([data]), limits, limits.max_decompressed_message_bytes):
            if index > limits.max_message_records:
                batch.refuse(_too_many(index, limits), data, offset, index=index)
                return
            count = len(block.results)
            batch.add(block.results, block.originals, [offset] * count, [0] * count, range(index, index + count))
            index += count
        return
    result = _decode(data, limits, registry)
    if isinstance(result, Refusal):
        batch.refuse(result, data, offset)
    else:
        batch.records.append(result)
        batch.originals.append(data)
        batch.offsets.append(offset)
        batch.lines.append(0)
        batch.indexes.append(0)


def _too_many(read: int, limits: Limits) -> Refusal:
    what = f"a message has more than {limits.max_message_records} records; what follows its first {read} is not read"
    return Refusal(Reason.OVERSIZED, f"{what}. Send it again in several messages, or to usage-bulk")


def _decode(data: bytes, limits: Limits, registry: Registry) -> UsageRecord | Refusal:
    if len(data) > limits.max_message_bytes:
        what = f"a message of {len(data)} bytes is above the limit of {limits.max_message_bytes}"
        return Refusal(Reason.OVERSIZED, f"{what}. Send its records in several messages")
    if data.startswith(SINGLE_OBJECT):
        return usage_from_single(data)
    if data and data[0] in _BEGINS_JSON:
        return usage_from_json(data)
    if data.startswith(FRAME):
        return usage_from_framed(data, registry)
    what = f"a message that begins with {shown(data[:8])} is neither JSON nor Avro" if data else "the message is empty"
    return Refusal(Reason.UNREADABLE, f"{what}. Send a usage record as JSON, CloudEvent or Avro")
