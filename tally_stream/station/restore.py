"""A saved log back into an empty reports topic: the same partitions, offsets, timestamps and bytes.

Decides which topic may be restored into, and how records go there: in batches of our own, one under way a partition, so
that nothing overtakes, each acknowledged at the very offset it has in the log. Null records (markers, broken batches)
and records larger than the client's `send` takes go the same way. What is lost if the process dies: nothing; run again
it compares what stands there and goes on behind it. Refuses to know elections and what records say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tally_stream.kafka.client import KafkaError
from tally_stream.kafka.topics import look_at_reports
from tally_stream.settings import Settings
from tally_stream.station.standing import Fingerprints, StandsOtherwise, standing
from tally_stream.wire.report_log import LogRecord, ReportLog

TOLD_EVERY_RECORDS = 1_000


class RestoreRefused(Exception):
    """The log can't be restored there: `errors` are all the reasons, one a sentence."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def partitions_of(log: ReportLog) -> int:
    """Raises RestoreRefused where the log has no partitions and offsets to restore."""
    if log.partition_count is None:
        raise RestoreRefused([f"{log.path} is a recorded night, without partitions and offsets: `tally-stream send` plays it"])
    return log.partition_count


async def check_topic(settings: Settings, topic: str, log: ReportLog) -> None:
    """Raises RestoreRefused with every reason why the topic, as it is set, can't become what the log was saved from."""
    partitions = partitions_of(log)
    found = await look_at_reports(settings)
    if found is None:
        raise RestoreRefused([
            f"there is no topic {topic}; make it: tally-stream topics create --prefix {settings.prefix} --election DIR "
            f"--partitions {partitions} --create-time"
        ])  # fmt: skip
    errors = list(found.refusals)
    if found.partitions != partitions:
        errors.append(f"{log.path} was saved from {partitions} partitions, the topic has {found.partitions}")
    if found.timestamp_type != "CreateTime":
        errors.append(f"{topic}: message.timestamp.type is {found.timestamp_type}, the log's own times would be lost; make "
                      "the topic with `topics create --create-time`, restore, then set it back (docs/runbook.md)")  # fmt: skip
    if errors:
        raise RestoreRefused(errors)


def read_whole(log: ReportLog, on_read: Callable[[int], object]) -> Fingerprints:
    """The log to its last byte, before anything is sent; `on_read` is told how many records were read.

    Raises LogError where it is damaged, or its end stands under no checksum.
    """
    due = Fingerprints(partitions_of(log), with_times=True)
    for count, record in enumerate(log, 1):
        due.add(record.partition, record)
        if count % TOLD_EVERY_RECORDS == 0:
            on_read(count)
    log.check_end()
    return due


async def restore(
    producer: Any, settings: Settings, topic: str, log: ReportLog, due: Fingerprints, on_sent: Callable[[int], object]
) -> int:
    """Send what is not there yet, then read the topic and compare; returns how many records stood there before.

    Raises RestoreRefused where the topic holds anything but a beginning of the log, or a record did not land where the
    log has it; LogError where the log is not what `due` was made of any more.
    """
    before = await _standing(settings, topic, log, due)
    lanes = [_Lane(topic, partition) for partition in range(partitions_of(log))]
    try:
        for count, record in enumerate(log, 1):
            if record.offset >= before[record.partition]:
                await lanes[record.partition].add(producer, record)
            if count % TOLD_EVERY_RECORDS == 0:
                on_sent(count)
        for lane in lanes:
            await lane.send(producer)
        for lane in lanes:
            await lane.settle()
    finally:
        for lane in lanes:
            lane.forget()
    after = await _standing(settings, topic, log, due)
    if after != due.next_offsets:
        raise RestoreRefused([f"{topic} ends at {after}, {log.path} at {due.next_offsets}"])
    return sum(before.values())


async def _standing(settings: Settings, topic: str, log: ReportLog, due: Fingerprints) -> dict[int, int]:
    try:
        return await standing(settings, topic, due)
    except StandsOtherwise as other:
        raise RestoreRefused([
            f"{topic}: partition {other.partition}, offset {other.offset} is not as in {log.path} ({other}); "
            "a log is restored into an empty topic, or one that holds a beginning of it"
        ]) from other  # fmt: skip


@dataclass(slots=True)
class _Lane:
    """One partition on its way: a batch being filled, and one that is not acknowledged yet."""

    topic: str
    partition: int
    batch: Any = None
    first: int = 0
    next: int = 0
    under_way: tuple[int, int, asyncio.Future[Any]] | None = None
    """First offset, next offset, and the broker's answer."""

    async def add(self, producer: Any, record: LogRecord) -> None:
        if self.batch is not None and not self._append(record):
            await self.send(producer)
        if self.batch is None:
            self.batch = producer.create_batch()
            self.first = record.offset
            self._append(record)  # a batch takes its first record whatever its size
        self.next = record.offset + 1

    def _append(self, record: LogRecord) -> bool:
        return self.batch.append(timestamp=record.timestamp_ms, key=record.key, value=record.value) is not None

    async def send(self, producer: Any) -> None:
        """Hand the batch over, once the one before it was acknowledged."""
        await self.settle()
        if self.batch is None:
            return
        batch, self.batch = self.batch, None
        batch.close()
        answer = await producer.send_batch(batch, self.topic, partition=self.partition)
        self.under_way = self.first, self.next, answer

    async def settle(self) -> None:
        """Raises RestoreRefused where the batch under way was not taken, or landed elsewhere."""
        if self.under_way is None:
            return
        first, end, answer = self.under_way
        try:
            landed = (await answer).offset
        except KafkaError as error:
            what = getattr(error, "description", "") or "no more is known"
            raise RestoreRefused([
                f"{self.topic}: partition {self.partition}, offsets {first} to {end - 1} were not taken: {error} ({what}); "
                "run again, it goes on where it stopped"
            ]) from error  # fmt: skip
        self.under_way = None
        if landed not in (first, -1):  # -1: a repeated batch, whose place the broker does not say
            raise RestoreRefused([
                f"{self.topic}: partition {self.partition}: offset {first} of the log landed at {landed}: something else "
                "writes to the topic; end it, delete the topic and begin again"
            ])  # fmt: skip

    def forget(self) -> None:
        """Nobody waits any more for an answer that is still due."""
        if self.under_way is not None:
            self.under_way[2].add_done_callback(lambda answer: answer.cancelled() or answer.exception())
