"""What the oracle does not work out, it names: it never says that there is no difference about something else."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.command import ROOT, ratestream
from tests.oracle.comparison import Report, compare
from tests.oracle.exported import Exported, read_export
from tests.oracle.made_contracts import write_contracts, write_usage
from tests.oracle.own_side import Question

CHANGES = {
    "tariff everything 1: meters.net.aggregation.function level": (
        "    negative: accept\n    price: {model: graduated",
        "    negative: accept\n    aggregation: {function: level}\n    price: {model: graduated",
    ),
    "tariff everything 1: meters.calls.price.model unheard-of": ("{model: package", "{model: unheard-of"),
    "tariff everything 1: unheard-of": ('minimum: {amount: "40"}', 'unheard-of: {amount: "40"}'),
    "tariff everything 1: minimum.unheard-of": ('minimum: {amount: "40"}', 'minimum: {amount: "40", unheard-of: "1"}'),
    "tariff everything 1: rounding.mode sideways": ("mode: half-even", "mode: sideways"),
    "tariff everything 1: closing.late revision": ("{grace_s: 0, late", "{grace_s: 0, late: revision, late"),
    "account howe: progressive": (
        "    billing_day: 30\n",
        "    billing_day: 30\n    progressive: {thresholds: ['9']}\n",
    ),
    "account howe: tariffs.0.unheard-of": ("from: 2021-01-05}", "from: 2021-01-05, unheard-of: 7}"),
}


@pytest.mark.parametrize("named", CHANGES)
def test_a_contract(named: str, tmp_path: Path) -> None:
    """Whatever is in a document and not on the oracle's list; nothing was rated, and nobody else has a difference."""
    tariffs, accounts = write_contracts(tmp_path)
    for file in (tariffs, accounts):
        file.write_text(file.read_text(encoding="utf-8").replace(*CHANGES[named], 1), encoding="utf-8")
    report = compare(Question([], tariffs, accounts, Exported(), by_event_time=True))
    assert (report.findings, report.not_worked_out) == ([], [named])


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    folder = tmp_path_factory.mktemp("rated")
    tariffs, accounts = write_contracts(folder)
    done = ratestream("rate", "--tariffs", tariffs, "--accounts", accounts, write_usage(folder, 9, 200))
    (folder / "rated.jsonl").write_text(done.stdout, encoding="utf-8")
    return folder, read_export(folder / "rated.jsonl")


def report_on(folder: Path, export: Exported) -> Report:
    files = folder / "tariffs.yaml", folder / "accounts.yaml"
    return compare(Question([folder / "usage-9.jsonl"], *files, export, by_event_time=True))


def test_a_statement(rated: tuple[Path, Exported]) -> None:
    folder, export = rated
    first, *others = export.statements
    strange = {
        f"account {first.account}, statement: kind interim": replace(first, kind="interim"),
        f"account {first.account}, statement: revision 2": replace(first, revision=2),
        f"account {first.account}, statement: line of kind gift": replace(
            first, lines=(replace(first.lines[0], kind="gift"), *first.lines[1:])
        ),
    }
    for named, statement in strange.items():
        report = report_on(folder, Exported(export.charges, [statement, *others], export.rejections))
        assert (report.findings, report.not_worked_out) == ([], [named])


def test_a_charge(rated: tuple[Path, Exported]) -> None:
    folder, export = rated
    charges = [replace(export.charges[0], kind="gift"), *export.charges[1:]]
    report = report_on(folder, Exported(charges, export.statements, export.rejections))
    assert report.not_worked_out == [f"account {charges[0].account}: charge of kind gift"]


def test_a_field_of_an_export(tmp_path: Path, rated: tuple[Path, Exported]) -> None:
    """A field that nobody reads could say anything."""
    folder, _ = rated
    lines = (folder / "rated.jsonl").read_text(encoding="utf-8")
    (tmp_path / "rated.jsonl").write_text(lines.replace('"tier":', '"unheard-of":1,"tier":', 1), encoding="utf-8")
    assert report_on(folder, read_export(tmp_path / "rated.jsonl")).not_worked_out == [
        "export: charge.parts.unheard-of"
    ]


def test_the_command_says_so(tmp_path: Path, rated: tuple[Path, Exported]) -> None:
    folder, _ = rated
    accounts = folder / "accounts.yaml"
    strange = tmp_path / "accounts.yaml"
    strange.write_text(accounts.read_text(encoding="utf-8").replace("    billing_day: 30", "    strange: 30", 1))
    arguments = ["--tariffs", folder / "tariffs.yaml", "--accounts", strange, "--export", folder / "rated.jsonl"]
    program = [sys.executable, "-m", "tests.oracle", *map(str, arguments), str(folder / "usage-9.jsonl")]
    done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "NOT WORKED OUT: account howe: strange" in done.stdout
    assert "no difference" not in done.stdout
