"""The worker: waits for its broker, checks its topics, then runs both stages in one Faust app until told to stop.

Decides when to start and when to refuse (every reason at once), and the lost-log checks at each assignment. The only
module of `stream/` that knows the settings. Read `topology.py` for the stages.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from tally_stream.domain import fold
from tally_stream.domain.election import Election
from tally_stream.kafka.client import TopicReader, ssl_context, wait_for_broker
from tally_stream.kafka.topics import Topics, check_topics
from tally_stream.metrics import Sample, registry_of
from tally_stream.settings import Settings, why_not_listening
from tally_stream.stream.batching import (
    RunApp,
    RunTransport,
    app_settings,
    fatal,
    make_transport,
    run_worker,
)
from tally_stream.stream.counting import BrokenInvariant, Counting
from tally_stream.stream.health import HealthServer
from tally_stream.stream.merging import Merging, check_published, note_offsets
from tally_stream.stream.shares import Key
from tally_stream.stream.topology import declare
from tally_stream.stream.watchdog import Watchdog, Watched

GC_THRESHOLDS = (5_000, 200, 100)
"""A million live objects under the default thresholds made decoding 1.8 times slower: few collections look at old ones. The
young ones are small and frequent instead: of 50,000 objects each stopped everything for 30 ms every six seconds."""

PARTITION_COUNT_LOOK_SECONDS = 5.0

FOLLOW_SECONDS = 0.2
"""Between two looks at the standings as published: mostly our own, and a look for each would cost a tenth of a core."""

STALL_SECONDS = 30.0
"""How long a position may stand still with work for it and brokers that answer; longer is a hang."""

STALL_LOOK_SECONDS = 2.0
LOG_ENDS_ANSWER_SECONDS = 5.0
"""For the brokers to tell where the logs end; longer is an outage, and nothing is judged."""


class WorkerRefused(Exception):
    """The worker does not start: `errors` are all the reasons, one a sentence."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a run is told beyond the settings. `checks_topics` is False on the embedded broker, which has no topic
    settings; partials and standings of `replaced_definitions` (digests) are ignored; `resends_outputs` sends rejections
    and changes again from offset 0, as a replaced definition does too."""

    checks_topics: bool = True
    replaced_definitions: frozenset[str] = frozenset()
    resends_outputs: bool = False


@dataclass(frozen=True, slots=True)
class _Start:
    """What the topics said before the worker started."""

    partition_count: int
    published_offsets: dict[int, int]
    risks: list[str]


async def look_at_topics(settings: Settings, election: Election, options: WorkerOptions) -> _Start:
    """Topic settings, the partition count and the standings already published. Raises WorkerRefused."""
    topics = Topics(settings.prefix)
    refusals: list[str] = []
    risks: list[str] = []
    if options.checks_topics:
        report = await check_topics(settings, is_official=election.phase == "official")
        refusals += report.refusals
        if settings.rehearsal:
            risks = report.risks
        else:
            refusals += report.risks
        partition_count = report.partitions
        if not report.is_complete:  # asking for a topic could make it
            raise WorkerRefused(refusals)
    else:
        async with TopicReader(settings, topics.reports) as reader:
            partition_count = len(reader.partitions)

    published: dict[int, int] = {}
    try:
        async with TopicReader(settings, topics.standings) as reader:
            async for records in reader.read_to_end():
                for record in records:
                    if record.value is None:
                        continue
                    found = check_published(record, election, partition_count, topics, options.replaced_definitions)
                    if found is not None and found.area == election.root:
                        note_offsets(published, found)
    except BrokenInvariant as broken:
        refusals.append(str(broken))
    async with TopicReader(settings, topics.reports) as reader:
        for partition, (start, end) in sorted((await reader.bounds()).items()):
            refusals += lost_records(partition, start, end, published.get(partition, 0), "the published standings")
    if refusals:
        raise WorkerRefused(refusals)
    return _Start(partition_count, published, risks)


def lost_records(partition: int, log_start: int, log_end: int, needed: int, by: str) -> list[str]:
    """The sentence for a partition whose log begins above 0 or ends below what `by` already stands on."""
    lost = "the report log lost records: partition {}, from {}, to {}"
    found = []
    if log_start > 0:
        found.append(lost.format(partition, 0, log_start - 1) + " (the log must begin at offset 0)")
    if log_end < needed:
        found.append(lost.format(partition, log_end, needed - 1) + f" ({by} stand on them)")
    return found


class Worker:
    """One worker process. It is the `PositionSource` of its consumer and the `Outlet` of both stages."""

    def __init__(
        self,
        settings: Settings,
        election: Election,
        start: _Start,
        options: WorkerOptions,
        on_fatal: Callable[[str], object] = fatal,
    ) -> None:
        self.settings = settings
        self.election = election
        self.topics = Topics(settings.prefix)
        self._partition_count = start.partition_count
        self._risks = start.risks
        self._follower: asyncio.Task[None] | None = None
        self._has_joined = False
        self.merging = Merging(
            election, self.topics, start.partition_count, self,
            ignored_definitions=options.replaced_definitions, on_fatal=self._fail,
        )  # fmt: skip
        self.merging.published_offsets = dict(start.published_offsets)
        self.counting = Counting(
            election, self.topics, start.partition_count, self,
            publish_interval_seconds=settings.publish_interval_ms / 1000, on_fatal=self._fail,
            on_partial=self.merging.take_own,
        )  # fmt: skip
        self.counting.resends_outputs = options.resends_outputs or bool(options.replaced_definitions)
        self.app = RunApp(
            **app_settings(
                settings.group_id,
                settings.bootstrap,
                instance_id=settings.instance_id,
                credentials=_credentials(settings),
            )
        )
        self.transport: RunTransport = make_transport(
            self.app,
            self,
            frozenset({self.topics.reports, self.topics.partials}),
            zero_start_topics=frozenset({self.topics.reports}),
            on_fatal=on_fatal,
        )
        declare(self.app, self.topics, self.counting, self.merging)

    def _fail(self, reason: str) -> None:
        self.transport.fail(reason)

    # -- Outlet ----------------------------------------------------------------------------------------------------

    async def send(self, topic: str, key: bytes, value: bytes, partition: int) -> asyncio.Future[int]:
        return _offset_of(await self._producer().send(topic, value, key=key, partition=partition))

    async def send_batch(
        self, topic: str, records: Iterable[tuple[bytes, bytes]], partition: int
    ) -> tuple[int, asyncio.Future[int]]:
        producer = self._producer()
        batch = producer.create_batch()
        for key, value in records:
            if batch.append(timestamp=None, key=key, value=value) is None:
                break
        batch.close()  # nothing may join it: it leaves at once
        return batch.record_count(), _offset_of(await producer.send_batch(batch, topic, partition=partition))

    def _producer(self) -> Any:
        """Raises BrokenInvariant where another worker may own our partitions by now. Only a stop takes the producer away:
        whoever still sends then ends with it (what was not sent is not committed either), and that is no failure."""
        if self.transport.is_membership_lost():
            raise BrokenInvariant("the last answered heartbeat is older than the session: nothing more is sent")
        producer = self.app.kafka_producer
        if producer is None:
            raise asyncio.CancelledError
        return producer

    # -- PositionSource --------------------------------------------------------------------------------------------

    def next_offset(self, topic: str, partition: int) -> int | None:
        if topic == self.topics.reports:
            return self.counting.next_offset(partition)
        return self.merging.next_offset()

    async def partitions_assigned(self, assigned: set[Key], committed: dict[Key, int | None]) -> None:
        # As published before the bounds are asked for: the others go on publishing while the answer is under way.
        published = dict(self.merging.published_offsets)
        bounds = await self.transport.log_bounds() if assigned else {}
        self._has_joined = True
        reports = {p: committed[t, p] for t, p in assigned if t == self.topics.reports}
        for partition, offset in sorted(reports.items()):
            if not 0 <= partition < self._partition_count:
                raise BrokenInvariant(
                    f"{self.topics.reports} has partition {partition}, it had {self._partition_count} partitions"
                )
            start, end = bounds[self.topics.reports, partition]
            for needed, by in (
                (self.counting.next_offset(partition) or 0, "this worker's counts"),
                (offset or 0, "the group's commits"),
                (published.get(partition, 0), "the published standings"),
            ):
                found = lost_records(partition, start, end, needed, by)
                if found:
                    raise BrokenInvariant("; ".join(found))
        self.counting.assign(reports, {p: bounds[self.topics.reports, p].log_end for p in reports})
        partials = (self.topics.partials, 0)
        if partials in assigned:
            self.merging.own(*bounds[partials])
            if self._follower is None:
                self._follower = asyncio.create_task(self._follow_standings(), name="standings as published")
        else:
            self.merging.disown()
            if self._follower is not None:
                self._follower.cancel()
                self._follower = None

    async def partitions_revoked(self, revoked: set[Key]) -> None:
        await self.counting.drain({p for t, p in revoked if t == self.topics.reports})

    async def _follow_standings(self) -> None:
        try:
            async with TopicReader(self.settings, self.topics.standings) as reader:
                async for records in reader.read_to_end():
                    await self.merging.see(records, is_end=False)
                await self.merging.see([], is_end=True)
                while True:
                    records = await reader.poll()
                    if records:
                        await self.merging.see(records, is_end=True)
                        await asyncio.sleep(FOLLOW_SECONDS)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._fail(f"reading {self.topics.standings} failed: {error or type(error).__name__}")

    # -- running ---------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event, say: Callable[[str], None], on_ready: Callable[[], object]) -> None:
        """Count until `stop` is set. Raises WorkerRefused where the metrics address is taken."""
        health = HealthServer(
            self.settings.metrics_host, self.settings.metrics_port, registry_of(self._samples), self.readiness
        )
        try:
            await health.start()
        except OSError as error:
            address = f"{self.settings.metrics_host}:{self.settings.metrics_port}"
            why = why_not_listening(error)
            raise WorkerRefused(
                [f"metrics can't be served at {address}: {why}; another port: --metrics-port or TALLY_METRICS_PORT"]
            ) from error
        say(f"counting {self.election.id} ({self.election.digest}), {self._partition_count} partitions, "
            f"metrics at http://{self.settings.metrics_host}:{health.port}/metrics")  # fmt: skip
        for risk in self._risks:
            say(f"rehearsal: {risk}")
        if fold.__file__.endswith(".py"):
            say("the counting code is not compiled: it counts at less than half the speed (docs/adr/0007)")
        gc.collect()
        gc.freeze()  # the definition lives as long as the process
        gc.set_threshold(*GC_THRESHOLDS)
        watchers = [
            asyncio.create_task(self._watch_partition_count(say, on_ready), name="partition count"),
            asyncio.create_task(self._watch_progress(), name="progress"),
        ]
        for watcher in watchers:
            watcher.add_done_callback(self._end_with)
        try:
            await run_worker(self.app, stop)
        finally:
            for watcher in watchers:
                watcher.cancel()
            self.counting.stop()
            self.merging.disown()
            if self._follower is not None:
                self._follower.cancel()
            await health.stop()

    def _end_with(self, watcher: asyncio.Task[None]) -> None:
        """A watcher ends when the worker does. Nobody would miss one that failed, and then a hang looks alive."""
        if not watcher.cancelled():
            error = watcher.exception()
            self.transport.fail(f"the watch over the {watcher.get_name()} ended: {error!r}", error)

    async def _watch_partition_count(self, say: Callable[[str], None], on_ready: Callable[[], object]) -> None:
        """A partition added to the reports topic would move stations: the process ends, naming both counts."""
        was_ready = False
        while True:
            await asyncio.sleep(PARTITION_COUNT_LOOK_SECONDS if was_ready else 0.2)
            if not was_ready and self.readiness()["ready"]:
                was_ready = True
                on_ready()
                gc.freeze()  # not collected first: that is 0.1 s of silence at a million stations, for hardly any garbage
                say(f"caught up: {sum(p.fold.next_offset for p in self.counting.partitions.values())} records")
            if not was_ready:
                continue
            try:
                count = await self._count_partitions()
            except Exception as error:  # a broker that is away is no reason to end: the group's watch decides
                logging.getLogger(__name__).info("partition count not read: %s", error)
                continue
            if count != self._partition_count:
                self._fail(f"{self.topics.reports} now has {count} partitions, it had {self._partition_count}")

    async def _watch_progress(self) -> None:
        """End a worker that hangs: faust-streaming#523 and aiokafka#1154 look alive and read nothing."""
        watchdog = Watchdog(STALL_SECONDS)
        ends: asyncio.Task[dict[Key, Any]] | None = None
        while True:
            await asyncio.sleep(STALL_LOOK_SECONDS)
            if not self._has_joined or self.transport.is_rebalancing():
                watchdog.forget()
                continue
            if ends is None:  # one at a time: a question that hangs must not be asked again and again
                ends = asyncio.create_task(self.transport.log_bounds(), name="log ends")
            await asyncio.wait({ends}, timeout=LOG_ENDS_ANSWER_SECONDS)
            if not ends.done():
                watchdog.forget()  # an outage; the group's watch decides
                continue
            asked, ends = ends, None
            if asked.cancelled() or asked.exception() is not None:
                watchdog.forget()
                continue
            complaint = watchdog.look(monotonic(), self._watched({k: b.log_end for k, b in asked.result().items()}))
            if complaint is not None:
                self._fail(complaint)

    def _watched(self, ends: dict[Key, int]) -> dict[str, Watched]:
        """Every position that may hang: reading, publishing and committing of each partition, and the merging."""
        watched = {}
        for number, p in self.counting.partitions.items():
            position, end = p.fold.next_offset, ends.get((self.topics.reports, number), 0)
            watched[f"reading {number}"] = Watched(
                position, position < end, f"partition {number} is read to offset {position}, its log ends at {end}: no progress"
            )
            watched[f"publishing {number}"] = Watched(
                p.flushed_offset, bool(p.events) and not p.is_replaying,
                f"partition {number} is counted to offset {position}, its newest partial is at {p.flushed_offset}: no progress",
            )  # fmt: skip
        debts = self.transport.commit_debts()
        for (topic, number), (committed, done) in debts.items():
            watched[f"committing {topic} {number}"] = Watched(
                committed, True, f"{topic}[{number}] is committed to offset {committed}, acknowledged to {done}: no commit"
            )
        position, end = self.merging.next_offset() or 0, ends.get((self.topics.partials, 0), 0)
        watched["merging"] = Watched(
            position, self.merging.is_owner and position < end,
            f"{self.topics.partials} is read to offset {position} and ends at {end}: no progress",
        )  # fmt: skip
        return watched

    async def _count_partitions(self) -> int:
        client = self.app.kafka_producer.client
        await client.force_metadata_update()
        partitions = await self.app.kafka_producer.partitions_for(self.topics.reports)
        return len(partitions)

    # -- what operators see ----------------------------------------------------------------------------------------

    def readiness(self) -> dict[str, Any]:
        """`ready`, and why not: every owned partition with what is left to read."""
        partitions = self.counting.partitions
        is_ready = (
            self._has_joined
            and self.merging.is_caught_up
            and all(p.is_caught_up and p.flushed_offset >= 0 for p in partitions.values())
        )
        return {
            "ready": bool(is_ready),
            "rehearsal": self._risks,
            "election": self.election.id,
            "definition": self.election.digest,
            "publishes_standings": self.merging.is_owner,
            "partitions": {
                str(number): {
                    "next_offset": p.fold.next_offset,
                    "remaining": max(0, p.log_end - p.fold.next_offset),
                }
                for number, p in sorted(partitions.items())
            },
        }

    def _samples(self) -> dict[str, Iterable[Sample]]:
        partitions = sorted(self.counting.partitions.items())
        ends = self._known_ends()
        found: dict[str, Iterable[Sample]] = {
            "tally_records_read_total": [((str(n),), p.fold.next_offset) for n, p in partitions],
            "tally_verdicts_total": [
                ((str(n), verdict), count) for n, p in partitions for verdict, count in p.fold.verdicts.items()
            ],
            "tally_codes_total": [
                ((str(n), code), count) for n, p in partitions for code, count in sorted(p.fold.codes.items())
            ],
            "tally_lag_records": [
                ((str(n),), max(0, max(p.log_end, ends.get(n, 0)) - p.fold.next_offset)) for n, p in partitions
            ],
            "tally_replay_remaining_records": [((str(n),), max(0, p.committed - p.fold.next_offset)) for n, p in partitions],
            "tally_unacknowledged_runs": [((str(n),), len(p.events)) for n, p in partitions],
            "tally_partials_sent_total": [((), self.counting.partials_sent)],
            "tally_ready": [((), int(self.readiness()["ready"]))],
            "tally_rehearsal": [((), int(bool(self._risks)))],
        }
        if self.merging.is_owner:
            found["tally_standings_version"] = [
                ((contest.id,), self.merging.version(index) or 0) for index, contest in enumerate(self.election.contests)
            ]
        newest = [p.fold.newest_ms for _, p in partitions if p.fold.newest_ms is not None]
        if newest:
            found["tally_last_input_timestamp_seconds"] = [((), max(newest) / 1000)]
        if self.merging.last_publication_seconds is not None:
            found["tally_last_publication_timestamp_seconds"] = [((), self.merging.last_publication_seconds)]
        age = self.transport.heartbeat_age() if self._has_joined else None
        if age is not None:
            found["tally_last_heartbeat_age_seconds"] = [((), age)]
        return found

    def _known_ends(self) -> dict[int, int]:
        """Partition → end offset as the last fetch reply told it; a scrape asks no broker."""
        ends = {}
        for partition in self.counting.partitions:
            try:
                end = self.app.consumer.highwater(TP(self.topics.reports, partition))
            except (AssertionError, ConsumerNotStarted):  # between two assignments
                continue
            if end is not None:
                ends[partition] = end
        return ends


def _offset_of(delivery: asyncio.Future[Any]) -> asyncio.Future[int]:
    """The offset alone of what the producer will say of a record, or of a batch's first."""
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def settle(done: asyncio.Future[Any]) -> None:
        if answer.done():
            return
        if done.cancelled():
            answer.cancel()
        elif (error := done.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(done.result().offset)

    delivery.add_done_callback(settle)
    return answer


def _credentials(settings: Settings) -> Any:
    """Faust's credentials object, or an SSL context, or None."""
    if settings.security_protocol == "PLAINTEXT":
        return None
    context = ssl_context(settings)
    if not settings.security_protocol.startswith("SASL"):
        return context
    from faust import SASLCredentials

    password = settings.security_password
    return SASLCredentials(
        username=settings.security_username,
        password=password.get_secret_value() if password else None,
        mechanism=settings.security_sasl_mechanism,
        ssl_context=context,
    )


async def _first_look(settings: Settings, election: Election, options: WorkerOptions, say: Callable[[str], None]) -> _Start:
    await wait_for_broker(settings, say)
    return await look_at_topics(settings, election, options)


async def _unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, _Start]) -> _Start | None:
    """The work's result, or None where `stop` was set first."""
    doing, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await doing if doing.done() else None
    finally:
        for task in (doing, stopping):
            task.cancel()
        await asyncio.gather(doing, stopping, return_exceptions=True)


async def run(
    settings: Settings,
    election: Election,
    options: WorkerOptions,
    say: Callable[[str], None],
    stop: asyncio.Event,
    *,
    on_ready: Callable[[], object] = lambda: None,
    on_fatal: Callable[[str], object] = fatal,
) -> None:
    """A worker from the first contact to a clean stop, for which `stop` is set.

    Raises WorkerRefused or `kafka.client.BrokerUnavailable` before it counts; afterwards any surprise ends the process.
    """
    start = await _unless_stopped(stop, _first_look(settings, election, options, say))
    if start is None:
        say("stopped before counting")
        return
    worker = Worker(settings, election, start, options, on_fatal)
    await worker.run(stop, say, on_ready)
    say("stopped")
