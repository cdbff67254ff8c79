"""A transport into lists, with the faults a network has: nobody there, an acknowledgement that is lost, a wrong login."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import Settings
from tally_stream.station.transport import NotSent
from tests.support.report_messages import LOG_MS, as_bytes

PARTITIONS = 3


class TopicOfLists:
    """`answer` is asked before each record is taken and after; what it raises is what the sender sees."""

    def __init__(self) -> None:
        self.stored: dict[int, list[tuple[bytes, bytes]]] = {p: [] for p in range(PARTITIONS)}
        self.before: Callable[[int], Exception | None] = lambda count: None
        self.after: Callable[[int], Exception | None] = lambda count: None
        self.tries = 0
        self.is_closed = False

    async def send(self, key: bytes, value: bytes) -> tuple[int, int]:
        self.tries += 1
        count = self.tries
        await asyncio.sleep(0)
        if (wrong := self.before(count)) is not None:
            raise wrong
        partition = murmur2_partition(key, PARTITIONS)
        self.stored[partition].append((key, value))
        if (wrong := self.after(count)) is not None:
            raise wrong
        return partition, len(self.stored[partition]) - 1

    async def close(self) -> None:
        self.is_closed = True

    @property
    def values(self) -> list[bytes]:
        return [value for records in self.stored.values() for _, value in records]


class TopicRead(TopicOfLists):
    """Read as well as written. Until `opened` a reading gets nothing, with `trouble` it fails; `begun` counts readings, `read` what they were
    given."""

    def __init__(self) -> None:
        super().__init__()
        self.opened, self.begun, self.read = asyncio.Event(), 0, 0
        self.opened.set()
        self.trouble: Exception | None = None

    def put(
        self, message: dict[str, Any] | bytes, key: bytes = b"A-1", partition: int = murmur2_partition(b"A-1", PARTITIONS)
    ) -> None:
        self.stored[partition].append((key, message if isinstance(message, bytes) else as_bytes(message)))

    @asynccontextmanager
    async def reader(self, settings: Settings, topic: str, *, is_log: bool) -> AsyncIterator[ReaderOfLists]:
        assert (topic, is_log) == ("tally.reports", True)
        self.begun += 1
        yield ReaderOfLists(self)


class ReaderOfLists:
    def __init__(self, topic: TopicRead) -> None:
        self._topic, self._at = topic, dict[int, int]()

    async def bounds(self) -> dict[int, tuple[int, int]]:
        return {p: (0, len(records)) for p, records in self._topic.stored.items()}

    async def seek(self, offsets: Mapping[int, int]) -> None:
        self._at = dict(offsets)

    async def read_to_end(self) -> AsyncIterator[list[StoredRecord]]:
        await self._topic.opened.wait()
        if self._topic.trouble is not None:
            raise self._topic.trouble
        for p, records in self._topic.stored.items():
            begin, self._at[p] = self._at[p], len(records)
            self._topic.read += self._at[p] - begin
            yield [StoredRecord(p, o, LOG_MS, *records[o]) for o in range(begin, self._at[p])]


def absent(count: int) -> Exception | None:
    return NotSent("nobody is there")
