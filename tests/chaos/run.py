"""`make chaos`: real faults on a real three-broker Kafka, under load; a table of what they cost.

After each scene: no acknowledged report is lost, the newest standings equal `replay` of the log byte for byte, versions
rose under the reader's rule, the raw topic healed within 10 s, and the commits reached the end. Exits 1 on any of these,
and where the standings stood still for more than 30 s (p99 of all faults).
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import tempfile
import time
import uuid
from pathlib import Path

from bench.load import Load, write_definition
from tally_stream.settings import Settings
from tally_stream.wire.election_folder import load_election
from tests.broker.brokers import KafkaThree
from tests.chaos.load import HEAL_LIMIT_SECONDS, PARTITIONS, Newsroom, Stations
from tests.chaos.scenes import SCENES, Stage, committed, under_load
from tests.nights.harness import check_against_replay, one_a_key, read_topic, run, save_log, settings_for, wait_for

SILENCE_LIMIT_SECONDS = 30.0


def say(line: str) -> None:
    print(line, flush=True)


def percentile(values: list[float], percent: int) -> float:
    """The smallest value that `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def check(stage: Stage) -> str:
    """Everything that must hold when the load has stopped; AssertionError where it does not."""
    log = save_log(stage.settings, stage.directory / "saved.jsonl")
    ends: dict[int, int] = {}
    lost = dict(stage.stations.acknowledged)
    for record in log:
        ends[record.partition] = record.offset + 1
        promised = lost.pop((record.partition, record.offset), None)
        assert promised is None or promised == record.value, f"{record.partition}/{record.offset} has other bytes"
    assert not lost, f"{len(lost)} acknowledged reports are not on the log: {sorted(lost)[:5]}"
    total = sum(ends.values())

    def is_published() -> bool:
        return bool(stage.newsroom.advances) and stage.newsroom.advances[-1][1] == total

    wait_for(is_published, f"standings at version {total}", 120)
    wait_for(lambda: committed(stage) == total, f"commits at {total}", 60)
    newest = {key: value for key, (_, value) in stage.newsroom.shown.items()}
    replay = check_against_replay(load_election(stage.folder), log, newest)
    counts = replay.verdict_counts()
    assert sum(v for k, v in counts.items() if k != "codes") == total
    rejections = one_a_key(read_topic(stage.settings, "rejections")[1])
    assert len(rejections) == sum(counts[v] for v in ("rejected", "held", "stale", "conflicting"))
    assert not stage.newsroom.other_bytes, stage.newsroom.other_bytes[:5]
    wait_for(lambda: not stage.newsroom.stale, "the raw topic to heal", HEAL_LIMIT_SECONDS)
    assert stage.newsroom.longest_stale_seconds <= HEAL_LIMIT_SECONDS, stage.newsroom.longest_stale_seconds
    return f"{total:,} records equal to replay, {len(rejections):,} rejections"


def play(kafka: KafkaThree, directory: Path, *, reports: int, per_second: int, is_short: bool, only: str, seed: int) -> bool:
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
        for name, scene in SCENES.items():
            if only and only not in name:
                continue
            stage.faults.clear()
            stage.notes.clear()
            with under_load(stage):
                scene(stage)
            measured = [newsroom.longest_silence(begin, end) for begin, end in stage.faults]
            checked = check(stage)
            if measured:
                say(f"{name:36}{len(measured):6}" + "".join(f"{v:8.1f}" for v in (
                    percentile(measured, 50), percentile(measured, 99), max(measured))) + f"  {checked}"
                    + "".join(f"; {note}" for note in stage.notes))  # fmt: skip
            silences += measured
        for name in list(stage.workers):
            stage.end(name)
    finally:
        for worker in stage.workers.values():
            worker.close()
        newsroom.stop()
    say(f"{'all':36}{len(silences):6}" + "".join(f"{v:8.1f}" for v in (
        percentile(silences, 50), percentile(silences, 99), max(silences))))  # fmt: skip
    say(f"{len(stations.acknowledged):,} reports acknowledged, none lost; {stations.tried_again:,} sends tried again; "
        f"{newsroom.records:,} standings read, {newsroom.stale_count:,} older than the one before "
        f"(healed within {newsroom.longest_stale_seconds:.1f} s)")  # fmt: skip
    return percentile(silences, 99) <= SILENCE_LIMIT_SECONDS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=1_000_000, help="on the log before the first fault")
    parser.add_argument("--per-second", type=int, default=500)
    parser.add_argument("--short", action="store_true", help="one of each fault")
    parser.add_argument("--only", default="", help="scenes whose name holds this")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    say(f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        "Apache Kafka 4.3.1, three brokers on it")  # fmt: skip
    with KafkaThree(brokers=3) as kafka, tempfile.TemporaryDirectory() as scratch:
        is_in_time = play(
            kafka, Path(scratch), reports=options.reports, per_second=options.per_second, is_short=options.short,
            only=options.only, seed=options.seed,
        )  # fmt: skip
    if not is_in_time:
        say(f"p99 above {SILENCE_LIMIT_SECONDS:.0f} s")
    return 0 if is_in_time else 1


if __name__ == "__main__":
    sys.exit(main())
