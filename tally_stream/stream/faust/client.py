"""aiokafka's consumer as a member of the group: its settings, its pace, and what goes wrong in its background."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from time import monotonic
from typing import Any

import aiokafka
from aiokafka.errors import KafkaError, UnknownMemberIdError
from faust.transport.drivers import aiokafka as driver

from tally_stream.kafka.batches import read_whole_batches
from tally_stream.stream.faust.bounded import within
from tally_stream.stream.faust.membership import FencedInstanceIdError, InformedAssignor
from tally_stream.stream.faust.settings import CLOSE_SECONDS, FETCH_PACE_SECONDS, FETCH_WAIT_MS


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


class RunClient(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # faust is not followed by mypy
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
        if await within(CLOSE_SECONDS, super().on_thread_stop(), "the consumer's farewell"):
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
