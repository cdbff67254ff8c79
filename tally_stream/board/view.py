"""How a page is asked for: the language, the mode (`?screen`, `?embed`), the look, and which part of its lists.

Decides what an address may say, and what nonsense in it means: nothing. What is said in it every link keeps. Refuses to
know places and figures; `page.py` has them.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from tally_stream.board.area_rows import SORTS
from tally_stream.board.wording import LANGUAGES
from tally_stream.wire.search import WORDS_MAX_CHARS

MODES = ("screen", "embed")
THEMES = ("dark", "light")
FROM_MAX_DIGITS = 7


@dataclass(frozen=True, slots=True)
class View:
    """How a page is asked for. `said`: the choices that stand in the address itself, which every link on the page keeps."""

    language: str
    mode: str
    theme: str
    said: tuple[tuple[str, str], ...]
    words: str
    begin: int
    stations_begin: int
    sort: str
    is_descending: bool

    @property
    def query(self) -> dict[str, str]:
        return dict(self.said)

    @property
    def whole_query(self) -> dict[str, str]:
        """With what is searched for, how the list is sorted and where it begins: of a link to this very place."""
        return {
            **self.query,
            **({"q": self.words} if self.words else {}),
            **({"sort": self.sort} if self.sort != SORTS[0] else {}),
            **({"order": "desc"} if self.is_descending else {}),
            **({"from": str(self.begin)} if self.begin else {}),
            **({"stations_from": str(self.stations_begin)} if self.stations_begin else {}),
        }


def view_of(request: web.Request) -> View:
    query = request.query
    mode = next((m for m in MODES if m in query), "")
    theme = query.get("theme", "")
    theme = theme if theme in THEMES else ""
    language = _language(request)
    said = {
        **({"lang": language} if query.get("lang") == language else {}),
        **({mode: ""} if mode else {}),
        **({"theme": theme} if theme else {}),
    }
    sort = query.get("sort", "")
    return View(
        language, mode, theme, tuple(said.items()),
        words=query.get("q", "").strip()[:WORDS_MAX_CHARS],
        begin=_begin(query.get("from", "")),
        stations_begin=_begin(query.get("stations_from", "")),
        sort=sort if sort in SORTS else SORTS[0],
        is_descending=query.get("order") == "desc",
    )  # fmt: skip


def _language(request: web.Request) -> str:
    """`?lang=`, else the first of the browser's that we have, else English."""
    asked = [request.query.get("lang", "")]
    asked += [item.split(";")[0].strip() for item in request.headers.get("Accept-Language", "").split(",")[:20]]
    for tag in asked:
        language = tag.lower().split("-")[0]
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]


def _begin(text: str) -> int:
    """How many rows of a list to pass over; none where the address says nonsense."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= FROM_MAX_DIGITS else 0
