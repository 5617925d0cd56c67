"""Laws of prices: a charge is a difference of totals, whatever the way from one to the other."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pipeline.pricing import BandPrices, compile_bands
from pipeline.pricing.committed import Committed
from pipeline.pricing.models import standing_part
from pipeline.pricing.package import Package
from pipeline.pricing.volume import Volume
from pipeline.splitting import allot, share_by_time
from schemas.charge import Part
from schemas.fixed_point import AMOUNT_ONE, QUANTITY_ONE
from schemas.price import Price
from tests.property.price_documents import SEASONS, meters, prices
from tests.property.reference_prices import price_of, rounded
from tests.property.strategies import examples
from tests.small_books import Json, tariff

totals = st.one_of(
    st.integers(-3 * QUANTITY_ONE, 150 * QUANTITY_ONE), st.integers(0, 200).map(lambda n: n * QUANTITY_ONE)
)
days = st.integers(1, 31)


def compiled(meter: Json, days: int) -> BandPrices:
    document = tariff(**meter, seasons=SEASONS, holidays=["01-01"])
    return compile_bands(document.meters["power"], lambda season: days if season is None else days // 2)


def compiled_document(price: Json) -> Price:
    """The one price of a tariff."""
    (found,) = tariff(price).meters["power"].prices
    return found


def summed(*parts: Sequence[Part]) -> dict[tuple[str, int, int, bool], tuple[int, int]]:
    """Quantity and amount of each band, tier and unit price, without those that come to nothing."""
    sums: dict[tuple[str, int, int, bool], tuple[int, int]] = {}
    for part in (part for some in parts for part in some):
        key = (part.band, part.tier, part.unit_price, part.quantity == 0)
        quantity, amount = sums.get(key, (0, 0))
        sums[key] = (quantity + part.quantity, amount + part.amount)
    return {key: found for key, found in sums.items() if found != (0, 0)}


@examples(250)
@given(meters(), days, st.data())
def test_two_steps_are_one(meter: Json, of_days: int, data: st.DataObject) -> None:
    price = compiled(meter, of_days)
    a, b, c = ([data.draw(totals) for _ in price.names] for _ in range(3))
    assert summed(price.between(a, b), price.between(b, c)) == summed(price.between(a, c))
    assert summed(price.between(a, b), price.between(b, a)) == {}
    assert price.between(a, a) == []


@examples(250)
@given(meters(), days, st.data())
def test_parts_add_up_to_the_quantity_of_their_band(meter: Json, of_days: int, data: st.DataObject) -> None:
    price = compiled(meter, of_days)
    counted = [
        name
        for name, band in zip(price.names, price.separate, strict=True)
        if not isinstance(band, Package) and not (isinstance(band, Volume) and band.gap)
    ]
    before, after = ([data.draw(totals) for _ in price.names] for _ in range(2))
    parts = price.between(before, after)
    for name in counted:
        index = price.names.index(name)
        assert sum(part.quantity for part in parts if part.band == name) == after[index] - before[index]
    if not any(isinstance(band, Committed) for band in price.separate):  # those may end within a millionth of a unit
        assert all(part.amount == part.quantity * part.unit_price for part in parts if part.quantity)


@examples(250)
@given(prices, days, st.data())
def test_prices_are_what_the_tariff_says(price: Json, of_days: int, data: st.DataObject) -> None:
    tiers = [
        Decimal(t["up_to"]) * (of_days if price.get("tiers_per") == "day" else 1)
        for t in price.get("tiers", ())
        if t["up_to"]
    ]
    near = [int(bound * QUANTITY_ONE) + step for bound in tiers for step in (-1, 0, 1)]
    total = data.draw(st.one_of(totals, st.sampled_from([0, 1, *near])))
    found = sum(part.amount for part in compiled({"price": price}, of_days).between([0], [total]))
    standing = standing_part("", compiled_document(price))
    due = found + (standing.amount if standing is not None else 0)
    expected = price_of(price, Fraction(total, QUANTITY_ONE), of_days)
    assert Fraction(due, AMOUNT_ONE) == sum(rounded(amount) for _, amount in expected)


sums = st.integers(0, 10**20)


@examples(250)
@given(st.lists(sums, min_size=1, max_size=6), st.lists(st.integers(0, 10**6), min_size=1, max_size=6))
def test_a_table_has_the_sums_that_it_was_given(rows: list[int], weights: list[int]) -> None:
    total = sum(rows)
    columns = share_by_time(total, 0, len(weights), range(1, len(weights)))
    table = allot(rows, columns)
    assert [sum(row) for row in table] == rows
    assert [sum(column) for column in zip(*table, strict=True)] == columns
    for row, of_row in zip(table, rows, strict=True):
        for cell, of_column in zip(row, columns, strict=True):
            assert abs(cell * total - of_row * of_column) < 2 * max(total, 1)


@examples(250)
@given(
    st.integers(-(10**18), 10**18),
    st.integers(-(10**15), 10**15),
    st.lists(st.integers(1, 10**12), min_size=1, max_size=8),
)
def test_shares_add_up_and_are_near_their_time(quantity: int, start: int, lengths: list[int]) -> None:
    borders = [start]
    for length in lengths:
        borders.append(borders[-1] + length)
    shares = share_by_time(quantity, start, borders[-1], borders[1:-1])
    assert sum(shares) == quantity
    for share, length in zip(shares, lengths, strict=True):
        assert abs(Fraction(share) - Fraction(quantity * length, borders[-1] - start)) < 1
