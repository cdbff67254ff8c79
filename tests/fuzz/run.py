"""`make fuzz`: atheris on every reader of hostile bytes, from the committed corpus; SECONDS=600 unless told otherwise.

All targets run at once, each a process of its own on one interpreted copy of the project. Prints for each how many inputs
it tried; exits 1 where one raised, hung, took too much memory, or broke an invariant, and keeps the input in
`build/fuzz/`, from where `ARGS="--only report --input FILE"` tries it again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import corpus
from tests.support.interpreted import without_compiled
from tests.support.paths import ROOT

KEPT = ROOT / "build" / "fuzz"
INPUT_SECONDS = 10
MEMORY_MB = 1_024
STORY_LINES = 40


@dataclass(frozen=True)
class Found:
    """What came of one target: inputs tried, and the story of what broke it ("" where nothing did)."""

    target: str
    executed: int
    story: str


def fuzz(copy: Path, targets: list[str], seconds: int, kept: Path, *, input_path: Path | None = None) -> list[Found]:
    """Run these targets at once in an interpreted copy of the project; the committed inputs come first."""
    kept.mkdir(parents=True, exist_ok=True)
    dictionary = copy / "words"
    dictionary.write_text("".join(f"{_quoted(word)}\n" for word in corpus.words()))
    running = []
    for target in targets:
        seeds = copy / "seeds" / target
        seeds.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(corpus.read(target)):
            (seeds / f"{number:04d}").write_bytes(content)
        flags = [f"-max_total_time={seconds}", f"-max_len={corpus.INPUT_MAX_BYTES}", f"-dict={dictionary}"]
        running.append(_started(copy, target, kept, [str(input_path)] if input_path else [str(seeds), *flags]))
    found = []
    for target, process in zip(targets, running, strict=True):
        told = process.communicate()[0].decode(errors="replace")
        executed = re.search(r"number_of_executed_units: (\d+)|Executed .* in", told)
        count = int(executed[1] or 1) if executed else 0
        story = "" if process.returncode == 0 else "\n".join(told.splitlines()[-STORY_LINES:])
        found.append(Found(target, count, story))
    return found


def _started(copy: Path, target: str, kept: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    limits = [f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}", "-print_final_stats=1",
              f"-artifact_prefix={kept}/{target}-"]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz.target", target, *arguments, *limits], cwd=copy, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(copy)},
    )  # fmt: skip


def _quoted(word: str) -> str:
    return '"' + "".join(c if c.isalnum() else f"\\x{ord(c):02x}" for c in word) + '"'


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--only", choices=list(corpus.GENERATED), help="this target alone")
    parser.add_argument("--input", type=Path, help="try this file and no others (with --only)")
    parser.add_argument("--json", action="store_true", help="print one JSON object for a program")
    given = parser.parse_args()
    if given.input and not given.only:
        parser.error("--input needs --only")
    copy = Path(without_compiled())
    try:
        targets = [given.only] if given.only else list(corpus.GENERATED)
        input_path = given.input.resolve() if given.input else None
        found = fuzz(copy, targets, given.seconds, KEPT, input_path=input_path)
    finally:
        shutil.rmtree(copy)
    if given.json:
        print(json.dumps({f.target: {"executed": f.executed, "story": f.story} for f in found}))
    for f in found if not given.json else ():
        print(f"{f.target:8}{f.executed:12,} inputs  {'BROKEN, kept in build/fuzz' if f.story else 'held'}")
        if f.story:
            print(f.story)
    return 1 if any(f.story for f in found) else 0


if __name__ == "__main__":
    sys.exit(main())
