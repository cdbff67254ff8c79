"""A simulated night through a real Kafka and a worker: verdicts and votes are those that were planted."""

from __future__ import annotations

import json
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import run, settings_for
from tests.support.topics import wait_published
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka


def test_what_was_planted_comes_out(kafka_one: Any, tmp_path: Path) -> None:
    settings, night = settings_for(kafka_one.bootstrap, f"t{uuid.uuid4().hex[:8]}"), str(tmp_path / "night")
    arguments = ("simulate", night, "--stations", "150", "--seed", "2", "--partitions", "3", "--json")
    run(*arguments, settings=settings)
    run("topics", "create", "--election", night, "--partitions", "3", "--create-time", "--replication", "1", settings=settings)
    with closing(WorkerProcess(settings, night, tmp_path / "worker.log")) as worker:
        worker.wait_ready()
        sent = run(*arguments, "--to", "kafka", "--rate", "500", settings=settings)
        expected = json.loads(sent.stdout)
        assert f"{expected['records']} records stand in {settings.prefix}.reports" in sent.stderr
        assert "S7" in expected["verdicts"]["codes"]
        newest = wait_published(settings, expected["records"])
        counts = {name: count for name, count in expected["verdicts"].items() if name != "codes"}
        wait_for(lambda: worker.verdicts() == {**counts, "read": expected["records"]}, f"the verdicts {counts}")
    for contest, in_force in expected["in_force"].items():
        root = json.loads(newest[f"{contest}|SIM".encode()])
        assert root["stations"]["counted"] == in_force["stations"]
        assert root["ballots"]["valid"] == in_force["valid"]
        assert {c["id"]: c["votes"] for c in root["candidates"]} == in_force["votes"]
    again = run(*arguments, "--to", "kafka", settings=settings)
    assert f"({expected['records']} were there already)" in again.stderr
    other = run(*arguments[:5], "3", "--to", "kafka", settings=settings, expect=1)
    assert "holds another simulated night" in other.stderr


def test_a_topic_of_another_number_of_partitions_is_refused(kafka_one: Any, tmp_path: Path) -> None:
    settings, night = settings_for(kafka_one.bootstrap, f"t{uuid.uuid4().hex[:8]}"), str(tmp_path / "night")
    arguments = ("simulate", night, "--stations", "9", "--seed", "2", "--errors", "none", "--partitions", "3")
    run(*arguments, settings=settings)
    run("topics", "create", "--election", night, "--partitions", "2", "--create-time", "--replication", "1", settings=settings)
    refused = run(*arguments, "--to", "kafka", settings=settings, expect=1)
    assert "was saved from 3 partitions, the topic has 2" in refused.stderr
