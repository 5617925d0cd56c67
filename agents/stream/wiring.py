"""Wiring: the tasks of one worker, each with its log, its store and its rules. After task.py; for app.py."""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from agents import settings
from agents.errors import RegistryError, SettingError
from agents.local import calm_collector
from agents.stream.bulk import BulkLog, BulkTask
from agents.stream.connection import Connection
from agents.stream.hosting import Fail, TaskFactory
from agents.stream.log import KafkaLog
from agents.stream.partition import Message, Partition
from agents.stream.registry import SchemaRegistry, schema_registry
from agents.stream.splitting import Splitter
from agents.stream.table import Owner, Table
from agents.stream.task import PartitionTask, Prepare, Rules, StoreDirectory, Surroundings
from agents.stream.topics import Layout, Topics
from agents.stream.transactions import Steps
from pipeline.entries import LAYOUT
from schemas.codecs.confluent import NO_REGISTRY

logger = logging.getLogger(__name__)

CRASH = "RATESTREAM_TEST_CRASH"
"""For tests: `point:N` ends the process by SIGKILL when it reaches that step for the N-th time."""
_RETRY_S = 5.0
_MILLISECOND_US = 1_000


def rating_tasks(
    connection: Connection, topics: Topics, layout: Layout, data: Path, environment: Mapping[str, str], fail: Fail
) -> TaskFactory:
    """Makes the task of a usage partition, whose store is under `data`. Raises SettingError."""
    calm_collector()
    registry = schema_registry(environment)
    quarantine_after = settings.quarantine_after(environment)
    # Half of what the changelog keeps of deletions: a store older than that may have missed some.
    rules = Rules(layout.delete_retention_ms * _MILLISECOND_US // 2, settings.tick_s(environment))
    around = _surroundings(environment, fail, registry)

    inputs = (topics.usage, topics.accounts, topics.tariffs, topics.commands, topics.changelog)
    ids = {name: layout.topic_ids[name] for name in inputs}

    def make(number: int) -> PartitionTask:
        def make_partition(table: Table) -> Partition:
            return Partition(
                table,
                topics,
                number,
                layout.partitions,
                registry=registry or NO_REGISTRY,
                quarantine_after=quarantine_after,
            )

        return PartitionTask(
            Owner(layout.cluster_id, ids, number, layout.partitions, LAYOUT),
            KafkaLog(connection, topics, number, around.steps),
            StoreDirectory(data / "partitions" / str(number)),
            make_partition,
            rules,
            around,
        )

    return make


def splitting_tasks(
    connection: Connection, topics: Topics, layout: Layout, environment: Mapping[str, str], fail: Fail
) -> TaskFactory:
    """Makes the task of a usage-bulk partition. Raises SettingError."""
    registry = schema_registry(environment)
    around = _surroundings(environment, fail, registry)

    def make(number: int) -> BulkTask:
        return BulkTask(
            Splitter(topics, number, layout.partitions, registry or NO_REGISTRY),
            BulkLog(connection, topics, number, around.steps),
            f"{topics.usage_bulk}[{number}]",
            around,
        )

    return make


def _surroundings(environment: Mapping[str, str], fail: Fail, registry: SchemaRegistry | None) -> Surroundings:
    steps = crash_steps(environment)
    return Surroundings(fail, steps) if registry is None else Surroundings(fail, steps, schemas_first(registry))


def schemas_first(registry: SchemaRegistry) -> Prepare:
    """Looks up the schemas that messages name. While the registry does not answer it waits: no message is to blame."""

    async def prepare(messages: Sequence[Message]) -> None:
        while missing := registry.missing([message.value for message in messages]):
            try:
                await asyncio.to_thread(registry.fetch, missing)
            except RegistryError as error:
                logger.warning("waiting for schemas: %s", error)
                await asyncio.sleep(_RETRY_S)

    return prepare


def crash_steps(environment: Mapping[str, str]) -> Steps:
    """What hears of each step of the protocol. Raises SettingError for a crash point that says nothing."""
    said = environment.get(CRASH, "")
    if not said:
        return lambda _: None
    point, _, count = said.partition(":")
    if not count.isdigit():
        raise SettingError(f"{CRASH}: {said!r} is not point:N.")
    left = int(count)

    def reached(step: str) -> None:
        nonlocal left
        if step == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reached
