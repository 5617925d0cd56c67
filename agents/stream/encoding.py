"""Encoding: usage records become messages, in any of the encodings that `usage` and `usage-bulk` take.

One record a message, or an Avro container with many: of one account (container), or spanning accounts (bulk). A record
that an encoding cannot hold is told, and the others go on. After schemas.files, before publishing.py.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from msgspec.json import encode

from agents.stream.keys import account_key, partition_of
from agents.stream.messages import Outgoing
from schemas.codecs import avro_container, avro_single, usage_json
from schemas.codecs.batch import MIB, Limits
from schemas.instants import to_iso, to_us
from schemas.usage import UsageRecord

CONTAINER_RECORDS = 5000
"""Records in a container at most; at 100 bytes each it stays below its bytes."""
_CONTAINER_BYTES = MIB
_MESSAGE_BYTES = Limits().max_message_bytes
_KNOWN_ACCOUNTS = 1 << 17
_AS_JSON = "Publish it as JSON"


class Encoding(StrEnum):
    """How usage travels."""

    JSON = "json"
    CLOUDEVENTS = "cloudevents"
    AVRO = "avro"
    CONTAINER = "container"
    BULK = "bulk"


class Encoded(NamedTuple):
    """A message and how many records it holds. Without a partition any is right."""

    message: Outgoing
    partition: int | None
    records: int


class Unfit(NamedTuple):
    """A record, by its place in the sequence, that the encoding cannot hold, and why."""

    place: int
    why: str


def encoded(records: Sequence[UsageRecord], encoding: Encoding, partitions: int) -> Iterator[Encoded | Unfit]:
    """The messages of the records, each account's in the order of its records."""
    match encoding:
        case Encoding.JSON:
            return _single(records, partitions, usage_json)
        case Encoding.CLOUDEVENTS:
            return _single(records, partitions, cloudevent_json)
        case Encoding.AVRO:
            return _single(records, partitions, avro_single)
        case Encoding.CONTAINER:
            return _by_account(records, partitions)
        case Encoding.BULK:
            return _containers(records, range(len(records)), None, None)


@lru_cache(_KNOWN_ACCOUNTS)
def keyed(tenant: str, account: str, partitions: int) -> tuple[bytes, int]:
    """The key of an account's messages and the partition that follows from it.

    Remembered: murmur2 in Python takes longer than all else that a message needs.
    """
    key = account_key(tenant, account)
    return key, partition_of(key, partitions)


def cloudevent_json(usage: UsageRecord) -> bytes:
    """The record as a CloudEvent 1.0, as `schemas.codecs.cloudevents` reads it: what its envelope has no name for
    stands in `data`, the record's own times included.
    """
    said = {
        "quantity": None if usage.quantity is None else str(usage.quantity),
        "start": to_iso(to_us(usage.start)),
        "end": to_iso(to_us(usage.end)),
        "tenant": usage.tenant,
        "unit": usage.unit,
        "session": usage.session,
        "attributes": usage.attributes,
        "corrects": usage.corrects,
    }
    return encode(
        {
            "specversion": "1.0",
            "id": usage.id,
            "source": usage.source,
            "type": usage.meter,
            "subject": usage.account,
            "time": said["end"],
            "datacontenttype": "application/json",
            "data": {name: value for name, value in said.items() if value is not None},
        }
    )


def _single(
    records: Sequence[UsageRecord], partitions: int, write: Callable[[UsageRecord], bytes]
) -> Iterator[Encoded | Unfit]:
    for place, usage in enumerate(records):
        try:
            value = write(usage)
        except ValueError as error:  # of Avro alone: JSON holds every record
            yield Unfit(place, f"{error}. {_AS_JSON}")
            continue
        if len(value) > _MESSAGE_BYTES:
            yield _too_large(place, len(value))
            continue
        key, partition = keyed(usage.tenant, usage.account, partitions)
        yield Encoded(Outgoing(key, value), partition, 1)


def _by_account(records: Sequence[UsageRecord], partitions: int) -> Iterator[Encoded | Unfit]:
    places: dict[tuple[str, str], list[int]] = {}
    for place, usage in enumerate(records):
        places.setdefault((usage.tenant, usage.account), []).append(place)
    for (tenant, account), of_account in places.items():
        yield from _containers(records, of_account, *keyed(tenant, account, partitions))


def _containers(
    records: Sequence[UsageRecord], places: Sequence[int], key: bytes | None, partition: int | None
) -> Iterator[Encoded | Unfit]:
    for start in range(0, len(places), CONTAINER_RECORDS):
        yield from _container(records, places[start : start + CONTAINER_RECORDS], key, partition)


def _container(
    records: Sequence[UsageRecord], places: Sequence[int], key: bytes | None, partition: int | None
) -> Iterator[Encoded | Unfit]:
    """One container without the records that do not fit in; where it is too large, two of half the records each."""
    try:
        value = avro_container([records[place] for place in places], UsageRecord)
    except ValueError:
        unfit = {place: why for place in places if (why := _unfit(records[place])) is not None}
        yield from (Unfit(place, why) for place, why in unfit.items())
        places = [place for place in places if place not in unfit]
        value = avro_container([records[place] for place in places], UsageRecord)
    if len(value) > _CONTAINER_BYTES and len(places) > 1:
        middle = len(places) // 2
        yield from _container(records, places[:middle], key, partition)
        yield from _container(records, places[middle:], key, partition)
    elif len(value) > _MESSAGE_BYTES:
        yield _too_large(places[0], len(value))
    elif places:
        yield Encoded(Outgoing(key, value), partition, len(places))


def _unfit(usage: UsageRecord) -> str | None:
    try:
        avro_single(usage)
    except ValueError as error:
        return f"{error}. {_AS_JSON}"
    return None


def _too_large(place: int, size: int) -> Unfit:
    return Unfit(place, f"a message of {size} bytes is above the limit of {_MESSAGE_BYTES}. Send a shorter record")
