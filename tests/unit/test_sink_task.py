"""A partition's way into ClickHouse: what is inserted is committed after it and never before, whatever happens."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import pyarrow as pa
import pytest
from aiokafka.errors import GroupAuthorizationFailedError
from faust.types import TP

from agents.errors import BrokerError, InsertError
from agents.sink.inserting import Inserter
from agents.sink.rows import Message, Rows
from agents.sink.task import Rules, SinkTask, Source, Surroundings
from agents.stream.transport import Seat
from sinks.errors import Busy, NoSpace, Refused, SinkError, TimedOut, Unreachable
from tests.unit.test_sink_rows import Given

PARTITION = TP("t", 3)
SEAT = Seat(4, "me")
PATIENCE_S = 10


class Place:
    """Where tables go: each insert is told in `said`, and fails with the errors that are left, one each."""

    def __init__(self, said: list[str], *errors: SinkError) -> None:
        self._said = said
        self.errors = [*errors]
        self.answers = threading.Event()
        self.answers.set()

    def insert(self, table_name: str, table: pa.Table, token: str) -> None:
        self.answers.wait()
        if self.errors:
            raise self.errors.pop(0)
        self._said.append(f"{table_name} {table['offset'].to_pylist()} {token}")


@dataclass
class Offsets:
    """What the group knows; `seat` is who may commit."""

    said: list[str]
    seat: Seat = SEAT
    error: Exception | None = None

    async def commit_for(self, seat: Seat, partition: TP, offset: int) -> bool:
        assert partition == PARTITION
        if self.error is not None:
            raise self.error
        if seat == self.seat:
            self.said.append(f"commit {offset}")
        return seat == self.seat


def in_twos(messages: Sequence[Message]) -> Rows:
    """Messages are stored in pairs, whose second has an odd offset."""
    taken = max((place for place, message in enumerate(messages, 1) if message.offset % 2), default=0)
    offsets = [message.offset for message in messages[:taken]]
    return Rows([("first", pa.table({"offset": offsets})), ("second", pa.table({"offset": offsets}))], taken)


class Bench:
    """A task with all that it needs, and what has happened, in order."""

    def __init__(self, *errors: SinkError, messages: int = 100, size: int = 1 << 20, wait_s: float = 0.01) -> None:
        self.said: list[str] = []
        self.failed: list[tuple[BaseException, str]] = []
        self.place = Place(self.said, *errors)
        self.offsets = Offsets(self.said)
        self.task = SinkTask(
            Source(PARTITION, in_twos, "c-t-3", 4),
            Inserter(self.place, longest_s=0.02),
            Rules(messages, size, wait_s),
            Surroundings(lambda: self.offsets, self.fail),
        )

    def fail(self, error: BaseException, place: str) -> NoReturn:
        self.failed.append((error, place))
        raise SystemExit

    def offer(self, *offsets: int, value: bytes = b"x") -> None:
        self.task.offer([Given(value, offset) for offset in offsets], lambda: self.said.append(f"ack {offsets[-1]}"))

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not what():  # noqa: ASYNC110 - what the task does is seen from outside, as operators see it
                await asyncio.sleep(0.002)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        await work()

    asyncio.run(within())


def block(first: int, last: int) -> list[str]:
    """The insertion and commit of messages from one offset to another."""
    offsets = list(range(first, last + 1))
    return [f"{name} {offsets} c-t-3-{first}-{last}-v4" for name in ("first", "second")] + [f"commit {last + 1}"]


def test_rows_are_inserted_then_committed_then_acknowledged() -> None:
    async def work() -> None:
        bench = Bench()
        await bench.task.open()
        bench.offer(0, 1)
        bench.offer(2, 3, 4)
        await bench.until(lambda: "ack 1" in bench.said)
        await bench.task.close()
        assert bench.said == [*block(0, 3), "ack 1"], "a block ends where all of it can be stored"

    run(work)


def test_what_is_too_little_to_be_stored_waits_for_more() -> None:
    async def work() -> None:
        bench = Bench(messages=1)
        await bench.task.open()
        bench.offer(0)
        await asyncio.sleep(0.05)
        assert bench.said == []
        bench.offer(1)
        await bench.until(lambda: "ack 1" in bench.said)
        assert bench.said == [*block(0, 1), "ack 0", "ack 1"]
        await bench.task.close()

    run(work)


@pytest.mark.parametrize(("messages", "size"), [(4, 1 << 20), (100, 40)])
def test_blocks_are_bounded_in_messages_and_in_bytes(messages: int, size: int) -> None:
    async def work() -> None:
        bench = Bench(messages=messages, size=size, wait_s=3600)
        await bench.task.open()
        bench.offer(*range(10), value=b"0123456789")
        await bench.until(lambda: bench.said[-1:] == ["commit 8"])
        await asyncio.sleep(0.02)
        assert bench.said == [*block(0, 3), *block(4, 7)], "what is left waits for more"
        await bench.task.close()

    run(work)


@pytest.mark.parametrize("error", [Unreachable("a"), TimedOut("b"), Busy("too many parts"), NoSpace("d")])
def test_while_clickhouse_is_away_the_same_insert_is_repeated(error: SinkError) -> None:
    async def work() -> None:
        bench = Bench(error, error, error)
        await bench.task.open()
        bench.offer(0, 1)
        await bench.until(lambda: "ack 1" in bench.said)
        assert bench.said == [*block(0, 1), "ack 1"]
        await bench.task.close()

    run(work)


def test_the_next_block_is_made_while_one_is_stored_and_is_stored_after_it() -> None:
    async def work() -> None:
        bench = Bench(messages=2)
        bench.place.answers.clear()
        await bench.task.open()
        bench.offer(0, 1, 2, 3, 4, 5)
        await asyncio.sleep(0.05)
        bench.place.answers.set()
        await bench.until(lambda: "ack 5" in bench.said)
        assert bench.said == [*block(0, 1), *block(2, 3), *block(4, 5), "ack 5"]
        await bench.task.close()

    run(work)


def test_closing_finishes_the_insert_that_runs_and_no_more() -> None:
    async def work() -> None:
        bench = Bench(messages=2)
        bench.place.answers.clear()
        await bench.task.open()
        bench.offer(0, 1)
        bench.offer(2, 3)
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(bench.task.close())
        await asyncio.sleep(0.01)
        bench.place.answers.set()
        await closing
        assert bench.said == [*block(0, 1), "ack 1"]

    run(work)


def test_closing_does_not_wait_for_a_clickhouse_that_is_away() -> None:
    async def work() -> None:
        bench = Bench(*[Unreachable("away")] * 10_000)
        await bench.task.open()
        bench.offer(0, 1)
        await bench.until(lambda: len(bench.place.errors) < 10_000)
        async with asyncio.timeout(1):
            await bench.task.close()
        assert bench.said == []

    run(work)


def test_a_partition_that_another_has_is_stored_no_further() -> None:
    async def work() -> None:
        bench = Bench(messages=2)
        await bench.task.open()
        bench.offsets.seat = Seat(5, "another")
        bench.offer(0, 1)
        bench.offer(2, 3)
        await bench.until(lambda: len(bench.said) >= 2)
        await asyncio.sleep(0.05)
        assert not any(said.startswith(("commit", "ack")) for said in bench.said)
        assert not any("-2-3-" in said for said in bench.said)
        await bench.task.close()
        assert bench.failed == []

    run(work)


@pytest.mark.parametrize(
    ("refused", "unauthorized", "kind", "told"),
    [
        (Refused("no such column"), None, InsertError, "messages 0 to 1 cannot be stored: no such column"),
        (None, GroupAuthorizationFailedError("t"), BrokerError, "offset 2 cannot be committed: GroupAuthorization"),
    ],
)
def test_what_would_fail_again_ends_the_process(
    refused: Refused | None, unauthorized: Exception | None, kind: type[Exception], told: str
) -> None:
    async def work() -> None:
        bench = Bench(*filter(None, [refused]))
        bench.offsets.error = unauthorized
        await bench.task.open()
        bench.offer(0, 1)
        await bench.until(lambda: bench.failed)
        (error, place) = bench.failed[0]
        assert isinstance(error, kind)
        assert str(error).startswith(told)
        assert place == "t[3]"
        assert not any(said.startswith("ack") for said in bench.said)

    with pytest.raises(SystemExit):
        run(work)
