"""The last line of a worker: one reason on stderr, and the end of the process before anything else can be committed."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

FATAL_EXIT = 1
LAST_WORDS_SECONDS = 2.0
"""For the line that `fatal` writes: a full pipe that nobody reads must not keep the process alive."""


def fatal(reason: str, begin: str = "") -> None:
    """End the process now, with one line on stderr, before anything else can be committed.

    `begin` begins that line: which process it is, where there are several.
    """
    with contextlib.suppress(Exception):  # whatever happens to the line, the process ends
        overdue = threading.Timer(LAST_WORDS_SECONDS, os._exit, [FATAL_EXIT])
        overdue.daemon = True
        overdue.start()
        sys.stderr.write(f"tally-stream: {begin}fatal: {' '.join(reason.split())}\n")
        sys.stderr.flush()
        sys.stdout.flush()
    os._exit(FATAL_EXIT)
