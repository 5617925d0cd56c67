"""Small partition: the rating of one usage partition over a store in memory, every message committed at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from agents.stream.documents import Published
from agents.stream.keys import account_key
from agents.stream.messages import COMMAND_HEADER, Command, Outgoing, encode_command, rejection_of, statements_of
from agents.stream.partition import Partition, Slices
from agents.stream.table import Change, Place, Table
from agents.stream.topics import Topics
from schemas.account import Account
from schemas.charge import Charge
from schemas.codecs import avro_container, json_from, usage_json
from schemas.rejection import Reason, Rejection
from schemas.statement import Statement
from schemas.tariff import Tariff, canonical
from schemas.usage import UsageRecord
from tests.simulation.disk import Disk, DiskStore
from tests.small_books import LATER, us

TOPICS = Topics.of("")
_MILLISECOND_US = 1_000
_PUBLISHED = us("2024-01-01")
_MOST_SLICES = 100


@dataclass
class Message:
    """A message as it stands in the usage partition."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class SmallPartition:
    """A partition, its store and all that has been sent. `entries` is the changelog, transaction by transaction."""

    def __init__(
        self,
        *,
        number: int = 0,
        partitions: int = 1,
        quarantine_after: int = 0,
        slices: Slices | None = None,
        kind: type[Table] = Table,
    ) -> None:
        self.disk = Disk()
        self._kind, self._place = kind, (number, partitions)
        self._quarantine_after, self._slices = quarantine_after, slices or Slices()
        self._offset = 0
        self._offsets = {"accounts": 0, "tariffs": 0, "commands": 0}
        self.charges: list[Charge] = []
        self.statements: list[Statement] = []
        self.rejections: list[Rejection] = []
        self.rejected: list[Outgoing] = []
        self.markers: list[Outgoing] = []
        self.entries: list[list[Change]] = []
        self.restart()

    def restart(self) -> None:
        """Forget everything that is not stored."""
        self.table = self._kind(DiskStore(self.disk, lambda _: None))
        number, partitions = self._place
        self.partition = Partition(
            self.table, TOPICS, number, partitions, quarantine_after=self._quarantine_after, slices=self._slices
        )

    def publish(self, *documents: Tariff | Account) -> list[str]:
        """Adopt documents, published together; what those that were refused have been told."""
        messages = []
        for document in documents:
            if isinstance(document, Tariff):
                key, value = f"{document.tariff}@{document.version}".encode(), canonical(document)
                messages.append(self.published("tariffs", key, value))
            else:
                key = account_key(document.tenant, document.account)
                value = document.model_dump_json(by_alias=True, exclude_defaults=True).encode()
                messages.append(self.published("accounts", key, value))
        return [rejection.message for rejection in self.adopt(*messages)]

    def published(
        self, topic: Literal["accounts", "tariffs", "commands"], key: bytes | None, value: bytes | None
    ) -> Published:
        """The next message of a topic."""
        self._offsets[topic] += 1
        return Published(topic, key, value, self._offsets[topic] - 1, _PUBLISHED)

    def adopt(self, *published: Published) -> list[Rejection]:
        """Take messages in together; those that were refused."""
        known = len(self.rejections)
        self.partition.adopt(published)
        self.commit()
        self.partition.adopted()
        return self.rejections[known:]

    def message(self, *records: UsageRecord | bytes, received: int = LATER, key: bytes | None = None) -> Message:
        """The next message: a record or bytes, or a container of several records."""
        known = [record for record in records if isinstance(record, UsageRecord)]
        if len(known) > 1:
            value = avro_container(known, UsageRecord)
        else:
            value = usage_json(known[0]) if known else b"".join(r for r in records if isinstance(r, bytes))
        if key is None and known:
            key = account_key(known[0].tenant, known[0].account)
        return self._next(key, value, received)

    def marker(self, command: Command | bytes, received: int = LATER) -> Message:
        """The next message: a command."""
        value = command if isinstance(command, bytes) else encode_command(command)
        return self._next(None, value, received, ((COMMAND_HEADER, b""),))

    def _next(
        self, key: bytes | None, value: bytes, received: int, headers: Sequence[tuple[str, bytes]] = ()
    ) -> Message:
        self._offset += 1
        return Message(self._offset - 1, received // _MILLISECOND_US, key, value, headers)

    def take(self, *records: UsageRecord | bytes, received: int = LATER) -> list[Reason]:
        """Rate records, one in a message, together; the reasons for which some were rejected."""
        return self.rate(*(self.message(record, received=received) for record in records))

    def rate(self, *messages: Message) -> list[Reason]:
        """Rate messages and commit once; the reasons for which records were rejected."""
        known = len(self.rejections)
        for _ in self.partition.rate(messages):
            pass
        self.commit()
        return [rejection.reason for rejection in self.rejections[known:]]

    def command(self, command: Command | bytes, received: int = LATER) -> list[Statement]:
        """Let a command take effect, and sweep until nothing is to be closed; the statements."""
        known = len(self.statements)
        self.rate(self.marker(command, received))
        for _ in self.sweeps():
            pass
        return self.statements[known:]

    def sweeps(self) -> Iterator[None]:
        """Sweep until nothing is to be closed, and pause after each slice, which is committed."""
        for _ in range(_MOST_SLICES):
            if not self.partition.is_closing:
                return
            self.partition.sweep()
            self.commit()
            yield
        raise RuntimeError(f"there is always more to close: {self.table.applied.sweeps}")

    def commit(self) -> None:
        """Send and store what was decided."""
        decided = self.partition.decide()
        self.charges += [json_from(message.value, Charge) for message in decided.charges]
        self.statements += statements_of(decided.statements)
        self.rejections += [rejection_of(message.value, message.headers) for message in decided.rejections]
        self.rejected += decided.rejections
        self.markers += decided.markers
        self.entries.append(decided.entries)
        self.table.write(decided.entries, Place(self.table.place.position + len(decided.entries)))
        self.partition.committed()
