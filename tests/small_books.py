"""Small books: the pipeline over a dict, with tariffs, accounts and usage records written in one line each."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.entries import Key
from pipeline.ledger import AccountState, Ledger
from pipeline.processing import Outcome, Pipeline
from pipeline.terms import Plans, Terms
from schemas.account import Account
from schemas.catalogue import Catalogue
from schemas.charge import Charge
from schemas.fixed_point import AMOUNT_SCALE, QUANTITY_SCALE, to_decimal
from schemas.instants import to_us
from schemas.rejection import Reason
from schemas.statement import Statement
from schemas.tariff import Tariff
from schemas.usage import UsageRecord

Json = dict[str, Any]
Number = Decimal | int
"""A Decimal, which tests compare with whole numbers too."""


def at(local: str, zone: str = "UTC") -> datetime:
    """The instant of a wall time, or of an ISO text that has its offset."""
    instant = datetime.fromisoformat(local)
    return instant if instant.tzinfo else instant.replace(tzinfo=ZoneInfo(zone))


def us(local: str, zone: str = "UTC") -> int:
    """The same as microseconds."""
    return to_us(at(local, zone))


LATER = us("2100-01-01")
"""When records arrive where it does not matter: after all of them."""


def per_unit(unit_price: str, **rest: object) -> Json:
    return {"model": "per_unit", "unit_price": unit_price, **rest}


def graduated(*tiers: Sequence[str | None], **rest: object) -> Json:
    """Tiers as (up_to, unit price, flat fee), the fee where there is one."""
    return {"model": "graduated", "tiers": [_tier(*tier) for tier in tiers], **rest}


def volume(*tiers: Sequence[str | None], **rest: object) -> Json:
    """Tiers as of a graduated price."""
    return {"model": "volume", "tiers": [_tier(*tier) for tier in tiers], **rest}


def package(size: str, package_price: str, **rest: object) -> Json:
    return {"model": "package", "size": size, "package_price": package_price, **rest}


def _tier(up_to: str | None, unit_price: str | None, flat_fee: str | None = "0") -> Json:
    return {"up_to": up_to, "unit_price": unit_price, "flat_fee": flat_fee}


def tariff(price: Json | None = None, **rest: Any) -> Tariff:  # noqa: ANN401 - any key of a tariff document
    """Tariff `plan`, version `1`, in USD from 2000, whose meter `power` has this price (or `bands=`, `meters=`)."""
    base: Json = {"tariff": "plan", "version": "1", "effective_from": "2000-01-01", "currency": "USD"}
    of_meter = {key: rest.pop(key) for key in _METER_KEYS if key in rest}
    if price is not None:
        of_meter["price"] = price
    if of_meter:
        base["meters"] = {"power": {"unit": "kWh", **of_meter}}
    return Tariff.model_validate({**base, **rest})


_METER_KEYS = ("bands", "tiers_across_bands", "unit", "decimals", "excess_decimals", "negative")


def account(*entries: tuple[str, str, str | None], **rest: object) -> Account:
    """Account `home`, UTC, whose tariffs are (name, from, until); by default `plan` from 2024."""
    listed = [{"tariff": name, "from": start, "until": until} for name, start, until in entries]
    base: Json = {
        "account": "home",
        "zone": "UTC",
        "currency": "USD",
        "tariffs": listed or [{"tariff": "plan", "from": "2024-01-01"}],
    }
    return Account.model_validate({**base, **rest})


def reading(
    usage_id: str, quantity: str | None, start: str | datetime, end: str | datetime | None = None, **rest: str
) -> UsageRecord:
    """A usage record of meter `power` of `home`; without an end it is an event without length."""
    begin = at(start) if isinstance(start, str) else start
    until = begin if end is None else at(end) if isinstance(end, str) else end
    amount = None if quantity is None else Decimal(quantity)
    facts: Json = {"id": usage_id, "account": "home", "meter": "power", **rest}
    return UsageRecord(**facts, quantity=amount, start=begin, end=until)


class DictStore:
    """A store that applies changes at once."""

    def __init__(self) -> None:
        self.values: dict[Key, bytes] = {}

    def get(self, key: Key) -> bytes | None:
        return self.values.get(key)

    def get_many(self, keys: Sequence[Key]) -> Sequence[bytes | None]:
        return [self.values.get(key) for key in keys]

    def commit(self, changes: Mapping[Key, bytes]) -> None:
        self.values.update(changes)


class Books:
    """Tariffs and accounts, a store and a pipeline over them. `charges` and `statements` are all there have been."""

    def __init__(
        self, tariffs: Tariff | Sequence[Tariff], accounts: Account | Sequence[Account] = (), **rest: bool
    ) -> None:
        listed = [tariffs] if isinstance(tariffs, Tariff) else tariffs
        declared = [accounts] if isinstance(accounts, Account) else accounts
        self.store = DictStore()
        self.closes = rest.get("closes", True)
        self.charges: list[Charge] = []
        self.statements: list[Statement] = []
        self.redeclare(listed, declared or [account()])

    def redeclare(self, tariffs: Sequence[Tariff], accounts: Sequence[Account]) -> None:
        """Go on over the same store with these documents."""
        self.plans = Plans(Catalogue.of(tariffs, accounts))
        self.restart()

    def restart(self) -> None:
        """Forget everything that is not stored."""
        self.pipeline = Pipeline(Ledger(self.plans, self.store), closes=self.closes)

    def state(self, name: str = "home") -> AccountState:
        state = self.pipeline.ledger.account("default", name)
        if state is None:
            raise KeyError(name)
        return state

    def terms(self, local: str, meter: str = "power", zone: str = "UTC") -> Terms | None:
        return next(iter(self.plans.terms(self.state().plan, meter, us(local, zone))), None)

    def take(self, *records: UsageRecord, received: int = LATER) -> Outcome:
        """One batch, stored."""
        return self._stored(self.pipeline.process(records, [received] * len(records)))

    def refused(self, *records: UsageRecord, received: int = LATER) -> list[Reason]:
        """The reasons for which records of one batch were refused."""
        return [refusal.reason for _, refusal in self.take(*records, received=received).refusals]

    def close_all(self) -> list[Statement]:
        """Close every period with usage of every account."""
        outcome = Outcome()
        for tenant, name in self.plans.accounts():
            state = self.pipeline.ledger.account(tenant, name)
            if state is not None:
                self.pipeline.close_all(state, outcome)
        return self._stored(outcome).statements

    def close_silent(self, now: str, declared: str = "2024-01-01", name: str = "home") -> Outcome:
        """Close what waits in vain, at `now`."""
        outcome = Outcome()
        self.pipeline.close_silent(self.state(name), us(now), us(declared), outcome)
        return self._stored(outcome)

    def only(self) -> Statement:
        """The one statement of everything."""
        statements = [*self.statements, *self.close_all()]
        if len(statements) != 1:
            raise ValueError(f"{len(statements)} statements")
        return statements[0]

    def _stored(self, outcome: Outcome) -> Outcome:
        self.store.commit(self.pipeline.ledger.changes())
        self.pipeline.ledger.committed()
        self.charges += outcome.charges
        self.statements += outcome.statements
        return outcome


def money(amount: int) -> Number:
    """An amount as a Decimal."""
    return to_decimal(amount, AMOUNT_SCALE).normalize()


def units(quantity: int) -> Number:
    """A quantity as a Decimal."""
    return to_decimal(quantity, QUANTITY_SCALE).normalize()


def amounts(charges: Sequence[Charge]) -> list[Number]:
    """What each charge comes to."""
    return [money(charge.amount) for charge in charges]


def printed(statement: Statement) -> tuple[Number, Number, Number]:
    """Net, tax and total of a statement."""
    return money(statement.net), money(statement.tax), money(statement.total)
