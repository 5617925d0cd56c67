"""The stream, measured: throughput, latency, restore and closing, one after the other on one Kafka; one table.

    python -m tests.bench.stream [--quick]

Each has a module of its own, which says what it measures and can be run alone with other sizes. Broker, producers and
worker share this machine, and so its cores. `--quick` takes about a tenth of everything, and a minute or so.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Coroutine, Iterator
from typing import Any, NamedTuple, TypeVar

import uvloop

from deploy.broker import start_broker
from tests.bench import stream_closing, stream_latency, stream_restore, stream_throughput

_Found = TypeVar("_Found")
_WHAT, _MEASURED, _AIM = 46, 17, 17  # columns
_PARTITIONS = 4
_PROCESSES = 2
"""Of the worker, one for each core of the machine that the figures are told of."""
_LATENCY_ACCOUNTS = 10_000
_MEANWHILE = 2_000
"""Records a second that arrive while accounts are closed."""
_AIMS = {1_000: ("< 50 ms", "< 120 ms"), 20_000: ("", "< 400 ms")}
"""Of p50 and p99, by records a second."""
MILLISECONDS = 1_000


class Sizes(NamedTuple):
    """How much is measured; latency's seconds are those of each rate, after the warm-up."""

    rated: int = 1_000_000
    latency_s: float = 20.0
    restored: int = 800_000
    closed: int = 100_000


_QUICK = Sizes(rated=100_000, latency_s=3.0, restored=80_000, closed=10_000)


class Row(NamedTuple):
    """A figure, and what it is to be."""

    what: str
    measured: str
    aim: str = ""


def main() -> None:
    """Measure and print; the figures are of this machine at this moment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="about a tenth of everything")
    sizes = _QUICK if parser.parse_args().quick else Sizes()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # on a new broker it tells of each try to find the group
    broker = start_broker()
    began = time.monotonic()
    try:
        rows = [*_rows(broker.bootstrap, sizes)]
    finally:
        broker.stop()
    sys.stdout.write(f"{os.cpu_count()} cores, {broker.how}, {time.monotonic() - began:.0f} s\n\n")
    for row in (Row("one worker", "measured", "aim"), *rows):
        sys.stdout.write(f"{row.what:<{_WHAT}}{row.measured:>{_MEASURED}}{row.aim:>{_AIM}}".rstrip() + "\n")


def _rows(brokers: str, sizes: Sizes) -> Iterator[Row]:
    accounts = sizes.closed
    for processes, aim in ((_PROCESSES, "> 40,000 /s"), (1, "")):
        where = _environment(brokers, f"throughput-{processes}", processes)
        speed = _run("throughput", stream_throughput.measure(where, sizes.rated, accounts, _PARTITIONS))
        told = "process" if processes == 1 else "processes"
        yield Row(f"{sizes.rated:,} records, {processes} {told}, exactly once", f"{speed:,.0f} /s", aim)
    found = _run(
        "latency",
        stream_latency.measure(
            _environment(brokers, "latency"), list(_AIMS), sizes.latency_s, _LATENCY_ACCOUNTS, _PARTITIONS
        ),
    )
    for rate, latency in found.items():
        yield from _latency(rate, latency)
    restored = _run("restore", stream_restore.measure(_environment(brokers, "restore"), sizes.restored, accounts))
    yield Row(f"restore of {restored.messages:,} changelog entries", f"{restored.seconds:.2f} s", "< 5 s")
    closing = _run("closing", stream_closing.measure(_environment(brokers, "closing"), accounts, _MEANWHILE))
    yield Row(f"closing {closing.statements:,} accounts of a partition", f"{closing.seconds:.1f} s")
    yield Row("  statements", f"{closing.speed:,.0f} /s")
    longest = _milliseconds(closing.longest * MILLISECONDS)
    yield Row(f"  longest wait of {_MEANWHILE:,} records/s meanwhile", longest, "< 1,000 ms")


def _latency(rate: int, latency: stream_latency.Latency) -> Iterator[Row]:
    at = f"charge readable, at {rate:,} records/s:"
    p50, p99 = _AIMS[rate]
    yield Row(f"{at} p50", _milliseconds(latency.p50), p50)
    yield Row(f"{'p90':>{len(at) + 4}}", _milliseconds(latency.p90))
    yield Row(f"{'p99':>{len(at) + 4}}", _milliseconds(latency.p99), p99)
    yield Row(f"{'max':>{len(at) + 4}}", _milliseconds(latency.longest))


def _environment(brokers: str, name: str, processes: int = _PROCESSES) -> dict[str, str]:
    return {
        "RATESTREAM_BROKERS": brokers,
        "RATESTREAM_PREFIX": f"bench-{os.getpid()}.{name}.",
        "RATESTREAM_PROCESSES": str(processes),
    }


def _run(name: str, measuring: Coroutine[Any, Any, _Found]) -> _Found:
    sys.stderr.write(f"measuring {name}\n")
    return uvloop.run(measuring)


def _milliseconds(value: float) -> str:
    return f"{value:,.0f} ms"


if __name__ == "__main__":
    main()
