"""The canonical text of a tariff, and the JSON Schema for editors."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from schemas.account import Account, AccountFile
from schemas.field import Noun
from schemas.tariff import Tariff, canonical, tariff_json_schema


def document(**changes: object) -> dict[str, Any]:
    tiers = [{"up_to": "10", "unit_price": "0.20"}, {"unit_price": "0.1"}]
    return {
        "tariff": "t",
        "version": "1",
        "effective_from": "2012-01-01",
        "currency": "USD",
        "holidays": ["12-25", "2012-01-02"],
        "meters": {
            "b": {"unit": "kWh", "bands": [
                {"name": "day", "hours": ["08:00-20:00"], "price": {"model": "graduated", "tiers": tiers}},
                {"name": "night", "price": {"model": "per_unit", "unit_price": 1}},
            ]},
            "a": {"unit": "h", "price": {"model": "volume", "tiers": tiers}},
        },
        **changes,
    }  # fmt: skip


def text(**changes: object) -> bytes:
    return canonical(Tariff.model_validate(document(**changes)))


def test_it_reads_back_as_the_same_tariff() -> None:
    tariff = Tariff.model_validate(document(seasons={"all": {"from": "03-01", "to": "02-29"}}))
    again = Tariff.model_validate_json(canonical(tariff))
    assert again == tariff
    assert canonical(again) == canonical(tariff)


def test_it_has_sorted_keys_plain_numbers_and_no_blanks() -> None:
    written = text(minimum={"amount": "1.50E+1"}, description="two words")
    assert written == json.dumps(json.loads(written), sort_keys=True, separators=(",", ":")).encode()
    assert b'"minimum":{"amount":"15"}' in written
    assert b"two words" not in written


@pytest.mark.parametrize(
    "same",
    [
        {"description": "other words"},
        {"minimum": None},
        {"rounding": {"at": "line", "mode": "half-up"}},
        {"closing": {"grace_s": 86_400, "silence_s": "604800"}},
        {"fees": [], "seasons": {}},
    ],
)
def test_what_means_the_same_has_the_same_text(same: dict[str, Any]) -> None:
    assert text(**same) == text()


@pytest.mark.parametrize(
    "different",
    [
        {"version": "2"},
        {"effective_from": "2012-01-02"},
        {"minimum": {"amount": "0"}},
        {"rounding": {"mode": "half-even"}},
        {"closing": {"grace_s": 0}},
        {"holidays": ["12-25"]},
        {"tax": [{"name": "VAT", "percent": "5"}]},
        {"meters": {"a": {"unit": "h", "price": {"model": "per_unit", "unit_price": "0.2"}}}},
    ],
)
def test_what_charges_differently_has_another_text(different: dict[str, Any]) -> None:
    assert text(**different) != text()


def fields_of(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    nouns = {"Tariff": schema, **schema["$defs"]}
    return [(noun, name, field) for noun, body in nouns.items() for name, field in body.get("properties", {}).items()]


def test_the_schema_describes_every_field() -> None:
    schema = tariff_json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(schema)) == schema
    fields = fields_of(schema)
    assert len(fields) > 40
    # Prices are described by what each model says of itself.
    bare = [f"{noun}.{name}" for noun, name, field in fields if "description" not in field]
    assert bare == []


def test_the_schema_knows_no_other_keys() -> None:
    schema = tariff_json_schema()
    objects = [schema, *(body for body in schema["$defs"].values() if body.get("type") == "object")]
    assert [body["additionalProperties"] for body in objects] == [False] * len(objects)
    assert set(schema["required"]) == {"tariff", "version", "effective_from", "currency", "meters"}
    assert schema["$defs"]["Meter"]["oneOf"] == [{"required": ["price"]}, {"required": ["bands"]}]


def nouns() -> list[type[Noun]]:
    found = list(Noun.__subclasses__())
    for noun in found:
        found += noun.__subclasses__()
    return found


def test_every_example_is_accepted_by_its_field() -> None:
    tried = 0
    for noun in nouns():
        for field in noun.model_fields.values():
            adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
            for example in field.examples or []:
                adapter.validate_python(example)
                tried += 1
    assert tried > 30
    assert {Tariff, Account, AccountFile} <= set(nouns())
