"""`restore`: the same partitions, offsets, timestamps and bytes, gone on with after a break; what it refuses."""

from __future__ import annotations

import asyncio
import gzip
import random
import signal
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from tally_stream.kafka.client import sender
from tally_stream.settings import Settings
from tally_stream.station.restore import RestoreRefused, read_whole, restore
from tally_stream.wire.report_log import LogRecord, ReportLog, encode_header, encode_line
from tests.nights.on_topics import in_file, on_topic
from tests.support.paths import NIGHTS
from tests.support.processes import command, run, settings_for, tied
from tests.support.topics import administer, read_topic
from tests.support.waiting import wait_for

pytestmark = pytest.mark.kafka

NIGHT = "wisconsin-2024"
FIRST_MS = 1_730_000_000_000
Places = dict[tuple[int, int], LogRecord]


def made(like: Settings, *flags: str) -> Settings:
    settings = settings_for(like.bootstrap, f"s{uuid.uuid4().hex[:8]}")
    flags = flags or ("--create-time",)
    run("topics", "create", "--election", NIGHT, "--replication", "1", *flags, settings=settings)
    return settings


def altered(settings: Settings, change: dict[str, str]) -> None:
    """The reports topic set so; what is not named is as the broker has it, but kept for ever."""
    change = {"retention.ms": "-1"} | change
    topic = f"{settings.prefix}.reports"
    administer(settings, lambda a: a.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, change)]))


async def send_the_odd(settings: Settings) -> None:
    """What no night holds: nulls, bytes that are no text, 5 MB that fit a message, a transaction, an inflating batch."""
    topic = f"{settings.prefix}.reports"
    odd = [(None, None)] * 3 + [
        (None, b"x"),
        (b"k", None),
        (b"", b""),
        (b"\xff", b"\x80"),
        (b"A", bytes(5_000_000)),
        (None, None),
    ]
    async with sender(settings) as producer:
        for n, (key, value) in enumerate(odd):
            batch = producer.create_batch()
            batch.append(timestamp=FIRST_MS + n, key=key, value=value)
            await (await producer.send_batch(batch, topic, partition=1))
        batch = producer.create_batch()
        batch.append(timestamp=FIRST_MS, key=b"A", value=bytes(17 * 1024 * 1024))
        await (await producer.send_batch(batch, topic, partition=2))
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap, transactional_id=settings.prefix) as writer:
        await writer.begin_transaction()
        await writer.send_and_wait(topic, b"{}", key=b"A", partition=3)
        await writer.abort_transaction()


@pytest.fixture(scope="module")
def odd(kafka_one: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path, Places]:
    """A topic with a night and the odd behind it, its dump, and what stands there."""
    settings = made(settings_for(kafka_one.bootstrap, "x"))
    run("send", NIGHT, str(NIGHTS / NIGHT / "reports.jsonl.gz"), settings=settings)
    asyncio.run(send_the_odd(settings))
    path = tmp_path_factory.mktemp("saved") / "d.gz"
    run("dump", str(path), settings=settings)
    return settings, path, on_topic(settings)


def test_a_dump_holds_the_odd_too(odd: tuple[Settings, Path, Places]) -> None:
    _, path, places = odd
    assert in_file(path) == places
    nulls = [r for r in places.values() if r.key is None and r.value is None]
    assert len(nulls) == 4 + 1 + 2
    assert max(len(r.value or b"") for r in places.values()) == 5_000_000


def test_every_record_stands_again_where_it_stood(odd: tuple[Settings, Path, Places], tmp_path: Path) -> None:
    settings, path, places = odd
    other = made(settings)
    done = run("restore", str(path), settings=other)
    assert f"{len(places):,} records stand in {other.prefix}.reports" in done.stdout
    assert f"was saved from {settings.prefix}.reports" in done.stderr
    assert on_topic(other) == places
    again = run("restore", str(path), settings=other)
    assert f"({len(places):,} were there already)" in again.stdout
    assert on_topic(other) == places
    # A copy of the copy has the same bytes, but for the topic it names.
    run("dump", str(tmp_path / "again.gz"), settings=other)
    assert in_file(tmp_path / "again.gz") == places
    # Set back, the topic keeps the times it has.
    altered(other, {"message.timestamp.type": "LogAppendTime"})
    assert on_topic(other) == places


def killed_at(settings: Settings, path: Path, count: int) -> bool:
    """Kill a restore once this many records stand there; False where it came through first."""
    process = subprocess.Popen(command("restore", str(path)), **tied(settings), stdout=subprocess.DEVNULL)
    wait_for(lambda: process.poll() is not None or len(read_topic(settings, "reports")[1]) >= count, f"{count} records")
    process.send_signal(signal.SIGKILL)
    return process.wait(10) == -signal.SIGKILL


def test_a_restore_that_was_killed_goes_on(odd: tuple[Settings, Path, Places]) -> None:
    """Killed as soon as something stands on the topic, again and again until it comes through."""
    settings, path, places = odd
    other = made(settings)
    assert [killed_at(other, path, count) for count in (1, 2_000, 5_000)].count(True) >= 1
    stood = len(on_topic(other))
    assert f"({stood:,} were there already)" in run("restore", str(path), settings=other).stdout
    assert on_topic(other) == places


def saved(path: Path, places: Places, partitions: int = 4) -> Path:
    lines = [encode_line(record, with_position=True) for _, record in sorted(places.items())]
    path.write_bytes(encode_header("tally.reports", partitions) + b"".join(lines))
    return path


def refused(settings: Settings, path: Path) -> str:
    """What a restore says that must not come through; it must not write either."""
    before = on_topic(settings)
    said = run("restore", str(path), settings=settings, expect=1).stderr
    assert on_topic(settings) == before
    return said


def few() -> Places:
    return {(p, o): LogRecord(FIRST_MS + o, b"A", b"%d" % o, p, o) for p in range(4) for o in range(5)}


def test_a_topic_that_holds_anything_else_is_refused(odd: tuple[Settings, Path, Places], tmp_path: Path) -> None:
    settings = made(odd[0])
    log = saved(tmp_path / "log", few())
    run("restore", str(log), settings=settings)
    for change in ({"value": b"other"}, {"key": None}, {"timestamp_ms": FIRST_MS}):
        places = few()
        places[2, 3] = replace(places[2, 3], **change)
        said = refused(settings, saved(tmp_path / "other", places))
        assert "partition 2, offset 3 is not as in" in said
        assert "another record stands here" in said
    shorter = {place: record for place, record in few().items() if place != (3, 4)}
    said = refused(settings, saved(tmp_path / "shorter", shorter))
    assert "partition 3, offset 4 is not as in" in said
    assert "the log ends here, the topic at offset 5" in said
    administer(settings, lambda a: a.delete_records(deleted(settings, 1, 2)))
    said = run("restore", str(log), settings=settings, expect=1).stderr
    assert "the topic begins at offset 2: records were deleted" in said


def deleted(settings: Settings, partition: int, below: int) -> Any:
    return {TopicPartition(f"{settings.prefix}.reports", partition): RecordsToDelete(below)}


def test_a_topic_that_cannot_become_the_log_is_refused(odd: tuple[Settings, Path, Places]) -> None:
    settings, path, _ = odd
    nowhere = settings_for(settings.bootstrap, f"s{uuid.uuid4().hex[:8]}")
    said = run("restore", str(path), settings=nowhere, expect=1).stderr
    assert f"topics create --prefix {nowhere.prefix} --election DIR --partitions 4 --create-time" in said
    other = made(settings, "--partitions", "3")
    altered(other, {"message.timestamp.type": "LogAppendTime", "retention.ms": "604800000"})
    said = refused(other, path)
    assert "was saved from 4 partitions, the topic has 3" in said
    assert "message.timestamp.type is LogAppendTime" in said
    assert "retention.ms is 604800000" in said


def changed(path: Path, to: Path, change: Callable[[bytes], bytes]) -> Path:
    to.write_bytes(change(path.read_bytes()))
    return to


def test_a_log_that_cannot_be_restored_is_refused_before_anything_is_sent(
    odd: tuple[Settings, Path, Places], tmp_path: Path
) -> None:
    settings, path, _ = odd
    other = made(settings)
    size = path.stat().st_size
    frame = path.read_bytes().rindex(b"\x1f\x8b\x08\x04")
    last_turned = changed(path, tmp_path / "turned", lambda c: c[:-1] + bytes([c[-1] ^ 1]))
    assert f"the frame at byte {frame} does not have its SHA-256" in refused(other, last_turned)
    broken_off = changed(path, tmp_path / "off", lambda c: c[: size - 1])
    assert f"the frame at byte {frame} is broken off" in refused(other, broken_off)
    added = changed(path, tmp_path / "added", lambda c: gzip.decompress(c) + encode_line(
        LogRecord(1, b"A", b"{}", 0, len([p for p, _ in odd[2] if p == 0])), with_position=True))  # fmt: skip
    assert "its last 1 records stand under no checksum" in refused(other, added)
    assert "is a recorded night" in refused(other, NIGHTS / NIGHT / "reports.jsonl.gz")
    assert "No such file" in run("restore", str(tmp_path / "none"), settings=other, expect=1).stderr
    assert on_topic(other) == {}
    assert ReportLog(path).partition_count == 4


def test_what_a_topic_does_not_take_is_named_and_gone_on_with_once_it_does(
    odd: tuple[Settings, Path, Places], tmp_path: Path
) -> None:
    settings = made(odd[0])
    altered(settings, {"max.message.bytes": "1000000"})
    incompressible = random.Random(1).randbytes(1_010_000)
    places = few() | {(1, 5): LogRecord(FIRST_MS, b"A", incompressible, 1, 5)}
    log = saved(tmp_path / "log", places)
    said = run("restore", str(log), settings=settings, expect=1).stderr
    assert "partition 1, offsets 5 to 5 were not taken" in said
    assert "larger than this maximum" in said
    altered(settings, {"max.message.bytes": "1048576"})
    run("restore", str(log), settings=settings)
    assert on_topic(settings) == places


def test_another_writer_is_noticed(odd: tuple[Settings, Path, Places], tmp_path: Path) -> None:
    """Records of a stranger between the first comparison and the first record of the log."""
    settings = made(odd[0])
    log = ReportLog(saved(tmp_path / "log", few()))
    due = read_whole(log, lambda _: None)

    async def main() -> None:
        topic = f"{settings.prefix}.reports"
        async with sender(settings) as producer, sender(settings) as stranger:

            class Late:
                create_batch = producer.create_batch

                async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any:
                    await stranger.send_and_wait(topic, b"y", key=b"B", partition=partition)
                    return await producer.send_batch(batch, topic, partition=partition)

            await restore(Late(), settings, topic, log, due, lambda _: None)

    with pytest.raises(RestoreRefused, match="partition 0: offset 0 of the log landed at 1: something else writes"):
        asyncio.run(main())
