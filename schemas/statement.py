"""Statement: one closed billing period of one account."""

from enum import StrEnum

from msgspec import Struct


class LineKind(StrEnum):
    """What a line of a statement is for. Tax is told per statement in `taxes`, not as a line."""

    USAGE = "usage"
    RECURRING = "recurring"
    TRUE_UP = "true_up"
    ADJUSTMENT = "adjustment"
    DISCOUNT = "discount"


class StatementKind(StrEnum):
    """A period's own statement, or an interim one that asks for a part of it before it has ended."""

    STATEMENT = "statement"
    INTERIM = "interim"


class StatementLine(Struct, frozen=True, gc=False):
    """One row: a meter, tier, time band and unit price; a fee; a true-up; or the adjustment of an earlier period.

    `exact` is the sum of the charges behind it; `amount` what is printed: rounded, except that an adjustment's
    amount is the difference of two rounded statements, tax included (its tax is in `tax`). `gross` is the line with
    its taxes, rounded by itself: what one line says, where the taxes of a statement are worked out on sums; `due` what
    credits leave of it, drawn in the order of the lines. `period_*` is the billing period that the line is about.
    """

    kind: LineKind
    period_start: int
    period_end: int
    tariff: str
    version: str
    meter: str
    name: str
    band: str
    tier: int
    unit_price: int
    quantity: int
    unit: str
    exact: int
    amount: int
    gross: int = 0
    due: int = 0


class TaxLine(Struct, frozen=True, gc=False):
    """One tax of one tariff: `amount` = `percent` of `base`, rounded as the tariff says.

    `item` names the meter, fee or component that it is a tax on; "" is all of the tariff. `percent` is "" where a
    limit on a price with its tax leaves an amount that is no percentage.
    """

    tariff: str
    version: str
    name: str
    percent: str
    base: int
    amount: int
    item: str = ""


class Settlement(Struct, frozen=True, gc=False):
    """What was paid of a statement's total before it was drawn up, by a credit or an interim statement.

    `amount` is what it pays here, `remaining` what is left of the credit after it.
    """

    name: str
    amount: int
    remaining: int


class Allowance(Struct, frozen=True, gc=False):
    """Units that cost nothing: how many a period includes of an item, and how many of them were used."""

    meter: str
    unit: str
    included: int
    used: int
    left: int


class Statement(Struct, frozen=True, gc=False):
    """What one account owes for one billing period.

    `exact` is the sum of all its charges, unrounded and before tax. `net` + `tax` = `total`, rounded.
    `complete` is False where it was closed before every meter had passed the period's end. The digests do not
    depend on order: each is the sum modulo 2²⁵⁶ of a hash of every record (`usage_digest`) or charge, amount
    included (`charges_digest`), as 64 hex digits. `due` is the total less its settlements.
    The interim statements of a period have a `number` from 1; it is 0 for the period's own.
    """

    statement_id: str
    tenant: str
    account: str
    period_start: int
    period_end: int
    zone: str
    currency: str
    revision: int
    complete: bool
    lines: tuple[StatementLine, ...]
    taxes: tuple[TaxLine, ...]
    exact: int
    net: int
    tax: int
    total: int
    usage_records: int
    charges: int
    usage_first: int | None
    usage_last: int | None
    usage_digest: str
    charges_digest: str
    kind: StatementKind = StatementKind.STATEMENT
    number: int = 0
    settlements: tuple[Settlement, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    due: int = 0
