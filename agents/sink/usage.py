"""Usage: the messages of the topic `usage` as rows: an archive that outlives the topic's retention.

Every record is kept, whether workers accepted it or not, and every command where it stands. What cannot be decoded is
no record; it is among the rejections, byte for byte. After rows.py.
"""

import logging
from collections.abc import Sequence
from itertools import repeat

from agents.sink.rows import Message, Rows
from agents.stream.messages import COMMAND_HEADER
from schemas.codecs import UsageBatch, add_message
from schemas.codecs.confluent import FRAME, NO_REGISTRY, Registry
from sinks.usage_columns import ArchivedCommand, ArchivedUsage, commands_table, usage_table

RECORDS = 100_000
"""With so many records there are enough for one block: a single message may hold very many."""
_MILLISECOND_US = 1_000

logger = logging.getLogger(__name__)


class UsageRows:
    """Makes the rows of one partition. Schemas are looked up beforehand."""

    def __init__(self, topic: str, partition: int, registry: Registry = NO_REGISTRY, records: int = RECORDS) -> None:
        self._topic, self._partition = topic, partition
        self._registry = registry
        self._most = records

    def __call__(self, messages: Sequence[Message]) -> Rows:
        """A row for each record, and one for each command."""
        batch = UsageBatch(self._topic, self._partition)
        appended: list[int] = []
        commands: list[ArchivedCommand] = []
        taken = 0
        for message in messages:
            if len(batch.records) >= self._most:
                break
            taken += 1
            at = message.timestamp * _MILLISECOND_US
            if message.headers and any(name == COMMAND_HEADER for name, _ in message.headers):
                commands.append(ArchivedCommand(self._partition, message.offset, at, message.value or b""))
                continue
            add_message(batch, message.value or b"", message.offset, registry=self._registry)
            appended += [at] * (len(batch.records) - len(appended))
        if batch.rejections and self._registry is NO_REGISTRY:
            self._tell_framed(messages[:taken])
        records = list(
            map(ArchivedUsage, batch.records, repeat(self._partition), batch.offsets, batch.indexes, appended)
        )
        return Rows([("usage", usage_table(records)), ("commands", commands_table(commands))], taken)

    def _tell_framed(self, messages: Sequence[Message]) -> None:
        framed = [message.offset for message in messages if (message.value or b"").startswith(FRAME)]
        if framed:
            logger.warning(
                "%s[%s]@%s and %s more are framed for a schema registry, and none is set here: they are not archived. "
                "Where the workers have one, set RATESTREAM_SCHEMA_REGISTRY for the sink as well, and set its group's "
                "offset back to there with Kafka's own kafka-consumer-groups.",
                self._topic,
                self._partition,
                framed[0],
                len(framed) - 1,
            )
