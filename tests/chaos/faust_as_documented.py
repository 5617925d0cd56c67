"""Faust as its guide writes it: a Record, two tables, a send. It is what the harness has to find fault with.

The same tariff in three tiers, totals in a table by account and month, duplicates known from another table; state in
RocksDB with a changelog. Nothing is done against what Faust promises: at least once, each write by itself.

    python -m tests.chaos.faust_as_documented DATA_DIRECTORY
"""

import os
import sys
from decimal import Decimal

import faust

TIERS = ((Decimal(100), Decimal("0.31")), (Decimal(500), Decimal("0.2745")), (Decimal("Infinity"), Decimal("0.233333")))


class Usage(faust.Record, serializer="json"):
    """What comes in."""

    id: str
    account: str
    meter: str
    quantity: str
    start: str
    end: str


class Charge(faust.Record, serializer="json"):
    """What goes out."""

    usage_id: str
    account: str
    amount: str
    running_total: str


def price_of(quantity: Decimal) -> Decimal:
    """What so much costs in a month."""
    low, price = Decimal(0), Decimal(0)
    for high, unit_price in TIERS:
        price += max(Decimal(0), min(quantity, high) - low) * unit_price
        low = high
    return price


def make_app(brokers: str, prefix: str, partitions: int, data: str) -> faust.App:
    """The app: each record becomes a charge."""
    app = faust.App(
        f"{prefix}rating",
        broker=f"kafka://{brokers}",
        store="rocksdb://",
        datadir=data,
        topic_partitions=partitions,
        topic_replication_factor=1,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        broker_request_timeout=30.0,
        broker_rebalance_timeout=20.0,
        web_enabled=False,
    )
    usage = app.topic(f"{prefix}usage", value_type=Usage)
    charges = app.topic(f"{prefix}charges", value_type=Charge)
    quantities = app.Table(f"{prefix}quantities", default=str, partitions=partitions)
    seen = app.Table(f"{prefix}seen", default=bool, partitions=partitions)

    @app.agent(usage, name="rate")
    async def rate(stream: faust.StreamT[Usage]) -> None:
        async for record in stream:
            known = f"{record.account}/{record.id}"
            if seen[known]:
                continue
            seen[known] = True
            month = f"{record.account}/{record.start[:7]}"
            before = Decimal(quantities[month] or "0")
            after = before + Decimal(record.quantity)
            quantities[month] = str(after)
            total = price_of(after)
            amount = str(total - price_of(before))
            charge = Charge(usage_id=record.id, account=record.account, amount=amount, running_total=str(total))
            await charges.send(key=record.account, value=charge)

    return app


if __name__ == "__main__":
    made = make_app(
        os.environ["RATESTREAM_BROKERS"],
        os.environ["RATESTREAM_PREFIX"],
        int(os.environ["CHAOS_PARTITIONS"]),
        sys.argv[1],
    )
    sys.argv = ["faust", "worker", "-l", "warn", "--without-web"]
    made.main()
