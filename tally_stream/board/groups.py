"""The seats of a group of contests, as the board knows them now: by party, and of each contest.

Decides what is said of a group and how much of its lists is a page of it; `api.py` serves it to programs, `page_group.py`
writes it into a page. Whose seats are whose is `export/group_seats.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tally_stream.board.feed import Feed
from tally_stream.board.places import Places
from tally_stream.domain.contest import Contest
from tally_stream.export.ballot_figures import majority_of_seats
from tally_stream.export.group_seats import GIVE_SEATS, PartySeats, contest_seats, groups_of, party_seats, seats_to_share

PARTIES_MAX = 500
"""So many parties are named; one has a seat at least, so all of most parliaments."""


@dataclass(frozen=True, slots=True)
class ContestOfGroup:
    """Its seats; `now` and `certain` are None where they are not told yet. `root` is the newest, {} before the first one."""

    contest: Contest
    root: dict[str, Any]
    now: int | None
    certain: int | None

    @property
    def seats(self) -> int:
        return self.contest.seats if self.contest.rule in GIVE_SEATS else 0


@dataclass(frozen=True, slots=True)
class GroupShown:
    """`parties` have a seat now, the most first. `as_of` is the newest of its contests."""

    group: str
    contests: list[Contest]
    seats: int
    majority: int
    parties: list[PartySeats]
    as_of: str | None

    @property
    def now(self) -> int:
        return sum(line.now for line in self.parties)

    @property
    def certain(self) -> int:
        return sum(line.certain for line in self.parties)


class Groups:
    """Which groups there are; `shown` says one, `contests` a page of its contests."""

    def __init__(self, places: Places, feed: Feed) -> None:
        self._feed = feed
        self.all = groups_of(places.election)

    def token(self, group: str) -> tuple[int, ...]:
        """Stays the same as long as what is said of the group does: of each contest the newest root that says something new."""
        return tuple(self._feed.shown[contest.id].changed_version for contest in self.all[group])

    def shown(self, group: str) -> GroupShown:
        contests = self.all[group]
        roots = {contest.id: message for contest in contests if (message := self._feed.shown[contest.id].root_message)}
        seats = seats_to_share(contests)
        times = [message["as_of"] for message in roots.values() if message["as_of"] is not None]
        return GroupShown(
            group, contests, seats, majority_of_seats(seats), party_seats(contests, roots), max(times, default=None)
        )

    def contests(self, group: str, begin: int, limit: int) -> list[ContestOfGroup]:
        found = []
        for contest in self.all[group][begin : begin + limit]:
            root = self._feed.shown[contest.id].root_message
            seats = contest_seats(contest, root or None)
            is_told = bool(root) and root["outcome"] is not None and contest.rule in GIVE_SEATS
            now = sum(each for each, _ in seats.values()) if is_told else None
            certain = sum(each for _, each in seats.values()) if is_told else None
            found.append(ContestOfGroup(contest, root, now, certain))
        return found
