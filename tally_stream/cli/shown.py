"""The newest standings for `standings` and `demo`: read from records, and in the order in which people read them.

Decides that a record which is no standings message is passed over. Which messages are shown is the reader's rule, in
`wire/newest.py`. Refuses to know how a message looks; read `view.py` for that, and `follow.py` for a topic that goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from tally_stream.wire.messages import standings_key
from tally_stream.wire.newest import Newest, is_root
from tally_stream.wire.schema.published import read_standings


@dataclass(frozen=True, slots=True)
class Shown:
    """One message: its bytes as published, and what stands in them."""

    value: bytes
    message: dict[str, Any]


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
        shown = Shown(value or b"", msgspec.json.decode(value or b""))
        changed = self.newest.take(read.definition, read.contest, read.area, read.version, shown)
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
            root = [] if of_contest.root is None else [of_contest.root]
            for shown in [*(of_contest.areas[a] for a in sorted(of_contest.areas)), *root]:
                if area in (None, shown.message["area"]):
                    found[standings_key(id, shown.message["area"])] = shown
        return found


def is_root_key(key: bytes) -> bool:
    """Whether a record's key, `<contest>|<area>`, is that of a root."""
    return is_root(key.decode("utf-8", "replace").partition("|")[2])
