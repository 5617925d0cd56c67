"""Encoding: one record as JSON, CloudEvent or Avro, and many as an Avro container.

Written by hand from the published formats and `schemas/avro/usage.avsc`, so that a fault of the product's own encoders
cannot hide one of its decoders.
"""

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import fastavro

from tests.oracle.record import Reading

_SCHEMA = Path(__file__).parents[2] / "schemas" / "avro" / "usage.avsc"
_MARK = b"\xc3\x01"


def as_json(reading: Reading, chance: Random | None = None) -> bytes:
    """A usage record as JSON; with `chance`, members in any order and instants in any offset."""
    members = list(fields_of(reading, chance).items())
    if chance is not None:
        chance.shuffle(members)
    return json.dumps(dict(members), ensure_ascii=False).encode()


def as_cloudevent(reading: Reading) -> bytes:
    """A usage record as a CloudEvent, its time and quantity in the data."""
    fields = fields_of(reading)
    envelope = {name: fields.pop(name) for name in ("id",)}
    data = {name: fields[name] for name in fields if name not in ("source", "account", "meter")}
    return json.dumps(
        {
            "specversion": "1.0",
            **envelope,
            "source": reading.source,
            "type": reading.meter,
            "subject": reading.account,
            "time": fields["start"],
            "datacontenttype": "application/json",
            "data": data,
        }
    ).encode()


def fields_of(reading: Reading, chance: Random | None = None) -> dict[str, Any]:
    """The members of its JSON."""
    fields: dict[str, Any] = {
        "id": reading.id,
        "account": reading.account,
        "meter": reading.meter,
        "start": instant_text(reading.start, chance),
        "end": instant_text(reading.end, chance),
    }
    optional = {
        "quantity": None if reading.quantity is None else f"{reading.quantity:f}",
        "source": reading.source if reading.source != "default" else None,
        "tenant": reading.tenant if reading.tenant != "default" else None,
        "unit": reading.unit,
        "corrects": reading.corrects,
    }
    return fields | {name: value for name, value in optional.items() if value is not None}


def instant_text(at: datetime, chance: Random | None = None) -> str:
    """An instant by RFC 3339; with `chance`, in a zone of its own."""
    if chance is not None and chance.random() < 0.3:
        return (at + (offset := timedelta(minutes=chance.choice((-570, -60, 330, 630))))).strftime(
            "%Y-%m-%dT%H:%M:%S.%f"
        ) + _offset_text(offset)
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _offset_text(offset: timedelta) -> str:
    minutes = offset // timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def as_avro(reading: Reading) -> bytes:
    """A usage record in Avro single-object encoding; its quantity has six decimals at most."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, _schema(), _values(reading))
    return _MARK + fingerprint() + stream.getvalue()


def as_container(readings: list[Reading]) -> bytes:
    """Usage records as one Avro object container."""
    stream = io.BytesIO()
    fastavro.writer(
        stream, _schema(), [_values(reading) for reading in readings], codec="deflate", sync_marker=bytes(16)
    )
    return stream.getvalue()


@cache
def fingerprint() -> bytes:
    """The fingerprint of the schema, as single-object encoding has it."""
    canonical = fastavro.schema.to_parsing_canonical_form(json.loads(_SCHEMA.read_text(encoding="utf-8")))
    return bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))


@cache
def _schema() -> Any:  # noqa: ANN401 - what fastavro calls a schema
    return fastavro.parse_schema(json.loads(_SCHEMA.read_text(encoding="utf-8")))


def _values(reading: Reading) -> dict[str, Any]:
    return {
        "id": reading.id,
        "account": reading.account,
        "meter": reading.meter,
        "quantity": None if reading.quantity is None else reading.quantity.quantize(Decimal("0.000001")),
        "start": reading.start,
        "end": reading.end,
        "source": reading.source,
        "tenant": reading.tenant,
        "unit": reading.unit,
        "corrects": reading.corrects,
    }
