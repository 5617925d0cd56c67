"""Schedule: everything that happens from one seed: what is published and when, what dies where, what comes again.

Time is the brokers' clock, which goes on by seconds or by weeks from one event to the next. Processes come one after
the other, with a stopped one in between that goes on when it has been replaced. In the end a process that nothing
happens to takes in all that there is; what had been stopped until then must not change anything any more.
"""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NoReturn

from agents.errors import AgentError, BrokerError
from agents.stream.messages import Close, Release, encode_command
from agents.stream.partition import Partition, Slices
from agents.stream.table import Owner, Table
from agents.stream.task import PartitionTask, Rules, Surroundings
from agents.stream.topics import Topics
from tests.simulation.disk import Disk, DiskStores, Loss
from tests.simulation.documents import (
    BAD_ACCOUNTS,
    BAD_TARIFFS,
    FIRST_ACCOUNTS,
    FIRST_TARIFFS,
    LATER_ACCOUNTS,
    LATER_TARIFFS,
    NAMES,
    PARTITION,
    PARTITIONS,
)
from tests.simulation.kafka import Kafka, Record
from tests.simulation.process import Fate, Fault, KilledError, SimulatedLog
from tests.simulation.traffic import Sent, Traffic

TOPICS = Topics.of("")
_BEGINNING_MS = 1_704_900_000_000  # 2024-01-10
_SECOND_MS, _HOUR_MS, _DAY_MS = 1_000, 3_600_000, 86_400_000
_EVENTS = 36
_ROUNDS_AT_THE_END = 300
_DISKS = 3
_OWNER = Owner("simulated", {"usage": "1"}, PARTITION, PARTITIONS, 1)


class ProtocolError(Exception):
    """What must never happen has happened."""


class SimulatedTask(PartitionTask):
    """The task, driven by hand."""

    async def start(self) -> None:
        """Open it, without anything that runs by itself."""
        self._partition = await self.restore()

    async def start_anew(self) -> None:
        """Take the partition over again, as when the log is worn."""
        await self._let_go()
        await self.start()

    @property
    def partition(self) -> Partition:
        """The partition, once it is open."""
        return self._partition


@dataclass(frozen=True)
class Parts:
    """What a process is made of."""

    log: type[SimulatedLog] = SimulatedLog
    task: type[SimulatedTask] = SimulatedTask
    partition: type[Partition] = Partition
    staleness: float = 0.5
    """Of the time that deletions stay in the changelog: so old a store may be."""
    are_deletions_kept: bool = True
    """Whether deletions stay so long in the changelog, and do not go when it is compacted."""


@dataclass(frozen=True)
class Sizes:
    """How much a process does at once, and after how many rejections it cuts a source off."""

    slices: Slices
    commit_records: int
    commit_bytes: int
    quarantine_after: int

    @classmethod
    def any(cls, chance: Random) -> "Sizes":
        """Small ones mostly."""
        slices = Slices(chance.choice((1, 2, 3, 8, 1024)), chance.choice((1, 250)), chance.choice((1, 2, 5000)))
        return cls(slices, chance.choice((1, 3, 8, 8192)), chance.choice((0, 1500, 1 << 24)), chance.choice((0, 2, 4)))


@dataclass(eq=False)
class Worker:
    """A process with the partition: `position` is the next usage offset that it fetches."""

    task: SimulatedTask
    log: SimulatedLog
    fate: Fate
    disk: Disk
    position: int = 0


@dataclass(eq=False)
class Schedule:
    """One schedule. `told` is what has happened, in a few words each; `sent` the messages on usage, by offset."""

    seed: int
    parts: Parts = Parts()
    told: list[str] = field(default_factory=list)
    sent: dict[int, Sent] = field(default_factory=dict)
    faults: int = 0

    def __post_init__(self) -> None:
        self.chance = chance = Random(self.seed)
        self.sizes = Sizes.any(chance)
        self._retention_ms = chance.choice((1, 7, 40)) * _DAY_MS
        self.kafka = Kafka(_BEGINNING_MS, self._retention_ms if self.parts.are_deletions_kept else 0)
        self._traffic = Traffic(chance)
        self._left = chance.randint(5, _EVENTS)
        self._disks = [Disk() for _ in range(_DISKS)]
        self._worker: Worker | None = None
        self._stopped: list[tuple[Worker, Coroutine[Any, Any, None] | None]] = []
        self._clock_s = 0.0
        self._fault_rate = chance.choice((0.0, 0.5, 0.9))

    def run(self) -> None:
        """All of it. Raises ProtocolError."""
        chance = self.chance
        self._begin()
        while self._left > 0:
            for _ in range(chance.randint(1, 5)):
                self._happen()
            self._round()
            if chance.random() < 0.1:
                self._clock_s += 1  # time for a tick
        self._finish()

    @property
    def last_worker(self) -> Worker:
        """The process that has finished."""
        if self._worker is None:
            raise ProtocolError("no process is left")
        return self._worker

    # What happens outside.

    def _begin(self) -> None:
        chance = self.chance
        for topic, documents in (("tariffs", FIRST_TARIFFS), ("accounts", FIRST_ACCOUNTS)):
            for key, value in documents:
                if chance.random() < 0.95:
                    self.kafka.append(topic, key, value)

    def _happen(self) -> None:
        if self._left <= 0:
            return
        self._left -= 1
        chance, kafka = self.chance, self.kafka
        kafka.now_ms += self._pause_ms()
        kind = chance.random()
        if kind < 0.78:
            self._send()
        elif kind < 0.85:
            kafka.append("accounts", *chance.choice(FIRST_ACCOUNTS + LATER_ACCOUNTS + BAD_ACCOUNTS))
        elif kind < 0.90:
            kafka.append("tariffs", *chance.choice(FIRST_TARIFFS + LATER_TARIFFS + BAD_TARIFFS))
        elif kind < 0.95:
            kafka.append("commands", None, self._command())
        else:
            kafka.compact()

    def _pause_ms(self) -> int:
        chance = self.chance
        longest = chance.choice((0, _SECOND_MS, 12 * _HOUR_MS, 4 * _DAY_MS, 10 * _DAY_MS, 30 * _DAY_MS))
        return chance.randint(0, longest)

    def _send(self) -> None:
        """A message, now and then within a transaction of its producer."""
        chance, kafka = self.chance, self.kafka
        if kafka.others and chance.random() < 0.5:
            kafka.end_other(chance.choice(kafka.others), is_committed=chance.random() < 0.6)
        transaction = None
        if chance.random() < 0.1:
            transaction = kafka.begin_other() if not kafka.others else chance.choice(kafka.others)
        message = self._traffic.message(kafka.now_ms // _SECOND_MS)
        offset = kafka.append("usage", message.key, message.value, (), transaction)
        self.sent[offset] = message

    def _command(self) -> bytes:
        chance = self.chance
        name = chance.choice(NAMES)
        kind = chance.random()
        if kind < 0.1:
            return b'{"command":"open"}'
        if kind < 0.35:
            return encode_command(Release(name.tenant, "broken"))
        period = chance.choice(("2024-01", "2024-02", "2024-03", "2024-W05"))
        tenant, account = chance.choice((("", ""), (name.tenant, ""), name))
        return encode_command(Close(period, tenant, account))

    # Processes.

    def _round(self) -> None:
        """A process works, and perhaps another one that had been stopped."""
        chance = self.chance
        if self._stopped and chance.random() < 0.25:
            self._resume(self._stopped.pop(chance.randrange(len(self._stopped))))
        kind = chance.random()
        if self._worker is not None and kind < 0.12:
            self._close(self._worker)
        elif self._worker is not None and kind < 0.15 and len(self._stopped) < _DISKS - 1:
            self._stopped.append((self._worker, None))  # the partition is given to another one, and it does not know
            self._worker = None
        worker = self._worker or self._start(self._any_fate())
        if worker is not None:
            self._deliver(worker)
            if chance.random() > 0.03 or self._drive(worker, worker.task.start_anew()):
                self._drive(worker, worker.task.work())

    def _any_fate(self) -> Fate:
        chance = self.chance
        if chance.random() >= self._fault_rate:
            return Fate()
        faults: Sequence[Fault] = ("kill", "kill", "kill", "error", "stop")
        fault = chance.choice(faults)
        if fault == "stop" and len(self._stopped) >= _DISKS - 1:
            fault = "kill"
        return Fate(fault, chance.randrange(chance.choice((12, 40, 120))))

    def _start(self, fate: Fate) -> Worker | None:
        """A process on any machine that has none."""
        chance, kafka, parts = self.chance, self.kafka, self.parts
        if chance.random() < 0.6:
            kafka.compact()
        taken = [worker.disk for worker, _ in self._stopped]
        disk = chance.choice([disk for disk in self._disks if disk not in taken])
        log = parts.log(kafka, fate, chance)
        rules = Rules(
            int(self._retention_ms * 1000 * parts.staleness), 1.0, self.sizes.commit_records, self.sizes.commit_bytes
        )
        around = Surroundings(_fail, fate.reached, now_us=lambda: kafka.now_ms * 1000, clock=lambda: self._clock_s)
        task = parts.task(_OWNER, log, DiskStores(disk, fate.reached), self._partition, rules, around)
        worker = self._worker = Worker(task, log, fate, disk)
        # Usage comes again from wherever the group is believed to be.
        worker.position = chance.choice((kafka.group_offset or 0, kafka.group_offset or 0, 0))
        self.told.append(f"start on disk {self._disks.index(disk)}")
        return worker if self._drive(worker, task.start()) else None

    def _partition(self, table: Table) -> Partition:
        return self.parts.partition(
            table,
            TOPICS,
            PARTITION,
            PARTITIONS,
            quarantine_after=self.sizes.quarantine_after,
            slices=self.sizes.slices,
        )

    def _deliver(self, worker: Worker, many: int | None = None) -> bool:
        """Offer what comes next, in pieces; whether there was anything."""
        chance = self.chance
        records = self.kafka.read("usage", worker.position)[: chance.randint(0, 9) if many is None else many]
        if records:
            worker.position = records[-1].offset + 1
        while records:
            cut = chance.randint(1, len(records))
            piece, records = records[:cut], records[cut:]
            worker.task.offer(piece, self._acknowledgement(piece))
        return bool(worker.position)

    def _acknowledgement(self, piece: Sequence[Record]) -> "_Acknowledgement":
        return _Acknowledgement(self.kafka, piece[-1].offset)

    def _drive(self, worker: Worker, running: Coroutine[Any, Any, None]) -> bool:
        """Let a process go on until it waits for usage; whether it lives and was not stopped."""
        fate, chance = worker.fate, self.chance
        while True:
            try:
                label = running.send(None)
            except StopIteration:
                return True
            except KilledError as killed:
                losses: Sequence[Loss] = ("nothing", "last writes", "everything", "everything")
                loss = chance.choice(losses)
                worker.disk.lose(loss, chance)
                self._end(worker, f"killed at {killed}, {loss} lost")
                return False
            except BrokerError as error:
                self._end(worker, f"ended by {type(error).__name__}: {error}")
                return False
            except AgentError as error:
                if worker.log.epoch != self.kafka.epoch:  # what it read has changed, as it was replaced
                    self._end(worker, f"ended by {type(error).__name__}: {error}")
                    return False
                raise ProtocolError(f"a process has refused to go on: {error}") from error
            if fate.is_stopped:
                fate.is_stopped = False
                self.told.append(f"stopped at {fate.met}")
                self.faults += 1
                self._stopped.append((worker, running))
                self._forget(worker)
                return False
            if label is not None and chance.random() < 0.04:
                self._happen()

    def _end(self, worker: Worker, how: str) -> None:
        worker.fate.is_dead = True
        self.told.append(how)
        self.faults += 1
        self._forget(worker)

    def _forget(self, worker: Worker) -> None:
        if self._worker is worker:
            self._worker = None

    def _close(self, worker: Worker) -> None:
        """A process that ends when it is asked to."""
        if self._drive(worker, worker.task.close()):
            worker.fate.is_dead = True
            self.told.append("closed")
            self._forget(worker)

    def _resume(self, stopped: tuple[Worker, Coroutine[Any, Any, None] | None]) -> None:
        """A process goes on that had been stopped; in the meantime another one may have got the partition."""
        worker, running = stopped
        self.told.append(f"one of epoch {worker.log.epoch} goes on, now {self.kafka.epoch}")
        lives = self._drive(worker, running if running is not None else worker.task.work())
        for _ in range(2):
            if lives:
                self._deliver(worker)
                lives = self._drive(worker, worker.task.work())
        if lives:
            self._end(worker, "killed after it went on")

    def _finish(self) -> None:
        """Whatever is left is taken in."""
        chance, kafka = self.chance, self.kafka
        for transaction in list(kafka.others):
            kafka.end_other(transaction, is_committed=chance.random() < 0.5)
        early = [each for each in self._stopped if not each[0].log.epoch or chance.random() < 0.5]
        for each in early:
            self._stopped.remove(each)
            self._resume(each)
        if self._worker is None or self._worker.fate.fault != "none" or self._worker.log.epoch != kafka.epoch:
            self._start(Fate())
        worker = self.last_worker
        for _ in range(_ROUNDS_AT_THE_END):
            if self._is_done(worker):
                break
            self._deliver(worker, 1000)
            self._drive(worker, worker.task.work())
        else:
            raise ProtocolError("there is always more to do")
        commits = len(kafka.history)
        while self._stopped:
            self._resume(self._stopped.pop())
        if len(kafka.history) != commits:
            raise ProtocolError("a process that was replaced has committed something")
        self._worker = worker

    def _is_done(self, worker: Worker) -> bool:
        applied = worker.task.partition.table.applied
        return (
            not self.kafka.read("usage", applied.usage)
            and all(
                getattr(applied, topic) >= len(self.kafka.records[topic])
                for topic in ("accounts", "tariffs", "commands")
            )
            and not worker.task.partition.is_closing
        )


@dataclass(eq=False)
class _Acknowledgement:
    """Checks that messages are acknowledged once, and not before they are committed."""

    kafka: Kafka
    offset: int
    is_given: bool = False

    def __call__(self) -> None:
        """Acknowledge."""
        committed = self.kafka.history[-1].applied.usage if self.kafka.history else 0
        if self.is_given or committed <= self.offset:
            raise ProtocolError(f"usage up to {self.offset} is acknowledged, {committed} is committed")
        self.is_given = True


def _fail(error: BaseException, place: str) -> NoReturn:
    raise ProtocolError(f"{place}: {error}") from error
