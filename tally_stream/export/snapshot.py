"""One consistent set of standings: every published area of a contest at one moment, by the reader's rule.

Decides what keeps messages from being exported, and says it. Which belong together is the reader's rule, in
`wire/newest.py`. Refuses to know where messages come from and what they are written as; read `nist.py` and `table.py` next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tally_stream.domain.contest import Contest
from tally_stream.domain.election import Area, Election
from tally_stream.wire.newest import Newest, NewestOfContest
from tally_stream.wire.schema.published import Standings

PROBLEMS_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class AreaStandings:
    """An area with its standings. `level` is the name of its column in stations.csv, "root" for the whole."""

    area: Area
    level: str
    name: str
    message: Standings


class ElectionSnapshot:
    """The contests of an election that are exported; `take` messages in the order in which they were published. What is read
    is read once for all of them: each may be one of thousands."""

    def __init__(self, election: Election, contests: Iterable[Contest]) -> None:
        self._newest: Newest[Standings] = Newest(election.digest)
        names = dict(election.area_names)
        self.contests = [ContestSnapshot(election, contest, self._newest, names) for contest in contests]
        self._wanted = {snapshot.contest.id for snapshot in self.contests}

    def take(self, message: Standings) -> None:
        """The next message of the topic. Those of another contest tell no more than which definition is published."""
        if message.contest in self._wanted:
            self._newest.take(message.definition, message.contest, message.area, message.version, message)
        else:
            self._newest.note(message.definition)

    @property
    def is_whole(self) -> bool:
        """Whether every area is there of each contest that has begun."""
        return all(snapshot.is_whole for snapshot in self.contests if snapshot.is_begun)


class ContestSnapshot:
    """One contest of a snapshot: `problems`, and where there are none, `areas`."""

    def __init__(self, election: Election, contest: Contest, newest: Newest[Standings], names: Mapping[str, str]) -> None:
        self.election = election
        self.contest = contest
        self._newest, self._names = newest, names
        index = election.contest_index(contest.id)
        assert index is not None, "it is one of this election"
        self._areas = [election.areas[area] for area in election.contest_areas[index]]
        """Those in which it has a station; others have no message of it."""

    @property
    def _shown(self) -> NewestOfContest[Standings]:
        return self._newest.contests.get(self.contest.id) or NewestOfContest()

    def _of(self, area: Area) -> Standings | None:
        return self._shown.areas.get(area.id) if area.depth else self._shown.root

    @property
    def is_begun(self) -> bool:
        """Whether any message of this contest and definition was there."""
        return self.contest.id in self._newest.contests

    @property
    def is_whole(self) -> bool:
        """Whether a root and all its areas are there."""
        if len(self._shown.areas) + 1 < len(self._areas):
            return False  # asked again and again while a topic is read
        return all(self._of(area) is not None for area in self._areas)

    @property
    def root(self) -> Standings:
        root = self._shown.root
        assert root is not None, "it is whole"
        return root

    def areas(self) -> Iterator[AreaStandings]:
        """The root first, areas above before those below."""
        for area in self._areas:
            level = self.election.levels[area.depth - 1] if area.depth else "root"
            name = self._names.get(area.id, area.id.rpartition("/")[2]) if area.depth else self.election.root_name
            message = self._of(area)
            assert message is not None, "it is whole"
            yield AreaStandings(area, level, name, message)

    def problems(self) -> list[str]:
        """Why this must not be exported; [] where nothing speaks against it."""
        if not self.is_whole:
            return [self._what_is_missing()]
        if (other := self._newest.replaced) is not None:
            return [f"the newest standings are of definition {other.newest}, this election is {other.shown}: it was replaced; "
                    f"export the folder whose definition is {other.newest}"]  # fmt: skip
        found = [problem for shown in self.areas() for problem in self._misfits(shown.message)]
        return (found or self._sums_that_differ())[:PROBLEMS_SHOWN_MAX]

    def _what_is_missing(self) -> str:
        missing = [area.id for area in self._areas if self._of(area) is None]
        if self._newest.others and len(missing) == len(self._areas):
            return (f"the standings of {self.contest.id} are of definition {', '.join(sorted(self._newest.others))}, "
                    f"this election is {self.election.digest}: export the folder that was counted by")  # fmt: skip
        if self.election.root in missing:
            return f"there are no standings of {self.contest.id} in {self.election.root}"
        return (f"standings of {self.contest.id} are missing for {len(missing)} of {len(self._areas)} areas, "
                f"first {missing[0]}")  # fmt: skip

    def _misfits(self, message: Standings) -> Iterator[str]:
        if message.election != self.election.id or message.phase != self.election.phase:
            yield f"{message.contest}|{message.area}: election {message.election}, phase {message.phase}"
        if sorted(c.id for c in message.candidates) != sorted(self.contest.candidate_ids):
            yield f"{message.contest}|{message.area}: its candidates are not those of the contest"

    def _sums_that_differ(self) -> list[str]:
        """Every station lies in one deepest area: what an area's parts do not add up to was not published together."""
        below: dict[str, dict[str, int]] = {}
        figures_of = {shown.area.id: _figures(shown.message) for shown in self.areas()}
        for area in self._areas:
            if area.parent is not None:
                sums = below.setdefault(self.election.areas[area.parent].id, {})
                for name, figure in figures_of[area.id].items():
                    sums[name] = sums.get(name, 0) + figure
        return [
            f"{self.contest.id}|{area}: {name} are {figures[name]:,}, its parts add up to {figure:,}"
            for area, sums in below.items()
            for figures in (figures_of[area],)
            for name, figure in sums.items()
            if name in figures and figure != figures[name]
        ]


def _figures(message: Standings) -> dict[str, int]:
    """What adds up over areas; figures that are hidden or not known are left out."""
    stations, votes = message.stations, {f"votes of {c.id}": c.votes for c in message.candidates}
    figures = {
        "stations expected": stations.expected,
        "stations counted": stations.counted,
        "stations annulled": stations.annulled,
        "valid ballots": message.ballots.valid,
        **votes,
    }
    return {name: figure for name, figure in figures.items() if figure is not None}
