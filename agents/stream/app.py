"""App: the stream's whole topology on one page. After hosting.py; ratestream/worker.py runs it.

    topic usage       ──▶ agent rate  ──▶ the partition's task ──▶ charges, statements, rejections, changelog
    topic usage-bulk  ──▶ agent split ──▶ the partition's task ──▶ usage

Faust gives membership, assignment and fetching. What is sent, and what is committed, is the tasks' own. The sink is
another app of the same kind, with a group and topics of its own (agents/sink/app.py).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import faust
from faust.app.base import BootStrategy
from faust.types import AgentT

from agents.stream.connection import Connection
from agents.stream.hosting import Fail, Hold, Hosting, TaskFactory
from agents.stream.topics import Topics, group_of
from agents.stream.transport import SCHEME, Consumer

SESSION_TIMEOUT_S = 10.0
REBALANCE_TIMEOUT_S = 60.0
"""How long the group waits for a worker to close its tasks."""
_NEVER_S = 24 * 3600.0
_RECORDS_AT_ONCE = 4_000
_LOOPBACK = "127.0.0.1"
_HOLD = Hold()


@dataclass(frozen=True)
class Membership:
    """How a worker takes part in its group."""

    worker_id: str
    """Fixed for a worker and its own alone: one that comes back within the session gets its partitions back."""
    directory: Path
    """Where Faust may keep files."""
    session_timeout_s: float = SESSION_TIMEOUT_S
    """How long a worker may be silent before the others get its partitions."""
    web_port: int | None = None
    """Where Faust's web server listens, on the loopback interface only; nowhere by default."""


class _Boot(BootStrategy):
    enable_kafka_producer = False  # nothing is sent through Faust


class StreamApp(faust.App):
    """Faust's app, where any unexpected error ends the process instead of a part of it."""

    BootStrategy = _Boot
    hostings: tuple[Hosting, ...] = ()
    fail: Fail
    kind = "worker"
    """What the process calls itself."""

    def flow(self) -> Consumer:
        """Which partitions are fetched."""
        return cast(Consumer, self.consumer)

    def host(self, topic: str, agent: str, make_task: TaskFactory, hold: Hold = _HOLD) -> None:
        """Read a topic by an agent of that name, each of its partitions with a task of its own."""
        hosting = Hosting(topic, make_task, self.flow, self.fail, hold)
        self.hostings += (hosting,)
        self.agent(_records_of(self, topic), name=agent)(_handing_to(hosting))

    def _crash(self, reason: BaseException) -> None:
        """Faust's services call it when one of them fails."""
        if self.should_stop or isinstance(reason, asyncio.CancelledError):
            super()._crash(reason)
        else:
            self.fail(reason, self.kind)

    async def _on_agent_error(self, agent: AgentT[Any], exc: BaseException) -> None:
        """Faust's agents call it, and would go on with the next event after it."""
        self.fail(exc, f"agent {agent.name}")


def make_app(
    connection: Connection,
    topics: Topics,
    membership: Membership,
    fail: Fail,
    make_task: TaskFactory,
    make_splitter: TaskFactory | None = None,
) -> StreamApp:
    """The app, to be started in the running event loop. `make_splitter` makes the tasks of usage-bulk."""
    app = app_of(connection, group_of(connection.prefix), membership, fail)
    app.host(topics.usage, "rate", make_task)
    if make_splitter is not None:
        app.host(topics.usage_bulk, "split", make_splitter)
    return app


def app_of(connection: Connection, group: str, membership: Membership, fail: Fail) -> StreamApp:
    """An app without topics, in that consumer group; `host` gives it topics before it is started."""
    app = StreamApp(group, **connection.for_faust(SCHEME), **_settings(membership))
    app.fail = fail

    @app.on_partitions_revoked.connect
    async def close(*_revoked: Any, **_signal: Any) -> None:  # noqa: ANN401 - Faust's
        await asyncio.gather(*(hosting.close() for hosting in app.hostings))

    @app.on_partitions_assigned.connect
    async def assigned(*given: Any, **_signal: Any) -> None:  # noqa: ANN401 - Faust's
        _, partitions = given
        for hosting in app.hostings:
            hosting.assigned(partitions)

    return app


def _records_of(app: StreamApp, topic: str) -> Any:  # noqa: ANN401 - Faust types a topic by what it does not know here
    """Its messages are record batches of transport.py: nothing in them is for Faust to decode or to acknowledge."""
    return app.topic(topic, key_serializer="raw", value_serializer="raw", acks=False)


def _handing_to(hosting: Hosting) -> Callable[[Any], Any]:
    async def hand_over(batches: Any) -> None:  # noqa: ANN401 - Faust's stream
        async for event in batches.events():
            hosting.offer(event.message.partition, event.value)

    return hand_over


def _settings(membership: Membership) -> dict[str, Any]:
    return {
        "datadir": membership.directory,
        "consumer_group_instance_id": membership.worker_id,
        "broker_client_id": membership.worker_id,
        "broker_session_timeout": membership.session_timeout_s,
        "broker_heartbeat_interval": membership.session_timeout_s / 10,  # how soon a rebalance is heard of
        "broker_rebalance_timeout": REBALANCE_TIMEOUT_S,
        "broker_request_timeout": max(40.0, 2 * membership.session_timeout_s),
        "broker_max_poll_interval": _NEVER_S,  # a worker that holds all its partitions is alive
        "broker_max_poll_records": _RECORDS_AT_ONCE,
        "stream_wait_empty": False,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "store": "memory://",
        "autodiscover": False,
        **_web(membership.web_port),
    }


def _web(port: int | None) -> dict[str, Any]:
    if port is None:
        return {"web_enabled": False}
    return {"web_enabled": True, "web_port": port, "web_bind": _LOOPBACK, "web_host": _LOOPBACK}
