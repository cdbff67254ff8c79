"""`make soak`: hours of reports at a steady rate on three brokers, with a fault every ten minutes; what grew, what differs.

The stations are a fixed set; each corrects itself again and again, from before the clock starts: until every list that has a
limit has reached it (a board keeps 50 statements of a station), and until a worker that was killed has the buffers that a replay
needs. So what a process holds stays the same from then on, and memory that grows is a fault. Beside the worker run a board and a `dump --follow`,
which nobody ends: they live through every fault. Writes `soak.jsonl` (a line every ten seconds, one a fault, one at the
end) and prints a table. Exits 1 where an acknowledged report is lost, a published message is not what the log gives, a
process ended of anything but the fault, or the last quarter has 5 % more memory than the first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

from bench.load import Load, write_definition
from tally_stream.audit.replay import Replay
from tally_stream.audit.verify import Verification
from tally_stream.domain.standings import body_of
from tally_stream.kafka.client import TopicReader
from tally_stream.wire.changes import encode_change
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import encode_rejection
from tests.chaos.load import PARTITIONS, Newsroom, Stations
from tests.chaos.run import compare_verdicts, percentile, say
from tests.chaos.scenes import SCENES
from tests.chaos.stage import Stage, until, worker_pid
from tests.chaos.sums import Sums
from tests.chaos.watch import Watch, grown, table
from tests.support.brokers import KafkaThree
from tests.support.processes import children_of, command, run, settings_for, terminated, tied
from tests.support.topics import committed, save_log
from tests.support.waiting import wait_for

SETTLE_SECONDS = 900.0
"""A worker that was killed reads the whole log again: 14 million reports after two hours."""

STATEMENTS_FULL = 55
"""Reports of a station before the clock starts."""

JUDGED = ("worker", "supervisor", "board", "dump")
"""Whose memory must not grow. A broker's is its heap, which Java fills."""


class Soak:
    """A cluster with its processes. `play`, then `differences`."""

    def __init__(self, kafka: KafkaThree, directory: Path, options: argparse.Namespace) -> None:
        self.directory = directory
        self.folder = directory / "night"
        load = Load(options.stations)
        write_definition(load, self.folder)
        self.settings = settings_for(kafka.bootstrap, f"soak{uuid.uuid4().hex[:6]}")
        run("topics", "create", "--election", str(self.folder), "--partitions", str(PARTITIONS), "--replication", "3",
            "--create-time", settings=self.settings)  # fmt: skip
        self.election = load_election(self.folder)
        self.stations, self.newsroom = Stations(self.settings, load, options.rate), Newsroom(self.settings)
        self.stations.acknowledged = self.promised = Sums()  # type: ignore[assignment]
        self.stations.fill(max(options.before, options.stations * STATEMENTS_FULL))
        self.verification = Verification(self.election, f"{self.settings.prefix}.reports", PARTITIONS)
        self.newsroom.start()
        self.stage = Stage(
            kafka, self.settings, self.folder, directory, self.stations, self.newsroom, True, random.Random(options.seed)
        )
        self.stage.settle_seconds = SETTLE_SECONDS
        self.dump = directory / "dump.jsonl.gz"
        self.beside: dict[str, subprocess.Popen[bytes]] = {}
        self.watch = Watch(options.output / "soak.jsonl", self._progress, self._processes, options.every)

    def _progress(self) -> tuple[int, int]:
        # What was heard is packed as it comes: it would not fit in memory until the end.
        heard = [self.newsroom.heard.popleft() for _ in range(len(self.newsroom.heard))]
        self.verification.expect(heard)
        return len(self.promised), self.newsroom.advances[-1][1] if self.newsroom.advances else 0

    def _processes(self) -> dict[str, int]:
        found = {name: process.pid for name, process in self.beside.items()}
        one = self.stage.workers.get("one")
        if one is not None:
            found["supervisor"] = one.process.pid
            found |= dict(zip(["worker"], children_of(one.process.pid), strict=False))
        return found | {f"broker {node.number}": node.pid for node in self.stage.kafka.nodes if node.pid}

    def start(self) -> None:
        one = self.stage.start("one").wait_ready(SETTLE_SECONDS)
        self.beside["board"] = self._beside("board", "--election", str(self.folder), "--port", "0")
        self.beside["dump"] = self._beside("dump", str(self.dump), "--follow")
        # Killed before it has said so, it would never say it twice.
        wait_for(lambda: "caught up: " in one.log, "the worker to catch up", SETTLE_SECONDS)
        os.kill(worker_pid(one), signal.SIGKILL)
        wait_for(lambda: one.log.count("caught up: ") > 1, "the replay", SETTLE_SECONDS)

    def _beside(self, *words: str) -> subprocess.Popen[bytes]:
        # Not `*.log`: those are the workers', whose endings a scene explains.
        with (self.directory / f"{words[0]}.said").open("wb") as said:
            return subprocess.Popen(command(*words), **tied(self.settings), stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def play(self, seconds: float, fault_every_s: float) -> None:
        """Load for so long, and the faults in turn."""
        self.stations.start()
        try:
            self.stage.move()
            self.watch.begin = time.monotonic()
            self.watch.start()
            end, due = self.watch.begin + seconds, self.watch.begin + fault_every_s
            for fault in cycle(SCENES.items()):
                due = max(due, time.monotonic())  # where the fault before took longer
                if due >= end:
                    break
                until(due, "the next fault")
                self._break(*fault)
                due += fault_every_s
            until(max(end, time.monotonic()), "the end")
        finally:
            self.stations.stop()
            self.watch.stop()

    def _break(self, name: str, scene: Any) -> None:
        self.stage.begin_scene()
        self.watch.breaking(name)
        scene(self.stage)
        silences = [self.newsroom.longest_silence(begin, end) for begin, end in self.stage.faults]
        self.watch.write({"broken": name, "silences_s": [round(s, 1) for s in silences], "notes": self.stage.notes})
        say(f"{(time.monotonic() - self.watch.begin) / 60:6.1f} min  {name:36} standings still for "
            f"{percentile(silences, 50):.1f} s, worst {max(silences):.1f} s of {len(silences)}")  # fmt: skip
        surprises = self.stage.surprises()
        assert not surprises, "\n".join(surprises[:20])
        for beside, process in self.beside.items():
            told = (self.directory / f"{beside}.said").read_text(errors="replace")
            assert process.poll() is None, f"{beside} ended with {process.returncode}:\n{told[-2000:]}"
        self.watch.mended()

    def differences(self) -> tuple[int, list[str]]:
        """How many records the log has, and a sentence for all that is not what it gives."""
        total = self._finished()
        found: list[str] = []
        log = save_log(self.settings, self.directory / "saved.jsonl")
        self._progress()
        replay, due = Replay(self.election, log.topic, log.partition_count), {"rejections": Sums(), "changes": Sums()}
        on_log = Sums()
        for record in log:
            on_log[record.partition, record.offset] = record.value or b""
            self.verification.take(record)
            verdict = replay.take(record)
            where = (self.election, log.topic, record.partition, record.offset, record.timestamp_ms)
            if verdict.change is not None:
                due["changes"][record.partition, record.offset] = encode_change(*where, verdict.change)
            if verdict.is_refusal:
                due["rejections"][record.partition, record.offset] = encode_rejection(*where, record.key, record.value, verdict)
        self.verification.finish()
        lost = self.promised.missing_in(on_log)
        found += [f"{len(lost)} acknowledged reports are not on the log: {lost[:5]}"] if lost else []
        found += [str(difference) for difference in self.verification.differences]
        newest = {key: value for key, (_, value) in self.newsroom.shown.items()}
        for message in replay.messages(0):
            key = f"{self.election.contests[0].id}|{message['area']}"
            if body_of(json.loads(newest[key.encode()])) != body_of(message):
                found.append(f"{key} is out of date")
        for topic, sums in due.items():
            published = asyncio.run(self._published(topic))
            differ = sums.missing_in(published) + published.missing_in(sums)
            found += [f"{len(differ)} {topic} are not what the log gives: {differ[:5]}"] if differ else []
        found += self.newsroom.other_bytes
        compare_verdicts(self.stage, replay, total)
        return total, found + self._copy(total)

    def _finished(self) -> int:
        """Everything that was sent is in the standings and committed; how much that is."""

        def ends() -> int | None:
            version = self.newsroom.advances[-1][1]
            return version if version == sum(committed(self.settings).values()) >= len(self.promised) else None

        return wait_for(ends, "standings and commits of all reports", SETTLE_SECONDS)

    async def _published(self, name: str) -> Sums:
        found = Sums()
        async with TopicReader(self.settings, f"{self.settings.prefix}.{name}") as reader:
            async for records in reader.read_to_end():
                for record in records:
                    assert record.key is not None
                    assert record.value is not None
                    partition, offset = record.key.decode().split("/")
                    found[int(partition), int(offset)] = record.value
        return found

    def _copy(self, total: int) -> list[str]:
        """The file of `dump --follow`, ended, against the standings as they stand."""
        assert terminated(self.beside.pop("dump")) == 0, (self.directory / "dump.said").read_text()
        words = ("verify", str(self.folder), str(self.dump), "--json")
        told = json.loads(run(*words, settings=self.settings, timeout=3600).stdout)
        return [] if (told["different"], told["records"]) == (0, total) else [f"against the copy of dump --follow: {told}"]

    def close(self) -> None:
        for worker in self.stage.workers.values():
            worker.close()
        for process in self.beside.values():
            terminated(process)
        self.newsroom.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rate", type=int, default=2_000, help="reports a second")
    parser.add_argument("--fault-minutes", type=float, default=10, help="from one fault to the next")
    parser.add_argument("--stations", type=int, default=5_000)
    parser.add_argument("--before", type=int, default=500_000, help="reports on the log before the clock starts")
    parser.add_argument("--every", type=float, default=10, help="seconds from one look to the next")
    parser.add_argument("--output", type=Path, default=Path("soak"), help="folder for soak.jsonl and what the processes said")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    seconds = options.minutes * 60
    options.output.mkdir(parents=True, exist_ok=True)
    say(f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, Apache Kafka 4.3.1, "
        f"three brokers on it; {options.rate:,}/s of {options.stations:,} stations for {options.minutes:g} minutes, "
        f"a fault every {options.fault_minutes:g}, seed {options.seed}")  # fmt: skip
    with ExitStack() as stack:
        kafka = stack.enter_context(KafkaThree(brokers=3))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        soak = Soak(kafka, scratch, options)
        stack.callback(_keep, scratch, options.output)
        stack.callback(soak.close)
        soak.start()
        soak.play(seconds, options.fault_minutes * 60)
        total, differences = soak.differences()
        worse = grown(soak.watch.samples, seconds, JUDGED)
        for line in table(soak.watch.samples, seconds, (*JUDGED, "broker 1")):
            say(line)
        say(f"{len(soak.promised):,} reports acknowledged, {total:,} on the log; {soak.verification.compared:,} standings compared; "
            f"{len(differences)} differences")  # fmt: skip
        for line in (*differences[:20], *worse):
            say(line)
        soak.watch.write({"end": True, "records": total, "compared": soak.verification.compared,
                          "differences": len(differences), "grown": worse})  # fmt: skip
    return 1 if differences or worse else 0


def _keep(scratch: Path, output: Path) -> None:
    """What the processes said, without the logs of reports."""
    for pattern in ("*.said", "*.log"):
        for path in scratch.glob(pattern):
            (output / path.name).write_bytes(path.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
