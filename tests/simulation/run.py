"""Play seeds: `python -m tests.simulation.run --seeds 200`, or one of them told in full with `--seed 17`.

Each seed has a process of its own, forked from one that has imported everything, so that nothing of another seed can
decide anything in it; string hashes are fixed for the same reason. Ends with 1 where a seed failed, or where a round of
100 or more saw some kind of fault fewer than 20 times; prints what was checked, and each failing seed with its story.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if os.environ.get("PYTHONHASHSEED") != "0":
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, sys.orig_argv)

from tests.simulation import clock

clock.install()  # before anything that reads a clock is imported

import argparse  # noqa: E402
import gc  # noqa: E402
import json  # noqa: E402
import pickle  # noqa: E402
import selectors  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Iterable, Iterator  # noqa: E402

from tests.simulation.faults import KINDS  # noqa: E402
from tests.simulation.replaced import REPLACED  # noqa: E402
from tests.simulation.world import Failed, Result, play  # noqa: E402

ROUND_SEEDS = 100
FAULTS_MIN = 20
"""How often each kind of fault must have come in a round of ROUND_SEEDS or more."""

SEED_SECONDS = 180
"""A seed that takes longer hangs: more than a hundred times what one takes on a machine that does nothing else."""

STORY_LINES = 60


def _child(seed: int, is_traced: bool, pipe: int) -> None:
    """Play one seed and write its result, or what it failed of."""
    gc.disable()
    try:
        found: Result | tuple[int, str, list[str]] = play(seed, is_traced=is_traced)
    except Failed as failed:
        found = (seed, str(failed), failed.trace)
    except BaseException as error:
        found = (seed, f"the simulation itself failed: {error!r}", [])
    with os.fdopen(pipe, "wb") as out:
        pickle.dump(found, out)
    os._exit(0)


def results(seeds: Iterable[int], jobs: int, *, is_traced: bool = False) -> Iterator[Result | tuple[int, str, list[str]]]:
    """What came of each seed, in the order they end."""
    waiting = iter(seeds)
    selector = selectors.DefaultSelector()
    running: dict[int, tuple[int, int, list[bytes], float]] = {}

    def start() -> None:
        seed = next(waiting, None)
        if seed is None:
            return
        sys.stdout.flush()
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            _child(seed, is_traced, write)
        os.close(write)
        selector.register(read, selectors.EVENT_READ)
        running[read] = (pid, seed, [], clock.real_monotonic())

    for _ in range(jobs):
        start()
    while running:
        for ready, _ in selector.select(timeout=1.0):
            pid, seed, parts, _ = running[ready.fd]
            part = os.read(ready.fd, 1 << 20)
            if part:
                parts.append(part)
                continue
            selector.unregister(ready.fd)
            os.close(ready.fd)
            os.waitpid(pid, 0)
            del running[ready.fd]
            start()
            yield pickle.loads(b"".join(parts)) if parts else (seed, "hung, or its process died", [])
        for pid, _, _, since in list(running.values()):
            if clock.real_monotonic() - since > SEED_SECONDS:
                os.kill(pid, 9)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=ROUND_SEEDS, help="how many seeds, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="this one alone, told step by step")
    parser.add_argument("--chosen", type=int, nargs="+", help="these seeds")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--committed", action="store_true", help="the seeds of seeds.txt, which once failed")
    parser.add_argument("--stop", action="store_true", help="end at the first seed that fails")
    parser.add_argument("--classes", action="store_true", help="what a simulated worker is made of, and what is replaced")
    parser.add_argument("--json", action="store_true", help="print one JSON object for a program")
    given = parser.parse_args()
    if given.seed is not None:
        return _tell(given.seed)
    if given.classes:
        return _classes()
    seeds = given.chosen or (_committed() if given.committed else list(range(given.first, given.first + given.seeds)))
    begin = clock.real_monotonic()
    totals, faults, exits = Counter[str](), Counter[str](), Counter[str]()
    failures: list[tuple[int, str]] = []
    digests = {}
    played = 0
    for found in results(seeds, given.jobs):
        played += 1
        if isinstance(found, tuple):
            failures.append(found[:2])
            print(f"seed {found[0]} failed: {found[1]}", file=sys.stderr, flush=True)
            if given.stop:
                break
            continue
        faults += found.faults
        totals += found.counts
        exits += found.exits
        totals["reports"] += found.reports
        digests[found.seed] = found.digest
    minutes = (clock.real_monotonic() - begin) / 60
    rare = {kind: faults[kind] for kind in KINDS if faults[kind] < FAULTS_MIN} if played >= ROUND_SEEDS else {}
    if given.json:
        print(json.dumps({"failures": failures, "faults": faults, "counts": totals, "exits": exits, "rare": rare,
                          "minutes": minutes, "digests": digests, "played": played}))  # fmt: skip
    else:
        _print(played, failures, faults, totals, exits, rare, minutes)
    if failures and not given.json:
        _tell(failures[0][0])
    return 1 if failures or rare else 0


def _print(
    seeds: int, failures: list[tuple[int, str]], faults: Counter[str], totals: Counter[str], exits: Counter[str],
    rare: dict[str, int], minutes: float,
) -> None:  # fmt: skip
    print(f"{seeds} seeds in {minutes * 60:.0f} s, {len(failures)} failed")
    print(f"reports in the logs      {totals['reports']:>12,}")
    for name in sorted(n for n in totals if n not in ("reports", "reports checked")):
        print(f"{name:<24} {totals[name]:>12,}")
    print(f"reports checked          {totals['reports checked']:>12,}   each report under each message of standings")
    print(f"reports checked a minute {totals['reports checked'] / minutes:>12,.0f}")
    print("faults")
    for name, count in sorted(faults.items(), key=lambda item: -item[1]):
        print(f"  {name:<24} {count:>10,}")
    print("workers ended")
    for name, count in sorted(exits.items(), key=lambda item: -item[1]):
        print(f"  {count:>6,}  {name}")
    for kind, count in rare.items():
        print(f"only {count} of the fault {kind!r}, at least {FAULTS_MIN} are wanted")


def _committed() -> list[int]:
    lines = (Path(__file__).parent / "seeds.txt").read_text(encoding="utf-8").splitlines()
    return [int(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")]


def _classes() -> int:
    """Seed 0, until one of its workers owns the standings: what is it made of?"""
    found = next(iter(results([0], 1)))
    if isinstance(found, tuple):
        print(found[1])
        return 1
    print(json.dumps({"production": found.parts, "replaced": REPLACED}, indent=1))
    return 0


def _tell(seed: int) -> int:
    for found in results([seed], 1, is_traced=True):
        if isinstance(found, tuple):
            print("\n".join(found[2]))
            print(f"seed {seed} failed: {found[1]}\nagain: python -m tests.simulation.run --seed {seed}")
            return 1
        print("\n".join(found.trace))
        print(f"seed {seed}: nothing wrong; {dict(found.counts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
