"""The commands as people use them: processes of their own over one small data directory."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import sleep

import pytest
from typer.testing import CliRunner, Result

from agents.directory import owner_of
from ratestream.cli import app
from tests.integration.command import ROOT, ratestream, start, succeed

pytest.importorskip("chdb", reason="the embedded engine is not installed: pip install 'ratestream[embedded]'")

TARIFF = """
tariff: plan
version: "1"
effective_from: 2024-01-01
currency: USD
meters:
  power:
    unit: kWh
    price: {model: graduated, tiers: [{up_to: "10", unit_price: "0.5"}, {unit_price: "0.25"}]}
"""
ACCOUNTS = """
accounts:
  - {account: home, zone: UTC, currency: USD, tariffs: [{tariff: plan, from: 2024-01-01}]}
"""
HEAD = "id,account,meter,start,end,quantity\n"
WAIT_S = 30


def usage(*days: str, quantity: str = "4") -> str:
    return HEAD + "".join(f"{day},home,power,{day}T00:00:00Z,{day}T01:00:00Z,{quantity}\n" for day in days)


class Desk:
    """A folder with tariffs, accounts, usage, and the data directory that they were rated into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.reference = (
            "--tariffs",
            self.write("plan.yaml", TARIFF),
            "--accounts",
            self.write("homes.yaml", ACCOUNTS),
        )

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text, encoding="utf-8")
        return file

    def ask(self, *question: str) -> str:
        result = self.asked(*question)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    def asked(self, *question: str) -> Result:
        """In this process, which spares its start."""
        return CliRunner().invoke(app, [*question, "--data", str(self.data)], catch_exceptions=False)

    def json(self, *question: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.ask(*question, "--format", "json").splitlines()]


USAGE = usage("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-03", "2024-02-05", "2024-03-04") + (
    "bad,home,power,2024-01-04T00:00:00Z,2024-01-04T01:00:00Z,-1\n"
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("desk"))
    done = ratestream("run", "--data", made.data, *made.reference, made.write("usage.csv", USAGE))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    facts = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[1:]}
    assert facts["received"] == "7"
    assert (facts["accepted"], facts["duplicates"], facts["rejected"]) == ("5", "1", "1")
    assert (facts["negative"], facts["statements"]) == ("1", "2")
    assert "9.50 USD exact, before tax" in done.stdout
    return made


def test_the_same_file_again_changes_nothing(desk: Desk) -> None:
    before = desk.ask("charges", "home", "--format", "json")
    again = succeed("run", "--data", desk.data, desk.folder / "usage.csv")
    assert "0 files read, 1 file held nothing new" in again
    assert desk.ask("charges", "home", "--format", "json") == before


def test_a_statement_in_each_form(desk: Desk) -> None:
    assert "Statement 2024-01 of home" in desk.ask("statement", "home", "--period", "2024-01")
    (latest,) = desk.json("statement", "home")
    assert (latest["statement_id"], latest["total"]) == ("default/home/2024-02/1", "2")
    rows = csv.DictReader(io.StringIO(desk.ask("statement", "home", "--period", "2024-01", "--format", "csv")))
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal("5.5")


def test_the_running_bill_is_of_the_open_period(desk: Desk) -> None:
    (bill,) = desk.json("bill", "home")
    assert (bill["revision"], bill["total"], bill["usage_records"]) == (0, "2", 1)
    assert "Running bill 2024-03 of home, not final" in desk.ask("bill", "home")


def test_all_statements(desk: Desk) -> None:
    assert [(head["account"], head["total"]) for head in desk.json("statements")] == [("home", "5.5"), ("home", "2")]
    assert len(desk.ask("statements", "home", "--format", "csv").splitlines()) == 3
    assert "2024-02-29" in desk.ask("statements")


def test_a_charge_is_explained_by_the_id_that_its_table_shows(desk: Desk) -> None:
    listed = desk.ask("charges", "home", "--period", "2024-01").splitlines()
    assert len(listed) == 5
    told = desk.ask("explain", listed[-1].split()[0])
    assert "exact amount" in told
    assert "1.50 USD" in told
    (charge,) = desk.json("explain", listed[-1].split()[0])
    assert list(charge) == ["charge", "grounds", "tariff"]


def test_a_limit_is_told(desk: Desk) -> None:
    done = desk.asked("charges", "home", "--limit", "2")
    assert len(done.stdout.splitlines()) == 4
    assert "--limit gives more" in done.stderr


def test_rejections_say_where_and_what_to_do(desk: Desk) -> None:
    told = desk.ask("rejected", "list", "--reason", "negative")
    assert f"negative  {desk.folder / 'usage.csv'}:8" in told
    assert desk.json("rejected", "list")[0]["usage_id"] == "bad"
    assert desk.asked("rejected", "list", "--reason", "future").stderr == "There are none.\n"


def test_a_query_reads_and_only_reads(desk: Desk) -> None:
    sql = "SELECT account, sum(amount) AS amount FROM charges GROUP BY account"
    assert desk.json("query", sql) == [{"account": "home", "amount": "9.5"}]
    assert desk.ask("query", sql, "--format", "csv") == "account,amount\r\nhome,9.5\r\n".replace("\r\n", "\n")
    assert desk.asked("query", "DROP TABLE charges").exit_code == 2


def test_an_export_has_all_tables(desk: Desk) -> None:
    told = desk.ask("export", "--out", str(desk.folder / "export"), "--format", "parquet")
    assert {line.split()[0] for line in told.splitlines()} == {"5", "2", "3", "0", "1"}


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (["statement", "nobody"], 4),
        (["statement", "home", "--period", "2030-01"], 4),
        (["statement", "home", "--period", "spring"], 4),
        (["explain", "ffffffffffff"], 4),
        (["bill", "home", "--tenant", "other"], 4),
    ],
)
def test_what_is_not_there_ends_with_4(desk: Desk, question: list[str], code: int) -> None:
    done = desk.asked(*question)
    assert done.exit_code == code
    assert len(done.stderr.splitlines()) == 1


def test_tariffs_that_contradict_what_was_rated_end_with_3(desk: Desk) -> None:
    changed = desk.write("changed.yaml", TARIFF.replace("0.25", "0.26"))
    done = ratestream("run", "--data", desk.data, "--tariffs", changed, *desk.reference[2:], desk.folder / "usage.csv")
    assert done.returncode == 3
    assert "A version never changes" in done.stderr


def test_a_server_that_is_not_there_ends_with_1_and_tells_no_password(desk: Desk) -> None:
    environment = {**os.environ, "RATESTREAM_CLICKHOUSE": "http://me:secret@127.0.0.1:1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "from ratestream.cli import main; main()", "statements", "--data", str(desk.data)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "secret" not in done.stderr


def test_a_closed_pipe_ends_quietly(desk: Desk) -> None:
    with start("charges", "home", "--data", desk.data, "--format", "json") as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(WAIT_S)
        assert process.stderr is not None
        assert (process.returncode, process.stderr.read()) == (0, "")


def test_rating_by_itself_gives_the_same_whatever_the_order(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    head, *rows = USAGE.splitlines(keepends=True)
    lines = [
        succeed("rate", *desk.reference, desk.write("usage.csv", head + "".join(order))).splitlines()
        for order in (rows, rows[::-1] * 2)
    ]
    found = [[line for line in of_order if line.startswith('{"statement"')] for of_order in lines]
    assert found[0] == found[1]
    assert [json.loads(line)["statement"]["total"] for line in found[0]] == ["5.5", "2", "2"]


def test_rating_by_itself_writes_files(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    told = succeed(
        *("rate", *desk.reference, "--out", tmp_path / "out", "--format", "csv", desk.write("usage.csv", USAGE))
    )
    assert "received                7" in told
    assert (tmp_path / "out" / "statements.csv").read_text().count("\n") == 4


def test_columns_of_other_names_are_mapped(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    file = desk.write("own.csv", "when,until,kwh,key\n2024-01-01T00:00:00Z,2024-01-01T01:00:00Z,4,a\n")
    columns = [f"--map={pair}" for pair in ("start=when", "end=until", "quantity=kwh", "id=key")]
    constants = ["--set=account=home", "--set=meter=power"]
    assert '"total":"2"' in succeed("rate", *desk.reference, *columns, *constants, file)
    done = ratestream("rate", *desk.reference, *columns, desk.write("usage.jsonl", "{}\n"))
    assert done.returncode == 2
    assert "has no columns" in " ".join(done.stderr.split())


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[tuple[Desk, Path, subprocess.Popen[str]]]:
    """A run that watches an empty directory, and answers already."""
    desk, folder = Desk(tmp_path), tmp_path / "in"
    folder.mkdir()
    with start("run", "--data", desk.data, *desk.reference, "--watch", folder) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("watching")
            yield desk, folder, process
        finally:
            if process.poll() is None:
                process.kill()


def test_a_watching_run_takes_files_answers_and_stops(watching: tuple[Desk, Path, subprocess.Popen[str]]) -> None:
    desk, folder, process = watching
    (folder / "later.csv.part").write_text("not yet")
    (folder / "a.csv").write_text(usage("2024-01-01", "2024-02-05", "2024-03-04"))
    assert process.stderr is not None
    assert process.stderr.readline() == f"{folder / 'a.csv'}: 3 received, 3 accepted, 0 duplicates, 0 rejected\n"
    # 1. It answers as an owner does, with the kinds of errors that a directory at rest gives.
    assert [head["total"] for head in desk.json("statements")] == ["2", "2"]
    assert desk.asked("statement", "nobody").exit_code == 4
    assert desk.asked("query", "SELECT nothing").exit_code == 2
    # 2. Nobody else rates into its directory.
    second = ratestream("run", "--data", desk.data, *desk.reference, folder / "a.csv")
    assert second.returncode == 5
    assert str(process.pid) in second.stderr
    # 3. A signal ends it with its summary.
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 143
    assert "1 file read" in out
    assert err == ""


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    began = datetime(2024, 1, 1, tzinfo=UTC)
    instants = (f"{began + timedelta(seconds=20 * number):%Y-%m-%dT%H:%M:%SZ}" for number in range(40_000))
    rows = (f"{number},home,power,{instant},{instant},1\n" for number, instant in enumerate(instants))
    file = desk.write("usage.csv", HEAD + "".join(rows))
    with start("run", "--data", desk.data, *desk.reference, file) as process:
        while "port" not in (owner_of(desk.data) or ()):
            sleep(0.02)
        sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130, err
    assert "The same command goes on from here" in out
    told = succeed("run", "--data", desk.data, *desk.reference, file)
    assert "1 file read" in told
    assert "received           40,000" in told
    assert desk.json("query", "SELECT count() AS charges FROM charges") == [{"charges": 40_000}]


def test_the_demo_shows_what_it_says(tmp_path: Path) -> None:
    """On the real homes: what was received, what became of it, and a statement in full."""
    told = succeed("demo", "--data", tmp_path / "demo")
    facts = {tuple(line.split()[:2]) for line in told.splitlines()}
    assert {("received", "169,189"), ("accepted", "169,135"), ("duplicates", "47"), ("rejected", "7")} <= facts
    assert "Statement 2016-07 of il-home-0" in told
    assert "cloud-acme: 6 statements" in told
    assert f"export RATESTREAM_DATA={tmp_path / 'demo'}" in told
    assert max(map(len, told.replace(str(tmp_path), "").splitlines())) <= 80
