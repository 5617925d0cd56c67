"""Malformed: messages that cannot be accepted, each with the reason that its rejection has to give.

Each kind changes one thing of a record that would be accepted otherwise. A kind that is no single line of text is kept
apart, so that the same messages can also be written into a file of JSON lines.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from tests.chaos.encoding import as_avro, as_cloudevent, as_container, as_json, fields_of, fingerprint, instant_text
from tests.oracle.record import Reading


class Kind(NamedTuple):
    """One way to be wrong: the reason, and how the message is made."""

    name: str
    reason: str
    make: Callable[[Reading], bytes | None]


Fields = dict[str, Any]


def _fields(name: str, reason: str, **changes: object) -> Kind:
    """Some members of the JSON have other values; None takes one out."""

    def make(reading: Reading) -> bytes:
        fields = {**fields_of(reading), **changes}
        return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()

    return Kind(name, reason, make)


def _event(name: str, reason: str, **changes: object) -> Kind:
    """Some members of the CloudEvent have other values; None takes one out."""

    def make(reading: Reading) -> bytes:
        fields = {**json.loads(as_cloudevent(reading)), **changes}
        return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()

    return Kind(name, reason, make)


def _text(name: str, reason: str, change: Callable[[bytes], bytes]) -> Kind:
    """The bytes of the JSON are changed."""
    return Kind(name, reason, lambda reading: change(as_json(reading)))


def _ends_early(reading: Reading) -> bytes:
    end = instant_text(reading.start - timedelta(seconds=1))
    return json.dumps({**fields_of(reading), "end": end}).encode()


def _in_the_future(reading: Reading) -> bytes:
    later = datetime(2199, 1, 1, tzinfo=UTC)
    return as_json(reading._replace(start=later, end=later))


def _before_its_tariff(reading: Reading) -> bytes:
    earlier = datetime(2023, 6, 1, tzinfo=UTC)
    return as_json(reading._replace(start=earlier, end=earlier))


LINES = (
    _text("cut in the middle", "unreadable", lambda data: data[: len(data) // 2]),
    _text("an array", "unreadable", lambda data: b"[" + data + b"]"),
    _text("not UTF-8", "unreadable", lambda data: data.replace(b'"account": "', b'"account": "\xff\xc3(')),
    _text("a key twice", "unreadable", lambda data: data[:-1] + b', "quantity": "1"}'),
    _text("nested", "unreadable", lambda _: b'{"id":' * 20_000),
    _text("two objects", "unreadable", lambda data: data + data),
    _text("no JSON", "unreadable", lambda _: b"usage of home-0001: 17 kWh"),
    _fields("no id", "missing-field", id=None),
    _fields("empty id", "missing-field", id=""),
    _fields("no account", "missing-field", account=None),
    _fields("no meter", "missing-field", meter=None),
    _fields("no quantity", "missing-field", quantity=None),
    _fields("no start", "missing-field", start=None),
    _fields("no end", "missing-field", end=None),
    _fields("another field", "unknown-field", amount="1.00"),
    _fields("decimal comma", "wrong-type", quantity="1,5"),
    _fields("true", "wrong-type", quantity=True),
    _fields("space", "wrong-type", quantity=" 1"),
    _fields("number as id", "wrong-type", id=17),
    _fields("number as time", "wrong-type", start=1_704_067_200),
    _fields("no time", "wrong-type", start="yesterday"),
    _fields("a date", "wrong-type", start="2024-02-01"),
    _fields("30 February", "wrong-type", start="2024-02-30T00:00:00Z"),
    _fields("list as attributes", "wrong-type", attributes=["region"]),
    _fields("NaN", "not-finite", quantity="NaN"),
    _fields("bare infinity", "not-finite", quantity=float("inf")),
    _fields("below zero", "negative", quantity="-0.5"),
    _fields("too much", "out-of-range", quantity="1e40"),
    _fields("endless exponent", "out-of-range", quantity="1e999999"),
    _fields("another unit", "wrong-unit", unit="MWh"),
    _fields("local time", "no-zone", start="2024-02-01T00:00:00"),
    _fields("nobody's account", "unknown-account", account="nobody"),
    _fields("nobody's meter", "unknown-meter", meter="steam"),
    Kind("end before start", "end-before-start", _ends_early),
    Kind("in the future", "future", _in_the_future),
    Kind("before its tariff", "no-tariff", _before_its_tariff),
    _event("another specversion", "unreadable", specversion="0.3"),
    _event("an event without type", "missing-field", type=None),
    _event("an event without source", "missing-field", source=None),
    _event("an event with data in a list", "wrong-type", data=["17"]),
    _event("account outside of subject", "unknown-field", account="home-0000"),
)
"""What fits into a line of text."""

BYTES = (
    Kind("empty", "unreadable", lambda _: b""),
    Kind("null", "unreadable", lambda _: None),
    Kind("zeros", "unreadable", lambda _: bytes(64)),
    Kind("Avro without its schema", "truncated", lambda _: b"\xc3\x01ab"),
    Kind("Avro of another schema", "unreadable", lambda reading: b"\xc3\x01" + b"otherone" + as_avro(reading)[10:]),
    Kind("Avro cut", "unreadable", lambda reading: as_avro(reading)[:-6]),
    Kind("Avro and more", "unreadable", lambda reading: as_avro(reading) + b"\x00"),
    Kind("Avro of nothing", "unreadable", lambda _: b"\xc3\x01" + fingerprint()),
    Kind("a container's begin", "truncated", lambda reading: as_container([reading])[:40]),
    Kind("a container cut", "truncated", lambda reading: as_container([reading])[:-4]),
    Kind("new lines", "unreadable", lambda _: b"\n\n\n"),
    Kind("negative Avro", "negative", lambda reading: as_avro(reading._replace(quantity=Decimal(-1)))),
)
"""What only a message can hold."""


def malformed(reading: Reading, chance: Random, *, lines_only: bool) -> tuple[Kind, bytes | None]:
    """A message of a random kind, made of a record that would be accepted."""
    kind = chance.choice(LINES if lines_only else LINES + BYTES)
    return kind, kind.make(reading)
