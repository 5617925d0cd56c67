"""Process: one worker, from its start to its end, which may come at any step.

Everything that leaves the process goes through `reached` (a moment at which it can be killed) or `request` (a moment at
which it waits for the brokers: there it can also be stopped for long, or be answered by an error before or after the
brokers have done what it asked for). A process that was killed does nothing more.
"""

from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass, field
from random import Random
from types import coroutine
from typing import Literal, TypeVar

from agents.errors import BrokerError
from agents.stream.documents import Published
from agents.stream.partition import Decided
from agents.stream.table import Applied, Change, Place
from tests.simulation.kafka import Kafka, Record

T = TypeVar("T")
Fault = Literal["none", "kill", "error", "stop"]
_MILLISECOND_US = 1_000
_WAITING = "waiting"


class KilledError(BaseException):
    """The process has ended; nothing in it catches this."""


class LostAnswerError(BrokerError):
    """The brokers did not answer: what was asked of them may have been done."""


@coroutine
def _wait() -> Generator[str, None, None]:
    yield _WAITING


@dataclass(eq=False)
class Fate:
    """What happens to a process, and at which of its moments: 0 is the next one. `met` is where it has."""

    fault: Fault = "none"
    moments: int = 0
    met: str = ""
    is_dead: bool = False
    is_stopped: bool = False

    def reached(self, step: str) -> None:
        """A moment at which the process can be killed. Raises KilledError."""
        if self.is_dead:
            raise KilledError(step)
        self.moments -= 1
        if self.fault == "kill" and self.moments < 0:
            self.met, self.is_dead = step, True
            raise KilledError(step)

    def waits(self, step: str) -> None:
        """A moment at which the process waits for an answer. Raises KilledError and LostAnswerError."""
        self.reached(step)
        if self.met or self.moments >= 0 or self.fault not in ("error", "stop"):
            return
        self.met = step
        if self.fault == "error":
            raise LostAnswerError(step)
        self.is_stopped = True


@dataclass(eq=False)
class SimulatedLog:
    """The log of the partition for one process: the steps of KafkaLog (agents/stream/log.py), each at a moment."""

    kafka: Kafka
    fate: Fate
    chance: Random
    epoch: int = 0
    read: dict[str, int] | None = None
    steps: Callable[[str], None] = field(init=False)

    def __post_init__(self) -> None:
        self.steps = self.fate.reached

    async def request(self, step: str, effect: Callable[[], T]) -> T:
        """What the brokers do and answer."""
        self.fate.waits(f"{step}-asked")
        await _wait()
        result = effect()
        self.fate.waits(f"{step}-done")
        await _wait()
        return result

    async def fence(self) -> None:
        """Take the partition over."""
        self.epoch = await self.request("fence", self.kafka.fence)

    async def restore(self, position: int) -> AsyncIterator[tuple[list[Change], Place]]:
        """The committed changelog from a position to its end, in runs, each with the place after it."""
        records, end = await self.request("restore", lambda: (self.changelog(position), self.kafka.end("changelog")))
        while records:
            many = self.chance.choice((3, 20, 1000))
            run, records = records[:many], records[many:]
            at = records[0].offset if records else end
            yield [(record.key or b"", record.value) for record in run], Place(at, run[-1].timestamp * _MILLISECOND_US)
            self.fate.waits("restore-run")
            await _wait()

    def changelog(self, position: int) -> list[Record]:
        """What `restore` reads."""
        return self.kafka.read("changelog", position)

    async def range_of(self, topic: Literal["changelog", "usage"]) -> tuple[int, int]:
        """The first offset that the topic's partition still has, and the next one after its last."""
        return await self.request(f"range-of-{topic}", lambda: (0, self.kafka.end(topic)))

    async def committed(self) -> int | None:
        """The usage offset that the consumer group has committed."""
        return await self.request("committed", lambda: self.kafka.group_offset)

    async def published(self, applied: Applied) -> list[Published]:
        """All documents and commands from what is applied to what is there now, those of one topic in order."""
        if self.read is None:
            self.read = {"accounts": applied.accounts, "commands": applied.commands, "tariffs": applied.tariffs}
        found = await self.request("published", self._published)
        self.chance.shuffle(found)
        return [one for of in found for one in of]

    def _published(self) -> list[list[Published]]:
        found: list[list[Published]] = []
        topics: tuple[Literal["accounts", "commands", "tariffs"], ...] = ("accounts", "commands", "tariffs")
        for topic in topics:
            read = self.read or {}
            records = self.kafka.records[topic][read[topic] :]
            if records:
                read[topic] += len(records)
                found.append(
                    [Published(topic, r.key, r.value, r.offset, r.timestamp * _MILLISECOND_US) for r in records if r]
                )
        return found

    async def commit(self, decided: Decided) -> Place:
        """Send all of it in one transaction, with the usage offset; the place after it in the changelog."""
        kafka, steps, epoch = self.kafka, self.steps, self.epoch
        steps("batch-before-begin")
        await self.request("begin", lambda: kafka.begin(epoch))
        steps("batch-after-begin")
        await self.request("charges", lambda: kafka.send(epoch, "charges", decided.charges))
        if decided.statements:
            await self.request("statements", lambda: kafka.send(epoch, "statements", decided.statements))
        if decided.rejections:
            await self.request("rejections", lambda: kafka.send(epoch, "usage_rejected", decided.rejections))
        if decided.markers:
            await self.request("markers", lambda: kafka.send(epoch, "usage", decided.markers))
        steps("batch-after-charges")
        first = await self.request("changelog", lambda: kafka.send(epoch, "changelog", decided.entries))
        written_ms = kafka.now_ms
        steps("batch-after-changelog")
        await self.request("offsets", lambda: kafka.send_offset(epoch, decided.usage))
        steps("batch-after-offsets")
        steps("batch-before-commit")
        await self.request("commit", lambda: kafka.commit(epoch))
        steps("batch-after-commit")
        # Brokers answer for a batch of messages with the offset of its first one; there may be several batches.
        at = first + self.chance.randrange(len(decided.entries)) + 1
        return Place(at, written_ms * _MILLISECOND_US)

    @property
    def is_worn(self) -> bool:
        """Whether the partition has to be taken over anew soon: that is up to the schedule."""
        return False

    async def close(self) -> None:
        """Let go of the partition."""
        self.epoch, self.read = 0, None
