"""Question: a value whose fields are the parameters of its SQL, and how it is asked."""

from typing import ClassVar

import pyarrow as pa
from msgspec import Struct
from msgspec.structs import asdict

from sinks.queries import Readable

ALWAYS = (-(1 << 60), 1 << 60)
"""From and until, for all time. In microseconds, as all instants that are asked about."""


class Question(Struct, frozen=True):
    """What is asked. "" as tenant, account or meter stands for all of them."""

    sql: ClassVar[str]


def ask(sink: Readable, question: Question) -> pa.Table:
    """The answer, a table. Raises sinks.errors.SinkError."""
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(question).items()}
    return sink.query_arrow(question.sql, values)


def engine_zone(zone: str) -> str:
    """What the engine calls a zone of ours (schemas/zone.py).

    >>> engine_zone("Europe/London"), engine_zone("UTC-05:00")
    ('Europe/London', 'Fixed/UTC-05:00:00')
    """
    if not zone.startswith(("UTC+", "UTC-")):
        return zone
    return f"Fixed/{zone}" if zone.count(":") == 2 else f"Fixed/{zone}:00"
