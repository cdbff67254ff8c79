"""`dump` of a real topic: every record, gone on with after a break and a full disk; and outputs sent again."""

from __future__ import annotations

import resource
import signal
import subprocess
import uuid
from pathlib import Path

import pytest

from tally_stream.settings import Settings
from tally_stream.wire.report_log import LogError, LogRecord, ReportLog
from tests.nights.harness import NIGHTS, WorkerProcess, command, environment, one_a_key, read_topic, run, settings_for, wait_for

pytestmark = pytest.mark.kafka

NIGHT = "wisconsin-2024"
RECORDS = 7_879


@pytest.fixture(scope="module")
def sent(kafka_one: object) -> Settings:
    settings = settings_for(kafka_one.bootstrap, f"t{uuid.uuid4().hex[:8]}")  # type: ignore[attr-defined]
    run("topics", "create", "--election", NIGHT, "--create-time", "--replication", "1", settings=settings)
    run("send", NIGHT, str(NIGHTS / NIGHT / "reports.jsonl.gz"), settings=settings)
    return settings


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


def is_whole(path: Path) -> bool:
    try:
        return len(in_file(path)) == RECORDS
    except LogError:  # not there yet, or a frame is being written
        return False


def test_a_dump_holds_every_record_and_run_again_adds_none(sent: Settings, tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    assert "7,879 records" in run("dump", str(path), settings=sent).stdout
    assert in_file(path) == on_topic(sent)
    content = path.read_bytes()
    run("dump", str(path), settings=sent)
    assert path.read_bytes() == content


def test_a_full_disk_ends_with_a_line_and_the_file_is_gone_on_with(sent: Settings, tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    limit = 100_000
    ended = subprocess.run(
        command("dump", str(path)), env=environment(sent), capture_output=True, text=True, check=False, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert ended.returncode == 1
    assert "run again, it goes on after the last whole frame" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "are cut away" in run("dump", str(path), settings=sent).stderr
    assert in_file(path) == on_topic(sent)


def test_follow_keeps_up_until_it_is_told_to_stop(sent: Settings, tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    process = subprocess.Popen(command("dump", str(path), "--follow"), env=environment(sent), stderr=subprocess.PIPE)
    try:
        wait_for(lambda: is_whole(path), "the whole log")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
    assert in_file(path) == on_topic(sent)


def test_a_file_of_another_topic_is_refused(sent: Settings, tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    run("dump", str(path), settings=sent)
    content = path.read_bytes()
    other = settings_for(sent.bootstrap, f"t{uuid.uuid4().hex[:8]}")
    run("topics", "create", "--election", NIGHT, "--create-time", "--replication", "1", settings=other)
    assert "this is " + other.prefix in run("dump", str(path), settings=other, expect=1).stderr
    assert path.read_bytes() == content


def test_resend_writes_the_same_changes_again(sent: Settings, tmp_path: Path) -> None:
    first = WorkerProcess(sent, NIGHT, tmp_path / "first.log")
    again = None
    try:
        first.wait_ready()
        wait_for(lambda: read_topic(sent, "changes")[1], "changes")
        assert first.stop() == 0
        before = read_topic(sent, "changes")[1]
        again = WorkerProcess(sent, NIGHT, tmp_path / "again.log", "--resend").wait_ready()
        wait_for(lambda: len(read_topic(sent, "changes")[1]) >= 2 * len(before), "all changes a second time")
        assert len(one_a_key(read_topic(sent, "changes")[1])) == len(one_a_key(before))
        assert again.stop() == 0
    finally:
        first.close()
        if again is not None:
            again.close()
