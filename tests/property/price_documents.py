"""Strategies: a price of every model, with every option, and items around them: bands, conversions, groups, limits."""

from decimal import Decimal

from hypothesis import strategies as st

from tests.small_books import Json

SEASONS = {"cold": {"from": "11-01", "to": "02-20"}, "warm": {"from": "02-21", "to": "10-31"}}
HOLIDAYS = ("01-26", "2024-02-29")
LAYOUTS: tuple[tuple[Json, ...], ...] = (
    ({"name": "day", "hours": ["08:00-20:00"]}, {"name": "night"}),
    (
        {"name": "one", "hours": ["01:00-03:30"]},
        {"name": "weekend", "days": ["weekends"], "hours": ["12:00-24:00"]},
        {"name": "rest"},
    ),
    ({"name": "holiday", "days": ["holidays"]}, {"name": "rest"}),
    (
        {"name": "cold-day", "season": "cold", "hours": ["06:00-18:00"]},
        {"name": "cold", "season": "cold"},
        {"name": "warm", "season": "warm"},
    ),
)
BY_ATTRIBUTE: tuple[tuple[Json, ...], ...] = (
    ({"name": "eu", "where": {"region": "eu-*"}}, {"name": "elsewhere"}),
    (
        {"name": "north-day", "where": {"region": "eu-north"}, "hours": ["07:00-19:00"]},
        {"name": "north-night", "where": {"region": "eu-north"}},
        {"name": "a", "where": {"region": "eu-*", "instance": "a"}},
        {"name": "eu", "where": {"region": "eu-*"}},
        {"name": "rest"},
    ),
)
"""The attributes are those of `usage` in strategies.py."""


def decimals(low: int, high: int, places: int) -> st.SearchStrategy[str]:
    """Numbers from `low` to `high` with at most so many decimals, as text."""
    scaled = st.integers(low * 10**places, high * 10**places)
    return scaled.map(lambda number: f"{Decimal(number).scaleb(-places):f}")


unit_prices = st.one_of(decimals(0, 2, 2), decimals(-1, 3, 5), st.just("0.000000000001"))
positive_prices = st.one_of(decimals(0, 2, 2), decimals(0, 3, 5), st.just("0.000000000001"))
fees_of_tiers = st.one_of(st.just("0"), decimals(0, 5, 2))
free_units = st.one_of(st.just("0"), decimals(0, 20, 1))
percents = st.one_of(decimals(0, 9, 1), decimals(-2, 5, 10))


@st.composite
def bounds(draw: st.DrawFn) -> list[str | None]:
    steps = draw(st.lists(st.one_of(decimals(1, 40, 0), decimals(1, 9, 6)), max_size=3))
    found: list[str | None] = []
    reached = Decimal(0)
    for step in steps:
        reached += Decimal(step)
        found.append(f"{reached:f}")
    return [*found, None]


@st.composite
def tiered(draw: st.DrawFn, model: str | None = None, *, flat_fees: bool = True) -> Json:
    """A graduated or volume price."""
    chosen = model or draw(st.sampled_from(["graduated", "volume"]))
    price: Json = {
        "model": chosen,
        "tiers_per": draw(st.sampled_from(["period", "day"])),
        "free_units": draw(free_units),
        "tiers": [
            {"up_to": up_to, "unit_price": draw(unit_prices), "flat_fee": draw(fees_of_tiers) if flat_fees else "0"}
            for up_to in draw(bounds())
        ],
    }
    if flat_fees:
        price["first_flat_fee"] = draw(st.sampled_from(["on-usage", "always"]))
    price["on_bound"] = draw(st.sampled_from(["lower", "upper"]))
    if chosen == "volume":
        price["between_bounds"] = draw(st.sampled_from(["next-tier", "unpriced"]))
    return price


per_units = st.fixed_dictionaries({"model": st.just("per_unit"), "unit_price": unit_prices, "free_units": free_units})
packages = st.fixed_dictionaries(
    {
        "model": st.just("package"),
        "size": st.one_of(decimals(1, 20, 0), decimals(1, 3, 6)),
        "package_price": unit_prices,
        "free_units": free_units,
    }
)


@st.composite
def graduated_percentages(draw: st.DrawFn) -> Json:
    return {
        "model": "graduated_percentage",
        "first_flat_fee": draw(st.sampled_from(["on-usage", "always"])),
        "free_units": draw(free_units),
        "tiers": [
            {"up_to": up_to, "percent": draw(percents), "flat_fee": draw(fees_of_tiers)} for up_to in draw(bounds())
        ],
    }


@st.composite
def commitments(draw: st.DrawFn) -> Json:
    by = draw(st.sampled_from(["quantity", "amount"]))
    return {
        "model": "commitment",
        "unit_price": draw(st.sampled_from(["0.01", "0.7", "2", "1.23457"])),
        by: draw(decimals(0, 30, 3)),
        "overage_factor": draw(st.sampled_from(["2", "1.5", "0.333333"])),
        "true_up": draw(st.booleans()),
    }


prices = st.one_of(per_units, tiered(), packages, graduated_percentages(), commitments())
"""Prices of a quantity."""


@st.composite
def percentages(draw: st.DrawFn) -> Json:
    price: Json = {"model": "percentage", "percent": draw(percents), "fixed_per_event": draw(fees_of_tiers)}
    price["free_events"] = draw(st.none() | st.integers(0, 4))
    price["free_amount"] = draw(st.none() | decimals(0, 60, 1))
    price["min_per_event"] = draw(st.none() | decimals(0, 1, 2))
    price["max_per_event"] = draw(st.none() | decimals(1, 5, 2))
    return {key: value for key, value in price.items() if value is not None}


@st.composite
def calls(draw: st.DrawFn) -> Json:
    begins = [0, *sorted(draw(st.sets(st.integers(1, 40), max_size=2)))]
    price: Json = {
        "model": "call",
        "connection_fee": draw(fees_of_tiers),
        "slots": [
            {
                "from_s": begin,
                "rate": draw(positive_prices),
                "unit_s": draw(st.sampled_from([1, 7, 60])),
                "increment_s": draw(st.sampled_from([1, 6, 30, 60])),
            }
            for begin in begins
        ],
        "seconds": draw(st.sampled_from(["exact", "up", "down", "half-up"])),
        "included_s": draw(st.sampled_from([0, 0, 10, 45])),
    }
    if draw(st.booleans()):
        price["increment_decimals"] = draw(st.integers(2, 5))
    if draw(st.booleans()):
        price |= {"decimals": draw(st.integers(1, 4)), "mode": draw(st.sampled_from(["up", "down", "half-even"]))}
    if draw(st.booleans()):
        price |= {"maximum": draw(decimals(0, 9, 2)), "beyond_maximum": draw(st.sampled_from(["free", "charged"]))}
    return price


RESTRICTIONS: tuple[Json, ...] = (
    {},
    {"start_time": "17:00", "end_time": "20:00"},
    {"start_time": "22:00", "end_time": "06:00"},
    {"days": ["sat", "sun"]},
    {"max_kwh": "1.5"},
    {"min_kwh": "0.5", "max_kwh": "4.2"},
    {"min_power_kw": "16"},
    {"max_current_a": "20"},
    {"min_duration_s": 1800},
    {"max_duration_s": 1200},
    {"start_date": "2024-02-10", "end_date": "2024-03-05"},
)
RESERVED: tuple[Json, ...] = ({"reservation": "only"}, {"reservation": "expires"})


@st.composite
def chargings(draw: st.DrawFn) -> Json:
    """OCPI elements: some with restrictions, one without them at the end."""
    limits = draw(st.lists(st.sampled_from(RESTRICTIONS[1:] + RESERVED), max_size=2))
    elements = []
    for index, restrictions in enumerate([*limits, {}]):
        connected = "reservation" not in restrictions
        dimensions = ["flat", "energy", "time", "parking_time"] if connected else ["flat", "reservation"]
        if restrictions.get("reservation") == "expires":
            dimensions.append("reservation_fee")
        chosen = draw(st.sets(st.sampled_from(dimensions), min_size=1))
        components = [draw(_components(dimension)) for dimension in sorted(chosen)]
        elements.append({"name": f"e{index}", "components": components, "restrictions": restrictions})
    price: Json = {"model": "charging", "elements": elements}
    price["after_step"] = draw(st.sampled_from(["own-step", "swallowed", "parking-only"]))
    if draw(st.booleans()):
        price["minimum"] = draw(st.sampled_from([{"excl": "1"}, {"excl": "1.5", "incl": "2"}]))
    if draw(st.booleans()):
        price["maximum"] = draw(st.sampled_from([{"excl": "4"}, {"excl": "2", "incl": "2.25"}]))
    return price


@st.composite
def _components(draw: st.DrawFn, dimension: str) -> Json:
    component: Json = {"dimension": dimension, "price": draw(positive_prices)}
    if dimension not in ("flat", "reservation_fee"):
        component["step"] = draw(st.sampled_from([0, 0, 1, 300, 900]))
    percent = draw(st.sampled_from([None, "10", "7.7"]))
    return component if percent is None else {**component, "tax_percent": percent}


@st.composite
def banded(draw: st.DrawFn, of: st.SearchStrategy[Json], *, by_attribute: bool = True) -> Json:
    """One of these prices, or one for each band."""
    kinds = ["price", "price", "time", *(["attribute"] if by_attribute else [])]
    kind = draw(st.sampled_from(kinds))
    if kind == "price":
        return {"price": draw(of)}
    layout = draw(st.sampled_from(LAYOUTS if kind == "time" else BY_ATTRIBUTE))
    return {"bands": [{**band, "price": draw(of)} for band in layout]}


@st.composite
def across_bands(draw: st.DrawFn, how: str) -> Json:
    """Bands that share their tiers: of one shape where they are filled pro rata."""
    layout = draw(st.sampled_from(LAYOUTS))
    if how == "chronological":
        of = st.one_of(per_units, tiered("graduated"))
        return {"bands": [{**band, "price": draw(of)} for band in layout], "tiers_across_bands": how}
    shape = draw(tiered("graduated", flat_fees=False))
    bands = [
        {**band, "price": {**shape, "tiers": [{**t, "unit_price": draw(unit_prices)} for t in shape["tiers"]]}}
        for band in layout
    ]
    return {"bands": bands, "tiers_across_bands": how}


@st.composite
def meters(draw: st.DrawFn) -> Json:
    """The keys of a meter whose usage is spread over time: one price, bands of their own, or bands that share tiers."""
    rules = {"negative": draw(st.sampled_from(["accept", "reject"]))}
    kind = draw(st.sampled_from(["own", "own", "pro-rata"]))
    return {**rules, **draw(across_bands(kind) if kind == "pro-rata" else banded(prices, by_attribute=False))}


@st.composite
def conversions(draw: st.DrawFn, *, by_constants: bool = False, rounds: bool = True) -> Json:
    """Units of what is priced; divisors that leave remainders are the point."""
    found: Json = {"unit": "unit"}
    found["multiply_by"] = draw(st.sampled_from(["1", "3", "0.7"]))
    found["divide_by"] = draw(st.sampled_from(["1", "7", "60", "1024"]))
    times: list[str | None] = [None, "days"]
    if not by_constants:
        found["attributes"] = draw(st.sampled_from([[], ["seconds"], ["seconds", "memory_mb"]]))
        times.append("hours")
    found["times"] = draw(st.sampled_from(times))
    found["over"] = draw(st.sampled_from([None, None, "period"]))
    if rounds and draw(st.booleans()):
        found |= {"round": draw(st.sampled_from(["up", "down", "half-up", "half-even"]))}
        found |= {"decimals": draw(st.sampled_from([0, 0, 2]))}
        found |= {"round_per": "total" if by_constants else draw(st.sampled_from(["total", "record"]))}
    return found


FUNCTIONS: tuple[Json, ...] = (
    {"function": "sum"},
    {"function": "sum"},
    {"function": "count"},
    {"function": "max"},
    {"function": "latest"},
    {"function": "unique", "attribute": "user"},
    {"function": "percentile", "percentile": "95"},
    {"function": "percentile", "percentile": "33.3"},
    {"function": "demand", "interval_minutes": 15},
    {"function": "demand"},
)
GROUPS: tuple[Json, ...] = (
    {"priced_per": "period"},
    {"priced_per": "record"},
    {"priced_per": "session"},
    {"priced_per": "hour"},
    {"priced_per": "day"},
    {"priced_per": "resource", "resource": "instance"},
)


@st.composite
def summed_items(draw: st.DrawFn) -> Json:
    """A total or totals of bands, converted or not."""
    item = draw(banded(prices))
    return {**item, "convert": draw(conversions())} if draw(st.booleans()) else item


@st.composite
def grouped_items(draw: st.DrawFn) -> Json:
    """Aggregations of all kinds, for all that can be priced by itself."""
    group = draw(st.sampled_from(GROUPS))
    item: Json = draw(banded(prices if group == GROUPS[0] else prices.map(_due_with_usage)))
    aggregation = dict(draw(st.sampled_from(FUNCTIONS)))
    if draw(st.booleans()):
        aggregation["at_least"] = draw(decimals(0, 20, 1))
    item |= {"aggregation": aggregation, **group}
    if draw(st.booleans()):
        item["convert"] = draw(conversions(by_constants=aggregation != {"function": "sum"}))
    return item


def _due_with_usage(price: Json) -> Json:
    return {key: value for key, value in price.items() if key != "first_flat_fee"}


@st.composite
def shared_items(draw: st.DrawFn, how: str) -> Json:
    """Tiers that several bands fill, pro rata or in the order of time."""
    item: Json = draw(across_bands(how))
    if draw(st.booleans()):
        item["convert"] = draw(conversions(rounds=how == "pro-rata"))
    return item


@st.composite
def level_items(draw: st.DrawFn) -> Json:
    """A level that records raise and lower."""
    item: Json = {"price": draw(prices), "aggregation": {"function": draw(st.sampled_from(["average", "level"]))}}
    return {**item, "convert": draw(conversions(by_constants=True))} if draw(st.booleans()) else item


def session_items(of: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """Calls, charging sessions or transactions, with a price for each band where there are any."""
    return banded(of)


KINDS: dict[str, st.SearchStrategy[Json]] = {
    "summed": summed_items(),
    "grouped": grouped_items(),
    "pro-rata": shared_items("pro-rata"),
    "chronological": shared_items("chronological"),
    "level": level_items(),
    "percentage": session_items(percentages()),
    "call": session_items(calls()),
    "charging": session_items(chargings()),
}
CARRIED = "level"


@st.composite
def items(draw: st.DrawFn, *kinds: str) -> Json:
    """The keys of an item of these kinds, by default of all, with a discount and a maximum now and then."""
    item = dict(draw(KINDS[draw(st.sampled_from(kinds or tuple(KINDS)))]))
    if draw(st.integers(0, 3)) == 0:
        item["discount_percent"] = draw(st.sampled_from(["50", "12.345678"]))
    if draw(st.integers(0, 3)) == 0:
        item["maximum"] = draw(decimals(10, 40, 2))
    return item
