"""Charging prices: what an EV charging session costs, as in OCPI 2.2.

Each piece of the session (charging_pieces.py) is priced, dimension by dimension, by the first element that holds then
and has the dimension. Only then are steps applied, once per dimension for all of the session, and its limits. So the
price depends neither on how many records told of the session nor on their order of arrival.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from pipeline.keeping import Fact
from pipeline.pricing.charging_pieces import Cuts, Phase, Piece
from schemas import session_price as documents
from schemas.band import DAY_TYPES, HOLIDAY
from schemas.charge import Part
from schemas.field import DAY_MINUTES, number_text
from schemas.fixed_point import (
    AMOUNT_SCALE,
    HUNDRED_PERCENT,
    PRICE_SCALE,
    QUANTITY_ONE,
    QUANTITY_SCALE,
    RoundingMode,
    divide,
    to_fixed,
)
from schemas.instants import SECOND_US
from schemas.session_price import ONCE, Dimension

WH = QUANTITY_ONE // 1000
WEEK = DAY_TYPES[:HOLIDAY]
NAMES = {
    Dimension.FLAT: "flat fee",
    Dimension.ENERGY: "energy",
    Dimension.TIME: "time",
    Dimension.PARKING_TIME: "parking",
    Dimension.RESERVATION: "reservation",
    Dimension.RESERVATION_FEE: "reservation fee",
}
"""What parts are called. Energy counts kWh, times count hours, fees have no quantity."""
TIMED = frozenset(NAMES[dimension] for dimension in (Dimension.TIME, Dimension.PARKING_TIME, Dimension.RESERVATION))
"""The parts that count hours."""
MINIMUM, MAXIMUM = "minimum", "maximum"
_HOUR_S = 3600
"""Microseconds divided by it are millionths of an hour."""
_TIME_OF = {
    Phase.CHARGING: Dimension.TIME,
    Phase.PARKING: Dimension.PARKING_TIME,
    Phase.RESERVATION: Dimension.RESERVATION,
}


@dataclass(frozen=True, slots=True)
class Component:
    """The price of one kWh, hour or session; `step` in millionths of a kWh or microseconds, 0 is exact."""

    dimension: Dimension
    price: int
    step: int
    tax_percent: Decimal | None


@dataclass(frozen=True, slots=True)
class Element:
    """Components that hold together. Ranges are half-open, None is no bound; `days` are as date.weekday()."""

    name: str
    components: tuple[Component, ...]
    hours: tuple[int, int]
    dates: tuple[date | None, date | None]
    days: frozenset[int]
    energy: tuple[int | None, int | None]
    power: tuple[Decimal | None, Decimal | None]
    current: tuple[Decimal | None, Decimal | None]
    age: tuple[int | None, int | None]
    reservation: Literal["only", "expires"] | None

    def holds(self, piece: Piece) -> bool:
        """Whether all restrictions are met where the piece starts."""
        return self._in_phase(piece) and self._on_clock(piece.local) and self._at_level(piece)

    def component(self, dimension: Dimension) -> Component | None:
        """The price of the dimension, if the element has one."""
        return next((component for component in self.components if component.dimension is dimension), None)

    def _in_phase(self, piece: Piece) -> bool:
        match self.reservation:
            case None:
                return True
            case "only":
                return piece.phase is Phase.RESERVATION
            case "expires":
                return piece.phase is Phase.RESERVATION and piece.expired

    def _on_clock(self, local: datetime) -> bool:
        since_midnight = local.hour * 60 + local.minute
        low, high = self.hours
        in_hours = low <= since_midnight < high if low < high else since_midnight >= low or since_midnight < high
        return in_hours and local.weekday() in self.days and _within(local.date(), *self.dates)

    def _at_level(self, piece: Piece) -> bool:
        return (
            _within(min(piece.drawn, piece.drawn + piece.energy), *self.energy)
            and _within(piece.power, *self.power)
            and _within(piece.current, *self.current)
            and _within(piece.age, *self.age)
        )


class Use(NamedTuple):
    """What one component prices: `quantity` in millionths of a kWh, microseconds, or 1 for a fee."""

    element: Element
    component: Component
    quantity: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit on a session's price as amounts, without tax and with it."""

    excl: int
    incl: int | None


@dataclass(frozen=True, slots=True)
class Charging:
    """Elements in order, and where their restrictions cut the periods of a session."""

    elements: tuple[Element, ...]
    after_step: Literal["own-step", "swallowed", "parking-only"]
    minimum: Limit | None
    maximum: Limit | None
    cuts: Cuts

    def price(self, facts: Sequence[Fact]) -> list[Part]:
        """What these charging periods of one session cost; their order does not matter.

        Raises ValueError for an attribute that cannot be used: `attribute_problem` tells them beforehand.
        """
        pieces = list(self.cuts.pieces(facts))
        parts = _parts(self._stepped(list(self._uses(pieces))))
        was_connected = any(piece.phase is not Phase.RESERVATION for piece in pieces)
        return [*parts, *self._limited(parts, was_connected=was_connected)]

    def _uses(self, pieces: Iterable[Piece]) -> Iterator[Use]:
        due: set[tuple[Dimension, bool]] = set()
        for piece in pieces:
            is_reservation = piece.phase is Phase.RESERVATION
            # An expired reservation goes by the elements for expired ones first, wherever they stand (OCPI 2.2).
            holding = sorted(
                (element for element in self.elements if element.holds(piece)),
                key=lambda element: element.reservation != "expires",
            )
            for dimension, quantity in _quantities(piece):
                use = _first(holding, dimension, quantity, piece)
                once = (dimension, is_reservation)
                if use is not None and (dimension not in ONCE or once not in due):
                    due.add(once)
                    yield use

    def _stepped(self, uses: list[Use]) -> list[Use]:
        """The uses with each dimension's session total rounded up by the component that priced it last."""
        parks = any(use.component.dimension is Dimension.PARKING_TIME for use in uses)
        block = None if self.after_step == "parking-only" and parks else _excess(uses, Dimension.TIME)
        if block is not None and self.after_step == "swallowed":
            uses = [use for use in (_swallow(block, use) for use in uses) if use.quantity]
        others = (Dimension.ENERGY, Dimension.PARKING_TIME, Dimension.RESERVATION)
        excesses = [block, *(_excess(uses, dimension) for dimension in others)]
        return [*uses, *(excess for excess in excesses if excess is not None)]

    def _limited(self, parts: Sequence[Part], *, was_connected: bool) -> Iterator[Part]:
        """What brings the price without tax to its limit, and then the price with tax to its own."""
        net = sum(part.amount for part in parts)
        tax = sum(part.tax for part in parts)
        if self.minimum is not None and was_connected:
            amount = max(0, self.minimum.excl - net)
            more = 0 if self.minimum.incl is None else max(0, self.minimum.incl - (net + amount + tax))
            net, tax = net + amount, tax + more
            if amount or more:
                yield Part("", 1, 0, 0, amount, MINIMUM, "", more)
        if self.maximum is not None:
            amount = min(0, self.maximum.excl - net)
            less = 0 if self.maximum.incl is None else min(0, self.maximum.incl - (net + amount + tax))
            if amount or less:
                yield Part("", 1, 0, 0, amount, MAXIMUM, "", less)


def compile_charging(document: documents.Charging, zone: ZoneInfo) -> Charging:
    """The runnable form of a charging price for an account in this zone."""
    elements = tuple(_element(element) for element in document.elements)
    on_clock = any(e.hours != (0, DAY_MINUTES) or len(e.days) < len(WEEK) or e.dates != (None, None) for e in elements)
    minutes = {0, *(minute % DAY_MINUTES for e in elements for minute in e.hours)} if on_clock else set()
    ages = {bound for element in elements for bound in element.age if bound is not None}
    bounds = {bound for element in elements for bound in element.energy if bound is not None}
    return Charging(
        elements=elements,
        after_step=document.after_step,
        minimum=_limit(document.minimum),
        maximum=_limit(document.maximum),
        cuts=Cuts(zone, tuple(sorted(minutes)), tuple(sorted(ages)), tuple(sorted(bounds))),
    )


def _element(document: documents.Element) -> Element:
    limits = document.restrictions
    days = WEEK if limits.days is None else limits.days
    return Element(
        name=document.name or "",
        components=tuple(_component(component) for component in document.components),
        hours=(limits.start_time or 0, limits.end_time or DAY_MINUTES),
        dates=(limits.start_date, limits.end_date),
        days=frozenset(WEEK.index(day) for day in days),
        energy=(_energy(limits.min_kwh), _energy(limits.max_kwh)),
        power=(limits.min_power_kw, limits.max_power_kw),
        current=(limits.min_current_a, limits.max_current_a),
        age=(_age(limits.min_duration_s), _age(limits.max_duration_s)),
        reservation=limits.reservation,
    )


def _component(document: documents.Component) -> Component:
    step = document.step * (WH if document.dimension is Dimension.ENERGY else SECOND_US)
    return Component(document.dimension, to_fixed(document.price, PRICE_SCALE), step, document.tax_percent)


def _limit(document: documents.PriceLimit | None) -> Limit | None:
    if document is None:
        return None
    incl = None if document.incl is None else to_fixed(document.incl, AMOUNT_SCALE)
    return Limit(to_fixed(document.excl, AMOUNT_SCALE), incl)


def _energy(kwh: Decimal | None) -> int | None:
    return None if kwh is None else to_fixed(kwh, QUANTITY_SCALE)


def _age(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * SECOND_US


def _within(value: int | Decimal | date | None, low: object, high: object) -> bool:
    """Whether the value is in `[low, high)`; one that is not known is only within no bounds at all."""
    if value is None:
        return low is None and high is None
    return (low is None or low <= value) and (high is None or value < high)  # type: ignore[operator]


def _quantities(piece: Piece) -> Iterator[tuple[Dimension, int]]:
    """What of each dimension the piece has."""
    yield Dimension.FLAT, 1
    yield Dimension.ENERGY, piece.energy
    yield _TIME_OF[piece.phase], piece.end - piece.start
    if piece.phase is Phase.RESERVATION and piece.expired:
        yield Dimension.RESERVATION_FEE, 1


def _first(holding: Iterable[Element], dimension: Dimension, quantity: int, piece: Piece) -> Use | None:
    """The first of these elements that prices the dimension; flat fees of reservations stand in elements for them."""
    is_reservation = piece.phase is Phase.RESERVATION
    for element in holding:
        component = element.component(dimension)
        is_for_other_phase = dimension is Dimension.FLAT and (element.reservation is not None) is not is_reservation
        if component is not None and quantity and not is_for_other_phase:
            return Use(element, component, quantity, piece.start, piece.end)
    return None


def _excess(uses: Iterable[Use], dimension: Dimension) -> Use | None:
    """What the dimension's total lacks to whole steps of the component that priced it last, from where that ends."""
    priced = [use for use in uses if use.component.dimension is dimension]
    if not priced or not priced[-1].component.step:
        return None
    last = priced[-1]
    lacking = -sum(use.quantity for use in priced) % last.component.step
    return Use(last.element, last.component, lacking, last.end, last.end + lacking) if lacking else None


def _swallow(block: Use, use: Use) -> Use:
    """Parking without what lies in the block of time that is billed as charging."""
    if use.component.dimension is not Dimension.PARKING_TIME:
        return use
    overlap = max(0, min(use.end, block.end) - max(use.start, block.start))
    return use._replace(quantity=use.quantity - overlap)


def _parts(uses: Iterable[Use]) -> list[Part]:
    """The uses as parts: added up first, then multiplied by price and tax, then divided and rounded once."""
    sums: dict[tuple[str, Dimension, int, Decimal | None], int] = {}
    for element, component, quantity, _, _ in uses:
        is_fee = component.dimension in ONCE
        key = (element.name, component.dimension, 0 if is_fee else component.price, component.tax_percent)
        sums[key] = sums.get(key, 0) + (component.price if is_fee else quantity)
    parts = (_part(*key, total) for key, total in sums.items())
    return [part for part in parts if part.quantity or part.amount]


def _part(band: str, dimension: Dimension, price: int, percent: Decimal | None, total: int) -> Part:
    """The part for a total of energy or time, or of fees: those have no quantity and no unit price."""
    is_fee = dimension in ONCE
    numerator = total * (QUANTITY_ONE if is_fee else price)
    divisor = 1 if is_fee or dimension is Dimension.ENERGY else _HOUR_S
    amount = divide(numerator, divisor, RoundingMode.HALF_EVEN)
    quantity = 0 if is_fee else divide(total, divisor, RoundingMode.HALF_EVEN)
    if percent is None:
        return Part(band, 1, price, quantity, amount, NAMES[dimension])
    rate = to_fixed(percent, QUANTITY_SCALE)
    tax = divide(numerator * rate, divisor * HUNDRED_PERCENT, RoundingMode.HALF_EVEN)
    return Part(band, 1, price, quantity, amount, NAMES[dimension], number_text(percent), tax)
