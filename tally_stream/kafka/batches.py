"""What each offset of a log is: whole fetched batches as their raw records, and nulls where a batch has none to count.

Decides what a consumer hands over for chosen topics: every offset once, in order, as something with `.offset`,
`.timestamp` (ms), `.timestamp_type`, `.key` and `.value`. Three reasons to stand between aiokafka and its readers:

- aiokafka builds an object of eleven fields for each record, in Python; the raw one has the five that are read. In a
  worker at full load fetching went from 14 % of the interpreter's time to 7 %.
- A transaction's marker takes an offset that aiokafka skips in silence, which looks like a lost record. Here each offset
  of a control batch, and each record of a transactional one (which may be aborted: nobody counts what was taken back),
  is a record without key and value, so that whoever reads the log sees the same records at the same offsets.
- A batch of 8 kB can inflate to 256 MiB. One that passes `BATCH_INFLATED_MAX_BYTES`, or that can't be inflated although
  its checksum is right (a broker need not look), is such records too; so is what comes from a record on that can't be
  parsed or is out of its place.

The names of aiokafka relied on stand in `tests/stream/relied_on.py`, for a test to hold. Read next: `inflate.py`, `client.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from tally_stream.kafka.inflate import BATCH_INFLATED_MAX_BYTES, CannotInflate, Inflater


class NullRecord:
    """An offset that holds nothing to count."""

    __slots__ = ("offset", "timestamp", "timestamp_type")

    key = None
    value = None

    def __init__(self, offset: int, timestamp: int, timestamp_type: int) -> None:
        self.offset, self.timestamp, self.timestamp_type = offset, timestamp, timestamp_type


class RawBatches(MemoryRecords):  # type: ignore[misc]
    """aiokafka's batches of one answer, with their bytes beside them: a batch of its own does not give them out."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer)
        self._answer = memoryview(answer)
        self._at = 0

    def next_batch_and_bytes(self) -> tuple[Any, memoryview]:
        """After `has_next` said so; not together with `next_batch`."""
        begin = self._at
        self._at += 12 + int.from_bytes(self._answer[begin + 8 : begin + 12], "big")
        return self.next_batch(), self._answer[begin : self._at]


fetcher.MemoryRecords = RawBatches
# At import, since an answer that came before could not be read: for every consumer, in which nothing changes by it.


class _BatchReader:
    """In place of one fetch result's `getall`: opens whole batches, hands over at most what was asked for."""

    def __init__(self, result: FetchResult, inflater: Inflater) -> None:
        self._result = result
        self._inflater = inflater
        self._opened: Iterator[Any] | None = None
        """Records of an opened batch that were not handed over yet. Not a list: one batch can hold 100 million."""
        self._opened_end = 0

    def getall(self, max_records: int | None = None) -> list[Any]:
        """The next records, at most `max_records`. Raises CorruptRecordException where a batch's checksum is wrong."""
        result = self._result
        source = result._partition_records
        if not result.check_assignment(result._topic_partition) or not result.has_more():
            return []
        records: list[Any] = []
        while max_records is None or len(records) < max_records:
            if self._opened is None and not self._open(source):
                break
            assert self._opened is not None
            left = None if max_records is None else max_records - len(records)
            records += islice(self._opened, left)
            if left is None or len(records) < max_records:  # type: ignore[operator]
                self._opened = None
                source.next_fetch_offset = self._opened_end
            else:
                source.next_fetch_offset = records[-1].offset + 1
        if source.next_fetch_offset == self._opened_end:
            self._opened = None
        result._update_position()
        if self._opened is None and not source._records.has_next():
            result._partition_records = None
        return records

    def _open(self, source: Any) -> bool:
        """Open the next batch that has something at or above the offset that is due; False where there is none."""
        batches = source._records
        while batches.has_next():
            batch, raw = batches.next_batch_and_bytes()
            if source._check_crcs and not batch.validate_crc():
                place = self._result._topic_partition
                raise CorruptRecordException(
                    f"{place.topic}, partition {place.partition}: the batch at offset {batch.base_offset} is not what was "
                    "written, its checksum (CRC) is wrong: a bit turned at the broker that leads this partition"
                )
            due = source.next_fetch_offset
            if batch.next_offset > due:
                opened = records_of(batch, raw, self._inflater)
                # A broker sends whole batches: the first may begin before the offset that was asked for.
                self._opened = opened if batch.base_offset >= due else (r for r in opened if r.offset >= due)
                self._opened_end = batch.next_offset
                return True
        return False


def records_of(batch: Any, raw: memoryview, inflater: Inflater) -> Iterator[Any]:
    """All records of one batch (aiokafka's `DefaultRecordBatch`, and its bytes), one for each offset it took."""
    end = batch.next_offset
    due = batch.base_offset
    if not (batch.is_control_batch or batch.is_transactional):
        try:
            opened = inflater.uncompressed(raw) if batch.compression_type else batch
            for record in opened:
                if record.offset != due or due == end:
                    break  # a producer writes the offsets inside a batch, and not every broker looks at them
                yield record
                due += 1
        except (CannotInflate, CorruptRecordException, UnicodeDecodeError, OverflowError):
            # aiokafka's compiled class raises the last two at a header whose name is no UTF-8 (a broker takes such a
            # record), and at a length so large that its sum with the position overflows.
            pass
        except MemoryError:
            # So does a length a little smaller. Where there is no memory for an honest one either, this ends us: another
            # worker would read the record that this one could not.
            bytes(BATCH_INFLATED_MAX_BYTES)
    for offset in range(due, end):
        yield NullRecord(offset, batch.max_timestamp, batch.timestamp_type)


class _BatchResults(OrderedDict[Any, Any]):
    """The fetcher's results by partition; those of chosen topics are read by whole batches."""

    def __init__(self, topics: Collection[str]) -> None:
        super().__init__()
        self._topics = topics
        self._inflater = Inflater()

    def __setitem__(self, tp: Any, result: Any) -> None:
        if type(result) is FetchResult and tp.topic in self._topics:
            result.getall = _BatchReader(result, self._inflater).getall
        super().__setitem__(tp, result)


def read_whole_batches(consumer: Any, topics: Collection[str]) -> None:
    """From now on a started `AIOKafkaConsumer` hands over these topics as this module says, all others as ever."""
    consumer._fetcher._records = _BatchResults(topics)
