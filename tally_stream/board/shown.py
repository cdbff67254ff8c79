"""What is shown of one contest: the newest standings by the reader's rule, and the history of its root (`history.py`).

Decides which of the messages read are shown: none older than the one held for its key, an area only once the root of
its version is here. Bytes stay as they were published. Refuses to know Kafka. Read `feed.py` next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from tally_stream.board.history import History, point_of
from tally_stream.domain.scalars import parse_time

WAITING_MAX_MESSAGES = 16
"""Messages of one area that wait for their root. One is usual; a root that never came must not make a queue."""


@dataclass(frozen=True, slots=True)
class Published:
    """One standings message: its bytes as published, and the broker's time of the record that brought it."""

    version: int
    value: bytes
    sent_ms: int


class _AsOf(msgspec.Struct):
    as_of: str | None


_as_of_decoder = msgspec.json.Decoder(_AsOf)


def as_of_ms(published: Published) -> int | None:
    """The log time that a message says it is of. The record's own time is another one wherever it was sent again."""
    as_of = _as_of_decoder.decode(published.value).as_of
    return None if as_of is None else parse_time(as_of)


class ContestShown:
    """The newest of every key of one contest. `take_root` and `take_area` for each record, in log order."""

    def __init__(self) -> None:
        self.root: Published | None = None
        self.root_message: dict[str, Any] = {}
        self.areas: dict[str, Published] = {}
        """Area id → what is shown; the root is not among them."""
        self.areas_taken = 0
        """Rises with every area shown anew: what is made of areas is good until it does."""
        self.contact_ms: int | None = None
        """When a root was last published, new or not: the worker sends it again every 10 s."""
        self.rise_ms: int | None = None
        """When what is counted last changed. What was refused, and what controls say, changes the version alone."""
        self._counted: tuple[Any, ...] | None = None
        self.history = History()
        self._waiting: dict[str, list[Published]] = {}

    @property
    def version(self) -> int:
        return -1 if self.root is None else self.root.version

    @property
    def is_before_the_close(self) -> bool:
        """Whether no result may be shown: an official election before its polls closed."""
        message = self.root_message
        return not message or (message["phase"] == "official" and message["status"] == "pre-election")

    def held(self, area: str | None) -> Published | None:
        """What is shown of an area, None for the root; what waits is not."""
        return self.root if area is None else self.areas.get(area)

    def take_area(self, area: str, message: Published) -> None:
        """An area's message: shown with the root of its version, or at once where that root is here already."""
        held = self.areas.get(area)
        if held is not None and message.version < held.version:
            return
        if message.version <= self.version:
            self._show_area(area, message)
            return
        waiting = self._waiting.setdefault(area, [])
        waiting.append(message)
        del waiting[:-WAITING_MAX_MESSAGES]

    def _show_area(self, area: str, message: Published) -> None:
        if self.areas.get(area) != message:
            self.areas[area] = message
            self.areas_taken += 1

    def take_root(self, message: Published, now_ms: int) -> bool:
        """A root message; whether the root shown is another one now. Raises ValueError, and changes nothing, where it
        lacks what a root has. Times are the record's own, so that a backlog is not news; `now_ms` only bounds them."""
        if message.version < self.version:
            return False
        is_new = self.root is None or message.version > self.root.version
        if is_new:
            content = msgspec.json.decode(message.value)
            counted = _counted(content)
            point = point_of(content, message.sent_ms)
        self.contact_ms = max(min(message.sent_ms, now_ms), self.contact_ms or 0)
        if not is_new:
            return False
        if counted != self._counted:
            self.rise_ms = min(message.sent_ms, now_ms)
            if self._counted is None and (as_of_ms := parse_time(content["as_of"] or "")) is not None:
                # The oldest record that compaction left is one sent again: what it counts is older than that.
                self.rise_ms = min(self.rise_ms, as_of_ms)
        self.root, self.root_message, self._counted = message, content, counted
        self._show_waiting()
        self.history.take(point)
        return True

    def _show_waiting(self) -> None:
        for area in list(self._waiting):
            waiting = self._waiting[area]
            due = [m for m in waiting if m.version <= self.version]
            if not due:
                continue
            held = self.areas.get(area)
            newest = max(due, key=lambda m: m.version)
            if held is None or newest.version >= held.version:
                self._show_area(area, newest)
            self._waiting[area] = [m for m in waiting if m.version > self.version]
            if not self._waiting[area]:
                del self._waiting[area]


def _counted(root: dict[str, Any]) -> tuple[Any, ...]:
    """What counting made of the reports, without the stamp of their place in the log."""
    try:
        votes = [(c["id"], c["votes"]) for c in root["candidates"]]
        return root["stations"], root["flags"], root["turnout"], root["ballots"], votes
    except (KeyError, TypeError) as error:
        raise ValueError(f"a root without {error}") from error
