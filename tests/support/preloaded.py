"""Commands of the product in processes of their own that begin as copies of one which has loaded the libraries already.

A command that Python starts afresh computes for half a second before its first line, and the tests run hundreds.
`ran` is `subprocess.run` for those of which only the end matters, `begun` is `subprocess.Popen`
(`tests/support/forking.py` is the other side). What Python itself reads as it begins (`READ_AT_THE_START`) is not read again:
where that differs from ours, Python is started afresh, as it is by all tests that start commands by themselves.
tests/gate/test_preloaded.py compares the two.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import IO

from tally_stream.cli.lifeline import Lifeline
from tests.support.paths import ROOT

_LIFELINE = Lifeline()
READ_AT_THE_START = ("PYTHON", "LD_", "LC_", "LANG")
OF_COMMANDS = (
    "tally_stream.audit.verify", "tally_stream.export.desk", "tally_stream.export.nist", "tally_stream.export.snapshot",
    "tally_stream.export.table", "tally_stream.kafka.client", "tally_stream.kafka.following", "tally_stream.station.authority",
    "tally_stream.station.client", "tally_stream.station.night", "tally_stream.station.restore",
    "tally_stream.station.signing_key", "tally_stream.station.simulate", "tally_stream.wire.folder.assembling",
    "aiohttp", "click", "rich.live", "rich.progress", "rich.table", "uvloop",
)  # fmt: skip
SERVICES = ("worker", "board", "intake")
OF_SERVICES = (
    "tally_stream.board.server", "tally_stream.station.intake.server", "tally_stream.stream.worker",
    "tally_stream.wire.folder.assembling", "click", "rich.table", "uvloop",
)  # fmt: skip


class Begun:
    """One that runs, with what `subprocess.Popen` has of it."""

    def __init__(self, words: list[str], answer: socket.socket) -> None:
        self.args = words
        self.returncode: int | None = None
        self._answer = answer
        self._lines = answer.makefile()
        self.pid = int(self._lines.readline())

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._answer], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            with self._answer, self._lines:
                self.returncode = int(self._lines.readline())
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Running = subprocess.Popen[bytes] | Begun


class _Forking:
    """The process that forks. It ends with us: nobody else has this end of its socket."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = _LIFELINE.arguments()
        arguments["pass_fds"] += (theirs.fileno(),)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forking", str(theirs.fileno()), *modules], cwd=ROOT,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **arguments,
            )  # fmt: skip
        atexit.register(self._end)

    def _end(self) -> None:
        """Waited for, so that what its children computed counts as ours."""
        self._ours.close()
        self._process.wait(10)

    def begun(self, words: list[str], env: Mapping[str, str], streams: tuple[IO[bytes], ...]) -> Begun:
        ours, theirs = socket.socketpair()
        with theirs:
            request = json.dumps([words[2:], _LIFELINE.arguments(env)["env"], os.getcwd()]).encode()
            socket.send_fds(self._ours, [request], [theirs.fileno(), *(stream.fileno() for stream in streams)])
        return Begun(words, ours)


@cache
def _forking(modules: tuple[str, ...]) -> _Forking:
    return _Forking(modules)


def _starts_afresh(env: Mapping[str, str]) -> bool:
    ours, theirs = ({k: v for k, v in of.items() if k.startswith(READ_AT_THE_START)} for of in (os.environ, env))
    return ours != theirs or not hasattr(os, "pidfd_open")


def begun(words: list[str], env: Mapping[str, str], said: IO[bytes]) -> Running:
    """`sys.executable`, "-m", a module and its arguments (`command` in processes.py), while it runs."""
    if _starts_afresh(env):
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, **_LIFELINE.arguments(env))
    with open(os.devnull, "rb") as nothing:
        return _forking(OF_SERVICES if words[3] in SERVICES else OF_COMMANDS).begun(words, env, (nothing, said, said))


def ran(words: list[str], env: Mapping[str, str], timeout_seconds: float, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The same, from beginning to end."""
    done = ran_in_bytes(words, env, timeout_seconds, stdin.encode())
    return subprocess.CompletedProcess(words, done.returncode, _as_text(done.stdout), _as_text(done.stderr))


def _as_text(said: bytes) -> str:
    return said.decode().replace("\r\n", "\n")


def ran_in_bytes(
    words: list[str], env: Mapping[str, str], timeout_seconds: float, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    if _starts_afresh(env):
        return subprocess.run(
            words, input=stdin, capture_output=True, timeout=timeout_seconds, check=False, **_LIFELINE.arguments(env)
        )
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        process = _forking(OF_COMMANDS).begun(words, env, (given, out, err))
        try:
            code = process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())
