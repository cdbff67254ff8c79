"""What the owner of stage 2 sends, and when: areas that changed, then their root; roots again; records that are healed.

What changed is sent at once. A contest of which nothing changed has its root sent again in turn, at the newest vector. Where a
published root stands on offsets that the marks do not reach, its contest waits until the owners of those partitions send
theirs again. A publication gives way to reading wherever there is much to read.

A worker that was frozen may have lost its ownership without knowing it. When it thaws it may still publish a record that is
older than those of the worker that took over; the new owner then sends its own record again, on top of that one. Refuses to
know how pages and marks arrive (`merging.py`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic, perf_counter, time
from typing import Any

from tally_stream.domain.baselines import Baseline
from tally_stream.domain.election import Election
from tally_stream.domain.pages import Page
from tally_stream.domain.standings import MergedFigures
from tally_stream.kafka.client import StoredRecord
from tally_stream.kafka.topics import Topics
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.outlet import Outlet, hand_over, offsets_of
from tally_stream.stream.pages import PartitionPages
from tally_stream.stream.timings import Timings
from tally_stream.wire.messages import PublishedStandings, canonical_json, standings_key
from tally_stream.wire.newest import ROOT_SECONDS, ROOTS_A_SECOND

ROOTS_AGAIN_AT_ONCE = 20.0
"""So many of them may be saved up: as many as two looks have."""

ROOTS_AGAIN_EARLY_SECONDS = 1.0
"""So much earlier they become due than they must have been sent, beside the time that those of all contests take in turn."""

ROOTS_HASTE = 1.05
"""So much faster they go where all of them have to come round within ROOT_SECONDS."""

ROOTS_LOOKED_AT = 200
"""So many contests are looked at in one go for a root to be sent again."""

CATCH_UP_SECONDS = 60.0
"""How long a partition of this worker has to send again what a published root already stood on, once it has replayed; and how
long all marks of a partition may be refused while its owner sends."""

OTHERS_CATCH_UP_SECONDS = 600.0
"""The same for a partition of another worker: it may have to replay first."""

BEHIND_LOOK_SECONDS = 1.0
BEHIND_MANY = 100
"""So many contests that wait for owners are looked at only from time to time."""

SLICE_SECONDS = 0.005
"""After so long a publication lets others work."""

REST_SHARE = 39.0
"""Where there is much to read, a publication is followed by a rest this many times as long as it worked: rendering takes a
fortieth of the time at most. With 5,570 areas all of stage 2 took 9 to 12 % of a worker's processor time."""

REST_MAX_SECONDS, REST_SHARE_MIN = 5.0, 3.0
"""No rest is longer, but where it would be less than so many times the work: stage 2 leaves three quarters of the time."""

REST_LOOK_SECONDS = 0.05
"""How often it looks whether there still is so much to read."""

BATCH_BYTES = 1_000_000
"""Messages of so many bytes are sent before others are made; a contest that was never sent waits for the next go then."""


class SendingFailed(Exception):
    """A message that an older one lay on top of could not be sent again; `args` is why."""


@dataclass(slots=True)
class _Sent:
    """Our newest message of a key: `offset` is the broker's answer, -1 until it came, or where the broker does not tell it."""

    version: int
    value: bytes
    offset: int = -1


@dataclass(slots=True)
class _Contest:
    merged: MergedFigures
    sent: dict[bytes, _Sent] = field(default_factory=dict)
    on_top: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """Key → offset and version of the last record seen on the standings topic, whoever sent it."""
    published_root: PublishedStandings | None = None
    behind_since: float | None = None
    root_sent_at: float = 0.0
    root_offsets: list[int] | None = None
    """The vector of our newest root."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What our newest root says of stations and flags."""


@dataclass(slots=True)
class _Due:
    """A message that is to be sent."""

    contest: _Contest
    key: bytes
    sent: _Sent


@dataclass(slots=True)
class _Batch:
    due: list[_Due] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, due: _Due) -> None:
        self.due.append(due)
        self.size_bytes += len(due.sent.value)


class Publishing:
    """The standings of all contests during one ownership. `is_replaying` says it of a partition of the reports that this worker
    owns, None of one that it does not."""

    def __init__(
        self,
        election: Election,
        topics: Topics,
        partitions: list[PartitionPages],
        outlet: Outlet,
        *,
        is_replaying: Callable[[int], bool | None],
        has_much_to_read: Callable[[], bool],
        pages_again_seconds: float,
        timings: Timings,
    ) -> None:
        self.election = election
        self.topics = topics
        self.last_publication_seconds: float | None = None
        self._partitions = partitions
        self._outlet = outlet
        self._is_replaying = is_replaying
        self._has_much_to_read = has_much_to_read
        self._pages_again_seconds = pages_again_seconds
        self._timings = timings
        self._contests: list[_Contest] = []
        self.stations: Counter[str] = Counter()
        """`stations` of the newest root made of each contest, added over all contests; then their `flags`."""
        self.flags: Counter[str] = Counter()
        self._stood_at = -1
        """The highest place at which a broker has acknowledged a message of ours."""
        self._changed: dict[int, None] = {}
        """Contests of which something else may be said now."""
        self._behind: dict[int, None] = {}
        """Those of them that wait for owners."""
        self._behind_looked_at = 0.0
        self._turn: dict[int, None] = {}
        """Contests that were published, in the order in which their roots are looked at."""
        self._roots_again, self._roots_again_at = ROOTS_AGAIN_AT_ONCE, monotonic()
        self.worked_seconds = 0.0
        """Rendering and encoding; what the producer does with it is not in it."""
        self._worked = 0.0
        """The part of it since the last rest began."""
        self._work_began_at = 0.0

    def begin(self, shared: list[Baseline]) -> None:
        self._contests = [
            _Contest(MergedFigures(self.election, index, self.topics.reports, len(self._partitions), shared))
            for index in range(len(self.election.contests))
        ]

    # -- what is new -----------------------------------------------------------------------------------------------

    def offsets(self, contest: int) -> list[int]:
        """How far each partition is in a contest, 0 where it stands on no mark."""
        return [0 if pages.mark is None else pages.mark.covers(contest) for pages in self._partitions]

    def put_page(self, page: Page) -> None:
        """A page that changed up to the mark its partition stands on."""
        self._contests[page.contest].merged.put_page(page)
        self._changed[page.contest] = None

    def note_changed(self, contests: Iterable[int]) -> None:
        for contest in contests:
            self._changed[contest] = None

    def told(self, contest: int) -> Mapping[str, Any]:
        """`stations` and `flags` of the newest root that was made of a contest, empty before the first."""
        return self._contests[contest].told

    # -- standings as they stand on the topic ----------------------------------------------------------------------

    async def see(self, record: StoredRecord, published: PublishedStandings) -> None:
        """A record of the standings topic, ours or another's."""
        index = self.election.contest_index(published.contest)
        assert index is not None, "a message of this definition names one of its contests"
        contest = self._contests[index]
        is_root = published.area == self.election.root
        if is_root and (contest.published_root is None or contest.published_root.version < published.version):
            contest.published_root = published
        key = standings_key(published.contest, published.area)
        contest.on_top[key] = (record.offset, published.version)
        sent = contest.sent.get(key)
        if sent is None or sent.offset < 0:
            return
        if published.version == sent.version and record.value != sent.value:
            raise BrokenInvariant(
                f"{self.topics.standings}, offset {record.offset}: other bytes than ours for {key.decode()}, "
                f"version {sent.version}"
            )
        await self._heal(contest, key, sent)

    async def _heal(self, contest: _Contest, key: bytes, sent: _Sent) -> None:
        """Send our record of this key again where an older one lies on top of it: another worker that was frozen, lost its
        ownership meanwhile and thawed has sent that."""
        offset, version = contest.on_top.get(key, (-1, sent.version))
        if offset > sent.offset and version < sent.version:
            stood_at = self._stood_at
            try:
                future = await self._outlet.send(self.topics.standings, key, sent.value, 0)
                sent.offset = await future
            except Exception as error:  # whoever reads the topic must not take it for a fault of reading
                raise SendingFailed(str(error) or type(error).__name__) from error
            self._note_place(stood_at, sent.offset)

    # -- publishing ------------------------------------------------------------------------------------------------

    async def publish(self) -> None:
        """Send what changed in any contest, those first that were published before; then roots in turn."""
        self._work_began_at = perf_counter()
        if any(pages.mark is None for pages in self._partitions):
            return
        batch = _Batch()
        begin = monotonic()
        marks, is_all_sent = [pages.mark for pages in self._partitions if pages.mark is not None], True
        self._look_at_those_behind()
        for index in sorted(self._changed, key=lambda index: not self._contests[index].sent):
            is_first = not self._contests[index].sent
            if batch.size_bytes > BATCH_BYTES:
                if is_first:
                    is_all_sent = False
                    break  # those already published go on
                await self._send(batch)
            del self._changed[index]
            if self._may_publish(index):
                await self._render(index, batch, is_root_due=False)
            else:
                self._behind[index] = None
        await self._render_in_turn(batch)
        before = self.last_publication_seconds
        await self._send(batch)
        if self.last_publication_seconds != before:
            self._timings.publication.observe(monotonic() - begin)
        if is_all_sent:
            self._timings.note_published(marks, time())
        await self._give_way(batch)

    def _look_at_those_behind(self) -> None:
        now = monotonic()
        if len(self._behind) < BEHIND_MANY or now - self._behind_looked_at >= BEHIND_LOOK_SECONDS:
            self._changed.update(self._behind)
            self._behind.clear()
            self._behind_looked_at = now

    def _may_publish(self, index: int) -> bool:
        """Whether every partition has come to where it was published; the time that it has for it is limited."""
        contest = self._contests[index]
        if contest.published_root is None:
            return True
        offsets, due = self.offsets(index), contest.published_root.next_offsets
        behind = [(p, due[str(p)]) for p in range(len(offsets)) if offsets[p] < due.get(str(p), 0)]
        if not behind:
            contest.published_root = contest.behind_since = None
            return True
        whose = [self._is_replaying(partition) for partition, _ in behind]
        if contest.behind_since is None or True in whose:  # the clock stands while one of ours replays
            contest.behind_since = monotonic()
        seconds = max(OTHERS_CATCH_UP_SECONDS if None in whose else CATCH_UP_SECONDS, 2 * self._pages_again_seconds)
        if monotonic() - contest.behind_since > seconds:
            partition, offset = behind[0]
            raise BrokenInvariant(
                f"contest {contest.merged.contest.id}: standings were published with partition {partition} at {offset}, "
                f"its newest mark is at {offsets[partition]}, and nothing newer came in {seconds:.0f} s"
            )
        return False

    async def _render(self, index: int, batch: _Batch, *, is_root_due: bool) -> None:
        """Add to the batch every area whose body changed, then the root: where it changed, or an area did, or it is due."""
        contest = self._contests[index]
        merged = contest.merged
        merged.stands = [None if pages.mark is None else pages.mark.stand(index) for pages in self._partitions]
        publication, offsets = merged.begin_publication(), merged.next_offsets
        is_any_changed = is_root_due
        for area in publication.areas:
            message, is_changed = publication.message(area)
            is_any_changed = is_any_changed or is_changed
            if is_changed or (area == 0 and is_any_changed):
                key = standings_key(merged.contest.id, message["area"])
                batch.add(_Due(contest, key, _Sent(message["version"], canonical_json(message))))
            if perf_counter() - self._work_began_at > SLICE_SECONDS:
                self._note_work()
                await asyncio.sleep(0)
                self._work_began_at = perf_counter()
        if is_any_changed:
            contest.root_sent_at, contest.root_offsets = monotonic(), offsets
            for figure, total in (("stations", self.stations), ("flags", self.flags)):
                total.update(message[figure])  # the root was the last
                total.subtract(contest.told.get(figure, {}))
            contest.told = {"stations": message["stations"], "flags": message["flags"]}
            self._to_the_end_of_the_turn(index)

    async def _render_in_turn(self, batch: _Batch) -> None:
        """Roots of which nothing changed, in turn: those with a newer vector, and those that have to be sent within
        ROOT_SECONDS. They begin so early that the last of them is in time, though a start has made all due together."""
        now = monotonic()
        turn_seconds = len(self._turn) / ROOTS_A_SECOND
        due_after = ROOT_SECONDS - ROOTS_AGAIN_EARLY_SECONDS - turn_seconds
        haste = ROOTS_HASTE if turn_seconds <= ROOT_SECONDS else 1.0
        saved = self._roots_again + (now - self._roots_again_at) * ROOTS_A_SECOND * haste
        self._roots_again, self._roots_again_at = min(saved, ROOTS_AGAIN_AT_ONCE), now
        for index in list(islice(self._turn, ROOTS_LOOKED_AT)):
            if self._roots_again < 1:
                return
            contest = self._contests[index]
            is_due = contest.root_offsets != self.offsets(index) or now - contest.root_sent_at >= due_after
            if is_due and index not in self._changed and self._may_publish(index):
                self._roots_again -= 1
                await self._render(index, batch, is_root_due=True)
            else:
                self._to_the_end_of_the_turn(index)

    def _to_the_end_of_the_turn(self, index: int) -> None:
        self._turn.pop(index, None)
        self._turn[index] = None

    async def _give_way(self, batch: _Batch) -> None:
        """Where there is much to read, rest; roots of which nothing changed go out meanwhile. What came meanwhile shows in one
        publication, not in several, and where reading ends none is under way that was begun long before."""
        self._note_work()
        worked, self._worked = self._worked, 0.0
        end = monotonic() + max(min(REST_SHARE * worked, REST_MAX_SECONDS), REST_SHARE_MIN * worked)
        while self._has_much_to_read() and (left := end - monotonic()) > 0:
            await asyncio.sleep(min(left, REST_LOOK_SECONDS))
            self._work_began_at = perf_counter()
            await self._render_in_turn(batch)
            await self._send(batch)
            self._note_work()

    def _note_work(self) -> None:
        now = perf_counter()
        worked, self._work_began_at = now - self._work_began_at, now
        self._worked += worked
        self.worked_seconds += worked

    async def _send(self, batch: _Batch) -> None:
        """Send them in this order until all are acknowledged, and empty the batch."""
        if not batch.due:
            return
        due, batch.due, batch.size_bytes = batch.due, [], 0
        self._note_work()
        stood_at = self._stood_at  # what is acknowledged meanwhile may have been sent after these
        handed = await hand_over(self._outlet, self.topics.standings, [(one.key, one.sent.value) for one in due])
        for one, offset in zip(due, await offsets_of(handed), strict=True):
            stood_at = self._note_place(stood_at, offset)
            one.sent.offset = offset
            one.contest.sent[one.key] = one.sent
        for one in due:  # records that `see` met before the acknowledgement could not be compared with ours
            await self._heal(one.contest, one.key, one.sent)
        self.last_publication_seconds = time()
        self._work_began_at = perf_counter()

    def _note_place(self, stood_at: int, offset: int) -> int:
        """Where a message stands that was sent when one stood at `stood_at`, or after one that stands there; the higher of the
        two. A topic deleted and made anew under a running worker lacks all areas that do not change any more; a start sends
        them all. The root is sent every ROOT_SECONDS, so this takes no longer."""
        if offset < 0:  # a repeated send, whose place nobody says
            return stood_at
        if offset <= stood_at:
            raise BrokenInvariant(
                f"{self.topics.standings}: offset {offset} after {stood_at}: the topic was made anew, or lost records"
            )
        self._stood_at = max(self._stood_at, offset)
        return offset
