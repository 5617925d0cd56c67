"""Layout: what each topic must be for the guarantees to hold, and what is the matter with topics that are not.

An account's usage, charges, statements and state lie in the partition of the same number, so their topics have the same
count; all time is the brokers' append time; nothing may vanish before it is read, or be acknowledged and then lost.
Pure: topics.py asks the brokers. Before topics.py.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

MIB = 1 << 20
DAY_MS = 86_400_000
_FOR_EVER = -1


class Rule(NamedTuple):
    """What a topic must be."""

    subject: str
    """Its name without the prefix."""

    largest_mib: int
    """The largest batch of messages that it takes, in MiB."""

    is_compacted: bool = False
    """Whether it keeps the latest message of each key, not all messages of a time."""

    retention_ms: int = 7 * DAY_MS
    """How long a new one keeps messages; -1: for ever."""

    is_keyed: bool = True
    """Whether its partitions are those of the accounts."""

    partitions: int | None = None
    """How many it has, where that is always the same."""


RULES = (
    Rule("usage", 16),
    Rule("usage-bulk", 16, is_keyed=False),
    Rule("charges", 2, retention_ms=_FOR_EVER),
    Rule("statements", 16, retention_ms=_FOR_EVER),
    Rule("usage-rejected", 2, retention_ms=_FOR_EVER),
    Rule("commands", 2),
    Rule("changelog", 64, is_compacted=True),
    Rule("accounts", 2, is_compacted=True),
    Rule("tariffs", 2, is_compacted=True, is_keyed=False, partitions=1),
)
"""Every topic, in the order of agents.stream.topics.Topics."""

_LEAST_RETENTION_MS = 7 * DAY_MS
_LEAST_DELETE_RETENTION_MS = DAY_MS


class Found(NamedTuple):
    """A topic as the brokers describe it."""

    name: str
    topic_id: str
    partitions: int
    replicas: int
    """Of the partition that has the fewest."""
    leaderless: tuple[int, ...]
    """Partitions that nobody can read or write now."""
    settings: Mapping[str, str]
    """Empty where these credentials may not see them."""

    def number(self, setting: str) -> int:
        """A setting that is a whole number."""
        return int(self.settings[setting])


def partitions_of(rule: Rule, partitions: int) -> int:
    """How many a new topic has, where the accounts have `partitions`."""
    return rule.partitions or partitions


def settings_of(rule: Rule, replicas: int) -> dict[str, str]:
    """The settings of a new topic.

    >>> settings_of(RULES[0], replicas=3)["min.insync.replicas"]
    '2'
    """
    settings = {
        "message.timestamp.type": "LogAppendTime",
        "unclean.leader.election.enable": "false",
        "min.insync.replicas": "2" if replicas >= 3 else "1",
        "max.message.bytes": str(rule.largest_mib * MIB),
    }
    if rule.is_compacted:
        return settings | {
            "cleanup.policy": "compact",
            "delete.retention.ms": str(7 * DAY_MS),
            "min.cleanable.dirty.ratio": "0.3",
        }
    return settings | {
        "cleanup.policy": "delete",
        "retention.ms": str(rule.retention_ms),
        "retention.bytes": str(_FOR_EVER),
    }


def missing(prefix: str, found: Mapping[str, Found]) -> Iterator[str]:
    """What to do about the topics that are not there; `found` is by subject."""
    absent = [f"{prefix}{rule.subject}" for rule in RULES if rule.subject not in found]
    if absent:
        yield f"{', '.join(absent)}: not there. Make what is missing: ratestream topics create"


def problems(found: Mapping[str, Found]) -> Iterator[str]:
    """What is the matter with the topics that are there, each with what to do; `found` is by subject."""
    keyed = _keyed(found)
    if len({topic.partitions for topic in keyed}) > 1:
        told = ", ".join(f"{topic.name} {topic.partitions}" for topic in keyed)
        yield (
            f"partitions differ ({told}): an account's usage, charges and state would lie in partitions of different "
            "numbers. Make all topics anew under another RATESTREAM_PREFIX and publish there; or, if nothing in those "
            "with the wrong count is needed, delete them and run: ratestream topics create"
        )
    for rule in RULES:
        if topic := found.get(rule.subject):
            yield from _problems_of(rule, topic)


def refusals(found: Mapping[str, Found], partitions: int, replicas: int) -> Iterator[str]:
    """Why topics that are there cannot get the counts that are asked for."""
    there = next(iter(_keyed(found)), None)
    if there and there.partitions != partitions:
        yield (
            f"{there.name} and the topics beside it have {_counted(there.partitions, 'partition')}, not {partitions}, "
            "and stay so: an account's partition follows from their number, so with another one its usage and its "
            f"state would part. Ask for --partitions {there.partitions}; for another number, make topics under another "
            "RATESTREAM_PREFIX and publish there"
        )
    for count in sorted({topic.replicas for topic in found.values()} - {replicas}):
        names = ", ".join(topic.name for topic in found.values() if topic.replicas == count)
        yield (
            f"{names}: {_counted(count, 'replica')}, not {replicas}. Add or remove some with "
            f"kafka-reassign-partitions.sh, or ask for --replication {count}"
        )


def _keyed(found: Mapping[str, Found]) -> list[Found]:
    return [found[rule.subject] for rule in RULES if rule.is_keyed and rule.subject in found]


def _problems_of(rule: Rule, topic: Found) -> Iterator[str]:
    if rule.partitions and topic.partitions != rule.partitions:
        yield (
            f"{topic.name} has {topic.partitions} partitions, not {rule.partitions}: it is read whole, in one order. "
            "Delete it, then: ratestream topics create, and publish its messages again"
        )
    if topic.leaderless:
        numbers = ", ".join(map(str, topic.leaderless))
        yield f"{topic.name} has no leader for partition {numbers}. Start the brokers that hold it"
    if not topic.settings:
        yield f"{topic.name}: its settings cannot be seen. Allow this user DescribeConfigs on it"
        return
    yield from _setting_problems(rule, topic)


def _setting_problems(rule: Rule, topic: Found) -> Iterator[str]:
    wanted = settings_of(rule, topic.replicas)
    for setting, reason in _EXACT.items():
        if setting in wanted and topic.settings[setting] != wanted[setting]:
            yield _wrong(topic, setting, wanted[setting], reason)
    for setting, least, reason in _least(rule):
        if topic.number(setting) != _FOR_EVER and topic.number(setting) < least:
            yield _wrong(topic, setting, str(least), reason)
    yield from _replica_problems(topic)


_EXACT = {
    "message.timestamp.type": "closing needs the brokers' time, which no producer can set",
    "unclean.leader.election.enable": "a replica that lags could become leader and lose what was acknowledged",
    "cleanup.policy": "messages would vanish that are still needed",
    "retention.bytes": "messages of a full topic would vanish before they are read",
}
"""Settings that have one right value."""


def _least(rule: Rule) -> Iterator[tuple[str, int, str]]:
    yield "max.message.bytes", rule.largest_mib * MIB, "larger messages than it takes would stop the workers"
    if rule.is_compacted:
        reason = "a worker that was away for longer would not learn what was deleted"
        yield "delete.retention.ms", _LEAST_DELETE_RETENTION_MS, reason
    else:
        yield "retention.ms", _LEAST_RETENTION_MS, "messages could vanish before they are read"


def _replica_problems(topic: Found) -> Iterator[str]:
    setting = "min.insync.replicas"
    in_sync = topic.number(setting)
    if in_sync > topic.replicas:
        reason = f"with {_counted(topic.replicas, 'replica')} nothing could be written"
        yield _wrong(topic, setting, str(min(topic.replicas, 2)), reason)
    elif in_sync < 2 and topic.replicas >= 3:
        yield _wrong(topic, setting, "2", "what one broker alone acknowledged is lost with it")


def _wrong(topic: Found, setting: str, wanted: str, reason: str) -> str:
    return (
        f"{topic.name} has {setting}={topic.settings[setting]}: {reason}. Set it: kafka-configs.sh --alter "
        f"--entity-type topics --entity-name {topic.name} --add-config {setting}={wanted}"
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
