"""The reader's rule, once for all who read the standings topic: which of the messages read so far are shown.

Decides two things. Of the messages of one key, shown is the newest that is not newer than its contest's newest root: an
older one never replaces a newer one, and an area that is newer than the root waits for a root. Of several definitions,
shown is the one whose root came last, whole: figures of two definitions never stand side by side.
Refuses to know where messages come from and what is made of them: a message is anything that can be compared with `==`.
Users: `board/shown.py`, `cli/shown.py`, `export/snapshot.py`. Read `schema/published.py` for what stands in a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

WAITING_MAX_MESSAGES = 16
"""Versions of one area that wait for a root. One is usual; a root that never came must not make a queue."""

DEFINITIONS_MAX = 8
"""Definitions whose messages are kept side by side until a root says which of them is shown."""

ROOT_SECONDS = 10.0
"""A root that did not change is sent again within this time, so that silence means trouble."""

ROOTS_A_SECOND = 100.0
"""Most roots that are sent again unchanged, of more than 1,000 contests together; of fewer all come round in ROOT_SECONDS."""

NO_VERSION = -1
"""Below every version: what stands where no root came yet."""

M = TypeVar("M")


def root_seconds(contest_count: int) -> float:
    """Within which a root that did not change is sent again: of more than 1,000 contests one after the other."""
    return max(ROOT_SECONDS, contest_count / ROOTS_A_SECOND)


def is_root(area: str) -> bool:
    """Whether an area id is that of the whole: a path of one part."""
    return "/" not in area


class NewestOfContest(Generic[M]):
    """The messages of one contest and definition that are shown. `take` each in log order."""

    def __init__(self) -> None:
        self.root: M | None = None
        self.root_version = NO_VERSION
        self.areas: dict[str, M] = {}
        """Area id → what is shown; the root is not among them."""
        self._versions: dict[str, int] = {}
        self._waiting: dict[str, dict[int, M]] = {}
        """Area id → version → a message that is newer than the root."""

    @property
    def is_waiting(self) -> bool:
        """Whether a message is newer than the root."""
        return bool(self._waiting)

    def take(self, area: str, version: int, message: M) -> list[str]:
        """Area ids of which another message is shown now; the root's last."""
        if is_root(area):
            changed = self.take_root(version, message)
            return [*changed, area] if changed is not None else []
        return [area] if self.take_area(area, version, message) else []

    def take_area(self, area: str, version: int, message: M) -> bool:
        """Whether another message of this area is shown now."""
        if version < self._versions.get(area, NO_VERSION):
            return False
        if version <= self.root_version:
            return self._show(area, version, message)
        waiting = self._waiting.setdefault(area, {})
        waiting[version] = message
        if len(waiting) > WAITING_MAX_MESSAGES:
            del waiting[min(waiting)]
        return False

    def take_root(self, version: int, message: M) -> list[str] | None:
        """Areas of which another message is shown now that this root is here; None where the root shown is the same as
        before."""
        if version < self.root_version or message == self.root:
            return None
        self.root, self.root_version = message, version
        return [area for area in list(self._waiting) if self._show_waiting(area)]

    def _show_waiting(self, area: str) -> bool:
        waiting = self._waiting[area]
        due = [version for version in waiting if version <= self.root_version]
        if not due:
            return False
        newest = max(due)
        message = waiting[newest]
        for version in due:
            del waiting[version]
        if not waiting:
            del self._waiting[area]
        return self._show(area, newest, message)

    def _show(self, area: str, version: int, message: M) -> bool:
        self._versions[area] = version
        if self.areas.get(area) == message:
            return False
        self.areas[area] = message
        return True


@dataclass(frozen=True, slots=True)
class OtherDefinition:
    """The newest message on the topic is of a definition that is not shown: the figures shown are no longer the newest."""

    shown: str | None
    newest: str


class Newest(Generic[M]):
    """The messages shown of all contests. With a `definition`, messages of every other one are passed over; without,
    those of the definition are shown whose root came last."""

    def __init__(self, definition: str | None = None) -> None:
        self.definition = definition
        """What is shown; None before the first root, where no definition was given."""
        self.others: set[str] = set()
        """Definitions met that are not the one given."""
        self._is_given = definition is not None
        self._last: str | None = None
        self._kept: dict[str, dict[str, NewestOfContest[M]]] = {}
        """Definition → contest → its messages."""

    @property
    def contests(self) -> dict[str, NewestOfContest[M]]:
        """Contest id → the messages of the definition shown."""
        return self._kept.get(self.definition or "", {})

    @property
    def replaced(self) -> OtherDefinition | None:
        """What speaks against taking what is shown for the newest; None where nothing does."""
        if self._last is None or self._last == self.definition:
            return None
        return OtherDefinition(self.definition, self._last)

    @property
    def is_whole(self) -> bool:
        """Whether nothing waits: no area for its root, and no definition for its first root."""
        return self.replaced is None and not any(contest.is_waiting for contest in self.contests.values())

    def note(self, definition: str) -> None:
        """A message of this definition stands on the topic, whatever it is about."""
        self._last = definition
        if self._is_given and definition != self.definition:
            self.others.add(definition)

    def take(self, definition: str, contest: str, area: str, version: int, message: M) -> list[tuple[str, str]]:
        """(contest, area) of which another message is shown now; a root behind its areas."""
        self.note(definition)
        if self._is_given and definition != self.definition:
            return []
        of_contest = self._of(definition).setdefault(contest, NewestOfContest())
        changed = of_contest.take(area, version, message)
        if definition == self.definition:
            return [(contest, area) for area in changed]
        if not is_root(area) or version < of_contest.root_version:
            return []
        self.definition = definition
        return list(self._all_shown(root=area))

    def _of(self, definition: str) -> dict[str, NewestOfContest[M]]:
        if definition not in self._kept and len(self._kept) >= DEFINITIONS_MAX:
            del self._kept[next(kept for kept in self._kept if kept != self.definition)]
        return self._kept.setdefault(definition, {})

    def _all_shown(self, root: str) -> Iterator[tuple[str, str]]:
        for id, contest in self.contests.items():
            yield from ((id, area) for area in contest.areas)
            if contest.root is not None:
                yield id, root  # all contests have the election's root
