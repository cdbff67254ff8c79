"""`make flood`: nonsense at many times the rate of good reports, and what the good ones notice of it.

In turn, several rounds on one real broker: no flood, records that are all invalid, and good reports of 10,000 stations
that nobody knows, each beside stations that keep sending. Latency is that of a good report, from its acknowledgement to
the root standings that have it, in a reader's hands; what counts is the ratio of the medians within one run. Then one burst
as fast as it goes, which may lag and must lose nothing. The flood comes from a process of its own. Exits 1 where a bound
is broken: latency (2 x or 100 ms, whichever is more), memory, label values, lag, or verdicts that do not add up.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import platform
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from bench.load import Load, reports, write_definition
from tally_stream import __version__
from tally_stream.domain.rules import RULES, VERDICTS
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import TopicReader, sender
from tally_stream.metrics import BUCKETS_SECONDS
from tally_stream.settings import Settings
from tally_stream.stream.worker_state import STATES
from tally_stream.wire.folder.assembling import load_election
from tests.support.against_replay import check_against_replay
from tests.support.brokers import KafkaOne
from tests.support.processes import memory_bytes, run, settings_for
from tests.support.topics import save_log, wait_published
from tests.support.waiting import wait_for
from tests.support.worker import WorkerProcess

PARTITIONS = 4
SAMPLE = Load(4_000)
"""What the flood's records are made from."""
UNKNOWN_STATIONS = 10_000
KINDS = ("none", "invalid", "unknown stations")
LATENCY_RATIO_MAX = 2.0
LATENCY_NOTICED_SECONDS = 0.1
"""Nobody sees less than this on a board: a ratio of two medians below it is the machine's noise."""
PEAK_GROWTH_MAX_BYTES = 64 * 1024 * 1024
LAG_MAX_SECONDS = 5
"""Lag may be what the flood sends in this time."""
DRAIN_SECONDS = 60
MIB = 1024 * 1024


# -- the flood, in a process of its own -----------------------------------------------------------------------------


def invalid_records() -> list[tuple[bytes, bytes]]:
    """Good reports broken in all the ways of chance: bits, ends, doubled keys, other types, bytes that are no text."""
    order = random.Random(3)
    found = []
    for key, value, _ in itertools.islice(reports(SAMPLE), 2_000):
        at = order.randrange(len(value))
        broken = order.choice([
            value[:at], value + b"}", b"\xff" + value, value.replace(b'"schema":1', b'"schema":1,"schema":1'),
            value.replace(b'"revision":1', b'"revision":-1'), value.replace(b'"BENCH"', b'"A\\u202e"'), b"[" * 500,
            order.randbytes(300), value.replace(b'"kind"', b'"colour":1,"kind"'), value.replace(key, b"../etc/passwd"),
        ])  # fmt: skip
        found.append((key, broken))
    return found


def unknown_records() -> list[tuple[bytes, bytes]]:
    key, value, _ = next(reports(SAMPLE))
    ids = [b"999-%05d" % number for number in range(UNKNOWN_STATIONS)]
    return [(station, value.replace(key, station)) for station in ids]


def flood(settings: Settings, kind: str, per_second: int, is_over: Event, sent: Any, most: int | None = None) -> None:
    """Send until told to stop (or `most`), at a rate (0: as fast as it goes); `sent.value` grows as the broker
    acknowledges."""
    records = invalid_records() if kind == "invalid" else unknown_records()
    placed = [(key, value, murmur2_partition(key, PARTITIONS)) for key, value in records]
    asyncio.run(_flood(settings, placed, per_second, is_over, sent, most))


async def _flood(
    settings: Settings, placed: list[tuple[bytes, bytes, int]], per_second: int, is_over: Event, sent: Any, most: int | None
) -> None:
    topic, endless = f"{settings.prefix}.reports", itertools.cycle(placed)
    async with sender(settings) as producer:
        begin, handed = time.monotonic(), 0
        while not is_over.is_set() and (most is None or handed < most):
            due = handed + 500 if not per_second else int((time.monotonic() - begin) * per_second)
            due = due if most is None else min(due, most)
            waiting = []
            for key, value, partition in itertools.islice(endless, max(0, due - handed)):
                waiting.append(await producer.send(topic, value, key=key, partition=partition))
            handed = max(handed, due)
            if waiting:
                await asyncio.gather(*waiting)
                sent.value += len(waiting)
            await asyncio.sleep(0.002)


@dataclass
class Flood:
    """A flood that runs while a `with` block does; `.sent` after it."""

    settings: Settings
    kind: str
    per_second: int
    sent: int = 0

    def __enter__(self) -> Flood:
        spawning = multiprocessing.get_context("spawn")
        self._is_over = spawning.Event()
        self._count = spawning.Value("q", 0)
        self._process = spawning.Process(
            target=flood, args=(self.settings, self.kind, self.per_second, self._is_over, self._count), daemon=True
        )
        if self.kind != "none":
            self._process.start()
            wait_for(lambda: self._count.value, "the flood to have begun", 30)
        return self

    def __exit__(self, *_: object) -> None:
        if self.kind == "none":
            return
        self._is_over.set()
        self._process.join(60)
        assert self._process.exitcode == 0, f"the flood ended with {self._process.exitcode}"
        self.sent = self._count.value


# -- the stations and the reader -------------------------------------------------------------------------------------


@dataclass
class Measured:
    """One phase. Latencies in seconds; `lag` in records, the worst that was seen."""

    kind: str
    latencies: list[float]
    flooded: int
    seconds: float
    lag: int


@dataclass
class Night:
    """The topics, the worker and the good reports of one run."""

    settings: Settings
    worker: WorkerProcess
    good: Iterator[tuple[bytes, bytes, int]]
    good_sent: int = 0
    flooded: int = 0
    phases: list[Measured] = field(default_factory=list)

    def measure(self, kind: str, seconds: float, good_per_second: int, flood_per_second: int) -> Measured:
        begin = time.monotonic()
        with Flood(self.settings, kind, flood_per_second) as flooding:
            latencies, lag = asyncio.run(self._latencies(seconds, good_per_second))
            took = time.monotonic() - begin
        self.flooded += flooding.sent
        self.phases.append(Measured(kind, latencies, flooding.sent, took, lag))
        return self.phases[-1]

    async def _latencies(self, seconds: float, per_second: int) -> tuple[list[float], int]:
        """(latency of each good report, worst lag) while reports go out at a rate."""
        acknowledged: dict[tuple[int, int], float] = {}
        latencies: list[float] = []
        topic, worst = f"{self.settings.prefix}.reports", 0

        async def one(producer: Any, key: bytes, value: bytes) -> None:
            told = await producer.send_and_wait(topic, value, key=key, partition=murmur2_partition(key, PARTITIONS))
            acknowledged[told.partition, told.offset] = time.monotonic()

        async def read(reader: TopicReader) -> None:
            while True:
                for record in await reader.poll():
                    if record.key is not None and record.value is not None and b"/" not in record.key:
                        shown(json.loads(record.value)["provenance"]["next_offsets"])

        def shown(offsets: dict[str, int]) -> None:
            now = time.monotonic()
            for place in [p for p in acknowledged if p[1] < offsets[str(p[0])]]:
                latencies.append(now - acknowledged.pop(place))

        async def look() -> None:
            nonlocal worst
            while True:
                worst = max(worst, await asyncio.to_thread(lag_of, self.worker))
                await asyncio.sleep(0.5)

        async with sender(self.settings) as producer, TopicReader(self.settings, f"{self.settings.prefix}.standings") as reader:
            async for _ in reader.read_to_end():
                pass
            beside = [asyncio.create_task(read(reader)), asyncio.create_task(look())]
            begin, sending = time.monotonic(), set()
            for number in range(int(seconds * per_second)):
                await asyncio.sleep(max(0.0, begin + number / per_second - time.monotonic()))
                key, value, _ = next(self.good)
                sending.add(asyncio.create_task(one(producer, key, value)))
                self.good_sent += 1
            await asyncio.gather(*sending)
            end = time.monotonic() + DRAIN_SECONDS
            while acknowledged:
                assert time.monotonic() < end, f"{len(acknowledged)} reports not in the standings after {DRAIN_SECONDS} s"
                await asyncio.sleep(0.01)
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
        return latencies, worst

    def burst(self, count: int) -> float:
        """Records as fast as they go; seconds from the last one's acknowledgement until the standings have all."""
        spawning = multiprocessing.get_context("spawn")
        never, sent = spawning.Event(), spawning.Value("q", 0)
        process = spawning.Process(target=flood, args=(self.settings, "invalid", 0, never, sent, count), daemon=True)
        process.start()
        process.join(120)
        assert process.exitcode == 0
        self.flooded += sent.value
        begin = time.monotonic()
        wait_published(self.settings, self.good_sent + self.flooded, 240)
        return time.monotonic() - begin


def samples_of(worker: WorkerProcess) -> dict[str, float]:
    """Every sample of the worker's metrics: name with labels → value."""
    lines = [line for line in worker.get("/metrics")[1].splitlines() if line and not line.startswith("#")]
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def lag_of(worker: WorkerProcess) -> int:
    return int(sum(value for name, value in samples_of(worker).items() if name.startswith("tally_lag_records")))


def label_values(worker: WorkerProcess) -> set[str]:
    return {part.split('"')[1] for name in samples_of(worker) if "{" in name for part in name.split("{")[1].split(",")}


ALLOWED_LABEL_VALUES = {
    *map(str, range(PARTITIONS)), *VERDICTS, *(rule.code for rule in RULES), *STATES, *map(str, BUCKETS_SECONDS), "+Inf",
    "hold", "certify", "PRES", "BENCH", __version__,
}  # fmt: skip
"""Besides the digest of the definition."""


def play(
    bootstrap: str,
    directory: Path,
    *,
    rounds: int,
    seconds: float,
    good_per_second: int,
    times: int,
    burst: int,
) -> Night:
    """The whole run. AssertionError where memory, label values or verdicts are out of their bounds; latency and lag, which
    depend on what else the machine does, are judged by `is_noticed` and `is_behind`."""
    folder = directory / "night"
    # Each station has two reports or more, and no phase may run out of them.
    load = Load(int((rounds * len(KINDS) * seconds + 2) * good_per_second) // 2 + 1, rejected_percent=0)
    write_definition(load, folder)
    settings = settings_for(bootstrap, f"l{uuid.uuid4().hex[:8]}")
    run("topics", "create", "--election", str(folder), "--partitions", str(PARTITIONS), "--replication", "1",
        "--create-time", settings=settings)  # fmt: skip
    worker = WorkerProcess(settings, str(folder), directory / "worker.log").wait_ready()
    night = Night(settings, worker, reports(load))
    try:
        wait_published(settings, 0)
        night.measure("none", 2, good_per_second, 0)
        night.phases.clear()  # a first phase, for everything that is made once
        before = memory_bytes(worker.process.pid, "VmHWM")
        for _ in range(rounds):
            for kind in KINDS:
                night.measure(kind, seconds, good_per_second, good_per_second * times)
                met = label_values(worker) - ALLOWED_LABEL_VALUES
                assert met == {load_election(folder).digest}
        if burst:
            print(f"burst of {burst:,} invalid records: all in the standings {night.burst(burst):.1f} s after the last")
        grown = memory_bytes(worker.process.pid, "VmHWM") - before
        print(f"worker's peak memory {before / MIB:.0f} MiB before the first flood, {grown / MIB:.0f} MiB more after the last; "
              f"{len(samples_of(worker))} samples of metrics")  # fmt: skip
        assert grown < PEAK_GROWTH_MAX_BYTES, f"memory grew by {grown / MIB:.0f} MiB"
        _adds_up(night, folder, directory)
        assert worker.stop() == 0
    finally:
        worker.close()
    return night


def _adds_up(night: Night, folder: Path, directory: Path) -> None:
    total = night.good_sent + night.flooded
    newest = wait_published(night.settings, total)
    verdicts = night.worker.verdicts()
    assert verdicts.pop("read") == sum(verdicts.values()) == total
    assert verdicts["rejected"] == night.flooded
    replay = check_against_replay(load_election(folder), save_log(night.settings, directory / "saved.jsonl"), newest)
    told = replay.verdict_counts()
    assert {verdict: told[verdict] for verdict in verdicts} == dict(verdicts)
    print(f"{night.good_sent:,} good reports and {night.flooded:,} of the flood: verdicts add up, standings equal replay")


def medians(phases: list[Measured]) -> dict[str, float]:
    """Kind of flood → median latency in seconds over all its phases."""
    return {kind: statistics.median([x for p in phases if p.kind == kind for x in p.latencies]) for kind in KINDS}


def is_noticed(found: dict[str, float]) -> list[str]:
    """The kinds of flood that made good reports too late."""
    most = max(LATENCY_RATIO_MAX * found["none"], LATENCY_NOTICED_SECONDS)
    return [kind for kind in KINDS if found[kind] > most]


def is_behind(phases: list[Measured], flood_per_second: int) -> list[str]:
    """The phases in which more records waited than a flood sends in LAG_MAX_SECONDS."""
    most = max(1_000, flood_per_second * LAG_MAX_SECONDS)
    return [f"{phase.kind}: {phase.lag:,} records behind" for phase in phases if phase.lag > most]


def table(night: Night) -> Iterator[str]:
    found = medians(night.phases)
    yield f"{'flood':18}{'records/s':>10}{'reports':>9}{'p50 ms':>8}{'p90 ms':>8}{'p99 ms':>8}{'ratio':>7}{'lag':>7}"
    for kind in KINDS:
        phases = [p for p in night.phases if p.kind == kind]
        all_of = sorted(x for p in phases for x in p.latencies)
        cuts = statistics.quantiles(all_of, n=100)
        rate = sum(p.flooded for p in phases) / sum(p.seconds for p in phases)
        yield (f"{kind:18}{rate:10,.0f}{len(all_of):9,}" + "".join(f"{1000 * cuts[q - 1]:8.0f}" for q in (50, 90, 99))
               + f"{found[kind] / found['none']:7.2f}{max(p.lag for p in phases):7,}")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10, help="of each phase; a round has three")
    parser.add_argument("--per-second", type=int, default=100, help="good reports")
    parser.add_argument("--times", type=int, default=10, help="the flood is so many times that")
    parser.add_argument("--burst", type=int, default=100_000, help="invalid records at the end, as fast as they go")
    given = parser.parse_args()
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
          "Apache Kafka 4.3.1, one broker on it", flush=True)  # fmt: skip
    with KafkaOne() as kafka, tempfile.TemporaryDirectory() as scratch:
        try:
            night = play(kafka.bootstrap, Path(scratch), rounds=given.rounds, seconds=given.seconds,
                         good_per_second=given.per_second, times=given.times, burst=given.burst)  # fmt: skip
        except AssertionError as broken:
            print(f"broken: {broken}")
            return 1
    print("\n".join(table(night)))
    noticed = is_noticed(medians(night.phases))
    if noticed:
        print(f"good reports took more than {LATENCY_RATIO_MAX:.0f} times as long and more than "
              f"{1000 * LATENCY_NOTICED_SECONDS:.0f} ms under: {', '.join(noticed)}")  # fmt: skip
    behind = is_behind(night.phases, given.per_second * given.times)
    print("\n".join(behind), end="\n" if behind else "")
    return 1 if noticed or behind else 0


if __name__ == "__main__":
    sys.exit(main())
