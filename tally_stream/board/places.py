"""The places a page can be of, as the definition has them: names of contests and areas, what lies below, how they are found.

Decides the name of an area, the order of names (numbers in them count as numbers), and which names a search finds.
Refuses to know figures and addresses; `area_rows.py` puts figures beside the names, `addresses.py` has the addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Election
from tally_stream.wire.search import folded

_NUMBER = re.compile(r"(\d+)")
NUMBER_MAX_DIGITS = 15

Natural = tuple[tuple[int, int, str], ...]
"""A text cut into numbers and what stands between them: `Ward 9` comes before `Ward 10`."""


def natural(text: str) -> Natural:
    parts = _NUMBER.split(text)
    return tuple(
        (0, int(part), "") if part.isdecimal() and len(part) <= NUMBER_MAX_DIGITS else (1, 0, part) for part in parts if part
    )


class Places:
    """Contests and areas of one election. What a search and a sorting look at is made at the start: of 100,000 areas it takes
    a second, which nobody who asks may wait for."""

    def __init__(self, election: Election) -> None:
        self.election = election
        self.contests = {contest.id: contest for contest in election.contests}
        self._names = {election.root: election.root_name, **dict(election.area_names)}
        self._under: dict[str, list[str]] = {}
        for area in election.areas:
            if area.parent is not None:
                self._under.setdefault(election.areas[area.parent].id, []).append(area.id)
        ids = [area.id for area in election.areas]
        self._texts = {area: f"{folded(self.name(area))}\n{folded(area.rpartition('/')[2])}" for area in ids}
        """What a search looks at: the name, and the last part of the id."""
        by_name = sorted(ids, key=lambda area: natural(f"{self._texts[area]}\n{area}"))
        self._order = {area: place for place, area in enumerate(by_name)}
        self._contest_texts = [f"{folded(c.name)}\n{folded(c.id)}" for c in election.contests]

    def is_area(self, area: str) -> bool:
        return area in self._order

    def name(self, area: str) -> str:
        """The area's name, else the last part of its id."""
        return self._names.get(area) or area.rpartition("/")[2]

    def trail(self, area: str) -> list[str]:
        """The areas it lies in, the root first, and itself."""
        parts = area.split("/")
        return ["/".join(parts[: n + 1]) for n in range(len(parts))]

    def above(self, area: str) -> list[str]:
        """Names of the areas it lies in, without the root and itself."""
        return [self.name(one) for one in self.trail(area)[1:-1]]

    def path(self, area: str) -> str:
        """Its name with those of the areas it lies in, for people: `Wisconsin › Dane`; the root's is its own."""
        return " › ".join([*self.above(area), self.name(area)])

    def under(self, area: str) -> list[str]:
        """The published areas directly below, of whatever contest."""
        return self._under.get(area, [])

    def order(self, area: str) -> int:
        """Its place among all areas by name."""
        return self._order[area]

    def found(self, areas: Iterable[str], words: str) -> list[str]:
        """Those whose name, or last part of their id, contains the words: names that begin with them first, then areas
        above before those below, then by name."""
        wanted = folded(words)
        matching = [area for area in areas if wanted in self._texts[area]] if wanted else []
        return sorted(matching, key=lambda a: (not self._texts[a].startswith(wanted), a.count("/"), self._order[a]))

    def found_contests(self, words: str) -> list[Contest]:
        """Contests whose name or id contains the words, in the definition's order; all of them where there are no words."""
        wanted = folded(words)
        if not wanted:
            return list(self.election.contests)
        return [c for c, text in zip(self.election.contests, self._contest_texts, strict=True) if wanted in text]
