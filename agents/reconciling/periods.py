"""Periods: which billing periods are meant by a name, from where and when they begin alone."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

from schemas.zone import zone_named
from sinks.reconciliation.statements import Owner

_NAMED: tuple[tuple[re.Pattern[str], Callable[[date], str]], ...] = (
    (re.compile(r"[0-9]{4}-[0-9]{2}"), lambda day: f"{day:%Y-%m}"),
    (re.compile(r"[0-9]{4}-Q[1-4]"), lambda day: f"{day:%Y}-Q{(day.month + 2) // 3}"),
    (re.compile(r"[0-9]{4}-W[0-9]{2}"), lambda day: f"{day:%G-W%V}"),
    (re.compile(r"[0-9]{4}"), lambda day: f"{day:%Y}"),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), lambda day: day.isoformat()),
)
_CLOCKS_DIFFER = timedelta(hours=2)
"""A period begins at midnight of its account's clock, which may be its zone's without summer time."""


class Period:
    """The billing periods that begin in the month, quarter, week, year or day of a name."""

    def __init__(self, name: str, zones: Mapping[tuple[str, str], str]) -> None:
        """`zones` by tenant and account; UTC for an account that is not there. Raises ValueError for no such name."""
        self.name = name
        self._zones = zones
        self._named = next((named for pattern, named in _NAMED if pattern.fullmatch(name)), None)
        if self._named is None:
            what = f"{name!r:.40} is no name of a period"
            raise ValueError(f"{what}. Write it like 2026-10, 2026-Q4, 2026-W40, 2026 or 2026-10-31")

    def takes(self, owner: Owner) -> bool:
        """Whether the period of this account that begins then is meant.

        >>> october = Period("2026-10", {("default", "home"): "Europe/Paris"})
        >>> [october.takes(("default", "home", f"2026-{start}:00Z")) for start in ("09-30T22:00", "10-31T23:00")]
        [True, False]
        """
        tenant, account, begins = owner
        zone = zone_named(self._zones.get((tenant, account), "UTC"))
        local = datetime.fromisoformat(begins).astimezone(zone) + _CLOCKS_DIFFER
        return self._named is not None and self._named(local.date()) == self.name
