"""The command line without a data directory: what it says, what it refuses, and with which exit code."""

import json
import os
import sys
import time
from pathlib import Path
from subprocess import run

import pytest
from typer.testing import CliRunner, Result

from agents.errors import DirectoryInUseError, NoAnswerError, SettingError, StorageError, SuccessionError
from agents.settings import CLICKHOUSE, DATA, NAMES, check_names, clickhouse_dsn
from pipeline.bill import MoneyError
from pipeline.ledger import LostTermsError
from ratestream.cli import app
from ratestream.failures import exit_code, message
from ratestream.usage_files import Watch, column_mapping, files_of
from schemas.problem import DocumentError
from sinks.errors import NoSpace, Occupied, Refused
from tests.integration.command import ACCOUNTS, ROOT, TARIFFS

COMMANDS = ["run", "rate", "bill", "statement", "statements", "charges", "explain", "query", "export", "demo"]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RATESTREAM_")]:
        monkeypatch.delenv(name)


def invoke(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["rejected", "list"], ["tariff", "check"]])
def test_help_tells_what_each_command_does(command: list[str]) -> None:
    told = invoke(*command, "--help")
    assert told.exit_code == 0
    assert max(map(len, told.stdout.splitlines())) <= 80


def test_help_lists_commands_and_exit_codes() -> None:
    told = " ".join(invoke("--help").stdout.split())
    assert all(name in told for name in [*COMMANDS, "rejected", "tariff", "5 the data directory is in use"])


def test_help_imports_nothing_heavy() -> None:
    heavy = ["clickhouse_connect", "chdb", "rocksdict", "pyarrow", "pydantic", "fastavro"]
    script = f"import sys; import ratestream.cli; print([name for name in {heavy} if name in sys.modules])"
    told = run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_the_version_is_the_package_s() -> None:
    assert invoke("--version").stdout == "ratestream 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["frob"], "No such command 'frob'"),
        (["bill", "home"], "Missing option '--data'"),
        (["run", "--data", "x"], "Name usage files"),
        (["run", "--data", "x", "no-such-file"], "does not exist"),
        (["run", "--data", "x", str(ACCOUNTS), "--map", "id"], "not of the form FIELD=COLUMN"),
        (["run", "--data", "x", str(ACCOUNTS), "--map", "name=id"], "a column mapping cannot give"),
        (["run", "--data", "x", str(ACCOUNTS), "--set", "id=1", "--set", "id=2"], "given twice"),
        (["run", "--data", "x", str(ACCOUNTS), "--accounts", str(ACCOUNTS)], "name --tariffs PATH"),
        (["rate", str(ACCOUNTS)], "Missing option"),
        (["rejected", "list", "--data", "x", "--reason", "unlucky"], "not one of"),
        (["charges", "home", "--data", "x", "--limit", "0"], "Invalid value for '--limit'"),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], told: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())


def test_an_unknown_setting_ends_with_2_and_a_proposal() -> None:
    result = invoke("tariff", "check", TARIFFS, RATESTREAM_DATTA="x")
    assert result.exit_code == 2
    assert 'RATESTREAM_DATTA is no setting: did you mean "RATESTREAM_DATA"?' in result.stderr


def test_settings_stand_for_options(tmp_path: Path) -> None:
    result = invoke("bill", "home", **{DATA: str(tmp_path / "nothing")})
    assert result.exit_code == 4
    assert "nothing is no data directory" in result.stderr


def test_the_known_settings_and_those_of_tests_are_let_through() -> None:
    check_names({**dict.fromkeys(NAMES, "x"), "RATESTREAM_TEST_SERVER": "x", "PATH": "x"})


@pytest.mark.parametrize(
    "dsn", ["me:secret@db", "chdb://x", "http://", "http://me:secret@db:port", "tcp://secret@db:1"]
)
def test_a_wrong_server_is_refused_without_its_password(dsn: str) -> None:
    with pytest.raises(SettingError) as caught:
        clickhouse_dsn({CLICKHOUSE: dsn})
    assert "secret" not in str(caught.value)


def test_right_tariffs_are_summed_up() -> None:
    result = invoke("tariff", "check", TARIFFS, "--accounts", ACCOUNTS)
    assert result.exit_code == 0
    assert "il-gas 2015 from 2015-01-01 in USD: gas per therm" in result.stdout
    assert result.stdout.splitlines()[-1] == "OK: 7 tariff versions, 9 accounts"


def test_every_problem_of_a_tariff_has_its_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("tariff: plan\nversion: '1'\neffective_from: 2012-01-01\ncurrency: XYZ\nmetres: {}\n")
    result = invoke("tariff", "check", wrong)
    assert result.exit_code == 3
    assert {line.partition(" ")[0] for line in result.stderr.splitlines()} == {
        f"{wrong}:4:",
        f"{wrong}:1:",
        f"{wrong}:5:",
    }


def test_wrong_accounts_end_a_run_before_anything_is_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    result = invoke("run", "--data", data, "--tariffs", ACCOUNTS, "--accounts", ACCOUNTS, ACCOUNTS)
    assert result.exit_code == 3
    assert not data.exists()


def test_the_schema_is_json() -> None:
    schema = json.loads(invoke("tariff", "schema").stdout)
    assert schema["title"] == "ratestream tariff"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingError("x"), 2),
        (DocumentError([]), 3),
        (SuccessionError("x"), 3),
        (LostTermsError("a", "m", "t", "1", "2012-01"), 3),
        (NoAnswerError("x"), 4),
        (DirectoryInUseError("x"), 5),
        (Occupied("x"), 5),
        (StorageError("x"), 1),
        (NoSpace("x"), 1),
        (Refused("x"), 1),
        (PermissionError(13, "Permission denied", "x"), 1),
        (MoneyError("x"), 70),
        (KeyError("x"), None),
        (ValueError("x"), None),
    ],
)
def test_each_kind_of_error_has_its_code(error: Exception, code: int | None) -> None:
    assert exit_code(error) == code


def test_an_error_of_the_system_names_its_file() -> None:
    assert message(FileNotFoundError(2, "No such file or directory", "/x/y")) == "/x/y: No such file or directory"


def test_a_directory_is_its_finished_files_by_name(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", ".hidden.csv", "c.csv.part", "d.tmp", "e.unfinished"):
        (tmp_path / name).touch()
    (tmp_path / "inner").mkdir()
    assert files_of([tmp_path / "b.csv", tmp_path]) == [tmp_path / "b.csv", tmp_path / "a.csv", tmp_path / "b.csv"]


def test_a_mapping_keeps_what_follows_the_first_equals_sign() -> None:
    mapping = column_mapping(["id=a=b"], ["unit=kWh"])
    assert (mapping.columns, mapping.constants) == ({"id": "a=b"}, {"unit": "kWh"})


def test_a_watched_file_is_handed_out_once_it_stands_still(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    file = tmp_path / "a.csv"
    file.write_text("1")
    assert watch.look() == []
    file.write_text("12")
    assert watch.look() == []
    assert watch.look() == [file]
    assert watch.look() == []


def test_a_watched_file_that_changes_is_handed_out_again(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    file = tmp_path / "a.csv"
    file.write_text("1")
    assert [watch.look(), watch.look()] == [[], [file]]
    file.write_text("2")
    os.utime(file, ns=(time.time_ns(), time.time_ns() + 1_000_000_000))
    assert [watch.look(), watch.look(), watch.look()] == [[], [file], []]
