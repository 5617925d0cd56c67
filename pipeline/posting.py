"""Posting: a charge joins the totals of its billing period and the statement that will carry it.

Two sums are kept apart. `Totals` belong to the period in which the usage happened: its price depends on them. A
`Period` also sums what its statement carries, which includes late usage of earlier periods. After rating.py, before
closing.py.
"""

from dataclasses import dataclass, field
from typing import Any

from pipeline.entries import AdjustmentEntry, CouponEntry, FeeEntry, InterimEntry, PeriodEntry, Stated, TotalsEntry
from pipeline.keeping import Fact
from pipeline.terms import Terms
from schemas.charge import Charge
from schemas.digest import MODULUS, charge_hash


@dataclass(eq=False, slots=True)
class Totals:
    """What one item's usage came to under one tariff version in one period: the quantity per band, its charges' sum.

    `groups` holds what is kept of the usage beside that, `base` the price before a discount and a maximum.

    `priced_until` is where the terms ended when the charges were made: an account that leaves early moves that end,
    and closing.py then prices the totals again.
    """

    terms: Terms
    quantities: list[int]
    amount: int
    priced_until: int
    added: bool = False
    base: int = 0
    groups: dict[str, tuple[Fact, ...]] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Period:
    """One billing period of one account: the totals of its usage, and the sums of its statement.

    `totals` by (item, tariff, version, start of the terms), `true_ups` by (tariff, version, item or ""), `adjusted` by
    the start of the earlier period, all amounts exact; `settled` by the credit's name. `stored` and `touched` are the
    ledger's own marks, `opened` totals that nothing was added to yet.
    """

    start: int
    end: int
    totals: dict[tuple[str, str, str, int], Totals] = field(default_factory=dict)
    running: int = 0
    usage_records: int = 0
    charges: int = 0
    usage_digest: int = 0
    charges_digest: int = 0
    first: int | None = None
    last: int | None = None
    watermarks: dict[str, int] = field(default_factory=dict)
    adjusted: dict[int, int] = field(default_factory=dict)
    fees: list[FeeEntry] = field(default_factory=list)
    true_ups: dict[tuple[str, str, str], int] = field(default_factory=dict)
    stated: Stated | None = None
    appended: int = 0
    interims: list[InterimEntry] = field(default_factory=list)
    settled: dict[str, int] = field(default_factory=dict)
    revision: int = 0
    revised: set[int] = field(default_factory=set)
    adjustments: list[AdjustmentEntry] = field(default_factory=list)
    coupons: list[CouponEntry] = field(default_factory=list)
    stored: bool = False
    touched: bool = False
    opened: dict[tuple[str, str, str, int], Totals] = field(default_factory=dict)

    def totals_of(self, terms: Terms) -> Totals:
        """The totals under these terms, the same for all who ask; new ones are stored only once they are `added`."""
        key = (terms.meter, terms.tariff, terms.version, terms.start)
        found = self.totals.get(key) or self.opened.get(key)
        if found is None:
            found = self.opened[key] = Totals(terms, [0] * terms.item.bands, 0, terms.end)
        return found

    def add(self, totals: Totals) -> None:
        """Make new totals the period's."""
        terms = totals.terms
        key = (terms.meter, terms.tariff, terms.version, terms.start)
        self.opened.pop(key, None)
        self.totals[key] = totals
        totals.added = True

    def post(self, charge: Charge) -> None:
        """Add a charge to the statement's sums."""
        self.running += charge.amount
        self.charges += 1
        self.charges_digest = (self.charges_digest + charge_hash(charge)) % MODULUS
        if charge.period_start < self.start:
            self.adjusted[charge.period_start] = self.adjusted.get(charge.period_start, 0) + charge.amount

    def count(self, usage_hash: bytes) -> None:
        """Count a usage record whose charges this period's statement carries."""
        self.usage_records += 1
        self.usage_digest = (self.usage_digest + int.from_bytes(usage_hash, "big")) % MODULUS

    def cover(self, start: int, end: int) -> None:
        """Extend the span of the usage that this period's statement carries."""
        if self.first is None or start < self.first:
            self.first = start
        if self.last is None or end > self.last:
            self.last = end

    def entry(self) -> PeriodEntry:
        """The stored form. One is made for nearly every record: what is usually empty costs nothing."""
        return PeriodEntry(
            [_totals_entry(key, totals) for key, totals in self.totals.items()],
            str(self.running),
            self.usage_records,
            self.charges,
            self.usage_digest.to_bytes(32, "big"),
            self.charges_digest.to_bytes(32, "big"),
            self.first,
            self.last,
            self.watermarks,
            [(start, str(exact)) for start, exact in self.adjusted.items()] if self.adjusted else _NONE,
            self.fees,
            [(*key, str(exact)) for key, exact in self.true_ups.items()] if self.true_ups else _NONE,
            self.stated,
            self.appended,
            self.interims,
            [(name, str(amount)) for name, amount in self.settled.items()] if self.settled else _NONE,
            self.revision,
            sorted(self.revised) if self.revised else _NONE,
            self.adjustments,
            self.coupons,
        )


_NONE: list[Any] = []


def _totals_entry(key: tuple[str, str, str, int], totals: Totals) -> TotalsEntry:
    quantities = totals.quantities
    return TotalsEntry(
        *key,
        totals.priced_until,
        [str(quantities[0])] if len(quantities) == 1 else [str(quantity) for quantity in quantities],
        str(totals.amount),
        str(totals.base),
        [(name, list(facts)) for name, facts in totals.groups.items()] if totals.groups else _NONE,
    )
