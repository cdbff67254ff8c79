"""Nothing lives on: whoever starts others is ended in each way there is, and all that it had started ends too.

A port that is taken is said in one line, with the setting that changes it.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import LIFELINE, children_of, command, is_alive, said_in
from tests.support.waiting import wait_for

pytestmark = pytest.mark.usefixtures("hangup_ends")

WAYS = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL]

EMBEDDED = """
import signal
from tally_stream.kafka.embedded import EmbeddedBroker
with EmbeddedBroker() as broker:
    print("broker at", broker.bootstrap, flush=True)
    signal.pause()
"""

ON_A_TERMINAL_OF_ITS_OWN = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that closing it is a SIGHUP
os.execv(sys.argv[1], sys.argv[1:])
"""


def all_below(pid: int) -> list[int]:
    """Every process that this one has started, and those have."""
    found = children_of(pid)
    return found + [below for child in found for below in all_below(child)]


@contextmanager
def running(arguments: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            arguments, stdout=file, stderr=file, stdin=subprocess.DEVNULL,
            **LIFELINE.arguments({**os.environ, **environment}),
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def a_free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


Case = tuple[list[str], dict[str, str], Callable[[str], bool], int]
"""Arguments, environment, whether the log says that all are there, and how many it then has started."""

CASES: dict[str, Callable[[], Case]] = {
    "demo": lambda: (
        command("demo", "--election", "az-2024"), {"TALLY_BOARD_PORT": "0"}, lambda log: "the board is at" in log, 3,
    ),
    # Two that wait for a broker: what they do meanwhile does not matter here.
    "worker": lambda: (
        command("worker", "--election", "az-2024", "--processes", "2", "--bootstrap", a_free_address()), {},
        lambda log: all(f"WARNING worker-{n} tally-stream: no Kafka broker answers" in log for n in (1, 2)), 2,
    ),
    "embedded broker": lambda: ([sys.executable, "-c", EMBEDDED], {}, lambda log: "broker at" in log, 1),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("name", CASES)
def test_what_a_process_started_ends_with_it(tmp_path: Path, name: str, way: signal.Signals) -> None:
    arguments, environment, is_there, count = CASES[name]()
    log = tmp_path / "log"
    with running(arguments, log, **environment) as process:
        wait_for(lambda: is_there(said_in(log)) or process.poll() is not None, "all of them")
        assert process.poll() is None, said_in(log)
        started = all_below(process.pid)
        assert len(started) == count
        process.send_signal(way)
        process.wait(20)
        wait_for(lambda: not any(map(is_alive, started)), "the end of all that was started", 15)
    said = said_in(log)
    if name != "embedded broker":  # a script of this test, which nobody taught
        assert "Traceback" not in said, said


def test_a_demo_ends_with_its_terminal(tmp_path: Path) -> None:
    """The window is closed: everybody on it is told, and nobody can write there any more."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL_OF_ITS_OWN, *command("demo", "--election", "az-2024")],
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        **LIFELINE.arguments({**os.environ, "TALLY_BOARD_PORT": "0"}),
    )  # fmt: skip
    os.close(slave)
    try:
        wait_for(lambda: len(all_below(process.pid)) == 3, "all of them")
        text = b""

        def is_shown() -> bool:
            nonlocal text
            while select.select([master], [], [], 0)[0]:
                text += os.read(master, 65_536)
            return b"board  " in text

        wait_for(is_shown, "the board's address on the screen")
        started = all_below(process.pid)
        os.close(master)
        process.wait(20)
        wait_for(lambda: not any(map(is_alive, started)), "the end of all that was started", 15)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_a_demo_says_that_a_port_is_taken_and_takes_another(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        planted = f"import tally_stream.settings as s; s.Settings.model_fields['board_port'].default = {port}; s.Settings.model_rebuild(force=True); "
        arguments = [
            sys.executable,
            "-c",
            planted + "from tally_stream.cli.main import main; main()",
            "demo",
            "--election",
            "az-2024",
        ]
        with running(arguments, log) as process:
            found = wait_for(lambda: re.search(r"the board is at http://127\.0\.0\.1:(\d+)/", said_in(log)), "the board")
            assert int(found[1]) != port
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    assert f"port {port} is taken on 127.0.0.1: the board takes another (TALLY_BOARD_PORT chooses one)\n" in said_in(log)


def test_a_board_on_a_port_that_was_asked_for_and_is_taken_says_so_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            command("demo", "--election", "az-2024"), capture_output=True, text=True, timeout=60, check=False,
            **LIFELINE.arguments({**os.environ, "TALLY_BOARD_PORT": str(port)}),
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"tally-stream: the board can't be served at 127.0.0.1:{port}: Address already in use; another port: --board-port or "
        "TALLY_BOARD_PORT"
    )
