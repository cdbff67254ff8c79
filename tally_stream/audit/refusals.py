"""How many records were refused and by which rules, in one line: a night that is refused whole looks like a quiet one.

Decides what is worth saying: each rule with one of its sentences, the commonest first. Held records are no part of it, they
stand among the stations. Refuses to know where the refusals came from: a fold (`replay.py`) or a topic (`cli/demo.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

REFUSED = frozenset({"stale", "conflicting", "rejected"})
"""Verdicts, as docs/glossary.md has them."""

RULES_SHOWN_MAX = 3
SENTENCE_MAX_CHARS = 120


class RefusedRecords:
    """Of records, each added once."""

    def __init__(self) -> None:
        self.count = 0
        self._codes: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, findings: Iterable[tuple[str, str]]) -> None:
        """One record: the rules that refused it, each with its sentence."""
        self.count += 1
        for code, sentence in findings:
            self._codes[code] += 1
            self._first.setdefault(code, sentence)

    def lines(self, record_count: int, where: str, *, is_whole: bool = True) -> list[str]:
        """[] where nothing was refused. `where`: what has all of them; `is_whole`: whether each refused record was added."""
        if not self.count:
            return []
        codes = self._codes.most_common()
        said = [f"{n:,} by {code} (such as: {_printable(self._first[code])})" for code, n in codes[:RULES_SHOWN_MAX]]
        if len(codes) > RULES_SHOWN_MAX:
            others = len(codes) - RULES_SHOWN_MAX
            said.append(f"others by {others} more {'rule' if others == 1 else 'rules'}")
        were = "record was" if record_count == 1 else "records were"
        least = "" if is_whole else "at least "
        return [f"{least}{self.count:,} of {record_count:,} {were} refused: {', '.join(said)}; {where}"]


def _printable(sentence: str) -> str:
    """A sentence may repeat what a stranger wrote."""
    text = "".join(c if c.isprintable() else "?" for c in sentence)
    return text if len(text) <= SENTENCE_MAX_CHARS else text[: SENTENCE_MAX_CHARS - 1] + "…"
