"""The README's tables of what tariffs and accounts can say: each piece of YAML in them is taken as it stands."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from schemas.account import Account
from schemas.documents import read_documents
from schemas.node import Document
from schemas.tariff import Tariff
from schemas.validation import validate

README = Path(__file__).parents[2] / "README.md"
ROW = re.compile(r"^\| `.*\| `([^`|]+)` \|$", re.MULTILINE)

PRICE = {"model": "per_unit", "unit_price": "1"}
BANDS = [{"name": "all", "price": {"model": "graduated", "tiers": [{"unit_price": "1"}]}}]
METERS = {"water": {"unit": "m3", "price": PRICE}}
TARIFF = {"tariff": "plan", "version": "1", "effective_from": "2026-01-01", "currency": "USD", "meters": METERS}
ACCOUNT = {"account": "a", "zone": "UTC", "currency": "USD", "tariffs": [{"tariff": "plan", "from": "2026-01-01"}]}


def rows(heading: str) -> list[str]:
    """The last cells of the table under the heading."""
    section = README.read_text(encoding="utf-8").partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    return ROW.findall(section)


def parsed(text: str, folder: Path) -> dict[str, Any]:
    """A piece of YAML as the documents' own reader understands it."""
    file = folder / "piece.yaml"
    file.write_text(text + "\n", encoding="utf-8")
    documents, problems = read_documents(file)
    assert problems == []
    found = documents[0].root.plain()
    assert isinstance(found, dict)
    return found


def problems_of(model: type[Tariff] | type[Account], values: dict[str, Any], folder: Path) -> list[str]:
    """What `ratestream tariff check` would say of a document with these values."""
    file = folder / "document.yaml"
    file.write_text(json.dumps(values, default=str), encoding="utf-8")
    (document,), _ = read_documents(file)
    assert isinstance(document, Document)
    return [str(problem) for problem in validate(model, document)[1]]


def test_the_tables_are_found() -> None:
    headings = ("Price models", "What a meter can do besides", "What a tariff can say of all of its items")
    assert [len(rows(heading)) for heading in (*headings, "What an account can say")] == [9, 10, 8, 6]


@pytest.mark.parametrize("text", [*rows("Price models"), *rows("What a meter can do besides")])
def test_a_meter_can_say_it(text: str, tmp_path: Path) -> None:
    said = parsed(text, tmp_path)
    needs_bands = "tiers_across_bands" in said
    base = {"unit": "m3"} if "price" in said or "bands" in said else {"unit": "m3", "price": PRICE}
    meter = {"unit": "m3", "bands": BANDS} if needs_bands else base
    assert problems_of(Tariff, {**TARIFF, "meters": {"water": {**meter, **said}}}, tmp_path) == []


@pytest.mark.parametrize("text", rows("What a tariff can say of all of its items"))
def test_a_tariff_can_say_it(text: str, tmp_path: Path) -> None:
    assert problems_of(Tariff, {**TARIFF, **parsed(text, tmp_path)}, tmp_path) == []


@pytest.mark.parametrize("text", rows("What an account can say"))
def test_an_account_can_say_it(text: str, tmp_path: Path) -> None:
    assert problems_of(Account, {**ACCOUNT, **parsed(text, tmp_path)}, tmp_path) == []
