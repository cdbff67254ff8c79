"""What four invented contests ask, and the figures that a polling station writes on its sheet for each.

Decides figures that no rule has anything to say about: they add up, few ballots are blank or invalid, and nobody has all
votes. What is made wrong of them, and what becomes of it, is the matter of `simulate_stories.py`; read it next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tally_stream.station.simulate_draws import Draws

_LEANING, _SHEET = 4, 5
TURNOUT_PERCENT = (35, 85)


@dataclass(frozen=True, slots=True)
class Race:
    """A contest: its lines in election.toml, and how strong each candidate is."""

    id: str
    name: str
    toml: str
    candidates: tuple[tuple[str, str, int], ...]
    """id, name, and the share of the votes (of the ballots where a ballot has several votes), in per cent."""
    votes_per_ballot: int = 1


RACES = (
    Race(
        "PRES",
        "President",
        'rule = "majority"',
        (
            ("A", "Ada Ashby", 41),
            ("B", "Björn Bell", 34),
            ("C", "Carla Corso", 14),
            ("D", "Dario Dahl", 8),
            ("E", "Elif Ek", 3),
        ),
    ),
    Race(
        "ASSEMBLY",
        "Assembly",
        'rule = "proportional"\nseats = 101\nallocation = { method = "dhondt", threshold_percent = 5 }',
        (
            ("ALLIANCE", "Alliance", 31),
            ("WORKERS", "Workers' List", 25),
            ("GREENS", "Greens", 17),
            ("FORUM", "Civic Forum", 14),
            ("COMMONS", "Commons", 9),
            ("LANTERN", "Lantern", 4),
        ),
    ),
    Race(
        "BRIDGE",
        "Shall the bridge be built?",
        'rule = "referendum"\napproval = "YES"\nquorum = { percent = 40, of = "cast" }',
        (("YES", "Yes", 52), ("NO", "No", 48)),
    ),
    Race(
        "BOARD",
        "School board",
        'rule = "plurality"\nseats = 3\nvotes_per_ballot = 3',
        (
            ("F", "Fergus Ferro", 46),
            ("G", "Greta Garnett", 40),
            ("H", "Hugo Holm", 35),
            ("I", "Iris Ivarsen", 32),
            ("J", "Jonas Jessop", 25),
            ("K", "Kaja Kestrel", 18),
        ),
        votes_per_ballot=3,
    ),
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Figures of a station and contest. None: not written down."""

    votes: tuple[int, ...]
    valid: int
    blank: int | None
    invalid: int | None
    cast: int | None
    undervotes: int | None = None
    overvotes: int | None = None

    def half(self, race: Race) -> Sheet:
        """About half of each pile, as when a count is broken off."""
        votes = tuple(count // 2 for count in self.votes)
        if self.undervotes is None or self.overvotes is None:
            return Sheet(votes, sum(votes), 0, 0, sum(votes))
        valid, over = self.valid // 2, self.overvotes // 2
        return Sheet(votes, valid, 0, 0, valid, race.votes_per_ballot * valid - sum(votes) - over, over)

    def with_one_more(self, race: Race) -> Sheet:
        """A ballot for the first candidate was found."""
        assert self.cast is not None, "an ordinary sheet has it"
        under = None if self.undervotes is None else self.undervotes + race.votes_per_ballot - 1
        votes = (self.votes[0] + 1, *self.votes[1:])
        return replace(self, votes=votes, valid=self.valid + 1, cast=self.cast + 1, undervotes=under)


class Sheets:
    """The sheets of a night, each from the seed, the station's number and its region's."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._leanings: dict[tuple[int, int], tuple[int, ...]] = {}

    def ordinary(self, race: int, station: int, region: int, registered: int) -> Sheet:
        draws = Draws(self._seed, _SHEET, race, station)
        cast = registered * draws.between(*TURNOUT_PERCENT) // 100
        return self.of_ballots(race, station, region, cast)

    def of_ballots(self, race: int, station: int, region: int, cast: int) -> Sheet:
        """Of so many ballots; below 3 in a hundred are blank, and as many invalid."""
        draws = Draws(self._seed, _SHEET, race, station, 1)
        few = cast * 2 // 100 + 1
        blank, invalid = draws.below(few), draws.below(few)
        valid = cast - blank - invalid
        if RACES[race].votes_per_ballot == 1:
            return Sheet(self._one_vote(draws, race, region, valid), valid, blank, invalid, cast)
        votes = tuple(2 + (valid - 4) * (share - 8 + draws.below(16)) // 100 for _, _, share in RACES[race].candidates)
        over = 3 * draws.below(valid // 40 + 1)
        under = RACES[race].votes_per_ballot * valid - sum(votes) - over
        return Sheet(votes, valid, blank, invalid, cast, under, over)

    def _one_vote(self, draws: Draws, race: int, region: int, valid: int) -> tuple[int, ...]:
        """Two for each candidate, so that half of them is one still; the first has what the division leaves."""
        weights = [lean * draws.between(70, 130) for lean in self._leaning(race, region)]
        shared, whole = valid - 2 * len(weights), sum(weights)
        votes = [2 + shared * weight // whole for weight in weights]
        return (votes[0] + valid - sum(votes), *votes[1:])

    def _leaning(self, race: int, region: int) -> tuple[int, ...]:
        found = self._leanings.get((race, region))
        if found is None:
            draws = Draws(self._seed, _LEANING, race, region)
            found = tuple(share * draws.between(75, 125) for _, _, share in RACES[race].candidates)
            self._leanings[race, region] = found
        return found
