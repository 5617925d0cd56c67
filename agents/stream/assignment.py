"""Assignment: which worker has which partitions. Before transport.py.

Each topic is shared out by itself, and sticks: a partition stays where it is while that is fair. The library shares all
topics out together, which can give one worker all of `usage` and another all of `usage-bulk`: as fair by count as it is
wrong by load.
"""

from collections.abc import Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.sticky.sticky_assignor import (
    StickyAssignmentExecutor,
    StickyAssignorMemberMetadataV1,
    StickyPartitionAssignor,
)
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


class StickyByTopic(StickyPartitionAssignor):  # type: ignore[misc]  # aiokafka ships no types
    """The library's sticky assignment, one topic after the other."""

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """What each member of the group gets."""
        told = {member: cls.parse_member_metadata(metadata) for member, metadata in members.items()}
        shares: dict[str, list[tuple[str, list[int]]]] = {member: [] for member in members}
        for topic in sorted({topic for metadata in told.values() for topic in metadata.subscription}):
            of_topic = {
                member: StickyAssignorMemberMetadataV1(
                    subscription=[topic],
                    partitions=[had for had in metadata.partitions if had.topic == topic],
                    generation=metadata.generation,
                )
                for member, metadata in told.items()
                if topic in metadata.subscription
            }
            executor = StickyAssignmentExecutor(cluster, of_topic)
            executor.perform_initial_assignment()
            executor.balance()
            for member in of_topic:
                shares[member] += executor.get_final_assignment(member)
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, sorted(share), b"")
            for member, share in shares.items()
        }
