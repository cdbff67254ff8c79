"""Sums of an area that few elections have: undervotes and overvotes, turnout statements, and the ways of voting.

Decides what a station adds to them. An area gets them when something of it is first heard, so that others cost nothing, on
pages as in memory; where stations.csv has a channel for each station, every area has them. Refuses to know everything that
each election has (`tally.py`). Read `fold.py` next.
"""

from __future__ import annotations

from collections.abc import Sequence

from tally_stream.domain.election import Station
from tally_stream.domain.ledger import Entry
from tally_stream.domain.report import Report
from tally_stream.domain.votes import VoteSums, add_votes, take_votes

UNDER_AND_OVER = ("undervotes", "overvotes", "undervotes_known")
"""Of the counts in force; the last counts the stations whose report has them."""
VOTED = ("voted", "voted_registered", "voted_registered_unknown", "voted_stations")
"""Of the newest turnout statement of each station that has made one; registered voters are those of the definition."""
EXTRA_SCALARS = (*UNDER_AND_OVER, *VOTED)
CHANNEL_SCALARS = ("counted", "partial", "held_only", "annulled", "cast", "valid")
"""Of each channel, its votes behind them. Ballots cast that are unknown are counted as 0: where one is unknown, the area's own
sum is, and none is published."""
EXTRA_SUMS = frozenset({"undervotes", "overvotes", "voted", "voted_registered", "cast", "valid"})
"""Scalars that sum votes, ballots or voters; the others count stations."""

Integers = tuple[int, ...]


class ChannelSums(VoteSums):
    """The counts of one way of voting in an area."""

    __slots__ = CHANNEL_SCALARS

    def __init__(self, integers: Sequence[int]) -> None:
        """What `to_integers` gave."""
        super().__init__(integers[len(CHANNEL_SCALARS) :])
        self.counted: int
        self.partial: int
        self.held_only: int
        self.annulled: int
        self.cast: int
        self.valid: int
        self.counted, self.partial, self.held_only, self.annulled, self.cast, self.valid = integers[: len(CHANNEL_SCALARS)]

    def to_integers(self, candidate_count: int) -> Integers:
        return (
            self.counted, self.partial, self.held_only, self.annulled, self.cast, self.valid, *self.to_tuple(candidate_count)
        )  # fmt: skip


class ExtraSums:
    """`channels`: index of the election's channel → its sums, for each channel of the contest, in their order."""

    __slots__ = (*EXTRA_SCALARS, "candidate_count", "channels")

    undervotes: int
    overvotes: int
    undervotes_known: int
    voted: int
    voted_registered: int
    voted_registered_unknown: int
    voted_stations: int

    def __init__(self, candidate_count: int, channels: tuple[int, ...], integers: Sequence[int] | None = None) -> None:
        """All zero, or what `to_integers` gave."""
        if integers is None:
            integers = (0,) * extra_width(candidate_count, len(channels))
        self.candidate_count = candidate_count
        width = len(CHANNEL_SCALARS) + candidate_count
        first = len(EXTRA_SCALARS)
        self.channels: dict[int, ChannelSums] = {
            channel: ChannelSums(integers[first + place * width : first + (place + 1) * width])
            for place, channel in enumerate(channels)
        }
        (
            self.undervotes, self.overvotes, self.undervotes_known, self.voted, self.voted_registered,
            self.voted_registered_unknown, self.voted_stations,
        ) = integers[:first]  # fmt: skip

    def to_integers(self) -> Integers:
        """EXTRA_SCALARS, then CHANNEL_SCALARS and the votes in candidate order of each channel: what a page has of an area
        behind what it has of all."""
        found: Integers = (
            self.undervotes, self.overvotes, self.undervotes_known, self.voted, self.voted_registered,
            self.voted_registered_unknown, self.voted_stations,
        )  # fmt: skip
        for sums in self.channels.values():
            found += sums.to_integers(self.candidate_count)
        return found


def extra_width(candidate_count: int, channel_count: int) -> int:
    return len(EXTRA_SCALARS) + channel_count * (len(CHANNEL_SCALARS) + candidate_count)


def has_extra(counts: Report | None) -> bool:
    """Whether these counts add to sums that an area need not have."""
    return counts is not None and counts.undervotes is not None


def tally_extra(extra: ExtraSums, entry: Entry, sign: int) -> None:
    """Put what a station's counts add into `extra` (`sign` 1) or take it out (`sign` −1)."""
    counts = entry.counts_in_force
    if counts is not None:
        undervotes, overvotes = counts.undervotes, counts.overvotes
        if undervotes is not None and overvotes is not None:
            extra.undervotes += sign * undervotes
            extra.overvotes += sign * overvotes
            extra.undervotes_known += sign
    channel = extra.channels.get(entry.station.channel)
    if channel is None:
        return
    if entry.is_annulled:
        channel.annulled += sign
    elif counts is not None:
        _tally_channel(channel, counts, sign)
    elif entry.held is not None:
        channel.held_only += sign


def add_plain_extra(extra: ExtraSums, station: Station, before: Report | None, r: Report) -> None:
    """What `tally_extra` adds for the plain report `r` less what it added for the plain partial `before`."""
    channel = extra.channels.get(station.channel)
    if channel is None:
        return
    if before is not None:
        _tally_channel(channel, before, -1)
    _tally_channel(channel, r, 1)


def _tally_channel(channel: ChannelSums, counts: Report, sign: int) -> None:
    if counts.complete:
        channel.counted += sign
    else:
        channel.partial += sign
    channel.cast += sign * (counts.cast or 0)
    channel.valid += sign * counts.valid
    if sign > 0:
        add_votes(channel, counts.votes)
    else:
        take_votes(channel, counts.votes)


def tally_turnout(extra: ExtraSums, station: Station, before: int | None, voted: int) -> None:
    """Let `voted` stand where the station had said `before`, None where nothing."""
    if before is not None:
        extra.voted += voted - before
        return
    extra.voted += voted
    extra.voted_stations += 1
    if station.registered is None:
        extra.voted_registered_unknown += 1
    else:
        extra.voted_registered += station.registered
