"""What a search compares: texts without case, accents and compatibility forms, in one place for all that is searched.

Decides that `Durkheim` finds Dürkheim and the other way round, and `lodz` Łódź: some letters have no accent that could be
taken off, and are written with others where a keyboard has none. Refuses to know what is searched: areas and contests in
the board's `places.py`, polling stations in its `stations.py`.
"""

from __future__ import annotations

from unicodedata import combining, normalize

WORDS_MAX_CHARS = 64
"""Of what is searched for; `static/areas.js` and the forms keep to it too."""

LETTERS = str.maketrans({**dict(zip("łđðɖøħŧŋıə", "ldddohtnie", strict=True)), "æ": "ae", "œ": "oe", "þ": "th"})
"""Small letters that decompose to nothing, as they are typed without them; case folding has made ß and ẞ ss already."""


def folded(text: str) -> str:
    """A text as a search compares it: NFKD, without combining marks, case folded, LETTERS, one space where there were
    several."""
    if not text.isascii():
        text = "".join(c for c in normalize("NFKD", text) if not combining(c)).casefold().translate(LETTERS)
    return " ".join(text.lower().split())
