"""Importing from OpenEI's URDB: what becomes of structures and schedules, what is refused, and what the bills are."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.importing import urdb
from schemas.importing.reading import Given, Imported
from schemas.importing.schedule import Claim, Day, claims, runs
from schemas.tariff import Tariff
from tests.imported import FIXTURES, checked

Json = dict[str, Any]
NIGHT_AND_DAY = [0] * 8 + [1] * 12 + [0] * 4
FLAT = [[0] * 24] * 12


def rate(**fields: Any) -> Json:  # noqa: ANN401 - any field of a rate
    """A rate of 0.10 per kWh from 2020, changed by the fields."""
    base: Json = {"name": "Residential", "startdate": 1577836800, "energyratestructure": [[{"rate": 0.1}]]}
    return {**base, **fields}


def imported(**fields: Any) -> Imported:  # noqa: ANN401
    (found,) = urdb.tariffs(json.dumps(rate(**fields)).encode(), Given())
    return found


def document(**fields: Any) -> Json:  # noqa: ANN401
    found = imported(**fields)
    assert found.document is not None, found.findings
    checked(found)
    return found.document


def refusals(**fields: Any) -> list[str]:  # noqa: ANN401
    return [finding.what for finding in imported(**fields).findings]


def fixture(name: str) -> Imported:
    (found,) = urdb.tariffs((FIXTURES / f"urdb-{name}.json").read_bytes(), Given())
    return found


def test_the_xcel_rate_becomes_two_seasons_of_three_bands() -> None:
    tariff = checked(fixture("xcel-co-re-tou"))
    assert (tariff.version, tariff.currency) == ("2021-10-01", "USD")
    assert tariff.tariff == "residential-energy-time-of-use-schedule-re-tou"
    assert {name: (str(season.from_), str(season.to)) for name, season in tariff.seasons.items()} == {
        "jun-sep": ("06-01", "09-30"),
        "oct-may": ("10-01", "05-31"),
    }
    bands = {band.name: band for band in tariff.meters["energy"].bands or ()}
    prices = {name: band.price.unit_price for name, band in bands.items() if band.price.model == "per_unit"}
    assert prices == {
        "jun-sep-period-1": Decimal("0.099057"),
        "jun-sep-period-4": Decimal("0.1252299"),
        "jun-sep-period-5": Decimal("0.219872"),
        "oct-may-period-1": Decimal("0.099057"),
        "oct-may-period-2": Decimal("0.0947412"),
        "oct-may-period-3": Decimal("0.158126"),
    }
    assert [str(hours) for hours in bands["jun-sep-period-5"].hours or ()] == ["14:00-18:00"]
    assert bands["jun-sep-period-4"].is_rest


def test_what_is_no_price_is_told() -> None:
    notes = " | ".join(fixture("xcel-co-re-tou").notes)
    assert "2022-06-30 is its last day" in notes
    assert "energycomments, for people to read: Adjustments = Earnings Share adjustment" in notes
    assert "dgrules = Net Metering" in notes
    assert "eiaid" not in notes


def test_the_pge_rate_is_the_example_tariff() -> None:
    """The same prices and schedule, written by hand for examples/tariffs."""
    from schemas.catalogue import load_catalogue

    example = Path(__file__).parents[2] / "examples/tariffs/pge-residential-tou.yaml"
    (written,) = load_catalogue(example, None).tariffs["pge-residential-tou"]
    ours, theirs = checked(fixture("pge-residential")).meters["energy"], written.meters["electricity"]
    assert ours.tiers_across_bands == theirs.tiers_across_bands == "pro-rata"
    assert [(band.days, band.hours, band.price) for band in ours.bands or ()] == [
        (band.days, band.hours, band.price) for band in theirs.bands or ()
    ]


def test_demand_is_an_item_of_the_same_usage() -> None:
    tariff = checked(fixture("ssc-default-commercial"))
    assert list(tariff.meters) == ["energy", "demand"]
    demand = tariff.meters["demand"]
    assert demand.usage_of == ("energy",)
    assert (demand.aggregation.function, demand.aggregation.interval_minutes) == ("demand", 60)
    peak, rest = demand.bands or ()
    assert (peak.days, [str(hours) for hours in peak.hours or ()]) == (("weekdays",), ["15:00-20:00"])
    assert [tier.unit_price for tier in peak.price.tiers] == [20, 15] if peak.price.model == "graduated" else False
    assert rest.is_rest
    assert peak.season is None, "demand is alike all the year, energy is not"
    assert "flatdemandstructure costs nothing and is left out" in fixture("ssc-default-commercial").notes


def test_digits_are_those_of_the_file() -> None:
    fields: Json = {"energyratestructure": [[{"rate": 0.1, "adj": 0.2}]]}
    assert document(**fields)["meters"]["energy"]["price"] == {"model": "per_unit", "unit_price": "0.3"}


def test_noise_of_binary_fractions_is_rounded_and_told() -> None:
    found = imported(energyratestructure=[[{"rate": 0.08623000000000001}]])
    assert found.document is not None
    assert found.document["meters"]["energy"]["price"]["unit_price"] == "0.08623"
    assert "0.08623000000000001 has more than 12 decimals and became 0.08623" in found.notes


def test_a_fuel_adjustment_makes_seasons() -> None:
    fuel = [0.01] * 3 + [0.02] * 9
    found = document(fueladjustmentsmonthly=fuel)
    assert list(found["seasons"]) == ["jan-mar", "apr-dec"]
    assert [band["price"]["unit_price"] for band in found["meters"]["energy"]["bands"]] == ["0.11", "0.12"]


def test_flat_demand_follows_its_months() -> None:
    found = document(flatdemandstructure=[[{"rate": 5}], [{"rate": 7}]], flatdemandmonths=[0] * 5 + [1] * 3 + [0] * 4)
    item = found["meters"]["flat-demand"]
    assert [(band["season"], band["price"]["unit_price"]) for band in item["bands"]] == [
        ("jun-aug", "7"),
        ("sep-may", "5"),
    ]
    assert found["meters"]["energy"] == {"unit": "kWh", "price": {"model": "per_unit", "unit_price": "0.1"}}


def test_a_demand_window_is_the_interval() -> None:
    found = document(demandratestructure=[[{"rate": 5}]], demandwindow=15)
    assert found["meters"]["demand"]["aggregation"] == {"function": "demand", "interval_minutes": 15}


@pytest.mark.parametrize(
    ("fields", "fee"),
    [
        ({"fixedchargefirstmeter": 5.71, "fixedchargeunits": "$/month"}, {"amount": "5.71", "per": "month"}),
        ({"fixedchargefirstmeter": 0.35, "fixedchargeunits": "$/day"}, {"amount": "0.35", "per": "day"}),
        ({"fixedchargefirstmeter": 60, "fixedchargeunits": "$/year"}, {"amount": "60", "per": "year"}),
        ({"fixedmonthlycharge": 8}, {"amount": "8", "per": "month"}),
    ],
)
def test_fixed_charges_are_fees(fields: Json, fee: Json) -> None:
    assert document(**fields)["fees"] == [{"name": "Fixed charge", **fee}]


@pytest.mark.parametrize("fields", [{"minmonthlycharge": 10}, {"mincharge": 10, "minchargeunits": "$/month"}])
def test_a_minimum_counts_fees_too(fields: Json) -> None:
    assert document(**fields)["minimum"] == {"amount": "10", "counts": "usage-and-fees"}


def test_tiers_with_other_bounds_count_each_period_by_itself() -> None:
    found = imported(
        energyratestructure=[[{"max": 100, "rate": 1}, {"rate": 2}], [{"max": 200, "rate": 3}, {"rate": 4}]],
        energyweekdayschedule=[NIGHT_AND_DAY] * 12,
        energyweekendschedule=FLAT,
    )
    assert found.document is not None
    assert "tiers_across_bands" not in found.document["meters"]["energy"]
    assert any("each period count its own usage" in note for note in found.notes)


def test_a_last_tier_with_an_end_is_told() -> None:
    found = imported(energyratestructure=[[{"max": 100, "rate": 1}, {"max": 500, "rate": 2}]])
    assert "energyratestructure: the last tier of period 1 ends at 500; its price holds beyond it too" in found.notes


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"energyratestructure": [[{"unit": "kWh/kW", "rate": 1}]]}, "tiers count kWh/kW"),
        ({"energyratestructure": [[{"unit": "kWh"}]]}, "a tier without a rate"),
        ({"energyratestructure": [[{"rate": "much"}]]}, "not a number: much"),
        ({"energyratestructure": [[]]}, "a period without tiers"),
        ({"energyratestructure": [[{"rate": 1}], [{"rate": 2}]]}, "not a JSON array: None"),
        ({"energyweekdayschedule": FLAT[1:], "energyweekendschedule": FLAT}, "11 months"),
        ({"energyweekdayschedule": [[0] * 23] * 12, "energyweekendschedule": FLAT}, "23 hours"),
        ({"energyweekdayschedule": [[1] * 24] * 12, "energyweekendschedule": FLAT}, "no such period: 1"),
        ({"demandratestructure": [[{"rate": 1}]], "demandrateunit": "kVA"}, "demand in kVA"),
        ({"fixedchargefirstmeter": 1, "fixedchargeunits": "$/week"}, "a fixed charge in $/week"),
        ({"mincharge": 1, "minchargeunits": "$/day"}, "a minimum in $/day"),
        ({"annualmincharge": 100}, "a minimum per year cannot be expressed"),
        (
            {"coincidentratestructure": [[{"rate": 3}]]},
            "a charge for the demand at the system's peak cannot be expressed",
        ),
        ({"demandreactivepowercharge": 0.2}, "a charge for reactive power cannot be expressed"),
        ({"energyratestructure": []}, "no price of energy or demand"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(fields: Json, what: str) -> None:
    assert refusals(**fields) == [what]


def test_charges_of_nothing_are_no_obstacle() -> None:
    assert refusals(coincidentratestructure=[[{"rate": 0}]], demandreactivepowercharge=0, annualmincharge=0) == []


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert len(refusals(annualmincharge=1, mincharge=1, minchargeunits="$/day", energyratestructure=[[]])) == 3


def test_a_demand_period_is_never_split_over_two_bands() -> None:
    """Both periods have other hours on weekends: one of them would be two bands, with a peak each."""
    weekday, weekend = NIGHT_AND_DAY, [0] * 10 + [1] * 4 + [0] * 10
    fields = {
        "demandratestructure": [[{"rate": 1}], [{"rate": 2}], [{"rate": 3}]],
        "demandweekdayschedule": [[2, *weekday[1:23], 2]] * 12,
        "demandweekendschedule": [weekend] * 12,
    }
    assert "its demand cannot be told in one band" in refusals(**fields)[0]


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b'{"items": [{"label": "x"}]}', b'{"rate": NaN}', b"\xff"])
def test_what_is_no_rate_is_refused(content: bytes) -> None:
    (found,) = urdb.tariffs(content, Given())
    assert found.document is None
    assert found.findings


def test_json_within_a_json_string_is_read() -> None:
    content = json.dumps(json.dumps({"items": [rate()]})).encode()
    assert [one.document is not None for one in urdb.tariffs(content, Given())] == [True]


def test_rates_of_one_name_and_date_are_not_both_imported() -> None:
    first, second = urdb.tariffs(json.dumps([rate(), rate(fixedmonthlycharge=1)]).encode(), Given())
    assert first.document is not None
    assert [finding.what for finding in second.findings] == ["has the tariff name and the first date of Residential"]


def test_a_date_and_a_currency_can_be_given() -> None:
    (found,) = urdb.tariffs(json.dumps(rate()).encode(), Given("CAD", date(2024, 5, 1)))
    assert found.document is not None
    assert (found.document["currency"], found.document["version"]) == ("CAD", "2024-05-01")


def test_runs_of_months_go_over_the_end_of_the_year() -> None:
    assert [run.name for run in runs("AABBBBBBBBBA")] == ["mar-nov", "dec-feb"]
    assert runs("A" * 12) == []
    assert runs("AAAAAABBBBBB", "A" * 12) == runs("AAAAAABBBBBB")


def test_the_period_with_other_hours_on_weekends_takes_the_rest() -> None:
    weekday, weekend = (0,) * 9 + (1,) * 5 + (2,) * 4 + (1,) * 3 + (0,) * 3, (0,) * 9 + (1,) * 12 + (0,) * 3
    assert claims(Day(weekday, weekend)) == [
        Claim(0, {"hours": ["00:00-09:00", "21:00-24:00"]}),
        Claim(2, {"days": ["weekdays"], "hours": ["14:00-18:00"]}),
        Claim(1, {}),
    ]


def test_a_tariff_is_what_comes_out() -> None:
    assert isinstance(checked(imported()), Tariff)
