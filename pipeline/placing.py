"""Placing: a record is cut into pieces, one for each item that prices it and each range of terms that it runs through.

Usage that is spread over its time is cut at the ends of terms, at the borders of bands, and at those of the hours or
days that are priced by themselves. Events, calls, transactions and changes of a level are never cut: they count where
they begin. A change of a level also joins the later ranges that hold something of the item already; those that come
after begin with it.
"""

from collections.abc import Iterator, Sequence

from pipeline.intake import (
    Refusal,
    missing_attribute,
    no_price_for_attributes,
    no_terms,
    wrong_attribute,
)
from pipeline.items import select
from pipeline.keeping import Fact
from pipeline.ledger import AccountState, Seat
from pipeline.pricing.charging_pieces import attribute_problem
from pipeline.pricing.conversion import AttributeValueError
from pipeline.rating import Shares
from pipeline.splitting import share_by_time
from pipeline.terms import Terms
from schemas.band import meets
from schemas.fixed_point import QUANTITY_ONE
from schemas.instants import to_us
from schemas.session_price import Charging
from schemas.usage import UsageRecord

Piece = tuple[Seat, int, int, Shares, tuple[Fact, ...]]
"""The share of a record that falls to one seat: seat, start, end, quantity by band, and what is kept of it."""

NO_FACTS: tuple[Fact, ...] = ()


def pieces_of(state: AccountState, seat: Seat, usage: UsageRecord, key: bytes, quantity: int) -> list[Piece] | Refusal:
    """All pieces of a record, or why there is no price for it."""
    start, end = to_us(usage.start), to_us(usage.end)
    ranges = [seat]
    while ranges[-1].terms.end < end:
        following = state.seat(usage.meter, ranges[-1].terms.end)
        if following is None:
            if any(not part.terms.item.is_whole for part in (seat, *seat.others)):
                return no_terms(usage, priced=True)
            break
        ranges.append(following)
    begins = [start, *(later.terms.start for later in ranges[1:])]
    pieces: list[Piece] = []
    attributes = usage.attributes or {}
    for number, (first, low, high) in enumerate(zip(ranges, begins, [*begins[1:], end], strict=True)):
        for one in (first, *first.others):
            item = one.terms.item
            if (item.is_whole and number) or not meets(item.where, attributes):
                continue
            placed = _placed(one.terms, usage, key, quantity, begins, number, (low, high))
            if isinstance(placed, Refusal):
                return placed
            piece = (one, start if item.is_whole else low, end if item.is_whole else high, *placed)
            pieces.append(piece)
            pieces += carried(state, piece)
    return pieces or no_price_for_attributes(usage)


def carried(state: AccountState, piece: Piece) -> Iterator[Piece]:
    """The same change of a level in the ranges after its own that hold something of the item."""
    seat, _, _, shares, facts = piece
    kept = seat.terms.item.kept
    if kept is None or not kept.is_carried:
        return
    for later in state.seats_after(seat):
        start = later.terms.start
        quantity = sum(fact.quantity for fact in facts)
        yield later, start, start, shares, (Fact(b"", start, start, quantity),)


def _placed(
    terms: Terms,
    usage: UsageRecord,
    key: bytes,
    quantity: int,
    begins: list[int],
    number: int,
    span: tuple[int, int],
) -> tuple[Shares, tuple[Fact, ...]] | Refusal:
    """The quantity by band and the facts of a record's piece."""
    item, attributes = terms.item, usage.attributes or {}
    start, end = to_us(usage.start), to_us(usage.end)
    problem = _attribute_refusal(terms, usage)
    if problem is not None:
        return problem
    weight = _weight(terms, usage, QUANTITY_ONE if item.counts else quantity)
    if isinstance(weight, Refusal):
        return weight
    chosen = select(item.selected, usage.meter, attributes) if item.selected else None
    if item.selected and chosen is None:
        return no_price_for_attributes(usage)
    timeline = chosen.timeline if chosen is not None else terms.timeline
    borders: list[int] = []
    if item.is_whole:
        low = high = start
        bands = [0] if timeline is None else timeline.cut(low, high)[0]
    else:
        low, high = span
        weight = share_by_time(weight, start, end, begins[1:])[number]
        bands, borders = ([0], borders) if timeline is None else timeline.cut(low, high)
    if chosen is not None:
        bands = [chosen.bands[band] for band in bands]
    shares: dict[int, int] = {}
    for band, share in zip(bands, share_by_time(weight, low, high, borders), strict=True):
        shares[band] = shares.get(band, 0) + share
    kept = item.kept
    if kept is None:
        return list(shares.items()), NO_FACTS
    session = usage.session or ""
    remembered = {name: attributes[name] for name in kept.attributes if name in attributes}
    if item.is_whole:
        return list(shares.items()), (Fact(key, start, end, weight, bands[0], usage.meter, session, remembered),)
    cuts = sorted({*borders, *kept.borders(low, high)})
    edges = [low, *cuts, high]
    facts = tuple(
        Fact(key, begin, until, share, _band_at(bands, borders, begin), usage.meter, session, remembered)
        for begin, until, share in zip(edges[:-1], edges[1:], share_by_time(weight, low, high, cuts), strict=True)
    )
    return list(shares.items()), facts


def _weight(terms: Terms, usage: UsageRecord, quantity: int) -> int | Refusal:
    """The quantity as the item keeps it: as measured, or converted but for the division."""
    if terms.item.is_raw:
        return quantity
    length = to_us(usage.end) - to_us(usage.start)
    try:
        weight = terms.item.measure.weigh(quantity, usage.attributes or {}, length)
    except AttributeValueError as error:
        return missing_attribute(usage, str(error)) if error.is_missing else wrong_attribute(usage, str(error))
    if weight < 0 <= quantity and terms.rules.negative == "reject":
        return wrong_attribute(usage, f"its attributes make a quantity of {terms.meter!r} that is below zero")
    return weight


def _band_at(bands: Sequence[int], borders: Sequence[int], instant: int) -> int:
    return bands[sum(border <= instant for border in borders)]


def _attribute_refusal(terms: Terms, usage: UsageRecord) -> Refusal | None:
    """Why the attributes of a record cannot be priced; None where they can."""
    attributes = usage.attributes or {}
    if isinstance(terms.rules.prices[0], Charging):
        problem = attribute_problem(attributes)
        return wrong_attribute(usage, problem) if problem else None
    for name in terms.item.required:
        if name not in attributes:
            return missing_attribute(usage, f"no attribute {name!r}")
    return None
