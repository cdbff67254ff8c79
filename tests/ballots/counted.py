"""A real set beside what `replay` makes of it: roots and areas of every contest, and a plain recount to compare with.

Decides how the two are held against each other: every area that has standings, in every contest, against the sum over the
protocols of the stations below it. Refuses to know any set; `test_real_ballots.py` says what must come out of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tally_stream.audit.replay import Replay, replay
from tally_stream.domain.election import Election
from tally_stream.domain.scalars import parse_time
from tally_stream.wire.folder.assembling import ReadFolder, read_folder
from tests.ballots.conversions import kalamazoo_valid
from tests.ballots.folder import LOG_NAME
from tests.ballots.source import Ballots

Message = dict[str, Any]
Sums = dict[str, int]


@dataclass(frozen=True)
class Counted:
    """A set, its folder as the product reads it, and its replay."""

    ballots: Ballots
    folder: Path
    read: ReadFolder
    replay: Replay

    @property
    def election(self) -> Election:
        return self.read.election

    @cached_property
    def messages(self) -> dict[str, list[Message]]:
        """Contest → its messages, the root last."""
        return {contest.id: self.replay.messages(index) for index, contest in enumerate(self.election.contests)}

    @cached_property
    def roots(self) -> dict[str, Message]:
        return {contest: messages[-1] for contest, messages in self.messages.items()}

    def root_until(self, contest: str, time: str) -> Message:
        """What stood there at a time of the night (RFC 3339)."""
        then = replay(self.election, self.folder / LOG_NAME, until_ms=parse_time(time))
        (index,) = (index for index, of in enumerate(self.election.contests) if of.id == contest)
        return then.messages(index)[-1]

    def states(self) -> dict[str, str]:
        """Contest → the state of its outcome."""
        return {contest: root["outcome"]["state"] for contest, root in self.roots.items()}

    @cached_property
    def party_of(self) -> dict[tuple[str, str], str]:
        """(contest, candidate) → party, as the definition has it."""
        return {(of.id, c.id): c.party or "" for of in self.election.contests for c in of.candidates}

    def rule_of(self, contest: str) -> str:
        (found,) = (of.rule for of in self.election.contests if of.id == contest)
        return found

    def by_party(self, *contests: str) -> Sums:
        """Party → votes, over the roots of these contests."""
        found: Counter[str] = Counter()
        for contest in contests:
            for candidate, count in votes(self.roots[contest]).items():
                found[self.party_of[contest, candidate]] += count
        return dict(found)

    @cached_property
    def recounted(self) -> dict[tuple[str, str], Sums]:
        """(contest, area) → item → the sum over the protocols below it, for every area of every level. Protocols of stations
        that were annulled add nothing; `@stations` counts the others."""
        found: dict[tuple[str, str], Counter[str]] = {}
        for (contest, station), protocol in self.ballots.protocols.items():
            items = Counter() if station in self.ballots.annulled else Counter(self._figures(contest, protocol))
            for area in self.areas_of(station):
                found.setdefault((contest, area), Counter()).update(items)
        return {key: dict(sums) for key, sums in found.items()}

    @cached_property
    def recounted_by_channel(self) -> dict[tuple[str, str, str], Sums]:
        """(contest, area, channel) → the same, where stations have channels."""
        found: dict[tuple[str, str, str], Counter[str]] = {}
        for (contest, station), protocol in self.ballots.protocols.items():
            channel = self.election.channels[self.election.stations[station].channel]
            for area in self.areas_of(station):
                found.setdefault((contest, area, channel), Counter()).update(self._figures(contest, protocol))
        return {key: dict(sums) for key, sums in found.items()}

    def voted(self) -> dict[tuple[str, str], Sums]:
        """(contest, area) → voters who had taken part when last asked, the registers they are of, and of how many stations."""
        found: dict[tuple[str, str], Counter[str]] = {}
        registered = {row["station_id"]: row["registered"] for row in self.ballots.stations}
        for contest, station in self.ballots.protocols:
            if station in self.ballots.turnout_of:
                stated = {"done": self.ballots.turnout_of[station][1], "of": int(registered[station]), "stations": 1}
                for area in self.areas_of(station):
                    found.setdefault((contest, area), Counter()).update(stated)
        return {key: dict(sums) for key, sums in found.items()}

    def areas_of(self, station: str) -> list[str]:
        path = self.ballots.path_of[station]
        return ["/".join((self.election.root, *path[:depth])) for depth in range(len(path) + 1)]

    def _figures(self, contest: str, protocol: Sums) -> Sums:
        """A protocol, and `@stations`; `@valid` too where the source does not say it."""
        more = {"@stations": 1}
        if "@valid" not in protocol:
            more["@valid"] = kalamazoo_valid(protocol, self.ballots.votes_per_ballot[contest])
        return {**protocol, **more}


CountedSet = Callable[[str], Counted]
"""A set by its name."""


def counted(ballots: Ballots, folder: Path) -> Counted:
    read = read_folder(folder)
    return Counted(ballots, folder, read, replay(read.election, folder / LOG_NAME))


def votes(message: Message) -> Sums:
    return {candidate["id"]: candidate["votes"] for candidate in message["candidates"]}


def seats(root: Message, which: str = "now") -> Sums:
    """Candidate → its seats (`now` or `certain`), of those that have one."""
    return {c["id"]: c["seats"][which] for c in root["candidates"] if c["seats"][which]}
