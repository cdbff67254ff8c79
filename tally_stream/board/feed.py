"""Follows the published topics without a group, from their beginning: any number of boards may.

Decides when the board may show anything: not before it read to the end offsets found at its start. Records of another
definition are passed over and counted, and so is what no worker can have published. Refuses to know HTTP: those who
want to hear of news wait on `news`.
Read `stations.py` next for the reports topic, `server.py` for what is served.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from tally_stream.board.changes import Ledger, Refusals
from tally_stream.board.history import points_each
from tally_stream.board.shown import ContestShown, Published
from tally_stream.domain.election import Election
from tally_stream.kafka.client import StoredRecord, TopicReader
from tally_stream.kafka.following import Follower
from tally_stream.kafka.topics import Topics
from tally_stream.settings import Settings
from tally_stream.wire.messages import PublishedStandings, read_published
from tally_stream.wire.newest import root_seconds
from tally_stream.wire.schema.published import read_canonical_standings

FOREIGN_DEFINITIONS_MAX = 100
"""Digests of other definitions that are told apart."""

REFUSED_SAID_MAX = 20
"""Keys of which a refused message is said; the others are only counted."""

REFUSED_MAX_CHARS = 200

SLICE_RECORDS = 100
"""Records taken between two breaths: a publication of 8,000 areas must not keep readers of the page waiting."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Feed:
    """The newest of everything published under a prefix for one definition. `run` follows until it is cancelled."""

    def __init__(self, settings: Settings, election: Election, say: Callable[[str], None]) -> None:
        self.election = election
        points = points_each(len(election.contests))
        self.shown = {contest.id: ContestShown(points) for contest in election.contests}
        self.root_seconds = root_seconds(len(election.contests))
        self._rootless = set(self.shown)
        """Contests of which no root was shown yet."""
        self._reached: dict[str, int] = {}
        """Partition → the highest offset that any root shown was made with."""
        self.ledger = Ledger(election.digest)
        self.refusals = Refusals(election.digest)
        self.foreign_definitions: dict[str, int] = {}
        """Digest of another definition → standings of it that were passed over."""
        self.refused_count = 0
        """Messages of this definition, or of none, that no worker published: they are not shown."""
        self._refused_keys: set[bytes] = set()
        self._say = say
        self.partial_hold: Callable[[str], tuple[int, int] | None] = lambda contest: None
        """Of a contest, in how many of how many partitions it is on hold, where that is some and not all: whoever folds the
        report log knows (`stations.py`)."""
        self.news = asyncio.Event()
        """Set whenever something shown changed; whoever waits clears it."""
        self._settings = settings
        self._topics = Topics(settings.prefix)
        self._area_index = {area.id: index for index, area in enumerate(election.areas)}
        self._behind = {self._topics.standings, self._topics.changes, self._topics.rejections}

    @property
    def is_caught_up(self) -> bool:
        """Whether all three topics were read to where they ended at the start."""
        return not self._behind

    def next_offsets(self) -> dict[str, int]:
        """Partition → how far the newest root of any contest reaches; none is named until each contest has a root. A
        contest that nothing happens in stands still, and one on hold too: neither may stop the others."""
        return {} if self._rootless else self._reached

    def tells_changes(self, contest: str | None) -> bool:
        """Whether changes of a contest may be told, of all contests where none is named: a trial report's correction would
        give away trial figures."""
        if contest is not None:
            return contest in self.shown and not self.shown[contest].is_before_the_close
        return not any(shown.is_before_the_close for shown in self.shown.values())

    async def run(self) -> None:
        """Raises KafkaError or OSError where a topic is missing or its broker refuses us, TopicLost where it is another
        one than before."""
        topics = self._topics
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(topics.standings, self._take_standings))
            group.create_task(self._follow(topics.changes, lambda r: self.ledger.take(r.value)))
            group.create_task(self._follow(topics.rejections, lambda r: self.refusals.take(r.value)))

    async def _follow(self, topic: str, take: Callable[[StoredRecord], Any]) -> None:
        async with TopicReader(self._settings, topic) as reader:
            follower = Follower(reader)
            async for records in follower.read_to_end():
                await self._take_all(records, take)
            self._behind.discard(topic)
            self.news.set()
            while True:
                records = await follower.poll()
                await self._take_all(records, take)
                if records:
                    self.news.set()

    async def _take_all(self, records: list[StoredRecord], take: Callable[[StoredRecord], Any]) -> None:
        for begin in range(0, len(records), SLICE_RECORDS):
            for record in records[begin : begin + SLICE_RECORDS]:
                take(record)
            await asyncio.sleep(0)

    def _take_standings(self, record: StoredRecord) -> None:
        if record.value is None:
            return
        try:
            message = read_published(record.value)
        except ValueError as error:
            self._refuse(record, error)
            return
        if message.definition != self.election.digest:
            known = self.foreign_definitions
            if message.definition in known or len(known) < FOREIGN_DEFINITIONS_MAX:
                known[message.definition] = known.get(message.definition, 0) + 1
            return
        shown = self.shown.get(message.contest)
        if shown is None or not self._has_area(message.contest, message.area):
            self._refuse(record, ValueError(f"no contest {message.contest!r} with an area {message.area!r}"))
            return
        try:
            self._show(shown, message, record.value, record.timestamp_ms)
        except ValueError as error:
            self._refuse(record, error)

    def _has_area(self, contest_id: str, area_id: str) -> bool:
        """Whether a contest has a station in that area: of others no worker says anything."""
        contest, area = self.election.contest_index(contest_id), self._area_index.get(area_id)
        if contest is None or area is None:
            return False
        areas = self.election.contest_areas[contest]  # ascending: there may be 100,000
        place = bisect_left(areas, area)
        return place < len(areas) and areas[place] == area

    def _show(self, shown: ContestShown, message: PublishedStandings, value: bytes, sent_ms: int) -> None:
        """Raises ValueError where the message would be shown, and is not what a worker publishes."""
        area = None if message.area == self.election.root else message.area
        before = shown.of(area)
        if before is not None and message.version < before.version:
            return  # it would not be shown: no need to read all of it
        if before is None or value != before.value:  # else it was checked, and is sent again
            read_canonical_standings(value)
        published = Published(message.version, value, sent_ms)
        if area is None:
            if shown.take_root(published, now_ms()):
                self._rootless.discard(message.contest)
                for partition, offset in message.next_offsets.items():
                    self._reached[partition] = max(offset, self._reached.get(partition, 0))
        else:
            shown.take_area(area, published)

    def _refuse(self, record: StoredRecord, error: ValueError) -> None:
        """Whoever may write to the topic may write nonsense: it is counted, and said once a key."""
        self.refused_count += 1
        key = record.key or b""
        if key in self._refused_keys or len(self._refused_keys) >= REFUSED_SAID_MAX:
            return
        self._refused_keys.add(key)
        why = "".join(c if c.isprintable() else "?" for c in str(error))[:REFUSED_MAX_CHARS]
        self._say(f"{self._topics.standings}, offset {record.offset} is not shown: {why}")
