"""What the topics carry comes back as it was: charges, statements in parts, rejections of anything, commands."""

import json
import random
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.stream.messages import (
    LONGEST_TEXT,
    PART_BYTES,
    Close,
    Command,
    Outgoing,
    Release,
    Tick,
    charge_message,
    decode_command,
    encode_command,
    rejection_message,
    rejection_of,
    statement_messages,
    statements_of,
)
from schemas.charge import Charge
from schemas.codecs import json_bytes, json_from
from schemas.rejection import Position, Reason, Rejection
from schemas.statement import Statement
from tests.contract.made_nouns import made_charge, made_rejection, made_statement

KEY = b"default/home-1"


def test_a_charge_is_its_json() -> None:
    for charge in map(made_charge, range(20)):
        message = charge_message(charge, KEY)
        assert message == Outgoing(KEY, json_bytes(charge))
        assert json_from(message.value, Charge) == charge


def long_statement(number: int, lines: int = 7_000) -> Statement:
    """Some 2 MiB of JSON, its texts of two and three bytes a character, so that cuts go through them."""
    made = made_statement(number)
    line = replace(made.lines[0], name="Ökostrom für €")
    return replace(made, lines=tuple(replace(line, tier=tier) for tier in range(lines)))


def test_a_short_statement_is_one_message() -> None:
    statement = made_statement(1)
    assert statement_messages(statement, KEY) == [Outgoing(KEY, json_bytes(statement))]


def test_a_long_statement_travels_in_parts() -> None:
    statement = long_statement(1)
    messages = statement_messages(statement, KEY)
    data = json_bytes(statement)
    assert b"".join(message.value for message in messages) == data
    assert [len(message.value) for message in messages[:-1]] == [PART_BYTES] * (len(data) // PART_BYTES)
    assert len(messages) > 2
    for number, message in enumerate(messages, 1):
        assert message.key == KEY
        assert dict(message.headers) == {
            "statement-id": statement.statement_id.encode(),
            "part": b"%d" % number,
            "parts": b"%d" % len(messages),
        }


@pytest.mark.parametrize(("over", "count"), [(0, 1), (1, 2)])
def test_the_limit_is_exact(over: int, count: int) -> None:
    statement = made_statement(1)
    statement = replace(statement, zone="z" * (PART_BYTES + over - len(json_bytes(replace(statement, zone="")))))
    messages = statement_messages(statement, KEY)
    assert len(messages) == count
    assert [*statements_of(messages)] == [statement]


def test_statements_come_back_in_the_order_in_which_they_are_whole() -> None:
    first, short, second = long_statement(1), made_statement(2), long_statement(3, 9_000)
    revised = replace(first, revision=1)
    of_first, of_second = statement_messages(first, KEY), statement_messages(second, b"default/home-2")
    mixed = [of_second[0], *of_first[:2], *statement_messages(short, KEY), *of_second[1:], *of_first[2:]]
    again = statement_messages(revised, KEY)
    assert [*statements_of([*mixed, *again])] == [short, second, first, revised]
    assert [*statements_of([])] == []


@pytest.mark.parametrize(
    ("places", "what"),
    [
        ([0, 1], "part 3 of 3 did not come after 2"),
        ([0, 2], "part 2 of 3 did not come after 1"),
        ([1, 2], "part 1 of 3 did not come after 0"),
        ([0, 0, 1, 2], "part 2 of 3 did not come after 1"),
        ([0, 1, 2, 2], "part 1 of 3 did not come after 0"),
    ],
)
def test_a_missing_or_repeated_part_is_told(places: list[int], what: str) -> None:
    messages = statement_messages(long_statement(1), KEY)
    assert len(messages) == 3
    with pytest.raises(ValueError, match=what):
        list(statements_of([messages[place] for place in places]))


def test_what_is_no_statement_is_told() -> None:
    with pytest.raises(ValueError, match="not the JSON of a statement"):
        list(statements_of([Outgoing(KEY, b"{")]))
    for headers in ([("part", b"1")], [("part", b"1"), ("statement-id", b"a"), ("parts", b"-1")]):
        with pytest.raises(ValueError, match=r"statement-id|parts"):
            list(statements_of([Outgoing(KEY, b"{}", headers)]))


texts = st.text(st.characters(), max_size=12)  # half surrogate pairs, too
counts = st.integers(0, 2**63 - 1)
rejections = st.builds(
    Rejection,
    reason=st.sampled_from(Reason),
    position=st.builds(Position, partition=counts, offset=counts, line=st.just(0), index=counts, origin=texts),
    **dict.fromkeys(("message", "tenant", "account", "source", "usage_id", "sha256"), texts),
    original=st.binary(max_size=40),
    size=counts,
)


def through_kafka(message: Outgoing) -> Outgoing:
    """The message as a client reads it from the bytes of a record batch."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=1, producer_id=1, producer_epoch=0, base_sequence=0, batch_size=9
    )
    builder.append(0, 1, message.key, message.value, list(message.headers))
    (record,) = DefaultRecordBatch(bytes(builder.build()))
    return Outgoing(record.key, record.value, record.headers)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rejections, st.none() | st.binary(max_size=9))
def test_a_rejection_comes_back_as_it_was(rejection: Rejection, key: bytes | None) -> None:
    message = through_kafka(rejection_message(rejection, key))
    assert (message.key, message.value) == (key, rejection.original)
    assert rejection_of(message.value, message.headers) == rejection


def test_a_rejection_says_what_it_is_in_its_headers() -> None:
    original = b"\xff\x00{"
    rejection = Rejection(
        Reason.WRONG_PARTITION,
        "m é",
        Position("ratestream.usage", 3, 1093, index=7),
        "t",
        "\ud800",
        "s",
        "u",
        original,
        3,
        sha256(original).hexdigest(),
    )
    assert dict(rejection_message(rejection, None).headers) == {
        "reason": b"wrong-partition",
        "message": b"m \xc3\xa9",
        "topic": b"ratestream.usage",
        "partition": b"3",
        "offset": b"1093",
        "index": b"7",
        "tenant": b"t",
        "account": b"\xed\xa0\x80",
        "source": b"s",
        "usage-id": b"u",
        "size": b"3",
        "sha256": sha256(original).hexdigest().encode(),
    }


def test_nothing_is_too_large_to_be_rejected() -> None:
    long = "€" * 10_000_000
    rejection = replace(made_rejection(1), account=long, source=long, usage_id=long, tenant=long, message=long)
    message = rejection_message(rejection, long.encode())
    sizes = [len(message.key or b""), len(message.value), *(len(value) for _, value in message.headers)]
    assert sum(sizes) < 100_000
    back = rejection_of(message.value, message.headers)
    assert back.account == long[:LONGEST_TEXT]
    assert (back.reason, back.sha256, back.size) == (rejection.reason, rejection.sha256, rejection.size)


def said(**changed: bytes | None) -> list[tuple[str, bytes]]:
    """The headers of a rejection; None leaves one out."""
    headers = dict(rejection_message(made_rejection(1), KEY).headers)
    names = {name.replace("_", "-"): value for name, value in changed.items()}
    return [(name, value) for name, value in (headers | names).items() if value is not None]


@pytest.mark.parametrize(
    ("headers", "what"),
    [
        ([], "'reason' is missing"),
        ([("replayed", b"usage/3/1093/7")], "'reason' is missing"),
        (said(usage_id=None), "'usage-id' is missing"),
        (said(reason=b"because"), "because"),
        (said(message=b"\xff"), "utf-8"),
        *((said(offset=value), "'offset' is no count") for value in (None, b"", b"-1", b"1_0", b" 1", b"9" * 5000)),
    ],
)
def test_other_messages_are_no_rejections(headers: list[tuple[str, bytes]], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        rejection_of(b"", headers)


def test_other_headers_may_stand_beside_those_of_a_rejection() -> None:
    headers = said()
    random.shuffle(headers)
    expected = replace(made_rejection(1), position=replace(made_rejection(1).position, line=0))
    assert rejection_of(expected.original, [("traceparent", b"\xff"), *headers]) == expected


COMMANDS: Sequence[tuple[Command, Any]] = [
    (Tick(), {"command": "tick"}),
    (Close("2026-10"), {"command": "close", "period": "2026-10", "tenant": "", "account": ""}),
    (Close("2026-W41", "ü", '"'), {"command": "close", "period": "2026-W41", "tenant": "ü", "account": '"'}),
    (Release("default", "meter"), {"command": "release", "tenant": "default", "source": "meter"}),
]


@pytest.mark.parametrize(("command", "document"), COMMANDS)
def test_a_command_is_json_and_comes_back(command: Command, document: Any) -> None:  # noqa: ANN401 - JSON
    assert json.loads(encode_command(command)) == document
    assert decode_command(encode_command(command)) == command


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"tick",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"command":"open"}',
        b'{"command":"close"}',
        b'{"command":"close","period":1}',
        b'{"command":"close","period":"2026-10","acount":"a"}',
        b'{"command":"tick","x":"\xff"}',
        b'{"command":"release","tenant":"default"}',
    ],
)
def test_what_is_no_command_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a command"):
        decode_command(data)


def test_commands_may_leave_out_what_has_a_default() -> None:
    assert decode_command(b'{"period":"2026-10","command":"close"}') == Close("2026-10")
