"""`ratestream tariff import`: what it writes where, what it tells, and how it ends."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from ratestream.cli import app
from schemas.catalogue import load_catalogue
from schemas.importing import cgrates, ocpi, urdb
from schemas.importing.reading import Given
from schemas.importing.yaml_text import yaml_text
from schemas.tariff import Tariff, canonical
from tests.imported import FIXTURES, checked

XCEL = FIXTURES / "urdb-xcel-co-re-tou.json"
CDR = FIXTURES / "ocpi-cdr.json"
PLAN = FIXTURES / "cgrates"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["tariff", "import", *(str(argument) for argument in arguments)])


def told(result: Result) -> str:
    return " ".join(result.stderr.replace("│", " ").split())


def test_help_fits_a_terminal() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_yaml_goes_to_standard_output_and_the_rest_to_standard_error(tmp_path: Path) -> None:
    result = run("--from", "urdb", XCEL)
    assert result.exit_code == 0
    written = tmp_path / "xcel.yaml"
    written.write_text(result.stdout)
    assert list(load_catalogue(written, None).tariffs) == ["residential-energy-time-of-use-schedule-re-tou"]
    assert "note: Residential Energy Time Of Use" in result.stderr
    assert result.stderr.splitlines()[-1] == f"OK: 1 tariffs imported from {XCEL}"


def test_out_writes_a_file_that_tariff_check_takes(tmp_path: Path) -> None:
    out = tmp_path / "plans.yaml"
    result = run("--from", "cgrates", PLAN, "--currency", "EUR", "--out", out)
    assert (result.exit_code, result.stdout) == (0, "")
    checked_files = CliRunner().invoke(app, ["tariff", "check", str(out)])
    assert checked_files.stdout.splitlines()[-1] == "OK: 3 tariff versions"


@pytest.mark.parametrize("name", ["xcel-co-re-tou", "pge-residential", "ssc-default-commercial"])
def test_what_is_written_means_what_was_imported(name: str, tmp_path: Path) -> None:
    (found,) = urdb.tariffs((FIXTURES / f"urdb-{name}.json").read_bytes(), Given())
    assert _read_back([checked(found)], yaml_text([found.document or {}]), tmp_path)


def test_several_documents_are_read_back(tmp_path: Path) -> None:
    files = {file.name: file.read_bytes() for file in PLAN.glob("*.csv")}
    found = [
        *cgrates.tariffs(files, Given("EUR")),
        *ocpi.tariffs((FIXTURES / "ocpi-tariffs.json").read_bytes(), Given()),
    ]
    assert _read_back([checked(one) for one in found], yaml_text([one.document or {} for one in found]), tmp_path)


def _read_back(tariffs: list[Tariff], text: str, folder: Path) -> bool:
    file = folder / "tariffs.yaml"
    file.write_text(text)
    read = [tariff for versions in load_catalogue(file, None).tariffs.values() for tariff in versions]
    return {canonical(tariff) for tariff in read} == {canonical(tariff) for tariff in tariffs}


def test_the_usage_of_cdrs_goes_to_its_own_file(tmp_path: Path) -> None:
    usage = tmp_path / "usage.jsonl"
    result = run("--from", "ocpi", CDR, "--usage", usage)
    assert result.exit_code == 0
    assert [json.loads(line)["session"] for line in usage.read_text().splitlines()] == ["BE-BEC-12345"]
    assert yaml.safe_load(result.stdout)["tariff"] == "be-bec-12"
    assert f"1 usage records in {usage}" in result.stderr


def test_what_cannot_be_expressed_ends_it_and_nothing_is_written(tmp_path: Path) -> None:
    foreign, out = tmp_path / "rates.json", tmp_path / "out.yaml"
    rates = [{"name": name, "energyratestructure": [[{"rate": 1, "unit": unit}]]} for name, unit in UNITS.items()]
    foreign.write_text(json.dumps(rates))
    result = run("--from", "urdb", foreign, "--out", out)
    assert result.exit_code == 3
    assert not out.exists()
    place = f"{foreign}: Other: energyratestructure[0][0].unit"
    assert result.stderr == f"{place}: tiers count kWh/kW - only kWh and kWh daily can be expressed\n"


def test_skip_leaves_it_out_by_name(tmp_path: Path) -> None:
    foreign = tmp_path / "rates.json"
    rates = [{"name": name, "energyratestructure": [[{"rate": 1, "unit": unit}]]} for name, unit in UNITS.items()]
    foreign.write_text(json.dumps(rates))
    result = run("--from", "urdb", foreign, "--skip")
    assert result.exit_code == 0
    assert f"left out: {foreign}: Other:" in result.stderr
    assert yaml.safe_load(result.stdout)["tariff"] == "plain"


UNITS = {"Plain": "kWh", "Other": "kWh/kW"}


def test_a_document_that_is_no_tariff_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "rates.json"
    foreign.write_text(json.dumps({"name": "x", "currency": "XYZ", "energyratestructure": [[{"rate": 1}]]}))
    result = run("--from", "urdb", foreign)
    assert result.exit_code == 3
    assert "x: currency: not a currency code of ISO 4217" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["--from", "urdb", str(PLAN)], 3, "not a JSON file"),
        (["--from", "cgrates", str(XCEL)], 3, "not a folder of CSV files"),
        (["--from", "cgrates", str(PLAN)], 3, "a tariff plan names no currency - say it: --currency EUR"),
        (["--from", "urdb", str(XCEL), "--usage", "x.jsonl"], 2, "Only OCPI's CDRs have usage"),
        (["--from", "edifact", str(XCEL)], 2, "Invalid value for '--from'"),
        (["--from", "urdb", str(XCEL), "--effective-from", "soon"], 2, "Invalid value for '--effective-from'"),
        ([str(XCEL)], 2, "Missing option '--from'"),
        (["--from", "urdb", "no-such-file"], 2, "does not exist"),
    ],
)
def test_a_wrong_import_ends_with_its_reason(arguments: list[str], code: int, what: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert what in told(result)


def test_a_date_can_be_given() -> None:
    result = run("--from", "urdb", XCEL, "--effective-from", "2024-03-01")
    assert yaml.safe_load(result.stdout)["version"] == "2024-03-01"


def test_text_that_looks_like_something_else_is_quoted() -> None:
    values = {"version": "1", "unit": "no", "name": "a: b", "days": ["12:00-18:00", "mon"], "note": "", "plain": "kWh"}
    text = yaml_text([values])
    assert text == ('version: "1"\nunit: "no"\nname: "a: b"\ndays: ["12:00-18:00", mon]\nnote: ""\nplain: kWh\n')
    assert yaml.safe_load(text) == values
