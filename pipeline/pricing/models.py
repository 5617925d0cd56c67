"""Price models of quantities: the document of each becomes its runnable form."""

from decimal import Decimal
from typing import Protocol, assert_never

from pipeline.pricing.committed import Committed
from pipeline.pricing.package import Package
from pipeline.pricing.tiered import FlatOnBound, Graduated, Tier
from pipeline.pricing.volume import Volume
from schemas import price as documents
from schemas.charge import Part
from schemas.fixed_point import PRICE_SCALE, QUANTITY_ONE, QUANTITY_SCALE, to_fixed
from schemas.session_price import Call, Charging


class Price(Protocol):
    """A compiled price model. Quantities, prices and amounts are fixed point."""

    def between(self, band: str, before: int, after: int) -> list[Part]:
        """What going from the total `before` to the total `after` adds to the price."""


def compile_price(  # noqa: PLR0911 - one for each model
    price: documents.Price, days: int, fineness: int = 1
) -> Price:
    """The runnable form of a price document, for quantities times `fineness`; `days` multiplies bounds per day.

    Raises TypeError for a price that is not one of quantities alone.
    """
    match price:
        case documents.PerUnit():
            free = _quantity(price.free_units) * fineness
            return Graduated(_with_free(free, (Tier(1, 0, None, _price(price.unit_price), 0),)))
        case documents.Graduated():
            tiers = _with_free(_free_units(price, days) * fineness, _tiers(price, days, fineness))
            if price.on_bound == "upper" and any(tier.flat_fee for tier in tiers):
                return FlatOnBound(tiers)
            return Graduated(tiers)
        case documents.Volume():
            return Volume(
                _tiers(price, days, fineness),
                _free_units(price, days) * fineness,
                ends_before_bound=price.on_bound == "upper",
                gap=QUANTITY_ONE * fineness if price.between_bounds == "unpriced" else 0,
                is_due_unused=price.first_flat_fee == "always",
            )
        case documents.Package():
            size, free = _quantity(price.size) * fineness, _quantity(price.free_units) * fineness
            return Package(size, _price(price.package_price), free, fineness)
        case documents.GraduatedPercentage():
            return Graduated(_with_free(_quantity(price.free_units) * fineness, _percentage_tiers(price, fineness)))
        case documents.Commitment():
            return _commitment(price, fineness)
        case documents.Percentage() | Call() | Charging():
            raise TypeError(f"{price.model} prices records or sessions, not quantities")
        case _:
            assert_never(price)


def standing_part(band: str, price: documents.Price) -> Part | None:
    """What a price asks for without any usage; None where that is nothing."""
    if isinstance(price, documents.Graduated | documents.Volume | documents.GraduatedPercentage):
        fee = _price(price.tiers[0].flat_fee) * QUANTITY_ONE
        if fee and price.first_flat_fee == "always":
            return Part(band, 1, 0, 0, fee)
    return None


def _commitment(price: documents.Commitment, fineness: int) -> Committed:
    unit_price = _price(price.unit_price)
    if price.quantity is not None:
        committed = _quantity(price.quantity) * unit_price
    else:
        committed = _price(price.amount or Decimal(0)) * QUANTITY_ONE
    return Committed(unit_price, committed * fineness, _quantity(price.overage_factor), is_trued_up=price.true_up)


def _percentage_tiers(price: documents.GraduatedPercentage, fineness: int) -> tuple[Tier, ...]:
    tiers = []
    lower = 0
    for number, tier in enumerate(price.tiers, 1):
        upper = None if tier.up_to is None else _quantity(tier.up_to) * fineness
        unit_price = to_fixed(tier.percent, PRICE_SCALE - 2)
        tiers.append(Tier(number, lower, upper, unit_price, _flat_fee(price, number, fineness)))
        lower = upper or 0
    return tuple(tiers)


def _flat_fee(
    price: documents.Graduated | documents.Volume | documents.GraduatedPercentage, number: int, fineness: int
) -> int:
    """A tier's flat fee; the first one of a graduated price is no matter of usage where it is always due."""
    if number == 1 and price.first_flat_fee == "always" and price.model != "volume":
        return 0
    return _price(price.tiers[number - 1].flat_fee) * QUANTITY_ONE * fineness


def _tiers(price: documents.Graduated | documents.Volume, days: int, fineness: int) -> tuple[Tier, ...]:
    times = days if price.tiers_per == "day" else 1
    tiers = []
    lower = 0
    for number, tier in enumerate(price.tiers, 1):
        upper = None if tier.up_to is None else _quantity(tier.up_to) * times * fineness
        tiers.append(Tier(number, lower, upper, _price(tier.unit_price), _flat_fee(price, number, fineness)))
        lower = upper or 0
    return tuple(tiers)


def _free_units(price: documents.Graduated | documents.Volume, days: int) -> int:
    return _quantity(price.free_units) * (days if price.tiers_per == "day" else 1)


def _with_free(free: int, tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """The tiers moved up by the free units, which become tier 0."""
    if not free:
        return tiers
    moved = (
        Tier(t.number, t.lower + free, None if t.upper is None else t.upper + free, t.unit_price, t.flat_fee)
        for t in tiers
    )
    return (Tier(0, 0, free, 0, 0), *moved)


def _quantity(value: Decimal) -> int:
    return to_fixed(value, QUANTITY_SCALE)


def _price(value: Decimal) -> int:
    return to_fixed(value, PRICE_SCALE)
