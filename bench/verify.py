"""How long `verify` takes: a generated night counted live, so that thousands of versions stand on the topic.

The reports are sent at a pace while a worker publishes every 50 ms; then the command runs twice in a process of its own,
from the topic alone, and against a dump. Refuses to give a figure where anything differs.

    python -m bench.verify --stations 97000 --rate 2500
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from bench.load import Load, reports, write_definition
from deploy.kafka.local.cluster import LocalKafka
from tally_stream.domain.scalars import murmur2_partition
from tally_stream.kafka.client import sender
from tally_stream.settings import Settings, load_settings
from tests.support.processes import command, run, tied
from tests.support.topics import read_topic, wait_published
from tests.support.worker import WorkerProcess

PARTITIONS = 4
TICK_SECONDS = 0.02


async def send_at(settings: Settings, load: Load, rate: int) -> int:
    """All reports, `rate` a second; how many."""
    loop = asyncio.get_running_loop()
    begin, count = loop.time(), 0
    async with sender(settings) as producer:
        for key, value, time_ms in reports(load):
            partition = murmur2_partition(key, PARTITIONS)
            await producer.send(f"{settings.prefix}.reports", value, key=key, partition=partition, timestamp_ms=time_ms)
            count += 1
            ahead = count / rate - (loop.time() - begin)
            if ahead > TICK_SECONDS:
                await asyncio.sleep(ahead)
    return count


def measured(settings: Settings, *arguments: str) -> dict[str, float]:
    """A `verify` that must find no difference: seconds, peak memory in MiB, and what it counted."""
    begin = time.perf_counter()
    with subprocess.Popen(command("verify", *arguments, "--json"), **tied(settings), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begin
    assert process.returncode == 0, said
    return {"seconds": round(seconds, 1), "peak_rss_mib": usage.ru_maxrss // 1024, **json.loads(said)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stations", type=int, default=97_000)
    parser.add_argument("--rate", type=int, default=2_500)
    options = parser.parse_args()
    load = Load(options.stations)
    with tempfile.TemporaryDirectory() as scratch, LocalKafka(brokers=1, directory=Path(scratch) / "kafka") as kafka:
        folder = Path(scratch) / "bench-night"
        write_definition(load, folder)
        settings = load_settings(bootstrap=kafka.bootstrap, prefix=f"v{uuid.uuid4().hex[:6]}", rehearsal=True)
        run("topics", "create", "--election", str(folder), "--partitions", str(PARTITIONS), "--replication", "1",
            "--create-time", settings=settings)  # fmt: skip
        worker = WorkerProcess(settings, str(folder), Path(scratch) / "worker.log")
        try:
            worker.wait_ready()
            records = asyncio.run(send_at(settings, load, options.rate))
            wait_published(settings, records)
            worker.stop()
        finally:
            worker.close()
        roots = sum(1 for r in read_topic(settings, "standings")[1] if r.key == b"PRES|AZ")
        saved = str(Path(scratch) / "d.gz")
        run("dump", saved, settings=settings, timeout=300)
        print(json.dumps({
            "cores": os.cpu_count(), "roots": roots,
            "from the topic": measured(settings, str(folder)),
            "against a dump": measured(settings, str(folder), saved),
        }))  # fmt: skip


if __name__ == "__main__":
    main()
