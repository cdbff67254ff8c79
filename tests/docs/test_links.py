"""Links lead somewhere, and one that does not is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.links import PAGES, broken
from tests.support.paths import ROOT


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One thing, twice\n## One thing, twice\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#one-thing-twice) [c](other.md#one-thing-twice-1) [d](#here) [e](https://example.org)\n"
        "[f](gone.md) [g](other.md#one-thing-twice-2) [h](#there) ![i](gone.png)\n\n```sh\n[j](gone.md)\n```\n",
        encoding="utf-8",
    )
    assert broken(page) == ["gone.md", "other.md#one-thing-twice-2", "#there", "gone.png"]
