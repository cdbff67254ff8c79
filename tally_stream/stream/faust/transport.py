"""What is installed on a Faust app: our consumer and producer, what others may ask of them, and the worker's one way out.

Decides that a worker fails once and for good: after `fail` nothing is delivered and nothing committed. Refuses to know why.
`app.py` starts and stops it. Read next: `consumer.py`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, cast

from faust import streams as faust_streams
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from tally_stream.stream.fatal import fatal
from tally_stream.stream.faust.client import RunClient
from tally_stream.stream.faust.consumer import RunConsumer
from tally_stream.stream.faust.producer import RunProducer
from tally_stream.stream.place import place_of
from tally_stream.stream.runs import LogBounds, PositionSource, TopicPartition

logger = logging.getLogger(__name__)


class RunTransport(driver.Transport):  # type: ignore[misc]  # faust is not followed by mypy
    """What `make_transport` installs."""

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
        """Give up: from here on nothing is delivered or committed. Only the first reason counts. Callable from any thread.

        The reason is told with the place where `error` (or else the error being handled) was raised; the log has its trace.
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
        return self._client().membership.heartbeat_age()

    def is_membership_lost(self) -> bool:
        """Whether another worker may own our partitions: then send nothing more."""
        return self._client().membership.is_lost()

    def commit_debts(self) -> dict[TopicPartition, tuple[int, int]]:
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

    def commit_age(self, topic: str, partition: int) -> float:
        """How long what is acknowledged of it has waited for its commit, seconds; 0 where nothing does."""
        age: float = self.app.consumer.commit_age(TP(topic, partition))
        return age

    def committed(self, topic: str, partition: int) -> int | None:
        """The group's offset of it as this worker knows it; None where there is none."""
        offset: int | None = self.app.consumer._committed_offset.get(TP(topic, partition))
        return offset

    def joined_count(self) -> int:
        """How often this process has joined its group."""
        return self._client().membership.joined_count

    def is_rebalancing(self) -> bool:
        """Whether partitions come and go now: nothing is delivered and nothing committed."""
        return not self.app.consumer._expected

    async def log_bounds(self) -> dict[TopicPartition, LogBounds]:
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

    def known_end(self, topic: str, partition: int) -> int | None:
        """The partition's end offset as the last fetch reply told it; no broker is asked. None where none has told it."""
        try:
            end: int | None = self.app.consumer.highwater(TP(topic, partition))
        except (AssertionError, ConsumerNotStarted):  # between two assignments
            return None
        return end

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
