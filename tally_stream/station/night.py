"""Plays a report log into the reports topic: right partition, acks from all, resumable, at any pace.

Decides where a record of a recorded night belongs: murmur2 of its key, and a copy to every partition for control of a
contest. Refuses a topic that holds anything but a beginning of the same night.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tally_stream.domain.election import Election
from tally_stream.domain.report import Control
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.settings import Settings
from tally_stream.station.standing import Fingerprints, StandsOtherwise, standing
from tally_stream.wire.reading import ReportReader
from tally_stream.wire.report_log import LogRecord, ReportLog
from tally_stream.wire.signed import KINDS_FOR_ALL, kind_said

IN_FLIGHT_MAX = 20_000
"""Records handed to the producer and not yet acknowledged."""


class NightRefused(Exception):
    """The night can't be sent there: `args[0]` says why."""


@dataclass(frozen=True, slots=True)
class Sending:
    """One record on its way: the partitions it goes to and its place in the night, from 0."""

    record: LogRecord
    partitions: tuple[int, ...]
    index: int


class Night:
    """A log laid out over the partitions of a topic. Iterating again reads the log again."""

    def __init__(self, election: Election, log_path: Path, partition_count: int) -> None:
        """Raises LogError, or NightRefused where a saved log was made for another partition count."""
        self.log = ReportLog(log_path)
        self.partition_count = partition_count
        if self.log.partition_count not in (None, partition_count):
            raise NightRefused(
                f"{log_path} was saved from {self.log.partition_count} partitions, the topic has {partition_count}"
            )
        self._reader = ReportReader(election)
        self._is_signed = election.signatures is not None
        self._contest_keys = {contest.id.encode() for contest in election.contests}
        self._partition_of: dict[bytes, int] = {}

    def __iter__(self) -> Iterator[Sending]:
        for index, record in enumerate(self.log):
            yield Sending(record, self._partitions(record), index)

    def _partitions(self, record: LogRecord) -> tuple[int, ...]:
        if self.log.partition_count is not None:
            return (record.partition,)
        key = record.key
        if key is None:
            return (0,)
        if self._is_for_all(record.value, key):
            return tuple(range(self.partition_count))
        partition = self._partition_of.get(key)
        if partition is None:
            partition = self._partition_of[key] = murmur2_partition(key, self.partition_count)
        return (partition,)

    def _is_for_all(self, value: bytes | None, key: bytes) -> bool:
        """Whether it is control of a contest or a statement about a key, which go to every partition."""
        if self._is_signed:
            return kind_said(value) in KINDS_FOR_ALL
        return key in self._contest_keys and isinstance(self._reader.read(value, key), Control)


async def already_sent(settings: Settings, topic: str, night: Night) -> dict[int, int]:
    """Partition → how many of the night's records stand there already.

    Raises NightRefused where the topic holds something else than a beginning of each partition's part of the night.
    """
    due = Fingerprints(night.partition_count, with_times=False)  # a topic may have times of its own (LogAppendTime)
    for sending in night:
        for partition in sending.partitions:
            due.add(partition, sending.record)
    try:
        return await standing(settings, topic, due)
    except StandsOtherwise as other:
        raise NightRefused(
            f"{topic}: partition {other.partition}, offset {other.offset} is no record of this night ({other}); "
            "send it to a topic of its own (another --prefix)"
        ) from other


async def play(
    producer: Any,
    topic: str,
    night: Night,
    sent: dict[int, int],
    *,
    on_sent: Callable[[Sending], None] | None = None,
    wait: Callable[[Sending], Awaitable[None]] | None = None,
) -> int:
    """Send what is not there yet; returns how many records (copies included) the topic holds of the night then.

    `wait(sending)` is awaited before each record (the pace), `on_sent` called after it was handed over. Returns when the
    broker has acknowledged everything; raises aiokafka's KafkaError where it did not.
    """
    position = dict.fromkeys(range(night.partition_count), 0)
    in_flight: list[asyncio.Future[Any]] = []
    for sending in night:
        if wait is not None and any(position[p] >= sent[p] for p in sending.partitions):
            await wait(sending)
        record = sending.record
        for partition in sending.partitions:
            position[partition] += 1
            if position[partition] <= sent[partition]:
                continue
            in_flight.append(await _send(producer, topic, partition, record))
        if len(in_flight) >= IN_FLIGHT_MAX:
            await asyncio.gather(*in_flight)
            in_flight.clear()
        if on_sent is not None:
            on_sent(sending)
    await asyncio.gather(*in_flight)
    return sum(position.values())


async def _send(producer: Any, topic: str, partition: int, record: LogRecord) -> asyncio.Future[Any]:
    if record.key is None and record.value is None:
        # The client's `send` takes no record without both; a batch does, and a night may hold one (S1).
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=record.timestamp_ms)
        future: asyncio.Future[Any] = await producer.send_batch(batch, topic, partition=partition)
        return future
    sent: asyncio.Future[Any] = await producer.send(
        topic, record.value, key=record.key, partition=partition, timestamp_ms=record.timestamp_ms
    )
    return sent
