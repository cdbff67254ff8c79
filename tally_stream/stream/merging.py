"""Stage 2: the newest partial of each partition, added, rolled up, published; one owner for all contests.

The owner is the worker that has the one partition of the partials topic. When its ownership begins it reads partials and
standings to the end offsets found then, and publishes nothing before. Where a published root stands on offsets that it has
no partial of, it waits until the owners of those partitions send theirs again. All owners see the partials in the order of
one topic, so offset vectors only grow and versions only rise.

A worker that was frozen may have lost its ownership without knowing it. When it thaws it may still publish a record that is
older than those of the worker that took over; the new owner then sends its own record again, on top of that one.

What is lost if the process dies here: nothing; partials are in Kafka and are sent again. Refuses to know how partials came
about. `topology.py` shows both stages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any

from tally_stream.domain.election import Election
from tally_stream.domain.fold import Figures
from tally_stream.domain.rules import Limits
from tally_stream.domain.standings import MergedFigures, Message, body_of
from tally_stream.domain.tally import baselines
from tally_stream.kafka.client import StoredRecord
from tally_stream.kafka.topics import Topics
from tally_stream.stream.invariant import BrokenInvariant
from tally_stream.stream.outlet import Outlet
from tally_stream.wire.messages import (
    ForeignPartial,
    PartialReader,
    PublishedStandings,
    canonical_json,
    read_published,
    standings_key,
)

RESEND_SECONDS = 10.0
"""The root is sent again unchanged after this long, so that silence means trouble."""

CATCH_UP_SECONDS = 60.0
"""How long the owners of partitions have to re-send what a published root already stood on."""


@dataclass(slots=True)
class _Sent:
    """Our newest message of a key: `offset` is the broker's answer, −1 until it came, or where the broker does not tell it;
    `stood_at` is the highest told of this message or one before it."""

    version: int
    body: Message
    value: bytes
    offset: int = -1
    stood_at: int = -1


@dataclass(slots=True)
class _ContestMerge:
    merged: MergedFigures
    sent: dict[bytes, _Sent] = field(default_factory=dict)
    on_top: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """Key → offset and version of the last record seen on the standings topic, whoever sent it."""
    published_root: PublishedStandings | None = None
    behind_since: float | None = None
    root_sent_at: float = 0.0
    is_dirty: bool = True


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
    ) -> None:
        self.election = election
        self.topics = topics
        self.partition_count = partition_count
        self.is_owner = False
        self.published_offsets: dict[int, int] = {}
        """Partition → highest next offset in any root of this definition, over all contests."""
        self.last_publication_seconds: float | None = None
        self._outlet = outlet
        self._ignored = ignored_definitions
        self._on_fatal = on_fatal
        self._reader = PartialReader(election, partition_count)
        self._baselines = baselines(election, Limits(election.checks, election.polls_close_ms))
        self._contests: list[_ContestMerge] = []
        self._partials_end = 0
        self._partials_read = 0
        self._put_below = 0
        """All partials of the topic below this offset are put; it may be ahead of `_partials_read`."""
        self._acknowledged_partials: dict[int, tuple[Figures, bytes]] = {}
        """Offset → an acknowledged partial of this process that was not read yet."""
        self._standings_read = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # -- ownership -------------------------------------------------------------------------------------------------

    @property
    def is_caught_up(self) -> bool:
        """Whether everything that stood on the topics when ownership began was read."""
        return not self.is_owner or (self._partials_read >= self._partials_end and self._standings_read)

    def next_offset(self) -> int | None:
        return self._partials_read if self.is_owner else None

    def begin_ownership(self, partials_start: int, partials_end: int) -> None:
        """Become the owner, of a partials topic with these bounds; calling it again changes nothing."""
        if self.is_owner:
            return
        self.is_owner = True
        self._partials_end, self._partials_read, self._standings_read = partials_end, partials_start, False
        self._put_below = partials_start
        self._contests = [
            _ContestMerge(MergedFigures(self.election, index, self.topics.reports, self.partition_count, self._baselines))
            for index in range(len(self.election.contests))
        ]
        self._task = asyncio.create_task(self._publish(), name="standings")

    def end_ownership(self) -> None:
        """Publish no more; calling it again changes nothing."""
        self.is_owner = False
        self._acknowledged_partials.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def version(self, contest: int) -> int | None:
        return self._contests[contest].merged.version if self.is_owner else None

    # -- partials --------------------------------------------------------------------------------------------------

    def take(self, records: Iterable[Any]) -> None:
        """Records of the partials topic, in order. Raises BrokenInvariant for one that must not be there."""
        if not self.is_owner:
            return
        for record in records:
            self._partials_read = record.offset + 1
            acknowledged = self._acknowledged_partials.pop(record.offset, None)
            is_put = record.offset < self._put_below
            self._put_below = max(self._put_below, record.offset + 1)
            if record.value is None or (is_put and acknowledged is not None and acknowledged[1] == record.value):
                continue
            try:
                figures = self._reader.read(record.value)
            except ForeignPartial as foreign:
                if foreign.definition in self._ignored:
                    continue
                raise BrokenInvariant(f"{self.topics.partials}, offset {record.offset}: {foreign}") from foreign
            except ValueError as error:
                raise BrokenInvariant(f"{self.topics.partials}, offset {record.offset}: {error}") from error
            self._put(figures)
        self._put_acknowledged()
        self._wake.set()

    def take_acknowledged(self, figures: Figures, value: bytes, offset: int) -> None:
        """Take a partial that stage 1 of this process has sent and a broker has acknowledged.

        The broker has told its place in the topic, `offset`, so its figures count now, and `take` passes over the record
        later. That spares a fetch's time and the reading of 20 kB a partial.

        It counts only when everything before it in the topic has been taken. What an owner publishes must be the topic up
        to some offset: a worker that was frozen and thaws would otherwise publish a vector that is neither below nor above
        those of the worker that took over, and nobody could tell which of the two is newer.
        """
        if not self.is_owner or offset < self._partials_read:
            return
        self._acknowledged_partials[offset] = figures, value
        if self._put_acknowledged():
            self._wake.set()

    def _put_acknowledged(self) -> bool:
        """Put the acknowledged partials that stand next in the topic; whether there was one."""
        begin = self._put_below
        while (acknowledged := self._acknowledged_partials.get(self._put_below)) is not None:
            self._put(acknowledged[0])
            self._put_below += 1
        return self._put_below > begin

    def _put(self, figures: Figures) -> None:
        merge = self._contests[figures.contest]
        if merge.merged.put(figures):
            merge.is_dirty = True

    # -- standings as they stand on the topic ----------------------------------------------------------------------

    async def see(self, records: Iterable[StoredRecord], *, is_end: bool) -> None:
        """Records of the standings topic, ours and others'; `is_end`: all found at the start were seen."""
        for record in records:
            if record.value is not None:
                await self._see(record)
        if is_end and not self._standings_read:
            self._standings_read = True
            self._wake.set()

    async def _see(self, record: StoredRecord) -> None:
        assert record.value is not None
        published = check_published(record, self.election, self.partition_count, self.topics, self._ignored)
        if published is None:
            return
        index = self.election.contest_index(published.contest)
        assert index is not None, "a message of this definition names one of its contests"
        is_root = published.area == self.election.root
        if is_root:
            note_offsets(self.published_offsets, published)
        if not self.is_owner:
            return
        merge = self._contests[index]
        if is_root and (merge.published_root is None or merge.published_root.version < published.version):
            merge.published_root = published
        key = standings_key(published.contest, published.area)
        merge.on_top[key] = (record.offset, published.version)
        sent = merge.sent.get(key)
        if sent is None or sent.offset < 0:
            return
        if published.version == sent.version and record.value != sent.value:
            raise BrokenInvariant(
                f"{self.topics.standings}, offset {record.offset}: other bytes than ours for {key.decode()}, "
                f"version {sent.version}"
            )
        await self._heal(merge, key, sent)

    async def _heal(self, merge: _ContestMerge, key: bytes, sent: _Sent) -> None:
        """Send our record of this key again where an older one lies on top of it: another worker that was frozen, lost its
        ownership meanwhile and thawed has sent that."""
        offset, version = merge.on_top.get(key, (-1, sent.version))
        if offset > sent.offset and version < sent.version:
            future = await self._outlet.send(self.topics.standings, key, sent.value, 0)
            sent.offset = await future
            sent.stood_at = max(sent.offset, sent.stood_at)

    # -- publishing ------------------------------------------------------------------------------------------------

    async def _publish(self) -> None:
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(1.0, RESEND_SECONDS)):
                        await self._wake.wait()
                self._wake.clear()
                if not self.is_caught_up:
                    continue
                for merge in self._contests:
                    if self._may_publish(merge):
                        await self._publish_contest(merge)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._on_fatal(f"publishing standings failed: {error or type(error).__name__}")
            raise

    def _may_publish(self, merge: _ContestMerge) -> bool:
        root = merge.published_root
        offsets = merge.merged.next_offsets  # 0 where no partial of a partition came yet
        due = root.next_offsets if root is not None else {}
        behind = [(p, due[str(p)]) for p in range(len(offsets)) if offsets[p] < due.get(str(p), 0)]
        if not behind:
            merge.published_root = merge.behind_since = None
            return merge.merged.is_complete
        if merge.behind_since is None:
            merge.behind_since = monotonic()
        if monotonic() - merge.behind_since > CATCH_UP_SECONDS:
            partition, offset = behind[0]
            raise BrokenInvariant(
                f"contest {merge.merged.contest.id}: standings were published with partition {partition} at {offset}, "
                f"its newest partial is at {offsets[partition]}, and nothing newer came in {CATCH_UP_SECONDS:.0f} s"
            )
        return False

    async def _publish_contest(self, merge: _ContestMerge) -> None:
        """Send every area whose body changed, then the root: always at a new vector, else every RESEND_SECONDS."""
        is_due = monotonic() - merge.root_sent_at >= RESEND_SECONDS
        if not merge.is_dirty and not is_due:
            return
        merge.is_dirty = False
        contest_id = merge.merged.contest.id
        messages = merge.merged.changed_messages()
        due: list[tuple[bytes, _Sent, int]] = []
        for message in messages:
            key = standings_key(contest_id, message["area"])
            body = body_of(message)
            before = merge.sent.get(key)
            is_root = message is messages[-1]
            if before is not None and before.body == body and not is_root:
                continue
            # Where the one before stands is read now: while this one is under way, `_heal` may send the one before again,
            # and then it stands above this one.
            stood_at = -1 if before is None else before.stood_at
            due.append((key, _Sent(message["version"], body, canonical_json(message)), stood_at))
        offsets = await self._send_in_batches([(key, sent.value) for key, sent, _ in due])
        for (key, sent, stood_at), offset in zip(due, offsets, strict=True):
            self._check_rising(stood_at, offset)
            sent.offset, sent.stood_at = offset, max(offset, stood_at)
            merge.sent[key] = sent
        for key, sent, _ in due:  # records that `_see` met before the acknowledgement could not be compared with ours
            await self._heal(merge, key, sent)
        merge.root_sent_at = monotonic()
        self.last_publication_seconds = time()

    async def _send_in_batches(self, messages: list[tuple[bytes, bytes]]) -> list[int]:
        """Send them in this order, in as few batches as they fit; their offsets once all are acknowledged, below 0 where
        the broker does not tell it."""
        counts: list[int] = []
        futures = []
        while (begin := sum(counts)) < len(messages):
            count, future = await self._outlet.send_batch(self.topics.standings, messages[begin:], 0)
            counts.append(count)
            futures.append(future)
        firsts = await asyncio.gather(*futures)
        return [first if first < 0 else first + i for count, first in zip(counts, firsts, strict=True) for i in range(count)]

    def _check_rising(self, stood_at: int, offset: int) -> None:
        """A topic deleted and made anew under a running worker lacks all areas that do not change any more; a start
        sends them all. The root is sent every RESEND_SECONDS, so this takes no longer."""
        if 0 <= offset <= stood_at:  # below 0: a repeated send, whose place nobody says
            raise BrokenInvariant(
                f"{self.topics.standings}: offset {offset} after {stood_at}: the topic was made anew, or lost records"
            )


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
        raise BrokenInvariant(f"{where}: standings of definition {published.definition}, this is {election.digest}")
    if len(published.next_offsets) != partition_count:
        raise BrokenInvariant(
            f"{where}: standings over {len(published.next_offsets)} partitions, {topics.reports} has {partition_count}"
        )
    return published
