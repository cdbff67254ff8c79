"""Names that a reader can not tell apart, though they are different texts; and what nobody sees in one.

Decides by a short table what looks alike: letters of other alphabets that are drawn as Latin ones, 1, l and I, 0 and O, dashes,
apostrophes, runs of spaces, and what has no width (Unicode's confusables, UTS 39, as far as names of places mix them up). The
formats allow all of it, so it is a warning at most. Refuses to know what is named.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import chain

_ALPHABETS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "COPTIC", "CHEROKEE")
"""Their letters are taken for each other's. Words of other scripts may hold several: Japanese does."""

_DRAWN_ALIKE = {
    # Cyrillic
    "\u0410\u0412\u0415\u0401\u0405\u0406\u0407\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u051a\u051c\u04c0":
        "ABE\u00cbSI\u00cfJKMHOPCTYXQWI",
    "\u0430\u0435\u0451\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0457\u0458\u04bb\u0501\u051b\u051d\u04cf":
        "ae\u00ebopcyxsi\u00efjhdqwl",
    # Greek
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7": "ABEZHIKMNOPTYX",
    "\u03b1\u03b3\u03b9\u03bd\u03bf\u03c1": "ayivop",
    # Armenian
    "\u0555\u0585\u0578\u057d\u0570": "Oonuh",
    # Apostrophes, and the minus sign
    "\u2018\u2019\u02bc\u02b9\u2032\u00b4`": "'" * 7,
    "\u2212": "-",
}  # fmt: skip
_LETTERS = str.maketrans({a: b for these, those in _DRAWN_ALIKE.items() for a, b in zip(these, those, strict=True)})
_DIGITS = str.maketrans("1I0", "llO")

_SEEN_FORMATS = frozenset(chain(range(0x0600, 0x0606), (0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x110BD, 0x110CD)))
"""Of category Cf, but drawn: signs before a number."""
_VARIANTS = frozenset(chain(range(0x180B, 0x180E), (0x180F,), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)))
_JOINERS = frozenset((0x200C, 0x200D))
_OTHERS_UNSEEN = frozenset(chain((0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0), _VARIANTS))
"""Not of category Cf, and yet without a shape: fillers, blanks, selectors."""


def _is_unseen(character: str) -> bool:
    code = ord(character)
    return code in _OTHERS_UNSEEN or (unicodedata.category(character) == "Cf" and code not in _SEEN_FORMATS)


def skeleton(text: str) -> str:
    """The same of two texts that look the same. Upper and lower case stay apart: they do not."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKC", text) if not _is_unseen(c)).translate(_LETTERS)
        text = "".join("-" if unicodedata.category(c) == "Pd" else c for c in text)
    return " ".join(text.replace("`", "'").split()).translate(_DIGITS)


def unseen(text: str) -> str | None:
    """What nobody sees in it, in a few words; None where there is nothing, or only joiners and selectors where scripts need
    them: behind a letter of Persian, Hindi or Japanese, and before another one."""
    if text.isascii():
        return None
    found = [c for i, c in enumerate(text) if _is_unseen(c) and not _is_needed(text, i)]
    return f"has what nobody sees: {code_points(found)}" if found else None


def _is_needed(text: str, at: int) -> bool:
    if ord(text[at]) not in _JOINERS | _VARIANTS or at == 0:
        return False
    before = text[at - 1]
    kind = unicodedata.category(before)[0]
    is_behind_letter = kind in "LM" and _alphabet(before) is None
    is_inside = at + 1 < len(text) and unicodedata.category(text[at + 1])[0] in "LM"
    return is_behind_letter and (is_inside or kind == "M" or ord(text[at]) in _VARIANTS)


def mixed_scripts(text: str) -> str | None:
    """Which alphabets meet inside one of its words, and the letters of the rarer; None where none do."""
    if text.isascii():
        return None
    for word in "".join(c if unicodedata.category(c)[0] in "LM" else " " for c in text).split():
        letters: dict[str, list[str]] = {}
        for c in word:
            if (alphabet := _alphabet(c)) is not None:
                letters.setdefault(alphabet, []).append(c)
        if len(letters) > 1:
            names = " and ".join(sorted(name.capitalize() for name in letters))
            rarest = min(sorted(letters), key=lambda name: len(letters[name]))
            return f"has letters of {names} in one word: {code_points(letters[rarest])} is {rarest.capitalize()}"
    return None


def _alphabet(character: str) -> str | None:
    script = unicodedata.name(character, "").partition(" ")[0]
    return script if script in _ALPHABETS else None


def escaped(text: str) -> str:
    """In quotation marks, and what nobody sees in it as its number."""
    return "".join(c.encode("unicode_escape").decode() if _is_unseen(c) else c for c in repr(text))


def code_points(characters: Iterable[str]) -> str:
    """`U+200B, U+043E`: those that are not plain ASCII, where there are any."""
    found = sorted(set(characters))
    return ", ".join(f"U+{ord(c):04X}" for c in [c for c in found if not c.isascii()] or found)
