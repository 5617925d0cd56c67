"""Usage: what was measured, as its producer sent it."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct


class UsageRecord(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One measured quantity of one meter of one account, with its time.

    `(tenant, source, id)` identifies it: a second record with that identity is a duplicate. `quantity` is in the
    meter's unit and may be None only where `corrects` names a record to void. `start` = `end` is an event without
    length. `unit`, where the producer states it, must be the meter's. `session` joins partial records of one
    session. `corrects` is the id of a record of the same tenant and source that this one replaces, or voids where
    it has no quantity.
    """

    id: str
    account: str
    meter: str
    quantity: Decimal | None
    start: datetime
    end: datetime
    source: str = "default"
    tenant: str = "default"
    unit: str | None = None
    session: str | None = None
    attributes: dict[str, str] | None = None
    corrects: str | None = None
