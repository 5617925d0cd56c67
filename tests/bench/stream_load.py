"""Load: topics filled for a measurement: declared accounts, and JSON usage records in the order of a live stream."""

import asyncio
from collections.abc import Iterator

from aiokafka import AIOKafkaProducer

from agents.stream.connection import Connection
from agents.stream.declaring import declare
from agents.stream.keys import account_key, partition_of
from agents.stream.publishing import Publisher
from agents.stream.topics import Topics, create
from tests.bench.local_throughput import HOUR, START, account_name, catalogue_of

_BORDERS = (4, 8)
"""Of the tiers: an account passes them within a day or so."""
_BATCH_BYTES = 512 * 1024


def usage(number: int, accounts: int) -> tuple[bytes, bytes]:
    """Key and value of a record: hour after hour, in each hour one record of every account."""
    hour, account = divmod(number, accounts)
    start = START + hour * HOUR
    of = account_name(account)
    millis = number * 7919 % 3000
    value = (
        f'{{"id":"{of}/{start:%Y%m%dT%H}","account":"{of}","meter":"electricity","quantity":"{millis // 1000}.'
        f'{millis % 1000:03d}","start":"{start:%Y-%m-%dT%H:%M:%SZ}","end":"{start + HOUR:%Y-%m-%dT%H:%M:%SZ}"}}'
    )
    return account_key("default", of), value.encode()


def prepare(connection: Connection, partitions: int, accounts: int) -> Topics:
    """The topics, with the accounts and their tariff."""
    topics = Topics.of(connection.prefix)
    create(connection, partitions, 1)
    with Publisher(connection) as publisher:
        declare(publisher, connection, topics, partitions, catalogue_of(accounts, borders=_BORDERS))
    return topics


def fill(connection: Connection, topics: Topics, partitions: int, records: int, accounts: int) -> None:
    """The usage topic with so many records."""
    asyncio.run(_fill(connection, topics, partitions, (usage(number, accounts) for number in range(records))))


async def _fill(
    connection: Connection, topics: Topics, partitions: int, messages: Iterator[tuple[bytes, bytes]]
) -> None:
    producer = AIOKafkaProducer(**connection.for_aiokafka(), max_batch_size=_BATCH_BYTES, enable_idempotence=True)
    await producer.start()
    batches = {number: producer.create_batch() for number in range(partitions)}
    places: dict[bytes, int] = {}
    sent = []
    for key, value in messages:
        place = places.setdefault(key, partition_of(key, partitions))
        if batches[place].append(key=key, value=value, timestamp=None) is None:
            sent.append(await producer.send_batch(batches[place], topics.usage, partition=place))
            batches[place] = producer.create_batch()
            batches[place].append(key=key, value=value, timestamp=None)
    for place, batch in batches.items():
        sent.append(await producer.send_batch(batch, topics.usage, partition=place))
    await asyncio.gather(*sent)
    await producer.stop()
