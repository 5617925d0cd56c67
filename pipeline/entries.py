"""Entries: the stored form of a partition's state, as keys and values of a store that somebody else makes durable.

Values are MessagePack arrays; numbers that may pass 64 bits travel as text. Keys:

    d <16 bytes identity>                     → Entry: a usage record that was accepted, or a correction waiting for one
    a [tenant, account]                       → AccountEntry: which periods are open, fees charged in advance
    p [tenant, account] <8 bytes start>       → PeriodEntry: a billing period's totals and what was stated of it
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct, to_builtins
from msgspec.msgpack import Decoder, Encoder

from pipeline.keeping import Fact

Key = bytes
LARGEST_BITS = 63
"""Of a whole number that MessagePack always has a form for."""
LAYOUT = 2
"""Version of these forms. Whoever opens a store refuses one with another number."""


class Store(Protocol):
    """Where a partition's state is read from."""

    def get(self, key: Key) -> bytes | None:
        """The value, or None."""

    def get_many(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        """The values of the keys, in their order."""


class Posting(Struct, frozen=True, array_like=True, gc=False):
    """What a record added to one total: the share of each time band, under the terms that begin at `start`.

    `number` is that of its charge among those of the record, from 0. `item` is the one whose total it is, and `facts`
    what was kept of it there.
    """

    number: int
    period_start: int
    tariff: str
    version: str
    start: int
    statement_start: int
    usage_start: int
    usage_end: int
    shares: list[tuple[int, int]]
    item: str
    facts: tuple[Fact, ...] = ()


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """An accepted usage record, or the place of one that a correction came before: then the hash is the correction's.

    `corrected_by` is the id of the record that voided or replaced it, "" while it counts. `tenant` and `account` are
    whose it is.
    """

    usage_hash: bytes
    account: str
    meter: str
    postings: list[Posting]
    corrected_by: str = ""
    tenant: str = "default"

    @property
    def is_awaited(self) -> bool:
        """Whether the record itself has not come yet."""
        return bool(self.corrected_by) and not self.postings


class FeeEntry(Struct, frozen=True, array_like=True, gc=False):
    """A recurring fee as charged on a statement, for the billing period that it is about."""

    tariff: str
    version: str
    name: str
    period_start: int
    period_end: int
    unit_price: str
    quantity: str
    unit: str
    exact: str


class StatedTax(Struct, frozen=True, array_like=True, gc=False):
    """A tax of a statement, or what one changes by."""

    tariff: str
    version: str
    name: str
    percent: str
    base: str
    amount: str
    item: str = ""


class Place(NamedTuple):
    """What tells a line from the others of its statement; `about` is the start of the period that it is about."""

    kind: str
    tariff: str
    version: str
    meter: str
    name: str
    band: str
    tier: int
    unit_price: str
    tax_percent: str
    about: int

    @property
    def item(self) -> str:
        """The meter, or the name of what is no meter."""
        return self.meter or self.name


class CouponEntry(Struct, frozen=True, array_like=True, gc=False):
    """What a coupon took off one line when its period closed; it stays, whatever comes late."""

    coupon: str
    place: Place
    amount: str


class Stated(Struct, frozen=True, array_like=True, gc=False):
    """What the customer has been told of a closed period so far, adjustments included."""

    net: str
    taxes: list[StatedTax]


class AdjustmentEntry(Struct, frozen=True, array_like=True, gc=False):
    """What a statement says of an earlier period: the sum of late charges, and by how much printed amounts change."""

    period_start: int
    exact: str
    net: str
    taxes: list[StatedTax]


class InterimEntry(Struct, frozen=True, array_like=True, gc=False):
    """An interim statement: the period's own usage and all that it summed, both exact, and what it asked for."""

    usage: str
    exact: str
    asked: str


class TotalsEntry(Struct, frozen=True, array_like=True, gc=False):
    """One item under one tariff version in `[start, end)`: quantity per band, and the sum of its charges.

    `base` is its price before a discount and a maximum, where it has these; `groups` is what is kept of its usage.
    """

    meter: str
    tariff: str
    version: str
    start: int
    end: int
    quantities: list[str]
    amount: str
    base: str = "0"
    groups: list[tuple[str, list[Fact]]] = []


class PeriodEntry(Struct, array_like=True, gc=False):
    """One billing period of one account.

    `totals` is the usage *of* the period; `running` to `last` sum up what its *statement* carries, late usage of
    earlier periods included; `adjusted` holds the exact sum of those late charges per earlier period, and `adjustments`
    what the statement said of them. `appended` is when its last record arrived. `settled` is what credits have paid of
    the statement. `revision` is the latest one of a closed period whose late usage makes another, 0 where it does not;
    `revised` are the earlier periods that are to be drawn up again when this one closes.
    """

    totals: list[TotalsEntry]
    running: str
    usage_records: int
    charges: int
    usage_digest: bytes
    charges_digest: bytes
    first: int | None
    last: int | None
    watermarks: dict[str, int]
    adjusted: list[tuple[int, str]]
    fees: list[FeeEntry]
    true_ups: list[tuple[str, str, str, str]]
    stated: Stated | None
    appended: int
    interims: list[InterimEntry] = []
    settled: list[tuple[str, str]] = []
    revision: int = 0
    revised: list[int] = []
    adjustments: list[AdjustmentEntry] = []
    coupons: list[CouponEntry] = []


class AccountEntry(Struct, array_like=True, gc=False):
    """One account: where its open periods begin, which of those hold state, and what was charged in advance.

    `watermarks` are of closed periods; those of open ones are in their periods. `advance` are the fees charged for
    periods that are not closed: tariff, version, name, start of the period, exact amount. `drawn` is what was drawn
    from each credit, by its name.
    """

    open_from: int
    periods: list[int]
    watermarks: dict[str, int]
    advance: list[tuple[str, str, str, int, str]]
    drawn: list[tuple[str, str]] = []


unpack_entry = Decoder(Entry, strict=False).decode
unpack_account = Decoder(AccountEntry).decode
unpack_period = Decoder(PeriodEntry, strict=False).decode

_encode = Encoder().encode


def pack(value: object) -> bytes:
    """The value as MessagePack. What MessagePack has no numbers for, such as the weights of byte-hours, is text.

    >>> posting = Posting(0, 0, "t", "1", 0, 0, 0, 1, [(0, 2**80)], "m")
    >>> unpack_entry(pack(Entry(b"", "a", "m", [posting]))).postings == [posting]
    True
    """
    try:
        return _encode(value)
    except OverflowError:
        return _encode(_large_as_text(to_builtins(value, builtin_types=(bytes,))))


def _large_as_text(value: object) -> object:
    match value:
        case list() | tuple():
            return [_large_as_text(each) for each in value]
        case dict():
            return {key: _large_as_text(each) for key, each in value.items()}
        case int() if value.bit_length() > LARGEST_BITS:
            return str(value)
    return value


def entry_key(identity: bytes) -> Key:
    """Where the usage record of this identity is kept."""
    return b"d" + identity


def account_key(tenant: str, account: str) -> Key:
    """Where the account is kept."""
    return b"a" + pack((tenant, account))


def period_key(tenant: str, account: str, start: int) -> Key:
    """Where the account's period that begins at `start` is kept; an account's periods follow each other."""
    return b"p" + pack((tenant, account)) + (start + (1 << 63)).to_bytes(8, "big")
