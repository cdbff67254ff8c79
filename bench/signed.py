"""What signatures cost: the same night unsigned and signed by each station's own key, in turn.

    python -m bench.signed --stations 50000 --rounds 3

Each run counts the whole topic, with one worker and with two, its standings compared byte for byte with a replay, which
verifies every signature again. Of a run that is behind all the time *gaps* tell whether verifying holds up publication: from
one root on the topic to the next. Then both nights are replayed and verified by command, and the latency of a
worker that keeps up is measured at each rate. Beside it stands what verifying alone takes, on one thread and on a worker's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench.ground import Filled, ground
from bench.latency import SYSTEMS, percentile, run_latency
from bench.load import Load
from bench.process import NoFigure
from bench.product import AS_OFTEN_AS_STREAMS, ROOT_KEY, run_product
from bench.run import attempt
from tally_stream.cli.common import say
from tally_stream.domain.fold import PartitionFold
from tally_stream.wire.signing import verify_ahead
from tally_stream.wire.verifying import VerifyingThreads
from tests.support.processes import command, tied
from tests.support.topics import read_topic, save_log

ALONE_RECORDS = 4_096


def verifying(filled: Filled) -> dict[str, float]:
    """Signatures a second, without anything else: one thread, and a worker's threads."""
    values = [record.value for record in filled.saved()[:ALONE_RECORDS]]
    ring = PartitionFold(filled.election).keys
    begin = time.perf_counter()
    verify_ahead(values, ring)
    one = time.perf_counter() - begin
    with VerifyingThreads() as threads:
        threads.ahead({ring: values[:64]})
        begin = time.perf_counter()
        threads.ahead({ring: values})
        several = time.perf_counter() - begin
    return {"one_thread_per_s": len(values) / one, "threads_per_s": len(values) / several}


def gaps_ms(filled: Filled) -> list[float]:
    """From each root on the topic to the next one, milliseconds of its records' times, longest last."""
    times = [record.timestamp_ms for record in read_topic(filled.settings, "standings")[1] if record.key == ROOT_KEY]
    return sorted(float(later - earlier) for earlier, later in itertools.pairwise(times))


def commanded(filled: Filled) -> dict[str, float]:
    """CPU seconds of `replay` over the saved log, and of `verify` of what the last run published."""
    saved = filled.directory / "by-command.jsonl"
    save_log(filled.settings, saved)
    found: dict[str, float] = {}
    for name in ("replay", "verify"):
        words = command(name, str(filled.folder), str(saved), "--json")
        with subprocess.Popen(words, **tied(filled.settings), stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{name} of {filled.topic}: exit code {process.returncode}")
        found[f"{name}_cpu_s"] = round(usage.ru_utime + usage.ru_stime, 1)
    saved.unlink()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, action="append", help="latency: reports a second [500, 2000]")
    parser.add_argument("--seconds", type=float, default=30, help="latency: how long at each rate")
    options = parser.parse_args()
    found: dict[str, Any] = {"cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="tally-bench-") as scratch, ground(Path(scratch)) as on:
        loads = {word: on.fill(Load(options.stations, is_signed=word == "signed")) for word in ("unsigned", "signed")}
        say(f"{loads['signed'].records:,} reports of {options.stations:,} stations are on each topic")
        found["alone"] = verifying(loads["signed"])
        found["runs"] = _runs(loads, options.rounds)
        found["by command"] = {word: commanded(filled) for word, filled in loads.items()}
        say(f"by command: {found['by command']}")
        found["latency"] = []
        for number in range(options.rounds):
            for rate in options.rate or (500, 2_000):
                for word in loads:
                    # The first seconds are a warm-up for both.
                    figure = attempt(
                        partial(run_latency, on, SYSTEMS[0], rate, options.seconds, 10, is_signed=word == "signed")
                    )
                    found["latency"].append({"rate": rate, "is": word, **figure})
                    say(f"round {number + 1}, {word}, {rate:,}/s: {figure}")
    print(json.dumps(found))


def _runs(loads: dict[str, Filled], rounds: int) -> dict[str, dict[str, float]]:
    """Medians over the rounds."""
    runs: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        for word, filled in loads.items():
            for workers in (1, 2):
                name = f"{word}, {workers} worker{'s' if workers > 1 else ''}"
                try:
                    figure = run_product(filled, workers, *AS_OFTEN_AS_STREAMS)
                except NoFigure as reason:
                    raise SystemExit(f"{name}: {reason}") from reason
                gaps = gaps_ms(filled)
                row = {"reports_per_s": figure.reports_per_s, "cpu_s_per_million": figure.cpu_s_per_million, "gaps": len(gaps)}
                if gaps:  # else the run was over before the second publication
                    row |= {"gap_p50_ms": percentile(gaps, 50), "gap_p99_ms": percentile(gaps, 99), "gap_worst_ms": gaps[-1]}
                runs.setdefault(name, []).append(row)
                say(f"round {number + 1}, {name}: " + ", ".join(f"{key} {value:,.1f}" for key, value in row.items()))
    return {name: {key: median(row[key] for row in rows if key in row) for key in rows[0]} for name, rows in runs.items()}


if __name__ == "__main__":
    main()
