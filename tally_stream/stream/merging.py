"""Stage 2: the pages of each partition up to the mark it stands on, added and published; one owner for all contests.

The owner is the worker that has the one partition of the partials topic. When its ownership begins it reads partials and
standings to the end offsets found then, and publishes nothing before. All owners see the marks in the order of one topic, so
offset vectors only grow and versions only rise. `pages.py` decides which mark a partition may stand on, `publishing.py` what is
sent and when.

What is lost if the process dies here: nothing; pages and marks are in Kafka and are sent again. Refuses to know how they came
about. `topology.py` shows both stages.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Any

from tally_stream.domain.baselines import baselines
from tally_stream.domain.election import Election
from tally_stream.domain.pages import PAGE_MAX_BYTES, Mark, Page
from tally_stream.domain.rules import Limits
from tally_stream.kafka.client import StoredRecord
from tally_stream.kafka.topics import Topics
from tally_stream.stream.counting import PAGES_AGAIN_BYTES_A_SECOND
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.outlet import Outlet
from tally_stream.stream.pages import Accepted, PartitionPages
from tally_stream.stream.publishing import CATCH_UP_SECONDS, Publishing
from tally_stream.stream.timings import Timings
from tally_stream.wire.messages import PublishedStandings, read_published
from tally_stream.wire.pages import ForeignPartial, PageReader

LOOK_SECONDS = 0.1
"""How often it looks for roots to be sent again, where nothing that came wakes it."""

SILENCE_SECONDS = 25.0
"""Between two marks of a partition, whose owner is not sending then: above two re-sends."""


@dataclass(slots=True)
class _Refusals:
    """Of marks of one partition, each after the other: since when, and the newest."""

    since: float
    last: float


class Merging:
    """Stage 2 of one worker: idle until it owns the partials, then the owner of every contest's standings."""

    def __init__(
        self,
        election: Election,
        topics: Topics,
        partition_count: int,
        outlet: Outlet,
        *,
        ignored_definitions: frozenset[str] = frozenset(),
        on_fatal: Callable[[str], object],
        is_replaying: Callable[[int], bool | None] = lambda partition: False,
        has_much_to_read: Callable[[], bool] = lambda: False,
        timings: Timings | None = None,
    ) -> None:
        """`is_replaying` says it of a partition of the reports that this worker owns, None of one that it does not."""
        self.election = election
        self.topics = topics
        self.partition_count = partition_count
        self.is_owner = False
        self.published_offsets: dict[int, int] = {}
        """Partition → highest next offset in any root of this definition, over all contests."""
        self._outlet = outlet
        self._ignored = ignored_definitions
        self._on_fatal = on_fatal
        self._is_replaying = is_replaying
        self._has_much_to_read = has_much_to_read
        self._timings = Timings() if timings is None else timings
        self._reader = PageReader(election, partition_count)
        self._baselines = baselines(election, Limits(election.checks, election.polls_close_ms))
        self._turning_points = sorted({election.polls_close_ms, *(poll.publish_after_ms for poll in election.exit_polls)})
        """Log times from which messages say more than before."""
        page_count = sum(len(pages) for pages in self._reader.layout.pages)
        self._pages_again_seconds = page_count * partition_count * PAGE_MAX_BYTES / PAGES_AGAIN_BYTES_A_SECOND
        """How long one worker with all partitions may take to send all its pages again."""
        self._refusals: dict[int, _Refusals] = {}
        self._partials_end = 0
        self._partials_read = 0
        self._put_below = 0
        """All partials of the topic below this offset are put; it may be ahead of `_partials_read`."""
        self._acknowledged_partials: dict[int, tuple[Page | Mark, bytes]] = {}
        """Offset → an acknowledged page or mark of this process that was not read yet."""
        self._standings_read = False
        self._waits_for_log = False
        """Whether nobody has looked yet if the report log has all that pages and marks stand on."""
        self._worked_seconds = 0.0
        """Reading what is on the topics, and all that was published in former ownerships."""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._begin()

    # -- ownership -------------------------------------------------------------------------------------------------

    @property
    def is_caught_up(self) -> bool:
        """Whether everything that stood on the topics when ownership began was read."""
        return not self.is_owner or (self._partials_read >= self._partials_end and self._standings_read)

    @property
    def last_publication_seconds(self) -> float | None:
        return self._publishing.last_publication_seconds

    @property
    def worked_seconds(self) -> float:
        """How long stage 2 has worked in this process, but for what the client's own code did for it."""
        return self._worked_seconds + self._publishing.worked_seconds

    def next_offset(self) -> int | None:
        return self._partials_read if self.is_owner else None

    def begin_ownership(self, partials_start: int, partials_end: int, *, waits_for_log: bool = False) -> None:
        """Become the owner, of a partials topic with these bounds; calling it again changes nothing. `waits_for_log`: publish
        nothing before `note_log_is_whole`."""
        if self.is_owner:
            return
        self.is_owner = True
        self._partials_end, self._partials_read, self._standings_read = partials_end, partials_start, False
        self._put_below = partials_start
        self._waits_for_log = waits_for_log
        self._worked_seconds = self.worked_seconds
        self._begin()
        self._publishing.begin(self._baselines)
        self._task = asyncio.create_task(self._publish(), name="standings")

    def _begin(self) -> None:
        """With nothing known of any partition, and nothing published."""
        self._partitions = [PartitionPages(partition) for partition in range(self.partition_count)]
        self._publishing = Publishing(
            self.election, self.topics, self._partitions, self._outlet, is_replaying=self._is_replaying,
            has_much_to_read=self._has_much_to_read, pages_again_seconds=self._pages_again_seconds,
            timings=self._timings,
        )  # fmt: skip
        self._refusals.clear()

    def end_ownership(self) -> None:
        """Publish no more; calling it again changes nothing."""
        self.is_owner = False
        self._acknowledged_partials.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def version(self, contest: int) -> int | None:
        return sum(self._publishing.offsets(contest)) if self.is_owner else None

    def told(self, contest: int) -> Mapping[str, Any]:
        """As `Publishing.told`; only while this worker is the owner."""
        return self._publishing.told(contest)

    def told_together(self) -> Mapping[str, Any]:
        """The same, added over all contests."""
        return {"stations": self._publishing.stations, "flags": self._publishing.flags}

    def lowest_version(self) -> int:
        """Of all contests; only those on hold may be below what the marks say."""
        marks = self.marks()
        held = (sum(mark.covers(contest) for mark in marks) for contest in set().union(*(mark.holds for mark in marks)))
        return min([sum(mark.next_offset for mark in marks), *held])

    def marks(self) -> list[Mark]:
        """Those that partitions stand on now."""
        return [pages.mark for pages in self._partitions if pages.mark is not None] if self.is_owner else []

    def highest_offsets(self) -> dict[int, int]:
        """Partition → the highest offset in any page or mark that was read: the report log has all records below."""
        return {pages.partition: pages.highest_offset for pages in self._partitions} if self.is_owner else {}

    def note_log_is_whole(self) -> None:
        """The report log has all that the pages and marks read so far stand on: publish."""
        self._waits_for_log = False
        self._wake.set()

    # -- pages and marks -------------------------------------------------------------------------------------------

    def take(self, records: Iterable[Any]) -> None:
        """Records of the partials topic, in order. Raises BrokenInvariant for one that must not be there."""
        if not self.is_owner:
            return
        begin = perf_counter()
        for record in records:
            self._partials_read = record.offset + 1
            acknowledged = self._acknowledged_partials.pop(record.offset, None)
            is_put = record.offset < self._put_below
            self._put_below = max(self._put_below, record.offset + 1)
            if record.value is None or (is_put and acknowledged is not None and acknowledged[1] == record.value):
                continue
            try:
                found = self._reader.read(record.key, record.value)
            except ForeignPartial as foreign:
                if foreign.definition in self._ignored:
                    continue
                raise BrokenInvariant(f"{self.topics.partials}, offset {record.offset}: {foreign}") from foreign
            except ValueError as error:
                raise BrokenInvariant(f"{self.topics.partials}, offset {record.offset}: {error}") from error
            if found is not None:
                self._put(found)
        self._put_acknowledged()
        self._worked_seconds += perf_counter() - begin
        self._wake.set()

    def take_acknowledged(self, sent: Page | Mark, value: bytes, offset: int) -> None:
        """Take a page or mark that stage 1 of this process has sent and a broker has acknowledged.

        The broker has told its place in the topic, `offset`, so it counts now, and `take` passes over the record later. That
        spares a fetch's time and the reading of its bytes.

        It counts only when everything before it in the topic has been taken. What an owner publishes must be the topic up
        to some offset: a worker that was frozen and thaws would otherwise publish a vector that is neither below nor above
        those of the worker that took over, and nobody could tell which of the two is newer.
        """
        if not self.is_owner or offset < self._partials_read:
            return
        begin = perf_counter()
        self._acknowledged_partials[offset] = sent, value
        if self._put_acknowledged():
            self._wake.set()
        self._worked_seconds += perf_counter() - begin

    def _put_acknowledged(self) -> bool:
        """Put the acknowledged pages and marks that stand next in the topic; whether there was one."""
        begin = self._put_below
        while (acknowledged := self._acknowledged_partials.get(self._put_below)) is not None:
            self._put(acknowledged[0])
            self._put_below += 1
        return self._put_below > begin

    def _put(self, found: Page | Mark) -> None:
        pages = self._partitions[found.partition]
        try:
            accepted = pages.take_page(found) if isinstance(found, Page) else pages.take_mark(found)
        except BrokenInvariant as broken:
            raise BrokenInvariant(f"{self.topics.partials}: {broken}") from broken
        if accepted is not None:
            self._refusals.pop(found.partition, None)
            self._apply(accepted)
        elif isinstance(found, Mark) and pages.refused is not None:
            self._note_refusal(pages, pages.refused)

    def _apply(self, accepted: Accepted) -> None:
        """Move the figures by the pages that changed, and tell of which contests something else may be said now."""
        mark, before = accepted.mark, accepted.before
        for page in accepted.pages:
            self._publishing.put_page(page)
        if before is None or self._turns(before) != self._turns(mark):
            self._publishing.note_changed(range(len(self.election.contests)))
            return
        self._publishing.note_changed(contest for contest, _ in before.holds.items() ^ mark.holds.items())
        if before.certified != mark.certified:
            self._publishing.note_changed(before.certified_contests() ^ mark.certified_contests())

    def _turns(self, mark: Mark) -> int:
        """How many turning points the log times below a mark have passed, -1 before the first record."""
        return -1 if mark.newest_ms is None else bisect_right(self._turning_points, mark.newest_ms)

    def _note_refusal(self, pages: PartitionPages, refused: Mark) -> None:
        """A partition whose owner goes on sending marks while its pages are never complete counts something else than they
        say. Raises BrokenInvariant when that has lasted longer than it takes to send every page again."""
        if self._partials_read < self._partials_end:
            return
        now = monotonic()
        refusals = self._refusals.get(pages.partition)
        if refusals is None or now - refusals.last > SILENCE_SECONDS:
            refusals = self._refusals[pages.partition] = _Refusals(now, now)
        refusals.last = now
        limit = max(CATCH_UP_SECONDS, 2 * self._pages_again_seconds)
        if now - refusals.since > limit:
            raise BrokenInvariant(
                f"{self.topics.partials}: all marks of partition {pages.partition} were refused for {limit:.0f} s, the newest "
                f"at {refused.next_offset}: its pages are not those that its owner speaks of"
            )

    # -- standings -------------------------------------------------------------------------------------------------

    async def see(self, records: Iterable[StoredRecord], *, is_end: bool) -> None:
        """Records of the standings topic, ours and others'; `is_end`: all found at the start were seen."""
        for record in records:
            if record.value is None:
                continue
            begin = perf_counter()
            published = check_published(record, self.election, self.partition_count, self.topics, self._ignored)
            if published is None:
                continue
            if published.area == self.election.root:
                note_offsets(self.published_offsets, published)
            self._worked_seconds += perf_counter() - begin
            if self.is_owner:
                await self._publishing.see(record, published)
        if is_end and not self._standings_read:
            self._standings_read = True
            self._timings.begin_ownership(self.published_offsets, self.partition_count)
            self._wake.set()

    async def _publish(self) -> None:
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()
                self._wake.clear()
                if self.is_caught_up and not self._waits_for_log:
                    await self._publishing.publish()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._on_fatal(f"publishing standings failed: {error or type(error).__name__}")
            raise


def note_offsets(highest: dict[int, int], root: PublishedStandings) -> None:
    """Keep the highest next offset of each partition over all roots."""
    for partition, offset in root.next_offsets.items():
        highest[int(partition)] = max(highest.get(int(partition), 0), offset)


def check_published(
    record: StoredRecord,
    election: Election,
    partition_count: int,
    topics: Topics,
    ignored_definitions: frozenset[str],
) -> PublishedStandings | None:
    """A standings record of this definition; None for one of an ignored definition.

    Raises BrokenInvariant for any other definition (naming both), another N, or what is no standings message.
    """
    assert record.value is not None
    where = f"{topics.standings}, offset {record.offset}"
    try:
        published = read_published(record.value)
    except ValueError as error:
        raise BrokenInvariant(f"{where}: {error}") from error
    if published.definition != election.digest:
        if published.definition in ignored_definitions:
            return None
        if published.phase not in ("", election.phase):
            raise BrokenInvariant(
                f"{where}: standings of phase {published.phase} (definition {published.definition}), this election is of phase "
                f"{election.phase} ({election.digest}): a rehearsal and an election each have topics of their own (--prefix)"
            )
        raise BrokenInvariant(f"{where}: standings of definition {published.definition}, this is {election.digest}")
    if len(published.next_offsets) != partition_count:
        raise BrokenInvariant(
            f"{where}: standings over {len(published.next_offsets)} partitions, {topics.reports} has {partition_count}"
        )
    return published
