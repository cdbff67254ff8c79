"""Every topic lost in turn and made again by the commands of docs/runbook.md, to the same bytes; and what a stranger's
record among the standings looks like to `verify`."""

from __future__ import annotations

import asyncio
import gzip
import json
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from tally_stream.settings import Settings
from tally_stream.wire.folder.assembling import load_election
from tests.support.against_replay import check_against_replay
from tests.support.paths import NIGHTS
from tests.support.processes import run, settings_for
from tests.support.runbook import SAVED, STEPS, follow
from tests.support.topics import administer, committed, produce, read_topic, save_log, wait_published, wait_standings
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

NIGHT = "az-2024"
ODD = [(None, None), (b"\xff", b"\x80"), (b"041-038", None)]
MARKER_AND_RECORD = 2
ONE_STATION_IN = 8


def a_part_of_the_night(path: Path) -> int:
    """Every station that somebody decided on, and one in eight of the others: what is lost need not be large. How many
    records these are."""
    lines = gzip.decompress((NIGHTS / NIGHT / "reports.jsonl.gz").read_bytes()).splitlines(keepends=True)
    keys = [json.loads(line)["key"] for line in lines]
    decided = {key for key, line in zip(keys, lines, strict=True) if b'\\"authority\\"' in line}
    kept = [
        line for key, line in zip(keys, lines, strict=True) if key in decided or zlib.crc32(key.encode()) % ONE_STATION_IN == 0
    ]
    path.write_bytes(b"".join(kept))
    return len(kept)


class Lost:
    """A part of a night, finished, on three brokers, what was published of it, and a worker that is started and stopped."""

    def __init__(self, bootstrap: str, directory: Path) -> None:
        self.settings: Settings = settings_for(bootstrap, f"l{uuid.uuid4().hex[:8]}")
        self.directory = directory
        self.saved = directory / "reports-saved.jsonl.gz"
        self.worker: WorkerProcess | None = None
        self.workers = 0
        run("topics", "create", "--election", NIGHT, settings=self.settings)
        sent = a_part_of_the_night(directory / "part.jsonl")
        run("send", NIGHT, str(directory / "part.jsonl"), settings=self.settings)
        produce(self.settings, "reports", 1, *ODD[1:])
        asyncio.run(self._transact())
        self.total = sent + len(ODD[1:]) + MARKER_AND_RECORD
        self.start().wait_ready()
        wait_published(self.settings, self.total)
        self.stop()
        self.start().wait_ready()  # every area at the last vector: the bytes that every recovery must come to
        self.standings = wait_standings(self.settings, self._are_all_newest, "all areas at the last vector")
        self.stop()
        self.owed, self.partials = self.owed_now(), self.newest_partials()
        run("dump", str(self.saved), settings=self.settings)
        check_against_replay(load_election(NIGHTS / NIGHT), save_log(self.settings, directory / "log"), self.standings)

    async def _transact(self) -> None:
        topic = f"{self.settings.prefix}.reports"
        async with AIOKafkaProducer(bootstrap_servers=self.settings.bootstrap, transactional_id=topic) as writer:
            await writer.begin_transaction()
            await writer.send_and_wait(topic, b"{}", key=b"A", partition=3)
            await writer.commit_transaction()

    def _are_all_newest(self, newest: dict[bytes, bytes]) -> bool:
        return all(json.loads(v)["version"] == self.total for v in newest.values())

    def owed_now(self) -> dict[str, dict[bytes | None, set[bytes | None]]]:
        """Topic → key → the values that stand there under it."""
        found: dict[str, dict[bytes | None, set[bytes | None]]] = {}
        for topic in ("rejections", "changes"):
            found[topic] = {}
            for record in read_topic(self.settings, topic)[1]:
                found[topic].setdefault(record.key, set()).add(record.value)
        return found

    def newest_partials(self) -> dict[bytes | None, bytes | None]:
        return {record.key: record.value for record in read_topic(self.settings, "partials")[1]}

    def start(self, *flags: str, is_supervised: bool = False) -> WorkerProcess:
        self.workers += 1
        log = self.directory / f"worker-{self.workers}.log"
        self.worker = WorkerProcess(self.settings, NIGHT, log, *flags, is_supervised=is_supervised)
        return self.worker

    def start_with(self, flags: list[str]) -> None:
        self.start(*flags)

    def stop(self) -> None:
        assert self.worker is not None
        assert self.worker.stop() == 0, self.worker.log

    def delete(self, *names: str) -> None:
        topics = {f"{self.settings.prefix}.{name}" for name in names}

        async def gone(admin: Any) -> None:
            await admin.delete_topics(list(topics))
            async with asyncio.timeout(30):
                while topics & set(await admin.list_topics()):  # noqa: ASYNC110 (nothing tells us)
                    await asyncio.sleep(0.05)

        administer(self.settings, gone)

    def recover(self, name: str) -> None:
        """The commands of the runbook as they stand there; the worker, last of them, is started and left running."""
        follow(name, self.settings, {SAVED: str(self.saved)}, self.start_with)
        assert self.worker is not None
        self.worker.wait_ready()

    def check(self) -> None:
        """Everything as it was, byte for byte; of rejections and changes one a key."""
        wait_standings(self.settings, lambda newest: newest == self.standings, "the same standings")
        wait_for(lambda: self.newest_partials() == self.partials, "the same partials")
        wait_for(lambda: self.owed_now() == self.owed, "the same rejections and changes")
        assert sum(self.worker.next_offsets().values()) == self.total  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def night(kafka_three: Any, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    return Lost(kafka_three.bootstrap, tmp_path_factory.mktemp("lost"))


@pytest.fixture
def lost(night: Lost) -> Iterator[Lost]:
    """The night with no worker running, before and after."""
    yield night
    assert night.worker is not None
    night.worker.close()


async def commit(settings: Settings, offsets: dict[int, int]) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, group_id=settings.group_id, enable_auto_commit=False)
    await consumer.start()
    try:
        places = {TopicPartition(f"{settings.prefix}.reports", p): o for p, o in offsets.items()}
        consumer.assign(list(places))
        await consumer.commit({tp: OffsetAndMetadata(o, "") for tp, o in places.items()})
    finally:
        await consumer.stop()


def test_what_was_lost_is_worth_the_name(lost: Lost) -> None:
    assert len(lost.standings) == 126
    assert sum((key or b"").startswith(b"|") for key in lost.partials) == 4, "a mark of each partition"
    assert len(lost.partials) > 4, "and pages"
    assert len(lost.owed["changes"]) == 11
    assert len(lost.owed["rejections"]) >= len(ODD[1:]) + MARKER_AND_RECORD
    rehearsed = {"reports", "partials", "standings", "rejections and changes", "all"}
    by_tests_of_power = {"a power cut", "what is left of the reports"}
    assert set(STEPS) == rehearsed | by_tests_of_power


def test_the_reports_with_commits_that_outlived_them(lost: Lost) -> None:
    """Kafka forgets the commits with the topic, as when all topics are lost (below); a cluster that kept them (another
    one's copy) must not matter."""
    before = committed(lost.settings)
    assert sum(before.values()) == lost.total
    lost.delete("reports")
    wait_for(lambda: not committed(lost.settings), "no commits", 30)
    run("topics", "create", "--election", NIGHT, "--create-time", settings=lost.settings)
    asyncio.run(commit(lost.settings, before))
    assert committed(lost.settings) == before
    lost.recover("reports")
    lost.check()
    wait_for(lambda: committed(lost.settings) == before, "the same commits")
    lost.stop()


@pytest.mark.parametrize("topic", ["partials", "standings"])
def test_the_partials_or_the_standings(lost: Lost, topic: str) -> None:
    lost.delete(topic)
    lost.recover(topic)
    lost.check()
    lost.stop()


@pytest.mark.parametrize("topic", ["rejections", "changes"])
def test_the_rejections_or_the_changes(lost: Lost, topic: str) -> None:
    """The others, which were not lost, are sent again with them, to the same bytes. Both are lost below."""
    lost.delete(topic)
    lost.recover("rejections and changes")
    lost.check()
    lost.stop()


def test_all_of_them(lost: Lost) -> None:
    before = committed(lost.settings)
    lost.delete("reports", "partials", "standings", "rejections", "changes")
    lost.recover("all")
    lost.check()
    wait_for(lambda: committed(lost.settings) == before, "the same commits")
    lost.stop()


@pytest.mark.parametrize("topic", ["partials", "standings"])
def test_a_topic_made_anew_under_a_running_worker(lost: Lost, topic: str) -> None:
    """It ends, its supervisor starts it again, and every area stands there again."""
    # Named, so that its next start takes its place at once.
    worker = lost.start("--instance", "the-one", is_supervised=True).wait_ready()
    # What it is still sending when the topic goes would stand whole on the new one: nothing would be lost.
    wait_for(lambda: "\ntally_last_publication_timestamp_seconds " in worker.get("/metrics")[1], "the first publication")
    lost.delete(topic)
    run("topics", "create", "--election", NIGHT, settings=lost.settings)
    wait_for(lambda: "fatal:" in worker.log, f"the worker's end:\n{worker.log}", 60)
    wait_standings(lost.settings, lambda newest: newest == lost.standings, "the same standings")
    wait_for(lambda: lost.newest_partials() == lost.partials, "the same partials")
    lost.stop()


def test_verify_finds_a_strangers_standings(lost: Lost, tmp_path: Path) -> None:
    """Last of this module: what is produced here stays. From the topic alone, and against a dump."""
    settings = lost.settings
    clean = run("verify", NIGHT, "--json", settings=settings).stdout
    assert json.loads(clean)["different"] == 0
    assert json.loads(clean)["records"] == lost.total
    assert run("verify", NIGHT, str(lost.saved), "--json", settings=settings).stdout == clean

    root = lost.standings[b"PRES|AZ"]
    message = json.loads(root)
    votes = message["candidates"][0]["votes"]
    falsified = root.replace(f'"votes":{votes}'.encode(), f'"votes":{votes + 1}'.encode())
    assert falsified != root
    at = len(read_topic(settings, "standings")[1])
    produce(settings, "standings", 0, (b"PRES|AZ", falsified), (b"PRES|AZ/001", root), (b"PRES|AZ", b"nonsense"))
    for log in ([], [str(lost.saved)]):
        said = run("verify", NIGHT, *log, settings=settings, expect=1).stderr
        place = f"{settings.prefix}.standings, offset"
        assert (
            f"{place} {at}, PRES|AZ at version {lost.total}: candidates[0].votes: found {votes + 1}, the log gives {votes}"
            in said
        )
        assert f"{place} {at + 1}: its key is b'PRES|AZ/001'" in said
        assert f"{place} {at + 2}: not a standings message" in said
        assert "3 of " in said
