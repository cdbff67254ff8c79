"""What every scene plays on: the cluster, the workers, the load, the reader; and the moments that are measured.

A scene notes from when to when a silence may begin, and names the sentences that a worker may end of (`may_end_of`): every
other ending is a surprise. Refuses to know any fault; `scenes.py` and `disks.py` do.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tally_stream.settings import Settings
from tests.chaos.load import PARTITIONS, Newsroom, Stations
from tests.support.processes import children_of
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

SESSION_SECONDS = 10
SETTLE_SECONDS = 60
EVERYTHING = set(range(PARTITIONS))
SESSION_OVER = (
    r"the group no longer knows this worker: its session ended",
    r"no answered heartbeat for [\d.]+ s: the session is over",
    r"the last answered heartbeat is older than the session: nothing more is sent",
)
"""How a worker ends that was out of its group's reach for longer than a session."""

NOBODY_ANSWERS = (r"could not start: ",)
"""How a worker ends, besides, while no broker answers."""


@dataclass
class Stage:
    """What every scene plays on; `faults` are (from, until) between which a silence may begin."""

    kafka: Any
    settings: Settings
    folder: Path
    directory: Path
    stations: Stations
    newsroom: Newsroom
    is_short: bool
    rng: random.Random
    workers: dict[str, WorkerProcess] = field(default_factory=dict)
    faults: list[tuple[float, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    may_end_of: list[str] = field(default_factory=list)
    """Patterns of the sentences that this scene's fault explains."""
    settle_seconds: float = SETTLE_SECONDS
    """A replay of the whole log, and some: a soak of hours has a longer log to read again."""
    _started: int = 0
    _read: dict[Path, int] = field(default_factory=dict)

    def begin_scene(self) -> None:
        self.faults.clear()
        self.notes.clear()
        self.may_end_of.clear()

    def start(self, name: str, *more: str, is_static: bool = True, through: Sequence[str] = ()) -> WorkerProcess:
        """Without a static name a worker says that it leaves when it is told to stop; with one the group waits for it.
        `through`: a program that runs it, with its flags."""
        self._started += 1
        log = self.directory / f"{name}-{self._started}.log"
        flags = ("--instance", name) if is_static else ()
        worker = WorkerProcess(self.settings, str(self.folder), log, *flags, *more, is_supervised=True, through=through)
        self.workers[name] = worker
        return worker

    def end(self, name: str) -> None:
        worker = self.workers.pop(name)
        assert worker.stop() == 0, worker.log

    def surprises(self) -> list[str]:
        """Lines of all workers' logs since the last call that no fault of this scene explains."""
        found = []
        for path in sorted(self.directory.glob("*.log")):
            new = path.read_bytes()[self._read.get(path, 0) :]
            self._read[path] = self._read.get(path, 0) + len(new)
            lines = new.decode(errors="replace").splitlines()
            found += [f"{path.name}: {line}" for line in lines if self._is_surprise(line)]
        return found

    def _is_surprise(self, line: str) -> bool:
        if "Traceback" in line:
            return True
        return "fatal: " in line and not any(re.search(pattern, line) for pattern in self.may_end_of)

    def move(self) -> None:
        """Wait until the standings have moved after now."""
        now = time.monotonic()
        wait_for(
            lambda: bool(self.newsroom.advances) and self.newsroom.advances[-1][0] > now,
            "standings that move\n" + "\n".join(f"{n}:\n{w.log[-2000:]}" for n, w in self.workers.items()), self.settle_seconds,
        )  # fmt: skip

    def measure(self, since: float, seconds: float = SESSION_SECONDS) -> None:
        """A fault began at `since` and is over: what silence began between then and so many seconds from now counts."""
        end = time.monotonic() + seconds
        self.move()
        wait_for(lambda: time.monotonic() > end, "the time for more", seconds + 5)
        self.move()
        self.faults.append((since, end))


def worker_pid(worker: WorkerProcess) -> int:
    """The process that counts, below its supervisor."""

    def look() -> int | None:
        children = children_of(worker.process.pid)
        return children[0] if children else None

    return wait_for(look, "a worker below the supervisor", 30)


def owned(worker: WorkerProcess) -> set[int]:
    return set(worker.next_offsets())


def is_publisher(worker: WorkerProcess) -> bool:
    return '"publishes_standings": true' in worker.get("/readyz")[1]


def until(moment: float, what: str) -> None:
    wait_for(lambda: time.monotonic() > moment, what, moment - time.monotonic() + 30)


@contextmanager
def under_load(stage: Stage) -> Iterator[None]:
    stage.stations.start()
    try:
        stage.move()
        yield
    finally:
        stage.stations.stop()
