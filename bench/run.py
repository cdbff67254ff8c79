"""`make bench`: a generated night through one worker on local Kafka, beside a client that does nothing.

Both read the same topic from offset 0 in the same run, in turn, several rounds; the figures are medians and their
ratio. After each round of the worker its standings are compared, byte for byte, with what `replay` folds from the
same topic: a round that differs has no figure. Speed is judged nowhere by a test; `--require` makes the targets fail.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "deploy" / "kafka" / "local")]

from kafka_local import LocalKafka  # noqa: E402

from bench.load import Load, reports, write_definition  # noqa: E402
from tally_stream.domain.scalars import murmur2_partition  # noqa: E402
from tally_stream.kafka.client import TopicReader, connection, sender  # noqa: E402
from tally_stream.settings import Settings, load_settings  # noqa: E402
from tally_stream.wire.election_folder import load_election  # noqa: E402
from tests.nights.harness import WorkerProcess, check_against_replay, newest_standings, run, save_log  # noqa: E402

PARTITIONS = 4


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def fill(settings: Settings, load: Load) -> tuple[int, int]:
    """Send the load; (records, bytes of keys and values)."""
    records = size = 0
    topic = f"{settings.prefix}.reports"
    batches: dict[int, Any] = {}
    async with sender(settings) as producer:
        for key, value, time_ms in reports(load):
            partition = murmur2_partition(key, PARTITIONS)
            batch = batches.get(partition) or producer.create_batch()
            batches[partition] = batch
            if batch.append(key=key, value=value, timestamp=time_ms) is None:
                await producer.send_batch(batch, topic, partition=partition)
                batches[partition] = batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=time_ms)
            records += 1
            size += len(key) + len(value)
        for partition, batch in batches.items():
            await producer.send_batch(batch, topic, partition=partition)
        await producer.flush()
    return records, size


IDLE = """
import asyncio, sys, time, resource
from aiokafka import AIOKafkaConsumer, TopicPartition
async def main(bootstrap, topic, partitions, records):
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest",
                                enable_auto_commit=False, max_partition_fetch_bytes=1024 * 1024)
    await consumer.start()
    consumer.assign([TopicPartition(topic, p) for p in range(partitions)])
    begin, seen = time.perf_counter(), 0
    while seen < records:
        for found in (await consumer.getmany(timeout_ms=1000, max_records=16384)).values():
            seen += len(found)
    seconds = time.perf_counter() - begin
    await consumer.stop()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(seconds, usage.ru_utime + usage.ru_stime)
try:
    import uvloop
    run = uvloop.run
except ImportError:
    run = asyncio.run
run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
"""


def idle_round(settings: Settings, records: int) -> float:
    """Seconds that a consumer which does nothing needs for all records."""
    done = subprocess.run(
        [sys.executable, "-c", IDLE, settings.bootstrap, f"{settings.prefix}.reports", str(PARTITIONS), str(records)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout.split()[0])


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


async def version_on_topic(reader: TopicReader) -> int:
    """Highest root version among what has come since."""
    highest = -1
    for record in await reader.poll():
        if record.value is not None and record.key is not None and b"/" not in record.key:
            highest = max(highest, json.loads(record.value)["version"])
    return highest


async def wait_version(settings: Settings, version: int, limit_seconds: float) -> float:
    """`perf_counter` when the root of `version` was read from the topic."""
    async with TopicReader(settings, f"{settings.prefix}.standings") as reader:
        end = time.monotonic() + limit_seconds
        while time.monotonic() < end:
            if await version_on_topic(reader) >= version:
                return time.perf_counter()
    raise SystemExit(f"no standings at version {version} within {limit_seconds:.0f} s")


def worker_round(
    settings: Settings, folder: Path, records: int, directory: Path, name: str
) -> dict[str, float]:
    """One worker reads the whole topic with a group and output topics of its own, and publishes."""
    log = directory / f"{name}.log"
    worker = WorkerProcess(settings, str(folder), log, "--group", f"bench-{name}")
    try:
        worker.address()
        pid = worker.process.pid
        # Counting begins when the first records are in the fold: joining the group and loading are not throughput.
        while not sum(worker.next_offsets().values()):
            time.sleep(0.002)
        begin, cpu_begin = time.perf_counter(), cpu_seconds(pid)
        early = sum(worker.next_offsets().values())
        finished = asyncio.run(wait_version(settings, records, 600))
        seconds, cpu = finished - begin, cpu_seconds(pid) - cpu_begin
        rss = peak_rss_bytes(pid)
        worker.stop()
    finally:
        worker.close()
    counted = records - early
    return {"reports_per_s": counted / seconds, "cpu_s_per_million": cpu / counted * 1e6, "rss_bytes": rss}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stations", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--require", action="store_true", help="exit 1 below 0.30 of idle or above 1.5 kB a station")
    options = parser.parse_args()
    load = Load(options.stations)
    say(f"machine: {os.cpu_count()} cores, {platform.processor() or platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as scratch, LocalKafka(brokers=1, directory=Path(scratch) / "kafka") as kafka:
        directory = Path(scratch)
        folder = directory / "bench-night"
        write_definition(load, folder)
        settings = load_settings(bootstrap=kafka.bootstrap, prefix=f"b{uuid.uuid4().hex[:6]}", rehearsal=True)
        run("topics", "create", "--election", str(folder), "--partitions", str(PARTITIONS), "--replication", "1",
            "--create-time", settings=settings)  # fmt: skip
        records, size = asyncio.run(fill(settings, load))
        say(f"{records:,} reports of {size / records:.0f} bytes, {load.stations:,} stations, {PARTITIONS} partitions")
        election = load_election(folder)
        idle: list[float] = []
        ours: list[dict[str, float]] = []
        for number in range(options.rounds):
            idle.append(records / idle_round(settings, records))
            if number:
                renew_outputs(settings)
            ours.append(worker_round(settings, folder, records, directory, f"r{number}"))
            verdicts = compare(settings, election, directory)
            say(f"round {number + 1}: worker {ours[-1]['reports_per_s']:,.0f}/s, idle aiokafka {idle[-1]:,.0f}/s, "
                f"equal to replay, {verdicts}")  # fmt: skip
    result = {
        "records": records,
        "reports_per_s": round(statistics.median(r["reports_per_s"] for r in ours)),
        "idle_aiokafka_per_s": round(statistics.median(idle)),
        "vs_idle_aiokafka": round(
            statistics.median(r["reports_per_s"] / i for r, i in zip(ours, idle, strict=True)), 3
        ),
        "cpu_s_per_million": round(statistics.median(r["cpu_s_per_million"] for r in ours), 2),
        "peak_rss_mib": round(max(r["rss_bytes"] for r in ours) / 2**20),
        "rss_bytes_per_station": round(max(r["rss_bytes"] for r in ours) / load.stations),
        "cores": os.cpu_count(),
    }
    print(json.dumps(result))
    if options.require and (result["vs_idle_aiokafka"] < 0.30 or result["rss_bytes_per_station"] > 1500):
        raise SystemExit(1)


def renew_outputs(settings: Settings) -> None:
    """Delete and create every topic but the reports, so that each round publishes from nothing."""
    from aiokafka.admin import AIOKafkaAdminClient

    async def delete() -> None:
        admin = AIOKafkaAdminClient(**connection(settings))
        await admin.start()
        try:
            names = [f"{settings.prefix}.{n}" for n in ("partials", "standings", "rejections", "changes")]
            await admin.delete_topics(names)
            while set(names) & set(await admin.list_topics()):
                await asyncio.sleep(0.1)
        finally:
            await admin.close()

    asyncio.run(delete())
    run("topics", "create", "--election", "az-2024", "--partitions", str(PARTITIONS), "--replication", "1",
        "--create-time", settings=settings)  # fmt: skip


def compare(settings: Settings, election: Any, directory: Path) -> str:
    """Byte for byte with `replay`, and the verdicts add up; AssertionError where not."""
    log = save_log(settings, directory / "saved.jsonl")
    replay = check_against_replay(election, log, newest_standings(settings))
    counts = replay.verdict_counts()
    assert sum(v for k, v in counts.items() if k != "codes") == replay.record_count
    return ", ".join(f"{v:,} {k}" for k, v in counts.items() if k != "codes" and v)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
