"""Importing from OCPI: tariffs element by element, CDRs period by period, and what is refused."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.importing import ocpi
from schemas.importing.cdr import usage_of
from schemas.importing.reading import Given, Imported
from schemas.session_price import Charging
from tests.imported import FIXTURES, checked

Json = dict[str, Any]
ENERGY: Json = {"type": "ENERGY", "price": 0.25, "vat": 10.0, "step_size": 1}
EXAMPLES = {
    one.name.rpartition("/")[2]: one for one in ocpi.tariffs((FIXTURES / "ocpi-tariffs.json").read_bytes(), Given())
}


def imported(*elements: Json, **fields: Any) -> Imported:  # noqa: ANN401 - any field of a tariff
    tariff: Json = {"country_code": "DE", "party_id": "ALL", "id": "1", "currency": "EUR"}
    tariff |= {"elements": elements or [{"price_components": [ENERGY]}], **fields}
    (found,) = ocpi.tariffs(json.dumps(tariff).encode(), Given())
    return found


def priced(found: Imported) -> Charging:
    price = checked(found).meters["charging"].price
    assert isinstance(price, Charging)
    return price


def refusals(*elements: Json, **fields: Any) -> list[str]:  # noqa: ANN401
    return [finding.what for finding in imported(*elements, **fields).findings]


def restricted(**restrictions: Any) -> Json:  # noqa: ANN401
    return {"price_components": [ENERGY], "restrictions": restrictions}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_of_the_specification_is_a_tariff(name: str) -> None:
    tariff = checked(EXAMPLES[name])
    assert tariff.tariff == f"de-all-{name}"
    assert tariff.currency == "EUR"


def test_the_complex_example_is_mapped_one_to_one() -> None:
    elements = priced(EXAMPLES["complex"]).elements
    assert [
        (component.dimension.value, component.price, component.step, component.tax_percent)
        for element in elements
        for component in element.components
    ] == [
        ("flat", Decimal("2.5"), 0, Decimal(15)),
        ("time", Decimal(1), 900, Decimal(20)),
        ("time", Decimal(2), 600, Decimal(20)),
        ("time", Decimal("1.25"), 600, Decimal(20)),
        ("parking_time", Decimal(5), 300, Decimal(10)),
        ("parking_time", Decimal(6), 300, Decimal(10)),
    ]
    assert [element.restrictions.model_dump(exclude_none=True, mode="json") for element in elements] == [
        {},
        {"max_current_a": "32"},
        {"min_current_a": "32", "days": ["mon", "tue", "wed", "thu", "fri"]},
        {"min_current_a": "32", "days": ["sat", "sun"]},
        {"start_time": "09:00", "end_time": "18:00", "days": ["mon", "tue", "wed", "thu", "fri"]},
        {"start_time": "10:00", "end_time": "17:00", "days": ["sat"]},
    ]


def test_reservations_have_dimensions_of_their_own() -> None:
    elements = priced(EXAMPLES["expiry-fee"]).elements
    assert [
        (element.restrictions.reservation, [component.dimension.value for component in element.components])
        for element in elements
    ] == [("expires", ["flat"]), ("only", ["reservation"]), (None, ["flat", "energy"])]


def test_limits_hold_without_and_with_tax() -> None:
    limit = priced(EXAMPLES["kwh-maximum"]).maximum
    assert limit is not None
    assert (limit.excl, limit.incl) == (Decimal(10), Decimal(11))


def test_limits_are_read_as_2_3_names_them() -> None:
    limit = priced(imported(min_price={"before_taxes": 1, "after_taxes": 1.1})).minimum
    assert limit is not None
    assert (limit.excl, limit.incl) == (Decimal(1), Decimal("1.1"))


def test_every_restriction_has_its_place() -> None:
    restrictions: Json = {
        "start_time": "22:00",
        "end_time": "06:00",
        "start_date": "2026-01-01",
        "end_date": "2026-02-01",
        "min_kwh": 1,
        "max_kwh": 50.5,
        "min_power": 4,
        "max_power": 22,
        "min_current": 6,
        "max_current": 32,
        "min_duration": 60,
        "max_duration": 3600,
        "day_of_week": ["MONDAY", "SUNDAY"],
    }
    ours = priced(imported(restricted(**restrictions))).elements[0].restrictions
    assert ours.model_dump(mode="json", exclude_none=True) == {
        "start_time": "22:00",
        "end_time": "06:00",
        "start_date": "2026-01-01",
        "end_date": "2026-02-01",
        "days": ["mon", "sun"],
        "min_kwh": "1",
        "max_kwh": "50.5",
        "min_power_kw": "4",
        "max_power_kw": "22",
        "min_current_a": "6",
        "max_current_a": "32",
        "min_duration_s": 60,
        "max_duration_s": 3600,
    }


def test_from_midnight_to_midnight_is_all_day() -> None:
    ours = priced(imported(restricted(start_time="00:00", end_time="00:00"))).elements[0].restrictions
    assert ours.model_dump(exclude_none=True) == {}


@pytest.mark.parametrize(
    ("element", "what"),
    [
        ({"price_components": [{"type": "RESERVATION", "price": 1}]}, "no price component RESERVATION"),
        ({"price_components": [{"type": "ENERGY"}]}, "not a number: None"),
        ({"price_components": [{**ENERGY, "step_size": 0.5}]}, "0.5 is no whole number"),
        ({"price_components": None}, "not a JSON array: None"),
        (restricted(reservation="RESERVATION"), "no price component ENERGY in an element for reservations"),
        (restricted(reservation="SOON"), "no such restriction: SOON"),
        (restricted(weather="rain"), "no such restriction: rain"),
        (restricted(start_date="1 May"), "no date: 1 May"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(element: Json, what: str) -> None:
    assert refusals(element) == [what]


def test_a_tariff_without_a_currency_is_refused_unless_it_is_said() -> None:
    assert refusals(currency=None) == ["no currency"]
    tariff = json.dumps({"id": "x", "elements": [{"price_components": [ENERGY]}]}).encode()
    (found,) = ocpi.tariffs(tariff, Given("SEK", date(2024, 1, 1)))
    assert found.document is not None
    assert (found.document["tariff"], found.document["currency"]) == ("x", "SEK")


def test_what_is_no_price_is_told() -> None:
    found = imported(type="AD_HOC_PAYMENT", energy_mix={"is_green_energy": True}, end_date_time="2030-01-01T00:00:00Z")
    notes = " | ".join(found.notes)
    assert "end_date_time: ends at 2030-01-01T00:00:00Z" in notes
    assert "not in the tariff: type = AD_HOC_PAYMENT; energy_mix = {'is_green_energy': True}" in notes


def test_the_readings_of_step_size_are_told_only_where_they_differ() -> None:
    def tells(name: str) -> bool:
        return any(note.startswith("step_size") for note in EXAMPLES[name].notes)

    assert [name for name in EXAMPLES if tells(name)] == ["hour-parking", "complex", "steps"]


@pytest.mark.parametrize("content", [b"", b"7", b"{}", b'{"data": [{"id": "1"}]}'])
def test_what_is_no_tariff_is_refused(content: bytes) -> None:
    (found,) = ocpi.tariffs(content, Given())
    assert found.document is None
    assert found.findings


def cdr(*periods: Json, **fields: Any) -> bytes:  # noqa: ANN401
    """A CDR of 2026-03-02 from 9 to 12 in UTC, changed by the fields."""
    base: Json = {
        "country_code": "DE",
        "party_id": "ALL",
        "id": "c1",
        "session_id": "s1",
        "end_date_time": "2026-03-02T12:00:00Z",
        "cdr_token": {"contract_id": "DE-8AA-123"},
        "charging_periods": periods,
    }
    return json.dumps({**base, **fields}).encode()


def period(start: str, **volumes: float) -> Json:
    dimensions = [{"type": kind, "volume": volume} for kind, volume in volumes.items()]
    return {"start_date_time": f"2026-03-02T{start}:00Z", "dimensions": dimensions}


def test_the_specification_s_cdr_is_one_record_and_a_tariff() -> None:
    content = (FIXTURES / "ocpi-cdr.json").read_bytes()
    (record,) = usage_of(content).usage
    assert (record.id, record.source, record.account) == ("BE-BEC-12345-1", "ocpi-BE-BEC", "DE8ACC12E46L89")
    assert (record.session, record.meter, record.attributes) == ("BE-BEC-12345", "charging", {"phase": "charging"})
    assert record.start == datetime(2015, 6, 29, 21, 39, 9, tzinfo=UTC)
    assert record.end == datetime(2015, 6, 29, 23, 37, 32, tzinfo=UTC)
    notes = [note for _, note in usage_of(content).notes]
    assert notes == ["total_energy is 15.342 kWh and the charging periods tell of 0: the periods count"]
    (tariff,) = ocpi.tariffs(content, Given())
    assert checked(tariff).tariff == "be-bec-12"


def test_each_period_is_a_record_until_the_next_begins() -> None:
    content = cdr(
        period("09:00", ENERGY=10, TIME=1, MAX_POWER=11, MIN_POWER=10.5),
        period("10:00", ENERGY=5.5, TIME=1, POWER=7.4, CURRENT=32),
        period("11:00", PARKING_TIME=1),
    )
    found = usage_of(content)
    assert found.findings == []
    assert [(record.id, record.quantity, record.session) for record in found.usage] == [
        ("DE-ALL-c1-1", Decimal(10), "s1"),
        ("DE-ALL-c1-2", Decimal("5.5"), "s1"),
        ("DE-ALL-c1-3", Decimal(0), "s1"),
    ]
    assert [record.attributes for record in found.usage] == [
        {"phase": "charging", "power_kw": "10.5"},
        {"phase": "charging", "power_kw": "7.4", "current_a": "32"},
        {"phase": "parking"},
    ]
    hours = [(record.start.hour, record.end.hour) for record in found.usage]
    assert hours == [(9, 10), (10, 11), (11, 12)]


def test_charging_and_parking_in_one_period_become_two_records() -> None:
    first, second = usage_of(cdr(period("09:00", ENERGY=10, TIME=2.5, PARKING_TIME=0.5))).usage
    assert (first.end, second.start) == (first.start + timedelta(hours=2.5),) * 2
    assert [(record.quantity, (record.attributes or {})["phase"]) for record in (first, second)] == [
        (Decimal(10), "charging"),
        (Decimal(0), "parking"),
    ]


def test_a_cdr_of_a_reservation_alone_tells_that_it_expired() -> None:
    (record,) = usage_of(cdr(period("09:00", RESERVATION_TIME=3), session_id=None)).usage
    assert record.attributes == {"phase": "reservation", "expired": "true"}
    assert record.session == "DE-ALL-c1"


def test_times_that_disagree_are_told() -> None:
    found = usage_of(cdr(period("09:00", ENERGY=10, TIME=2)))
    ((name, note),) = found.notes
    assert name == "CDR c1"
    assert note.endswith("lasts 3:00:00 by the clock and 2:00:00 by its dimensions: the clock counts")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (cdr(period("09:00", ENERGY=1), credit=True, credit_reference_id="c0"), "a credit for CDR c0"),
        (cdr(period("09:00", ENERGY=1), cdr_token={}), "is missing"),
        (cdr(), "no charging periods"),
        (cdr(period("10:00"), period("09:00")), "ends at 2026-03-02T09:00:00+00:00, before it begins"),
        (cdr({"start_date_time": "soon", "dimensions": []}), "no time: soon"),
        (
            cdr(period("09:00", TIME=1, RESERVATION_TIME=2)),
            "the period from 2026-03-02T09:00:00+00:00 is charging and reservation at once",
        ),
        (b"{", "not valid JSON"),
    ],
)
def test_a_cdr_that_cannot_be_expressed_is_refused(content: bytes, what: str) -> None:
    found = usage_of(content)
    assert found.usage == []
    assert [finding.what for _, finding in found.findings] == [what]


def test_the_same_tariff_in_several_cdrs_is_imported_once() -> None:
    tariff = {"id": "1", "currency": "EUR", "elements": [{"price_components": [ENERGY]}]}
    both = [json.loads(cdr(period("09:00", ENERGY=1), id=number, tariffs=[tariff])) for number in ("a", "b")]
    found = ocpi.tariffs(json.dumps(both).encode(), Given())
    assert [one.document is not None for one in found] == [True]
