"""A fetch as the client hands it on, and its records as a reader sees them."""

# ruff: noqa: SLF001, PLC2701  (the fetcher's private records are where the batches' own result has to fit in)

from types import SimpleNamespace
from typing import Any

from aiokafka.consumer.fetcher import READ_UNCOMMITTED, FetchResult, PartitionRecords
from aiokafka.structs import TopicPartition

from tally_stream.kafka.batches import RawBatches, _BatchResults, read_whole_batches

TP = TopicPartition("log", 0)


def fetched(data: bytes, at: int, *, checks: bool = True, topics: tuple[str, ...] = ("log",)) -> tuple[Any, list[int]]:
    """A result in a fetcher that reads whole batches, and the positions it reports."""
    positions = [at]
    assignment = SimpleNamespace(
        active=True,
        state_value=lambda _: SimpleNamespace(paused=False, position=positions[-1], consumed_to=positions.append),
    )
    records = PartitionRecords(TP, RawBatches(data), [], at, None, None, checks, READ_UNCOMMITTED)
    result = FetchResult(TP, assignment=assignment, partition_records=records, backoff=0)
    consumer = SimpleNamespace(_fetcher=SimpleNamespace(_records=None))
    read_whole_batches(consumer, topics)
    assert isinstance(consumer._fetcher._records, _BatchResults)
    consumer._fetcher._records[TP] = result
    assert consumer._fetcher._records[TP] is result
    return result, positions


def told(record: Any) -> tuple[int, int, bytes | None, bytes | None]:
    return record.offset, record.timestamp, record.key, record.value
