"""Items in documents: what contradicts itself is refused with place and remedy, and what is taken can be rated."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace
from pydantic import ValidationError

from schemas.catalogue import load_catalogue
from schemas.documents import read_documents
from schemas.problem import DocumentError, Problem
from schemas.tariff import Tariff
from schemas.validation import validate
from tests.small_books import Books, Json, graduated, package, per_unit, reading, tariff, volume

UP = per_unit("1")
TIERS = graduated(("10", "1"), (None, "2"))
PERCENTAGE: Json = {"model": "percentage", "percent": "1"}
CALL: Json = {"model": "call", "slots": [{"rate": "1", "unit_s": 60, "increment_s": 1}]}
COMMITMENT: Json = {"model": "commitment", "unit_price": "2", "quantity": "4", "overage_factor": "2"}
CHARGING: Json = {"model": "charging", "elements": [{"components": [{"dimension": "energy", "price": "1"}]}]}
DAY: Json = {"name": "day", "hours": ["08:00-20:00"]}
NIGHT: Json = {"name": "night"}


def bands(*prices: Json, **rest: object) -> Json:
    return {"bands": [{**band, "price": price} for band, price in zip((DAY, NIGHT), prices, strict=True)], **rest}


def level(**rest: object) -> Json:
    return {"aggregation": {"function": "level"}, "price": UP, **rest}


WRONG: list[tuple[Json, str, str, str]] = [
    # what an item says, then: path, what is told, remedy
    ({"price": UP, "usage_of": ["power", "power"]}, "usage_of", "meter power is priced twice", "once"),
    ({"price": UP, "minimum": "5", "maximum": "4"}, "minimum", "above the maximum", "exchange"),
    ({"price": UP, "resource": "user"}, "resource", "resource without its pricing", "priced_per: resource"),
    ({"price": UP, "priced_per": "resource"}, "resource", "no attribute that names", "resource: ATTRIBUTE"),
    ({"price": UP, "round_each": {"decimals": 2}}, "round_each", "nothing is priced by itself", "priced_per"),
    (
        {"price": {**TIERS, "first_flat_fee": "always"}, "priced_per": "session"},
        "price.first_flat_fee",
        "belongs to the period",
        "on-usage",
    ),
    (
        bands(TIERS, {**TIERS, "first_flat_fee": "always"}, priced_per="hour"),
        "bands[1].price.first_flat_fee",
        "not to each hour",
        "on-usage",
    ),
    ({"price": UP, "tiers_across_bands": "pro-rata"}, "tiers_across_bands", "without bands", "write bands"),
    (bands(TIERS, UP, tiers_across_bands="pro-rata"), "bands[1].price", "graduated prices", "separate"),
    (
        bands(TIERS, package("1", "1"), tiers_across_bands="chronological"),
        "bands[1].price",
        "chronological",
        "graduated",
    ),
    (
        bands(TIERS, TIERS, tiers_across_bands="chronological", aggregation={"function": "max"}),
        "tiers_across_bands",
        "count sums",
        "separate",
    ),
    (
        bands(TIERS, TIERS, tiers_across_bands="chronological", priced_per="day"),
        "priced_per",
        "count the whole period",
        "remove priced_per",
    ),
    (
        bands(TIERS, TIERS, tiers_across_bands="chronological", convert={"unit": "v", "round": "up"}),
        "convert.round",
        "are not rounded",
        "remove round",
    ),
    (level(priced_per="day"), "priced_per", "the whole period", "priced_per: period"),
    (level(price=None, **bands(UP, UP)), "bands", "one price at all times", "price instead of bands"),
    (level(convert={"unit": "v", "times": "hours"}), "convert.times", "weighted by time already", "remove times"),
    ({"price": PERCENTAGE, "aggregation": {"function": "max"}}, "", "prices each record", "remove aggregation"),
    ({"price": CALL, "priced_per": "session"}, "", "prices each record or session", "remove aggregation"),
    ({"price": CALL, "convert": {"unit": "s", "divide_by": "60"}}, "convert", "as they are measured", "round_per"),
    (bands(PERCENTAGE, UP), "bands", "in some bands only", "one model in all bands"),
    (bands(CALL, PERCENTAGE), "bands", "in some bands only", "one model in all bands"),
    *(
        (
            {"price": UP, "aggregation": {"function": function}, "convert": {"unit": "v", **convert}},
            "convert",
            f"{function} takes records as they are measured",
            "constants only",
        )
        for function in ("max", "count", "demand", "average")
        for convert in ({"attributes": ["gb"]}, {"round": "up", "round_per": "record"})
    ),
    (
        {"price": UP, "aggregation": {"function": "sum", "at_least": "3"}, "convert": {"unit": "v", "times": "hours"}},
        "aggregation.at_least",
        "converts in its own way",
        "remove at_least",
    ),
    ({"price": UP, "aggregation": {"function": "unique"}}, "aggregation.attribute", "unique without", "name the"),
    ({"price": UP, "aggregation": {"function": "percentile"}}, "aggregation.percentile", "without a number", "95"),
    (
        {"price": UP, "aggregation": {"function": "max", "interval_minutes": 15}},
        "aggregation.interval_minutes",
        "belongs to demand",
        "function: demand",
    ),
    (
        {"price": UP, "aggregation": {"function": "demand", "interval_minutes": 7}},
        "aggregation.interval_minutes",
        "no divisor of a day",
        "15",
    ),
    (
        {"price": UP, "aggregation": {"function": "level", "at_least": "3"}},
        "aggregation.at_least",
        "no floor",
        "remove",
    ),
    ({"price": UP, "convert": {"unit": "v", "decimals": 2}}, "convert.decimals", "without round", "round: up"),
    ({"price": {**COMMITMENT, "unit_price": "-2"}}, "price.unit_price", "to be paid", "0 or more"),
    ({"price": {**COMMITMENT, "amount": "4"}}, "price", "both quantity and amount", "either"),
    (
        {"price": {**COMMITMENT, "unit_price": "100000000000000", "overage_factor": "10"}},
        "price.overage_factor",
        "out of range",
        "smaller factor",
    ),
    ({"price": {**PERCENTAGE, "min_per_event": "2", "max_per_event": "1"}}, "price.min_per_event", "above", "exchange"),
    ({"price": graduated(("10", "1"), ("5", "1"), (None, "1"))}, "price.tiers[1].up_to", "does not rise", "order"),
    ({"price": volume((None, "1"), ("5", "1"))}, "price.tiers[0]", "only the last tier", "make it the last"),
    ({"price": UP, **bands(UP, UP)}, "", "both price and bands", "price"),
    ({}, "", "neither price nor bands", "price"),
    ({"bands": [{**DAY, "price": UP}]}, "bands", "no band for mon 00:00", "let a band claim it"),
    (
        {"bands": [{**DAY, "price": UP}, {**DAY, "name": "x", "price": UP}, {**NIGHT, "price": UP}]},
        "bands[1]",
        "day and x both claim mon 08:00",
        "change the days or hours",
    ),
    (
        {"bands": [{**DAY, "where": {"a": "1"}, "price": UP}, {**NIGHT, "price": UP}]},
        "bands",
        "no band for mon 00:00",
        "let a band claim it",
    ),
    (
        {"bands": [{**NIGHT, "meters": ["gas"], "price": UP}]},
        "bands[0].meters",
        "gas is not priced by this item",
        "usage_of",
    ),
]


def problems_of(folder: Path, **document: object) -> list[Problem]:
    file = folder / "tariff.yaml"
    base = {"tariff": "plan", "version": "1", "effective_from": "2024-01-01", "currency": "USD"}
    file.write_text(yaml.safe_dump({**base, **document}, sort_keys=False))
    documents, problems = read_documents(file)
    assert problems == []
    return validate(Tariff, documents[0])[1]


@pytest.mark.parametrize(("item", "path", "what", "remedy"), WRONG, ids=[f"{case[1]}: {case[2]}" for case in WRONG])
def test_a_contradiction_is_refused_where_it_stands(
    tmp_path: Path, item: Json, path: str, what: str, remedy: str
) -> None:
    written = {key: value for key, value in item.items() if value is not None}
    problems = problems_of(tmp_path, meters={"power": {"unit": "kWh", **written}})
    place = "meters.power" + (path if path.startswith("[") else f".{path}" if path else "")
    told = [problem for problem in problems if problem.path == place and what in problem.what]
    assert told, [str(problem) for problem in problems]
    assert remedy in told[0].remedy
    assert told[0].line > 0


ITEM: Json = {"unit": "kWh", "price": UP}


@pytest.mark.parametrize(
    ("document", "path", "what"),
    [
        ({"currency": "XXX"}, "currency", ""),
        ({"minimum": {"amount": "5"}, "maximum": {"amount": "4"}}, "minimum", "above the maximum"),
        ({"maximum": {"amount": "4"}, "meters": {"maximum": ITEM}}, "meters.maximum", "name of the tariff's maximum"),
        (
            {"meters": {"a": {**ITEM, "usage_of": ["m"]}, "b": {**ITEM, "usage_of": ["m"], "unit": "Wh"}}},
            "meters.b.unit",
            "measure meter m differently",
        ),
        ({"surcharges": [{"name": "power", "percent": "1"}]}, "surcharges[0].name", "this name already"),
        ({"surcharges": [{"name": "x", "percent": "1", "of": ["y"]}]}, "surcharges[0].of", "no item or earlier"),
        ({"surcharges": [{"name": "x", "percent": "1", "of": ["x"]}]}, "surcharges[0].of", "no item or earlier"),
        ({"surcharges": [{"name": "x", "percent": "1", "of": ["power"] * 2}]}, "surcharges[0].of", "twice"),
    ],
)
def test_a_contradiction_of_a_tariff_is_refused(tmp_path: Path, document: Json, path: str, what: str) -> None:
    problems = problems_of(tmp_path, **{"meters": {"power": ITEM}, **document})
    told = [problem for problem in problems if problem.path == path and what in problem.what]
    assert told, [str(problem) for problem in problems]
    assert told[0].remedy


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ({"power": ITEM}, {"other": {**ITEM, "usage_of": ["power"]}}, "meter power is priced twice from 2024-03-01"),
        (
            {"one": {**ITEM, "usage_of": ["a", "power"]}},
            {"two": {**ITEM, "usage_of": ["power", "b"]}},
            "meter power is priced twice from 2024-03-01",
        ),
        ({"one": {**ITEM, "usage_of": ["a"]}}, {"one": {**ITEM, "usage_of": ["b"]}}, "item one is there twice"),
        ({"power": {**ITEM, "usage_of": ["a"]}}, {"other": {**ITEM, "usage_of": ["power"]}}, ""),
    ],
)
def test_two_tariffs_of_an_account_must_not_price_one_meter(
    tmp_path: Path, first: Json, second: Json, what: str
) -> None:
    base = {"version": "1", "effective_from": "2024-01-01", "currency": "USD"}
    tariffs = [{"tariff": name, **base, "meters": meters} for name, meters in (("one", first), ("two", second))]
    entries = [{"tariff": "one", "from": "2024-01-01"}, {"tariff": "two", "from": "2024-03-01"}]
    account = {"account": "home", "zone": "UTC", "currency": "USD", "tariffs": entries}
    (tmp_path / "t.yaml").write_text(yaml.safe_dump_all(tariffs, sort_keys=False))
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({"accounts": [account]}, sort_keys=False))
    if not what:
        load_catalogue(tmp_path / "t.yaml", tmp_path / "a.yaml")
        return
    with pytest.raises(DocumentError) as raised:
        load_catalogue(tmp_path / "t.yaml", tmp_path / "a.yaml")
    (problem,) = raised.value.problems
    assert (problem.path, problem.remedy) == ("accounts[0].tariffs[1]", "end one entry by then: until: 2024-03-01")
    assert what in problem.what


MODELS: list[Json] = [
    {**UP, "free_units": "2"},
    graduated(("4", "1", "3"), (None, "0.5", "1"), first_flat_fee="always"),
    graduated(("4", "1"), (None, "0.5"), tiers_per="day"),
    volume(("4", "1", "3"), (None, "0.5", "1"), first_flat_fee="always", on_bound="upper"),
    package("3", "2", free_units="1"),
    {"model": "graduated_percentage", "tiers": [{"up_to": "4", "percent": "2", "flat_fee": "1"}, {"percent": "1"}]},
    {**COMMITMENT, "true_up": True},
    {**PERCENTAGE, "free_events": 1},
    {**CALL, "included_s": 1},
    CHARGING,
]
AGGREGATIONS: list[Json] = [
    {"function": "sum"},
    {"function": "sum", "at_least": "3"},
    {"function": "count"},
    {"function": "max"},
    {"function": "latest"},
    {"function": "unique", "attribute": "user"},
    {"function": "percentile", "percentile": "50"},
    {"function": "demand", "interval_minutes": 15},
    {"function": "average"},
    {"function": "level"},
]
GROUPS: list[Json] = [{}, {"priced_per": "session", "round_each": {"decimals": 1}}, {"priced_per": "hour"}]
GROUPS += [{"priced_per": "record"}, {"priced_per": "resource", "resource": "user"}]
CONVERSIONS: list[Json] = [
    {},
    {"convert": {"unit": "v", "divide_by": "3"}},
    {"convert": {"unit": "v", "divide_by": "3", "times": "days", "over": "period", "round": "up", "decimals": 1}},
    {"convert": {"unit": "v", "attributes": ["gb"], "times": "hours", "round": "up", "round_per": "record"}},
]
MATRIX: Json = {"name": "a", "where": {"user": "a"}}


def layouts(model: Json) -> Iterator[Json]:
    """The price by itself, by time, by attribute, and with tiers shared by bands."""
    yield {"price": model}
    yield bands(model, model)
    yield bands(model, model, tiers_across_bands="pro-rata")
    yield bands(model, model, tiers_across_bands="chronological")
    yield {"bands": [{**MATRIX, "price": model}, {**NIGHT, "price": model}]}


def combinations(model: Json) -> Iterator[Json]:
    """Every combination of options that the check lets through, limits on every other one."""
    limits: tuple[Json, ...] = ({}, {"discount_percent": "10", "maximum": "6", "minimum": "2"})
    parts = product(layouts(model), AGGREGATIONS, GROUPS, CONVERSIONS)
    for number, (layout, aggregation, group, conversion) in enumerate(parts):
        item = {"unit": "kWh", "aggregation": aggregation, **layout, **group, **conversion, **limits[number % 2]}
        try:
            tariff(meters={"power": item})
        except ValidationError:
            continue
        yield item


RECORDS = [
    replace(record, attributes={"user": user, "gb": "0.5"}, session="s")
    for record, user in (
        (reading("a", "5", "2024-01-31T19:40", "2024-01-31T20:10"), "a"),
        (reading("b", "2.5", "2024-01-31T23:50", "2024-02-01T00:10"), "b"),
        (reading("c", "1", "2024-01-10T07:00", corrects="a"), "a"),
    )
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model["model"]))
def test_every_combination_that_is_taken_can_be_rated_and_closed(model: Json) -> None:
    """Charges, totals and statements agree, after each restart, or MoneyError is raised."""
    tried = 0
    for item in combinations(model):
        made = Books(tariff(meters={"power": item}, surcharges=[{"name": "levy", "percent": "10"}]), closes=False)
        for record in RECORDS:
            assert made.refused(record) == [], item
            made.restart()
        statements = made.close_all()
        assert sum(s.exact for s in statements) == sum(charge.amount for charge in made.charges), item
        tried += 1
    assert tried >= 4
