"""Simulating: made-up charging sessions of any number of accounts, for load. Pure: the seed decides what is drawn.

Each account has a three-tier graduated tariff for each of its meters. A session ends when its record is sent and lasted
from a minute to half a day, so usage comes as from real chargers: small and large, and not in the order of its starts.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from random import Random

from schemas.account import Account
from schemas.catalogue import Catalogue
from schemas.instants import from_us
from schemas.tariff import Tariff
from schemas.usage import UsageRecord

_POWERS_W = (3_700, 7_400, 11_000, 22_000, 50_000, 150_000)
_SHORTEST_S, _TYPICAL_S, _LONGEST_S = 60, 1_800, 43_200
_SPREAD = 0.8
_SINCE = "2020-01-01"
_TIERS = [
    {"up_to": "100", "unit_price": "0.45"},
    {"up_to": "1000", "unit_price": "0.39"},
    {"unit_price": "0.31"},
]


@dataclass(frozen=True, slots=True)
class Load:
    """So many accounts with so many meters each, and how many usage records a second they send in all."""

    accounts: int
    meters: int
    rate: float
    seed: int

    @property
    def tariff(self) -> str:
        """The tariff of all accounts. A load with other meters has another one, as a version never changes."""
        return f"simulated-{self.meters}"

    def account(self, number: int) -> str:
        """The name of an account, by its number from 0."""
        return f"{self.tariff}-{number:07d}"


def declared(load: Load) -> Catalogue:
    """The tariff and the accounts of a load."""
    meter = {"unit": "kWh", "price": {"model": "graduated", "tiers": _TIERS}}
    tariff = Tariff.model_validate(
        {
            "tariff": load.tariff,
            "version": "1",
            "effective_from": _SINCE,
            "currency": "EUR",
            "meters": {_meter(number): meter for number in range(load.meters)},
        }
    )
    document = {"zone": "UTC", "currency": "EUR", "tariffs": [{"tariff": load.tariff, "from": _SINCE}]}
    accounts = [
        Account.model_validate({"account": load.account(number), **document}) for number in range(load.accounts)
    ]
    return Catalogue.of([tariff], accounts)


def sessions(load: Load, began: int) -> Iterator[UsageRecord]:
    """The usage records of a load that began at an instant (microseconds), without end.

    Whatever is drawn follows from the seed; the ids hold the instant, so that no two loads repeat each other's.
    """
    draw = Random(load.seed)  # noqa: S311 - load, no secret
    source = f"simulated-{load.seed}-{began}"
    number = 0
    while True:
        end = from_us(began + int(number * 1_000_000 / load.rate))
        lasted_s = min(max(int(draw.lognormvariate(math.log(_TYPICAL_S), _SPREAD)), _SHORTEST_S), _LONGEST_S)
        watt_hours = draw.choice(_POWERS_W) * lasted_s // 3_600
        yield UsageRecord(
            str(number),
            load.account(draw.randrange(load.accounts)),
            _meter(draw.randrange(load.meters)),
            Decimal(watt_hours).scaleb(-3),
            end - timedelta(seconds=lasted_s),
            end,
            source,
        )
        number += 1


def _meter(number: int) -> str:
    return f"charger-{number + 1}"
