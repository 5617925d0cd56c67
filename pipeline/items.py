"""Items: the runnable form of one item of a tariff, for one range of terms.

Nearly every item is plain: its price is a function of its bands' quantities, which are all that is kept. The others are
put together here from what their documents ask for: conversion, aggregation, groups, sessions, levels, limits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from pipeline.bands import BandTimeline
from pipeline.calendar import days_between
from pipeline.keeping import Fact, Kept, RoundEach
from pipeline.pricing import compile_bands
from pipeline.pricing.aggregates import compile_aggregate
from pipeline.pricing.bands import BandPrices
from pipeline.pricing.call import compile_call
from pipeline.pricing.charging import compile_charging
from pipeline.pricing.chronological import Chronological
from pipeline.pricing.conversion import ConvertedPrices, Measure, compile_measure
from pipeline.pricing.grouping import Grouped, Sessions
from pipeline.pricing.levels import Level
from pipeline.pricing.limits import Limits
from pipeline.pricing.models import standing_part
from pipeline.pricing.transactions import Transactions
from schemas.band import Selector
from schemas.charge import Part
from schemas.conversion import Conversion
from schemas.fixed_point import PERCENT_SCALE, PRICE_SCALE, QUANTITY_ONE, RoundingMode, step_of, to_fixed
from schemas.meter import Meter
from schemas.price import Percentage
from schemas.session_price import Call, Charging
from schemas.tariff import Tariff

NO_CONVERSION = Measure(1, 1, (), by_length=False, mode=RoundingMode.HALF_EVEN, step=None, per_record=False)
NO_PRICES = BandPrices((), ())


@dataclass(frozen=True, slots=True)
class Selected:
    """A set of bands for some usage: when each holds, and their indices in the item."""

    selector: Selector
    timeline: BandTimeline
    bands: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """How an item's usage is measured, kept and priced. `standing` is due without usage, `selected` by rank, `required`
    are the attributes that a record has to have.

    `kept` None: the bands' quantities are all that counts, and `prices` is their price.
    """

    prices: BandPrices | ConvertedPrices
    timeline: BandTimeline | None
    selected: tuple[Selected, ...] = ()
    kept: Kept | None = None
    measure: Measure = NO_CONVERSION
    counts: bool = False
    standing: tuple[Part, ...] = ()
    limits: Limits | None = None
    round_each: RoundEach | None = None
    where: tuple[tuple[str, str], ...] = ()
    is_whole: bool = False
    bands: int = 1
    required: tuple[str, ...] = ()

    @property
    def is_raw(self) -> bool:
        """Whether measured quantities are kept, and converted when they are priced."""
        return self.kept is not None and not (self.kept.is_sum or self.kept.is_weighed)

    @property
    def is_plain(self) -> bool:
        """Whether a record is added to its band's quantity as it is, and nothing else is done."""
        return (
            self.kept is None
            and not self.selected
            and self.measure is NO_CONVERSION
            and not self.standing
            and self.limits is None
            and not self.where
            and not self.is_whole
        )


@dataclass(frozen=True, slots=True)
class Range:
    """The range `[start, end)` of a billing period for which an item is made."""

    start: int
    end: int
    period: tuple[int, int]
    zone: ZoneInfo

    @property
    def days(self) -> int:
        """The local dates that begin in it."""
        return days_between(self.start, self.end, self.zone)


def make_item(tariff: Tariff, rules: Meter, span: Range) -> Item:
    """The item for a range."""
    selected = _selected(tariff, rules, span)
    timeline = None
    if rules.bands:
        plain = not selected
        timeline = BandTimeline(tariff, rules.bands, span.zone, span.start, span.end) if plain else selected[0].timeline
    days: Callable[[str | None], int] = timeline.days if timeline else lambda _: span.days
    measure = _measure(rules.convert, span)
    kept = _kept(rules, measure, days, span)
    prices = NO_PRICES if kept is not None else _prices(rules, measure, days)
    names = [band.name for band in rules.bands] if rules.bands else [""]
    standing = [standing_part(name, price) for name, price in zip(names, rules.prices, strict=True)]
    counts = rules.aggregation.function == "count"
    return Item(
        prices=prices,
        timeline=timeline,
        selected=selected,
        kept=kept,
        measure=measure,
        counts=counts,
        standing=tuple(part for part in standing if part is not None),
        limits=_limits(rules),
        round_each=_round_each(rules),
        where=tuple(rules.where.items()),
        is_whole=counts or (kept is not None and kept.is_whole),
        bands=len(names),
        required=_required(rules),
    )


def _selected(tariff: Tariff, rules: Meter, span: Range) -> tuple[Selected, ...]:
    """The sets of bands, the most special one first; none where there is one set for all usage."""
    sets: dict[Selector, list[int]] = {}
    for index, band in enumerate(rules.bands or ()):
        sets.setdefault(band.selector, []).append(index)
    if all(selector.rank == (0, 0) for selector in sets):
        return ()
    bands = rules.bands or ()
    made = [
        Selected(
            selector,
            BandTimeline(tariff, [bands[index] for index in indices], span.zone, span.start, span.end),
            tuple(indices),
        )
        for selector, indices in sets.items()
    ]
    return tuple(sorted(made, key=lambda one: one.selector.rank, reverse=True))


def _measure(conversion: Conversion | None, span: Range) -> Measure:
    if conversion is None:
        return NO_CONVERSION
    return compile_measure(conversion, span.days, span.period[1] - span.period[0])


def _prices(
    rules: Meter, measure: Measure, days: Callable[[str | None], int], *, times: int = 1
) -> BandPrices | ConvertedPrices:
    """The prices of totals that are `times` more than measured ones."""
    divisor = measure.divisor * times
    if divisor == 1 and (measure.step is None or measure.per_record):
        return compile_bands(rules, days)
    step = None if measure.per_record else measure.step
    inner = compile_bands(rules, days, 1 if step is not None else divisor)
    return ConvertedPrices(inner, divisor, measure.mode, step)


def _kept(rules: Meter, measure: Measure, days: Callable[[str | None], int], span: Range) -> Kept | None:
    """What is kept beside quantities, and its price; None where quantities are enough."""
    names = tuple(band.name for band in rules.bands) if rules.bands else ("",)
    if isinstance(rules.prices[0], Call | Charging | Percentage):
        return _by_record(rules, names, span.zone)
    aggregation = rules.aggregation
    if aggregation.function in ("average", "level"):
        length = span.period[1] - span.period[0] if aggregation.function == "average" else 1
        return Level(
            function=aggregation.function,
            prices=_prices(rules, measure, days, times=length),
            numerator=measure.numerator,
            start=span.start,
            end=span.end,
            days=days_between(*span.period, span.zone),
            zone=span.zone,
        )
    if rules.tiers_across_bands == "chronological":
        seasons = tuple(band.season for band in rules.bands or ())
        return Chronological(compile_bands(rules, days, measure.divisor), seasons, measure.divisor)
    is_total = rules.priced_per == "period" and aggregation.function in ("sum", "count")
    if is_total and aggregation.at_least is None:
        return None
    return _grouped(rules, measure, days, span)


def _round_each(rules: Meter) -> RoundEach | None:
    """How the price of each group is rounded; `Meter` lets nothing else be."""
    if rules.round_each is None:
        return None
    return RoundEach(step_of(rules.round_each.decimals), rules.round_each.mode)


def _required(rules: Meter) -> tuple[str, ...]:
    """The attributes without which a record cannot be grouped or counted."""
    return tuple(name for name in (rules.resource, rules.aggregation.attribute) if name is not None)


def _grouped(rules: Meter, measure: Measure, days: Callable[[str | None], int], span: Range) -> Grouped:
    aggregation = rules.aggregation
    sums = aggregation.function == "sum"
    return Grouped(
        aggregate=compile_aggregate(aggregation, measure.numerator if sums else 1),
        numerator=1 if sums else measure.numerator,
        prices=_prices(rules, measure, days),
        per=rules.priced_per,
        resource=rules.resource or "",
        zone=span.zone,
        attributes=_required(rules),
        is_whole=aggregation.function in ("count", "unique", "max", "latest", "percentile")
        or rules.priced_per in ("record", "session"),
        is_sum=sums and rules.priced_per != "record",
        is_weighed=sums,
    )


def _by_record(rules: Meter, names: tuple[str, ...], zone: ZoneInfo) -> Kept:
    """Prices of whole transactions or sessions; `Meter` lets no item mix them."""
    percentages = tuple(price for price in rules.prices if isinstance(price, Percentage))
    if percentages:
        return Transactions(names, percentages)
    prices: list[Callable[[Sequence[Fact]], list[Part]]] = []
    attributes: tuple[str, ...] = ()
    for price in rules.prices:
        if isinstance(price, Call):
            prices.append(compile_call(price).price)
        elif isinstance(price, Charging):
            prices.append(compile_charging(price, zone).price)
            attributes = CHARGING_ATTRIBUTES
    is_shared = any(isinstance(price, Call) and price.included_s for price in rules.prices)
    return Sessions(names, tuple(prices), is_shared, attributes=attributes)


CHARGING_ATTRIBUTES = ("phase", "power_kw", "current_a", "expired")


def _limits(rules: Meter) -> Limits | None:
    if rules.discount_percent is None and rules.maximum is None:
        return None
    discount = 0 if rules.discount_percent is None else to_fixed(rules.discount_percent, PERCENT_SCALE)
    maximum = None if rules.maximum is None else to_fixed(rules.maximum, PRICE_SCALE) * QUANTITY_ONE
    return Limits(discount, maximum)


def select(selected: Sequence[Selected], meter: str, attributes: Mapping[str, str]) -> Selected | None:
    """The set of bands that some usage takes; None where no set is for it."""
    return next((one for one in selected if one.selector.fits(meter, attributes)), None)
