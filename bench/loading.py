"""What a worker waits for before its first record: the election folder, each partition's stations, a fold's entries.

    python -m bench.loading --stations 500000

Each figure is taken in a process of its own, in which nothing was loaded before; what a step needs is made before its
clock begins. The steps run in turn, round after round; printed are the best and the median, in seconds, and the CPU
seconds of the best, which differ from it where something else was running.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.load import Load, write_definition
from tally_stream.domain.fold import PartitionFold, stations_by_partition
from tally_stream.wire.folder.assembling import load_election

PARTITIONS = (1, 4, 256)


def steps(directory: Path) -> dict[str, Callable[[], tuple[float, float]]]:
    """Name → what measures it: (seconds, CPU seconds)."""
    plain, packed = directory / "plain", directory / "packed"
    found = {
        "load, stations.csv": lambda: timed(lambda: load_election(plain)),
        "load, stations.csv.gz": lambda: timed(lambda: load_election(packed)),
    }
    for count in PARTITIONS:
        found[f"stations of {count} partitions"] = partial(layout_seconds, plain, count)
    for count in PARTITIONS:
        found[f"folds of {count} partitions"] = partial(folds_seconds, plain, count)
    return found


def layout_seconds(folder: Path, count: int) -> tuple[float, float]:
    election = load_election(folder)
    return timed(lambda: stations_by_partition(election, count))


def folds_seconds(folder: Path, count: int) -> tuple[float, float]:
    election = load_election(folder)
    layout = stations_by_partition(election, count)
    return timed(lambda: [PartitionFold(election, partition, count, here) for partition, here in enumerate(layout)])


def timed(step: Callable[[], object]) -> tuple[float, float]:
    begin, cpu = time.perf_counter(), time.process_time()
    made = step()
    seconds = time.perf_counter() - begin, time.process_time() - cpu
    del made  # not before the clock has stopped: half a million objects take a while to go
    return seconds


def in_a_process(directory: Path, name: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "bench.loading", "--directory", str(directory), "--step", name]
    seconds, cpu = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return seconds, cpu


def make_folders(stations: int, directory: Path) -> None:
    for name in ("plain", "packed"):
        write_definition(Load(stations), directory / name)
    table = directory / "packed" / "stations.csv"
    table.with_name("stations.csv.gz").write_bytes(gzip.compress(table.read_bytes()))
    table.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(steps(options.directory)[options.step]()))
        return
    with tempfile.TemporaryDirectory(prefix="tally-bench-") as scratch:
        directory = Path(scratch)
        make_folders(options.stations, directory)
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in steps(directory)}
        for _ in range(options.rounds):
            for name, found in runs.items():
                found.append(in_a_process(directory, name))
    print(f"{options.stations:,} stations, {options.rounds} rounds, seconds")
    for name, found in runs.items():
        (best, cpu), median = min(found), statistics.median(seconds for seconds, _ in found)
        print(f"{name:30} best {best:6.3f} (CPU {cpu:6.3f})   median {median:6.3f}")


if __name__ == "__main__":
    main()
