"""aiokafka's consumer as Faust holds it: with our settings, in the loop of the app, and watched.

Decides how often a broker is asked, how the consumer is closed in bounded time, and what counts as trouble in its
background. Refuses to know what is read. Read next: `membership.py` (who may read what, and whether this one still may).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from time import monotonic
from typing import Any

import aiokafka
from faust.transport.drivers import aiokafka as driver

from tally_stream.kafka.batches import read_whole_batches
from tally_stream.stream.faust.bounded import ended_within
from tally_stream.stream.faust.membership import InformedAssignor, Membership
from tally_stream.stream.faust.settings import CLOSE_SECONDS, FETCH_PACE_SECONDS, FETCH_WAIT_MS


class _LoopWorker:
    """Given to mode in place of a thread: runs the service as a task of the loop there is."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._service._serve(), name="consumer")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Say that the service is shut down, or a stop would wait for it for ever. The app has crashed with what went wrong."""
        self._service.set_shutdown()
        if not task.cancelled():
            task.exception()  # taken, so that asyncio does not complain that nobody did

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.done()

    def stop(self) -> None:
        """Nothing: mode would join its thread here."""


def pace(fetcher: Any) -> None:
    """Have this fetcher leave FETCH_PACE_SECONDS between two requests to a broker; after a longer silence it asks at once."""
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
    """Owns the aiokafka consumer and the worker's membership in the group.

    Faust gives it a thread and a loop of its own, because agents may block. Ours do not, and the hand-over between two loops
    that share one interpreter lock cost a third of the latency (docs/performance.md): so it lives in the loop of the app.
    That has a second good side. A worker whose loop hangs is no longer kept in the group by a thread that beats on.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, thread_loop=asyncio.get_event_loop(), Worker=_LoopWorker, **kwargs)
        conf = self.app.conf
        self._assignor = InformedAssignor()
        self.membership = Membership(
            self._assignor,
            self.transport.fail,
            session_seconds=conf.broker_session_timeout,
            rebalance_seconds=conf.broker_rebalance_timeout,
        )

    # Without a thread.

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call it here. Faust's puts it into a queue of the other thread."""
        result = fun(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    async def _gather_remaining_tasks(self) -> None:
        """Nothing. mode's ends every task of the thread's loop, which here is the app's."""

    async def _keepalive2(self) -> None:
        """Nothing. mode's wakes the loop of a thread that might sleep."""

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """Nothing. mode's prints a trace, as a thread has nobody to tell; here the app crashes, and `run_worker` says why."""

    # The consumer.

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        """As Faust's, but with our plan: its round robin over random member ids moves everything at a join."""
        conf = self.app.conf
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

    async def on_start(self) -> None:
        """As Faust's, then take hold of the consumer's parts. It has not joined yet: that takes a subscription."""
        await super().on_start()
        consumer = self._ensure_consumer()
        read_whole_batches(consumer, self.transport.run_topics)
        self.membership.observe(consumer._coordinator)
        pace(consumer._fetcher)

    async def on_thread_stop(self) -> None:
        """As Faust's, in bounded time: aiokafka waits for a join in flight, and a dead broker answers none.

        What aiokafka then leaves behind is ended here. It would go on in the app's loop, and beat to a broker that thaws.
        """
        if await ended_within(CLOSE_SECONDS, super().on_thread_stop(), "the consumer's farewell"):
            return
        consumer = self._ensure_consumer()
        coordinator, fetcher = consumer._coordinator, consumer._fetcher
        left = [coordinator._coordination_task, coordinator._heartbeat_task, coordinator._commit_refresh_task]
        for task in [*left, fetcher._fetch_task, *fetcher._pending_tasks]:
            if task is not None:
                task.cancel()
        await consumer._client.close()

    def trouble(self) -> str | None:
        """What went wrong in the background, or that the membership is lost; None when all is well.

        aiokafka's background tasks end, or wait for ever, with an error that only its own `getmany` raises. Faust calls the
        fetcher directly and never sees it: the worker would hang and look alive.
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
        if self.membership.is_lost():
            return f"no answered heartbeat for {self.membership.heartbeat_age():.1f} s: the session is over"
        return None
