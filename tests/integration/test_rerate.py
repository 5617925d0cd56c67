"""Re-rating through the command line: shown, booked once, and then as if the version had been there from the start."""

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.integration.command import export, ratestream, start, succeed

pytest.importorskip("chdb", reason="the embedded engine is not installed: pip install 'ratestream[embedded]'")

FIRST = """\
tariff: plan
version: "1"
effective_from: 2024-01-01
currency: EUR
tax: [{name: VAT, percent: "20"}]
fees: [{name: Standing, amount: "10", per: period}]
meters:
  calls:
    unit: min
    price: {model: per_unit, unit_price: "0.6", free_units: "1"}
"""
SECOND = FIRST.replace('"1"\neff', '"2"\neff').replace("2024-01-01", "2024-01-20").replace('"0.6"', '"0.9"')
NAMES = ("anna", "bert", "cleo")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tariffs in two states, accounts, usage of January to March, and of April."""
    for name, text in (("old", FIRST), ("new", f"{FIRST}---\n{SECOND}")):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    entries = "tariffs: [{tariff: plan, from: 2024-01-01}]"
    listed = [f"  - {{account: {name}, zone: Europe/Berlin, currency: EUR, {entries}}}" for name in NAMES]
    (tmp_path / "accounts.yaml").write_text("\n".join(["accounts:", *listed, ""]), encoding="utf-8")
    write(tmp_path / "usage.jsonl", (f"2024-{month:02d}-{day}" for month in (1, 2, 3) for day in ("25", "10", "15")))
    write(tmp_path / "april.jsonl", ["2024-04-03", "2024-05-03"])
    return tmp_path


def write(file: Path, days: Iterator[str] | list[str]) -> None:
    records = [
        {"id": f"{name}/{day}", "account": name, "meter": "calls", "quantity": "2"}
        | {"start": f"{day}T12:00:00Z", "end": f"{day}T12:02:00Z"}
        for day in days
        for name in NAMES
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def run(folder: Path, data: str, tariffs: str, usage: str) -> str:
    documents = ("--tariffs", folder / f"{tariffs}.yaml", "--accounts", folder / "accounts.yaml")
    done = ratestream("run", "--data", folder / data, *documents, folder / usage)
    assert done.returncode == 0, done.stderr
    return done.stderr


def order(folder: Path, *more: str | Path, data: str = "data", usage: str = "usage.jsonl") -> list[str | Path]:
    """The command that rates what is in the directory again, under the new tariffs."""
    documents = ("--tariffs", folder / "new.yaml", "--accounts", folder / "accounts.yaml")
    return ["rerate", "--data", folder / data, *documents, *more, folder / usage]


def owed(folder: Path, data: str) -> dict[str, tuple[Decimal, Decimal]]:
    """Exact amount and total of all statements of each account."""
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    for line in export(folder / data, folder / f"export-{data}")["statements"].splitlines():
        statement = json.loads(line)
        exact, total = sums.get(statement["account"], (Decimal(0), Decimal(0)))
        sums[statement["account"]] = exact + Decimal(statement["exact"]), total + Decimal(statement["total"])
    return sums


def test_shown_then_booked_then_as_from_the_start(folder: Path) -> None:
    run(folder, "data", "old", "usage.jsonl")
    before = export(folder / "data", folder / "before")

    # The version is taken in, and of what was rated nothing changes.
    told = run(folder, "data", "new", "usage.jsonl")
    assert "account anna: other tariffs or versions are given" in told
    assert "stays until 2024-03-31T22:00:00Z" in told
    assert export(folder / "data", folder / "adopted") == before

    # Shown.
    shown = ratestream(*order(folder))
    assert shown.returncode == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "anna, 2024-02: difference" in shown.stdout
    assert "plan 1 -> 2" in shown.stdout
    assert "27 records compared" in shown.stderr
    rows = [json.loads(line) for line in succeed(*order(folder, "--format", "json", "--account", "bert")).splitlines()]
    assert {row["account"] for row in rows} == {"bert"}
    assert sum(Decimal(row["difference"]) for row in rows if row["period"] == "2024-02") == Decimal("1.5")  # 5 x 0.3
    assert export(folder / "data", folder / "shown") == before

    # Booked, once.
    booked = ratestream(*order(folder, "--book"))
    assert "charges for anna, bert, cleo" in booked.stderr
    after = export(folder / "data", folder / "booked")
    assert set(before["charges"].splitlines()) < set(after["charges"].splitlines())
    assert after["statements"] == before["statements"]
    again = ratestream(*order(folder, "--book"))
    assert again.returncode == 0
    assert "Nothing to book." in again.stderr
    assert export(folder / "data", folder / "again") == after
    assert "other tariffs" not in run(folder, "data", "new", "usage.jsonl")

    # As if it had been there from the start.
    run(folder, "data", "new", "april.jsonl")
    run(folder, "other", "new", "usage.jsonl")
    run(folder, "other", "new", "april.jsonl")
    assert owed(folder, "data") == owed(folder, "other")


def test_booking_that_is_killed_goes_on(folder: Path) -> None:
    for data in ("data", "killed"):
        run(folder, data, "old", "usage.jsonl")
    succeed(*order(folder, "--book"))
    for wait_s in (0.8, 1.1, 1.4, 1.7):
        with start(*order(folder, "--book", data="killed")) as process:
            time.sleep(wait_s)
            process.kill()
    succeed(*order(folder, "--book", data="killed"))
    assert export(folder / "killed", folder / "one") == export(folder / "data", folder / "two")


def test_another_order_of_events_adds_up_to_nothing(folder: Path) -> None:
    run(folder, "data", "old", "usage.jsonl")
    shown = succeed("rerate", "--data", folder / "data", "--account", "anna", "--records", folder / "usage.jsonl")
    assert "anna, 2024-01: difference 0.00 EUR" in shown
    assert "order of events" in shown
    assert "-0.60" in shown
    assert max(map(len, shown.splitlines())) <= 80
    done = ratestream("rerate", "--data", folder / "data", "--book", folder / "usage.jsonl")
    assert "Nothing to book. Differences of order alone add up to nothing" in done.stderr


def test_what_cannot_be_rated_again_is_refused_by_name(folder: Path) -> None:
    run(folder, "data", "old", "usage.jsonl")
    lines = (folder / "usage.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    some = [line for line in lines if "bert/2024-02-15" not in line]
    changed = [line.replace('"quantity": "2"', '"quantity": "3"') if "cleo/" in line else line for line in some]
    (folder / "some.jsonl").write_text("".join(changed), encoding="utf-8")
    done = ratestream(*order(folder, "--book", usage="some.jsonl"))
    assert done.returncode == 1
    assert "account bert: usage of 'calls' in 2024-02" in done.stderr
    assert "account cleo: usage of 'calls' in 2024-01" in done.stderr
    assert "9 not booked in the directory as they are" in done.stderr
    assert "charges for anna." in done.stderr
    assert "Booked" in ratestream(*order(folder, "--book")).stderr


def test_a_directory_that_is_not_there(folder: Path) -> None:
    assert ratestream(*order(folder)).returncode == 4


def test_corrected_prices_from_the_same_date(folder: Path) -> None:
    """Of two versions for one date, the one that was published later holds, whatever their names are."""
    run(folder, "data", "old", "usage.jsonl")
    corrected = FIRST.replace('"1"\neff', '"0-corrected"\neff').replace('"0.6"', '"0.5"')
    (folder / "new.yaml").write_text(corrected, encoding="utf-8")
    run(folder, "data", "new", "usage.jsonl")
    shown = succeed(*order(folder, "--account", "cleo"))
    assert "plan 1 -> 0-corrected" in shown
    succeed(*order(folder, "--book"))
    bill = json.loads(succeed("bill", "cleo", "--data", folder / "data", "--format", "json").splitlines()[0])
    assert {line["version"] for line in bill["lines"] if line["meter"]} == {"0-corrected"}
