"""The faults, one function each: what is broken, for how long, and when the standings should move again.

Every scene runs on one cluster of three brokers and one set of topics, under load, with workers started as an operator
starts them (supervised, static membership). A scene returns the moments from which the silence is measured. `run.py`
checks after each scene that nothing was lost and that the standings equal `replay`, and prints the table.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tally_stream.settings import Settings
from tests.chaos.load import Newsroom, Stations
from tests.nights.harness import WorkerProcess, children_of, wait_for

SESSION_SECONDS = 10
SETTLE_SECONDS = 60


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
    _started: int = 0

    def start(self, name: str) -> WorkerProcess:
        self._started += 1
        log = self.directory / f"{name}-{self._started}.log"
        worker = WorkerProcess(self.settings, str(self.folder), log, "--instance", name, is_supervised=True)
        self.workers[name] = worker
        return worker

    def end(self, name: str) -> None:
        worker = self.workers.pop(name)
        assert worker.stop() == 0, worker.log

    def move(self, limit_seconds: float = SETTLE_SECONDS) -> None:
        """Wait until the standings have moved after now."""
        now = time.monotonic()
        wait_for(
            lambda: bool(self.newsroom.advances) and self.newsroom.advances[-1][0] > now,
            "standings that move\n" + "\n".join(f"{n}:\n{w.log[-2000:]}" for n, w in self.workers.items()), limit_seconds,
        )  # fmt: skip

    def measure(self, since: float) -> None:
        """A fault began at `since` and is over: what silence began between then and 10 s from now counts."""
        end = time.monotonic() + SESSION_SECONDS
        self.move()
        wait_for(lambda: time.monotonic() > end, "ten seconds more", SESSION_SECONDS + 5)
        self.move()
        self.faults.append((since, end))


def worker_pid(worker: WorkerProcess) -> int:
    """The process that counts, below its supervisor."""

    def look() -> int | None:
        children = children_of(worker.process.pid)
        return children[0] if children else None

    return wait_for(look, "a worker below the supervisor", 30)


def kill_a_worker(stage: Stage) -> None:
    """kill -9 at random moments, the next one at times before the last one's replay is done."""
    for _ in range(4 if stage.is_short else 20):
        since = time.monotonic()
        os.kill(worker_pid(stage.workers["one"]), signal.SIGKILL)
        stage.move()
        stage.faults.append((since, time.monotonic()))
        wait = time.monotonic() + stage.rng.uniform(0, 3)
        wait_for(lambda w=wait: time.monotonic() > w, "a moment of work", 10)  # type: ignore[misc]


def freeze_a_worker(stage: Stage) -> None:
    """Past its session, beside a live twin that takes over; then it thaws, believing that no time has passed."""
    stage.start("two").wait_ready()
    for _ in range(1 if stage.is_short else 3):
        frozen = max(stage.workers, key=lambda name: '"publishes_standings": true' in stage.workers[name].get("/readyz")[1])
        pid = worker_pid(stage.workers[frozen])
        since = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        try:
            thaw = since + SESSION_SECONDS + 5
            wait_for(lambda t=thaw: time.monotonic() > t, "the session to be over", 60)  # type: ignore[misc]
        finally:
            os.kill(pid, signal.SIGCONT)
        stage.measure(since)
    stage.end("two")


def join_and_leave(stage: Stage) -> None:
    """A second worker joins and leaves every 5 s; the commits must go on."""
    before = committed(stage)
    end = time.monotonic() + (15 if stage.is_short else 60)
    while time.monotonic() < end:
        since = time.monotonic()
        stage.start("two").address()
        leave = since + 5
        wait_for(lambda t=leave: time.monotonic() > t, "five seconds", 30)  # type: ignore[misc]
        stage.end("two")
        stage.faults.append((since, time.monotonic()))
        stage.move()
    after = committed(stage)
    assert after > before, f"committed {before}, and {after} after a minute of joins and leaves"
    stage.notes.append(f"committed {before:,} before, {after:,} after")


def kill_a_broker(stage: Stage) -> None:
    """Each in turn, dead for a while, then back with its data."""
    for number in (1,) if stage.is_short else (1, 2, 3):
        since = time.monotonic()
        stage.kafka.kill(number)
        stage.measure(since)
        stage.kafka.restart(number)
        in_sync(stage)


def wipe_a_broker(stage: Stage) -> None:
    """Its disk is lost; it comes back empty and copies everything."""
    if stage.is_short:
        return
    since = time.monotonic()
    stage.kafka.wipe(2)
    stage.measure(since)
    since = time.monotonic()
    stage.kafka.restart(2)
    in_sync(stage, 300)
    stage.measure(since)


def freeze_all_brokers(stage: Stage) -> None:
    """Nobody answers. The silence is measured from the thaw: before it there is nothing to write to."""
    for seconds in (15,) if stage.is_short else (25, 120):
        begin = time.monotonic()
        for number in (1, 2, 3):
            stage.kafka.freeze(number)
        wait_for(lambda b=begin, s=seconds: time.monotonic() > b + s, "the frost", seconds + 10)  # type: ignore[misc]
        for number in (1, 2, 3):
            stage.kafka.thaw(number)
        since = time.monotonic()
        stage.move(120)
        stage.faults.append((since, time.monotonic()))
        in_sync(stage)


def move_leaders(stage: Stage) -> None:
    """Every partition's leader becomes another broker, while all is well."""
    for _ in range(1 if stage.is_short else 3):
        since = time.monotonic()
        move_all_leaders(stage)
        stage.measure(since)


SCENES: dict[str, Callable[[Stage], None]] = {
    "kill -9 a worker": kill_a_worker,
    "freeze a worker, live twin": freeze_a_worker,
    "workers join and leave": join_and_leave,
    "kill a broker, restart it": kill_a_broker,
    "wipe a broker": wipe_a_broker,
    "move all leaders": move_leaders,
    "freeze all brokers (from the thaw)": freeze_all_brokers,
}


# --- Kafka's own tools -----------------------------------------------------------------------------


def _tool(stage: Stage, name: str, *arguments: str) -> str:
    import kafka_local

    done = subprocess.run(
        ["java", "-Xmx128m", "-cp", f"{kafka_local.JARS}/*", f"org.apache.kafka.tools.{name}",
         "--bootstrap-server", stage.kafka.bootstrap, *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def in_sync(stage: Stage, limit_seconds: float = 120) -> None:
    """Wait until every replica is: the next fault must not find two of three gone."""

    def look() -> bool:
        return "Topic:" not in _tool(stage, "TopicCommand", "--describe", "--under-replicated-partitions")

    wait_for(look, "all replicas in sync", limit_seconds)


def move_all_leaders(stage: Stage) -> None:
    described = _tool(stage, "TopicCommand", "--describe")
    partitions = []
    for line in described.splitlines():
        words = line.split()
        if "Partition:" in words and "Replicas:" in words:
            replicas = [int(n) for n in words[words.index("Replicas:") + 1].split(",")]
            topic, number = words[words.index("Topic:") + 1], int(words[words.index("Partition:") + 1])
            if len(replicas) == 3:
                partitions.append({"topic": topic, "partition": number, "replicas": replicas[1:] + replicas[:1]})
    assert partitions, described
    plan = stage.directory / "plan.json"
    plan.write_text(json.dumps({"version": 1, "partitions": partitions}))
    _tool(stage, "reassign.ReassignPartitionsCommand", "--reassignment-json-file", str(plan), "--execute")
    _tool(stage, "LeaderElectionCommand", "--election-type", "preferred", "--all-topic-partitions")


def committed(stage: Stage) -> int:
    """Sum of the group's committed offsets of the reports topic."""
    said = _tool(stage, "consumer.group.ConsumerGroupCommand", "--describe", "--group", stage.settings.group_id)
    rows = [line.split() for line in said.splitlines() if f" {stage.settings.prefix}.reports " in line]
    assert len(rows) == 4, said
    return sum(int(row[3]) for row in rows)


@contextmanager
def under_load(stage: Stage) -> Iterator[None]:
    stage.stations.start()
    try:
        stage.move()
        yield
    finally:
        stage.stations.stop()
