"""Documents: the tariffs, accounts and usage records that a case becomes, as a user would write them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from tests.accuracy.result import Answers, Result

Json = dict[str, Any]

PLAN, HOME, USAGE = "plan", "home", "usage"
"""The names of the tariff, the account and the meter where a case has only one of each."""
BEGIN = "2024-01-01"
"""The first day of an account and its tariff where a case does not say: a month of 31 days begins."""


@dataclass(frozen=True)
class Step:
    """Documents that are in force, and the usage that arrives then."""

    tariffs: Sequence[Json]
    accounts: Sequence[Json]
    usage: Sequence[Json]
    closes: bool = True
    """Whether all periods with usage are closed after it."""


@dataclass(frozen=True)
class Documents:
    """What a case becomes, and how its answers are read."""

    steps: Sequence[Step]
    read: Callable[[Result], Answers]
    order: Literal["event", "arrival"] = "event"
    """In the order of event time, as `ratestream rate` takes files; or as the records come, one after the other."""


def rated(
    tariffs: Json | Sequence[Json],
    usage: Sequence[Json],
    read: Callable[[Result], Answers],
    accounts: Sequence[Json] = (),
) -> Documents:
    """The documents of one `ratestream rate`."""
    listed = [tariffs] if isinstance(tariffs, dict) else tariffs
    return Documents([Step(listed, accounts or [account()], usage)], read)


def tariff(meters: Mapping[str, Json], name: str = PLAN, **rest: Any) -> Json:  # noqa: ANN401 - any key of a document
    """A tariff of these items, in force since long ago."""
    base = {"tariff": name, "version": "1", "effective_from": "2000-01-01", "currency": "USD"}
    return {**base, **rest, "meters": dict(meters)}


def account(*entries: Json, **rest: Any) -> Json:  # noqa: ANN401 - any key of a document
    """The account, in UTC; its tariff is the only one where none are listed."""
    listed = list(entries) or [{"tariff": PLAN, "from": BEGIN}]
    return {"account": HOME, "zone": "UTC", "currency": "USD", **rest, "tariffs": listed}


def item(price: Json, unit: str = "unit", **rest: Any) -> Json:  # noqa: ANN401 - any key of a document
    """A priced item."""
    return {"unit": unit, **rest, "price": price}


def per_unit(unit_price: str, **rest: Any) -> Json:  # noqa: ANN401 - any key of a document
    """A price for each unit."""
    return {"model": "per_unit", "unit_price": unit_price, **rest}


def fee(name: str, amount: str, per: str = "period", **rest: Any) -> Json:  # noqa: ANN401 - any key of a document
    """A recurring fee."""
    return {"name": name, "amount": amount, "per": per, **rest}


def tax(percent: str, name: str = "Tax") -> list[Json]:
    """One tax."""
    return [{"name": name, "percent": percent}]


def record(
    number: int,
    quantity: str | None,
    start: str,
    end: str | None = None,
    meter: str = USAGE,
    **rest: Any,  # noqa: ANN401 - any field of a usage record
) -> Json:
    """The usage record of this number; without an end it is an event without length."""
    facts = {"id": f"r{number}", "account": HOME, "meter": meter, "quantity": quantity}
    return {**facts, "start": start, "end": end or start, **rest}


def moment(day: str | date, clock: str = "00:00") -> datetime:
    """The instant of a UTC wall time."""
    return datetime.combine(_date(day), time.fromisoformat(clock), UTC)


def at(day: str | date, clock: str = "00:00") -> str:
    """The same as a usage record writes it."""
    return iso(moment(day, clock))


def iso(instant: datetime) -> str:
    """An instant as a usage record writes it."""
    return instant.isoformat()


def instant(told: str) -> str:
    """An instant of a case, as a usage record writes it."""
    return iso(datetime.fromisoformat(told))


def on(days: int, begin: str | date = BEGIN) -> date:
    """The date so many days later."""
    return _date(begin) + timedelta(days=days)


def minutes_on(instant: datetime, minutes: float) -> datetime:
    """The instant so many minutes later."""
    return instant + timedelta(minutes=minutes)


def _date(day: str | date) -> date:
    return date.fromisoformat(day) if isinstance(day, str) else day
