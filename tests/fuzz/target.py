"""`python -m tests.fuzz.target NAME DIRECTORY… -max_total_time=60`: atheris tries inputs on one of `invariants.py`.

Runs on a copy without compiled modules (`run.py` makes one): atheris sees branches of interpreted code alone.
"""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-untyped]  # it has no types

with atheris.instrument_imports(include=["tally_stream"], enable_loader_override=False):
    from tests.fuzz.invariants import TARGETS

from tally_stream.wire import reading


def main() -> None:
    if not reading.__file__.endswith(".py"):
        sys.exit(f"compiled code cannot be fuzzed: {reading.__file__}")
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
