"""Nothing outlives who started it: a pipe of which only the parent holds one end, so that its end is seen at the other.

Decides how a process that belongs to another (a demo's worker and board, what a test starts) learns that the other is
gone, however that ended: a signal that nobody can catch closes the pipe too. A process that nobody gave a lifeline lives
by itself. Refuses to know what either process does.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

LIFELINE_FD = "TALLY_LIFELINE_FD"
"""Environment variable: the descriptor of the child's end."""

ORPHANED_EXIT = 1


class Lifeline:
    """The parent's side. One is enough for all that a process starts; it is let go with the process."""

    def __init__(self) -> None:
        self._theirs, self._ours = os.pipe()  # neither is inherited by a child that is not given it

    def arguments(self, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What `subprocess` and `asyncio` need so that the child ends with us: `pass_fds`, and `env` (ours, or the given)."""
        given = os.environ if env is None else env
        return {"pass_fds": (self._theirs,), "env": {**given, LIFELINE_FD: str(self._theirs)}}


def take_lifeline() -> int | None:
    """The descriptor that a parent gave us, None where none did. Taken once: our own children are not our parent's."""
    given = os.environ.pop(LIFELINE_FD, None)
    if given is None:
        return None
    descriptor = int(given)
    os.set_inheritable(descriptor, False)
    return descriptor


def end_with(descriptor: int) -> None:
    """From now on this process ends at once when the other end of `descriptor` is closed. Begins a thread."""

    def watch() -> None:
        with suppress(OSError):
            os.read(descriptor, 1)  # nothing is ever sent this way: it returns when the other end is gone
        os._exit(ORPHANED_EXIT)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def end_with_parent() -> None:
    """`end_with` the parent's lifeline, where there is one."""
    descriptor = take_lifeline()
    if descriptor is not None:
        end_with(descriptor)


def stop_signals() -> Iterable[signal.Signals]:
    """What asks a process to stop: SIGTERM, Ctrl-C, and the end of its terminal unless it was told to ignore that (nohup)."""
    yield from (signal.SIGTERM, signal.SIGINT)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield signal.SIGHUP
