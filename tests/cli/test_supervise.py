"""The supervisor: what starts again, what does not, and who ends with whom. Small functions stand for the worker.

Each test supervises in a process of its own: forking is for a process with one thread, and pytest's may have more.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tally_stream.cli.supervise import IDENTICAL_CRASHES_MAX, names_a_crashing_record
from tests.support.processes import LIFELINE, children_of, is_alive
from tests.support.waiting import wait_for

pytestmark = pytest.mark.usefixtures("hangup_ends")

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"

MAIN = """
import errno, os, pathlib, signal, socket, sys, threading, time
from functools import partial
from tally_stream.cli import supervise
from tally_stream.cli.lifeline import take_lifeline
supervise.BACK_OFF_FIRST_SECONDS, supervise.BACK_OFF_MAX_SECONDS, supervise.PROVEN_SECONDS = {times!r}
folder = pathlib.Path({folder!r})

def say(line):
    print(line, file=sys.stderr, flush=True)

def worker(name, script, to):
    starts = folder / name
    n = len(starts.read_text()) if starts.exists() else 0
    starts.write_text("x" * (n + 1))
    exec(script, {{**globals(), "to": to, "n": n, "name": name}})
    return 0

{before}
sys.exit(supervise.supervise([partial(worker, name, script) for name, script in {scripts!r}.items()], say, take_lifeline()))
"""

WAITS = """
heard, hears = os.pipe()  # no Event: a signal in the middle of its wait() would wait for the lock that wait() holds
signal.signal(signal.SIGTERM, lambda *_: os.write(hears, b"."))
os.write(1, b"%d\\n" % os.getpid())  # in one piece: several workers share the pipe
os.read(heard, 1)
os.write(1, b"flushed\\n")
"""


class Supervised:
    """A supervisor's process over the scripts of its workers, by name; in each, `n` is the number of its starts before."""

    def __init__(
        self, folder: Path, *, before: str = "", back_off: float = 0.01, back_off_max: float = 0.04, proven: float = 60.0,
        is_tied: bool = True, **scripts: str,
    ) -> None:  # fmt: skip
        self._folder = folder
        main = MAIN.format(folder=str(folder), times=(back_off, back_off_max, proven), before=before, scripts=scripts)
        self.process = subprocess.Popen(
            [sys.executable, "-c", main], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **(LIFELINE.arguments() if is_tied else {}),
        )  # fmt: skip

    def read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, seconds: float = 30) -> tuple[int, list[str], list[str]]:
        """(exit code, lines of the workers, lines of the supervisor)."""
        out, err = self.process.communicate(timeout=seconds)
        assert "Traceback" not in err, err
        return self.process.returncode, out.splitlines(), err.splitlines()

    def starts(self, name: str = "only") -> int:
        return len((self._folder / name).read_text())


Start = Callable[..., Supervised]
Run = Callable[[str], tuple[int, int, list[str]]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Supervised] = []

    def begin(**how: object) -> Supervised:
        started.append(Supervised(tmp_path, **how))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


@pytest.fixture
def supervised(start: Start) -> Run:
    def run(script: str) -> tuple[int, int, list[str]]:
        """(exit code, starts, lines) of one worker."""
        one = start(only=script)
        code, _, said = one.end()
        return code, one.starts(), said

    return run


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_clean_end_or_a_refusal_at_the_first_start_is_the_end(supervised: Run, code: int) -> None:
    assert supervised(f"sys.exit({code})") == (code, 1, [])


def test_a_surprise_is_followed_by_another_start_until_it_ends_well(supervised: Run) -> None:
    code, starts, said = supervised("if n < 4: to.tell_reason('the session is over'); sys.exit(1)")
    assert (code, starts) == (0, 5)
    assert said[0] == "worker-1: the worker ended with exit code 1; it starts again in 0.0 s (start 2)"


def test_each_start_waits_longer_until_one_has_caught_up(start: Start) -> None:
    script = "if n == 4: to.tell_ready()\nif n < 6: to.tell_reason('a surprise'); sys.exit(1)"
    _, _, said = start(only=script, back_off=0.1, back_off_max=0.3).end()
    assert [line.split(" in ")[1][:3] for line in said] == ["0.1", "0.2", "0.3", "0.3", "0.1", "0.2"]


def test_one_that_caught_up_and_lived_is_started_again_at_once(start: Start) -> None:
    script = "if n < 2: to.tell_ready() if n == 0 else None; to.tell_reason('a surprise'); sys.exit(1)"
    _, _, said = start(only=script, back_off=0.1, proven=0.0).end()
    assert [line.split("again ")[1] for line in said] == ["now (start 2)", "in 0.1 s (start 3)"]


def test_a_killed_worker_starts_again_however_often(supervised: Run) -> None:
    code, starts, said = supervised("if n < 6: os.kill(os.getpid(), signal.SIGKILL)")
    assert (code, starts) == (0, 7)
    assert "by signal 9" in said[0]


def test_a_refusal_after_it_had_counted_is_tried_again(supervised: Run) -> None:
    assert supervised("if n == 0: to.tell_reason('lost touch')\nsys.exit(n < 5)")[:2] == (0, 6)


def test_three_crashes_at_one_offset_end_it_and_are_named(supervised: Run) -> None:
    reason = "partition 2, offset 1234: this record crashes the code"
    code, starts, said = supervised(f"to.tell_reason({reason!r}); sys.exit(1)")
    assert (code, starts) == (1, IDENTICAL_CRASHES_MAX)
    assert reason in said[-1]


def test_crashes_at_different_offsets_do_not(supervised: Run) -> None:
    assert supervised("if n < 6: to.tell_reason(f'partition 2, offset {n // 2}: this record crashes the code'); sys.exit(1)")[
        :2
    ] == (0, 7)


def test_a_lost_connection_three_times_does_not(supervised: Run) -> None:
    assert supervised("if n < 6: to.tell_reason('publishing standings failed'); sys.exit(1)")[:2] == (0, 7)


@pytest.mark.parametrize("reason", [
    "partition 0 is counted to offset 120, its newest mark is at -1: no progress for 30 s",
    "reports[0] is committed to offset 100, acknowledged to 120: no commit for 30 s",
])  # fmt: skip
def test_a_watchdog_s_line_three_times_does_not(supervised: Run, reason: str) -> None:
    """Brokers that refuse commits, or a partials topic without a leader, give equal lines while the input is quiet."""
    assert supervised(f"if n < 6: to.tell_reason({reason!r}); sys.exit(1)")[:2] == (0, 7)


def test_of_all_that_ends_a_worker_only_a_crashing_record_is_met_again() -> None:
    """The runbook has every such sentence, compared with the code; the placeholders become numbers."""
    lines = re.findall(r"^tally-stream: fatal: (.+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) > 30
    (met_again,) = [line for line in lines if names_a_crashing_record(line.replace("…", "7"))]
    assert "this record crashes the code" in met_again


NO_MEMORY = """
real, tries = os.fork, []
def without_memory():
    tries.append(1)
    if len(tries) <= {fails}:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    return real()
os.fork = without_memory
"""


def test_a_process_that_cannot_be_made_is_tried_again_and_said_in_one_line(start: Start) -> None:
    one = start(only="", before=NO_MEMORY.format(fails=2))
    code, _, said = one.end()
    assert (code, one.starts()) == (0, 1)
    assert said == [
        f"worker-1: the worker could not be started: Cannot allocate memory; next try in {s} s" for s in ("0.0", "0.0")
    ]


def test_what_can_never_be_started_ends_with_its_supervisor(start: Start) -> None:
    """A signal while it waits for the next try, as everywhere."""
    one = start(only="", before=NO_MEMORY.format(fails=10**9), back_off=30.0, back_off_max=30.0)
    assert one.process.stderr is not None
    said = one.process.stderr.readline()
    one.process.send_signal(signal.SIGTERM)
    assert one.end()[0] == 0
    assert said == "worker-1: the worker could not be started: Cannot allocate memory; next try in 30.0 s\n"


def test_what_no_start_cures_ends_a_worker_that_counted_before(start: Start) -> None:
    """A right that was taken away, a password that was changed: brokers refuse at every start, until a person has put it right."""
    one = start(
        only="if n == 0: to.tell_reason('lost touch'); sys.exit(1)\nto.tell_reason('refused'); to.tell_incurable(); sys.exit(1)"
    )
    code, _, said = one.end()
    assert (code, one.starts(), len(said)) == (1, 2, 1)


def test_one_of_several_that_refuses_to_start_says_that_it_stays_down(start: Start) -> None:
    """The others count on, and the command ends with them: in its log one line would be all that was ever said."""
    one = start(well="", refused="sys.exit(2)")
    code, _, said = one.end()
    assert code == 2
    assert said == ["worker-2: it stays down, and the others have its partitions; put it right and start the command again"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_stop_is_passed_on_and_its_end_waited_for(start: Start, number: signal.Signals) -> None:
    one = start(only=WAITS)
    one.read_line()
    one.process.send_signal(number)
    assert one.end()[:2] == (0, ["flushed"])


def test_a_terminal_that_is_closed_stops_nothing_that_was_told_to_stay(start: Start) -> None:
    """As under nohup: SIGHUP is ignored from the start, and stays so in the worker."""
    ignored = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    one = start(only="os.write(1, b'%r\\n' % (signal.getsignal(signal.SIGHUP) is signal.SIG_IGN))\n" + WAITS, before=ignored)
    assert one.read_line() == "True\n"
    one.read_line()
    one.process.send_signal(signal.SIGHUP)
    one.process.send_signal(signal.SIGTERM)
    assert one.end()[:2] == (0, ["flushed"])


def test_each_of_several_is_started_again_by_itself_and_the_others_go_on(start: Start) -> None:
    one = start(well="if n < 2: to.tell_reason('lost touch'); sys.exit(1)",
                crashes="to.tell_reason('partition 0, offset 7: this record crashes the code'); sys.exit(1)")  # fmt: skip
    code, _, said = one.end()
    assert code == 1
    assert {name: one.starts(name) for name in ("well", "crashes")} == {"well": 3, "crashes": IDENTICAL_CRASHES_MAX}
    assert sorted(line.split(":")[0] for line in said) == ["worker-1"] * 2 + ["worker-2"] * 3
    assert any("worker-2: stopped after 3 crashes" in line for line in said)


def test_sigterm_is_passed_on_to_all(start: Start) -> None:
    one = start(a=WAITS, b=WAITS, c=WAITS)
    assert len({one.read_line() for _ in range(3)}) == 3
    one.process.send_signal(signal.SIGTERM)
    assert one.end()[:2] == (0, ["flushed"] * 3)


def test_sigterm_while_it_waits_for_the_next_start_ends_it(start: Start) -> None:
    one = start(only="to.tell_reason('a surprise'); sys.exit(1)", back_off=30.0, back_off_max=30.0)
    assert one.process.stderr is not None
    one.process.stderr.readline()
    one.process.send_signal(signal.SIGTERM)
    assert one.end()[0] == 0


def test_workers_whose_supervisor_is_killed_end_too(start: Start) -> None:
    """Each: the supervisor's ends of the others' sockets were copied into it, and are closed there."""
    one = start(a=WAITS, b=WAITS, c=WAITS)
    workers = [int(one.read_line()) for _ in range(3)]
    one.process.kill()
    one.process.wait()
    wait_for(lambda: not any(map(is_alive, workers)), "the end of all workers", 10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_supervisor_ends_with_what_started_it_and_its_workers_too(tmp_path: Path, number: signal.Signals) -> None:
    """A parent that has no time to clean up: of its lifeline only it holds the other end."""
    parent = (
        "import os, subprocess, sys\nfrom tally_stream.cli.lifeline import Lifeline\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], **Lifeline().arguments())\n"
        "print(child.pid, flush=True)\nimport signal\nsignal.pause()"
    )
    main = MAIN.format(folder=str(tmp_path), times=(1, 1, 1), before="", scripts={"a": WAITS, "b": WAITS})
    with subprocess.Popen([sys.executable, "-c", parent, main], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(3)]
        process.send_signal(number)
        process.stdout.close()
    wait_for(lambda: not any(map(is_alive, pids)), "the end of the supervisor and both workers", 10)


LOOKS = """
import asyncio, json, random
descriptors = sorted(d for d in os.listdir('/proc/self/fd') if int(d) > 2)
try:
    asyncio.get_running_loop(); is_looping = True
except RuntimeError:
    is_looping = False
held = to._socket.fileno()
os.write(1, json.dumps({
    "name": name,
    "kinds": sorted(os.readlink(f'/proc/self/fd/{d}').split(':')[0] for d in descriptors if os.path.exists(f'/proc/self/fd/{d}') or os.path.islink(f'/proc/self/fd/{d}')),
    "threads": sorted(t.name for t in threading.enumerate()),
    "signals": {s.name: str(signal.getsignal(s)) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)},
    "wakeup": signal.set_wakeup_fd(-1),
    "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "is_looping": is_looping,
    "random": random.random(),
    "loaded": loaded is sys.modules['decimal'],
    "children": open(f'/proc/self/task/{os.getpid()}/children').read(),
}).encode() + b"\\n")
"""


def test_nothing_of_the_supervisor_is_left_in_a_worker_but_what_it_loaded(start: Start) -> None:
    """Signals, loops, sockets, random state: as in a process that was started by itself."""
    before = "import decimal, random\nloaded = decimal\nrandom.seed(7)\nsay(repr(random.random()))\nrandom.seed(7)"
    one = start(a=LOOKS + WAITS, b=LOOKS + WAITS, before=before)
    assert one.process.stderr is not None
    parents_random = float(one.process.stderr.readline())
    lines = [one.read_line() for _ in range(4)]
    a, b = sorted((json.loads(line) for line in lines if line.startswith("{")), key=lambda found: found["name"])
    fresh = subprocess.run(
        [sys.executable, "-c", "import signal\nfor s in ('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGCHLD'):"
         " print(s, signal.getsignal(getattr(signal, s)))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    usual = dict(line.split(" ", 1) for line in fresh.stdout.splitlines())
    for worker in (a, b):
        assert worker["kinds"] == ["socket"], "its own end, and neither the supervisor's pipe nor another worker's socket"
        assert worker["threads"] == ["MainThread", "lifeline"]
        assert {k: v.split(" at ")[0] for k, v in worker["signals"].items()} == {
            k: v.split(" at ")[0] for k, v in usual.items()
        }
        assert (worker["wakeup"], worker["blocked"], worker["is_looping"], worker["children"]) == (-1, 0, False, "")
        assert worker["loaded"]
    assert len({a["random"], b["random"], parents_random}) == 3
    assert Path(f"/proc/{one.process.pid}/task").exists()
    assert len(os.listdir(f"/proc/{one.process.pid}/task")) == 1, "a supervisor has one thread"
    assert len(children_of(one.process.pid)) == 2


def test_a_worker_s_code_has_no_thread_and_no_loop_when_it_is_loaded() -> None:
    """What the supervisor loads before it forks must be fit for it."""
    loads = (
        "import asyncio, os, sys, warnings\nimport tally_stream.cli.worker, tally_stream.stream.worker\n"
        "from tally_stream.cli.common import open_election\nopen_election('az-2024')\n"
        "print(len(os.listdir('/proc/self/task')), sum(os.readlink(f'/proc/self/fd/{d}').split(':')[0] in ('socket', 'pipe',"
        " 'anon_inode') for d in os.listdir('/proc/self/fd') if int(d) > 2 and os.path.islink(f'/proc/self/fd/{d}')),"
        " asyncio.get_event_loop_policy()._local._loop)"
    )
    said = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["1", "0", "None"]


KILLS = """
real, forks = os.fork, []
def fork():
    forks.append(1)
    {parent}
    pid = real()
    if pid == 0 and len(forks) == 1:
        {child}
    return pid
os.fork = fork
"""


def test_a_signal_that_comes_to_the_supervisor_while_a_worker_is_made_is_heard(start: Start) -> None:
    before = KILLS.format(parent="os.kill(os.getpid(), signal.SIGTERM)", child="pass")
    one = start(only="signal.pause()", before=before)
    assert one.end()[0] == 0


def test_a_signal_that_comes_to_a_worker_while_it_is_made_is_its_own(start: Start) -> None:
    """Its supervisor's handler would note it there, and nobody would ever hear of it."""
    one = start(only="", before=KILLS.format(parent="pass", child="os.kill(os.getpid(), signal.SIGTERM)"))
    code, _, said = one.end()
    assert (code, said) == (0, ["worker-1: the worker ended by signal 15; it starts again in 0.0 s (start 2)"])


def test_what_no_worker_foresaw_is_said_and_tried_again(start: Start) -> None:
    """Not taken for a refusal at the first start, which says by itself why."""
    one = start(only="import asyncio\nif n == 0: raise asyncio.CancelledError\nif n == 1: raise KeyError('x')")
    code, _, said = one.end()
    assert (code, one.starts()) == (0, 3)
    assert said[0] == "worker-1: CancelledError: no more is known"
    assert said[2] == "worker-1: KeyError: 'x'"


def test_lines_of_several_say_which_they_are_of(start: Start) -> None:
    one = start(
        a="os.write(1, to.name.encode())", b="os.write(1, to.name.encode())\nraise KeyError('x') if n == 0 else SystemExit"
    )
    code, out, said = one.end()
    assert code == 0
    assert "worker-1" in out[0]
    assert "worker-2: KeyError: 'x'" in said
