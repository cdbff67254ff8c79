"""What `stream/faust/` assumes of Faust, mode and aiokafka, by name; and what it does without a broker.

An upgrade of any of the three fails here first, and says which name is gone or changed.
"""

import asyncio
import importlib
import importlib.metadata
import inspect
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataResponse_v1
from faust import streams
from faust.tables.manager import TableManager
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from tally_stream.kafka import batches
from tally_stream.stream.fatal import fatal
from tally_stream.stream.faust import client as client_module
from tally_stream.stream.faust import consumer as consumer_module
from tally_stream.stream.faust import producer as producer_module
from tally_stream.stream.faust.app import RunApp, RunSchema, guarded, run_topic
from tally_stream.stream.faust.client import RunClient, pace
from tally_stream.stream.faust.consumer import RunConsumer
from tally_stream.stream.faust.left_out import NoTables, SlimMonitor
from tally_stream.stream.faust.membership import InformedAssignor
from tally_stream.stream.faust.producer import RunProducer
from tally_stream.stream.faust.settings import RUN_RECORDS, app_settings
from tally_stream.stream.faust.transport import make_transport
from tally_stream.stream.shares import decode_claims
from tests.stream.relied_on import PINNED, RELIED_ON, RELIED_ON_ATTRIBUTES

NOWHERE = "127.0.0.1:1"
TOPIC = "runs"
P0 = TP(TOPIC, 0)


# --- names and signatures -------------------------------------------------------------------------


def resolve(path: str) -> Any:
    module, _, qualified = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in filter(None, qualified.split(".")):
        found = getattr(found, name)
    return found


def bare_signature(function: Any) -> str:
    """The parameters without annotations; a default is shown by its name where it has one."""
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        default = parameter.default
        if inspect.isbuiltin(default) or inspect.isfunction(default):
            default = type("Named", (), {"__repr__": lambda _, name=default.__name__: name})()
        parameters.append(parameter.replace(annotation=inspect.Parameter.empty, default=default))
    return str(inspect.Signature(parameters))


@pytest.mark.parametrize("package", PINNED)
def test_the_versions_are_the_ones_written_against(package: str) -> None:
    assert importlib.metadata.version(package) == PINNED[package]


ALL_RELIED_ON = {**RELIED_ON, **batches.RELIED_ON}
ALL_ATTRIBUTES = [*RELIED_ON_ATTRIBUTES.items(), *batches.RELIED_ON_ATTRIBUTES.items()]


@pytest.mark.parametrize("path", ALL_RELIED_ON)
def test_a_name_still_has_its_signature(path: str) -> None:
    assert bare_signature(resolve(path)) == ALL_RELIED_ON[path]


@pytest.mark.parametrize(
    ("path", "attribute"),
    [(path, attribute) for path, names in ALL_ATTRIBUTES for attribute in names],
)
def test_an_attribute_is_still_there(path: str, attribute: str) -> None:
    owner = resolve(path)
    owners = owner.__mro__[:-1] if inspect.isclass(owner) else [owner]
    assert any(attribute in inspect.getsource(one) for one in owners if one is not object)


def overridden() -> Iterator[tuple[str, str]]:
    ours = (
        RunConsumer,
        RunClient,
        RunProducer,
        RunSchema,
        RunApp,
        InformedAssignor,
        SlimMonitor,
        NoTables,
    )
    listed = {path.rpartition(".")[2] for path in RELIED_ON}
    for cls in ours:
        for name, value in vars(cls).items():
            if callable(value) and not name.startswith("__") and any(hasattr(base, name) for base in cls.__mro__[1:]):
                yield f"{cls.__name__}.{name}", name if name in listed else ""


@pytest.mark.parametrize(("where", "listed"), list(overridden()))
def test_every_override_is_listed(where: str, listed: str) -> None:
    assert listed or where.startswith("SlimMonitor"), f"{where} overrides a name that RELIED_ON does not have"


# --- behaviour that a signature does not show -----------------------------------------------------


def test_faust_s_table_manager_does_at_its_start_what_ours_does_and_sleeps() -> None:
    source = inspect.getsource(TableManager.on_start)
    assert re.findall(r"await (.+)", source) == ["self.sleep(1.0)", "self._update_channels()", "self.recovery.start()"]
    assert "_tables_finalized.set()" in inspect.getsource(TableManager._update_channels)


async def test_nothing_is_subscribed_before_what_acts_on_an_assignment_has_started(consumer: RunConsumer) -> None:
    tables = consumer.app.tables
    assert isinstance(tables, NoTables)
    order: list[str] = []

    async def note(what: str) -> None:
        order.append(what)

    tables.recovery.start = lambda: note("recovery")
    tables._update_channels = lambda: note("channels")
    async with asyncio.timeout(0.5):
        await tables.on_start()
    assert order == ["recovery", "channels"]


def test_the_compiled_stream_iterator_is_in_use() -> None:
    """The one in plain Python acknowledges events that it skips; the compiled one does not."""
    assert streams._CStreamIterator is not None
    assert "streams" in streams._CStreamIterator.__module__


def test_heartbeats_and_joins_go_through_the_names_we_replace() -> None:
    assert "await self._do_heartbeat()" in inspect.getsource(GroupCoordinator._heartbeat_routine)
    assert "await self._do_rejoin_group(subscription)" in inspect.getsource(GroupCoordinator.ensure_active_group)
    for told_so in (CoordinatorGroupRebalance.perform_group_join, CoordinatorGroupRebalance._send_sync_group_request):
        assert "raise Errors.KafkaError(repr(err))" in inspect.getsource(told_so)
    assert "await self._on_join_complete(" in inspect.getsource(GroupCoordinator._do_rejoin_group)
    assert "self._do_commit_offsets(assignment, offsets)" in inspect.getsource(GroupCoordinator.commit_offsets)
    assert "self._coordinator = GroupCoordinator(" in inspect.getsource(AIOKafkaConsumer.start)


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


def test_fetches_and_hand_overs_go_through_the_names_we_replace() -> None:
    assert "self._proc_fetch_request(assignment, node_id, request)" in inspect.getsource(Fetcher._fetch_requests_routine)
    draining = "".join(inspect.getsource(Consumer._drain_messages).split())
    assert "awaitself.wait_first(callback(message),self.suspend_flow.wait())" in draining


def test_heartbeats_rest_exactly_while_a_join_is_prepared() -> None:
    source = inspect.getsource(GroupCoordinator.ensure_active_group)
    order = ["self._performed_join_prepare = True", "_stop_heartbeat_task()", "_do_rejoin_group("]
    order += ["self._performed_join_prepare = False", "_start_heartbeat_task()"]
    places = [source.index(step) for step in order]
    assert places == sorted(places)


def test_faust_commits_what_new_offset_says_for_partitions_in_acked() -> None:
    assert "for tp in self._acked" in inspect.getsource(Consumer._filter_tps_with_pending_acks)
    assert "self._new_offset(tp)" in inspect.getsource(Consumer._filter_committable_offsets)


def test_faust_still_notes_a_refused_commit_as_done() -> None:
    """If this fails, `_commit_offsets` may be needed no longer."""
    source = inspect.getsource(Consumer._commit_offsets)
    assert source.index("did_commit = await self._commit(") < source.index("self._committed_offset.update(")


def test_our_task_runs_beside_faust_s_own() -> None:
    assert {"_watch", "_commit_handler"} <= RunConsumer._tasks[RunConsumer._get_class_id()]


# --- settings -------------------------------------------------------------------------------------


@pytest.fixture
async def consumer() -> RunConsumer:
    """A consumer that is never started: its own logic, with nothing behind it."""
    app = RunApp(**app_settings("group", NOWHERE, instance_id="one"))
    reasons: list[str] = []
    transport = make_transport(
        app, NoPositions(), frozenset({TOPIC}), zero_start_topics=frozenset({TOPIC}), on_fatal=reasons.append
    )
    transport.reasons = reasons
    return app.consumer  # type: ignore[no-any-return]


class NoPositions:
    def next_offset(self, topic: str, partition: int) -> int | None:
        return None

    async def partitions_assigned(self, assigned: object, committed: object) -> None: ...

    async def partitions_revoked(self, revoked: object) -> None: ...


def test_settings_mean_to_faust_what_they_say(consumer: RunConsumer) -> None:
    conf = consumer.app.conf
    assert conf.id == "group"
    assert [str(url) for url in conf.broker_consumer] == [f"kafka://{NOWHERE}"]
    assert (conf.broker_session_timeout, conf.broker_heartbeat_interval) == (10.0, 3.0)
    assert conf.consumer_group_instance_id == "one"
    assert conf.consumer_auto_offset_reset == "none"
    assert not conf.stream_wait_empty
    assert not conf.topic_allow_declare
    assert conf.topic_disable_leader
    assert 8 <= conf.stream_buffer_maxsize <= 16
    assert conf.broker_rebalance_timeout < conf.broker_request_timeout
    assert type(consumer.app.monitor) is SlimMonitor


def test_several_bootstrap_addresses(consumer: RunConsumer) -> None:
    settings = app_settings("group", "a:1, b:2", instance_id=None)
    assert settings["broker"] == ["kafka://a:1", "kafka://b:2"]


def test_nothing_listens(consumer: RunConsumer) -> None:
    assert list(consumer.app.boot_strategy.web_server()) == []


async def test_the_producer_is_idempotent_and_patient_within_reason(consumer: RunConsumer) -> None:
    producer = consumer.app.producer
    settings = {**producer._settings_default(), **producer._settings_auth(), **producer._settings_extra()}
    assert settings["acks"] == "all"
    assert settings["enable_idempotence"] is True
    assert settings["max_batch_size"] >= 128 * 1024
    assert settings["linger_ms"] <= 10
    assert settings["request_timeout_ms"] == 30_000
    assert settings["compression_type"] == "snappy"


def test_the_plan_is_asked_for_by_the_names_we_replace() -> None:
    assert "assignor.metadata(topics)" in inspect.getsource(CoordinatorGroupRebalance.perform_group_join)
    planning = inspect.getsource(GroupCoordinator._perform_assignment)
    assert "assignor.assign(self._cluster, member_metadata)" in planning
    assert "assignor.on_assignment(assignment)" in inspect.getsource(GroupCoordinator._on_join_complete)


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


def test_without_the_compiled_iterator_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_CStreamIterator", None)
    with pytest.raises(RuntimeError, match="NO_CYTHON"):
        make_transport(object(), NoPositions(), frozenset())


def test_a_run_passes_the_schema_undecoded(consumer: RunConsumer) -> None:
    topic = run_topic(consumer.app, TOPIC)
    run = object()
    message = SimpleNamespace(key=None, value=run)
    assert topic.schema.loads_value(consumer.app, message, loads=None) is run
    assert topic.schema.loads_key(consumer.app, message, loads=None) is None


# --- runs -----------------------------------------------------------------------------------------


def records(first: int, last: int) -> list[Any]:
    return [SimpleNamespace(offset=at, timestamp=1000, timestamp_type=0) for at in range(first, last + 1)]


def sought(consumer: RunConsumer, offset: int = 0, committed: int | None = None) -> None:
    """As after a seek of partition 0."""
    consumer._expected[P0] = offset
    consumer._just_sought.add(P0)
    consumer._receipts.setdefault(P0, deque())
    consumer._committed_offset[P0] = committed
    consumer.flow_active = True


async def fetched(consumer: RunConsumer, found: dict[TP, list[Any]]) -> list[Any]:
    async def wait_next_records(_: float) -> Any:
        return found, set(found)

    consumer._wait_next_records = wait_next_records
    return [message async for _, message in consumer.getmany(1.0)]


def delivered(consumer: RunConsumer, *spans: tuple[int, int]) -> list[Any]:
    messages = [consumer._run_message(P0, records(*span), 0) for span in spans]
    for message in messages:
        message.refcount = 1
    return messages


async def test_a_fetch_becomes_one_message(consumer: RunConsumer) -> None:
    sought(consumer)
    (message,) = await fetched(consumer, {P0: records(0, 9)})
    run = message.value
    assert (message.offset, message.tp) == (9, P0)
    assert (run.first_offset, run.last_offset, run.position_before, run.after_seek) == (0, 9, 0, True)
    (message,) = await fetched(consumer, {P0: records(12, 14)})
    assert (message.value.position_before, message.value.after_seek) == (10, False), "a gap is passed on"


@pytest.mark.parametrize(("count", "runs"), [(RUN_RECORDS, 1), (RUN_RECORDS + 1, 2)])
async def test_a_long_fetch_is_cut(consumer: RunConsumer, count: int, runs: int) -> None:
    sought(consumer)
    messages = await fetched(consumer, {P0: records(0, count - 1)})
    assert len(messages) == runs
    assert [m.value.first_offset for m in messages] == [m.value.position_before for m in messages]
    assert [m.value.after_seek for m in messages] == [True] + [False] * (runs - 1)
    assert sum(len(m.value.records) for m in messages) == count


async def test_a_run_that_nobody_keeps_waiting_is_handed_over_at_once(consumer: RunConsumer) -> None:
    handed_over: list[str] = []

    async def hand_over() -> str:
        handed_over.append("run")
        return "taken"

    suspended = asyncio.Event().wait()
    winners = consumer.wait_first(hand_over(), suspended)
    with pytest.raises(StopIteration) as ended:  # before it has given way to anything else
        winners.send(None)
    assert handed_over == ["run"]
    assert ended.value.value.results == ["taken"]
    assert inspect.getcoroutinestate(suspended) == inspect.CORO_CLOSED


async def test_one_thing_alone_is_waited_for_as_ever(consumer: RunConsumer) -> None:
    flow = asyncio.Event()
    waiting = asyncio.create_task(consumer.wait(flow))
    await asyncio.sleep(0)
    assert not waiting.done()
    flow.set()
    assert (await waiting).result is True


async def test_a_run_that_has_to_wait_does_until_there_is_room_or_the_flow_is_suspended(consumer: RunConsumer) -> None:
    room, suspended = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def hand_over() -> str:
        try:
            await room.wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            ended.append("given up")
            raise
        return "taken"

    waiting = asyncio.create_task(consumer.wait_first(hand_over(), suspended.wait()))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    room.set()
    assert (await waiting).results == ["taken"]
    room.clear()
    waiting = asyncio.create_task(consumer.wait_first(hand_over(), suspended.wait()))
    await asyncio.sleep(0.01)
    suspended.set()
    assert (await waiting).results == [True]
    await asyncio.sleep(0)
    assert ended == ["given up"]


async def test_a_hand_over_that_fails_tells_why_whether_it_waited_or_not(consumer: RunConsumer) -> None:
    async def hand_over(pause: float | None) -> None:
        if pause is not None:
            await asyncio.sleep(pause)
        raise LookupError("no such channel")

    for pause in (None, 0.0, 0.01):
        suspended = asyncio.Event().wait()
        with pytest.raises(LookupError, match="no such channel"):
            await consumer.wait_first(hand_over(pause), suspended)
        await asyncio.sleep(0)
        assert inspect.getcoroutinestate(suspended) == inspect.CORO_CLOSED


class PacedFetcher:
    """As much of aiokafka's as `pace` takes hold of."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float]] = []

    async def _proc_fetch_request(self, assignment: object, node_id: int, request: object) -> bool:
        self.asked.append((node_id, monotonic()))
        return True


async def test_a_broker_is_asked_no_more_often_than_agreed_and_each_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FETCH_PACE_SECONDS", 0.2)
    fetcher = PacedFetcher()
    pace(fetcher)
    begin = monotonic()
    for node in (1, 2, 1):
        assert await fetcher._proc_fetch_request(None, node, None)
    at = [(node, when - begin) for node, when in fetcher.asked]
    assert [node for node, _ in at] == [1, 2, 1]
    assert at[1][1] < 0.2 <= at[2][1] - at[0][1]
    await asyncio.sleep(0.2)
    begin = monotonic()
    await fetcher._proc_fetch_request(None, 1, None)
    assert fetcher.asked[-1][1] - begin < 0.2, "a broker that was left alone for so long"


async def test_a_fetch_that_is_called_off_while_it_waits_brings_nothing_and_asks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "FETCH_PACE_SECONDS", 30.0)
    fetcher = PacedFetcher()
    pace(fetcher)
    await fetcher._proc_fetch_request(None, 1, None)
    waiting = asyncio.create_task(fetcher._proc_fetch_request(None, 1, None))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await waiting is False
    assert len(fetcher.asked) == 1


async def test_a_fetch_that_spans_a_rebalance_is_dropped_and_sought_again(consumer: RunConsumer) -> None:
    sought(consumer)
    seeks = 0

    async def perform_seek() -> None:
        nonlocal seeks
        seeks += 1

    consumer.perform_seek = perform_seek

    async def while_fetching(change: Any) -> list[Any]:
        async def wait_next_records(_: float) -> Any:
            change()
            return {P0: records(0, 9)}, {P0}

        consumer._wait_next_records = wait_next_records
        return [message async for message in consumer.getmany(1.0)]

    def next_generation() -> None:
        consumer.app.consumer_generation_id += 1

    def next_epoch() -> None:
        consumer._epoch += 1

    for change in (next_generation, next_epoch, consumer._expected.clear, consumer.stop_flow):
        assert await while_fetching(change) == []
    assert seeks == 4


async def test_other_topics_are_left_as_they_are(consumer: RunConsumer) -> None:
    other = TP("other", 0)
    record = SimpleNamespace(
        topic="other", partition=0, offset=5, timestamp=1, timestamp_type=0, headers=(), key=b"k", value=b"v",
        checksum=None, serialized_key_size=1, serialized_value_size=1,
    )  # fmt: skip
    (message,) = await fetched(consumer, {other: [record]})
    assert (message.offset, message.value) == (5, b"v")


async def test_a_fetch_error_is_fatal(consumer: RunConsumer) -> None:
    async def wait_next_records(_: float) -> Any:
        raise OffsetOutOfRangeError({P0: 7})

    consumer._wait_next_records = wait_next_records
    assert [message async for message in consumer.getmany(1.0)] == []
    (reason,) = consumer.transport.reasons
    assert reason.startswith("the log lost records: no record to read at runs[0] at 7 (")


async def test_after_a_failure_nothing_is_delivered_or_committed(consumer: RunConsumer) -> None:
    sought(consumer)
    (message,) = delivered(consumer, (0, 9))
    message.ack(consumer)
    assert consumer._new_offset(P0) == 10
    consumer.transport.fail("first")
    consumer.transport.fail("second")
    assert consumer._new_offset(P0) is None
    assert await fetched(consumer, {P0: records(10, 19)}) == []
    assert consumer.transport.reasons == ["first"]


def test_a_full_queue_leaves_run_partitions_in_the_fetch(consumer: RunConsumer) -> None:
    other = TP("other", 0)
    consumer._active_partitions = {P0, other}
    consumer.on_buffer_full(P0)
    consumer.on_buffer_full(other)
    assert consumer._active_partitions == {P0}


# --- commits --------------------------------------------------------------------------------------


def test_an_early_ack_waits_for_the_runs_before_it(consumer: RunConsumer) -> None:
    sought(consumer)
    one, two, three = delivered(consumer, (0, 9), (10, 19), (20, 29))
    three.ack(consumer)
    assert consumer._new_offset(P0) is None
    one.ack(consumer)
    assert consumer._new_offset(P0) == 10
    assert consumer._new_offset(P0) == 10, "asking changes nothing: a commit that failed is tried again"
    two.ack(consumer)
    assert consumer._new_offset(P0) == 30


def test_runs_below_the_committed_offset_need_no_ack(consumer: RunConsumer) -> None:
    sought(consumer, committed=20)
    _replayed, _replayed_too, new = delivered(consumer, (0, 9), (10, 19), (20, 29))
    assert consumer._new_offset(P0) is None
    new.ack(consumer)
    assert consumer._new_offset(P0) == 30


def test_a_run_across_the_committed_offset_needs_its_ack(consumer: RunConsumer) -> None:
    sought(consumer, committed=15)
    across, new = delivered(consumer, (10, 19), (20, 29))
    new.ack(consumer)
    assert consumer._new_offset(P0) is None
    across.ack(consumer)
    assert consumer._new_offset(P0) == 30


def test_a_run_of_one_record_at_the_committed_offset_needs_its_ack(consumer: RunConsumer) -> None:
    """The committed offset is the first that is not committed yet."""
    sought(consumer, offset=20, committed=20)
    one, more = delivered(consumer, (20, 20), (21, 29))
    more.ack(consumer)
    assert consumer._new_offset(P0) is None
    one.ack(consumer)
    assert consumer._new_offset(P0) == 30


def test_the_ack_of_a_run_read_before_does_not_count_for_the_one_read_again(consumer: RunConsumer) -> None:
    sought(consumer)
    (before,) = delivered(consumer, (0, 9))
    consumer._receipts[P0].clear()  # as a seek back to 0 does
    (again,) = delivered(consumer, (0, 9))
    before.ack(consumer)
    assert consumer._new_offset(P0) is None
    again.ack(consumer)
    assert consumer._new_offset(P0) == 10


def test_nothing_is_committed_between_a_revocation_and_the_seek(consumer: RunConsumer) -> None:
    sought(consumer)
    (message,) = delivered(consumer, (0, 9))
    message.ack(consumer)
    assert not consumer.transport.is_rebalancing()
    consumer._expected.clear()
    assert consumer._new_offset(P0) is None
    assert consumer.transport.is_rebalancing()
    assert consumer.transport.commit_debts() == {}


def test_what_is_acknowledged_above_the_committed_offset_is_a_debt_until_it_is_committed(consumer: RunConsumer) -> None:
    sought(consumer, offset=5, committed=5)
    one, _two = delivered(consumer, (5, 9), (10, 19))
    assert consumer.transport.commit_debts() == {}
    one.ack(consumer)
    assert consumer.transport.commit_debts() == {(TOPIC, 0): (5, 10)}
    consumer._committed_offset[P0] = 10
    assert consumer.transport.commit_debts() == {}


def test_the_first_commit_of_all_is_a_debt_too(consumer: RunConsumer) -> None:
    sought(consumer, committed=None)
    (message,) = delivered(consumer, (0, 0))
    message.ack(consumer)
    assert consumer.transport.commit_debts() == {(TOPIC, 0): (0, 1)}


async def test_a_refused_commit_is_tried_again(consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
    sought(consumer, committed=5)
    (message,) = delivered(consumer, (5, 9))
    message.ack(consumer)

    async def refused(self: Any, offsets: Any, _: bool) -> bool:
        self._committed_offset.update(offsets)
        return False

    monkeypatch.setattr(Consumer, "_commit_offsets", refused)
    assert not await consumer._commit_offsets({P0: 10})
    assert consumer._committed_offset[P0] == 5
    assert consumer._new_offset(P0) == 10


async def test_a_seek_keeps_what_the_fold_holds_and_forgets_the_rest(consumer: RunConsumer) -> None:
    """The fold is at 20: the runs before it are only waiting for their ack, the one after is read again."""
    sought(consumer)
    held, held_too, begun = delivered(consumer, (0, 9), (10, 19), (20, 29))
    asked: list[Any] = []

    async def seek_to_committed() -> dict[TP, int | None]:
        return {P0: None}

    async def seek_wait(starts: dict[TP, int]) -> None:
        asked.append(starts)

    class AtTwenty(NoPositions):
        def next_offset(self, topic: str, partition: int) -> int | None:
            return 20

    consumer._positions = AtTwenty()
    consumer.assignment = lambda: {P0}
    consumer.seek_to_committed, consumer.seek_wait = seek_to_committed, seek_wait
    for _ in range(2):
        await consumer.perform_seek()
    assert asked == [{P0: 20}] * 2
    for message in (held, held_too, begun):
        message.ack(consumer)
    assert consumer._new_offset(P0) == 20
    (again,) = delivered(consumer, (20, 29))
    assert again.value.after_seek
    assert P0 in consumer._acked, "without the key no commit looks at the partition"


class Told(NoPositions):
    """Remembers what it is told, and has folds at these offsets."""

    def __init__(self, folds: dict[tuple[str, int], int]) -> None:
        self.folds = folds
        self.assigned: list[Any] = []

    def next_offset(self, topic: str, partition: int) -> int | None:
        return self.folds.get((topic, partition))

    async def partitions_assigned(self, assigned: object, committed: object) -> None:
        self.assigned.append((assigned, committed))


@pytest.mark.parametrize(
    ("folds", "is_zero_start", "sought_to"),
    [({}, True, 0), ({}, False, 7), ({(TOPIC, 0): 12}, True, 12), ({(TOPIC, 0): 12}, False, 12), ({(TOPIC, 0): 0}, False, 0)],
    ids=["new, of the reports", "new, of another topic", "folded", "folded, of another topic", "folded nothing yet"],
)
async def test_a_partition_is_read_from_its_fold_s_place_or_from_its_beginning_and_never_from_what_is_committed(
    consumer: RunConsumer, folds: dict[tuple[str, int], int], is_zero_start: bool, sought_to: int
) -> None:
    """Reports are a whole log or none: one that begins at 7 is read from 0, where the broker says what is gone."""
    told = Told(folds)
    asked: list[dict[TP, int]] = []

    async def seek_to_committed() -> dict[TP, int | None]:
        return {P0: 20}

    async def earliest_offsets(*partitions: TP) -> dict[TP, int]:
        return dict.fromkeys(partitions, 7)

    async def seek_wait(starts: dict[TP, int]) -> None:
        asked.append(starts)

    consumer._positions, consumer.assignment = told, lambda: {P0}
    consumer.transport.zero_start_topics = frozenset({TOPIC} if is_zero_start else ())
    consumer.seek_to_committed, consumer.earliest_offsets, consumer.seek_wait = seek_to_committed, earliest_offsets, seek_wait
    await consumer.perform_seek()
    assert asked == [{P0: sought_to}]
    assert told.assigned == [({(TOPIC, 0)}, {(TOPIC, 0): 20})]
    (message,) = delivered(consumer, (sought_to, sought_to + 2))
    assert (message.value.position_before, message.value.after_seek) == (sought_to, True)


async def test_a_run_that_ends_where_the_fold_stands_is_read_again_and_needs_its_ack_again(consumer: RunConsumer) -> None:
    """A fold at 9 holds the records before 9: the receipt of a run up to 9 is that of a run which is read again."""
    sought(consumer)
    (begun,) = delivered(consumer, (0, 9))

    async def seek_to_committed() -> dict[TP, int | None]:
        return {P0: None}

    async def seek_wait(starts: dict[TP, int]) -> None: ...

    consumer._positions, consumer.assignment = Told({(TOPIC, 0): 9}), lambda: {P0}
    consumer.seek_to_committed, consumer.seek_wait = seek_to_committed, seek_wait
    await consumer.perform_seek()
    delivered(consumer, (9, 9))
    begun.ack(consumer)
    assert consumer._new_offset(P0) is None


async def test_a_member_left_with_nothing_is_told(consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust seeks nothing then, and the folds would stay."""

    async def assigned(self: Any, partitions: Any, generation_id: int) -> None: ...

    monkeypatch.setattr(driver.Consumer, "on_partitions_assigned", assigned)
    sought(consumer)
    consumer._positions = told = Told({})
    await consumer.on_partitions_assigned({P0}, 1)
    assert told.assigned == [], "the seek tells"
    assert consumer._expected == {}
    await consumer.on_partitions_assigned(set(), 2)
    assert told.assigned == [(set(), {})]


async def test_a_drain_is_bounded_and_commits_what_was_acknowledged(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(NoPositions):
        async def partitions_revoked(self, revoked: object) -> None:
            assert revoked == {(TOPIC, 0)}
            await asyncio.get_running_loop().create_future()

    commits = 0

    async def commit() -> bool:
        nonlocal commits
        commits += 1
        return True

    monkeypatch.setattr(consumer_module, "DRAIN_SECONDS", 0.01)
    consumer._positions, consumer.commit = Hanging(), commit
    await consumer.drain({P0})
    assert commits == 1
    assert not consumer.flow_active
    assert consumer.transport.reasons == []


async def test_a_drain_that_met_a_commit_under_way_commits_again(consumer: RunConsumer) -> None:
    """Faust's then waits for the other one, which has older offsets."""
    answers = [False, True]

    async def commit() -> bool:
        return answers.pop(0)

    consumer.commit = commit
    await consumer.drain({P0})
    assert answers == []


async def test_a_flush_behind_a_dead_broker_ends_and_one_that_fails_is_told(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust flushes before each commit: what can't be sent would hold up every commit of what was."""
    fate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def flush(self: Any) -> None:
        await fate

    monkeypatch.setattr(driver.Producer, "flush", flush)
    monkeypatch.setattr(producer_module, "FLUSH_SECONDS", 0.01)
    async with asyncio.timeout(5):
        await consumer.app.producer.flush()
    fate = asyncio.get_running_loop().create_future()
    fate.set_exception(OSError("planted"))
    with pytest.raises(OSError, match="planted"):
        await consumer.app.producer.flush()


async def test_a_drain_waits_for_the_run_in_hand(consumer: RunConsumer) -> None:
    sought(consumer)
    in_hand, _queued = delivered(consumer, (0, 9), (10, 19))
    consumer._unacked_messages.add(in_hand)  # as the stream does when it hands a run to the agent

    async def commit() -> bool:
        assert in_hand.acked
        return True

    consumer.commit = commit
    draining = asyncio.create_task(consumer.drain({P0}))
    done, _ = await asyncio.wait([draining], timeout=0.05)
    assert not done
    in_hand.ack(consumer)
    await draining


@pytest.mark.parametrize("name", ["partitions_revoked", "partitions_assigned"])
async def test_a_caller_that_raises_is_fatal(consumer: RunConsumer, name: str) -> None:
    async def planted(*_: object) -> None:
        raise KeyError("planted")

    async def seek_to_committed() -> dict[TP, int | None]:
        return {P0: None}

    setattr(consumer._positions, name, planted)
    consumer.seek_to_committed, consumer.assignment = seek_to_committed, lambda: {P0}
    if name == "partitions_revoked":
        await consumer.drain({P0})
    else:
        with pytest.raises(KeyError):
            await consumer.perform_seek()
    (reason,) = consumer.transport.reasons
    assert "KeyError('planted')" in reason


# --- ends -----------------------------------------------------------------------------------------


async def run_guarded(body: Any, *, stopping: bool = False) -> list[str]:
    reasons: list[str] = []
    app = SimpleNamespace(should_stop=stopping, transport=SimpleNamespace(fail=reasons.append))
    await guarded(body)(SimpleNamespace(app=app))
    return reasons


async def test_an_agent_that_raises_is_fatal() -> None:
    async def body(_: Any) -> None:
        raise KeyError("x")

    assert await run_guarded(body) == ["agent body failed: KeyError('x')"]


async def test_the_line_names_the_place_of_the_innermost_cause_and_the_log_has_the_trace(
    consumer: RunConsumer, caplog: pytest.LogCaptureFixture
) -> None:
    def planted() -> None:
        raise KeyError(3)

    async def body(_: Any) -> None:
        try:
            planted()
        except KeyError as error:
            raise RuntimeError("of a record") from error

    line = planted.__code__.co_firstlineno + 1
    app = SimpleNamespace(should_stop=False, transport=consumer.transport)
    await guarded(body)(SimpleNamespace(app=app))
    place = f"tests/stream/test_batching_contract.py:{line}"
    assert consumer.transport.reasons == [f"agent body failed: RuntimeError('of a record') ({place})"]
    (entry,) = caplog.records
    assert entry.exc_info is not None
    assert isinstance(entry.exc_info[1], RuntimeError)


async def test_a_reason_without_an_error_is_as_it_was_given(consumer: RunConsumer) -> None:
    consumer.transport.fail("the session is over")
    assert consumer.transport.reasons == ["the session is over"]


async def test_an_agent_that_ends_is_fatal_unless_the_app_stops() -> None:
    async def body(_: Any) -> None: ...

    assert await run_guarded(body) == ["agent body ended by itself"]
    assert await run_guarded(body, stopping=True) == []


async def test_a_cancelled_agent_is_not_a_failure() -> None:
    async def body(_: Any) -> None:
        await asyncio.get_running_loop().create_future()

    reasons = asyncio.create_task(run_guarded(body))
    await asyncio.wait([reasons], timeout=0.01)
    reasons.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reasons


def test_fatal_is_one_line_and_an_exit_code() -> None:
    program = f"from {fatal.__module__} import fatal\ntry:\n fatal('a\\nb', 'process 2: ')\nfinally:\n print('never')"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines()[-1] == "tally-stream: process 2: fatal: a b"
