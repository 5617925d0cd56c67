"""Ledger: a partition's accounts in memory, read from a store when first needed and written back as changes.

The pipeline works on the objects here; `changes` gives what they have become, for whoever drives the pipeline to
commit together with the charges that caused it. The same calls give the same changes, whatever was in memory before.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from pipeline.entries import (
    AccountEntry,
    Entry,
    Key,
    Posting,
    Store,
    account_key,
    entry_key,
    pack,
    period_key,
    unpack_account,
    unpack_entry,
    unpack_period,
)
from pipeline.keeping import Fact
from pipeline.posting import Period, Totals
from pipeline.pricing.levels import level_of
from pipeline.terms import FOREVER, AccountPlan, Plans, Terms
from schemas.instants import SECOND_US

LONG_AGO = -FOREVER
ACCOUNTS_IN_MEMORY = 200_000
"""Above this many, all are let go after a commit and read again when needed."""


class Seat(Struct, frozen=True, gc=False):
    """Where a meter's usage goes while its terms hold: the first item that prices it, and the other ones.

    `is_plain` says that there are no others and that the item does nothing but add quantities up.
    """

    terms: Terms
    period: Period
    totals: Totals
    others: tuple["Seat", ...] = ()
    is_plain: bool = True


class AccountState:
    """One account: its plan, its periods and how far its meters have come.

    `current` remembers where the last record of each meter went, since records follow each other in time.
    `awaited` says which instant each meter has to pass before the first open period can close.
    """

    def __init__(self, plans: Plans, plan: AccountPlan, entry: AccountEntry | None, store: Store) -> None:
        self.plan = plan
        self.tenant = plan.account.tenant
        self.account = plan.account.account
        self.progressive = plan.account.progressive
        self.periods: dict[int, Period] = {}
        self.watermarks: dict[str, int] = {}
        self.advance: dict[tuple[str, str, str, int], int] = {}
        self.drawn: dict[str, int] = {}
        self.current: dict[str, Seat] = {}
        self._plans = plans
        self._store = store
        if entry is None:
            self.open_from = plan.calendar.period(plan.assignments[0].start)[0] if plan.assignments else FOREVER
        else:
            self.open_from = entry.open_from
            self.watermarks.update(entry.watermarks)
            self.advance.update({(t, v, name, start): int(exact) for t, v, name, start, exact in entry.advance})
            self.drawn.update({name: int(amount) for name, amount in entry.drawn})
            for start in entry.periods:
                for meter, mark in self.period(start).watermarks.items():
                    self.watermarks[meter] = max(mark, self.watermarks.get(meter, LONG_AGO))
        self.await_next()

    def period(self, us: int) -> Period:
        """The account's period that holds the instant, as stored or empty."""
        start, end = self.plan.calendar.period(us)
        period = self.periods.get(start)
        if period is None:
            period = self.periods[start] = self._load(start, end)
        return period

    def held(self) -> list[Period]:
        """The open periods that hold anything, in order."""
        held = [period for period in self.periods.values() if period.stored and period.start >= self.open_from]
        return sorted(held, key=lambda period: period.start)

    def seat(self, meter: str, at: int) -> Seat | None:
        """Where usage of the meter at the instant goes; None where no tariff is in force."""
        seat = self.current.get(meter)
        if seat is None or not seat.terms.start <= at < seat.terms.end:
            items = self._plans.terms(self.plan, meter, at)
            if not items:
                return None
            period = self.period(at)
            first, *others = (Seat(terms, period, self.open_totals(terms, period)) for terms in items)
            is_plain = not others and first.terms.is_plain
            seat = self.current[meter] = Seat(first.terms, period, first.totals, tuple(others), is_plain)
        elif not seat.is_plain:
            for one in (seat, *seat.others):
                self.open_totals(one.terms, one.period)  # another meter may have changed the level before it
        return seat

    def derived_terms(self, terms: Terms) -> list[Terms]:
        """The terms of what is charged for what the items beside these cost."""
        return self._plans.derived_terms(self.plan, terms)

    def seats_after(self, seat: Seat) -> Iterator[Seat]:
        """The later ranges of terms to which a level of the same item is carried, in order.

        Those of closed periods, and those of open ones that hold something; the others begin with it when opened.
        """
        at = seat.period.start
        last = max([self.open_from, *(period.start for period in self.held())])
        while at <= last:
            period = self.period(at)
            if period.start < self.open_from:
                later = self._closed_totals(seat.terms.meter, period)
            else:
                later = [t for t in period.totals.values() if t.terms.meter == seat.terms.meter]
            for totals in sorted(later, key=lambda t: t.terms.start):
                kept = totals.terms.item.kept
                if totals.terms.start >= seat.terms.end and kept is not None and kept.is_carried:
                    yield Seat(totals.terms, period, totals)
            at = period.end

    def _closed_totals(self, item: str, period: Period) -> list[Totals]:
        """The totals of all ranges of an item in a closed period."""
        found = []
        for entry in self.plan.within(period.start, period.end):
            if item in entry.tariff.meters:
                of, span = entry.tariff, (period.start, period.end)
                terms = self._plans.terms_under(self.plan, item, of.tariff, of.version, span, entry.start)
                found += [self.open_totals(terms, period)] if terms is not None else []
        return found

    def level_before(self, item: str, us: int) -> int:
        """What the records of an item have left behind before the instant, where that is carried over."""
        first = self.plan.assignments[0].start
        at = us
        while at > first:
            period = self.period(at - 1)
            earlier = [t for t in period.totals.values() if t.terms.meter == item and t.terms.end <= us]
            if earlier:
                latest = max(earlier, key=lambda t: t.terms.start)
                kept = latest.terms.item.kept
                if kept is None or not kept.is_carried:
                    return 0
                return level_of([fact for facts in latest.groups.values() for fact in facts])
            ranges = self.plan.within(period.start, min(period.end, us))
            if period.start < self.open_from and any(item in entry.tariff.meters for entry in ranges):
                return 0  # closing would have kept it
            at = period.start
        return 0

    def open_totals(self, terms: Terms, period: Period) -> Totals:
        """The totals under these terms; new ones begin with the level that earlier ones have left."""
        totals = period.totals_of(terms)
        kept = terms.item.kept
        if not totals.added and kept is not None and kept.is_carried:
            level = self.level_before(terms.meter, terms.start)
            totals.groups = {"": (Fact(b"", terms.start, terms.start, level),)} if level else {}
        return totals

    def forgotten_totals(self, posting: Posting, period: Period) -> Totals | None:
        """What stands for totals of a closed period that was let go of, since all that is about it comes too late."""
        of, span = posting, (period.start, period.end)
        terms = self._plans.terms_under(self.plan, of.item, of.tariff, of.version, span, of.start)
        return None if terms is None else period.totals_of(terms)

    def advance_to(self, meter: str, end: int, period: Period, received: int) -> bool:
        """Note how far a meter has come, by usage of the period; whether the account's own entry has to say so."""
        if received > period.appended:  # noqa: PLR1730 - once per record, and max() is a call
            period.appended = received
        if end <= self.watermarks.get(meter, LONG_AGO):
            return False
        self.watermarks[meter] = end
        if period.start < self.open_from:
            return True
        period.watermarks[meter] = end
        return False

    def await_next(self) -> None:
        """Work out what the first open period waits for: each meter priced in it, to its end and the tariff's grace."""
        self.awaited: dict[str, int] = {}
        if self.open_from != FOREVER:
            self.awaited = self._awaited_by(*self.plan.calendar.period(self.open_from))

    def is_complete(self, closed: Period | None = None) -> bool:
        """Whether every meter that the first open period waits for, or that a closed one waited for, has passed it."""
        marks = self.watermarks
        awaited = self.awaited if closed is None else self._awaited_by(closed.start, closed.end)
        return bool(awaited) and all(marks.get(meter, LONG_AGO) >= need for meter, need in awaited.items())

    def _awaited_by(self, start: int, end: int) -> dict[str, int]:
        awaited: dict[str, int] = {}
        for entry in self.plan.within(start, end):
            until = entry.end if entry.end < end else end + entry.tariff.closing.grace_s * SECOND_US
            for meter in entry.tariff.items:
                awaited[meter] = max(until, awaited.get(meter, LONG_AGO))
        return awaited

    def silent_after(self, declared: int) -> int | None:
        """The instant from which the first open period need not wait any longer; None where there is none to close.

        Silence begins with the last usage of that period, or when the account was declared: a meter that sends nothing
        cannot hold the period while others go on.
        """
        if self.open_from == FOREVER:
            return None
        start, end = self.plan.calendar.period(self.open_from)
        silences = [
            (end + entry.tariff.closing.grace_s * SECOND_US, entry.tariff.closing.silence_s * SECOND_US)
            for entry in self.plan.within(start, end)
        ]
        if silences:
            first = self.periods.get(start)
            appended = max(declared, first.appended) if first is not None else declared
            return max(max(ended, appended) + silence for ended, silence in silences)
        has_more = any(entry.start >= end for entry in self.plan.assignments)
        return end if has_more or self.advance or self.held() else None

    def drop(self, period: Period) -> None:
        """Let go of a period that is stored and closed."""
        self.periods.pop(period.start, None)
        for meter in [meter for meter, seat in self.current.items() if seat.period is period]:
            del self.current[meter]

    def entry(self) -> AccountEntry:
        """The stored form."""
        return AccountEntry(
            open_from=self.open_from,
            periods=[period.start for period in self.held()],
            watermarks=dict(sorted(self.watermarks.items())),
            advance=[(*key, str(exact)) for key, exact in self.advance.items()],
            drawn=[(name, str(amount)) for name, amount in sorted(self.drawn.items())],
        )

    def _load(self, start: int, end: int) -> Period:
        stored = self._store.get(period_key(self.tenant, self.account, start))
        if stored is None:
            return Period(start, end)
        entry = unpack_period(stored)
        period = Period(
            start=start,
            end=end,
            stored=True,
            running=int(entry.running),
            usage_records=entry.usage_records,
            charges=entry.charges,
            usage_digest=int.from_bytes(entry.usage_digest, "big"),
            charges_digest=int.from_bytes(entry.charges_digest, "big"),
            first=entry.first,
            last=entry.last,
            watermarks=entry.watermarks,
            adjusted={begin: int(exact) for begin, exact in entry.adjusted},
            fees=entry.fees,
            true_ups={(tariff, version, item): int(exact) for tariff, version, item, exact in entry.true_ups},
            stated=entry.stated,
            appended=entry.appended,
            interims=entry.interims,
            settled={name: int(amount) for name, amount in entry.settled},
            revision=entry.revision,
            revised=set(entry.revised),
            adjustments=entry.adjustments,
            coupons=entry.coupons,
        )
        for row in entry.totals:
            terms = self._plans.terms_under(self.plan, row.meter, row.tariff, row.version, (start, end), row.start)
            if terms is None:
                raise LostTermsError(self.account, row.meter, row.tariff, row.version, self.plan.calendar.name(start))
            groups = {name: tuple(facts) for name, facts in row.groups}
            quantities = [int(quantity) for quantity in row.quantities]
            period.add(Totals(terms, quantities, int(row.amount), row.end, base=int(row.base), groups=groups))
        return period


class LostTermsError(Exception):
    """The accounts or tariffs no longer hold a version under which usage was already rated."""

    def __init__(self, account: str, meter: str, tariff: str, version: str, period: str) -> None:
        super().__init__(
            f"account {account}: usage of meter {meter!r} in {period} was rated under tariff {tariff} version "
            f"{version}, which its list of tariffs no longer has in force there. Put the version and its dates back, "
            "or end it with `until` at a later date."
        )


class Ledger:
    """All accounts of a partition, and the identities of the usage records that it has accepted."""

    def __init__(self, plans: Plans, store: Store) -> None:
        self.plans = plans
        self._store = store
        self._accounts: dict[tuple[str, str], AccountState] = {}
        self.entries: dict[bytes, Entry] = {}
        self._touched: list[tuple[AccountState, Period]] = []
        self._moved: dict[AccountState, None] = {}

    def account(self, tenant: str, account: str) -> AccountState | None:
        """The account; None where nobody declared it."""
        state = self._accounts.get((tenant, account))
        if state is None:
            plan = self.plans.account(tenant, account)
            if plan is None:
                return None
            stored = self._store.get(account_key(tenant, account))
            entry = None if stored is None else unpack_account(stored)
            state = self._accounts[tenant, account] = AccountState(self.plans, plan, entry, self._store)
        return state

    def forget(self, tenant: str, account: str) -> None:
        """Let go of an account that has no changes, so that it is read again under its new plan."""
        self._accounts.pop((tenant, account), None)
        self.plans.forget(tenant, account)

    def stored_entries(self, identities: Iterable[bytes]) -> list[bytes | None]:
        """The stored entries of many identities in one read; `entry_of` then makes sense of each."""
        return list(self._store.get_many([entry_key(identity) for identity in identities]))

    def entry_of(self, identity: bytes, stored: bytes | None) -> Entry | None:
        """The entry of an identity as it is now, given what the store holds."""
        entry = self.entries.get(identity)
        if entry is None and stored is not None:
            return unpack_entry(stored)
        return entry

    def find(self, identity: bytes) -> Entry | None:
        """The entry of one identity."""
        return self.entries.get(identity) or self.entry_of(identity, self._store.get(entry_key(identity)))

    def touch(self, state: AccountState, period: Period) -> None:
        """Say that the period has changed."""
        if not period.touched:
            period.touched = True
            self._touched.append((state, period))
            if not period.stored:
                period.stored = True
                self.move(state)

    def move(self, state: AccountState) -> None:
        """Say that the account itself has changed: a period was opened or closed."""
        self._moved[state] = None

    def changes(self) -> dict[Key, bytes]:
        """What has changed since `committed`, as it is to be stored."""
        changes = {entry_key(key): pack(entry) for key, entry in self.entries.items()}
        for state, period in self._touched:
            changes[period_key(state.tenant, state.account, period.start)] = pack(period.entry())
        for state in self._moved:
            changes[account_key(state.tenant, state.account)] = pack(state.entry())
        return changes

    def committed(self) -> None:
        """The changes are stored now; closed periods leave the memory with them."""
        for state, period in self._touched:
            period.touched = False
            if period.start < state.open_from:
                state.drop(period)
        self._touched.clear()
        self.entries.clear()
        self._moved.clear()
        if len(self._accounts) > ACCOUNTS_IN_MEMORY:
            self._accounts.clear()
