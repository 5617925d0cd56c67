"""Instants: timezone-aware datetimes at the edges, whole microseconds since 1970 UTC inside."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


def to_us(instant: datetime) -> int:
    """Microseconds since the epoch. Raises TypeError for a naive datetime.

    >>> to_us(datetime(1970, 1, 2, tzinfo=UTC)) == DAY_US
    True
    """
    since = instant - EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds


def from_us(us: int) -> datetime:
    """The UTC datetime of `us` microseconds since the epoch."""
    return EPOCH + timedelta(microseconds=us)


def to_iso(us: int) -> str:
    """RFC 3339 text in UTC: `2012-02-01T05:00:00Z`, with decimals only where they are not zero.

    >>> to_iso(DAY_US), to_iso(1)
    ('1970-01-02T00:00:00Z', '1970-01-01T00:00:00.000001Z')
    """
    return from_us(us).isoformat().replace("+00:00", "Z")
