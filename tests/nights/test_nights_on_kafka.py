"""Each night through a real Kafka: the standings on the topic are what a stranger computes from the saved log.

Each set-up (one worker, two, two of which one is killed, a worker started again) is played where it differs: every night
with one worker and through a kill, the others on one night; on three brokers what acknowledgements and leaders matter to.
`make nights` plays each night in each set-up.
"""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tally_stream.domain.election import Election
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import sender
from tally_stream.settings import Settings
from tally_stream.wire.folder.assembling import load_election
from tests.support.against_replay import check_against_replay
from tests.support.killed_worker import kill_in_the_middle
from tests.support.paths import NIGHTS
from tests.support.processes import run, settings_for
from tests.support.topics import committed, newest_standings, one_a_key, read_topic, save_log, wait_published
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

RECORDS = {"az-2024": 39_095, "bolivia-2019": 35_261, "wisconsin-2024": 7_879}
FINAL = {
    "az-2024": {"I-ALIYEV": 4_567_458, "Z-ORUJ": 107_632, "F-MUSTAFA": 98_421, "G-HASANGULIYEV": 85_411,
                "R-NURULLAYEV": 39_643, "E-MUSAYEV": 32_885, "F-ALIYEV": 26_517},
    "bolivia-2019": {"MAS": 2_889_359, "CC": 2_240_920},
    "wisconsin-2024": {"HARRIS": 1_668_229, "TRUMP": 1_697_626},
}  # fmt: skip


class Stage:
    """Topics of their own on a cluster, and the workers of one test."""

    def __init__(self, bootstrap: str, night: str, tmp_path: Path, replication: int) -> None:
        self.night = night
        self.folder = NIGHTS / night
        self.election: Election = load_election(self.folder)
        self.settings: Settings = settings_for(bootstrap, f"t{uuid.uuid4().hex[:8]}")
        self.tmp_path = tmp_path
        self.workers: list[WorkerProcess] = []
        run("topics", "create", "--election", night, "--create-time", "--replication", str(replication),
            settings=self.settings)  # fmt: skip

    def worker(self, *flags: str, is_supervised: bool = False) -> WorkerProcess:
        log = self.tmp_path / f"worker-{len(self.workers)}.log"
        worker = WorkerProcess(self.settings, self.night, log, *flags, is_supervised=is_supervised)
        self.workers.append(worker)
        return worker

    def two_workers(self) -> tuple[WorkerProcess, WorkerProcess]:
        first, second = self.worker(), self.worker()
        return first.wait_ready(), second.wait_ready()

    def send(self) -> None:
        run("send", self.night, str(self.folder / "reports.jsonl.gz"), settings=self.settings)

    def check(self) -> dict[str, Any]:
        """Everything a stranger can check; returns the root."""
        total = RECORDS[self.night]
        newest = wait_published(self.settings, total)
        log = save_log(self.settings, self.tmp_path / "saved.jsonl")
        replay = check_against_replay(self.election, log, newest)
        assert replay.record_count == total
        root: dict[str, Any] = json.loads(newest[f"PRES|{self.election.root}".encode()])
        votes = {c["id"]: c["votes"] for c in root["candidates"]}
        assert votes == {**votes, **FINAL[self.night]}
        self._check_changes(replay.verdict_counts())
        return root

    def _check_changes(self, verdicts: dict[str, Any]) -> None:
        changes = one_a_key(read_topic(self.settings, "changes")[1])
        rejections = one_a_key(read_topic(self.settings, "rejections")[1])
        refused = sum(verdicts[v] for v in ("rejected", "held", "stale", "conflicting"))
        assert len(rejections) == refused
        if self.night == "az-2024":
            fall: Counter[str] = Counter()
            for change in changes:
                fall.update(change["votes_delta"])
            assert sorted(fall.values()) == [-10_235, -245, -202, -196, -84, -71, -44]
            assert sum(change["ballots_delta"]["valid"] for change in changes) == -11_077
            assert len(changes) == 11
        elif self.night == "bolivia-2019":
            assert len(changes) == 706


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[list[Stage]]:
    made: list[Stage] = []
    yield made
    for stage in made:
        for worker in stage.workers:
            worker.close()


IS_LONG = bool(os.environ.get("TALLY_TEST_LONG"))
"""`make nights`: each night in each set-up."""
EACH = [(night, kafka) for kafka in ("kafka_one", "kafka_three") for night in RECORDS]


@pytest.fixture
def kafka(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def a_stage(night: str, kafka: Any, stages: list[Stage], tmp_path: Path) -> Stage:
    stages.append(Stage(kafka.bootstrap, night, tmp_path, kafka.replication))
    return stages[-1]


@pytest.mark.parametrize(("night", "kafka"), EACH if IS_LONG else EACH[: len(RECORDS)], indirect=["kafka"])
def test_a_night_with_one_worker(night: str, kafka: Any, stages: list[Stage], tmp_path: Path) -> None:
    """On one broker: what three do otherwise, they do to any night (below)."""
    stage = a_stage(night, kafka, stages, tmp_path)
    worker = stage.worker().wait_ready()
    stage.send()
    root = stage.check()
    if night == "az-2024":
        assert root["stations"] == {"annulled": 11, "counted": 6526, "expected": 6537, "held": 0, "outstanding": 0,
                                    "partial": 0, "received": 6537}  # fmt: skip
        assert root["status"] == "correction"
    check_verdicts_add_up([worker], RECORDS[night])
    assert worker.stop() == 0


@pytest.mark.parametrize(("night", "kafka"), EACH if IS_LONG else [("bolivia-2019", "kafka_three")], indirect=["kafka"])
def test_a_night_with_two_workers(night: str, kafka: Any, stages: list[Stage], tmp_path: Path) -> None:
    """The night with the most changes. On one broker two share a night in the test of `--processes`."""
    stage = a_stage(night, kafka, stages, tmp_path)
    first, second = stage.two_workers()
    stage.send()
    stage.check()
    check_verdicts_add_up([first, second], RECORDS[stage.night])
    assert set(first.next_offsets()) | set(second.next_offsets()) == {0, 1, 2, 3}
    assert [first.stop(), second.stop()] == [0, 0]


@pytest.mark.parametrize("kafka", ["kafka_one", "kafka_three"] if IS_LONG else ["kafka_three"], indirect=True)
def test_each_night_with_one_of_two_workers_killed_in_the_middle(kafka: Any, stages: list[Stage], tmp_path: Path) -> None:
    """All three killed before any is awaited: the groups' sessions run out side by side, and three cost what one costs."""
    killed = [_killed_in_the_middle(night, kafka, stages, tmp_path / night) for night in RECORDS]
    for stage, other in killed:
        stage.check()
        check_verdicts_add_up([other], RECORDS[stage.night])
        assert other.stop() == 0


def _killed_in_the_middle(night: str, kafka: Any, stages: list[Stage], tmp_path: Path) -> tuple[Stage, WorkerProcess]:
    """A night of which half was counted when the worker that published its standings was killed; and the other worker."""
    tmp_path.mkdir()
    stage = a_stage(night, kafka, stages, tmp_path)
    first, second = stage.two_workers()

    log = stage.folder / "reports.jsonl.gz"
    return stage, kill_in_the_middle(stage.settings, stage.night, log, RECORDS[night], first, second)


def test_a_night_with_two_processes_of_one_command(kafka_one: Any, stages: list[Stage], tmp_path: Path) -> None:
    stage = Stage(kafka_one.bootstrap, "az-2024", tmp_path, 1)
    stages.append(stage)
    both = stage.worker("--processes", "2", is_supervised=True)
    wait_for(lambda: both.log.count("metrics at ") == 2, "both processes", 30)
    addresses = [part.split("/metrics")[0] for part in both.log.split("metrics at ")[1:]]

    def partitions() -> list[set[str]]:
        found = []
        for address in addresses:
            with suppress(OSError), urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
                found.append(set(json.load(answer)["partitions"]))
        return found

    wait_for(lambda: sorted(map(len, partitions())) == [2, 2], "two partitions each", 30)
    stage.send()
    stage.check()
    mine, others = partitions()
    assert mine | others == {"0", "1", "2", "3"}
    assert both.stop() == 0


def check_verdicts_add_up(workers: list[WorkerProcess], records: int) -> None:
    """Every record read has one verdict; the workers together have read the whole topic."""
    verdicts = sum((worker.verdicts() for worker in workers), Counter())
    assert verdicts.pop("read") == sum(verdicts.values()) == records


def test_one_worker_killed_and_started_again_on_three_brokers(kafka_three: Any, stages: list[Stage], tmp_path: Path) -> None:
    stage = Stage(kafka_three.bootstrap, "az-2024", tmp_path, 3)
    stages.append(stage)
    worker = stage.worker("--instance", "only-one").wait_ready()
    stage.send()
    worker.kill()
    stage.worker("--instance", "only-one").wait_ready()
    stage.check()


async def _send_ten_more(settings: Settings, election: Election) -> int:
    """Ten good statements for ten stations of the finished night: turnout moves no total."""
    stations = list(election.stations)[:10]
    async with sender(settings) as producer:
        for station in stations:
            value = {"schema": 1, "kind": "turnout", "election": election.id, "station": station, "revision": 900,
                     "as_of": "2024-02-12T10:00:00+04:00", "voted": 1}  # fmt: skip
            key = station.encode()
            await producer.send_and_wait(
                f"{settings.prefix}.reports", json.dumps(value).encode(), key=key, partition=murmur2_partition(key, 4)
            )
    return len(stations)


def test_after_a_restart_on_a_fully_committed_topic_ten_more_records_are_counted_and_committed(
    kafka_one: Any, stages: list[Stage], tmp_path: Path
) -> None:
    stage = Stage(kafka_one.bootstrap, "az-2024", tmp_path, 1)
    stages.append(stage)
    worker = stage.worker().wait_ready()
    stage.send()
    total = RECORDS["az-2024"]
    wait_published(stage.settings, total)
    assert worker.stop() == 0
    assert sum(committed(stage.settings).values()) == total, "a clean stop commits everything"

    again = stage.worker().wait_ready()
    sent = asyncio.run(_send_ten_more(stage.settings, stage.election))
    newest = wait_published(stage.settings, total + sent)
    wait_for(lambda: sum(committed(stage.settings).values()) == total + sent, "the commit of ten more", 20)
    verdicts = again.verdicts()
    assert verdicts["counted"] == verdicts["read"] == total + sent
    check_against_replay(stage.election, save_log(stage.settings, tmp_path / "saved.jsonl"), newest)
    assert newest == newest_standings(stage.settings)
    assert again.stop() == 0
