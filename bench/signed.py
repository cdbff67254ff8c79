"""What signatures cost: the same night unsigned and signed by each station's own key, one worker and two, in turn.

    python -m bench.signed --stations 50000 --rounds 3

Each run counts the whole topic, its standings compared byte for byte with a replay, which verifies every signature again.
Beside it stands what verifying alone takes here, on one thread and on as many as a worker has.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.ground import Filled, ground
from bench.load import Load
from bench.process import NoFigure
from bench.product import AS_OFTEN_AS_STREAMS, run_product
from tally_stream.cli.common import say
from tally_stream.domain.fold import PartitionFold
from tally_stream.wire.signing import verify_ahead
from tally_stream.wire.verifying import VerifyingThreads

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, Any] = {"cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="tally-bench-") as scratch, ground(Path(scratch)) as on:
        loads = {is_signed: on.fill(Load(options.stations, is_signed=is_signed)) for is_signed in (False, True)}
        say(f"{loads[True].records:,} reports of {options.stations:,} stations are on each topic")
        found["alone"] = verifying(loads[True])
        runs: dict[str, list[float]] = {}
        for number in range(options.rounds):
            for is_signed, filled in loads.items():
                for workers in (1, 2):
                    name = f"{'signed' if is_signed else 'unsigned'}, {workers} worker{'s' if workers > 1 else ''}"
                    try:
                        figure = run_product(filled, workers, *AS_OFTEN_AS_STREAMS)
                    except NoFigure as reason:
                        raise SystemExit(f"{name}: {reason}") from reason
                    runs.setdefault(name, []).append(figure.reports_per_s)
                    told = f"{figure.reports_per_s:,.0f} reports/s, {figure.cpu_s_per_million:.1f} CPU s per million"
                    say(f"round {number + 1}, {name}: {told}")
        found["reports_per_s"] = {name: round(median(each)) for name, each in runs.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
