"""`make test`: the lanes one after the other, each with its time; one broker set-up of each kind, started once.

In CI (TALLY_CI=1) nothing may be skipped: a lane that skips a test fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
LANES: dict[str, list[str]] = {
    "domain, wire, nights": ["tests/domain", "tests/wire", "tests/audit", "tests/elections"],
    "docs, command line, deploy": ["tests/docs", "tests/cli", "tests/deploy"],
    "Kafka": ["tests/stream", "tests/broker", "tests/nights", "tests/demo"],
}


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
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", *present], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line if line.strip() else last
        code = process.wait()
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
