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
from tally_stream.wire.folder.assembling import load_election
from tests.ballots.folder import LOG_NAME
from tests.ballots.source import Ballots

Message = dict[str, Any]


@dataclass(frozen=True)
class Counted:
    """A set and its replay."""

    ballots: Ballots
    election: Election
    replay: Replay

    @cached_property
    def messages(self) -> dict[str, list[Message]]:
        """Contest → its messages, the root last."""
        return {contest.id: self.replay.messages(index) for index, contest in enumerate(self.election.contests)}

    @cached_property
    def roots(self) -> dict[str, Message]:
        return {contest: messages[-1] for contest, messages in self.messages.items()}

    def states(self) -> dict[str, str]:
        """Contest → the state of its outcome."""
        return {contest: root["outcome"]["state"] for contest, root in self.roots.items()}

    def by_party(self, *contests: str) -> dict[str, int]:
        """Party → votes, over the roots of these contests."""
        found: Counter[str] = Counter()
        for contest in contests:
            for candidate, count in votes(self.roots[contest]).items():
                found[self.ballots.party_of[contest, candidate]] += count
        return dict(found)

    def recounted(self) -> dict[tuple[str, str], dict[str, int]]:
        """(contest, area) → item → the sum over the protocols below it, for every area of every level."""
        found: dict[tuple[str, str], Counter[str]] = {}
        for (contest, station), protocol in self.ballots.protocols.items():
            path = self.ballots.path_of[station]
            for depth in range(len(path) + 1):
                area = "/".join((self.election.root, *path[:depth]))
                found.setdefault((contest, area), Counter()).update(protocol)
        return {key: dict(sums) for key, sums in found.items()}


CountedSet = Callable[[str], Counted]
"""A set by its name."""


def counted(ballots: Ballots, folder: Path) -> Counted:
    election = load_election(folder)
    return Counted(ballots, election, replay(election, folder / LOG_NAME))


def votes(message: Message) -> dict[str, int]:
    return {candidate["id"]: candidate["votes"] for candidate in message["candidates"]}
