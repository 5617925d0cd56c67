"""Statements: a statement, a running bill, or a list of statements, for a reader, as JSON lines or as CSV."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

import pyarrow as pa
from rich.table import Table
from rich.text import Text

from ratestream.rows import rows_of, write_csv, write_json
from ratestream.screen import WIDTH, cells, dates, grid, moment, money, period_name, price, printable, quantity, show
from schemas.codecs import json_bytes
from schemas.statement import LineKind, Statement, StatementKind, StatementLine, TaxLine
from sinks.columns import to_fixed, to_instants

_OWN = ("statement_id", "tenant", "account", "currency", "revision", "number")
_LINE = StatementLine.__struct_fields__


def print_statement(statement: Statement, *, gross: bool = False) -> None:
    """One statement, or one period of a running bill (revision 0), within 80 columns; `gross` adds lines with tax."""
    show(Text(_title(statement), style="bold"))
    show(_particulars(statement))
    show()
    show(_lines(statement, gross=gross))
    show()


def write_statements_csv(statements: Sequence[Statement]) -> None:
    """Lines and taxes, a row each; the column `amount` of a statement adds up to its total."""
    write_csv((*_OWN, *_LINE), (row for statement in statements for row in _csv_rows(statement)))


def print_heads(heads: pa.Table) -> None:
    """A line for each statement."""
    columns = (("account", "left"), ("period", "left"), ("from", "left"), ("to", "left"))
    table = grid(*columns, ("records", "right"), ("total", "right"), ("", "left"))  # type: ignore[arg-type]
    for row, start, end, total in _heads(heads):
        from_, _, to = dates(start, end, row["zone"]).split()
        note = f"interim {row['number']}" if row["number"] else "" if row["complete"] else "incomplete"
        amount = f"{money(total, row['currency'])} {row['currency']}"
        table.add_row(
            *cells(row["account"], period_name(row["statement_id"]), from_, to, str(row["usage_records"]), amount, note)
        )
    show(table)


def write_heads_json(heads: pa.Table) -> None:
    """A JSON object for each statement, without its lines."""
    write_json(rows_of(heads))


def print_overview(heads: pa.Table) -> None:
    """All statements in little room: for each account its periods and totals, as many to a line as there is room.

    Interim statements are not among them: what they ask for is in their period's own.
    """
    for (account, currency), group in groupby(_heads(heads), lambda head: (head[0]["account"], head[0]["currency"])):
        found = [(period_name(row["statement_id"]), total) for row, _, _, total in group if not row["number"]]
        if not found:
            continue
        sum_ = money(sum(total for _, total in found), currency)
        title = f"{account}: {_count(len(found), 'statement')}, {sum_} {currency} in all"
        show(Text(printable(title), style="bold"))
        width = max(len(money(total, currency)) for _, total in found)
        texts = [f"{name} {money(total, currency):>{width}}" for name, total in found]
        in_line = (WIDTH - 2) // (len(texts[0]) + 2)
        for first in range(0, len(texts), in_line):
            print("  " + "  ".join(texts[first : first + in_line]))


def _heads(heads: pa.Table) -> Iterator[tuple[dict[str, str], int, int, int]]:
    """Each statement's texts and counts; start and end of its period; its total in fixed point."""
    names = ["statement_id", "account", "zone", "currency", "number", "complete", "usage_records"]
    texts = heads.select(names).to_pylist()
    numbers = [
        [value for chunk in heads[name].chunks for value in read(chunk)]
        for name, read in (("period_start", to_instants), ("period_end", to_instants), ("total", to_fixed))
    ]
    return zip(texts, *numbers, strict=True)


def _title(statement: Statement) -> str:
    name = period_name(statement.statement_id)
    account = printable(statement.account)
    what = f"Statement {name}" if statement.revision else f"Running bill {name}"
    if statement.kind is StatementKind.INTERIM:
        what = f"Interim statement {statement.number} of {name}"
    return f"{what} of {account}{'' if statement.revision else ', not final'}"


def _particulars(statement: Statement) -> Table:
    zone = statement.zone
    facts = grid(("", "left"), ("", "left"), head=False)
    facts.add_row("Period", f"{dates(statement.period_start, statement.period_end, zone)} ({zone})")
    if statement.usage_first is not None and statement.usage_last is not None:
        span = f"{moment(statement.usage_first, zone)} to {moment(statement.usage_last, zone)}"
        facts.add_row("Usage", f"{statement.usage_records} records, {span}")
    exact = f"{money(statement.exact, statement.currency)} {statement.currency}"
    facts.add_row("Exact", f"{exact}, before rounding and tax")
    if statement.revision:
        facts.add_row(
            "Statement", Text(printable(f"{statement.statement_id}, from {_count(statement.charges, 'charge')}"))
        )
        if not statement.complete and statement.kind is StatementKind.STATEMENT:
            facts.add_row("Incomplete", "closed before every meter had passed the end of the period")
    for allowance in statement.allowances:
        counts = f"included {quantity(allowance.included)}, used {quantity(allowance.used)}"
        text = f"{allowance.meter}, {allowance.unit}: {counts}, left {quantity(allowance.left)}"
        facts.add_row("Allowance", Text(printable(text)))
    return facts


def _lines(statement: Statement, *, gross: bool) -> Table:
    table = grid(
        ("", "left"), ("quantity", "right"), ("unit", "left"), ("unit price", "right"), (statement.currency, "right")
    )
    if gross:
        table.add_column(Text("with tax"), justify="right", no_wrap=True)
    for (tariff, version), lines in groupby(statement.lines, lambda line: (line.tariff, line.version)):
        if tariff:
            table.add_row(Text(f"{tariff}, version {version}", style="dim"))
        for line in lines:
            table.add_row(*_line(line, statement.currency), *([Text(money(line.gross, statement.currency))] * gross))
    table.add_section()
    table.add_row(*_sum_row("Net", statement.net, statement.currency))
    for tax in statement.taxes:
        table.add_row(*_sum_row(_tax_name(tax, statement.currency), tax.amount, statement.currency))
    table.add_row(*_sum_row("Total", statement.total, statement.currency), style="bold")
    for paid in statement.settlements:
        left = f", {money(paid.remaining, statement.currency)} left" if paid.remaining else ""
        table.add_row(*_sum_row(f"{paid.name}{left}", -paid.amount, statement.currency))
    if statement.settlements:
        table.add_row(*_sum_row("Due", statement.due, statement.currency), style="bold")
    return table


def _tax_name(tax: TaxLine, currency: str) -> str:
    name = f"{tax.name} on {tax.item}" if tax.item else tax.name
    return f"{name}, {tax.percent} % of {money(tax.base, currency)}" if tax.percent else name


def _sum_row(name: str, amount: int, currency: str) -> list[Text]:
    return cells(name, "", "", "", money(amount, currency))


def _line(line: StatementLine, currency: str) -> list[Text]:
    has_units = line.quantity != 0 or line.unit != ""
    return cells(
        f"  {_name(line)}",
        quantity(line.quantity) if has_units else "",
        line.unit,
        price(line.unit_price) if has_units else "",
        money(line.amount, currency),
    )


def _name(line: StatementLine) -> str:
    tier = "" if line.tier == 0 else f"tier {line.tier}"
    parts = (f"{line.meter} {line.band}".strip(), tier, line.name)
    if line.kind is not LineKind.USAGE:
        parts = (line.name, *parts[:2])
    return ", ".join(part for part in parts if part)


def _csv_rows(statement: Statement) -> Iterator[dict[str, object]]:
    document = json.loads(json_bytes(statement))
    own = {name: document[name] for name in _OWN}
    for line in document["lines"]:
        yield own | line
    empty = dict.fromkeys(_LINE, "")
    for tax in document["taxes"]:
        about = {"period_start": document["period_start"], "period_end": document["period_end"], "kind": "tax"}
        told = {name: tax[name] for name in ("tariff", "version", "name", "amount")}
        yield own | empty | about | told | {"meter": tax["item"]}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
