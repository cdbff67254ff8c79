"""Decides who reads what where this member leads the group, and what is said of this one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import BrokerResponseError, kafka_errors

from tally_stream.stream.runs import TopicPartition
from tally_stream.stream.shares import NO_GENERATION, decode_claims, encode_claims, plan_shares
from tally_stream.stream.shares import Member as GroupMember


class InformedAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka is not followed by mypy
    """One consumer's part in who reads what: it says what it had, and plans for all where its member leads the group.

    It plans for nobody while it does not know the partitions of every topic: aiokafka gives up a metadata request whose
    connection breaks and asks again after five minutes. A leader in that state gives nobody anything, all members look
    ready, and nothing is counted; where a restarted worker takes its place by its static id, not even the next metadata
    ends it.

    To the group it is the sticky assignor of Kafka's clients, by name and bytes: earlier workers had aiokafka's, and in an
    upgrade one by one the group has both. Whichever leads plans for all, from the claims of all.
    """

    name = "sticky"
    version = 0

    def __init__(self) -> None:
        self._claims: list[TopicPartition] | None = None
        self._generation = NO_GENERATION

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What a join says of this member. The topics in order: they come as a set, which every process has in another
        one, and an older leader takes members whose topics differ in order for members that differ in topics."""
        claims = b"" if self._claims is None else encode_claims(self._claims, self._generation)
        return ConsumerProtocolMemberMetadata(self.version, sorted(topics), claims)

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember what this member has, for its next join; a restarted static member gets it of the broker, too."""
        self._claims = [(topic, partition) for topic, partition in assignment.partitions()]

    def on_generation(self, generation: int) -> None:
        """Remember since when; aiokafka does not say it, `RunClient` does. A member that returns with older claims than
        others must not win them back."""
        self._generation = generation

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """The plan for all members. Raises where it would leave a topic out: that ends this worker (`trouble`)."""
        partitions = {
            topic: cluster.partitions_for_topic(topic) for member in members.values() for topic in member.subscription or ()
        }
        unknown = sorted(str(topic) for topic, found in partitions.items() if not found)
        if unknown:
            raise RuntimeError(f"the group's leader does not know the partitions of {', '.join(unknown)}")
        known = {
            name: GroupMember(member.subscription or (), *decode_claims(member.user_data)) for name, member in members.items()
        }
        return {
            name: ConsumerProtocolMemberAssignment(self.version, sorted(share.items()), b"")
            for name, share in plan_shares(partitions, known).items()
        }


class FencedInstanceIdError(BrokerResponseError):  # type: ignore[misc]  # as above
    """A join or its sync found another process with our instance id (Kafka's FENCED_INSTANCE_ID).

    aiokafka asks for it, and has no name for it: an operator would read "UnknownError".
    """

    errno = 82
    message = "FENCED_INSTANCE_ID"


kafka_errors.setdefault(FencedInstanceIdError.errno, FencedInstanceIdError)
