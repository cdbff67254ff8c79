"""A member of a group on a real Kafka, in this process, with what it was handed."""

import asyncio
import time
import uuid
from collections import defaultdict
from typing import Any

from tally_stream.stream.faust.app import RunApp, guarded, run_topic, run_worker
from tally_stream.stream.faust.settings import app_settings
from tally_stream.stream.faust.transport import RunTransport, make_transport
from tally_stream.stream.runs import LogBounds, RecordRun, TopicPartition

DEADLINE_SECONDS = 40.0


class Folds:
    """The positions of a caller that only remembers offsets, and checks what it was promised."""

    def __init__(self) -> None:
        self.next: dict[TopicPartition, int] = {}
        self.offsets: dict[TopicPartition, list[int]] = defaultdict(list)
        self.nulls: dict[TopicPartition, list[int]] = defaultdict(list)
        self.runs: list[tuple[TopicPartition, int, int, bool]] = []
        self.held: list[Any] = []
        self.holds_acks = False
        self.assigned: set[TopicPartition] = set()
        self.committed: dict[TopicPartition, int | None] = {}
        self.transport: RunTransport | None = None
        self.bounds: dict[TopicPartition, LogBounds] = {}
        self.revocations: list[set[TopicPartition]] = []

    def next_offset(self, topic: str, partition: int) -> int | None:
        return self.next.get((topic, partition))

    async def partitions_assigned(self, assigned: set[TopicPartition], committed: dict[TopicPartition, int | None]) -> None:
        if self.transport is not None:
            self.bounds = await self.transport.log_bounds()
            assert set(self.bounds) == assigned
        self.assigned, self.committed = assigned, committed
        for gone in set(self.next) - assigned:
            del self.next[gone]

    async def partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self.revocations.append(revoked)

    def take(self, event: Any) -> None:
        run: RecordRun = event.value
        key = (event.message.topic, run.partition)
        first, last = run.records[0].offset, run.records[-1].offset
        expected = self.next.get(key, first if run.after_seek else -1)
        found = [record.offset for record in run.records]
        if run.after_seek:
            found = [offset for offset in found if offset >= expected]
        else:
            assert first == expected, f"{key}: {first} after {expected}"
        self.runs.append((key, first, last, run.after_seek))
        self.offsets[key] += found
        self.nulls[key] += [r.offset for r in run.records if r.key is None and r.value is None and r.offset in found]
        self.next[key] = last + 1
        if self.holds_acks:
            self.held.append(event)
        else:
            event.ack()

    @property
    def count(self) -> int:
        return sum(map(len, self.offsets.values()))


class Member:
    """One worker inside the test's own loop."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        *,
        instance_id: str | None = None,
        group: str | None = None,
        from_zero: bool = True,
        beside: tuple[str, ...] = (),
    ) -> None:
        """`beside`: more topics that it reads in runs, as it does the first."""
        topics = frozenset({topic, *beside})
        self.folds = Folds()
        self.reasons: list[str] = []
        self.app = RunApp(**app_settings(group or f"group-{topic}", bootstrap, instance_id=instance_id))
        self.transport = make_transport(
            self.app,
            self.folds,
            topics,
            zero_start_topics=topics if from_zero else frozenset(),
            on_fatal=self.reasons.append,
        )
        self.folds.transport = self.transport

        async def body(stream: Any) -> None:
            async for event in stream.noack().events():
                self.folds.take(event)

        for each in topics:
            self.app.agent(run_topic(self.app, each), name=f"agent-{uuid.uuid4().hex}")(guarded(body))
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> "Member":
        self._running = asyncio.create_task(run_worker(self.app, self._stop))
        return self

    async def stop(self) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        self._stop.set()
        if self._running is not None:
            await self._running
            self._running = None
        return time.monotonic() - began
