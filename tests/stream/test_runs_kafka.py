"""Runs on a real Apache Kafka: order, commits, rebalances, kills, and the ways out.

Each test has its own topic and group. Nothing sleeps: `until` looks at a condition until it holds or a
deadline has passed. Run as a program, this file is the worker that some tests kill.
Longer than other files: the contract of runs is one, and its tests share one caller and one worker that is killed.
"""
# ruff: noqa: SLF001  (what the client is doing is said nowhere else)

import asyncio
import contextlib
import gc
import json
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
import warnings
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import GroupCoordinatorNotAvailableError

from tally_stream.cli.lifeline import end_with_parent
from tally_stream.stream.faust.app import RunApp, guarded, run_topic, run_worker
from tally_stream.stream.faust.client import pace
from tally_stream.stream.faust.settings import HEARTBEAT_SECONDS, SESSION_SECONDS, app_settings
from tally_stream.stream.faust.transport import make_transport
from tally_stream.stream.runs import TopicPartition
from tests.stream.members import DEADLINE_SECONDS, Folds, Member
from tests.support.brokers import KafkaOne, require_local_kafka
from tests.support.processes import LIFELINE
from tests.support.waiting import LOOK_SECONDS, until

pytestmark = pytest.mark.kafka

PARTITIONS = 4


# --- a caller of the smallest kind --------------------------------------------------------------------


class Bench:
    """A topic of its own, and what a test wants to do with it."""

    def __init__(self, bootstrap: str, admin: AIOKafkaAdminClient, producer: aiokafka.AIOKafkaProducer) -> None:
        self.bootstrap, self.admin, self.producer = bootstrap, admin, producer
        self.topic = f"topic-{uuid.uuid4().hex[:10]}"
        self.group = f"group-{self.topic}"
        self.members: list[Member] = []
        self.sent = 0

    async def create(self, partitions: int = PARTITIONS) -> None:
        await self.admin.create_topics([NewTopic(self.topic, partitions, 1)])
        self.partitions = partitions

    async def send(self, count: int) -> None:
        batches = []
        for partition in range(self.partitions):
            batch = self.producer.create_batch()
            for _ in range(count // self.partitions + (partition < count % self.partitions)):
                assert batch.append(key=b"key", value=b"value", timestamp=None) is not None
            batch.close()
            batches.append(await self.producer.send_batch(batch, self.topic, partition=partition))
        await asyncio.gather(*batches)
        self.sent += count

    async def member(self, **settings: Any) -> Member:
        member = Member(self.bootstrap, self.topic, **settings)
        self.members.append(member)
        return await member.start()

    async def committed(self) -> dict[TopicPartition, int]:
        try:
            found = await self.admin.list_consumer_group_offsets(self.group)
        except GroupCoordinatorNotAvailableError:  # a new broker, before its first group
            return {}
        return {(tp.topic, tp.partition): meta.offset for tp, meta in found.items() if meta.offset >= 0}

    async def is_committed_to_the_end(self) -> bool:
        return sum((await self.committed()).values()) == self.sent

    def whole(self) -> dict[TopicPartition, list[int]]:
        each, more = divmod(self.sent, self.partitions)
        return {(self.topic, p): list(range(each + (p < more))) for p in range(self.partitions)}


@contextlib.asynccontextmanager
async def a_bench(kafka: Any) -> AsyncIterator[Bench]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_batch_size=2**20)
    await admin.start()
    await producer.start()
    made = Bench(kafka.bootstrap, admin, producer)
    yield made
    for member in made.members:
        await member.stop()
    await producer.stop()
    await admin.close()


@pytest.fixture
async def bench(kafka_one: Any) -> AsyncIterator[Bench]:
    async with a_bench(kafka_one) as made:
        yield made


@pytest.fixture
async def freezer() -> AsyncIterator[tuple[KafkaOne, Bench]]:
    """A broker of the test's own: a thawed one fences itself some seconds later, under whoever comes next."""
    require_local_kafka()
    with KafkaOne() as kafka:
        async with a_bench(kafka) as made:
            yield kafka, made
    # aiokafka leaves a connection open whose first answer was still awaited when it was cancelled. A worker's
    # process is gone by then; here the warning would hit another test.
    made.members.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


# --- reading and committing ---------------------------------------------------------------------------


async def test_every_record_arrives_once_in_order_and_is_committed(bench: Bench) -> None:
    await bench.create()
    await bench.send(40_000)
    member = await bench.member(instance_id="one")
    await until(lambda: member.folds.count >= bench.sent // 2, "half of the records")
    await bench.send(4_003)
    await until(lambda: member.folds.count >= bench.sent, "all records")
    await until(bench.is_committed_to_the_end, "the commit of all")
    assert member.folds.offsets == bench.whole()
    assert len(member.folds.runs) < 400, "runs, not records"
    assert [after for *_, after in member.folds.runs].count(True) == PARTITIONS
    assert member.reasons == []
    fetcher = member.app.consumer._thread._consumer._fetcher
    assert fetcher._proc_fetch_request.__qualname__.startswith(pace.__name__), "it asks as often as it can"


async def test_a_restart_replays_from_zero_and_goes_on_committing(bench: Bench) -> None:
    """Replayed runs are below the committed offset, where Faust takes no acks: they must not block others."""
    await bench.create()
    await bench.send(1_000)
    first = await bench.member(instance_id="one")
    await until(bench.is_committed_to_the_end, "the first commit")
    await first.stop()
    second = await bench.member(instance_id="one")
    await until(lambda: second.folds.count >= 1_000, "the replay")
    assert second.folds.committed == dict.fromkeys(bench.whole(), 250)
    await bench.send(10)
    await until(bench.is_committed_to_the_end, "the commit of the last ten")
    assert second.folds.offsets == bench.whole()
    assert second.reasons == []


async def test_nothing_beyond_a_withheld_ack_is_committed(bench: Bench) -> None:
    await bench.create(partitions=1)
    member = await bench.member(instance_id="one")
    await until(lambda: member.folds.assigned, "the assignment")
    member.folds.holds_acks = True
    for _ in range(4):
        await bench.send(25)
        await until(lambda: member.folds.count >= bench.sent, "the run")
    held = member.folds.held
    assert len(held) == 4
    held[1].ack()
    held[3].ack()
    consumer = member.app.consumer
    await consumer.commit()
    assert await bench.committed() == {}
    held[0].ack()
    await until(lambda: _equals(bench.committed(), {(bench.topic, 0): 50}), "the commit of two runs")
    held[2].ack()
    await until(bench.is_committed_to_the_end, "the commit of all four")


async def _equals(found: Any, wanted: Any) -> bool:
    return bool(await found == wanted)


async def test_every_offset_of_a_transaction_is_a_record_without_value(bench: Bench) -> None:
    """One of them is the marker at its end, which the client never shows."""
    await bench.create(partitions=1)
    await bench.send(1)
    async with aiokafka.AIOKafkaProducer(
        bootstrap_servers=bench.bootstrap, transactional_id=f"id-{bench.topic}"
    ) as transactional:
        async with transactional.transaction():
            await transactional.send_and_wait(bench.topic, b"value", partition=0)
        member = await bench.member(instance_id="one")
        await until(lambda: member.folds.count >= 3, "a record, a transaction's, its marker")
        await bench.send(1)
    await until(lambda: member.folds.count >= 4, "the record after it")
    assert member.folds.offsets == {(bench.topic, 0): [0, 1, 2, 3]}
    assert member.folds.nulls == {(bench.topic, 0): [1, 2]}
    assert member.reasons == []


async def test_a_topic_that_need_not_begin_at_zero_is_read_from_its_start(bench: Bench) -> None:
    await bench.create(partitions=1)
    await bench.send(100)
    await bench.admin.delete_records({aiokafka.TopicPartition(bench.topic, 0): RecordsToDelete(before_offset=40)})
    member = await bench.member(instance_id="one", from_zero=False)
    await until(lambda: member.folds.count >= 60, "what is left")
    assert member.folds.offsets == {(bench.topic, 0): list(range(40, 100))}
    assert [(run[1], run[3]) for run in member.folds.runs[:1]] == [(40, True)]
    assert member.folds.bounds == {(bench.topic, 0): (40, 100)}


# --- members come and go --------------------------------------------------------------------------------


async def test_a_kept_partition_is_not_read_again(bench: Bench) -> None:
    await bench.create()
    await bench.send(2_000)
    first = await bench.member()
    await until(lambda: first.folds.count >= 2_000, "the first member's records")
    second = await bench.member()
    await until(lambda: len(second.folds.assigned) == 2 == len(first.folds.assigned), "two partitions each")
    kept, moved = set(first.folds.assigned), set(second.folds.assigned)
    assert first.folds.revocations == [set(bench.whole())], "told to flush before all went"
    assert kept | moved == set(bench.whole())
    await until(lambda: second.folds.count >= 1_000, "the moved partitions, from 0")
    await bench.send(400)
    await until(lambda: second.folds.count >= 1_200 and first.folds.count >= 2_200, "news for both")
    await until(bench.is_committed_to_the_end, "the commits of both")
    for key in kept:
        assert first.folds.offsets[key] == bench.whole()[key], "each once, over the rebalance"
    await second.stop()
    await until(lambda: first.folds.assigned == set(bench.whole()), "all partitions back")
    await bench.send(400)
    await until(bench.is_committed_to_the_end, "the commit of the one left")
    for key in kept:
        assert first.folds.offsets[key] == bench.whole()[key]
    for key in moved:
        assert first.folds.offsets[key][-len(bench.whole()[key]) :] == bench.whole()[key], "again from 0"
    assert first.reasons == second.reasons == []


async def test_a_late_ack_counts_for_a_kept_partition_without_new_records(bench: Bench) -> None:
    """The outputs of a kept partition stay; accepted after the rebalance, they move the commit."""
    await bench.create()
    first = await bench.member()
    first.folds.holds_acks = True
    await until(lambda: first.folds.assigned, "the assignment")
    await bench.send(400)
    await until(lambda: first.folds.count >= 400, "the records")
    second = await bench.member()
    await until(lambda: len(second.folds.assigned) == 2 == len(first.folds.assigned), "two partitions each")
    await until(lambda: second.folds.count >= 200, "the moved partitions")
    kept = set(first.folds.assigned)
    assert not kept & set(await bench.committed())
    for event in first.folds.held:
        event.ack()
    await until(bench.is_committed_to_the_end, "the commit")
    for key in kept:
        assert first.folds.offsets[key] == bench.whole()[key]


async def test_more_members_than_partitions(bench: Bench) -> None:
    """A member with nothing is told so, and takes over when the other goes."""
    await bench.create(partitions=1)
    await bench.send(100)
    members = [await bench.member() for _ in range(2)]
    await until(lambda: sorted(len(m.folds.assigned) for m in members) == [0, 1], "one partition, one owner")
    owner, idle = sorted(members, key=lambda m: -len(m.folds.assigned))
    await until(bench.is_committed_to_the_end, "the owner's commit")
    await owner.stop()
    await until(lambda: idle.folds.offsets == bench.whole(), "the takeover, from 0")
    await bench.send(10)
    await until(bench.is_committed_to_the_end, "the commit of the new owner")


async def test_members_joining_and_leaving_under_load(bench: Bench) -> None:
    """Whoever has a partition reads it from 0 without a gap (`Folds.take` looks); the end is committed."""
    await bench.create()
    steady = await bench.member()
    done = asyncio.Event()

    async def load() -> None:
        while not done.is_set():
            await bench.send(200)
            await asyncio.sleep(LOOK_SECONDS)

    loading = asyncio.create_task(load())
    for _ in range(3):
        guest = await bench.member()
        await until(partial(attrgetter("folds.count"), guest), "the guest's first records")
        await guest.stop()
        assert guest.reasons == []
    done.set()
    await loading
    await until(bench.is_committed_to_the_end, "the commit of all")
    for key, offsets in bench.whole().items():
        assert steady.folds.offsets[key][-len(offsets) :] == offsets, "the last read is a whole one"
    assert steady.reasons == []


# --- ways out -------------------------------------------------------------------------------------------


async def test_it_stops_in_time_and_commits_what_was_acknowledged(bench: Bench) -> None:
    await bench.create()
    await bench.send(1_000)
    member = await bench.member(instance_id="one")
    await until(lambda: member.folds.count >= 1_000, "the records")
    assert await member.stop() < 10
    assert await bench.is_committed_to_the_end(), "committed by the stop, not by the clock"
    assert member.folds.revocations == [set(bench.whole())]
    assert not member.app.consumer._thread._thread.is_alive()


async def test_it_stops_in_time_with_unacknowledged_runs(bench: Bench) -> None:
    await bench.create()
    member = await bench.member(instance_id="one")
    member.folds.holds_acks = True
    await bench.send(1_000)
    await until(lambda: member.folds.count >= 1_000, "the records")
    assert await member.stop() < 10
    assert await bench.committed() == {}


async def test_it_stops_in_time_while_it_starts(bench: Bench) -> None:
    await bench.create()
    member = await bench.member(instance_id="one")
    await until(lambda: member.app.topics.started, "connections, and no assignment yet")
    assert not member.folds.assigned
    assert await member.stop() < 10
    assert member.reasons == []


async def test_it_stops_in_time_while_connections_are_refused(freezer: tuple[KafkaOne, Bench]) -> None:
    """aiokafka's fetcher then sleeps before its next try, and its close lets that task's cancellation through."""
    kafka, bench = freezer
    await bench.create()
    await bench.send(100)
    member = await bench.member(instance_id="one")
    await until(bench.is_committed_to_the_end, "the commit")
    client = member.app.consumer._thread._consumer._client
    connect, refused = client._get_conn, list[Any]()

    async def counted(*args: Any, **kwargs: Any) -> Any:
        connection = await connect(*args, **kwargs)
        if connection is None:
            refused.append(args)
        return connection

    client._get_conn = counted
    kafka.kill(1)
    await until(lambda: len(refused) > 3, "several refused connections")
    assert await member.stop() < 10
    assert member.reasons == []
    assert not member.app.consumer._thread._thread.is_alive()


async def test_it_stops_in_time_while_the_broker_is_frozen(freezer: tuple[KafkaOne, Bench]) -> None:
    """The slowest stop there is: a run in hand, a commit under way, and records sent, all without an answer."""
    kafka, bench = freezer
    await bench.create()
    await bench.send(1_000)
    member = await bench.member(instance_id="one")
    await until(bench.is_committed_to_the_end, "the commit")
    member.folds.holds_acks = True
    await bench.send(100)
    await until(lambda: member.folds.count >= bench.sent, "the last records")
    kafka.freeze(1)
    for partition in range(PARTITIONS):
        await member.app.kafka_producer.send(bench.topic, b"unanswered", partition=partition)
    for event in member.folds.held[1:]:
        event.ack()
    await until(lambda: member.app.consumer._commit_fut is not None, "a commit under way")
    assert await member.stop() < 10
    kafka.thaw(1)
    assert member.reasons == []


async def test_a_log_that_lost_its_beginning_is_fatal(bench: Bench) -> None:
    await bench.create(partitions=1)
    await bench.send(100)
    await bench.admin.delete_records({aiokafka.TopicPartition(bench.topic, 0): RecordsToDelete(before_offset=40)})
    member = await bench.member(instance_id="one")
    await until(lambda: member.reasons, "a fatal reason")
    (reason,) = member.reasons
    assert reason.startswith(f"the log lost records: no record to read at {bench.topic}[0] at 0 (")
    assert member.folds.runs == []


async def test_a_log_shorter_than_the_fold_is_fatal(bench: Bench) -> None:
    await bench.create(partitions=1)
    await bench.send(100)
    member = await bench.member(instance_id="one")
    member.folds.next[(bench.topic, 0)] = 101
    await until(lambda: member.reasons, "a fatal reason")
    (reason,) = member.reasons
    assert reason.startswith(f"the log lost records: no record to read at {bench.topic}[0] at 101 (")


async def test_two_workers_with_one_instance_id(bench: Bench) -> None:
    """The older one gives way. Joining again would push the newer one out, and so on for ever."""
    await bench.create()
    older = await bench.member(instance_id="one")
    await until(lambda: older.folds.assigned, "the first assignment")
    coordinator, tell = older.app.consumer._thread._consumer._coordinator, older.transport._on_fatal

    def end(reason: str) -> None:
        tell(reason)
        coordinator._coordination_task.cancel()  # it joins no more: its process would have ended here

    older.transport._on_fatal = end
    newer = await bench.member(instance_id="one")
    await until(lambda: older.reasons, "a fatal reason")
    assert "no longer knows this worker" in older.reasons[0]
    await bench.send(100)
    await until(lambda: newer.folds.offsets == bench.whole(), "the newer one at work")
    assert newer.reasons == []


async def test_no_broker_is_a_failed_start() -> None:
    member = Member("127.0.0.1:1", "topic", instance_id="one")
    await member.start()
    await until(lambda: member.reasons, "a fatal reason")
    await member.stop()
    assert "could not start" in member.reasons[0]


async def test_the_age_of_the_last_heartbeat(freezer: tuple[KafkaOne, Bench]) -> None:
    kafka, bench = freezer
    await bench.create()
    member = await bench.member(instance_id="one")
    await until(lambda: member.folds.assigned, "the assignment")
    confirmed = member.app.consumer._thread.membership.confirmed_at
    await until(lambda: member.app.consumer._thread.membership.confirmed_at > confirmed, "a heartbeat")
    age = member.transport.heartbeat_age()
    assert age is not None
    assert age < HEARTBEAT_SECONDS
    assert not member.transport.is_membership_lost()
    kafka.freeze(1)
    await until(member.transport.is_membership_lost, "a lost membership")
    age = member.transport.heartbeat_age()
    assert age is not None
    assert age > SESSION_SECONDS
    await until(lambda: member.reasons, "a fatal reason")
    assert "no answered heartbeat" in member.reasons[0]
    kafka.thaw(1)


# --- a worker of its own process ------------------------------------------------------------------------


class Process:
    """This file as a worker; each run is a line on its stdout."""

    def __init__(self, bench: Bench, *faults: str) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, __file__, bench.bootstrap, bench.topic, *faults],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **LIFELINE.arguments({**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}),
        )
        self.runs: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_runs),
            threading.Thread(target=lambda: self.errors.extend(self._popen.stderr or ())),
        ]
        for reader in self._readers:
            reader.start()

    def _read_runs(self) -> None:
        for line in self._popen.stdout or ():
            with contextlib.suppress(ValueError):  # the last line of a killed process may be half a line
                self.runs.append(json.loads(line))

    @property
    def count(self) -> int:
        assert self._popen.poll() is None, self.errors
        return sum(run["last"] - run["first"] + 1 for run in self.runs)

    def offsets(self, topic: str) -> dict[TopicPartition, list[int]]:
        found: dict[TopicPartition, list[int]] = defaultdict(list)
        for run in list(self.runs):
            found[(topic, run["partition"])] += range(run["first"], run["last"] + 1)
        return found

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    async def end(self, seconds: float = DEADLINE_SECONDS) -> int:
        await until(lambda: self._popen.poll() is not None, "the end of the process", seconds)
        for reader in self._readers:
            reader.join()
        for pipe in (self._popen.stdout, self._popen.stderr):
            assert pipe is not None
            pipe.close()
        return self._popen.returncode


@pytest.fixture
async def start_process(bench: Bench) -> AsyncIterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*faults: str) -> Process:
        started.append(Process(bench, *faults))
        return started[-1]

    yield start
    for process in started:
        process.send(signal.SIGKILL)
        await process.end()


async def test_killed_and_restarted_it_reads_all_from_zero(bench: Bench, start_process: Callable[..., Process]) -> None:
    await bench.create()
    await bench.send(20_000)
    process = start_process()
    await until(lambda: process.count >= 20_000, "the first records")
    await until(bench.committed, "a commit")
    for _ in range(5):
        await bench.send(2_000)
    process.send(signal.SIGKILL)
    assert await process.end() == -signal.SIGKILL
    for _ in range(5):
        await bench.send(2_000)
    committed_before = await bench.committed()
    process = start_process()
    await until(lambda: process.count >= bench.sent, "all records again")
    await until(bench.is_committed_to_the_end, "the commit of all")
    assert process.offsets(bench.topic) == bench.whole()
    committed = await bench.committed()
    assert all(committed[key] >= offset for key, offset in committed_before.items())
    process.send(signal.SIGTERM)
    assert await process.end(10) == 0, process.errors


async def test_an_exception_in_an_agent_ends_the_process_before_a_commit(
    bench: Bench, start_process: Callable[..., Process]
) -> None:
    await bench.create()
    await bench.send(1_000)
    process = start_process("raise")
    assert await process.end() == 1
    said = r"tally-stream: fatal: agent body failed: ZeroDivisionError\('planted'\) \(\S+\.py:\d+\)\n"
    assert re.fullmatch(said, process.errors[-1])
    assert await bench.committed() == {}


async def test_a_thawed_worker_gives_way(bench: Bench, start_process: Callable[..., Process]) -> None:
    """Frozen past its session, it wakes up believing that it owns what another has read meanwhile."""
    await bench.create()
    await bench.send(1_000)
    process = start_process()
    await until(lambda: process.count >= 1_000, "the first records")
    await until(bench.is_committed_to_the_end, "the commit")
    process.send(signal.SIGSTOP)
    successor = await bench.member(instance_id="successor")
    await until(lambda: successor.folds.offsets == bench.whole(), "the takeover")
    process.send(signal.SIGCONT)
    assert await process.end() == 1
    assert "fatal:" in process.errors[-1]
    await bench.send(100)
    await until(bench.is_committed_to_the_end, "the successor's commit")
    assert successor.folds.offsets == bench.whole(), "undisturbed"
    assert successor.reasons == []


async def worker(bootstrap: str, topic: str, *faults: str) -> None:
    """What a real worker does around `run_worker`: the app, the signals, nothing else."""

    class Printing(Folds):
        def take(self, event: Any) -> None:
            super().take(event)
            run = event.value
            line = {"partition": run.partition, "first": run.records[0].offset, "last": run.records[-1].offset}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
            if "raise" in faults:
                raise ZeroDivisionError("planted")

    folds = Printing()
    app = RunApp(**app_settings(f"group-{topic}", bootstrap, instance_id="worker"))
    make_transport(app, folds, frozenset({topic}), zero_start_topics=frozenset({topic}))

    async def body(stream: Any) -> None:
        async for event in stream.noack().events():
            folds.take(event)

    app.agent(run_topic(app, topic))(guarded(body))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run_worker(app, stop)


if __name__ == "__main__":
    end_with_parent()
    asyncio.run(worker(*sys.argv[1:]))
