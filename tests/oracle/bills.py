"""Bills: what each billing period of an account comes to, straight from the definitions.

Everything is exact until a line is rounded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from tests.oracle.contracts import Account, Assignment, Coupon, Rules, Tariff
from tests.oracle.fees import Section, fee_rows, fees_for, share_of_period
from tests.oracle.item_prices import derived_rows, item_rows
from tests.oracle.local_time import Span, billing_period
from tests.oracle.placing import Fact, Piece, Range, rounded
from tests.oracle.prices import ZERO, Row, attos, flat
from tests.oracle.readings import Intake
from tests.oracle.record import Reading
from tests.oracle.taxing import Bearer, net_of, round_by, rules_of, taxes_due

AccountKey = tuple[str, str]


class Line(NamedTuple):
    """A line as it should be. `exact` and `quantity` may be off by their slack."""

    kind: str
    about: Span
    section: Section
    meter: str
    row: Row
    depends_on: Fraction = ZERO
    """The slack of the amounts that a true-up completes to the minimum, or that a surcharge is a percentage of."""
    reduces: "Line | None" = None
    """What a coupon is taken off."""

    @property
    def slack(self) -> Fraction:
        """How far the exact amount may be off."""
        return self.row.slack * abs(self.row.unit_price) + self.depends_on

    def bearer(self, rules: Rules, sign: int = 0) -> Bearer:
        """The line in the eyes of the tax, at one end of its slack or in the middle."""
        of = self.reduces or self
        exact = self.row.exact + sign * self.slack
        return Bearer(of.key, of.kind, of.meter, of.row.name, exact, round_by(rules, exact))

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from the others of its statement."""
        row = self.row
        return (self.kind, self.section, self.meter, row.name, row.band, row.tier, row.unit_price, self.about[0])


@dataclass
class Bill:
    """One billing period. Net and tax lie between their first and last value: the same where no slack matters."""

    period: Span
    complete: bool
    lines: list[Line]
    net: tuple[Fraction, Fraction] = (ZERO, ZERO)
    tax: Fraction = ZERO


@dataclass
class Usage:
    """The facts of one account by range, how far its meters came, and the last period with usage."""

    facts: dict[Range, list[Fact]] = field(default_factory=dict)
    reached: dict[str, datetime] = field(default_factory=dict)
    last_period: datetime | None = None


def usage_by_account(intake: Intake, accounts: dict[AccountKey, Account]) -> dict[AccountKey, Usage]:
    """The usage of every account that was billed for anything."""
    found = {key: Usage() for key in accounts}
    for identity, reading in intake.accepted.items():
        key = (reading.tenant, reading.account)
        _note(found[key], accounts[key], reading, intake.pieces[identity])
    for reading in intake.billed():
        for piece in intake.pieces[reading.identity]:
            found[reading.tenant, reading.account].facts.setdefault(piece.where, []).extend(piece.facts)
    return found


def _note(usage: Usage, account: Account, reading: Reading, pieces: list[Piece]) -> None:
    """Notice that an accepted record of this time has come."""
    periods = [piece.where.period[0] for piece in pieces]
    if reading.quantity is None:
        periods = [billing_period(reading.start, account.zone, account.cycle)[0]]
    else:
        usage.reached[reading.meter] = max(reading.end, usage.reached.get(reading.meter, reading.end))
    usage.last_period = max([*periods, *([usage.last_period] if usage.last_period else [])])


Told = Mapping[datetime, Sequence[tuple[object, ...]]]
"""The keys of the usage lines of each period's statement, in their order there."""


def bills_of(account: Account, usage: Usage, told: Told, *, all_with_usage: bool) -> list[Bill]:
    """The periods that are closed: all up to the last with usage, or those that all meters have passed with grace.

    Tiers and bands of an item may stand in any order, on which the last digits of coupons depend: so that is told.
    """
    bills: list[Bill] = []
    if not account.assignments:
        return bills
    period = billing_period(account.assignments[0].start, account.zone, account.cycle)
    while True:
        complete = _is_complete(account, usage, period)
        has_usage_ahead = usage.last_period is not None and period[0] <= usage.last_period
        if not (has_usage_ahead if all_with_usage else complete):
            return bills
        bill = _bill(account, usage, period, told.get(period[0], ()), complete=complete)
        if bill.lines or any(account.in_force(*period)) or any(where.period == period for where in usage.facts):
            bills.append(bill)
        period = billing_period(period[1], account.zone, account.cycle)


def _is_complete(account: Account, usage: Usage, period: Span) -> bool:
    awaited: dict[str, datetime] = {}
    for tariff, _, end in account.in_force(*period):
        until = end if end < period[1] else period[1] + timedelta(seconds=tariff.grace_s)
        for meter in {meter for item in tariff.meters.values() for meter in item.usage_of}:
            awaited[meter] = max(until, awaited.get(meter, until))
    return bool(awaited) and all(
        meter in usage.reached and usage.reached[meter] >= until for meter, until in awaited.items()
    )


def tariff_of(account: Account, section: Section) -> Tariff | None:
    """The tariff version of a section; None for the account's own fees."""
    entries = (entry.tariff for entry in account.assignments)
    return next((tariff for tariff in entries if (tariff.name, tariff.version) == section), None)


def _bill(account: Account, usage: Usage, period: Span, told: Sequence[tuple[object, ...]], *, complete: bool) -> Bill:
    places = {key: place for place, key in enumerate(told)}
    used = [
        line
        for entry in sorted(account.in_force(*period), key=lambda entry: (entry.tariff.name, entry.start))
        for line in sorted(
            usage_lines(account, usage, entry, period),
            key=lambda line: (line.meter, places.get(line.key, len(places))),
        )
    ]
    fees = [Line("recurring", about, section, "", row) for about, section, row in fee_rows(account, period)]
    lines = [*used, *_true_ups(account, used, period), *fees]
    bill = Bill(period, complete, [*lines, *_discounts(account, lines, period)])
    for section, of_section in by_section(bill.lines).items():
        tariff = tariff_of(account, section)
        rules = rules_of(account, tariff)
        low, high = (net_of(rules, [line.bearer(rules, sign) for line in of_section]) for sign in (-1, 1))
        bill.net = (bill.net[0] + low, bill.net[1] + high)
        taxes = taxes_due(account, tariff, [line.bearer(rules) for line in of_section])
        bill.tax += sum((tax.amount for tax in taxes), ZERO)
    return bill


def by_section(lines: Iterable[Line]) -> dict[Section, list[Line]]:
    """The lines of each tariff version."""
    sections: dict[Section, list[Line]] = {}
    for line in lines:
        sections.setdefault(line.section, []).append(line)
    return sections


def usage_lines(
    account: Account, usage: Usage, entry: Assignment, period: Span, *, unused: bool = True
) -> Iterator[Line]:
    """What the usage of one tariff version costs in the range of a period where it is in force.

    `unused`: with what items cost that have no usage, which is due when the period closes.
    """
    tariff, section = entry.tariff, (entry.tariff.name, entry.tariff.version)
    amounts: dict[str, Fraction] = {}
    slack = ZERO
    for item in tariff.meters:
        where = Range(item, tariff, entry.start, entry.end, period)
        rows = item_rows(account, where, usage.facts.get(where, [])) if unused or where in usage.facts else []
        amounts[item] = sum((row.exact for row in rows), ZERO)
        of_item = sum((row.slack * abs(row.unit_price) for row in rows), ZERO)
        slack += of_item
        for row in rows:
            is_limit = row.tier == 0 and not row.quantity and bool(row.exact)
            yield Line("usage", period, section, item, row, of_item if is_limit else ZERO)
    share = share_of_period("days", (entry.start, entry.end), period, account)
    for name, row in derived_rows(tariff, amounts, share):
        yield Line("usage", period, section, name, row, slack * (1 + abs(row.unit_price)))


def _true_ups(account: Account, used: list[Line], period: Span) -> list[Line]:
    """What usage falls short of the minimum of an item or of a tariff; the first counts for the second."""
    of_items: dict[tuple[Section, str], Fraction] = {}
    of_tariffs: dict[Section, Fraction] = {}
    for tariff, start, end in account.in_force(*period):
        section = (tariff.name, tariff.version)
        for name, item in tariff.meters.items():
            if item.minimum is not None:
                share = share_of_period("days", (start, end), period, account)
                of_items[section, name] = of_items.get((section, name), ZERO) + item.minimum * share
        if tariff.minimum is not None:
            share = share_of_period(tariff.minimum.prorate, (start, end), period, account)
            so_far = ZERO if tariff.minimum.prorate == "none" else of_tariffs.get(section, ZERO)
            of_tariffs[section] = so_far + tariff.minimum.amount * share
    found = []
    for (section, name), least in sorted(of_items.items()):
        of_item = [line for line in used if (line.section, line.meter) == (section, name)]
        found += _short_of(least, of_item, Line("true_up", period, section, name, flat("", 0, "Minimum", ZERO)))
    for section, amount in sorted(of_tariffs.items()):
        of = tariff_of(account, section)
        if of is None or of.minimum is None:
            raise LookupError(f"{section} has no minimum")
        fees = fees_for(account, section, period) if of.minimum.counts_fees else ZERO
        of_tariff = [line for line in [*used, *found] if line.section == section]
        line = Line("true_up", period, section, "", flat("", 0, "Minimum", ZERO))
        if of.minimum.of_rounded:  # each of the three by itself
            spent = sum((one.row.exact for one in of_tariff), ZERO)
            parts = (round_by(of.rules, attos(value)) for value in (amount, -fees, -spent))
            found += _short_of(sum(parts, ZERO) + spent, of_tariff, line)
        else:
            found += _short_of(amount - fees, of_tariff, line)
    return sorted(found, key=lambda line: (line.section, line.meter))


def _short_of(least: Fraction, lines: list[Line], line: Line) -> list[Line]:
    """The line with what the others fall short of, where they do."""
    missing = attos(least - sum((other.row.exact for other in lines), ZERO))
    slack = sum((other.slack for other in lines), ZERO)
    return [line._replace(row=line.row._replace(exact=missing), depends_on=slack)] if missing > 0 else []


def _discounts(account: Account, lines: list[Line], period: Span) -> list[Line]:
    """What coupons take off the period's own lines, in the order of the account's document."""
    left: dict[object, Fraction] = {}
    first: dict[object, Line] = {}
    for line in lines:
        rules = rules_of(account, tariff_of(account, line.section))
        left[line.key] = left.get(line.key, ZERO) + round_by(rules, line.row.exact)
        first.setdefault(line.key, line)
    found: list[Line] = []
    for coupon in account.coupons:
        if not _is_given(account, coupon, period):
            continue
        weights = {
            key: weight
            for key, weight in left.items()
            if weight > 0 and (coupon.meters is None or first[key].meter in coupon.meters)
        }
        if not weights:
            continue
        by_digits = [rules_of(account, tariff_of(account, first[key].section)) for key in weights]
        rules = min(by_digits, key=lambda one: one.decimals)
        whole = sum(weights.values(), ZERO)
        worth = round_by(rules, whole * coupon.percent / 100 if coupon.amount is None else coupon.amount)
        amount = min(worth, rounded(whole, rules.decimals, "down"))
        reached = given = ZERO
        for key, weight in weights.items():
            reached += weight
            share = round_by(rules, amount * reached / whole) - given
            given += share
            left[key] -= share
            if share:
                of = first[key]
                row = Row(of.row.band, of.row.tier, coupon.name, ZERO, ZERO, -share, "")
                found.append(Line("discount", period, of.section, of.meter or of.row.name, row, reduces=of))
    return found


def _is_given(account: Account, coupon: Coupon, period: Span) -> bool:
    """Whether a period begins in the coupon's dates and is one of its first ones."""
    if not coupon.start <= period[0] < coupon.end:
        return False
    begin, number = billing_period(coupon.start, account.zone, account.cycle), 0
    while begin[0] < period[0]:
        number += begin[0] >= coupon.start
        begin = billing_period(begin[1], account.zone, account.cycle)
    return coupon.periods is None or number < coupon.periods
