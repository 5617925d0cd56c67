"""A partition: what its messages come to, whatever was read together and wherever it was begun again."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import islice

import pytest
from msgspec.structs import replace

from agents.stream.keys import account_key, partition_of
from agents.stream.messages import COMMAND_HEADER, Close, Release, Tick, decode_command, encode_command
from agents.stream.partition import Slices
from agents.stream.table import Counts, Sweep
from schemas.codecs import avro_container
from schemas.rejection import Reason
from schemas.statement import Statement
from schemas.usage import UsageRecord
from tests.small_books import LATER, account, amounts, graduated, per_unit, reading, tariff, us
from tests.small_partition import Message, SmallPartition

PLAN = tariff(graduated(("10", "3"), (None, "2")))
PARTITIONS = 4
HOME = partition_of(account_key("default", "home"), PARTITIONS)


def small(*accounts: str, number: int = 0, partitions: int = 1, slices: Slices | None = None) -> SmallPartition:
    stream = SmallPartition(number=number, partitions=partitions, slices=slices)
    assert stream.publish(PLAN, *(account(account=name) for name in accounts or ["home"])) == []
    return stream


def usage(usage_id: str, start: str = "2024-01-05", name: str = "home", **rest: str) -> UsageRecord:
    return reading(usage_id, "1", start, account=name, **rest)


def ids(stream: SmallPartition) -> list[str]:
    return [charge.usage_id for charge in stream.charges if charge.usage_id]


def starts(statements: Sequence[Statement]) -> list[tuple[str, int]]:
    return [(statement.account, statement.period_start) for statement in statements]


# Rating


def test_an_account_of_another_partition_is_rejected_with_the_key_it_needs() -> None:
    stream = small(number=HOME, partitions=PARTITIONS)
    names = [f"home-{number}" for number in range(20)]
    away = [name for name in names if partition_of(account_key("default", name), PARTITIONS) != HOME]
    records = [usage(name, name=name) for name in away]
    assert stream.take(usage("a"), *records, usage("b")) == [Reason.WRONG_PARTITION] * len(away)
    assert ids(stream) == ["a", "b"]
    assert f"Send it with the key 'default/{away[0]}'" in stream.rejections[0].message
    assert [message.key for message in stream.rejected] == [account_key("default", name) for name in away]
    assert stream.take(usage("c", name=next(name for name in names if name not in away))) == [Reason.UNKNOWN_ACCOUNT]


@pytest.mark.parametrize("key", [None, b"", b"default/home", b"some key", b"\xff\xfe"])
def test_a_rejection_keeps_the_key_and_the_bytes_that_came(key: bytes | None) -> None:
    stream = small()
    wrong = stream.message(replace(usage("a"), quantity=Decimal(-1)), key=key)
    wrong.key = key
    unreadable = Message(wrong.offset + 1, 0, key, b"{")
    empty = Message(wrong.offset + 2, 0, key, None)
    assert stream.rate(wrong, unreadable, empty) == [Reason.NEGATIVE, Reason.UNREADABLE, Reason.UNREADABLE]
    assert [message.key for message in stream.rejected] == [key] * 3
    assert [message.value for message in stream.rejected] == [wrong.value, b"{", b""]
    assert [rejection.position.offset for rejection in stream.rejections] == [0, 1, 2]
    assert {(r.position.origin, r.position.partition) for r in stream.rejections} == {("usage", 0)}


def test_all_that_is_received_is_accepted_a_duplicate_or_rejected() -> None:
    stream = small()
    stream.take(usage("a"), usage("b"), usage("a"), replace(usage("a"), quantity=Decimal(2)), usage("c", name="x"))
    stream.take(b"{", usage("d"))
    assert stream.table.applied.counts == Counts(received=7, accepted=3, duplicates=1, rejected=3, charges=3)
    assert amounts(stream.charges) == [3, 3, 3]
    assert stream.table.applied.reached == us("2024-01-05")


def test_messages_that_were_applied_are_passed_over() -> None:
    stream = small()
    messages = [stream.message(usage(f"u{number}")) for number in range(4)]
    stream.rate(*messages[:3])
    stream.restart()
    stream.rate(*messages)
    stream.rate(*messages)
    assert ids(stream) == ["u0", "u1", "u2", "u3"]
    assert stream.table.applied.counts.received == 4
    assert (stream.table.applied.usage, stream.table.applied.index) == (4, 0)


# Containers

MANY = 3_000


def container() -> list[UsageRecord]:
    """Very many records, of which every tenth is negative and every seventh comes again."""
    numbers = [number - number % 7 // 6 for number in range(MANY)]
    records = [usage(f"u{number}", f"2024-01-{number % 28 + 1:02}") for number in numbers]
    return [replace(r, quantity=Decimal(-1)) if number % 10 == 9 else r for number, r in enumerate(records)]


def test_a_large_container_is_rated_slice_by_slice() -> None:
    at_once, sliced = small(), small(slices=Slices(records=100))
    messages = [at_once.message(usage("before")), at_once.message(*container()), at_once.message(usage("after"))]
    at_once.rate(*messages)
    places = []
    for _ in sliced.partition.rate(messages):
        sliced.commit()
        places.append((sliced.table.applied.usage, sliced.table.applied.index))
    assert places[:2] == [(1, 99), (1, 199)]  # the message before counts as well
    assert places[-1] == (3, 0)
    assert len(places) == 32  # the message after comes by itself
    assert sliced.charges == at_once.charges
    assert sliced.rejected == at_once.rejected
    assert sliced.table.applied.counts == at_once.table.applied.counts
    assert at_once.table.applied.counts.duplicates > MANY // 10
    assert {r.position.index for r in at_once.rejections if r.reason is Reason.NEGATIVE} == set(range(9, MANY, 10))
    assert {rejection.position.offset for rejection in at_once.rejections} == {1}


@pytest.mark.parametrize("stop", [1, 7, 15, 30])
def test_a_container_is_gone_on_with_where_it_was_left(stop: int) -> None:
    whole, stream = small(), small(slices=Slices(records=100))
    messages = [whole.message(*container()), whole.message(usage("after"))]
    whole.rate(*messages)
    for _ in islice(stream.partition.rate(messages), stop):
        stream.commit()
    assert stream.table.applied.index == (stop * 100) % MANY
    stream.restart()
    stream.rate(*messages)
    assert stream.charges == whole.charges
    assert stream.rejected == whole.rejected
    assert stream.table.applied.counts == whole.table.applied.counts
    assert (stream.table.applied.usage, stream.table.applied.index) == (2, 0)


def test_containers_among_other_messages_come_to_what_single_messages_come_to() -> None:
    records = container()[:60]
    single = small()
    single.take(*records)
    mixed = small(slices=Slices(records=7))
    empty = Message(99, LATER // 1000, None, avro_container([], UsageRecord))
    pieces = [records[:20], records[20:21], records[21:50], records[50:51], records[51:]]
    messages = [mixed.message(*piece) for piece in pieces]
    mixed.rate(*messages, empty)
    assert mixed.charges == single.charges
    assert [r.usage_id for r in mixed.rejections] == [r.usage_id for r in single.rejections]
    assert (mixed.table.applied.usage, mixed.table.applied.index) == (100, 0)
    assert mixed.table.applied.counts == single.table.applied.counts


# Commands


def test_commands_become_markers_with_their_own_bytes() -> None:
    stream = small()
    commands = [encode_command(Close("2024-01")), b"rubbish", None]
    messages = [stream.published("commands", b"key", command) for command in commands]
    assert stream.adopt(*messages) == []
    assert [(marker.key, marker.value) for marker in stream.markers] == [(b"key", c or b"") for c in commands]
    assert {tuple(marker.headers) for marker in stream.markers} == {((COMMAND_HEADER, b""),)}
    assert stream.table.applied.commands == 3
    assert not stream.partition.is_closing


def test_a_tick_is_written_as_a_marker() -> None:
    stream = small()
    stream.partition.tick()
    stream.commit()
    (marker,) = stream.markers
    assert decode_command(marker.value) == Tick()
    assert [name for name, _ in marker.headers] == [COMMAND_HEADER]


@pytest.mark.parametrize("value", [b"", b"rubbish", b"{}", b'{"command":"stop"}', b'{"command":"close"}', b"\xff"])
def test_a_command_that_cannot_be_read_is_refused_where_it_stands(value: bytes) -> None:
    stream = small()
    before, after = stream.message(usage("a")), stream.message(usage("b"))
    marker = Message(1, LATER // 1000, b"default/home", value, [("other", b""), (COMMAND_HEADER, b"")])
    after.offset = 2
    assert stream.rate(before, marker, after) == [Reason.INVALID_DOCUMENT]
    assert ids(stream) == ["a", "b"]
    (rejection,) = stream.rejections
    assert "not a command" in rejection.message
    assert str(rejection.position) == "usage[0]@1"
    assert (rejection.tenant, rejection.account) == ("default", "home")
    assert (stream.rejected[0].key, stream.rejected[0].value) == (b"default/home", value)
    assert stream.table.applied.usage == 3
    assert stream.table.applied.counts.received == 2


def test_another_header_makes_no_command() -> None:
    stream = small()
    message = stream.message(usage("a"))
    message.headers = [("traceparent", b"00")]
    assert stream.rate(message) == []
    assert ids(stream) == ["a"]


def test_a_command_counts_as_applied_once() -> None:
    stream = small()
    messages = [stream.marker(Close("2024-01")), stream.message(usage("a"))]
    for _ in range(2):
        stream.rate(messages[0])
    for _ in range(2):
        stream.rate(*messages)
    assert stream.table.applied.sweeps == [Sweep(LATER, "2024-01")]
    stream.restart()
    assert stream.partition.is_closing


def test_ticks_do_not_pile_up() -> None:
    stream = small()
    ticks = [stream.marker(Tick(), us(f"2024-0{month}-01")) for month in (1, 2, 3)]
    close = stream.marker(Close("2024-01"), us("2024-03-01"))
    last = stream.marker(Tick(), us("2024-04-01"))
    stream.rate(*ticks, close, last)
    assert stream.table.applied.sweeps == [Sweep(us("2024-01-01")), Sweep(us("2024-03-01"), "2024-01")]
    assert stream.table.applied.appended == us("2024-04-01")


def test_releasing_a_source_that_is_not_held_changes_nothing() -> None:
    stream = small()
    assert stream.command(Release("default", "meter")) == []
    assert [key for key, _ in stream.entries[-1]] == [b"@"]


# Sweeps

JANUARY, FEBRUARY = us("2024-01-01"), us("2024-02-01")


def with_usage(*, slices: Slices | None = None) -> SmallPartition:
    """Accounts of two tenants, one of which is billed by the week; some have usage in January and February."""
    stream = SmallPartition(slices=slices)
    stream.publish(
        PLAN,
        *(account(account=name) for name in ("a", "b", "idle")),
        account(account="a", tenant="other"),
        account(account="weekly", cycle={"unit": "week"}),
    )
    received = us("2024-02-01T12:00")
    stream.take(
        *(usage(f"{name}{day}", f"2024-{day}", name) for name in ("a", "b", "weekly") for day in ("01-30", "02-01")),
        usage("other", "2024-01-30", "a", tenant="other"),
        received=received,
    )
    assert {statement.account for statement in stream.statements} <= {"weekly"}
    stream.statements.clear()
    return stream


def closed(stream: SmallPartition, command: Close | Tick, received: str) -> list[tuple[str, str, int]]:
    statements = stream.command(command, us(received))
    return sorted((statement.tenant, statement.account, statement.period_start) for statement in statements)


A, B, IDLE = ("default", "a", JANUARY), ("default", "b", JANUARY), ("default", "idle", JANUARY)
OTHER = ("other", "a", JANUARY)
WEEKLY = ("default", "weekly", us("2024-01-29"))
ALL = [A, B, IDLE, OTHER]


@pytest.mark.parametrize(
    ("command", "received", "expected"),
    [
        (Close("2024-01"), "2024-02-01T12:00", ALL),
        (Close("2024-01"), "2024-02-01", ALL),  # the instant at which it ends
        (Close("2024-01"), "2024-01-31T23:59:59", []),
        (Close("2024-02"), "2024-02-20", []),
        (Close("2024-01", "default"), "2024-02-02", [A, B, IDLE]),
        (Close("2024-01", "other"), "2024-02-02", [OTHER]),
        (Close("2024-01", "nobody"), "2024-02-02", []),
        (Close("2024-01", "default", "a"), "2024-02-02", [A]),
        (Close("2024-01", "other", "a"), "2024-02-02", [OTHER]),
        (Close("2024-01", "other", "b"), "2024-02-02", []),
        (Close("2024-01", "default", "weekly"), "2024-02-02", []),
        (Close("2024-01-29", "default", "weekly"), "2024-02-06", []),
        (Close("2024-W05", "default", "weekly"), "2024-02-04", []),
        (Close("2024-W05", "default", "a"), "2024-02-06", []),
        (Close("2024-W05"), "2024-02-06", [WEEKLY]),
        (Close("2023-12"), "2024-02-06", []),
        (Close(""), "2024-02-02", []),
        (Close("2024-13"), "2024-02-02", []),
        (Close("9999-12"), "2024-02-02", []),
    ],
)
def test_what_a_close_closes(command: Close, received: str, expected: list[tuple[str, str, int]]) -> None:
    stream = with_usage()
    found = [each for each in closed(stream, command, received) if each[1] != "weekly" or each == WEEKLY]
    assert found == sorted(expected)
    if command.period:
        assert closed(stream, command, received) == []
    stream.restart()
    assert not stream.partition.is_closing


def test_a_close_closes_what_came_before_as_well() -> None:
    stream = with_usage()
    found = closed(stream, Close("2024-02", "default", "b"), "2024-03-01")
    assert found == [B, ("default", "b", FEBRUARY)]
    assert stream.take(usage("late", "2024-01-31", "b")) == []
    late = stream.charges[-1]
    assert (late.period_start, late.statement_start) == (JANUARY, us("2024-03-01"))


def test_usage_of_a_period_that_was_closed_comes_late() -> None:
    stream = with_usage()
    stream.command(Close("2024-01", "default", "a"), us("2024-02-02"))
    stream.take(usage("late", "2024-01-31", "a"), received=us("2024-02-02"))
    assert starts(stream.statements) == [("a", JANUARY)]
    assert (stream.charges[-1].period_start, stream.charges[-1].statement_start) == (JANUARY, FEBRUARY)


def test_an_account_of_another_partition_is_not_closed() -> None:
    stream = small(number=HOME, partitions=PARTITIONS)
    away = next(f"h{n}" for n in range(20) if partition_of(account_key("default", f"h{n}"), PARTITIONS) != HOME)
    assert closed(stream, Close("2024-01", "default", away), "2024-03-01") == []
    assert closed(stream, Close("2024-01", "default", "home"), "2024-03-01") == [("default", "home", JANUARY)]


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ("2024-02-08", []),  # a week of silence begins a day after the period, or with its last usage
        ("2024-02-09", ALL),
        ("2024-03-08", ALL),
        ("2024-03-10", [*ALL, *((tenant, name, FEBRUARY) for tenant, name, _ in ALL)]),
    ],
)
def test_a_tick_closes_what_has_been_silent(received: str, expected: list[tuple[str, str, int]]) -> None:
    stream = with_usage()
    found = [each for each in closed(stream, Tick(), received) if each[1] != "weekly"]
    assert found == sorted(expected)


@pytest.mark.parametrize("slices", [Slices(closed=1), Slices(looked_at=1), Slices(closed=2, looked_at=3), Slices()])
@pytest.mark.parametrize("command", [Close("2024-01"), Close("2024-01", "default"), Close("2024-02"), Tick()])
@pytest.mark.parametrize("restarts", [False, True])
def test_sweeps_in_slices_come_to_the_same(slices: Slices, command: Close | Tick, restarts: bool) -> None:
    whole, stream = with_usage(), with_usage(slices=slices)
    expected = whole.command(command, us("2024-03-10"))
    stream.rate(stream.marker(command, us("2024-03-10")))
    turns = 0
    for _ in stream.sweeps():
        turns += 1
        if restarts:
            stream.restart()
    assert stream.statements == expected
    assert expected
    assert slices == Slices() or turns > 1
    assert stream.table.applied == whole.table.applied


def test_usage_goes_on_between_the_slices_of_a_sweep() -> None:
    stream = with_usage(slices=Slices(looked_at=1))
    stream.rate(stream.marker(Close("2024-01"), us("2024-02-02")))
    for number, _ in enumerate(stream.sweeps()):
        assert stream.take(usage(f"more{number}", "2024-01-31", "b")) == []
    late = [charge.statement_start for charge in stream.charges if charge.usage_id.startswith("more")]
    assert late == sorted(late)
    assert set(late) == {JANUARY, FEBRUARY}
    (statement,) = [each for each in stream.statements if each.account == "b"]
    assert statement.usage_records == 1 + late.count(JANUARY)


# What is to be sent


def test_what_was_decided_is_told_until_it_is_committed() -> None:
    stream = small()
    for _ in stream.partition.rate([stream.message(usage("a")), stream.message(b"{")]):
        pass
    assert stream.partition.size > 100
    decided = stream.partition.decide()
    assert (len(decided.charges), len(decided.rejections), decided.usage) == (1, 1, 2)
    assert decided.messages == 2 + len(decided.entries)
    assert decided.size == sum(len(message.value) for message in [*decided.charges, *decided.rejections])
    stream.table.write(decided.entries, stream.table.place)
    stream.partition.committed()
    assert stream.partition.size == 0
    again = stream.partition.decide()
    assert again.messages == len(again.entries) == 1


def test_rates_go_on_under_the_totals_of_the_store() -> None:
    stream = small()
    for number in range(12):
        stream.take(usage(f"u{number}"))
        stream.restart()
    assert amounts(stream.charges) == [3] * 10 + [2] * 2


def test_a_new_tariff_does_not_lose_totals() -> None:
    stream = small()
    stream.take(*(usage(f"u{number}") for number in range(9)))
    stream.publish(tariff(per_unit("7"), tariff="another"))
    stream.take(usage("u9"), usage("u10"))
    assert amounts(stream.charges) == [3] * 10 + [2]
