"""What was taken lately: the place of each statement, so that the same one again is answered and not sent.

Decides how much is kept: the oldest are forgotten. What is forgotten is sent again when it comes again, and counts once all the
same (rule Q1). Read `taking.py` next.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

PLACES_MAX = 100_000
PLACES_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecentStatement:
    """A statement and where it stands. `sequence` is a contest's id, or `turnout`."""

    station: str
    sequence: str
    revision: int
    kind: str
    value: bytes
    partition: int
    offset: int

    @property
    def place(self) -> tuple[int, int]:
        return self.partition, self.offset

    @property
    def key(self) -> bytes:
        return self.station.encode()


class RecentStatements:
    """By what they state, and by their place."""

    def __init__(self, most: int = PLACES_MAX, most_bytes: int = PLACES_MAX_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._by_name: OrderedDict[tuple[str, str, int], RecentStatement] = OrderedDict()
        self._by_place: dict[tuple[int, int], RecentStatement] = {}
        self.bytes_kept = 0

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, station: str, sequence: str, revision: int) -> RecentStatement | None:
        return self._by_name.get((station, sequence, revision))

    def at(self, partition: int, offset: int) -> RecentStatement | None:
        return self._by_place.get((partition, offset))

    def add(self, taken: RecentStatement) -> None:
        """It stands for what was known under its name before."""
        name = taken.station, taken.sequence, taken.revision
        if name in self._by_name:
            self._forget(self._by_name.pop(name))
        self._by_name[name] = self._by_place[taken.partition, taken.offset] = taken
        self.bytes_kept += len(taken.value)
        while len(self._by_name) > self._most or self.bytes_kept > self._most_bytes:
            self._forget(self._by_name.popitem(last=False)[1])

    def forget(self, partition: int, offset: int) -> None:
        """What was refused has no place."""
        taken = self._by_place.get((partition, offset))
        if taken is not None:
            self._forget(self._by_name.pop((taken.station, taken.sequence, taken.revision)))

    def _forget(self, taken: RecentStatement) -> None:
        self._by_place.pop((taken.partition, taken.offset), None)
        self.bytes_kept -= len(taken.value)
