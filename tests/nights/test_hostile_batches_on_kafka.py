"""Batches made to harm: each offset of them is one rejection, memory stays bounded, and the dump replays to the same."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.record.util import calc_crc32c

from tally_stream.kafka.inflate import BATCH_INFLATED_MAX_BYTES
from tally_stream.kafka.topics import Topics, wanted_configs
from tally_stream.settings import Settings
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.report_log import ReportLog
from tests.nights.on_topics import AZ, made, some_reports
from tests.support.against_replay import check_against_replay
from tests.support.processes import memory_bytes, run
from tests.support.raw_batches import NONE, ZSTD, a_batch, write
from tests.support.topics import administer, newest_standings, one_a_key, produce, read_topic, wait_published
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

MIB = 1024 * 1024
FIVE_MB = 5_000_000
MANY = 50_000
PEAK_GROWTH_MAX_BYTES = 192 * MIB
"""Below what one inflated bomb would take; what is needed is the buffer, a fetch, and the rejections of one run."""


def take_up_to(settings: Settings, size: int) -> None:
    """Let the reports topic take batches of `size` bytes (1 MiB as `topics create` makes it)."""
    topics = Topics(settings.prefix)
    config = wanted_configs(topics, is_log_append=False, min_insync=1)[topics.reports] | {"max.message.bytes": str(size)}
    administer(settings, lambda a: a.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topics.reports, config)]))


def with_a_header_that_is_no_text(batch: bytes) -> bytes:
    changed = bytearray(batch.replace(b"NAME", b"\xff\xfeME"))
    changed[17:21] = calc_crc32c(bytes(changed[21:])).to_bytes(4, "big")
    return bytes(changed)


def test_hostile_batches_cost_a_rejection_an_offset_and_bounded_memory(kafka_one: Any, tmp_path: Path) -> None:
    settings = made(kafka_one.bootstrap)
    take_up_to(settings, 12 * MIB)
    random_bytes = random.Random(5).randbytes(FIVE_MB)
    bomb = a_batch(ZSTD, [(b"K", bytes(256 * MIB), []), (b"K", b"{}", []), (None, None, [])])
    assert len(bomb) < 64 * 1024
    many = a_batch(ZSTD, [(b"K", b"{", [])] * MANY)
    hostile = {
        0: [(bomb, 3)] * 3,
        1: [(with_a_header_that_is_no_text(a_batch(NONE, [(b"K", b"{}", []), (b"K", b"{}", [("NAME", b"x")])])), 2)],
        2: [(many, MANY)],
        3: [
            (a_batch(ZSTD, [(b"K", b"\x01" * FIVE_MB, [])]), 1),
            (a_batch(NONE, [(b"K", random_bytes, [])]), 1),
            (a_batch(NONE, [(random_bytes, random_bytes, [])]), 1),
            (a_batch(ZSTD, [(b"K", b"\x01" * (BATCH_INFLATED_MAX_BYTES - 100), [])]), 1),
        ],
    }
    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log").wait_ready()
    try:
        before = memory_bytes(worker.process.pid, "VmHWM")
        for partition, batches in hostile.items():
            write(settings, partition, *batches)
        for partition, reports in some_reports(5).items():
            produce(settings, "reports", partition, *reports)
        refused = sum(count for batches in hostile.values() for _, count in batches)
        wait_published(settings, refused + 20, 120)
        grown = memory_bytes(worker.process.pid, "VmHWM") - before
        print(f"peak memory before {before / MIB:.0f} MiB, grown by {grown / MIB:.0f} MiB")
        assert grown < PEAK_GROWTH_MAX_BYTES
        verdicts = worker.verdicts()
        assert +verdicts == {"read": refused + 20, "rejected": refused, "counted": 20}
        rejections = one_a_key(read_topic(settings, "rejections")[1])
        assert len(rejections) == refused
        assert {tuple(r["codes"]) for r in rejections} == {("S1",)}
        sizes = {(r["source"]["partition"], r["source"]["offset"]): r["value_bytes"] for r in rejections}
        assert [sizes[0, offset] for offset in range(9)] == [None] * 9
        assert [sizes[1, 0], sizes[1, 1]] == [2, None]
        assert [sizes[3, offset] for offset in range(4)] == [FIVE_MB] * 3 + [BATCH_INFLATED_MAX_BYTES - 100]
        run("dump", str(tmp_path / "dump.gz"), settings=settings)
        replay = check_against_replay(load_election(AZ), ReportLog(tmp_path / "dump.gz"), newest_standings(settings))
        assert replay.verdict_counts()["codes"] == {"S1": refused}
        run("verify", "az-2024", str(tmp_path / "dump.gz"), settings=settings)
        assert worker.stop() == 0
    finally:
        worker.close()
