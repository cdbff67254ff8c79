"""`make test`: the lanes, each with its time; one broker set-up of each kind, started once.

Lanes that need no Kafka run two at a time, and what they said is shown when each is through; the others run one after the
other. In CI (TALLY_CI=1) nothing may be skipped: a lane that skips a test fails.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tally_stream.cli.lifeline import Lifeline  # noqa: E402  (found by the line above)

LIFELINE = Lifeline()
COUNTING = ["tests/domain", "tests/wire", "tests/audit", "tests/elections"]
WITHOUT_KAFKA: dict[str, list[str]] = {
    "interpreted: domain, wire, nights": COUNTING,
    "domain, wire, nights": COUNTING,
    "simulation": ["tests/simulation"],
    "fuzz": ["tests/fuzz"],
    "install": ["tests/install"],
    "docs, exports, command line, deploy, bench": ["tests/docs", "tests/export", "tests/cli", "tests/deploy", "tests/bench"],
    "demo": ["tests/demo"],
}
LANES: dict[str, list[str]] = {
    **WITHOUT_KAFKA,
    "Kafka": ["tests/stream", "tests/broker", "tests/nights"],
    "board, in a browser": ["tests/board"],
    "chaos": ["tests/chaos"],
}
SIDE_BY_SIDE = min(2, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Lane:
    """One that is through: its exit code, and what it said (its last line counts the tests)."""

    name: str
    code: int
    said: str
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        lines = [line for line in self.said.splitlines() if line.strip()]
        found = re.findall(r"(\d+) (passed|failed|skipped|error)", lines[-1] if lines else "")
        return {"failed" if word == "error" else word: int(count) for count, word in found}

    @property
    def failure(self) -> str:
        if self.code != 0:
            return self.name
        return f"{self.name} (a test was skipped)" if os.environ.get("TALLY_CI") and self.counts.get("skipped") else ""


def without_compiled() -> str:
    """A copy of the project in which nothing is compiled: the files themselves are tested too."""
    scratch = tempfile.mkdtemp(prefix="tally-interpreted-")
    for name in ("tally_stream", "tests", "docs", "deploy", "pyproject.toml", "setup.py"):
        source, target = ROOT / name, Path(scratch) / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.so", "__pycache__", ".jars"))
        else:
            shutil.copy(source, target)
    return scratch


def run(name: str, *, is_shown: bool) -> Lane:
    """A lane from beginning to end; `is_shown`: line by line, while it runs."""
    begin = time.monotonic()
    with ExitStack() as stack:
        scratch = without_compiled() if name.startswith("interpreted") else None
        if scratch:
            stack.callback(shutil.rmtree, scratch)
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", *(p for p in LANES[name] if (ROOT / p).exists())], cwd=scratch or ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            **LIFELINE.arguments({**os.environ, **({"PYTHONPATH": scratch, "TALLY_TEST_INTERPRETED": "1"} if scratch else {})}),
        )  # fmt: skip
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if is_shown:
                print(line, end="", flush=True)
        code = process.wait()
    return Lane(name, code, "".join(said), time.monotonic() - begin)


def run_all(names: list[str]) -> list[Lane]:
    through = []
    first = [name for name in names if name in WITHOUT_KAFKA]
    if first:
        print(f"== {SIDE_BY_SIDE} at a time: {'; '.join(first)}", flush=True)
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for lane in as_completed([pool.submit(run, name, is_shown=False) for name in first]):
                through.append(lane.result())
                print(f"== {through[-1].name}\n{through[-1].said}", end="", flush=True)
    for name in names:
        if name not in WITHOUT_KAFKA:
            print(f"== {name}", flush=True)
            through.append(run(name, is_shown=True))
    return through


def main() -> int:
    chosen = sys.argv[1:]
    names = [name for name in LANES if not chosen or any(word in name for word in chosen)]
    if not names:
        print(f"no lane is named {' '.join(chosen)}; there are: {', '.join(LANES)}")
        return 2
    lanes = run_all(names)
    print("== lanes")
    for lane in lanes:
        print(f"{lane.seconds:6.0f} s  {lane.name}")
    totals = {word: sum(lane.counts.get(word, 0) for lane in lanes) for word in ("passed", "failed", "skipped")}
    print(", ".join(f"{count} {word}" for word, count in totals.items()))
    failed = [lane.failure for lane in lanes if lane.failure]
    if failed:
        print("failed: " + "; ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
