"""Small referendums with quorums and areas that must approve too: what the standings say is certain, against every completion.

Decides which questions are small enough to enumerate and still have every case, how one ends (judged by its rule alone, with
all ballots known), and that a certainty which any end breaks is an error. What a station may still bring is that of
`completions.py`, what may have been heard of it that of `nights.py`. A quorum is of the registers as they stand.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from tally_stream.domain.contest import Contest, DoubleMajority, Majority, Quorum
from tally_stream.domain.election import Checks
from tests.certainty.checking import Broken, Count
from tests.certainty.completions import OpenStation, Partial, Votes, counted_reports
from tests.certainty.nights import CHECKS, STATIONS, open_station, openings
from tests.support.small_elections import Night, contest, election

AREAS = ("NORTH", "SOUTH", "WEST")
FEW: tuple[Votes, ...] = ((1, 0), (0, 1), (1, 1), (2, 0), (0, 2), (2, 1), (1, 2), (0, 0))
OPENINGS = tuple(openings(FEW))
DRAWN = (*range(len(OPENINGS)), *list(range(len(FEW))) * 12)
"""Complete counts four times in five: else nearly all is undecided."""
PLACES = (*STATIONS[:5], *STATIONS[1:4])
"""Seldom postal units: a quorum is of those who are registered."""


POSTAL = tuple((registered, expected) for registered, expected in STATIONS if registered == 0 and expected)
"""Units without voters of their own: of them alone a quorum is one of nobody."""


def _asked(**fields: Any) -> Contest:
    return contest("ASK", ("YES", "NO"), rule="referendum", **{"approval": "YES", **fields})


def _of_areas(*half: str) -> DoubleMajority:
    return DoubleMajority("area", tuple(f"X/{area}" for area in half))


QUESTIONS: tuple[Contest, ...] = (
    _asked(),
    _asked(base="cast"),
    _asked(majority=Majority(Fraction(60), at_least=True), base="cast"),
    _asked(quorum=Quorum(Fraction(50), "cast")),
    _asked(quorum=Quorum(Fraction(50), "cast", more_than=True), base="cast"),
    _asked(quorum=Quorum(Fraction(50), "valid")),
    _asked(quorum=Quorum(Fraction(100, 3), "valid", more_than=True), majority=Majority(Fraction(100, 3), at_least=True)),
    _asked(quorum=Quorum(Fraction(25), "approval")),
    _asked(quorum=Quorum(Fraction(25), "approval", more_than=True), base="cast"),
    _asked(double_majority=_of_areas()),
    _asked(double_majority=_of_areas("SOUTH"), base="cast"),
    _asked(double_majority=_of_areas("NORTH", "WEST"), quorum=Quorum(Fraction(40), "cast")),
    _asked(double_majority=_of_areas("NORTH", "SOUTH"), majority=Majority(Fraction(40), at_least=True)),
)


@dataclass(frozen=True)
class Figures:
    """Of an area, or of all together. `approving`: halves of areas that approve, at an end."""

    yes: int
    no: int
    valid: int
    cast: int
    approving: int = 0

    def plus(self, other: Figures) -> Figures:
        return Figures(
            self.yes + other.yes, self.no + other.no, self.valid + other.valid, self.cast + other.cast,
            self.approving + other.approving,
        )  # fmt: skip


@dataclass(frozen=True)
class Question:
    """A contest, and for each station its registers, what was heard of it, and in which area it lies."""

    of: Contest
    checks: Checks
    stations: tuple[tuple[int | None, int | None, int, str], ...]

    def night(self) -> Night:
        rows = [(f"A-{i}", f"A-{i}", registered, expected, (area,))
                for i, (registered, expected, _, area) in enumerate(self.stations)]  # fmt: skip
        checks = {name: getattr(self.checks, name) for name in ("A3_register_percent", "bound_register_percent")}
        of = election(rows, [self.of], levels=("area",), depth=1, phase="test", **checks)
        heard = [OPENINGS[opening](f"A-{i}") for i, (_, _, opening, _) in enumerate(self.stations)]
        return Night(of, *(statement for statements in heard for statement in statements))


def some_questions(
    count: int, seed: int, of: Sequence[Contest] = QUESTIONS, places: Sequence[tuple[int | None, int | None]] = PLACES
) -> Iterator[Question]:
    """One to three stations in one to three areas, drawn."""
    order = random.Random(seed)
    for _ in range(count):
        stations = tuple(
            (*order.choice(places), order.choice(DRAWN), order.choice(AREAS)) for _ in range(order.choice((1, 2, 2, 3, 3)))
        )
        yield Question(order.choice(of), order.choice(CHECKS), stations)


# -- the ends ------------------------------------------------------------------------------------------------------


@cache
def _further(open_: OpenStation, checks: Checks, is_of_cast: bool) -> frozenset[Figures]:
    """What one open station can still bring, each way once; cast is 0 where nothing rests on it."""
    before = open_.partial or Partial((0, 0), 0, 0, 0, 0)
    found = {Figures(0, 0, 0, 0)}
    for r in counted_reports(open_, checks, 2, "cast" if is_of_cast else "valid"):
        yes, no = (n - o for n, o in zip(r.votes, before.votes, strict=True))
        found.add(Figures(yes, no, r.valid - before.valid, (r.cast or 0) - (before.cast or 0) if is_of_cast else 0))
    return frozenset(found)


def _sums(one: set[Figures], other: frozenset[Figures] | set[Figures]) -> set[Figures]:
    return {a.plus(b) for a in one for b in other}


def _ends(case: Question, night: Night) -> set[Figures]:
    """Every end: area by area, then all together."""
    of = case.of
    is_of_cast = of.majority_base == "cast" or (of.quorum is not None and of.quorum.of == "cast")
    ends = {Figures(0, 0, 0, 0)}
    for area in {area for *_, area in case.stations}:
        reached = {_now(night, f"X/{area}")}
        for id, station in night.election.stations.items():
            if station.path == (area,) and (open_ := open_station(night, id)) is not None:
                reached = _sums(reached, _further(open_, case.checks, is_of_cast))
        halves = _halves(of, area)
        ends = _sums(ends, {Figures(e.yes, e.no, e.valid, e.cast, halves if e.yes > e.no else 0) for e in reached})
    return ends


def _now(night: Night, area: str) -> Figures:
    message = night.area(area)
    votes = {row["id"]: row["votes"] for row in message["candidates"]}
    return Figures(votes["YES"], votes["NO"], message["ballots"]["valid"], message["ballots"]["cast"] or 0)


def _halves(of: Contest, area: str) -> int:
    return 1 if of.double_majority is not None and f"X/{area}" in of.double_majority.half else 2


def _judged(of: Contest, end: Figures, registered: int, halves: int) -> str:
    """By the rule alone, in fractions."""
    quorum, majority = of.quorum, of.majority
    assert majority is not None
    if quorum is not None:
        figure = {"cast": end.cast, "valid": end.valid, "approval": end.yes}[quorum.of]
        figure, limit = 100 * figure, quorum.percent * registered
        if figure < limit or (quorum.more_than and figure == limit):
            return "void"
    base = end.cast if of.majority_base == "cast" else end.valid
    is_over = 100 * end.yes > majority.percent * base or (majority.at_least and 100 * end.yes == majority.percent * base)
    wins = end.yes > end.no and is_over
    is_enough = of.double_majority is None or end.approving > Fraction(halves, 2)
    return "accepted" if wins and is_enough else "rejected"


# -- the check -----------------------------------------------------------------------------------------------------


def checked(case: Question) -> Count:
    """As `checking.checked`. Raises Broken."""
    night = case.night()
    root, of = night.root(), case.of
    said = root["outcome"]
    count: Count = Counter({said["state"]: 1})
    assert (said["elected"], said["tied"]) == ([], None)
    progress = root["progress"]["registered"]
    # Progress has no share of nobody.
    is_of_nobody = not any(registered != 0 for registered, *_ in case.stations)
    registered = progress["of"] if progress is not None else 0 if is_of_nobody else None
    is_unknown = (
        of.quorum is not None and (registered is None or (of.quorum.of == "cast" and root["ballots"]["cast"] is None))
    ) or (of.majority_base == "cast" and root["ballots"]["cast"] is None)
    if said["state"] == "none" or is_unknown:
        assert said["state"] in ("none", "undecided", "void")
        return count
    halves = sum(_halves(of, area) for area in {area for *_, area in case.stations})
    ends = _ends(case, night)
    found = {end: _judged(of, end, registered or 0, halves) for end in ends}
    count["ends"] += len(found)
    if of.quorum is not None and is_of_nobody:
        count["quorums of nobody"] += 1
        count["quorums of nobody not reached"] += said["quorum"]["needed"] > said["quorum"]["done"]
    _check_shown(case, said, registered)
    for end, state in found.items():
        if said["state"] not in ("undecided", state) or not _areas_hold(said["double_majority"], end, halves):
            raise Broken(f"{case}\nsaid: {said}\nat the end {end}: {state}")
    if said["state"] == "undecided":
        count["undecided that could have been certain"] += len(set(found.values())) == 1
    return count


def _areas_hold(shown: dict[str, str] | None, end: Figures, halves: int) -> bool:
    """Whether the areas that are certain to approve do, and those certain not to do not."""
    if shown is None:
        return True
    approved, rejected, undecided, of = (Fraction(shown[name]) * 2 for name in ("approved", "rejected", "undecided", "of"))
    return of == halves == approved + rejected + undecided and approved <= end.approving <= halves - rejected


def _check_shown(case: Question, said: dict[str, Any], registered: int | None) -> None:
    """Whether `needed` is the least whole number that is enough."""
    quorum, shown = case.of.quorum, said["quorum"]
    if quorum is None or registered is None:
        assert shown is None
        return
    assert shown["of"] == registered
    enough = [n for n in range(registered + 2) if not _is_void(case.of, n, registered)]
    if shown["needed"] != enough[0]:
        raise Broken(f"{case}\nneeds {enough[0]}, said: {shown}")


def _is_void(of: Contest, figure: int, registered: int) -> bool:
    return _judged(of, Figures(figure, 0, figure, figure), registered, 0) == "void"
