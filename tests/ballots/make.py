"""`python -m tests.ballots.make SET DIR`: the election folder and the report log of a real set, to look at and to replay.

    python -m tests.ballots.make ge-local-2017 /tmp/ge
    tally-stream replay /tmp/ge /tmp/ge/reports.jsonl

What a set means stands in `conversions.py`, how files are written in `folder.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.ballots.conversions import CONVERSIONS
from tests.ballots.folder import write
from tests.ballots.source import DATA, ballots_of


def make(name: str, directory: Path) -> Path:
    """The folder and log of a set in `directory`; the log."""
    return write(CONVERSIONS[name](ballots_of(name)), directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=sorted(CONVERSIONS), metavar="SET", help=", ".join(sorted(CONVERSIONS)))
    parser.add_argument("directory", type=Path, metavar="DIR")
    options = parser.parse_args()
    if not (DATA / options.set).is_dir():
        parser.error(f"the ballots of {options.set} are not here: {DATA / options.set}")
    log = make(options.set, options.directory)
    print(f"{log}: {log.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
