"""The examples: their tariffs and accounts agree, fit their usage, and the made-up usage is what its program makes."""

import csv
import gzip
import json
import subprocess
import sys
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from schemas.catalogue import Catalogue, load_catalogue
from schemas.files import read_usage
from schemas.price import Graduated
from tests.small_books import Books, money

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(EXAMPLES / "tariffs", EXAMPLES / "accounts.yaml")


@pytest.fixture(scope="module")
def first_readings() -> dict[tuple[str, str, str], datetime]:
    """The start of the first reading by account, meter and unit."""
    first: dict[tuple[str, str, str], str] = {}
    with gzip.open(EXAMPLES / "homes.csv.gz", "rt", encoding="utf-8") as lines:
        for _, account, meter, start, _, _, unit in csv.reader(lines):
            key = account, meter, unit
            if start < first.get(key, "a"):
                first[key] = start
    return {key: datetime.fromisoformat(start) for key, start in first.items()}


def test_each_home_starts_on_the_local_date_of_its_first_reading(
    catalogue: Catalogue, first_readings: dict[tuple[str, str, str], datetime]
) -> None:
    assert len(first_readings) == 8
    for (name, meter, unit), start in first_readings.items():
        account = catalogue.accounts["default", name]
        entries = [entry for entry in account.tariffs if meter in catalogue.tariffs[entry.tariff][0].meters]
        assert [entry.from_ for entry in entries] == [start.astimezone(ZoneInfo(account.zone)).date()]
        assert {version.meters[meter].unit for version in catalogue.tariffs[entries[0].tariff]} == {unit}


def test_the_time_of_use_prices_are_the_published_ones(catalogue: Catalogue) -> None:
    (tariff,) = catalogue.tariffs["pge-residential-tou"]
    bands = tariff.meters["electricity"].bands
    assert bands is not None
    prices = {band.name: band.price for band in bands}
    published = {
        "summer-off-peak": "13.8 0.11477 17.94 0.14663 27.6 0.20039 41.4 0.26927 - 0.26927",
        "summer-peak": "13.8 0.36292 17.94 0.39479 27.6 0.44854 41.4 0.51742 - 0.51742",
        "winter-off-peak": "11.2 0.11838 14.56 0.15024 22.4 0.20400 33.6 0.27288 - 0.27288",
        "winter-peak": "11.2 0.14842 14.56 0.18028 22.4 0.23404 33.6 0.30292 - 0.30292",
    }
    assert prices.keys() == published.keys()
    for name, line in published.items():
        price = prices[name]
        assert isinstance(price, Graduated)
        assert price.tiers_per == "day"
        words = line.split()
        bounds = [None if bound == "-" else Decimal(bound) for bound in words[::2]]
        assert [tier.up_to for tier in price.tiers] == bounds
        assert [tier.unit_price for tier in price.tiers] == [Decimal(word) for word in words[1::2]]


@pytest.fixture(scope="module")
def cloud_lines() -> list[str]:
    with gzip.open(EXAMPLES / "cloud-usage.jsonl.gz", "rt", encoding="utf-8") as lines:
        return lines.read().splitlines()


def test_the_cloud_usage_is_what_its_program_makes(tmp_path: Path, cloud_lines: list[str]) -> None:
    made = tmp_path / "made.gz"
    subprocess.run([sys.executable, EXAMPLES / "make_cloud_usage.py", made], check=True, timeout=60)
    assert gzip.decompress(made.read_bytes()).decode().splitlines() == cloud_lines


def test_the_cloud_usage_holds_what_its_readme_says(catalogue: Catalogue, cloud_lines: list[str]) -> None:
    assert sum(times - 1 for times in Counter(cloud_lines).values()) == 8
    whole = [json.loads(line) for line in cloud_lines if line.endswith("}")]
    assert len(cloud_lines) - len(whole) == 1
    corrections = [record["quantity"] for record in whole if "corrects" in record]
    assert sorted(corrections, key=str) == ["60.5", None]
    ids = {record["id"] for record in whole}
    assert all(record["corrects"] in ids for record in whole if "corrects" in record)
    unknown = [record for record in whole if ("default", record["account"]) not in catalogue.accounts]
    assert [record["account"] for record in unknown] == ["cloud-hooli"]
    assert Counter(record["start"] == record["end"] for record in whole)[True] > 1000


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize(
    ("folder", "usage", "bills"),
    [
        # 0.27 home, 3.6625 Switzerland, 0.42 service, 1.49 far, 0.07 + 4 for messages and data, 9.99: lines of 19.90
        ("phone-plan", "usage.csv", [("23.68", "23.68")]),
        # 0.50 + 11 × 0.45 + 16.6 × 0.55 + half an hour of parking = 17.58, and a session of 1.36 at its minimum of 2.00
        ("ev-charging", "usage.csv", [("23.30", "23.30")]),
        # 2 × 0.20, 150000 and 1350000 GB-s, tiers of 50 + 10 and of 30 GB-months, 5 × 3.60
        ("cloud-functions", "usage.jsonl", [("44.95", "44.95")]),
        # 3907.63 kWh at peak, 26277.12 off; 132 kW at 4.25, 125 kW at peak; 45; and 6 %
        ("factory-demand", "usage.csv", [("5043.89", "5043.89")]),
        # the bill that Singapore's prices of 2018 make of 14.5 m3, as published
        ("water-bill", "usage.csv", [("42.44", "42.44")]),
        # 36.77 of usage brought up to 60, 120 for seats, 8 %, 150 prepaid; then 120.53 less 20 %
        ("saas-plan", "usage.jsonl", [("194.40", "44.40"), ("104.13", "104.13")]),
    ],
)
def test_an_example_is_billed_as_by_hand(
    folder: str, usage: str, bills: list[tuple[str, str]], *, backwards: bool
) -> None:
    """Each record in a batch of its own, with nothing remembered in between but what was stored."""
    read = load_catalogue(EXAMPLES / folder / "tariff.yaml", EXAMPLES / folder / "accounts.yaml")
    versions = [version for each in read.tariffs.values() for version in each]
    books = Books(versions, list(read.accounts.values()), closes=False)
    records = [record for batch in read_usage(EXAMPLES / folder / usage) for record in batch.records]
    for record in reversed(records) if backwards else records:
        assert books.refused(record) == []
        books.restart()
    found = [(money(statement.total), money(statement.due)) for statement in books.close_all()]
    assert found == [(Decimal(total), Decimal(due)) for total, due in bills]
