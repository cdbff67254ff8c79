"""Small nights as they stand somewhere on their way: contests, stations, and what was heard of each.

Decides which elections are small enough to enumerate and still have every case: partial counts that know more or less,
held reports, turnout statements, postal units, counts that an authority let count though they contradict themselves.
Read `test_every_completion.py` and `questions.py` next.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement, product
from typing import Any

from tally_stream.domain.contest import Allocation, Contest, Majority, SeatMethod, ThresholdBase
from tally_stream.domain.election import Checks, Election
from tally_stream.domain.report import UnsignedStatement
from tests.certainty.completions import OpenStation, Partial, Votes
from tests.support.small_elections import Night, contest, decision, election, report, turnout

THREE = ("ANNA", "BELA", "CLEO")
LESS_WITH_A_LEAD = Majority(Fraction(60), or_percent=Fraction(40), or_lead_percent=Fraction(25))
CONTESTS: tuple[Contest, ...] = (
    contest(candidates=THREE),
    contest(candidates=THREE, base="cast"),
    contest(candidates=THREE, majority=LESS_WITH_A_LEAD),
    contest(candidates=THREE, majority=LESS_WITH_A_LEAD, base="cast"),
    contest(candidates=THREE, majority=Majority(Fraction(50), at_least=True), ineligible=["CLEO"]),
    contest(candidates=THREE, majority=Majority(Fraction(200, 3), at_least=True), base="cast", ineligible=["ANNA"]),
    contest(candidates=THREE, majority=Majority(Fraction(25))),
    contest(candidates=THREE, ineligible=["ANNA", "BELA"]),
    contest(candidates=THREE, rule="plurality"),
    contest(candidates=THREE, rule="plurality", ineligible=["BELA"]),
    contest(candidates=THREE, rule="plurality", seats=2),
    contest(candidates=THREE, rule="plurality", seats=2, ineligible=["CLEO"]),
    contest(candidates=THREE, rule="plurality", seats=3),
)


def _lists(method: SeatMethod, seats: int, percent: int = 0, base: ThresholdBase = "valid", **fields: Any) -> Contest:
    tie, exempt = fields.pop("tie", "nobody"), fields.pop("exempt", ())
    allocation = Allocation(method, Fraction(percent), base, exempt, tie)
    return contest(candidates=THREE, rule="proportional", seats=seats, allocation=allocation, **fields)


SEATS: tuple[Contest, ...] = (
    _lists("dhondt", 3),
    _lists("dhondt", 2, 30),
    _lists("dhondt", 4, 15, "cast", tie="more-votes"),
    _lists("dhondt", 3, ineligible=["BELA"]),
    _lists("dhondt", 4, 20, combinations=(("BELA", "CLEO"),)),
    _lists("dhondt", 3, tie="more-votes", combinations=(THREE,)),
    _lists("sainte-lague", 4, 25, "valid-and-blank"),
    _lists("sainte-lague", 1, 40, exempt=("CLEO",)),
    _lists("sainte-lague", 5, 20, combinations=(("ANNA", "BELA"),)),
    _lists("sainte-lague-1.4", 5),
    _lists("sainte-lague-1.4", 3, 20, "cast", tie="more-votes"),
    _lists("sainte-lague-1.4", 4, 25, "valid-and-blank", combinations=(("BELA", "CLEO"),)),
    _lists("sainte-lague-1.4", 4, combinations=(("ANNA", "CLEO"),), exempt=("ANNA",)),
    _lists("hare", 3),
    _lists("hare", 4, 30, "cast", exempt=("CLEO",)),
    _lists("hare", 5, 20, "valid-and-blank", combinations=(("ANNA", "CLEO"),)),
    _lists("hare", 4, combinations=(THREE,), tie="more-votes"),
)
SEVERAL: tuple[Contest, ...] = (
    *(contest(candidates=THREE, rule="plurality", seats=seats, votes_per_ballot=2) for seats in (1, 2)),
    contest(candidates=THREE, rule="plurality", seats=1, votes_per_ballot=3),
    contest(candidates=THREE, rule="plurality", seats=2, votes_per_ballot=3),
    contest(candidates=THREE, rule="plurality", seats=1, votes_per_ballot=2, ineligible=["CLEO"]),
    contest(candidates=THREE, votes_per_ballot=2),
    _lists("dhondt", 3, votes_per_ballot=2),
    _lists("sainte-lague", 3, 30, combinations=(("BELA", "CLEO"),), votes_per_ballot=2),
    _lists("sainte-lague-1.4", 2, 25, "cast", votes_per_ballot=3),
    _lists("hare", 4, 20, votes_per_ballot=2),
)
"""Contests in which a ballot has several votes."""
CHECKS: tuple[Checks, ...] = (
    Checks(),
    Checks(A3_register_percent=Fraction(100), bound_register_percent=Fraction(100)),
    Checks(A3_register_percent=Fraction(50), bound_register_percent=Fraction(50)),
    Checks(A3_register_percent=Fraction(150), bound_register_percent=Fraction(150)),
)
STATIONS: tuple[tuple[int | None, int | None], ...] = (
    (1, None), (2, None), (2, 3), (3, 1), (0, 1), (0, 2), (0, None), (0, 0), (None, None), (None, 2),
)  # fmt: skip
"""Registered voters and ballots expected; of none but expected ballots: a postal unit. An unknown register limits nothing."""
UNKNOWN_MOST = 3
"""Of a station with an unknown register so many ballots are tried, and one more: enough to break what is said of it."""

Opening = Callable[[str], list[UnsignedStatement]]
FEW: tuple[Votes, ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (2, 0, 0), (0, 2, 0), (2, 1, 0), (0, 0, 0))


def _said(votes: Votes, **fields: Any) -> Opening:
    """A report with these votes; nothing blank or invalid unless given. One that ends held is accepted."""
    given = {"blank": 0, "invalid": 0, **fields}
    is_accepted = given.pop("is_accepted", False)

    def opening(station: str) -> list[UnsignedStatement]:
        stated: list[UnsignedStatement] = [report(station, 1, votes, **given)]
        return [*stated, decision("accept", station, 2, 1)] if is_accepted else stated

    return opening


def _then(first: Opening, second: UnsignedStatement | Callable[[str], UnsignedStatement]) -> Opening:
    return lambda station: [*first(station), second(station) if callable(second) else second]


def _held(revision: int, votes: Votes) -> Callable[[str], UnsignedStatement]:
    ballots = sum(votes)
    return lambda station: report(station, revision, votes, valid=ballots, cast=ballots + 9, blank=0, invalid=0)


def openings(few: tuple[Votes, ...]) -> Iterator[Opening]:
    """What may have been heard of a station, with these votes: complete counts first."""
    three = (3, *[0] * (len(few[0]) - 1))
    for votes in few:
        yield _said(votes)
    yield lambda station: []
    yield lambda station: [turnout(station, 1, 4)]
    yield lambda station: [_held(1, three)(station)]
    yield lambda station: [decision("annul", station, 1, 0)]
    for votes in few:
        yield _said(votes, complete=False)
    for votes in few[:4]:
        yield _said(votes, complete=False, cast=sum(votes) + 1, blank=None, invalid=None)
        yield _said(votes, complete=False, cast=sum(votes) + 1, blank=1, invalid=None)
        yield _said(votes, complete=False, cast=None, blank=1, invalid=None)
        yield _then(_said(votes, complete=False), _held(2, three))
        yield _then(_said(votes, complete=False), lambda station: turnout(station, 1, 4))
        yield _said(votes, cast=sum(votes) + 1, blank=None, invalid=None)
        # What contradicts itself counts where an authority accepts it, and a later report may mend it.
        accepted = {"complete": False, "is_accepted": True}
        yield _said(votes, valid=sum(votes) + 1, **accepted)
        yield _said(votes, valid=0, cast=sum(votes), **accepted)
        yield _said(votes, cast=0, **accepted)
        yield _said(votes, cast=sum(votes) + 2, **accepted)
        yield _said((*votes[:-1], votes[-1] + 4), **accepted)


def _large() -> Iterator[Opening]:
    """More than the station can have, and all the same accepted: lists that the ballots still out can't overtake."""
    for votes in ((9, 5, 2), (6, 6, 1), (12, 4, 3), (3, 7, 20), (4, 2, 0), (5, 5, 5), (30, 9, 9)):
        yield _said(votes, is_accepted=True)


SEVERAL_VOTES: tuple[tuple[Votes, int], ...] = (
    ((1, 1, 0), 1), ((2, 1, 1), 2), ((1, 0, 0), 1), ((2, 2, 0), 2), ((0, 1, 2), 2), ((2, 0, 0), 2), ((0, 0, 0), 1),
    ((9, 5, 2), 9), ((4, 4, 1), 5), ((0, 3, 7), 8), ((4, 2, 2), 4), ((3, 2, 1), 3), ((3, 3, 5), 6),
)  # fmt: skip
"""Votes, and the valid ballots that had them: two at most on each."""


def _openings_of_several() -> Iterator[Opening]:
    for votes, valid in SEVERAL_VOTES:
        yield _said(votes, valid=valid, is_accepted=max(votes) > 2)
    yield lambda station: []
    yield lambda station: [turnout(station, 1, 4)]
    yield lambda station: [_held(1, (3, 0, 0))(station)]
    for votes, valid in SEVERAL_VOTES[:7]:
        partial: dict[str, Any] = {"valid": valid, "complete": False}
        yield _said(votes, **partial)
        yield _said(votes, cast=valid + 1, blank=None, invalid=None, **partial)
        yield _said(votes, cast=None, blank=1, invalid=None, **partial)
        yield _said((*votes[:2], votes[2] + 4), is_accepted=True, **partial)
    for votes in ((1, 0, 0), (2, 0, 0), (0, 2, 0)):
        yield _said(votes, complete=False, undervotes=sum(votes), overvotes=0)


OPENINGS = tuple(openings(FEW))
DRAWN = (*range(len(OPENINGS)), *range(len(FEW)), *range(len(FEW)))
"""Complete counts more often than one in six: else nearly all is undecided."""
LARGE = tuple(_large())
OF_SEVERAL = tuple(_openings_of_several())
ALL_OPENINGS = (*OPENINGS, *LARGE, *OF_SEVERAL)
FOR_SEATS = (*DRAWN, *range(len(OPENINGS), len(OPENINGS) + len(LARGE)), *range(len(OPENINGS), len(OPENINGS) + len(LARGE)))
FOR_SEVERAL = range(len(OPENINGS) + len(LARGE), len(ALL_OPENINGS))


@dataclass(frozen=True)
class Case:
    """A contest, and for each station its registers and what was heard of it."""

    of: Contest
    checks: Checks
    stations: tuple[tuple[int | None, int | None, int], ...]

    def night(self) -> Night:
        rows = [(f"A-{i}", f"A-{i}", registered, expected, ()) for i, (registered, expected, _) in enumerate(self.stations)]
        checks = {name: getattr(self.checks, name) for name in ("A3_register_percent", "bound_register_percent")}
        of = election(rows, [self.of], phase="test", **checks)
        heard = [ALL_OPENINGS[opening](f"A-{i}") for i, (_, _, opening) in enumerate(self.stations)]
        return Night(of, *(statement for statements in heard for statement in statements))


def all_cases() -> Iterator[Case]:
    """Every pair of stations in every contest."""
    heard = [(registered, expected, o) for registered, expected in STATIONS for o in range(len(OPENINGS))]
    for of, checks in product(CONTESTS, CHECKS):
        for pair in combinations_with_replacement(heard, 2):
            yield Case(of, checks, pair)


def some_cases(count: int, seed: int) -> Iterator[Case]:
    """One to three stations, drawn."""
    yield from _drawn(count, seed, CONTESTS, DRAWN)


def some_cases_of_seats(count: int, seed: int) -> Iterator[Case]:
    """Proportional contests."""
    yield from _drawn(count, seed, SEATS, FOR_SEATS)


def some_cases_of_several_votes(count: int, seed: int) -> Iterator[Case]:
    """Contests in which a ballot has several votes."""
    yield from _drawn(count, seed, SEVERAL, FOR_SEVERAL)


def _drawn(count: int, seed: int, contests: Sequence[Contest], openings: Sequence[int]) -> Iterator[Case]:
    order = random.Random(seed)
    for _ in range(count):
        drawn = [(*order.choice(STATIONS), order.choice(openings)) for _ in range(order.choice((1, 2, 2, 2, 3)))]
        yield Case(order.choice(contests), order.choice(CHECKS), tuple(drawn))


def open_stations(night: Night) -> list[OpenStation]:
    """The stations neither counted nor annulled, as a completion sees them."""
    found = [open_station(night, station) for station in night.election.stations]
    return [station for station in found if station is not None]


def open_station(night: Night, id: str) -> OpenStation | None:
    """None of one that is counted or annulled."""
    station, entry = night.election.stations[id], night.fold.entries[0][id]
    counts = entry.counts
    if entry.is_annulled or (counts is not None and counts.complete):
        return None
    partial = None
    if counts is not None:
        partial = Partial(counts.votes, counts.cast, counts.valid, counts.blank, counts.invalid, counts.undervotes or 0)
    return OpenStation(station.registered, station.ballots_expected, partial, _most(night.election, id))


def _most(of: Election, station_id: str) -> int:
    """One ballot more than any report that counts without an authority can have."""
    station = of.stations[station_id]
    registered = UNKNOWN_MOST if station.registered is None else station.registered
    largest = max(registered, station.ballots_expected or 0)
    percent = max(of.checks.A3_register_percent, of.checks.bound_register_percent)
    return int(largest * max(percent, Fraction(100)) / 100) + 1
