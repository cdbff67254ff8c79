"""The main job in one command, on the embedded broker: the very command of the README."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tally_stream.cli import demo_processes
from tally_stream.cli.demo_processes import Started, is_free, running_command
from tests.support.processes import LIFELINE, children_of, command, said_in
from tests.support.waiting import wait_for


def test_the_azerbaijan_night_ends_to_the_digit() -> None:
    done = subprocess.run(
        command("demo", "--election", "az-2024", "--fast", "--exit", "--json"),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    root = json.loads(done.stdout.splitlines()[-1])
    assert root["stations"] == {"annulled": 11, "counted": 6526, "expected": 6537, "held": 0, "outstanding": 0,
                                "partial": 0, "received": 6537}  # fmt: skip
    assert [c["votes"] for c in root["candidates"]] == [4_567_458, 107_632, 98_421, 85_411, 39_643, 32_885, 26_517]
    assert root["status"] == "correction"
    assert "The embedded broker is a stand-in" in done.stderr
    assert "the board is at" not in done.stderr, "nobody looks at a night that is over in seconds"
    # What was announced stands beside what the standings say at that very record.
    assert "03:13 second announcement" in done.stderr
    assert "93.35 % of polling stations (6,102 of 6,537)  Ilham Aliyev 92.05 %" in done.stderr


def test_a_taken_port_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert not is_free("127.0.0.1", taken.getsockname()[1])
        assert is_free("127.0.0.1", 0)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
async def test_a_demo_that_ends_before_its_night_leaves_no_watch_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ready(*_: object) -> str:
        return "http://nowhere"

    monkeypatch.setattr(demo_processes, "_ready", ready)
    started = Started()
    async with running_command("worker", [sys.executable, "-c", "import time; time.sleep(60)"], "", started):
        assert len(started.ends) == 1
    started.ends.clear()
    gc.collect()  # a coroutine that nobody awaited is a warning, and a warning is an error


def test_the_demo_serves_the_board_until_it_is_interrupted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command("demo", "--election", "az-2024", "--fast"), stdout=file, stderr=file, stdin=subprocess.DEVNULL,
            **LIFELINE.arguments({**os.environ, "TALLY_BOARD_PORT": "0"}),
        )  # fmt: skip
    try:
        found = wait_for(lambda: re.search(r"the board is at (http://127\.0\.0\.1:\d+)/", said_in(log)), "the address")
        wait_for(lambda: "the night is over" in said_in(log), "the end of the night", 120)
        with urllib.request.urlopen(found[1] + "/api/v1/standings/PRES", timeout=5) as answer:
            root = json.loads(answer.read())
        assert root["stations"]["annulled"] == 11
        assert root["candidates"][0]["votes"] == 4_567_458
        with urllib.request.urlopen(found[1] + "/", timeout=5) as answer:
            assert "4,567,458" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "Traceback" not in said_in(log)


@pytest.mark.parametrize("name", ["worker", "board"])
def test_a_process_that_dies_ends_the_demo_in_one_line(tmp_path: Path, name: str) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command("demo", "--election", "az-2024"), stdout=file, stderr=file, stdin=subprocess.DEVNULL,
            **LIFELINE.arguments({**os.environ, "TALLY_BOARD_PORT": "0"}),
        )  # fmt: skip
    try:
        wait_for(lambda: "the board is at" in said_in(log), "the night to begin")
        (child,) = (
            pid for pid in children_of(process.pid)
            if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[3:4] == [name.encode()]
        )  # fmt: skip
        os.kill(child, signal.SIGKILL)
        assert process.wait(30) == 1
        said = said_in(log)
        assert f"the {name} ended with exit code -9: " in said.strip().splitlines()[-1], said
        assert "Traceback" not in said
        assert "never awaited" not in said
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
