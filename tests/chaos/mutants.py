"""Mutants: good records with a few bytes changed, cut out, repeated or put in at random.

Most are no usage records any more, and have to be rejected. Where what is left can still be read as a record of the
account that it is keyed by, it is doubtful: the product may accept it as exactly that, or reject it. No mutant may be
both or neither, and none may stop a worker.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from random import Random

from tests.chaos.book import METER, Customer
from tests.chaos.customer import PLAIN, arrivals
from tests.chaos.encoding import as_avro, as_cloudevent, as_json
from tests.chaos.message import Doubtful, Message, Refused
from tests.oracle.record import Reading

_MICRO = Decimal("0.000001")
_FIELDS = frozenset(
    (
        "id",
        "account",
        "meter",
        "quantity",
        "start",
        "end",
        "source",
        "tenant",
        "unit",
        "corrects",
        "session",
        "attributes",
    )
)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)


def mutants(seed: int, customers: Sequence[Customer], count: int, first_number: int) -> list[Message]:
    """So many messages, numbered from the first. Only JSON can be doubtful; changed Avro says nothing for sure."""
    chance = Random(seed)
    made: list[Message] = []
    each = count // len(customers) + 1
    sources = [(customer, arrivals(customer, each, PLAIN, chance)) for customer in customers]
    while len(made) < count:
        customer, records = sources[len(made) % len(sources)]
        reading = records[len(made) // len(sources) % len(records)].reading
        reading = reading._replace(id=f"mutant/{len(made)}")
        value = _changed(as_cloudevent(reading) if chance.random() < 0.2 else as_json(reading), chance)
        made.append(Message(first_number + len(made), customer.key, value, (fate_of(value, reading),)))
    return made


def broken_avro(seed: int, customer: Customer, count: int, first_number: int) -> list[Message]:
    """So many records in Avro whose end is cut off or whose schema is another: none can be read."""
    chance = Random(seed)
    made: list[Message] = []
    for arrival in arrivals(customer, count, PLAIN, chance)[:count]:
        whole = as_avro(arrival.reading)
        at = chance.randrange(2, 10)
        flipped = whole[:at] + bytes([whole[at] ^ chance.randrange(1, 256)]) + whole[at + 1 :]
        value = chance.choice((whole[: chance.randrange(2, len(whole) - 4)], flipped))
        made.append(Message(first_number + len(made), customer.key, value, (Refused(""),)))
    return made


def fate_of(value: bytes, reading: Reading) -> Doubtful | Refused:
    """What may become of changed bytes: rejected for sure, or accepted as what is read here."""
    read = _read(value, reading)
    return Refused("") if read is None else Doubtful(read)


def _changed(value: bytes, chance: Random) -> bytes:
    data = bytearray(value)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(data))
        length = chance.choice((1, 1, 2, 5, 40))
        match chance.randrange(5):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case 3:
                data[at:at] = chance.randbytes(length)
            case _:
                data[at:at] = chance.choice((b'"', b"{", b"}", b",", b"\\", b"0", b"-", b"e9", b"null", b"\xff", b"\n"))
        if not data:
            return b""
    return bytes(data)


def _read(value: bytes, of: Reading) -> Reading | None:
    """The record that the bytes say, None where they say none of this account's meter that could be accepted."""
    try:
        fields = json.loads(
            value.decode(), parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_members
        )
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    if "specversion" in fields:
        fields = _of_event(fields)
    if fields is None or not fields.keys() <= _FIELDS:
        return None
    return _reading(fields, of)


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _of_event(event: dict[str, object]) -> dict[str, object] | None:
    """The fields of a CloudEvent; what data says besides are attributes."""
    data = event.get("data")
    if not isinstance(data, dict):
        return None
    said = {"start": event.get("time"), "end": event.get("time")} | {
        name: value for name, value in data.items() if name in _FIELDS and value not in (None, "")
    }
    others = {name: value for name, value in data.items() if name not in _FIELDS and value is not None}
    said |= {"id": event.get("id"), "source": event.get("source"), "account": event.get("subject")}
    said.setdefault("meter", event.get("type"))
    return said | ({"attributes": others} if others else {})


def _reading(fields: dict[str, object], of: Reading) -> Reading | None:
    said = {name: value for name, value in fields.items() if value not in (None, "")}
    attributes = said.pop("attributes", {})
    if not isinstance(attributes, dict) or not all(
        isinstance(value, str) for value in (*said.values(), *attributes.values())
    ):
        return None
    texts = {name: str(value) for name, value in said.items()}
    start, end = (_instant(texts.get(name, "")) for name in ("start", "end"))
    quantity = _quantity(texts.get("quantity", ""))
    whose = (texts.get("tenant", "default"), texts.get("account"), texts.get("meter"))
    if (
        start is None
        or end is None
        or quantity is None
        or not texts.get("id")
        or whose != (of.tenant, of.account, METER)
    ):
        return None
    return of._replace(
        id=texts["id"],
        source=texts.get("source", "default"),
        quantity=quantity,
        start=start,
        end=end,
        unit=texts.get("unit"),
        corrects=texts.get("corrects"),
        session=texts.get("session"),
        attributes=tuple(sorted((name, str(value)) for name, value in attributes.items())),
    )


def _instant(text: str) -> datetime | None:
    if not _INSTANT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _quantity(text: str) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text).quantize(_MICRO)
    except InvalidOperation:
        return None
