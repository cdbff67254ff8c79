"""What several of the nights on Kafka do: make the topics, send a few reports, look at what is on a topic, in a dump."""

from __future__ import annotations

import uuid
from pathlib import Path

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.settings import Settings
from tally_stream.wire.report_log import LogRecord, ReportLog
from tests.support.paths import NIGHTS
from tests.support.processes import run, settings_for
from tests.support.topics import (
    read_topic,
)

AZ = NIGHTS / "az-2024"


def made(bootstrap: str) -> Settings:
    settings = settings_for(bootstrap, f"f{uuid.uuid4().hex[:8]}")
    run("topics", "create", "--election", "az-2024", "--create-time", "--replication", "1", settings=settings)
    return settings


def some_reports(count: int) -> dict[int, list[tuple[bytes, bytes]]]:
    """Partition → the night's first `count` reports there, in order."""
    found: dict[int, list[tuple[bytes, bytes]]] = {p: [] for p in range(4)}
    for record in ReportLog(AZ / "reports.jsonl.gz"):
        if record.key and record.value and b'"kind":"report"' in record.value:
            found[murmur2_partition(record.key, 4)].append((record.key, record.value))
        if all(len(reports) >= count for reports in found.values()):
            break
    return {p: reports[:count] for p, reports in found.items()}


def on_topic(settings: Settings) -> dict[tuple[int, int], LogRecord]:
    return {
        (r.partition, r.offset): LogRecord(r.timestamp_ms, r.key, r.value, r.partition, r.offset)
        for r in read_topic(settings, "reports")[1]
    }


def in_file(path: Path) -> dict[tuple[int, int], LogRecord]:
    log = ReportLog(path)
    found = {(r.partition, r.offset): r for r in log}
    assert log.uncovered == 0
    return found
