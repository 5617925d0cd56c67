"""Statement checks: a statement agrees with its charges, its records and itself."""

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction

from tests.oracle.bills import AccountKey, Rounding, Section, rounding_of, tax_amounts, taxes_of
from tests.oracle.digests import charge_hash, hex_sum, usage_hash
from tests.oracle.exported import Charge, Exported, Line, Statement
from tests.oracle.own_side import Own, PeriodKey

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
        for line in statement.lines:
            off = abs(Fraction(line.quantity * line.unit_price - line.exact))
            # The quantity of a prorated fee is shown to a millionth.
            allowed = abs(Fraction(line.unit_price)) / (2 * 10**6) if line.unit == "period" else 0
            if line.quantity and off > allowed:
                yield f"{name}: {line.quantity:f} × {line.unit_price:f} is not {line.exact:f}"
        for section, of_section in sections_of(statement).items():
            rounding = _rounding(own, statement, section)
            taxes = taxes_of(own.accounts[account_of(statement)], own.tariff(account_of(statement), section))
            percents = sum((Fraction(percent) for _, percent in taxes), Fraction(0))
            for line in of_section:
                if rounding.round(Fraction(line.exact)) != line.amount:
                    yield f"{name}: {line.exact:f} is printed as {line.amount:f}"
                net = Fraction(line.amount if rounding.at == "line" else line.exact)
                if rounding.round(net * (100 + percents) / 100) != line.gross:
                    yield f"{name}: {amounts_text([net])} with its taxes is printed as {line.gross:f}"
        yield from (f"{name}: {difference}" for difference in _wrong_sums(own, statement))


def _wrong_sums(own: Own, statement: Statement) -> Iterator[str]:
    net, due = Fraction(0), []
    for section, of_section in sorted(sections_of(statement).items()):
        net += section_net(own, statement, section, of_section)
        due += section_taxes(own, statement, section, of_section)
    net += sum((Fraction(line.amount) for line in statement.lines if line.kind == "adjustment"), Fraction(0))
    stated = [
        (tax.tariff, tax.version, tax.name, Fraction(tax.base), Fraction(tax.amount))
        for tax in statement.taxes
        if ADJUSTMENT_OF not in tax.name
    ]
    if sorted(stated) != sorted(due):
        yield f"taxes of {amounts_text(tax[4] for tax in stated)}, should be {amounts_text(tax[4] for tax in due)}"
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


def _rounding(own: Own, statement: Statement, section: Section) -> Rounding:
    key = account_of(statement)
    return rounding_of(own.accounts[key], own.tariff(key, section))


def section_net(own: Own, statement: Statement, section: Section, lines: list[Line]) -> Fraction:
    rounding = _rounding(own, statement, section)
    if rounding.at == "line":
        return sum((Fraction(line.amount) for line in lines), Fraction(0))
    return rounding.round(sum((Fraction(line.exact) for line in lines), Fraction(0)))


def section_taxes(
    own: Own, statement: Statement, section: Section, lines: list[Line]
) -> list[tuple[str, str, str, Fraction, Fraction]]:
    """Tariff, version, name, base and amount of each tax of a section, from its lines."""
    account, tariff = own.accounts[account_of(statement)], own.tariff(account_of(statement), section)
    rounding, taxes = rounding_of(account, tariff), taxes_of(account, tariff)
    if rounding.at == "line":
        base = section_net(own, statement, section, lines)
    else:
        base = sum((Fraction(line.exact) for line in lines), Fraction(0))
    amounts = tax_amounts(taxes, rounding, base)
    return [(*section, name, base, amount) for (name, _), amount in zip(taxes, amounts, strict=True)]


def sections_of(statement: Statement) -> dict[Section, list[Line]]:
    sections: dict[Section, list[Line]] = {}
    for line in statement.lines:
        if line.kind != "adjustment":
            sections.setdefault((line.tariff, line.version), []).append(line)
    return sections


def key_of(statement: Statement) -> PeriodKey:
    return statement.tenant, statement.account, statement.period_start


def account_of(statement: Statement) -> AccountKey:
    return statement.tenant, statement.account


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
