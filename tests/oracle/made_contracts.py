"""Made-up tariffs, accounts and usage with all that the examples leave out, for the oracle to work out as well."""

import json
from collections.abc import Callable
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

ITEMS = """
tariff: items
version: "1"
effective_from: 2020-01-01
currency: EUR
rounding: {at: line, tax_at: section}
tax: [{name: VAT, percent: "19"}, {name: Levy, percent: "2.5"}]
holidays: ["03-29"]
minimum: {amount: "300", prorate: thirty, counts: usage-and-fees, tax: [{name: VAT, percent: "7"}]}
maximum: {amount: "700", prorate: days}
surcharges:
  - {name: Conservation, percent: "12.5", of: [energy, peak], base: rounded, tax: [{name: Eco, percent: "3"}]}
  - {name: Rebate, percent: "-3.3", of: [Conservation, calls-by-attribute]}
fees:
  - {name: Seats, amount: "3.1", quantity: "2.5", per: month, due: advance, tax: [{name: VAT, percent: "7"}]}
  - {name: Quarterly, amount: "30", per: quarter}
  - {name: Yearly, amount: "100", per: year, prorate: none}
  - {name: Thirty, amount: "10", per: month, prorate: thirty}
  - {name: Thirtieths, amount: "12", per: period, prorate: thirty}
  - {name: Setup, amount: "49", per: once}
closing: {grace_s: 0, lateness_s: 31536000}
meters:
  energy:
    usage_of: [flow]
    unit: kWh
    discount_percent: "7.5"
    maximum: "70"
    tax: [{name: VAT, percent: "7"}]
    price:
      model: graduated
      on_bound: upper
      first_flat_fee: always
      tiers: [{up_to: "50", unit_price: "0.3", flat_fee: "2"}, {unit_price: "0.25", flat_fee: "1.5"}]
  peak:
    usage_of: [flow]
    unit: kWh
    convert: {unit: kW, multiply_by: "1.1"}
    aggregation: {function: demand, interval_minutes: 15}
    bands:
      - {name: day, hours: ["07:30-21:00"], price: {model: per_unit, unit_price: "2.5"}}
      - {name: night, price: {model: volume, tiers: [{up_to: "3", unit_price: "1"}, {unit_price: "0.5"}]}}
  north-only:
    usage_of: [flow]
    where: {region: no*}
    unit: kWh
    minimum: "20"
    priced_per: day
    price: {model: graduated, free_units: "0.5", tiers: [{up_to: "2", unit_price: "0.1"}, {unit_price: "0.2"}]}
  in-order:
    usage_of: [flow]
    unit: kWh
    tiers_across_bands: chronological
    convert: {unit: MWh, divide_by: "7"}
    bands:
      - {name: day, hours: ["07:00-19:00"], price: {model: graduated, tiers: [
          {up_to: "5", unit_price: "0.3", flat_fee: "1"}, {unit_price: "0.2"}]}}
      - {name: night, price: {model: graduated, tiers: [{up_to: "7", unit_price: "0.1"}, {unit_price: "0.05"}]}}
  by-hour:
    usage_of: [flow]
    unit: kWh
    priced_per: hour
    price: {model: package, size: "0.4", package_price: "0.01"}
  stored:
    usage_of: [flow]
    unit: kWh
    convert: {unit: GB-month, attributes: [size], times: hours, over: period, divide_by: "3"}
    priced_per: resource
    resource: region
    price: {model: graduated, tiers: [{up_to: "1", unit_price: "5.5", flat_fee: "0.1"}, {unit_price: "2"}]}
  calls-by-attribute:
    usage_of: [call, text]
    unit: unit
    bands:
      - {name: texts, meters: [text], price: {model: package, size: "3", package_price: "0.5", free_units: "4"}}
      - {name: north, where: {region: no*}, price: {model: commitment, unit_price: "0.03", quantity: "40",
          overage_factor: "1.5", true_up: true}}
      - {name: north-east, where: {region: north-e*}, price: {model: commitment, unit_price: "0.07", amount: "0.5",
          overage_factor: "2"}}
      - {name: weekend, days: [weekends, holidays], price: {model: volume, between_bounds: unpriced,
          tiers: [{up_to: "10", unit_price: "0.2"}, {unit_price: "0.1", flat_fee: "1"}]}}
      - {name: rest, price: {model: volume, on_bound: upper, first_flat_fee: always,
          tiers: [{up_to: "10", unit_price: "0.2", flat_fee: "3"}, {unit_price: "0.1", flat_fee: "1"}]}}
  rounded-calls:
    usage_of: [call]
    unit: unit
    convert: {unit: dozen, divide_by: "12", round: up, decimals: 1, round_per: record}
    price: {model: graduated_percentage, free_units: "1", tiers: [
      {up_to: "4", percent: "10", flat_fee: "1"}, {percent: "3.3"}]}
  in-all:
    usage_of: [call]
    unit: unit
    convert: {unit: dozen, divide_by: "12", times: days, round: half-even}
    price: {model: per_unit, unit_price: "0.012", free_units: "30"}
  count:
    usage_of: [call]
    unit: unit
    aggregation: {function: count}
    price: {model: per_unit, unit_price: "0.1"}
  most:
    usage_of: [call]
    unit: unit
    aggregation: {function: max, at_least: "4"}
    priced_per: resource
    resource: region
    price: {model: per_unit, unit_price: "0.7"}
  last:
    usage_of: [call]
    unit: unit
    aggregation: {function: latest}
    price: {model: per_unit, unit_price: "0.9"}
  users:
    usage_of: [call]
    unit: unit
    aggregation: {function: unique, attribute: user}
    price: {model: graduated, tiers: [{up_to: "5", unit_price: "1"}, {unit_price: "0.5"}]}
  burst:
    usage_of: [call]
    unit: unit
    aggregation: {function: percentile, percentile: "95"}
    bands:
      - {name: day, hours: ["08:00-20:00"], price: {model: per_unit, unit_price: "1.5"}}
      - {name: night, price: {model: per_unit, unit_price: "0.5"}}
  each:
    usage_of: [call]
    unit: unit
    priced_per: record
    price: {model: volume, tiers: [{up_to: "3", unit_price: "0.02"}, {unit_price: "0.01"}]}
  sessions:
    usage_of: [call]
    unit: unit
    priced_per: session
    round_each: {decimals: 1, mode: half-even}
    price: {model: package, size: "5", package_price: "0.07"}
  payment:
    unit: EUR
    price: {model: percentage, percent: "1.3", fixed_per_event: "0.05", free_events: 3, free_amount: "9",
      min_per_event: "0.08", max_per_event: "0.1"}
  talk:
    usage_of: [call]
    unit: unit
    bands:
      - {name: south, where: {region: south}, price: {model: call, connection_fee: "0.11", included_s: 12,
          seconds: up, decimals: 3, mode: up, maximum: "0.62", slots: [
          {rate: "0.2", unit_s: 3, increment_s: 2}, {from_s: 5, rate: "0.1", unit_s: 7, increment_s: 1}]}}
      - {name: elsewhere, price: {model: call, increment_decimals: 2, slots: [
          {rate: "0.05", unit_s: 3, increment_s: 1}, {from_s: 4, rate: "0.7", unit_s: 60, increment_s: 6}]}}
  card:
    usage_of: [payment]
    unit: EUR
    price: {model: percentage, percent: "2.9", fixed_per_event: "0.3"}
"""

ITEM_ACCOUNTS = """
accounts:
  - account: oslo
    zone: Europe/Oslo
    currency: EUR
    cycle: {every: 2, unit: week, anchor: 2021-01-11}
    tariffs: [{tariff: items, from: 2021-01-15}]
    coupons:
      - {name: Tenth, percent: "10", from: 2021-01-20, periods: 3}
      - {name: Five, amount: "5", from: 2021-01-20, meters: [energy, calls-by-attribute]}
    credits:
      - {name: Second, amount: "150", from: 2021-01-01, priority: 2}
      - {name: First, amount: "333.33", from: 2021-02-01, until: 2021-04-01}
  - account: york
    zone: America/New_York
    currency: EUR
    clock: fixed-offset
    cycle: {unit: quarter}
    tariffs: [{tariff: items, from: 2021-01-05, last_day: 2021-02-28}, {tariff: items, from: 2021-03-05}]
    fees: [{name: Support, amount: "3", quantity: "2", per: month, due: advance, tax: [{name: VAT, percent: "5"}]}]
  - account: lima
    zone: America/Lima
    currency: EUR
    billing_day: 31
    tariffs: [{tariff: items, from: 2021-01-05}]
    tax: [{name: IGV, percent: "18"}]
"""

_FIRST = datetime(2021, 1, 21, tzinfo=UTC)
_LENGTHS_MINUTES = (0, 15, 30, 60, 60, 60, 7 * 60, 24 * 60, 40 * 24 * 60)


def write_contracts(folder: Path) -> tuple[Path, Path]:
    """The tariff file and the account file."""
    tariffs, accounts = folder / "tariffs.yaml", folder / "accounts.yaml"
    tariffs.write_text(TARIFFS, encoding="utf-8")
    accounts.write_text(ACCOUNTS, encoding="utf-8")
    return tariffs, accounts


def write_items(folder: Path) -> tuple[Path, Path]:
    """The same of the tariff of many items."""
    tariffs, accounts = folder / "items.yaml", folder / "item-accounts.yaml"
    tariffs.write_text(ITEMS, encoding="utf-8")
    accounts.write_text(ITEM_ACCOUNTS, encoding="utf-8")
    return tariffs, accounts


def write_item_usage(folder: Path, seed: int, count: int = 700) -> Path:
    """Usage for it, with attributes and sessions; some lack what an item needs."""
    return _write(folder / f"items-{seed}.jsonl", Random(seed), _item_record, count)


def write_usage(folder: Path, seed: int, count: int = 1500) -> Path:
    """Usage at random times of 110 days, in the order of their start: long and short, with repeats and corrections."""
    return _write(folder / f"usage-{seed}.jsonl", Random(seed), _record, count)


def _write(file: Path, random: Random, make: Callable[[Random, int], "Record"], count: int) -> Path:
    records = sorted((make(random, number) for number in range(count)), key=lambda record: str(record["start"]))
    for number in range(0, count, 40):
        records.insert(random.randrange(count), records[number])
        records.insert(number + 1, _correction(random, records[number]))
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


Record = dict[str, str | dict[str, str]]


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


def _item_record(random: Random, number: int) -> Record:
    meter = random.choice(("flow", "flow", "call", "call", "text", "payment"))
    start = _FIRST + timedelta(minutes=random.randrange(100 * 24 * 60))
    attributes = {"size": f"{random.randrange(1, 50_000) / 1000}", "user": f"u{random.randrange(9)}"}
    attributes["region"] = random.choice(("north", "north-east", "north-east", "south"))
    if not random.randrange(60):
        del attributes[random.choice(("size", "user", "region"))]
    if not random.randrange(90):
        attributes["size"] = random.choice(("x", "1.1234567", ""))
    return {
        "id": f"{number}",
        "account": random.choice(("oslo", "york", "lima")),
        "meter": meter,
        "quantity": f"{random.randrange(9_000_000) / 10**6:.6f}" if meter != "text" else str(random.randrange(6)),
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=random.choice(_LENGTHS_MINUTES[:-1]))).isoformat(),
        "attributes": attributes,
        **({"session": f"s{random.randrange(50)}"} if random.randrange(3) else {}),
    }


def _correction(random: Random, record: Record) -> Record:
    correction = {**record, "id": f"{record['id']}/{random.random()}", "corrects": record["id"]}
    if random.random() < 0.5:
        del correction["quantity"]
    return correction
