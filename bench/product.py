"""The product's own run: one worker or several in one group over a filled topic, its standings compared with `replay`.

A run whose standings differ by a byte has no figure. Read `process.py` for what is measured from when to when.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import msgspec

from bench.ground import PARTITIONS, Filled, renew_outputs
from bench.layouts import ONE_CONTEST, ROOT
from bench.process import Figure, NoFigure, figure, peak_rss_bytes
from tally_stream.kafka.client import TopicReader
from tally_stream.wire.report_log import LogRecord
from tests.support.against_replay import check_against_replay
from tests.support.processes import cpu_seconds
from tests.support.topics import newest_standings
from tests.support.worker import WorkerProcess

LIMIT_SECONDS = 900
ROOT_KEY = f"{ONE_CONTEST}|{ROOT}".encode()
COUNTED_SHARE_MIN = 0.95
"""Of the records of every load: what is refused costs otherwise than what is counted."""
AS_OFTEN_AS_STREAMS = ("--publish-interval-ms", "100")
"""As often as Kafka Streams commits here and Faust sends its totals (Quix Streams every second, Bytewax with each batch); a
worker's own default is 50 ms."""


@dataclass(frozen=True, slots=True)
class _Log:
    """A saved log in memory, with what the comparison asks of one."""

    topic: str
    partition_count: int
    records: list[LogRecord]

    def __iter__(self) -> Iterator[LogRecord]:
        return iter(self.records)


@contextmanager
def workers(filled: Filled, count: int, group: str, *flags: str) -> Iterator[list[WorkerProcess]]:
    """Worker processes of one group, started together; ended with the block."""
    started: list[WorkerProcess] = []
    try:
        for number in range(count):
            log = filled.directory / f"{group}-{number}.log"
            started.append(WorkerProcess(filled.settings, str(filled.folder), log, "--group", group, *flags))
        for worker in started:
            worker.address()
        yield started
        for worker in started:
            worker.stop()
    finally:
        for worker in started:
            worker.close()


def run_product(
    filled: Filled,
    count: int,
    *flags: str,
    beside: Callable[[Filled], AbstractContextManager[object]] | None = None,
    look: Callable[[list[WorkerProcess]], object] = lambda workers: None,
) -> Figure:
    """The whole topic through `count` workers with a group and empty output topics of their own, `beside` something that
    is there before they start; `flags` are the workers'. `look` at them when everything is counted.

    Raises NoFigure where the standings differ from `replay`, or where one worker of several had all partitions."""
    renew_outputs(filled)
    with (
        beside(filled) if beside else nullcontext(),
        workers(filled, count, f"bench-{uuid.uuid4().hex[:6]}", *flags) as started,
    ):
        pids = [worker.process.pid for worker in started]
        early = 0
        while not early:
            early = sum(sum(worker.next_offsets().values()) for worker in started)
        begin, cpu_begin = time.perf_counter(), sum(map(cpu_seconds, pids))
        try:
            finished, root = asyncio.run(wait_counted(filled, is_alive=lambda: all(w.process.poll() is None for w in started)))
        except NoFigure as reason:
            raise NoFigure(f"{reason}; {started[0].log[-500:]}") from reason
        seconds, cpu = finished - begin, sum(map(cpu_seconds, pids)) - cpu_begin
        rss = sum(map(peak_rss_bytes, pids))
        shares = [len(worker.next_offsets()) for worker in started]
        look(started)
    if max(shares) - min(shares) > 1:
        raise NoFigure(f"the partitions were not shared: {shares}")
    _compare(filled, root)
    return figure(filled.records - early, seconds, cpu, rss)


class _Provenance(msgspec.Struct):
    next_offsets: dict[str, int]


class RootOffsets(msgspec.Struct):
    """Of a root what says which records it includes."""

    provenance: _Provenance

    def reach(self, ends: dict[int, int]) -> bool:
        return all(self.provenance.next_offsets[str(partition)] >= end for partition, end in ends.items())


ROOT_OFFSETS = msgspec.json.Decoder(RootOffsets)


async def wait_counted(filled: Filled, *, is_alive: Callable[[], bool]) -> tuple[float, dict[str, Any]]:
    """(`perf_counter`, root of the first contest) when the root of every contest includes all that can change its figures: a
    root that did not change is sent again in turn, and that is no work.

    Of what a fetch brought only the newest root of one contest is parsed, the others when their turn comes: reading must not
    take the worker's CPU. Raises NoFigure after the limit or when a worker ended."""
    due = {f"{contest}|{ROOT}".encode(): ends for contest, ends in filled.ends.items()}
    first = next(iter(due))
    left = list(due)
    newest: dict[bytes, bytes] = {}
    async with TopicReader(filled.settings, f"{filled.settings.prefix}.standings") as reader:
        end = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < end:
            newest.update((r.key, r.value) for r in await reader.poll() if r.key in due and r.value is not None)
            while left and left[-1] in newest and ROOT_OFFSETS.decode(newest[left[-1]]).reach(due[left[-1]]):
                left.pop()
            if not left:
                return time.perf_counter(), json.loads(newest[first])
            if not is_alive():
                raise NoFigure(f"a worker ended; {len(left):,} of {len(due):,} contests were not counted")
    raise NoFigure(f"not within {LIMIT_SECONDS} s; {len(left):,} of {len(due):,} contests were not counted")


def _compare(filled: Filled, root: dict[str, object]) -> None:
    """Byte for byte with `replay`; and where every report is valid, with the plain recount too."""
    try:
        log = _Log(filled.topic, PARTITIONS, filled.saved())
        replay = check_against_replay(filled.election, log, newest_standings(filled.settings))
    except AssertionError as differs:
        raise NoFigure(f"the standings are not what replay gives: {differs}") from differs
    counts = replay.verdict_counts()
    if sum(v for k, v in counts.items() if k != "codes") != replay.record_count:
        raise NoFigure("the verdicts do not add up to the records read")
    if counts["counted"] < COUNTED_SHARE_MIN * filled.records:
        raise NoFigure(f"a load of which {counts['held']:,} are held and {counts['rejected']:,} rejected is no night")
    if filled.load.kind == "churn":
        votes = {c["id"]: c["votes"] for c in root["candidates"]}  # type: ignore[attr-defined]
        due = dict(zip((c.id for c in filled.election.contests[0].candidates), filled.recounted, strict=True))
        if votes != due:
            raise NoFigure(f"the totals are not those of a plain recount: {votes} instead of {due}")
