"""Stage 1: one fold a partition, flushed as pages and a mark; a run is acked when a broker has acknowledged all it led to.

Decides when a partition is replaying, what is sent and in which order, and when a run becomes committable. For one partition
and one offset the order is:

1. the rejections and changes below the offset are sent, and the broker acknowledges them;
2. the pages that changed are sent, then the mark at the offset, and the broker acknowledges all of them;
3. the runs below the offset are acked to Faust, which commits them.

So nobody sees a fall before its reason, and a committed offset means that everything below it was published. Pages and marks
are sent again from time to time as the last flush left them, between two flushes: a compacted topic may have kept an older
page of a worker that was frozen. What is lost if the process dies at any line of this module: nothing; replay makes it again,
same keys, same bytes. Refuses to know Faust: an event is something with an `ack`. Read `pages.py` and `merging.py` next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic, perf_counter
from typing import Any, NamedTuple

from tally_stream.domain.election import Election
from tally_stream.domain.fold import PartitionFold, stations_by_partition
from tally_stream.domain.ledger import Change, Verdict
from tally_stream.domain.pages import Layout, Mark, Page
from tally_stream.domain.rules import Finding
from tally_stream.kafka.lost import lost_records
from tally_stream.kafka.topics import Topics
from tally_stream.stream.counted import CountedPartition, Pending
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.outlet import Gathering, Outlet
from tally_stream.stream.runs import RecordRun
from tally_stream.stream.timings import Timings
from tally_stream.wire.changes import encode_change
from tally_stream.wire.messages import encode_rejection, record_key
from tally_stream.wire.pages import PageWriter
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.run import RecordCrash, read_run
from tally_stream.wire.signing import NOTHING_AHEAD, Ahead
from tally_stream.wire.verifying import VERIFIED_TOGETHER, VerifyingThreads

MARK_AGAIN_SECONDS = 10.0
"""The newest mark is sent again after this long without another."""

PAGES_AGAIN_AFTER_SECONDS, PAGES_AGAIN_SPREAD_SECONDS = 18.0, 6.0
"""A page is due again so long after it was sent; all pages are sent within so many seconds, a few with each look: every one
within 30 s, whatever a look waits for. At full load most change before, and cost nothing here."""

PAGES_AGAIN_BYTES_A_SECOND = 1_000_000
"""Most bytes of pages that a worker sends again: with more pages than that, going through them takes longer."""

AGAIN_LOOK_SECONDS = 1.0
"""How often a partition looks what is to be sent again where nothing is new."""

PAGES_AGAIN_LOOK_SECONDS = 0.1
"""And between flushes: those of a whole second are up to a quarter of a megabyte, and the next flush would wait for them."""

DRAIN_LOOK_SECONDS = 0.005
"""How often a drain looks whether the publishers have acked everything."""

ENCODE_SHARE_MAX = 20
"""Flushes of a partition are at least this many times their own encoding time apart: at most 5 % of the time goes into it."""

READING_ENCODE_SHARE_MAX = 100
"""The same for each partition of this worker while there is much to read: all their encoding takes 1 % then. What follows it
(compressing, sending, reading it back, and the standings made of it) takes several times as long."""

READING_LOOK_SECONDS = 0.05
"""How often a flush that waits looks whether there still is."""

HELD_BACK_BYTES = 64 * 1024 * 1024
"""Most bytes of changes that wait behind holds, each partition: about 90,000 changes of 700 bytes."""


class _Written(NamedTuple):
    """A page or mark, and the record that says it."""

    sent: Page | Mark
    key: bytes
    value: bytes


class Counting:
    """Stage 1 of one worker: every partition of the reports topic it owns."""

    def __init__(
        self,
        election: Election,
        topics: Topics,
        partition_count: int,
        outlet: Outlet,
        *,
        publish_interval_seconds: float,
        on_fatal: Callable[[str], object],
        on_acknowledged: Callable[[Page | Mark, bytes, int], object] = lambda sent, value, offset: None,
        has_much_to_read: Callable[[], bool] = lambda: False,
        timings: Timings | None = None,
    ) -> None:
        """`on_acknowledged` is told of each page and mark that a broker acknowledged, with its bytes and its offset."""
        self.election = election
        self.topics = topics
        self.partition_count = partition_count
        self.partitions: dict[int, CountedPartition] = {}
        self.partials_sent = 0
        self.resends_outputs = False
        """Set to send rejections and changes again from offset 0 (a replaced definition)."""
        self.warn: Callable[[str], object] = lambda line: None
        """Set to hear of what may need somebody."""
        self._has_met_another_phase = False
        self._stations = stations_by_partition(election, partition_count)
        self._outlet = outlet
        self._partials = Gathering(outlet, topics.partials)
        self._reader = ReportReader(election)
        self.verifying = None if election.signatures is None else VerifyingThreads()
        """None where nothing is signed."""
        self._writer = PageWriter(election, partition_count)
        self._layout = Layout(election)
        self._interval = publish_interval_seconds
        self._interval_began_at = 0.0
        self._on_fatal = on_fatal
        self._on_acknowledged = on_acknowledged
        self._has_much_to_read = has_much_to_read
        self._timings = Timings() if timings is None else timings

    # -- ownership -------------------------------------------------------------------------------------------------

    def next_offset(self, partition: int) -> int | None:
        owned = self.partitions.get(partition)
        return None if owned is None else owned.fold.next_offset

    def assign(self, committed: dict[int, int | None], log_ends: dict[int, int]) -> None:
        """These partitions and no others are owned now. One that stays keeps its fold and what it has sent; one that
        goes drops both; a new one begins at offset 0. Calling it again changes nothing."""
        for partition in [p for p in self.partitions if p not in committed]:
            self._drop(partition)
        for partition, offset in committed.items():
            if partition in self.partitions:
                self.partitions[partition].log_end = max(self.partitions[partition].log_end, log_ends[partition])
                continue
            fold = PartitionFold(self.election, partition, self.partition_count, self._stations[partition], self._layout)
            start = offset or 0
            owned = CountedPartition(fold, start, log_ends[partition], 0 if self.resends_outputs else start)
            self.partitions[partition] = owned
            owned.publisher = asyncio.create_task(self._publish(owned), name=f"pages of {partition}")
            if owned.is_caught_up:  # else the first run wakes it: nothing is said of a log that was not read
                owned.wake.set()

    def _drop(self, partition: int) -> None:
        owned = self.partitions.pop(partition)
        if owned.publisher is not None:
            owned.publisher.cancel()

    async def drain(self, partitions: set[int]) -> None:
        """Flush at once and wait until every run in hand is acked; the caller limits the time."""
        drained = [self.partitions[p] for p in partitions & self.partitions.keys()]
        try:
            for owned in drained:
                owned.hurry.set()
                owned.wake.set()
            while any(o.events and not o.is_replaying for o in drained):  # noqa: ASYNC110 (several publishers)
                await asyncio.sleep(DRAIN_LOOK_SECONDS)
        finally:
            for owned in drained:
                owned.hurry.clear()

    def stop(self) -> None:
        for partition in list(self.partitions):
            self._drop(partition)
        if self.verifying is not None:
            self.verifying.close()

    # -- taking a run ----------------------------------------------------------------------------------------------

    async def take(self, run: RecordRun, event: Any) -> None:
        """Fold a run. Raises BrokenInvariant on a gap or a jump back; never for what a record says."""
        owned = self.partitions.get(run.partition)
        if owned is None:
            raise BrokenInvariant(f"a run of partition {run.partition}, which this worker does not own")
        records = self._continuous(owned, run)
        fold = owned.fold
        crossing = owned.committed - fold.next_offset
        if 0 < crossing <= len(records):
            await self._fold_verified(owned, records[:crossing])
            if not self._is_owned(owned):
                return
            self._cross_commit(owned)
            records = records[crossing:]
        await self._fold_verified(owned, records)
        if not self._is_owned(owned):
            return
        run.records = []  # an unacknowledged run must not keep thousands of raw records in memory
        owned.events.append((fold.next_offset - 1, event))
        if owned.is_replaying:
            self._ack(owned, fold.next_offset)  # committed before: nothing is owed for it
        else:
            owned.wake.set()
        await self._send_outbox(owned)

    def _continuous(self, owned: CountedPartition, run: RecordRun) -> list[Any]:
        """The run's records from the fold's own next offset on."""
        records = run.records
        due = owned.fold.next_offset
        first, last = records[0].offset, records[-1].offset
        if first < due:
            if not run.after_seek:
                raise BrokenInvariant(f"partition {run.partition}: offset {first} again, {due} was due")
            records = [r for r in records if r.offset >= due]
            first = records[0].offset if records else due
        if first != due:
            raise BrokenInvariant(lost_records(run.partition, due, first - 1))
        if records and last - first + 1 != len(records):
            at = next(i for i, r in enumerate(records) if r.offset != first + i)
            raise BrokenInvariant(lost_records(run.partition, first + at, records[at].offset - 1))
        return records

    def _is_owned(self, owned: CountedPartition) -> bool:
        """Whether it still is after something was waited for; where not, its fold and all it led to are dropped."""
        return self.partitions.get(owned.fold.partition) is owned

    async def _fold_verified(self, owned: CountedPartition, records: list[Any]) -> None:
        """Fold records, their signatures verified before; what is folded can be published while the next ones are."""
        if self.verifying is None:
            self._fold(owned, records, NOTHING_AHEAD)
            return
        for at in range(0, len(records), VERIFIED_TOGETHER):
            few = records[at : at + VERIFIED_TOGETHER]
            ahead = await self.verifying.ahead_of({owned.fold.keys: [r.value for r in few]})
            if not self._is_owned(owned):
                return
            self._fold(owned, few, ahead)
            if not owned.is_replaying:
                owned.wake.set()

    def _fold(self, owned: CountedPartition, records: list[Any], ahead: Ahead) -> None:
        try:
            owed = read_run(self._reader, owned.fold, records, ahead)
        except RecordCrash as crash:
            cause = crash.__cause__ or crash.__context__  # compiled code sets only the second
            raise BrokenInvariant(
                f"partition {owned.fold.partition}, offset {crash.offset}: this record crashes the code: "
                f"{cause!r}; a [[skip]] entry of the definition passes over it"
            ) from crash
        for record, verdict in owed:
            if verdict.change is not None:
                self._collect_change(owned, record, verdict.change)
            if verdict.is_refusal:
                self._look_for_another_phase(owned, record, verdict.findings[0])
                if record.offset >= owned.outputs_from:
                    self._collect_rejection(owned, record, verdict)

    def _look_for_another_phase(self, owned: CountedPartition, record: Any, found: Finding) -> None:
        """Said once: a rehearsal sends to the election, or stations to the rehearsal. No station is called like a phase."""
        if self._has_met_another_phase or found.code != "S5" or found.right != self.election.phase:
            return
        self._has_met_another_phase = True
        self.warn(
            f"{self.topics.reports}, partition {owned.fold.partition}, offset {record.offset}: a record of phase {found.left} "
            f"in an election of phase {found.right} is refused (S5), as all of that phase are: find out who sends them; a "
            "rehearsal and an election each have topics of their own (--prefix)"
        )

    def _collect_change(self, owned: CountedPartition, record: Any, change: Change) -> None:
        offset, partition = record.offset, owned.fold.partition
        is_on_hold = owned.fold.is_on_hold(change.contest)
        if offset < owned.outputs_from and not is_on_hold:
            return
        value = encode_change(self.election, self.topics.reports, partition, offset, record.timestamp, change)
        pending = Pending(offset, record_key(partition, offset), value)
        if is_on_hold:
            self._hold_back(owned, change.contest, pending)
        else:
            owned.outboxes[self.topics.changes].append(pending)

    def _collect_rejection(self, owned: CountedPartition, record: Any, verdict: Verdict) -> None:
        offset, partition = record.offset, owned.fold.partition
        value = encode_rejection(
            self.election, self.topics.reports, partition, offset, record.timestamp, record.key, record.value, verdict
        )
        rejection = Pending(offset, record_key(partition, offset), value)
        owned.outboxes[self.topics.rejections].append(rejection)

    def _hold_back(self, owned: CountedPartition, contest: int, change: Pending) -> None:
        """Keep a change until the release. Above the ceiling the worker ends, but never because of a record that was in the
        log when it started: the release may stand further on in that log, and a worker that ends before it never reaches it."""
        owned.held_back[contest].add(change)
        sizes = {c: held.size_bytes for c, held in owned.held_back.items() if owned.fold.is_on_hold(c)}
        if change.offset >= owned.log_end and sum(sizes.values()) > HELD_BACK_BYTES:
            most = max(sizes, key=lambda c: sizes[c])
            raise BrokenInvariant(
                f"partition {owned.fold.partition}: more than {HELD_BACK_BYTES:,} bytes of changes wait behind a hold, most of "
                f"contest {self.election.contests[most].id}: release it, and the next start sends them"
            )

    def _cross_commit(self, owned: CountedPartition) -> None:
        """At the committed offset: forget the changes that were sent before the commit. Those are the ones below the offset of
        the contest's published figures; the others wait behind a hold, and nobody has sent them yet."""
        if self.resends_outputs:
            return
        for contest, held in owned.held_back.items():
            held.take_below(owned.fold.published_offset(contest))

    async def _send_outbox(self, owned: CountedPartition) -> None:
        async with owned.sending:
            for topic, outbox in list(owned.outboxes.items()):
                while outbox:
                    # They stay in the outbox until they are handed over: a sender that is cancelled here loses none.
                    count, future = await self._outlet.send_batch(
                        topic, ((o.key, o.value) for o in outbox), owned.fold.partition
                    )
                    owned.unacknowledged.append(future)
                    for _ in range(count):
                        outbox.popleft()

    # -- publishing ------------------------------------------------------------------------------------------------

    async def _publish(self, owned: CountedPartition) -> None:
        """Flush whenever something is new, one flush at a time, one an interval; between them send again what is due."""
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN_LOOK_SECONDS):
                        await owned.wake.wait()
                is_new = owned.wake.is_set()
                owned.wake.clear()
                if owned.is_replaying:
                    continue
                if is_new:
                    await self._keep_interval(owned)
                    await self._flush(owned)
                else:
                    await self._send_partials(owned, self._due_again(owned))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._on_fatal(f"publishing partition {owned.fold.partition} failed: {error or type(error).__name__}")
            raise

    async def _keep_interval(self, owned: CountedPartition) -> None:
        """Wait until this partition may flush: at once in an interval in which it has not, else with the next one, which
        all partitions begin together, so that what they send leaves in few requests (docs/performance.md, latency)."""
        while (left := self._flush_due(owned) - monotonic()) > 0 and not owned.hurry.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, READING_LOOK_SECONDS)):
                    await owned.hurry.wait()
        if monotonic() >= self._interval_began_at + self._interval:
            self._interval_began_at = monotonic()

    def _flush_due(self, owned: CountedPartition) -> float:
        share = READING_ENCODE_SHARE_MAX * len(self.partitions) if self._has_much_to_read() else ENCODE_SHARE_MAX
        due = owned.flushed_at + share * owned.encode_seconds
        if owned.flushed_at >= self._interval_began_at:
            due = max(due, self._interval_began_at + self._interval)
        return due

    async def _flush(self, owned: CountedPartition) -> None:
        """Send the pages that changed and the mark at the fold's offset now, in the order this module opens with."""
        fold = owned.fold
        snapshot = fold.next_offset
        # Before the flush: what it takes is no longer as the last one left it. The mark is not: a newer one goes out now.
        again = self._pages_due_again(owned)
        owned.flushed_at = monotonic()
        begin = perf_counter()
        pages, owned.mark = fold.take_flush()
        due: list[Page | Mark] = [*pages, owned.mark]
        written = self._written(due)
        owned.encode_seconds = perf_counter() - begin
        for contest, waiting in owned.held_back.items():
            if waiting.changes:
                owned.outboxes[self.topics.changes].extend(waiting.take_below(fold.published_offset(contest)))
        await self._send_outbox(owned)
        # Later runs may add to the list while we wait: those belong to the next flush.
        below, owned.unacknowledged = owned.unacknowledged, []
        if below:
            await asyncio.gather(*below)
        await self._send_partials(owned, written + again)
        owned.flushed_offset = snapshot
        self._timings.flush.observe(perf_counter() - begin)
        self._ack(owned, snapshot)
        if fold.next_offset > snapshot:
            owned.wake.set()

    def _written(self, due: Iterable[Page | Mark]) -> list[_Written]:
        return [
            _Written(one, *(self._writer.page(one) if isinstance(one, Page) else self._writer.mark(one))) for one in due
        ]  # fmt: skip

    def _due_again(self, owned: CountedPartition) -> list[_Written]:
        """What is to be sent again now, as the last flush left it: pages, and a mark that stands alone."""
        due = self._pages_due_again(owned)
        if owned.mark is not None and monotonic() - owned.mark_sent_at >= MARK_AGAIN_SECONDS:
            due += self._written([owned.mark])
        return due

    def _pages_due_again(self, owned: CountedPartition) -> list[_Written]:
        """Those that wait longest, as many as are due since the last look."""
        now = monotonic()
        if owned.mark is None:
            owned.looked_at = now
        passed = now - owned.looked_at
        if owned.mark is None or passed < PAGES_AGAIN_LOOK_SECONDS:
            return []
        owned.looked_at = now
        owned.pages_due += max(1.0, len(owned.sent_pages) / PAGES_AGAIN_SPREAD_SECONDS) * passed
        owned.bytes_due += PAGES_AGAIN_BYTES_A_SECOND / len(self.partitions) * passed
        due: list[_Written] = []
        for place, sent_at in owned.sent_pages.items():
            if now - sent_at < PAGES_AGAIN_AFTER_SECONDS or owned.pages_due < 1 or owned.bytes_due <= 0:
                break
            page = owned.fold.flushed_page(*place)
            if page is not None:  # else the next flush has it
                due += self._written([page])
                owned.pages_due -= 1
                owned.bytes_due -= len(due[-1].value)
        # Nothing is saved up but a part of a page; what was more than its share is paid for later.
        owned.pages_due, owned.bytes_due = min(owned.pages_due, 1.0), min(owned.bytes_due, 0.0)
        return due

    async def _send_partials(self, owned: CountedPartition, written: list[_Written]) -> None:
        """Send these in this order, until all are acknowledged."""
        if not written:
            return
        now = monotonic()
        for one in written:
            if isinstance(one.sent, Page):
                place = one.sent.contest, one.sent.number
                owned.sent_pages.pop(place, None)
                owned.sent_pages[place] = now
            else:
                owned.mark_sent_at = now
        offsets = await self._partials.send([(one.key, one.value) for one in written])
        for one, offset in zip(written, offsets, strict=True):
            self._on_acknowledged(one.sent, one.value, offset)
        self.partials_sent += len(written)

    @staticmethod
    def _ack(owned: CountedPartition, below: int) -> None:
        while owned.events and owned.events[0][0] < below:
            owned.events.popleft()[1].ack()
