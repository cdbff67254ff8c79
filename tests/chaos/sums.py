"""(partition, offset) → a short digest of a value, for millions of them: eight bytes a record, where a dictionary has 250.

Decides how a run of hours remembers what was promised and what is due. Refuses to know what the values are; that two
values of one place are equal is known but for one case in 2^64.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator

NOTHING = 0

Place = tuple[int, int]


def digest(value: bytes) -> int:
    """Never NOTHING."""
    return int.from_bytes(hashlib.blake2b(value, digest_size=8).digest(), "big") or 1


class Sums:
    """Set a place to a value; ask `holds`; compare two with `differing`."""

    def __init__(self) -> None:
        self._of: dict[int, array[int]] = {}
        self._count = 0

    def __setitem__(self, place: Place, value: bytes) -> None:
        """Twice the same is nothing new. Raises AssertionError where the place holds another value."""
        partition, offset = place
        of = self._of.setdefault(partition, array("Q"))
        if offset >= len(of):
            of.extend([NOTHING] * (offset + 1 - len(of)))
        told = digest(value)
        assert of[offset] in (NOTHING, told), f"{partition}/{offset} has two values"
        self._count += of[offset] == NOTHING
        of[offset] = told

    def __len__(self) -> int:
        return self._count

    def at(self, place: Place) -> int:
        partition, offset = place
        of = self._of.get(partition, array("Q"))
        return of[offset] if offset < len(of) else NOTHING

    def places(self) -> Iterator[Place]:
        for partition, of in self._of.items():
            yield from ((partition, offset) for offset, told in enumerate(of) if told != NOTHING)

    def missing_in(self, other: Sums) -> list[Place]:
        """The places that are here and there not, or there otherwise."""
        return [place for place in self.places() if other.at(place) != self.at(place)]
