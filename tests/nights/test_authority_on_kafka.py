"""An authority's night on a real Kafka, by command: bulletins of turnout, a hold, an annulment, a release, a certification, with
two workers; two authorities at once; and one that is killed while it sends. Everything equals what a replay gives."""

from __future__ import annotations

import json
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import StoredRecord
from tally_stream.settings import Settings
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.report_log import LogRecord, ReportLog, encode_line
from tests.support.against_replay import check_against_replay
from tests.support.brokers import KafkaOne, SharedKafka
from tests.support.paths import NIGHTS
from tests.support.processes import command, run, settings_for, tied
from tests.support.topics import produce, read_topic, save_log, wait_published, wait_standings
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

NIGHT = "council"
PARTITIONS = 4
TURNOUTS, RECORDS = 45, 150


class Stage:
    """Topics of their own, with the invented town's night."""

    def __init__(self, bootstrap: str, tmp_path: Path) -> None:
        self.settings: Settings = settings_for(bootstrap, f"t{uuid.uuid4().hex[:8]}")
        self.tmp_path = tmp_path
        self.workers: list[WorkerProcess] = []
        run("topics", "create", "--election", NIGHT, "--create-time", "--replication", "1", "--partitions", str(PARTITIONS),
            settings=self.settings)  # fmt: skip

    def two_workers(self) -> None:
        for number in range(2):
            worker = WorkerProcess(self.settings, NIGHT, self.tmp_path / f"worker-{number}.log")
            self.workers.append(worker)
        for worker in self.workers:
            worker.wait_ready()

    def send(self, until: int) -> None:
        """The night up to this record, as a recorded one of its own."""
        records: list[LogRecord] = list(ReportLog(NIGHTS / NIGHT / "reports.jsonl.gz"))
        path = self.tmp_path / "part.jsonl"
        path.write_bytes(b"".join(encode_line(record, with_position=False) for record in records[:until]))
        run("send", NIGHT, str(path), settings=self.settings)

    def send_behind_orders(self, since: int) -> None:
        """The night's other records. `send` goes on where a topic holds a beginning of the night and nothing else."""
        for record in list(ReportLog(NIGHTS / NIGHT / "reports.jsonl.gz"))[since:]:
            assert record.key is not None
            produce(self.settings, "reports", murmur2_partition(record.key, PARTITIONS), (record.key, record.value))

    def words(self, kind: str, contest: str, *more: str, by: str = "Commission") -> list[str]:
        return ["authority", kind, "--election", NIGHT, "--contest", contest, "--reason", f"Ruling on {kind}.",
                "--authority", by, "--yes", "--json", *more]  # fmt: skip

    def order(self, kind: str, contest: str, *more: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(run(*self.words(kind, contest, *more), settings=self.settings).stdout)
        return told

    def begin(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(*words), **tied(self.settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )  # fmt: skip

    def statements(self, contest: str) -> list[list[StoredRecord]]:
        """Of each partition, the records under the contest's key."""
        found: list[list[StoredRecord]] = [[] for _ in range(PARTITIONS)]
        for record in read_topic(self.settings, "reports")[1]:
            if record.key == contest.encode():
                found[record.partition].append(record)
        return found


@pytest.fixture
def stage(kafka_one: KafkaOne | SharedKafka, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka_one.bootstrap, tmp_path)
    yield made
    for worker in made.workers:
        worker.close()


def root_of(newest: dict[bytes, bytes], contest: str) -> dict[str, Any]:
    root: dict[str, Any] = json.loads(newest[f"{contest}|LM".encode()])
    return root


def test_a_night_by_command_equals_its_replay(stage: Stage) -> None:
    stage.two_workers()
    stage.send(TURNOUTS + 30)
    held = stage.order("hold", "COUNCIL")
    frozen = held["published"]
    assert frozen["on_hold"]
    assert frozen["provenance"]["next_offsets"] == {p: offset + 1 for p, offset in held["stands_at"].items()}
    stage.send_behind_orders(TURNOUTS + 30)
    annulled = stage.order("annul", "MAYOR", "--station", "11")
    assert annulled["published"]["stations"]["annulled"] == 1
    released = stage.order("release", "COUNCIL")
    assert released["published"]["candidates"] != frozen["candidates"]
    then = {one["id"]: one["votes"][1] for one in released["changes"]["areas"]["LM"]["candidates"]}
    assert {one["id"]: one["votes"] for one in released["published"]["candidates"]} == then, "as it was said before"
    certified = stage.order("certify", "MAYOR")
    assert certified["published"]["status"] == "certified"
    total = RECORDS + 3 * PARTITIONS + 1
    newest = wait_published(stage.settings, total)
    log = save_log(stage.settings, stage.tmp_path / "saved.jsonl")
    replay = check_against_replay(load_election(NIGHTS / NIGHT), log, newest)
    assert replay.record_count == total
    assert root_of(newest, "COUNCIL")["voted"] is not None, "the bulletins of the afternoon"
    run("verify", NIGHT, settings=stage.settings)
    for worker in stage.workers:
        assert worker.stop() == 0


def test_two_authorities_at_once_are_both_in_force(stage: Stage) -> None:
    stage.send(RECORDS)
    both = [stage.begin(*stage.words("hold", "MAYOR", "--no-wait", by=by)) for by in ("One", "Other")]
    told = []
    for one in both:
        out, err = one.communicate(timeout=120)
        assert one.returncode == 0, err
        told.append(json.loads(out))
    assert sorted(len(one["stands_at"]) for one in told) == [PARTITIONS, PARTITIONS]
    newest = [json.loads(records[-1].value or b"") for records in stage.statements("MAYOR")]
    assert len({json.dumps(one) for one in newest}) == 1, "the last of them is the same in every partition"
    everywhere = [{record.value for record in records} for records in stage.statements("MAYOR")]
    assert {json.loads(value)["authority"] for value in set.intersection(*everywhere) if value} == {"One", "Other"}


def test_two_who_annul_a_station_at_once_are_both_told(stage: Stage) -> None:
    stage.send(RECORDS)
    both = [stage.begin(*stage.words("annul", "MAYOR", "--station", "11", "--no-wait", by=by)) for by in ("One", "Other")]
    said = [(one.communicate(timeout=120)[1], one.returncode) for one in both]
    lost = [text for text, code in said if code == 1]
    assert len(lost) == 1, said
    assert "Q5: annul of an annulled station" in lost[0]


def test_a_command_that_was_killed_leaves_nothing_that_the_next_does_not_complete(stage: Stage) -> None:
    """Whenever the kill comes: before it is sent, between its copies, after them."""
    stage.send(RECORDS)
    words = stage.words("hold", "MAYOR", "--no-wait")
    killed = stage.begin(*words)

    def some_copy() -> bool:
        return any(stage.statements("MAYOR")) or killed.poll() is not None

    wait_for(some_copy, "a copy on the topic")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    told = json.loads(run(*words, settings=stage.settings).stdout)
    assert sorted(told["stands_at"]) == [str(p) for p in range(PARTITIONS)]
    found = stage.statements("MAYOR")
    assert [len(records) for records in found] == [1] * PARTITIONS
    assert len({records[0].value for records in found}) == 1


def test_a_hold_in_some_partitions_is_seen_and_completed(stage: Stage) -> None:
    stage.two_workers()
    stage.send(RECORDS)
    value = json.dumps({"schema": 1, "election": "COUNCIL-2025", "contest": "MAYOR", "revision": 1, "kind": "hold",
                        "reason": "Ruling on hold.", "authority": "Commission"}).encode()  # fmt: skip
    produce(stage.settings, "reports", 1, (b"MAYOR", value))
    wait_standings(
        stage.settings, lambda newest: bool(newest) and root_of(newest, "MAYOR")["on_hold"], "a hold in one partition"
    )
    told = stage.order("hold", "MAYOR")
    assert sorted(told["sent"]) == ["0", "2", "3"]
    assert {record.value for records in stage.statements("MAYOR") for record in records} == {value}
