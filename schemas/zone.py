"""Zones: time zones by name, those of the IANA database and fixed offsets from UTC.

A fixed offset is a ZoneInfo like the others, so that whoever works with local time need not tell them apart.
"""

import re
import struct
from functools import lru_cache
from io import BytesIO
from zoneinfo import ZoneInfo

_FIXED = re.compile(r"UTC([+-])([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?")


def zone_named(name: str) -> ZoneInfo:
    """The zone of an IANA name, or of an offset from UTC as `fixed_zone` names it. Raises ZoneInfoNotFoundError."""
    match = _FIXED.fullmatch(name)
    if match is None:
        return ZoneInfo(name)
    sign, hours, minutes, seconds = match.groups(default="0")
    offset_s = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return fixed_zone(-offset_s if sign == "-" else offset_s)


@lru_cache(maxsize=1024)
def fixed_zone(offset_s: int) -> ZoneInfo:
    """The zone whose clocks always are so many seconds, less than a day, ahead of UTC (behind, where negative).

    >>> fixed_zone(-18_000).key, fixed_zone(20_700).key, fixed_zone(-12_344).key
    ('UTC-05:00', 'UTC+05:45', 'UTC-03:25:44')
    >>> zone_named("UTC-03:25:44") is fixed_zone(-12_344)
    True
    """
    minutes, seconds = divmod(abs(offset_s), 60)
    hours, minutes = divmod(minutes, 60)
    key = f"UTC{'-' if offset_s < 0 else '+'}{hours:02d}:{minutes:02d}" + (f":{seconds:02d}" if seconds else "")
    # A time zone file (RFC 9636, version 1) with one kind of local time and no change to another.
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    local_time = struct.pack(">lBB", offset_s, 0, 0) + b"UTC\0"
    return ZoneInfo.from_file(BytesIO(b"TZif" + bytes(16) + counts + local_time), key=key)
