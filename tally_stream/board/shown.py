"""What is shown of one contest: its newest standings, when they last rose, and the history of its root (`history.py`).

Decides what is contact and what is news. Which messages are shown is the reader's rule, in `wire/newest.py`. Bytes stay
as they were published. Refuses to know Kafka. Read `feed.py` next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from tally_stream.board.history import HISTORY_MAX_POINTS, History, point_of
from tally_stream.domain.scalars import parse_time
from tally_stream.domain.standings import body_of
from tally_stream.wire.newest import NO_VERSION, NewestOfContest


@dataclass(frozen=True, slots=True)
class Published:
    """One standings message: its bytes as published, and the broker's time of the record that brought it. Sent again it
    is still the same message."""

    version: int
    value: bytes
    sent_ms: int = field(compare=False)


class _AsOf(msgspec.Struct):
    as_of: str | None


_as_of_decoder = msgspec.json.Decoder(_AsOf)


def as_of_ms(published: Published) -> int | None:
    """The log time that a message says it is of. The record's own time is another one wherever it was sent again."""
    as_of = _as_of_decoder.decode(published.value).as_of
    return None if as_of is None else parse_time(as_of)


class ContestShown:
    """The newest of every key of one contest. `take_root` and `take_area` for each record, in log order."""

    def __init__(self, history_points: int = HISTORY_MAX_POINTS) -> None:
        self._newest: NewestOfContest[Published] = NewestOfContest()
        self.root_message: dict[str, Any] = {}
        self.areas_taken = 0
        """Rises with every area shown anew: what is made of areas is good until it does."""
        self._taken_below: dict[str, int] = {}
        """Area id → how often an area directly below it was shown anew."""
        self.contact_ms: int | None = None
        """When a root was last published, new or not: the worker sends it again every 10 s."""
        self.rise_ms: int | None = None
        """When what is counted last changed. What was refused, and what controls say, changes the version alone."""
        self.changed_version = NO_VERSION
        """Of the newest root that said something else than the one before it: a root is sent again with a newer version."""
        self._counted: tuple[Any, ...] | None = None
        self.history = History(history_points)

    @property
    def root(self) -> Published | None:
        return self._newest.root

    @property
    def areas(self) -> dict[str, Published]:
        """Area id → what is shown; the root is not among them."""
        return self._newest.areas

    @property
    def version(self) -> int:
        """The root's; −1 before the first one."""
        return self._newest.root_version

    @property
    def is_before_the_close(self) -> bool:
        """Whether no result may be shown: an official election before its polls closed."""
        message = self.root_message
        return not message or (message["phase"] == "official" and message["status"] == "pre-election")

    def of(self, area: str | None) -> Published | None:
        """What is shown of an area, None for the root; what waits is not."""
        return self.root if area is None else self.areas.get(area)

    def taken_below(self, area: str) -> int:
        """Rises with every area directly below this one that is shown anew: a list of those is good until it does."""
        return self._taken_below.get(area, 0)

    def take_area(self, area: str, message: Published) -> None:
        """An area's message: shown with the first root that is not older, or at once where such a root is here already."""
        if self._newest.take_area(area, message.version, message):
            self._note_areas([area])

    def _note_areas(self, areas: list[str]) -> None:
        self.areas_taken += len(areas)
        for area in areas:
            above = area.rpartition("/")[0]
            self._taken_below[above] = self._taken_below.get(above, 0) + 1

    def take_root(self, message: Published, now_ms: int) -> bool:
        """A root message; whether the root shown is another one now. Raises ValueError, and changes nothing, where it
        lacks what a root has. Times are the record's own, so that a backlog is not news; `now_ms` only bounds them."""
        content = msgspec.json.decode(message.value)
        counted, point = _counted(content), point_of(content, message.sent_ms)
        areas = self._newest.take_root(message.version, message)
        if message == self.root:  # it is the one shown, new or sent again
            self.contact_ms = max(min(message.sent_ms, now_ms), self.contact_ms or 0)
        if areas is None:
            return False
        if counted != self._counted:
            self.rise_ms = min(message.sent_ms, now_ms)
            if self._counted is None and (as_of_ms := parse_time(content["as_of"] or "")) is not None:
                # The oldest record that compaction left is one sent again: what it counts is older than that.
                self.rise_ms = min(self.rise_ms, as_of_ms)
        if body_of(content) != body_of(self.root_message):
            self.changed_version = message.version
        self.root_message, self._counted = content, counted
        self._note_areas(areas)
        self.history.take(point)
        return True


def _counted(root: dict[str, Any]) -> tuple[Any, ...]:
    """What counting made of the reports, without the stamp of their place in the log."""
    try:
        votes = [(c["id"], c["votes"]) for c in root["candidates"]]
        return root["stations"], root["flags"], root["turnout"], root["ballots"], votes
    except (KeyError, TypeError) as error:
        raise ValueError(f"a root without {error}") from error
