"""Who may still send and commit: what the group said last of this worker, and when it was asked. Without a broker."""
# ruff: noqa: SLF001  (the overrides of the clients' private hooks are what is tested: nothing else calls them)

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataResponse_v1

from tally_stream.stream.faust import membership
from tally_stream.stream.faust.consumer import RunConsumer
from tally_stream.stream.faust.membership import InformedAssignor, Membership
from tally_stream.stream.faust.settings import REBALANCE_SECONDS, SESSION_SECONDS
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.outlet import KafkaOutlet
from tally_stream.stream.shares import decode_claims
from tests.stream.unstarted import P0, TOPIC

BEGIN = 1_000.0


class Clock:
    """In place of `monotonic`."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> float:
        return self.now


class Coordinator:
    """As much of aiokafka's as is listened in on. `answer` is what the group says to a heartbeat, after `during` it."""

    def __init__(self) -> None:
        self.member_id = "member"
        self.answer = True
        self.during: Callable[[], object] = lambda: None
        self._performed_join_prepare = False
        self._pending_exception: Exception | None = None
        self._coordination_task = asyncio.get_running_loop().create_future()

    async def _do_heartbeat(self) -> bool:
        self.during()
        return self.answer

    async def _do_commit_offsets(self, assignment: object, offsets: object) -> None: ...

    async def _do_rejoin_group(self, subscription: object) -> bool:
        return True

    async def _on_join_complete(self, generation: int, *rest: object) -> None: ...


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(membership, "monotonic", clock)
    return clock


@pytest.fixture
async def coordinator() -> Coordinator:
    return Coordinator()


@pytest.fixture
async def expelled() -> list[str]:
    return []


@pytest.fixture
async def member(clock: Clock, coordinator: Coordinator, expelled: list[str]) -> Membership:
    """In a group since BEGIN."""
    found = Membership(
        InformedAssignor(), expelled.append, session_seconds=SESSION_SECONDS, rebalance_seconds=REBALANCE_SECONDS
    )
    found.observe(coordinator)
    assert found.heartbeat_age() is None
    assert not found.is_lost(), "nobody counts on a worker that has not joined"
    await coordinator._on_join_complete(1, "member", "sticky", b"")
    return found


def test_it_is_lost_when_its_session_is_over_and_not_a_moment_before(member: Membership, clock: Clock) -> None:
    clock.now = BEGIN + SESSION_SECONDS
    assert not member.is_lost()
    clock.now += 0.001
    assert member.is_lost()


def test_only_a_join_under_way_has_the_rebalance_time_on_top(
    member: Membership, clock: Clock, coordinator: Coordinator
) -> None:
    coordinator._performed_join_prepare = True
    clock.now = BEGIN + SESSION_SECONDS + REBALANCE_SECONDS
    assert not member.is_lost()
    clock.now += 0.001
    assert member.is_lost()
    coordinator._performed_join_prepare = False
    clock.now = BEGIN + SESSION_SECONDS + 0.001
    assert member.is_lost()


async def test_a_heartbeat_confirms_since_it_was_sent_however_late_its_answer_is_read(
    member: Membership, clock: Clock, coordinator: Coordinator
) -> None:
    """A process that was frozen for longer than a session reads an answer that was true before it."""

    def frozen() -> None:
        clock.now += SESSION_SECONDS + 5

    clock.now = BEGIN + 3
    coordinator.during = frozen
    assert await coordinator._do_heartbeat()
    assert member.confirmed_at == BEGIN + 3
    assert member.is_lost()


async def test_a_heartbeat_that_was_refused_confirms_nothing(
    member: Membership, clock: Clock, coordinator: Coordinator, expelled: list[str]
) -> None:
    clock.now = BEGIN + 3
    coordinator.answer = False
    assert not await coordinator._do_heartbeat()
    assert member.confirmed_at == BEGIN
    assert expelled == [], "a rebalance: it is still a member, and joins again"
    coordinator.member_id = ""
    await coordinator._do_heartbeat()
    assert expelled == [membership.EXPELLED]


# --- who asks ---------------------------------------------------------------------------------------


@pytest.fixture
async def joined(consumer: RunConsumer, clock: Clock, coordinator: Coordinator) -> RunConsumer:
    """A consumer that joined at BEGIN."""
    fetcher = SimpleNamespace(_fetch_task=asyncio.get_running_loop().create_future())
    consumer._thread._consumer = SimpleNamespace(_closed=False, _coordinator=coordinator, _fetcher=fetcher)
    consumer._thread.membership.observe(coordinator)
    await coordinator._on_join_complete(1, "member", "sticky", b"")

    async def once(*_: object, **__: object) -> Any:
        yield 0.0

    consumer.itertimer = once
    return consumer


async def watched(joined: RunConsumer) -> list[str]:
    """The reasons to end after one look of the consumer's watch."""
    await RunConsumer._watch.fun(joined)
    return list(joined.transport.reasons)


async def test_a_worker_whose_session_is_over_ends(joined: RunConsumer, clock: Clock) -> None:
    clock.now = BEGIN + SESSION_SECONDS
    assert await watched(joined) == []
    clock.now += 0.25
    assert await watched(joined) == ["no answered heartbeat for 10.2 s: the session is over"]


async def test_it_sends_nothing_more_then(joined: RunConsumer, clock: Clock) -> None:
    sent: list[object] = []

    class Producer:
        async def send(self, *record: object, **more: object) -> Any:
            sent.append(record)
            return asyncio.get_running_loop().create_future()

    outlet = KafkaOutlet(Producer, joined.transport.is_membership_lost)
    clock.now = BEGIN + SESSION_SECONDS
    await outlet.send("topic", b"k", b"v", 0)
    clock.now += 0.001
    for send in (outlet.send("topic", b"k", b"v", 0), outlet.send_batch("topic", [(b"k", b"v")], 0)):
        with pytest.raises(BrokenInvariant, match="nothing more is sent"):
            await send
    assert len(sent) == 1


@pytest.mark.parametrize("where", ["coordination", "fetching"])
@pytest.mark.parametrize("how", ["ended: OSError('gone')", "was cancelled"])
async def test_a_task_of_aiokafka_s_that_ends_behind_its_back_ends_the_worker(
    joined: RunConsumer, coordinator: Coordinator, where: str, how: str
) -> None:
    client = joined._thread._consumer
    task = coordinator._coordination_task if where == "coordination" else client._fetcher._fetch_task
    task.cancel() if how == "was cancelled" else task.set_exception(OSError("gone"))
    (reason,) = await watched(joined)
    assert where in reason
    assert how in reason


async def test_what_aiokafka_would_tell_whoever_fetches_ends_the_worker(joined: RunConsumer, coordinator: Coordinator) -> None:
    coordinator._pending_exception = KeyError("planted")
    assert await watched(joined) == ["group coordination failed: KeyError('planted')"]


async def test_a_sending_task_that_ends_ends_the_worker(joined: RunConsumer) -> None:
    """Whatever is sent after it is kept, and never answered."""
    sender = SimpleNamespace(sender_task=None)
    joined.app.producer._producer = SimpleNamespace(_sender=sender)
    assert await watched(joined) == []
    sender.sender_task = asyncio.get_running_loop().create_future()
    assert await watched(joined) == []
    sender.sender_task.set_exception(OSError("gone"))
    assert await watched(joined) == ["sending ended: OSError('gone')"]


# --- what the group is told, and tells ----------------------------------------------------------------


async def told(consumer: RunConsumer, method: str, *given: Any, answer: Exception) -> str | None:
    """Why the worker ends, if it does, where this method of the coordinator raises this answer."""

    async def refuse(*_: Any) -> None:
        raise answer

    names = ("_do_heartbeat", "_do_rejoin_group", "_on_join_complete", "_do_commit_offsets")
    coordinator = SimpleNamespace(**dict.fromkeys(names, refuse))
    consumer._thread.membership.observe(coordinator)
    with pytest.raises(type(answer)):
        await getattr(coordinator, method)(*given)
    return consumer.transport.failure


async def test_a_commit_that_the_group_refuses_for_good_ends_it(consumer: RunConsumer) -> None:
    """Two with one instance id push each other out at each commit, long before a heartbeat is due."""
    why = await told(consumer, "_do_commit_offsets", None, {P0: 1}, answer=UnknownMemberIdError("group"))
    assert "no longer knows this worker" in str(why)


async def test_a_join_that_another_process_has_taken_ends_it(consumer: RunConsumer) -> None:
    why = await told(consumer, "_do_rejoin_group", None, answer=KafkaError(repr(for_code(82)())))
    assert "another process has its instance id" in str(why)


async def test_any_other_refusal_of_a_join_is_left_to_who_watches(consumer: RunConsumer) -> None:
    assert await told(consumer, "_do_rejoin_group", None, answer=KafkaError(repr(for_code(81)()))) is None


@pytest.mark.parametrize("answer", [RebalanceInProgressError, IllegalGenerationError])
async def test_a_commit_that_may_be_tried_again_ends_nothing(consumer: RunConsumer, answer: type[Exception]) -> None:
    assert await told(consumer, "_do_commit_offsets", None, {P0: 1}, answer=answer("group")) is None


async def test_a_join_remembers_what_it_brought_and_since_when(consumer: RunConsumer) -> None:
    """So does that of a restarted static member, whom the broker gives what it had without asking anybody."""
    await consumer._thread._create_worker_consumer(consumer.transport).stop()
    assignor = consumer._thread._assignor

    async def joined(*_: Any) -> None:
        assignor.on_assignment(ConsumerProtocolMemberAssignment(0, [(TOPIC, [2, 0])], b""))

    coordinator = SimpleNamespace(_on_join_complete=joined, _do_heartbeat=0, _do_commit_offsets=0, _do_rejoin_group=0)
    assert assignor.metadata([TOPIC]).user_data == b"", "nothing is known before"
    consumer._thread.membership.observe(coordinator)
    await coordinator._on_join_complete(7, "member", "sticky", b"")
    assert decode_claims(assignor.metadata([TOPIC]).user_data) == ([(TOPIC, 0), (TOPIC, 2)], 7)


async def test_each_consumer_has_its_own_assignor(consumer: RunConsumer) -> None:
    transport = consumer.transport
    clients = [consumer._new_consumer_thread()._create_worker_consumer(transport) for _ in range(2)]
    assignors = [client._partition_assignment_strategy[0] for client in clients]
    assert [assignor.name for assignor in assignors] == ["sticky", "sticky"], "as workers before it, in one group with it"
    assert assignors[0] is not assignors[1]
    for client in clients:
        assert client._group_instance_id == "one"
        assert client._auto_offset_reset == "none"
        await client.stop()


async def test_a_leader_that_does_not_know_a_topics_partitions_plans_for_nobody(consumer: RunConsumer) -> None:
    """aiokafka would give every member nothing, and the group would look well."""
    client = consumer._thread._create_worker_consumer(consumer.transport)
    (assignor,) = client._partition_assignment_strategy
    members = {"m1": assignor.metadata([TOPIC]), "m2": assignor.metadata([TOPIC])}
    cluster = ClusterMetadata()
    with pytest.raises(RuntimeError, match=f"does not know the partitions of {TOPIC}"):
        assignor.assign(cluster, members)
    cluster.update_metadata(
        MetadataResponse_v1([(0, "a", 1, None)], 0, [(0, TOPIC, False, [(0, p, 0, [0], [0]) for p in range(2)])])
    )
    plan = assignor.assign(cluster, members)
    assert sorted(partition for member in plan.values() for _, ps in member.assignment for partition in ps) == [0, 1]
    await client.stop()
