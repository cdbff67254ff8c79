"""The group's coordinator, as a broker has it: members, generations, sessions, static ids, committed offsets.

Decides who is a member and what a member may commit; the members themselves decide who reads what (their leader
assigns). Follows Kafka's classic protocol: join, sync, heartbeat, leave; a static member that comes back takes its
predecessor's place without disturbing the others, and the predecessor is unknown from then on; a request that names the
instance id (join, sync) is told of the other process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.protocol.group import SyncGroupResponse_v3

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster, Connection

ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCING, LOADING, FENCED = 22, 25, 27, 14, 82

Reply = Callable[[Any], None]


@dataclass
class Member:
    id: str
    instance: str | None
    session_seconds: float
    rebalance_seconds: float
    protocols: list[tuple[str, bytes]]
    owner: Any
    """The process, for those who watch."""
    seen_at: float = 0.0
    joining: Callable[[int, str, str], None] | None = None
    syncing: Reply | None = None
    assignment: bytes = b""


@dataclass
class Group:
    """States: empty or stable (`is_joining` and `is_syncing` False), gathering joins, waiting for the leader's plan."""

    cluster: Cluster
    members: dict[str, Member] = field(default_factory=dict)
    generation: int = 0
    leader: str = ""
    is_joining: bool = False
    is_syncing: bool = False
    committed: dict[tuple[str, int], int] = field(default_factory=dict)
    on_commit: Callable[[str, int, int, Any], None] = lambda *_: None
    on_assigned: Callable[[], None] = lambda: None
    rebalances: int = 0
    _ids: int = 0
    _round: int = 0

    def arrive(self, connection: Connection, request: Any, reply: Reply) -> None:
        handlers: dict[int, Callable[..., None]] = {
            8: self._commit, 9: self._fetch_offsets, 11: self._join, 12: self._heartbeat, 13: self._leave, 14: self._sync,
        }  # fmt: skip
        handlers[request.API_KEY](connection, request, reply)

    # -- membership ------------------------------------------------------------------------------------------------

    def _join(self, connection: Connection, request: Any, reply: Reply) -> None:
        now = self.cluster.loop.time()
        member = self.members.get(request.member_id)

        def answer(code: int, leader: str, who: str) -> None:
            protocol = request.group_protocols[0][0]
            everyone = [(m.id, m.instance, m.protocols[0][1]) for m in self.members.values()] if leader == who else []
            reply(request.RESPONSE_TYPE(0, code, self.generation, protocol, leader, who, everyone))

        former = self._member_of(request.group_instance_id)
        if request.member_id and member is None:
            reply(request.RESPONSE_TYPE(0, FENCED if former else UNKNOWN_MEMBER, -1, "", "", request.member_id, []))
            return
        is_return = False
        if member is None:
            self._ids += 1
            member = Member(
                f"m{self._ids}", request.group_instance_id, request.session_timeout / 1000, request.rebalance_timeout / 1000,
                request.group_protocols, connection.process,
            )  # fmt: skip
            if former is not None:
                is_return = True
                self._replace(former, member)
            self.members[member.id] = member
            self._watch_session(member)
        member.seen_at, member.protocols = now, request.group_protocols
        if is_return and not self.is_joining and not self.is_syncing:
            # Stable: as Kafka has it, the old leader's name goes back, so that the returned one assigns nothing.
            was_leader = former is not None and self.leader == former.id
            answer(0, former.id if was_leader and former is not None else self.leader, member.id)
            if was_leader:
                self.leader = member.id
            return
        member.joining = answer
        if self.is_joining:
            self._complete_if_all()
        else:
            self.rebalance()

    def _replace(self, old: Member, new: Member) -> None:
        """The predecessor is fenced: what it waits for is answered so, and its place in a stable group is the new one's."""
        new.assignment = old.assignment
        del self.members[old.id]
        if old.joining is not None:
            old.joining(FENCED, "", old.id)
        if old.syncing is not None:
            old.syncing(self._sync_response(FENCED, b""))

    def _member_of(self, instance: str | None) -> Member | None:
        return next((m for m in self.members.values() if instance and m.instance == instance), None)

    def rebalance(self) -> None:
        """Gather all members anew; those who do not come in time are out."""
        self.rebalances += 1
        self.is_joining, self.is_syncing = True, False
        for m in self.members.values():
            syncing, m.syncing = m.syncing, None
            if syncing is not None:
                syncing(self._sync_response(REBALANCING, b""))
        self._round += 1
        limit = max((m.rebalance_seconds for m in self.members.values()), default=0.0)
        self.cluster.loop.later(limit, self._overdue, self._round)
        # A group that has just become two waits a little for the third, as group.initial.rebalance.delay.ms does.
        self.cluster.loop.later(self.cluster.chance.uniform(0.0, 0.3), self._complete_if_all)

    def _complete_if_all(self) -> None:
        if self.is_joining and all(m.joining for m in self.members.values()):
            self._complete()

    def _overdue(self, number: int) -> None:
        if self.is_joining and self._round == number:
            for m in [m for m in self.members.values() if m.joining is None]:
                del self.members[m.id]
            self._complete()

    def _complete(self) -> None:
        self.is_joining = False
        self.generation += 1
        self._round += 1
        if not self.members:
            return
        if self.leader not in self.members:
            self.leader = next(iter(self.members))
        self.is_syncing = True
        now = self.cluster.loop.time()
        for m in self.members.values():
            joining, m.joining = m.joining, None
            m.seen_at = now
            if joining is not None:
                joining(0, self.leader, m.id)

    def _sync_response(self, code: int, assignment: bytes) -> Any:
        return SyncGroupResponse_v3(0, code, assignment)

    def _sync(self, connection: Connection, request: Any, reply: Reply) -> None:
        member = self._checked(request.member_id, request.generation_id, request.group_instance_id)
        if isinstance(member, int):
            reply(self._sync_response(member, b""))
        elif self.is_joining:
            reply(self._sync_response(REBALANCING, b""))
        elif self.is_syncing:
            member.syncing = reply
            if member.id == self.leader:
                plan = dict(request.group_assignment)
                self.is_syncing = False
                for m in self.members.values():
                    m.assignment = plan.get(m.id, b"")
                    syncing, m.syncing = m.syncing, None
                    if syncing is not None:
                        syncing(self._sync_response(0, m.assignment))
                self.on_assigned()
        else:
            reply(self._sync_response(0, member.assignment))

    def _checked(self, member_id: str, generation: int, instance: str | None = None) -> Member | int:
        member = self.members.get(member_id)
        if member is None:
            return FENCED if self._member_of(instance) else UNKNOWN_MEMBER
        if generation != self.generation:
            return ILLEGAL_GENERATION
        member.seen_at = self.cluster.loop.time()
        return member

    def _heartbeat(self, connection: Connection, request: Any, reply: Reply) -> None:
        member = self._checked(request.member_id, request.generation_id)
        code = member if isinstance(member, int) else REBALANCING if self.is_joining else 0
        reply(request.RESPONSE_TYPE(0, code))

    def _leave(self, connection: Connection, request: Any, reply: Reply) -> None:
        member = self.members.pop(request.member_id, None)
        reply(request.RESPONSE_TYPE(0, 0 if member else UNKNOWN_MEMBER))
        if member is not None:
            self._lost_one()

    def _watch_session(self, member: Member) -> None:
        def look() -> None:
            if self.members.get(member.id) is not member:
                return
            left = member.seen_at + member.session_seconds - self.cluster.loop.time()
            if left > 0 or member.joining is not None:
                self.cluster.loop.later(max(left, 0.1), look)
                return
            del self.members[member.id]
            self._lost_one()

        self.cluster.loop.later(member.session_seconds, look)

    def _lost_one(self) -> None:
        if self.is_joining:
            self._complete_if_all()
        elif self.members:
            self.rebalance()

    # -- offsets ---------------------------------------------------------------------------------------------------

    def _commit(self, connection: Connection, request: Any, reply: Reply) -> None:
        member = self._checked(request.consumer_id, request.consumer_group_generation_id)
        code = member if isinstance(member, int) else REBALANCING if self.is_syncing else 0
        if code == 0 and self.cluster.chance.random() < self.cluster.weather.failed_commit:
            self.cluster.faults["failed commit"] += 1
            code = LOADING
        answers = []
        for topic, partitions in request.topics:
            for partition, offset, _ in partitions:
                if code == 0:
                    self.on_commit(topic, partition, offset, connection.process)
                    self.committed[topic, partition] = offset
            answers.append((topic, [(partition, code) for partition, _, _ in partitions]))
        reply(request.RESPONSE_TYPE(0, answers))

    def _fetch_offsets(self, connection: Connection, request: Any, reply: Reply) -> None:
        reply(request.RESPONSE_TYPE(0, [
            (topic, [(p, self.committed.get((topic, p), -1), "", 0) for p in partitions]) for topic, partitions in request.topics
        ], 0))  # fmt: skip

    # -- for those who watch ---------------------------------------------------------------------------------------

    def shares(self, topic: str) -> list[int]:
        """How many partitions of it the plan gives to each member."""
        found = []
        for m in self.members.values():
            given = ConsumerProtocol.ASSIGNMENT.decode(m.assignment).assignment if m.assignment else []
            found.append(sum(len(partitions) for t, partitions in given if t == topic))
        return found

    def owner(self, topic: str, partition: int) -> Any:
        """The process that the group's plan gives this partition to; None between two plans."""
        if self.is_joining or self.is_syncing:
            return None
        for m in self.members.values():
            if m.assignment:
                plan = ConsumerProtocol.ASSIGNMENT.decode(m.assignment)
                if any(t == topic and partition in ps for t, ps in plan.assignment):
                    return m.owner
        return None
