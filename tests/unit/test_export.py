"""Exported files hold the exact content, and a spreadsheet that opens one runs nothing."""

import csv
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from schemas.charge import Charge
from sinks.charge_columns import CHARGES, charges_from_table, charges_table
from sinks.export import Format, write_export
from sinks.rejection_columns import REJECTED, rejections_table
from tests.contract.made_nouns import made_charge, made_rejection


def export(folder: Path, kind: Format, *pieces: list[Charge]) -> Path:
    tables = [charges_table(piece) for piece in pieces]
    (file,) = write_export([("charges", CHARGES, tables)], folder, kind)
    return file


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_parquet_holds_the_charges_exactly(tmp_path: Path) -> None:
    made = [made_charge(number) for number in range(10)]
    file = export(tmp_path / "new", Format.PARQUET, made[:4], made[4:])
    table = pq.read_table(file)
    assert charges_from_table(table) == made
    assert table.schema.field("amount").type == pa.decimal128(38, 18)


def test_json_lines_hold_numbers_as_exact_texts(tmp_path: Path) -> None:
    (line,) = export(tmp_path, Format.JSONL, [made_charge(0)]).read_text(encoding="utf-8").splitlines()
    row = json.loads(line)
    assert row["quantity"] == "1.000003"
    assert row["statement_start"] == "2012-06-09T00:00:00Z"
    assert row["parts"] == [
        {
            "band": "peak",
            "tier": 1,
            "unit_price": "0.110000000001",
            "quantity": "1.000003",
            "amount": "0.110000330001000003",
            "name": "",
            "tax_percent": "",
            "tax": "0",
        },
        {
            "band": "",
            "tier": 2,
            "unit_price": "0",
            "quantity": "0",
            "amount": "2.5",
            "name": "parking",
            "tax_percent": "7.5",
            "tax": "0.1875",
        },
    ]
    assert Decimal(row["amount"]) == sum(Decimal(part["amount"]) for part in row["parts"])


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_csv_text_is_never_a_formula(tmp_path: Path, text: str) -> None:
    charge = replace(made_charge(3), meter=text, corrects="a" + text)
    (row,) = read_csv(export(tmp_path, Format.CSV, [charge]))
    assert row["meter"] == "'" + text
    assert row["corrects"] == "a" + text
    assert row["quantity"] == "-4.000012", "a negative number stays a number"


def test_csv_bytes_are_base64_and_nulls_are_empty(tmp_path: Path) -> None:
    rejection = made_rejection(1)
    (file,) = write_export([("rejected", REJECTED, [rejections_table([rejection])])], tmp_path, Format.CSV)
    (row,) = read_csv(file)
    assert row["original"] == "Af8AeyJxdWFudGl0eSI6ICJOYU4ifQ=="
    assert row["offset"] == "1"


@pytest.mark.parametrize("kind", Format)
def test_a_file_without_rows_still_names_its_columns(tmp_path: Path, kind: Format) -> None:
    assert write_export([("charges", CHARGES, [])], tmp_path, kind) == {tmp_path / f"charges.{kind}": 0}
    assert kind is Format.JSONL or b"running_total" in (tmp_path / f"charges.{kind}").read_bytes()


@pytest.mark.parametrize("kind", Format)
def test_rows_are_counted_and_bytes_repeat(tmp_path: Path, kind: Format) -> None:
    made = [made_charge(number) for number in range(30)]
    files = [export(tmp_path / name, kind, made[:10], made[10:]) for name in ("a", "b")]
    assert files[0].read_bytes() == files[1].read_bytes()
    tables = [charges_table(made[:10]), charges_table(made[10:])]
    assert write_export([("charges", CHARGES, tables)], tmp_path, kind)[tmp_path / f"charges.{kind}"] == 30


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    def pieces() -> list[pa.Table]:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_export([("charges", CHARGES, (piece for _ in range(1) for piece in pieces()))], tmp_path, Format.CSV)
    assert not (tmp_path / "charges.csv").exists()
