"""Starts and moves: how fast a worker replays, and how long the standings stand still when a worker joins or leaves."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from pathlib import Path
from typing import Any

from bench.ground import Filled, Ground, renew_outputs
from bench.latency import STATIONS, OpenLoop, Seen
from bench.layouts import ONE_CONTEST, ROOT
from bench.load import Load
from bench.process import NoFigure, peak_rss_bytes, wait_included
from bench.product import LIMIT_SECONDS, ROOT_KEY, workers
from tests.support.processes import cpu_seconds
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

LOOK_SECONDS = 0.01
RATE = 2_000
STEP_SECONDS = 15
"""Between two events: longer than a session (10 s), after which a killed worker's partitions move."""


def run_replay(filled: Filled) -> dict[str, float]:
    """A worker whose group has committed everything starts again and reads the topic from offset 0."""
    renew_outputs(filled)
    group = f"replay-{uuid.uuid4().hex[:6]}"
    with workers(filled, 1, group) as started:
        asyncio.run(
            wait_included(
                filled.settings, f"{filled.settings.prefix}.standings", filled.records, lambda m: int(m["version"]),
                key=ROOT_KEY, limit_seconds=LIMIT_SECONDS, is_alive=lambda: started[0].process.poll() is None,
            )
        )  # fmt: skip
        started[0].wait_ready()
    begun = time.perf_counter()
    with workers(filled, 1, group) as started:
        pid = started[0].process.pid
        early = 0
        while not early:
            early = sum(started[0].next_offsets().values())
        first, cpu_first = time.perf_counter(), cpu_seconds(pid)
        while sum(started[0].next_offsets().values()) < filled.records:
            if started[0].process.poll() is not None:
                raise NoFigure(f"the worker ended: {started[0].log[-500:]}")
            time.sleep(LOOK_SECONDS)
        read, cpu = time.perf_counter(), cpu_seconds(pid) - cpu_first
        started[0].wait_ready()
        ready, rss = time.perf_counter(), peak_rss_bytes(pid)
    counted = filled.records - early
    return {
        "records": filled.records, "stations": filled.load.stations, "replay_per_s": counted / (read - first),
        "per_cpu_s": counted / cpu if cpu else 0.0, "start_to_first_s": first - begun, "start_to_ready_s": ready - begun,
        "rss_bytes": rss,
    }  # fmt: skip


def longest_silence(seen: Seen, begin: float, end: float) -> float:
    """Seconds: the longest time between two roots with a new vector, of which the later was read in `begin` … `end`.

    A silence that an event ends in belongs to that event, not to the one whose time it began in."""
    moved = [t for t, (before, after) in zip(seen.times[1:], itertools.pairwise(seen.vectors), strict=True) if after != before]
    return max((b - a for a, b in itertools.pairwise(moved) if begin < b <= end), default=0.0)


def longest_partition_silence(seen: Seen, begin: float, end: float) -> float:
    """The same for the partition that stood still longest: others may have gone on."""
    silences = [
        longest_silence(Seen(seen.times, [[vector[partition]] for vector in seen.vectors]), begin, end)
        for partition in range(len(seen.vectors[0]))
    ]
    return max(silences)


def run_rebalance(on: Ground) -> list[dict[str, Any]]:
    """One worker under 2,000 reports/s; another joins, leaves by SIGTERM, joins again, is killed."""
    filled = on.empty(Load(STATIONS, "churn"))
    group = f"moves-{filled.settings.prefix}"
    events: list[tuple[str, float]] = []
    with workers(filled, 1, group) as started:
        started[0].wait_ready()
        loop = OpenLoop(filled, f"{filled.settings.prefix}.standings", ROOT, RATE, 5 * STEP_SECONDS)
        second: WorkerProcess | None = None
        try:
            loop.begin()
            for number, event in enumerate(("joins", "leaves (SIGTERM)", "joins again", "is killed (SIGKILL)")):
                time.sleep(STEP_SECONDS)
                events.append((f"a second worker {event}", time.monotonic()))
                if "joins" in event:
                    second = _join(filled, group, number)
                elif second is not None:
                    second.stop() if "SIGTERM" in event else second.kill()
            seen = loop.end()[1][ONE_CONTEST]
        finally:
            loop.close()
            if second is not None:
                second.close()
    ends = [at for _, at in events[1:]] + [float("inf")]
    return [
        {"event": event, "no_new_standings_s": longest_silence(seen, at, end),
         "longest_partition_s": longest_partition_silence(seen, at, end)}
        for (event, at), end in zip(events, ends, strict=True)
    ]  # fmt: skip


def _join(filled: Filled, group: str, number: int) -> WorkerProcess:
    log = Path(filled.directory) / f"{group}-second-{number}.log"
    worker = WorkerProcess(filled.settings, str(filled.folder), log, "--group", group)
    wait_for(lambda: len(worker.next_offsets()) > 0, "the second worker to have partitions")
    return worker
