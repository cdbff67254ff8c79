"""A reader that does not read harms nobody, and is at the newest soon after it goes on (P15)."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.nights.on_topics import made, some_reports
from tests.support.processes import command, tied
from tests.support.topics import produce, wait_published
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.kafka

READERS = 5


def root_versions(path: Path) -> list[int]:
    """Of the whole lines that a reader has printed so far."""
    lines = path.read_text().split("\n")[:-1]
    return [m["version"] for m in map(json.loads, lines) if m["area"] == "AZ"]


def test_readers_paused_for_long_go_on_at_the_newest(kafka_one: Any, tmp_path: Path) -> None:
    settings = made(kafka_one.bootstrap)
    reports = some_reports(40)
    worker = WorkerProcess(settings, "az-2024", tmp_path / "w.log").wait_ready()
    wait_published(settings, 0)
    logs = [tmp_path / f"reader-{n}" for n in range(READERS)]
    readers = [
        subprocess.Popen(
            command("standings", "--follow", "--json"), **tied(settings), stdout=log.open("w"),
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for log in logs
    ]  # fmt: skip
    try:
        for log in logs:
            wait_for(lambda log=log: root_versions(log), "a reader to have begun")  # type: ignore[misc]
        for reader in readers:
            reader.send_signal(signal.SIGSTOP)
        for first in range(0, 40, 4):  # many versions, each seen by somebody who does read
            for partition in range(4):
                produce(settings, "reports", partition, *reports[partition][first : first + 4])
            wait_published(settings, 4 * (first + 4))
        assert all(max(root_versions(log)) < 160 for log in logs)
        assert worker.get("/readyz")[0] == 200
        for reader in readers:
            reader.send_signal(signal.SIGCONT)
        for log in logs:
            versions = wait_for(
                lambda log=log: v if (v := root_versions(log))[-1] == 160 else None, "the newest"  # type: ignore[misc]
            )  # fmt: skip
            assert versions == sorted(versions)
        assert worker.stop() == 0
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
        worker.close()
