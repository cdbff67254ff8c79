"""Follows the published topics without a group, from their beginning: any number of boards may.

Decides when the board may show anything: not before it read to the end offsets found at its start. Records of another
definition are passed over and counted. Refuses to know HTTP: those who want to hear of news wait on `news`.
Read `stations.py` next for the reports topic, `server.py` for what is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from tally_stream.board.changes import Ledger, Refusals
from tally_stream.board.shown import ContestShown, Published
from tally_stream.domain.election import Election
from tally_stream.kafka.client import StoredRecord, TopicReader
from tally_stream.kafka.following import Follower
from tally_stream.kafka.topics import Topics
from tally_stream.settings import Settings
from tally_stream.wire.messages import PublishedStandings, read_published

FOREIGN_DEFINITIONS_MAX = 100
"""Digests of other definitions that are told apart."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Feed:
    """The newest of everything published under a prefix for one definition. `run` follows until it is cancelled."""

    def __init__(self, settings: Settings, election: Election) -> None:
        self.election = election
        self.shown = {contest.id: ContestShown() for contest in election.contests}
        self.ledger = Ledger(election.digest)
        self.refusals = Refusals(election.digest)
        self.foreign_definitions: dict[str, int] = {}
        """Digest of another definition → standings of it that were passed over."""
        self.news = asyncio.Event()
        """Set whenever something shown changed; whoever waits clears it."""
        self._settings = settings
        self._topics = Topics(settings.prefix)
        self._area_ids = {area.id for area in election.areas}
        self._behind = {self._topics.standings, self._topics.changes, self._topics.rejections}

    @property
    def is_caught_up(self) -> bool:
        """Whether all three topics were read to where they ended at the start."""
        return not self._behind

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
                for record in records:
                    take(record)
                await asyncio.sleep(0)
            self._behind.discard(topic)
            self.news.set()
            while True:
                records = await follower.poll()
                for record in records:
                    take(record)
                if records:
                    self.news.set()

    def _take_standings(self, record: StoredRecord) -> None:
        try:
            message = read_published(record.value or b"")
        except ValueError:
            return  # whoever may write to the topic may write nonsense; the worker overwrites it
        shown = self.shown.get(message.contest)
        if message.definition != self.election.digest:
            known = self.foreign_definitions
            if message.definition in known or len(known) < FOREIGN_DEFINITIONS_MAX:
                known[message.definition] = known.get(message.definition, 0) + 1
            return
        if shown is None or message.area not in self._area_ids:
            return
        self._show(shown, message, record)

    def _show(self, shown: ContestShown, message: PublishedStandings, record: StoredRecord) -> None:
        assert record.value is not None, "it was read"
        published = Published(message.version, record.value, record.timestamp_ms)
        if message.area != self.election.root:
            shown.take_area(message.area, published)
            return
        with contextlib.suppress(ValueError):
            shown.take_root(published, now_ms())
