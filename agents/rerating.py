"""Rerating: what is booked in a directory, compared with what the same usage costs under the documents as they are now.

A directory keeps no usage, so the files are read again; a record counts only where the directory has accepted the very
same one. Showing changes nothing. Booking goes account by account, in this order:
  1. new documents are adopted; for the past everything stays as it was rated (reference.py);
  2. for each account whose past would be rated otherwise, all that changes is written at once, together with the note
     that its documents hold for its past now.
A crash between two accounts leaves whole accounts, and the same command books the rest; what is booked is not booked
again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from agents.books import Books
from agents.intake_log import Tally
from agents.journal import encode_entry
from agents.offline import event_order
from pipeline.ledger import Ledger
from pipeline.processing import Outcome
from pipeline.rerating import CannotRerateError, Given, Rerated, differs, recognised, rerate
from pipeline.terms import AccountPlan
from schemas.catalogue import Catalogue
from schemas.digest import identity
from schemas.files import NO_MAPPING, ColumnMapping, read_usage
from schemas.instants import to_us
from schemas.usage import UsageRecord
from sinks import queries

ORDER = "order of events"
REST = "usage not in the files"

Name = tuple[str, str]
"""Tenant and account."""


class Difference(NamedTuple):
    """What one usage record, fee or minimum is booked with and costs now, exact. `usage_id` is "" where it has none."""

    tenant: str
    account: str
    currency: str
    zone: str
    period: str
    period_start: int
    meter: str
    source: str
    usage_id: str
    usage_start: int
    booked: int
    now: int
    why: str

    @property
    def difference(self) -> int:
        """What the account owes more, or less."""
        return self.now - self.booked


@dataclass(frozen=True, slots=True)
class Order:
    """Which usage to rate again, under which documents (None: those of the directory), and of which accounts."""

    files: Sequence[Path]
    catalogue: Catalogue | None
    mapping: ColumnMapping = NO_MAPPING
    tenant: str = ""
    account: str = ""

    def wants(self, name: Name) -> bool:
        """Whether the account is among them."""
        return (not self.account or name[1] == self.account) and (not self.tenant or name[0] == self.tenant)


@dataclass(slots=True)
class Found:
    """What a comparison has found. `records` were read of the accounts that are asked for, of which `unknown` are not
    in the directory as they are; `refused` says for accounts why they cannot be rated again.

    `changed` are the accounts for which other terms are in force, so that there is something to book.
    """

    differences: list[Difference] = field(default_factory=list)
    records: int = 0
    unreadable: int = 0
    unknown: int = 0
    refused: list[str] = field(default_factory=list)
    changed: list[Name] = field(default_factory=list)


@dataclass(slots=True)
class Booked:
    """What booking came to: the accounts, their charges and statements, and the accounts that cannot be booked."""

    accounts: list[Name] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    refused: list[str] = field(default_factory=list)


class Rerating:
    """One re-rating of a directory's usage, read once: `compare` shows it, `book` writes it."""

    def __init__(self, books: Books, order: Order, now: int) -> None:
        """Read the usage. Raises SuccessionError for documents that cannot follow, OSError for a file."""
        self._books, self._order, self._now = books, order, now
        self._succession = books.reference.succession(order.catalogue or Catalogue({}, {}), now)
        self._found = Found()
        self._given: dict[Name, dict[bytes, Given]] = {}
        ledger = Ledger(self._succession.plans, books.directory)
        for path in order.files:
            for batch in read_usage(path, mapping=order.mapping):
                self._found.unreadable += len(batch.rejections)
                for usage in batch.records:
                    self._take(ledger, usage)

    def compare(self) -> Found:
        """All differences, by account and period. Nothing is written."""
        self._books.projection.catch_up()
        for name in self._accounts():
            try:
                self._found.differences += self._differences(name)
            except CannotRerateError as error:
                self._found.refused.append(str(error))
        return self._found

    def book(self) -> Booked:
        """Adopt the documents, and book every account for whose past they say something else."""
        books, result = self._books, Booked()
        if self._order.catalogue is not None:
            books.reference.adopt(self._order.catalogue, self._now)
        for name in sorted(name for name in books.reference.behind() if self._order.wants(name)):
            try:
                rerated = self._rerated(name, compares=False)
            except CannotRerateError as error:
                result.refused.append(str(error))
                continue
            changes = {**rerated.changes, **books.reference.release(*name)}
            books.directory.commit(changes, encode_entry(rerated.charges, rerated.statements, []))
            books.reference.released(*name)
            result.accounts.append(name)
            result.tally.add_outcome(Outcome(charges=rerated.charges, statements=rerated.statements))
        books.projection.catch_up()
        return result

    def _take(self, ledger: Ledger, usage: UsageRecord) -> None:
        name = usage.tenant, usage.account
        if not self._order.wants(name):
            return
        self._found.records += 1
        given = recognised(ledger, usage)
        if given is None:
            self._found.unknown += 1
        else:
            self._given.setdefault(name, {})[given.key] = given

    def _accounts(self) -> Iterator[Name]:
        """The accounts with usage, or with another plan, in order."""
        plans, asked = self._succession.plans, self._succession.asked
        for name in plans.accounts():
            if self._order.wants(name):
                was, now = plans.account(*name), asked.account(*name)
                if name in self._given or (was is not None and now is not None and differs(was, now)):
                    yield name

    def _rerated(self, name: Name, *, compares: bool) -> Rerated:
        plans, asked = self._succession.plans, self._succession.asked
        given = sorted(self._given.get(name, {}).values(), key=lambda one: event_order(one.usage))
        return rerate(plans, asked, self._books.directory, name, given, compares=compares)

    def _differences(self, name: Name) -> list[Difference]:
        plan = self._succession.plans.account(*name)
        if plan is None:
            return []
        rerated = self._rerated(name, compares=True)
        if rerated.exchanged:
            self._found.changed.append(name)
        amounts = queries.usage_amounts(self._books.clickhouse, *name)
        return _Comparison(plan, rerated, self._given.get(name, {}), amounts).differences()


class _Comparison:
    """The differences of one account."""

    def __init__(
        self,
        plan: AccountPlan,
        rerated: Rerated,
        given: dict[bytes, Given],
        amounts: Iterable[queries.UsageAmount],
    ) -> None:
        self._plan, self._rerated, self._given = plan, rerated, given
        self._booked: Counter[tuple[bytes, str, int]] = Counter()
        tenant = plan.account.tenant
        for one in amounts:
            key = identity(tenant, one.source, one.usage_id)
            if key in given:
                self._booked[key, one.meter, one.period_start] += one.amount

    def differences(self) -> list[Difference]:
        """Those that are not nothing, by period, time and meter; they add up to what the periods change by."""
        found = [one for one in (*self._of_records(), *self._of_dues()) if one.difference]
        found += self._rest(found)
        return sorted(found, key=lambda one: (one.period_start, not one.usage_id, one.usage_start, one[6:]))

    def _of_records(self) -> Iterator[Difference]:
        now: Counter[tuple[bytes, str, int]] = Counter()
        versions: dict[tuple[bytes, int], tuple[set[Name], set[Name]]] = {}
        for again in self._rerated.records:
            key = again.given.key
            for posting in again.was:
                was, _ = versions.setdefault((key, posting.period_start), (set(), set()))
                was.add((posting.tariff, posting.version))
            for charge in again.charges:
                _, of = versions.setdefault((key, charge.period_start), (set(), set()))
                of.add((charge.tariff, charge.version))
                now[key, charge.meter, charge.period_start] += charge.amount
        for place in {**self._booked, **now}:
            key, meter, period_start = place
            usage = self._given[key].usage
            why = self._why(*versions.get((key, period_start), (set(), set())), period_start)
            record = usage.source, usage.id, to_us(usage.start)
            yield self._difference(period_start, meter, record, (self._booked[place], now[place]), why)

    def _of_dues(self) -> Iterator[Difference]:
        sums: dict[tuple[int, str, str], list[tuple[str, int, int]]] = {}
        for due in self._rerated.dues:
            sums.setdefault((due.period_start, due.tariff, due.name), []).append((due.version, due.booked, due.now))
        for (start, tariff, name), rows in sums.items():
            was, now = ({(tariff, row[0]) for row in rows if row[place]} for place in (1, 2))
            costs = sum(row[1] for row in rows), sum(row[2] for row in rows)
            yield self._difference(start, name, ("", "", start), costs, self._why(was, now, start))

    def _rest(self, found: Sequence[Difference]) -> Iterator[Difference]:
        """What the given records do not account for: others, which were rated after or before them."""
        told = Counter[int]()
        for one in found:
            if one.usage_id:
                told[one.period_start] += one.difference
        for start, (before, after) in self._rerated.amounts.items():
            rest = after - before - told.pop(start, 0)
            if rest:
                yield self._difference(start, "", ("", "", start), (0, rest), REST)
        for start, rest in told.items():
            if rest:
                yield self._difference(start, "", ("", "", start), (0, -rest), REST)

    def _why(self, was: set[Name], now: set[Name], period_start: int) -> str:
        if was == now:
            if period_start in self._rerated.exchanged and was:
                return f"dates of {_told(was)}"
            return ORDER
        names = {name for name, _ in was | now}
        if was and now and len(names) == 1:
            versions = ("+".join(sorted(version for _, version in some)) for some in (was, now))
            return f"{names.pop()} {' -> '.join(versions)}"
        return f"{_told(was) or 'nothing'} -> {_told(now) or 'nothing'}"

    def _difference(
        self, start: int, meter: str, usage: tuple[str, str, int], costs: tuple[int, int], why: str
    ) -> Difference:
        account = self._plan.account
        zone, period = self._plan.zone.key, self._plan.calendar.name(start)
        return Difference(
            account.tenant, account.account, account.currency, zone, period, start, meter, *usage, *costs, why
        )


def _told(versions: Iterable[Name]) -> str:
    return "+".join(f"{name} {version}" for name, version in sorted(versions))
