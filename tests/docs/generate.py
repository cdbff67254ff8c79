"""Writes the pages of the docs that are generated from code, or checks that they are what the code says.

    python tests/docs/generate.py            write docs/rules.md and docs/metrics.md
    python tests/docs/generate.py --check    exit 1 and name the pages that differ

Decides the form of `docs/metrics.md`; that of `docs/rules.md` is the command's (`tally_stream/cli/rules.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tally_stream.cli.rules import markdown as rules_markdown
from tally_stream.metrics import METRICS

DOCS = Path(__file__).parents[2] / "docs"


def metrics_markdown() -> str:
    """docs/metrics.md, whole."""
    lines = [
        "# Metrics",
        "",
        "Generated from `tally_stream/metrics.py` by `python tests/docs/generate.py`; a test compares.",
        "",
        "A worker serves them at `/metrics` in the Prometheus text format, by default on `127.0.0.1:9180`. They are read",
        "from the counting state when they are scraped. They start at zero with the process and cover only the",
        "partitions that this worker owns; after a replay they cover those partitions from offset 0 again. So a counter may",
        "fall when a worker restarts or a partition moves. Label values come from the definition, from partition numbers and",
        "from fixed words: a hostile record can't make a new one.",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {"rules.md": rules_markdown, "metrics.md": metrics_markdown}


def stale_pages() -> list[str]:
    """Names of the generated pages that are missing or differ from what the code says."""
    return [
        name
        for name, markdown in PAGES.items()
        if not (DOCS / name).exists() or (DOCS / name).read_text(encoding="utf-8") != markdown()
    ]


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        stale = stale_pages()
        for name in stale:
            print(f"docs/{name} is not what the code says: run python tests/docs/generate.py", file=sys.stderr)
        return 1 if stale else 0
    if sys.argv[1:]:
        print("usage: python tests/docs/generate.py [--check]", file=sys.stderr)
        return 2
    for name, markdown in PAGES.items():
        (DOCS / name).write_text(markdown(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
