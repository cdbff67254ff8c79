"""Who may still send and commit: what the group said last of this worker, and when it was asked. Without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tally_stream.stream.faust import membership
from tally_stream.stream.faust.app import RunApp
from tally_stream.stream.faust.consumer import RunConsumer
from tally_stream.stream.faust.membership import InformedAssignor, Membership
from tally_stream.stream.faust.settings import REBALANCE_SECONDS, SESSION_SECONDS, app_settings
from tally_stream.stream.faust.transport import make_transport
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.outlet import KafkaOutlet

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


class NoPositions:
    def next_offset(self, topic: str, partition: int) -> int | None:
        return None

    async def partitions_assigned(self, assigned: object, committed: object) -> None: ...

    async def partitions_revoked(self, revoked: object) -> None: ...


@pytest.fixture
async def consumer(clock: Clock, coordinator: Coordinator) -> RunConsumer:
    """A consumer with this coordinator that is never started, and has joined at BEGIN."""
    app = RunApp(**app_settings("group", "127.0.0.1:1", instance_id="one"))
    reasons: list[str] = []
    transport = make_transport(app, NoPositions(), frozenset({"runs"}), on_fatal=reasons.append)
    transport.reasons = reasons
    consumer = app.consumer
    fetcher = SimpleNamespace(_fetch_task=asyncio.get_running_loop().create_future())
    consumer._thread._consumer = SimpleNamespace(_closed=False, _coordinator=coordinator, _fetcher=fetcher)
    consumer._thread.membership.observe(coordinator)
    await coordinator._on_join_complete(1, "member", "sticky", b"")

    async def once(*_: object, **__: object) -> Any:
        yield 0.0

    consumer.itertimer = once
    return consumer  # type: ignore[no-any-return]


async def watched(consumer: RunConsumer) -> list[str]:
    """The reasons to end after one look of the consumer's watch."""
    await RunConsumer._watch.fun(consumer)
    return list(consumer.transport.reasons)


async def test_a_worker_whose_session_is_over_ends(consumer: RunConsumer, clock: Clock) -> None:
    clock.now = BEGIN + SESSION_SECONDS
    assert await watched(consumer) == []
    clock.now += 0.25
    assert await watched(consumer) == ["no answered heartbeat for 10.2 s: the session is over"]


async def test_it_sends_nothing_more_then(consumer: RunConsumer, clock: Clock) -> None:
    sent: list[object] = []

    class Producer:
        async def send(self, *record: object, **more: object) -> Any:
            sent.append(record)
            return asyncio.get_running_loop().create_future()

    outlet = KafkaOutlet(Producer, consumer.transport.is_membership_lost)
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
    consumer: RunConsumer, coordinator: Coordinator, where: str, how: str
) -> None:
    client = consumer._thread._consumer
    task = coordinator._coordination_task if where == "coordination" else client._fetcher._fetch_task
    task.cancel() if how == "was cancelled" else task.set_exception(OSError("gone"))
    (reason,) = await watched(consumer)
    assert where in reason
    assert how in reason


async def test_what_aiokafka_would_tell_whoever_fetches_ends_the_worker(
    consumer: RunConsumer, coordinator: Coordinator
) -> None:
    coordinator._pending_exception = KeyError("planted")
    assert await watched(consumer) == ["group coordination failed: KeyError('planted')"]


async def test_a_sending_task_that_ends_ends_the_worker(consumer: RunConsumer) -> None:
    """Whatever is sent after it is kept, and never answered."""
    sender = SimpleNamespace(sender_task=None)
    consumer.app.producer._producer = SimpleNamespace(_sender=sender)
    assert await watched(consumer) == []
    sender.sender_task = asyncio.get_running_loop().create_future()
    assert await watched(consumer) == []
    sender.sender_task.set_exception(OSError("gone"))
    assert await watched(consumer) == ["sending ended: OSError('gone')"]
