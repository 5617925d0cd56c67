"""Documents: the tariffs and accounts that a schedule publishes, good and bad, and what usage under them costs."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from agents.stream.keys import account_key, partition_of

PARTITION, PARTITIONS = 0, 2
_CLOSING = {"grace_s": 86_400, "lateness_s": 8 * 86_400, "silence_s": 3 * 86_400}

Tiers = Sequence[tuple[str | None, str]]
"""Up to which quantity, and at which unit price."""


class Price(NamedTuple):
    """How a meter is priced: `model` graduated or volume."""

    model: str
    tiers: Tiers

    def amount(self, quantity: Decimal) -> Decimal:
        """What so much of it costs in one billing period.

        >>> Price("graduated", [("10", "0.3"), (None, "0.2")]).amount(Decimal(15))
        Decimal('4.0')
        >>> Price("volume", [("10", "0.3"), (None, "0.2")]).amount(Decimal(15))
        Decimal('3.0')
        """
        amount, low = Decimal(0), Decimal(0)
        for up_to, unit_price in self.tiers:
            high = quantity if up_to is None else min(quantity, Decimal(up_to))
            if self.model == "volume" and high == quantity:
                return quantity * Decimal(unit_price)
            amount += max(high - low, Decimal(0)) * Decimal(unit_price)
            low = max(low, high)
        return amount


PRICES: dict[tuple[str, str], dict[str, Price]] = {
    ("power", "1"): {
        "energy": Price("graduated", [("10", "0.3"), ("50", "0.25"), (None, "0.2")]),
        "sms": Price("graduated", [(None, "0.07")]),
    },
    ("power", "2"): {
        "energy": Price("graduated", [("20", "0.31"), (None, "0.22")]),
        "sms": Price("graduated", [("3", "0.05"), (None, "0.04")]),
    },
    ("power", "3"): {
        "energy": Price("volume", [("15", "0.333333"), (None, "0.111111")]),
        "sms": Price("graduated", [(None, "0.06")]),
    },
    ("flat", "1"): {"energy": Price("graduated", [(None, "0.28")]), "sms": Price("graduated", [(None, "0.1")])},
}


class Document(NamedTuple):
    """A message of `accounts` or `tariffs`."""

    key: bytes
    value: bytes | None


def _tariff(name: str, version: str, effective_from: str, **rest: object) -> Document:
    document = {
        "tariff": name,
        "version": version,
        "effective_from": effective_from,
        "currency": "EUR",
        "closing": _CLOSING,
        "meters": {meter: _meter(meter, price) for meter, price in PRICES[name, version].items()},
        **rest,
    }
    return Document(f"{name}@{version}".encode(), json.dumps(document).encode())


def _meter(meter: str, price: Price) -> dict[str, Any]:
    tiers = [{"up_to": up_to, "unit_price": unit_price} for up_to, unit_price in price.tiers]
    return {"unit": "kWh" if meter == "energy" else "message", "price": {"model": price.model, "tiers": tiers}}


FIRST_TARIFFS = (
    _tariff("power", "1", "2024-01-01", fees=[{"name": "Service", "amount": "1.25", "per": "period"}]),
    _tariff("flat", "1", "2024-01-01", closing={**_CLOSING, "late": "revision"}),
)
LATER_TARIFFS = (
    _tariff("power", "2", "2024-02-15", minimum={"amount": "5"}),
    _tariff("power", "3", "2024-04-01"),
)
BAD_TARIFFS = (
    Document(b"power@4", b'{"tariff": "power"'),
    Document(b"power@5", None),
    _tariff("power", "1", "2024-01-01"),
    _tariff("power", "2", "2024-01-15", currency="USD"),
)


class Name(NamedTuple):
    """An account, by its tenant."""

    tenant: str
    account: str

    @property
    def key(self) -> bytes:
        """The key of its messages."""
        return account_key(*self)

    @property
    def belongs(self) -> bool:
        """Whether it is one of the simulated partition."""
        return partition_of(self.key, PARTITIONS) == PARTITION


_NAMES = [Name(tenant, f"home-{number}") for number in range(8) for tenant in ("default", "a/b%")]
NAMES = [name for name in _NAMES if name.belongs][:3]
STRAY = next(name for name in _NAMES if not name.belongs)
NOBODY = [name for name in _NAMES if name.belongs][3]


def _account(name: Name, *tariffs: dict[str, str], key: bytes | None = None, **rest: object) -> Document:
    document = {
        "tenant": name.tenant,
        "account": name.account,
        "zone": "Europe/Berlin" if name == NAMES[1] else "UTC",
        "currency": "EUR",
        "tariffs": tariffs,
        **rest,
    }
    return Document(name.key if key is None else key, json.dumps(document).encode())


_POWER, _FLAT = {"tariff": "power", "from": "2024-01-01"}, {"tariff": "flat", "from": "2024-01-01"}
FIRST_ACCOUNTS = (_account(NAMES[0], _POWER), _account(NAMES[1], _POWER), _account(NAMES[2], _FLAT))
LATER_ACCOUNTS = (
    _account(NAMES[0], _POWER | {"until": "2024-03-10"}, _FLAT | {"from": "2024-03-10"}),
    _account(NAMES[0], _POWER | {"until": "2024-05-01"}),
    _account(NAMES[1], _POWER, fees=[{"name": "Meter", "amount": "2", "per": "period"}]),
    _account(NAMES[1], _POWER | {"until": "2024-02-20"}, _FLAT | {"from": "2024-02-20"}),
    _account(NAMES[2], _FLAT, _POWER | {"from": "2024-04-05"}),
)
BAD_ACCOUNTS = (
    Document(NAMES[0].key, b"\xff\x00"),
    Document(NAMES[1].key, None),
    _account(NAMES[0], _POWER, zone="Asia/Tokyo"),
    _account(NAMES[1], {"tariff": "unheard-of", "from": "2024-01-01"}),
    _account(NAMES[2], _FLAT, key=NAMES[0].key),
    _account(STRAY, _POWER),
)
