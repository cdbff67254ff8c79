"""`make chaos`: real faults on a real three-broker Kafka, under load; a table of what they cost.

After each scene: no acknowledged report is lost, every standings message that was published meanwhile is what the log
gives at its offsets (the product's own `Verification`), the newest are those of the log's end, rejections and changes are
those that `replay` makes, byte for byte, the worker's own verdict counts are replay's, versions rose under the reader's
rule, the raw topic healed within 10 s, the commits reached the end, and no worker ended of anything but the fault. At the
end `tally-stream verify` over the topics as they stand. Exits 1 on any of these, and where the standings stood still for
more than 30 s (p99 of all faults that mend themselves), in a short round for more than 60 s; in CI (TALLY_CI) also where a
scene can't be played.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import platform
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bench.load import Load, write_definition
from tally_stream.audit.replay import Replay
from tally_stream.audit.verify import Verification
from tally_stream.domain.election import Election
from tally_stream.domain.rules import VERDICTS
from tally_stream.domain.standings import body_of
from tally_stream.kafka.client import TopicReader
from tally_stream.settings import Settings
from tally_stream.wire.changes import encode_change
from tally_stream.wire.folder.assembling import load_election
from tally_stream.wire.messages import encode_rejection, record_key
from tally_stream.wire.report_log import ReportLog
from tests.chaos import scenes
from tests.chaos.disks import KafkaThreeOnDisks, cut_the_power, fill_a_disk, slow_a_disk, turn_a_bit
from tests.chaos.load import HEAL_LIMIT_SECONDS, PARTITIONS, Newsroom, Stations
from tests.chaos.stage import Stage, under_load
from tests.chaos.wires import INSIDE, cut_one_way, enter, missing
from tests.support.processes import run, settings_for
from tests.support.topics import committed, save_log
from tests.support.waiting import wait_for

SILENCE_LIMIT_SECONDS = 30.0
SHORT_SILENCE_LIMIT_SECONDS = 60.0
"""For a short round: a dozen faults have no p99, and other tests run beside it."""

CUT_ONE_WAY = "cut a worker off, one way"
SCENES: dict[str, Callable[[Stage], None]] = {
    **scenes.SCENES,
    "cut the power of all brokers": cut_the_power,
    "turn a bit at a broker": turn_a_bit,
    "fill a broker's disk": fill_a_disk,
    "slow a broker's disk": slow_a_disk,
    CUT_ONE_WAY: cut_one_way,
}
"""A short round plays those of processes alone, unless another is named."""

MENDED_BY_HAND = {cut_the_power, turn_a_bit}
"""Standings stand still until somebody has done what the runbook says: that is measured, and has no limit."""


def say(line: str) -> None:
    print(line, flush=True)


def percentile(values: list[float], percent: int) -> float:
    """The smallest value that `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def check(stage: Stage) -> str:
    """Everything that must hold when the load has stopped; AssertionError where it does not."""
    log = save_log(stage.settings, stage.directory / "saved.jsonl")
    total = not_lost(stage, log)

    def is_published() -> bool:
        return bool(stage.newsroom.advances) and stage.newsroom.advances[-1][1] == total

    wait_for(is_published, f"standings at version {total}", 120)
    wait_for(lambda: sum(committed(stage.settings).values()) == total, f"commits at {total}", 60)
    due = Due(load_election(stage.folder), log, stage.newsroom)
    assert not due.differences, "\n".join(map(str, due.differences[:5]))
    due.compare_newest({key: value for key, (_, value) in stage.newsroom.shown.items()})
    for name, values in (("rejections", due.rejections), ("changes", due.changes)):
        found = published(stage.settings, name)
        differ = sorted(key for key in found.keys() | values.keys() if found.get(key) != values.get(key))
        assert not differ, f"{len(differ)} {name} are not what the log gives: {differ[:5]}"
    compare_verdicts(stage, due.replay, total)
    assert not stage.newsroom.other_bytes, stage.newsroom.other_bytes[:5]
    wait_for(lambda: not stage.newsroom.stale, "the raw topic to heal", HEAL_LIMIT_SECONDS)
    assert stage.newsroom.longest_stale_seconds <= HEAL_LIMIT_SECONDS, stage.newsroom.longest_stale_seconds
    surprises = stage.surprises()
    assert not surprises, "\n".join(surprises[:20])
    return (f"{total:,} records, {due.compared:,} standings, {len(due.rejections):,} rejections and "
            f"{len(due.changes):,} changes equal to replay")  # fmt: skip


def not_lost(stage: Stage, log: ReportLog) -> int:
    """Every acknowledged report stands where the broker said, with its bytes; how many records the log has."""
    lost, total = dict(stage.stations.acknowledged), 0
    for record in log:
        total += 1
        promised = lost.pop((record.partition, record.offset), None)
        assert promised is None or promised == record.value, f"{record.partition}/{record.offset} has other bytes"
    assert not lost, f"{len(lost)} acknowledged reports are not on the log: {sorted(lost)[:5]}"
    return total


class Due:
    """What the log gives: one pass over it, with every message that the newsroom has heard since the last."""

    def __init__(self, election: Election, log: ReportLog, newsroom: Newsroom) -> None:
        assert log.partition_count is not None
        verification = Verification(election, log.topic, log.partition_count)
        while newsroom.heard:
            verification.expect([newsroom.heard.popleft()])
        self.replay = Replay(election, log.topic, log.partition_count)
        """Below: key → digest of the value."""
        self.rejections: dict[bytes, bytes] = {}
        self.changes: dict[bytes, bytes] = {}
        for record in log:
            verification.take(record)
            verdict = self.replay.take(record)
            where = (election, log.topic, record.partition, record.offset, record.timestamp_ms)
            key = record_key(record.partition, record.offset)
            if verdict.change is not None:
                self.changes[key] = digest(encode_change(*where, verdict.change))
            if verdict.is_refusal:
                self.rejections[key] = digest(encode_rejection(*where, record.key, record.value, verdict))
        verification.finish()
        self.differences, self.compared = verification.differences, verification.compared
        assert self.changes, "no report of this night owes a change: there is nothing to compare"

    def compare_newest(self, newest: dict[bytes, bytes]) -> None:
        """Every area's newest message, but for its stamp, is that of the log's end: one not sent again has not changed."""
        for index, contest in enumerate(self.replay.election.contests):
            for message in self.replay.messages(index):
                key = f"{contest.id}|{message['area']}".encode()
                assert body_of(json.loads(newest.pop(key))) == body_of(message), f"{key.decode()} is out of date"
        assert not newest, f"standings of areas that there are not: {sorted(newest)[:5]}"


def digest(value: bytes) -> bytes:
    """Half a million changes are compared after each scene: their bytes would not fit beside three brokers."""
    return hashlib.blake2b(value, digest_size=16).digest()


def published(settings: Settings, name: str) -> dict[bytes, bytes]:
    """Key → digest of the value, over `<prefix>.<name>`; what was sent again has the same bytes."""
    found: dict[bytes, bytes] = {}

    async def read() -> None:
        async with TopicReader(settings, f"{settings.prefix}.{name}") as reader:
            async for records in reader.read_to_end():
                for record in records:
                    assert record.key is not None
                    assert record.value is not None
                    told = digest(record.value)
                    assert found.setdefault(record.key, told) == told, f"{name} {record.key.decode()} has two values"

    asyncio.run(read())
    return found


def compare_verdicts(stage: Stage, replay: Replay, total: int) -> None:
    """What the living workers say they did adds up to the log, and is what replay makes of it."""

    def told() -> Counter[str] | None:
        counts = sum((worker.verdicts() for worker in stage.workers.values()), Counter[str]())
        return counts if counts.pop("read", 0) == total else None

    counts = wait_for(told, f"workers that have read {total} records", 60)
    due = replay.verdict_counts()
    assert {verdict: counts[verdict] for verdict in VERDICTS} == {verdict: due[verdict] for verdict in VERDICTS}
    assert sum(counts.values()) == total


def play(
    kafka: KafkaThreeOnDisks, directory: Path, *, reports: int, per_second: int, is_short: bool, only: str, seed: int
) -> bool:
    load = Load(max(1_000, reports // 2))
    folder = directory / "night"
    write_definition(load, folder)
    settings: Settings = settings_for(kafka.bootstrap, f"c{uuid.uuid4().hex[:6]}")
    run("topics", "create", "--election", str(folder), "--partitions", str(PARTITIONS), "--replication", "3",
        "--create-time", settings=settings)  # fmt: skip
    stations, newsroom = Stations(settings, load, per_second), Newsroom(settings)
    stations.fill(reports)
    newsroom.start()
    stage = Stage(kafka, settings, folder, directory, stations, newsroom, is_short, random.Random(seed))
    silences: list[float] = []
    try:
        stage.start("one").wait_ready(120)
        say(f"{reports:,} reports on the log, {per_second:,}/s beside the faults, seed {seed}")
        say(f"{'fault':36}{'times':>6}{'p50':>8}{'p99':>8}{'worst':>8}  standings still, seconds")
        for name, scene in (scenes.SCENES if is_short and not only else SCENES).items():
            if only and only not in name:
                continue
            if name == CUT_ONE_WAY and INSIDE not in os.environ:
                say(f"{name:36}not played: {missing()}")
                continue
            stage.begin_scene()
            with under_load(stage):
                scene(stage)
            measured = [newsroom.longest_silence(begin, end) for begin, end in stage.faults]
            checked = check(stage)
            if measured:
                say(f"{name:36}{len(measured):6}" + "".join(f"{v:8.1f}" for v in (
                    percentile(measured, 50), percentile(measured, 99), max(measured))) + f"  {checked}"
                    + "".join(f"; {note}" for note in stage.notes))  # fmt: skip
            silences += [] if scene in MENDED_BY_HAND else measured
        for name in list(stage.workers):
            stage.end(name)
        verified = run("verify", str(folder), settings=settings, timeout=600).stdout.strip()
    finally:
        for worker in stage.workers.values():
            worker.close()
        newsroom.stop()
    if silences:
        say(f"{'all that mend themselves':36}{len(silences):6}" + "".join(f"{v:8.1f}" for v in (
            percentile(silences, 50), percentile(silences, 99), max(silences))))  # fmt: skip
    say(f"{len(stations.acknowledged):,} reports acknowledged, none lost; {stations.tried_again:,} sends tried again; "
        f"{newsroom.records:,} standings read, {newsroom.stale_count:,} older than the one before "
        f"(healed within {newsroom.longest_stale_seconds:.1f} s)")  # fmt: skip
    say(f"tally-stream verify: {verified}")
    limit = SHORT_SILENCE_LIMIT_SECONDS if is_short else SILENCE_LIMIT_SECONDS
    is_in_time = not silences or percentile(silences, 99) <= limit
    if not is_in_time:
        say(f"p99 above {limit:.0f} s")
    return is_in_time


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=1_000_000, help="on the log before the first fault")
    parser.add_argument("--per-second", type=int, default=500)
    parser.add_argument("--short", action="store_true", help="one of each fault")
    parser.add_argument("--only", default="", help="scenes whose name holds this")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    if options.only in CUT_ONE_WAY and (options.only or not options.short):
        if missing() and os.environ.get("TALLY_CI"):
            say(f"{CUT_ONE_WAY}: cannot be played: {missing()}")
            return 1
        enter()
    say(f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        "Apache Kafka 4.3.1, three brokers on it")  # fmt: skip
    with KafkaThreeOnDisks(brokers=3) as kafka, tempfile.TemporaryDirectory() as scratch:
        is_in_time = play(
            kafka, Path(scratch), reports=options.reports, per_second=options.per_second, is_short=options.short,
            only=options.only, seed=options.seed,
        )  # fmt: skip
    return 0 if is_in_time else 1


if __name__ == "__main__":
    sys.exit(main())
