"""Made-up tariffs, accounts and usage with all that the examples leave out, for the oracle to work out as well."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

TARIFFS = """
tariff: everything
version: "1"
effective_from: 2020-01-01
currency: EUR
rounding: {at: total, mode: half-even}
tax: [{name: VAT, percent: "19"}, {name: Levy, percent: "2.5"}]
seasons:
  warm: {from: "04-01", to: "09-30"}
  cold: {from: "10-01", to: "03-31"}
holidays: [2021-03-29, "05-01"]
minimum: {amount: "40"}
fees:
  - {name: Standing charge, amount: "0.333333333333", per: day}
  - {name: Line rental, amount: "9.99", per: period, due: advance}
  - {name: Rebate, amount: "-1", per: period, prorate: none}
closing: {grace_s: 0, lateness_s: 31536000}
meters:
  power:
    unit: kWh
    decimals: 3
    bands:
      - name: dear
        season: cold
        days: [weekdays, holidays]
        hours: ["06:15-10:00", "17:30-24:00"]
        price:
          model: graduated
          tiers_per: day
          free_units: "0.5"
          tiers: [{up_to: "4", unit_price: "0.31", flat_fee: "1.5"}, {unit_price: "0.29", flat_fee: "0.25"}]
      - name: cheap
        season: cold
        price: {model: per_unit, unit_price: "0.123456789012", free_units: "10"}
      - {name: holiday, season: warm, days: [holidays], price: {model: per_unit, unit_price: "-0.05"}}
      - name: warm
        season: warm
        price:
          model: volume
          free_units: "3.5"
          tiers: [{up_to: "150", unit_price: "0.2", flat_fee: "2"}, {unit_price: "0.15", flat_fee: "1"}]
  shared:
    unit: kWh
    tiers_across_bands: pro-rata
    bands:
      - {name: night, hours: ["00:00-06:00"], price: {model: graduated, free_units: "20", tiers: [
          {up_to: "60", unit_price: "0.1"}, {up_to: "200", unit_price: "0.2"}, {unit_price: "0.3"}]}}
      - {name: weekend, days: [weekends], hours: ["06:00-24:00"], price: {model: graduated, free_units: "20", tiers: [
          {up_to: "60", unit_price: "0.15"}, {up_to: "200", unit_price: "0.25"}, {unit_price: "0.35"}]}}
      - {name: day, price: {model: graduated, free_units: "20", tiers: [
          {up_to: "60", unit_price: "0.17"}, {up_to: "200", unit_price: "0.27"}, {unit_price: "0.37"}]}}
  net:
    unit: kWh
    negative: accept
    price: {model: graduated, tiers: [{up_to: "50", unit_price: "0.4"}, {unit_price: "0.5"}]}
  calls:
    unit: call
    decimals: 0
    price: {model: package, size: "7.5", package_price: "0.35", free_units: "12"}
---
tariff: everything
version: "2"
effective_from: 2021-04-11
currency: EUR
rounding: {at: line, decimals: 1, mode: up}
tax: [{name: VAT, percent: "19"}]
minimum: {amount: "25", prorate: none}
fees: [{name: Line rental, amount: "8", per: period, due: advance}]
closing: {grace_s: 0, lateness_s: 31536000}
meters:
  power: {unit: kWh, price: {model: per_unit, unit_price: "0.2"}}
  shared:
    unit: kWh
    price: {model: volume, tiers_per: day, tiers: [{up_to: "3", unit_price: "0.2"}, {unit_price: "0.1"}]}
  net: {unit: kWh, negative: accept, price: {model: per_unit, unit_price: "0.3", free_units: "5"}}
  calls: {unit: call, price: {model: graduated, tiers: [{up_to: "100", unit_price: "0.01"}, {unit_price: "0.02"}]}}
"""

ACCOUNTS = """
accounts:
  - account: howe
    zone: Australia/Lord_Howe
    currency: EUR
    billing_day: 30
    tariffs: [{tariff: everything, from: 2021-01-05}]
  - account: delhi
    tenant: other
    zone: Asia/Kolkata
    currency: EUR
    tariffs: [{tariff: everything, from: 2021-01-01, until: 2021-05-09}]
    fees: [{name: Support, amount: "3", per: period, due: advance}, {name: Meter, amount: "0.01", per: day}]
    tax: [{name: GST, percent: "18"}]
  - account: berlin
    zone: Europe/Berlin
    currency: EUR
    billing_day: 17
    tariffs:
      - {tariff: everything, from: 2021-01-20, until: 2021-03-02}
      - {tariff: everything, from: 2021-03-10}
    tax: []
"""

_FIRST = datetime(2021, 1, 21, tzinfo=UTC)
_LENGTHS_MINUTES = (0, 15, 30, 60, 60, 60, 7 * 60, 24 * 60, 40 * 24 * 60)


def write_contracts(folder: Path) -> tuple[Path, Path]:
    """The tariff file and the account file."""
    tariffs, accounts = folder / "tariffs.yaml", folder / "accounts.yaml"
    tariffs.write_text(TARIFFS, encoding="utf-8")
    accounts.write_text(ACCOUNTS, encoding="utf-8")
    return tariffs, accounts


def write_usage(folder: Path, seed: int, count: int = 1500) -> Path:
    """Usage at random times of 110 days, in the order of their start: long and short, with repeats and corrections."""
    random = Random(seed)
    records = sorted((_record(random, number) for number in range(count)), key=lambda record: record["start"])
    for number in range(0, count, 40):
        records.insert(random.randrange(count), records[number])
        records.insert(number + 1, _correction(random, records[number]))
    file = folder / f"usage-{seed}.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


Record = dict[str, str]


def _record(random: Random, number: int) -> Record:
    account = random.choice(("howe", "delhi", "berlin"))
    meter = random.choice(("power", "power", "shared", "net", "calls"))
    start = _FIRST + timedelta(minutes=random.randrange(110 * 24 * 60))
    end = start + timedelta(minutes=random.choice(_LENGTHS_MINUTES))
    least = -3_000_000 if meter == "net" else 0
    millionths = random.randrange(least, 4_000_000)
    return {
        "id": f"{number}",
        "account": account,
        "tenant": "other" if account == "delhi" else "default",
        "meter": meter,
        "quantity": str(random.randrange(6)) if meter == "calls" else f"{millionths / 10**6:.6f}",
        "start": start.isoformat(),
        "end": end.isoformat(),
    }


def _correction(random: Random, record: Record) -> Record:
    correction = {**record, "id": f"{record['id']}/{random.random()}", "corrects": record["id"]}
    if random.random() < 0.5:
        del correction["quantity"]
    return correction
