"""Topics: their names, made and checked on the brokers. After layout.py, which decides what is right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from agents.errors import BrokerError, LayoutError
from agents.stream.brokers import administration
from agents.stream.connection import Connection
from agents.stream.layout import RULES, Found, missing, partitions_of, problems, refusals, settings_of

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

_NO_ERROR, _UNKNOWN_TOPIC, _TOPIC_EXISTS = 0, 3, 36
_NO_LEADER = -1


class Topics(NamedTuple):
    """The full names.

    >>> Topics.of("ratestream.").usage_rejected
    'ratestream.usage-rejected'
    """

    usage: str
    usage_bulk: str
    charges: str
    statements: str
    usage_rejected: str
    commands: str
    changelog: str
    accounts: str
    tariffs: str

    @classmethod
    def of(cls, prefix: str) -> "Topics":
        """The names under a prefix."""
        return cls(*(prefix + rule.subject for rule in RULES))


def group_of(prefix: str) -> str:
    """The consumer group of the workers, under which their tasks commit how far usage has been rated."""
    return f"{prefix}rating"


@dataclass(frozen=True)
class Layout:
    """Topics under which the guarantees hold."""

    partitions: int
    """Of each topic about accounts."""
    cluster_id: str
    topic_ids: dict[str, str]
    """By full name. A topic that was deleted and made again has another id."""
    delete_retention_ms: int
    """How long the changelog keeps the news that something was deleted."""
    topics: tuple[Found, ...]
    """As the brokers describe them, in the order of Topics."""


class Created(NamedTuple):
    """What is there now."""

    layout: Layout
    made: frozenset[str]
    """Full names of topics that were not there before."""


def create(connection: Connection, partitions: int, replicas: int) -> Created:
    """Makes the topics that are missing; those that are there are checked and stay as they are.

    `partitions` is how many each topic about accounts has. Nothing is made where something there is wrong. Raises
    LayoutError and BrokerError.
    """
    with administration(connection) as client:
        found = _found(client, connection.prefix)
        _raise_any([*refusals(found, partitions, replicas), *problems(found), *_too_few(client, replicas)], connection)
        made = [rule for rule in RULES if rule.subject not in found]
        wanted = {
            f"{connection.prefix}{rule.subject}": {
                "num_partitions": partitions_of(rule, partitions),
                "replication_factor": replicas,
                "configs": settings_of(rule, replicas),
            }
            for rule in made
        }
        if wanted:
            answers = client.create_topics(wanted, raise_errors=False)["topics"]
            _raise_refused(answers, connection)
            client.wait_for_topics(list(wanted))
        return Created(_layout(client, connection), frozenset(wanted))


def check(connection: Connection) -> Layout:
    """The topics as they are. Raises LayoutError with every problem, and BrokerError."""
    with administration(connection) as client:
        return _layout(client, connection)


def _layout(client: "KafkaAdminClient", connection: Connection) -> Layout:
    found = _found(client, connection.prefix)
    _raise_any([*missing(connection.prefix, found), *problems(found)], connection)
    topics = tuple(found[rule.subject] for rule in RULES)
    return Layout(
        partitions=found["usage"].partitions,
        cluster_id=client.describe_cluster()["cluster_id"],
        topic_ids={topic.name: topic.topic_id for topic in topics},
        delete_retention_ms=found["changelog"].number("delete.retention.ms"),
        topics=topics,
    )


def _found(client: "KafkaAdminClient", prefix: str) -> dict[str, Found]:
    """The topics that are there, by subject."""
    from kafka import errors
    from kafka.admin import ConfigResource, ConfigResourceType

    described = client.describe_topics(list(Topics.of(prefix)))
    wrong = [topic for topic in described if topic["error_code"] not in {_NO_ERROR, _UNKNOWN_TOPIC}]
    if wrong:
        raise errors.for_code(wrong[0]["error_code"])(wrong[0]["name"])
    by_name = {topic["name"]: topic for topic in described if topic["error_code"] == _NO_ERROR}
    there = {name: by_name[name] for name in Topics.of(prefix) if name in by_name}
    if not there:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
    settings = client.describe_configs(resources, config_filter="all")["topic"]
    return {
        name.removeprefix(prefix): Found(
            name=name,
            topic_id=str(topic["topic_id"]),
            partitions=len(topic["partitions"]),
            replicas=min(len(one["replica_nodes"]) for one in topic["partitions"]),
            leaderless=tuple(
                sorted(one["partition_index"] for one in topic["partitions"] if one["leader_id"] == _NO_LEADER)
            ),
            settings={setting: said["value"] for setting, said in settings[name].items()},
        )
        for name, topic in there.items()
    }


def _too_few(client: "KafkaAdminClient", replicas: int) -> Iterable[str]:
    brokers = len(client.describe_cluster()["brokers"])
    if brokers < replicas:
        yield (
            f"{replicas} replicas need as many brokers, and {brokers} answered. Start more, "
            f"or ask for --replication {brokers}"
        )


def _raise_any(told: Sequence[str], connection: Connection) -> None:
    if told:
        lines = "".join(f"\n- {problem}" for problem in told)
        raise LayoutError(f"The topics at {', '.join(connection.brokers)} are not as they must be:{lines}")


def _raise_refused(answers: Sequence[dict[str, object]], connection: Connection) -> None:
    """Another process may make the same topics at the same time; what came of it is checked after."""
    refused = [answer for answer in answers if answer["error_code"] not in {_NO_ERROR, _TOPIC_EXISTS}]
    if refused:
        lines = "".join(f"\n- {answer['name']}: {answer['error_message']}" for answer in refused)
        raise BrokerError(
            f"{', '.join(connection.brokers)} refused to make:{lines}\nMend that, then: ratestream topics create"
        )
