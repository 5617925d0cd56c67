"""The stream, measured: throughput, latency, restore and closing, one after the other on one Kafka; one table.

    python -m tests.bench.stream

Each has a module of its own, which says what it measures and can be run alone with other sizes. Broker, producers and
worker share this machine, and so its cores.
"""

import os
import sys
import time
from collections.abc import Coroutine, Iterator
from typing import Any, NamedTuple, TypeVar

import uvloop

from deploy.broker import start_broker
from tests.bench import stream_closing, stream_latency, stream_restore, stream_throughput

_Found = TypeVar("_Found")
_WHAT, _MEASURED, _AIM = 44, 18, 16
MILLISECONDS = 1_000


class Row(NamedTuple):
    """A figure, and what it is to be."""

    what: str
    measured: str
    aim: str = ""


def main() -> None:
    """Measure and print; the figures are of this machine at this moment."""
    broker = start_broker()
    began = time.monotonic()
    try:
        rows = [*_rows(broker.bootstrap)]
    finally:
        broker.stop()
    sys.stdout.write(f"{os.cpu_count()} cores, {broker.how}, {time.monotonic() - began:.0f} s\n\n")
    for row in (Row("one worker", "measured", "aim"), *rows):
        sys.stdout.write(f"{row.what:<{_WHAT}}{row.measured:>{_MEASURED}}{row.aim:>{_AIM}}\n")


def _rows(brokers: str) -> Iterator[Row]:
    speed = _run("throughput", stream_throughput.measure(_environment(brokers, "throughput"), 1_000_000, 100_000, 4))
    yield Row("1,000,000 records, exactly once", f"{speed:,.0f} /s", "> 40,000 /s")
    found = _run("latency", stream_latency.measure(_environment(brokers, "latency"), [1_000, 20_000], 20.0, 10_000, 4))
    aims = {1_000: (" < 50 ms", " < 120 ms"), 20_000: ("", " < 400 ms")}
    for rate, latency in found.items():
        p50, p99 = aims[rate]
        at = f"charge readable, at {rate:,} records/s:"
        yield Row(f"{at} p50", _milliseconds(latency.p50), p50)
        yield Row(f"{'p90':>{len(at) + 4}}", _milliseconds(latency.p90))
        yield Row(f"{'p99':>{len(at) + 4}}", _milliseconds(latency.p99), p99)
        yield Row(f"{'max':>{len(at) + 4}}", _milliseconds(latency.longest))
    restored = _run("restore", stream_restore.measure(_environment(brokers, "restore"), 1_000_000, 100_000))
    yield Row(f"restore of {restored.messages:,} changelog entries", f"{restored.seconds:.2f} s", "< 5 s a million")
    closing = _run("closing", stream_closing.measure(_environment(brokers, "closing"), 100_000, 2_000))
    yield Row(f"closing {closing.statements:,} accounts of a partition", f"{closing.seconds:.1f} s")
    yield Row("  statements", f"{closing.speed:,.0f} /s")
    yield Row("  longest wait of 2,000 records/s meanwhile", _milliseconds(closing.longest * MILLISECONDS), "< 1,000 ms")


def _environment(brokers: str, name: str) -> dict[str, str]:
    return {"RATESTREAM_BROKERS": brokers, "RATESTREAM_PREFIX": f"{name}."}


def _run(name: str, measuring: Coroutine[Any, Any, _Found]) -> _Found:
    sys.stderr.write(f"measuring {name}\n")
    return uvloop.run(measuring)


def _milliseconds(value: float) -> str:
    return f"{value:,.0f} ms"


if __name__ == "__main__":
    main()
