"""Reports of a data directory, as people ask for them: what was rated into it a moment before is in the answer."""

import json
from pathlib import Path

import pytest

from tests.integration.command import ratestream, succeed

pytest.importorskip("chdb", reason="the embedded engine is not installed: pip install 'ratestream[embedded]'")

PLAN = """
tariff: plan
version: "1"
effective_from: 2024-01-01
currency: USD
meters: {power: {unit: kWh, price: {model: per_unit, unit_price: "0.125"}}}
"""
HOMES = (
    "accounts: [{account: home, zone: America/New_York, currency: USD, tariffs: [{tariff: plan, from: 2024-01-01}]}]"
)
USAGE = "id,account,meter,start,end,quantity\na,home,power,2024-03-10T06:00:00Z,2024-03-10T07:00:00Z,3\n"


def test_a_data_directory_answers_reports(tmp_path: Path) -> None:
    files = {"plan.yaml": PLAN, "homes.yaml": HOMES, "usage.csv": USAGE}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    plan, homes, usage = (tmp_path / name for name in files)
    data = tmp_path / "data"
    succeed("run", usage, "--tariffs", plan, "--accounts", homes, "--data", data)
    (row,) = map(json.loads, succeed("report", "bill", "home", "--data", data, "--format", "json").splitlines())
    assert (row["period_start"], row["quantity"], row["amount"]) == ("2024-03-01T05:00:00Z", "3", "0.375")


def test_without_a_directory_or_a_server_it_says_what_to_name() -> None:
    done = ratestream("report", "rejected")
    assert done.returncode == 2
    assert "RATESTREAM_CLICKHOUSE" in done.stderr
