"""Wiring: the tasks of one worker, each with its log, its store and its rules. After task.py; for app.py."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from agents import settings
from agents.errors import SettingError
from agents.local import calm_collector
from agents.stream.bulk import BulkLog, BulkTask
from agents.stream.connection import Connection
from agents.stream.hosting import Fail, TaskFactory
from agents.stream.log import KafkaLog
from agents.stream.looking_up import LookedUp
from agents.stream.partition import Partition
from agents.stream.registry import schema_registry
from agents.stream.splitting import Splitter
from agents.stream.table import Owner, Table
from agents.stream.task import PartitionTask, Rules, StoreDirectory, Surroundings
from agents.stream.topics import Layout, Topics
from agents.stream.transactions import Steps
from pipeline.entries import LAYOUT
from schemas.codecs.confluent import NO_REGISTRY

CRASH = "RATESTREAM_TEST_CRASH"
"""For tests: `point:N` ends the process by SIGKILL when it reaches that step for the N-th time."""
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
    steps = crash_steps(environment)

    inputs = (topics.usage, topics.accounts, topics.tariffs, topics.commands, topics.changelog)
    ids = {name: layout.topic_ids[name] for name in inputs}

    def make(number: int) -> PartitionTask:
        schemas = None if registry is None else LookedUp(registry)

        def make_partition(table: Table) -> Partition:
            return Partition(
                table,
                topics,
                number,
                layout.partitions,
                registry=schemas or NO_REGISTRY,
                quarantine_after=quarantine_after,
            )

        return PartitionTask(
            Owner(layout.cluster_id, ids, number, layout.partitions, LAYOUT),
            KafkaLog(connection, topics, number, steps),
            StoreDirectory(data / "partitions" / str(number)),
            make_partition,
            rules,
            _surroundings(fail, steps, schemas),
        )

    return make


def splitting_tasks(
    connection: Connection, topics: Topics, layout: Layout, environment: Mapping[str, str], fail: Fail
) -> TaskFactory:
    """Makes the task of a usage-bulk partition. Raises SettingError."""
    registry = schema_registry(environment)
    steps = crash_steps(environment)

    def make(number: int) -> BulkTask:
        schemas = None if registry is None else LookedUp(registry)
        return BulkTask(
            Splitter(topics, number, layout.partitions, schemas or NO_REGISTRY),
            BulkLog(connection, topics, number, steps),
            f"{topics.usage_bulk}[{number}]",
            _surroundings(fail, steps, schemas),
        )

    return make


def _surroundings(fail: Fail, steps: Steps, schemas: LookedUp | None) -> Surroundings:
    return Surroundings(fail, steps, None if schemas is None else schemas.prepare)


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
