"""Layouts: how the fields of charges, statements and rejections are written as JSON or Avro, and read back.

A layout follows from the noun itself: what an int counts is told by its field's name. An int field of any other name
is a mistake that shows when the layout is made, before anything is written. Reading is strict: ValueError for a
missing, unknown or misshapen field.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from enum import StrEnum
from functools import cache, partial
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from msgspec import Struct

from schemas.codecs.fields import Refusal, instant_of
from schemas.fixed_point import AMOUNT_SCALE, PRICE_SCALE, QUANTITY_SCALE, fits, to_text
from schemas.instants import to_iso, to_us

_SCALES = {
    **dict.fromkeys(("quantity", "used_before", "included", "used", "left"), QUANTITY_SCALE),
    **dict.fromkeys(("unit_price",), PRICE_SCALE),
    **dict.fromkeys(("amount", "running_total", "exact", "net", "tax", "total", "base"), AMOUNT_SCALE),
    **dict.fromkeys(("gross", "due", "remaining"), AMOUNT_SCALE),
}
_INSTANTS = frozenset(
    f"{what}_{edge}" for what in ("usage", "period", "statement") for edge in ("start", "end", "first", "last")
)
_COUNTS = frozenset(
    ("tier", "revision", "number", "usage_records", "charges", "partition", "offset", "line", "index", "size")
)

_DECIMAL = re.compile(r"(-?[0-9]+)(?:\.([0-9]+))?")
_FIXED_BYTES = 16


class Way(NamedTuple):
    """How a value is written and read back."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


class Medium(NamedTuple):
    """What differs between JSON and Avro: fixed-point numbers by their scale, instants and bytes."""

    fixed: Callable[[int], Way]
    instant: Way
    octets: Way


@cache
def layout(kind: type[Struct], medium: Medium) -> Way:
    """How a noun becomes plain dicts, lists and scalars, and is made of them again."""
    hints = get_type_hints(kind)
    ways = [(name, *_way(name, hints[name], medium)) for name in kind.__struct_fields__]
    names = frozenset(kind.__struct_fields__)

    def write(noun: Struct) -> dict[str, Any]:
        return {name: write_field(getattr(noun, name)) for name, write_field, _ in ways}

    def read(values: object) -> Struct:
        if not isinstance(values, dict) or values.keys() != names:
            raise ValueError(f"not a {kind.__name__}: its fields are {', '.join(kind.__struct_fields__)}")
        return kind(*(read_field(values[name]) for name, _, read_field in ways))

    return Way(write, read)


def _way(name: str, hint: Any, medium: Medium) -> Way:  # noqa: ANN401 - a type or a form of typing
    if get_origin(hint) is tuple:
        return _many(_way(name, get_args(hint)[0], medium))
    if type(None) in get_args(hint):
        return _optional(_way(name, get_args(hint)[0], medium))
    return layout(hint, medium) if issubclass(hint, Struct) else _scalar(name, hint, medium)


def _scalar(name: str, hint: type, medium: Medium) -> Way:
    if issubclass(hint, StrEnum):
        return Way(str, hint)
    if hint is bytes:
        return medium.octets
    if hint is not int or name in _COUNTS:
        return Way(_same, partial(_exactly, hint))
    return medium.instant if name in _INSTANTS else medium.fixed(_SCALES[name])


def _many(way: Way) -> Way:
    return Way(
        lambda values: [way.write(value) for value in values],
        lambda values: tuple(way.read(value) for value in _exactly(list, values)),
    )


def _optional(way: Way) -> Way:
    return Way(
        lambda value: None if value is None else way.write(value),
        lambda value: None if value is None else way.read(value),
    )


def _same(value: Any) -> Any:  # noqa: ANN401 - whatever it is
    return value


def _exactly(kind: type, value: Any) -> Any:  # noqa: ANN401 - of that kind
    if type(value) is not kind:
        raise ValueError(f"{value!r:.80} is not of type {kind.__name__}")
    return value


def _fixed_of(text: object, *, scale: int) -> int:
    found = _DECIMAL.fullmatch(text) if isinstance(text, str) else None
    if not found or len(found[2] or "") > scale:
        raise ValueError(f"{text!r:.80} is not a decimal with at most {scale} decimals")
    return int(found[1] + (found[2] or "").ljust(scale, "0"))


def _us_of(text: object) -> int:
    instant = instant_of(_exactly(str, text))
    if isinstance(instant, Refusal):
        raise ValueError(instant.message)  # noqa: TRY004 - the type is right, the text is not
    return to_us(instant)


def _octets_of(text: object) -> bytes:
    return b64decode(_exactly(str, text), validate=True)


def _to_octets(data: bytes) -> str:
    return b64encode(data).decode()


def _fixed_bytes(fixed: int) -> bytes:
    """The shortest two's complement of a stored Decimal(38)."""
    if not fits(fixed):
        raise ValueError(f"{fixed} does not fit 38 digits")
    return fixed.to_bytes((fixed + (fixed < 0)).bit_length() // 8 + 1, "big", signed=True)


def _fixed_of_bytes(data: object) -> int:
    if not 0 < len(_exactly(bytes, data)) <= _FIXED_BYTES:
        raise ValueError(f"a decimal of {len(_exactly(bytes, data))} bytes is not one of 38 digits")
    return int.from_bytes(_exactly(bytes, data), "big", signed=True)


def _json_fixed(scale: int) -> Way:
    return Way(partial(to_text, scale=scale), partial(_fixed_of, scale=scale))


def _avro_fixed(_scale: int) -> Way:
    return AVRO_FIXED


AVRO_FIXED = Way(_fixed_bytes, _fixed_of_bytes)
JSON = Medium(_json_fixed, Way(to_iso, _us_of), Way(_to_octets, _octets_of))
AVRO = Medium(_avro_fixed, Way(_same, partial(_exactly, int)), Way(_same, partial(_exactly, bytes)))
