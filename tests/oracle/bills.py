"""Bills: what each billing period of an account comes to, straight from the definitions.

A record that crosses a border gives each side its share by time; as quantities have six decimals, what lies before a
border is rounded down. Everything else is exact until a line is rounded.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import NamedTuple

from tests.oracle.contracts import Account, Assignment, Fee, Tariff, Taxes, decimals_of
from tests.oracle.local_time import BandClock, Span, billing_period, days_in, season_of
from tests.oracle.prices import Row, rows_of
from tests.oracle.readings import Intake, Reading

AccountKey = tuple[str, str]
Section = tuple[str, str]
"""Tariff and version; ("", "") for the account's own fees."""

_ATTO = Fraction(1, 10**18)


class Range(NamedTuple):
    """Where the quantities of a meter add up: under one tariff version, within one billing period."""

    meter: str
    tariff: Tariff
    start: datetime
    end: datetime
    period: Span


class Line(NamedTuple):
    """A line as it should be. `exact` and `quantity` may be off by their slack."""

    kind: str
    about: Span
    section: Section
    meter: str
    row: Row
    depends_on: Fraction = Fraction(0)
    """The slack of the amounts that a true-up completes to the minimum."""

    @property
    def slack(self) -> Fraction:
        """How far the exact amount may be off."""
        return self.row.slack * abs(self.row.unit_price) + self.depends_on


@dataclass
class Bill:
    """One billing period. Net and tax lie between their first and last value: the same where no slack matters."""

    period: Span
    complete: bool
    lines: list[Line]
    net: tuple[Fraction, Fraction] = (Fraction(0), Fraction(0))
    tax: Fraction = Fraction(0)


@dataclass
class Usage:
    """The quantities of one account by range and band, how far its meters came, and the periods with usage."""

    quantities: dict[Range, dict[str, Decimal]] = field(default_factory=dict)
    reached: dict[str, datetime] = field(default_factory=dict)
    last_period: datetime | None = None


class Rounding(NamedTuple):
    """How amounts of one section are rounded."""

    at: str
    decimals: int
    mode: str

    def round(self, value: Fraction) -> Fraction:
        """The value, rounded."""
        scaled = abs(value) * 10**self.decimals
        whole = floor(scaled)
        rest = scaled - whole
        up = {
            "half-up": rest >= Fraction(1, 2),
            "half-even": rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1),
            "up": rest > 0,
            "down": False,
        }[self.mode]
        rounded = Fraction(whole + up, 10**self.decimals)
        return -rounded if value < 0 else rounded


def rounding_of(account: Account, tariff: Tariff | None) -> Rounding:
    """The rounding of a tariff, or of the account's own fees."""
    if tariff is None:
        return Rounding("line", decimals_of(account.currency), "half-up")
    return Rounding(tariff.rounded_at, tariff.decimals, tariff.mode)


def taxes_of(account: Account, tariff: Tariff | None) -> Taxes:
    """The taxes on a section."""
    if account.taxes is not None:
        return account.taxes
    return tariff.taxes if tariff else ()


def tax_amounts(taxes: Taxes, rounding: Rounding, base: Fraction) -> list[Fraction]:
    """Each tax of the base: its percentage, rounded; or, on the total, what it adds to the rounded total."""
    amounts = []
    before = Fraction(100)
    for _, percent in taxes:
        if rounding.at == "line":
            amounts.append(rounding.round(base * Fraction(percent) / 100))
        else:
            after = before + Fraction(percent)
            amounts.append(rounding.round(base * after / 100) - rounding.round(base * before / 100))
            before = after
    return amounts


def usage_by_account(intake: Intake, accounts: dict[AccountKey, Account]) -> dict[AccountKey, Usage]:
    """The quantities of every account that was billed for anything."""
    cutters = {key: _Cutter(account) for key, account in accounts.items()}
    for reading in intake.accepted.values():
        cutters[reading.tenant, reading.account].note(reading)
    for reading in intake.billed():
        cutters[reading.tenant, reading.account].add(reading)
    return {key: cutter.usage for key, cutter in cutters.items()}


class _Cutter:
    """Cuts the records of one account into ranges and bands."""

    def __init__(self, account: Account) -> None:
        self.usage = Usage()
        self._account = account
        self._current: dict[str, Range] = {}
        self._clocks: dict[tuple[str, str, str], BandClock] = {}

    def note(self, reading: Reading) -> None:
        """Notice that an accepted record of this time has come."""
        usage = self.usage
        last = self._range(reading.meter, reading.start)
        if reading.quantity is not None:
            usage.reached[reading.meter] = max(reading.end, usage.reached.get(reading.meter, reading.end))
            while last.end < reading.end:
                last = self._range(reading.meter, last.end)
        usage.last_period = max(last.period[0], usage.last_period or last.period[0])

    def add(self, reading: Reading) -> None:
        """Add the record's quantity where it belongs."""
        ranges = [self._range(reading.meter, reading.start)]
        while ranges[-1].end < reading.end:
            ranges.append(self._range(reading.meter, ranges[-1].end))
        begins = [reading.start, *(later.start for later in ranges[1:])]
        shares = shares_by_time(reading.quantity or Decimal(0), (reading.start, reading.end), begins[1:])
        for where, start, end, share in zip(ranges, begins, [*begins[1:], reading.end], shares, strict=True):
            totals = self.usage.quantities.setdefault(where, {})
            pieces = self._clock(where).cut(start, end)
            parts = shares_by_time(share, (start, end), [begin for _, begin in pieces[1:]])
            for (band, _), part in zip(pieces, parts, strict=True):
                totals[band.name] = totals.get(band.name, Decimal(0)) + part

    def _range(self, meter: str, at: datetime) -> Range:
        found = self._current.get(meter)
        if found is None or not found.start <= at < found.end:
            entry = self._account.pricing(meter, at)
            if entry is None:
                raise LookupError(f"{self._account.name}: nothing prices {meter} at {at}")
            period = billing_period(at, self._account.zone, self._account.billing_day)
            start, end = max(entry.start, period[0]), min(entry.end, period[1])
            found = self._current[meter] = Range(meter, entry.tariff, start, end, period)
        return found

    def _clock(self, where: Range) -> BandClock:
        key = (where.meter, where.tariff.name, where.tariff.version)
        if key not in self._clocks:
            self._clocks[key] = BandClock(where.tariff, where.tariff.meters[where.meter], self._account.zone)
        return self._clocks[key]


def shares_by_time(quantity: Decimal, span: Span, borders: list[datetime]) -> list[Decimal]:
    """The quantity cut at the borders; what lies before a border has six decimals, rounded down."""
    if not borders:
        return [quantity]
    start, length = span[0], span[1] - span[0]
    microsecond = timedelta(microseconds=1)
    shares, given = [], Decimal(0)
    for border in borders:
        part = Fraction((border - start) // microsecond, length // microsecond)
        upto = Decimal(floor(Fraction(quantity) * part * 10**6)).scaleb(-6)
        shares.append(upto - given)
        given = upto
    return [*shares, quantity - given]


def usage_price(account: Account, where: Range, quantities: dict[str, Decimal]) -> list[Row]:
    """What the quantities of one range cost."""

    def days(season: str | None) -> int:
        of_range = days_in(where.start, where.end, account.zone)
        return len(of_range) if season is None else sum(season_of(where.tariff, day) == season for day in of_range)

    return rows_of(where.tariff.meters[where.meter], quantities, days)


def bills_of(account: Account, usage: Usage, *, all_with_usage: bool) -> list[Bill]:
    """The periods that are closed: all up to the last with usage, or those that all meters have passed with grace."""
    bills: list[Bill] = []
    if not account.assignments:
        return bills
    period = billing_period(account.assignments[0].start, account.zone, account.billing_day)
    while True:
        complete = _is_complete(account, usage, period)
        has_usage_ahead = usage.last_period is not None and period[0] <= usage.last_period
        if not (has_usage_ahead if all_with_usage else complete):
            return bills
        if any(account.in_force(*period)) or any(where.period == period for where in usage.quantities):
            bills.append(_bill(account, usage, period, complete=complete))
        period = billing_period(period[1], account.zone, account.billing_day)


def _is_complete(account: Account, usage: Usage, period: Span) -> bool:
    awaited: dict[str, datetime] = {}
    for tariff, _, end in account.in_force(*period):
        until = end if end < period[1] else period[1] + timedelta(seconds=tariff.grace_s)
        for meter in tariff.meters:
            awaited[meter] = max(until, awaited.get(meter, until))
    return bool(awaited) and all(
        meter in usage.reached and usage.reached[meter] >= until for meter, until in awaited.items()
    )


def _bill(account: Account, usage: Usage, period: Span, *, complete: bool) -> Bill:
    used = [
        Line("usage", period, (where.tariff.name, where.tariff.version), where.meter, row)
        for where, quantities in usage.quantities.items()
        if where.period == period
        for row in usage_price(account, where, quantities)
    ]
    lines = [*used, *_true_ups(account, used, period), *_fee_lines(account, period)]
    bill = Bill(period, complete, lines)
    tariffs = {(entry.tariff.name, entry.tariff.version): entry.tariff for entry in account.assignments}
    for section in {line.section for line in lines}:
        of_section = [line for line in lines if line.section == section]
        rounding = rounding_of(account, tariffs.get(section))
        low, high = (_net(of_section, rounding, sign) for sign in (-1, 1))
        bill.net = (bill.net[0] + low, bill.net[1] + high)
        base = low if rounding.at == "line" else sum((line.row.exact for line in of_section), Fraction(0))
        bill.tax += sum(tax_amounts(taxes_of(account, tariffs.get(section)), rounding, base), Fraction(0))
    return bill


def _net(lines: Iterable[Line], rounding: Rounding, sign: int) -> Fraction:
    edges = [line.row.exact + sign * line.slack for line in lines]
    if rounding.at == "line":
        return sum(map(rounding.round, edges), Fraction(0))
    return rounding.round(sum(edges, Fraction(0)))


def _true_ups(account: Account, used: list[Line], period: Span) -> Iterator[Line]:
    least: dict[Section, Fraction] = {}
    whole = len(days_in(*period, account.zone))
    for tariff, start, end in account.in_force(*period):
        if tariff.minimum is not None:
            section = (tariff.name, tariff.version)
            if tariff.minimum_prorated:
                days = len(days_in(start, end, account.zone))
                least[section] = least.get(section, Fraction(0)) + _attos(Fraction(tariff.minimum) * days / whole)
            else:
                least[section] = Fraction(tariff.minimum)
    for section, minimum in least.items():
        of_section = [line for line in used if line.section == section]
        short = minimum - sum((line.row.exact for line in of_section), Fraction(0))
        if short > 0:
            row = Row("", 0, "Minimum", Fraction(0), Fraction(0), short, "")
            yield Line("true_up", period, section, "", row, sum((line.slack for line in of_section), Fraction(0)))


def _fee_lines(account: Account, period: Span) -> Iterator[Line]:
    """Fees of this period in arrears, of the next in advance, and in the first period also of this one in advance."""
    first = billing_period(account.assignments[0].start, account.zone, account.billing_day)
    following = billing_period(period[1], account.zone, account.billing_day)
    for about in (period, following):
        rows: dict[tuple[Section, str], Row] = {}
        for section, fee, start, end in _fees(account, about):
            if about == following or period == first or not fee.in_advance:
                if about == following and not fee.in_advance:
                    continue
                row = _fee_row(account, fee, (start, end), about)
                known = rows.get((section, fee.name))
                if known:
                    row = row._replace(quantity=row.quantity + known.quantity, exact=row.exact + known.exact)
                rows[section, fee.name] = row
        for (section, _), row in rows.items():
            if row.exact:
                yield Line("recurring", about, section, "", row)


def _fees(account: Account, about: Span) -> Iterator[tuple[Section, Fee, datetime, datetime]]:
    entries: list[Assignment] = list(account.in_force(*about))
    for tariff, start, end in entries:
        for fee in tariff.fees:
            yield (tariff.name, tariff.version), fee, start, end
    if entries:
        served = min(entry.start for entry in entries), max(entry.end for entry in entries)
        for fee in account.fees:
            yield ("", ""), fee, *served


def _fee_row(account: Account, fee: Fee, served: Span, about: Span) -> Row:
    amount = Fraction(fee.amount)
    days, whole = (len(days_in(*span, account.zone)) for span in (served, about))
    if fee.per_day:
        return Row("", 0, fee.name, amount, Fraction(days), amount * days, "day")
    share = Fraction(days, whole) if fee.prorated else Fraction(1)
    shown = Fraction(round(share * 10**6), 10**6)
    return Row("", 0, fee.name, amount, shown, _attos(amount * share), "period")


def _attos(value: Fraction) -> Fraction:
    """Rounded half-even to 18 decimals, as amounts are kept."""
    return round(value / _ATTO) * _ATTO
