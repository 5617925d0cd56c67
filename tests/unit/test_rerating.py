"""Re-rating: what is booked under one plan comes to what another one says, and nothing else changes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from pipeline.ledger import Ledger
from pipeline.rerating import CannotRerateError, Given, Rerated, recognised, rerate
from pipeline.terms import Plans
from schemas.account import Account
from schemas.catalogue import Catalogue
from schemas.charge import ChargeKind
from schemas.statement import Statement
from schemas.tariff import Tariff
from schemas.usage import UsageRecord
from tests.small_books import Books, Number, account, graduated, money, per_unit, reading, tariff, us, volume

HOME = ("default", "home")
Document = dict[str, Any]


def later(effective_from: str, price: Document | None = None, **rest: Any) -> Tariff:  # noqa: ANN401 - as in `tariff`
    """Version 2 of `plan`."""
    return tariff(price, version="2", effective_from=effective_from, **rest)


def given(books: Books, records: Sequence[UsageRecord]) -> list[Given]:
    ledger = Ledger(books.plans, books.store)
    found = [recognised(ledger, usage) for usage in records]
    return sorted((one for one in found if one is not None), key=lambda one: one.usage.start)


def again(books: Books, asked: Plans, records: Sequence[UsageRecord], *, compares: bool = True) -> Rerated:
    return rerate(books.plans, asked, books.store, HOME, given(books, records), compares=compares)


def book(
    books: Books, tariffs: Sequence[Tariff], records: Sequence[UsageRecord], declared: Account | None = None
) -> Rerated:
    """Book what the tariffs change, and go on under them."""
    accounts = [declared or account()]
    rerated = again(books, Plans(Catalogue.of(tariffs, accounts)), records, compares=False)
    books.store.commit(rerated.changes)
    books.charges += rerated.charges
    books.statements += rerated.statements
    books.redeclare(tariffs, accounts)
    return rerated


def owed(statements: Sequence[Statement]) -> tuple[Number, Number]:
    """Net and total of all statements together, the latest revision of each."""
    latest = {(statement.period_start, statement.number): statement for statement in statements}
    return (
        money(sum(statement.net for statement in latest.values())),
        money(sum(statement.total for statement in latest.values())),
    )


def costs(rerated: Rerated) -> dict[str, Number]:
    """What each record costs now."""
    return {one.given.usage.id: money(sum(charge.amount for charge in one.charges)) for one in rerated.records}


MONTHS = (
    reading("a", "3", "2024-01-05"),
    reading("b", "4", "2024-01-20"),
    reading("c", "5", "2024-02-10", "2024-02-10T06:00"),
    reading("d", "2", "2024-03-02"),
)


def test_free_minutes_go_to_the_earlier_call() -> None:
    """CGRateS, rerate_cdrs_it_test.go: the bundle's minute moves, and the two calls still cost 1.8."""
    calls = reading("16:15", "2", "2024-02-02T16:15"), reading("15:15", "2", "2024-02-02T15:15")
    books = Books(tariff(per_unit("0.6", free_units="1")))
    outcome = books.take(*calls)
    assert [money(charge.amount) for charge in outcome.charges] == [Decimal("0.6"), Decimal("1.2")]
    rerated = again(books, books.plans, calls)
    assert costs(rerated) == {"15:15": Decimal("0.6"), "16:15": Decimal("1.2")}
    assert [after - before for before, after in rerated.amounts.values()] == [0]
    nothing = again(books, books.plans, calls, compares=False)
    assert (nothing.charges, nothing.changes) == ([], {})


@pytest.mark.parametrize("policy", ["next-statement", "revision"])
@pytest.mark.parametrize("since", ["2024-01-01", "2024-01-15", "2024-02-01", "2024-02-10"])
@pytest.mark.parametrize(
    ("was", "now"),
    [
        (per_unit("1"), per_unit("2")),
        (graduated(["3", "1"], [None, "4"]), volume(["1", "3"], [None, "10"])),
        (per_unit("1", free_units="2"), graduated(["0.5", "1"], [None, "4"], tiers_per="day")),
        (graduated(["0.5", "1"], [None, "4"], tiers_per="day"), graduated(["0.5", "1"], [None, "4"], tiers_per="day")),
    ],
)
def test_a_version_in_the_past_comes_to_what_it_would_have_from_the_start(
    was: Document, now: Document, since: str, policy: str
) -> None:
    rest: Any = {
        "closing": {"late": policy},
        "tax": [{"name": "VAT", "percent": "20"}],
        "rounding": {"at": "total", "decimals": 2},
    }
    first, second = tariff(was, **rest), later(since, now, **rest)
    books, from_the_start = Books(first), Books([first, second])
    books.take(*MONTHS)
    rerated = book(books, [first, second], MONTHS)
    difference = sum(charge.amount for charge in rerated.charges)
    assert difference == sum(after - before for before, after in rerated.amounts.values())
    from_the_start.take(*MONTHS)
    for one in (books, from_the_start):
        one.close_all()
    assert owed(books.statements) == owed(from_the_start.statements)
    assert sum(s.usage_records for s in books.statements if s.revision == 1) == len(MONTHS)
    ids = [charge.charge_id for charge in books.charges]
    assert len(ids) == len(set(ids))


def test_closed_periods_are_adjusted_and_open_ones_charged_anew() -> None:
    first, second = tariff(per_unit("1")), later("2024-02-01", per_unit("3"))
    books = Books(first)
    books.take(*MONTHS)
    rerated = book(books, [first, second], MONTHS)
    found = [(charge.usage_id, charge.kind, money(charge.amount), charge.version) for charge in rerated.charges]
    assert found == [
        ("d", ChargeKind.REVERSAL, -2, "1"),
        ("c", ChargeKind.REVERSAL, -5, "1"),
        ("c", ChargeKind.ADJUSTMENT, 15, "2"),
        ("d", ChargeKind.USAGE, 6, "2"),
    ]
    march = us("2024-03-01")
    assert {charge.statement_start for charge in rerated.charges} == {march}
    assert books.state().period(us("2024-02-01")).totals.keys() == {("power", "plan", "2", us("2024-02-01"))}


def test_booking_is_repeatable_and_done_once() -> None:
    first, second = tariff(per_unit("1")), later("2024-01-10", per_unit("3"))
    asked = Plans(Catalogue.of([first, second], [account()]))
    books = Books(first)
    books.take(*MONTHS)
    one, other = (again(books, asked, MONTHS, compares=False) for _ in range(2))
    assert (one.charges, one.changes) == (other.charges, other.changes)
    book(books, [first, second], MONTHS)
    assert again(books, asked, MONTHS, compares=False).charges == []
    assert all(after == before for before, after in again(books, asked, MONTHS).amounts.values())


def test_a_second_re_rating_has_charges_of_its_own() -> None:
    versions = [tariff(per_unit("1")), later("2024-01-10", per_unit("3"))]
    books = Books(versions[0])
    books.take(*MONTHS)
    book(books, versions, MONTHS)
    versions.append(tariff(per_unit("7"), version="3", effective_from="2024-01-15"))
    book(books, versions, MONTHS)
    books.close_all()
    from_the_start = Books(versions)
    from_the_start.take(*MONTHS)
    from_the_start.close_all()
    assert owed(books.statements) == owed(from_the_start.statements)
    ids = [charge.charge_id for charge in books.charges]
    assert len(ids) == len(set(ids))


def test_corrected_usage_stays_out_and_can_be_corrected_afterwards() -> None:
    first, second = tariff(per_unit("1")), later("2024-01-01", per_unit("3"))
    records = (
        reading("a", "3", "2024-01-05"),
        reading("void", None, "2024-01-06", corrects="a"),
        reading("b", "4", "2024-01-07"),
        reading("b2", "5", "2024-01-08", corrects="b"),
    )
    books = Books(first)
    books.take(*records)
    book(books, [first, second], records)
    assert money(books.state().period(us("2024-01-01")).running) == 15
    outcome = books.take(reading("gone", None, "2024-01-09", corrects="b2"))
    assert [money(charge.amount) for charge in outcome.charges] == [-15]
    assert owed(books.close_all()) == (0, 0)


def test_fees_and_minimums_of_closed_periods_follow() -> None:
    fee: Document = {"name": "Standing", "amount": "10", "per": "period", "prorate": "days"}
    first = tariff(per_unit("1"), fees=[fee], minimum={"amount": "6"})
    second = later("2024-01-01", per_unit("2"), fees=[fee | {"amount": "12"}], minimum={"amount": "20"})
    books, from_the_start = Books(first), Books([first, second])
    books.take(*MONTHS)
    compared = again(books, from_the_start.plans, MONTHS)
    assert {(due.name, due.version, money(due.booked), money(due.now)) for due in compared.dues} == {
        ("Standing", "1", 10, 0),
        ("Standing", "2", 0, 12),
        ("Minimum", "1", 1, 0),
        ("Minimum", "2", 0, 6),
        ("Minimum", "2", 0, 10),
    }
    book(books, [first, second], MONTHS)
    books.close_all()
    from_the_start.take(*MONTHS)
    from_the_start.close_all()
    assert owed(books.statements) == owed(from_the_start.statements)


@pytest.mark.parametrize("due", ["arrears", "advance"])
def test_fees_of_periods_without_usage_follow(due: str) -> None:
    fee: Document = {"name": "Standing", "amount": "10", "per": "period", "due": due}
    first = tariff(per_unit("1"), fees=[fee])
    second = later("2024-02-01", per_unit("1"), fees=[fee | {"amount": "12"}])
    records = MONTHS[0], reading("e", "1", "2024-04-10")
    books, from_the_start = Books(first), Books([first, second])
    books.take(*records)
    book(books, [first, second], records)
    books.close_all()
    from_the_start.take(*records)
    from_the_start.close_all()
    assert owed(books.statements) == owed(from_the_start.statements)


@pytest.mark.parametrize(
    "item",
    [
        {"price": per_unit("2"), "aggregation": {"function": "max"}},
        {"price": per_unit("2"), "aggregation": {"function": "percentile", "percentile": "50"}},
        {"price": graduated(["2", "1"], [None, "3"]), "priced_per": "day"},
        {"price": per_unit("2"), "maximum": "5", "discount_percent": "10"},
        {"price": graduated(["2", "1"], [None, "3", "7"], first_flat_fee="always")},
        {"price": graduated(["2", "1", "7"], [None, "3"], first_flat_fee="always")},
    ],
)
@pytest.mark.parametrize(
    "derived", [{}, {"surcharges": [{"name": "Fuel", "percent": "10"}]}, {"maximum": {"amount": "9"}}]
)
def test_items_of_all_kinds_are_exchanged(item: Document, derived: Document) -> None:
    kind: Document = {"unit": "kWh", **item}
    plain: Document = {"unit": "kWh", "price": per_unit("1")}
    versions = {
        "there": [tariff(meters={"power": plain}), later("2024-01-10", meters={"power": kind}, **derived)],
        "back": [tariff(meters={"power": kind}, **derived), later("2024-01-10", meters={"power": plain})],
    }
    for tariffs in versions.values():
        books, from_the_start = Books(tariffs[0]), Books(tariffs)
        books.take(*MONTHS)
        book(books, tariffs, MONTHS)
        books.close_all()
        from_the_start.take(*MONTHS)
        from_the_start.close_all()
        assert owed(books.statements) == owed(from_the_start.statements)


def test_usage_that_is_not_given_refuses_the_account() -> None:
    first, second = tariff(per_unit("1")), later("2024-01-01", per_unit("3"))
    books = Books(first)
    books.take(*MONTHS)
    asked = Plans(Catalogue.of([first, second], [account()]))
    with pytest.raises(CannotRerateError, match=r"'power' in 2024-01 .* plan 1 is not in the files \(4 kWh\)"):
        again(books, asked, [one for one in MONTHS if one.id != "b"], compares=False)


def test_a_level_is_refused() -> None:
    level: Document = {
        "unit": "seat",
        "negative": "accept",
        "aggregation": {"function": "level"},
        "price": per_unit("3"),
    }
    first, second = tariff(meters={"power": level}), later("2024-01-01", meters={"power": level})
    books = Books(first)
    books.take(*MONTHS)
    with pytest.raises(CannotRerateError, match="is a level"):
        again(books, Plans(Catalogue.of([first, second], [account()])), MONTHS)


def test_what_the_new_terms_do_not_take_is_refused() -> None:
    first = tariff(per_unit("1"))
    books = Books(first)
    books.take(*MONTHS)
    for second, problem in (
        (later("2024-01-01", per_unit("1"), decimals=0, excess_decimals="round"), ""),
        (later("2024-01-01", bands=[{"name": "x", "where": {"region": "eu"}, "price": per_unit("1")}]), "no price"),
    ):
        asked = Plans(Catalogue.of([first, second], [account()]))
        if problem:
            with pytest.raises(CannotRerateError, match=problem):
                again(books, asked, MONTHS)
        else:
            assert again(books, asked, MONTHS).records


def test_only_what_was_accepted_as_it_is_counts() -> None:
    books = Books(tariff(per_unit("1")))
    books.take(*MONTHS)
    ledger = Ledger(books.plans, books.store)
    assert recognised(ledger, reading("a", "3", "2024-01-05")) is not None
    assert recognised(ledger, reading("a", "4", "2024-01-05")) is None
    assert recognised(ledger, reading("x", "3", "2024-01-05")) is None
    assert recognised(ledger, reading("a", "3", "2024-01-05", account="flat")) is None
