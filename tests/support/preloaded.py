"""Commands of the product in processes of their own that begin as copies of one which has loaded the libraries already.

A command that Python starts afresh computes for half a second before its first line, and the tests run hundreds.
`ran` is `subprocess.run` for those of which only the end matters (`tests/support/forking.py` is the other side). What Python
itself reads as it begins (`READ_AT_THE_START`) is not read again: where that differs from ours, Python is started afresh, as
it is by all tests that start commands by themselves. tests/gate/test_preloaded.py compares the two.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from typing import IO

from tally_stream.cli.lifeline import Lifeline
from tests.support.paths import ROOT

_LIFELINE = Lifeline()
READ_AT_THE_START = ("PYTHON", "LD_", "LC_", "LANG")


def ran(words: list[str], env: Mapping[str, str], timeout_seconds: float, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`sys.executable`, "-m", a module and its arguments (`command` in processes.py), from beginning to end."""
    done = ran_in_bytes(words, env, timeout_seconds, stdin.encode())
    return subprocess.CompletedProcess(words, done.returncode, _as_text(done.stdout), _as_text(done.stderr))


def _as_text(said: bytes) -> str:
    return said.decode().replace("\r\n", "\n")


def ran_in_bytes(
    words: list[str], env: Mapping[str, str], timeout_seconds: float, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    if not hasattr(os, "pidfd_open") or _read_at_the_start(env) != _read_at_the_start(os.environ):
        return subprocess.run(
            words, input=stdin, capture_output=True, timeout=timeout_seconds, check=False, **_LIFELINE.arguments(env)
        )
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        code = _forking().exit_code(words[2:], _LIFELINE.arguments(env)["env"], (given, out, err), timeout_seconds)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


def _read_at_the_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(READ_AT_THE_START)}


class _Forking:
    """The process that forks. It ends with us: nobody else has this end of its socket."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = _LIFELINE.arguments()
        arguments["pass_fds"] += (theirs.fileno(),)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forking", str(theirs.fileno())], cwd=ROOT,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **arguments,
            )  # fmt: skip
        atexit.register(self._end)

    def _end(self) -> None:
        """Waited for, so that what its children computed counts as ours."""
        self._ours.close()
        self._process.wait(10)

    def exit_code(self, words: list[str], env: Mapping[str, str], streams: tuple[IO[bytes], ...], seconds: float) -> int:
        ours, theirs = socket.socketpair()
        with ours, ours.makefile() as answer:
            with theirs:
                request = json.dumps([words, dict(env), os.getcwd()]).encode()
                socket.send_fds(self._ours, [request], [theirs.fileno(), *(stream.fileno() for stream in streams)])
            pid = int(answer.readline())
            ours.settimeout(seconds)
            try:
                return int(answer.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(words, seconds) from None


@cache
def _forking() -> _Forking:
    return _Forking()
