"""Record: one usage record as it was read, and why one is not accepted."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

Place = tuple[str, int]
"""A file and the number of a record in it, from 0."""

Identity = tuple[str, str, str]
"""Tenant, source and id."""


class Reading(NamedTuple):
    """One record; `quantity` None voids what `corrects` names."""

    place: Place
    tenant: str
    source: str
    id: str
    account: str
    meter: str
    quantity: Decimal | None
    start: datetime
    end: datetime
    unit: str | None
    session: str | None
    attributes: tuple[tuple[str, str], ...]
    corrects: str | None

    @property
    def identity(self) -> Identity:
        """What makes two records the same one."""
        return self.tenant, self.source, self.id

    def in_event_order(self) -> tuple[object, ...]:
        """Where it stands when records are taken in the order of their time."""
        plain = (self.start, self.end, self.corrects or "", self.tenant, self.source, self.account, self.meter, self.id)
        return (*plain, str(self.quantity))


class RejectedError(Exception):
    """Its argument is the reason."""


def require(is_so: bool, reason: str) -> None:
    """Reject for the reason unless it is so."""
    if not is_so:
        raise RejectedError(reason)
