"""Writes cloud-usage.jsonl.gz: half a year of made-up usage of three made-up customers of a cloud.

Nothing in it was measured. It is the same on every run, and it holds what real usage holds: records that come twice,
one that is replaced, one that is voided, and lines that no bill may take.

    python examples/make_cloud_usage.py [FILE]
"""

import gzip
import json
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

SEED = 2012
FIRST, DAYS = date(2012, 1, 2), 181  # to 30 June
SIZES = {"cloud-acme": 12, "cloud-globex": 5, "cloud-initech": 2}
UNITS = {"api-requests": "request", "storage": "GB-hour", "compute": "second"}
OPEN_HOURS = (8, 11, 14, 17)
REPEAT_EVERY = 400

Record = dict[str, str | None]


def record(account: str, meter: str, quantity: str | None, start: datetime, length: timedelta) -> Record:
    """One usage record; an event has no length."""
    return {
        "id": f"{account}/{meter}/{start:%Y%m%dT%H%M%S}",
        "source": "cloud-example",
        "account": account,
        "meter": meter,
        "quantity": quantity,
        "unit": UNITS.get(meter),
        "start": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "end": f"{start + length:%Y-%m-%dT%H:%M:%SZ}",
    }


def day_of_usage(random: Random, account: str, size: int, day: date) -> Iterator[Record]:
    """API requests as two events, a day of storage, and on weekdays some hours of compute."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    for hour in (9, 15):
        when = midnight + timedelta(hours=hour, seconds=random.randrange(3600))
        yield record(account, "api-requests", str(size * random.randrange(90, 260)), when, timedelta())
    grown = (day - FIRST).days * size
    milli_gb_hours = 24 * (size * 9_000 + grown * 100 + random.randrange(1000))
    yield record(
        account, "storage", f"{milli_gb_hours // 1000}.{milli_gb_hours % 1000:03d}", midnight, timedelta(days=1)
    )
    if day.weekday() < 5:
        for hour in OPEN_HOURS:
            tenths = size * random.randrange(6_000, 30_000)
            start = midnight + timedelta(hours=hour)
            yield record(account, "compute", f"{tenths // 10}.{tenths % 10}", start, timedelta(hours=1))


def correct_usage() -> Iterator[Record]:
    """All of the customers' usage, day by day."""
    random = Random(SEED)  # noqa: S311 - nothing secret
    for offset in range(DAYS):
        for account, size in SIZES.items():
            yield from day_of_usage(random, account, size, FIRST + timedelta(days=offset))


def corrections(records: list[Record]) -> list[Record]:
    """One compute record replaced by a smaller quantity, one batch of API requests voided."""
    replaced = next(item for item in records if item["account"] == "cloud-acme" and item["meter"] == "compute")
    voided = next(item for item in records if item["account"] == "cloud-globex" and item["meter"] == "api-requests")
    return [
        {**replaced, "id": f"{replaced['id']}/corrected", "quantity": "60.5", "corrects": replaced["id"]},
        {**voided, "id": f"{voided['id']}/void", "quantity": None, "corrects": voided["id"]},
    ]


def malformed() -> list[str]:
    """Lines to be rejected, each for one reason."""
    noon = datetime(2012, 3, 5, 12, tzinfo=UTC)
    hour = timedelta(hours=1)
    bad = {
        "negative": record("cloud-acme", "compute", "-12.5", noon, hour),
        "not-a-number": record("cloud-acme", "compute", "NaN", noon, hour),
        "unknown-meter": record("cloud-globex", "gpu", "3", noon, hour),
        "unknown-account": record("cloud-hooli", "compute", "3", noon, hour),
        "end-before-start": record("cloud-globex", "compute", "3", noon, -hour),
        "no-zone": record("cloud-initech", "compute", "3", noon, hour),
    }
    bad["no-zone"]["start"] = "2012-03-05T12:00:00"
    lines = [text({**item, "id": f"{item['id']}/{fault}"}) for fault, item in bad.items()]
    return [*lines, lines[0][: len(lines[0]) // 2]]


def text(item: Record) -> str:
    """One line of JSON."""
    return json.dumps(item, separators=(",", ":"))


def lines() -> list[str]:
    """All lines of the file: usage day by day, repeats and corrections a while after what they repeat or correct."""
    records = list(correct_usage())
    a_day = len(records) // DAYS
    placed = [(index, text(item)) for index, item in enumerate(records)]
    placed += [(index + 2 * a_day, text(records[index])) for index in range(0, len(records), REPEAT_EVERY)]
    placed += [(7 * a_day, text(item)) for item in corrections(records)]
    placed += [((64 + day) * a_day, line) for day, line in enumerate(malformed())]
    return [line for _, line in sorted(placed, key=lambda pair: pair[0])]


def main() -> None:
    """Writes the file beside this program, or where the argument says."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("cloud-usage.jsonl.gz")
    content = "".join(f"{line}\n" for line in lines()).encode()
    target.write_bytes(gzip.compress(content, mtime=0))


if __name__ == "__main__":
    main()
