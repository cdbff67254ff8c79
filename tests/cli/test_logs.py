"""Lines on stderr: what each begins with, one object a line for programs, and no line twice within a second."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally_stream.cli.logs import REMEMBERED_MAX, Log, partition_of, warnings_in_lines, without_headers
from tests.cli.calling import call
from tests.support.processes import LIFELINE, command, said_in
from tests.support.waiting import wait_for

HEADER = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|WARNING|ERROR|CRITICAL) ([\w-]+)( partition \d+)? tally-stream: .+"
)
AT = 1_707_330_612.345


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


class Lines:
    """A log whose lines are kept, and whose clock is set by hand."""

    def __init__(self, *, process: str = "worker-2", is_json: bool = False) -> None:
        self.written: list[str] = []
        self.clock = Clock()
        self.log = Log(self.written.append, process=process, is_json=is_json, clock=self.clock, now=lambda: AT)

    def bare(self) -> list[str]:
        return [line.partition(" tally-stream: ")[2] for line in self.written]


def test_a_line_says_when_how_grave_and_of_whom() -> None:
    lines = Lines()
    lines.log.say("tally-stream: caught up: 7 records")
    lines.log.say("publishing partition 3 failed: no leader", logging.WARNING)
    assert lines.written == [
        "2024-02-07T18:30:12.345Z INFO worker-2 tally-stream: caught up: 7 records",
        "2024-02-07T18:30:12.345Z WARNING worker-2 partition 3 tally-stream: publishing partition 3 failed: no leader",
    ]
    assert without_headers("\n".join([*lines.written, "tally-stream: x"])).splitlines() == [
        "tally-stream: caught up: 7 records", "tally-stream: publishing partition 3 failed: no leader", "tally-stream: x",
    ]  # fmt: skip


def test_a_command_that_ends_by_itself_says_its_line_alone() -> None:
    lines = Lines(process="")
    for _ in range(2):
        lines.log.say("tally-stream: not exported:\n  a b")
    assert lines.written == ["tally-stream: not exported:\n  a b"] * 2


@pytest.mark.parametrize(("sentence", "partition"), [
    ("partition 0, offset 7: this record crashes the code", 0),
    ("the report log lost records: partition 12, from 3, to 4", 12),
    ("partition 1 and partition 1 again", 1),
    ("partition 1 is ahead of partition 2", None),
    ("counting X (sha256:1), 4 partitions, metrics at http://127.0.0.1:1/metrics", None),
])  # fmt: skip
def test_the_partition_is_the_one_that_a_sentence_names(sentence: str, partition: int | None) -> None:
    assert partition_of(sentence) == partition


@given(st.text())
def test_a_line_stays_one_whatever_a_hostile_id_holds(text: str) -> None:
    lines = Lines()
    lines.log.say(text)
    (line,) = lines.written
    assert len(line.splitlines()) == 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", line)


@given(st.text())
def test_json_gives_back_any_sentence(text: str) -> None:
    lines = Lines(is_json=True)
    lines.log.say(text, logging.ERROR)
    (line,) = lines.written
    assert line.isascii()
    assert len(line.splitlines()) == 1
    found = json.loads(line)
    found.pop("partition", None)
    assert found == {
        "time": "2024-02-07T18:30:12.345Z", "level": "ERROR", "process": "worker-2",
        "message": text.removeprefix("tally-stream: "),
    }  # fmt: skip


def test_json_names_the_partition_as_a_number() -> None:
    lines = Lines(is_json=True)
    lines.log.say("tally-stream: partition 3:\nx")
    assert json.loads(lines.written[0])["partition"] == 3


def test_no_line_is_said_twice_within_a_second_and_its_number_is_told() -> None:
    lines = Lines()
    for _ in range(12):
        lines.log.say("a")
        lines.log.say("b", logging.WARNING)
        lines.clock.at += 0.01
    assert lines.bare() == ["a", "b"]
    lines.clock.at = 101.0
    lines.log.say("c")
    assert lines.bare() == ["a", "b", "a (said 12 times)", "b (said 12 times)", "c"]
    assert lines.written[-2] == lines.log.form("b (said 12 times)", logging.WARNING)


def test_what_goes_on_is_told_once_a_second_with_all_there_were() -> None:
    lines = Lines()
    for _ in range(40):
        lines.log.say("a")
        lines.clock.at += 0.125
    lines.clock.at += 1.0
    lines.log.settle()
    lines.clock.at += 1.0
    lines.log.settle()
    assert lines.bare() == ["a", *(f"a (said {n} times)" for n in (8, 16, 24, 32, 40))]
    lines.log.say("a")
    assert lines.bare()[-1] == "a"


def test_of_very_many_lines_the_oldest_is_forgotten() -> None:
    lines = Lines()
    lines.log.say("0")
    for number in range(REMEMBERED_MAX):
        lines.log.say("0")
        lines.log.say(str(number + 1))
    assert lines.bare()[-2:] == [f"0 (said {REMEMBERED_MAX + 1} times)", str(REMEMBERED_MAX)]


async def test_a_number_that_is_due_is_told_by_itself() -> None:
    clock, told, written = Clock(), asyncio.Event(), list[str]()

    def write(line: str) -> None:
        written.append(line)
        if "times" in line:
            told.set()

    log = Log(write, process="board", clock=clock)
    for _ in range(3):
        log.say("a")
    clock.at += 1.0
    async with asyncio.timeout(10):
        await told.wait()
    assert [line.partition(": ")[2] for line in written] == ["a", "a (said 3 times)"]


def test_last_words_take_what_is_still_due_along() -> None:
    lines = Lines()
    lines.log.say("a")
    lines.log.say("a")
    assert [line.partition("Z ")[2] for line in lines.log.last_words("fatal: x").split("\n")] == [
        "INFO worker-2 tally-stream: a (said 2 times)", "CRITICAL worker-2 tally-stream: fatal: x",
    ]  # fmt: skip
    lines.log._lock.acquire()  # noqa: SLF001 (a thread that hangs in a write)
    assert lines.log.last_words("fatal: y").endswith("CRITICAL worker-2 tally-stream: fatal: y")


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_library_s_warning_is_a_line_and_its_trace_for_who_asks(
    debug: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TALLY_DEBUG", debug)
    lines, root = Lines(), logging.getLogger()
    before = list(root.handlers)
    warnings_in_lines(lines.log)
    warnings_in_lines(lines.log)
    try:
        logging.getLogger("asyncio").error("Task was %s", "lost", exc_info=ValueError("planted"))
        logging.getLogger("tally_stream.stream").critical("said by its own line")
        logging.getLogger("asyncio").info("nothing")
    finally:
        root.handlers[:] = before
    assert lines.bare() == ["asyncio: Task was lost", *(["tally_stream.stream: said by its own line"] if debug else [])]
    assert ("ValueError: planted" in capsys.readouterr().err) is bool(debug)


def a_free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


def objects(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines()]
    for one in found:
        assert {"time", "level", "process", "message"} <= set(one)
        datetime.fromisoformat(one["time"])
    return found


@pytest.fixture
def running(tmp_path: Path) -> Callable[..., tuple[subprocess.Popen[bytes], Path]]:
    """Two workers and their supervisor, waiting for a broker."""

    def start(**environment: str) -> tuple[subprocess.Popen[bytes], Path]:
        log = tmp_path / "log"
        with log.open("wb") as said:
            words = command("worker", "--election", "az-2024", "--processes", "2", "--bootstrap", a_free_address())
            more = LIFELINE.arguments({**os.environ, "TALLY_BROKER_WAIT_SECONDS": "0", **environment})
            return subprocess.Popen(words, stdout=said, stderr=said, **more), log

    return start


@pytest.mark.parametrize("form", ["text", "json"])
def test_every_line_of_workers_and_supervisor_has_its_header(
    running: Callable[..., tuple[subprocess.Popen[bytes], Path]], form: str
) -> None:
    process, log = running(TALLY_LOG_FORMAT=form)
    try:
        wait_for(lambda: all(f"worker-{n}: the worker ended" in said_in(log) for n in (1, 2)), "both to end once", 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
    if form == "json":
        found = {(one["process"], one["level"]) for one in objects(said_in(log))}
    else:
        matches = [HEADER.fullmatch(line) for line in said_in(log).splitlines()]
        assert None not in matches, said_in(log)
        found = {(match[2], match[1]) for match in matches if match}
    assert found >= {("worker-1", "ERROR"), ("worker-2", "ERROR"), ("supervisor", "WARNING")}


def test_in_json_a_command_that_ends_by_itself_says_objects_too() -> None:
    (refusal,) = objects(call("replay", "az-2042", expect=2, TALLY_LOG_FORMAT="json").stderr)
    assert (refusal["process"], refusal["level"]) == ("replay", "ERROR")
    (usage,) = objects(call("topics", "create", "--partitions", "many", expect=2, TALLY_LOG_FORMAT="json").stderr)
    assert "--partitions" in usage["message"]
    assert call("--version", TALLY_LOG_FORMAT="json").stderr == ""


def test_a_fatal_line_is_as_the_log_has_it() -> None:
    """From the place that ends a worker, whose loop may hang: past everything but the form."""
    ends = (
        "from tally_stream.cli.common import begin_log\nfrom tally_stream.stream.fatal import fatal\n"
        "log = begin_log('worker-1')\nlog.say('again')\nlog.say('again')\nfatal('partition 3: a\\nb', log.last_words)\n"
    )
    done = subprocess.run([sys.executable, "-c", ends], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [line.partition("Z ")[2] for line in done.stderr.splitlines()] == [
        "INFO worker-1 tally-stream: again", "INFO worker-1 tally-stream: again (said 2 times)",
        "CRITICAL worker-1 partition 3 tally-stream: fatal: partition 3: a b",
    ]  # fmt: skip
