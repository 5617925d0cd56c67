"""Crash points: a worker kills itself before or after a step of opening, of a batch, or of closing.

It is told so by its environment. The next worker goes on with what it has left, or with nothing but the changelog.
"""

import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic, sleep

from tests.chaos.message import Message
from tests.chaos.topics import Feeder, Topics
from tests.chaos.workers import Worker, Workers

BATCH_POINTS = (
    "batch-before-begin",
    "batch-after-begin",
    "batch-after-charges",
    "batch-after-changelog",
    "batch-after-offsets",
    "batch-before-commit",
    "batch-after-commit",
    "batch-after-store",
)
OPEN_POINTS = ("open-before-fence", "open-after-fence", "restore-mid", "restore-done")
CLOSE_POINTS = ("close-before", "close-after")
POINTS = (*BATCH_POINTS, *OPEN_POINTS, *CLOSE_POINTS)
"""A batch comes first, so that there is something to restore."""

_TIMEOUT_S = 90.0
_AT_ONCE = 1e9


@dataclass
class CrashPoints:
    """Each point so many times, with a share of the messages each. `missed` are those that no worker came to."""

    topics: Topics
    workers: Workers
    chance: Random
    reached: int = 0
    missed: list[str] = field(default_factory=list)

    def all_of_them(self, times: int, messages: Sequence[Message]) -> None:
        """All points, `times` each. Raises what sending raised."""
        points = POINTS * times
        for number, point in enumerate(points):
            share = messages[number * len(messages) // len(points) : (number + 1) * len(messages) // len(points)]
            self._at(point, share, number)

    def _at(self, point: str, messages: Sequence[Message], number: int) -> None:
        data = self.workers.folder / "data-crash"
        if point in OPEN_POINTS or self.chance.random() < 0.5:
            shutil.rmtree(data, ignore_errors=True)
        nth = self.chance.randint(1, 2) if number >= len(POINTS) else 1
        worker = self.workers.start(data=data, crash=f"{point}:{nth}")
        until = monotonic() + _TIMEOUT_S
        slowly = max(10.0, len(messages) / 10)
        with Feeder(self.topics, messages, lambda: slowly if worker.is_alive else _AT_ONCE) as feeder:
            if point in CLOSE_POINTS:
                self._ask_to_end(worker, until)
            while worker.is_alive and monotonic() < until:
                sleep(0.05)
            code = worker.process.poll()
            if code == -signal.SIGKILL:
                self.reached += 1
            else:
                self.missed.append(f"{point}:{nth} (exit {code})\n{worker.last_lines()}")
            self.workers.remove(worker)
            feeder.finish()

    def _ask_to_end(self, worker: Worker, until: float) -> None:
        """Once it has partitions: that is seen by what it commits."""
        before = self.topics.committed()
        while self.topics.committed() == before and worker.is_alive and monotonic() < until:
            sleep(0.5)
        if worker.is_alive:
            worker.process.send_signal(signal.SIGTERM)
