"""Where the pages of `docs/` are that help and messages name: as they are in a clone; with a wheel they lie in its environment.

Decides the path that is shown. Which files a wheel brings stands in pyproject.toml.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_NAMED = re.compile(r"(?<![\w/.-])docs/([a-z-]+\.md)\b")
_CLONE = Path(__file__).parents[2] / "docs"


def with_pages(text: str) -> str:
    """The text, each page in it named by where it lies."""
    return _NAMED.sub(_where, text) if "docs/" in text else text


def _where(named: re.Match[str]) -> str:
    return named[0] if (_CLONE / named[1]).is_file() else _installed().get(named[1], named[0])


@cache
def _installed() -> dict[str, str]:
    """Name → path, as the installer noted them: prefixes differ (a venv, --user)."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        found = files("tally-stream") or []
    except PackageNotFoundError:
        return {}
    return {file.name: str(Path(str(file.locate())).resolve()) for file in found if file.parent.match("share/doc/tally-stream")}
