"""Decides which records become a run, where a partition is read from, and what may be committed.

It refuses to know what the records mean: the caller says where to read next (`PositionSource`) and acknowledges a run when
all that came of it was accepted by the broker. Read first `stream/runs.py` (what is promised), next `client.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator, Iterator, Mapping
from time import monotonic
from typing import Any, cast

from aiokafka.errors import ConsumerStoppedError, IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode import Service
from mode.services import WaitResults

from tally_stream.stream.faust.bounded import ended_within
from tally_stream.stream.faust.client import RunClient
from tally_stream.stream.faust.settings import (
    CLOSE_SECONDS,
    COMMIT_LIMIT_SECONDS,
    DRAIN_SECONDS,
    RUN_RECORDS,
    SEEK_LIMIT_SECONDS,
    WATCH_SECONDS,
)
from tally_stream.stream.runs import Receipt, RecordRun, TopicPartition

logger = logging.getLogger(__name__)


class _Continued:
    """Makes a coroutine awaitable again of which somebody has taken the first step: awaiting it takes the others."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        """`waits_for`: what the first step gave, the future that the coroutine waits for now."""
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


class RunConsumer(driver.Consumer):  # type: ignore[misc]  # faust is not followed by mypy
    """Faust's consumer with runs for messages, and the caller's positions for committed ones.

    From a revocation to the seek that ends the rebalance `_expected` is empty. A partition that is not in it gets nothing
    delivered and nothing committed.
    """

    def __init__(self, transport: Any, *args: Any, **kwargs: Any) -> None:
        self._run_topics = transport.run_topics
        self._positions = transport.positions
        self._expected: dict[TP, int] = {}  # the offset the next run of each partition begins at
        self._just_sought: set[TP] = set()
        self._receipts: dict[TP, deque[Receipt]] = {}  # delivered, not yet committed, in order
        self._epoch = 0  # counts seeks, revocations and assignments: what was fetched across one is dropped
        self._seeking = asyncio.Lock()
        self._acked_one = asyncio.Event()
        self._owed_since: dict[TP, float] = {}  # since when something acknowledged waits for its commit
        super().__init__(transport, *args, **kwargs)

    def _new_consumer_thread(self) -> RunClient:
        """Ours, without a thread."""
        return RunClient(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 (Faust's)
        """What one fetch brought: a message for each run, and those of other topics one by one, as Faust has them.

        Faust's costs 40-90 us a record, spent on a message, an event and two locks for each.
        """
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
            # The fetch moved aiokafka's positions past records that are dropped here: seek back to them.
            await self._seek_again()
            return
        for tp, item in self.scheduler.iterate(self._cut(records)):
            if is_stale():
                return  # whatever made it stale seeks after this fetch, or has done so
            if self._is_run(tp):
                yield tp, self._run_message(ensure_TP(tp), item, generation)
            elif active is None or tp in active or tp in self._buffered_partitions:
                yield tp, self._to_message(tp, item)

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109 (mode's)
        """As mode's, but without a task where the first coroutine ends without waiting for anything.

        Faust calls it for each message, to hand that to the agent's queue unless the flow is suspended meanwhile. mode's makes
        four tasks for it and waits until the loop has run them: 45 us of the processor for each run, and whatever else is
        ready goes first. The queue nearly always has room. So the hand-over's first step is taken right here, which costs
        2 us; only if it has to wait, its rest is waited for as mode does.

        That step runs in the caller's task. An `asyncio.timeout` begun in it would end the caller, so none may be in it.
        """
        handing_over, *others = coros
        if not others:  # not a hand-over: mode waits for one thing alone in the same way
            return await super().wait_first(*coros, timeout=timeout)
        try:
            waits_for = handing_over.send(None)
        except BaseException as end:
            for other in others:
                other.close()
            if isinstance(end, StopIteration):
                return WaitResults([handing_over], [end.value], False)
            raise
        return await super().wait_first(_Continued(handing_over, waits_for), *others, timeout=timeout)

    async def _fetch(self, wait_seconds: float) -> tuple[Mapping[TP, list[Any]] | None, set[TP] | None]:
        """What Faust fetched. What goes wrong in it is mended by a seek, or ends the worker: then (None, None)."""
        try:
            records, active = await self._wait_next_records(wait_seconds)
            return records, active
        except (asyncio.CancelledError, ConsumerStoppedError):
            raise
        except NoOffsetForPartitionError:
            # Between an assignment and our seek aiokafka looks for a committed offset by itself, and tells here that it
            # found none, perhaps after the seek. Nobody needs one: seek to where the caller wants to read, again if need be.
            await self._seek_again()
        except OffsetOutOfRangeError as error:
            where = ", ".join(f"{tp.topic}[{tp.partition}] at {at}" for tp, at in dict(*error.args).items())
            self.transport.fail(f"the log lost records: no record to read at {where}")
        except Exception as error:
            # aiokafka has retried by itself what a retry can mend.
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
            partition=tp.partition,
            records=records,
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
        """Nothing for runs. Faust's leaves the partition out of fetches, and once all are left out it sleeps for a second,
        while the agent is done in 100 ms. The queue of runs has a limit of its own, at which the fetcher waits.
        """
        if not self._is_run(tp):
            super().on_buffer_full(tp)

    # Where to read.

    async def perform_seek(self) -> None:
        """Learn the committed offsets, tell the caller, and seek to where the caller wants to read. Faust's seeks to the
        committed offsets, from which no fold could be built.

        Faust calls it at the end of a rebalance, often twice, and `getmany` after a fetch that it dropped; calling it again
        changes nothing. A run that the caller has folded but not acknowledged yet keeps its receipt, since it is not read
        again: its acknowledgement, when it comes, moves the commit.
        """
        async with self._seeking:
            self._epoch += 1
            self._expected.clear()
            try:
                async with asyncio.timeout(SEEK_LIMIT_SECONDS):
                    await self._seek_to_positions()
            except (IllegalStateError, ConsumerStoppedError):
                raise  # the next rebalance has begun, which seeks again; or the worker stops
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
            self._acked[tp].clear()  # makes the key: Faust commits only partitions that have one here
        self._owed_since = {tp: since for tp, since in self._owed_since.items() if self._receipts.get(tp)}
        self._just_sought = set(ours)
        self._expected.update((tp, starts[tp]) for tp in ours)

    async def _starts(self, assigned: set[TP]) -> dict[TP, int]:
        """Where to read each partition: runs from where the caller says, else from 0 or the log's start (`make_transport`)."""
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
            # Nothing is delivered until a seek succeeds: that of a rebalance, or of the next fetch, which is dropped too.
            logger.info("seek put off: %r", error)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing for runs: their message carries the last offset, so Faust takes all records before it for a gap."""
        if not self._is_run(tp):
            await super()._add_gap(tp, offset_from, offset_to)

    # What to commit.

    def ack(self, message: Message) -> bool:
        """Note on the run's own receipt that it is done. Faust notes the offset, and would take the acknowledgement of a run
        from before a seek for that of the run that was read again after it.
        """
        if not self._is_run(message.tp):
            return bool(super().ack(message))
        if message.acked:
            return False
        message.acked = True
        message.value.receipt.is_acked = True
        self._unacked_messages.discard(message)
        self._acked_one.set()
        if message.tp not in self._owed_since and message.value.receipt.last_offset >= (
            self._committed_offset[message.tp] or 0
        ):
            self._owed_since[message.tp] = monotonic()
        return True

    def _new_offset(self, tp: TP) -> int | None:
        """The offset after the last run that is acknowledged with all before it; None where the first is not.

        Faust's looks for the first gap in single offsets, and skips over it when a later one is acknowledged.
        """
        if not self._is_run(tp):
            return cast("int | None", super()._new_offset(tp))
        if tp not in self._expected or self.transport.failure is not None:
            return None
        committed, receipts = self._committed_offset[tp] or 0, self._receipts[tp]
        while receipts and receipts[0].last_offset < committed:
            receipts.popleft()  # committed now, or before this worker began and read again since: needs no acknowledgement
        done: int | None = None
        for receipt in receipts:  # they stay: the commit may fail, and is then asked for again
            if not receipt.is_acked:
                break
            done = receipt.last_offset + 1
        return done

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """As Faust's, but take its note back where the broker refused: else these offsets are not tried again."""
        before, began_at = {tp: self._committed_offset[tp] for tp in offsets}, monotonic()
        did_commit = await super()._commit_offsets(offsets, start_new_transaction)
        if not did_commit:
            for tp, offset in offsets.items():
                if self._committed_offset[tp] == offset:
                    self._committed_offset[tp] = before[tp]
        else:
            for tp in offsets:
                self._owed_since.pop(tp, None)
                if self._is_run(tp) and (done := self._new_offset(tp)) and done > (self._committed_offset[tp] or 0):
                    self._owed_since[tp] = began_at  # acknowledged while the commit was under way
        return bool(did_commit)

    def commit_age(self, tp: TP) -> float:
        """How long what is acknowledged of a run partition has waited for its commit, seconds; 0 where nothing does."""
        since = self._owed_since.get(tp)
        return 0.0 if since is None or tp not in self._expected else monotonic() - since

    # Partitions come and go.

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop the flow, finish the run in hand, commit; only then as Faust's, which first forgets what was acknowledged.

        Without that each rebalance read up to three seconds of records again.
        """
        if self.app.should_stop:
            return  # the stop drains and closes the consumer; Faust's would close half of it
        await self.drain(revoked)
        if self.app.should_stop:
            return  # the stop came meanwhile
        self._epoch += 1
        self._expected.clear()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """As Faust's, and tell the caller that nothing is left to it: then no seek follows, which tells it otherwise."""
        if self.app.should_stop:
            return
        self._epoch += 1
        self._expected.clear()
        await super().on_partitions_assigned(assigned, generation_id)
        if not any(self._is_run(tp) for tp in assigned):
            await self._told(self._positions.partitions_assigned(set(), {}))

    async def drain(self, partitions: set[TP]) -> None:
        """Stop the flow, wait until the runs in hand are acknowledged, commit. Each wait has its limit."""
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()  # runs no agent has begun are read again
        ours = {(tp.topic, tp.partition) for tp in partitions if self._is_run(tp)}
        if not ours or self.transport.failure is not None:
            return
        await ended_within(DRAIN_SECONDS, self._finish_runs(ours), "the acks of all runs in hand")
        await ended_within(COMMIT_LIMIT_SECONDS, self._commit_all(), "the commit of a drain")

    async def _finish_runs(self, ours: set[TopicPartition]) -> None:
        await self._told(self._positions.partitions_revoked(ours))
        while self._has_runs_in_hand():
            self._acked_one.clear()
            await self._acked_one.wait()

    async def _commit_all(self) -> None:
        # Twice: where a commit is under way, with older offsets, the first only waits for it, and returns False.
        if not await self.commit():
            await self.commit()

    def _has_runs_in_hand(self) -> bool:
        return any(self._is_run(message.tp) for message in self._unacked_messages)

    async def _told(self, call: Awaitable[None]) -> None:
        """Await the caller, and end the worker where it raises: Faust and aiokafka would log that and go on."""
        try:
            await call
        except Exception as error:
            self.transport.fail(f"handing over partitions failed: {error!r}")

    # Watching.

    @Service.task  # type: ignore[untyped-decorator]  # mode is not followed by mypy
    async def _watch(self) -> None:
        async for _ in self.itertimer(WATCH_SECONDS, name="consumer watch"):
            producer = self.app._producer
            reason = self._thread.trouble() or (producer and producer.trouble())
            if reason is not None:
                self.transport.fail(reason)

    async def verify_all_partitions_active(self) -> None:
        """Nothing. Faust's warns of partitions without traffic as stuck, and fails in a rebalance; `_watch` is in its place."""

    async def on_stop(self) -> None:
        """As Faust's, in bounded time. What it would still commit, `RunApp.on_stop` has committed before."""
        await ended_within(CLOSE_SECONDS, super().on_stop(), "the consumer's last commit")


def _slices(items: list[Any], size: int) -> Iterator[list[Any]]:
    if len(items) <= size:
        yield items
        return
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
