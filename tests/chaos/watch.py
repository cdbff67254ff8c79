"""Memory, handles and lag of a run of hours: a line every few seconds, and the table that says whether anything grew.

Decides which samples are compared: those between faults, where the count was caught up, of the first and the last quarter.
Refuses to know what the processes are; `soak.py` names them.
"""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import memory_bytes

SETTLE_AFTER_FAULT_SECONDS = 60.0
"""What a fault made grow, such as the buffers of a replay, is given back or stays by then."""

GROWTH_LIMIT = 1.05


@dataclass(frozen=True, slots=True)
class Seen:
    """One process at one moment."""

    pid: int
    rss_bytes: int
    handles: int


@dataclass(frozen=True, slots=True)
class Sample:
    """`at_s` from the begin of the run; `fault`: what is being broken, or was until less than a minute ago."""

    at_s: float
    acknowledged: int
    published: int
    fault: str
    processes: dict[str, Seen]

    @property
    def lag(self) -> int:
        return self.acknowledged - self.published


def look_at(pid: int) -> Seen | None:
    """None where the process has gone meanwhile."""
    try:
        return Seen(pid, memory_bytes(pid, "VmRSS"), len(os.listdir(f"/proc/{pid}/fd")))
    except (FileNotFoundError, ProcessLookupError, AssertionError):
        return None


class Watch:
    """A thread that samples until `stop`, and writes each line as it comes: a run that is cut off leaves them."""

    def __init__(
        self, path: Path, progress: Callable[[], tuple[int, int]], processes: Callable[[], dict[str, int]], every_s: float
    ) -> None:
        """`progress`: (acknowledged, published); `processes`: name → pid, at this moment."""
        self.samples: list[Sample] = []
        self.begin = time.monotonic()
        self._progress, self._processes, self._every_s = progress, processes, every_s
        self._file = path.open("w")
        self._lock = threading.Lock()
        self._fault, self._until = "", 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(30)
        if self.error is not None:
            raise self.error

    def breaking(self, fault: str) -> None:
        self._fault, self._until = fault, float("inf")

    def mended(self) -> None:
        self._until = time.monotonic() + SETTLE_AFTER_FAULT_SECONDS

    def write(self, line: dict[str, object]) -> None:
        """One more line of JSON, beside those of the samples."""
        with self._lock:
            self._file.write(json.dumps({"at_s": round(time.monotonic() - self.begin, 1), **line}) + "\n")
            self._file.flush()

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self._every_s):
                self._sample()
        except BaseException as error:
            self.error = error

    def _sample(self) -> None:
        now = time.monotonic()
        acknowledged, published = self._progress()
        seen = {name: found for name, pid in self._processes().items() if (found := look_at(pid)) is not None}
        fault = self._fault if now < self._until else ""
        sample = Sample(now - self.begin, acknowledged, published, fault, seen)
        self.samples.append(sample)
        self.write({
            "acknowledged": acknowledged, "published": published, "lag": sample.lag, "fault": fault,
            "processes": {n: {"pid": s.pid, "rss_bytes": s.rss_bytes, "handles": s.handles} for n, s in seen.items()},
        })  # fmt: skip


def quarters(samples: list[Sample], seconds: float) -> list[list[Sample]]:
    """The samples of each quarter of so many seconds."""
    return [[s for s in samples if q * seconds / 4 <= s.at_s < (q + 1) * seconds / 4] for q in range(4)]


def steady(samples: Iterable[Sample]) -> list[Sample]:
    return [s for s in samples if not s.fault]


def medians(samples: Iterable[Sample], name: str) -> tuple[float, float] | None:
    """(RSS in bytes, handles) of a process over the samples that have it."""
    seen = [s.processes[name] for s in samples if name in s.processes]
    return (statistics.median(s.rss_bytes for s in seen), statistics.median(s.handles for s in seen)) if seen else None


def table(samples: list[Sample], seconds: float, names: Iterable[str]) -> Iterator[str]:
    """Lines: for each quarter the lag, and of each process MiB and handles between faults."""
    names = list(names)
    yield f"{'quarter':>8}{'reports':>12}{'lag p50':>9}{'worst':>9}" + "".join(
        f"{name + ' MiB, handles':>28}" for name in names
    )
    for number, of_quarter in enumerate(quarters(samples, seconds), 1):
        if not of_quarter:
            continue
        lags = sorted(s.lag for s in of_quarter)
        row = f"{number:8}{of_quarter[-1].acknowledged:12,}{lags[len(lags) // 2]:9,}{lags[-1]:9,}"
        for name in names:
            found = medians(steady(of_quarter), name)
            row += f"{f'{found[0] / 2**20:.1f}, {found[1]:.0f}' if found else '-':>28}"
        yield row


def grown(samples: list[Sample], seconds: float, names: Iterable[str]) -> list[str]:
    """A sentence for each process that has more of memory or handles in the last quarter than in the first, and for each
    that cannot be judged."""
    first, *_, last = quarters(samples, seconds)
    found = []
    for name in names:
        before, after = medians(steady(first), name), medians(steady(last), name)
        if before is None or after is None:
            found.append(f"{name}: the {'first' if before is None else 'last'} quarter has no sample between faults: too short")
            continue
        if after[0] > before[0] * GROWTH_LIMIT:
            found.append(f"{name}: {before[0] / 2**20:.1f} MiB in the first quarter, {after[0] / 2**20:.1f} in the last")
        if after[1] > before[1] * GROWTH_LIMIT + 2:
            found.append(f"{name}: {before[1]:.0f} handles in the first quarter, {after[1]:.0f} in the last")
    return found
