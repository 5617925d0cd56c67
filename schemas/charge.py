"""Charge: the signed amount that one usage record, or one closing, makes to an account's bill."""

from enum import StrEnum

from msgspec import Struct


class ChargeKind(StrEnum):
    """Why a charge exists. `adjustment` and `reversal` correct earlier charges; nothing is ever updated."""

    USAGE = "usage"
    ADJUSTMENT = "adjustment"
    REVERSAL = "reversal"
    RECURRING = "recurring"
    TRUE_UP = "true_up"
    CREDIT = "credit"


class Part(Struct, frozen=True, gc=False, array_like=True):
    """A share of a charge at one unit price: `amount` = `quantity` × `unit_price`, or a flat fee with no quantity.

    `band` is "" where the price has no bands. `tier` counts from 1; tier 0 holds free units. `name` says what the part
    is for where that is not its units alone. Where quantities are converted or a rate is for many units, `amount` was
    multiplied first and divided last, and `quantity` is rounded to its six decimals. A component that is taxed by
    itself has its `tax_percent`, and `tax` in the currency, exact.
    """

    band: str
    tier: int
    unit_price: int
    quantity: int
    amount: int
    name: str = ""
    tax_percent: str = ""
    tax: int = 0


class Charge(Struct, frozen=True, gc=False):
    """One immutable, signed charge. Quantities, prices and amounts are fixed point, instants microseconds (UTC).

    `period_*` is the billing period of the usage, `statement_*` that of the statement which carries the charge:
    they differ for late usage. `used_before` is the quantity that the tariff version had rated for this meter and
    period when the charge was made; `running_total` what the statement's charges add up to after it, before tax.
    `corrects` names the usage record or charge that this one corrects. Recurring fees and true-ups have no usage
    record: their `source` and `usage_id` are "".
    """

    charge_id: str
    kind: ChargeKind
    tenant: str
    account: str
    source: str
    usage_id: str
    meter: str
    unit: str
    usage_start: int
    usage_end: int
    period_start: int
    period_end: int
    statement_start: int
    statement_end: int
    used_before: int
    quantity: int
    parts: tuple[Part, ...]
    amount: int
    currency: str
    tariff: str
    version: str
    running_total: int
    corrects: str
