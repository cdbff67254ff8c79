"""Fail stop: a planted fault ends the worker before a commit, with one line, and the last good standings stay."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tally_stream.settings import Settings
from tally_stream.wire.folder.assembling import load_election
from tests.nights.on_topics import AZ, made, some_reports
from tests.support.against_replay import check_against_replay
from tests.support.brokers import KafkaOne
from tests.support.processes import children_of, run
from tests.support.topics import (
    committed,
    newest_standings,
    one_a_key,
    produce,
    read_topic,
    save_log,
    wait_published,
    wait_standings,
)
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

NAMED = ("--instance", "the-one")
"""As an operator names a worker: the next one of that name takes its place at once, else the group waits a session."""


def fatal_line(worker: WorkerProcess) -> str:
    wait_for(lambda: worker.process.poll() is not None, f"the worker's end:\n{worker.log}", 60)
    assert worker.process.returncode == 1, worker.log
    lines = [line for line in worker.log.splitlines() if "fatal:" in line]
    assert len(lines) == 1, worker.log
    assert "Traceback" not in worker.log
    return lines[0]


def verified(settings: Settings, folder: str, *replaced: str) -> None:
    """Every standings message on the topic is what the log gives, but for those of replaced definitions, of which each
    has some; without naming them `verify` fails, and says which definition it found."""
    flags = [flag for digest in replaced for flag in ("--replace-definition", digest)]
    found = json.loads(run("verify", folder, "--json", *flags, settings=settings).stdout)
    assert found["different"] == 0
    assert found["compared"] > 0
    assert (found["ignored"] > 0) == bool(replaced)
    if replaced:
        said = run("verify", folder, *flags[2:], settings=settings, expect=1).stderr
        assert f"definition: found {replaced[0]}" in said


def heartbeat_age(worker: WorkerProcess) -> float:
    """Seconds since the group last answered, as the worker tells it."""
    found = re.search(r"^tally_last_heartbeat_age_seconds (\S+)$", worker.get("/metrics")[1], re.MULTILINE)
    assert found is not None, worker.log
    return float(found[1])


def test_a_record_that_crashes_the_code_stops_the_worker_until_a_skip_passes_over_it(kafka_one: Any, tmp_path: Path) -> None:
    settings = made(kafka_one.bootstrap)
    reports = some_reports(20)
    for partition in range(4):
        produce(settings, "reports", partition, *reports[partition][:10])
    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log", *NAMED, is_supervised=True, planted="crash_at=12")
    try:
        good = wait_published(settings, 40)
        for partition in range(4):
            produce(settings, "reports", partition, *reports[partition][10:])
        wait_for(lambda: worker.process.poll() is not None, "three crashes", 90)
        assert worker.process.returncode == 1
        assert worker.log.count("fatal:") == 3
        assert "stopped after 3 crashes with the same line: " in worker.log
        assert "partition 0, offset 12: this record crashes the code: ZeroDivisionError('planted')" in worker.log
        assert "Traceback" not in worker.log
    finally:
        worker.close()
    # Nothing was committed past the record: the next start reads it again.
    assert committed(settings).get(0, 0) <= 12
    # What was published before stays for ever at its version or a later one; nothing above the record stands there.
    root = json.loads(newest_standings(settings)[b"PRES|AZ"])
    assert root["version"] >= json.loads(good[b"PRES|AZ"])["version"]
    assert root["provenance"]["next_offsets"]["0"] <= 12

    skipping = tmp_path / "skipping"
    shutil.copytree(AZ, skipping)
    entry = '\n[[skip]]\npartition = 0\noffset = 12\nreason = "Stops the worker."\nauthority = "Duty officer"\n'
    toml = (skipping / "election.toml").read_text()
    (skipping / "election.toml").write_text(toml + entry)
    refused = run(
        "worker", "--election", str(skipping), "--rehearsal", "--metrics-port", "0", settings=settings, expect=1
    ).stderr
    digest = root["definition"]
    assert digest in refused
    assert load_election(skipping).digest in refused

    worker = WorkerProcess(
        settings, str(skipping), tmp_path / "w2.log", *NAMED, "--replace-definition", digest, planted="crash_at=12"
    )  # fmt: skip
    try:
        worker.wait_ready()

        new = load_election(skipping).digest

        def counted(newest: dict[bytes, bytes]) -> bool:
            mine = [json.loads(v) for v in newest.values()]
            return all(m["definition"] == new and (m["area"] != "AZ" or m["version"] == 80) for m in mine)

        newest = wait_standings(settings, counted, "all 80 records under the new definition")
        log = save_log(settings, tmp_path / "saved.jsonl")
        replay = check_against_replay(load_election(skipping), log, newest)
        assert replay.verdict_counts()["codes"]["X1"] == 1
        assert worker.stop() == 0
        verified(settings, str(skipping), digest)
    finally:
        worker.close()
    mine = [
        r for r in (json.loads(record.value or b"{}") for record in read_topic(settings, "rejections")[1])
        if r["definition"] == load_election(skipping).digest
    ]  # fmt: skip
    assert [(r["codes"], r["source"]["partition"], r["source"]["offset"]) for r in mine] == [(["X1"], 0, 12)]


def test_a_replaced_definition_sends_rejections_and_changes_again_from_offset_0(kafka_one: Any, tmp_path: Path) -> None:
    """A third definition too: each older one is named. Without one of them the worker refuses to start."""
    settings = made(kafka_one.bootstrap)
    reports = some_reports(5)
    for partition in range(4):
        key, value = reports[partition][0]
        again = json.loads(value) | {
            "revision": 2, "kind": "withdraw", "replaces": 1, "reason": "A box was found.", "authority": "Commission",
        }  # fmt: skip
        for field in ("complete", "ballots", "votes", "registered"):
            again.pop(field, None)
        produce(settings, "reports", partition, *reports[partition], (key, json.dumps(again).encode()), (key, b"{}"))
    digests: list[str] = []
    folder = AZ
    for number in range(3):
        if number:
            folder = tmp_path / f"definition-{number}"
            shutil.copytree(AZ, folder)
            toml = (folder / "election.toml").read_text()
            (folder / "election.toml").write_text(f"{toml}\n[checks]\nP1_invalid_percent = {number + 3}\n")
        election = load_election(folder)
        if number == 2:
            said = run("worker", "--election", str(folder), "--rehearsal", "--metrics-port", "0", "--once",
                       "--replace-definition", digests[0], settings=settings, expect=1).stderr  # fmt: skip
            assert digests[1] in said
        flags = [flag for digest in digests for flag in ("--replace-definition", digest)]
        worker = WorkerProcess(settings, str(folder), tmp_path / f"w{number}.log", *flags)
        try:
            worker.wait_ready()

            def roots(newest: dict[bytes, bytes], expected: str = election.digest) -> bool:
                message = json.loads(newest.get(b"PRES|AZ", b"{}"))
                return bool(message.get("definition") == expected and message.get("version") == 28)

            wait_standings(settings, roots, "standings of the new definition")
            assert worker.stop() == 0
        finally:
            worker.close()
        verified(settings, str(folder), *digests)
        digests.append(election.digest)
    for topic in ("rejections", "changes"):
        found = [json.loads(record.value or b"{}") for record in read_topic(settings, topic)[1]]
        for digest in digests:
            places = {(r["source"]["partition"], r["source"]["offset"]) for r in found if r["definition"] == digest}
            assert places == {(p, 6 if topic == "rejections" else 5) for p in range(4)}, (topic, digest)


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ("hang_at=10,stall_seconds=3", r"partition \d is read to offset 10, its log ends at \d+: no progress for 3 s"),
        (
            "no_commits,stall_seconds=3",
            r"(reports|partials)\[\d\] is committed to offset \d+, acknowledged to \d+: no commit for 3 s",
        ),
        ("wrong_sum", r"publishing standings failed: planted: the totals do not add up"),
    ],
)
def test_a_hang_or_a_broken_invariant_ends_the_worker_and_the_standings_stay(
    kafka_one: Any, tmp_path: Path, planted: str, said: str
) -> None:
    settings = made(kafka_one.bootstrap)
    reports = some_reports(20)
    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log", *NAMED, planted=planted).wait_ready()
    try:
        wait_published(settings, 0)
        for partition in range(4):
            produce(settings, "reports", partition, *reports[partition][:10])
        if planted.startswith("hang"):
            wait_published(settings, 40)
        before = newest_standings(settings)
        for partition in range(4):
            produce(settings, "reports", partition, *reports[partition][10:])
        assert re.search(said, fatal_line(worker))
        after = newest_standings(settings)
        assert after.keys() == before.keys()
        if planted == "wrong_sum":
            assert after == before
    finally:
        worker.close()
    # And a worker without the fault goes on from what is there, to the same standings as ever.
    worker = WorkerProcess(settings, "az-2024", tmp_path / "next.log", *NAMED).wait_ready()
    try:
        newest = wait_published(settings, 80)
        log = save_log(settings, tmp_path / "saved.jsonl")
        check_against_replay(load_election(AZ), log, newest)
        assert worker.stop() == 0
    finally:
        worker.close()


def test_the_trace_is_shown_to_whoever_asks_for_it(kafka_one: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = made(kafka_one.bootstrap)
    monkeypatch.setenv("TALLY_DEBUG", "1")
    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log", planted="wrong_sum").wait_ready()
    try:
        produce(settings, "reports", 0, *some_reports(1)[0])
        wait_for(lambda: worker.process.poll() is not None, "the worker's end", 60)
        line = next(line for line in worker.log.splitlines() if "fatal:" in line)
        assert re.search(r"planted: the totals do not add up \(nights/planted/sitecustomize\.py:\d+\)$", line)
        assert "Traceback (most recent call last):" in worker.log
        assert 'merging.py", line ' in worker.log
    finally:
        worker.close()


def test_a_mark_of_another_definition_ends_a_running_worker(kafka_one: Any, tmp_path: Path) -> None:
    settings = made(kafka_one.bootstrap)
    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log").wait_ready()
    try:
        good = wait_published(settings, 0)
        _, partials = read_topic(settings, "partials")
        foreign = json.loads(partials[-1].value or b"{}") | {"definition": "sha256:" + "0" * 64}
        produce(settings, "partials", 0, (partials[-1].key, json.dumps(foreign).encode()))
        assert "a page or mark of definition sha256:0000" in fatal_line(worker)
        assert newest_standings(settings) == good
    finally:
        worker.close()


def test_a_quiet_night_is_no_hang(kafka_one: Any, tmp_path: Path) -> None:
    """Ten times the limit without a record, and a supervised worker that was never started again."""
    settings = made(kafka_one.bootstrap)
    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log", is_supervised=True, planted="stall_seconds=1").wait_ready()
    try:
        first = len(read_topic(settings, "standings")[1])
        wait_for(lambda: len(read_topic(settings, "standings")[1]) > first, "the root sent again, 10 s later", 30)
        assert "fatal" not in worker.log
        assert worker.get("/readyz")[0] == 200
        assert worker.stop() == 0
        assert worker.log.rstrip().endswith("stopped")
    finally:
        worker.close()


def test_a_short_outage_ends_no_worker(kafka_of_its_own: KafkaOne, tmp_path: Path) -> None:
    """Shorter than the group's session of 10 s: the same process goes on, without a line, and the standings move again."""
    settings = made(kafka_of_its_own.bootstrap)
    reports = some_reports(20)
    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log", is_supervised=True).wait_ready()
    try:
        for partition in range(4):
            produce(settings, "reports", partition, *reports[partition][:10])
        wait_published(settings, 40)
        wait_for(lambda: "caught up" in worker.log, "its last line before")
        before, said = children_of(worker.process.pid), worker.log
        kafka_of_its_own.freeze(1)
        try:
            # The newest answer to a heartbeat is up to 3 s old at the frost.
            wait_for(lambda: heartbeat_age(worker) >= 7, "7 s without an answer", 30)
            age = heartbeat_age(worker)
        finally:
            kafka_of_its_own.thaw(1)
        assert age < 10, "this machine was too slow for a short outage"
        for partition in range(4):
            produce(settings, "reports", partition, *reports[partition][10:])
        newest = wait_published(settings, 80)
        wait_for(lambda: heartbeat_age(worker) < 3, "heartbeats again", 30)
        assert worker.log == said
        assert children_of(worker.process.pid) == before
        log = save_log(settings, tmp_path / "saved.jsonl")
        check_against_replay(load_election(AZ), log, newest)
        assert worker.stop() == 0
    finally:
        worker.close()


def test_a_supervised_worker_that_is_killed_counts_on(kafka_one: Any, tmp_path: Path) -> None:
    """Its supervisor brings it back, and ends it when it is killed itself."""
    settings = made(kafka_one.bootstrap)
    reports = some_reports(20)
    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log", *NAMED, is_supervised=True).wait_ready()
    try:
        for partition in range(4):
            produce(settings, "reports", partition, *reports[partition][:10])
        wait_published(settings, 40)
        (child,) = children_of(worker.process.pid)
        os.kill(child, signal.SIGKILL)
        for partition in range(4):
            produce(settings, "reports", partition, *reports[partition][10:])
        newest = wait_published(settings, 80)
        assert "worker-1: the worker ended by signal 9; it starts again in 0.5 s (start 2)" in worker.log
        log = save_log(settings, tmp_path / "saved.jsonl")
        check_against_replay(load_election(AZ), log, newest)
        assert one_a_key(read_topic(settings, "changes")[1]) == []
        assert worker.stop() == 0
    finally:
        worker.close()
