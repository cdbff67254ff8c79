"""Whether what is compiled here is what the files say: Python prefers a compiled module to its file, and says nothing of it.

Compares the time of the last compilation with those of the files that `setup.py` lists.
"""

from __future__ import annotations

import re
from pathlib import Path


def out_of_date(root: Path) -> str:
    """Why what is compiled below `root` is not what its files say; empty where it is, or where nothing is compiled."""
    if not list(root.glob("tally_stream/compiled__mypyc.*")):
        return ""
    stamp = root / ".venv" / ".compiled"
    if not stamp.exists():
        return "tally_stream/ holds compiled code, and nothing says which state of the files it is of (no .venv/.compiled)"
    sources = re.findall(r"tally_stream/[a-z_/]*\.py", (root / "setup.py").read_text())
    assert sources, "setup.py names what is compiled"
    stale = [name for name in sources if (root / name).stat().st_mtime > stamp.stat().st_mtime]
    return f"compiled before it was changed: {', '.join(stale)}" if stale else ""
