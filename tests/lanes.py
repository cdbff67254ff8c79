"""`make test`: every test folder in a lane, four lanes at a time; `make gate`: those and `make check`.

Decides which folders run in one pytest, in which order lanes begin, and when the whole fails: a lane that fails, a folder
with tests that no lane names, and in CI (TALLY_CI=1) a lane that skips a test. Refuses to know what a test needs: each lane
starts its own brokers when its tests first ask, but for one node of Kafka, which all lanes that need one share: a node that
does nothing uses a sixth of a core. Tests on Kafka wait more than they compute, so four lanes keep two cores busy; what a
lane said is shown when it is through, and nothing may depend on being alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tally_stream.cli.lifeline import Lifeline
from tests.support.brokers import shared_kafka
from tests.support.interpreted import without_compiled

ROOT = Path(__file__).parent.parent
LIFELINE = Lifeline()
AT_ONCE = 4
COVERED = ("--cov",)
FEWER_EXAMPLES_ONE_IN = 5
"""The interpreted lane tries fewer of the examples that the compiled one tries, and need not reach all that those reach."""
FEWER = ("--deselect", "tests/domain/test_same_bytes.py::test_the_random_nights_reach_every_kind_of_record")


@dataclass(frozen=True, slots=True)
class Lane:
    """Folders (or files) that one pytest runs; or, without any, a command of make."""

    name: str
    paths: tuple[str, ...] = ()
    is_interpreted: bool = False
    """In a copy where nothing is compiled: the files themselves, as they run where there is no C compiler. Only there can
    coverage be measured."""
    flags: tuple[str, ...] = ()
    shares_kafka: bool = False
    """Its tests ask for `kafka_one`."""


# The longest first: a long one that begins last has the machine to itself at the end.
LANES = (
    Lane(
        "nights on Kafka: stopped, kept, put back, hostile",
        tuple(
            f"tests/nights/test_{what}_on_kafka.py"
            for what in (
                "authority",
                "fail_stop",
                "dump",
                "restore",
                "flood",
                "hostile_batches",
                "refusals",
                "signed",
                "slow_readers",
            )
        ),
        shares_kafka=True,
    ),
    Lane(
        "nights on Kafka: counted and lost, on three brokers",
        ("tests/nights/test_nights_on_kafka.py", "tests/nights/test_recover_on_kafka.py", "tests/broker"),
        shares_kafka=True,
    ),
    Lane("board, in a browser", ("tests/board",), shares_kafka=True),
    Lane("stations: spool, client, orders, simulated nights", ("tests/station",), shares_kafka=True),
    Lane("command line", ("tests/cli", "tests/kafka", "tests/gate", "tests/mutants")),
    Lane("deploy", ("tests/deploy",), shares_kafka=True),
    Lane("chaos", ("tests/chaos",)),
    Lane("real ballots", ("tests/ballots",), shares_kafka=True),
    Lane(
        "domain, wire, certainty, recorded nights",
        ("tests/domain", "tests/wire", "tests/certainty", "tests/audit", "tests/elections"),
    ),
    Lane("access: on a secured Kafka", ("tests/access",), shares_kafka=True),
    Lane("interpreted: domain, wire", ("tests/domain", "tests/wire"), is_interpreted=True, flags=(*COVERED, *FEWER)),
    Lane("install", ("tests/install",)),
    Lane("simulation", ("tests/simulation",)),
    Lane("streams on Kafka", ("tests/stream",), shares_kafka=True),
    Lane("docs, exports, bench", ("tests/docs", "tests/export", "tests/bench")),
    Lane("demo", ("tests/demo",)),
    Lane("fuzz", ("tests/fuzz",)),
)
CHECK = Lane("check")


@dataclass(frozen=True, slots=True)
class Through:
    """A lane that is through: its exit code, what it said (its last line counts the tests), how long it took, and the
    processor time of itself and of all that it started and waited for."""

    lane: Lane
    code: int
    said: str
    seconds: float
    cpu_seconds: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        lines = [line for line in self.said.splitlines() if line.strip()]
        found = re.findall(r"(\d+) (passed|failed|skipped|error)", lines[-1] if lines and self.lane.paths else "")
        return {"failed" if word == "error" else word: int(count) for count, word in found}

    @property
    def failure(self) -> str:
        if self.code != 0:
            return self.lane.name
        return f"{self.lane.name} (a test was skipped)" if os.environ.get("TALLY_CI") and self.counts.get("skipped") else ""


def without_lane(tests: Path, lanes: Iterable[Lane] = LANES) -> list[str]:
    """The folders below `tests` that hold tests which no lane runs."""
    named = {path for lane in lanes for path in lane.paths}
    found = {path.relative_to(tests.parent) for path in tests.rglob("test_*.py")}
    return sorted({str(p.parent) for p in found if named.isdisjoint(map(str, [p, *p.parents]))})


def run(lane: Lane, kafka: Future[dict[str, str]]) -> Through:
    """A lane from beginning to end; `kafka`: what its environment must say of the shared node."""
    begin = time.monotonic()
    with ExitStack() as stack:
        # Tests start hundreds of commands: where nothing keeps bytecode, each of them compiles the product again.
        scratch, more = ROOT, {"PYTHONDONTWRITEBYTECODE": "", **(kafka.result() if lane.shares_kafka else {})}
        if lane.is_interpreted:
            scratch = Path(without_compiled())
            stack.callback(shutil.rmtree, scratch)
            more |= {
                "PYTHONPATH": str(scratch),
                "TALLY_TEST_INTERPRETED": "1",
                "TALLY_TEST_ONE_EXAMPLE_IN": str(FEWER_EXAMPLES_ONE_IN),
            }
        words = (
            [sys.executable, "-m", "pytest", "-q", "--durations=8", "--durations-min=4", *lane.flags, *lane.paths]
            if lane.paths
            else ["make", "-s", lane.name]
        )
        process = subprocess.Popen(
            words, cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            **LIFELINE.arguments({**os.environ, **more}),
        )  # fmt: skip
        assert process.stdout is not None
        with process.stdout:
            said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Through(lane, process.returncode, said, time.monotonic() - begin, used.ru_utime + used.ru_stime)


def run_all(lanes: Iterable[Lane], run: Callable[[Lane], Through]) -> list[Through]:
    through = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in as_completed([pool.submit(run, lane) for lane in lanes]):
            through.append(done.result())
            print(f"== {through[-1].lane.name}: {through[-1].seconds:.0f} s\n{through[-1].said}", end="", flush=True)
    return through


def main() -> int:
    words = sys.argv[1:]
    known = [CHECK, *LANES]
    chosen = known if words == ["--all"] else [n for n in known if any(w in n.name for w in words)] if words else [*LANES]
    if not chosen:
        print(f"no lane is named {' '.join(words)}; there are: {', '.join(lane.name for lane in known)}")
        return 2
    begin = time.monotonic()
    print(f"== {AT_ONCE} at a time: {'; '.join(lane.name for lane in chosen)}", flush=True)
    with ExitStack() as stack, ThreadPoolExecutor() as beside:
        # On a fresh machine its files are downloaded first: lanes that do not need it need not wait.
        kafka = beside.submit(lambda: stack.enter_context(shared_kafka()) if any(one.shares_kafka for one in chosen) else {})
        through = run_all(chosen, partial(run, kafka=kafka))
    print("== lanes")
    for one in through:
        print(f"{one.seconds:6.0f} s {one.cpu_seconds:6.0f} s CPU  {one.lane.name}")
    cpu_seconds = sum(one.cpu_seconds for one in through)
    print(f"{time.monotonic() - begin:6.0f} s {cpu_seconds:6.0f} s CPU  all, {AT_ONCE} at a time")
    totals = {word: sum(one.counts.get(word, 0) for one in through) for word in ("passed", "failed", "skipped")}
    print(", ".join(f"{count} {word}" for word, count in totals.items()))
    failed = [one.failure for one in through if one.failure]
    failed += [f"{folder} (no lane of tests/lanes.py runs it)" for folder in without_lane(ROOT / "tests")]
    if failed:
        print("failed: " + "; ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
