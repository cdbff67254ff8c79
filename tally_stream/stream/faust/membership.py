"""Decides how partitions are shared where this member leads the group, and whether the group still counts on this one.

`InformedAssignor` says what this member had and plans for all. `Membership` listens in on aiokafka's coordinator: when the
group last confirmed this worker, and whether it was told that it is no member any more. Whoever sends or commits asks it
first. It refuses to know what is read and what a plan should look like: that is `stream/shares.py`. `client.py` owns
both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import BrokerResponseError, KafkaError, UnknownMemberIdError, kafka_errors

from tally_stream.stream.runs import TopicPartition
from tally_stream.stream.shares import NO_GENERATION, decode_claims, encode_claims, plan_shares
from tally_stream.stream.shares import Member as GroupMember


class InformedAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka is not followed by mypy
    """One consumer's part in sharing: it tells the group what this member had, and plans for all if its member leads.

    aiokafka's own plans with what it knows, however little. It gives up a metadata request whose connection breaks, and asks
    again after five minutes. A leader in that state gave nobody anything: all members looked ready, and nothing was counted.
    Where a restarted worker takes its place by its static id, not even the next metadata ends that. So this one refuses to
    plan until it knows the partitions of every topic.

    To the group it is the sticky assignor of Kafka's clients, by name and bytes. Earlier workers had aiokafka's, and while
    workers are upgraded one by one the group has both: whichever leads plans for all, from the claims of all.
    """

    name = "sticky"
    version = 0

    def __init__(self) -> None:
        self._claims: list[TopicPartition] | None = None
        self._generation = NO_GENERATION

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What a join says of this member: its topics, and what it had.

        The topics are sorted. They come as a set, whose order differs from process to process, and aiokafka's assignor takes
        members with the same topics in another order for members with other topics.
        """
        claims = b"" if self._claims is None else encode_claims(self._claims, self._generation)
        return ConsumerProtocolMemberMetadata(self.version, sorted(topics), claims)

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember what this member got, for its next join. The broker tells a restarted static member by itself."""
        self._claims = [(topic, partition) for topic, partition in assignment.partitions()]

    def on_generation(self, generation: int) -> None:
        """Remember in which generation that was, so that a member which was away can't win back what others got since.

        aiokafka does not tell its assignors; `Membership` does.
        """
        self._generation = generation

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """The plan for all members. Raises where it would leave a topic out: `RunClient.trouble` then ends this worker."""
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
    """Kafka's FENCED_INSTANCE_ID: another process with our instance id has joined since.

    aiokafka has no name for it, so an operator would read "UnknownError".
    """

    errno = 82
    message = "FENCED_INSTANCE_ID"


kafka_errors.setdefault(FencedInstanceIdError.errno, FencedInstanceIdError)

EXPELLED = "the group no longer knows this worker: its session ended, or another process has its instance id"


class Membership:
    """When the group last confirmed this worker; `on_expelled` is called with the reason when the group knows it no longer.

    aiokafka keeps the time of the last confirmation in a local variable. Told that it is no member any more it joins again,
    which takes the partitions back from whoever has them now. Two processes with one instance id would do that to each other
    for ever: each is told at its next commit, long before a heartbeat. So the one that is told ends, whichever request it
    was told by.
    """

    def __init__(
        self,
        assignor: InformedAssignor,
        on_expelled: Callable[[str], object],
        *,
        session_seconds: float,
        rebalance_seconds: float,
    ) -> None:
        self._assignor, self._on_expelled = assignor, on_expelled
        self._session_seconds, self._rebalance_seconds = session_seconds, rebalance_seconds
        self._coordinator: Any = None
        self.confirmed_at: float | None = None
        self.joined_count = 0

    def observe(self, coordinator: Any) -> None:
        """From now on each answer that this coordinator gets to a heartbeat, a join or a commit is noted."""
        beat, commit = coordinator._do_heartbeat, coordinator._do_commit_offsets
        rejoin, joined = coordinator._do_rejoin_group, coordinator._on_join_complete
        self._coordinator = coordinator

        async def observed_beat() -> bool:
            sent_at = monotonic()  # of the question, not of its answer: a process that was frozen may read that much later
            is_known = await beat()
            if is_known:
                self.confirmed_at = sent_at
            elif not coordinator.member_id:
                self._on_expelled(EXPELLED)
            return bool(is_known)

        async def observed_commit(assignment: Any, offsets: Any) -> None:
            try:
                await commit(assignment, offsets)
            except UnknownMemberIdError:  # an old generation alone may be a commit that waited behind a join of ours
                self._on_expelled(EXPELLED)
                raise

        async def observed_rejoin(subscription: Any) -> bool:
            try:
                return bool(await rejoin(subscription))
            except KafkaError as refused:  # aiokafka raises the `repr` of what it was answered
                if FencedInstanceIdError.__name__ in str(refused):
                    self._on_expelled(EXPELLED)
                raise

        async def observed_join(generation: int, *rest: Any) -> None:
            self.confirmed_at = monotonic()
            self.joined_count += 1
            self._assignor.on_generation(generation)
            await joined(generation, *rest)

        coordinator._do_heartbeat = observed_beat
        coordinator._do_commit_offsets = observed_commit
        coordinator._do_rejoin_group = observed_rejoin
        coordinator._on_join_complete = observed_join

    def heartbeat_age(self) -> float | None:
        """Seconds since the group last confirmed this worker; None before its first join."""
        return None if self.confirmed_at is None else monotonic() - self.confirmed_at

    def is_lost(self) -> bool:
        """Whether another worker may own our partitions by now.

        While this worker joins, aiokafka sends no heartbeat, and the broker waits the rebalance time for its members: then,
        and only then, that is allowed on top of the session.
        """
        age = self.heartbeat_age()
        if age is None:
            return False
        is_joining = self._coordinator._performed_join_prepare
        return age > self._session_seconds + (self._rebalance_seconds if is_joining else 0)
