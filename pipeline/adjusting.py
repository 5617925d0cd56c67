"""Adjusting: usage that comes after its period has closed, and corrections of usage that was accepted before.

A closed statement never changes. Late usage is rated against the totals of the period in which it happened, and its
charge goes on the account's next statement; there the earlier period is stated again, and the line is the difference
of the two rounded results, so that what the customer has paid for the period in all is what one statement with all of
its usage would have said. Where the tariff asks for revisions instead, the charge joins the statement of its own
period, and that is drawn up again, with the next number, when the account's next statement is. A correction takes a
record's usage out of the totals again, at what it is worth to the price now, and a replacement is then rated like any
usage.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from pipeline.bill import MoneyError, bill_of, plain_line
from pipeline.entries import AdjustmentEntry, Entry, Posting, Stated, StatedTax
from pipeline.intake import Refusal
from pipeline.ledger import AccountState, Ledger, Seat
from pipeline.posting import Period
from pipeline.terms import Plans
from schemas.charge import Charge
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


def seat_of(state: AccountState, posting: Posting) -> Seat:
    """The totals that a posting was added to."""
    period = state.period(posting.period_start)
    totals = period.totals.get((posting.item, posting.tariff, posting.version, posting.start))
    if totals is None and not period.stored and period.start < state.open_from:
        totals = state.forgotten_totals(posting, period)
    if totals is None:
        raise MoneyError(
            f"account {state.account}: charge {posting.number} of a record is in no total of {posting.item!r}. Stop, "
            "keep the data directory, and report this."
        )
    return Seat(totals.terms, period, totals)


def is_revised(state: AccountState, period: Period) -> bool:
    """Whether late usage of the period makes a new revision of its statement: all of its tariffs have to say so."""
    policies = {entry.tariff.closing.late for entry in state.plan.within(period.start, period.end)}
    return policies == {"revision"}


def plan_revisions(ledger: Ledger, state: AccountState, charges: Iterable[Charge]) -> None:
    """Remember, for the next closing, the closed periods whose statements these charges have joined."""
    for start in {charge.statement_start for charge in charges if charge.statement_start < state.open_from}:
        following = state.period(state.open_from)
        following.revised.add(start)
        ledger.touch(state, following)


def stated_of(plans: Plans, state: AccountState, period: Period) -> Stated:
    """What the period's own usage comes to now, as it is told to the customer."""
    bill = bill_of(plans, state.plan, period)
    taxes = [StatedTax(t.tariff, t.version, t.name, t.percent, str(t.base), str(t.amount), t.item) for t in bill.taxes]
    return Stated(str(bill.net), taxes)


def adjustments_of(plans: Plans, state: AccountState, period: Period) -> list[AdjustmentEntry]:
    """What each earlier period that this statement's charges change comes to now, more than has been stated of it."""
    entries = []
    for start, exact in sorted(period.adjusted.items()):
        earlier = state.period(start)
        before, after = earlier.stated, stated_of(plans, state, earlier)
        if before is None:
            name = state.plan.calendar.name(start)
            raise MoneyError(f"account {state.account}: {name} is adjusted but was never stated. Stop and report this.")
        net = str(int(after.net) - int(before.net))
        entries.append(AdjustmentEntry(start, str(exact), net, _tax_differences(before, after)))
    return entries


def adjustment_lines(
    state: AccountState, adjustments: Iterable[AdjustmentEntry]
) -> tuple[list[StatementLine], list[TaxLine]]:
    """A line for each adjusted period, and its taxes."""
    lines: list[StatementLine] = []
    taxes: list[TaxLine] = []
    for entry in adjustments:
        about = state.plan.calendar.period(entry.period_start)
        name = state.plan.calendar.name(entry.period_start)
        net, tax = int(entry.net), sum(int(tax.amount) for tax in entry.taxes)
        line = plain_line(LineKind.ADJUSTMENT, about, f"Adjustment of {name}", int(entry.exact))
        lines.append(replace(line, amount=net, gross=net + tax))
        taxes += [
            TaxLine(
                tax.tariff,
                tax.version,
                f"{tax.name}, adjustment of {name}",
                tax.percent,
                int(tax.base),
                int(tax.amount),
                tax.item,
            )
            for tax in entry.taxes
        ]
    return lines, taxes


def _tax_differences(before: Stated, after: Stated) -> list[StatedTax]:
    """What each tax of an earlier period changes by."""
    sums: dict[tuple[str, str, str, str, str], list[int]] = {}
    for stated, sign in ((before, -1), (after, 1)):
        for tax in stated.taxes:
            found = sums.setdefault((tax.tariff, tax.version, tax.name, tax.item, tax.percent), [0, 0])
            found[0] += sign * int(tax.base)
            found[1] += sign * int(tax.amount)
    return [
        StatedTax(tariff, version, name, percent, str(base), str(amount), item)
        for (tariff, version, name, item, percent), (base, amount) in sorted(sums.items())
        if base or amount
    ]
