"""Topics and logs that a worker must not count on: it says every reason and ends before it counts."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.settings import Settings
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.report_log import ReportLog
from tests.support.against_replay import check_against_replay
from tests.support.paths import NIGHTS
from tests.support.processes import run, settings_for
from tests.support.topics import administer, newest_standings, one_a_key, produce, read_topic, save_log, wait_published
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka


def made(bootstrap: str, *flags: str) -> Settings:
    settings = settings_for(bootstrap, f"r{uuid.uuid4().hex[:8]}")
    run("topics", "create", "--election", "az-2024", "--create-time", "--replication", "1", *flags, settings=settings)
    return settings


def refused(settings: Settings, election: str = "az-2024", *flags: str) -> str:
    done = run("worker", "--election", election, "--rehearsal", "--metrics-port", "0", *flags, settings=settings, expect=1)
    return done.stderr


def test_missing_topics_are_all_named(kafka_one: Any) -> None:
    said = refused(settings_for(kafka_one.bootstrap, f"r{uuid.uuid4().hex[:8]}"))
    for name in ("reports", "partials", "standings", "rejections", "changes"):
        assert f".{name}: there is no such topic" in said


def test_durability_is_refused_outside_a_rehearsal_with_every_reason(kafka_one: Any) -> None:
    settings = made(kafka_one.bootstrap)
    said = run("worker", "--election", "az-2024", settings=settings, expect=1).stderr
    assert said.count("replication is 1") == 5
    assert "message.timestamp.type is CreateTime" in said


def test_a_compacted_or_forgetting_reports_topic_is_refused(kafka_one: Any) -> None:
    settings = made(kafka_one.bootstrap)
    name = f"{settings.prefix}.reports"
    change = {"cleanup.policy": "compact", "retention.ms": "1000"}
    administer(settings, lambda a: a.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, change)]))
    said = refused(settings)
    assert "cleanup.policy is compact" in said
    assert run("topics", "check", "--election", "az-2024", "--rehearsal", settings=settings, expect=1).stderr


def test_a_changed_partition_count_is_refused_at_start_and_ends_a_running_worker(kafka_one: Any, tmp_path: Path) -> None:
    settings = made(kafka_one.bootstrap)
    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log").wait_ready()
    try:
        wait_published(settings, 0)
        administer(settings, lambda a: a.create_partitions({f"{settings.prefix}.reports": NewPartitions(5)}))
        wait_for(lambda: worker.process.poll() is not None, "the worker's end", 40)
        assert re.search(r"had 4( partitions)?", worker.log)
    finally:
        worker.close()
    said = refused(settings)
    assert "4 partitions" in said
    assert "5" in said


def test_another_definition_is_refused_naming_both(kafka_one: Any, tmp_path: Path) -> None:
    settings = made(kafka_one.bootstrap)
    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log").wait_ready()
    newest = wait_published(settings, 0)
    assert worker.stop() == 0
    other = tmp_path / "other"
    shutil.copytree(NIGHTS / "az-2024", other)
    toml = (other / "election.toml").read_text()
    (other / "election.toml").write_text(toml + "\n[checks]\nP1_invalid_percent = 4\n")
    digest = json.loads(newest[b"PRES|AZ"])["definition"]
    said = refused(settings, str(other))
    assert digest in said
    assert said.count("sha256:") >= 2


def test_a_log_that_begins_above_0_is_refused_with_what_is_lost(kafka_one: Any) -> None:
    settings = made(kafka_one.bootstrap)
    produce(settings, "reports", 2, *[(b"A", b"{}")] * 10)
    place = TopicPartition(f"{settings.prefix}.reports", 2)
    administer(settings, lambda a: a.delete_records({place: RecordsToDelete(4)}))
    assert "the report log lost records: partition 2, from 0, to 3" in refused(settings)


def test_hostile_records_cost_no_more_than_a_rejection(kafka_one: Any, tmp_path: Path) -> None:
    settings = made(kafka_one.bootstrap)
    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log").wait_ready()
    hostile: list[tuple[bytes | None, bytes | None]] = [
        (None, b""), (b"", b""), (b"001-001", b"x" * 200_000), (b"\xff\x00", b"\x80\x81"), (b"K" * 100_000, b"[" * 60_000),
        (b"001-001", b'{"schema":1,"schema":1}'),
    ]  # fmt: skip
    try:
        produce(settings, "reports", 1, *hostile)
        root = json.loads(wait_published(settings, len(hostile))[b"PRES|AZ"])
        assert root["stations"]["received"] == 0
        rejections = one_a_key(read_topic(settings, "rejections")[1])
        assert [r["codes"] for r in sorted(rejections, key=lambda r: r["source"]["offset"])] == [["S1"]] * len(hostile)
        assert worker.verdicts()["rejected"] == len(hostile)
        assert worker.stop() == 0
        assert newest_standings(settings)
    finally:
        worker.close()


@pytest.mark.parametrize("ends", ["committed", "aborted"])
def test_what_was_written_in_a_transaction_is_refused_and_nothing_is_lost(kafka_one: Any, tmp_path: Path, ends: str) -> None:
    """A good report in a transaction, and its marker: two rejections; the same report after it counts."""
    settings = made(kafka_one.bootstrap)
    night = ReportLog(NIGHTS / "az-2024" / "reports.jsonl.gz")
    key, value = next((r.key, r.value) for r in night if r.key and r.value and b'"kind":"report"' in r.value)
    partition = murmur2_partition(key, 4)

    async def transact() -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap, transactional_id=f"id-{settings.prefix}-{ends}"
        ) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(f"{settings.prefix}.reports", value, key=key, partition=partition)
            await (producer.commit_transaction() if ends == "committed" else producer.abort_transaction())

    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log").wait_ready()
    try:
        asyncio.run(transact())
        produce(settings, "reports", partition, (key, value))
        root = json.loads(wait_published(settings, 3)[b"PRES|AZ"])
        assert root["stations"]["received"] == 1
        rejections = one_a_key(read_topic(settings, "rejections")[1])
        # The broker may write the marker after the report that follows.
        assert [(r["codes"], r["value_base64"]) for r in rejections] == [(["S1"], None)] * 2
        assert min(r["source"]["offset"] for r in rejections) == 0
        log = save_log(settings, tmp_path / "saved.jsonl")
        check_against_replay(load_election(NIGHTS / "az-2024"), log, newest_standings(settings))
        assert worker.stop() == 0
    finally:
        worker.close()
