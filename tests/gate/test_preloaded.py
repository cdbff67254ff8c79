"""A command that began as a copy says and does what one that Python started afresh does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import preloaded
from tests.support.paths import ROOT
from tests.support.processes import command, is_alive
from tests.support.waiting import wait_for


def afresh(words: list[str], env: dict[str, str], stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    done = subprocess.run(words, env=env, input=stdin, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["check", "--help"], b""),
        (["settings", "--json"], b""),
        (["check", "."], b""),
        (["export", "az-2024", "-", "--format", "csv"], b"nonsense\n"),
        (["standings"], b""),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else None,
)
def test_the_same_output_and_exit_code(
    arguments: list[str], stdin: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    env = {**os.environ, "TALLY_METRICS_PORT": "none"}
    done = preloaded.ran_in_bytes(command(*arguments), env, 60, stdin)
    assert (done.returncode, done.stdout, done.stderr) == afresh(command(*arguments), env, stdin)


def test_what_python_reads_at_its_start_begins_it_afresh(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; print('read', file=sys.stderr)")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])}
    assert preloaded.ran(command("--version"), env, 60).stderr == "read\n"
    assert preloaded.ran(command("--version"), os.environ, 60).stderr == ""


def test_one_that_does_not_end_is_killed() -> None:
    env = {**os.environ, "TALLY_BOOTSTRAP": "127.0.0.1:1"}
    with pytest.raises(subprocess.TimeoutExpired):
        preloaded.ran(command("standings"), env, 1)


def test_it_ends_with_the_tests() -> None:
    """However they end: the process that forks, and a command that it began."""
    program = (
        "import os, signal, threading, time\n"
        "from tests.support import preloaded\n"
        "from tests.support.processes import command, children_of\n"
        "from tests.support.waiting import wait_for\n"
        "env = {**os.environ, 'TALLY_BOOTSTRAP': '127.0.0.1:1'}\n"
        "threading.Thread(target=preloaded.ran, args=(command('standings'), env, 60), daemon=True).start()\n"
        "(forking,) = wait_for(lambda: children_of(os.getpid()), 'the process that forks')\n"
        "(command,) = wait_for(lambda: children_of(forking), 'the command')\n"
        "print(forking, command, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    wait_for(lambda: not any(map(is_alive, pids)), "their end", 10)
