"""Run: one whole run, from empty topics to the comparison.

Topics and documents by the product's command line; messages under load while faults are done; then mending, until
everything is committed; a closing by command; and what the topics hold is compared with what the log of `usage` has to
come to. The same seed makes the same messages and chooses the same faults; their moments are the machine's.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

from tests.chaos.book import Customer, customers, write_documents
from tests.chaos.comparison import Report, compare
from tests.chaos.crash_points import CrashPoints
from tests.chaos.customer import Mix
from tests.chaos.expected import expected
from tests.chaos.faults import Faults, Killable
from tests.chaos.generation import Generator
from tests.chaos.message import Message
from tests.chaos.nursery import Nursery
from tests.chaos.refused_writes import worker_that_may_not_write
from tests.chaos.topics import Feeder, Topics
from tests.chaos.workers import Workers, environment_of, ratestream

PARTITIONS = 4
SESSION_S = 6
_COMMAND_TIMEOUT_S = 120
_DRAIN_TIMEOUT_S = 300.0


@dataclass
class Size:
    """How much of everything; `rate` in messages a second."""

    records: int
    accounts: int
    kills: int = 0
    stops: int = 0
    crashes_each: int = 0
    rate: float = 400.0
    is_thorough: bool = False
    mix: Mix = field(default_factory=Mix)


class Run:
    """One run on a prefix of its own. Everything that was started is ended by `close`."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path, seed: int, size: Size) -> None:
        self.seed = seed
        self.size = size
        self.chance = Random(seed + 1)
        self.customers: list[Customer] = customers(size.accounts)
        self.messages: list[Message] = Generator(seed, self.customers, size.mix).messages(size.records)
        self.topics = Topics(bootstrap, prefix, PARTITIONS)
        self._folder = folder
        self._environment = environment_of(bootstrap, prefix) | {
            "RATESTREAM_SESSION_TIMEOUT_S": str(SESSION_S),
            "RATESTREAM_QUARANTINE_AFTER": "0",  # no source of a run is cut off, however bad
        }
        self._nursery = Nursery("agents.stream.app", "agents.stream.wiring")
        self.workers = Workers(folder, self._environment, spawn=self._nursery.spawn)
        self.figures: dict[str, int] = {}
        self._fed = 0

    def prepare(self) -> None:
        """Topics, tariff and accounts. Raises RuntimeError where the product fails."""
        self.command("topics", "create", "--partitions", str(PARTITIONS))
        tariffs, accounts = write_documents(self._folder, self.customers)
        self.command("publish", "--tariffs", tariffs, "--accounts", accounts)

    def command(self, *arguments: str | Path) -> str:
        """What a command of the product says. Raises RuntimeError where it fails."""
        done = subprocess.run(
            ratestream(*arguments),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"ratestream {' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr}"
            )
        return done.stdout

    def hurt(self, share: float = 1.0, broker: Killable | None = None) -> None:
        """Kills, stops, restarts and scaling under load, with this share of the messages."""
        faults = Faults(self.workers, self.chance, SESSION_S, broker, self.size.is_thorough)
        messages = self._next(share)

        def rate() -> float:
            is_ahead = feeder.sent > len(messages) * faults.progress + self.size.rate
            return self.size.rate / 20 if is_ahead else self.size.rate

        with (feeder := Feeder(self.topics, messages, rate)):
            faults.all_of_them(self.size.kills, self.size.stops)
            while not feeder.is_done:
                self.workers.rest(0.2)
            feeder.finish()
        self._add(faults.done)

    def crash(self, share: float = 1.0) -> list[str]:
        """Every crash point with this share of the messages; those that were not reached. No other worker runs."""
        self.workers.kill_all()
        points = CrashPoints(self.topics, self.workers, self.chance)
        points.all_of_them(self.size.crashes_each, self._next(share))
        self._add({"crash points reached": points.reached, "crash points missed": len(points.missed)})
        return points.missed

    def work(self, share: float) -> None:
        """One worker rates this share of the messages, and no other worker runs."""
        self.workers.kill_all()
        self.workers.start()
        self.feed(self._next(share))
        self.drain()

    def refuse(self, share: float) -> int:
        """The exit code of the one worker, given this share of the messages while it cannot write."""
        code = worker_that_may_not_write(self.topics, self.workers, self._next(share))
        self._add({f"ended with {code} as it could not write": 1})
        return code

    def feed(self, messages: Sequence[Message]) -> None:
        """Send messages as fast as they go."""
        with Feeder(self.topics, messages, lambda: 1e9) as feeder:
            feeder.finish()

    def drain(self) -> None:
        """Wait until the workers have committed everything. Raises TimeoutError with what they say."""
        until = monotonic() + _DRAIN_TIMEOUT_S
        while waiting := self.topics.waiting():
            if monotonic() > until:
                raise TimeoutError(f"seed {self.seed}: {waiting} messages are not committed\n{self.workers.told()}")
            self.workers.rest(1)

    def finish(self) -> Report:
        """Send what is left, mend, close, end the workers, and compare. Raises TimeoutError."""
        self.workers.scale(max(2, len(self.workers.running)))
        self.feed(self._next(1.0))
        self.drain()
        self._close_periods()
        for worker in list(self.workers.running):
            self._add({f"asked to end, and ended with {self.workers.stop(worker)}": 1})
        found = self.topics.found()
        rejected = {rejection.place for rejection in found.rejections}
        due = expected(self.topics.log(self.messages), self.customers, PARTITIONS, rejected.__contains__)
        report = compare(due, found)
        self._add({f"ended by itself with {code}": count for code, count in self.workers.ended.items()})
        report.figures = {"seed": self.seed, **self.figures, **report.figures}
        return report

    def close(self) -> None:
        """End what was started."""
        self.workers.kill_all()
        self._nursery.close()

    def _close_periods(self) -> None:
        """By command, up to the last period; each partition's worker has then taken it."""
        before = self.topics.committed()
        self.command("close", "--period", self._last_period())
        until = monotonic() + _DRAIN_TIMEOUT_S
        while self.topics.closings(before) < PARTITIONS:
            if monotonic() > until:
                raise TimeoutError(f"seed {self.seed}: the command to close was not taken\n{self.workers.told()}")
            self.workers.rest(0.5)
        self.drain()

    def _last_period(self) -> str:
        return f"2024-{self.size.mix.months:02}"

    def _next(self, share: float) -> Sequence[Message]:
        """The next share of all messages, or what is left of them."""
        start = self._fed
        self._fed = min(len(self.messages), start + round(share * len(self.messages)))
        return self.messages[start : self._fed]

    def _add(self, figures: dict[str, int]) -> None:
        for name, number in figures.items():
            self.figures[name] = self.figures.get(name, 0) + number
