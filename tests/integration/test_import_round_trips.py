"""Round trips: what others publish about their tariffs comes out when the imported tariff rates the usage.

Each tariff goes through `ratestream tariff import` into a file, and the file through what `ratestream rate` uses.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from typer.testing import CliRunner

from agents.offline import Rated, rate_files
from pipeline.terms import Plans
from ratestream.cli import app
from schemas.catalogue import load_catalogue
from schemas.charge import Charge, ChargeKind
from tests.imported import FIXTURES
from tests.small_books import LATER, Number, money

Json = dict[str, Any]
DENVER = "America/Denver"


def import_tariffs(folder: Path, source: str, foreign: Path, *arguments: str | Path) -> Path:
    """The file of the imported tariffs."""
    out = folder / "tariffs.yaml"
    given = ["tariff", "import", "--from", source, foreign, "--out", out, *arguments]
    done = CliRunner().invoke(app, [str(argument) for argument in given])
    assert done.exit_code == 0, done.stderr
    return out


def rate(folder: Path, tariffs: Path, usage: Sequence[Json] | Path, **account: str) -> Rated:
    """The usage of account `home` under the tariff that is named, or under the only one."""
    plans = list(load_catalogue(tariffs, None).tariffs)
    entry = {"tariff": account.pop("tariff", plans[0]), "from": account.pop("since", "2022-01-01")}
    home = {"account": "home", "zone": "UTC", "currency": "USD", "tariffs": [entry], **account}
    accounts = folder / "accounts.yaml"
    accounts.write_text(yaml.safe_dump({"accounts": [home]}))
    lines = usage if isinstance(usage, Path) else folder / "usage.jsonl"
    if not isinstance(usage, Path):
        lines.write_text("".join(json.dumps(record) + "\n" for record in usage))
    rated = rate_files([lines], Plans(load_catalogue(tariffs, accounts)), LATER)
    assert rated.rejections == []
    return rated


def usage_charges(rated: Rated) -> list[Charge]:
    """The charges that usage caused: all but the fees."""
    return [charge for charge in rated.outcome.charges if charge.kind is ChargeKind.USAGE]


def sums(rated: Rated) -> dict[str, Number]:
    """What the usage of each item costs before tax."""
    found: dict[str, int] = {}
    for charge in usage_charges(rated):
        found[charge.meter] = found.get(charge.meter, 0) + charge.amount
    return {meter: money(amount) for meter, amount in found.items()}


def with_tax(rated: Rated) -> tuple[Number, Number]:
    """What the usage costs without and with the taxes of its parts."""
    net = sum(charge.amount for charge in usage_charges(rated))
    tax = sum(part.tax for charge in usage_charges(rated) for part in charge.parts)
    return money(net), money(net + tax)


def hourly(start: str, zone: str, quantities: Iterable[int | str]) -> list[Json]:
    """Readings of one hour each, in kWh."""
    begin = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return [
        {
            "id": f"{start}-{hour}",
            "account": "home",
            "meter": "energy",
            "quantity": str(quantity),
            "start": (begin + timedelta(hours=hour)).isoformat(),
            "end": (begin + timedelta(hours=hour + 1)).isoformat(),
        }
        for hour, quantity in enumerate(quantities)
    ]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        # 12 h off-peak, 8 h of shoulder and 4 h of peak on a weekday; 12 h of each of the first two on a weekend.
        ("2022-07-01", 12 * Decimal("0.099057") + 8 * Decimal("0.1252299") + 4 * Decimal("0.219872")),
        ("2022-07-02", 12 * Decimal("0.099057") + 12 * Decimal("0.1252299")),
        ("2022-01-05", 12 * Decimal("0.099057") + 8 * Decimal("0.0947412") + 4 * Decimal("0.158126")),
    ],
)
def test_xcel_prices_each_hour_by_its_period(tmp_path: Path, day: str, expected: Decimal) -> None:
    tariffs = import_tariffs(tmp_path, "urdb", FIXTURES / "urdb-xcel-co-re-tou.json")
    rated = rate(tmp_path, tariffs, hourly(day, DENVER, [1] * 24), zone=DENVER)
    assert sums(rated) == {"energy": expected}


def test_xcel_s_fixed_charge_is_on_the_statement(tmp_path: Path) -> None:
    tariffs = import_tariffs(tmp_path, "urdb", FIXTURES / "urdb-xcel-co-re-tou.json")
    rated = rate(tmp_path, tariffs, hourly("2022-01-05", DENVER, [1] * 24), zone=DENVER)
    (statement,) = rated.outcome.statements
    assert money(statement.net) == Decimal("5.71") + Decimal("1.19") + Decimal("0.76") + Decimal("0.63")


SSC_DAY = [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1, 1]


def test_ssc_demand_of_a_day_is_200(tmp_path: Path) -> None:
    """NREL/ssc test/shared_test/lib_utility_rate_equations_test.cpp: 5 kW × 20 + 10 kW × 10."""
    tariffs = import_tariffs(tmp_path, "urdb", FIXTURES / "urdb-ssc-default-commercial.json")
    assert sums(rate(tmp_path, tariffs, hourly("2022-01-05", "UTC", SSC_DAY)))["demand"] == 200


def test_ssc_demand_begins_anew_with_the_month(tmp_path: Path) -> None:
    """NREL/ssc test/shared_test/lib_utility_rate_test.cpp: 225 kWh × 0.05 + 100 kW × 10 + 50 kW × 10."""
    tariffs = import_tariffs(tmp_path, "urdb", FIXTURES / "urdb-ssc-default-commercial.json")
    found = sums(rate(tmp_path, tariffs, hourly("2022-01-31T22:00", "UTC", [100, 50, 50, 25])))
    assert found == {"energy": Decimal("11.25"), "demand": 1500}
    assert sum(found.values()) == Decimal("1511.25")


@pytest.mark.parametrize(
    ("tiers", "average"),
    [
        (((8.3, 0.03461), (10.8, 0.05140), (16.6, 0.14698), (24.9, 0.18727), (None, 0.18727)), "0.11365"),
        (((8.3, 0.27904), (10.8, 0.29583), (16.6, 0.45169), (24.9, 0.5611), (None, 0.5611)), "0.41554"),
    ],
)
def test_ssc_average_price_of_25_kwh(tmp_path: Path, tiers: Sequence[tuple[float | None, float]], average: str) -> None:
    """PG&E E-9A in NREL/ssc test/shared_test/lib_utility_rate_test.cpp, which allows 0.0001."""
    structure = [{"rate": price, **({"max": most} if most else {}), "unit": "kWh"} for most, price in tiers]
    foreign = tmp_path / "e9a.json"
    foreign.write_text(json.dumps({"name": "E-9A", "energyratestructure": [structure]}))
    tariffs = import_tariffs(tmp_path, "urdb", foreign)
    cost = sums(rate(tmp_path, tariffs, hourly("2022-01-05", "UTC", [25])))["energy"]
    assert abs(Decimal(cost) / 25 - Decimal(average)) < Decimal("0.0001")


def test_pge_tiers_count_the_days_of_the_month(tmp_path: Path) -> None:
    """20 kWh off-peak a day in January (31 days): 31 × (11.2 × 0.11838 + 3.36 × 0.15024 + 5.44 × 0.20400)."""
    tariffs = import_tariffs(tmp_path, "urdb", FIXTURES / "urdb-pge-residential.json")
    usage = [record for day in range(1, 32) for record in hourly(f"2022-01-{day:02d}T03:00", "UTC", [20])]
    whole_day = Decimal("11.2") * Decimal("0.11838") + Decimal("3.36") * Decimal("0.15024")
    whole_day += Decimal("5.44") * Decimal("0.20400")
    assert sums(rate(tmp_path, tariffs, usage)) == {"energy": 31 * whole_day}


def period(clock: str, **volumes: str) -> Json:
    """A charging period that begins on Monday 2026-03-02; volumes are kWh, kW, A and minutes."""
    dimensions = [
        {"type": kind, "volume": float(Decimal(volume) / (60 if kind.endswith("TIME") else 1))}
        for kind, volume in volumes.items()
    ]
    return {"start_date_time": f"2026-03-02T{clock}:00Z", "dimensions": dimensions}


def cdr(tariff: str, until: str, *periods: Json) -> Json:
    """The CDR of one session under an example tariff of the specification."""
    listed = json.loads((FIXTURES / "ocpi-tariffs.json").read_bytes())["data"]
    return {
        "country_code": "DE",
        "party_id": "ALL",
        "id": "1",
        "session_id": "s",
        "cdr_token": {"contract_id": "home"},
        "currency": "EUR",
        "tariffs": [one for one in listed if one["id"] == tariff],
        "charging_periods": periods,
        "end_date_time": f"2026-03-02T{until}:00Z",
    }


KWH_20 = period("10:00", ENERGY="20")
OCPI_SESSIONS = [
    (cdr("kwh", "11:00", KWH_20), "5.00", "5.50"),
    (cdr("kwh-start", "11:00", KWH_20), "5.50", "6.10"),
    (cdr("kwh-minimum", "11:00", KWH_20), "5.00", "5.50"),
    (cdr("kwh-minimum", "11:00", period("10:00", ENERGY="1.9")), "0.50", "0.55"),
    (cdr("kwh-parking-start", "11:40", KWH_20, period("11:00", PARKING_TIME="40")), "7.00", "7.90"),
    (cdr("kwh-maximum", "11:00", period("10:00", ENERGY="50")), "10.00", "11.00"),
    (cdr("kwh-maximum", "11:00", period("10:00", ENERGY="30")), "8.00", "8.85"),
    (cdr("hour", "12:30", period("10:00", TIME="150")), "5.00", "5.50"),
    (cdr("hour-parking", "13:12", period("10:00", TIME="150"), period("12:30", PARKING_TIME="42")), "11.25", "12.75"),
    (
        cdr("complex", "12:39", period("09:30", TIME="147", MAX_CURRENT="16"), period("11:57", PARKING_TIME="42")),
        "8.75",
        "10.00",
    ),
    (cdr("free", "11:00", KWH_20), "0", "0"),
    (cdr("reservation", "11:15", period("10:00", RESERVATION_TIME="15"), period("10:15", ENERGY="20")), "6.75", "7.60"),
    (cdr("expiry-fee", "11:22", period("10:00", RESERVATION_TIME="22"), period("10:22", ENERGY="20")), "6.50", "7.30"),
    (cdr("expiry-fee", "11:00", period("10:00", RESERVATION_TIME="60")), "6.00", "7.20"),
    (cdr("expiry-time", "11:22", period("10:00", RESERVATION_TIME="22"), period("10:22", ENERGY="20")), "7.00", "7.90"),
    (cdr("expiry-time", "11:30", period("10:00", RESERVATION_TIME="90")), "9.00", "10.80"),
    (
        cdr(
            "max-power",
            "13:00",
            period("10:00", ENERGY="1", MAX_POWER="6"),
            period("10:10", ENERGY="40", MAX_POWER="48"),
            period("11:00", ENERGY="0.5", MAX_POWER="4"),
        ),
        "20.30",
        "24.36",
    ),
    (cdr("max-duration", "10:40", period("10:00", ENERGY="5"), period("10:30", ENERGY="1.2")), "0.30", "0.36"),
]


@pytest.mark.parametrize(("session", "net", "gross"), OCPI_SESSIONS)
def test_ocpi_s_worked_sessions(tmp_path: Path, session: Json, net: str, gross: str) -> None:
    """The sessions that OCPI 2.2's text and test cases work out: tariff and usage come from the one CDR."""
    foreign, usage = tmp_path / "cdr.json", tmp_path / "usage.jsonl"
    foreign.write_text(json.dumps(session))
    tariffs = import_tariffs(tmp_path, "ocpi", foreign, "--usage", usage)
    rated = rate(tmp_path, tariffs, usage, currency="EUR", since="2026-03-01")
    assert with_tax(rated) == (Decimal(net), Decimal(gross))
    (statement,) = rated.outcome.statements
    assert (money(statement.net), money(statement.total)) == (Decimal(net), Decimal(gross))


@pytest.mark.parametrize(("after_step", "net"), [("swallowed", "0.50"), ("own-step", "0.75"), ("parking-only", "0.55")])
def test_ocpi_s_step_sizes_as_each_version_reads_them(tmp_path: Path, after_step: str, net: str) -> None:
    """10 minutes of charging from 16:55 and 2 of parking: 0.50 in the text of 2.2, 0.55 in that of 2.2.1."""
    session = cdr("steps", "17:07", period("16:55", TIME="10"), period("17:05", PARKING_TIME="2"))
    foreign, usage = tmp_path / "cdr.json", tmp_path / "usage.jsonl"
    foreign.write_text(json.dumps(session))
    tariffs = import_tariffs(tmp_path, "ocpi", foreign, "--usage", usage)
    tariffs.write_text(
        tariffs.read_text().replace("model: charging\n", f"model: charging\n      after_step: {after_step}\n")
    )
    assert with_tax(rate(tmp_path, tariffs, usage, currency="EUR"))[0] == Decimal(net)


def test_ocpi_s_own_cdr_comes_to_its_total(tmp_path: Path) -> None:
    """The specification's example says total_cost 4.00 without and 4.40 with VAT: 1.973 h are billed as 2 h."""
    foreign, usage = tmp_path / "cdr.json", tmp_path / "usage.jsonl"
    foreign.write_bytes((FIXTURES / "ocpi-cdr.json").read_bytes())
    tariffs = import_tariffs(tmp_path, "ocpi", foreign, "--usage", usage)
    usage.write_text(usage.read_text().replace("DE8ACC12E46L89", "home"))
    rated = rate(tmp_path, tariffs, usage, currency="EUR", since="2015-01-01")
    assert with_tax(rated) == (Decimal(4), Decimal("4.4"))


CALLS = [
    # plan, destination, begin, seconds, what CGRateS' own tests and issue 118 say
    ("rp-retail2", "1002", "2022-01-09T10:00:00Z", "90", "0.3249"),
    ("rp-retail2", "1002", "2022-01-10T10:00:00Z", "85", "0.6418"),
    ("rp-retail2", "1003", "2022-01-10T10:00:00Z", "20", "1"),
    ("rp-retail2", "1007", "2022-01-10T10:00:00Z", "70", "0.62"),
    ("rp-retail1", "1007", "2022-01-10T10:00:00Z", "70", "0.70"),
    ("rp-wholesale", "12045550123", "2022-01-10T10:00:00Z", "32", "0.0036"),
    ("rp-wholesale", "12045550123", "2022-01-10T10:00:00Z", "57", "0.006"),
    ("rp-wholesale", "12045550123", "2022-01-10T10:00:00Z", "75", "0.0078"),
]


@pytest.mark.parametrize(("plan", "destination", "begin", "seconds", "expected"), CALLS)
def test_cgrates_calls(tmp_path: Path, plan: str, destination: str, begin: str, seconds: str, expected: str) -> None:
    tariffs = import_tariffs(tmp_path, "cgrates", FIXTURES / "cgrates", "--currency", "USD")
    end = datetime.fromisoformat(begin) + timedelta(seconds=int(seconds))
    call = {
        "id": "1",
        "account": "home",
        "meter": "call",
        "quantity": seconds,
        "start": begin,
        "end": end.isoformat(),
        "session": "call-1",
        "attributes": {"destination": destination},
    }
    assert sums(rate(tmp_path, tariffs, [call], tariff=plan)) == {"call": Decimal(expected)}
