"""From a start to caught up: cold, and after a kill -9 under the worker's own supervisor; each with its steps.

The group has committed everything, so nothing is owed: what is measured is loading, connecting, joining and replaying.
Read `replaying.py` for the replay alone.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable
from statistics import median

from bench.ground import Filled, renew_outputs
from bench.process import NoFigure
from tests.support.processes import children_of
from tests.support.worker import WorkerProcess

LOOK_SECONDS = 0.01
LIMIT_SECONDS = 300.0
PROVEN_SECONDS = 11.0
"""After it has caught up, before it is killed: a worker that lived for ten seconds is started again at once."""

Steps = dict[str, float]
"""Seconds since the start (or the kill): `counting`, when it has loaded, connected and looked at the topics; `first`, when
it has a first report; `caught_up`."""


def run_restart(filled: Filled, kills: int, cold_starts: int = 3) -> dict[str, object]:
    """Medians of each; raises NoFigure where a worker ended for good or never caught up."""
    renew_outputs(filled)
    group = f"restart-{uuid.uuid4().hex[:6]}"
    colds: list[Steps] = []
    restarts: list[Steps] = []
    for number in range(cold_starts + 1):  # the first one commits, and is not counted
        log = filled.directory / f"{group}-{number}.log"
        begin = time.perf_counter()
        flags = ("--group", group, "--instance", group)
        worker = WorkerProcess(filled.settings, str(filled.folder), log, *flags, is_supervised=True)
        try:
            steps = _steps(worker, begin, 0)
            if number:
                colds.append(steps)
            if number == cold_starts:
                restarts += [_killed(worker, times) for times in range(1, kills + 1)]
            elif not number:
                time.sleep(2)  # four commits
            worker.stop()
        finally:
            worker.close()
    return {
        "records": filled.records, "stations": filled.load.stations, "cold": _medians(colds), "restarted": _medians(restarts),
        "cold_runs": colds, "restarted_runs": restarts,
    }  # fmt: skip


def _killed(worker: WorkerProcess, times: int) -> Steps:
    time.sleep(PROVEN_SECONDS)
    (child,) = children_of(worker.process.pid)
    begin = time.perf_counter()
    os.kill(child, signal.SIGKILL)
    return _steps(worker, begin, times)


def _steps(worker: WorkerProcess, begin: float, starts_before: int) -> Steps:
    def since(is_there: Callable[[], bool], what: str) -> float:
        while not is_there():
            if worker.process.poll() is not None:
                raise NoFigure(f"the worker ended: {worker.log[-500:]}")
            if time.perf_counter() - begin > LIMIT_SECONDS:
                raise NoFigure(f"not within {LIMIT_SECONDS:.0f} s: {what}")
            time.sleep(LOOK_SECONDS)
        return time.perf_counter() - begin

    return {
        "counting": since(lambda: worker.log.count("metrics at ") > starts_before, "a worker that counts"),
        "first": since(lambda: sum(worker.next_offsets().values()) > 0, "a first report"),
        "caught_up": since(lambda: worker.log.count("caught up: ") > starts_before, "a worker that has caught up"),
    }  # fmt: skip


def _medians(found: list[Steps]) -> Steps:
    return {step: median(one[step] for one in found) for step in found[0]} if found else {}
