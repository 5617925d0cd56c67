"""Declaring: tariffs and accounts go to their compacted topics, tariffs first, so that no account names one unknown.

A tariff version never changes: one that the topic holds with another content is refused before anything is sent.
"""

import asyncio
import json
from typing import NamedTuple

from agents.errors import SuccessionError
from agents.stream.connection import Connection
from agents.stream.encoding import keyed
from agents.stream.messages import Outgoing
from agents.stream.publishing import Publisher
from agents.stream.reading import committed, ends
from agents.stream.topics import Topics
from schemas.account import Account
from schemas.catalogue import Catalogue
from schemas.tariff import Tariff, canonical

_TARIFF_PARTITIONS = 1


class Declared(NamedTuple):
    """How many documents were sent; `known` tariff versions were there already, and are not sent again."""

    tariffs: int
    known: int
    accounts: int


def declare(
    publisher: Publisher, connection: Connection, topics: Topics, partitions: int, catalogue: Catalogue
) -> Declared:
    """Publishes a catalogue; all of it has arrived on return.

    Raises SuccessionError for a tariff version that has changed, BrokerError where the broker does not take it.
    """
    published = asyncio.run(_published(connection, topics))
    tariffs = {tariff_key(tariff): canonical(tariff) for of_name in catalogue.tariffs.values() for tariff in of_name}
    _refuse_changed(tariffs, published, topics)
    new = {key: document for key, document in tariffs.items() if key not in published}
    for key, document in new.items():
        publisher.send(topics.tariffs, Outgoing(key, document))
    publisher.settle()
    for account in catalogue.accounts.values():
        key, partition = keyed(account.tenant, account.account, partitions)
        publisher.send(topics.accounts, Outgoing(key, account_document(account)), partition)
    publisher.settle()
    return Declared(len(new), len(tariffs) - len(new), len(catalogue.accounts))


def tariff_key(tariff: Tariff) -> bytes:
    """The key of a tariff version's message: `name@version`."""
    return f"{tariff.tariff}@{tariff.version}".encode()


def account_document(account: Account) -> bytes:
    """The one JSON text of an account: sorted keys, no defaults. `Account.model_validate_json` reads it back.

    >>> entry = {"tariff": "t", "from": "2012-01-01"}
    >>> account_document(Account(account="a", zone="UTC", currency="USD", tariffs=[entry]))
    b'{"account":"a","currency":"USD","tariffs":[{"from":"2012-01-01","tariff":"t"}],"zone":"UTC"}'
    """
    plain = account.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


async def _published(connection: Connection, topics: Topics) -> dict[bytes, bytes]:
    until = await ends(connection, topics.tariffs, _TARIFF_PARTITIONS)
    messages = [(message.key, message.value) async for message in committed(connection, topics.tariffs, until)]
    return {key: value for key, value in dict(messages).items() if value is not None}


def _refuse_changed(tariffs: dict[bytes, bytes], published: dict[bytes, bytes], topics: Topics) -> None:
    changed = [key.decode() for key, document in tariffs.items() if published.get(key, document) != document]
    if changed:
        remedy = "A version never changes: put it back, and publish the change as a new one, effective later."
        raise SuccessionError("\n".join(f"{name} is not what {topics.tariffs} holds. {remedy}" for name in changed))
