"""One seed from beginning to end: a night, workers under a supervisor, faults, and the auditor at every append.

Two phases. Safety: the night is sent while faults happen; nothing wrong may ever be published or committed. Liveness: the
faults end; within a limit everything must be published, healed and committed, and no worker may end any more. In a part
of the seeds the report log is shortened instead: then every worker must refuse, naming what is lost, and publish nothing.
`play` returns what was checked, or raises `Failed` with the seed's story.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
import re
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tally_stream.domain import pages
from tally_stream.domain.pages import Layout
from tally_stream.kafka.topics import Topics
from tally_stream.settings import Settings, load_settings
from tally_stream.stream.faust import settings as faust_settings
from tally_stream.stream.starting import WorkerOptions, WorkerRefused, look_at_topics
from tally_stream.stream.worker import Worker
from tests.simulation.auditor import Auditor, Wrong
from tests.simulation.clock import Process, VirtualLoop
from tests.simulation.cluster import Cluster, Connection, Record, TopicPartition, Weather
from tests.simulation.endings import is_explained
from tests.simulation.faults import Director, Lost, a_weather
from tests.simulation.night import Night, a_night
from tests.simulation.replaced import look_at, replace

SAFETY_SECONDS = (12.0, 28.0)
SETTLE_SECONDS = 90.0
"""After the last fault a worker may still end of one: one that thaws waits for a lost request as long as 40 s, then it joins
under the id of the worker that took its place, which ends of that and comes back."""

LIVENESS_SECONDS = 200.0
"""Above the minute in which stage 2 waits for re-sends, with a new owner's start before and after."""

RESTART_SECONDS = (0.2, 2.0)
LOOK_SECONDS = 0.5
SHORTENED_SHARE = 0.5
SESSION_SECONDS = 10.0


class Failed(Exception):
    """The seed found something: a sentence, with the trace as `trace`."""

    def __init__(self, sentence: str, trace: list[str]) -> None:
        super().__init__(sentence)
        self.trace = trace


@dataclass
class Result:
    seed: int
    digest: str
    reports: int
    virtual_seconds: float
    steps: int
    faults: Counter[str]
    counts: Counter[str]
    exits: Counter[str]
    trace: list[str]
    parts: dict[str, Any]
    """What a worker that owned the standings was made of (`replaced.look_at`)."""


@dataclass
class Slot:
    """A place where a supervisor keeps one worker running."""

    name: str
    is_static: bool
    is_wanted: bool = True
    process: Process | None = None
    workers: dict[Process, Worker] = field(default_factory=dict)
    stop: asyncio.Event | None = None


class World:
    def __init__(self, seed: int, loop: VirtualLoop, is_traced: bool) -> None:
        self.seed = seed
        self.loop = loop
        self.chance = random.Random(f"schedule {seed}")
        self.night: Night = a_night(random.Random(f"night {seed}"))
        self.topics = Topics("tally")
        self.cluster = Cluster(loop, random.Random(f"cluster {seed}"), self.chance.randint(1, 3))
        self.auditor = Auditor(self.night.election, "tally", self.night.partitions)
        self.faults = self.cluster.faults
        self.exits: Counter[str] = Counter()
        self.trace: list[str] = []
        self.digest = hashlib.sha256()
        self.is_traced = is_traced
        self.failure: str | None = None
        self.is_over = asyncio.Event()
        self.phase = "safety"
        self.slots = [Slot(f"w{n}", self.chance.random() < 0.8) for n in range(self.chance.randint(2, 3))]
        self.lost: Lost | None = None
        self.is_refusal_due = False
        self.born_after_loss: set[Process] = set()
        self.started = 0
        self.parts: dict[str, Any] = {}
        self.interval_ms = self.chance.choice((5, 50, 200))
        # Small pages, so that a flush has many, and small batches, so that it can be cut after any of them.
        pages.PAGE_MAX_BYTES = self.chance.choice((1, 900, 4_096))
        faust_settings.BATCH_BYTES = self.chance.choice((1, 1, 2_000, 512 * 1024))
        self.auditor.layout = Layout(self.night.election)
        self.said: dict[int, Record] = {}
        """Offset → every page and mark that was appended, whatever compaction has left of them."""
        self.newest_pages: dict[bytes | None, int] = {}
        """Key of a page → the highest `changed_at` that was ever appended."""
        self._unmarked: Counter[tuple[str, int]] = Counter()
        """(process, partition) → its new pages since its last mark."""
        for topic, partitions in (
            (self.topics.reports, self.night.partitions), (self.topics.partials, 1), (self.topics.standings, 1),
            (self.topics.rejections, self.night.partitions), (self.topics.changes, self.night.partitions),
        ):  # fmt: skip
            self.cluster.create_topic(topic, partitions)
        self.cluster.on_append = self._appended
        self.cluster.on_acknowledged = self._acknowledged
        self.cluster.group.on_commit = self._committed
        self.cluster.group.on_assigned = self._look_at_shares
        self.director = Director(self)
        replace(self.cluster)

    # -- what is watched -------------------------------------------------------------------------------------------

    def say(self, line: str) -> None:
        line = f"{self.loop.time():9.4f} {line}"
        self.digest.update(line.encode())
        if self.is_traced:
            self.trace.append(line)

    def fail(self, sentence: str) -> None:
        if self.failure is None:
            self.failure = sentence
            self.say(f"FAILED {sentence}")
            self.is_over.set()

    def _checked(self, check: Any, *arguments: Any) -> None:
        try:
            check(*arguments)
        except Wrong as wrong:
            self.fail(str(wrong))

    def _appended(self, key: TopicPartition, records: list[Record], process: Process | None) -> None:
        topic, partition = key
        for r in records:
            if topic == self.topics.reports:
                self._checked(self.auditor.take_reports, partition, [r])
            who = process.name if process else "station"
            self.say(f"{who} appends {topic}[{partition}] {r.offset} {r.key!r} {self._summary(topic, r)}")
            if topic == self.topics.standings:
                if process in self.born_after_loss:
                    self.fail(f"{who} published standings though the report log lost records")
                self._checked(self.auditor.take_standings, r)
                self.director.standings_appended(process)
                self._look_at_folds()
            elif topic == self.topics.partials:
                self._checked(self.auditor.take_partial, r)
                self._note_partial(process, r)
            elif topic == self.topics.rejections:
                self._checked(self.auditor.take_rejection, r)
            elif topic == self.topics.changes:
                self._checked(self.auditor.take_change, r)

    def _note_partial(self, process: Process | None, r: Record) -> None:
        self.said[r.offset] = r
        said = json.loads(r.value or b"{}")
        place = (process.name if process else "", said["partition"])
        if "page" not in said:
            self._unmarked[place] = 0
            return
        if self.newest_pages.get(r.key, 0) > said["changed_at"]:
            self.faults["older page on top"] += 1
        elif process is not None and self.newest_pages.get(r.key, 0) < said["changed_at"]:
            self._unmarked[place] += 1
        self.newest_pages[r.key] = max(self.newest_pages.get(r.key, 0), said["changed_at"])

    def _summary(self, topic: str, r: Record) -> str:
        value = r.value or b""
        found = re.search(rb'"next_offsets?":(\{[^}]*\}|\d+)', value)
        return found[1].decode() if found else hashlib.sha256(value).hexdigest()[:8]

    def _acknowledged(self, key: TopicPartition, first: int, end: int) -> None:
        topic, _ = key
        records = [r for b in self.cluster.logs[key].from_offset(first) for r in b.records if first <= r.offset < end]
        if topic == self.topics.partials:
            for offset in range(first, end):
                self.auditor.acknowledge_partial(self.said[offset])
        elif topic == self.topics.rejections:
            self.auditor.acknowledge(records, self.auditor.rejections)
        elif topic == self.topics.changes:
            self.auditor.acknowledge(records, self.auditor.changes)

    def _committed(self, topic: str, partition: int, offset: int, process: Process) -> None:
        if topic == self.topics.reports:
            self.say(f"{process.name} commits {topic}[{partition}] {offset}")
            self._checked(self.auditor.take_commit, partition, offset)

    def _look_at_shares(self) -> None:
        """Of every plan, whoever led: after each change of the group its members have even shares of the reports."""
        shares = self.cluster.group.shares(self.topics.reports)
        if max(shares) - min(shares) > 1:
            self.fail(f"a plan gives shares of {shares}")

    def _look_at_folds(self) -> None:
        for slot in self.slots:
            for process, worker in slot.workers.items():
                if process.is_alive:
                    if not self.parts and worker.merging.is_owner:
                        self.parts = look_at(worker)
                    for number, owned in worker.counting.partitions.items():
                        fold = owned.fold
                        codes = {k: v for k, v in fold.codes.items() if v}
                        self._checked(self.auditor.take_fold, number, fold.next_offset, fold.verdicts, codes)

    # -- workers ---------------------------------------------------------------------------------------------------

    def _settings(self, slot: Slot) -> Settings:
        return load_settings(
            bootstrap="broker0:9092", instance=slot.name if slot.is_static else None,
            metrics_port=0, publish_interval_ms=self.interval_ms,
        )  # fmt: skip

    def start(self, slot: Slot) -> None:
        self.started += 1
        process = Process(f"{slot.name}#{self.started}", lambda p, reason: self._exited(slot, p, reason))
        slot.process, slot.stop = process, asyncio.Event()
        if self.lost is not None:
            self.born_after_loss.add(process)
        self.say(f"{process.name} starts")
        self.loop.start_process(process, self._live(slot, process, slot.stop))

    async def _live(self, slot: Slot, process: Process, stop: asyncio.Event) -> None:
        """What the command `worker` does once it has its settings."""
        try:
            options = WorkerOptions(checks_topics=False)
            settings = self._settings(slot)
            start = await look_at_topics(settings, self.night.election, options)
            worker = Worker(settings, self.night.election, start, options, on_fatal=process.exit)
            slot.workers[process] = worker
            await worker.run(stop, lambda _: None, lambda: None)
            process.exit("stopped")
        except WorkerRefused as refused:
            process.exit(f"refused: {'; '.join(refused.errors)}")
        except Exception as error:
            process.exit(f"failed: {error!r}")

    def _exited(self, slot: Slot, process: Process, reason: str) -> None:
        self.say(f"{process.name} ends: {reason}")
        self.exits[re.sub(r"[\d.]+", "#", reason)[:90]] += 1
        if reason == "killed":
            self.faults["kill"] += 1
        for connection in [c for c in self.cluster.connections if c.process is process]:
            self._hang_up(connection)
        slot.workers.pop(process, None)
        if any(count for (name, _), count in self._unmarked.items() if name == process.name):
            self.faults["flush cut short"] += 1
        if not is_explained(reason, self.faults):
            self.fail(f"{process.name} ended, and no fault of this seed explains it: {reason}")
        if self.lost is not None and process in self.born_after_loss:
            if self.lost.is_named_in(reason):
                self.faults["refusal of a shortened log"] += 1
            elif self.is_refusal_due and reason != "killed":
                self.fail(f"{process.name} ended with {reason!r}, it should have named {self.lost}")
        if self.phase == "settled" and reason != "stopped":
            self.fail(f"{process.name} ended without a fault: {reason}")
        if slot.process is process:
            slot.process = None
            self.loop.later(self.chance.uniform(*RESTART_SECONDS), self._restart, slot)

    def _hang_up(self, connection: Connection) -> None:
        """The machine's doing when its process ends: what is on its way still arrives."""
        connection.is_open = False
        self.cluster.connections.discard(connection)

    def _restart(self, slot: Slot) -> None:
        if slot.process is None and slot.is_wanted and not self.is_over.is_set():
            self.start(slot)

    # -- the night -------------------------------------------------------------------------------------------------

    async def send_night(self, seconds: float) -> None:
        """Single records and small batches, evenly spread but for pauses and bursts."""
        sent = list(self.night.sent)
        pace = seconds / len(sent)
        while sent and self.lost is None:
            size = min(len(sent), self.chance.choice((1, 1, 1, 2, 3, 8)))
            place = sent[0].partition
            batch: list[Record] = []
            while sent and sent[0].partition == place and len(batch) < size:
                one = sent.pop(0)
                batch.append(Record(0, one.timestamp_ms, one.key, one.value))
                self.faults["duplicate report"] += one.is_duplicate
                self.faults["reordered stations"] += one.is_overtaking
            self.cluster.append((self.topics.reports, place), batch)
            if self.chance.random() < 0.7:
                await asyncio.sleep(pace * len(batch) * self.chance.uniform(0.0, 2.8))

    # -- the run ---------------------------------------------------------------------------------------------------

    async def run(self) -> Result:
        for slot in self.slots:
            self.loop.later(self.chance.uniform(0.0, 1.0), self._restart, slot)
        seconds = self.chance.uniform(*SAFETY_SECONDS)
        director = self.director
        self.cluster.weather = a_weather(self.chance)
        blows = asyncio.ensure_future(director.direct())
        loses = self.chance.random() < SHORTENED_SHARE
        if loses:
            self.loop.later(seconds * self.chance.uniform(0.4, 1.0), blows.cancel)
        await self._until_over(asyncio.ensure_future(self.send_night(seconds)), blows)
        blows.cancel()
        if loses:
            await director.lose_reports()
        if self.lost is None:
            await self._liveness()
        self.faults["rebalance"] += self.cluster.group.rebalances
        if self.failure is not None:
            raise Failed(self.failure, self.trace)
        self.say(f"over after {self.loop.steps} steps")
        return Result(
            self.seed, self.digest.hexdigest(), sum(self.auditor.ends), self.loop.time(), self.loop.steps,
            self.faults, self.auditor.counts, self.exits, self.trace, self.parts,
        )  # fmt: skip

    async def _until_over(self, *work: asyncio.Future[Any]) -> None:
        """Until one of these is done, or the seed has failed."""
        over = asyncio.ensure_future(self.is_over.wait())
        await asyncio.wait({over, *work}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        for one in work:
            if one.done() and not one.cancelled():
                one.result()

    async def _liveness(self) -> None:
        self.phase = "liveness"
        self.cluster.weather = Weather()
        for slot in self.slots:
            for process in slot.workers:
                process.dies_at = None
        self.say("no more faults")
        begin = self.loop.time()
        while not self.is_over.is_set():
            await asyncio.sleep(LOOK_SECONDS)
            passed = self.loop.time() - begin
            if passed > SETTLE_SECONDS:
                self.phase = "settled"
            missing = self._missing()
            if missing is None:
                break
            if passed > LIVENESS_SECONDS:
                self.fail(f"not there {LIVENESS_SECONDS:.0f} s after the last fault: {missing}")

    def _missing(self) -> str | None:
        newest = {r.key: r.value for r in self.cluster.logs[self.topics.standings, 0].records if r.key and r.value}
        alive = [(p, w) for s in self.slots for p, w in s.workers.items() if p.is_alive]
        if not alive or not all(w.state.readiness()["ready"] for _, w in alive):
            return "a worker is not ready"
        for partition, end in enumerate(self.auditor.ends):
            committed = self.cluster.group.committed.get((self.topics.reports, partition), 0)
            if committed != end:
                return f"partition {partition} is committed to {committed}, its log ends at {end}"
        self._look_at_folds()
        return self.auditor.missing(newest)


def play(seed: int, *, is_traced: bool = False) -> Result:
    """One seed. Raises Failed."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")  # of coroutines that a dead process never went on with
    sys.unraisablehook = lambda _: None  # what is collected of a seed that is over may complain of its loop
    random.seed(seed)  # aiokafka chooses nodes and orders with it
    loop = VirtualLoop(random.Random(f"order {seed}"))
    asyncio.set_event_loop(loop)
    world: list[World] = []

    def unhandled(_: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        handle = context.get("handle")
        if world and handle is not None and error is not None:
            world[0].fail(f"a step of the simulation failed: {error!r} in {handle!r}")

    loop.set_exception_handler(unhandled)

    async def whole() -> Result:
        world.append(World(seed, loop, is_traced))
        return await world[0].run()

    try:
        return loop.run_until_complete(whole())
    finally:
        loop._ready.clear()  # noqa: SLF001  (nothing of a seed may run after it)
        loop._scheduled.clear()  # noqa: SLF001  (nothing of a seed may run after it)
        asyncio.set_event_loop(None)
        loop.close()
