"""What is certain about a question, in every way the outstanding ballots can fall: accepted, rejected, or void.

Decides it from the votes of all and, where areas must approve too, from those of each area of a level. Worst for yes: all
ballots out go to the other side; best: all go to yes. That is one way in which they can fall, and the best one for the whole
and for every area at once, since a limit is 100 per cent at most: a vote never costs more than it brings. A quorum is only
reached by what was counted, since a ballot that is out may never come. Refuses to know what `outcome.py` assumes of the
stations. All in whole numbers; areas are added up in halves. A test enumerates every completion of small questions
(`tests/certainty`). Read `outcome.py` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tally_stream.domain.contest import Contest, Quorum, Rounding
from tally_stream.domain.counted import Counted
from tally_stream.domain.election import Election
from tally_stream.domain.majority import majority_base_of, room_of, wins
from tally_stream.domain.rounding import ratio_units, units_text

WeightedArea = tuple[int, Counted]
"""How many halves an area counts (2, or 1), and its figures."""


@dataclass(frozen=True)
class ReferendumVerdict:
    """The message's fields of those names."""

    state: str
    quorum: dict[str, Any] | None
    double_majority: dict[str, str] | None


@dataclass(frozen=True)
class _Reached:
    """How far a quorum is: the figure that must reach `needed` ballots, of so many registered voters, and how far it can get
    (None: nobody knows)."""

    done: int
    of: int
    needed: int
    most: int | None


@dataclass(frozen=True)
class _Areas:
    """Halves of areas that are certain to approve, certain not to, and of all."""

    approved: int
    rejected: int
    of: int


def answer(contest: Contest, counted: Counted, areas: Sequence[WeightedArea]) -> ReferendumVerdict:
    """What is certain of a referendum. `areas`: those of its double majority's level in which it has stations; else none."""
    assert contest.approval is not None, "a referendum says which candidate is yes"
    yes = contest.candidate_ids.index(contest.approval)
    reached = None if contest.quorum is None else _reached(contest.quorum, counted, yes)
    approving = None if contest.double_majority is None else _approving(areas, yes)
    return ReferendumVerdict(
        _state(contest, counted, yes, reached, approving),
        None if reached is None else _quorum_shown(reached, contest.rounding),
        None if approving is None else _areas_shown(approving),
    )


def _state(contest: Contest, counted: Counted, yes: int, reached: _Reached | None, approving: _Areas | None) -> str:
    majority, bound, votes = contest.majority, counted.bound, counted.votes
    assert majority is not None, "a referendum has a majority"
    if not any(votes) or not contest.eligible:
        return "none"
    if bound is None or (contest.quorum is not None and reached is None):
        return "undecided"
    if reached is not None and reached.done < reached.needed:
        return "void" if reached.most is not None and reached.most < reached.needed else "undecided"
    base = majority_base_of(contest, counted)
    if base is None:
        return "undecided"
    more_votes, least_more, most_more = room_of(contest, counted, bound)
    no, may_win = 1 - yes, yes in contest.eligible
    if may_win and wins(majority, votes[yes], votes[no] + more_votes, base + most_more):
        if approving is None or 2 * approving.approved > approving.of:
            return "accepted"
    elif not may_win or not wins(majority, votes[yes] + more_votes, votes[no], base + least_more):
        return "rejected"
    # More than half of the areas can not approve any more.
    return "rejected" if approving is not None and 2 * (approving.of - approving.rejected) <= approving.of else "undecided"


# -- the quorum ----------------------------------------------------------------------------------------------------


def _reached(quorum: Quorum, counted: Counted, yes: int) -> _Reached | None:
    """None where a figure is unknown. Of nobody registered every share is 0: no ballot is needed, or one to pass it."""
    # What is not told apart is in cast already, and in nothing else.
    done, beyond = counted.cast, counted.contradicted - counted.untold
    if quorum.of == "valid":
        done, beyond = counted.valid, 0
    elif quorum.of == "approval":
        done, beyond = counted.votes[yes], counted.contradicted
    if done is None or counted.registered is None:
        return None
    most = None if counted.bound is None else done + counted.bound + beyond
    return _Reached(done, counted.registered, _needed(quorum, counted.registered), most)


def _needed(quorum: Quorum, registered: int) -> int:
    """So many ballots are enough: that share of the registered voters, rounded up; the next whole number above it where it must
    be passed."""
    numerator, denominator = quorum.percent.as_integer_ratio()
    share, whole = numerator * registered, 100 * denominator
    return share // whole + 1 if quorum.more_than else -(-share // whole)


def _quorum_shown(reached: _Reached, rounding: Rounding) -> dict[str, Any]:
    percent = units_text(ratio_units(reached.done, reached.of, rounding), rounding.places) if reached.of else None
    return {"done": reached.done, "of": reached.of, "percent": percent, "needed": reached.needed}


# -- the areas -----------------------------------------------------------------------------------------------------


def areas_asked(election: Election, contest: Contest, areas: Sequence[int]) -> list[tuple[int, int]]:
    """Of these published areas (indices), those that must approve a referendum too, and how many halves each counts."""
    double = contest.double_majority
    if double is None:
        return []
    depth, half = election.levels.index(double.level) + 1, set(double.half)
    return [(area, 1 if election.areas[area].id in half else 2) for area in areas if election.areas[area].depth == depth]


def _approving(areas: Sequence[WeightedArea], yes: int) -> _Areas:
    """An area approves where yes has more votes than no."""
    approved = rejected = of = 0
    for halves, counted in areas:
        of += halves
        if counted.bound is None:
            continue
        more = counted.bound + counted.contradicted
        lead = counted.votes[yes] - counted.votes[1 - yes]
        if lead > more:
            approved += halves
        elif lead + more <= 0:
            rejected += halves
    return _Areas(approved, rejected, of)


def _areas_shown(areas: _Areas) -> dict[str, str]:
    undecided = areas.of - areas.approved - areas.rejected
    figures = {"approved": areas.approved, "rejected": areas.rejected, "undecided": undecided, "of": areas.of}
    return {name: _halves_text(halves) for name, halves in figures.items()}


def _halves_text(halves: int) -> str:
    """`29` → `14.5`."""
    return f"{halves // 2}.5" if halves % 2 else str(halves // 2)
