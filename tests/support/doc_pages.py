"""Reads the pages of the docs: fenced blocks, each with the marker that stands on the line before it.

Decides what a marker is: `<!-- word: rest -->`, alone on its line, directly above the fence. Refuses to know what a
block means; `format_vectors.py` runs those of the wire format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_MARKER = re.compile(r"<!-- ([a-z-]+)(?:: (.+))? -->\Z")
_FENCE = re.compile(r"```([a-z]*)\Z")


@dataclass(frozen=True)
class Block:
    """One fenced block. `marker` is "" where none stands above it; `line` is the fence's own, from 1."""

    page: Path
    line: int
    language: str
    marker: str
    name: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in order. Raises ValueError where a fence is not closed."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if fence is None:
            at += 1
            continue
        marker = _MARKER.match(lines[at - 1]) if at else None
        try:
            end = lines.index("```", at + 1)
        except ValueError:
            raise ValueError(f"{page}:{at + 1}: a fence that is not closed") from None
        text = "".join(line + "\n" for line in lines[at + 1 : end])
        word, name = (marker[1], marker[2] or "") if marker else ("", "")
        found.append(Block(page, at + 1, fence[1], word, name, text))
        at = end + 1
    return found


def marked(page: Path, marker: str) -> dict[str, Block]:
    """Blocks with this marker by name. Raises ValueError where two have one name."""
    found: dict[str, Block] = {}
    for block in blocks(page):
        if block.marker == marker:
            if block.name in found:
                raise ValueError(f"{block.where}: {marker} {block.name} stands twice")
            found[block.name] = block
    return found
