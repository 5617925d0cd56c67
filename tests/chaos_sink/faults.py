"""Faults: what is done to sinks and to their ClickHouse under load.

Sinks are killed as by `kill -9`, at any moment and at each step around an insert and its commit; stopped for longer
than their session and then let go on as zombies; scaled from one to two and back. The server is away, killed, out of
parts, answers 503, answers late, and resets connections before an insert was applied and after.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from time import monotonic, sleep

from tests.chaos.workers import Worker, Workers
from tests.chaos_sink.stored import Database
from tests.clickhouse.faults import Fault
from tests.clickhouse.server import FrontServer

CRASH_POINTS = ("sink-before-insert", "sink-after-insert", "sink-after-commit")

_CRASH_TIMEOUT_S = 60.0
_ORDER_TIMEOUT_S = 30.0
_INSERT = "INSERT INTO"


@dataclass
class Faults:
    """What to do, and what has been done."""

    sinks: Workers
    server: FrontServer
    database: Database
    chance: Random
    session_s: float
    late_s: float
    """How late a late answer is."""
    done: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    """Crash points that no sink came to."""
    progress: float = 0.0
    """How much of `all_of_them` is done, from 0 to 1."""

    def all_of_them(self, kills: int) -> None:
        """So many kills, every third at a crash point, with all other faults between them."""
        crashes = [CRASH_POINTS[number % len(CRASH_POINTS)] for number in range(kills // 3)]
        deaths: list[Callable[[], None]] = [partial(self.crash, point) for point in crashes]
        deaths += [self.kill_one] * (kills - len(crashes))
        self.chance.shuffle(deaths)
        others = self._others()
        todo = [((place + 0.5) / len(deaths), death) for place, death in enumerate(deaths)]
        todo += [((place + 0.5) / len(others), fault) for place, fault in enumerate(others)]
        for number, (_, fault) in enumerate(sorted(todo, key=lambda one: one[0])):
            self.progress = number / len(todo)
            fault()
        self.progress = 1.0

    def _others(self) -> list[Callable[[], None]]:
        """Each other fault once; the server's beside a sink that is stopped, where the other one goes on."""
        return [
            partial(self.scale, 2),
            self.stop_one,
            partial(self.scale, 1),
            partial(self.away, self.chance.uniform(1, 3)),
            partial(self.scale, 2),
            partial(self.away, 0),
        ]

    def _of_the_server(self) -> list[Callable[[], None]]:
        return [
            partial(self.order, "reset after the insert was applied", Fault.RESET_AFTER, 4),
            partial(self.order, "reset before the insert", Fault.RESET_BEFORE, 4),
            partial(self.order, "answered with 503", Fault.UNAVAILABLE, 4),
            self.too_many_parts,
            partial(self.order, "answered late", Fault.SLOW, 1, self.late_s),
        ]

    def kill_one(self) -> None:
        """At any moment: while it starts, reads, inserts, or waits; mostly once it has begun."""
        if self.chance.random() < 0.8:
            self.sinks.wait_for(self.sinks.running[0])
        self.sinks.rest(self.chance.uniform(0.05, 1.0))
        sink = self.sinks.running[0]  # the one that was started first
        self.sinks.kill(sink, lose_data=self.chance.random() < 0.5)
        self._note("sink killed")

    def crash(self, point: str) -> None:
        """A sink kills itself the first or second time that it comes to the step."""
        old = self.chance.choice(self.sinks.running)
        self.sinks.remove(old)
        sink = self.sinks.start(data=old.data, crash=f"{point}:{self.chance.randint(1, 2)}")
        until = monotonic() + _CRASH_TIMEOUT_S
        while sink.is_alive and monotonic() < until:
            sleep(0.05)
        if sink.process.poll() == -signal.SIGKILL:
            self._note(f"sink killed at {point}")
        else:
            self.missed.append(f"{point} (exit {sink.process.poll()})\n{sink.last_lines()}")
        self._again(sink)

    def _again(self, sink: Worker) -> None:
        self.sinks.remove(sink)
        self.sinks.start(data=sink.data)

    def stop_one(self) -> None:
        """Stopped until its session has ended and others have its partitions; then it goes on where it was."""
        sink = self.chance.choice(self.sinks.running)
        self.sinks.wait_for(sink)
        if not sink.is_alive:
            return
        sink.process.send_signal(signal.SIGSTOP)
        until = monotonic() + self.session_s + 1
        for fault in self._of_the_server():
            fault()
        self.sinks.rest(max(0.0, until - monotonic()))
        sink.process.send_signal(signal.SIGCONT)
        self.sinks.rest(0.5)
        code = sink.process.poll()
        self._note("sink stopped, then went on" if code is None else f"sink stopped, then ended with {code}")

    def order(self, what: str, fault: Fault, times: int, seconds: float = 0.0) -> None:
        """The next inserts meet the fault."""
        self.server.orders(fault, times=times, where=_INSERT, seconds=seconds)
        until = monotonic() + _ORDER_TIMEOUT_S
        while self.server.taken < times and monotonic() < until:
            self.sinks.rest(0.05)
        self._note(what, self.server.taken)
        self.server.orders_nothing()

    def scale(self, count: int) -> None:
        """Start or stop sinks until there are so many."""
        self.sinks.scale(count)
        self.sinks.rest(0.5)
        self._note(f"scaled to {count}")

    def too_many_parts(self) -> None:
        """The engine itself refuses inserts into charges, for a while."""
        self.database.ask("ALTER TABLE charges MODIFY SETTING max_parts_in_total = 1")
        self.sinks.rest(self.chance.uniform(1, 2))
        self.database.ask("ALTER TABLE charges RESET SETTING max_parts_in_total")
        self._note("too many parts")

    def away(self, seconds: float) -> None:
        """The server is killed, and comes back after so long."""
        self.server.kill()
        self.sinks.rest(seconds)
        self.server.restart()
        self._note("server away" if seconds else "server killed")

    def _note(self, what: str, times: int = 1) -> None:
        self.done[what] = self.done.get(what, 0) + times
