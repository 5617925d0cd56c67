"""Partitions are shared out fairly topic by topic, and stay where they are."""

from typing import Any

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.structs import TopicPartition

from agents.stream.assignment import StickyByTopic

TOPICS = {"usage": 6, "usage-bulk": 6}


class _Cluster(ClusterMetadata):  # type: ignore[misc]  # aiokafka ships no types
    """A cluster whose topics are known."""

    def topics(self, exclude_internal_topics: bool = True) -> set[str]:  # noqa: ARG002 - aiokafka's
        return set(TOPICS)

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(TOPICS[topic]))


Shares = dict[str, dict[str, list[int]]]


def assigned(members: dict[str, dict[str, list[int]]]) -> Shares:
    """What members get that had these partitions before."""
    metadata = {}
    for member, had in members.items():
        own: Any = type("Own", (StickyByTopic,), {})
        own.on_assignment(_Assignment(had))
        own.on_generation_assignment(1)
        told = own.metadata(list(TOPICS))
        metadata[member] = ConsumerProtocolMemberMetadata(told.version, told.subscription, told.user_data)
    found = StickyByTopic.assign(_Cluster(), metadata)
    return {member: dict(share.assignment) for member, share in found.items()}


class _Assignment:
    def __init__(self, had: dict[str, list[int]]) -> None:
        self._had = had

    def partitions(self) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for topic, numbers in self._had.items() for number in numbers]


def test_every_member_gets_a_fair_share_of_every_topic() -> None:
    shares = assigned({"a": {}, "b": {}, "c": {}})
    for topic, count in TOPICS.items():
        assert sorted(number for share in shares.values() for number in share[topic]) == list(range(count))
        assert {len(share[topic]) for share in shares.values()} == {2}


def test_a_member_that_joins_gets_its_share_and_the_others_keep_the_rest() -> None:
    before = {topic: [0, 1, 2] for topic in TOPICS}, {topic: [3, 4, 5] for topic in TOPICS}
    shares = assigned({"a": before[0], "b": before[1], "new": {}})
    for topic in TOPICS:
        assert {len(share[topic]) for share in shares.values()} == {2}
        assert set(shares["a"][topic]) < set(before[0][topic])
        assert set(shares["b"][topic]) < set(before[1][topic])


def test_what_a_member_had_stays_with_it() -> None:
    had = {"a": {"usage": [0, 2, 4], "usage-bulk": [1, 3, 5]}, "b": {"usage": [1, 3, 5], "usage-bulk": [0, 2, 4]}}
    assert assigned(had) == had
