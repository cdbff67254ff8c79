"""What each offset of a log is: whole fetched batches as their raw records, and nulls where a batch has none to count.

Decides what a consumer hands over for chosen topics: every offset once, in order, as something with `.offset`,
`.timestamp` (ms), `.timestamp_type`, `.key` and `.value`. Two reasons to stand between aiokafka and its readers:

- aiokafka builds an object of eleven fields for each record, in Python; the raw one has the five that are read. In a
  worker at full load fetching went from 14 % of the interpreter's time to 7 %.
- A transaction's marker takes an offset that aiokafka skips in silence, which looks like a lost record. Here each offset
  of a control batch, and each record of a transactional one (which may be aborted: nobody counts what was taken back),
  is a record without key and value, so that whoever reads the log sees the same records at the same offsets.

The names of aiokafka relied on stand in `RELIED_ON` and are held by the contract test. Read next: `client.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException

RELIED_ON: Mapping[str, str] = {
    "aiokafka.consumer.fetcher:FetchResult.getall": "(self, max_records=None)",
    "aiokafka.consumer.fetcher:FetchResult.check_assignment": "(self, tp)",
    "aiokafka.consumer.fetcher:FetchResult.has_more": "(self)",
    "aiokafka.consumer.fetcher:FetchResult._update_position": "(self)",
}
"""module:qualified name -> the parameters, without annotations, that this module was written against."""

RELIED_ON_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "aiokafka.consumer.fetcher:FetchResult": ("_partition_records", "_topic_partition"),
    "aiokafka.consumer.fetcher:PartitionRecords": ("_records", "_check_crcs", "next_fetch_offset"),
    "aiokafka.consumer.fetcher:Fetcher": ("_records",),
    "aiokafka.consumer.consumer:AIOKafkaConsumer": ("_fetcher",),
}
"""Attributes read or set on instances; the contract test looks for them in the class's source."""


class NullRecord:
    """An offset that holds nothing to count."""

    __slots__ = ("offset", "timestamp", "timestamp_type")

    key = None
    value = None

    def __init__(self, offset: int, timestamp: int, timestamp_type: int) -> None:
        self.offset, self.timestamp, self.timestamp_type = offset, timestamp, timestamp_type


class _BatchReader:
    """In place of one fetch result's `getall`: opens whole batches, hands over at most what was asked for."""

    def __init__(self, result: FetchResult) -> None:
        self._result = result
        self._opened: list[Any] = []
        """Records of opened batches that were not handed over yet."""
        self._end = result._partition_records.next_fetch_offset
        """The offset after the opened batches."""

    def getall(self, max_records: int | None = None) -> list[Any]:
        """The next records, at most `max_records`. Raises CorruptRecordException where a batch's checksum is wrong."""
        result = self._result
        source = result._partition_records
        if not result.check_assignment(result._topic_partition) or not result.has_more():
            return []
        records, self._opened = self._opened, []
        batches = source._records
        while (max_records is None or len(records) < max_records) and batches.has_next():
            batch = batches.next_batch()
            if source._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {result._topic_partition}")
            if batch.next_offset > self._end:
                opened = records_of(batch)
                # A broker sends whole batches: the first may begin before the offset that was asked for.
                records += opened if batch.base_offset >= self._end else [r for r in opened if r.offset >= self._end]
                self._end = batch.next_offset
        source.next_fetch_offset = self._end
        if max_records is not None and len(records) > max_records:
            records, self._opened = records[:max_records], records[max_records:]
            source.next_fetch_offset = self._opened[0].offset
        result._update_position()
        if not self._opened and not batches.has_next():
            result._partition_records = None
        return records


def records_of(batch: Any) -> list[Any]:
    """All records of one batch (aiokafka's `DefaultRecordBatch`), one for each offset it took."""
    if batch.is_control_batch or batch.is_transactional:
        time_ms, time_type = batch.max_timestamp, batch.timestamp_type
        return [NullRecord(offset, time_ms, time_type) for offset in range(batch.base_offset, batch.next_offset)]
    return list(batch)


class _BatchResults(OrderedDict[Any, Any]):
    """The fetcher's results by partition; those of chosen topics are read by whole batches."""

    def __init__(self, topics: Collection[str]) -> None:
        super().__init__()
        self._topics = topics

    def __setitem__(self, tp: Any, result: Any) -> None:
        if type(result) is FetchResult and tp.topic in self._topics:
            result.getall = _BatchReader(result).getall
        super().__setitem__(tp, result)


def read_whole_batches(consumer: Any, topics: Collection[str]) -> None:
    """From now on a started `AIOKafkaConsumer` hands over these topics as this module says, all others as ever."""
    consumer._fetcher._records = _BatchResults(topics)
