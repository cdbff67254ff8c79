"""`make bench-board`: 5,000 readers of the stream on one board, one root update a second.

Kafka, the board, the readers and the sender of standings are processes of their own on one machine. The clock of an
update starts before it is handed to the producer and ends when a reader has its last byte, so that Kafka's part is in
it. Reported: percentiles over all (reader, update) pairs, lost and late ones, bytes, and the board's own CPU seconds.
Readers that never read are open beside the others, and must change nothing (P15).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import uvloop

from bench.ground import Filled, ground
from bench.load import Load
from bench.product import run_product
from deploy.kafka.local.cluster import LocalKafka
from tally_stream.audit.replay import replay
from tally_stream.board.stations import Stations
from tally_stream.cli.common import say
from tally_stream.domain.fold import PartitionFold
from tally_stream.kafka.client import StoredRecord, sender
from tally_stream.settings import Settings, load_settings
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import canonical_json
from tally_stream.wire.report_log import ReportLog
from tests.support.board_scene import BoardProcess
from tests.support.paths import NIGHTS
from tests.support.processes import cpu_seconds, run, settings_for
from tests.support.waiting import wait_for

ROOT = Path(__file__).parent.parent
LATE_MS = 1_000
BATCH = 200
"""Connections opened at a time."""


# -- the readers, in a process of their own ------------------------------------------------------------------------


class Reader(asyncio.Protocol):
    """Notes when each version's event was whole."""

    def __init__(self, seen: list[tuple[int, int]], host: str) -> None:
        self._seen, self._host, self._rest = seen, host, b""

    def connection_made(self, transport: Any) -> None:
        transport.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: %s\r\n\r\n" % self._host.encode())

    def data_received(self, data: bytes) -> None:
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            at = event.find(b"\nid: ")
            if at >= 0:
                self._seen.append((int(event[at + 5 : event.index(b"\n", at + 5)]), time.time_ns()))


async def read(host: str, port: int, count: int) -> None:
    """Open `count` streams, say `open`, and at the end of stdin print version → arrival times (ns)."""
    loop = asyncio.get_running_loop()
    seen: list[tuple[int, int]] = []
    for first in range(0, count, BATCH):
        await asyncio.gather(
            *(
                loop.create_connection(lambda: Reader(seen, f"{host}:{port}"), host, port)
                for _ in range(min(BATCH, count - first))
            )
        )
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    arrivals: dict[int, list[int]] = {}
    for version, at in seen:
        arrivals.setdefault(version, []).append(at)
    print(json.dumps(arrivals), flush=True)


def readers_main(host: str, port: int, count: int) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(read(host, port, count))


# -- the sender ----------------------------------------------------------------------------------------------------


def final_root() -> dict[str, Any]:
    night = NIGHTS / "az-2024"
    (root,) = [m for m in replay(load_election(night), night / "reports.jsonl.gz").messages(0) if m["area"] == "AZ"]
    return root


async def send(settings: Settings, updates: int, first_version: int) -> dict[int, int]:
    """One root a second; version → when it was handed over (ns)."""
    root, sent = final_root(), {}
    async with sender(settings) as producer:
        begin = time.monotonic()
        for n in range(updates):
            await asyncio.sleep(max(0.0, begin + n - time.monotonic()))
            version = first_version + n
            value = canonical_json({**root, "version": version})
            sent[version] = time.time_ns()
            await producer.send_and_wait(f"{settings.prefix}.standings", value, key=b"PRES|AZ", partition=0)
    return sent


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def measure(settings: Settings, count: int, slow: int, seconds: int, directory: Path) -> dict[str, Any]:
    asyncio.run(send(settings, 1, 1))
    board = BoardProcess(settings, "az-2024", directory / "board.log")
    host, port = board.address.removeprefix("http://").split(":")
    readers = subprocess.Popen(
        [sys.executable, "-m", "bench.board", "--read", host, port, str(count)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    idle = []
    try:
        assert readers.stdout is not None
        assert readers.stdout.readline() == "open\n"
        for _ in range(slow):
            one = socket.create_connection((host, int(port)))
            one.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")
            idle.append(one)
        say(f"{count} streams are open, {slow} more that never read")
        before = cpu_seconds(board.process.pid)
        sent = asyncio.run(send(settings, seconds, 1_000))
        time.sleep(2)  # what comes later than this is lost
        spent = cpu_seconds(board.process.pid) - before
        said, _ = readers.communicate()
    finally:
        readers.kill()
        for one in idle:
            one.close()
        board.stop()
    arrivals = {int(v): times for v, times in json.loads(said).items()}
    delays = sorted((at - sent[v]) / 1e6 for v, times in arrivals.items() if v in sent for at in times)
    due = count * len(sent)
    return {
        "readers": count, "updates": len(sent), "due": due, "received": len(delays), "lost": due - len(delays),
        "late": sum(d > LATE_MS for d in delays), "p50_ms": round(percentile(delays, 0.5), 1),
        "p99_ms": round(percentile(delays, 0.99), 1), "worst_ms": round(delays[-1], 1),
        "board_cpu_seconds": round(spent, 1), "readers_that_never_read": slow,
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}", "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def fold(night: str) -> dict[str, Any]:
    """What the board's own fold of the report log costs: records a second, and memory a station."""
    election = load_election(NIGHTS / night)
    log = ReportLog(NIGHTS / night / "reports.jsonl.gz")
    records = [StoredRecord(0, r.offset, r.timestamp_ms, r.key, r.value) for r in log]

    def taken() -> Stations:
        stations = Stations(load_settings(), election)
        stations._folds, stations._ends = [PartitionFold(election, 0, 1)], {0: 0}  # noqa: SLF001  (as its reading of the topics leaves it)
        for record in records:
            stations.take(record)
        return stations

    begin = time.perf_counter()
    taken()
    seconds = time.perf_counter() - begin
    tracemalloc.start()
    kept = taken()
    traced, _ = tracemalloc.get_traced_memory()
    assert kept.is_caught_up
    return {
        "night": night, "records": len(records), "records_per_second": round(len(records) / seconds),
        "bytes_a_station": round(traced / len(election.stations)), "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


@contextmanager
def board_with_readers(filled: Filled, count: int) -> Iterator[None]:
    """A board over the topics of a load, its own fold done, and `count` open streams."""
    board = BoardProcess(filled.settings, str(filled.folder), filled.directory / f"board-{uuid.uuid4().hex[:6]}.log")
    wait_for(lambda: board.json("/readyz")["stations"]["caught_up"], "the board's own fold", 120)
    host, port = board.address.removeprefix("http://").split(":")
    readers = subprocess.Popen(
        [sys.executable, "-m", "bench.board", "--read", host, port, str(count)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert readers.stdout is not None
        assert readers.stdout.readline() == "open\n"
        yield
    finally:
        readers.kill()
        readers.wait()
        board.stop()


def beside(count: int, stations: int, rounds: int) -> dict[str, Any]:
    """One worker over a night: alone, beside a board that nobody reads, beside one with `count` readers.

    Reports/s fall where the cores do not suffice for all; the worker's own CPU seconds a million say what it costs."""
    ways: dict[str, Callable[[Filled], AbstractContextManager[None]] | None] = {
        "alone": None,
        "beside a board without readers": lambda filled: board_with_readers(filled, 0),
        f"beside a board with {count} readers": lambda filled: board_with_readers(filled, count),
    }
    found: dict[str, dict[str, list[float]]] = {name: {"reports_per_s": [], "cpu_s_per_million": []} for name in ways}
    with tempfile.TemporaryDirectory() as scratch, ground(Path(scratch)) as on:
        filled = on.fill(Load(stations))
        for _ in range(rounds):
            for name, way in ways.items():
                figure = run_product(filled, 1, beside=way)
                found[name]["reports_per_s"].append(round(figure.reports_per_s))
                found[name]["cpu_s_per_million"].append(round(figure.cpu_s_per_million, 2))
                say(f"{name}: {figure.reports_per_s:,.0f} reports/s, {figure.cpu_s_per_million:.2f} CPU s per million")
    return {
        "stations": stations, "records": filled.records, "worker": found,
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}", "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def main() -> int:
    if sys.argv[1:2] == ["--read"]:
        readers_main(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--readers", type=int, default=5_000)
    parser.add_argument("--slow", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--beside", action="store_true", help="only the speed of one worker beside a board")
    parser.add_argument("--stations", type=int, default=500_000, help="of that worker's night")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fold", metavar="NIGHT", help="only what the fold for polling stations costs")
    chosen = parser.parse_args()
    if chosen.fold:
        print(json.dumps(fold(chosen.fold)))
        return 0
    if chosen.beside:
        print(json.dumps(beside(chosen.readers, chosen.stations, chosen.rounds), indent=1))
        return 0
    with LocalKafka(brokers=1) as kafka, tempfile.TemporaryDirectory() as scratch:
        settings = settings_for(kafka.bootstrap, f"b{uuid.uuid4().hex[:8]}")
        run("topics", "create", "--election", "az-2024", "--create-time", "--replication", "1", settings=settings)
        found = measure(settings, chosen.readers, chosen.slow, chosen.seconds, Path(scratch))
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
