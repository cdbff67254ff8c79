"""The worker: waits for its broker, checks its topics, then runs both stages in one Faust app until told to stop.

Decides what belongs to one process: which stage gets which partition, the lost-log check at each assignment, and that a watch
that fails ends the worker. What is looked at before the start stands in `starting.py`, what leaves in `outlet.py`, what is
watched in `watches.py`, what operators see in `worker_state.py`. Read `topology.py` for the stages.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

from tally_stream.domain import fold
from tally_stream.domain.election import Election
from tally_stream.kafka.client import wait_for_broker
from tally_stream.kafka.lost import lost_at_ends
from tally_stream.kafka.rights import spoken
from tally_stream.kafka.topics import Topics
from tally_stream.metrics import registry_of
from tally_stream.settings import Settings, why_not_listening
from tally_stream.stream.counting import Counting
from tally_stream.stream.fatal import fatal
from tally_stream.stream.faust.app import RunApp, run_worker
from tally_stream.stream.faust.settings import app_settings, credentials
from tally_stream.stream.faust.transport import RunTransport, make_transport
from tally_stream.stream.health import HealthServer
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.merging import Merging
from tally_stream.stream.outlet import KafkaOutlet
from tally_stream.stream.runs import TopicPartition
from tally_stream.stream.starting import Start, WorkerOptions, WorkerRefused, look_at_topics
from tally_stream.stream.timings import Timings
from tally_stream.stream.topology import declare
from tally_stream.stream.watches import (
    ProgressWatch,
    check_marks,
    count_partitions,
    follow_standings,
    watch_partition_count,
)
from tally_stream.stream.worker_state import WorkerState

GC_THRESHOLDS = (5_000, 200, 100)
"""A million live objects under the default thresholds made decoding 1.8 times slower: few collections look at old ones. The
young ones are small and frequent instead: of 50,000 objects each stopped everything for 30 ms every six seconds."""

READY_LOOK_SECONDS = 0.2

MUCH_TO_READ_RECORDS = 2_000
"""With more than so many reports of a partition unread, reading comes before publishing (`publishing.py`)."""


class Worker:
    """One worker process. It is the `PositionSource` of its consumer."""

    def __init__(
        self,
        settings: Settings,
        election: Election,
        start: Start,
        options: WorkerOptions,
        on_fatal: Callable[[str], object] = fatal,
    ) -> None:
        def end(reason: str) -> object:
            return on_fatal(spoken(reason, settings))

        self.settings = settings
        self.election = election
        self.topics = Topics(settings.prefix)
        self._partition_count = start.partition_count
        self._followers: list[asyncio.Task[None]] = []
        """What runs beside stage 2 while this worker owns it."""
        outlet = KafkaOutlet(
            lambda: self.app.kafka_producer,
            lambda: self.transport.is_membership_lost(),  # noqa: PLW0108 (there is no transport yet)
        )
        timings = Timings()
        self.merging = Merging(
            election, self.topics, start.partition_count, outlet,
            ignored_definitions=options.replaced_definitions, on_fatal=self._fail,
            is_replaying=self._is_replaying, has_much_to_read=self._has_much_to_read,
            timings=timings,
        )  # fmt: skip
        self.merging.published_offsets = dict(start.published_offsets)
        self.counting = Counting(
            election, self.topics, start.partition_count, outlet,
            publish_interval_seconds=settings.publish_interval_ms / 1000, on_fatal=self._fail,
            on_acknowledged=self.merging.take_acknowledged, has_much_to_read=self._has_much_to_read,
            timings=timings,
        )  # fmt: skip
        self.counting.resends_outputs = options.resends_outputs or bool(options.replaced_definitions)
        self.app = RunApp(
            **app_settings(
                settings.group_id,
                settings.bootstrap,
                instance_id=settings.instance_id,
                credentials=credentials(settings),
            )
        )
        self.transport: RunTransport = make_transport(
            self.app,
            self,
            frozenset({self.topics.reports, self.topics.partials}),
            zero_start_topics=frozenset({self.topics.reports}),
            on_fatal=end,
        )
        declare(self.app, self.topics, self.counting, self.merging)
        self.state = WorkerState(election, self.counting, self.merging, self.transport, timings, start.risks)

    def _fail(self, reason: str) -> None:
        self.transport.fail(reason)

    def _is_replaying(self, partition: int) -> bool | None:
        """Whether a partition of the reports is still read here as far as its log was when it came; None: it is not ours."""
        owned = self.counting.partitions.get(partition)
        return None if owned is None else not owned.is_caught_up

    def _has_much_to_read(self) -> bool:
        topic = self.topics.reports
        return any(
            not owned.is_caught_up or (self.transport.known_end(topic, p) or 0) - owned.fold.next_offset > MUCH_TO_READ_RECORDS
            for p, owned in self.counting.partitions.items()
        )

    # -- PositionSource --------------------------------------------------------------------------------------------

    def next_offset(self, topic: str, partition: int) -> int | None:
        if topic == self.topics.reports:
            return self.counting.next_offset(partition)
        return self.merging.next_offset()

    async def partitions_assigned(self, assigned: set[TopicPartition], committed: dict[TopicPartition, int | None]) -> None:
        # As published before the bounds are asked for: the others go on publishing while the answer is under way.
        published = dict(self.merging.published_offsets)
        marked = self.merging.highest_offsets()
        bounds = await self.transport.log_bounds() if assigned else {}
        self.state.has_joined = True
        reports = {p: committed[t, p] for t, p in assigned if t == self.topics.reports}
        for partition, offset in sorted(reports.items()):
            if not 0 <= partition < self._partition_count:
                raise BrokenInvariant(
                    f"{self.topics.reports} has partition {partition}, it had {self._partition_count} partitions"
                )
            start, end = bounds[self.topics.reports, partition]
            for needed, what in (
                (self.counting.next_offset(partition) or 0, "this worker's counts"),
                (offset or 0, "the group's commits"),
                (published.get(partition, 0), "the published standings"),
                (marked.get(partition, 0), "the partials"),
            ):
                found = lost_at_ends(partition, start, end, needed, f"{what} stand on them")
                if found:
                    raise BrokenInvariant("; ".join(found))
        self.counting.assign(reports, {p: bounds[self.topics.reports, p].log_end for p in reports})
        partials = (self.topics.partials, 0)
        if partials in assigned:
            self.merging.begin_ownership(*bounds[partials], waits_for_log=True)
            if not self._followers:
                self._followers = [
                    asyncio.create_task(
                        follow_standings(self.settings, self.topics.standings, self.merging, self._fail),
                        name="standings as published",
                    ),
                    asyncio.create_task(check_marks(self.settings, self.topics, self.merging, self._fail), name="marks"),
                ]
        else:
            self.merging.end_ownership()
            self._stop_following()

    async def partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self.counting.drain({p for t, p in revoked if t == self.topics.reports})

    def _stop_following(self) -> None:
        for follower in self._followers:
            follower.cancel()
        self._followers.clear()

    # -- running ---------------------------------------------------------------------------------------------------

    async def run(
        self,
        stop: asyncio.Event,
        say: Callable[[str], None],
        on_ready: Callable[[], object],
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """Count until `stop` is set. Raises WorkerRefused where the metrics address is taken."""
        health = HealthServer(
            self.settings.metrics_host,
            self.settings.metrics_port,
            registry_of(self.state.samples),
            self.state.readiness,
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
        self.counting.warn = warn or say
        for risk in self.state.risks:
            (warn or say)(f"rehearsal: {risk}")
        if fold.__file__.endswith(".py"):
            (warn or say)("the counting code is not compiled: it counts at less than half the speed (docs/adr/0007)")
        gc.collect()
        gc.freeze()  # the definition lives as long as the process
        gc.set_threshold(*GC_THRESHOLDS)
        progress = ProgressWatch(self.topics, self.counting, self.merging, self.transport)
        watchers = [
            asyncio.create_task(self._catch_up_then_watch_partitions(say, on_ready), name="partition count"),
            asyncio.create_task(progress.run(lambda: self.state.has_joined, self._fail), name="progress"),
        ]
        for watcher in watchers:
            watcher.add_done_callback(self._end_with)
        try:
            await run_worker(self.app, stop)
        finally:
            for watcher in watchers:
                watcher.cancel()
            self.counting.stop()
            self.merging.end_ownership()
            self._stop_following()
            await health.stop()

    def _end_with(self, watcher: asyncio.Task[None]) -> None:
        """A watcher ends when the worker does. Nobody would miss one that failed, and then a hang looks alive."""
        if not watcher.cancelled():
            error = watcher.exception()
            self.transport.fail(f"the watch over the {watcher.get_name()} ended: {error!r}", error)

    async def _catch_up_then_watch_partitions(self, say: Callable[[str], None], on_ready: Callable[[], object]) -> None:
        """Say once that the worker has caught up; from then on watch the number of partitions."""
        while not self.state.readiness()["ready"]:  # noqa: ASYNC110 (what it waits for has many causes)
            await asyncio.sleep(READY_LOOK_SECONDS)
        on_ready()
        gc.freeze()  # not collected first: that is 0.1 s of silence at a million stations, for hardly any garbage
        say(f"caught up: {sum(p.fold.next_offset for p in self.counting.partitions.values())} records")
        await watch_partition_count(
            lambda: count_partitions(self.app.kafka_producer, self.topics.reports),
            self.topics.reports, self._partition_count, self._fail,
        )  # fmt: skip


async def _first_look(settings: Settings, election: Election, options: WorkerOptions, warn: Callable[[str], None]) -> Start:
    await wait_for_broker(settings, warn)
    return await look_at_topics(settings, election, options)


async def _unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, Start]) -> Start | None:
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
    warn: Callable[[str], None] | None = None,
    on_ready: Callable[[], object] = lambda: None,
    on_fatal: Callable[[str], object] = fatal,
) -> None:
    """A worker from the first contact to a clean stop, for which `stop` is set. `warn`: as `say`, of what may need somebody.

    Raises WorkerRefused or `kafka.client.BrokerUnavailable` before it counts; afterwards any surprise ends the process.
    """
    start = await _unless_stopped(stop, _first_look(settings, election, options, warn or say))
    if start is None:
        say("stopped before counting")
        return
    worker = Worker(settings, election, start, options, on_fatal)
    await worker.run(stop, say, on_ready, warn)
    say("stopped")
