"""Running: many schedules, one seed after the other, on all processors."""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from agents.local import calm_collector
from tests.simulation.checks import check
from tests.simulation.schedule import Parts, Schedule

_TOGETHER = 250
_TOLD = 40


@dataclass(frozen=True)
class Figures:
    """What some schedules came to. `failures` tell the seed, what was wrong and what had happened."""

    schedules: int = 0
    faults: int = 0
    commits: int = 0
    records: int = 0
    charges: int = 0
    statements: int = 0
    failures: tuple[str, ...] = ()

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def failure_of(seed: int, parts: Parts) -> tuple[Schedule, str]:
    """The schedule of a seed after its run, and what was wrong with it: "" for nothing."""
    schedule = Schedule(seed, parts)
    try:
        schedule.run()
        check(schedule)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is a finding, told with its seed
        happened = "\n  ".join([f"{schedule.sizes}", *schedule.told[-_TOLD:]])
        return schedule, f"seed {seed}: {type(error).__name__}: {error}\n  {happened}"
    return schedule, ""


def run(seeds: Sequence[int]) -> Figures:
    """Schedules in this process, to the first one that fails."""
    total = Figures()
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # what is wrong with a document is told as it is found
    try:
        for seed in seeds:
            schedule, failure = failure_of(seed, Parts())
            kafka = schedule.kafka
            counts = kafka.history[-1].applied.counts if kafka.history else None
            total += Figures(
                1,
                schedule.faults,
                len(kafka.history),
                counts.received if counts is not None else 0,
                counts.charges if counts is not None else 0,
                counts.statements if counts is not None else 0,
                (failure,) if failure else (),
            )
            if failure:
                break
    finally:
        logging.disable(level)
    return total


def run_all(first: int, schedules: int) -> Iterator[Figures]:
    """So many schedules from a seed on, told as they are done; no more are begun after one that fails."""
    seeds = range(first, first + schedules)
    chunks = [seeds[start : start + _TOGETHER] for start in range(0, schedules, _TOGETHER)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"), initializer=calm_collector) as pool:
        try:
            yield from pool.map(run, chunks)
        finally:
            pool.shutdown(cancel_futures=True)


def first_noticed(parts: Parts, schedules: int) -> str:
    """The first failure of a protocol among so many schedules; "" for none."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        return next((failure for seed in range(schedules) if (failure := failure_of(seed, parts)[1])), "")
    finally:
        logging.disable(level)
