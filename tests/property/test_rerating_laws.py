"""The law of re-rating: what is booked after it is what the new version would have come to from the start."""

from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger import Ledger
from pipeline.rerating import recognised, rerate
from pipeline.terms import Plans
from schemas.catalogue import Catalogue
from schemas.usage import UsageRecord
from tests.small_books import Books, account, at, graduated, per_unit, reading, tariff, volume

Document = dict[str, Any]
HOURS = 24 * 100
LATE = st.sampled_from(["next-statement", "revision"])

PRICES: st.SearchStrategy[Document] = st.sampled_from(
    [
        per_unit("2"),
        per_unit("1", free_units="3"),
        graduated(["5", "1"], [None, "4", "2"]),
        graduated(["0.5", "1"], [None, "3"], tiers_per="day"),
        volume(["4", "3"], [None, "2"]),
    ]
)
KINDS: st.SearchStrategy[Document] = st.sampled_from(
    [
        {},
        {"priced_per": "day"},
        {"aggregation": {"function": "max"}},
        {"aggregation": {"function": "count"}},
        {"discount_percent": "10", "maximum": "9"},
    ]
)
REST: st.SearchStrategy[Document] = st.sampled_from(
    [
        {},
        {"minimum": {"amount": "20"}},
        {"maximum": {"amount": "15"}},
        {"surcharges": [{"name": "Fuel", "percent": "10"}]},
        {"fees": [{"name": "Standing", "amount": "10", "per": "period", "due": "advance"}]},
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    meters = {"power": {"unit": "kWh", "price": draw(PRICES), **draw(KINDS)}}
    return {"meters": meters, **draw(REST)}


@st.composite
def usage(draw: st.DrawFn) -> list[UsageRecord]:
    """Records in any order, some of them corrected."""
    records = []
    for number in range(draw(st.integers(1, 8))):
        start = at("2024-01-01") + timedelta(hours=draw(st.integers(0, HOURS)))
        end = start + timedelta(hours=draw(st.sampled_from([0, 1, 30, 900])))
        records.append(reading(f"r{number}", str(draw(st.integers(0, 9))), start, end))
    for one in records[: draw(st.integers(0, 2))]:
        quantity = draw(st.sampled_from([None, "4"]))
        records.append(reading(f"{one.id} corrected", quantity, one.start, one.end, corrects=one.id))
    return draw(st.permutations(records))


def exact(books: Books) -> int:
    """What all charges come to once everything is closed."""
    books.take(reading("last", "1", "2024-06-20"))
    books.close_all()
    return sum(charge.amount for charge in books.charges)


@given(documents(), documents(), st.dates(at("2024-01-01").date(), at("2024-05-01").date()), usage(), LATE)
def test_re_rated_is_as_from_the_start(
    was: Document, now: Document, since: date, records: list[UsageRecord], late: str
) -> None:
    closing = {"late": late, "lateness_s": 30_000_000}
    first = tariff(**was, closing=closing)
    second = tariff(**now, closing=closing, version="2", effective_from=str(since))
    books = Books(first)
    books.take(*records)
    ledger = Ledger(books.plans, books.store)
    found = [one for record in records if (one := recognised(ledger, record)) is not None]
    asked = Plans(Catalogue.of([first, second], [account()]))
    in_order = sorted(found, key=lambda one: (one.usage.start, one.usage.id))
    rerated = rerate(books.plans, asked, books.store, ("default", "home"), in_order, compares=False)
    books.store.commit(rerated.changes)
    books.charges += rerated.charges
    books.redeclare([first, second], [account()])
    from_the_start = Books([first, second])
    from_the_start.take(*records)
    assert exact(books) == exact(from_the_start)
    ids = [charge.charge_id for charge in books.charges]
    assert len(ids) == len(set(ids))
