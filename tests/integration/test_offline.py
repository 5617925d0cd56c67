"""`ratestream rate` over the real homes: nothing is lost, and neither order nor repetition changes a byte."""

import gzip
import re
from pathlib import Path
from random import Random

import pytest

from tests.integration.command import ACCOUNTS, CLOUD, HOMES, TARIFFS, ratestream
from tests.integration.mixed_usage import cloud_lines, home_lines
from tests.oracle.comparison import compare
from tests.oracle.exported import read_export
from tests.oracle.own_side import Question

SEED = 165_983
RECEIVED, DUPLICATES = 165_983, 39


def rate(*files: Path) -> tuple[bytes, str]:
    """Charges and statements as they were written, and the summary. Rejections tell of files, and so do not count."""
    done = ratestream("rate", "--tariffs", TARIFFS, "--accounts", ACCOUNTS, *files)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines(keepends=True) if not line.startswith('{"rejection":')]
    return "".join(lines).encode(), done.stderr


def count(summary: str, name: str) -> int:
    found = re.search(rf"^ *{name} +([0-9,]+)", summary, re.MULTILINE)
    assert found, f"no {name} in the summary:\n{summary}"
    return int(found[1].replace(",", ""))


@pytest.fixture(scope="module")
def homes() -> tuple[bytes, str]:
    return rate(HOMES)


def test_every_record_is_accounted_for(homes: tuple[bytes, str]) -> None:
    _, summary = homes
    assert count(summary, "received") == RECEIVED
    assert count(summary, "duplicates") == DUPLICATES
    assert count(summary, "accepted") + DUPLICATES + count(summary, "rejected") == RECEIVED
    assert count(summary, "rejected") == 0


def test_the_bills_are_those_of_the_oracle(homes: tuple[bytes, str], tmp_path: Path) -> None:
    """Totals per account and meter are an independent sum over the file, and so is every line of every statement."""
    rated = tmp_path / "rated.jsonl"
    rated.write_bytes(homes[0])
    report = compare(Question([HOMES], TARIFFS, ACCOUNTS, read_export(rated), by_event_time=True))
    assert report.findings == []
    assert (report.received, report.duplicates, report.rejected) == (RECEIVED, DUPLICATES, 0)
    assert report.statements > 140


def test_shuffled_usage_gives_the_same_bytes(homes: tuple[bytes, str], tmp_path: Path) -> None:
    header, *lines = gzip.decompress(HOMES.read_bytes()).decode().splitlines()
    Random(SEED).shuffle(lines)
    shuffled = write_csv(tmp_path / "shuffled.csv", [header, *lines])
    assert rate(shuffled)[0] == homes[0]


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str], bytes]:
    """A home's lines, the made-up customers' lines, and what they come to."""
    home, cloud = list(home_lines(["ontario-home"])), cloud_lines()
    file = write_csv(tmp_path_factory.mktemp("some") / "home.csv", home)
    return home, cloud, rate(file, CLOUD)[0]


def test_the_same_twice(some: tuple[list[str], list[str], bytes], tmp_path: Path) -> None:
    home, _, expected = some
    file = write_csv(tmp_path / "home.csv", home)
    assert rate(file, CLOUD)[0] == expected
    assert rate(CLOUD, file)[0] == expected


def test_every_record_three_times(some: tuple[list[str], list[str], bytes], tmp_path: Path) -> None:
    (header, *lines), cloud, expected = some
    rows, records = 3 * lines, 3 * cloud
    for many in (rows, records):
        Random(SEED).shuffle(many)
    repeated = write_csv(tmp_path / "home.csv", [header, *rows])
    found, summary = rate(repeated, write_csv(tmp_path / "cloud.jsonl", records))
    assert found == expected
    assert count(summary, "received") == 3 * (len(lines) + len(cloud))
    assert count(summary, "duplicates") == count(summary, "received") - 3 * 7 - count(summary, "accepted")


def test_parquet_and_lines_say_the_same(some: tuple[list[str], list[str], bytes], tmp_path: Path) -> None:
    file = write_csv(tmp_path / "home.csv", some[0])
    arguments: list[str | Path] = [
        "rate",
        "--tariffs",
        TARIFFS,
        "--accounts",
        ACCOUNTS,
        "--out",
        tmp_path / "out",
        file,
        CLOUD,
    ]
    done = ratestream(*arguments)
    assert done.returncode == 0, done.stderr
    (tmp_path / "lines.jsonl").write_bytes(some[2])
    parquet, lines = read_export(tmp_path / "out"), read_export(tmp_path / "lines.jsonl")
    order = [statement.statement_id for statement in lines.statements]
    assert sorted(parquet.statements, key=lambda one: order.index(one.statement_id)) == lines.statements
    assert sorted(parquet.charges, key=lambda one: one.charge_id) == sorted(
        lines.charges, key=lambda one: one.charge_id
    )


def write_csv(file: Path, lines: list[str]) -> Path:
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return file
