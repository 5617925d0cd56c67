"""Book: the tariff and the accounts of a run, as documents to publish and as what the oracle knows of them.

One tariff, graduated in three tiers, with a monthly fee; accounts in zones whose clocks change on different days, or
never. All amounts are exact fractions of a euro.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from kafka.partitioner import murmur2

from tests.oracle.contracts import Cycle
from tests.oracle.local_time import Span, billing_period

TARIFF, VERSION, METER, UNIT, FEE = "chaos", "2023", "energy", "kWh", "Service charge"
ZERO = Fraction(0)
FEE_TEXT = "3.21"
FEE_AMOUNT = Fraction(FEE_TEXT)
FIRST_DAY = date(2024, 1, 1)
"""The day from which every account has its tariff."""
GRACE_S = 86_400
LATENESS_S = 35 * 86_400

_MONTHLY = Cycle(1, 0, date(1900, 1, 1), "month")
_ZONES = ("Europe/Berlin", "America/New_York", "UTC", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo")


class Tier(NamedTuple):
    """Quantities in `(low, high]` of a billing period cost `price` each."""

    low: Fraction
    high: Fraction | None
    price: Fraction


TIERS = (
    Tier(Fraction(0), Fraction(100), Fraction("0.31")),
    Tier(Fraction(100), Fraction(500), Fraction("0.2745")),
    Tier(Fraction(500), None, Fraction("0.233333")),
)

TARIFF_DOCUMENT = f"""\
tariff: {TARIFF}
version: "{VERSION}"
effective_from: 2023-01-01
currency: EUR
fees:
  - {{name: {FEE}, amount: "{FEE_TEXT}", per: period}}
meters:
  {METER}:
    unit: {UNIT}
    price:
      model: graduated
      tiers:
        - {{up_to: "100", unit_price: "0.31"}}
        - {{up_to: "500", unit_price: "0.2745"}}
        - {{unit_price: "0.233333"}}
"""


class Customer(NamedTuple):
    """One account."""

    tenant: str
    account: str
    zone: str

    @property
    def key(self) -> bytes:
        """The key of all messages about the account."""
        return message_key(self.tenant, self.account)

    @property
    def tzinfo(self) -> ZoneInfo:
        """The account's clock."""
        return ZoneInfo(self.zone)

    def period(self, at: datetime) -> Span:
        """The billing period that holds the instant."""
        return billing_period(at, self.tzinfo, _MONTHLY)

    def name_of(self, period: Span) -> str:
        """What a billing period is called: its year and month."""
        return _MONTHLY.name(period[0].astimezone(self.tzinfo).date())


def message_key(tenant: str, account: str) -> bytes:
    """The key of messages about an account: `tenant/account`, with the tenant's own % and / escaped."""
    return f"{tenant.replace('%', '%25').replace('/', '%2F')}/{account}".encode()


def partition_of(key: bytes, partitions: int) -> int:
    """The partition where messages of a key belong."""
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % partitions


def customers(count: int, *, zone: str = "") -> list[Customer]:
    """So many accounts of three tenants, all in one zone where one is given."""
    tenants = ("default", "north", "a/b%c")
    return [
        Customer(tenants[number % 7 % 3], f"home-{number:04}", zone or _ZONES[number % len(_ZONES)])
        for number in range(count)
    ]


def price_of(quantity: Fraction) -> Fraction:
    """What so much in one billing period costs.

    >>> price_of(Fraction(600)) == 31 + Fraction("109.8") + Fraction("23.3333")
    True
    """
    return sum((amount for _, _, _, amount in parts_between(ZERO, quantity)), ZERO)


def parts_between(before: Fraction, after: Fraction) -> list[tuple[int, Fraction, Fraction, Fraction]]:
    """The (tier, price, quantity, amount) that lie between two totals of a period, negative where it goes down."""
    sign = 1 if after >= before else -1
    low, high = min(before, after), max(before, after)
    parts = []
    for number, tier in enumerate(TIERS, 1):
        width = (high if tier.high is None else min(high, tier.high)) - max(low, tier.low)
        if width > 0:
            parts.append((number, tier.price, sign * width, sign * width * tier.price))
    return parts


def write_documents(folder: Path, of: Sequence[Customer]) -> tuple[Path, Path]:
    """The files with the tariff and with the accounts."""
    folder.mkdir(parents=True, exist_ok=True)
    tariffs, accounts = folder / "tariffs.yaml", folder / "accounts.yaml"
    tariffs.write_text(TARIFF_DOCUMENT, encoding="utf-8")
    accounts.write_text("accounts:\n" + "".join(_documents(of)), encoding="utf-8")
    return tariffs, accounts


def _documents(of: Iterable[Customer]) -> Iterable[str]:
    for customer in of:
        yield (
            f'  - {{account: "{customer.account}", tenant: "{customer.tenant}", zone: {customer.zone}, currency: EUR,\n'
            f"     tariffs: [{{tariff: {TARIFF}, from: {FIRST_DAY}}}]}}\n"
        )
