"""A power cut of a broker: with `flush.messages=1` no acknowledged report is lost; without it the loss is noticed, named, and
mended from a copy.

On one broker, with both settings side by side; `make chaos` plays it on three, under load. And what is cut at all is known to be
right: what was synced stays, to the byte, and nothing else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from bench.load import Load, write_definition
from deploy.kafka.local.disk import KafkaOnDisks
from tally_stream.kafka.topics import Topics, wanted_configs
from tally_stream.settings import Settings
from tests.chaos.load import Stations
from tests.support.brokers import KafkaOne, require_local_kafka
from tests.support.processes import command, run, settings_for, tied
from tests.support.runbook import ELECTION, SAVED, STEPS, follow
from tests.support.topics import administer, newest_standings, read_topic, save_log, wait_published
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

REPORTS = 1_000
ONE_BROKER = {"create": ("--replication", "1"), "check": ("--rehearsal",)}
LOST_RECORDS = r"the report log lost records: partition (\d), from (\d+), to (\d+) \(.* stand on them\)"


class KafkaOnDisk(KafkaOne, KafkaOnDisks):
    replication: ClassVar[int] = 1


@pytest.fixture
def kafka() -> Iterator[KafkaOnDisk]:
    require_local_kafka()
    with KafkaOnDisk() as kafka:
        yield kafka


def alter(settings: Settings, name: str, **change: str) -> None:
    """Settings of a topic as `topics create` makes them, but for these; "": as Kafka has it by itself."""
    topics = Topics(settings.prefix)
    topic = f"{settings.prefix}.{name}"
    wanted = wanted_configs(topics, is_log_append=False, min_insync=1)[topic]
    wanted |= {key.replace("_", "."): value for key, value in change.items()}
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, {key: value for key, value in wanted.items() if value})
    administer(settings, lambda admin: admin.alter_configs([resource]))


def test_with_the_setting_nothing_is_lost_and_without_it_the_loss_is_named_and_mended_from_the_copy(
    kafka: Any, tmp_path: Path
) -> None:
    folder, load = tmp_path / "night", Load(REPORTS)
    write_definition(load, folder)
    kept, settings = (settings_for(kafka.bootstrap, f"p{uuid.uuid4().hex[:6]}") for _ in range(2))
    for each in (kept, settings):
        run("topics", "create", "--election", str(folder), "--partitions", "4", "--replication", "1", "--create-time",
            settings=each)  # fmt: skip
    alter(settings, "reports", flush_messages="")
    # Kafka syncs a segment that is closed. Those of partials are closed each minute, which is played in a second: so a mark
    # is on the disk that speaks of reports which are not.
    alter(settings, "partials", segment_ms="1000")
    stations = Stations(settings, load, 1_000)
    worker = WorkerProcess(settings, str(folder), tmp_path / "worker.log", is_supervised=True).wait_ready()
    stations.fill(REPORTS // 2)
    wait_published(settings, REPORTS // 2)
    partials, marked = kafka.nodes[0].data / f"{settings.prefix}.partials-0", read_topic(settings, "partials")[1][-1].offset

    def is_mark_on_disk() -> bool:
        stations.fill(1)
        segments = sorted(partials.glob("[0-9]*.log"))
        holds_it = max(path for path in segments if int(path.stem) <= marked)
        return holds_it != segments[-1] and kafka.synced_bytes(1, holds_it) > 0

    wait_for(is_mark_on_disk, "the segment with a mark of half the reports to be closed and synced")
    sent = len(stations.acknowledged)
    wait_published(settings, sent)
    copy = tmp_path / SAVED
    run("dump", str(copy), settings=settings)
    standings = newest_standings(settings)

    safe = Stations(kept, load, 1_000)
    safe.fill(REPORTS)
    worker.close()  # its machine had no other power
    cuts = kafka.cut_power()
    assert any(cut.left == 0 and f"{settings.prefix}.reports-" in str(cut.path) for cut in cuts), "no report was lost"
    kafka.power_on()
    assert len(safe.acknowledged) == REPORTS
    on_log = {(r.partition, r.offset): r.value for r in save_log(kept, tmp_path / "kept.jsonl")}
    assert on_log == safe.acknowledged, "with the setting, what was acknowledged stands where it stood"
    worker = WorkerProcess(settings, str(folder), tmp_path / "refusing.log", is_supervised=True)
    wait_for(lambda: re.search(LOST_RECORDS, worker.log), "the worker to refuse")
    named = {int(p): (int(begin), int(end)) for p, begin, end in re.findall(LOST_RECORDS, worker.log)}
    assert set(named) <= {0, 1, 2, 3}
    assert {begin for begin, _ in named.values()} == {0}, "the topic ends at 0"
    assert all(REPORTS // 10 < end < sent for _, end in named.values()), named
    assert not read_topic(settings, "standings")[1], "something was published on reports that are gone"
    worker.close()

    # The runbook's own lines, from here on.
    means = {SAVED: str(copy), ELECTION: str(folder)}
    with pytest.raises(
        AssertionError, match=r"the report log lost records: partition 0, from 0, to \d+ \(the file holds them\)"
    ):
        follow("a power cut", settings, means, no_worker, more=ONE_BROKER)
    follow("what is left of the reports", settings, {}, no_worker)
    wait_for(lambda: "there is no such topic" in check(settings, folder), "the topic to be gone")
    # There are no standings to verify: they were lost as well.
    assert [step for step in STEPS["reports"] if step not in STEPS["all"]] == [
        f".venv/bin/tally-stream verify {ELECTION} {SAVED}"
    ]
    again: list[WorkerProcess] = []

    def start(flags: list[str]) -> None:
        again.append(WorkerProcess(settings, str(folder), tmp_path / "again.log", *flags))

    follow("all", settings, means, start, more=ONE_BROKER)
    wait_published(settings, sent)
    assert newest_standings(settings).keys() == standings.keys()
    assert again[0].stop() == 0
    assert "byte for byte" in run("verify", str(folder), str(copy), settings=settings).stdout


def no_worker(flags: list[str]) -> None:
    raise AssertionError(f"a worker was started with {flags}")


def check(settings: Settings, folder: Path) -> str:
    words = command("topics", "check", "--election", str(folder), "--rehearsal")
    done = subprocess.run(words, **tied(settings), capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def recorder(tmp_path: Path) -> KafkaOnDisk:
    """The recorder without a broker."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
    kafka = KafkaOnDisk.__new__(KafkaOnDisk)
    KafkaOnDisks.__init__(kafka, tmp_path)
    assert kafka.recorder() == tmp_path / "disk.so"
    return kafka


def test_a_slow_disk_holds_up_every_kind_of_sync(recorder: KafkaOnDisk, tmp_path: Path) -> None:
    """Of a disk that becomes slow while a program runs."""
    program = """
import mmap, os, sys, time
file = open("a.log", "w+b", 0)
file.truncate(4096)
mapped = mmap.mmap(file.fileno(), 4096)
open(os.environ["TALLY_DISK_DELAY"], "w").write("700")
for call in (lambda: os.fsync(file.fileno()), lambda: os.fdatasync(file.fileno()), mapped.flush):
    begin = time.monotonic()
    call()
    print(time.monotonic() - begin)
"""
    said = subprocess.run(["python3", "-c", program], check=True, cwd=tmp_path, env=recorder.preloaded(tmp_path),
                          capture_output=True, text=True).stdout  # fmt: skip
    waited = [float(line) for line in said.splitlines()]
    assert len(waited) == 3
    assert min(waited) >= 0.7, waited


def test_what_was_synced_stays_and_nothing_else(recorder: KafkaOnDisk, tmp_path: Path) -> None:
    """The recorder itself, beneath a program that syncs in every way that Java does."""
    kafka = recorder
    program = """
import mmap, os, sys
for name, sync in (("a.log", os.fsync), ("b.log", os.fdatasync)):
    with open(name, "wb", 0) as file:
        file.write(b"12345"); sync(file.fileno()); file.write(b"678")
with open("c.snapshot", "wb") as file:
    file.write(b"never synced")
with open("d.map", "w+b") as file:
    file.truncate(4096); mmap.mmap(file.fileno(), 4096).flush(); file.truncate(8192)
with open("new", "wb", 0) as file:
    file.write(b"renamed"); os.fsync(file.fileno())
os.rename("new", "e.checkpoint")
os.fsync(os.open(".", os.O_RDONLY))
"""
    data = tmp_path / "data"
    data.mkdir()
    subprocess.run(["python3", "-c", program], check=True, cwd=data, env=kafka.preloaded(tmp_path))
    cuts = {cut.path.name: (cut.size, cut.left) for cut in kafka.cut_back(data, tmp_path / "disk-synced")}
    assert cuts == {"a.log": (8, 5), "b.log": (8, 5), "c.snapshot": (12, 0), "d.map": (8192, 4096)}
    assert (data / "a.log").read_bytes() == b"12345"
    assert (data / "e.checkpoint").read_bytes() == b"renamed"
