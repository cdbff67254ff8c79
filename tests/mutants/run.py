"""Planted faults, each of which a named test or a named seed of the simulation must catch: `make mutants`, or those of some
rooms alone: `make mutants ARGS="domain stream"`.

Decides how a fault is tried; the faults stand in `in_<room>.py`. Each is planted alone in an interpreted copy of the project,
two copies at a time. Fails where the tests or the seeds are red without a fault, a fault does not apply (its text must stand exactly once), one survives, its
test did not run to a failed assertion, or a seed found nothing wrong in what it checks. Exit 0: every fault was caught.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.planted import Mutant
from tests.support.interpreted import without_compiled

COPIES = 2
TEST_SECONDS = 300
"""For those that are to catch one fault."""
ALL_TESTS_SECONDS = 3_600
"""For all of them, without a fault, one after the other."""
TESTS_FAILED = 1
"""pytest's exit code for it; 2 and above mean that it did not run as asked."""


ROOMS = sorted(path.stem.removeprefix("in_") for path in Path(__file__).parent.glob("in_*.py"))


def planted(rooms: Iterable[str] = ROOMS) -> list[Mutant]:
    """The faults of every `in_<room>.py` beside this file, one room after the other."""
    return [mutant for room in rooms for mutant in importlib.import_module(f"tests.mutants.in_{room}").MUTANTS]


MUTANTS = planted()


def pytest(copy: Path, *tests: str, seconds: float = TEST_SECONDS) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests], cwd=copy, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=seconds,
        # No bytecode: it is matched to its file by second and size, and a mutant is quicker than that.
        env={**os.environ, "PYTHONPATH": str(copy), "TALLY_TEST_INTERPRETED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return done.returncode, done.stdout


def simulation(copy: Path, seeds: Iterable[int], seconds: float = TEST_SECONDS) -> list[tuple[int, str]]:
    """(seed, what it found wrong) of those that failed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.run", "--json", "--stop", "--jobs", "1",
         "--chosen", *map(str, seeds)], cwd=copy, text=True, capture_output=True, check=False, timeout=seconds,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return [(seed, sentence) for seed, sentence in json.loads(done.stdout)["failures"]]


def play_seeds(copy: Path, mutant: Mutant) -> tuple[bool, str]:
    for seed, sentence in simulation(copy, mutant.seeds):
        if re.match("the simulation itself failed|a step of the simulation failed|hung", sentence):
            return False, f"DID NOT RUN: seed {seed}: {sentence[:200]}"
        return True, f"seed {seed}: {sentence.splitlines()[0][:70]}"
    return False, "SURVIVED"


def run_test(copy: Path, mutant: Mutant) -> tuple[bool, str]:
    caught = []
    for test in mutant.test.split():
        code, said = pytest(copy, test)
        failed = re.search(r"^FAILED (\S+)", said, re.MULTILINE)
        if code != TESTS_FAILED or not failed:
            return False, f"SURVIVED {test}" if code == 0 else f"DID NOT RUN: exit {code}\n{said[-2000:]}"
        caught.append(failed[1].split("/")[-1])
    return True, ", ".join(caught)


def try_mutant(copy: Path, mutant: Mutant) -> tuple[bool, str]:
    """Whether it was caught, and by what; else why not."""
    path = copy / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        return False, f"DOES NOT APPLY: its text stands {text.count(mutant.old)} times"
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return (play_seeds if mutant.seeds else run_test)(copy, mutant)
    except subprocess.TimeoutExpired:
        return False, f"DID NOT END in {TEST_SECONDS} s"
    finally:
        path.write_text(text, encoding="utf-8")


def main(rooms: list[str]) -> int:
    if unknown := sorted(set(rooms) - set(ROOMS)):
        print(f"no such room: {', '.join(unknown)}; there are {', '.join(ROOMS)}")
        return 2
    mutants = planted(rooms or ROOMS)
    copies: queue.Queue[Path] = queue.Queue()
    made = [Path(without_compiled()) for _ in range(COPIES)]
    try:
        with ThreadPoolExecutor(COPIES) as pool:
            named = sorted({test for m in mutants for test in m.test.split()})
            chosen = sorted({seed for m in mutants for seed in m.seeds})
            tests = pool.submit(pytest, made[0], *named, seconds=ALL_TESTS_SECONDS) if named else None
            seeds = pool.submit(simulation, made[1], chosen, ALL_TESTS_SECONDS) if chosen else None
            code, said = tests.result() if tests else (0, "")
            found = seeds.result() if seeds else []
        if code != 0 or found:
            print(f"the tests are red without a fault:\n{said[-4000:] if code else found}")
            return 1
        for copy in made:
            copies.put(copy)

        def one(mutant: Mutant) -> bool:
            copy, begin = copies.get(), time.monotonic()
            try:
                is_caught, by = try_mutant(copy, mutant)
            finally:
                copies.put(copy)
            print(f"{time.monotonic() - begin:5.1f} s  {mutant.name:46} {mutant.file:36} {by}", flush=True)
            return is_caught

        with ThreadPoolExecutor(COPIES) as pool:
            caught = list(pool.map(one, mutants))
    finally:
        for copy in made:
            shutil.rmtree(copy, ignore_errors=True)
    print(f"{sum(caught)} of {len(caught)} faults caught")
    return 0 if all(caught) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
