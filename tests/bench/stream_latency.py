"""How long after its record's append a charge can be read, with usage at a steady rate.

    python -m tests.bench.stream_latency [--rates 1000 20000] [--seconds 20] [--accounts 10000] [--partitions 4]

From the broker's append time of the usage record to the charge in the hands of a separate `read_committed` consumer.
Broker, producer, worker and consumer share the machine. The first seconds, in which they warm up, do not count.
"""

import argparse
import asyncio
import sys
from typing import NamedTuple, Self

import uvloop

from agents.stream.connection import Connection, connection
from agents.stream.reading import ends
from agents.stream.topics import Topics
from deploy.broker import start_broker
from tests.bench.stream_delays import Delay, arrivals, delays, percentile
from tests.bench.stream_load import prepare
from tests.bench.stream_steady import sending
from tests.bench.stream_worker import Watch, watching, working

WARM_UP_S = 5.0
MILLISECONDS = 1_000


class Latency(NamedTuple):
    """What half, nine tenths, 99 of 100 and all of the charges stay within; milliseconds."""

    p50: float
    p90: float
    p99: float
    longest: float

    @classmethod
    def of(cls, measured: list[Delay]) -> Self:
        """The latency that these delays come to."""
        return cls(*(percentile(measured, percent) * MILLISECONDS for percent in (50, 90, 99, 100)))

    def __str__(self) -> str:
        return f"p50 {self.p50:.0f}, p90 {self.p90:.0f}, p99 {self.p99:.0f}, longest {self.longest:.0f} ms"


def main() -> None:
    """Measure and print; the figures are of this machine at this moment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=int, nargs="+", default=[1_000, 20_000])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--partitions", type=int, default=4)
    wanted = parser.parse_args()
    broker = start_broker()
    try:
        environment = {"RATESTREAM_BROKERS": broker.bootstrap, "RATESTREAM_PREFIX": "latency."}
        found = uvloop.run(measure(environment, wanted.rates, wanted.seconds, wanted.accounts, wanted.partitions))
        sys.stdout.write(f"one worker, {wanted.partitions} partitions, {wanted.accounts:,} accounts, {broker.how}:\n")
        for rate, latency in found.items():
            sys.stdout.write(f"at {rate:,} records/s: {latency}\n")
    finally:
        broker.stop()


async def measure(
    environment: dict[str, str], rates: list[int], seconds: float, accounts: int, partitions: int
) -> dict[int, Latency]:
    """The latency by rate in records a second, each held for so many seconds after the warm-up."""
    where = connection(environment)
    topics = await asyncio.to_thread(prepare, where, partitions, accounts)
    found = {}
    first = 0
    async with watching(where, topics, partitions) as watch:
        with working(environment):
            for rate in rates:
                found[rate] = await _at(environment, rate, seconds + WARM_UP_S, first, accounts, where, topics, watch)
                first += int(rate * (seconds + WARM_UP_S))
    return found


async def _at(
    environment: dict[str, str],
    rate: int,
    seconds: float,
    first: int,
    accounts: int,
    where: Connection,
    topics: Topics,
    watch: Watch,
) -> Latency:
    partitions = watch.partitions
    async with arrivals(where, topics, partitions) as arriving:
        with sending(environment, rate, seconds, first, accounts, partitions) as producer:
            await asyncio.to_thread(producer.wait)
        await watch.reach(sum((await ends(where, topics.usage, partitions)).values()))
        await asyncio.sleep(1)  # the last charges arrive
        measured = await delays(where, topics, arriving)
    return Latency.of([delay for delay in measured if delay.appended > measured[0].appended + WARM_UP_S])


if __name__ == "__main__":
    main()
