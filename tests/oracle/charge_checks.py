"""Charge checks: every accepted record is charged once and in full, and its period's charges are its usage's price."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from tests.oracle.bills import usage_price
from tests.oracle.exported import Charge, Exported
from tests.oracle.own_side import Own
from tests.oracle.readings import Reading


def counts(own: Own, export: Exported) -> Iterator[str]:
    """received = accepted + duplicates + rejected, and the export has all that was accepted and all that was not."""
    intake = own.intake
    if intake.received != len(intake.accepted) + intake.duplicates + len(intake.rejected):
        yield f"the oracle lost count: {intake.received} received"
    if len(export.rejections) != len(own.rejected):
        yield f"{len(export.rejections)} rejections are of {len(own.rejected)} records"
    for place in sorted(own.rejected.keys() | intake.rejected.keys()):
        there, here = own.rejected.get(place, "none"), intake.rejected.get(place, "none")
        if there != here:
            yield f"{place[0]} record {place[1]}: its rejection is {there}, should be {here}"


def records_charged(own: Own, export: Exported) -> Iterator[str]:
    """Each accepted record is charged for its whole quantity, once, and nothing else is charged as usage."""
    ids = Counter(charge.charge_id for charge in export.charges)
    yield from (f"charge {charge_id} is there {count} times" for charge_id, count in ids.items() if count > 1)
    quantities: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    known = own.intake.accepted
    for charge in export.charges:
        identity = (charge.tenant, charge.source, charge.usage_id)
        if charge.usage_id and identity not in known:
            yield f"charge {charge.charge_id} is of a record that was not accepted: {charge.usage_id}"
        elif charge.usage_id and (charge.account, charge.meter) != (known[identity].account, known[identity].meter):
            yield f"charge {charge.charge_id} is not of the account and meter of its record {charge.usage_id}"
        elif charge.usage_id and charge.kind in {"usage", "adjustment"}:
            quantities[identity] += charge.quantity
    for identity, reading in known.items():
        if reading.quantity is not None and identity not in quantities:
            yield f"record {reading.id} was accepted and has no charge"
        elif reading.quantity is not None and quantities[identity] != reading.quantity:
            yield f"record {reading.id} is charged for {quantities[identity]:f}, should be {reading.quantity:f}"


def totals_of(readings: Iterable[Reading]) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """Records and quantity of each account and meter."""
    totals: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for reading in readings:
        key = (reading.account, reading.meter)
        count, quantity = totals.get(key, (0, Decimal(0)))
        totals[key] = count + 1, quantity + (reading.quantity or 0)
    return totals


def totals(own: Own, export: Exported) -> Iterator[str]:
    """Records and quantities of each account and meter, and quantities of each of its billing periods."""
    reversed_ids = {charge.corrects for charge in export.charges if charge.kind == "reversal"}
    counted: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    charged: dict[tuple[str, str, datetime], Decimal] = defaultdict(Decimal)
    for charge in filter(_is_usage, export.charges):
        charged[charge.account, charge.meter, charge.period_start] += charge.quantity
        if charge.kind != "reversal" and charge.charge_id not in reversed_ids:
            counted[charge.account, charge.meter].add((charge.source, charge.usage_id))
    totals = totals_of(own.intake.billed())
    for account, meter in sorted(totals.keys() | counted.keys()):
        records, quantity = totals.get((account, meter), (0, Decimal(0)))
        there = sum((value for key, value in charged.items() if key[:2] == (account, meter)), Decimal(0))
        if (len(counted[account, meter]), there) != (records, quantity):
            found = f"{len(counted[account, meter])} records and {there:f}"
            yield f"{account} {meter}: charges of {found}, the files have {records} and {quantity:f}"
    used: dict[tuple[str, str, datetime], Decimal] = defaultdict(Decimal)
    for key, usage in own.usage.items():
        for where, quantities in usage.quantities.items():
            used[key[1], where.meter, where.period[0]] += sum(quantities.values(), Decimal(0))
    for account, meter, start in sorted(used.keys() | charged.keys()):
        there, here = charged[account, meter, start], used[account, meter, start]
        if there != here:
            yield f"{account} {meter}, period of {start:%Y-%m-%d}: charges of {there:f}, the files have {here:f}"


def parts(own: Own, export: Exported) -> Iterator[str]:
    """The parts of a charge are quantity × unit price, or a flat fee, and add up to its amount and quantity."""
    for charge in export.charges:
        if sum(part.amount for part in charge.parts) != charge.amount:
            yield f"charge {charge.charge_id}: its parts do not add up to {charge.amount:f}"
        quantity = sum((part.quantity for part in charge.parts), Decimal(0))
        if quantity != charge.quantity and not _counts_packages(own, charge):
            yield f"charge {charge.charge_id}: its parts are of {quantity:f}, not of {charge.quantity:f}"
        for part in charge.parts:
            if part.quantity and part.quantity * part.unit_price != part.amount:
                yield f"charge {charge.charge_id}: {part.quantity:f} × {part.unit_price:f} is not {part.amount:f}"


def _counts_packages(own: Own, charge: Charge) -> bool:
    tariff = own.tariff((charge.tenant, charge.account), (charge.tariff, charge.version))
    meter = tariff.meters.get(charge.meter) if tariff else None
    return meter is not None and any(band.price.model == "package" for band in meter.bands)


def usage_prices(own: Own, export: Exported) -> Iterator[str]:
    """The charges of each usage period add up to the price of its usage, whichever statements they are on."""
    charged: dict[tuple[str, str, str, datetime], Decimal] = defaultdict(Decimal)
    for charge in filter(_is_usage, export.charges):
        charged[charge.tenant, charge.account, charge.meter, charge.period_start] += charge.amount
    priced: dict[tuple[str, str, str, datetime], tuple[Fraction, Fraction]] = {}
    for key, usage in own.usage.items():
        for where, quantities in usage.quantities.items():
            exact, slack = priced.get((*key, where.meter, where.period[0]), (Fraction(0), Fraction(0)))
            for row in usage_price(own.accounts[key], where, quantities):
                exact, slack = exact + row.exact, slack + row.slack * abs(row.unit_price)
            priced[*key, where.meter, where.period[0]] = exact, slack
    for place in sorted(charged.keys() | priced.keys()):
        exact, slack = priced.get(place, (Fraction(0), Fraction(0)))
        if abs(Fraction(charged[place]) - exact) > slack:
            name = own.name((place[0], place[1], place[3]))
            yield f"{name} {place[2]}: charges of {charged[place]:f}, its usage costs {float(exact)!r}"


def _is_usage(charge: Charge) -> bool:
    return bool(charge.usage_id)
