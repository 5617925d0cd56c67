"""Messages: what the topics carry for charges, statements, rejections and commands, there and back.

Charges and statements are JSON. A statement too long for one message travels in parts, which follow one another in its
partition. A rejection's value is what was rejected, byte for byte, so that it can be sent again as it is; headers say
the rest. The nouns come from the pipeline; what is made here goes out in a transaction of the partition's task.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, Encoder

from schemas.charge import Charge
from schemas.codecs import json_bytes, json_from
from schemas.codecs.batch import KIB
from schemas.codecs.charge_json import charge_json
from schemas.rejection import Position, Reason, Rejection
from schemas.statement import Statement

Headers = Sequence[tuple[str, bytes]]

PART_BYTES = 900 * KIB
"""A longer statement travels in parts: below the 1 MiB that Kafka's clients and brokers take without being asked."""
LONGEST_TEXT = 4096
"""Characters that a rejection keeps of a text, and bytes of a key: what is rejected may call itself anything."""

_COUNT = re.compile(rb"[0-9]{1,19}")


class Outgoing(NamedTuple):
    """A message to be sent."""

    key: bytes | None
    value: bytes
    headers: Headers = ()


class Message(Protocol):
    """A message that came, of any client; or one to be sent."""

    @property
    def value(self) -> bytes:
        """What it carries."""

    @property
    def headers(self) -> Headers:
        """What is said of it."""


def charge_message(charge: Charge, key: bytes) -> Outgoing:
    """The charge as JSON."""
    return Outgoing(key, charge_json(charge))


def statement_messages(statement: Statement, key: bytes) -> list[Outgoing]:
    """The statement as JSON: one message, or its parts in their order, each with headers that say which it is."""
    data = json_bytes(statement)
    if len(data) <= PART_BYTES:
        return [Outgoing(key, data)]
    pieces = [data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES)]
    of = [("statement-id", _bytes(statement.statement_id)), ("parts", _bytes(len(pieces)))]
    return [Outgoing(key, piece, [*of, ("part", _bytes(number))]) for number, piece in enumerate(pieces, 1)]


def statements_of(messages: Iterable[Message]) -> Iterator[Statement]:
    """The statements that these messages carry, parts put together; those of several partitions may be mixed.

    Raises ValueError for what is no statement, and where a part is missing: read the topic from its beginning, or
    from before the first part.
    """
    unfinished: dict[tuple[str, int], list[bytes]] = {}
    for message in messages:
        said = dict(message.headers)
        if "part" not in said:
            yield json_from(message.value, Statement)
            continue
        of = _text(said, "statement-id"), _count(said, "parts")
        pieces = unfinished.setdefault(of, [])
        if _count(said, "part") != len(pieces) + 1:
            raise _missing(*of, len(pieces))
        pieces.append(message.value)
        if len(pieces) == of[1]:
            yield json_from(b"".join(unfinished.pop(of)), Statement)
    if unfinished:
        of, pieces = unfinished.popitem()
        raise _missing(*of, len(pieces))


def _missing(statement_id: str, parts: int, held: int) -> ValueError:
    what = f"statement {statement_id!r:.80}: part {held + 1} of {parts} did not come after {held} of them"
    return ValueError(f"{what}. Read the topic from before its first part, committed messages only")


def rejection_message(rejection: Rejection, key: bytes | None) -> Outgoing:
    """What was rejected (its first bytes, where the rejection has no more), with all that is known of it as headers.

    Its position is one in a topic: lines belong to files. Longer texts and keys than LONGEST_TEXT are cut, so that
    nothing can be too large to be rejected.
    """
    position = rejection.position
    said: dict[str, str | int] = {
        "reason": rejection.reason.value,
        "message": rejection.message,
        "topic": position.origin,
        "partition": position.partition,
        "offset": position.offset,
        "index": position.index,
        "tenant": rejection.tenant,
        "account": rejection.account,
        "source": rejection.source,
        "usage-id": rejection.usage_id,
        "size": rejection.size,
        "sha256": rejection.sha256,
    }
    headers = [(name, _bytes(str(value)[:LONGEST_TEXT])) for name, value in said.items()]
    return Outgoing(key if key is None else key[:LONGEST_TEXT], rejection.original, headers)


def rejection_of(value: bytes, headers: Headers) -> Rejection:
    """The rejection that `rejection_message` wrote. Raises ValueError where it did not; other headers may be there."""
    said = dict(headers)
    return Rejection(
        Reason(_text(said, "reason")),
        _text(said, "message"),
        Position(_text(said, "topic"), _count(said, "partition"), _count(said, "offset"), index=_count(said, "index")),
        _text(said, "tenant"),
        _text(said, "account"),
        _text(said, "source"),
        _text(said, "usage-id"),
        value,
        _count(said, "size"),
        _text(said, "sha256"),
    )


def _bytes(value: str | int) -> bytes:
    """A header's value. Half a surrogate pair is no UTF-8, and has three bytes all the same: nothing may be lost."""
    return str(value).encode("utf-8", "surrogatepass")


def _text(said: Mapping[str, bytes], name: str) -> str:
    if name not in said:
        raise ValueError(f"the header {name!r} is missing")
    return said[name].decode("utf-8", "surrogatepass")


def _count(said: Mapping[str, bytes], name: str) -> int:
    if not _COUNT.fullmatch(said.get(name, b"")):
        raise ValueError(f"the header {name!r} is no count: {said.get(name)!r:.40}")
    return int(said[name])


COMMAND_HEADER = "ratestream-command"
"""A message on `usage` with this header is no usage but a command, which takes effect where it stands."""


class Close(Struct, frozen=True, tag_field="command", tag="close", forbid_unknown_fields=True):
    """Close the billing period of this name (`2026-10`): of an account, of all of a tenant's, or of all there are."""

    period: str
    tenant: str = ""
    account: str = ""


class Tick(Struct, frozen=True, tag_field="command", tag="tick", forbid_unknown_fields=True):
    """Nothing but its append time: it moves time on where no usage comes."""


class Release(Struct, frozen=True, tag_field="command", tag="release", forbid_unknown_fields=True):
    """Take the usage of a source again that was quarantined."""

    tenant: str
    source: str


Command = Close | Tick | Release


def encode_command(command: Command) -> bytes:
    """The command as JSON, its kind in `command`."""
    return _encode(command)


def decode_command(data: bytes) -> Command:
    """The command that `encode_command` wrote. Raises ValueError for anything else."""
    try:
        command: Command = _decode(data)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a command: {error}. The kinds are close, tick and release") from error
    return command


_encode = Encoder().encode
_decode = Decoder(Command).decode
