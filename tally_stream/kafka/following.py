"""A topic that is read for hours must stay the same one: what shows that it was deleted, or made anew under its name.

Decides when that is certain: a record stands at or before one already read, or two looks in a row found no such topic,
or an end before what was read. An outage is none of these. A client alone would go back to the first record in silence.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from tally_stream.kafka.client import KafkaError, StoredRecord, TopicReader

LOOK_SECONDS = 5.0
ANSWER_SECONDS = 4.0


class TopicLost(Exception):
    """`args[0]` is a sentence for the operator that names the topic."""


class Follower:
    """Reads on from where its reader stands. Raises TopicLost from any of its methods."""

    def __init__(self, reader: TopicReader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader, self._clock = reader, clock
        self._next: dict[int, int] = {}
        """Partition → behind the newest record read of it."""
        self._looked_at = clock()
        self._suspicion: str | None = None

    async def read_to_end(self) -> AsyncIterator[list[StoredRecord]]:
        async for records in self._reader.read_to_end():
            self._note(records)
            yield records

    async def poll(self) -> list[StoredRecord]:
        # Looked first: its answer waits behind the fetch under way, half a second, which records in hand must not.
        if self._clock() - self._looked_at >= LOOK_SECONDS:
            await self._look()
            self._looked_at = self._clock()
        records = await self._reader.poll()
        self._note(records)
        return records

    def _note(self, records: list[StoredRecord]) -> None:
        for record in records:
            due = self._next.get(record.partition, 0)
            if record.offset < due:
                raise TopicLost(self._sentence(record.partition, record.offset, due - 1))
            self._next[record.partition] = record.offset + 1

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                suspicion = await self._what_is_wrong()
        except (KafkaError, OSError, TimeoutError):
            return  # no answer says nothing; whoever waits for news knows the silence
        if suspicion is not None and self._suspicion is not None:
            raise TopicLost(suspicion)
        self._suspicion = suspicion

    async def _what_is_wrong(self) -> str | None:
        if await self._reader.is_gone():
            return f"{self._reader.topic}: there is no such topic any more"
        for partition, (_, end) in (await self._reader.bounds()).items():
            if end < self._next.get(partition, 0):
                return self._sentence(partition, end, self._next[partition] - 1)
        return None

    def _sentence(self, partition: int, offset: int, stood_at: int) -> str:
        where = f"{self._reader.topic}, partition {partition}"
        return f"{where}: offset {offset} after {stood_at}: the topic was made anew, or lost records"
