"""A language's words and its way of writing numbers, as the page needs them before any script runs.

Decides which languages there are. The catalogues are plain JSON in static/lang/; `static/words.js` reads the same ones.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

STATIC = Path(__file__).parent / "static"
LANGUAGES = ("en", "az", "es", "ru")


class Words:
    """One language's catalogue, with its way of writing numbers."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words: dict[str, str] = json.loads((STATIC / "lang" / f"{language}.json").read_text(encoding="utf-8"))

    def __call__(self, key: str, **values: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], ""), self._words[key])

    def number(self, value: int | None) -> str:
        return "–" if value is None else f"{value:,}".replace(",", self._words["_group"])

    def counted(self, noun: str, value: int | None) -> str:
        """`1 vote`, `2 votes`."""
        return self(f"_{noun}.{_plural(self.language, value or 0)}", n=self.number(value))

    def percent(self, text: str | None) -> str:
        return "–" if text is None else text.replace(".", self._words["_decimal"])

    def signed(self, value: int | None) -> str:
        """A change of a count, with its sign."""
        if value is None:
            return "–"
        sign = "\u2212" if value < 0 else "+" if value else ""
        return sign + self.number(abs(value))

    def difference(self, text: str | None) -> str:
        """With its sign, as the script writes it."""
        if text is None:
            return ""
        sign = "\u2212" if text.startswith("-") else "+" if text.strip("0.") else ""
        return f"({sign}{self.percent(text.removeprefix('-'))})"


def _plural(language: str, n: int) -> str:
    """The plural form of a whole number, as Intl.PluralRules has it for the page's languages."""
    if language == "ru":
        if n % 10 == 1 and n % 100 != 11:
            return "one"
        return "few" if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else "many"
    if language == "es" and n and n % 1_000_000 == 0:
        return "many"
    return "one" if n == 1 else "other"
