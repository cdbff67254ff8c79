"""What axe-core finds wrong for readers who use the page otherwise than by eye and mouse (WCAG 2.2, A and AA)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

AXE = (Path(__file__).parent.parent / "board" / "vendor" / "axe.min.js").read_text(encoding="utf-8")
WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}


def violations(page: Any, rules: dict[str, Any] = WCAG) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate("options => axe.run(document, options)", rules)
    return [f"{v['id']}: {n['html'][:200]}: {n['failureSummary'][:300]}" for v in found["violations"] for n in v["nodes"]]
