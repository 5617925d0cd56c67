"""Records: what a message of a topic says, as rows of the tables that the sink makes of it.

Charges and statements are JSON whose values are the tables' texts already, so they are not turned into numbers first: a
charge takes a few microseconds. After schemas.codecs, before reading.py.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from threading import Event
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord
from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from agents.errors import BrokerError
from agents.stream.messages import COMMAND_HEADER, rejection_of
from agents.stream.registry import Meaning, SchemaRegistry
from agents.stream.rejected import REPLAYED_HEADER
from schemas.codecs import Limits, UsageBatch
from schemas.codecs.confluent import NO_REGISTRY, Registry
from schemas.codecs.message import add_message
from schemas.fixed_point import DIGITS, QUANTITY_SCALE
from schemas.instants import to_us
from schemas.rejection import Rejection
from schemas.usage import UsageRecord
from sinks.reconciliation.differences import Key
from sinks.reconciliation.shapes import (
    BETWEEN,
    CHARGE_SHAPE,
    LINE_SHAPE,
    REJECTED_SHAPE,
    STATEMENT_SHAPE,
    TAX_SHAPE,
    USAGE_SHAPE,
    WITHIN,
    Group,
    Shape,
    fixed,
)

_LIMITS = Limits()
_MILLISECOND_US = 1_000
_DAY_MS = 86_400_000


class Record(NamedTuple):
    """A row of a table, as a message says it; `amount` is what its group sums."""

    shape: Shape
    group: Group
    key: Key
    name: str
    amount: int
    text: str


class ChargePart(Struct, gc=False):
    """A part of a charge as JSON says it."""

    band: str
    tier: int
    unit_price: str
    quantity: str
    amount: str
    name: str
    tax_percent: str
    tax: str


class ChargeTexts(Struct, gc=False):
    """A charge as JSON says it: its decimals and instants are still texts."""

    charge_id: str
    kind: str
    tenant: str
    account: str
    source: str
    usage_id: str
    meter: str
    unit: str
    usage_start: str
    usage_end: str
    period_start: str
    period_end: str
    statement_start: str
    statement_end: str
    used_before: str
    quantity: str
    parts: list[ChargePart]
    amount: str
    currency: str
    tariff: str
    version: str
    running_total: str
    corrects: str

    @property
    def group(self) -> Group:
        """Whose sums it is part of."""
        return self.tenant, self.account, self.meter, self.statement_start

    @property
    def begins(self) -> bool:
        """Whether it is the first charge of a usage record: those after it have a number at the end of their ids."""
        return self.usage_id != "" and "-" not in self.charge_id

    @property
    def text(self) -> str:
        """Its row's text."""
        parts = self.parts
        if len(parts) == 1:
            part = parts[0]
            flat: tuple[str, ...] = (
                part.band,
                str(part.tier),
                part.unit_price,
                part.quantity,
                part.amount,
                part.name,
                part.tax_percent,
                part.tax,
            )
        else:
            flat = tuple(
                WITHIN.join([str(getattr(part, name)) for part in parts]) for name in ChargePart.__struct_fields__
            )
        return BETWEEN.join(
            (
                self.charge_id,
                self.kind,
                self.tenant,
                self.account,
                self.source,
                self.usage_id,
                self.meter,
                self.unit,
                self.usage_start,
                self.usage_end,
                self.period_start,
                self.period_end,
                self.statement_start,
                self.statement_end,
                self.used_before,
                self.quantity,
                *flat,
                self.amount,
                self.currency,
                self.tariff,
                self.version,
                self.running_total,
                self.corrects,
            )
        )


_decode_charge = Decoder(ChargeTexts).decode
_decode_object = Decoder(dict[str, Any]).decode


def charge_of(message: ConsumerRecord) -> ChargeTexts:
    """The charge of a message. Raises BrokerError where it is none."""
    try:
        return _decode_charge(message.value or b"")
    except (DecodeError, UnicodeDecodeError) as error:
        raise _no_noun(message, "charge", error) from error


def charge_record(charge: ChargeTexts) -> Record:
    """The row of a charge."""
    key = (charge.tenant, charge.account, charge.charge_id)
    return Record(CHARGE_SHAPE, charge.group, key, charge.charge_id, fixed(charge.amount), charge.text)


def statement_records(value: bytes, message: ConsumerRecord) -> Iterator[Record]:
    """The rows of a statement: its own, those of its lines and of its taxes. Raises BrokerError where it is none."""
    try:
        said = _decode_object(value)
        statement_id, tenant, account = said["statement_id"], said["tenant"], said["account"]
        group: Group = (tenant, account, "", said["period_start"])
        own = {column: _head(said, column) for column in STATEMENT_SHAPE.columns}
        key = (tenant, account, statement_id)
        yield _record(STATEMENT_SHAPE, group, key, statement_id, own, said["total"])
        belongs = {name: said[name] for name in ("statement_id", "tenant", "account", "revision", "number")}
        belongs["statement_start"] = said["period_start"]
        for number, line in enumerate(said["lines"], 1):
            row = {**belongs, **line, "line": number}
            name = f"{statement_id}, line {number}"
            yield _record(LINE_SHAPE, group, (*key, str(number)), name, row, line["exact"])
        for number, tax in enumerate(said["taxes"], 1):
            row = {**belongs, **tax, "line": number}
            yield _record(TAX_SHAPE, group, (*key, str(number)), f"{statement_id}, tax {number}", row, tax["amount"])
    except (DecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise _no_noun(message, "statement", error) from error


def _head(said: Mapping[str, Any], column: str) -> object:
    """A column of a statement's own row; those with a point are of its settlements and allowances."""
    name, _, inner = column.partition(".")
    return WITHIN.join(_text(one[inner]) for one in said[name]) if inner else said[name]


def _record(shape: Shape, group: Group, key: Key, name: str, values: Mapping[str, object], amount: str) -> Record:
    text = BETWEEN.join([_text(values[column]) for column in shape.columns])
    return Record(shape, group, key, name, fixed(amount), text)


def _text(value: object) -> str:
    """A value of JSON as ClickHouse says it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def is_marker(message: ConsumerRecord) -> bool:
    """Whether a message of usage-rejected says that a rejection was replayed."""
    return any(name == REPLAYED_HEADER for name, _ in message.headers)


def rejection_in(message: ConsumerRecord) -> Rejection:
    """The rejection of a message. Raises BrokerError where it is none."""
    try:
        return rejection_of(message.value or b"", message.headers)
    except ValueError as error:
        raise _no_noun(message, "rejection", error) from error


def rejection_record(rejection: Rejection) -> Record:
    """The row of a rejection. Half a surrogate pair is stored escaped."""
    position = rejection.position
    values = {
        name: getattr(position if hasattr(position, name) else rejection, name) for name in REJECTED_SHAPE.columns
    }
    values["original"] = hashlib.sha256(rejection.original).hexdigest()
    values = {name: str(value).encode("utf-8", "backslashreplace").decode() for name, value in values.items()}
    group: Group = ("", "", rejection.reason.value, f"{position.origin}[{position.partition}]")
    key = (position.origin, f"{position.partition}@{position.offset}#{position.index}")
    return _record(REJECTED_SHAPE, group, key, str(position), values, "0")


class Usage(NamedTuple):
    """A usage record and its number within its message."""

    record: UsageRecord
    number: int


def is_command(message: ConsumerRecord) -> bool:
    """Whether a message of usage is a marker, not usage."""
    return any(name == COMMAND_HEADER for name, _ in message.headers)


def usage_of(message: ConsumerRecord, registry: Registry = NO_REGISTRY) -> list[Usage]:
    """The records of a message that can be decoded; none of a marker."""
    if is_command(message):
        return []
    batch = UsageBatch(message.topic, message.partition, _LIMITS.original_cap)
    add_message(batch, message.value or b"", message.offset, _LIMITS, registry)
    return list(map(Usage, batch.records, batch.indexes))


def usage_record(usage: Usage, message: ConsumerRecord) -> Record:
    """The row of a usage record."""
    said, number = usage
    quantity, beside = _quantity(said.quantity)
    attributes = said.attributes or {}
    texts = (
        said.tenant,
        said.account,
        said.source,
        said.id,
        said.meter,
        quantity,
        beside,
        str(to_us(said.start)),
        str(to_us(said.end)),
        said.unit or "",
        said.session or "",
        WITHIN.join([text for name in sorted(attributes) for text in (name, attributes[name])]),
        said.corrects or "",
        str(message.partition),
        str(message.offset),
        str(number),
        str(message.timestamp * _MILLISECOND_US),
    )
    group: Group = (said.tenant, said.account, said.meter, _month(message.timestamp))
    key = (f"{message.partition}@{message.offset}#{number}",)
    return Record(USAGE_SHAPE, group, key, said.id, fixed(quantity or "0"), BETWEEN.join(texts))


def _quantity(quantity: Decimal | None) -> tuple[str, str]:
    """What the columns quantity and quantity_text say."""
    if quantity is None:
        return "", ""
    exponent = quantity.normalize().as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -QUANTITY_SCALE or quantity.adjusted() >= DIGITS - QUANTITY_SCALE:
        return "", str(quantity)
    text = f"{quantity:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text, ""


class _Months(dict[int, str]):
    """The month of each day since 1970."""

    def __missing__(self, day: int) -> str:
        month = f"{datetime.fromtimestamp(day * _DAY_MS // 1_000, UTC):%Y-%m}"
        self[day] = month
        return month


_MONTHS = _Months()


def _month(timestamp_ms: int) -> str:
    return _MONTHS[timestamp_ms // _DAY_MS]


class Schemas:
    """A schema registry that is asked when a message names a schema that is not known yet."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry

    def reading(self, schema_id: int) -> Meaning:
        """How records of a schema are read, or why they cannot be. Raises RegistryError where nobody answers."""
        found = self._registry.known([schema_id])
        if not found:
            self._registry.fetch([schema_id], found, Event())
        return found[schema_id]


def _no_noun(message: ConsumerRecord, noun: str, error: Exception) -> BrokerError:
    what = f"{message.topic}[{message.partition}]@{message.offset} is no {noun}: {error}"
    return BrokerError(f"{what}. Find out who wrote it: only workers may")
