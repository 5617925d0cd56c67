"""Inserting: a table into ClickHouse, however long that takes. After rows.py, before task.py.

While ClickHouse is away, overloaded or full, the same insert is repeated under the same token, with longer and longer
pauses, for as long as the partition is ours. What it refuses is an error that ends the process.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Protocol, TypeVar

import pyarrow as pa

from sinks.errors import Busy, NoSpace, TimedOut, Unreachable

AWAY = (Unreachable, TimedOut, Busy, NoSpace)
"""What may be over when the same call is made again."""

_FIRST_S = 0.25
_LONGEST_S = 15.0
_TELL_S = 60.0

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Place(Protocol):
    """Where tables go."""

    def insert(self, table_name: str, table: pa.Table, token: str) -> None:
        """Insert the whole table, durably; the same token inserts it once."""


class Inserter:
    """Inserts for all partitions of a process, and tells once when a table cannot be filled, not each time."""

    def __init__(self, place: Place, *, longest_s: float = _LONGEST_S) -> None:
        self._place = place
        self._longest_s = longest_s
        self._outages: dict[str, _Outage] = {}

    async def insert(self, table_name: str, table: pa.Table, token: str, given_up: asyncio.Event) -> bool:
        """Whether the table is in; False where ClickHouse was away when it was given up.

        Raises SinkError for what would fail again.
        """
        pause_s = min(_FIRST_S, self._longest_s)
        while True:
            try:
                await in_background(lambda: self._place.insert(table_name, table, token))
            except AWAY as error:
                self._outages.setdefault(table_name, _Outage()).tell(table_name, error)
                await _pause(pause_s, given_up)
                if given_up.is_set():
                    return False
                pause_s = min(2 * pause_s, self._longest_s)
            else:
                outage = self._outages.pop(table_name, None)
                if outage is not None:
                    logger.info("%s: ClickHouse is back after %.0f s", table_name, monotonic() - outage.began)
                return True


class _Outage:
    """Since when a table cannot be filled, and when that was told last."""

    def __init__(self) -> None:
        self.began = monotonic()
        self._told = -_TELL_S

    def tell(self, table_name: str, error: Exception) -> None:
        if monotonic() - self._told >= _TELL_S:
            self._told = monotonic()
            logger.warning("%s: waiting for ClickHouse, and trying again: %s", table_name, error)


async def _pause(longest_s: float, given_up: asyncio.Event) -> None:
    """Between half and all of that long, so that not all partitions knock at once."""
    with suppress(TimeoutError):
        await asyncio.wait_for(given_up.wait(), longest_s * random.uniform(0.5, 1))  # noqa: S311 - no secret


async def in_background(call: Callable[[], T]) -> T:
    """What the call returns or raises, made in a thread that nobody waits for when the process ends.

    An executor's threads are waited for, and a call to a server that does not answer takes its whole time limit.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type] # there is one where there is no error

    def run() -> None:
        result, raised = None, None
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - it is raised where the call is waited for
            raised = error
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(tell, result, raised)

    threading.Thread(target=run, daemon=True).start()
    return await done
