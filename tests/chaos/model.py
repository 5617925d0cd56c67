"""Model: what one account's records come to, one after the other, in exact fractions.

A charge is the difference that its record makes to the price of its billing period, or, where the record crosses the
end of one, that its share makes to the price of each. It goes on that period's statement, or, once that is closed, as
an adjustment on the first open one. A period closes when a record has passed its end by the grace, or on command.
Nothing here knows of batches, partitions or workers: that is what must not matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from hashlib import blake2b
from math import floor
from typing import NamedTuple

from tests.chaos.book import FEE_AMOUNT, FIRST_DAY, GRACE_S, LATENESS_S, ZERO, Customer, parts_between
from tests.oracle.contracts import midnight
from tests.oracle.digests import usage_hash
from tests.oracle.local_time import Span
from tests.oracle.packing import packed
from tests.oracle.placing import MICROSECOND, MILLIONTH, rounded
from tests.oracle.record import Identity, Reading

GRACE, LATENESS = timedelta(seconds=GRACE_S), timedelta(seconds=LATENESS_S)


class DueCharge(NamedTuple):
    """A charge as it has to be."""

    charge_id: str
    kind: str
    account: str
    usage_id: str
    period: datetime
    statement: datetime
    used_before: Fraction
    quantity: Fraction
    amount: Fraction
    running_total: Fraction
    corrects: str


class DueLine(NamedTuple):
    """A line of a statement as it has to be; `about` is the begin of the period that it is about."""

    kind: str
    about: datetime
    tier: int
    unit_price: Fraction
    quantity: Fraction
    exact: Fraction
    amount: Fraction


@dataclass(frozen=True)
class DueStatement:
    """A statement as it has to be."""

    statement_id: str
    complete: bool
    exact: Fraction
    total: Fraction
    usage_records: int
    charges: int
    usage_first: datetime | None
    usage_last: datetime | None
    usage_digest: str
    lines: frozenset[DueLine]


@dataclass
class Sums:
    """One billing period: what was used in it, and what its statement carries."""

    span: Span
    used: Fraction = ZERO
    running: Fraction = ZERO
    charges: int = 0
    counted: list[Reading] = field(default_factory=list)
    first: datetime | None = None
    last: datetime | None = None
    adjusted: dict[datetime, Fraction] = field(default_factory=dict)
    stated: Fraction | None = None

    def own_net(self) -> Fraction:
        """What the period's own usage and fee come to, each line rounded."""
        return sum((line.amount for line in self.own_lines()), ZERO)

    def own_lines(self) -> list[DueLine]:
        """A line for each tier that was reached, and the fee."""
        about = self.span[0]
        lines = [
            DueLine("usage", about, tier, price, quantity, exact, _cents(exact))
            for tier, price, quantity, exact in parts_between(ZERO, self.used)
        ]
        return [*lines, DueLine("recurring", about, 0, FEE_AMOUNT, Fraction(1), FEE_AMOUNT, _cents(FEE_AMOUNT))]


class Step(NamedTuple):
    """Usage that is put in (sign 1) or taken out (sign −1) of a period, on a statement."""

    sign: int
    quantity: Fraction
    usage: Span
    period: Sums
    statement: Sums
    corrects: str


@dataclass
class Known:
    """An accepted record: what it put in, as charge id and step, and by what it was corrected.

    `facts` None: it has not come yet, and `corrected_by` has come before it.
    """

    facts: tuple[object, ...] | None
    posted: list[tuple[str, Step]]
    corrected_by: Reading | None = None


class AccountModel:
    """One account. `charges` and `statements` grow as records are taken and periods close."""

    def __init__(self, customer: Customer) -> None:
        self.customer = customer
        self._open = customer.period(midnight(FIRST_DAY, customer.tzinfo))
        self._reached: datetime | None = None
        self._sums: dict[datetime, Sums] = {}
        self._known: dict[Identity, Known] = {}
        self.charges: list[DueCharge] = []
        self.statements: list[DueStatement] = []
        self.accepted = self.duplicates = self.late = 0

    def take(self, reading: Reading) -> str:
        """Accept the record, or give the reason why not; "" where it was accepted, now or before."""
        known = self._known.get(reading.identity)
        facts = facts_of(reading)
        if known is not None and known.facts is not None:
            self.duplicates += known.facts == facts
            return "" if known.facts == facts else "id-reused"
        steps, target = self._correction(reading) if reading.corrects is not None else ([], None)
        if isinstance(steps, str):
            return steps
        awaited_by = known.corrected_by if known is not None and reading.quantity is not None else None
        if reading.quantity is not None:
            steps = [*steps, *self._own(reading, awaited_by, len(steps))]
        if any(self._is_too_late(step) for step in steps):
            return "too-late"
        self._accept(reading, facts, steps, awaited_by)
        if target is not None:
            target.corrected_by = reading
            self._known[reading.tenant, reading.source, reading.corrects or ""] = target
        while self._reached is not None and self._reached >= self._open[1] + GRACE:
            self._close()
        return ""

    def close_through(self, name: str) -> None:
        """Close all periods up to the one of this name, as 2024-03."""
        while self.customer.name_of(self._open) <= name:
            self._close()

    def sums(self, at: datetime) -> Sums:
        """The period that holds the instant."""
        span = self.customer.period(at)
        return self._sums.setdefault(span[0], Sums(span))

    def _correction(self, reading: Reading) -> tuple[list[Step] | str, Known | None]:
        """What the correction takes out, or why it cannot; and what it corrects."""
        if reading.corrects == reading.id:
            return "wrong-correction", None
        identity = (reading.tenant, reading.source, reading.corrects or "")
        target = self._known.get(identity)
        if target is None:
            own = self.sums(reading.start)
            is_closed = self._statement_for(own) is not own
            return "too-late" if is_closed and self._has_ended(own) else [], Known(None, [])
        if target.corrected_by is not None:
            return "already-corrected", None
        if not target.posted:
            return "wrong-correction", None
        return [
            Step(-1, step.quantity, step.usage, step.period, self._statement_for(step.period), posted)
            for posted, step in target.posted
        ], target

    def _own(self, reading: Reading, awaited_by: Reading | None, first: int) -> list[Step]:
        """What the record puts in, and takes out again where its correction came before it; `first` is its number."""
        put_in = []
        for span, quantity in self._shares(reading):
            period = self.sums(span[0])
            put_in.append(Step(1, quantity, span, period, self._statement_for(period), ""))
        if awaited_by is None:
            return put_in
        key = identity_hex(*reading.identity)
        return [
            *put_in,
            *(step._replace(sign=-1, corrects=charge_id(key, number)) for number, step in enumerate(put_in, first)),
        ]

    def _shares(self, reading: Reading) -> Iterator[tuple[Span, Fraction]]:
        """What falls to each period, by time: up to the end of one it is rounded down to a millionth."""
        quantity, given, start = Fraction(reading.quantity or 0), ZERO, reading.start
        while (end := self.customer.period(start)[1]) < reading.end:
            upto = quantity * Fraction(
                (end - reading.start) // MICROSECOND, (reading.end - reading.start) // MICROSECOND
            )
            upto = Fraction(floor(upto / MILLIONTH)) * MILLIONTH
            yield (start, end), upto - given
            given, start = upto, end
        yield (start, reading.end), quantity - given

    def _statement_for(self, period: Sums) -> Sums:
        """The period's own statement while it is open, else the first open one."""
        return period if period.span[0] >= self._open[0] else self.sums(self._open[0])

    def _is_too_late(self, step: Step) -> bool:
        return step.statement is not step.period and self._has_ended(step.period)

    def _has_ended(self, period: Sums) -> bool:
        """Whether late usage of a closed period is no longer taken."""
        return self._reached is not None and period.span[1] + LATENESS < self._reached

    def _accept(
        self, reading: Reading, facts: tuple[object, ...], steps: list[Step], awaited_by: Reading | None
    ) -> None:
        key = identity_hex(*reading.identity)
        posted: list[tuple[str, Step]] = []
        counted: list[Sums] = []
        for number, step in enumerate(steps):
            self._post(reading, charge_id(key, number), step)
            if step.statement not in counted:
                counted.append(step.statement)
                step.statement.counted.append(reading)
                if awaited_by is not None and not self._is_counted(awaited_by, step.statement):
                    step.statement.counted.append(awaited_by)
            if step.sign > 0:
                posted.append((charge_id(key, number), step))
                self._reached = max(self._reached or step.usage[1], step.usage[1])
        self._known[reading.identity] = Known(facts, posted, awaited_by)
        self.accepted += 1
        self.late += any(step.statement is not step.period for step in steps)

    def _is_counted(self, correction: Reading, statement: Sums) -> bool:
        """Whether a correction that came first is on the statement for usage of its own."""
        known = self._known.get(correction.identity)
        return known is not None and any(step.statement is statement for _, step in known.posted)

    def _post(self, reading: Reading, name: str, step: Step) -> None:
        period, statement = step.period, step.statement
        before, after = period.used, period.used + step.sign * step.quantity
        amount = sum((part[3] for part in parts_between(before, after)), ZERO)
        period.used = after
        kind = "reversal" if step.sign < 0 else "usage" if statement is period else "adjustment"
        start, end = step.usage
        statement.first = start if statement.first is None else min(statement.first, start)
        statement.last = end if statement.last is None else max(statement.last, end)
        self._charge(
            DueCharge(
                name,
                kind,
                reading.account,
                reading.id,
                period.span[0],
                statement.span[0],
                before,
                after - before,
                amount,
                statement.running + amount,
                step.corrects,
            ),
            statement,
        )

    def _charge(self, charge: DueCharge, statement: Sums) -> None:
        statement.running += charge.amount
        statement.charges += 1
        if charge.period < charge.statement:
            statement.adjusted[charge.period] = statement.adjusted.get(charge.period, ZERO) + charge.amount
        self.charges.append(charge)

    def _close(self) -> None:
        period = self.sums(self._open[0])
        at = period.span[0]
        running = period.running + FEE_AMOUNT
        self._charge(
            DueCharge(
                *("", "recurring", self.customer.account, "", at, at, ZERO, ZERO, FEE_AMOUNT, running, ""),
            ),
            period,
        )
        lines = [*period.own_lines(), *(self._adjusted(*item) for item in sorted(period.adjusted.items()))]
        period.stated = period.own_net()
        customer = self.customer
        self.statements.append(
            DueStatement(
                statement_id=f"{customer.tenant}/{customer.account}/{customer.name_of(period.span)}/1",
                complete=self._reached is not None and self._reached >= period.span[1] + GRACE,
                exact=period.running,
                total=sum((line.amount for line in lines), ZERO),
                usage_records=len(period.counted),
                charges=period.charges,
                usage_first=period.first,
                usage_last=period.last,
                usage_digest=f"{sum(usage_hash(reading) for reading in period.counted) % 2**256:064x}",
                lines=frozenset(lines),
            )
        )
        self._open = customer.period(period.span[1])

    def _adjusted(self, start: datetime, exact: Fraction) -> DueLine:
        """The line that states an earlier period again; it is remembered as stated."""
        earlier = self.sums(start)
        net, stated = earlier.own_net(), earlier.stated or ZERO
        earlier.stated = net
        return DueLine("adjustment", start, 0, ZERO, ZERO, exact, net - stated)


def facts_of(reading: Reading) -> tuple[object, ...]:
    """What has to be the same where a record comes again."""
    return (reading.account, reading.meter, reading.quantity, reading.start, reading.end, reading.corrects)


def identity_hex(tenant: str, source: str, usage_id: str) -> str:
    """The id of a record's first charge: BLAKE2b-128 of tenant, source and id as a MessagePack array."""
    return blake2b(packed((tenant, source, usage_id)), digest_size=16).hexdigest()


def charge_id(key: str, number: int) -> str:
    """The id of a record's charge of that number, from 0.

    >>> charge_id("1f", 0), charge_id("1f", 2)
    ('1f', '1f-2')
    """
    return f"{key}-{number}" if number else key


def _cents(exact: Fraction) -> Fraction:
    return rounded(exact, 2, "half-up")
