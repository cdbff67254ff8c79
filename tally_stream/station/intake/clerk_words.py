"""The words of the clerk's page: one catalogue a language, those of the board.

Decides which languages there are and which one a browser gets. What a rule says stands here in a clerk's words where there are
any; where there are none, it is said as the rule says it, in English.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tally_stream.station.checking import Remark

CLERK_STATIC = Path(__file__).parent / "static"
CLERK_LANGUAGES = ("en", "az", "es", "ru")
_ONE_CANDIDATE = "one candidate has"
_TAGS_MAX = 20


class ClerkWords:
    """One language's catalogue, with its way of writing numbers."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words = _catalogue(language)

    def __call__(self, key: str, **values: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], m[0]), self._words[key])

    def number(self, value: int) -> str:
        return f"{value:,}".replace(",", self._words["_group"])

    def of_remark(self, remark: Remark) -> str | None:
        """What a rule says, in this language; None where this language has no words for it."""
        key = f"rule.{remark.code}"
        if remark.code == "A1" and _ONE_CANDIDATE in remark.sentence:
            key += ".one"
        if remark.code == "Q7":
            key += ".early" if remark.right is None else ".late"
        if key not in self._words:
            return None
        return self(key, left=self._figure(remark.left), right=self._figure(remark.right))

    def _figure(self, figure: int | str | None) -> str:
        return self.number(figure) if isinstance(figure, int) else str(figure)


@cache
def _catalogue(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((CLERK_STATIC / "lang" / f"{language}.json").read_text(encoding="utf-8"))
    return found


def language_of(asked: str, accepted: str) -> str:
    """`asked`, else the first of the browser's (an Accept-Language header) that we have, else English."""
    for tag in _tags(asked, accepted):
        language = tag.lower().split("-")[0]
        if language in CLERK_LANGUAGES:
            return language
    return CLERK_LANGUAGES[0]


def _tags(asked: str, accepted: str) -> Iterable[str]:
    yield asked
    for item in accepted.split(",")[:_TAGS_MAX]:
        yield item.split(";")[0].strip()
