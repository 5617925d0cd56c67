"""App: the sink's whole topology on one page. After task.py; ratestream/sink.py runs it.

    topic charges         ──▶ agent charges    ──▶ table charges
    topic statements      ──▶ agent statements ──▶ tables statement_lines, taxes, statements
    topic usage-rejected  ──▶ agent rejected   ──▶ table rejected
    topic usage           ──▶ agent usage      ──▶ tables usage, commands
    topic accounts        ──▶ agent accounts   ──▶ tables documents, accounts
    topic tariffs         ──▶ agent tariffs    ──▶ tables documents, tariffs

Faust gives membership, assignment and fetching, as it does for workers (agents/stream/app.py), in a group of its own:
nothing that happens here delays rating. Each partition has a task, which commits its offset.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from faust.types import TP

from agents import settings
from agents.local import calm_collector
from agents.sink.documents import account_rows, tariff_rows
from agents.sink.inserting import Inserter, Place
from agents.sink.rows import MakeRows, charge_rows, rejection_rows, statement_rows
from agents.sink.task import Rules, SinkTask, Source, Surroundings
from agents.sink.usage import UsageRows
from agents.stream.app import Membership, StreamApp, app_of
from agents.stream.connection import Connection
from agents.stream.hosting import Fail, Hold, TaskFactory
from agents.stream.looking_up import LookedUp
from agents.stream.registry import schema_registry
from agents.stream.task import Prepare
from agents.stream.topics import Layout, Topics
from agents.stream.wiring import crash_steps
from sinks.migrations import load

_WAITING_BYTES = 512 << 20
"""How much of charges and of usage may wait in a process that has all partitions, in all."""
_LEAST_BYTES, _MOST_BYTES = 4 << 20, 64 << 20
"""Of it for one partition."""
_STATEMENT_BYTES = 256 << 20
"""The parts of a statement are stored together, so all of them have to be allowed to wait."""
_BLOCKS = 2
"""One is stored while the next is gathered."""


def group_of(prefix: str) -> str:
    """The consumer group under which the sink commits how far topics are stored."""
    return f"{prefix}sink"


class Made(NamedTuple):
    """What makes rows of a partition's messages, and what has to be done before they can be decoded."""

    rows: MakeRows
    prepare: Prepare | None = None


class Feed(NamedTuple):
    """A topic, the name of its agent, and what its partitions are made into rows by."""

    topic: str
    agent: str
    make: Callable[[int], Made]
    largest: int
    """Bytes of it that have to be allowed to wait."""


def feeds(topics: Topics, environment: Mapping[str, str]) -> list[Feed]:
    """Every topic that is stored. Raises SettingError."""
    registry = schema_registry(environment)

    def make_usage(partition: int) -> Made:
        if registry is None:
            return Made(UsageRows(topics.usage, partition))
        schemas = LookedUp(registry)
        return Made(UsageRows(topics.usage, partition, schemas), schemas.prepare)

    return [
        Feed(topics.charges, "charges", lambda _: Made(charge_rows), 0),
        Feed(topics.statements, "statements", lambda _: Made(statement_rows), _STATEMENT_BYTES),
        Feed(topics.usage_rejected, "rejected", lambda _: Made(rejection_rows), 0),
        Feed(topics.usage, "usage", make_usage, 0),
        Feed(topics.accounts, "accounts", lambda _: Made(account_rows), 0),
        Feed(topics.tariffs, "tariffs", lambda _: Made(tariff_rows), 0),
    ]


def make_app(
    connection: Connection,
    layout: Layout,
    membership: Membership,
    fail: Fail,
    place: Place,
    environment: Mapping[str, str],
) -> StreamApp:
    """The app, to be started in the running event loop. Raises SettingError."""
    calm_collector()
    app = app_of(connection, group_of(connection.prefix), membership, fail)
    app.kind = "sink"
    inserter = Inserter(place)
    steps = crash_steps(environment)
    size = waiting_bytes(layout.partitions)
    rules = Rules(settings.sink_rows(environment), size // _BLOCKS, settings.sink_wait_s(environment))
    version = load()[-1].number

    def tasks_of(feed: Feed) -> TaskFactory:
        def make(number: int) -> SinkTask:
            made = feed.make(number)
            token = f"{layout.cluster_id}-{layout.topic_ids[feed.topic]}-{number}"
            return SinkTask(
                Source(TP(feed.topic, number), made.rows, token, version),
                inserter,
                rules,
                Surroundings(app.flow, fail, steps, made.prepare),
            )

        return make

    for feed in feeds(Topics.of(connection.prefix), environment):
        app.host(feed.topic, feed.agent, tasks_of(feed), Hold(rules.messages * _BLOCKS, max(size, feed.largest)))
    return app


def waiting_bytes(partitions: int) -> int:
    """How much of a partition may wait: charges and usage share what there is, as they are nearly all.

    >>> [waiting_bytes(partitions) >> 20 for partitions in (1, 12, 500)]
    [64, 21, 4]
    """
    return max(_LEAST_BYTES, min(_MOST_BYTES, _WAITING_BYTES // (2 * partitions)))
