"""The votes of an area, candidate by candidate: numbers that lie beside each other in memory.

Decides nothing but where they lie. In a list each sum is an object of its own, anywhere in memory: with 5,570 areas and 11
candidates the processor waited for eleven of them with each report. Read `tally.py` next.
"""

from __future__ import annotations

from collections.abc import Sequence

BLOCK = 8
"""Candidates whose sums stand in one object."""


class VoteSums:
    """Sums of up to BLOCK candidates in candidate order, and in `more` of those after them; what no candidate needs is 0."""

    __slots__ = ("a", "b", "c", "d", "e", "f", "g", "h", "more")

    def __init__(self, votes: Sequence[int]) -> None:
        many = len(votes) > BLOCK
        block = votes[:BLOCK] if many else (*votes, *(0,) * (BLOCK - len(votes)))
        self.a: int
        self.b: int
        self.c: int
        self.d: int
        self.e: int
        self.f: int
        self.g: int
        self.h: int
        self.a, self.b, self.c, self.d, self.e, self.f, self.g, self.h = block
        self.more: VoteSums | None = VoteSums(votes[BLOCK:]) if many else None

    def to_tuple(self, count: int) -> tuple[int, ...]:
        """The sums of `count` candidates."""
        found: tuple[int, ...] = self.block()
        more = self.more
        if more is not None and more.more is None:
            found += more.block()
        elif more is not None:
            longer = list(found)
            while more is not None:
                longer += more.block()
                more = more.more
            found = tuple(longer)
        return found[:count]

    def block(self) -> tuple[int, int, int, int, int, int, int, int]:
        """Those of this object alone."""
        return self.a, self.b, self.c, self.d, self.e, self.f, self.g, self.h


def add_votes(sums: VoteSums, votes: tuple[int, ...]) -> None:
    """Add to each candidate's sum."""
    move_votes(sums, votes, (0,) * len(votes))


def take_votes(sums: VoteSums, votes: tuple[int, ...]) -> None:
    """Take from each candidate's sum what was added before."""
    move_votes(sums, (0,) * len(votes), votes)


def move_votes(sums: VoteSums, votes: tuple[int, ...], before: tuple[int, ...]) -> None:
    """Add to each candidate's sum, and take what was added before, in one pass: half of a night's reports replace another.
    To take and then add was a tenth of all that is done for a report."""
    block: VoteSums | None = sums
    for start in range(0, len(votes), BLOCK):
        assert block is not None, "there are as many sums as candidates"
        left = len(votes) - start
        if left > 7:
            block.h += votes[start + 7] - before[start + 7]
        if left > 6:
            block.g += votes[start + 6] - before[start + 6]
        if left > 5:
            block.f += votes[start + 5] - before[start + 5]
        if left > 4:
            block.e += votes[start + 4] - before[start + 4]
        if left > 3:
            block.d += votes[start + 3] - before[start + 3]
        if left > 2:
            block.c += votes[start + 2] - before[start + 2]
        if left > 1:
            block.b += votes[start + 1] - before[start + 1]
        block.a += votes[start] - before[start]
        block = block.more
