"""The oracle agrees with the local runner, which rates the same messages as lines of a file; and it finds damage."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from tests.chaos.book import customers, write_documents
from tests.chaos.comparison import Found, FoundRejection, compare
from tests.chaos.customer import Mix
from tests.chaos.expected import Expected, Logged, expected
from tests.chaos.generation import Generator
from tests.chaos.message import Message
from tests.integration.command import export, succeed
from tests.oracle.exported import read_export

pytest.importorskip("chdb", reason="the embedded engine is not installed: pip install 'ratestream[embedded]'")

SEED = 20_240_331


@dataclass(frozen=True)
class Both:
    """What is due, and what the local runner has made of it."""

    due: Expected
    found: Found


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("chaos")
    of = customers(12)
    tariffs, accounts = write_documents(folder, of)
    mix = Mix(duplicates=0.1, repeats_of_one=300)
    messages = Generator(SEED, of, mix, lines_only=True).messages(4_000)
    usage = folder / "usage.jsonl"
    usage.write_bytes(b"".join((message.value or b"") + b"\n" for message in messages))
    succeed("run", "--data", folder / "data", "--tariffs", tariffs, "--accounts", accounts, usage)
    export(folder / "data", folder / "export")
    exported = read_export(folder / "export")
    rejections = [FoundRejection((0, offset, 0), reason) for reason, _, offset in exported.rejections]
    due = expected([Logged(0, at, message) for at, message in enumerate(messages)], of)
    return Both(due, Found(exported.charges, exported.statements, rejections))


def test_the_local_runner_and_the_oracle_agree(both: Both) -> None:
    report = compare(both.due, both.found)
    assert report.is_right, report.table()


def test_a_run_has_all_that_can_happen(both: Both) -> None:
    reasons = both.due.reasons
    assert both.due.late > 50
    assert both.due.duplicates > 600
    for reason in ("too-late", "id-reused", "already-corrected", "wrong-correction", "future", "negative", "no-zone"):
        assert reasons[reason] > 0, reason
    kinds = {charge.kind for charge in both.due.charges}
    assert kinds == {"usage", "adjustment", "reversal", "recurring"}
    lines = {line.kind for statement in both.due.statements for line in statement.lines}
    assert lines == {"usage", "recurring", "adjustment"}


def _without_a_charge(found: Found) -> Found:
    return replace(found, charges=found.charges[1:])


def _with_a_charge_twice(found: Found) -> Found:
    return replace(found, charges=[*found.charges, found.charges[7]])


def _with_another_amount(found: Found) -> Found:
    first, *rest = found.charges
    return replace(found, charges=[replace(first, amount=first.amount + Decimal("1e-18")), *rest])


def _with_another_running_total(found: Found) -> Found:
    first, *rest = found.charges
    return replace(found, charges=[replace(first, running_total=first.running_total + 1), *rest])


def _with_a_charge_of_nobody(found: Found) -> Found:
    return replace(found, charges=[*found.charges, replace(found.charges[0], charge_id="0" * 32)])


def _without_a_statement(found: Found) -> Found:
    return replace(found, statements=found.statements[1:])


def _with_a_statement_twice(found: Found) -> Found:
    return replace(found, statements=[*found.statements, found.statements[0]])


def _with_another_cent(found: Found) -> Found:
    first, *rest = found.statements
    return replace(found, statements=[replace(first, total=first.total + Decimal("0.01")), *rest])


def _with_another_line(found: Found) -> Found:
    first, *rest = found.statements
    line = replace(first.lines[0], quantity=first.lines[0].quantity + 1)
    return replace(found, statements=[replace(first, lines=(line, *first.lines[1:])), *rest])


def _without_a_rejection(found: Found) -> Found:
    return replace(found, rejections=found.rejections[:-1])


def _with_a_rejection_twice(found: Found) -> Found:
    return replace(found, rejections=[*found.rejections, found.rejections[3]])


def _with_another_reason(found: Found) -> Found:
    first, *rest = found.rejections
    return replace(found, rejections=[FoundRejection(first.place, "oversized"), *rest])


def _with_a_rejection_of_something_good(found: Found) -> Found:
    return replace(found, rejections=[*found.rejections, FoundRejection((3, 10**9, 0), "unreadable")])


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (_without_a_charge, "missing charges"),
        (_with_a_charge_twice, "doubled charges"),
        (_with_another_amount, "wrong amounts"),
        (_with_another_running_total, "wrong running totals"),
        (_with_a_charge_of_nobody, "charges from nowhere"),
        (_without_a_statement, "missing statements"),
        (_with_a_statement_twice, "doubled statements"),
        (_with_another_cent, "wrong statements"),
        (_with_another_line, "wrong statements"),
        (_without_a_rejection, "missing rejections"),
        (_with_a_rejection_twice, "doubled rejections"),
        (_with_another_reason, "wrong reasons"),
        (_with_a_rejection_of_something_good, "rejections from nowhere"),
    ],
)
def test_damage_is_found(both: Both, damage: Callable[[Found], Found], kind: str) -> None:
    assert compare(both.due, damage(both.found)).counts().get(kind) == 1


def test_one_seed_makes_the_same_messages() -> None:
    def made(seed: int) -> list[Message]:
        return Generator(seed, customers(4), Mix(repeats_of_one=10)).messages(300)

    assert made(1) == made(1)
    assert made(1) != made(2)
