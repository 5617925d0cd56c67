"""Intake: a usage record is accepted, or refused with a reason and a sentence that says what to do.

Nothing is guessed: a quantity, a time or a unit that the meter's rules do not allow is refused here, before it can
touch a total. Decoding came before (schemas/codecs); duplicates and lateness are judged in processing.py, which knows
what was accepted earlier.
"""

from decimal import Context, Decimal

from msgspec import Struct

from pipeline.terms import Terms
from schemas.fixed_point import DIGITS, QUANTITY_LIMIT, QUANTITY_ONE, QUANTITY_SCALE
from schemas.instants import SECOND_US, to_iso, to_us
from schemas.rejection import Reason
from schemas.usage import UsageRecord

FUTURE_TOLERANCE_US = 300 * SECOND_US
"""How far a record may end after it arrived: five minutes, for clocks that differ."""

_ONE = Decimal(QUANTITY_ONE)
_EXACT = Context(prec=100)


class Refusal(Struct, frozen=True, gc=False):
    """Why a record is not accepted."""

    reason: Reason
    message: str


Measured = tuple[int | None, bool]
"""A quantity in millionths of its unit (None: a void), and whether excess decimals were rounded away."""


def impossible_times(usage: UsageRecord, received: int) -> Refusal:
    """The record ends before it starts, or later after it arrived than clocks may differ."""
    start, end = to_us(usage.start), to_us(usage.end)
    if end < start:
        return Refusal(
            Reason.END_BEFORE_START,
            f"usage {usage.id}: end {to_iso(end)} is before start {to_iso(start)}. Send it again with its times in "
            "order.",
        )
    return Refusal(
        Reason.FUTURE,
        f"usage {usage.id}: end {to_iso(end)} is after it arrived, {to_iso(received)}. Check the producer's clock, "
        "then send it again.",
    )


def measure(usage: UsageRecord, terms: Terms) -> Measured | Refusal:
    """The quantity as a fixed-point number, by the meter's rules for its unit, decimals and what is below zero."""
    if usage.unit is not None and usage.unit != terms.rules.unit:
        return _wrong_unit(usage, terms.rules.unit)
    quantity = usage.quantity
    if quantity is None:
        return (None, False) if usage.corrects is not None else _no_quantity(usage)
    scaled = _EXACT.multiply(quantity, _ONE)
    fixed = int(scaled)
    if not -QUANTITY_LIMIT < fixed < QUANTITY_LIMIT:
        return _out_of_range(usage)
    rounded = False
    if fixed != scaled or terms.decimals != QUANTITY_SCALE:
        fixed = int(_EXACT.multiply(_to_decimals(quantity, terms.decimals), _ONE))
        rounded = fixed != scaled
        if rounded and terms.rules.excess_decimals == "reject":
            return _excess_decimals(usage, terms.decimals)
    if fixed < 0 and terms.rules.negative == "reject":
        return _negative(usage)
    return fixed, rounded


def _to_decimals(quantity: Decimal, decimals: int) -> Decimal:
    """Rounded half-even, so that noise does not lean to one side."""
    return quantity.quantize(Decimal(1).scaleb(-decimals), context=_EXACT)


def unknown_account(usage: UsageRecord) -> Refusal:
    """Nobody declared the account."""
    return Refusal(
        Reason.UNKNOWN_ACCOUNT,
        f"usage {usage.id}: no account {usage.account!r} of tenant {usage.tenant!r}. Add it to the accounts, then send "
        "the record again.",
    )


def no_terms(usage: UsageRecord, *, priced: bool) -> Refusal:
    """No tariff of the account prices the meter: never, or (`priced`) not for all of the record's time."""
    if not priced:
        return Refusal(
            Reason.UNKNOWN_METER,
            f"usage {usage.id}: no tariff of account {usage.account} prices a meter {usage.meter!r}. Add the meter to "
            "one of its tariffs, then send the record again.",
        )
    return Refusal(
        Reason.NO_TARIFF,
        f"usage {usage.id}: account {usage.account} has no tariff for meter {usage.meter!r} in all of "
        f"{to_iso(to_us(usage.start))} to {to_iso(to_us(usage.end))}. Give it one that is in force then, and send the "
        "record again.",
    )


def missing_attribute(usage: UsageRecord, problem: str) -> Refusal:
    """An attribute that the price depends on is not there."""
    return Refusal(
        Reason.MISSING_FIELD,
        f"usage {usage.id}: {problem}, which the price of meter {usage.meter!r} depends on. Send the record again with "
        "it.",
    )


def wrong_attribute(usage: UsageRecord, problem: str) -> Refusal:
    """An attribute that the price depends on means nothing."""
    return Refusal(Reason.WRONG_TYPE, f"usage {usage.id}: {problem}. Correct it and send the record again.")


def no_price_for_attributes(usage: UsageRecord) -> Refusal:
    """The tariff prices the meter, but not usage with these attributes."""
    shown = ", ".join(f"{name}={value}" for name, value in sorted((usage.attributes or {}).items())) or "none"
    return Refusal(
        Reason.NO_TARIFF,
        f"usage {usage.id}: the tariff of account {usage.account} has no price for meter {usage.meter!r} with these "
        f"attributes ({shown}). Add a band for them, or one without `where` for the rest.",
    )


def id_reused(usage: UsageRecord) -> Refusal:
    """The id was accepted before with other facts."""
    return Refusal(
        Reason.ID_REUSED,
        f"usage {usage.id}: this id was accepted before from source {usage.source!r} with other facts. To change that "
        "record, send a new id with `corrects`.",
    )


def too_late(usage: UsageRecord, period: str, lateness_s: int) -> Refusal:
    """The record's period closed longer ago than late usage is taken."""
    return Refusal(
        Reason.TOO_LATE,
        f"usage {usage.id}: its billing period {period} of account {usage.account} ended more than {lateness_s} s "
        f"before what meter {usage.meter!r} has already sent. Credit or charge it by hand, or raise lateness_s in "
        "the tariff.",
    )


def amount_out_of_range(usage: UsageRecord) -> Refusal:
    """The charge would make a total that cannot be stored."""
    return Refusal(
        Reason.OUT_OF_RANGE,
        f"usage {usage.id}: its charge makes the bill of account {usage.account} longer than {DIGITS} digits. Check "
        "the quantity and the unit price.",
    )


def _no_quantity(usage: UsageRecord) -> Refusal:
    return Refusal(
        Reason.MISSING_FIELD,
        f"usage {usage.id}: no quantity. Send one; only a record with `corrects` may leave it out, to void.",
    )


def _wrong_unit(usage: UsageRecord, unit: str) -> Refusal:
    return Refusal(
        Reason.WRONG_UNIT,
        f"usage {usage.id}: unit {usage.unit!r}, but meter {usage.meter!r} of account {usage.account} is priced in "
        f"{unit!r}. Convert the quantity, or correct the tariff.",
    )


def _excess_decimals(usage: UsageRecord, decimals: int) -> Refusal:
    return Refusal(
        Reason.EXCESS_DECIMALS,
        f"usage {usage.id}: quantity {usage.quantity} has more than the {decimals} decimals of meter "
        f"{usage.meter!r}. Round it at its source, or set excess_decimals: round in the tariff.",
    )


def _negative(usage: UsageRecord) -> Refusal:
    return Refusal(
        Reason.NEGATIVE,
        f"usage {usage.id}: quantity {usage.quantity} is below zero, which meter {usage.meter!r} does not accept. "
        "Correct the earlier record with `corrects`, or set negative: accept in the tariff.",
    )


def _out_of_range(usage: UsageRecord) -> Refusal:
    return Refusal(
        Reason.OUT_OF_RANGE,
        f"usage {usage.id}: quantity is beyond {QUANTITY_LIMIT // QUANTITY_ONE} units. Send it in a larger unit, or in "
        "several records.",
    )
