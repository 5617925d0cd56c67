"""The commands of the stream without a broker: their help, and what they refuse before they ask for one."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ratestream.cli import app
from tests.integration.command import ACCOUNTS

COMMANDS = (
    ["publish"],
    ["close"],
    ["simulate"],
    ["rejected", "list"],
    ["rejected", "show"],
    ["rejected", "replay"],
    ["rejected", "release"],
)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RATESTREAM_")]:
        monkeypatch.delenv(name)


def invoke(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_the_screen(command: list[str]) -> None:
    told = invoke(*command, "--help")
    assert told.exit_code == 0
    assert max(map(len, told.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["publish"], "Name usage files, or --tariffs PATH"),
        (["publish", "--accounts", str(ACCOUNTS)], "name --tariffs PATH"),
        (["publish", str(ACCOUNTS), "--map", "id"], "not of the form FIELD=COLUMN"),
        (["publish", str(ACCOUNTS), "--as", "xml"], "not one of"),
        (["publish", str(ACCOUNTS)], "RATESTREAM_BROKERS is not set"),
        (["close", "--period", "2024-13"], "is no period"),
        (["close", "--period", "May 2024"], "is no period"),
        (["simulate", "--accounts", "0", "--rate", "1"], "Invalid value for '--accounts'"),
        (["rejected", "list"], "Missing option '--data'"),
        (["rejected", "list", "--data", "x", "--account", "home"], "asked by --reason only"),
        (["rejected", "replay", "--reason", "unlucky"], "not one of"),
        (["rejected", "replay"], "RATESTREAM_BROKERS is not set"),
        (["rejected", "release"], "Missing option '--source'"),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], told: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())


def test_a_data_directory_comes_before_the_brokers() -> None:
    result = invoke("rejected", "list", RATESTREAM_DATA="/nowhere", RATESTREAM_BROKERS="127.0.0.1:1")
    assert result.exit_code == 4
    assert "/nowhere" in result.stderr
