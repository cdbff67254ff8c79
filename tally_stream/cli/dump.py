"""`tally-stream dump`: the reports topic as a file, complete for each partition, and kept up with `--follow`.

Decides when a file may be gone on with: it is a dump of the same topic, and its last records stand at the same offsets.
"""

from __future__ import annotations

import asyncio
from math import inf
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tally_stream.cli.common import (
    begin_log,
    err,
    out,
    refuse,
    run_async,
    settings_of,
    stop_when_told,
    warn,
    with_broker,
)
from tally_stream.cli.dump_state import DumpState, MetricsNotServed, serve
from tally_stream.kafka.lost import lost_at_ends, lost_records
from tally_stream.settings import Settings
from tally_stream.wire.limits import LOG_TIMESTAMP_MAX_MS, LOG_TIMESTAMP_MIN_MS
from tally_stream.wire.report_log import LogError, LogRecord, ReportLog, encode_header, encode_line
from tally_stream.wire.saved_log import Appender, FrameError

if TYPE_CHECKING:
    from tally_stream.kafka.client import StoredRecord, TopicReader

FRAME_RECORDS_MAX = 8_192
FRAME_CONTENT_BYTES = 4 * 1024 * 1024
"""A frame is closed once it holds this much; one line more may pass it."""

FOLLOW_FRAME_SECONDS = 5.0
"""With `--follow` a frame is closed after so long too: under load it would otherwise wait until it is full."""


class DumpRefused(Exception):
    """The log can't be saved there: `args[0]` says why."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_broker
@click.option("--follow", is_flag=True, help="Go on as reports come, until SIGTERM or Ctrl-C: a copy off the cluster.")
@click.option("--metrics-host", "dump_metrics_host", help="Where --follow serves metrics and health [127.0.0.1].")
@click.option("--metrics-port", "dump_metrics_port", type=int, help="Its port [TALLY_DUMP_METRICS_PORT, default 0: none].")
def dump(file: Path, follow: bool, **flags: object) -> None:
    """Save the reports topic to FILE (gzip). Run again, it goes on where it stopped.

    Example: tally-stream dump reports.jsonl.gz --follow
    """
    if follow:
        begin_log("dump")
    settings = settings_of(**flags)

    from tally_stream.kafka.client import BrokerUnavailable, KafkaError

    try:
        total = run_async(_dump(settings, file, follow))
    except (DumpRefused, LogError, BrokerUnavailable, KafkaError, MetricsNotServed) as error:
        refuse([str(error)])
    except BlockingIOError:
        refuse([f"{file}: another process writes it"])
    except FrameError as error:
        refuse([f"{file}: {error}: no dump, or a damaged one; it is left as it is"])
    except OSError as error:
        refuse([f"{file}: {error.strerror or error}; run again, it goes on after the last whole frame"])
    out.print(f"{total:,} records of {settings.prefix}.reports stand in {file}", markup=False, soft_wrap=True)


class Saving:
    """The file with what it holds so far, and lines of a frame that is not written yet.

    `had_grown_at`: when the file had last grown before it was opened, seconds since 1970; now, where there was none. Its time
    alone would not do: a full disk takes a piece of a frame, which the next start cuts away, and both touch the file. So it is
    the newest record's time where that is earlier.
    """

    def __init__(self, path: Path, topic: str, partitions: int) -> None:
        self.next_offsets = [0] * partitions
        self.last: dict[int, LogRecord] = {}
        self.had_grown_at = path.stat().st_mtime if path.exists() else time()
        self._appender = Appender(path)
        if self._appender.cut_bytes:
            warn(f"{path}: {self._appender.cut_bytes} bytes of a frame that was broken off are cut away")
        self._lines: list[bytes] = []
        self._bytes = self._records = 0
        self.written_at: float | None = None
        self.flushed_at = monotonic()
        if self._appender.is_empty:
            self._appender.append([encode_header(topic, partitions)], 0)
            self.written_offsets = list(self.next_offsets)
            return
        log = ReportLog(path)
        if (log.topic, log.partition_count) != (topic, partitions):
            raise DumpRefused(
                f"{path} holds {log.topic} with {log.partition_count} partitions, this is {topic} with {partitions}"
            )
        for record in log:
            self.next_offsets[record.partition] = record.offset + 1
            self.last[record.partition] = record
        self.had_grown_at = min(self.had_grown_at, max((r.timestamp_ms / 1_000 for r in self.last.values()), default=inf))
        self.written_offsets = list(self.next_offsets)

    def take(self, stored: StoredRecord) -> None:
        record = LogRecord(stored.timestamp_ms, stored.key, stored.value, stored.partition, stored.offset)
        due = self.next_offsets[record.partition]
        if record.offset < due:
            if record != self.last[record.partition]:
                raise DumpRefused(f"partition {record.partition}: another record stands at offset {record.offset} "
                                  "than in the file: this is not the topic it was saved from")  # fmt: skip
            return
        if record.offset > due:
            raise DumpRefused(lost_records(record.partition, due, record.offset - 1))
        if not LOG_TIMESTAMP_MIN_MS <= record.timestamp_ms <= LOG_TIMESTAMP_MAX_MS:
            raise DumpRefused(f"partition {record.partition}: the timestamp of offset {record.offset} ({record.timestamp_ms}) "
                              "is outside the years 1 to 9999: no log can hold it")  # fmt: skip
        self.next_offsets[record.partition] += 1
        line = encode_line(record, with_position=True)
        self._lines.append(line)
        self._records += 1
        self._bytes += len(line)
        if self._records >= FRAME_RECORDS_MAX or self._bytes >= FRAME_CONTENT_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._lines:
            self._appender.append(self._lines, self._records)
            self._lines = []
            self._bytes = self._records = 0
            self.written_offsets, self.written_at = list(self.next_offsets), time()
        self.flushed_at = monotonic()

    def close(self) -> None:
        self._appender.close()


async def _dump(settings: Settings, path: Path, follow: bool) -> int:
    from tally_stream.kafka.client import TopicReader, wait_for_broker

    await wait_for_broker(settings, warn)
    stop = stop_when_told()
    topic = f"{settings.prefix}.reports"
    async with TopicReader(settings, topic, is_log=True) as reader:
        bounds = await reader.bounds()
        saved = Saving(path, topic, len(bounds))
        state = DumpState(path, saved, [end for _, (_, end) in sorted(bounds.items())])
        server = await serve(settings, state) if follow else None
        watch = asyncio.create_task(state.watch(reader), name="the topic's end") if server else None
        try:
            for partition, (start, end) in sorted(bounds.items()):
                lost = lost_at_ends(partition, start, end, saved.next_offsets[partition], "the file holds them")
                if lost:
                    raise DumpRefused("; ".join(lost))
            # The last record held is read once more: it must be the same.
            await reader.seek({p: max(0, offset - 1) for p, offset in enumerate(saved.next_offsets)})
            await _save(reader, saved, {p: end for p, (_, end) in bounds.items()}, stop, follow=follow)
            saved.flush()
            return sum(saved.next_offsets)
        finally:
            if watch is not None:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
            if server is not None:
                await server.stop()
            saved.close()


async def _save(reader: TopicReader, saved: Saving, ends: dict[int, int], stop: asyncio.Event, *, follow: bool) -> None:
    """Take records until all below `ends` are taken, or for ever; `stop` ends both."""
    columns = (TextColumn("saving"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        task = progress.add_task("saving", total=sum(ends.values()))
        while not stop.is_set():
            records = await reader.poll()
            for record in records:
                if follow or record.offset < ends[record.partition]:
                    saved.take(record)
            reached_total = sum(saved.next_offsets)
            progress.update(task, completed=reached_total, total=max(reached_total, sum(ends.values())))
            positions = await reader.positions()
            if follow and (not records or monotonic() - saved.flushed_at >= FOLLOW_FRAME_SECONDS):
                saved.flush()
            elif not follow and all(positions[p] >= end for p, end in ends.items()):
                break
