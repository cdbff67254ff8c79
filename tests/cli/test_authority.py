"""`authority` as it is typed, on an embedded broker with one worker: what is said, what is asked, exit codes, JSON."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tally_stream.domain.election import Election
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.embedded import AUTO_PARTITIONS
from tests.support.against_replay import check_against_replay
from tests.support.brokers import Embedded
from tests.support.folders import Folder
from tests.support.processes import command, run, settings_for, tied
from tests.support.report_messages import control, counts
from tests.support.topics import produce, read_topic, save_log, wait_published, wait_standings
from tests.support.worker import WorkerProcess

HOME = murmur2_partition(b"A-1", AUTO_PARTITIONS)
WRONG = {"cast": 99, "valid": 96, "blank": 2, "invalid": 2}


class Stage:
    """Topics of their own, and the election's folder."""

    def __init__(self, bootstrap: str, tmp_path: Path) -> None:
        self.settings = settings_for(bootstrap, f"t{uuid.uuid4().hex[:8]}")
        self.tmp_path = tmp_path
        self.folder = Folder(tmp_path)
        self.election: Election = self.folder.load()
        self.worker: WorkerProcess | None = None
        read_topic(self.settings, "reports")  # makes it

    def count(self) -> None:
        self.worker = WorkerProcess(self.settings, str(self.tmp_path), self.tmp_path / "worker.log", "--embedded")
        self.worker.wait_ready()

    def report(self, **changes: Any) -> None:
        produce(self.settings, "reports", HOME, (b"A-1", json.dumps(counts(**changes)).encode()))

    def words(self, kind: str, *more: str) -> list[str]:
        about = [] if kind in ("hold", "release", "certify") else ["--station", "A-1"]
        return ["authority", kind, *about, "--election", str(self.tmp_path), "--contest", "PRES", "--reason", f"Ruling on {kind}.",
                "--authority", "Commission", *more]  # fmt: skip

    def order(self, kind: str, *more: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        return run(*self.words(kind, *more), settings=self.settings, expect=expect)

    def told(self, kind: str, *more: str, expect: int = 0) -> dict[str, Any]:
        done = self.order(kind, "--yes", "--json", *more, expect=expect)
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def end(self) -> None:
        if self.worker is not None:
            self.worker.close()


@pytest.fixture
def stage(embedded_broker: Embedded, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(embedded_broker.bootstrap, tmp_path)
    yield made
    made.end()


def test_a_station_is_annulled_and_restored(stage: Stage) -> None:
    stage.report()
    stage.count()
    said = stage.order("annul", "--yes").stdout
    for line in (
        "annul of PRES at station A-1, revision 2, by Commission: Ruling on annul.",
        "A-1 School 1, X/North: replaces revision 1",
        "in force: revision 1 (report): cast 100, valid 96, blank 2, invalid 2; ANNA 50, BELA 46",
        "valid ballots: 96 → 0",
        f"in force: annul of PRES at station A-1 is revision 2, partition {HOME} at offset 1",
        "stations   0 counted · 0 partial · 0 held · 1 annulled · 2 outstanding",
    ):
        assert line in said
    told = stage.told("restore")
    assert told["order"] == {
        "kind": "restore", "contest": "PRES", "station": "A-1", "reason": "Ruling on restore.", "authority": "Commission",
    }  # fmt: skip
    assert (told["revision"], told["replaces"], told["partitions"], told["sent"]) == (3, 2, [HOME], {str(HOME): 2})
    assert told["changes"]["areas"]["X"]["candidates"][0]["votes"] == [0, 50]
    assert told["published"]["candidates"][0]["votes"] == 50
    again = stage.order("restore", "--yes").stdout
    assert "stands already, as revision 3: nothing is to be sent" in again
    newest = wait_published(stage.settings, 3)
    check_against_replay(stage.election, save_log(stage.settings, stage.tmp_path / "saved.jsonl"), newest)


def test_nothing_is_sent_that_nobody_agreed_to(stage: Stage) -> None:
    stage.report()
    done = stage.order("annul", expect=1)
    assert "there is no terminal to ask on; look at what would change, and give --yes" in done.stderr
    assert "valid ballots: 96 → 0" in done.stdout
    done = stage.order("annul", "--json", expect=1)
    assert "with --json nobody is asked" in done.stderr
    assert json.loads(done.stdout)["changes"]["areas"]["X"]["ballots"][1]["valid"] == 0
    assert _answered(stage, b"n\n") == 1
    assert len(read_topic(stage.settings, "reports")[1]) == 1
    assert _answered(stage, b"y\n") == 0
    assert len(read_topic(stage.settings, "reports")[1]) == 2


def _answered(stage: Stage, answer: bytes) -> int:
    """The exit code of an annulment that was asked for on a terminal."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer)
        return subprocess.run(
            command(*stage.words("annul", "--no-wait")), **tied(stage.settings), stdin=theirs, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=60, check=False,
        ).returncode  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_wrong_order_is_refused_with_its_code(stage: Stage) -> None:
    stage.report()
    for words, code, sentence in (
        (stage.words("accept", "--yes"), 1, "tally-stream: Q5: accept of revision 1, held is none"),
        (stage.words("annul", "--yes", "--station", "Z-9"), 1, "tally-stream: S2: "),
        (stage.words("annul", "--yes", "--contest", "MAYOR"), 1, "tally-stream: S2: unknown contest 'MAYOR'"),
        (["authority", "annul", "--station", "A-1", "--reason", "x", "--authority", "y"], 2, "no election: give --election"),
        (
            ["authority", "annul", "--election", str(stage.tmp_path), "--station", "A-1", "--reason", "x", "--authority", "y"],
            2,
            "--contest is missing: there are PRES, SEAT",
        ),
        (["authority", "annul", "--election", str(stage.tmp_path), "--station", "A-1", "--reason", "x"], 2, "'--authority'"),
    ):
        assert sentence in run(*words, settings=stage.settings, expect=code).stderr
    assert len(read_topic(stage.settings, "reports")[1]) == 1


def test_a_held_report_is_shown_with_its_codes_and_accepted(stage: Stage) -> None:
    stage.report(ballots=WRONG)
    said = stage.order("accept", "--yes", "--no-wait").stdout
    assert "held: revision 1 (report): cast 99, valid 96, blank 2, invalid 2; ANNA 50, BELA 46" in said
    assert "held for A2: " in said
    assert stage.told("withdraw", "--no-wait")["replaces"] == 2


def test_without_a_worker_it_is_in_force_and_nothing_is_waited_for(stage: Stage) -> None:
    stage.report()
    told = stage.told("annul", "--no-wait")
    assert told["published"] is None
    assert told["stands_at"] == {str(HOME): 1}


def test_an_order_by_another_folder_than_the_workers_is_not_given(stage: Stage) -> None:
    """Its revisions, and what it would change, may be others."""
    stage.report()
    stage.count()
    wait_standings(stage.settings, lambda newest: b"PRES|X" in newest, "standings")
    digest = stage.election.digest
    stage.folder.replace(('name = "An election"', 'name = "Another election"'))
    done = stage.order("annul", "--yes", expect=1)
    assert f"standings of PRES are of definition {digest}, this folder is sha256:" in done.stderr
    assert len(read_topic(stage.settings, "reports")[1]) == 1


def test_a_contest_is_held_released_and_certified(stage: Stage) -> None:
    stage.report()
    stage.count()
    said = stage.order("hold", "--yes").stdout
    assert "hold of PRES, revision 1, by Commission: Ruling on hold." in said
    assert "a copy goes to every partition: 0, 1, 2, 3" in said
    assert "on hold: no → yes" in said
    stops = ", ".join(f"{p} at {2 if p == HOME else 1}" for p in range(AUTO_PARTITIONS))
    assert f"the published figures stand still at these offsets: partition {stops}" in said
    assert "ON HOLD by the authority" in said
    assert "stands already, as revision 1" in stage.order("hold", "--yes").stdout
    stage.report(revision=2, votes={"ANNA": 40, "BELA": 56})
    behind = stage.order("annul", "--yes")
    assert "the contest is on hold: the published figures stay as they are" in behind.stdout
    assert "PRES is on hold: the standings have this order after the release" in behind.stderr
    stage.told("restore")
    told = stage.told("release")
    assert told["changes"]["areas"]["X"]["on_hold"] == [True, False]
    assert told["changes"]["areas"]["X"]["candidates"][0]["votes"] == [50, 40]
    assert told["published"]["candidates"][0]["votes"] == 56
    said = stage.order("certify", "--yes").stdout
    assert "these figures become final" in said
    assert "stations that are not settled: 2 outstanding" in said
    assert wait_standings(
        stage.settings, lambda newest: json.loads(newest[b"PRES|X"])["status"] == "certified", "a certified contest"
    )


def test_missing_copies_are_sent_by_the_same_order_alone(stage: Stage) -> None:
    statement = control(reason="Ruling on hold.", authority="Commission", phase="official")
    produce(stage.settings, "reports", 2, (b"PRES", json.dumps(statement).encode()))
    said = stage.order("release", expect=1).stdout
    assert (
        "before it: hold of revision 1 by Commission (Ruling on hold.) stands incomplete, in 1 of 4 partitions; this order"
        in said
    )
    told = stage.told("hold", "--no-wait")
    assert (told["revision"], sorted(told["sent"])) == (1, ["0", "1", "3"])
    assert {record.value for record in read_topic(stage.settings, "reports")[1]} == {json.dumps(statement).encode()}
