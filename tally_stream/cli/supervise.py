"""Keep a worker running on a bare machine: start it again when it ends by a surprise, stop when that cannot help.

Decides when a start is worth it: always after a surprise (a worker that starts again replays, so it is always safe),
never after a clean end or a refusal at the first start, and no more after three endings in a row by one record that
crashes the code: it will be there the next time too. Refuses to know Kafka; it stays small, because it must
outlive what it watches. Worker and supervisor hold the two ends of one socket: over it the worker says why it ends, and
it ends at once when its supervisor is gone, or two workers would run under one instance id.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress

SUPERVISOR_FD = "TALLY_SUPERVISOR_FD"
"""Environment variable: the worker's end of the socket."""

BACK_OFF_FIRST_SECONDS = 0.5
BACK_OFF_MAX_SECONDS = 5.0
"""Standings stand still meanwhile: short against the 30 s that are promised."""

IDENTICAL_CRASHES_MAX = 3
REASON_MAX_CHARS = 10_000
_READY = "ready"
LOOK_SECONDS = 0.05

ORPHANED_EXIT = 1
_STOPS = (signal.SIGTERM, signal.SIGINT)


# --- the worker's side ----------------------------------------------------------------------------


class ToSupervisor:
    """The worker's end; without a supervisor nothing is said and nobody is missed."""

    def __init__(self) -> None:
        number = os.environ.pop(SUPERVISOR_FD, None)
        self._socket = None if number is None else socket.socket(fileno=int(number))
        if self._socket is not None:
            threading.Thread(target=self._end_with_supervisor, name="supervisor", daemon=True).start()

    def _end_with_supervisor(self) -> None:
        assert self._socket is not None
        with suppress(OSError):
            self._socket.recv(1)  # nothing is ever sent this way: it returns when the other end is gone
        os._exit(ORPHANED_EXIT)

    def tell_ready(self) -> None:
        """This worker has caught up: the next start need not wait longer than the first."""
        self._tell(_READY)

    def tell_reason(self, reason: str) -> None:
        """Why this worker ends now."""
        self._tell(" ".join(reason.split())[:REASON_MAX_CHARS])

    def _tell(self, line: str) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendall(line.encode() + b"\n")


# --- the supervisor's side ------------------------------------------------------------------------


def names_a_crashing_record(reason: str) -> bool:
    """Whether the next start meets this again: the sentence of `stream/counting.py`. Others name offsets too, such as the
    watchdog's where brokers refuse for a while; those pass."""
    return re.search(r"partition \d+, offset \d+: this record crashes the code", reason) is not None


def supervise(commands: list[list[str]], say: Callable[[str], None]) -> int:
    """Run each command until it ends well or cannot, all at once; signals to stop are passed on to all of them.

    The exit code for the shell: 0 where all ended well, else the highest. One that stays down leaves its partitions to
    the others.
    """

    def teller(number: int) -> Callable[[str], None]:
        return say if len(commands) == 1 else lambda line: say(f"process {number}: {line}")

    supervisors = [_Supervisor(command, teller(number)) for number, command in enumerate(commands, 1)]
    codes = [1] * len(supervisors)

    def run(index: int) -> None:
        codes[index] = supervisors[index].run()

    def pass_on(number: int, _: object) -> None:
        for supervisor in supervisors:
            supervisor.pass_on(number)

    threads = [threading.Thread(target=run, args=[index], name=f"worker {index + 1}") for index in range(len(supervisors))]
    before = {number: signal.signal(number, pass_on) for number in _STOPS}
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return max(codes)


class _Supervisor:
    """One command and the process it runs in now."""

    def __init__(self, command: list[str], say: Callable[[str], None]) -> None:
        self._command = command
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopping = False

    def pass_on(self, number: int) -> None:
        """Stop, and let the process know. Callable from any thread."""
        self._is_stopping = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def run(self) -> int:
        """The exit code for the shell."""
        back_off = BACK_OFF_FIRST_SECONDS
        starts, last_reason, identical = 0, "", 0
        while True:
            try:
                code, reason, was_ready = self._once()
            except OSError as error:  # no memory or no descriptor for a process: the machine's trouble, and it may pass
                self._say(f"the worker could not be started: {error.strerror or error}; next try in {back_off:.1f} s")
                if not self._pause(back_off):
                    return 0
                back_off = min(back_off * 2, BACK_OFF_MAX_SECONDS)
                continue
            starts += 1
            if code == 0 or self._is_stopping:
                return 0 if code in (0, -signal.SIGTERM, -signal.SIGINT) else 1
            if code > 0 and starts == 1 and not reason:
                return code  # it refused to start, and said why
            identical = identical + 1 if reason and reason == last_reason else 1
            last_reason = reason
            if identical >= IDENTICAL_CRASHES_MAX and names_a_crashing_record(reason):
                self._say(f"stopped after {identical} crashes with the same line: {reason}. "
                          "The last good standings stay. No start will pass it; see docs/runbook.md")  # fmt: skip
                return 1
            if was_ready:
                back_off = BACK_OFF_FIRST_SECONDS
            how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            self._say(f"the worker ended {how}; it starts again in {back_off:.1f} s (start {starts + 1})")
            if not self._pause(back_off):
                return 0
            back_off = min(back_off * 2, BACK_OFF_MAX_SECONDS)

    def _once(self) -> tuple[int, str, bool]:
        """Run the worker to its end: its exit code (negative for a signal), the reason it gave, whether it was ready."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                # Popen from several threads at once is safe: descriptors are closed in the child, but for those named.
                self._process = subprocess.Popen(
                    self._command,
                    env={**os.environ, SUPERVISOR_FD: str(theirs.fileno())},
                    pass_fds=[theirs.fileno()],
                )
            if self._is_stopping:  # the signal came before there was a process to pass it on to
                self._process.send_signal(signal.SIGTERM)
            code = self._process.wait()
            ours.setblocking(False)
            said: list[str] = []
            with suppress(OSError):
                said = ours.recv(4 * REASON_MAX_CHARS + len(_READY) + 2).decode(errors="replace").splitlines()
            reasons = [line for line in said if line != _READY]
            return code, reasons[-1] if reasons else "", _READY in said

    def _pause(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._is_stopping:
            time.sleep(LOOK_SECONDS)
        return not self._is_stopping
