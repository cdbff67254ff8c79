"""What many areas and many contests cost: a wide night and a long ballot beside the night, on one broker, in one call.

Decides what stands beside what. *Wide*: 500,000 stations in 5,570 municipalities of 27 states, and the same ballots in 125
areas: the areas alone differ. *Ballot*: 100,000 stations of which each has three of 1,222 contests, and the night of three
times as many stations: as many reports, and as many entries in the ledger. A round runs all of them, for speed and then for
latency; a ratio is taken within rounds. Then the time in which another worker takes over what stood on the topics. Refuses to
know how a run is measured; see `product.py`, `latency.py`, `takeover.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from bench.ground import Filled, Ground
from bench.latency import SYSTEMS, run_latency
from bench.load import Load
from bench.product import AS_OFTEN_AS_STREAMS, run_product
from bench.table import ratio
from bench.takeover import run_takeover
from tally_stream.cli.common import say
from tests.support.topics import read_topic
from tests.support.worker import WorkerProcess

RATE = 2_000
STAGE_TWO_SECONDS = "tally_stage_two_seconds_total"


@dataclass(frozen=True, slots=True)
class Way:
    """A row: a load, and the row that it is compared with."""

    name: str
    load: Load
    against: str = ""


def wide_ways(stations: int) -> list[Way]:
    return [
        Way("the night: 125 areas, 7 candidates", Load(stations)),
        Way("125 areas, 11 candidates", Load(stations, layout="narrow")),
        Way("5,570 municipalities in 27 states, 11 candidates", Load(stations, layout="wide"), "125 areas, 11 candidates"),
    ]


def ballot_ways(stations: int) -> list[Way]:
    night = "the night: one contest, three times the stations"
    return [Way(night, Load(3 * stations)), Way("three of 1,222 contests", Load(stations, layout="ballot"), night)]


def run_way(filled: Filled) -> dict[str, float]:
    """One worker over the whole topic; its figure, stage 2's share of its processor time, and what it sent."""
    worked: list[float] = []

    def look(workers: list[WorkerProcess]) -> None:
        worked.extend(stage_two_seconds(worker.get("/metrics")[1]) for worker in workers)

    figure = run_product(filled, 1, *AS_OFTEN_AS_STREAMS, look=look)
    cpu = figure.cpu_s_per_million * filled.records / 1e6
    return {**figure.as_dict(), "stage_two_share": sum(worked) / cpu, **sent_bytes(filled)}


def stage_two_seconds(metrics: str) -> float:
    """How long stage 2 has worked, of a worker's metrics."""
    (found,) = (line.split(" ")[1] for line in metrics.splitlines() if line.startswith(f"{STAGE_TWO_SECONDS} "))
    return float(found)


def sent_bytes(filled: Filled) -> dict[str, float]:
    """Bytes of keys and values: of a flush, pages and mark, on average; of all standings, a report."""
    _, partials = read_topic(filled.settings, "partials")
    marks = sum(1 for record in partials if (record.key or b"").startswith(b"|"))
    _, standings = read_topic(filled.settings, "standings")
    return {
        "flush_bytes": _size(partials) / max(1, marks),
        "flushes": marks,
        "standings_bytes_a_report": _size(standings) / filled.records,
    }


def _size(records: list[Any]) -> int:
    return sum(len(record.key or b"") + len(record.value or b"") for record in records)


def measure_ways(
    on: Ground, name: str, ways: list[Way], rounds: int, *, seconds: float, warm: float, date: str,
    attempt: Callable[[Callable[[], dict[str, Any]]], dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Every way in turn, round after round, then latency and take-over of each layout."""
    filled = {way.name: _filled(on, name, way.load) for way in ways}
    say(f"{name}: the broker is warmed up")
    attempt(partial(run_way, filled[ways[0].name]))
    rows: dict[str, Any] = {
        way.name: {"date": date, "records": filled[way.name].records, "stations": way.load.stations, "runs": []} for way in ways
    }
    for number in range(rounds):
        for way in ways:
            found = attempt(partial(run_way, filled[way.name]))
            rows[way.name]["runs"].append(found)
            say(f"{name}, round {number + 1}, {way.name}: {found}")
    for number in range(rounds):
        for way in ways:
            late = attempt(partial(run_latency, on, SYSTEMS[0], RATE, seconds, warm, way.load.layout))
            rows[way.name].setdefault("latencies", []).append(late)
            say(f"{name}, round {number + 1}, {way.name}: latency {late}")
    for way in ways:
        rows[way.name]["latency"] = medians(rows[way.name]["latencies"])
        rows[way.name]["takeover"] = attempt(partial(run_takeover, filled[way.name]))
        say(f"{name}, {way.name}: take-over {rows[way.name]['takeover']}")
    for way in ways:
        if way.against:
            rows[way.name] |= compared(rows[way.name], rows[way.against])
    reports = " and ".join(sorted({f"{row['records']:,}" for row in rows.values()}))
    return {"what": f"{reports} reports, {rounds} rounds, medians; latency {seconds:.0f} s at {RATE:,}/s in each", "rows": rows}


def compared(row: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """How a row's speed and p99 relate to another's: median of the ratios within rounds, None where either has no figure."""
    ours, theirs = ({"runs": one["latencies"]} for one in (row, other))
    return {"speed_is": ratio(row, other), "p99_is": ratio(ours, theirs, "p99_ms")}


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each figure; one run without figures takes them from all."""
    refused = [run for run in runs if "refused" in run]
    return refused[0] if refused else {name: median(run[name] for run in runs) for name in runs[0]}


def _filled(on: Ground, name: str, load: Load) -> Filled:
    filled = on.fill(load)
    say(f"{name}: {filled.records:,} reports of {load.stations:,} stations are on the topic ({load.layout})")
    return filled
