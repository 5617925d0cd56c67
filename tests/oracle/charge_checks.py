"""Charge checks: every accepted record is charged once and in full, and its period's charges are its usage's price."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from tests.oracle.bills import AccountKey, Line, usage_lines
from tests.oracle.exported import Charge, Exported
from tests.oracle.items import Meter
from tests.oracle.own_side import Own, key_of
from tests.oracle.placing import MILLIONTH
from tests.oracle.record import Identity, Reading

_PART_NAMES = {
    *("", "flat fee", "included", "discount", "maximum", "minimum", "per transaction", "overage", "true-up"),
    *("connection", "rounding"),
}
"""What parts may be called for which the oracle has rules."""


def counts(own: Own, export: Exported) -> Iterator[str]:
    """received = accepted + duplicates + rejected, and the export has all that was accepted and all that was not."""
    intake = own.intake
    judged = intake.received - len(intake.not_judged)
    if judged != len(intake.accepted) + intake.duplicates + len(intake.rejected):
        yield f"the oracle lost count: {intake.received} received"
    if len(export.rejections) != len(own.rejected):
        yield f"{len(export.rejections)} rejections are of {len(own.rejected)} records"
    for place in sorted(own.rejected.keys() | intake.rejected.keys()):
        there, here = own.rejected.get(place, "none"), intake.rejected.get(place, "none")
        if there != here:
            yield f"{place[0]} record {place[1]}: its rejection is {there}, should be {here}"


def records_charged(own: Own, export: Exported) -> Iterator[str]:
    """Each accepted record is charged for its whole quantity once by each item, and nothing else is charged so."""
    ids = Counter(charge.charge_id for charge in export.charges)
    yield from (f"charge {charge_id} is there {count} times" for charge_id, count in ids.items() if count > 1)
    quantities: dict[tuple[Identity, str], Fraction] = defaultdict(Fraction)
    known = own.intake.accepted
    for charge in filter(_is_usage, export.charges):
        identity = (charge.tenant, charge.source, charge.usage_id)
        reading = known.get(identity)
        if reading is None:
            yield f"charge {charge.charge_id} is of a record that was not accepted: {charge.usage_id}"
            continue
        if charge.account != reading.account or not _may_charge(own, charge, reading):
            yield f"charge {charge.charge_id} is not of the account and meter of its record {charge.usage_id}"
        if charge.kind in {"usage", "adjustment"} and not _is_derived(own, charge):
            quantities[identity, charge.meter] += Fraction(charge.quantity)
    expected: dict[tuple[Identity, str], Fraction] = defaultdict(Fraction)
    for identity, pieces in own.intake.pieces.items():
        for piece in pieces:
            expected[identity, piece.where.item] += piece.quantity
    for key in sorted(expected.keys() | quantities.keys()):
        (_, _, record), item = key
        if key not in quantities:
            yield f"record {record} was accepted and has no charge of {item}"
        elif quantities[key] != expected[key]:
            there, here = float(quantities[key]), float(expected[key])
            yield f"record {record} is charged for {there!r} of {item}, should be {here!r}"


def _may_charge(own: Own, charge: Charge, reading: Reading) -> bool:
    """Whether the charge's item prices the meter of its record, or follows from what items cost."""
    tariff = own.tariff((charge.tenant, charge.account), (charge.tariff, charge.version))
    if tariff is None:
        return False
    return charge.meter in tariff.derived or charge.meter in tariff.items_of(reading.meter)


def _is_derived(own: Own, charge: Charge) -> bool:
    tariff = own.tariff((charge.tenant, charge.account), (charge.tariff, charge.version))
    return tariff is not None and charge.meter in tariff.derived


def totals_of(readings: Iterable[Reading]) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """Records and quantity of each account and meter."""
    totals: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for reading in readings:
        key = (reading.account, reading.meter)
        count, quantity = totals.get(key, (0, Decimal(0)))
        totals[key] = count + 1, quantity + (reading.quantity or 0)
    return totals


def totals(own: Own, export: Exported) -> Iterator[str]:
    """Records of each account and item, and quantities of each of its billing periods."""
    reversed_ids = {charge.corrects for charge in export.charges if charge.kind == "reversal"}
    counted: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    charged: dict[tuple[str, str, datetime], Fraction] = defaultdict(Fraction)
    for charge in filter(_is_usage, export.charges):
        if not _is_derived(own, charge):
            charged[charge.account, charge.meter, charge.period_start] += Fraction(charge.quantity)
            if charge.kind != "reversal" and charge.charge_id not in reversed_ids:
                counted[charge.account, charge.meter].add((charge.source, charge.usage_id))
    records: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    used: dict[tuple[str, str, datetime], Fraction] = defaultdict(Fraction)
    for reading in own.intake.billed():
        for piece in own.intake.pieces[reading.identity]:
            records[reading.account, piece.where.item].add((reading.source, reading.id))
            used[reading.account, piece.where.item, piece.where.period[0]] += piece.quantity
    for key in sorted(records.keys() | counted.keys()):
        if counted[key] != records[key]:
            yield f"{key[0]} {key[1]}: charges of {len(counted[key])} records, the files have {len(records[key])}"
    for account, item, start in sorted(used.keys() | charged.keys()):
        there, here = charged[account, item, start], used[account, item, start]
        if there != here:
            yield f"{account} {item}, period of {start:%Y-%m-%d}: charges of {there}, the files have {here}"


def parts(own: Own, export: Exported) -> Iterator[str]:
    """The parts of a charge are quantity × unit price, or a flat fee, and add up to its amount and quantity.

    Where quantities are converted, or levels of others, only amounts add up.
    """
    for charge in export.charges:
        if sum(part.amount for part in charge.parts) != charge.amount:
            yield f"charge {charge.charge_id}: its parts do not add up to {charge.amount:f}"
        rules = _rules(own, charge)
        quantity = sum((part.quantity for part in charge.parts), Decimal(0))
        is_counted = rules is None or (rules.is_simple and not _counts_packages(rules))
        if quantity != charge.quantity and is_counted:
            yield f"charge {charge.charge_id}: its parts are of {quantity:f}, not of {charge.quantity:f}"
        for part in charge.parts:
            off = abs(Fraction(part.quantity * part.unit_price - part.amount))
            if part.quantity and off > uneven(rules, Fraction(part.unit_price), part.quantity):
                yield f"charge {charge.charge_id}: {part.quantity:f} × {part.unit_price:f} is not {part.amount:f}"
        strange = {part.name for part in charge.parts if not part.name.endswith(" %")} - _PART_NAMES
        if strange or any(part.tax_percent or part.tax for part in charge.parts):
            yield f"charge {charge.charge_id}: a part has the name {sorted(strange)} or a tax of its own"


def uneven(rules: Meter | None, unit_price: Fraction, quantity: Decimal) -> Fraction:
    """How far quantity × unit price may be from an amount that was divided last: by the digits that are shown."""
    models = {band.price.model for band in rules.bands} if rules else set()
    if rules is None or (rules.convert is None and not models & {"commitment", "call"}):
        return Fraction(0)
    if any("increment_decimals" in band.price.document for band in rules.bands):
        return abs(Fraction(quantity))  # increments are rounded each; what they cost the lines tell
    groups = 1 if rules.per == "period" else 1000
    shown = abs(Fraction(quantity)) * Fraction(1, 10**12) if "call" in models else Fraction(0)  # the price of a second
    return shown + groups * (abs(unit_price) * MILLIONTH + Fraction(1, 10**12))


def _rules(own: Own, charge: Charge) -> Meter | None:
    tariff = own.tariff((charge.tenant, charge.account), (charge.tariff, charge.version))
    return tariff.meters.get(charge.meter) if tariff and charge.usage_id else None


def _counts_packages(rules: Meter) -> bool:
    return any(band.price.model == "package" for band in rules.bands)


def usage_prices(own: Own, export: Exported) -> Iterator[str]:
    """The charges of each item and period add up to the price of its usage, whichever statements they are on."""
    charged: dict[tuple[str, str, str, datetime], Fraction] = defaultdict(Fraction)
    for charge in export.charges:
        tariff = own.tariff((charge.tenant, charge.account), (charge.tariff, charge.version))
        of_item = tariff is not None and charge.meter in {*tariff.meters, *tariff.derived}
        if charge.usage_id or (of_item and charge.kind in {"recurring", "adjustment"}):
            charged[charge.tenant, charge.account, charge.meter, charge.period_start] += Fraction(charge.amount)
    priced: dict[tuple[str, str, str, datetime], tuple[Fraction, Fraction]] = {}
    for key, line in _usage_lines(own):
        place = (*key, line.meter, line.about[0])
        exact, slack = priced.get(place, (Fraction(0), Fraction(0)))
        priced[place] = exact + line.row.exact, slack + line.slack
    for place in sorted(charged.keys() | priced.keys()):
        exact, slack = priced.get(place, (Fraction(0), Fraction(0)))
        if abs(charged[place] - exact) > slack:
            name = own.name((place[0], place[1], place[3]))
            yield f"{name} {place[2]}: charges of {float(charged[place])!r}, its usage costs {float(exact)!r}"


def _usage_lines(own: Own) -> Iterator[tuple[AccountKey, Line]]:
    """The lines of usage of all periods. In one that is open nothing is due yet for items without usage."""
    for (tenant, name, _), bill in own.bills.items():
        yield from (((tenant, name), line) for line in bill.lines if line.kind == "usage")
    for key, usage in own.usage.items():
        account = own.accounts[key]
        for period in {where.period for where in usage.facts if (*key, where.period[0]) not in own.bills}:
            for entry in account.in_force(*period):
                yield from ((key, line) for line in usage_lines(account, usage, entry, period, unused=False))


def parts_and_lines(_: Own, export: Exported) -> Iterator[str]:
    """The parts of the charges of a statement's own usage add up to its lines, each under its name."""
    sums: dict[tuple[str, str, datetime, str, str, str, str, str, int, Decimal], tuple[Fraction, Fraction]] = {}
    unnamed = set()
    for charge in export.charges:
        about = (charge.tenant, charge.account, charge.period_start, charge.tariff, charge.version, charge.meter)
        if not charge.usage_id or charge.statement_start != charge.period_start:
            unnamed.add(about)  # what was priced again at closing, or came late
            continue
        for part in charge.parts:
            name = part.name or ("flat fee" if part.amount and not part.quantity else "" if part.tier else "included")
            key = (*about, name, part.band, part.tier, part.unit_price)
            quantity, amount = sums.get(key, (Fraction(0), Fraction(0)))
            sums[key] = quantity + Fraction(part.quantity), amount + Fraction(part.amount)
    for statement in export.statements:
        for line in statement.lines:
            about = (statement.tenant, statement.account, line.period_start, line.tariff, line.version, line.meter)
            key = (*about, line.name, line.band, line.tier, line.unit_price)
            if line.kind == "usage" and about not in unnamed:
                quantity, amount = sums.get(key, (Fraction(0), Fraction(0)))
                sums[key] = quantity - Fraction(line.quantity), amount - Fraction(line.exact)
    closed = {key_of(statement) for statement in export.statements}
    for key, (quantity, amount) in sums.items():
        if (quantity or amount) and key[:3] in closed and key[:6] not in unnamed:
            what = " ".join(str(value) for value in key[5:] if value != "")
            yield f"{key[1]} {key[2]:%Y-%m-%d}: parts of {what} are {float(amount)!r} more than the lines say"


def _is_usage(charge: Charge) -> bool:
    return bool(charge.usage_id)
