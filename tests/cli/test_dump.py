"""`dump` without a broker: which records the file takes, and when it may be gone on with."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

import pytest

from tally_stream.cli.dump import DumpRefused, Saving
from tally_stream.kafka.client import StoredRecord
from tally_stream.wire.limits import LOG_TIMESTAMP_MAX_MS, LOG_TIMESTAMP_MIN_MS
from tally_stream.wire.report_log import ReportLog
from tally_stream.wire.saved_log import FRAME_START

dumping = sys.modules[Saving.__module__]
"""The module: `tally_stream.cli.dump` as an attribute may be the command."""


def stored(offset: int, partition: int = 0, *, timestamp_ms: int = 1_730_000_000_000, value: bytes = b"{}") -> StoredRecord:
    return StoredRecord(partition, offset, timestamp_ms, b"A-1", value)


def saved(path: Path, *records: StoredRecord, partitions: int = 2) -> None:
    """One call of `dump` that took these."""
    saving = Saving(path, "t.reports", partitions)
    try:
        for record in records:
            saving.take(record)
        saving.flush()
    finally:
        saving.close()


def in_file(path: Path) -> list[tuple[int, int, int, bytes | None]]:
    log = ReportLog(path)
    found = [(r.partition, r.offset, r.timestamp_ms, r.value) for r in log]
    log.check_end()
    return found


def refusal(path: Path, *records: StoredRecord, partitions: int = 2) -> str:
    """What it says; the file stays as it is."""
    before = path.read_bytes()
    with pytest.raises(DumpRefused) as caught:
        saved(path, *records, partitions=partitions)
    assert path.read_bytes() == before
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "d.gz"
    saved(made, stored(0), stored(0, 1), stored(1))
    return made


def test_goes_on_behind_what_the_file_holds(path: Path) -> None:
    saved(path, stored(1), stored(0, 1), stored(2), stored(1, 1))
    assert [(p, o) for p, o, *_ in in_file(path)] == [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1)]


def test_the_last_record_held_must_be_the_topics(path: Path) -> None:
    for other in (stored(1, value=b"[]"), stored(1, timestamp_ms=5)):
        assert refusal(path, other) == (
            "partition 0: another record stands at offset 1 than in the file: this is not the topic it was saved from"
        )


def test_a_gap_is_lost_records(path: Path) -> None:
    assert refusal(path, stored(1), stored(4)) == "the report log lost records: partition 0, from 2, to 3"


def test_another_topic_is_refused(path: Path) -> None:
    assert refusal(path, partitions=3) == f"{path} holds t.reports with 2 partitions, this is t.reports with 3"


@pytest.mark.parametrize(("at", "past"), [(LOG_TIMESTAMP_MIN_MS, -1), (LOG_TIMESTAMP_MAX_MS, 1)])
def test_a_time_that_no_log_can_hold_is_refused_before_it_is_written(path: Path, at: int, past: int) -> None:
    saved(path, stored(2, timestamp_ms=at))
    assert in_file(path)[-1] == (0, 2, at, b"{}")
    assert refusal(path, stored(3, timestamp_ms=at + past)) == (
        f"partition 0: the timestamp of offset 3 ({at + past}) is outside the years 1 to 9999: no log can hold it"
    )


def had_grown_at(path: Path) -> float:
    saving = Saving(path, "t.reports", 2)
    saving.close()
    return saving.had_grown_at


def test_a_new_file_grows_now(tmp_path: Path) -> None:
    before = time.time()
    assert before <= had_grown_at(tmp_path / "new.gz") <= time.time()


def test_a_file_that_is_gone_on_with_had_grown_when_it_was_written(path: Path) -> None:
    os.utime(path, (0, 1_729_999_000))
    assert had_grown_at(path) == 1_729_999_000, "earlier than the clock that stamped its records has it"


def test_what_a_full_disk_leaves_of_a_frame_is_no_growth(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start after start: a piece of a frame is written, the next start cuts it away, and each time the file was just touched."""

    def full(file: int, content: memoryview) -> int:
        if len(content) < 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, content[:20])

    write = os.write
    for _ in range(2):
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            saved(path, stored(2))
        monkeypatch.undo()
        assert time.time() - path.stat().st_mtime < 60
        assert had_grown_at(path) == 1_730_000_000
    assert len(in_file(path)) == 3


def frames_of(path: Path) -> int:
    return path.read_bytes().count(FRAME_START)


def test_each_frame_is_closed_at_the_most_records(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second and third too: a frame begins with nothing of the one before it, and its checksum says its own records."""
    monkeypatch.setattr(dumping, "FRAME_RECORDS_MAX", 4)
    saving = Saving(path, "t.reports", 2)
    before = frames_of(path)
    for count in range(1, 15):
        saving.take(stored(1 + count))
        assert frames_of(path) - before == count // 4, count
    saving.flush()
    saving.flush()
    assert frames_of(path) - before == 4
    saving.close()
    assert [o for p, o, *_ in in_file(path) if p == 0] == list(range(16))


def test_each_frame_is_closed_at_its_most_bytes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dumping, "FRAME_CONTENT_BYTES", 1_000)
    saving = Saving(path, "t.reports", 2)
    before = frames_of(path)
    for count in range(1, 10):
        saving.take(stored(1 + count, value=b"x" * 300))  # lines of 374 or 375 bytes: the third passes it
        assert frames_of(path) - before == count // 3, count
    saving.close()
    assert len(in_file(path)) == 3 + 9


def test_what_is_not_full_is_written_at_the_end_alone(tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    saving = Saving(path, "t.reports", 2)
    saving.take(stored(0))
    assert frames_of(path) == 1
    saving.close()
    assert in_file(path) == []
