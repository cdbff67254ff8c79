"""A reports topic that stands in memory: what a sender does to it is seen record by record, and no broker is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import Settings
from tally_stream.wire.report_log import LogRecord

BATCH_RECORDS = 3
"""What a batch holds."""


@dataclass
class Landed:
    offset: int


class Batch:
    def __init__(self) -> None:
        self.records: list[tuple[int, bytes | None, bytes | None]] = []
        self.is_closed = False

    def append(self, *, timestamp: int, key: bytes | None, value: bytes | None) -> object | None:
        assert not self.is_closed
        if len(self.records) == BATCH_RECORDS:
            return None
        self.records.append((timestamp, key, value))
        return self

    def close(self) -> None:
        self.is_closed = True


class TopicInMemory:
    """The broker's topic, a producer that writes to it, and what a reader of it finds."""

    def __init__(self, *stored: LogRecord, partitions: int = 2, is_one_at_a_time: bool = True) -> None:
        self.name = "t.reports"
        self.settings = Settings(prefix="t")
        self.is_one_at_a_time = is_one_at_a_time
        """A batch is sent once the one before it, of its partition, was acknowledged; else the sender has failed."""
        self.stored: dict[int, list[StoredRecord]] = {p: [] for p in range(partitions)}
        self.starts = dict.fromkeys(range(partitions), 0)
        self.batches: list[tuple[int, int]] = []
        """Partition and number of records of each that was taken."""
        self.under_way: set[int] = set()
        self.before_batch: Callable[[int], None] = lambda partition: None
        self.answer: Callable[[int, int], int | Exception | None] = lambda partition, offset: offset
        """Of a batch for this partition that begins at this offset: where it is said to stand, or why it is not taken; None:
        it is acknowledged at its offset, and lost."""
        for record in stored:
            self.put(record.partition, record.timestamp_ms, record.key, record.value)

    def put(self, partition: int, timestamp_ms: int, key: bytes | None, value: bytes | None) -> None:
        at = self.stored[partition]
        at.append(StoredRecord(partition, self.starts[partition] + len(at), timestamp_ms, key, value))

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[Landed]:
        assert topic == self.name
        assert batch.records
        assert partition not in self.under_way or not self.is_one_at_a_time, "one overtakes another"
        self.before_batch(partition)
        offset = len(self.stored[partition])
        answer = self.answer(partition, offset)
        future: asyncio.Future[Landed] = asyncio.get_running_loop().create_future()
        if isinstance(answer, Exception):
            future.set_exception(answer)
            return future
        if answer is not None:
            for record in batch.records:
                self.put(partition, *record)
            self.batches.append((partition, len(batch.records)))
        self.under_way.add(partition)

        def acknowledge() -> None:
            self.under_way.discard(partition)
            future.set_result(Landed(offset if answer is None else answer))

        asyncio.get_running_loop().call_soon(acknowledge)
        return future

    async def send(
        self, topic: str, value: bytes | None, *, key: bytes | None, partition: int, timestamp_ms: int
    ) -> asyncio.Future[Landed]:
        assert key is not None or value is not None, "the client takes none without both"
        batch = Batch()
        batch.append(timestamp=timestamp_ms, key=key, value=value)
        return await self.send_batch(batch, topic, partition=partition)

    def reader(self, settings: Settings, topic: str, *, is_log: bool) -> TopicInMemory:
        assert (settings, topic, is_log) == (self.settings, self.name, True)
        return self

    async def __aenter__(self) -> TopicInMemory:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def bounds(self) -> dict[int, tuple[int, int]]:
        return {p: (self.starts[p], self.starts[p] + len(records)) for p, records in self.stored.items()}

    async def read_to_end(self) -> AsyncIterator[list[StoredRecord]]:
        for records in self.stored.values():
            yield list(records)

    def holds(self, records: list[LogRecord]) -> bool:
        """These, and no others."""
        found = [LogRecord(r.timestamp_ms, r.key, r.value, p, r.offset) for p, at in self.stored.items() for r in at]
        return sorted(found, key=lambda r: (r.partition, r.offset)) == sorted(records, key=lambda r: (r.partition, r.offset))
