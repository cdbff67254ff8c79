"""Decides how Kafka records reach Faust, where a partition is read from, and what may be committed.

Faust costs 40-90 us for each message. Here the unit is the *run*: the records that one fetch returned
for one partition become one Faust event, so that cost is paid once for thousands of records. This is
the only module that overrides Faust (and names aiokafka); every private name it relies on stands in
`tests/stream/relied_on.py` and is checked by the contract test beside it, so that an upgrade fails
by name. It refuses to know what the records mean: the caller says where to read next
(`PositionSource`) and acknowledges a run when all that came of it was accepted by the broker.

What a caller may rely on:

- Runs of a partition arrive in offset order, each record once between two seeks. After each seek the
  first run says so (`after_seek`). A jump in offsets is passed on (`position_before`), never hidden.
- The committed offset never passes a run that was not acknowledged, in whatever order runs are.
- Nothing is read from a place nobody chose: a partition whose records are gone is a fatal reason.
- Every surprise ends in `on_fatal(reason)`; after that nothing is committed and nothing delivered.

Read next: `counting.py` (what is done with a run), `worker.py` (who puts it together).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple, Protocol, cast

import aiokafka
import faust
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import (
    BrokerResponseError,
    ConsumerStoppedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    UnknownMemberIdError,
    kafka_errors,
)
from faust import streams as faust_streams
from faust.exceptions import ConsumerNotStarted
from faust.sensors.base import Sensor
from faust.tables.manager import TableManager
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode import Service
from mode.services import WaitResults

from tally_stream.kafka.batches import read_whole_batches
from tally_stream.stream.place import place_of
from tally_stream.stream.shares import NO_GENERATION, Key, decode_claims, encode_claims, plan_shares
from tally_stream.stream.shares import Member as GroupMember

logger = logging.getLogger(__name__)

RUN_RECORDS = 4096
"""Most records in one run: 20 ms of counting at 5 us a record, so other work gets its turn."""

POLL_RECORDS = 16_384
"""Most records decoded by one fetch call, all partitions together: about 13 MB as Python objects."""

BUFFERED_RUNS = 8
"""Runs waiting for an agent. They are dropped and read again at a rebalance, so few are best."""

FETCH_BYTES = 1024 * 1024
"""Most bytes of one partition in one fetch reply, as they travel (compressed)."""

FETCH_WAIT_MS = 50
"""How long a broker holds an empty fetch; a record that arrives ends the wait at once. A broker answers the requests of a
connection one after the other, so whatever is asked behind an empty fetch waits for it. With 500 ms a worker that came back
waited for a second until it knew where its partitions begin and end. With 50 ms an idle worker takes a little more of a core
(docs/performance.md)."""

FETCH_PACE_SECONDS = 0.008
"""Between two fetches from a broker, at least. Without it one leaves as soon as the last was taken, brings two or three
reports of a partition, and a worker that publishes after each is busy for 0.95 of a core at 2,000 reports/s
(docs/performance.md)."""

BATCH_BYTES = 512 * 1024
"""Most bytes of one produced batch."""

REQUEST_BYTES = 1024 * 1024
"""Most bytes of one produced record: Kafka's own default for a batch."""

LINGER_SECONDS = 0.0
COMMIT_SECONDS = 0.5
HEARTBEAT_SECONDS = 3.0
SESSION_SECONDS = 10.0

REBALANCE_SECONDS = 30.0
"""How long a group waits for a living member that does not join again."""

REQUEST_SECONDS = 40.0
"""Above REBALANCE_SECONDS, because a join is one request that may take that long."""

PRODUCE_SECONDS = 30.0
IDLE_SECONDS = 300.0
"""A member that fetched nothing for so long leaves; our own watchdogs act far earlier."""

DRAIN_SECONDS = 3.0
"""For finishing the run in hand when partitions go or the worker stops. What is left is read again."""

COMMIT_LIMIT_SECONDS = 2.5
"""For the commit that ends a drain: aiokafka tries for ever while no broker answers."""

FLUSH_SECONDS = 1.0
"""For answers to what was sent, before a commit (so less than that may take) and in a stop."""

CLOSE_SECONDS = 1.0
"""For each of consumer and producer to close; then their connections are cut."""

SEEK_LIMIT_SECONDS = 30.0
"""For learning committed offsets and seeking. Faust's own limit ends its recovery task in silence."""

STOP_SECONDS = 10.0
"""For the whole of `RunApp.stop`, above the sum of the limits before; then `on_fatal` ends the worker."""

WATCH_SECONDS = 1.0

FATAL_EXIT = 1
LAST_WORDS_SECONDS = 2.0
"""For the line that `fatal` writes: a full pipe that nobody reads must not keep the process alive."""


# --- what passes between this module and its caller -----------------------------------------------


@dataclass(slots=True)
class Receipt:
    """Whether a delivered run was acknowledged. Apart from the run: waiting for the commit must not
    keep thousands of records in memory."""

    last_offset: int
    is_acked: bool = False


@dataclass(slots=True)
class RecordRun:
    """The value of one Faust event: consecutive records of one partition, as one fetch returned them.

    `records` are those of `kafka/batches.py`, never empty, with `.offset`, `.timestamp` (ms), `.key` and
    `.value` (bytes or None). The first should stand at `position_before`; a later one means that offsets
    are missing (compaction or loss): judge it, it is not judged here.
    """

    topic: str
    partition: int
    records: list[Any]
    first_offset: int
    last_offset: int
    position_before: int
    after_seek: bool
    receipt: Receipt = field(default_factory=lambda: Receipt(-1), repr=False, compare=False)


class LogBounds(NamedTuple):
    """What a partition holds: the offset of its first record, and the one its next record will get."""

    log_start: int
    log_end: int


class PositionSource(Protocol):
    """Where reading goes on: the caller's folds know, the group's committed offsets do not."""

    def next_offset(self, topic: str, partition: int) -> int | None:
        """The offset to read next; None when nothing is held here (see `make_transport`)."""
        ...

    async def partitions_assigned(self, assigned: set[Key], committed: dict[Key, int | None]) -> None:
        """All run partitions this worker has now, before any run of them is delivered.

        Called at least once in each rebalance, often twice, and with nothing when nothing is left:
        what is not named is gone. None in `committed`: nothing was committed yet. Part of
        SEEK_LIMIT_SECONDS; reading the log itself is for the runs that follow.
        """
        ...

    async def partitions_revoked(self, revoked: set[Key]) -> None:
        """Flush, so that the runs in hand can be acknowledged: DRAIN_SECONDS for it, then a commit.

        A rebalance names every partition here, kept or not (and so does a stop): forget nothing yet.
        """
        ...


def fatal(reason: str, begin: str = "") -> None:
    """End the process now, with one line on stderr, before anything else can be committed. `begin`: of several, which."""
    with contextlib.suppress(Exception):  # whatever happens to the line, the process ends
        overdue = threading.Timer(LAST_WORDS_SECONDS, os._exit, [FATAL_EXIT])
        overdue.daemon = True
        overdue.start()
        sys.stderr.write(f"tally-stream: {begin}fatal: {' '.join(reason.split())}\n")
        sys.stderr.flush()
        sys.stdout.flush()
    os._exit(FATAL_EXIT)


async def _within(seconds: float, work: Coroutine[Any, Any, Any], what: str) -> bool:
    """Whether the work ended in time; otherwise a warning, and it is cancelled but not waited for. So too where it ended
    cancelled: aiokafka's fetcher lets the end of its own tasks through as that of whoever closes it.

    Not `asyncio.timeout`: Faust and mode swallow the cancellation in places (a commit that waits for
    another one starts its own instead) and then go on without a limit.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    if done and not task.cancelled():
        task.result()
        return True
    logger.warning("not within %.1f s, or cut off: %s", seconds, what)
    return False


# --- reading --------------------------------------------------------------------------------------


class RunSchema(faust.Schema):  # type: ignore[misc]  # faust is not followed by mypy
    """Hands a run through undecoded: bytes are the caller's business, and a refusal is not an error."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        """A run has no key of its own."""

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """The run, as it is."""
        return message.value


class InformedAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # as above
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
        self._claims: list[Key] | None = None
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


class _LoopWorker:
    """What mode takes for the thread of a service: the same coroutine, as a task of the loop there is."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._service._serve(), name="consumer")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Whoever waits for the shutdown must not wait for ever; what went wrong the app's crash has told."""
        self._service.set_shutdown()
        if not task.cancelled():
            task.exception()

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.done()

    def stop(self) -> None:
        """Nothing to wait for: the service has said that it is shut down."""


def pace(fetcher: Any) -> None:
    """From now on it asks a broker no sooner than FETCH_PACE_SECONDS after it last did; after a longer silence, at once."""
    fetch = fetcher._proc_fetch_request
    asked_at: dict[int, float] = {}

    async def paced(assignment: Any, node_id: int, request: Any) -> bool:
        left = asked_at.get(node_id, 0.0) + FETCH_PACE_SECONDS - monotonic()
        if left > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                return False  # as aiokafka's own does: nobody wants these records any more
        asked_at[node_id] = monotonic()
        return bool(await fetch(assignment, node_id, request))

    fetcher._proc_fetch_request = paced


class _Begun:
    """The rest of a coroutine that has come to wait for something, its first step being taken."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine, self._waits_for = coroutine, waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as error:
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(sent)
        except StopIteration as end:
            return end.value


class FencedInstanceIdError(BrokerResponseError):  # type: ignore[misc]  # as above
    """A join or its sync found another process with our instance id (Kafka's FENCED_INSTANCE_ID).

    aiokafka asks for it, and has no name for it: an operator would read "UnknownError".
    """

    errno = 82
    message = "FENCED_INSTANCE_ID"


kafka_errors.setdefault(FencedInstanceIdError.errno, FencedInstanceIdError)


class RunClient(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # as above
    """Owns the aiokafka consumer: our group settings, and when the group last knew us.

    Faust gives it a thread and a loop of its own, because agents may block. Ours do not, and the hand-over between the
    two, with one interpreter lock, cost a third of the latency (docs/performance.md): here it lives in the loop of the app.
    So a worker whose loop hangs is not kept in the group by a thread that beats on.
    """

    confirmed_at: float | None = None
    _assignor: InformedAssignor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, thread_loop=asyncio.get_event_loop(), Worker=_LoopWorker, **kwargs)

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call it here."""
        result = fun(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    async def _gather_remaining_tasks(self) -> None:
        """Nothing: the loop's other tasks are not this service's."""

    async def _keepalive2(self) -> None:
        """Nothing: it watches a thread."""

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """Nothing: the app crashes with it, and `run_worker` says why."""

    async def on_start(self) -> None:
        """Start the consumer, then listen in on its heartbeats; none is sent before the first join."""
        await super().on_start()
        consumer = self._ensure_consumer()
        read_whole_batches(consumer, self.consumer.transport.run_topics)
        self._observe(consumer._coordinator)
        pace(consumer._fetcher)

    async def on_thread_stop(self) -> None:
        """Leave in bounded time: aiokafka waits for a join in flight, and a dead broker answers none.

        What it then leaves behind would go on in the app's loop, and beat to a broker that thaws.
        """
        if await _within(CLOSE_SECONDS, super().on_thread_stop(), "the consumer's farewell"):
            return
        consumer = self._ensure_consumer()
        coordinator, fetcher = consumer._coordinator, consumer._fetcher
        left = [coordinator._coordination_task, coordinator._heartbeat_task, coordinator._commit_refresh_task]
        for task in [*left, fetcher._fetch_task, *fetcher._pending_tasks]:
            if task is not None:
                task.cancel()
        await consumer._client.close()

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        """As Faust's, but with our plan: its round robin over random member ids moves everything at a join."""
        conf = self.app.conf
        self._assignor = InformedAssignor()
        return aiokafka.AIOKafkaConsumer(
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset=conf.consumer_auto_offset_reset,
            isolation_level="read_uncommitted",
            check_crcs=conf.broker_check_crcs,
            max_poll_records=conf.broker_max_poll_records,
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    def _observe(self, coordinator: Any) -> None:
        """Note each answered heartbeat and join (aiokafka keeps the time in a local variable), and end the worker where the
        group no longer knows it, whichever request is told so first.

        aiokafka would join again, and so take the partitions back from whoever has them now: a twin started with our
        instance id would do the same to us, for ever. Such two are told at each commit, and never come to a heartbeat.
        """
        beat, commit = coordinator._do_heartbeat, coordinator._do_commit_offsets
        rejoin, joined = coordinator._do_rejoin_group, coordinator._on_join_complete

        def end_expelled() -> None:
            self.consumer.transport.fail(
                "the group no longer knows this worker: its session ended, or another process has its instance id"
            )

        async def observed_beat() -> bool:
            sent_at = monotonic()  # not the answer's time: a frozen process may read it much later
            is_known = await beat()
            if is_known:
                self.confirmed_at = sent_at
            elif not coordinator.member_id:
                end_expelled()
            return bool(is_known)

        async def observed_commit(assignment: Any, offsets: Any) -> None:
            try:
                await commit(assignment, offsets)
            except UnknownMemberIdError:  # another generation alone may be a commit that waited behind a join of ours
                end_expelled()
                raise

        async def observed_rejoin(subscription: Any) -> bool:
            try:
                return bool(await rejoin(subscription))
            except KafkaError as refused:  # aiokafka raises the `repr` of what it was answered
                if FencedInstanceIdError.__name__ in str(refused):
                    end_expelled()
                raise

        async def observed_join(generation: int, *rest: Any) -> None:
            self.confirmed_at = monotonic()
            self._assignor.on_generation(generation)
            await joined(generation, *rest)

        coordinator._do_heartbeat = observed_beat
        coordinator._do_commit_offsets = observed_commit
        coordinator._do_rejoin_group = observed_rejoin
        coordinator._on_join_complete = observed_join

    def heartbeat_age(self) -> float | None:
        """Seconds since the coordinator last confirmed this member; None before the first join."""
        return None if self.confirmed_at is None else monotonic() - self.confirmed_at

    def is_membership_lost(self) -> bool:
        """Whether another worker may own our partitions by now.

        No heartbeats are sent while a join is under way; the broker then keeps the member for the
        rebalance timeout, so that is allowed on top.
        """
        age = self.heartbeat_age()
        if age is None:
            return False
        conf = self.app.conf
        is_joining = self._ensure_consumer()._coordinator._performed_join_prepare
        return bool(age > conf.broker_session_timeout + (conf.broker_rebalance_timeout if is_joining else 0))

    def trouble(self) -> str | None:
        """What went wrong where Faust does not look; None when all is well.

        aiokafka's background tasks end or wait for ever with an error that only its own `getmany`
        raises, and Faust calls the fetcher directly: the worker would hang, looking alive.
        """
        consumer = self._consumer
        if consumer is None or consumer._closed or consumer._coordinator is None:
            return None
        coordinator = consumer._coordinator
        if coordinator._pending_exception is not None:
            return f"group coordination failed: {coordinator._pending_exception!r}"
        for name, task in (
            ("group coordination", coordinator._coordination_task),
            ("fetching", consumer._fetcher._fetch_task),
        ):
            if task.done():
                why = "was cancelled" if task.cancelled() else f"ended: {task.exception()!r}"
                return f"{name} {why}"
        if self.is_membership_lost():
            return f"no answered heartbeat for {self.heartbeat_age():.1f} s: the session is over"
        return None


class RunConsumer(driver.Consumer):  # type: ignore[misc]  # as above
    """Faust's consumer with runs for messages, and the caller's positions for committed ones.

    All state here belongs to the loop that runs the app. Between a revocation and the seek that ends
    the rebalance `_expected` is empty: nothing is delivered and nothing committed.
    """

    def __init__(self, transport: RunTransport, *args: Any, **kwargs: Any) -> None:
        self._run_topics = transport.run_topics
        self._positions = transport.positions
        self._expected: dict[TP, int] = {}  # the offset the next run of each partition begins at
        self._just_sought: set[TP] = set()
        self._receipts: dict[TP, deque[Receipt]] = {}  # delivered, not yet committed, in order
        self._epoch = 0  # counts seeks and revocations: a fetch that spans one is not to be used
        self._seeking = asyncio.Lock()
        self._acked_one = asyncio.Event()
        super().__init__(transport, *args, **kwargs)

    def _new_consumer_thread(self) -> RunClient:
        return RunClient(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 (Faust's)
        """One message for each run; those of other topics one by one, as Faust has them."""
        epoch, generation = self._epoch, self.app.consumer_generation_id

        def is_stale() -> bool:
            return (
                not self.flow_active
                or self._epoch != epoch
                or self.app.consumer_generation_id != generation
                or self.transport.failure is not None
            )

        records, active = await self._fetch(timeout)
        if not records or self.should_stop:
            return
        if is_stale() or any(self._is_run(tp) and tp not in self._expected for tp in records):
            # The fetch moved the positions past records that nobody will see.
            await self._seek_again()
            return
        for tp, item in self.scheduler.iterate(self._cut(records)):
            if is_stale():
                return  # the seek that made it stale came after the fetch, or is still to come
            if self._is_run(tp):
                yield tp, self._run_message(ensure_TP(tp), item, generation)
            elif active is None or tp in active or tp in self._buffered_partitions:
                yield tp, self._to_message(tp, item)

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109 (mode's)
        """As mode's, but at once where the first of them, a run's way to its agent, has nothing to wait for.

        Faust spends four tasks and three rounds of the loop on each run, in which whatever else is ready goes first. The
        first step runs in the caller's task, so an `asyncio.timeout` begun in it would end the caller; there is none.
        """
        handing_over, *others = coros
        if not others:  # whoever waits for one thing alone
            return await super().wait_first(*coros, timeout=timeout)
        try:
            waits_for = handing_over.send(None)
        except BaseException as end:
            for other in others:
                other.close()
            if isinstance(end, StopIteration):
                return WaitResults([handing_over], [end.value], False)
            raise
        return await super().wait_first(_Begun(handing_over, waits_for), *others, timeout=timeout)

    async def _fetch(self, wait_seconds: float) -> tuple[Mapping[TP, list[Any]] | None, set[TP] | None]:
        try:
            records, active = await self._wait_next_records(wait_seconds)
            return records, active
        except (asyncio.CancelledError, ConsumerStoppedError):
            raise
        except NoOffsetForPartitionError:
            # aiokafka looked for a committed offset between an assignment and our seek, found none, and tells it
            # now, before or after the seek. The seek decides where to read; asking twice costs one request.
            await self._seek_again()
        except OffsetOutOfRangeError as error:
            where = ", ".join(f"{tp.topic}[{tp.partition}] at {at}" for tp, at in dict(*error.args).items())
            self.transport.fail(f"the log lost records: no record to read at {where}")
        except Exception as error:
            # aiokafka retries what can be retried; what comes up here cannot.
            self.transport.fail(f"reading failed: {error!r}")
        return None, None

    def _is_run(self, tp: TP) -> bool:
        return tp.topic in self._run_topics

    def _cut(self, records: Mapping[TP, list[Any]]) -> dict[TP, list[Any]]:
        return {tp: list(_slices(items, RUN_RECORDS)) if self._is_run(tp) else items for tp, items in records.items()}

    def _run_message(self, tp: TP, records: list[Any], generation: int) -> ConsumerMessage:
        last = records[-1]
        receipt = Receipt(last.offset)
        run = RecordRun(
            topic=tp.topic,
            partition=tp.partition,
            records=records,
            first_offset=records[0].offset,
            last_offset=last.offset,
            position_before=self._expected[tp],
            after_seek=tp in self._just_sought,
            receipt=receipt,
        )
        self._expected[tp] = last.offset + 1
        self._just_sought.discard(tp)
        self._receipts[tp].append(receipt)
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            run,
            None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=generation,
        )

    def on_buffer_full(self, tp: TP) -> None:
        """Nothing for runs: the queue's own limit stops the fetcher.

        Faust would leave the partition out of fetches, and with all of them left out it sleeps for a
        whole second while the agent is done in 100 ms.
        """
        if not self._is_run(tp):
            super().on_buffer_full(tp)

    # Where to read.

    async def perform_seek(self) -> None:
        """Learn the committed offsets, tell the caller, and seek to where the caller wants to read.

        Faust calls it at the end of a rebalance, `getmany` when a fetch came to nothing; calling it
        again changes nothing. Receipts of runs that the caller's fold holds already stay, so that
        acknowledging them late still moves the commit.
        """
        async with self._seeking:
            self._epoch += 1
            self._expected.clear()
            try:
                async with asyncio.timeout(SEEK_LIMIT_SECONDS):
                    await self._seek_to_positions()
            except (IllegalStateError, ConsumerStoppedError):
                raise  # the next rebalance is under way, or the end: both seek again or never
            except Exception as error:
                self.transport.fail(f"seeking failed: {error!r}")
                raise

    async def _seek_to_positions(self) -> None:
        assigned = self.assignment()
        if not assigned:
            return
        await super().perform_seek()
        ours = {tp for tp in assigned if self._is_run(tp)}
        committed = {(tp.topic, tp.partition): self._committed_offset[tp] for tp in ours}
        await self._positions.partitions_assigned(set(committed), committed)
        starts = await self._starts(assigned)
        await self.seek_wait(starts)
        self._receipts = {tp: deque(r for r in self._receipts.get(tp, ()) if r.last_offset < starts[tp]) for tp in ours}
        for tp in ours:
            self._acked[tp].clear()  # the key is what matters: commits look only at these
        self._just_sought = set(ours)
        self._expected.update((tp, starts[tp]) for tp in ours)

    async def _starts(self, assigned: set[TP]) -> dict[TP, int]:
        starts: dict[TP, int] = {}
        from_log_start: list[TP] = []
        for tp in assigned:
            if self._is_run(tp):
                wanted = self._positions.next_offset(tp.topic, tp.partition)
                if wanted is None and tp.topic in self.transport.zero_start_topics:
                    wanted = 0
            elif self._committed_offset[tp] is not None:
                continue  # Faust's own seek has been there
            else:
                wanted = None
            if wanted is None:
                from_log_start.append(tp)
            else:
                starts[tp] = wanted
        if from_log_start:
            earliest = await self.earliest_offsets(*from_log_start)
            starts.update((ensure_TP(tp), offset) for tp, offset in earliest.items())
        return starts

    async def _seek_again(self) -> None:
        try:
            await self.perform_seek()
        except Exception as error:
            # Nothing is delivered before a seek succeeds: the rebalance's own, or the next fetch's.
            logger.info("seek put off: %r", error)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing for runs: a run's message carries its last offset, so Faust sees gaps everywhere."""
        if not self._is_run(tp):
            await super()._add_gap(tp, offset_from, offset_to)

    # What to commit.

    def ack(self, message: Message) -> bool:
        """Mark a run as done. By identity: a run read again after a seek must be acknowledged again."""
        if not self._is_run(message.tp):
            return bool(super().ack(message))
        if message.acked:
            return False
        message.acked = True
        message.value.receipt.is_acked = True
        self._unacked_messages.discard(message)
        self._acked_one.set()
        return True

    def _new_offset(self, tp: TP) -> int | None:
        """The offset after the last run of an unbroken line of acknowledged ones; None without one."""
        if not self._is_run(tp):
            return cast("int | None", super()._new_offset(tp))
        if tp not in self._expected or self.transport.failure is not None:
            return None
        committed, receipts = self._committed_offset[tp] or 0, self._receipts[tp]
        while receipts and receipts[0].last_offset < committed:
            receipts.popleft()  # committed, or replayed: nobody need acknowledge it
        done: int | None = None
        for receipt in receipts:  # not popped here: the commit may fail, and is then tried again
            if not receipt.is_acked:
                break
            done = receipt.last_offset + 1
        return done

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """As Faust's, which notes the offsets as committed even when the broker refused them."""
        before = {tp: self._committed_offset[tp] for tp in offsets}
        did_commit = await super()._commit_offsets(offsets, start_new_transaction)
        if not did_commit:
            for tp, offset in offsets.items():
                if self._committed_offset[tp] == offset:
                    self._committed_offset[tp] = before[tp]
        return bool(did_commit)

    # Partitions come and go.

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop, finish the run in hand, commit; only then Faust, which first forgets what was acked."""
        if self.app.should_stop:
            return  # Faust would close half of the consumer; the stop closes it
        await self.drain(revoked)
        if self.app.should_stop:
            return  # the stop came meanwhile
        self._epoch += 1
        self._expected.clear()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """As Faust's, and tell the caller when nothing is left: no seek follows then."""
        if self.app.should_stop:
            return
        self._epoch += 1
        self._expected.clear()
        await super().on_partitions_assigned(assigned, generation_id)
        if not any(self._is_run(tp) for tp in assigned):
            await self._told(self._positions.partitions_assigned(set(), {}))

    async def drain(self, partitions: set[TP]) -> None:
        """Stop the flow, let the runs in hand be acknowledged, commit what was: bounded in time."""
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()  # runs no agent has begun are read again
        ours = {(tp.topic, tp.partition) for tp in partitions if self._is_run(tp)}
        if not ours or self.transport.failure is not None:
            return
        await _within(DRAIN_SECONDS, self._finish_runs(ours), "the acks of all runs in hand")
        await _within(COMMIT_LIMIT_SECONDS, self._commit_all(), "the commit of a drain")

    async def _finish_runs(self, ours: set[Key]) -> None:
        await self._told(self._positions.partitions_revoked(ours))
        while self._has_runs_in_hand():
            self._acked_one.clear()
            await self._acked_one.wait()

    async def _commit_all(self) -> None:
        # Twice: the first may only wait for a commit that was under way with older offsets.
        if not await self.commit():
            await self.commit()

    def _has_runs_in_hand(self) -> bool:
        return any(self._is_run(message.tp) for message in self._unacked_messages)

    async def _told(self, call: Awaitable[None]) -> None:
        """Await the caller's code where Faust or aiokafka would log an exception and go on."""
        try:
            await call
        except Exception as error:
            self.transport.fail(f"handing over partitions failed: {error!r}")

    # Watching.

    @Service.task  # type: ignore[untyped-decorator]  # mode is not followed by mypy
    async def _watch(self) -> None:
        async for _ in self.itertimer(WATCH_SECONDS, name="consumer watch"):
            reason = self._thread.trouble() or _sender_trouble(self.app)
            if reason is not None:
                self.transport.fail(reason)

    async def verify_all_partitions_active(self) -> None:
        """Nothing: it reports quiet partitions as stuck and fails in a rebalance. Ours is `_watch`."""

    async def on_stop(self) -> None:
        """As Faust's, in bounded time; `RunApp.on_stop` has drained and committed before."""
        await _within(CLOSE_SECONDS, super().on_stop(), "the consumer's last commit")


def _slices(items: list[Any], size: int) -> Iterator[list[Any]]:
    if len(items) <= size:
        yield items
        return
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def _sender_trouble(app: Any) -> str | None:
    producer = app._producer and app._producer._producer
    task = producer and producer._sender.sender_task
    if task is None or not task.done() or task.cancelled():
        return None
    return f"sending ended: {task.exception()!r}"


# --- sending --------------------------------------------------------------------------------------


class RunProducer(driver.Producer):  # type: ignore[misc]  # as above
    """Faust's producer, idempotent, and bounded wherever a dead broker would hold up a stop."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    async def flush(self) -> None:
        """Wait for what was sent, within FLUSH_SECONDS.

        Faust flushes before each commit. An acknowledged run's outputs were accepted before, so a
        commit after a timeout is still true.
        """
        await _within(FLUSH_SECONDS, super().flush(), "answers to all that was sent")

    async def on_stop(self) -> None:
        """Close, within CLOSE_SECONDS."""
        producer = self._producer
        if not await _within(CLOSE_SECONDS, super().on_stop(), "the producer's farewell"):
            await producer.client.close()


# --- putting it together --------------------------------------------------------------------------


class RunTransport(driver.Transport):  # type: ignore[misc]  # as above
    """What `make_transport` installs: the consumer and producer above, and the worker's one way out."""

    Consumer = RunConsumer
    Producer = RunProducer

    def __init__(
        self,
        app: Any,
        positions: PositionSource,
        run_topics: frozenset[str],
        zero_start_topics: frozenset[str],
        on_fatal: Callable[[str], object],
    ) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.positions = positions
        self.run_topics = run_topics
        self.zero_start_topics = zero_start_topics
        self.failure: str | None = None
        self._on_fatal = on_fatal

    def fail(self, reason: str, error: BaseException | None = None) -> None:
        """Give up: from here on nothing is delivered or committed. Callable from any thread (a stop's watch is one).

        Of `error`, or the one that is being handled, the line names the place, and the log has the trace.
        """
        if self.failure is not None:
            return
        self.failure = reason
        error = error or sys.exception()
        place = "" if error is None else place_of(error)
        if place:
            reason = self.failure = f"{reason} ({place})"
            logger.critical("%s", reason, exc_info=error)
        self._on_fatal(reason)

    def heartbeat_age(self) -> float | None:
        """Seconds since the group last confirmed this worker; None before its first join."""
        return self._client().heartbeat_age()

    def is_membership_lost(self) -> bool:
        """Whether another worker may own our partitions: then send nothing more."""
        return self._client().is_membership_lost()

    def commit_debts(self) -> dict[Key, tuple[int, int]]:
        """Run partition → (committed offset, end of what is acknowledged), where the commit is behind.

        Empty while partitions come and go: nothing is committed then.
        """
        consumer = self.app.consumer
        debts = {}
        for tp in list(consumer._expected):
            committed, done = consumer._committed_offset[tp] or 0, consumer._new_offset(tp)
            if done is not None and done > committed:
                debts[tp.topic, tp.partition] = (committed, done)
        return debts

    def is_rebalancing(self) -> bool:
        """Whether partitions come and go now: nothing is delivered and nothing committed."""
        return not self.app.consumer._expected

    async def log_bounds(self) -> dict[Key, LogBounds]:
        """First and next offset of every run partition assigned now; two requests to the brokers.

        Callable inside `PositionSource.partitions_assigned`. Raises aiokafka's errors.
        """
        consumer = self.app.consumer
        ours = [tp for tp in consumer.assignment() if tp.topic in self.run_topics]
        if not ours:
            return {}
        starts = await consumer.earliest_offsets(*ours)
        ends = await consumer.highwaters(*ours)
        return {(tp.topic, tp.partition): LogBounds(starts[tp], ends[tp]) for tp in ours}

    def _client(self) -> RunClient:
        return cast(RunClient, self.app.consumer._thread)


def make_transport(
    app: Any,
    positions: PositionSource,
    run_topics: frozenset[str],
    *,
    zero_start_topics: frozenset[str] = frozenset(),
    on_fatal: Callable[[str], object] = fatal,
) -> RunTransport:
    """Install the transport on a Faust app, before its agents are declared.

    Where the caller holds nothing, a topic of `zero_start_topics` is read from offset 0 exactly (and
    a log that no longer begins there is fatal), the others from their log start. `on_fatal` is
    not expected to return.
    """
    if faust_streams._CStreamIterator is None:
        # The one in plain Python acknowledges the events that it skips at a rebalance.
        raise RuntimeError("Faust's compiled stream iterator is missing: is NO_CYTHON set?")
    app.finalize()
    transport = RunTransport(app, positions, run_topics, zero_start_topics, on_fatal)
    app.transport = app.producer_transport = transport
    return transport


def run_topic(app: Any, name: str) -> Any:
    """The channel for an agent that takes runs of this topic; the topic itself is never created here."""
    return app.topic(name, schema=RunSchema())


Body = Callable[[Any], Awaitable[None]]


def guarded(body: Body) -> Body:
    """An agent's body whose end, other than by a stop, is fatal.

    Faust would commit, log and start the agent again, past the event that it failed on. The body
    iterates `stream.noack().events()` and calls `event.ack()` itself, and does not yield.
    """

    @functools.wraps(body)
    async def guarded_body(stream: Any) -> None:
        transport = stream.app.transport
        try:
            await body(stream)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            transport.fail(f"agent {body.__name__} failed: {error!r}")
        else:
            if not stream.app.should_stop:
                transport.fail(f"agent {body.__name__} ended by itself")

    return guarded_body


class SlimMonitor(Sensor):  # type: ignore[misc]  # as above
    """Faust's monitor with nothing in it: our own metrics count records, which Faust cannot see."""

    def on_tp_commit(self, tp_offsets: Any) -> None:
        """Called after each commit."""

    def track_tp_end_offset(self, tp: TP, offset: int) -> None:
        """Called for each fetched message of other topics."""


class NoTables(TableManager):  # type: ignore[misc]  # as above
    """Faust's table manager without tables: it starts the seeks after a rebalance, which we need, and waits for nothing."""

    async def on_start(self) -> None:
        """As Faust's without its first second, in which an app would register tables; nothing is subscribed meanwhile.

        What acts on an assignment stands before there can be one: `_update_channels` is what the subscription waits for.
        """
        await self.recovery.start()
        await self._update_channels()


class RunApp(faust.App):  # type: ignore[misc]  # as above
    """A Faust app that runs inside our own loop: no directories, no signal handlers, a bounded stop."""

    async def on_first_start(self) -> None:
        """Nothing: Faust would make directories for tables that we do not have."""

    async def on_stop(self) -> None:
        """Finish and commit the runs in hand while the agents still live; then Faust's stop."""
        consumer = self._consumer
        if consumer is not None:
            try:
                assigned = consumer.assignment()
            except ConsumerNotStarted:
                assigned = set()
            await consumer.drain(assigned)
        await super().on_stop()

    async def stop(self) -> None:
        """Stop everything within STOP_SECONDS, or `on_fatal`.

        Watched from a thread: what hangs may hang the loop, and every timer of it.
        """
        overdue = threading.Timer(STOP_SECONDS, self.transport.fail, [f"did not stop within {STOP_SECONDS:.0f} s"])
        overdue.daemon = True
        overdue.start()
        try:
            await super().stop()
        finally:
            overdue.cancel()

    @property
    def kafka_producer(self) -> aiokafka.AIOKafkaProducer:
        """The started aiokafka producer, for `create_batch`/`send_batch`: Faust's send costs 10x."""
        return self.producer._producer


def app_settings(
    group: str,
    bootstrap: str,
    *,
    instance_id: str | None,
    credentials: Any = None,
    compression: str | None = "snappy",
) -> dict[str, Any]:
    """The keyword arguments for `RunApp`.

    `bootstrap` is `host:port[,host:port...]`. `instance_id` names this worker in the group over its
    restarts (static membership: two living workers must not share one); None makes every start a new
    member. `credentials` is an `ssl.SSLContext` or one of Faust's credentials objects. Snappy, because what leaves
    every few milliseconds is small: zstd took a tenth of the core, and the broker and every reader pay for zstd again.
    """
    return {
        "id": group,
        "broker": [f"kafka://{address.strip()}" for address in bootstrap.split(",")],
        "broker_credentials": credentials,
        "broker_client_id": instance_id or group,
        "processing_guarantee": "at_least_once",
        # The group.
        "consumer_group_instance_id": instance_id,
        "broker_session_timeout": SESSION_SECONDS,
        "broker_heartbeat_interval": HEARTBEAT_SECONDS,
        "broker_rebalance_timeout": REBALANCE_SECONDS,
        "broker_request_timeout": REQUEST_SECONDS,
        "broker_max_poll_interval": IDLE_SECONDS,
        # Reading: never from a place that was not asked for.
        "consumer_auto_offset_reset": "none",
        "consumer_max_fetch_size": FETCH_BYTES,
        "broker_max_poll_records": POLL_RECORDS,
        "broker_check_crcs": True,
        "stream_buffer_maxsize": BUFFERED_RUNS,
        "stream_wait_empty": False,  # Faust's own drain waits without limit; ours has one
        "stream_recovery_delay": 0.0,
        # Committing by time alone.
        "broker_commit_interval": COMMIT_SECONDS,
        "broker_commit_every": 2**31,
        # Sending.
        "producer_linger": LINGER_SECONDS,
        "producer_max_batch_size": BATCH_BYTES,
        "producer_max_request_size": REQUEST_BYTES,
        "producer_compression_type": compression,
        "producer_request_timeout": PRODUCE_SECONDS,
        # What Faust would do by itself, and must not.
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "reply_create_topic": False,
        "autodiscover": False,
        "web_enabled": False,
        "worker_redirect_stdouts": False,
        "store": "memory://",
        "Monitor": SlimMonitor,
        "TableManager": NoTables,
    }


async def run_worker(app: RunApp, stop: asyncio.Event) -> None:
    """Run the app in this loop until `stop` is set, then stop it. A crash or a failed start is fatal.

    Signals are the caller's: let SIGTERM set the event. Call it once for each app.
    """
    starting = asyncio.create_task(app.start())
    ended = asyncio.create_task(app.wait_until_stopped())
    asked = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and starting.exception() is not None:
            app.transport.fail(f"could not start: {starting.exception()!r}", starting.exception())
        else:
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        if app.crashed:
            app.transport.fail(f"crashed: {app.crash_reason!r}", app.crash_reason)
    finally:
        await app.stop()
        for task in (starting, ended, asked):
            task.cancel()
        await asyncio.gather(starting, ended, asked, return_exceptions=True)
