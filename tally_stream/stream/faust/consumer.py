"""Decides which records become a run, where a partition is read from, and what may be committed.

It refuses to know what the records mean: the caller says where to read next (`PositionSource`) and acknowledges a run when
all that came of it was accepted by the broker. Read first `stream/runs.py` (what is promised), next `client.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator, Iterator, Mapping
from typing import Any, cast

from aiokafka.errors import ConsumerStoppedError, IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode import Service
from mode.services import WaitResults

from tally_stream.stream.faust.bounded import within
from tally_stream.stream.faust.client import RunClient
from tally_stream.stream.faust.producer import sender_trouble
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


class RunConsumer(driver.Consumer):  # type: ignore[misc]  # faust is not followed by mypy
    """Faust's consumer with runs for messages, and the caller's positions for committed ones.

    All state here belongs to the loop that runs the app. Between a revocation and the seek that ends
    the rebalance `_expected` is empty: nothing is delivered and nothing committed.
    """

    def __init__(self, transport: Any, *args: Any, **kwargs: Any) -> None:
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
        await within(DRAIN_SECONDS, self._finish_runs(ours), "the acks of all runs in hand")
        await within(COMMIT_LIMIT_SECONDS, self._commit_all(), "the commit of a drain")

    async def _finish_runs(self, ours: set[TopicPartition]) -> None:
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
            reason = self._thread.trouble() or sender_trouble(self.app)
            if reason is not None:
                self.transport.fail(reason)

    async def verify_all_partitions_active(self) -> None:
        """Nothing: it reports quiet partitions as stuck and fails in a rebalance. Ours is `_watch`."""

    async def on_stop(self) -> None:
        """As Faust's, in bounded time; `RunApp.on_stop` has drained and committed before."""
        await within(CLOSE_SECONDS, super().on_stop(), "the consumer's last commit")


def _slices(items: list[Any], size: int) -> Iterator[list[Any]]:
    if len(items) <= size:
        yield items
        return
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
