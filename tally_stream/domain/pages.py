"""Pages and marks: what a partition contributes to each contest, cut into parts that are sent apart from each other.

Decides which deepest published areas of a contest stand together on a page, what a page and a mark say, and how far a mark
goes for each contest. A page says how its areas stand below `changed_at`, and a mark that nothing changed since. Refuses to
know how sums come about (`fold.py`), their bytes (`wire/pages.py`), and when which is sent (`stream/counting.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tally_stream.domain.election import Election
from tally_stream.domain.extra_sums import CHANNEL_SCALARS, EXTRA_SCALARS, EXTRA_SUMS
from tally_stream.domain.tally import SCALARS, SUMS, AreaSums

LAYOUT_NUMBER = 2
"""Raised whenever the layout of any election, or what stands on a page, could change: pages of another number are absent."""

PAGE_MAX_BYTES = 4_096
"""A page is at most so long, or it is of one area."""

FRAME_MAX_BYTES = 360
"""What stands on a page beside its areas, at its longest."""

SUM_MAX_DIGITS = 10
"""Of one station's part of a sum of ballots or voters: a register of 999,999,999, and what the bound adds to it. One sum can
have more:"""

CONTRADICTED_MAX_DIGITS = 13
"""Of one station's part of `contradicted`: three kinds of 999,999,999 ballots where none was cast, with 2,000 votes each."""


@dataclass(frozen=True)
class Stand:
    """How far a partition is, in what it contributes to one contest: at the hold's own offset + 1 while that is on hold.

    `newest_ms` is the newest log timestamp among the records below `next_offset`, None where there is none.
    """

    next_offset: int
    newest_ms: int | None
    is_on_hold: bool
    is_certified: bool


class Page:
    """Cumulative sums of some areas of one contest in one partition, below `changed_at`: the offset after the last record
    that took a station of these areas out of its sums or put it in.

    `areas` has for each of `leaves` (indices of deepest published areas) its integers (`Totals.to_integers`), None where
    nothing was heard yet. They are never changed: newer figures are another page.
    """

    __slots__ = ("areas", "changed_at", "contest", "leaves", "number", "partition")

    def __init__(
        self, contest: int, partition: int, number: int, changed_at: int, leaves: tuple[int, ...], areas: list[AreaSums | None]
    ) -> None:
        self.contest: Final = contest
        self.partition: Final = partition
        self.number: Final = number
        self.changed_at: Final = changed_at
        self.leaves: Final = leaves
        self.areas: Final = areas


Hold = tuple[int, int | None]
"""The offset after a hold's own record, and the newest log timestamp below it."""


@dataclass(frozen=True)
class Mark:
    """How far all pages of a partition go: they are complete to `next_offset`, those of a contest on hold to its hold.

    `changed_sum` is the sum of `changed_at` over all pages of the partition, by which a reader knows that it has them.
    `certified` are the contests certified below what the mark covers of them, as (first, last) in rising order.
    """

    partition: int
    next_offset: int
    newest_ms: int | None
    holds: dict[int, Hold]
    certified: tuple[tuple[int, int], ...]
    changed_sum: int

    def covers(self, contest: int) -> int:
        """The offset below which the contest's pages are complete."""
        hold = self.holds.get(contest)
        return self.next_offset if hold is None else hold[0]

    def is_certified(self, contest: int) -> bool:
        at = bisect_right(self.certified, (contest + 1, -1)) - 1
        return at >= 0 and contest <= self.certified[at][1]

    def certified_contests(self) -> set[int]:
        return {contest for first, last in self.certified for contest in range(first, last + 1)}

    def stand(self, contest: int) -> Stand:
        hold = self.holds.get(contest)
        if hold is None:
            return Stand(self.next_offset, self.newest_ms, False, self.is_certified(contest))
        return Stand(hold[0], hold[1], True, self.is_certified(contest))


@dataclass(frozen=True)
class Figures:
    """What one partition contributes to one contest: how far it is, and its pages that any record has touched."""

    contest: int
    partition: int
    stand: Stand
    pages: tuple[Page, ...]


def ranges_of(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Rising numbers as (first, last) of each unbroken row of them."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found)


def area_max_bytes(candidate_count: int, station_count: int, channel_count: int = 0) -> int:
    """An area's integers on a page, at their longest: each has a sign and a comma behind it, the area two brackets and a
    comma. A sum has at most SUM_MAX_DIGITS digits more than the number of stations it is over; `contradicted`, which may have
    CONTRADICTED_MAX_DIGITS where a ballot has four votes or more, takes them of its candidates' sums: there are no fewer than a
    ballot has votes, and each is shorter than is allowed for. Extra sums, which few elections
    have, count where there are channels: else every election would have more pages for them."""
    names = list(SCALARS)
    if channel_count:
        names += [*EXTRA_SCALARS, *CHANNEL_SCALARS * channel_count]
    digits = len(str(station_count))
    sums = candidate_count * (channel_count + 1) + sum(name in SUMS or name in EXTRA_SUMS for name in names)
    others = candidate_count * (channel_count + 1) + len(names) - sums
    return sums * (digits + SUM_MAX_DIGITS + 2) + others * (digits + 2) + 3


class Layout:
    """Which areas stand on which page, for each contest of an election: its deepest published areas in their order (depth,
    path), a new page where the next area might not fit. It depends on the definition alone."""

    def __init__(self, election: Election) -> None:
        stations_in: dict[int, int] = dict.fromkeys(election.leaf_areas, 0)
        for station in election.stations.values():
            stations_in[station.leaf] += 1
        self.pages: list[tuple[tuple[int, ...], ...]] = []
        """Contest → page → its areas."""
        self._firsts: list[tuple[int, ...]] = []
        """Contest → the first area of each page."""
        known: dict[tuple[int, int, int], tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]] = {}
        # Contests of the same areas and as many candidates share one cut: with 20,000 contests that is nearly all.
        for leaves, contest, channels in zip(
            election.contest_leaves, election.contests, election.contest_channels, strict=True
        ):
            key = (id(leaves), len(contest.candidate_ids), len(channels))
            if key not in known:
                pages = _cut(leaves, len(contest.candidate_ids), stations_in, len(channels))
                known[key] = (pages, tuple([page[0] for page in pages]))
            self.pages.append(known[key][0])
            self._firsts.append(known[key][1])

    def page_of(self, contest: int, leaf: int) -> int:
        """The number of the page that a deepest published area of the contest stands on."""
        return bisect_right(self._firsts[contest], leaf) - 1


def _cut(
    leaves: tuple[int, ...], candidate_count: int, stations_in: dict[int, int], channel_count: int
) -> tuple[tuple[int, ...], ...]:
    pages: list[list[int]] = []
    size = PAGE_MAX_BYTES
    for leaf in leaves:
        longest = area_max_bytes(candidate_count, stations_in[leaf], channel_count)
        if size + longest > PAGE_MAX_BYTES:
            pages.append([])
            size = FRAME_MAX_BYTES
        pages[-1].append(leaf)
        size += longest
    return tuple([tuple(page) for page in pages])
