"""Documents: the messages of `accounts` and `tariffs` as rows, each version for good, and the latest by its name.

A message that workers refuse is kept as well, for the archive tells what was published; one that does not bear the name
in its key has no place among the latest. After rows.py.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import pyarrow as pa
from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from agents.sink.rows import Message, Rows
from agents.stream.keys import account_key
from sinks.document_columns import accounts_table, tariffs_table
from sinks.usage_columns import ArchivedDocument, documents_table

_MILLISECOND_US = 1_000


class _Account(Struct):
    """What names an account."""

    account: str
    tenant: str = "default"

    @property
    def key(self) -> bytes:
        return account_key(self.tenant, self.account)


class _Tariff(Struct):
    """What names a tariff version."""

    tariff: str
    version: str

    @property
    def key(self) -> bytes:
        return f"{self.tariff}@{self.version}".encode()


def account_rows(messages: Sequence[Message]) -> Rows:
    """A row for each message, and one for each that is an account."""
    named = [(message, account) for message in messages if (account := _named(message, _read_account)) is not None]
    latest = accounts_table(
        [(account.tenant, account.account, _text(message)) for message, account in named],
        [message.offset + 1 for message, _ in named],
    )
    return Rows([("documents", _archived("accounts", messages)), ("accounts", latest)], len(messages))


def tariff_rows(messages: Sequence[Message]) -> Rows:
    """A row for each message, and one for each that is a tariff version."""
    named = [(message, tariff) for message in messages if (tariff := _named(message, _read_tariff)) is not None]
    latest = tariffs_table(
        [(tariff.tariff, tariff.version, _text(message)) for message, tariff in named],
        [message.offset + 1 for message, _ in named],
    )
    return Rows([("documents", _archived("tariffs", messages)), ("tariffs", latest)], len(messages))


def _archived(topic: str, messages: Sequence[Message]) -> pa.Table:
    return documents_table(
        [
            ArchivedDocument(
                topic,
                message.key or b"",
                message.value,
                message.partition,
                message.offset,
                message.timestamp * _MILLISECOND_US,
            )
            for message in messages
        ]
    )


N = TypeVar("N", _Account, _Tariff)


def _named(message: Message, read: Callable[[bytes], N]) -> N | None:
    try:
        document = read(message.value or b"")
    except (DecodeError, UnicodeError, RecursionError):
        return None
    return document if document.key == message.key else None


def _text(message: Message) -> str:
    return (message.value or b"").decode()


_read_account = Decoder(_Account).decode
_read_tariff = Decoder(_Tariff).decode
