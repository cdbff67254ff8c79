"""`make test`: the lanes one after the other, each with its time; one broker set-up of each kind, started once.

In CI (TALLY_CI=1) nothing may be skipped: a lane that skips a test fails.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
LANES: dict[str, list[str]] = {
    "domain, wire, nights": ["tests/domain", "tests/wire", "tests/audit", "tests/elections"],
    "interpreted: domain, wire, nights": ["tests/domain", "tests/wire", "tests/audit", "tests/elections"],
    "simulation": ["tests/simulation"],
    "fuzz": ["tests/fuzz"],
    "docs, exports, command line, deploy, bench": ["tests/docs", "tests/export", "tests/cli", "tests/deploy", "tests/bench"],
    "install": ["tests/install"],
    "Kafka": ["tests/stream", "tests/broker", "tests/nights", "tests/demo"],
    "board, in a browser": ["tests/board"],
    "chaos": ["tests/chaos"],
}


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


def main() -> int:
    chosen = sys.argv[1:]
    failed: list[str] = []
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    times: list[str] = []
    for lane, paths in LANES.items():
        present = [p for p in paths if (ROOT / p).exists()]
        if chosen and not any(word in lane for word in chosen):
            continue
        begin = time.monotonic()
        print(f"== {lane}", flush=True)
        scratch = without_compiled() if lane.startswith("interpreted") else None
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", *present], cwd=scratch or ROOT, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": scratch, "TALLY_TEST_INTERPRETED": "1"} if scratch else None,
        )  # fmt: skip
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line if line.strip() else last
        code = process.wait()
        if scratch:
            shutil.rmtree(scratch)
        for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last):
            totals["failed" if word == "error" else word] += int(count)
        times.append(f"{time.monotonic() - begin:6.0f} s  {lane}")
        if code != 0:
            failed.append(lane)
        elif os.environ.get("TALLY_CI") and re.search(r"\d+ skipped", last):
            failed.append(f"{lane} (a test was skipped)")
    if not times:
        print(f"no lane is named {' '.join(chosen)}; there are: {', '.join(LANES)}")
        return 2
    print("\n".join(["== lanes", *times]))
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    if failed:
        print("failed: " + "; ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
