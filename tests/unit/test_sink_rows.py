"""What the messages of each topic come to as rows, and which message is named where one is not what it should be."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from agents.errors import MessageError
from agents.sink.documents import account_rows, tariff_rows
from agents.sink.rows import MakeRows, Rows, charge_rows, rejection_rows, statement_rows
from agents.sink.usage import UsageRows
from agents.stream.messages import COMMAND_HEADER, Outgoing, rejection_message, statement_messages
from agents.stream.rejected import REPLAYED_HEADER
from schemas.codecs import avro_container, json_bytes
from schemas.rejection import Position
from schemas.statement import Statement
from schemas.usage import UsageRecord
from sinks.charge_columns import charges_from_table
from sinks.rejection_columns import rejections_from_table
from sinks.statement_columns import statements_from_tables
from sinks.usage_columns import commands_from_table, documents_from_table, usage_from_table
from tests.contract.made_nouns import made_charge, made_rejection, made_statement

APPENDED = 1_700_000_000_000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Given:
    """A message as a client gives it."""

    value: bytes | None
    offset: int
    key: bytes | None = b"k"
    headers: Sequence[tuple[str, bytes]] = field(default_factory=list)
    topic: str = "t"
    partition: int = 3
    timestamp: int = APPENDED


def given(messages: Sequence[Outgoing | bytes], first: int = 0) -> list[Given]:
    outgoing = [message if isinstance(message, Outgoing) else Outgoing(b"k", message) for message in messages]
    return [Given(one.value, offset, one.key, one.headers) for offset, one in enumerate(outgoing, first)]


def named(rows: Rows) -> list[str]:
    return [name for name, table in rows.tables if table.num_rows]


def test_charges() -> None:
    charges = [made_charge(number) for number in range(5)]
    rows = charge_rows(given([json_bytes(charge) for charge in charges]))
    assert (named(rows), rows.taken) == (["charges"], 5)
    assert charges_from_table(rows.tables[0][1]) == charges


def long_statement(number: int) -> Statement:
    made = made_statement(number)
    return replace(made, lines=tuple(replace(made.lines[0], tier=tier) for tier in range(6_000)))


def test_statements_come_after_their_lines_and_never_without_their_last_part() -> None:
    long, short = long_statement(1), made_statement(2)
    parts = statement_messages(long, b"k")
    assert len(parts) == 3
    messages = given([*statement_messages(short, b"k"), *parts, *statement_messages(made_statement(3), b"k")])
    for end, taken in ((1, 1), (2, 1), (3, 1), (4, 4), (5, 5)):
        assert statement_rows(messages[:end]).taken == taken
    unfinished = statement_rows(messages[1:3])
    assert (named(unfinished), unfinished.taken) == ([], 0)
    rows = statement_rows(messages)
    assert named(rows) == ["statement_lines", "taxes", "statements"]
    lines, taxes, heads = (table for _, table in rows.tables)
    assert statements_from_tables(heads, lines, taxes) == [short, long, made_statement(3)]


def test_a_part_without_the_one_before_it_is_named() -> None:
    messages = given(statement_messages(long_statement(1), b"k"), 40)
    with pytest.raises(MessageError, match=r"t\[3\]@41 is no statement .* part 1 of 3 did not come"):
        statement_rows(messages[1:])
    with pytest.raises(MessageError, match=r"t\[3\]@40 is no statement"):
        statement_rows([messages[0], *given(statement_messages(made_statement(2), b"k"), 41)])


def test_a_mark_of_a_replay_is_no_rejection() -> None:
    rejections = [replace(made_rejection(number), position=Position("usage", 1, number)) for number in range(3)]
    messages = given([rejection_message(rejection, b"k") for rejection in rejections])
    messages.insert(1, Given(b"", 9, headers=[(REPLAYED_HEADER, b"usage/1/0/0")]))
    rows = rejection_rows(messages)
    assert (named(rows), rows.taken) == (["rejected"], 4)
    assert rejections_from_table(rows.tables[0][1]) == rejections
    assert named(rejection_rows(messages[1:2])) == []


@pytest.mark.parametrize(
    ("make", "good", "bad"),
    [
        (charge_rows, json_bytes(made_charge(1)), b"{}"),
        (charge_rows, json_bytes(made_charge(1)), None),
        (charge_rows, json_bytes(made_charge(1)), json_bytes(replace(made_charge(1), amount=10**38))),
        (statement_rows, json_bytes(made_statement(1)), b"[]"),
        (statement_rows, json_bytes(made_statement(1)), json_bytes(replace(made_statement(1), total=10**38))),
        (statement_rows, json_bytes(made_statement(1)), json_bytes(replace(made_statement(1), revision=-1))),
    ],
)
def test_a_message_that_cannot_be_stored_is_named(make: MakeRows, good: bytes, bad: bytes | None) -> None:
    messages = given([good, good, b"", good], 100)
    messages[2].value = bad
    with pytest.raises(MessageError, match=r"^t\[3\]@102 is no (charge|statement) .*: .*group's offset"):
        make(messages)


def test_a_rejection_that_cannot_be_stored_is_named() -> None:
    fine = rejection_message(made_rejection(1), b"k")
    far = rejection_message(replace(made_rejection(1), position=Position("usage", 2**40, 1)), b"k")
    for wrong in (Outgoing(b"k", b"x"), far):
        with pytest.raises(MessageError, match=r"^t\[3\]@1 is no rejection that can be stored"):
            rejection_rows(given([fine, wrong, fine]))


def record(number: int) -> UsageRecord:
    return UsageRecord(f"u{number}", "home", "power", Decimal(number), NOON, NOON)


def test_usage_is_kept_record_by_record_and_commands_where_they_stand() -> None:
    many = [record(number) for number in range(2, 5)]
    tick = b'{"command":"tick"}'
    messages = given([json_bytes(record(1)), avro_container(many, UsageRecord), b"broken", b"", tick], 7)
    messages[4].headers = [(COMMAND_HEADER, b"")]
    messages[3].value = None
    rows = UsageRows("t", 3)(messages)
    assert (named(rows), rows.taken) == (["usage", "commands"], 5)
    usage, commands = (table for _, table in rows.tables)
    assert [(row.usage, row.partition, row.offset, row.index, row.appended) for row in usage_from_table(usage)] == [
        (record(1), 3, 7, 0, APPENDED * 1_000),
        *((one, 3, 8, index, APPENDED * 1_000) for index, one in enumerate(many)),
    ]
    assert commands_from_table(commands) == [(3, 11, APPENDED * 1_000, tick)]


def test_a_block_of_usage_ends_with_a_message_of_very_many_records() -> None:
    large = avro_container([record(1)] * 50, UsageRecord)
    rows = UsageRows("t", 3, records=50)(given([json_bytes(record(0)), large, json_bytes(record(2))]))
    assert rows.taken == 2
    assert rows.tables[0][1].num_rows == 51


def test_framed_usage_is_told_where_no_registry_is_set(caplog: pytest.LogCaptureFixture) -> None:
    rows = UsageRows("t", 3)(given([json_bytes(record(1)), b"\0\0\0\0\7abc", b"broken"], 7))
    assert (rows.taken, rows.tables[0][1].num_rows) == (3, 1)
    assert "t[3]@8 and 0 more are framed for a schema registry, and none is set here" in caplog.text


def test_documents_are_kept_in_every_version_and_the_named_ones_among_the_latest() -> None:
    first, second = '{"account":"home"}', '{"account":"home","zone":"UTC"}'
    messages = given([first.encode(), second.encode(), b"broken", b"", b'{"account":"other"}'])
    for message in messages:
        message.key = b"default/home"
    messages[3].value = None
    rows = account_rows(messages)
    assert [name for name, _ in rows.tables] == ["documents", "accounts"]
    documents, accounts = (table for _, table in rows.tables)
    assert documents_from_table(documents) == [
        ("accounts", b"default/home", message.value, 3, message.offset, APPENDED * 1_000) for message in messages
    ]
    assert accounts.to_pylist() == [
        {"tenant": "default", "account": "home", "document": first, "seq": 1},
        {"tenant": "default", "account": "home", "document": second, "seq": 2},
    ]
    gas = '{"tariff":"gas","version":"1"}'
    (_, documents), (_, tariffs) = tariff_rows([Given(gas.encode(), 4, b"gas@1"), Given(None, 5, None)]).tables
    assert documents["key"].to_pylist() == [b"gas@1", b""]
    assert tariffs.to_pylist() == [{"tariff": "gas", "version": "1", "document": gas, "seq": 5}]
