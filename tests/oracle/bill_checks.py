"""Bill checks: the statements are those that are due, and each says what the oracle has worked out.

What came late is on a later statement, so a period whose usage was adjusted afterwards is compared by its sums: its
own statement and the adjustments of it together.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction

from tests.oracle.bills import Bill
from tests.oracle.bills import Line as OwnLine
from tests.oracle.exported import Charge, Exported, Line, Statement
from tests.oracle.own_side import Own, PeriodKey, account_of, key_of
from tests.oracle.statement_checks import (
    ADJUSTMENT_OF,
    amounts_text,
    section_net,
    section_taxes,
    sections_of,
)


def bills(own: Own, export: Exported) -> Iterator[str]:
    """The statements are those that are due, and each period comes to what the oracle makes of it."""
    statements = {key_of(statement): statement for statement in export.statements}
    if len(statements) != len(export.statements):
        yield f"{len(export.statements)} statements are of {len(statements)} periods"
    for key in sorted(statements.keys() - own.bills.keys()):
        yield f"{own.name(key)}: a statement that is not due"
    adjusted = {
        (charge.tenant, charge.account, charge.period_start): charge
        for charge in export.charges
        if charge.kind != "recurring" and charge.period_start != charge.statement_start
    }
    for key, bill in own.bills.items():
        statement = statements.get(key)
        if statement is None:
            yield f"{own.name(key)}: no statement"
        elif (statement.period_end, statement.complete or bill.complete) != (bill.period[1], bill.complete):
            yield f"{own.name(key)}: ends {statement.period_end}, complete {statement.complete}"
        elif key in adjusted:
            yield from _adjusted_bill(own, statements, bill, key, export.charges)
        else:
            yield from _own_lines_differ(own, statement, bill)


def _own_lines_differ(own: Own, statement: Statement, bill: Bill) -> Iterator[str]:
    """Line by line: the same lines, with the same quantities and amounts."""
    name = own.name(key_of(statement))
    here, there = defaultdict(list), defaultdict(list)
    for own_line in bill.lines:
        here[_own_line_key(own_line)].append(own_line)
    for line in statement.lines:
        if line.kind != "adjustment" and (line.quantity or line.exact):  # a line of nothing may be there
            there[_line_key(line)].append(line)
    for key in sorted(here.keys() | there.keys()):
        what = " ".join(str(value) for value in key[5:11] if value != "")
        ours = sorted(here[key], key=lambda line: line.row.exact)
        theirs = sorted(there[key], key=lambda line: line.exact)
        if len(ours) != len(theirs) and not (
            len(ours) == 1 and not theirs and ours[0].row.quantity <= ours[0].row.slack
        ):
            yield f"{name}: {len(theirs)} lines of {what}, should be {len(ours)}"
            continue
        for one, other in zip(ours, theirs, strict=False):
            if abs(one.row.quantity - Fraction(other.quantity)) > one.row.slack:
                yield f"{name}: quantity {other.quantity:f} of {what}, should be {float(one.row.quantity)!r}"
            if abs(one.row.exact - Fraction(other.exact)) > one.slack:
                yield f"{name}: {other.exact:f} for {what}, should be {float(one.row.exact)!r}"


def _adjusted_bill(
    own: Own, statements: dict[PeriodKey, Statement], bill: Bill, key: PeriodKey, charges: list[Charge]
) -> Iterator[str]:
    """By sums: the period's statement with all later adjustments of it."""
    late = [c for c in charges if (c.tenant, c.account, c.period_start) == key and c.statement_start != key[2]]
    if any((c.tenant, c.account, c.statement_start) not in statements for c in late if c.kind != "recurring"):
        return  # an adjustment waits for the end of an open period
    account = own.accounts[key[:2]]
    statement = statements[key]
    exact = sum((Fraction(line.exact) for line in statement.lines if line.kind != "adjustment"), Fraction(0))
    net, tax = Fraction(0), Fraction(0)
    for section, lines in sections_of(statement).items():
        net += section_net(own, statement, section, lines)
        tax += sum((tax.amount for tax in section_taxes(own, statement, section, lines)), Fraction(0))
    month = account.period_name(key[2])
    for other in statements.values():
        if account_of(other) == key[:2]:
            about = [line for line in other.lines if line.kind == "adjustment" and line.period_start == key[2]]
            exact += sum((Fraction(line.exact) for line in about), Fraction(0))
            net += sum((Fraction(line.amount) for line in about), Fraction(0))
            tax += sum((Fraction(t.amount) for t in other.taxes if t.name.endswith(ADJUSTMENT_OF + month)), Fraction(0))
    own_exact = sum((line.row.exact for line in bill.lines), Fraction(0))
    if abs(exact - own_exact) > sum((line.slack for line in bill.lines), Fraction(0)):
        yield f"{own.name(key)}: {float(exact)!r} with its adjustments, should be {float(own_exact)!r}"
    if not bill.net[0] <= net <= bill.net[1]:
        yield f"{own.name(key)}: net {float(net)!r} with its adjustments, should be {amounts_text(bill.net)}"
    if bill.net[0] == bill.net[1] and tax != bill.tax:
        yield f"{own.name(key)}: tax {float(tax)!r} with its adjustments, should be {float(bill.tax)!r}"


def rounding_notes(own: Own, export: Exported) -> Iterator[str]:
    """Statements whose slack lets a rounded line fall on either side of an edge."""
    for statement in export.statements:
        bill = own.bills.get(key_of(statement))
        if bill and bill.net[0] != bill.net[1]:
            yield f"{own.name(key_of(statement))}: within its slack the net amount is {amounts_text(bill.net)}"


LineKey = tuple[str, datetime, datetime, str, str, str, str, str, int, Fraction, str]


def _line_key(line: Line) -> LineKey:
    return (
        *(line.kind, line.period_start, line.period_end, line.tariff, line.version, line.meter, line.name, line.band),
        *(line.tier, Fraction(line.unit_price), line.unit),
    )


def _own_line_key(line: OwnLine) -> LineKey:
    row = line.row
    named = (line.kind, *line.about, *line.section, line.meter, row.name, row.band)
    return (*named, row.tier, row.unit_price, row.unit)
