"""Latency under an open-loop load: report acknowledged to root standings that include it read.

The schedule of sends is fixed before the first one and waits for nobody, so a system that stalls is charged for every
report that was due meanwhile (no coordinated omission). Sender and reader are processes of their own
(`open_loop.py`); both tell times of one monotonic clock. A report at offset o of partition p is included in the first
root whose vector has p above o: the product's `next_offsets`, a competitor's `seen`. Reports of the first seconds are a
warm-up for all and not counted. A run in which a report was never included, or the sender fell behind its schedule, has
no figure.
"""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.ground import PARTITIONS, Filled, Ground
from bench.layouts import ONE_CONTEST, ROOT, LayoutName, layout
from bench.load import Load
from bench.peers import Peer, PeerProcess
from bench.process import NoFigure
from bench.product import workers
from tests.support.waiting import wait_for

REPOSITORY = Path(__file__).parent.parent
STATIONS = 50_000
SENDER_LATE_LIMIT_SECONDS = 0.050
"""At its 99.9th percentile. Then the machine was too slow for the load itself."""


@dataclass(frozen=True, slots=True)
class System:
    """Who is measured: the product at a publish interval, or a competitor's process."""

    name: str
    publish_interval_ms: int | None = None
    peer: Peer | None = None


def _streams(commit_ms: int) -> Peer:
    options = {"commit_ms": str(commit_ms), "cache_mib": "0", "linger_ms": "0", "threads": "1"}
    return Peer(f"Kafka Streams, commit {commit_ms} ms, caching off", "kafka-streams", options)


SYSTEMS = (
    System("one worker, publish interval 5 ms", publish_interval_ms=5),
    System("one worker, publish interval 50 ms", publish_interval_ms=50),
    System("Kafka Streams, commit 5 ms, caching off", peer=_streams(5)),
    System("Kafka Streams, commit 100 ms, caching off", peer=_streams(100)),
)


@dataclass(frozen=True, slots=True)
class Sent:
    """What the sender knows of one report, in seconds of the monotonic clock."""

    due: float
    sent: float
    acknowledged: float
    partition: int
    offset: int
    contest: str = ONE_CONTEST


@dataclass(slots=True)
class Seen:
    """The reader's roots of one contest: when each was read, and the vector in it."""

    times: list[float] = field(default_factory=list)
    vectors: list[list[int]] = field(default_factory=list)

    def highest(self) -> list[list[int]]:
        """Partition → the highest offset up to each root."""
        return [list(itertools.accumulate(offsets, max)) for offsets in zip(*self.vectors, strict=True)]


def latencies(sent: list[Sent], seen: dict[str, Seen], *, from_due: bool = False) -> list[float]:
    """Seconds from the acknowledgement (or from when it was due) to the first root of its contest that includes the report.

    Raises NoFigure where one was never included."""
    highest = {contest: of_contest.highest() for contest, of_contest in seen.items()}
    found = []
    for report in sent:
        of_contest = seen.get(report.contest, Seen())
        index = bisect_right(highest[report.contest][report.partition], report.offset) if of_contest.times else 0
        if index == len(of_contest.times):
            raise NoFigure(f"the report at {report.partition}/{report.offset} is in no root that was read")
        found.append(of_contest.times[index] - (report.due if from_due else report.acknowledged))
    return found


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


class OpenLoop:
    """Sender and reader around a running system."""

    def __init__(self, filled: Filled, output: str, root: str, rate: int, seconds: float) -> None:
        self.directory = Path(tempfile.mkdtemp(dir=filled.directory))
        self._reader = self._start("read", filled.settings.bootstrap, output, root, str(self.directory / "seen.json"))
        self._sender = self._start(
            "send", filled.settings.bootstrap, filled.topic, str(rate), str(seconds), str(filled.load.stations),
            filled.load.layout, "signed" if filled.load.is_signed else "unsigned", str(self.directory / "sent.json"),
        )  # fmt: skip

    @staticmethod
    def _start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.open_loop", *arguments], cwd=REPOSITORY, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise NoFigure(f"the {arguments[0]}er did not start")
        return process

    def begin(self) -> None:
        assert self._sender.stdin is not None
        self._sender.stdin.write("go\n")
        self._sender.stdin.flush()

    def end(self, grace_seconds: float = 30) -> tuple[list[Sent], dict[str, Seen]]:
        """Wait for the sender's end, then for the reader to have all, and for at most `grace_seconds`."""
        if self._sender.wait() != 0:
            raise NoFigure("the sender ended with an error")
        sent = [Sent(*entry) for entry in json.loads((self.directory / "sent.json").read_text())]
        ends: dict[str, list[int]] = {}
        for report in sent:
            of_contest = ends.setdefault(report.contest, [0] * PARTITIONS)
            of_contest[report.partition] = max(of_contest[report.partition], report.offset + 1)
        assert self._reader.stdin is not None
        self._reader.stdin.write(json.dumps([ends, grace_seconds]) + "\n")
        self._reader.stdin.close()
        self._reader.wait()
        seen = json.loads((self.directory / "seen.json").read_text())
        return sent, {contest: Seen(*read) for contest, read in seen.items()}

    def close(self) -> None:
        for process in (self._sender, self._reader):
            process.kill()
            process.wait()


@contextmanager
def _running(system: System, filled: Filled) -> Iterator[tuple[str, str]]:
    """The system over an empty topic, ready; (output topic, id of the root or "")."""
    if system.peer is not None:
        with PeerProcess(system.peer, filled) as peer:
            time.sleep(8)  # a Streams application does not tell when it is ready; an idle one has nothing to show
            if peer.process.poll() is not None:
                raise NoFigure(f"the process ended: {peer.log_end()}")
            yield peer.output, ""
        return
    flags = ("--publish-interval-ms", str(system.publish_interval_ms))
    with workers(filled, 1, f"latency-{filled.settings.prefix}", *flags) as started:
        wait_for(lambda: started[0].get("/readyz")[0] == 200, "the worker to be ready")
        yield f"{filled.settings.prefix}.standings", ROOT


def run_latency(
    on: Ground, system: System, rate: int, seconds: float, warm_seconds: float, layout_name: LayoutName = "plain", *,
    is_signed: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """One system at one rate: milliseconds; in every layout as many reports for each station and contest. Raises NoFigure."""
    contests = len(layout(layout_name).contests_of(layout(layout_name).id_of(0)))
    filled = on.empty(Load(STATIONS // contests, "churn", layout=layout_name, is_signed=is_signed))
    with _running(system, filled) as (output, root):
        loop = OpenLoop(filled, output, root, rate, warm_seconds + seconds)
        try:
            loop.begin()
            sent, seen = loop.end()
        finally:
            loop.close()
    begin = sent[0].due + warm_seconds
    counted = [report for report in sent if report.due >= begin]
    late = percentile([report.sent - report.due for report in counted], 99.9)
    if late > SENDER_LATE_LIMIT_SECONDS:
        raise NoFigure(f"the sender fell behind its schedule by {late * 1000:.0f} ms (99.9th percentile)")
    found = latencies(counted, seen)
    due = latencies(counted, seen, from_due=True)
    return {
        "reports": len(counted),
        "p50_ms": percentile(found, 50) * 1000, "p99_ms": percentile(found, 99) * 1000,
        "p999_ms": percentile(found, 99.9) * 1000, "worst_ms": max(found) * 1000,
        "from_due_p50_ms": percentile(due, 50) * 1000, "from_due_p99_ms": percentile(due, 99) * 1000,
    }  # fmt: skip
