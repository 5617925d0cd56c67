"""A filled stream: topics, and the tables that a sink makes of them, all from one small partition of each number.

Everything that usage can come to is in it: duplicates, rejections, corrections before and after what they correct, a
void that waits, containers, a command, a replay, late usage as adjustment and as revision, interim statements.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata
from msgspec import structs
from typer.testing import CliRunner, Result

from agents.reconciling.course import Course, Wanted
from agents.reconciling.legs import Report
from agents.reconciling.reading import Source, sink_group
from agents.reconciling.records import usage_of
from agents.stream import topics as topics_of
from agents.stream.connection import connection
from agents.stream.keys import account_key, partition_of
from agents.stream.messages import Close, Outgoing, charge_message, statement_messages
from agents.stream.rejected import REPLAYED_HEADER
from agents.stream.topics import Topics, group_of
from deploy.broker import Broker
from ratestream.cli import app
from schemas.account import Account
from schemas.usage import UsageRecord
from sinks.charge_columns import charges_table
from sinks.clickhouse import ClickHouse
from sinks.document_columns import accounts_table, tariffs_table
from sinks.rejection_columns import rejections_table
from sinks.statement_columns import statement_lines_table, statements_table, taxes_table
from sinks.usage_columns import ArchivedUsage, usage_table
from tests.small_books import account, graduated, per_unit, reading, tariff
from tests.small_partition import Message, SmallPartition

PARTITIONS = 2
_TAX = [{"name": "VAT", "percent": "20"}]
TARIFFS = [
    tariff(graduated(("3", "0.11"), (None, "0.333333")), tax=_TAX),
    tariff(per_unit("0.7"), tariff="exact", tax=_TAX, rounding={"at": "total", "decimals": 2}),
    tariff(per_unit("2"), tariff="revised", closing={"late": "revision", "lateness_s": 20_000_000}),
]
NAMES = [f"home-{number}" for number in range(8)]


def accounts() -> list[Account]:
    """Of every policy; `home-7` has interim statements."""
    plans = ["plan", "exact", "revised"]
    found = [account((plans[number % 3], "2024-01-01", None), account=name) for number, name in enumerate(NAMES[:7])]
    return [*found, account(account=NAMES[7], progressive={"thresholds": ["1"]})]


def records_of(name: str, seed: int) -> Iterator[UsageRecord | Sequence[UsageRecord] | bytes]:
    """What one account sends, message by message."""
    for month in (1, 2, 3):
        for day in range(1, 12):
            amount = f"{(day * 37 + month * 11 + seed) % 50 / 7:.6f}"
            yield reading(f"{name}-{month}-{day}", amount, f"2024-{month:02}-{day:02}T10:00", account=name)
        yield reading(
            f"{name}-{month}-1", f"{(37 + month * 11 + seed) % 50 / 7:.6f}", f"2024-{month:02}-01T10:00", account=name
        )
        yield [reading(f"{name}-{month}-c{one}", f"{one}.5", f"2024-{month:02}-15", account=name) for one in range(4)]
        if month == 2:
            yield reading(f"{name}-late", "2", "2024-01-20", account=name)
    yield reading(f"{name}-3-2", "999", "2024-03-02T10:00", account=name)  # an id that is used again
    yield reading(f"{name}-void", None, "2024-03-03T10:00", account=name, corrects=f"{name}-3-3")
    yield reading(f"{name}-waits", None, "2024-03-03T10:00", account=name, corrects="never")
    yield reading(f"{name}-before", "3", "2024-03-04T10:00", account=name, corrects=f"{name}-after")
    yield reading(f"{name}-after", "4", "2024-03-04T10:00", account=name)
    attributes = {"b": "1", "a": "é"}
    yield structs.replace(reading(f"{name}-many", "0.0000001", "2024-03-05", account=name), attributes=attributes)


class Filled:
    """The stream, and its tables in one embedded database."""

    def __init__(self, broker: Broker, prefix: str, database: ClickHouse) -> None:
        self._environment = {
            "RATESTREAM_BROKERS": broker.bootstrap,
            "RATESTREAM_PREFIX": prefix,
            "RATESTREAM_CLICKHOUSE": database.where,
        }
        self.connection = connection(self._environment)
        self.topics = Topics.of(prefix)
        self.layout = topics_of.create(self.connection, PARTITIONS, 1).layout
        self.source = Source(self.connection, self.topics, self.layout)
        self.database = database
        database.migrate()
        self.parts = [_rated(number) for number in range(PARTITIONS)]
        self.charges = [charge for part, _ in self.parts for charge in part.charges]
        self.statements = [statement for part, _ in self.parts for statement in part.statements]
        self._fill_topics()
        self.commit(rated=True)
        self._fill_tables()

    def reconcile(self, source: Source | None = None, **wanted: Any) -> Report:  # noqa: ANN401 - of Wanted
        """One reconciliation."""
        return Course(source or self.source, self.database, Wanted(**wanted)).run()

    def asked(self, *arguments: object) -> Result:
        """The command in this process, which owns the embedded database."""
        environment = {name: None for name in os.environ if name.startswith("RATESTREAM_")}
        return CliRunner().invoke(app, [str(one) for one in arguments], env={**environment, **self._environment})

    def counts(self) -> dict[str, int]:
        """What the partitions have counted."""
        counts = [part.table.applied.counts for part, _ in self.parts]
        names = ("received", "accepted", "duplicates", "rejected")
        return {name: sum(getattr(one, name) for one in counts) for name in names}

    def _fill_topics(self) -> None:
        producer = KafkaProducer(**self.connection.for_kafka_python())
        for number, (part, messages) in enumerate(self.parts):
            keys = {(name.tenant, name.account): account_key(name.tenant, name.account) for name in accounts()}
            for message in messages:
                self._send(producer, "usage", number, Outgoing(message.key, message.value or b"", message.headers))
            for charge in part.charges:
                key = keys[charge.tenant, charge.account]
                self._send(producer, "charges", number, charge_message(charge, key))
            for statement in part.statements:
                for one in statement_messages(statement, keys[statement.tenant, statement.account]):
                    self._send(producer, "statements", number, one)
            for rejected in part.rejected:
                self._send(producer, "usage_rejected", number, self.rejection(rejected))
            self._send(producer, "usage_rejected", number, Outgoing(None, b"", [(REPLAYED_HEADER, b"usage/0/1/0")]))
        producer.close()

    def rejection(self, rejected: Outgoing) -> Outgoing:
        """The same with the topic's full name."""
        headers = [(name, self.topics.usage.encode() if name == "topic" else value) for name, value in rejected.headers]
        return Outgoing(rejected.key, rejected.value, headers)

    def _send(self, producer: KafkaProducer, subject: str, number: int, message: Outgoing) -> None:
        producer.send(
            getattr(self.topics, subject), message.value, message.key, list(message.headers), partition=number
        )

    def send(self, subject: str, number: int, message: Outgoing) -> None:
        """One more message."""
        producer = KafkaProducer(**self.connection.for_kafka_python())
        self._send(producer, subject, number, message)
        producer.close()

    def commit(self, *, rated: bool = False, behind: Mapping[str, int] | None = None) -> None:
        """The sink, and with `rated` the workers, have done all that there is; but for some messages of a topic."""
        groups = [sink_group(self.connection.prefix), *([group_of(self.connection.prefix)] if rated else [])]
        for group in groups:
            consumer = KafkaConsumer(
                **self.connection.for_kafka_python(),
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
            subjects = ("usage", "charges", "statements", "usage_rejected", "usage_bulk")
            names = {getattr(self.topics, subject): subject for subject in subjects}
            places = [TopicPartition(name, number) for name in names for number in range(PARTITIONS)]
            consumer.assign(places)
            ends = consumer.end_offsets(places)
            less = behind or {}
            consumer.commit(
                {
                    place: OffsetAndMetadata(max(end - less.get(names[place.topic], 0), 0), "", -1)
                    for place, end in ends.items()
                }
            )
            consumer.close()

    def _fill_tables(self) -> None:
        statements = self.statements
        insert = self.database.insert
        insert("charges", charges_table(self.charges), "charges")
        insert("statement_lines", statement_lines_table(statements), "lines")
        insert("taxes", taxes_table(statements), "taxes")
        insert("statements", statements_table(statements), "statements")
        rejections = [rejection for part, _ in self.parts for rejection in part.rejections]
        named = [
            structs.replace(one, position=structs.replace(one.position, origin=self.topics.usage)) for one in rejections
        ]
        insert("rejected", rejections_table(named), "rejected")
        insert("tariffs", tariffs_table([(one.tariff, one.version, one.model_dump_json()) for one in TARIFFS], 1), "t")
        documents = [(one.tenant, one.account, one.model_dump_json()) for one in accounts()]
        insert("accounts", accounts_table(documents, 1), "accounts")
        self.usage = [
            ArchivedUsage(one.record, message.partition, message.offset, one.number, message.timestamp * 1_000)
            for message in self.messages(self.topics.usage)
            for one in usage_of(message)
        ]
        insert("usage", usage_table(self.usage), "usage")

    def messages(self, topic: str) -> list[Any]:
        """All messages of a topic."""

        async def read() -> list[Any]:
            until = (await self.source.ends(topic))[topic]
            return [message async for message in self.source.messages(topic, until)]

        return asyncio.run(read())

    def last(self, subject: str, count: int) -> list[Any]:
        """The last messages of each partition of a topic."""
        messages = self.messages(getattr(self.topics, subject))
        return [
            message
            for number in range(PARTITIONS)
            for message in [one for one in messages if one.partition == number][-count:]
        ]


def _rated(number: int) -> tuple[SmallPartition, list[Message]]:
    """A partition that has rated its accounts' usage, and the messages of it."""
    part = SmallPartition(number=number, partitions=PARTITIONS)
    own = [one for one in accounts() if partition_of(account_key(one.tenant, one.account), PARTITIONS) == number]
    part.publish(*TARIFFS, *own)
    messages: list[Message] = []
    for place, one in enumerate(own):
        said = records_of(one.account, place)
        messages += [part.message(*(records if isinstance(records, list) else [records])) for records in said]
    messages.append(part.message(b"not usage"))
    messages.append(part.message(reading("r", "1", "2024-01-05", account="nobody")))
    messages.append(part.marker(Close("2024-02")))
    messages.append(part.marker(b"no command"))
    part.rate(*messages)
    list(part.sweeps())
    return part, messages
