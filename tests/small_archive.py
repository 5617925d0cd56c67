"""Small archive: what the sink keeps of a small partition, as lists that a test can damage before it stores them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from msgspec.structs import replace

from agents.proving.history import Event, Listed, Marked, Taken, closing_of
from agents.proving.proof import Proof, Subject, prove
from agents.proving.stored import Stored
from agents.stream.documents import Name, Published
from agents.stream.keys import account_key
from agents.stream.messages import COMMAND_HEADER, Outgoing, rejection_of, statements_of
from agents.stream.partition import Message, Slices
from schemas.account import Account
from schemas.charge import Charge
from schemas.codecs import UsageBatch, json_from
from schemas.codecs.message import add_message
from schemas.rejection import Reason, Rejection
from schemas.statement import Statement
from schemas.tariff import Tariff
from schemas.usage import UsageRecord
from sinks.archive_reads import RecordPlace
from sinks.charge_columns import charges_table
from sinks.clickhouse import ClickHouse
from sinks.document_columns import accounts_table
from sinks.rejection_columns import rejections_table
from sinks.statement_columns import statement_lines_table, statements_table, taxes_table
from sinks.usage_columns import (
    ArchivedCommand,
    ArchivedDocument,
    ArchivedUsage,
    commands_table,
    documents_table,
    usage_table,
)
from tests.simulation.kafka import Kafka, Record
from tests.small_books import us
from tests.small_partition import Message as SmallMessage
from tests.small_partition import SmallPartition

_MILLISECOND_US = 1_000


def _document(record: Record) -> tuple[bytes | None, bytes | None, int, int]:
    return record.key, record.value, record.offset, record.timestamp * _MILLISECOND_US


class RememberedPartition(SmallPartition):
    """A partition with a clock, which remembers all that it was given."""

    def __init__(self, slices: Slices | None = None) -> None:
        self.now = us("2024-01-01")
        self.messages: list[SmallMessage] = []
        self.documents: list[Published] = []
        super().__init__(slices=slices)

    def published(
        self, topic: Literal["accounts", "tariffs", "commands"], key: bytes | None, value: bytes | None
    ) -> Published:
        return super().published(topic, key, value)._replace(appended=self.now)

    def adopt(self, *published: Published) -> list[Rejection]:
        self.documents += published
        return super().adopt(*published)

    def rate(self, *messages: SmallMessage) -> list[Reason]:
        self.messages += messages
        return super().rate(*messages)

    def on(self, day: str, *given: UsageRecord | Tariff | Account) -> list[Reason]:
        """What is published or sent at that time, one after the other; the reasons for which some was rejected."""
        self.now = us(day)
        reasons: list[Reason] = []
        for each in given:
            if isinstance(each, UsageRecord):
                reasons += self.take(each, received=self.now)
            elif self.publish(each):
                reasons.append(Reason.INVALID_DOCUMENT)
        return reasons


@dataclass
class Archive:
    """What the sink keeps. `partition` is where it says that all of it stands."""

    partition: int = 0
    usage: list[ArchivedUsage] = field(default_factory=list)
    commands: list[ArchivedCommand] = field(default_factory=list)
    documents: list[ArchivedDocument] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)

    @classmethod
    def of(cls, rated: RememberedPartition, partition: int = 0) -> "Archive":
        """All that a partition was given and has made, as if it had this number."""
        rejections = [replace(one, position=replace(one.position, partition=partition)) for one in rated.rejections]
        archive = cls(partition, rejections=rejections, charges=list(rated.charges), statements=list(rated.statements))
        archive.add_messages(rated.messages)
        archive.add_documents(rated.documents)
        return archive

    @classmethod
    def of_topics(cls, kafka: Kafka) -> "Archive":
        """All that stands on the topics of a simulation."""
        rejections = [rejection_of(one.value or b"", one.headers) for one in kafka.read("usage_rejected")]
        sent = [Outgoing(one.key, one.value or b"", one.headers) for one in kafka.read("statements")]
        charges = [json_from(one.value or b"", Charge) for one in kafka.read("charges")]
        archive = cls(rejections=rejections, charges=charges, statements=list(statements_of(sent)))
        archive.add_messages(kafka.read("usage"))
        topics: tuple[Literal["tariffs", "accounts"], ...] = ("tariffs", "accounts")
        for topic in topics:
            found = [Published(topic, *_document(one)) for one in kafka.records[topic] if one is not None]
            archive.add_documents(found)
        return archive

    def add_messages(self, messages: Iterable[Message]) -> None:
        """Usage records and markers."""
        for message in messages:
            appended = message.timestamp * _MILLISECOND_US
            if any(name == COMMAND_HEADER for name, _ in message.headers):
                command = ArchivedCommand(self.partition, message.offset, appended, message.value or b"")
                self.commands.append(command)
                continue
            batch = UsageBatch("usage")
            add_message(batch, message.value or b"", message.offset)
            self.usage += [
                ArchivedUsage(usage, self.partition, message.offset, index, appended)
                for usage, index in zip(batch.records, batch.indexes, strict=True)
            ]

    def add_documents(self, documents: Iterable[Published]) -> None:
        """Accounts and tariffs."""
        self.documents += [
            ArchivedDocument(one.topic, one.key or b"", one.value, partition, one.offset, one.appended)
            for one in documents
            for partition in [self.partition if one.topic == "accounts" else 0]
        ]

    def fill(self, sink: ClickHouse) -> None:
        """Store all of it."""
        token = f"archive-{self.partition}"
        sink.insert("usage", usage_table(self.usage), token)
        sink.insert("commands", commands_table(self.commands), token)
        sink.insert("documents", documents_table(self.documents), token)
        sink.insert("rejected", rejections_table(self.rejections), token)
        sink.insert("charges", charges_table(self.charges), token)
        sink.insert("statement_lines", statement_lines_table(self.statements), token)
        sink.insert("taxes", taxes_table(self.statements), token)
        sink.insert("statements", statements_table(self.statements), token)
        accounts = [Account.model_validate_json(one.value or b"") for one in self._taken_documents("accounts")]
        rows = [
            (one.tenant, one.account, one.model_dump_json(by_alias=True, exclude_defaults=True)) for one in accounts
        ]
        sink.insert("accounts", accounts_table(rows, list(range(1, len(rows) + 1))), token)

    def stored(self, name: Name) -> Stored:
        """What a proof reads of one account, from memory."""
        charges = [one for one in self.charges if (one.tenant, one.account) == name]
        statements = [one for one in self.statements if (one.tenant, one.account) == name]
        return Stored(statements, lambda start: [one for one in charges if one.statement_start == start])

    def history(self, name: Name) -> Listed:
        """The history of one account, from memory."""
        rejected = {(one.position.origin, one.position.offset, one.position.index) for one in self.rejections}
        records = [
            Taken(RecordPlace(row.offset, row.index), row.appended, row.usage)
            for row in self.usage
            if (row.usage.tenant, row.usage.account) == name and ("usage", row.offset, row.index) not in rejected
        ]
        markers = [
            Marked(RecordPlace(row.offset, 0), row.appended, closing)
            for row in self.commands
            if (closing := closing_of(row.command, row.appended, name)) is not None
        ]
        topics: tuple[Literal["tariffs", "accounts"], ...] = ("tariffs", "accounts")
        documents = [
            Published(topic, row.key, row.value, row.offset, row.appended)
            for topic in topics
            for row in self._taken_documents(topic)
            if topic == "tariffs" or row.key == account_key(*name)
        ]
        documents.sort(key=lambda one: (one.appended, one.topic != "tariffs", one.offset))
        needed = {(one.usage.source, one.usage.corrects) for one in records if one.usage.corrects is not None}
        events: list[Event] = [*records, *markers]
        events.sort(key=lambda event: event.place)
        return Listed(self.partition, events, documents, frozenset(needed))

    def proofs(self, account: Account) -> Iterator[Proof]:
        """A proof of each period of an account that has a statement, from memory."""
        name = (account.tenant, account.account)
        stored, history = self.stored(name), self.history(name)
        for period in sorted({one.statement_id.rsplit("/", 2)[1] for one in stored.statements.values()}):
            yield prove(Subject.of(account, period), stored, history, "archive")

    def _taken_documents(self, topic: str) -> Iterable[ArchivedDocument]:
        refused = {
            one.position.offset
            for one in self.rejections
            if one.reason is Reason.INVALID_DOCUMENT and one.position.origin == topic
        }
        return [one for one in self.documents if one.topic == topic and one.offset not in refused]
