"""The supervisor: what starts again, what does not, and who ends with whom. Small scripts stand for the worker."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tally_stream.cli import supervise
from tally_stream.cli.supervise import IDENTICAL_CRASHES_MAX, names_a_crashing_record
from tests.nights.harness import wait_for

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"

TELL = "from tally_stream.cli.supervise import ToSupervisor\nto = ToSupervisor()\n"
COUNT = "import pathlib, sys\nf = pathlib.Path(sys.argv[1]); n = len(f.read_text()) if f.exists() else 0; f.write_text('x' * (n + 1))\n"


@pytest.fixture
def supervised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[int, int, list[str]]]:
    monkeypatch.setattr(supervise, "BACK_OFF_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(supervise, "BACK_OFF_MAX_SECONDS", 0.04)

    def run(script: str) -> tuple[int, int, list[str]]:
        """(exit code, starts, lines); `n` in the script is the number of starts before."""
        starts, said = tmp_path / "starts", []
        code = supervise.supervise([[sys.executable, "-c", COUNT + script, str(starts)]], said.append)
        return code, len(starts.read_text()), said

    return run


Run = Callable[[str], tuple[int, int, list[str]]]


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_clean_end_or_a_refusal_at_the_first_start_is_the_end(supervised: Run, code: int) -> None:
    assert supervised(f"sys.exit({code})") == (code, 1, [])


def test_a_surprise_is_followed_by_another_start_until_it_ends_well(supervised: Run) -> None:
    code, starts, said = supervised(TELL + "if n < 4: to.tell_reason('the session is over'); sys.exit(1)")
    assert (code, starts) == (0, 5)
    assert said[0] == "the worker ended with exit code 1; it starts again in 0.0 s (start 2)"


def test_each_start_waits_longer_until_one_has_caught_up(supervised: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "BACK_OFF_FIRST_SECONDS", 0.1)
    monkeypatch.setattr(supervise, "BACK_OFF_MAX_SECONDS", 0.3)
    script = "if n == 4: to.tell_ready()\nif n < 6: to.tell_reason('a surprise'); sys.exit(1)"
    _, _, said = supervised(TELL + script)
    assert [line.split(" in ")[1][:3] for line in said] == ["0.1", "0.2", "0.3", "0.3", "0.1", "0.2"]


def test_a_killed_worker_starts_again_however_often(supervised: Run) -> None:
    code, starts, said = supervised("import os, signal\nif n < 6: os.kill(os.getpid(), signal.SIGKILL)")
    assert (code, starts) == (0, 7)
    assert "by signal 9" in said[0]


def test_a_refusal_after_it_had_counted_is_tried_again(supervised: Run) -> None:
    assert supervised(TELL + "if n == 0: to.tell_reason('lost touch')\nsys.exit(n < 5)")[:2] == (0, 6)


def test_three_crashes_at_one_offset_end_it_and_are_named(supervised: Run) -> None:
    reason = "partition 2, offset 1234: this record crashes the code"
    code, starts, said = supervised(TELL + f"to.tell_reason({reason!r}); sys.exit(1)")
    assert (code, starts) == (1, IDENTICAL_CRASHES_MAX)
    assert reason in said[-1]


def test_crashes_at_different_offsets_do_not(supervised: Run) -> None:
    assert supervised(TELL + "if n < 6: to.tell_reason(f'partition 2, offset {n // 2}: this record crashes the code'); sys.exit(1)")[:2] == (0, 7)


def test_a_lost_connection_three_times_does_not(supervised: Run) -> None:
    assert supervised(TELL + "if n < 6: to.tell_reason('publishing standings failed'); sys.exit(1)")[:2] == (0, 7)


def test_a_watchdog_s_line_three_times_does_not(supervised: Run) -> None:
    """Brokers that refuse commits, or a partials topic without a leader, give equal lines while the input is quiet."""
    for reason in ("partition 0 is counted to offset 120, its newest partial is at -1: no progress for 30 s",
                   "reports[0] is committed to offset 100, acknowledged to 120: no commit for 30 s"):  # fmt: skip
        assert supervised(TELL + f"if n % 7 < 6: to.tell_reason({reason!r}); sys.exit(1)")[0] == 0


def test_of_all_that_ends_a_worker_only_a_crashing_record_is_met_again() -> None:
    """The runbook has every such sentence, compared with the code; the placeholders become numbers."""
    lines = re.findall(r"^tally-stream: fatal: (.+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) > 30
    (met_again,) = [line for line in lines if names_a_crashing_record(line.replace("…", "7"))]
    assert "this record crashes the code" in met_again


def test_a_process_that_cannot_be_made_is_tried_again_and_said_in_one_line(
    supervised: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = subprocess.Popen, []

    def without_memory(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        tries.append(arguments)
        if len(tries) <= 2:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return real(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", without_memory)
    code, starts, said = supervised("")
    assert (code, starts, len(tries)) == (0, 1, 3)
    assert said == [f"the worker could not be started: Cannot allocate memory; next try in {s} s" for s in ("0.0", "0.0")]


def test_what_can_never_be_started_ends_with_its_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal while it waits for the next try, as everywhere."""
    monkeypatch.setattr(supervise, "BACK_OFF_FIRST_SECONDS", 30.0)
    said: list[str] = []

    def tell(line: str) -> None:
        said.append(line)
        os.kill(os.getpid(), signal.SIGTERM)

    assert supervise.supervise([["/nowhere/tally-stream"]], tell) == 0
    assert said == ["the worker could not be started: No such file or directory; next try in 30.0 s"]


def _start(script: str, count: int = 1) -> subprocess.Popen[str]:
    main = (
        "import sys\nfrom tally_stream.cli.supervise import supervise\n"
        f"sys.exit(supervise([[sys.executable, '-c', {script!r}]] * {count}, print))"
    )
    return subprocess.Popen([sys.executable, "-c", main], stdout=subprocess.PIPE, text=True)


WAITS = TELL + (
    "import os, signal, sys, threading\nstop = threading.Event()\nsignal.signal(signal.SIGTERM, lambda *_: stop.set())\n"
    "print(os.getpid(), flush=True)\nstop.wait()\nprint('flushed', flush=True)"
)


def test_sigterm_is_passed_on_and_its_end_waited_for() -> None:
    supervisor = _start(WAITS)
    assert supervisor.stdout is not None
    supervisor.stdout.readline()
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.communicate(timeout=10)[0] == "flushed\n"
    assert supervisor.returncode == 0


def test_each_of_several_is_started_again_by_itself_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "BACK_OFF_FIRST_SECONDS", 0.01)
    scripts = {"well": "if n < 2: to.tell_reason('lost touch'); sys.exit(1)",
               "crashes": "to.tell_reason('partition 0, offset 7: this record crashes the code'); sys.exit(1)"}  # fmt: skip
    said: list[str] = []
    commands = [[sys.executable, "-c", TELL + COUNT + script, str(tmp_path / name)] for name, script in scripts.items()]
    assert supervise.supervise(commands, said.append) == 1
    assert {name: len((tmp_path / name).read_text()) for name in scripts} == {"well": 3, "crashes": IDENTICAL_CRASHES_MAX}
    assert sorted(line.split(":")[0] for line in said) == ["process 1"] * 2 + ["process 2"] * 3
    assert any("process 2: stopped after 3 crashes" in line for line in said)


def test_sigterm_is_passed_on_to_all() -> None:
    supervisor = _start(WAITS, count=3)
    assert supervisor.stdout is not None
    assert len({supervisor.stdout.readline() for _ in range(3)}) == 3
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.communicate(timeout=10)[0].count("flushed") == 3
    assert supervisor.returncode == 0


def test_sigterm_while_it_waits_for_the_next_start_ends_it() -> None:
    supervisor = _start(TELL + "import sys\nto.tell_reason('a surprise'); sys.exit(1)")
    assert supervisor.stdout is not None
    supervisor.stdout.readline()
    supervisor.send_signal(signal.SIGTERM)
    supervisor.communicate(timeout=10)
    assert supervisor.returncode == 0


def test_a_worker_whose_supervisor_is_killed_ends_too() -> None:
    supervisor = _start(WAITS)
    assert supervisor.stdout is not None
    worker = int(supervisor.stdout.readline())
    begin = time.monotonic()
    supervisor.kill()
    supervisor.wait()

    def is_gone() -> bool:
        try:
            return Path(f"/proc/{worker}/stat").read_text().split()[2] == "Z"
        except FileNotFoundError:
            return True

    if os.path.isdir("/proc/self"):
        wait_for(is_gone, "the worker's end", 10)
    assert time.monotonic() - begin < 10
    supervisor.stdout.close()
