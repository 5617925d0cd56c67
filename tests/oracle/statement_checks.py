"""Statement checks: a statement agrees with its charges, its records and itself."""

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction

from tests.oracle.bills import AccountKey
from tests.oracle.charge_checks import uneven
from tests.oracle.contracts import Account, Assignment
from tests.oracle.digests import charge_hash, hex_sum, usage_hash
from tests.oracle.exported import Charge, Exported, Line, Statement
from tests.oracle.fees import Section
from tests.oracle.items import Meter
from tests.oracle.local_time import days_in, season_of
from tests.oracle.own_side import Own, PeriodKey, account_of, key_of, line_key
from tests.oracle.taxing import Bearer, TaxDue, gross_of, net_of, round_by, rules_of, taxes_due

ADJUSTMENT_OF = ", adjustment of "
"""What the name of a tax line has before the month that it adjusts."""


def sums(own: Own, export: Exported) -> Iterator[str]:
    """A statement's charges: their sum, count, running totals and digest, and the records behind them."""
    of_statement = _by_statement(export.charges)
    reversed_charges = {charge.charge_id: charge for charge in export.charges}
    for statement in export.statements:
        charges = of_statement.get(key_of(statement), [])
        name = own.name(key_of(statement))
        records = {(c.tenant, c.source, c.usage_id) for c in charges if c.usage_id}
        # What was corrected before it came is put in and taken out again: that is the doing of its correction, too.
        awaited = {
            (c.tenant, c.source, c.usage_id)
            for c in charges
            if c.corrects in reversed_charges and reversed_charges[c.corrects].usage_id == c.usage_id
        }
        corrections = {own.intake.corrected_by[i].identity for i in awaited & own.intake.corrected_by.keys()}
        readings = [own.intake.accepted[i] for i in (records | corrections) & own.intake.accepted.keys()]
        amounts = [charge.amount for charge in charges]
        reached = Counter(charge.running_total for charge in charges) + Counter([Decimal(0)])
        left = Counter(charge.running_total - charge.amount for charge in charges) + Counter([statement.exact])
        steps = {Decimal(0), *(charge.running_total for charge in charges if charge.amount)}
        astray = [charge.running_total for charge in charges if charge.running_total not in steps]
        spans = [(c.usage_start, c.usage_end) for c in charges if c.usage_id]
        facts = {
            "exact": (statement.exact, sum(amounts, Decimal(0))),
            "charges": (statement.charges, len(charges)),
            "running totals": (sorted(left.items()), sorted(reached.items())),
            "running totals of charges of nothing": (astray, []),
            "charges_digest": (statement.charges_digest, hex_sum([charge_hash(charge) for charge in charges])),
            "usage_records": (statement.usage_records, len(records | corrections)),
            "usage_digest": (statement.usage_digest, hex_sum([usage_hash(reading) for reading in readings])),
            "usage_first": (statement.usage_first, min((start for start, _ in spans), default=None)),
            "usage_last": (statement.usage_last, max((end for _, end in spans), default=None)),
        }
        for what, (stated, counted) in facts.items():
            if stated != counted:
                yield f"{name}: {what} is {_short(stated)}, its charges and records say {_short(counted)}"


def lines(own: Own, export: Exported) -> Iterator[str]:
    """Lines are quantity × unit price, are printed rounded, and lead to exact, net, taxes and total."""
    for statement in export.statements:
        name = own.name(key_of(statement))
        account = own.accounts[account_of(statement)]
        if (statement.currency, statement.zone) != (account.currency, account.zone_name or statement.zone):
            yield f"{name}: is in {statement.currency} and {statement.zone}"
        for line in statement.lines:
            off = abs(Fraction(line.quantity * line.unit_price - line.exact))
            tariff = own.tariff(account_of(statement), (line.tariff, line.version))
            allowed = uneven(
                tariff.meters.get(line.meter) if tariff else None, Fraction(line.unit_price), line.quantity
            )
            if line.kind == "recurring":  # each time that it is served, its quantity is shown to a millionth
                allowed = 2 * (abs(Fraction(line.unit_price)) / 10**6 + Fraction(1, 10**18))
            if line.quantity and off > allowed:
                yield f"{name}: {line.quantity:f} × {line.unit_price:f} is not {line.exact:f}"
        for section, of_section in sections_of(statement).items():
            tariff = own.tariff(account_of(statement), section)
            rules = rules_of(account, tariff)
            for line, bearer in zip(of_section, _bearers(own, statement, of_section), strict=True):
                if round_by(rules, Fraction(line.exact)) != line.amount:
                    yield f"{name}: {line.exact:f} is printed as {line.amount:f}"
                gross = gross_of(account, tariff, bearer)
                if gross != line.gross:
                    yield f"{name}: {line.amount:f} with its taxes is printed as {line.gross:f}, not {float(gross)!r}"
        yield from (f"{name}: {difference}" for difference in _wrong_sums(own, statement))


def _wrong_sums(own: Own, statement: Statement) -> Iterator[str]:
    net, due = Fraction(0), []
    for section, of_section in sorted(sections_of(statement).items()):
        net += section_net(own, statement, section, of_section)
        taxes = section_taxes(own, statement, section, of_section)
        due += [(*section, tax.name, tax.percent, tax.base, tax.amount, tax.item) for tax in taxes]
    adjustments = [line for line in statement.lines if line.kind == "adjustment"]
    net += sum((Fraction(line.amount) for line in adjustments), Fraction(0))
    stated = [
        (
            *(tax.tariff, tax.version, tax.name, Fraction(tax.percent or 0)),
            *(Fraction(tax.base), Fraction(tax.amount), tax.item),
        )
        for tax in statement.taxes
        if ADJUSTMENT_OF not in tax.name
    ]
    if sorted(stated) != sorted(due):
        there, here = (", ".join(f"{tax[2]} {tax[6]} {float(tax[5])!r}" for tax in some) for some in (stated, due))
        yield f"taxes of {there or 'none'}, should be {here or 'none'}"
    later = sum((Fraction(tax.amount) for tax in statement.taxes if ADJUSTMENT_OF in tax.name), Fraction(0))
    if sum((Fraction(line.gross - line.amount) for line in adjustments), Fraction(0)) != later:
        yield f"taxes of adjustments are {float(later)!r}, their lines say otherwise"
    sums_of_lines = {
        "exact": (statement.exact, Fraction(sum((line.exact for line in statement.lines), Decimal(0)))),
        "net": (statement.net, net),
        "tax": (statement.tax, Fraction(sum((tax.amount for tax in statement.taxes), Decimal(0)))),
        "total": (statement.total, Fraction(statement.net + statement.tax)),
        "due": (statement.due, Fraction(statement.total - sum(paid.amount for paid in statement.settlements))),
    }
    for what, (said, added) in sums_of_lines.items():
        if said != added:
            yield f"{what} is {said:f}, its lines say {amounts_text([added])}"


def payments(own: Own, export: Exported) -> Iterator[str]:
    """Credits are drawn by priority, statement after statement, and pay the lines in their order."""
    drawn: dict[tuple[AccountKey, str], Fraction] = {}
    for statement in sorted(export.statements, key=key_of):
        key, name = account_of(statement), own.name(key_of(statement))
        to_pay = max(Fraction(statement.total), Fraction(0))
        expected = []
        for credit in sorted(own.accounts[key].credits, key=lambda c: (c.priority, c.end, c.start, c.name)):
            if credit.start <= statement.period_start < credit.end:
                left = credit.amount - drawn.get((key, credit.name), Fraction(0))
                paid = min(to_pay, left)
                to_pay -= paid
                drawn[key, credit.name] = credit.amount - left + paid
                expected.append((credit.name, paid, left - paid))
        stated = [(paid.name, Fraction(paid.amount), Fraction(paid.remaining)) for paid in statement.settlements]
        if stated != expected:
            shown = ", ".join(f"{float(paid)!r} of {credit}" for credit, paid, _ in expected)
            yield f"{name}: settlements of {amounts_text(paid[1] for paid in stated)}, should be {shown or 'none'}"
        paid = sum((paid for _, paid, _ in expected), Fraction(0))
        for line in statement.lines:
            share = min(paid, max(Fraction(line.gross), Fraction(0)))
            paid -= share
            if Fraction(line.due) != Fraction(line.gross) - share:
                yield f"{name}: of {line.gross:f} is due {line.due:f}, should be {float(line.gross) - float(share)!r}"


def allowances(own: Own, export: Exported) -> Iterator[str]:
    """The free units of the tariffs in force, and how many of them the lines say were used."""
    for statement in export.statements:
        account = own.accounts[account_of(statement)]
        period = (statement.period_start, statement.period_end)
        included: dict[tuple[str, str, str], tuple[str, Fraction]] = {}
        for entry in account.in_force(*period):
            for item, rules in entry.tariff.meters.items():
                free = _free_units(account, entry, rules)
                if free and rules.per == "period":
                    key = (entry.tariff.name, entry.tariff.version, item)
                    included[key] = rules.priced_unit, free + included.get(key, ("", Fraction(0)))[1]
        expected = []
        for (tariff, version, item), (unit, free) in included.items():
            used = sum(
                Fraction(line.quantity)
                for line in statement.lines
                if (line.kind, line.tariff, line.version, line.meter, line.tier) == ("usage", tariff, version, item, 0)
            )
            expected.append((item, unit, free, used, max(free - used, Fraction(0))))
        stated = [
            (a.meter, a.unit, Fraction(a.included), Fraction(a.used), Fraction(a.left)) for a in statement.allowances
        ]
        if sorted(stated) != sorted(expected):
            there, here = ([(one[0], *map(float, one[2:])) for one in some] for some in (stated, expected))
            yield f"{own.name(key_of(statement))}: allowances of {there}, should be {here}"


def _free_units(account: Account, entry: Assignment, rules: Meter) -> Fraction:
    """The units that cost nothing while a tariff is in force: of all bands whose season there is."""
    found: dict[object, Fraction] = {}
    for band in rules.bands:
        dates = days_in(entry.start, entry.end, account.zone)
        days = len([day for day in dates if band.season in (None, season_of(entry.tariff, day))])
        key = band.name if rules.across == "separate" else (band.season, band.is_for)
        if days:
            free = Fraction(band.price.free_units) * (days if band.price.per_day else 1)
            found[key] = free or band.price.number("included_s")
    return sum(found.values(), Fraction(0))


def section_net(own: Own, statement: Statement, section: Section, lines: list[Line]) -> Fraction:
    account = own.accounts[account_of(statement)]
    tariff = own.tariff(account_of(statement), section)
    return net_of(rules_of(account, tariff), _bearers(own, statement, lines))


def section_taxes(own: Own, statement: Statement, section: Section, lines: list[Line]) -> list[TaxDue]:
    """Each tax of a section, from its lines."""
    account = own.accounts[account_of(statement)]
    return taxes_due(account, own.tariff(account_of(statement), section), _bearers(own, statement, lines))


def _bearers(own: Own, statement: Statement, lines: list[Line]) -> list[Bearer]:
    """The lines in the eyes of the tax; a coupon's share is taxed as what it is taken off, which the oracle knows."""
    bill = own.bills.get(key_of(statement))
    discounts = [line for line in bill.lines if line.reduces] if bill else []
    found = []
    for line in lines:
        key, kind, meter, name = line_key(line), line.kind, line.meter, line.name
        if line.kind == "discount":
            same = [one for one in discounts if (one.key, one.row.exact) == (line_key(line), Fraction(line.exact))] or [
                one for one in discounts if one.key == line_key(line)
            ]
            if same and same[0].reduces:
                discounts.remove(same[0])
                of = same[0].reduces
                key, kind, meter, name = of.key, of.kind, of.meter, of.row.name
        found.append(Bearer(key, kind, meter, name, Fraction(line.exact), Fraction(line.amount)))
    return found


def sections_of(statement: Statement) -> dict[Section, list[Line]]:
    sections: dict[Section, list[Line]] = {}
    for line in statement.lines:
        if line.kind != "adjustment":
            sections.setdefault((line.tariff, line.version), []).append(line)
    return sections


def amounts_text(amounts: Iterable[Fraction | Decimal]) -> str:
    return " or ".join(dict.fromkeys(str(float(amount)) for amount in amounts)) or "none"


def _by_statement(charges: Iterable[Charge]) -> dict[PeriodKey, list[Charge]]:
    found: dict[PeriodKey, list[Charge]] = {}
    for charge in charges:
        found.setdefault((charge.tenant, charge.account, charge.statement_start), []).append(charge)
    return found


def _short(value: object) -> str:
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    return text if len(text) <= 70 else f"{text[:70]}…"
