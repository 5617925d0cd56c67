"""How many usage records a second one worker rates exactly once, from one Kafka to the same.

    python -m tests.bench.stream_throughput [--records 1000000] [--accounts 100000] [--partitions 4] [--processes 1]

JSON records under a graduated tariff of three tiers, each record of another account than the one before it, wait on the
topic when the worker is started. Timed from the first commit to the last: decoding, deduplication, rating, charges,
state, changelog and offsets, in transactions. The broker is on the same machine.
"""

import argparse
import asyncio
import sys

from agents.stream.connection import connection
from deploy.broker import start_broker
from tests.bench.stream_load import fill, prepare
from tests.bench.stream_worker import watching, working


def main() -> None:
    """Measure and print; the figures are of this machine at this moment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--processes", type=int, default=1)
    wanted = parser.parse_args()
    broker = start_broker()
    try:
        environment = {
            "RATESTREAM_BROKERS": broker.bootstrap,
            "RATESTREAM_PREFIX": "throughput.",
            "RATESTREAM_PROCESSES": str(wanted.processes),
        }
        speed = asyncio.run(measure(environment, wanted.records, wanted.accounts, wanted.partitions))
        sys.stdout.write(
            f"{wanted.processes} processes of a worker, {wanted.partitions} partitions, {wanted.accounts:,} accounts, "
            f"{broker.how}: {speed:,.0f} records/s exactly once\n"
        )
    finally:
        broker.stop()


async def measure(environment: dict[str, str], records: int, accounts: int, partitions: int) -> float:
    """Records a second."""
    where = connection(environment)
    topics = await asyncio.to_thread(prepare, where, partitions, accounts)
    await asyncio.to_thread(fill, where, topics, partitions, records, accounts)
    async with watching(where, topics, partitions) as watch:
        with working(environment):
            began = await watch.reach(1)
            first = await watch.rated()
            ended = await watch.reach(records)
    return (records - first) / (ended - began)


if __name__ == "__main__":
    main()
