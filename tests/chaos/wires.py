"""A wire that is cut in one direction, as a scene: what a worker sends reaches no broker, what brokers send reaches it.

Played in a network namespace that holds the whole cluster (`enter`), by a rule of the kernel's routing: what one user sends to
the brokers' ports goes nowhere. So the worker that is cut off runs as a user of its own. Needs Linux, root and `ip`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.chaos.stage import EVERYTHING, SESSION_OVER, Stage, owned
from tests.support.waiting import wait_for

INSIDE = "TALLY_CHAOS_NAMESPACE"
CUT_USER = 51_234
"""Of no other process. It may read what root may: Python and the product can lie below a home."""

AS_CUT_USER = (
    "setpriv", f"--reuid={CUT_USER}", "--inh-caps=+dac_override,+dac_read_search",
    "--ambient-caps=+dac_override,+dac_read_search", "--clear-groups",
)  # fmt: skip


def missing() -> str:
    """Why no wire can be cut here; "" where one can."""
    programs = [name for name in ("ip", "unshare", "setpriv") if shutil.which(name) is None]
    if os.geteuid() != 0:
        return "needs root"
    return f"needs {', '.join(programs)}" if programs else ""


def enter() -> None:
    """This program again, in a network of its own; returns there, or where nothing can be cut."""
    if missing():
        return
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.orig_argv[1:]])
    _ip("link", "set", "lo", "up")
    _ip("rule", "add", "pref", "10", "lookup", "local")  # below the cut, which would else come too late
    _ip("rule", "del", "pref", "0")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def cut_off(kafka: Any) -> Iterator[None]:
    """What CUT_USER sends to any broker goes nowhere."""
    for node in kafka.nodes:
        _ip(
            "rule",
            "add",
            "pref",
            "5",
            "uidrange",
            f"{CUT_USER}-{CUT_USER}",
            "ipproto",
            "tcp",
            "dport",
            str(node.port),
            "blackhole",
        )
    try:
        yield
    finally:
        for _ in kafka.nodes:
            _ip("rule", "del", "pref", "5")


def cut_one_way(stage: Stage) -> None:
    """One of two workers sends into nothing. It ends itself when its session is over, the other has its partitions; mended, it
    joins again."""
    stage.may_end_of += SESSION_OVER
    one, two = stage.workers["one"], stage.start("two", through=AS_CUT_USER).wait_ready(stage.settle_seconds)
    wait_for(lambda: owned(one) and owned(two) and owned(one) | owned(two) == EVERYTHING, "two owners", stage.settle_seconds)
    told, since = two.log.count("fatal: "), time.monotonic()
    with cut_off(stage.kafka):
        wait_for(lambda: two.log.count("fatal: ") > told, "the worker that is cut off to end itself", stage.settle_seconds)
        wait_for(lambda: owned(one) == EVERYTHING, "the other to take over", stage.settle_seconds)
        stage.notes.append(f"its partitions were another's {time.monotonic() - since:.0f} s after the cut")
        stage.measure(since)
        assert not owned(two), "a worker that reaches no broker owns partitions"
    wait_for(lambda: owned(two), "the worker to join again", stage.settle_seconds)
    stage.end("two")
    wait_for(lambda: owned(one) == EVERYTHING, "one to own everything again", stage.settle_seconds)
