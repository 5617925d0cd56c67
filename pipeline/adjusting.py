"""Adjusting: usage that comes after its period has closed, and corrections of usage that was accepted before.

A closed statement never changes. Late usage is rated against the totals of the period in which it happened, and its
charge goes on the account's next statement; there the earlier period is stated again, and the line is the difference
of the two rounded results, so that what the customer has paid for the period in all is what one statement with all of
its usage would have said. A correction takes a record's usage out of the totals again, at what it is worth to the
price now, and a replacement is then rated like any usage.
"""

from msgspec.structs import replace

from pipeline.bill import MoneyError, bill_of, plain_line
from pipeline.entries import Entry, Posting, Stated
from pipeline.intake import Refusal
from pipeline.ledger import AccountState, Seat
from pipeline.posting import Period
from pipeline.terms import Plans
from schemas.rejection import Reason
from schemas.statement import LineKind, StatementLine, TaxLine
from schemas.usage import UsageRecord


def check_correction(usage: UsageRecord, corrected: Entry | None) -> Refusal | None:
    """Whether the record may correct the one that it names; a record that has not come yet is no obstacle."""
    if usage.corrects == usage.id:
        return Refusal(
            Reason.WRONG_CORRECTION,
            f"usage {usage.id}: a record cannot correct itself. Send the correction with an id of its own.",
        )
    if corrected is None:
        return None
    if corrected.corrected_by:
        return Refusal(
            Reason.ALREADY_CORRECTED,
            f"usage {usage.id}: record {usage.corrects} was already corrected by {corrected.corrected_by}. Correct "
            "that one instead.",
        )
    if not corrected.postings:
        return Refusal(
            Reason.WRONG_CORRECTION,
            f"usage {usage.id}: record {usage.corrects} is a void itself, with nothing to correct. Send the usage as a "
            "new record.",
        )
    if (corrected.account, corrected.meter) != (usage.account, usage.meter):
        return Refusal(
            Reason.WRONG_CORRECTION,
            f"usage {usage.id}: record {usage.corrects} is of account {corrected.account}, meter {corrected.meter!r}, "
            f"not {usage.account}, {usage.meter!r}. Void it there, and send the usage as a new record.",
        )
    return None


def seat_of(state: AccountState, meter: str, posting: Posting) -> Seat:
    """The totals that a posting was added to."""
    period = state.period(posting.period_start)
    totals = period.totals.get((meter, posting.tariff, posting.version, posting.start))
    if totals is None:
        raise MoneyError(
            f"account {state.account}: charge {posting.number} of a record is in no total of {meter!r}. Stop, keep "
            "the data directory, and report this."
        )
    return Seat(totals.terms, period, totals)


def stated_of(plans: Plans, state: AccountState, period: Period) -> Stated:
    """What the period's own usage comes to now, as it is told to the customer."""
    bill = bill_of(plans, state.plan, period)
    return Stated(
        str(bill.net), [(t.tariff, t.version, t.name, t.percent, str(t.base), str(t.amount)) for t in bill.taxes]
    )


def adjustment_lines(plans: Plans, state: AccountState, period: Period) -> tuple[list[StatementLine], list[TaxLine]]:
    """A line for each earlier period that this statement's charges change, and its tax; states those periods again."""
    lines: list[StatementLine] = []
    taxes: list[TaxLine] = []
    for start, exact in sorted(period.adjusted.items()):
        earlier = state.period(start)
        name = state.plan.calendar.name(start)
        before, after = earlier.stated, stated_of(plans, state, earlier)
        if before is None:
            raise MoneyError(f"account {state.account}: {name} is adjusted but was never stated. Stop and report this.")
        earlier.stated = after
        line = plain_line(LineKind.ADJUSTMENT, (start, earlier.end), f"Adjustment of {name}", exact)
        lines.append(replace(line, amount=int(after.net) - int(before.net)))
        taxes += _tax_differences(before, after, name)
    return lines, taxes


def _tax_differences(before: Stated, after: Stated, period: str) -> list[TaxLine]:
    """What each tax of an earlier period changes by."""
    sums: dict[tuple[str, str, str, str], list[int]] = {}
    for stated, sign in ((before, -1), (after, 1)):
        for *key, base, amount in stated.taxes:
            found = sums.setdefault((key[0], key[1], key[2], key[3]), [0, 0])
            found[0] += sign * int(base)
            found[1] += sign * int(amount)
    return [
        TaxLine(tariff, version, f"{name}, adjustment of {period}", percent, base, amount)
        for (tariff, version, name, percent), (base, amount) in sorted(sums.items())
        if base or amount
    ]
