"""Coverage: what a contract or an export says that the oracle does not work out.

Silence about it would be a lie, so the documents are held against lists of all that is covered: a key or value that is
in none of them is named, whatever it means. The accounts that it concerns are then left out of the comparison.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.oracle.contracts import Contracts
from tests.oracle.exported import Exported
from tests.oracle.items import Document

AccountKey = tuple[str, str]


class Gap(NamedTuple):
    """Something that is not worked out, and the accounts that it concerns."""

    what: str
    accounts: frozenset[AccountKey]


Shape = object
"""ANY: a text; a set: one of these texts; a dict: a mapping with these keys; a list: a list of such."""

ANY = "any"


class _Named(dict[str, Shape]):
    """A mapping with any keys, all of one shape."""


_TAX = [{"name": ANY, "percent": ANY}]
_CONDITIONS = _Named({"": ANY})
_TIERED = {
    "model": ANY,
    "first_flat_fee": ANY,
    "on_bound": {"lower", "upper"},
    "tiers_per": {"period", "day"},
    "free_units": ANY,
    "tiers": [{"up_to": ANY, "unit_price": ANY, "flat_fee": ANY}],
}
_PRICES: Mapping[str, Shape] = {
    "per_unit": {"model": ANY, "unit_price": ANY, "free_units": ANY},
    "graduated": _TIERED,
    "volume": {**_TIERED, "between_bounds": {"next-tier", "unpriced"}},
    "package": {"model": ANY, "size": ANY, "package_price": ANY, "free_units": ANY},
    "graduated_percentage": {
        "model": ANY,
        "first_flat_fee": ANY,
        "free_units": ANY,
        "tiers": [{"up_to": ANY, "percent": ANY, "flat_fee": ANY}],
    },
    "percentage": {
        "model": ANY,
        "percent": ANY,
        "fixed_per_event": ANY,
        "free_events": ANY,
        "free_amount": ANY,
        "min_per_event": ANY,
        "max_per_event": ANY,
    },
    "call": {
        "model": ANY,
        "connection_fee": ANY,
        "slots": [{"from_s": ANY, "rate": ANY, "unit_s": ANY, "increment_s": ANY}],
        "seconds": {"exact", "up", "down", "half-up"},
        "included_s": ANY,
        "increment_decimals": ANY,
        "decimals": ANY,
        "mode": {"half-up", "half-even", "up", "down"},
        "maximum": ANY,
        "beyond_maximum": {"free", "charged"},
    },
    "commitment": {
        "model": ANY,
        "unit_price": ANY,
        "quantity": ANY,
        "amount": ANY,
        "overage_factor": ANY,
        "true_up": {"true", "false"},
    },
}
_FEES = [
    {
        "name": ANY,
        "amount": ANY,
        "quantity": ANY,
        "per": {"period", "day", "month", "quarter", "year", "once"},
        "due": {"arrears", "advance"},
        "prorate": {"days", "thirty", "none"},
        "tax": _TAX,
    }
]
_BANDS = [
    {
        "name": ANY,
        "season": ANY,
        "days": [ANY],
        "hours": [ANY],
        "where": _CONDITIONS,
        "meters": [ANY],
        "price": _PRICES,
    }
]
_MODES = {"half-up", "half-even", "up", "down"}
_METER = {
    "usage_of": [ANY],
    "where": _CONDITIONS,
    "unit": ANY,
    "decimals": ANY,
    "excess_decimals": {"round", "reject"},
    "negative": {"reject", "accept"},
    "convert": {
        "unit": ANY,
        "multiply_by": ANY,
        "attributes": [ANY],
        "times": {"none", "hours", "days"},
        "divide_by": ANY,
        "over": {"none", "period"},
        "round": {"none", *_MODES},
        "decimals": ANY,
        "round_per": {"total", "record"},
    },
    "aggregation": {
        "function": {"sum", "count", "max", "latest", "unique", "percentile", "demand"},
        "attribute": ANY,
        "percentile": ANY,
        "interval_minutes": ANY,
        "at_least": ANY,
    },
    "priced_per": {"period", "record", "session", "hour", "day", "resource"},
    "resource": ANY,
    "round_each": {"decimals": ANY, "mode": _MODES},
    "tiers_across_bands": {"separate", "pro-rata", "chronological"},
    "discount_percent": ANY,
    "maximum": ANY,
    "minimum": ANY,
    "tax": _TAX,
    "price": _PRICES,
    "bands": _BANDS,
}
_TARIFF: Mapping[str, Shape] = {
    "tariff": ANY,
    "version": ANY,
    "effective_from": ANY,
    "currency": ANY,
    "description": ANY,
    "tax": _TAX,
    "rounding": {
        "at": {"line", "total"},
        "decimals": ANY,
        "mode": _MODES,
        "tax_base": {"rounded", "exact"},
        "tax_at": {"section", "line"},
    },
    "seasons": _Named({"": {"from": ANY, "to": ANY}}),
    "holidays": [ANY],
    "minimum": {
        "amount": ANY,
        "prorate": {"days", "thirty", "none"},
        "counts": {"usage", "usage-and-fees"},
        "base": {"exact", "rounded"},
        "tax": _TAX,
    },
    "maximum": {"amount": ANY, "prorate": {"days", "none"}},
    "surcharges": [{"name": ANY, "percent": ANY, "of": [ANY], "base": {"exact", "rounded"}, "tax": _TAX}],
    "fees": _FEES,
    "closing": {"grace_s": ANY, "lateness_s": ANY, "silence_s": ANY, "late": {"next-statement"}},
    "meters": _Named({"": _METER}),
}
_ACCOUNT: Mapping[str, Shape] = {
    "account": ANY,
    "tenant": ANY,
    "zone": ANY,
    "currency": ANY,
    "billing_day": ANY,
    "tax": _TAX,
    "fees": _FEES,
    "cycle": {"every": ANY, "unit": {"month", "quarter", "year", "week", "day"}, "anchor": ANY},
    "clock": {"zone", "fixed-offset"},
    "tariffs": [{"tariff": ANY, "from": ANY, "until": ANY, "last_day": ANY}],
    "coupons": [
        {"name": ANY, "amount": ANY, "percent": ANY, "from": ANY, "until": ANY, "periods": ANY, "meters": [ANY]}
    ],
    "credits": [{"name": ANY, "amount": ANY, "from": ANY, "until": ANY, "priority": ANY}],
}
_LINE_KINDS = {"usage", "recurring", "true_up", "adjustment", "discount"}
_CHARGE_KINDS = {"usage", "adjustment", "reversal", "recurring", "true_up", "credit"}


def gaps_of(contracts: Contracts, export: Exported) -> list[Gap]:
    """All that is not worked out, each thing once."""
    found = [*_tariff_gaps(contracts), *_account_gaps(contracts), *_export_gaps(export)]
    accounts: dict[str, frozenset[AccountKey]] = {}
    for gap in found:
        accounts[gap.what] = accounts.get(gap.what, frozenset()) | gap.accounts
    return [Gap(what, concerned) for what, concerned in accounts.items()]


def _tariff_gaps(contracts: Contracts) -> Iterator[Gap]:
    """Of the tariffs that an account has; a tariff that nobody has bills nothing."""
    for document in contracts.tariff_documents:
        name, version = document["tariff"], document["version"]
        concerned = frozenset(
            key
            for key, account in contracts.accounts.items()
            if any((e.tariff.name, e.tariff.version) == (name, version) for e in account.assignments)
        )
        if concerned:
            paths = [*_strange(document, _TARIFF), *_combinations(document)]
            yield from (Gap(f"tariff {name} {version}: {path}", concerned) for path in paths)


def _account_gaps(contracts: Contracts) -> Iterator[Gap]:
    for document in contracts.account_documents:
        key = (document.get("tenant", "default"), document["account"])
        yield from (Gap(f"account {key[1]}: {path}", frozenset([key])) for path in _strange(document, _ACCOUNT))


def _export_gaps(export: Exported) -> Iterator[Gap]:
    """What statements and charges have that no covered contract leads to, or that is not read at all."""
    yield from (Gap(f"export: {key}", frozenset()) for key in sorted(export.unknown))
    for statement in export.statements:
        concerned = frozenset([(statement.tenant, statement.account)])
        named = f"account {statement.account}, statement"
        if statement.kind != "statement" or statement.number:
            yield Gap(f"{named}: kind {statement.kind}", concerned)
        if statement.revision != 1 and statement.kind == "statement":
            yield Gap(f"{named}: revision {statement.revision}", concerned)
        for line in statement.lines:
            if line.kind not in _LINE_KINDS:
                yield Gap(f"{named}: line of kind {line.kind}", concerned)
    for charge in export.charges:
        if charge.kind not in _CHARGE_KINDS:
            what = f"account {charge.account}: charge of kind {charge.kind}"
            yield Gap(what, frozenset([(charge.tenant, charge.account)]))


def _strange(value: object, shape: Shape, path: str = "") -> Iterator[str]:
    """The paths of all that the shape does not have."""
    if isinstance(value, dict) and isinstance(shape, Mapping):
        yield from _strange_in_mapping(value, shape, path)
    elif isinstance(value, list) and isinstance(shape, list):
        for number, inner in enumerate(value):
            name = inner.get("name", str(number)) if isinstance(inner, dict) else str(number)
            yield from _strange(inner, shape[0], _below(path, name))
    elif isinstance(value, str) and isinstance(shape, set):
        if value not in shape:
            yield f"{path} {value}"
    elif shape is not ANY or not isinstance(value, str):
        yield path


def _strange_in_mapping(value: Document, shape: Mapping[str, Shape], path: str) -> Iterator[str]:
    if shape is _PRICES:
        model = str(value.get("model"))
        found = _strange(value, shape[model], path) if model in shape else [f"{path}.model {model}"]
        yield from found
        return
    for key, inner in value.items():
        known = shape.get("" if isinstance(shape, _Named) else key)
        yield from [_below(path, key)] if known is None else _strange(inner, known, _below(path, key))


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _combinations(document: Document) -> Iterator[str]:
    """What is covered by itself, but not together."""
    for name, meter in document["meters"].items():
        path = f"meters.{name}"
        bands = meter.get("bands", [meter])
        aggregation = meter.get("aggregation", {})
        additive = aggregation.get("function", "sum") in ("sum", "count") and "at_least" not in aggregation
        grouped = not additive or meter.get("priced_per", "period") != "period"
        convert = meter.get("convert", {})
        for band in bands:
            if "first_flat_fee" in band["price"] and band["price"]["first_flat_fee"] not in ("on-usage", "always"):
                yield f"{path}.first_flat_fee {band['price']['first_flat_fee']}"
            if band["price"].get("first_flat_fee") == "always" and (grouped or "tiers_across_bands" in meter):
                yield f"{path}: first_flat_fee always with aggregation, priced_per or tiers_across_bands"
        if "round_each" in meter and any(band["price"]["model"] in ("call", "percentage") for band in bands):
            yield f"{path}: round_each of calls or percentages"
        by_record = {"attributes", "round_per"} & convert.keys() or convert.get("times") == "hours"
        if "at_least" in aggregation and by_record:
            yield f"{path}: aggregation.at_least with convert by record"
        if meter.get("tiers_across_bands") == "pro-rata" and any("meters" in band or "where" in band for band in bands):
            yield f"{path}: tiers_across_bands pro-rata with where or meters"
