"""`dump` of a real topic: every record, gone on with after a break and a full disk; and outputs sent again."""

from __future__ import annotations

import resource
import signal
import subprocess
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from tally_stream.metrics import DUMP_METRICS, PROCESS_METRICS
from tally_stream.settings import Settings
from tally_stream.wire.report_log import LogError, LogRecord, ReportLog, encode_header, encode_line
from tally_stream.wire.saved_log import FRAME_START, Appender
from tests.nights.on_topics import in_file, on_topic
from tests.support.paths import NIGHTS
from tests.support.processes import command, environment, fetched, free_port, run, settings_for, tied
from tests.support.topics import administer, one_a_key, produce, read_topic
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

NIGHT = "wisconsin-2024"
RECORDS = 7_879
AZ_RECORDS = 39_095
FIRST_MS = 1_730_000_000_000


@pytest.fixture(scope="module")
def sent(kafka_one: object) -> Settings:
    settings = settings_for(kafka_one.bootstrap, f"t{uuid.uuid4().hex[:8]}")  # type: ignore[attr-defined]
    run("topics", "create", "--election", NIGHT, "--create-time", "--replication", "1", settings=settings)
    run("send", NIGHT, str(NIGHTS / NIGHT / "reports.jsonl.gz"), settings=settings)
    return settings


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


def caught_up(port: int) -> dict[tuple[str, ...], float] | None:
    """(name, *labels) → value, once nothing is behind."""
    status, text = fetched(port, "/metrics")
    families = text_string_to_metric_families(text) if status == 200 else ()
    found = {(s.name, *s.labels.values()): s.value for f in families for s in f.samples}
    lags = [value for (name, *_), value in found.items() if name == "tally_dump_lag_records"]
    return found if lags and not any(lags) and found["tally_dump_ready",] else None


def test_follow_keeps_up_until_it_is_told_to_stop(sent: Settings, tmp_path: Path) -> None:
    path, port = tmp_path / "d.gz", free_port()
    process = subprocess.Popen(
        command("dump", str(path), "--follow", "--metrics-port", str(port)), **tied(sent), stderr=subprocess.PIPE
    )  # fmt: skip
    try:
        wait_for(lambda: is_whole(path), "the whole log")
        metrics = wait_for(lambda: caught_up(port), "metrics that say so")
        assert sum(v for (name, *_), v in metrics.items() if name == "tally_dump_saved_offset") == RECORDS
        assert metrics["tally_dump_file_bytes",] == path.stat().st_size
        assert metrics["tally_dump_behind_seconds",] < 5
        served = {name for name, *_ in metrics}
        assert served >= {metric.name for metric in (*DUMP_METRICS, *PROCESS_METRICS)}
        assert fetched(port, "/readyz")[0] == fetched(port, "/livez")[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
    assert in_file(path) == on_topic(sent)


def refused(settings: Settings, path: Path) -> str:
    """What `dump` says that must not go on with the file; the file stays as it is."""
    content = path.read_bytes()
    said = run("dump", str(path), settings=settings, expect=1).stderr
    assert path.read_bytes() == content
    return said


def empty(like: Settings, *flags: str) -> Settings:
    settings = settings_for(like.bootstrap, f"t{uuid.uuid4().hex[:8]}")
    run("topics", "create", "--election", NIGHT, "--create-time", "--replication", "1", *flags, settings=settings)
    return settings


def saved(path: Path, settings: Settings, records: Iterable[LogRecord], partitions: int = 4) -> Path:
    """A dump of these records as it would be if the topic had held them."""
    lines = [encode_line(record, with_position=True) for record in records]
    appender = Appender(path)
    appender.append([encode_header(f"{settings.prefix}.reports", partitions)], 0)
    appender.append(lines, len(lines))
    appender.close()
    return path


def test_a_file_of_another_topic_or_partition_count_is_refused(sent: Settings, tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    run("dump", str(path), settings=sent)
    other = empty(sent)
    said = refused(other, path)
    assert f"holds {sent.prefix}.reports with 4 partitions, this is {other.prefix}.reports with 4" in said
    fewer = saved(tmp_path / "fewer", sent, [], partitions=3)
    assert f"holds {sent.prefix}.reports with 3 partitions, this is {sent.prefix}.reports with 4" in refused(sent, fewer)


def test_another_record_at_an_offset_of_the_file_is_refused(sent: Settings, tmp_path: Path) -> None:
    """The topic was made anew: the last record of a partition that the file holds is another one."""
    records = sorted(on_topic(sent).values(), key=lambda r: (r.partition, r.offset))
    last = next(r for r in records if (r.partition, r.offset) == (2, 100))
    for change in ({"value": b"{}"}, {"key": None}, {"timestamp_ms": 1}):
        held = [r for r in records if r.partition == 2 and r.offset < 100] + [replace(last, **change)]
        path = saved(tmp_path / next(iter(change)), sent, held)
        assert "partition 2: another record stands at offset 100 than in the file" in refused(sent, path)


def test_a_topic_that_ends_before_the_file_or_begins_above_0_is_refused(sent: Settings, tmp_path: Path) -> None:
    other = empty(sent)
    log = [LogRecord(FIRST_MS + n, b"A", b"%d" % n, 1, n) for n in range(10)]
    produce(other, "reports", 1, *[(r.key, r.value) for r in log[:7]])
    path = saved(tmp_path / "d", other, log)
    assert "the report log lost records: partition 1, from 7, to 9 (the file holds them)" in refused(other, path)
    place = TopicPartition(f"{other.prefix}.reports", 1)
    administer(other, lambda a: a.delete_records({place: RecordsToDelete(4)}))
    begins = "the report log lost records: partition 1, from 0, to 3 (the log must begin at offset 0)"
    assert begins in run("dump", str(tmp_path / "new"), settings=other, expect=1).stderr


def test_a_file_that_is_being_written_or_is_damaged_is_refused(sent: Settings, tmp_path: Path) -> None:
    path = tmp_path / "d.gz"
    run("dump", str(path), settings=sent)
    writer = Appender(path)
    assert f"{path}: another process writes it" in refused(sent, path)
    writer.close()
    content = bytearray(path.read_bytes())
    second = content.index(FRAME_START, 1)
    content[second + 200] ^= 1
    path.write_bytes(content + content[second:])  # not the last frame: no break looks like that
    assert f"the frame at byte {second} does not have its SHA-256: no dump, or a damaged one" in refused(sent, path)
    path.write_bytes(b"a letter, long enough not to be the beginning of a frame that was broken off " * 3)
    assert "the frame at byte 0 has a wrong header" in refused(sent, path)


def test_a_dump_that_was_killed_goes_on_to_the_same_records(kafka_one: object, tmp_path: Path) -> None:
    """Killed once the file has a first frame, then at larger sizes: five frames, the last never whole before the end."""
    settings = empty(settings_for(kafka_one.bootstrap, "x"))  # type: ignore[attr-defined]
    run("send", "az-2024", str(NIGHTS / "az-2024" / "reports.jsonl.gz"), settings=settings)
    path = tmp_path / "d.gz"
    kills = 0
    for size in (1, 300, 200_000, 600_000):
        process = subprocess.Popen(command("dump", str(path)), **tied(settings), stdout=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 60
            while process.poll() is None and (not path.exists() or path.stat().st_size < size):
                assert time.monotonic() < end, f"not within 60 s: a dump of {size} bytes"
                time.sleep(0.001)  # far shorter than `wait_for` looks: the command needs a second for all of it
        finally:
            process.send_signal(signal.SIGKILL)
            kills += process.wait(10) == -signal.SIGKILL
    assert kills >= 2
    assert len(in_file_so_far(path)) < AZ_RECORDS
    run("dump", str(path), settings=settings)
    assert in_file(path) == on_topic(settings)
    assert len(in_file(path)) == AZ_RECORDS


def in_file_so_far(path: Path) -> list[LogRecord]:
    found: list[LogRecord] = []
    with suppress(LogError):
        found.extend(ReportLog(path))
    return found


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
