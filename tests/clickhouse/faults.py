"""What goes wrong, on demand: a fault holds for the next requests whose statement has a given text in it."""

import threading
from enum import StrEnum
from typing import NamedTuple


class Fault(StrEnum):
    """What happens to a request."""

    UNAVAILABLE = "unavailable"
    """It is not run, and answered with 503."""
    UNAUTHORIZED = "unauthorized"
    """It is not run: its user is refused."""
    RESET_BEFORE = "reset-before"
    """It is not run; the connection is reset."""
    RESET_AFTER = "reset-after"
    """It is run; then the connection is reset instead of an answer."""
    SLOW = "slow"
    """It is run, and answered some seconds later."""


class Order(NamedTuple):
    """A fault that was ordered: for how many requests, whose statements have `where` in them."""

    fault: Fault
    times: int
    where: str = ""
    seconds: float = 0.0


class Faults:
    """One order at a time, taken by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._order: Order | None = None
        self._taken = 0

    def order(self, order: Order | None) -> None:
        """From now on this, in place of what was ordered before; nothing where None."""
        with self._lock:
            self._order, self._taken = order, 0

    def take(self, sql: str) -> Order | None:
        """What happens to a request with this statement."""
        with self._lock:
            order = self._order
            if order is None or self._taken >= order.times or order.where not in sql:
                return None
            self._taken += 1
            return order

    @property
    def taken(self) -> int:
        """How many requests have met the last order."""
        with self._lock:
            return self._taken
