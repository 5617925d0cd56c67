"""What the examples leave out: every price model, band, fee and rounding, in zones with odd clocks, by both ways."""

from pathlib import Path

import pytest

from tests.integration.command import ROOT, ratestream, succeed
from tests.oracle.comparison import compare
from tests.oracle.exported import read_export
from tests.oracle.made_contracts import write_contracts, write_item_usage, write_items, write_usage
from tests.oracle.own_side import Question


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rating(seed: int, tmp_path: Path) -> None:
    tariffs, accounts = write_contracts(tmp_path)
    usage = write_usage(tmp_path, seed)
    done = ratestream("rate", "--tariffs", tariffs, "--accounts", accounts, usage)
    assert done.returncode == 0, done.stderr
    (tmp_path / "rated.jsonl").write_text(done.stdout, encoding="utf-8")
    report = compare(Question([usage], tariffs, accounts, read_export(tmp_path / "rated.jsonl"), by_event_time=True))
    assert (report.findings, report.not_worked_out) == ([], [])
    assert report.statements > 10


@pytest.mark.parametrize("seed", [4, 5])
def test_running(seed: int, tmp_path: Path) -> None:
    tariffs, accounts = write_contracts(tmp_path)
    usage = write_usage(tmp_path, seed)
    succeed("run", "--data", tmp_path / "data", "--tariffs", tariffs, "--accounts", accounts, usage)
    succeed("export", "--data", tmp_path / "data", "--out", tmp_path / "out")
    report = compare(Question([usage], tariffs, accounts, read_export(tmp_path / "out"), by_event_time=False))
    assert (report.findings, report.not_worked_out) == ([], [])
    assert report.statements > 5


@pytest.mark.parametrize("seed", [6, 7])
def test_rating_of_many_items(seed: int, tmp_path: Path) -> None:
    tariffs, accounts = write_items(tmp_path)
    usage = write_item_usage(tmp_path, seed)
    done = ratestream("rate", "--tariffs", tariffs, "--accounts", accounts, usage)
    assert done.returncode == 0, done.stderr
    (tmp_path / "rated.jsonl").write_text(done.stdout, encoding="utf-8")
    report = compare(Question([usage], tariffs, accounts, read_export(tmp_path / "rated.jsonl"), by_event_time=True))
    assert (report.findings, report.not_worked_out) == ([], [])
    assert report.statements > 10


def test_running_of_many_items(tmp_path: Path) -> None:
    tariffs, accounts = write_items(tmp_path)
    usage = write_item_usage(tmp_path, 8)
    succeed("run", "--data", tmp_path / "data", "--tariffs", tariffs, "--accounts", accounts, usage)
    succeed("export", "--data", tmp_path / "data", "--out", tmp_path / "out")
    report = compare(Question([usage], tariffs, accounts, read_export(tmp_path / "out"), by_event_time=False))
    assert (report.findings, report.not_worked_out) == ([], [])
    assert report.statements > 5


EXAMPLES = ("cloud-functions", "factory-demand", "phone-plan", "saas-plan", "water-bill")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example(name: str, tmp_path: Path) -> None:
    folder = ROOT / "examples" / name
    tariffs, accounts, usage = folder / "tariff.yaml", folder / "accounts.yaml", next(folder.glob("usage.*"))
    done = ratestream("rate", "--tariffs", tariffs, "--accounts", accounts, usage)
    (tmp_path / "rated.jsonl").write_text(done.stdout, encoding="utf-8")
    report = compare(Question([usage], tariffs, accounts, read_export(tmp_path / "rated.jsonl"), by_event_time=True))
    assert (report.findings, report.not_worked_out) == ([], [])
    assert report.statements
