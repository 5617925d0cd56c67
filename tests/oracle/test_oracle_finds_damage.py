"""Whatever is wrong in an export, be it the smallest unit, the oracle finds it; what is right it lets pass."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command import ACCOUNTS, CLOUD, ROOT, TARIFFS, ratestream
from tests.integration.mixed_usage import cloud_lines
from tests.oracle.comparison import Report, compare
from tests.oracle.exported import Charge, Exported, Part, Statement, read_export
from tests.oracle.made_contracts import write_item_usage, write_items
from tests.oracle.own_side import Question

SMALLEST = Decimal("1e-18")
MILLIONTH = Decimal("1e-6")
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Rated:
    """A usage file and what was made of it."""

    usage: Path
    export: Exported

    def report_on(self, export: Exported) -> Report:
        return compare(Question([self.usage], TARIFFS, ACCOUNTS, export, by_event_time=True))


def rate(usage: Path, folder: Path) -> Rated:
    done = ratestream("rate", "--tariffs", TARIFFS, "--accounts", ACCOUNTS, usage)
    file = folder / "rated.jsonl"
    file.write_text(done.stdout, encoding="utf-8")
    return Rated(usage, read_export(file))


@pytest.fixture(scope="module")
def winter(tmp_path_factory: pytest.TempPathFactory) -> Rated:
    """Two months: as each damage is looked for in all there is, in much it would only be looked for longer."""
    folder = tmp_path_factory.mktemp("winter")
    usage = folder / "usage.jsonl"
    usage.write_text("".join(f"{line}\n" for line in cloud_lines() if not re.search('"start":"2012-0[3-9]', line)))
    rated = rate(usage, folder)
    assert rated.report_on(rated.export).findings == []
    assert rated.export.rejections
    return rated


def test_an_undamaged_export_passes(tmp_path: Path) -> None:
    rated = rate(CLOUD, tmp_path)
    report = rated.report_on(rated.export)
    assert report.findings == []
    assert (report.received, report.accepted, report.duplicates, report.rejected) == (3206, 3191, 8, 7)


def with_charge(rated: Exported, place: int, change: Callable[[Charge], list[Charge]]) -> Exported:
    charges = [*rated.charges[:place], *change(rated.charges[place]), *rated.charges[place + 1 :]]
    return Exported(charges, rated.statements, rated.rejections)


CHARGES: dict[str, Callable[[Charge], list[Charge]]] = {
    "deleted": lambda _: [],
    "doubled": lambda charge: [charge, charge],
    "doubled under another id": lambda charge: [charge, replace(charge, charge_id="0" * 32)],
    "amount and parts up by the smallest unit": lambda charge: [
        replace(
            charge,
            amount=charge.amount + SMALLEST,
            parts=(*charge.parts[:-1], charge.parts[-1]._replace(amount=charge.parts[-1].amount + SMALLEST)),
        )
    ],
    "amount up by the smallest unit": lambda charge: [replace(charge, amount=charge.amount + SMALLEST)],
    "quantity up by the smallest unit": lambda charge: [replace(charge, quantity=charge.quantity + MILLIONTH)],
    "running total": lambda charge: [replace(charge, running_total=charge.running_total + SMALLEST)],
    "a part": lambda charge: [replace(charge, parts=charge.parts[:-1])],
    "on another statement": lambda charge: [replace(charge, statement_start=charge.statement_end)],
    "of another account": lambda charge: [replace(charge, account="cloud-initech")],
    "of another meter": lambda charge: [replace(charge, meter="gpu")],
    "of another record": lambda charge: [replace(charge, usage_id="unheard-of")],
    "under another version": lambda charge: [replace(charge, version="2013")],
}


@pytest.mark.parametrize("meter", ["compute", "storage", "Pro subscription"])
@pytest.mark.parametrize("damage", CHARGES)
def test_a_damaged_charge_is_found(damage: str, meter: str, winter: Rated) -> None:
    """Of paid usage in the middle of a period, of included usage, of a fee."""
    place = [place for place, charge in enumerate(winter.export.charges) if charge.meter == meter][3]
    assert winter.report_on(with_charge(winter.export, place, CHARGES[damage])).findings


def with_line(statement: Statement, **values: Decimal) -> Statement:
    line = statement.lines[-1]
    changed = replace(line, **{name: getattr(line, name) + by for name, by in values.items()})
    return replace(statement, lines=(*statement.lines[:-1], changed))


def with_tax(statement: Statement) -> Statement:
    tax = replace(statement.taxes[0], amount=statement.taxes[0].amount + CENT)
    return replace(statement, taxes=(tax, *statement.taxes[1:]), tax=statement.tax + CENT, total=statement.total + CENT)


def all_a_cent_dearer(statement: Statement) -> Statement:
    """A fee raised by a cent, with everything that follows from it within the statement but for the tax."""
    dearer = with_line(statement, unit_price=CENT, exact=CENT, amount=CENT)
    return replace(dearer, exact=dearer.exact + CENT, net=dearer.net + CENT, total=dearer.total + CENT)


STATEMENTS: dict[str, Callable[[Statement], list[Statement]]] = {
    "deleted": lambda _: [],
    "doubled": lambda statement: [statement, statement],
    "a line deleted": lambda statement: [replace(statement, lines=statement.lines[1:])],
    "a line's exact amount": lambda statement: [with_line(statement, exact=SMALLEST)],
    "a line's printed amount": lambda statement: [with_line(statement, amount=CENT)],
    "a line's amount with its taxes": lambda statement: [with_line(statement, gross=CENT)],
    "a line's quantity": lambda statement: [with_line(statement, quantity=MILLIONTH)],
    "a line's unit price": lambda statement: [with_line(statement, unit_price=Decimal("1e-12"))],
    "all of it a cent dearer": lambda statement: [all_a_cent_dearer(statement)],
    "exact": lambda statement: [replace(statement, exact=statement.exact + SMALLEST)],
    "net": lambda statement: [replace(statement, net=statement.net + CENT)],
    "tax": lambda statement: [with_tax(statement)],
    "total": lambda statement: [replace(statement, total=statement.total + CENT)],
    "due": lambda statement: [replace(statement, due=statement.due + CENT)],
    "count of records": lambda statement: [replace(statement, usage_records=statement.usage_records + 1)],
    "count of charges": lambda statement: [replace(statement, charges=statement.charges + 1)],
    "digest of usage": lambda statement: [replace(statement, usage_digest="0" * 64)],
    "digest of charges": lambda statement: [replace(statement, charges_digest="0" * 64)],
    "end": lambda statement: [replace(statement, period_end=statement.period_start)],
}


@pytest.mark.parametrize("damage", STATEMENTS)
def test_a_damaged_statement_is_found(damage: str, winter: Rated) -> None:
    rated = winter.export
    place = next(n for n, statement in enumerate(rated.statements) if statement.taxes)
    statements = [
        *rated.statements[:place],
        *STATEMENTS[damage](rated.statements[place]),
        *rated.statements[place + 1 :],
    ]
    assert winter.report_on(Exported(rated.charges, statements, rated.rejections)).findings


@pytest.fixture(scope="module")
def many_items(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    folder = tmp_path_factory.mktemp("items")
    tariffs, accounts = write_items(folder)
    done = ratestream("rate", "--tariffs", tariffs, "--accounts", accounts, write_item_usage(folder, 5, 60))
    (folder / "rated.jsonl").write_text(done.stdout, encoding="utf-8")
    return folder, read_export(folder / "rated.jsonl")


def report_on_items(folder: Path, export: Exported) -> Report:
    files = folder / "items.yaml", folder / "item-accounts.yaml"
    return compare(Question([folder / "items-5.jsonl"], *files, export, by_event_time=True))


def test_undamaged_items_pass(many_items: tuple[Path, Exported]) -> None:
    report = report_on_items(*many_items)
    assert (report.findings, report.not_worked_out) == ([], [])


def with_paid(statement: Statement, **values: Any) -> Statement:  # noqa: ANN401 - as the fields
    """Another first settlement, and what follows from it for what is due."""
    paid = statement.settlements[0]._replace(**values)
    due = statement.total - sum(one.amount for one in (paid, *statement.settlements[1:]))
    return replace(statement, settlements=(paid, *statement.settlements[1:]), due=due)


def with_line_of(statement: Statement, kind: str, **values: Any) -> Statement:  # noqa: ANN401 - as the fields
    place = next(n for n, line in enumerate(statement.lines) if line.kind == kind)
    changed = replace(statement.lines[place], **values)
    return replace(statement, lines=(*statement.lines[:place], changed, *statement.lines[place + 1 :]))


def with_first_tax(statement: Statement, **values: Any) -> Statement:  # noqa: ANN401 - as the fields
    return replace(statement, taxes=(replace(statement.taxes[0], **values), *statement.taxes[1:]))


ITEM_STATEMENTS: dict[str, Callable[[Statement], Statement]] = {
    "a settlement's amount": lambda s: with_paid(s, amount=s.settlements[0].amount + CENT),
    "a settlement's rest": lambda s: with_paid(s, remaining=s.settlements[0].remaining + CENT),
    "a settlement's name": lambda s: with_paid(s, name="Unheard-of"),
    "a settlement lost": lambda s: replace(s, settlements=s.settlements[1:], due=s.due + s.settlements[0].amount),
    "settlements exchanged": lambda s: replace(s, settlements=s.settlements[::-1]),
    "what is due of a line": lambda s: with_line_of(s, "usage", due=Decimal(1)),
    "a line with its taxes": lambda s: with_line_of(s, "usage", gross=Decimal(1)),
    "a coupon's line with its taxes": lambda s: with_line_of(s, "discount", gross=Decimal(-1)),
    "a coupon's share": lambda s: with_line_of(s, "discount", exact=Decimal(-1)),
    "a coupon's name": lambda s: with_line_of(s, "discount", name="Unheard-of"),
    "a line's name": lambda s: with_line_of(s, "usage", name="Unheard-of"),
    "a line's band": lambda s: with_line_of(s, "usage", band="unheard-of"),
    "a tax's item": lambda s: with_first_tax(s, item="unheard-of"),
    "a tax's percent": lambda s: with_first_tax(s, percent="20"),
    "a tax's name": lambda s: with_first_tax(s, name="Unheard-of"),
    "a tax's base": lambda s: with_first_tax(s, base=s.taxes[0].base + CENT),
    "an allowance's rest": lambda s: replace(
        s, allowances=(s.allowances[0]._replace(left=s.allowances[0].left + MILLIONTH), *s.allowances[1:])
    ),
    "an allowance lost": lambda s: replace(s, allowances=s.allowances[1:]),
    "currency": lambda s: replace(s, currency="USD"),
    "zone": lambda s: replace(s, zone="Europe/Berlin"),
}


@pytest.mark.parametrize("damage", ITEM_STATEMENTS)
def test_a_damaged_statement_of_many_items_is_found(damage: str, many_items: tuple[Path, Exported]) -> None:
    folder, rated = many_items
    places = [
        place
        for place, statement in enumerate(rated.statements)
        if len(statement.settlements) > 1 and any(line.kind == "discount" for line in statement.lines)
    ]
    statements = [*rated.statements]
    statements[places[0]] = ITEM_STATEMENTS[damage](statements[places[0]])
    assert report_on_items(folder, Exported(rated.charges, statements, rated.rejections)).findings


PARTS: dict[str, Callable[[Part], Part]] = {
    "name": lambda part: part._replace(name="discount" if part.name != "discount" else ""),
    "an unknown name": lambda part: part._replace(name="unheard-of"),
    "tax percent": lambda part: part._replace(tax_percent="19"),
    "tax": lambda part: part._replace(tax=SMALLEST),
    "band": lambda part: part._replace(band="unheard-of"),
    "tier": lambda part: part._replace(tier=part.tier + 1),
    "unit price": lambda part: part._replace(unit_price=part.unit_price + CENT),
}


@pytest.mark.parametrize("item", ["energy", "peak", "stored", "Conservation", "payment", "calls-by-attribute"])
@pytest.mark.parametrize("damage", PARTS)
def test_a_damaged_part_is_found(damage: str, item: str, many_items: tuple[Path, Exported]) -> None:
    folder, rated = many_items
    place = next(n for n, charge in enumerate(rated.charges) if charge.meter == item and charge.usage_id)
    charge = rated.charges[place]
    assert charge.parts
    damaged = replace(charge, parts=(PARTS[damage](charge.parts[0]), *charge.parts[1:]))
    charges = [*rated.charges[:place], damaged, *rated.charges[place + 1 :]]
    assert report_on_items(folder, Exported(charges, rated.statements, rated.rejections)).findings


def test_a_lost_rejection_is_found(winter: Rated) -> None:
    rated = winter.export
    assert winter.report_on(Exported(rated.charges, rated.statements, rated.rejections[1:])).findings


def test_a_rejection_for_another_reason_is_found(winter: Rated) -> None:
    rated = winter.export
    reason, origin, offset = rated.rejections[0]
    changed = [(f"{reason}-not", origin, offset), *rated.rejections[1:]]
    assert winter.report_on(Exported(rated.charges, rated.statements, changed)).findings


def test_the_command_tells_the_difference(tmp_path: Path) -> None:
    """A charge is taken out of the lines, and the program exits with 1."""
    lines = ratestream("rate", "--tariffs", TARIFFS, "--accounts", ACCOUNTS, CLOUD).stdout.splitlines(keepends=True)
    for kept, code in ((lines, 0), (lines[1:], 1)):
        (tmp_path / "rated.jsonl").write_text("".join(kept), encoding="utf-8")
        arguments = ["--tariffs", TARIFFS, "--accounts", ACCOUNTS, "--export", tmp_path / "rated.jsonl", CLOUD]
        program = [sys.executable, "-m", "tests.oracle", *map(str, arguments)]
        done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        assert ("no difference" in done.stdout) == (code == 0)
