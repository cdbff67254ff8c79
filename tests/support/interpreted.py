"""A copy of the project in which nothing is compiled: there the files themselves run, not the modules made of them.

Decides what a copy holds. Refuses to import anything but Python's own library: `tests/pythons.py` runs before there is more.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.support.paths import ROOT

COPIED = ("tally_stream", "tests", "docs", "deploy", "pyproject.toml", "setup.py")


def without_compiled(scratch: Path | None = None) -> str:
    """The copy, made in `scratch`, or else in a new directory of its own."""
    scratch = scratch or Path(tempfile.mkdtemp(prefix="tally-interpreted-"))
    scratch.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source, target = ROOT / name, scratch / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.so", "__pycache__", ".jars"))
        else:
            shutil.copy(source, target)
    return str(scratch)
