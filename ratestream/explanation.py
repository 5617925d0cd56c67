"""Explanation: the arithmetic of one charge, so that anybody can do it again with pencil and paper."""

from collections.abc import Iterator

from msgspec import Struct
from rich.text import Text

from agents.answers import Grounds
from ratestream.screen import cells, dates, decimal, grid, moment, money, price, printable, quantity, show
from schemas.charge import Charge, ChargeKind, Part
from schemas.instants import to_iso
from schemas.meter import Meter
from schemas.price import Graduated, Package, PerUnit, Price, Volume
from schemas.tariff import Tariff

_KINDS = {
    ChargeKind.USAGE: "",
    ChargeKind.ADJUSTMENT: "It came after its period had closed, so the next statement carries it.",
    ChargeKind.REVERSAL: "It takes out a record that was corrected, at what that is worth to the price now.",
    ChargeKind.RECURRING: "No usage caused it: a recurring fee, by its tariff or account.",
    ChargeKind.TRUE_UP: "No usage caused it: what the tariff's usage falls short of its minimum.",
    ChargeKind.CREDIT: "No usage caused it: what a coupon takes off, spread over the lines of its statement.",
}


class Explained(Struct, frozen=True):
    """A charge, the tariff version that it was rated under (None for an account's own fee), and the grounds."""

    charge: Charge
    tariff: Tariff | None
    grounds: Grounds


def print_explanation(explained: Explained) -> None:
    """Record, tariff, tiers, parts, sum and rounding, within 80 columns."""
    charge = explained.charge
    show(Text(f"Charge {printable(charge.charge_id)} ({charge.kind.replace('_', ' ')})", style="bold"))
    facts = grid(("", "left"), ("", "left"), head=False)
    for name, text in _facts(explained):
        facts.add_row(Text(name), Text(printable(text)))
    show(facts)
    meter = _meter(explained)
    if meter is not None:
        for band, band_price in _prices(meter, charge):
            show()
            _print_price(explained, meter, band, band_price)
    show()
    _print_parts(explained, meter)
    for sentence in _sentences(explained, meter):
        show(Text(sentence))


def _facts(explained: Explained) -> Iterator[tuple[str, str]]:
    charge, zone = explained.charge, explained.grounds.zone
    if charge.usage_id:
        yield "Record", f"{charge.usage_id} (source {charge.source})"
        yield "Time", f"{moment(charge.usage_start, zone)} to {moment(charge.usage_end, zone)}, {zone}"
        yield "", f"{to_iso(charge.usage_start)} to {to_iso(charge.usage_end)}"
        yield "Quantity", f"{quantity(charge.quantity)} {charge.unit} of {charge.meter}"
    else:
        yield "For", charge.meter
    yield "Account", f"{charge.account} (tenant {charge.tenant})"
    yield "Billing period", dates(charge.period_start, charge.period_end, zone)
    if charge.statement_start != charge.period_start:
        yield "On statement of", dates(charge.statement_start, charge.statement_end, zone)
    if explained.tariff is not None:
        yield "Tariff", f"{charge.tariff}, version {charge.version}, in force from {explained.tariff.effective_from}"
    if charge.corrects:
        yield "Corrects", charge.corrects
    if charge.usage_id:
        yield "Used before", f"{quantity(charge.used_before)} {charge.unit} in the period, in the same tiers"


def _meter(explained: Explained) -> Meter | None:
    """The rules of the charge's meter; None where no meter's usage caused the charge."""
    charge, tariff = explained.charge, explained.tariff
    return tariff.meters.get(charge.meter) if tariff is not None and charge.usage_id else None


def _prices(meter: Meter, charge: Charge) -> Iterator[tuple[str, Price]]:
    """The prices of the bands that the charge has parts in."""
    if meter.price is not None:
        yield "", meter.price
    touched = {part.band for part in charge.parts}
    yield from ((band.name, band.price) for band in meter.bands or () if band.name in touched)


def _print_price(explained: Explained, meter: Meter, band: str, band_price: Price) -> None:
    currency, unit = explained.charge.currency, meter.convert.unit if meter.convert is not None else meter.unit
    title = f"Price of {explained.charge.meter}{f' in {band}' if band else ''}"
    match band_price:
        case PerUnit():
            show(Text(f"{title}: {decimal(band_price.unit_price)} {currency} per {unit}{_free(band_price, unit)}"))
        case Package():
            size = f"each begun package of {decimal(band_price.size)} {unit}"
            cost = f"{decimal(band_price.package_price)} {currency}"
            show(Text(f"{title}: {cost} for {size}{_free(band_price, unit)}"))
        case Graduated() | Volume():
            days = explained.grounds.days.get(band, 0) if band_price.tiers_per == "day" else 0
            how = "each tier prices its own units" if isinstance(band_price, Graduated) else "one tier prices all units"
            show(Text(f"{title}: {how}{_free(band_price, unit)}{_per_day(days)}"))
            _print_tiers(band_price, days, currency, unit)
        case _:
            show(Text(f"{title}: {type(band_price).model_fields['model'].description}"))
            _print_terms(band_price)


def _print_terms(band_price: Price) -> None:
    """What the tariff says of a price whose terms are no tiers of units: its keys and values."""
    terms = grid(("", "left"), ("", "left"), head=False)
    for path, value in _terms(band_price.model_dump(mode="json", by_alias=True, exclude_defaults=True), ""):
        if path != "model":
            terms.add_row(*cells(f"  {path}", value))
    show(terms)


def _terms(value: object, path: str) -> Iterator[tuple[str, str]]:
    """The scalars of a document with their paths: `tiers 1 percent`, and 1.5."""
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = {str(number): one for number, one in enumerate(value, 1)}.items()
    else:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)
        return
    for key, one in inner:
        yield from _terms(one, f"{path} {key}".strip())


def _free(band_price: PerUnit | Package | Graduated | Volume, unit: str) -> str:
    if not band_price.free_units:
        return ""
    per = " a day" if isinstance(band_price, Graduated | Volume) and band_price.tiers_per == "day" else ""
    return f", {decimal(band_price.free_units)} {unit}{per} are included before that"


def _per_day(days: int) -> str:
    return f"; bounds are per day, of {days} days" if days else ""


def _print_tiers(band_price: Graduated | Volume, days: int, currency: str, unit: str) -> None:
    has_fees = any(tier.flat_fee for tier in band_price.tiers)
    columns = [("  tier", "left"), (f"up to ({unit})", "right")]
    columns += [("that is", "left")] if days else []
    columns += [(f"{currency} per {unit}", "right")]
    columns += [("flat fee", "right")] if has_fees else []
    table = grid(*columns)  # type: ignore[arg-type] # the sides are those that grid knows
    for number, tier in enumerate(band_price.tiers, 1):
        up_to = "" if tier.up_to is None else decimal(tier.up_to * (days or 1))
        row = [f"  {number}", up_to]
        row += [f"{decimal(tier.up_to)} × {days} days" if tier.up_to is not None else ""] if days else []
        row += [decimal(tier.unit_price)]
        row += [decimal(tier.flat_fee)] if has_fees else []
        table.add_row(*cells(*row))
    show(table)


def _print_parts(explained: Explained, meter: Meter | None) -> None:
    charge = explained.charge
    table = grid(("part", "left"), ("quantity", "right"), ("", "left"), ("unit price", "right"), ("amount", "right"))
    for part in charge.parts:
        table.add_row(*_part(part, charge, meter))
    table.add_section()
    sum_ = f"{money(sum(part.amount for part in charge.parts), charge.currency)} {charge.currency}"
    table.add_row(*cells("exact amount", "", "", "", sum_), style="bold")
    running = f"{money(charge.running_total, charge.currency)} {charge.currency}"
    table.add_row(*cells("statement after it, before tax", "", "", "", running))
    show(table)


def _part(part: Part, charge: Charge, meter: Meter | None) -> list[Text]:
    amount = money(part.amount, charge.currency)
    tier = f"tier {part.tier}" if part.tier else "" if part.name else "included"
    name = " ".join(word for word in (part.band, tier, part.name) if word)
    taxed = f", tax {part.tax_percent} %" if part.tax_percent else ""
    if part.quantity == 0:
        if meter is None:
            return cells(charge.meter, "", "", "", amount)
        return cells(f"{name}{'' if part.name else ' flat fee'}{taxed}", "", "", "", amount)
    unit = "packages" if part.tier and meter is not None and _is_package(meter, part.band) else charge.unit
    # Where the quantity was converted or the rate is for many units, the amount was divided last and is the exact one.
    equals = "=" if part.quantity * part.unit_price == part.amount else "≈"
    return cells(f"{name}{taxed}", quantity(part.quantity), f"{unit} ×", price(part.unit_price), f"{equals} {amount}")


def _sentences(explained: Explained, meter: Meter | None) -> Iterator[str]:
    charge, tariff = explained.charge, explained.tariff
    if _KINDS[charge.kind]:
        yield _KINDS[charge.kind]
    if meter is not None:
        yield from _price_sentences(meter, charge)
    if tariff is not None:
        where = "Each line" if tariff.rounding.at == "line" else "The sum of the lines"
        how = f"to {tariff.decimals} decimals ({tariff.rounding.mode})"
        yield f"A charge is never rounded. {where} of the statement is, {how}."


def _price_sentences(meter: Meter, charge: Charge) -> Iterator[str]:
    if meter.tiers_across_bands == "pro-rata":
        yield (
            "The bands of a season fill the same tiers, and each tier's units are allotted to the bands by their "
            "usage. A record therefore moves earlier units between tiers as well: the parts are the difference."
        )
    prices = [band_price for _, band_price in _prices(meter, charge)]
    if any(isinstance(band_price, Volume) for band_price in prices) and len(charge.parts) > 1:
        yield "Another tier now prices all units of the period: they are given back at the old price and charged anew."
    if any(isinstance(band_price, Package) for band_price in prices):
        yield "A package is charged when its first unit is used; a record inside a begun package costs nothing."


def _is_package(meter: Meter, band: str) -> bool:
    if meter.price is not None:
        return isinstance(meter.price, Package)
    return any(isinstance(one.price, Package) for one in meter.bands or () if one.name == band)
