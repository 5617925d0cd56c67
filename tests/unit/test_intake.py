"""Intake: what is accepted, and for which reason the rest is not. Nothing that is refused changes anything."""

from decimal import Decimal

import pytest

from schemas.rejection import Reason
from schemas.usage import UsageRecord
from tests.small_books import Books, account, amounts, graduated, per_unit, reading, tariff, units, us

WHOLE = {"decimals": 0, "excess_decimals": "reject"}


@pytest.mark.parametrize(
    ("rules", "quantity", "taken", "rounded"),
    [
        ({}, "1.5", "1.5", 0),
        ({}, "0", "0", 0),
        ({}, "1.0000000", "1", 0),  # more zeros are no more decimals
        ({}, "0.0000001", "0", 1),
        ({}, "0.0000005", "0", 1),  # halves to the even neighbour
        ({}, "0.0000015", "0.000002", 1),
        ({}, "0.028999999999999998", "0.029", 1),  # float noise
        ({}, "8999999999999.999999", "8999999999999.999999", 0),
        ({"decimals": 2}, "1.005", "1", 1),
        ({"decimals": 2}, "1.015", "1.02", 1),
        ({"decimals": 2}, "1.01", "1.01", 0),
        ({"decimals": 0}, "2.5", "2", 1),
        ({"decimals": 0}, "1E+3", "1000", 0),
        ({"negative": "accept"}, "-2.5", "-2.5", 0),
        ({"negative": "accept", "decimals": 0}, "-2.5", "-2", 1),
        ({}, "-0.0000001", "0", 1),  # noise around zero is not negative
        (WHOLE, "7.000", "7", 0),
    ],
)
def test_quantities_that_are_accepted(rules: dict[str, object], quantity: str, taken: str, rounded: int) -> None:
    books = Books(tariff(per_unit("1"), **rules))
    outcome = books.take(reading("r", quantity, "2024-01-02"))
    assert (outcome.refusals, outcome.accepted, outcome.rounded) == ([], 1, rounded)
    assert [units(charge.quantity) for charge in outcome.charges] == [Decimal(taken)]


@pytest.mark.parametrize(
    ("rules", "quantity", "reason"),
    [
        ({}, "-1", Reason.NEGATIVE),
        ({}, "-0.000001", Reason.NEGATIVE),
        ({}, "9000000000000", Reason.OUT_OF_RANGE),
        ({"negative": "accept"}, "-9000000000000", Reason.OUT_OF_RANGE),
        ({"negative": "accept"}, "-9E+50", Reason.OUT_OF_RANGE),
        ({"decimals": 0}, "8999999999999.6", None),  # rounds up to the limit: below, see the next test
        (WHOLE, "1.5", Reason.EXCESS_DECIMALS),
        (WHOLE, "0.0000000001", Reason.EXCESS_DECIMALS),
        ({"decimals": 3, "excess_decimals": "reject"}, "1.0001", Reason.EXCESS_DECIMALS),
        ({}, None, Reason.MISSING_FIELD),
    ],
)
def test_quantities_that_are_refused(rules: dict[str, object], quantity: str | None, reason: Reason | None) -> None:
    books = Books(tariff(per_unit("1"), **rules))
    expected = [] if reason is None else [reason]
    assert books.refused(reading("r", quantity, "2024-01-02")) == expected


NOON = us("2024-01-02T12:00")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (reading("r", "1", "2024-01-02T11:00", "2024-01-02T12:05"), None),  # five minutes of tolerance
        (reading("r", "1", "2024-01-02T11:00", "2024-01-02T12:05:00.000001"), Reason.FUTURE),
        (reading("r", "1", "2024-01-02T12:00", "2024-01-02T11:59:59.999999"), Reason.END_BEFORE_START),
        (reading("r", "1", "2024-01-02T12:00", "2024-01-02T12:00"), None),
        (reading("r", "1", "2023-12-31T23:59:59.999999"), Reason.NO_TARIFF),
        (reading("r", "1", "2023-12-31T23:00", "2024-01-01T01:00"), Reason.NO_TARIFF),
        (reading("r", "1", "2024-01-02", account="nobody"), Reason.UNKNOWN_ACCOUNT),
        (reading("r", "1", "2024-01-02", tenant="nobody"), Reason.UNKNOWN_ACCOUNT),
        (reading("r", "1", "2024-01-02", meter="water"), Reason.UNKNOWN_METER),
        (reading("r", "1", "2024-01-02", unit="MWh"), Reason.WRONG_UNIT),
        (reading("r", "1", "2024-01-02", unit="kWh"), None),
    ],
)
def test_times_and_names(record: UsageRecord, reason: Reason | None) -> None:
    books = Books(tariff(per_unit("1")))
    expected = [] if reason is None else [reason]
    assert books.refused(record, received=NOON) == expected


def test_a_record_that_ends_after_its_tariff_is_refused_whole() -> None:
    books = Books(tariff(per_unit("1")), account(("plan", "2024-01-01", "2024-01-10")))
    assert books.refused(reading("a", "1", "2024-01-09T23:00", "2024-01-10")) == []
    assert books.refused(reading("b", "1", "2024-01-09T23:00", "2024-01-10T01:00")) == [Reason.NO_TARIFF]
    assert books.refused(reading("c", "1", "2024-01-10")) == [Reason.NO_TARIFF]
    assert amounts(books.charges) == [1]


@pytest.mark.parametrize("batches", [1, 2])
def test_a_duplicate_is_counted_and_changes_nothing(batches: int) -> None:
    books = Books(tariff(per_unit("1")))
    record = reading("r", "1.5", "2024-01-02")
    same = reading("r", "1.500", "2024-01-02T01:00+01:00")  # the same facts in other words
    outcomes = [books.take(record, same)] if batches == 1 else [books.take(record), books.take(same)]
    assert sum(outcome.accepted for outcome in outcomes) == 1
    assert sum(outcome.duplicates for outcome in outcomes) == 1
    assert (amounts(books.charges), books.only().usage_records) == ([Decimal("1.5")], 1)


@pytest.mark.parametrize(
    "other",
    [
        reading("r", "2", "2024-01-02"),
        reading("r", "1", "2024-01-03"),
        reading("r", "1", "2024-01-02", "2024-01-02T01:00"),
        reading("r", "1", "2024-01-02", meter="gas"),
        reading("r", "1", "2024-01-02", account="flat"),
        reading("r", "1", "2024-01-02", session="s"),
        reading("r", "1", "2024-01-02", corrects="q"),
    ],
)
def test_an_id_that_comes_again_with_other_facts_is_refused(other: UsageRecord) -> None:
    meters = {name: {"unit": "kWh", "price": per_unit("1")} for name in ("power", "gas")}
    books = Books(tariff(meters=meters), [account(), account(account="flat")])
    assert books.refused(reading("r", "1", "2024-01-02"), other) == [Reason.ID_REUSED]
    books.restart()
    assert books.refused(other) == [Reason.ID_REUSED]


@pytest.mark.parametrize("other", [{"source": "s2"}, {"tenant": "t2"}])
def test_the_same_id_of_another_source_or_tenant_is_another_record(other: dict[str, str]) -> None:
    books = Books(tariff(per_unit("1")), [account(), account(tenant="t2")])
    outcome = books.take(reading("r", "1", "2024-01-02"), reading("r", "2", "2024-01-02", **other))
    assert (outcome.accepted, amounts(outcome.charges)) == (2, [1, 2])


def test_excess_decimals_of_a_duplicate_are_the_same_quantity() -> None:
    books = Books(tariff(per_unit("1")))
    outcome = books.take(reading("r", "0.3", "2024-01-02"), reading("r", "0.30000000000000004", "2024-01-02"))
    assert (outcome.accepted, outcome.duplicates) == (1, 1)


def test_an_amount_that_cannot_be_stored_is_refused_and_less_is_not() -> None:
    """9 × 10¹² × 10⁹ is 10²² units of money, one digit more than Decimal(38, 18) has."""
    books = Books(tariff(per_unit("100000000000")))
    assert books.refused(reading("a", "8000000000000", "2024-01-02")) == [Reason.OUT_OF_RANGE]
    assert books.refused(reading("b", "900000000", "2024-01-02")) == []
    assert books.refused(reading("c", "100000000", "2024-01-02")) == [Reason.OUT_OF_RANGE]  # exactly 10²⁰ together
    assert books.refused(reading("c", "99999999.999999", "2024-01-02")) == []


def test_a_record_is_refused_whole_where_one_of_its_pieces_cannot_be_stored() -> None:
    dear = tariff(per_unit("100000000000"), version="2", effective_from="2024-02-01")
    books = Books([tariff(per_unit("1")), dear])
    assert books.refused(reading("a", "8000000000000", "2024-01-01", "2024-03-01")) == [Reason.OUT_OF_RANGE]
    assert books.store.values == {}
    assert books.charges == []


REFUSED = [
    reading("neg", "-1", "2024-06-02"),
    reading("unit", "1", "2024-06-02", unit="MWh"),
    reading("nan", None, "2024-06-02"),
    reading("wide", "1", "2024-06-02", "2024-09-02"),
    reading("r", "2", "2024-06-02"),
]


@pytest.mark.parametrize("refused", REFUSED, ids=lambda record: record.id)
def test_a_refused_record_opens_no_period(refused: UsageRecord) -> None:
    home = account(("plan", "2024-01-01", "2024-09-01"))
    books, without = (Books(tariff(per_unit("1")), home, closes=False) for _ in range(2))
    books.take(reading("r", "1", "2024-01-02"))
    without.take(reading("r", "1", "2024-01-02"))
    books.take(refused)
    assert books.store.values == without.store.values
    assert books.close_all() == without.close_all()


def test_a_refused_record_leaves_no_trace_in_what_is_stored_later() -> None:
    """Whether the process was started anew in between or not."""
    meters = {name: {"unit": "kWh", "price": per_unit("1")} for name in ("power", "gas")}
    kept, restarted = (Books(tariff(meters=meters)) for _ in range(2))
    for books in (kept, restarted):
        books.take(reading("a", "-1", "2024-01-02", meter="gas"))
        if books is restarted:
            books.restart()
        books.take(reading("b", "1", "2024-01-02"))
        books.take(reading("c", "1", "2024-01-02", meter="gas"))
    assert kept.store.values == restarted.store.values


def test_refusals_say_which_record_and_what_to_do() -> None:
    books = Books(tariff(graduated([None, "1"])))
    outcome = books.take(reading("good", "1", "2024-01-02"), reading("bad", "-1", "2024-01-02"))
    ((index, refusal),) = outcome.refusals
    assert index == 1
    assert refusal.message == (
        "usage bad: quantity -1 is below zero, which meter 'power' does not accept. Correct the earlier record with "
        "`corrects`, or set negative: accept in the tariff."
    )
