"""How many charges a second one sink stores in the embedded ClickHouse: from memory, and from a Kafka.

    python -m tests.bench.sink [--charges 2000000] [--accounts 100000] [--partitions 4] [--quick]

From memory: messages are offered to the tasks of all partitions as fast as they take them, and rows are made, inserted
durably and counted. From Kafka: charges wait on the topic, written in transactions as workers write them, when the sink
is started; timed from its first commit to its last. The broker is on the same machine. Processor time is that of the
sink's process, with all that the engine does in the background meanwhile.
"""

import argparse
import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, NoReturn

import uvloop
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from faust.types import TP

from agents.local import calm_collector
from agents.sink.app import group_of, waiting_bytes
from agents.sink.inserting import Inserter
from agents.sink.rows import charge_rows
from agents.sink.task import Rules, SinkTask, Source, Surroundings
from agents.stream.connection import connection
from agents.stream.hosting import Hold, Standing
from agents.stream.keys import account_key, partition_of
from agents.stream.topics import Topics, create
from agents.stream.transactions import Transactions
from agents.stream.transport import Seat
from deploy.broker import start_broker
from schemas.charge import Charge, ChargeKind, Part
from schemas.codecs.charge_json import charge_json
from schemas.instants import to_us
from sinks.clickhouse import ClickHouse
from tests.bench.local_throughput import HOUR, START, account_name
from tests.bench.stream_worker import Watch

_FETCHED = 4_000
_COMMITTED = 8_000
_ROWS = 50_000
_MONTH_US = 31 * 24 * 3600 * 10**6
_HOUR_US = int(HOUR.total_seconds()) * 10**6
_START_US = to_us(START)
_UNIT_PRICE = 300_000_000_000


class Measured(NamedTuple):
    """Charges a second, and microseconds of processor time for each."""

    speed: float
    cpu_us: float

    def __str__(self) -> str:
        return f"{self.speed:>10,.0f} charges/s {self.cpu_us:>7.1f} µs of processor time each"


def main() -> None:
    """Measure and print; the figures are of this machine at this moment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charges", type=int, default=2_000_000)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    wanted = parser.parse_args()
    count = wanted.charges // 10 if wanted.quick else wanted.charges
    load = Load(count, wanted.accounts, wanted.partitions)
    sys.stdout.write(f"{os.cpu_count()} cores, {count:,} charges of {wanted.accounts:,} accounts\n")
    sys.stdout.write(f"{'from memory':<14}{uvloop.run(from_memory(load))}   aim: > 150,000/s\n")
    sys.stdout.flush()
    broker = start_broker()
    try:
        environment = {"RATESTREAM_BROKERS": broker.bootstrap, "RATESTREAM_PREFIX": f"bench-{os.getpid()}.sink."}
        sys.stdout.write(f"{'from Kafka':<14}{uvloop.run(from_kafka(load, environment))}   aim: > 100,000/s\n")
    finally:
        broker.stop()


class Load(NamedTuple):
    """So many charges, hour after hour one of every account, over so many partitions."""

    charges: int
    accounts: int
    partitions: int

    def messages(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Partition, key and value."""
        names = [account_name(number) for number in range(self.accounts)]
        keys = [account_key("default", name) for name in names]
        places = [partition_of(key, self.partitions) for key in keys]
        for number in range(self.charges):
            hour, account = divmod(number, self.accounts)
            yield places[account], keys[account], charge_json(_charge(names[account], hour))


def _charge(account: str, hour: int) -> Charge:
    start = _START_US + hour * _HOUR_US
    quantity = hash((account, hour)) % 3_000_000
    amount = quantity * _UNIT_PRICE
    return Charge(
        charge_id=f"{hash((account, hour, 'id')) & (1 << 128) - 1:032x}",
        kind=ChargeKind.USAGE,
        tenant="default",
        account=account,
        source="default",
        usage_id=f"{account}/{hour}",
        meter="electricity",
        unit="kWh",
        usage_start=start,
        usage_end=start + _HOUR_US,
        period_start=_START_US,
        period_end=_START_US + _MONTH_US,
        statement_start=_START_US,
        statement_end=_START_US + _MONTH_US,
        used_before=quantity * hour,
        quantity=quantity,
        parts=(Part("", 1, _UNIT_PRICE, quantity, amount),),
        amount=amount,
        currency="USD",
        tariff="home",
        version="1",
        running_total=amount * (hour + 1),
        corrects="",
    )


async def from_memory(load: Load) -> Measured:
    """The tasks and the engine alone."""
    offered = _fetched(load)
    calm_collector()
    with TemporaryDirectory() as folder, ClickHouse(f"chdb://{folder}/clickhouse") as clickhouse:
        clickhouse.migrate()
        inserter, offsets = Inserter(clickhouse), _Offsets()
        size = waiting_bytes(load.partitions)
        tasks = [
            SinkTask(
                Source(TP("charges", number), charge_rows, f"bench-{number}", 1),
                inserter,
                Rules(_ROWS, size // 2, 1.0),
                Surroundings(lambda: offsets, _fail),
            )
            for number in range(load.partitions)
        ]
        began, cpu = time.perf_counter(), time.process_time()
        for task in tasks:
            await task.open()
        await asyncio.gather(
            *(_offer(task, some, Hold(2 * _ROWS, size)) for task, some in zip(tasks, offered, strict=True))
        )
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        for task in tasks:
            await task.close()
        stored = clickhouse.query_arrow("SELECT count() AS rows FROM charges")["rows"][0].as_py()
        if stored != load.charges:
            raise SystemExit(f"{stored:,} of {load.charges:,} charges are stored")
    return Measured(load.charges / seconds, cpu / load.charges * 1e6)


async def _offer(task: SinkTask, fetched: Sequence[list[ConsumerRecord]], hold: Hold) -> None:
    """All of it, as the hosting of partitions does; returns when all is committed."""
    standing, moved = Standing(hold), asyncio.Event()

    def ack(number: int) -> None:
        standing.moved(number)
        moved.set()

    for records in fetched:
        while standing.load > 1:
            moved.clear()
            await moved.wait()
        number = standing.offered(records)
        task.offer(records, partial(ack, number))
        await asyncio.sleep(0)
    while standing.waiting:
        moved.clear()
        await moved.wait()


def _fetched(load: Load) -> list[list[list[ConsumerRecord]]]:
    """By partition, in pieces as one fetch brings them."""
    records: list[list[ConsumerRecord]] = [[] for _ in range(load.partitions)]
    for partition, key, value in load.messages():
        mine = records[partition]
        mine.append(ConsumerRecord("charges", partition, len(mine), 0, 1, key, value, None, -1, len(value), ()))
    return [[some[first : first + _FETCHED] for first in range(0, len(some), _FETCHED)] for some in records]


class _Offsets:
    """Commits nothing, at once."""

    seat = Seat(1, "bench")

    async def commit_for(self, seat: Seat, partition: TP, offset: int) -> bool:  # noqa: ARG002
        return True


def _fail(error: BaseException, place: str) -> NoReturn:
    raise SystemExit(f"{place}: {error!r}")


async def from_kafka(load: Load, environment: dict[str, str]) -> Measured:
    """The sink as it is started by its operators, on a topic that is full."""
    where = connection(environment)
    topics = Topics.of(where.prefix)
    await asyncio.to_thread(create, where, load.partitions, 1)
    await _fill(load, environment)
    consumer = AIOKafkaConsumer(**where.for_aiokafka(), group_id=group_of(where.prefix), enable_auto_commit=False)
    places = [TopicPartition(topics.charges, number) for number in range(load.partitions)]
    consumer.assign(places)
    async with consumer:
        watch = Watch(consumer, places)
        before = _children_cpu()
        with _sinking(environment):
            began = await watch.reach(1)
            first = await watch.rated()
            ended = await watch.reach(load.charges)
    return Measured((load.charges - first) / (ended - began), (_children_cpu() - before) / load.charges * 1e6)


async def _fill(load: Load, environment: dict[str, str]) -> None:
    where = connection(environment)
    topic = Topics.of(where.prefix).charges
    transactions = Transactions(where, f"{where.prefix}bench")
    await transactions.fence()
    messages = load.messages()
    while some := list(islice(messages, _COMMITTED)):
        await transactions.begin()
        for partition in range(load.partitions):
            await transactions.send(
                topic, partition, ((key, value) for place, key, value in some if place == partition)
            )
        await transactions.arrived()
        await transactions.commit()
    await transactions.close()


@contextmanager
def _sinking(environment: dict[str, str]) -> Iterator[None]:
    with TemporaryDirectory() as folder:
        told = {**os.environ, **environment, "RATESTREAM_CLICKHOUSE": f"chdb://{folder}/clickhouse"}
        command = [sys.executable, "-m", "ratestream"]
        subprocess.run([*command, "migrate"], env=told, check=True, stdout=subprocess.DEVNULL)
        sink = subprocess.Popen([*command, "sink", "--data", str(Path(folder) / "sink"), "--log", "error"], env=told)
        try:
            yield
            if sink.poll() is not None:
                raise SystemExit(f"the sink ended by itself, with {sink.returncode}")
        finally:
            sink.send_signal(signal.SIGTERM)
            sink.wait()


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
