"""Bulk usage as its tests send it: Avro containers with broken blocks between good ones."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from schemas.codecs import Limits, avro_container
from schemas.codecs.avro_container import Block, Container, container_bytes
from schemas.usage import UsageRecord

START = datetime(2024, 5, 1, tzinfo=UTC)
BROKEN = Block(7, b"this is not deflate")
"""One rejection, whatever it says of its records."""


def usage(number: int, accounts: int) -> UsageRecord:
    """The record of that number, of one of so many accounts."""
    start = START + timedelta(minutes=number)
    region = {"region": f"r{number % 3}"}
    return UsageRecord(
        f"u{number}", f"a{number % accounts}", "power", Decimal(number) / 8, start, start, attributes=region
    )


def container(parts: Iterable[Sequence[UsageRecord] | Block]) -> bytes:
    """One container with the records and the given blocks in their order."""
    blocks: list[Block] = []
    header = Container(iter([avro_container([], UsageRecord)]), Limits())
    for part in parts:
        if isinstance(part, Block):
            blocks.append(part)
        else:
            good = Container(iter([avro_container(part, UsageRecord)]), Limits())
            blocks += [block for block in good if isinstance(block, Block)]
    return container_bytes(header.schema, blocks, header.codec)


def with_broken_blocks(records: Sequence[UsageRecord], every: int) -> tuple[bytes, list[int]]:
    """A container of the records with a broken block after each `every` of them, and the numbers of these blocks."""
    parts: list[Sequence[UsageRecord] | Block] = []
    broken: list[int] = []
    for start in range(0, len(records), every):
        some = records[start : start + every]
        broken.append(start + len(some) + len(broken))
        parts += [some, BROKEN]
    return container(parts), broken
