"""How many usage records a second one core rates: the pipeline alone, and a file all the way into ClickHouse.

    python -m tests.bench.local_throughput [--records 1000000] [--accounts 1000]

Hourly meter reads of one month, a meter's reads after one another as a utility transfers them, under a graduated tariff
of three tiers. The process is held to one core where the system can do that. The pipeline is timed without decoding;
end to end is everything that `ratestream run` does: CSV, deduplication, rating, the synced write, ClickHouse.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from agents.books import open_books
from agents.local import BATCH_RECORDS, LocalRunner, calm_collector
from agents.offline import MemoryStore
from pipeline.ledger import Ledger
from pipeline.processing import Pipeline
from pipeline.terms import Plans
from schemas.account import Account
from schemas.catalogue import Catalogue
from schemas.instants import to_us
from schemas.tariff import Tariff
from schemas.usage import UsageRecord

START = datetime(2026, 1, 1, tzinfo=UTC)
RECEIVED = to_us(datetime(2027, 1, 1, tzinfo=UTC))
HOURS = 31 * 24
HOUR = timedelta(hours=1)


def main() -> None:
    """Measure and print; the figures are of this machine at this moment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=1_000)
    wanted = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    catalogue = catalogue_of(wanted.accounts, borders=(400, 800))
    _report("pipeline alone", wanted.records, _pipeline_seconds(catalogue, wanted.records, wanted.accounts))
    _report(
        "end to end into ClickHouse", wanted.records, _end_to_end_seconds(catalogue, wanted.records, wanted.accounts)
    )


def catalogue_of(accounts: int, *, borders: tuple[int, int]) -> Catalogue:
    """A graduated tariff of three tiers with these borders (kWh), and accounts that have it."""
    first, second = map(str, borders)
    tiers = [{"up_to": first, "unit_price": "0.30"}, {"up_to": second, "unit_price": "0.35"}, {"unit_price": "0.38"}]
    tariff = {
        "tariff": "home",
        "version": "1",
        "effective_from": START.date(),
        "currency": "USD",
        "meters": {"electricity": {"unit": "kWh", "price": {"model": "graduated", "tiers": tiers}}},
    }
    entries = [{"tariff": "home", "from": date(2026, 1, 1)}]
    return Catalogue.of(
        [Tariff.model_validate(tariff)],
        [
            Account.model_validate(
                {"account": account_name(number), "zone": "UTC", "currency": "USD", "tariffs": entries}
            )
            for number in range(accounts)
        ],
    )


def _usage(records: int, accounts: int) -> Iterator[UsageRecord]:
    """A month of every account after the other; further months where there are more records than that."""
    for number in range(records):
        month, rest = divmod(number, accounts * HOURS)
        account, hour = divmod(rest, HOURS)
        start = START + (month * HOURS + hour) * HOUR
        name = account_name(account)
        quantity = Decimal(number * 7919 % 3000) / 1000
        yield UsageRecord(f"{name}/{start:%Y%m%dT%H}", name, "electricity", quantity, start, start + HOUR)


def account_name(account: int) -> str:
    """The account of this number."""
    return f"home-{account:06d}"


def _pipeline_seconds(catalogue: Catalogue, records: int, accounts: int) -> float:
    """Time in the pipeline only: records are made, and changes thrown away, off the clock."""
    store = MemoryStore()
    ledger = Ledger(Plans(catalogue), store)
    calm_collector()
    pipeline = Pipeline(ledger)
    usage = _usage(records, accounts)
    seconds = 0.0
    while batch := [record for record, _ in zip(usage, range(BATCH_RECORDS), strict=False)]:
        before = time.perf_counter()
        outcome = pipeline.process(batch, [RECEIVED] * len(batch))
        seconds += time.perf_counter() - before
        _must(outcome.accepted == len(batch))
        ledger.committed()
    return seconds


def _end_to_end_seconds(catalogue: Catalogue, records: int, accounts: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "usage.csv"
        with file.open("w", encoding="utf-8") as stream:
            stream.write("id,account,meter,quantity,start,end\n")
            for u in _usage(records, accounts):
                stream.write(f"{u.id},{u.account},{u.meter},{u.quantity},{_text(u.start)},{_text(u.end)}\n")
        with open_books(Path(folder) / "data") as books:
            plans = books.reference.adopt(catalogue, RECEIVED)
            runner = LocalRunner(books.directory, books.reference, plans, books.projection)
            before = time.perf_counter()
            result = runner.read(file, RECEIVED)
            runner.project()
            seconds = time.perf_counter() - before
            _must(result.tally.accepted == records)
            stored = books.clickhouse.query("SELECT count() AS charges FROM charges WHERE kind = 'usage'")
            _must(stored["charges"][0].as_py() == records)
    return seconds


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _must(held: bool) -> None:
    if not held:
        raise SystemExit("the run did not do what was measured: not every record was rated once")


def _report(what: str, records: int, seconds: float) -> None:
    sys.stdout.write(f"{what:<28} {records / seconds:>10,.0f} records/s  ({records:,} in {seconds:.1f} s, one core)\n")


if __name__ == "__main__":
    main()
