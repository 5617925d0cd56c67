"""Faults: what is done to workers under load.

Killed as by `kill -9`, half of the time with their data directory lost; stopped for longer than their session and then
let go on as zombies; restarted one after the other; scaled from one to three, two and four; their broker killed.
"""

import signal
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from tests.chaos.workers import Workers

SCALES = (1, 3, 2, 4)


class Killable(Protocol):
    """A broker of our own."""

    def kill(self) -> None:
        """As `kill -9` does."""

    def restart(self) -> None:
        """On the same data and port."""


@dataclass
class Faults:
    """What to do, and what has been done. `broker` is None where it is not ours to kill."""

    workers: Workers
    chance: Random
    session_s: float
    broker: Killable | None = None
    is_thorough: bool = False
    longest_pause_s: float = 1.5
    done: dict[str, int] = field(default_factory=dict)
    progress: float = 0.0
    """How much of `all_of_them` is done, from 0 to 1."""

    def all_of_them(self, kills: int, stops: int) -> None:
        """So many kills and stops, over all scales; a rolling restart and a kill of the broker at three, or at each."""
        for number, count in enumerate(SCALES):
            self.workers.scale(count)
            self._note(f"scaled to {count}")
            for kill in range(*_share(kills, number)):
                self.kill_one(lose_data=kill % 2 == 1)
                self.progress = kill / kills
            for _ in range(*_share(stops, number)):
                self.stop_one()
            if self.is_thorough or count == 3:
                self.restart_each()
                self.kill_broker()
        self.progress = 1.0

    def kill_one(self, *, lose_data: bool) -> None:
        """At any moment: while it starts, opens its partitions, rates, or waits; mostly once it has begun."""
        worker = self.chance.choice(self.workers.running)
        if self.chance.random() < 0.7:
            self.workers.wait_for(worker)
        self.workers.rest(self.chance.uniform(0.05, self.longest_pause_s))
        if worker not in self.workers.running:  # it has ended by itself, and another one has its place
            worker = self.chance.choice(self.workers.running)
        self.workers.kill(worker, lose_data=lose_data)
        self._note("killed with its data lost" if lose_data else "killed")

    def stop_one(self) -> None:
        """Stopped until its session has ended and others have its partitions; then it goes on where it was."""
        worker = self.chance.choice(self.workers.running)
        self.workers.wait_for(worker)
        self.workers.rest(self.chance.uniform(1, self.longest_pause_s))
        if not worker.is_alive:
            return
        worker.process.send_signal(signal.SIGSTOP)
        self.workers.rest(self.session_s + self.chance.uniform(1, 3))
        worker.process.send_signal(signal.SIGCONT)
        self.workers.rest(3)
        code = worker.process.poll()
        self._note("stopped, then went on" if code is None else f"stopped, then ended with {code}")

    def restart_each(self) -> None:
        """A rolling restart: each is asked to end, and started again."""
        for worker in list(self.workers.running):
            if not worker.is_alive:
                continue
            code = self.workers.stop(worker)
            self._note("asked to end" if code == 0 else f"asked to end, but ended with {code}")
            self.workers.start(data=worker.data)
            self.workers.rest(self.chance.random())

    def kill_broker(self) -> None:
        """The broker dies and comes back after a while."""
        if self.broker is not None:
            self.broker.kill()
            self.workers.rest(self.chance.uniform(0.5, 2))
            self.broker.restart()
            self._note("broker killed")
            self.workers.rest(1)

    def _note(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1


def _share(count: int, number: int) -> tuple[int, int]:
    """Of so many, those that fall to the scale of this number: the first, and the one after the last."""
    return count * number // len(SCALES), count * (number + 1) // len(SCALES)
