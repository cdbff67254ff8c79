"""The last line of a worker: one reason on stderr, and the end of the process before anything else can be committed."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable

FATAL_EXIT = 1
LAST_WORDS_SECONDS = 2.0
"""For the line that `fatal` writes: a full pipe that nobody reads must not keep the process alive."""


def _plain(line: str) -> str:
    return f"tally-stream: {line}"


def fatal(reason: str, form: Callable[[str], str] = _plain) -> None:
    """End the process now, with one line on stderr, before anything else can be committed.

    `form` makes the whole line of the sentence: when it was said, and of which process.
    """
    with contextlib.suppress(Exception):  # whatever happens to the line, the process ends
        overdue = threading.Timer(LAST_WORDS_SECONDS, os._exit, [FATAL_EXIT])
        overdue.daemon = True
        overdue.start()
        sys.stderr.write(form(f"fatal: {' '.join(reason.split())}") + "\n")
        sys.stderr.flush()
        sys.stdout.flush()
    os._exit(FATAL_EXIT)
