"""Suites: which runs there are, and what of them is wrong.

`kills`: kills, stops, restarts and scaling, then each crash point, all under the usual mix of good and bad records.
`duplicates`: three records in ten come more than once. `refusals`: a worker that cannot write. `fuzz`: mutants.
"""

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.comparison import Report
from tests.chaos.customer import Mix
from tests.chaos.faults import Killable
from tests.chaos.mutants import broken_avro, mutants
from tests.chaos.refused_writes import NoAuthorizerError, denied, too_small
from tests.chaos.run import Run, Size


@dataclass
class Outcome:
    """One run's report; what else is wrong; and what could not be run, with the reason."""

    name: str
    report: Report
    wrong: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether nothing at all is wrong."""
        return self.report.is_right and not self.wrong

    def told(self) -> str:
        """All of it, for people."""
        lines = [f"== {self.name}", self.report.table()]
        lines += [f"  WRONG: {what}" for what in self.wrong]
        lines += [f"  NOT RUN: {what}" for what in self.not_run]
        return "\n".join(lines)


@dataclass(frozen=True)
class Place:
    """Where runs take place: a broker, its own if it may be killed, and a directory."""

    bootstrap: str
    folder: Path
    broker: Killable | None = None
    prefix: str = "chaos-"

    @contextmanager
    def run(self, name: str, seed: int, size: Size) -> Iterator[Run]:
        """A prepared run on topics of its own; its workers end with it."""
        prefix = f"{self.prefix}{name}-{uuid.uuid4().hex[:8]}."
        run = Run(self.bootstrap, prefix, self.folder / name, seed, size)
        try:
            run.prepare()
            yield run
        finally:
            run.close()


def kills(place: Place, seed: int, size: Size, *, crash_share: float = 0.3) -> Outcome:
    """Everything that can happen to a worker, one after the other."""
    with place.run("kills", seed, size) as run:
        run.hurt(0.9 - crash_share, place.broker)
        missed = run.crash(crash_share) if size.crashes_each else []
        outcome = Outcome("kills", run.finish(), [f"no worker came to {point}" for point in missed])
    if place.broker is None:
        outcome.not_run.append("killing the broker: it is not ours")
    return outcome


def duplicates(place: Place, seed: int, size: Size) -> Outcome:
    """Three in ten records come again, and one a thousand times."""
    size.mix = Mix(duplicates=0.3)
    with place.run("duplicates", seed, size) as run:
        run.hurt(0.9)
        return Outcome("duplicates", run.finish())


def refusals(place: Place, seed: int, size: Size) -> Outcome:
    """A worker whose charges are refused ends with an exit code that says so, and nothing is lost."""
    wrong, not_run = [], []
    size.mix = Mix(repeats_of_one=0)  # a thousand duplicates have no charges to refuse
    with place.run("refusals", seed, size) as run:
        causes = {"too large": too_small, "not permitted": denied}
        for name, cause in causes.items():
            try:
                code = _refused(run, cause(run.topics))
            except NoAuthorizerError as error:
                not_run.append(f"{name}: the broker has no authorizer ({error})")
                continue
            if code in (0, -9):
                wrong.append(f"{name}: the worker ended with {code}")
        return Outcome("refusals", run.finish(), wrong, not_run)


def _refused(run: Run, cause: AbstractContextManager[None]) -> int:
    """The exit code of the worker to which the cause came while it worked."""
    run.work(0.2)
    with cause:
        return run.refuse(0.2)


def fuzz(place: Place, seed: int, size: Size, count: int) -> Outcome:
    """So many messages with changed bytes, and good ones after them."""
    with place.run("fuzz", seed, size) as run:
        own = run.customers[-10:]
        broken = mutants(seed, own, count * 9 // 10, len(run.messages))
        broken += broken_avro(seed, own[0], count - len(broken), len(run.messages) + len(broken))
        run.messages[:0] = broken
        run.workers.scale(2)
        return Outcome("fuzz", run.finish())
