"""Counting: what the charges that are stored come to, beside what their statement says of them.

Nothing of the pipeline is used: counts, sums and hashes of rows. The lines of an item, of a fee or of a true-up have to
add up to its charges, and an adjustment to those that are about the earlier period; how a price divides an item into
lines by tier and band is the replay's to check.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from agents.proving.differences import Difference
from schemas.charge import Charge, ChargeKind
from schemas.digest import MODULUS, charge_hash, to_hex
from schemas.fixed_point import AMOUNT_SCALE, to_text
from schemas.instants import to_iso
from schemas.statement import LineKind, Statement, StatementLine

Item = tuple[str, str, str, int]
"""Tariff, version, name of what is charged for, and the start of the period that it is about."""


class Count(Struct, frozen=True):
    """What charges come to; `lines` by item, exact."""

    charges: int
    exact: int
    charges_digest: str
    lines: dict[Item, int]


def count(charges: Sequence[Charge]) -> Count:
    """What these charges of one statement come to."""
    lines: Counter[Item] = Counter()
    for charge in charges:
        lines[_item_of_charge(charge)] += charge.amount
    return Count(
        len(charges),
        sum(charge.amount for charge in charges),
        to_hex(sum(map(charge_hash, charges)) % MODULUS),
        dict(lines),
    )


def differences(statement: Statement, counted: Count) -> Iterator[Difference]:
    """What of a statement is not as its charges say."""
    facts = (
        ("charges", str(statement.charges), str(counted.charges)),
        ("exact", _amount(statement.exact), _amount(counted.exact)),
        ("charges_digest", statement.charges_digest, counted.charges_digest),
        *_lines(statement, counted.lines),
    )
    for field, stored, recomputed in facts:
        if stored != recomputed:
            yield Difference("statement", statement.statement_id, field, stored, recomputed, "charges")


def _lines(statement: Statement, counted: dict[Item, int]) -> Iterator[tuple[str, str, str]]:
    stated: Counter[Item] = Counter()
    for line in statement.lines:
        stated[_item_of_line(line)] += line.exact
    for item in sorted({**stated, **counted}):
        yield f"lines of {_told(item, statement)}", _amount(stated.get(item, 0)), _amount(counted.get(item, 0))


def _item_of_charge(charge: Charge) -> Item:
    if charge.period_start < charge.statement_start:
        return "", "", LineKind.ADJUSTMENT, charge.period_start
    name = charge.meter
    return (
        charge.tariff,
        charge.version,
        f"{name} (coupon)" if charge.kind is ChargeKind.CREDIT else name,
        charge.period_start,
    )


def _item_of_line(line: StatementLine) -> Item:
    match line.kind:
        case LineKind.ADJUSTMENT:
            return "", "", LineKind.ADJUSTMENT, line.period_start
        case LineKind.USAGE:
            name = line.meter
        case LineKind.TRUE_UP:
            name = " ".join(filter(None, (line.name, line.meter)))
        case LineKind.DISCOUNT:
            name = f"{line.name} (coupon)"
        case _:
            name = line.name
    return line.tariff, line.version, name, line.period_start


def _told(item: Item, statement: Statement) -> str:
    tariff, version, name, start = item
    of = f" under {tariff} {version}" if tariff else ""
    about = "" if start == statement.period_start else f", period from {to_iso(start)}"
    return f"{name}{of}{about}"


def _amount(exact: int) -> str:
    return to_text(exact, AMOUNT_SCALE)
