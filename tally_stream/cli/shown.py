"""The newest standings for `standings` and `demo`: read from records, and in the order in which people read them.

Decides that a record which is no standings message is passed over. Which messages are shown is the reader's rule, in
`wire/newest.py`. Refuses to know how a message looks; read `view.py` for that, and `follow.py` for a topic that goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tally_stream.wire.messages import standings_key
from tally_stream.wire.newest import Newest, is_root
from tally_stream.wire.schema.published import read_standings


@dataclass(slots=True)
class Shown:
    """One message: its bytes as published. What stands in them is read when it is first asked for: of thousands of areas
    nearly none is."""

    value: bytes
    area: str
    _message: dict[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def message(self) -> dict[str, Any]:
        if self._message is None:
            self._message = msgspec.json.decode(self.value)
        return self._message


class ShownStandings:
    """The newest message of each key; `take` every record of the topic."""

    def __init__(self) -> None:
        self.newest: Newest[Shown] = Newest()

    def take(self, value: bytes | None) -> list[bytes]:
        """Keys of which another message is shown now."""
        try:
            read = read_standings(value or b"")
        except ValueError:
            return []
        changed = self.newest.take(read.definition, read.contest, read.area, read.version, Shown(value or b"", read.area))
        return [standings_key(contest, area) for contest, area in changed]

    @property
    def roots(self) -> list[Shown]:
        """Of every contest, in order of id."""
        contests = sorted(self.newest.contests.items())
        return [of_contest.root for _, of_contest in contests if of_contest.root is not None]

    def all(self, contest: str | None = None, area: str | None = None) -> dict[bytes, Shown]:
        """Key → what is shown of it, of the contest and area asked for: contests in order of id, areas first, the root
        last."""
        found: dict[bytes, Shown] = {}
        for id, of_contest in sorted(self.newest.contests.items()):
            if contest not in (None, id):
                continue
            root = of_contest.root
            wanted = sorted(of_contest.areas) if area is None else [area] if area in of_contest.areas else []
            for shown in [*(of_contest.areas[a] for a in wanted), *([] if root is None else [root])]:
                if area in (None, shown.area):
                    found[standings_key(id, shown.area)] = shown
        return found

    def of(self, keys: Iterable[bytes], contest: str | None = None, area: str | None = None) -> list[Shown]:
        """What is shown of some keys, of the contest and area asked for, in the order of `all`."""
        found: list[tuple[str, bool, str, Shown]] = []
        for key in keys:
            of_contest, _, of_area = key.decode().partition("|")
            shown = self._one(of_contest, of_area)
            if shown is not None and contest in (None, of_contest) and area in (None, of_area):
                found.append((of_contest, is_root(of_area), of_area, shown))
        return [shown for *_, shown in sorted(found, key=lambda one: one[:3])]

    def _one(self, contest: str, area: str) -> Shown | None:
        of_contest = self.newest.contests.get(contest)
        if of_contest is None:
            return None
        return of_contest.root if is_root(area) else of_contest.areas.get(area)


def is_root_key(key: bytes) -> bool:
    """Whether a record's key, `<contest>|<area>`, is that of a root."""
    return is_root(key.decode("utf-8", "replace").partition("|")[2])
