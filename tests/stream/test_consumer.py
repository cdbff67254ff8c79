"""Which records become a run, where a partition is read from, and what is committed. Without a broker.

Longer than other files: one consumer overrides hooks of Faust that hang together, and its stand-ins here serve every test.
"""
# ruff: noqa: SLF001  (the overrides of Faust's private hooks are what is tested: nothing else calls them)

import asyncio
import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.utils.queues import FlowControlQueue

from tally_stream.stream.faust import consumer as consumer_module
from tally_stream.stream.faust.consumer import RunConsumer
from tally_stream.stream.faust.settings import RUN_RECORDS
from tally_stream.stream.runs import RecordRun
from tests.stream.outlets import settle
from tests.stream.unstarted import P0, TOPIC, NoPositions, delivered, fetched, records, sought


def offsets_of(run: RecordRun) -> list[int]:
    return [record.offset for record in run.records]


async def test_a_fetch_becomes_one_message(consumer: RunConsumer) -> None:
    sought(consumer)
    (message,) = await fetched(consumer, {P0: records(0, 9)})
    run = message.value
    assert (message.offset, message.tp) == (9, P0)
    assert (offsets_of(run), run.after_seek) == (list(range(10)), True)
    (message,) = await fetched(consumer, {P0: records(12, 14)})
    assert (offsets_of(message.value), message.value.after_seek) == ([12, 13, 14], False), "a gap is passed on"


@pytest.mark.parametrize(("count", "runs"), [(RUN_RECORDS, 1), (RUN_RECORDS + 1, 2)])
async def test_a_long_fetch_is_cut(consumer: RunConsumer, count: int, runs: int) -> None:
    sought(consumer)
    messages = await fetched(consumer, {P0: records(0, count - 1)})
    assert len(messages) == runs
    assert [m.value.after_seek for m in messages] == [True] + [False] * (runs - 1)
    assert [offset for m in messages for offset in offsets_of(m.value)] == list(range(count))


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
    await settle()
    assert not waiting.done()
    room.set()
    assert (await waiting).results == ["taken"]
    room.clear()
    waiting = asyncio.create_task(consumer.wait_first(hand_over(), suspended.wait()))
    await settle()
    suspended.set()
    assert (await waiting).results == [True]
    await asyncio.sleep(0)
    assert ended == ["given up"]


async def test_a_hand_over_that_fails_tells_why_whether_it_waited_or_not(consumer: RunConsumer) -> None:
    async def hand_over(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise LookupError("no such channel")

    for turns in (0, 1, 10):
        suspended = asyncio.Event().wait()
        with pytest.raises(LookupError, match="no such channel"):
            await consumer.wait_first(hand_over(turns), suspended)
        await asyncio.sleep(0)
        assert inspect.getcoroutinestate(suspended) == inspect.CORO_CLOSED


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


async def test_what_is_left_of_a_fetch_is_dropped_when_a_rebalance_begins_between_two_runs_of_it(
    consumer: RunConsumer,
) -> None:
    sought(consumer)

    async def wait_next_records(_: float) -> Any:
        return {P0: records(0, 2 * RUN_RECORDS - 1)}, {P0}

    consumer._wait_next_records = wait_next_records
    found = []
    async for _, message in consumer.getmany(1.0):
        found.append(offsets_of(message.value)[0])
        consumer.app.consumer_generation_id += 1
    assert found == [0]


@pytest.mark.parametrize("what", ["a seek", "a revocation", "an assignment"])
async def test_each_step_of_a_rebalance_makes_what_was_fetched_before_it_stale(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A seek alone, too: what it leaves in place of the fetch begins where the fold stands."""

    async def faust_s(self: Any, *_: object) -> None: ...

    async def wait_next_records(_: float) -> Any:
        return {P0: records(0, 2 * RUN_RECORDS - 1)}, {P0}

    async def seek_to_committed() -> dict[TP, int | None]:
        return {P0: None}

    async def seek_wait(starts: dict[TP, int]) -> None: ...

    monkeypatch.setattr(driver.Consumer, "on_partitions_revoked", faust_s)
    monkeypatch.setattr(driver.Consumer, "on_partitions_assigned", faust_s)
    consumer.seek_to_committed, consumer.seek_wait, consumer.assignment = seek_to_committed, seek_wait, lambda: {P0}
    consumer._wait_next_records = wait_next_records
    sought(consumer)
    found = []
    async for _, message in consumer.getmany(1.0):
        found.append(offsets_of(message.value)[0])
        match what:
            case "a seek":
                await consumer.perform_seek()
            case "a revocation":
                await consumer.on_partitions_revoked({P0})
            case _:
                await consumer.on_partitions_assigned({P0}, consumer.app.consumer_generation_id)
        consumer.flow_active = True
    assert found == [0]


async def test_what_aiokafka_finds_no_committed_offset_for_is_sought_again_and_is_no_failure(consumer: RunConsumer) -> None:
    seeks: list[int] = []

    async def wait_next_records(_: float) -> Any:
        raise NoOffsetForPartitionError(P0)

    async def perform_seek() -> None:
        seeks.append(1)

    consumer._wait_next_records, consumer.perform_seek = wait_next_records, perform_seek
    assert [message async for message in consumer.getmany(1.0)] == []
    assert seeks == [1]
    assert consumer.transport.reasons == []


@pytest.mark.parametrize("error", [IllegalStateError("not assigned"), ConsumerStoppedError()])
async def test_a_seek_that_the_next_rebalance_overtakes_is_no_failure(consumer: RunConsumer, error: Exception) -> None:
    sought(consumer)

    async def seek_to_committed() -> Any:
        raise error

    consumer.seek_to_committed, consumer.assignment = seek_to_committed, lambda: {P0}
    with pytest.raises(type(error)):
        await consumer.perform_seek()
    assert consumer.transport.reasons == []
    assert consumer._expected == {}, "nothing is delivered before a seek succeeds"


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
    assert (offsets_of(message.value)[0], message.value.after_seek) == (sought_to, True)


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
    consumer.app.flow_control.resume()
    waiting: FlowControlQueue = FlowControlQueue(flow_control=consumer.app.flow_control, clear_on_resume=True)
    waiting.put_nowait("a run that no agent has begun")
    await consumer.drain({P0})
    assert waiting.empty(), "it is read again"
    assert commits == 1
    assert not consumer.flow_active
    assert not consumer.app.flow_control.is_active(), "no agent begins another run"
    assert consumer.transport.reasons == []


async def test_after_a_failure_a_drain_tells_nobody_and_commits_nothing(consumer: RunConsumer) -> None:
    async def planted(*_: object) -> bool:
        raise AssertionError("called")

    consumer.transport.fail("first")
    consumer._positions.partitions_revoked = consumer.commit = planted
    await consumer.drain({P0})
    assert consumer.transport.reasons == ["first"]


async def test_partitions_are_drained_before_faust_forgets_what_was_acknowledged(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought(consumer)
    order: list[str] = []
    epoch = consumer._epoch

    async def drain(partitions: set[TP]) -> None:
        assert P0 in consumer._expected
        assert consumer._epoch == epoch, "what is fetched meanwhile may be of use"
        order.append(f"drain {partitions == {P0}}")

    async def revoked(self: Any, partitions: set[TP]) -> None:
        assert consumer._expected == {}
        assert consumer._epoch > epoch
        order.append("faust")

    consumer.drain = drain
    monkeypatch.setattr(driver.Consumer, "on_partitions_revoked", revoked)
    await consumer.on_partitions_revoked({P0})
    assert order == ["drain True", "faust"]


async def test_a_stop_that_comes_during_a_drain_closes_the_consumer_by_itself(
    consumer: RunConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust would close half of it in the same moment."""

    async def planted(self: Any, *_: object) -> None:
        raise AssertionError("called")

    async def drain(_: set[TP]) -> None:
        consumer.app._stopped.set()

    consumer.drain = drain  # type: ignore[assignment]  # it takes the place of a bound method
    monkeypatch.setattr(driver.Consumer, "on_partitions_revoked", planted)
    monkeypatch.setattr(driver.Consumer, "on_partitions_assigned", planted)
    await consumer.on_partitions_revoked({P0})
    await consumer.on_partitions_assigned({P0}, 2)


async def test_a_drain_that_met_a_commit_under_way_commits_again(consumer: RunConsumer) -> None:
    """Faust's then waits for the other one, which has older offsets."""
    answers = [False, True]

    async def commit() -> bool:
        return answers.pop(0)

    consumer.commit = commit
    await consumer.drain({P0})
    assert answers == []


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
