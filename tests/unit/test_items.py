"""Items: one record that several of them price, and what is refused as a whole where one of them cannot."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.charge import ChargeKind
from schemas.rejection import Reason
from schemas.usage import UsageRecord
from tests.small_books import Books, Json, account, amounts, graduated, money, per_unit, printed, reading, tariff, units

ENERGY: Json = {"usage_of": ["power"], "unit": "kWh", "price": per_unit("2")}
EVENTS: Json = {
    "usage_of": ["power"],
    "unit": "kWh",
    "aggregation": {"function": "count"},
    "price": per_unit("10"),
}
EUROPE: Json = {
    "usage_of": ["power"],
    "unit": "kWh",
    "bands": [{"name": "eu", "where": {"region": "eu-*"}, "price": per_unit("1")}],
}


def books(meters: Json, **rest: Any) -> Books:  # noqa: ANN401 - any key of a tariff document
    return Books(tariff(meters=meters, **rest))


def of_region(record: UsageRecord, region: str) -> UsageRecord:
    return replace(record, attributes={"region": region})


def test_a_record_makes_a_numbered_charge_for_each_item() -> None:
    made = books({"energy": ENERGY, "events": EVENTS})
    made.take(reading("a", "3", "2024-01-10"))
    first, second = made.charges
    assert [(c.meter, money(c.amount), units(c.quantity)) for c in made.charges] == [
        ("energy", 6, 3),
        ("events", 10, 1),
    ]
    assert second.charge_id == f"{first.charge_id}-1"
    statement = made.only()
    assert (printed(statement), statement.usage_records, statement.charges) == ((16, 0, 16), 1, 2)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_correction_takes_the_charges_of_all_items_out(restarts: bool) -> None:
    made = books({"energy": ENERGY, "events": EVENTS})
    made.take(reading("a", "3", "2024-01-10"))
    if restarts:
        made.restart()
    made.take(reading("b", "5", "2024-01-10", corrects="a"))
    assert amounts(made.charges) == [6, 10, -6, -10, 10, 10]
    assert [c.kind for c in made.charges[2:4]] == [ChargeKind.REVERSAL] * 2
    assert [c.corrects for c in made.charges[2:4]] == [c.charge_id for c in made.charges[:2]]
    assert len({c.charge_id for c in made.charges}) == len(made.charges)
    if restarts:
        made.restart()
    made.take(reading("c", None, "2024-01-10", corrects="b"))
    assert printed(made.only())[2] == 0


def test_usage_is_priced_by_the_items_whose_conditions_it_meets() -> None:
    made = books({"europe": {**ENERGY, "where": {"region": "eu-*"}}, "events": EVENTS})
    made.take(of_region(reading("a", "3", "2024-01-10"), "eu-1"), of_region(reading("b", "3", "2024-01-10"), "us-1"))
    assert [(c.usage_id, c.meter) for c in made.charges] == [("a", "europe"), ("a", "events"), ("b", "events")]


def test_usage_that_no_item_is_for_is_refused() -> None:
    made = books({"europe": {**ENERGY, "where": {"region": "eu-*"}}})
    assert made.refused(of_region(reading("a", "3", "2024-01-10"), "us-1")) == [Reason.NO_TARIFF]
    assert made.refused(reading("b", "3", "2024-01-10")) == [Reason.NO_TARIFF]


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (EUROPE, Reason.NO_TARIFF),
        ({**ENERGY, "priced_per": "resource", "resource": "instance"}, Reason.MISSING_FIELD),
        ({**ENERGY, "convert": {"unit": "GB", "attributes": ["instance"]}}, Reason.MISSING_FIELD),
        ({**ENERGY, "price": per_unit("900000000000000")}, Reason.OUT_OF_RANGE),
    ],
    ids=["bands", "resource", "conversion", "amount"],
)
def test_what_one_item_cannot_price_is_refused_whole(second: Json, reason: Reason) -> None:
    made = books({"energy": ENERGY, "second": second})
    made.take(reading("first", "1", "2024-01-09", meter="power"))
    stored = dict(made.store.values)
    assert made.refused(of_region(reading("a", "8000000000000", "2024-01-10"), "us-1")) == [reason]
    assert made.store.values == stored
    again = of_region(reading("a", "8000000000000", "2024-01-10"), "us-1")
    assert made.refused(again) == [reason], "it was not remembered either"


def test_meters_of_one_item_fill_the_same_tiers_after_a_refusal() -> None:
    shared = {"usage_of": ["power", "gas"], "unit": "kWh", "price": graduated(("10", "1"), (None, "2"))}
    made = books({"both": shared})
    assert made.refused(reading("no", "-1", "2024-01-10")) == [Reason.NEGATIVE]
    made.take(reading("a", "8", "2024-01-11", meter="gas"))
    made.take(reading("b", "4", "2024-01-12", meter="power"))
    assert amounts(made.charges) == [8, 6]
    assert printed(made.only()) == (14, 0, 14)


def test_a_band_may_be_for_one_of_the_meters() -> None:
    bands = [{"name": "gas", "meters": ["gas"], "price": per_unit("5")}, {"name": "rest", "price": per_unit("1")}]
    made = books({"both": {"usage_of": ["power", "gas"], "unit": "kWh", "bands": bands}})
    made.take(reading("a", "2", "2024-01-11", meter="gas"), reading("b", "2", "2024-01-12"))
    assert amounts(made.charges) == [10, 2]


def test_the_set_with_the_most_conditions_prices_usage() -> None:
    bands = [
        {"name": "rest", "price": per_unit("1")},
        {"name": "4", "where": {"to": "4*"}, "price": per_unit("2")},
        {"name": "49", "where": {"to": "49*"}, "price": per_unit("3")},
        {"name": "49-night", "where": {"to": "49*", "class": "a"}, "price": per_unit("4")},
    ]
    made = books({"power": {"unit": "kWh", "bands": bands}})
    told: list[dict[str, str]] = [{}, {"to": "41"}, {"to": "491"}, {"to": "491", "class": "a"}]
    for number, attributes in enumerate(told):
        made.take(replace(reading(f"r{number}", "1", "2024-01-10"), attributes=attributes))
    assert amounts(made.charges) == [1, 2, 3, 4]
    assert [c.parts[0].band for c in made.charges] == ["rest", "4", "49", "49-night"]


def test_versions_have_totals_of_their_own() -> None:
    old, new = (
        tariff(version=version, effective_from=date, meters={"power": {"unit": "kWh", "price": price}})
        for version, date, price in (
            ("1", "2000-01-01", graduated(("10", "1"), (None, "5"))),
            ("2", "2024-01-16", graduated(("10", "2"), (None, "5"))),
        )
    )
    made = Books([old, new])
    made.take(reading("a", "16", "2024-01-15T12:00", "2024-01-16T12:00"))
    assert [(c.version, money(c.amount)) for c in made.charges] == [("1", 8), ("2", 16)]
    made.take(reading("b", "4", "2024-01-20"))
    assert money(made.charges[-1].amount) == 2 * 2 + 2 * 5
    made.take(reading("c", None, "2024-01-20", corrects="a"))
    assert amounts(made.charges[-2:]) == [-8, 4 * 2 - (10 * 2 + 2 * 5)]


@pytest.mark.parametrize("closed", [False, True])
def test_an_account_that_leaves_early_pays_by_its_days(closed: bool) -> None:
    """31 days allow 31 units at 1, ten days only 10; what follows from that follows."""
    price = graduated(("1", "1"), (None, "0.5"), tiers_per="day")
    meters = {"power": {"unit": "kWh", "price": price, "discount_percent": "50", "maximum": "12"}}
    plan = tariff(meters=meters, surcharges=[{"name": "levy", "percent": "10"}, {"name": "on top", "percent": "100"}])
    made = Books(plan, closes=False)
    made.take(reading("a", "40", "2024-01-05"))
    assert amounts(made.charges) == [12, Decimal("1.2"), 12]
    made.redeclare([plan], [account(("plan", "2024-01-01", "2024-01-11"))])
    if closed:  # (10 + 15) × 50 % is above the maximum still
        assert printed(made.only()) == (Decimal("25.2"), 0, Decimal("25.2"))
        return
    made.take(reading("b", None, "2024-01-05", corrects="a"), reading("c", "20", "2024-01-05"))
    assert printed(made.only()) == (Decimal("15.75"), 0, Decimal("15.75"))  # (10 + 5) / 2, 10 % of it, and as much


def test_usage_after_a_totals_was_priced_again_goes_on_from_there() -> None:
    price = graduated(("1", "1"), (None, "0.5"), tiers_per="day")
    meters = {"power": {"unit": "kWh", "price": price, "discount_percent": "50"}}
    plan = tariff(meters=meters, surcharges=[{"name": "levy", "percent": "10"}], closing={"lateness_s": 20_000_000})
    other = tariff(tariff="other", meters={"gas": {"unit": "kWh", "price": per_unit("1")}})
    made = Books([plan, other], closes=False)
    made.take(reading("a", "20", "2024-01-05"))
    assert amounts(made.charges) == [10, 1]
    entries = (("plan", "2024-01-01", "2024-01-11"), ("other", "2024-01-11", None))
    made.redeclare([plan, other], [account(*entries)])
    (january,) = made.close_all()
    assert money(january.exact) == Decimal("8.25")
    made.restart()
    made.take(reading("late", "2", "2024-01-06"))
    assert amounts(made.charges[-2:]) == [Decimal("0.5"), Decimal("0.05")]
    made.take(reading("feb", "1", "2024-02-06", meter="gas"))
    assert money(made.close_all()[0].exact) == Decimal("1.55")


def test_what_is_no_item_has_no_terms() -> None:
    """Such as a minimum or a fee, whose charge is explained without any."""
    made = books({"energy": {**ENERGY, "minimum": "5"}}, surcharges=[{"name": "levy", "percent": "10"}])
    made.take(reading("a", "1", "2024-01-10"))
    made.close_all()
    plan, found = made.state().plan, []
    for charge in made.charges:
        period = (charge.period_start, charge.period_end)
        terms = made.plans.terms_under(plan, charge.meter, charge.tariff, charge.version, period, charge.usage_start)
        found.append((charge.meter, terms is not None))
    assert found == [("energy", True), ("levy", True), ("Minimum energy", False)]
