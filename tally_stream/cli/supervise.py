"""Keep workers running on a bare machine: start one again when it ends by a surprise, stop when that cannot help.

Decides when a start is worth it: always after a surprise (a worker that starts again replays, so it is always safe), never
after a clean end, a refusal at the first start, or what the worker itself calls incurable (a login that brokers refuse), and
no more after three endings in a row by one record that crashes the code: it will be there the next time too. A worker is a
fork of its supervisor, so what was loaded before (the code, half a million stations) is there at once. Therefore this process
has one thread and no loop of its own: a fork copies the thread that calls it, and locks that others held stay locked for ever.

Refuses to know Kafka. Worker and supervisor hold the two ends of one socket: over it the worker says why it ends, and
it ends at once when its supervisor is gone, or two workers would run under one instance id.
"""

from __future__ import annotations

import gc
import os
import re
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from tally_stream.cli.lifeline import ORPHANED_EXIT, end_with, stop_signals

BACK_OFF_FIRST_SECONDS = 0.5
BACK_OFF_MAX_SECONDS = 5.0
"""Standings stand still meanwhile: short against the 30 s that are promised."""

PROVEN_SECONDS = 10.0
"""A worker that lived this long after it had caught up is started again at once: it does not end at every start."""

IDENTICAL_CRASHES_MAX = 3
REASON_MAX_CHARS = 10_000
LOOK_SECONDS = 1.0
"""Between two looks at the workers where no signal comes; each end is told by one."""

_READY = "ready "
_INCURABLE = "incurable"

Handler = Callable[[int, FrameType | None], Any] | int | None


class ToSupervisor:
    """The worker's end; without a supervisor nothing is said and nobody is missed. `name`: what the supervisor calls it."""

    def __init__(self, ours: socket.socket | None = None, name: str = "") -> None:
        self.name = name
        self._socket = ours
        if ours is not None:
            end_with(ours.fileno())

    def tell_ready(self) -> None:
        """This worker has caught up: the next start need not wait longer than the first."""
        self._tell(f"{_READY}{time.monotonic()}")  # one clock for all processes

    def tell_reason(self, reason: str) -> None:
        """Why this worker ends now."""
        self._tell(" ".join(reason.split())[:REASON_MAX_CHARS])

    def tell_incurable(self) -> None:
        """What ends this worker will be there at every start, until a person has put it right: a login that brokers refuse, a
        right that was taken away. Beside the exit code."""
        self._tell(_INCURABLE)

    def _tell(self, line: str) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendall(line.encode() + b"\n")


Body = Callable[[ToSupervisor], int]
"""What a worker does, in a process of its own; its exit code."""


def names_a_crashing_record(reason: str) -> bool:
    """Whether the next start meets this again: the sentence of `stream/counting.py`. Others name offsets too, such as the
    watchdog's where brokers refuse for a while; those pass."""
    return re.search(r"partition \d+, offset \d+: this record crashes the code", reason) is not None


def supervise(bodies: Sequence[Body], say: Callable[[str], None], lifeline: int | None = None) -> int:
    """Run each body in a process of its own until it ends well or cannot, all at once; signals to stop are passed on to all
    of them. Where the other end of `lifeline` is closed, all end at once.

    The exit code for the shell: 0 where all ended well, else the highest. One that stays down leaves its partitions to
    the others. Call it in a process with one thread.
    """
    workers = [_Supervised(number, body, say, is_alone=len(bodies) == 1) for number, body in enumerate(bodies, 1)]

    def let_go() -> None:
        """In a worker: these ends are its supervisor's, and would keep another worker from seeing that one's end."""
        for worker in workers:
            worker.close()
        if lifeline is not None:
            os.close(lifeline)

    gc.collect()
    gc.freeze()  # what is loaded stays: no collection in a worker may touch it, and so copy its pages
    with _signals() as signals:
        while any(worker.code is None for worker in workers):
            now = time.monotonic()
            for worker in workers:
                if worker.is_due(now):
                    worker.start(signals, let_go)
            waits = min((w.due_at - now for w in workers if w.due_at is not None), default=LOOK_SECONDS)
            watched = [signals.descriptor] if lifeline is None else [signals.descriptor, lifeline]
            ready, _, _ = select.select(watched, [], [], min(max(waits, 0.0), LOOK_SECONDS))
            if lifeline in ready:
                os._exit(ORPHANED_EXIT)  # and each worker, whose socket this closes
            is_asked_to_stop = signals.take()
            for worker in workers:
                if is_asked_to_stop:
                    worker.stop()
                worker.look()
    return max(worker.code or 0 for worker in workers)


class _Signals:
    """Signals as something to wait for: each one to stop, and those that tell of a child's end."""

    def __init__(self) -> None:
        self.descriptor, self._written = os.pipe()
        for end in (self.descriptor, self._written):
            os.set_blocking(end, False)
        self.stops = tuple(stop_signals())
        self.before: dict[int, Handler] = {}
        self._is_asked_to_stop = False

    def take(self) -> bool:
        """Whether a signal to stop came since the last call."""
        with suppress(BlockingIOError):
            while os.read(self.descriptor, 4096):
                pass
        is_asked, self._is_asked_to_stop = self._is_asked_to_stop, False
        return is_asked

    def install(self) -> None:
        def note(number: int, frame: FrameType | None) -> None:
            self._is_asked_to_stop = True

        for number in self.stops:
            self.before[number] = signal.signal(number, note)
        self.before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)  # heard, so that it ends the wait
        signal.set_wakeup_fd(self._written, warn_on_full_buffer=False)

    def restore(self) -> None:
        """As it was before: also in a worker, which begins as any process does."""
        signal.set_wakeup_fd(-1)
        for number, handler in self.before.items():
            signal.signal(number, handler)
        os.close(self.descriptor)
        os.close(self._written)


@contextmanager
def _signals() -> Iterator[_Signals]:
    signals = _Signals()
    signals.install()
    try:
        yield signals
    finally:
        signals.restore()


class _Supervised:
    """One worker: its body, and the process that runs it now."""

    def __init__(self, number: int, body: Body, say: Callable[[str], None], *, is_alone: bool) -> None:
        self._name, self._body, self._is_alone = f"worker-{number}", body, is_alone
        self._say: Callable[[str], None] = lambda line: say(f"{self._name}: {line}")
        self._pid: int | None = None
        self._ours: socket.socket | None = None
        self._is_stopping = False
        self._starts = 0
        self._back_off = BACK_OFF_FIRST_SECONDS
        self._last_reason = ""
        self._identical = 0
        self.due_at: float | None = 0.0
        """When to start it, None while it runs and after its end."""
        self.code: int | None = None
        """The exit code for the shell, once it is started no more."""

    def is_due(self, now: float) -> bool:
        return self.due_at is not None and self.due_at <= now

    def start(self, signals: _Signals, let_go: Callable[[], None]) -> None:
        """Fork. In the child this never returns; `let_go` closes what is not its own there."""
        ours: socket.socket | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        # No signal between the fork and the child's own handlers: it would write into our pipe.
        waiting = signal.pthread_sigmask(signal.SIG_BLOCK, {*signals.stops, signal.SIGCHLD})
        try:
            ours, theirs = socket.socketpair()
            pid = os.fork()
        except OSError as error:  # no memory or no descriptor for a process: the machine's trouble, and it may pass
            if ours is not None:
                ours.close()
                theirs.close()
            self._say(f"the worker could not be started: {error.strerror or error}; next try in {self._back_off:.1f} s")
            self._start_later(self._back_off)
            return
        else:
            if pid == 0:
                self._be_the_worker(ours, theirs, signals, let_go, waiting)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
        theirs.close()
        self._pid, self._ours, self.due_at = pid, ours, None
        self._starts += 1

    def close(self) -> None:
        """Let go of the socket."""
        if self._ours is not None:
            self._ours.close()

    def _be_the_worker(
        self, supervisors: socket.socket, ours: socket.socket, signals: _Signals, let_go: Callable[[], None], mask: set[Any]
    ) -> None:
        """The rest of the child's life: as in a process of its own, nothing of the supervisor's is left but what it loaded."""
        code = 1
        to = None
        try:
            supervisors.close()
            let_go()
            signals.restore()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            with suppress(OSError):  # Linux: what `ps -o comm` and `top` show
                Path("/proc/self/comm").write_text(f"tally-{self._name}")
            to = ToSupervisor(ours, self._name)
            code = self._body(to)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except KeyboardInterrupt:  # before it could hear of it in its own way: nothing was begun
            code = 0
        except BaseException as error:  # no refusal: it is tried again
            what = f"{type(error).__name__}: {str(error) or 'no more is known'}"
            if to is not None:
                to.tell_reason(what)
            self._say(what)
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def stop(self) -> None:
        """Let the worker know, and start it no more."""
        self._is_stopping = True
        if self._pid is not None:
            os.kill(self._pid, signal.SIGTERM)
        elif self.code is None:
            self._end(0)

    def look(self) -> None:
        """Take notice of the worker's end, and decide what follows."""
        if self._pid is None:
            return
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid == 0:
            return
        self._pid = None
        reason, ready_at, is_incurable = self._heard()
        self._judge(os.waitstatus_to_exitcode(status), reason, ready_at, is_incurable)

    def _heard(self) -> tuple[str, float | None, bool]:
        """The reason that it gave, since when it was ready, and whether no start can cure that."""
        assert self._ours is not None
        said: list[str] = []
        with self._ours as ours:
            ours.setblocking(False)
            with suppress(OSError):
                said = ours.recv(8 * REASON_MAX_CHARS).decode(errors="replace").splitlines()
        self._ours = None
        ready = [float(line.removeprefix(_READY)) for line in said if line.startswith(_READY)]
        reasons = [line for line in said if not line.startswith(_READY) and line != _INCURABLE]
        return reasons[-1] if reasons else "", ready[0] if ready else None, _INCURABLE in said

    def _judge(self, code: int, reason: str, ready_at: float | None, is_incurable: bool) -> None:
        """`code` as of `subprocess`: negative for a signal."""
        if code == 0 or self._is_stopping:
            self._end(0 if code == 0 or -code in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) else 1)
            return
        if code > 0 and (is_incurable or (self._starts == 1 and not reason)):
            # Several count on without it, and the command does not end: nobody would look.
            if not self._is_alone and not is_incurable:
                self._say("it stays down, and the others have its partitions; put it right and start the command again")
            self._end(code)  # it refused to start, and said why
            return
        self._identical = self._identical + 1 if reason and reason == self._last_reason else 1
        self._last_reason = reason
        if self._identical >= IDENTICAL_CRASHES_MAX and names_a_crashing_record(reason):
            self._say(f"stopped after {self._identical} crashes with the same line: {reason}. "
                      "The last good standings stay. No start will pass it; see docs/runbook.md")  # fmt: skip
            self._end(1)
            return
        if ready_at is not None:
            self._back_off = BACK_OFF_FIRST_SECONDS
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        if ready_at is not None and time.monotonic() - ready_at >= PROVEN_SECONDS:
            self._say(f"the worker ended {how}; it starts again now (start {self._starts + 1})")
            self._start_later(0.0)
            return
        self._say(f"the worker ended {how}; it starts again in {self._back_off:.1f} s (start {self._starts + 1})")
        self._start_later(self._back_off)

    def _start_later(self, seconds: float) -> None:
        self.due_at = time.monotonic() + seconds
        if seconds:
            self._back_off = min(self._back_off * 2, BACK_OFF_MAX_SECONDS)

    def _end(self, code: int) -> None:
        self.code, self.due_at = code, None
