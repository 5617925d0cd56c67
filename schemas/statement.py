"""Statement: one closed billing period of one account."""

from enum import StrEnum

from msgspec import Struct


class LineKind(StrEnum):
    """What a line of a statement is for. Tax is told per statement in `taxes`, not as a line."""

    USAGE = "usage"
    RECURRING = "recurring"
    TRUE_UP = "true_up"
    ADJUSTMENT = "adjustment"


class StatementLine(Struct, frozen=True, gc=False):
    """One row: a meter, tier, time band and unit price; a fee; a true-up; or the adjustment of an earlier period.

    `exact` is the sum of the charges behind it; `amount` what is printed: rounded, except that an adjustment's
    amount is the difference of two rounded statements, tax included (its tax is in `tax`).
    `period_*` is the billing period that the line is about.
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


class TaxLine(Struct, frozen=True, gc=False):
    """One tax of one tariff: `amount` = `percent` of `base`, rounded as the tariff says."""

    tariff: str
    version: str
    name: str
    percent: str
    base: int
    amount: int


class Statement(Struct, frozen=True, gc=False):
    """What one account owes for one billing period.

    `exact` is the sum of all its charges, unrounded and before tax. `net` + `tax` = `total`, rounded.
    `complete` is False where it was closed before every meter had passed the period's end. The digests do not
    depend on order: each is the sum modulo 2²⁵⁶ of a hash of every record (`usage_digest`) or charge, amount
    included (`charges_digest`), as 64 hex digits.
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
