"""Terms: which price is in force for an account's meter at an instant, and the range over which it counts.

A tariff version is in force from its `effective_from` (local midnight in the account's zone) until the next version's,
for as long as an entry of the account's list of tariffs names it. Terms never cross a billing period, a change of
version or the end of an entry: each range has totals of its own, and per-day bounds count its own days.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from msgspec import Struct

from pipeline.bands import BandTimeline
from pipeline.calendar import Calendar, days_between, midnight, zone_of
from pipeline.deriving import Derived, derived_items
from pipeline.items import NO_PRICES, Item, Range, make_item
from pipeline.pricing.bands import BandPrices
from schemas.account import Account, Cycle
from schemas.catalogue import Catalogue
from schemas.instants import SECOND_US
from schemas.meter import Meter
from schemas.price import PerUnit
from schemas.tariff import Tariff

FOREVER = 1 << 62
"""An instant after every other, for what has no end."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A tariff version in force for an account in `[start, end)`."""

    tariff: Tariff
    start: int
    end: int


class RatedPast(Struct, frozen=True, array_like=True):
    """Under which versions an account was rated before `until`, where its documents by now say something else.

    These stay in force there until the account is rated again: tariff, version, start and end of each.
    """

    until: int
    versions: list[tuple[str, str, int, int]]


@dataclass(eq=False, slots=True)
class Terms:
    """One item's rules and prices in `[start, end)` of one billing period, under one tariff version.

    `meter` is the item's name, `unit` what its price is for, and `prices` those of a plain item. `derived` is set where
    no usage is priced but what other items cost, `surcharged` where this item's amount may count for such a one.
    """

    tariff: str
    version: str
    meter: str
    unit: str
    decimals: int
    currency: str
    rules: Meter
    start: int
    end: int
    period_start: int
    period_end: int
    lateness: int
    prices: BandPrices
    timeline: BandTimeline | None
    item: Item
    is_plain: bool
    derived: Derived | None = None
    surcharged: bool = False


@dataclass(eq=False)
class AccountPlan:
    """What rating needs of an account: its periods, and which tariff version is in force when."""

    account: Account
    calendar: Calendar
    assignments: tuple[Assignment, ...]
    meters: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.meters = frozenset(meter for entry in self.assignments for meter in entry.tariff.items)

    @property
    def zone(self) -> ZoneInfo:
        """The account's time zone."""
        return self.calendar.zone

    def within(self, start: int, end: int) -> Iterator[Assignment]:
        """The assignments in force somewhere in `[start, end)`, each cut to it, in the order of their start."""
        for entry in self.assignments:
            low, high = max(start, entry.start), min(end, entry.end)
            if low < high:
                yield Assignment(entry.tariff, low, high)

    def at(self, meter: str, us: int) -> Assignment | None:
        """The assignment that prices the meter's usage at the instant; None where none does."""
        for entry in self.assignments:
            if entry.start <= us < entry.end and meter in entry.tariff.items:
                return entry
        return None

    def under(self, tariff: str, version: str, us: int) -> Assignment | None:
        """The assignment of a named version that holds at the instant; None where it does not."""
        for entry in self.assignments:
            if entry.start <= us < entry.end and (entry.tariff.tariff, entry.tariff.version) == (tariff, version):
                return entry
        return None


class Plans:
    """Accounts and tariffs made ready; calendars and terms are shared by all accounts that they are the same for.

    `past` says, by tenant and account, what stays in force although the catalogue says something else.
    """

    def __init__(self, catalogue: Catalogue, past: Mapping[tuple[str, str], RatedPast] | None = None) -> None:
        self._catalogue = catalogue
        self._past = {} if past is None else past  # an empty one may fill up
        self._tariffs = {(t.tariff, t.version): t for versions in catalogue.tariffs.values() for t in versions}
        self._accounts: dict[tuple[str, str], AccountPlan] = {}
        self._assigned: dict[tuple[Calendar, tuple[tuple[str, date, date | None], ...]], tuple[Assignment, ...]] = {}
        self._calendars: dict[tuple[str, int, Cycle], Calendar] = {}
        self._terms: dict[tuple[str, str, str, str, int, int, int, int], Terms] = {}

    def forget(self, tenant: str, account: str) -> None:
        """Read the account's document again when it is next asked for."""
        self._accounts.pop((tenant, account), None)

    def accounts(self) -> Iterable[tuple[str, str]]:
        """Tenant and account of everyone that was declared, in order."""
        return sorted(self._catalogue.accounts)

    def tariff(self, name: str, version: str) -> Tariff:
        """The tariff version. Raises KeyError for one that nobody published."""
        return self._tariffs[name, version]

    def account(self, tenant: str, account: str) -> AccountPlan | None:
        """The account's plan; None for an account that nobody declared."""
        plan = self._accounts.get((tenant, account))
        if plan is None:
            document = self._catalogue.accounts.get((tenant, account))
            if document is None:
                return None
            plan = self._accounts[tenant, account] = self._plan(document)
        return plan

    def terms(self, plan: AccountPlan, meter: str, us: int) -> list[Terms]:
        """The terms of all items that price the meter's usage at the instant; none where no tariff is in force."""
        entry = plan.at(meter, us)
        if entry is None:
            return []
        period = plan.calendar.period(us)
        return [self._terms_of(plan, entry, item, period) for item in entry.tariff.items[meter]]

    def terms_under(
        self, plan: AccountPlan, item: str, tariff: str, version: str, period: tuple[int, int], start: int
    ) -> Terms | None:
        """The terms of an item under a named version, from `start` in a period; None where there are none such."""
        entry = plan.under(tariff, version, start)
        if entry is None or (item not in entry.tariff.meters and item not in entry.tariff.derived):
            return None
        return self._terms_of(plan, entry, item, period)

    def derived_terms(self, plan: AccountPlan, terms: Terms) -> list[Terms]:
        """The terms of what is charged for what the items beside these cost, in the order of their making."""
        entry = plan.under(terms.tariff, terms.version, terms.start)
        if entry is None:
            return []
        period = (terms.period_start, terms.period_end)
        return [self._terms_of(plan, entry, name, period) for name in entry.tariff.derived]

    def _terms_of(self, plan: AccountPlan, entry: Assignment, item: str, period: tuple[int, int]) -> Terms:
        tariff = entry.tariff
        start, end = max(entry.start, period[0]), min(entry.end, period[1])
        key = (tariff.tariff, tariff.version, item, plan.zone.key, start, end, *period)
        terms = self._terms.get(key)
        if terms is None:
            terms = self._terms[key] = _make_terms(tariff, item, Range(start, end, period, plan.zone))
        return terms

    def _plan(self, account: Account) -> AccountPlan:
        zone = zone_of(account)
        key = (zone.key, account.billing_day, account.cycle)
        calendar = self._calendars.get(key)
        if calendar is None:
            calendar = self._calendars[key] = Calendar(zone, account.billing_day, account.cycle)
        entries = self._assignments(account, calendar)
        past = self._past.get((account.tenant, account.account))
        if past is not None:
            kept = [Assignment(self._tariffs[name, version], *span) for name, version, *span in past.versions]
            later = [Assignment(e.tariff, max(e.start, past.until), e.end) for e in entries if e.end > past.until]
            entries = _in_order([*kept, *later])
        return AccountPlan(account, calendar, entries)

    def _assignments(self, account: Account, calendar: Calendar) -> tuple[Assignment, ...]:
        """What the account's list of tariffs puts in force; shared by all accounts with the same list."""
        dated = tuple((entry.tariff, entry.from_, entry.end) for entry in account.tariffs)
        found = self._assigned.get((calendar, dated))
        if found is None:
            zone = calendar.zone
            found = self._assigned[calendar, dated] = _in_order(
                assignment
                for name, start, end in dated
                for assignment in self._versions(
                    name, zone, midnight(start, zone), FOREVER if end is None else midnight(end, zone)
                )
            )
        return found

    def _versions(self, name: str, zone: ZoneInfo, start: int, end: int) -> Iterator[Assignment]:
        """The versions of a tariff in `[start, end)`, each until the next one takes effect."""
        versions = self._catalogue.tariffs.get(name, ())
        begins = [midnight(version.effective_from, zone) for version in versions]
        for version, begin, until in zip(versions, begins, [*begins[1:], FOREVER], strict=True):
            low, high = max(start, begin), min(end, until)
            if low < high:
                yield Assignment(version, low, high)


def _in_order(assignments: Iterable[Assignment]) -> tuple[Assignment, ...]:
    return tuple(sorted(assignments, key=lambda entry: (entry.start, entry.tariff.tariff)))


_NOT_USED = Meter(unit="charge", price=PerUnit(model="per_unit", unit_price=Decimal(0)))
"""The rules of an item that is derived from others."""


def _make_terms(tariff: Tariff, item: str, span: Range) -> Terms:
    rules = tariff.meters.get(item)
    derived = None
    if rules is None:
        rules = _NOT_USED
        derived = dict(derived_items(tariff, span.days, days_between(*span.period, span.zone)))[item]
    made = make_item(tariff, rules, span) if derived is None else Item(NO_PRICES, None)
    return Terms(
        tariff=tariff.tariff,
        version=tariff.version,
        meter=item,
        unit=rules.unit if rules.convert is None else rules.convert.unit,
        decimals=rules.decimals,
        currency=tariff.currency,
        rules=rules,
        start=span.start,
        end=span.end,
        period_start=span.period[0],
        period_end=span.period[1],
        lateness=tariff.closing.lateness_s * SECOND_US,
        prices=made.prices if isinstance(made.prices, BandPrices) else NO_PRICES,
        timeline=made.timeline,
        item=made,
        is_plain=made.is_plain and not tariff.derived,
        derived=derived,
        surcharged=bool(tariff.derived),
    )
