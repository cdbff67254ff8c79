"""`status` as an operator runs it: a count that is all right, one that nobody makes any more, and brokers that do not answer."""

from __future__ import annotations

import json
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest

from tally_stream.kafka.topics import NO_SUCH_TOPIC, Topics
from tally_stream.settings import Settings
from tests.support.processes import run, settings_for
from tests.support.topics import produce, wait_published
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka


def status(settings: Settings, *arguments: str, expect: int) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        run("status", "--json", "--rehearsal", *arguments, settings=settings, expect=expect).stdout
    )
    assert told["ok"] is (expect == 0)
    return told


def test_a_count_is_told_as_it_stands(kafka_one: Any, tmp_path: Path) -> None:
    settings = settings_for(kafka_one.bootstrap, f"s{uuid.uuid4().hex[:8]}")
    empty = status(settings, expect=1)["problems"]
    assert empty[0] == f"no worker is in the group {settings.group_id}: nobody counts"
    assert empty[1:] == [f"{name}: {NO_SUCH_TOPIC}" for name in Topics(settings.prefix).all], "each is told once"
    run("topics", "create", "--election", "bolivia-2019", "--create-time", "--replication", "1", settings=settings)
    assert status(settings, expect=1)["problems"] == [f"no worker is in the group {settings.group_id}: nobody counts"]

    worker = WorkerProcess(settings, "bolivia-2019", tmp_path / "worker.log")
    try:
        worker.wait_ready()
        sent = run("send", "bolivia-2019", "bolivia-2019", settings=settings)
        records = int(sent.stdout.split()[0].replace(",", ""))
        wait_published(settings, records)
        at = worker.address().removeprefix("http://")
        whole = ("--at", at, "--election", "bolivia-2019")

        def look() -> dict[str, Any] | None:
            done = run("status", "--json", "--rehearsal", *whole, settings=settings, expect=0)
            told: dict[str, Any] = json.loads(done.stdout)
            return told if all(one["committed"] == one["end"] for one in told["reports"].values()) else None

        told = wait_for(look, "everything to be committed")
        assert told["problems"] == []
        (member,) = told["workers"]
        assert member["publishes_standings"]
        assert member["partitions"] == [int(p) for p in told["reports"]]
        (contest,) = told["contests"]
        assert (contest["version"], contest["behind_records"]) == (records, 0)
        (program,) = told["programs"]
        assert (program["kind"], program["digest"]) == ("worker", told["definition"])
        assert (program["ready"], program["behind_records"], program["behind_seconds"]) == (True, 0, None)
        assert told["definitions"] == {told["definition"]: {"given": True, "programs": {"worker": 1}, "contests": 1}}

        (mistake,) = status(settings, "--at", at, "--election", "az-2024", expect=1)["problems"]
        assert "they do not count by one definition" in mistake

        worker.process.send_signal(signal.SIGSTOP)
        produce(settings, "reports", 0, (b"nobody", b"{}"))
        frozen = status(settings, *whole, expect=1)["problems"]
        assert any(line.startswith("reports wait, and partition 0, the standings of PRES did not move for") for line in frozen)
        assert any(line == f"{at}: no answer within 3 s" for line in frozen)
    finally:
        worker.close()

    def lost() -> bool:
        problems = status(settings, "--at", at, expect=1)["problems"]
        return problems[0] == f"no worker is in the group {settings.group_id}: nobody counts" and f"{at}: nobody listens" in (
            " ".join(problems)
        )

    wait_for(lost, "the group to miss its worker", 30)
