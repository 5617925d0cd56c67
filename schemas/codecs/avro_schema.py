"""Avro schemas: ours from schemas/avro, their fingerprints, and the plain form in which records are read.

The plain form has no logical types: a decimal is its bytes and an instant its number, so that no library rounds or
localizes anything on the way. Specification: https://avro.apache.org/docs/1.12.0/specification/
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import fastavro

NOUNS = ("usage", "charge", "statement", "rejection")
SINGLE_OBJECT = b"\xc3\x01"
CONTAINER = b"Obj\x01"
FINGERPRINT_BYTES = 8


@cache
def avro_schema(noun: str) -> dict[str, Any]:
    """Our schema of a noun, with its logical types. `noun` is one of NOUNS."""
    schema: dict[str, Any] = json.loads((files("schemas") / "avro" / f"{noun}.avsc").read_text("utf-8"))
    return schema


@cache
def fingerprint(noun: str) -> bytes:
    """The CRC-64-AVRO of our schema's canonical form, as its 8 bytes stand in single-object encoding."""
    return crc_64_avro(avro_schema(noun))


def crc_64_avro(schema: Any) -> bytes:  # noqa: ANN401 - any JSON value is a schema
    """The little-endian CRC-64-AVRO of a schema's canonical form.

    >>> crc_64_avro("int").hex()
    '8f5c393f1ad57572'
    """
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    return bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))


@cache
def plain_schema(noun: str) -> Any:  # noqa: ANN401 - what fastavro calls a schema
    """Our schema of a noun without logical types, ready to read and write with."""
    return fastavro.parse_schema(_plain(avro_schema(noun)))


def _plain(schema: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(schema, list):
        return [_plain(inner) for inner in schema]
    if isinstance(schema, dict):
        return schema["type"] if "logicalType" in schema else {key: _plain(inner) for key, inner in schema.items()}
    return schema


def long_bytes(number: int) -> bytes:
    """A long as Avro writes it: zigzag, then 7 bits a byte.

    >>> [long_bytes(number).hex() for number in (0, -1, 1, 64)]
    ['00', '01', '02', '8001']
    """
    rest = number << 1 if number >= 0 else (-number << 1) - 1
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)
