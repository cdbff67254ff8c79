"""What `flush.messages=1` costs: report due to acknowledged, and the brokers' CPU, with it and without, in turns.

    python -m bench.flushing --rates 500,5000 --rounds 4 --seconds 20

Three brokers on this machine's one disk, `acks=all`, an open-loop sender (`open_loop.py`) that sends on a schedule whatever
comes back. Each round is a pair, in turned order, on topics made for it; a figure is the median of its rounds. The first
seconds are a warm-up. Beside it stands what one fdatasync of 4 KiB takes here, for whoever has another disk.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from statistics import median
from typing import NamedTuple

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from bench.ground import PARTITIONS
from bench.load import Load, write_definition
from deploy.kafka.local.cluster import LocalKafka
from tally_stream.kafka.topics import KAFKA_NEVER, Topics, wanted_configs
from tests.support.processes import cpu_seconds, run, settings_for
from tests.support.topics import administer

REPOSITORY = Path(__file__).parent.parent
STATIONS = 10_000
WARM_UP_SECONDS = 5.0


class Round(NamedTuple):
    p50_ms: float
    p99_ms: float
    cpu_s_per_1000: float
    """Of the three brokers, for a thousand reports."""


def one(kafka: LocalKafka, folder: Path, rate: int, seconds: float, *, is_flushed: bool) -> Round:
    settings = settings_for(kafka.bootstrap, f"f{uuid.uuid4().hex[:8]}")
    run("topics", "create", "--election", str(folder), "--partitions", str(PARTITIONS), "--create-time", settings=settings)
    topic = Topics(settings.prefix).reports
    wanted = wanted_configs(Topics(settings.prefix), is_log_append=False, min_insync=2)[topic]
    wanted["flush.messages"] = "1" if is_flushed else KAFKA_NEVER
    administer(settings, lambda admin: admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)]))
    path = folder / "sent.json"
    words = ["send", kafka.bootstrap, topic, str(rate), str(seconds + WARM_UP_SECONDS), str(STATIONS), "plain", str(path)]
    before = _cpu(kafka)
    done = subprocess.run([sys.executable, "-m", "bench.open_loop", *words], input="go\n", cwd=REPOSITORY, text=True,
                          capture_output=True, check=False)  # fmt: skip
    used = _cpu(kafka) - before
    assert done.returncode == 0, done.stderr
    sent = json.loads(path.read_text())
    begin = sent[0][0] + WARM_UP_SECONDS
    waits = sorted((acknowledged - due) * 1000 for due, _, acknowledged, *_ in sent if due >= begin)
    return Round(median(waits), waits[int(len(waits) * 0.99)], used / len(sent) * 1000)


def _cpu(kafka: LocalKafka) -> float:
    return sum(cpu_seconds(node.pid) for node in kafka.nodes if node.pid is not None)


def disk_ms(folder: Path) -> float:
    """The median of 200 fdatasyncs, each of 4 KiB more at the end of a file."""
    took = []
    with (folder / "synced").open("wb", 0) as file:
        for _ in range(200):
            file.write(bytes(4096))
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - begin) * 1000)
    return median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", default="500,5000", help="reports a second")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, LocalKafka(brokers=3) as kafka:
        folder = Path(scratch)
        write_definition(Load(STATIONS), folder)
        print(
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; an fdatasync of 4 KiB: {disk_ms(folder):.2f} ms",
            flush=True,
        )
        one(kafka, folder, 500, 5, is_flushed=True)  # the brokers' code is compiled by then
        print(
            "| reports/s | flush.messages | p50 ms | p99 ms | brokers' CPU s per 1,000 reports |\n|---|---|---|---|---|",
            flush=True,
        )
        for rate in map(int, options.rates.split(",")):
            found: dict[bool, list[Round]] = {True: [], False: []}
            for number in range(options.rounds):
                for is_flushed in (True, False) if number % 2 else (False, True):
                    found[is_flushed].append(one(kafka, folder, rate, options.seconds, is_flushed=is_flushed))
            for is_flushed, name in ((False, "Kafka's default"), (True, "1")):
                p50, p99, cpu = (median(values) for values in zip(*found[is_flushed], strict=True))
                print(f"| {rate:,} | {name} | {p50:.1f} | {p99:.1f} | {cpu:.3f} |", flush=True)


if __name__ == "__main__":
    main()
