"""Splitting: each record once, numbered as decoding numbers it, from any place on, and without loss."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from kafka.partitioner.default import murmur2

from agents.stream.messages import Outgoing, rejection_of
from agents.stream.splitting import ORIGIN_HEADER, Piece, Place, Splitter
from agents.stream.topics import Topics
from schemas.codecs import Limits, avro_single, decode_message, usage_json
from schemas.rejection import Position, Reason, Rejection
from schemas.usage import UsageRecord
from tests.stream.containers import BROKEN, container, usage, with_broken_blocks

TOPICS = Topics.of("t.")
PARTITIONS = 4
NUMBER = 6
OFFSET = 41
BEGINNING = Place(0)
NOW = datetime(2024, 5, 1, tzinfo=UTC)


@dataclass
class Message:
    """A message as it was fetched."""

    value: bytes | None
    offset: int = OFFSET
    key: bytes | None = None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


def split(*messages: Message, start: Place = BEGINNING) -> list[Piece]:
    return list(Splitter(TOPICS, NUMBER, PARTITIONS).split(messages, start))


def joined(pieces: Iterable[Piece]) -> Piece:
    whole = Piece(Place(0))
    for piece in pieces:
        whole.join(piece)
    return whole


def sent(pieces: Iterable[Piece]) -> dict[str, Outgoing]:
    """What goes to `usage`, by where it came from."""
    found = [
        message
        for (topic, _), messages in joined(pieces).outgoing.items()
        if topic == TOPICS.usage
        for message in messages
    ]
    by_origin = {dict(message.headers)[ORIGIN_HEADER].decode(): message for message in found}
    assert len(by_origin) == len(found)
    return by_origin


def refused(pieces: Iterable[Piece]) -> list[tuple[int, Outgoing, Rejection]]:
    return [
        (partition, message, rejection_of(message.value, message.headers))
        for (topic, partition), messages in joined(pieces).outgoing.items()
        if topic == TOPICS.usage_rejected
        for message in messages
    ]


def origin(index: int, offset: int = OFFSET) -> str:
    return f"t.usage-bulk/{NUMBER}/{offset}/{index}"


def test_every_record_and_fault_of_a_container_once_and_numbered_as_decoding_does() -> None:
    value, broken = with_broken_blocks([usage(number, accounts=5) for number in range(3_000)], every=700)
    decoded = decode_message(value, Position(TOPICS.usage_bulk, NUMBER, OFFSET))
    pieces = split(Message(value))

    found = sent(pieces)
    assert set(found) == {origin(index) for index in decoded.indexes}
    for index, record in zip(decoded.indexes, decoded.records, strict=True):
        assert found[origin(index)].value == usage_json(record)
    assert [rejection for _, _, rejection in refused(pieces)] == decoded.rejections
    assert [rejection.position.index for rejection in decoded.rejections] == broken
    assert pieces[-1].then == Place(OFFSET + 1)


def test_key_and_partition_are_those_of_the_account() -> None:
    records = [replace_account(usage(number, accounts=50), tenant=f"t/{number % 2}") for number in range(200)]
    for (topic, partition), messages in joined(split(Message(container([records])))).outgoing.items():
        assert topic == TOPICS.usage
        for message in messages:
            said = json.loads(message.value)
            assert message.key == f"{said['tenant'].replace('/', '%2F')}/{said['account']}".encode()
            assert partition == (murmur2(message.key) & 0x7FFFFFFF) % PARTITIONS


def replace_account(record: UsageRecord, tenant: str) -> UsageRecord:
    return UsageRecord(record.id, record.account, record.meter, record.quantity, record.start, record.end, "s", tenant)


def test_an_account_keeps_its_order() -> None:
    records = [usage(number, accounts=7) for number in range(5_000)]
    for messages in joined(split(Message(container([records])))).outgoing.values():
        for account in {message.key for message in messages}:
            ids = [int(json.loads(message.value)["id"][1:]) for message in messages if message.key == account]
            assert ids == sorted(ids)


def test_it_goes_on_from_any_place_without_gap_or_repetition() -> None:
    value, _ = with_broken_blocks([usage(number, accounts=5) for number in range(2_500)], every=900)
    messages = [Message(usage_json(usage(9_001, 5)), 40), Message(value), Message(b"broken", 43)]
    pieces = split(*messages)
    assert len(pieces) == 1 + 3 + 1
    for done, piece in enumerate(pieces, 1):
        assert split(*messages, start=piece.then) == pieces[done:]
    rest = {origin(index) for index in range(1_234, 10_000)} | {origin(0, 43)}
    assert set(sent(split(*messages, start=Place(OFFSET, 1_234)))) == set(sent(pieces)) & rest


def test_places_follow_one_another_and_slices_are_small() -> None:
    value, _ = with_broken_blocks([usage(number, accounts=5) for number in range(6_000)], every=2_000)
    pieces = split(Message(value), Message(value, OFFSET + 5))
    assert all(one.then < other.then for one, other in pairwise(pieces))
    assert max(piece.records for piece in pieces) <= 1_024
    texts = {f"{number}": "x" * 4_096 for number in range(64)}
    large = UsageRecord("1", "a", "power", Decimal(1), NOW, NOW, attributes=texts)
    assert max(piece.records for piece in split(Message(container([[large] * 16])))) == 4


@pytest.mark.parametrize(
    "record",
    [
        UsageRecord("1", "a", "m", Decimal("0." + "1" * 60), NOW, NOW),
        UsageRecord("1", "a", "m", Decimal("1E+3"), NOW, NOW),
        UsageRecord("1", "a", "m", Decimal("1.500"), NOW, NOW),
        UsageRecord("1", "a", "m", Decimal("9" * 60), NOW, NOW),
        UsageRecord("1", "a", "m", Decimal("0E-30"), NOW, NOW),
        UsageRecord("1", "a", "m", None, NOW, NOW, corrects="0"),
        UsageRecord("1", "a", "m", Decimal(-3), datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
        UsageRecord(
            '"\u0000\u20ac', "a/%", "m", Decimal(1), NOW, NOW, "s", "t", "kWh", "s\n1", {"": "\ud7ff", "é": "\\"}
        ),
    ],
)
def test_nothing_of_a_record_is_lost(record: UsageRecord) -> None:
    (message,) = sent(split(Message(usage_json(record)))).values()
    (again,) = decode_message(message.value, Position("t.usage", 0, 0)).records
    assert again == record
    assert str(again.quantity) == str(record.quantity)


def test_messages_of_every_encoding() -> None:
    record = usage(3, accounts=5)
    event = {
        "specversion": "1.0",
        "id": "u3",
        "source": "default",
        "type": "power",
        "subject": "a3",
        "time": "2024-05-01T00:03:00Z",
        "data": {"quantity": "0.375", "attributes": {"region": "r0"}},
    }
    for value in (usage_json(record), avro_single(record), container([[record]]), json.dumps(event).encode()):
        (message,) = sent(split(Message(value))).values()
        assert decode_message(message.value, Position("t.usage", 0, 0)).records == [record]


@pytest.mark.parametrize(
    ("value", "key", "reason", "partition"),
    [
        (None, None, Reason.UNREADABLE, NUMBER % PARTITIONS),
        (b"Obj\x01", None, Reason.TRUNCATED, NUMBER % PARTITIONS),
        (b"\x00\x00\x00\x00\x07rest", b"default/a", Reason.UNREADABLE, None),
        (b'{"id": "1", "account": "a"}', b"other", Reason.MISSING_FIELD, None),
        (container([BROKEN]), None, Reason.UNREADABLE, NUMBER % PARTITIONS),
        (b"{" * (Limits().max_message_bytes + 1), None, Reason.OVERSIZED, NUMBER % PARTITIONS),
    ],
)
def test_what_cannot_be_decoded_is_rejected(
    value: bytes | None, key: bytes | None, reason: Reason, partition: int | None
) -> None:
    pieces = split(Message(value, key=key))
    ((place, message, rejection),) = refused(pieces)
    assert rejection.reason is reason
    assert rejection.position == Position("t.usage-bulk", NUMBER, OFFSET)
    if partition is None:
        assert message.key == b"default/a" if rejection.account or key == b"default/a" else key
        partition = (murmur2(message.key) & 0x7FFFFFFF) % PARTITIONS
    assert place == partition
    assert pieces[-1].then == Place(OFFSET + 1)


def test_a_record_too_large_for_a_message_is_rejected_and_the_others_go_on() -> None:
    longest = replace_account(usage(1, 5), tenant="".join(f"%{number:x}" for number in range(750_000)))
    ((_, _, rejection),) = refused(pieces := split(Message(container([[longest], [usage(2, 5)]]))))
    assert rejection.reason is Reason.OVERSIZED
    assert rejection.usage_id == "u1"
    assert rejection.size > len(usage_json(longest)) - 10
    assert set(sent(pieces)) == {origin(1)}
