"""`make bench`: the product and what a user would pick instead, on one local Kafka, each measured alike.

Starts a broker, fills each load once, runs the competitors over it in turn, round after round; then latency and replay.
By default that is the night, two workers, Kafka Streams, an idle client and 2,000 reports/s; `--all` has every row.
Figures are medians, ratios are taken within rounds. After each run of the product its standings are compared, byte for
byte, with what `replay` folds from the same topic, and the totals of every competitor with a plain recount: a run that
differs has no figure. Speed is judged nowhere by a test; `--require` makes two targets fail. What was measured
is kept in a JSON file, part by part, from which `--write` fills a page's tables. Read `ground.py`, `process.py`,
`product.py`, `peers/`, `latency.py`, `replaying.py`, `wide.py`, `table.py`.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.ground import PARTITIONS, Filled, Ground, ground
from bench.latency import SYSTEMS, run_latency
from bench.load import Load
from bench.peers import PEERS, prepare, run_peer
from bench.process import Figure, NoFigure
from bench.product import AS_OFTEN_AS_STREAMS, run_product
from bench.replaying import run_rebalance, run_replay
from bench.restarting import run_restart
from bench.table import REFERENCE, median_of, ratio, refusal, show, write_page
from bench.wide import ballot_ways, measure_ways, wide_ways
from tally_stream.cli.common import say

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results" / "last.json"
PARTS = ("night", "churn", "latency", "replay", "restart", "rebalance", "wide", "ballot")
QUICK_PARTS = ("night", "latency", "replay")
QUICK = ("one worker", "two workers", "Kafka Streams, 2 threads, caching off", "idle aiokafka")
"""Of the rows of Kafka Streams the fastest on the night."""

RATES = (20, 500, 2_000, 5_000)
WARM_RATE, WARM_SECONDS = 2_000, 25
GROWTH_REPORTS = (100_000, 1_000_000, 5_000_000)
GROWTH_STATIONS = (10_000, 100_000, 500_000)


@dataclass(frozen=True, slots=True)
class Competitor:
    """`share`: of the load's stations."""

    name: str
    share: float
    run: Callable[[Filled], Figure]


def competitors(wanted: list[str]) -> list[Competitor]:
    """All, or those named, in the order of the tables."""
    found = [
        Competitor("one worker", 1.0, lambda filled: run_product(filled, 1, *AS_OFTEN_AS_STREAMS)),
        Competitor("two workers", 1.0, lambda filled: run_product(filled, 2, *AS_OFTEN_AS_STREAMS)),
        *(Competitor(peer.name, peer.share, partial(run_peer, peer)) for peer in PEERS),
    ]  # fmt: skip
    return [one for one in found if not wanted or one.name in wanted]


def attempt(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The figures, or the reason why there are none."""
    try:
        return run()
    except NoFigure as reason:
        return {"refused": str(reason).replace("\n", " ")[-400:]}


def measure_load(on: Ground, load: Load, chosen: list[Competitor], rounds: int, is_warm: bool) -> dict[str, Any]:
    """Every competitor in turn, `rounds` times; the part of a load. On a broker that has just started the first runs once
    more, before them, uncounted: it compiles its code, for up to half a core beside whoever runs first."""
    filled = {share: _filled(on, load, share) for share in {one.share for one in chosen}}
    if not is_warm:
        say(f"{load.kind}: the broker is warmed up")
        attempt(lambda: chosen[0].run(filled[chosen[0].share]).as_dict())
    whole = filled.get(1.0) or next(iter(filled.values()))
    rows: dict[str, Any] = {
        one.name: {"date": today(), "records": filled[one.share].records,
                   "stations": filled[one.share].load.stations, "runs": []}
        for one in chosen
    }  # fmt: skip
    for number in range(rounds):
        for one in chosen:
            found = attempt(lambda one=one: one.run(filled[one.share]).as_dict())  # type: ignore[misc]
            rows[one.name]["runs"].append(found)
            told = found.get("refused") or (
                f"{found['reports_per_s']:,.0f} reports/s, {found['cpu_s_per_million']:.1f} CPU s per million, "
                f"{found['rss_bytes'] / 2**20:,.0f} MiB"
            )
            say(f"{load.kind}, round {number + 1}, {one.name}: {told}")
    if REFERENCE in rows:
        for row in rows.values():
            row["one_worker_is"] = ratio(rows[REFERENCE], row)
    what = (
        f"{whole.records:,} reports of {whole.value_bytes / whole.records:.0f} bytes on average, "
        f"{whole.load.stations:,} stations, {PARTITIONS} partitions, {rounds} rounds, medians"
    )
    return {"what": what, "rows": rows}


def _filled(on: Ground, load: Load, share: float) -> Filled:
    stations = max(1, round(load.stations * share))
    filled = on.fill(Load(stations, load.kind, load.revisions))
    say(f"{load.kind}: {filled.records:,} reports of {stations:,} stations are on the topic")
    return filled


def measure_latency(
    on: Ground, rates: list[int], seconds: float, warm: float, wanted: list[str], is_warm: bool
) -> dict[str, Any]:
    if not is_warm:  # a broker is a JVM too: after its start p99 is twice what it is after half a minute of load
        say("latency: the broker is warmed up")
        attempt(lambda: run_latency(on, SYSTEMS[0], WARM_RATE, WARM_SECONDS, 1))
    cells = []
    for rate in rates:
        for system in SYSTEMS:
            if wanted and system.name not in wanted:
                continue
            found = attempt(lambda s=system, r=rate: run_latency(on, s, r, seconds, warm))  # type: ignore[misc]
            cells.append({"system": system.name, "rate": rate, "date": today(), **found})
            say(f"latency, {system.name}, {rate:,}/s: " + (found.get("refused") or
                f"p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms, worst {found['worst_ms']:.1f} ms"))  # fmt: skip
    what = f"open loop, {seconds:.0f} s each after {warm:.0f} s of warm-up, acknowledged to read"
    return {"what": what, "cells": cells}


def measure_replay(on: Ground, loads: list[Load]) -> dict[str, Any]:
    cells = []
    for load in loads:
        found = attempt(lambda load=load: run_replay(_filled(on, load, 1.0)))  # type: ignore[misc]
        cells.append({"date": today(), **found})
        say(f"replay: {found}")
    return {"what": "one worker, its group has committed everything", "cells": [c for c in cells if "refused" not in c]}


def measure_restart(on: Ground, load: Load) -> dict[str, Any]:
    found = attempt(lambda: run_restart(_filled(on, load, 1.0), kills=5))
    for name in ("cold", "restarted"):
        say(f"restart, {name}: {found.get(name) or found}")
    return {"what": "one supervised worker, its group has committed everything; medians of 3 cold starts and 5 kill -9",
            "cells": [] if "refused" in found else [{"date": today(), **found}]}  # fmt: skip


def measure_growth(on: Ground, chosen: list[Competitor]) -> dict[str, Any]:
    """Reports from 100 k to 5 M over 50,000 stations; stations from 10 k to 500 k with two reports each and a bit."""
    loads = [Load(50_000, "churn", revisions=n // 50_000) for n in GROWTH_REPORTS]
    loads += [Load(n, "night") for n in GROWTH_STATIONS]
    cells = []
    for load in loads:
        filled = _filled(on, load, 1.0)
        for one in chosen:
            found = attempt(lambda one=one, filled=filled: one.run(filled).as_dict())  # type: ignore[misc]
            head = {"name": one.name, "stations": load.stations, "records": filled.records, "date": today()}
            cells.append({**head, **found})
            say(f"growth: {cells[-1]}")
    return {"what": "one run each; reports over 50,000 stations (churn), then stations (night)", "cells": cells}


def today() -> str:
    return datetime.date.today().isoformat()


def machine() -> str:
    """Where this runs and on what, as a sentence of Markdown."""
    try:
        models = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")]  # fmt: skip
    except OSError:
        models = []
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    names = ("faust-streaming", "aiokafka", "msgspec")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return (
        f"{os.cpu_count()} cores ({models[0] if models else platform.machine()}), {memory:.0f} GiB, shared by broker, "
        f"competitor and reader; Linux {platform.release()}, Python {platform.python_version()}, Apache Kafka 4.3.1 "
        f"(one broker, 512 MiB heap), {versions}."
    )


def merge(results: dict[str, Any], name: str, part: dict[str, Any]) -> None:
    """Put a part's rows over the older ones of the same name; the others stay, with their date."""
    old = results["parts"].get(name, {})
    if "rows" in part and name in ("night", "churn"):
        rows = {**old.get("rows", {}), **part["rows"]}
        order = [one.name for one in competitors([])]
        part = {**part, "rows": {n: rows[n] for n in order if n in rows}}
    elif name == "latency":
        cells = {(c["rate"], c["system"]): c for c in [*old.get("cells", []), *part["cells"]]}
        places = [(rate, s.name) for rate in sorted({rate for rate, _ in cells}) for s in SYSTEMS]
        part = {**part, "cells": [cells[k] for k in places if k in cells]}
    results["parts"][name] = part


def summary(measured: dict[str, Any], is_quick: bool) -> dict[str, Any]:
    """The last line: what this run measured and nothing older; null where it has no figure."""
    rows = measured.get("night", {}).get("rows", {})
    ours = rows.get(REFERENCE)
    streams = {n: median_of(r, "reports_per_s") for n, r in rows.items() if n.startswith("Kafka Streams")}
    best = max((n for n, speed in streams.items() if speed), key=lambda n: streams[n] or 0, default=None)

    def ours_by(name: str | None) -> float | None:
        found = ratio(ours, rows[name]) if ours and name in rows else None
        return None if found is None else round(found, 3)

    two = ratio(rows["two workers"], ours) if ours and "two workers" in rows else None
    cells = {(c["rate"], c["system"]): c for c in measured.get("latency", {}).get("cells", [])}
    p99 = cells.get((2_000, SYSTEMS[0].name), {}).get("p99_ms")
    replays = measured.get("replay", {}).get("cells", [])
    has_figure = ours is not None and median_of(ours, "reports_per_s") is not None
    said: dict[str, Any] = {
        "vs_kafka_streams": ours_by(best),
        "vs_idle_aiokafka": ours_by("idle aiokafka"),
        "two_vs_one": None if two is None else round(two, 3),
        "cpu_s_per_million": round(median_of(ours, "cpu_s_per_million") or 0, 2) if has_figure else None,
        "p99_ms_2000": None if p99 is None else round(p99, 1),
        "replay_per_s": round(replays[0]["replay_per_s"]) if replays else None,
        "rss_bytes_per_station": _peak(ours) // ours["stations"] if has_figure else None,
    }
    if not is_quick:
        idle = rows.get("idle aiokafka")
        said |= {
            "records": ours["records"] if ours else None,
            "reports_per_s": round(median_of(ours, "reports_per_s") or 0) if has_figure else None,
            "idle_aiokafka_per_s": round(median_of(idle, "reports_per_s") or 0) if idle else None,
            "peak_rss_mib": round(_peak(ours) / 2**20) if has_figure else None,
            "cores": os.cpu_count(),
        }
    return said


def _peak(row: dict[str, Any]) -> int:
    return int(max(run["rss_bytes"] for run in row["runs"]))


def main() -> None:
    options = arguments()
    results: dict[str, Any] = json.loads(options.json.read_text()) if options.json.exists() else {"parts": {}}
    if options.write and not options.measure:
        say(f"{options.write}: {', '.join(write_page(options.write, results))}")
        return
    results["machine"] = machine()
    say(results["machine"])
    parts = options.part or (("growth",) if options.growth else PARTS if options.all else QUICK_PARTS)
    measured: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="tally-bench-") as scratch, ground(Path(scratch)) as on:
        for name in parts:
            measured[name] = measure(on, name, options, is_warm=bool(measured))
            merge(results, name, measured[name])
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(results, indent=1) + "\n")
    show({"parts": {name: results["parts"][name] for name in measured}}, Console(stderr=True, width=150))
    if options.write:
        write_page(options.write, results)
    said = summary(measured, options.quick)
    print(json.dumps(said))
    has_failed = any(refusal(row) for part in measured.values() for row in part.get("rows", {}).values())
    if options.require and (has_failed or said["vs_idle_aiokafka"] < 0.30 or said["rss_bytes_per_station"] > 1500):
        raise SystemExit(1)


def measure(on: Ground, name: str, options: argparse.Namespace, *, is_warm: bool) -> dict[str, Any]:
    quick, short = options.quick, not (options.all or options.part or options.growth)
    chosen = competitors(options.only or (list(QUICK) if short else []))
    rounds = options.rounds or (5 if short and not quick else 3)
    if name in ("night", "churn"):
        for folder in {peer.folder for peer in PEERS if any(one.name == peer.name for one in chosen)}:
            prepare(folder)
    night = Load(options.stations or (250_000 if quick else 500_000))
    match name:
        case "night":
            return measure_load(on, night, chosen, rounds, is_warm)
        case "churn":
            return measure_load(on, Load(options.stations or 50_000, "churn"), chosen, rounds, is_warm)
        case "latency":
            rates = options.rate or ([2_000] if short else list(RATES))
            wanted = options.only or ([SYSTEMS[0].name, SYSTEMS[2].name] if short else [])
            return measure_latency(on, rates, options.seconds or (15 if quick else 60), 5 if quick else 10, wanted, is_warm)
        case "replay":
            five = [] if short else [Load(night.stations, "churn", revisions=max(2, 5_000_000 // night.stations))]
            return measure_replay(on, [night, *five])
        case "restart":
            return measure_restart(on, night)
        case "wide":
            return measure_ways(on, name, wide_ways(options.stations or (100_000 if quick else 500_000)),
                                **_of_ways(options, rounds))  # fmt: skip
        case "ballot":
            return measure_ways(on, name, ballot_ways(options.stations or (50_000 if quick else 100_000)),
                                **_of_ways(options, rounds))  # fmt: skip
        case "rebalance":
            cells = [{"date": today(), **cell} for cell in run_rebalance(on)]
            return {"what": "2,000 reports/s, two workers at most", "cells": cells}
        case _:
            return measure_growth(on, competitors(options.only or [REFERENCE, "Kafka Streams, 2 threads"]))


def _of_ways(options: argparse.Namespace, rounds: int) -> dict[str, Any]:
    quick = options.quick
    return {
        "rounds": options.rounds or (1 if quick else rounds), "seconds": options.seconds or (10 if quick else 60),
        "warm": 5 if quick else 10, "date": today(), "attempt": attempt,
    }  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less than five minutes: the default on a smaller night")
    parser.add_argument("--all", action="store_true", help="every part, every row: more than an hour")
    parser.add_argument("--growth", action="store_true", help="how speed and memory grow with reports and stations")
    parser.add_argument("--part", action="append", choices=[*PARTS, "growth"], help="only this part; may be given again")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this row of a table; may be given again")
    parser.add_argument("--stations", type=int, help="[night and wide 500,000, ballot 100,000, churn 50,000]")
    parser.add_argument("--rounds", type=int, help="how often each competitor runs [5; with --quick, --all and --part 3]")
    parser.add_argument("--rate", type=int, action="append", help="latency: reports a second [20, 500, 2000, 5000]")
    parser.add_argument("--seconds", type=float, help="latency: how long at each rate [60]")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where figures are kept [bench/results/last.json]")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="fill the tables of PAGE; alone: from the kept figures")
    parser.add_argument("--require", action="store_true", help="exit 1 below 0.30 of idle or above 1.5 kB a station")
    found = parser.parse_args()
    found.measure = any(v for k, v in vars(found).items() if k not in ("json", "write", "rounds")) or not found.write
    names = {one.name for one in competitors([])} | {system.name for system in SYSTEMS}
    if unknown := sorted(set(found.only or []) - names):
        parser.error(f"no row is named {unknown[0]!r}; there are: {', '.join(sorted(names))}")
    return found


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
