"""What follows from seats, and referendums, a second time, written from the published rules alone. Read `second_model.py` first.

Slow and plain on purpose: every fraction is a fraction. The seats themselves are those of `seats_model.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

from tally_stream.domain.contest import Contest
from tests.support.seats_model import seats_certain, seats_now


@dataclass(frozen=True)
class Totals:
    """What a contest, or an area of it, stands at. `more_votes`: the most that one candidate can still get,
    `more_together` all of them; `more_base`: the most that each base can still grow."""

    votes: Sequence[int]
    bases: dict[str, int | None]
    registered: int | None
    bound: int | None
    more_votes: int
    more_together: int
    more_base: dict[str, int]


def seats_of(c: Contest, t: Totals) -> tuple[list[tuple[int, int]], dict[str, Any] | None] | None:
    """(now, certain) of each candidate, and what is tied; None where the base is unknown."""
    assert c.allocation is not None
    base, votes = t.bases[c.allocation.threshold_base], tuple(t.votes)
    if base is None:
        return None
    now, tied_seats, tied = seats_now(c, votes, base)
    certain = seats_certain(c, votes, base, t.bound, t.more_votes - (t.bound or 0))
    shared = {"seats": tied_seats, "between": [c.candidate_ids[i] for i in sorted(tied)]} if tied_seats else None
    return list(zip(now, certain, strict=True)), shared


def proportional(c: Contest, t: Totals) -> tuple[str, list[int], dict[str, Any] | None]:
    """State, elected, tied."""
    found = seats_of(c, t)
    if found is None or t.bound is None:
        return "undecided", [], None
    seats, tied = found
    elected = [i for i, (_, certain) in enumerate(seats) if certain]
    if sum(certain for _, certain in seats) == c.seats or (not t.more_votes and tied is None):
        return "decided", elected, None
    return ("undecided", elected, None) if t.more_votes else ("tie", elected, tied)


# -- referendums ---------------------------------------------------------------------------------------------------


def _half(halves: int) -> str:
    return str(halves // 2) if halves % 2 == 0 else f"{halves // 2}.5"


def quorum_of(c: Contest, t: Totals, places_text: Any) -> dict[str, Any] | None:
    """`places_text`: (numerator, denominator) → a per cent as it is printed."""
    q = c.quorum
    if q is None or t.registered is None:
        return None
    yes = c.candidate_ids.index(c.approval or "")
    done = t.votes[yes] if q.of == "approval" else t.bases[q.of]
    if done is None:
        return None
    exact = q.percent * t.registered / 100
    needed = floor(exact) + (1 if q.more_than or exact.denominator > 1 else 0)
    percent = places_text(done, t.registered) if t.registered > 0 else None
    return {"done": done, "of": t.registered, "percent": percent, "needed": needed}


def double_majority_of(c: Contest, areas: dict[str, Totals]) -> dict[str, str] | None:
    if c.double_majority is None:
        return None
    yes = c.candidate_ids.index(c.approval or "")
    halves = {"approved": 0, "rejected": 0, "undecided": 0}
    for area, t in areas.items():
        weight = 1 if area in c.double_majority.half else 2
        ayes, noes = t.votes[yes], t.votes[1 - yes]
        if t.bound is None:
            halves["undecided"] += weight
        elif ayes > noes + t.more_votes:
            halves["approved"] += weight
        elif ayes + t.more_votes <= noes:
            halves["rejected"] += weight
        else:
            halves["undecided"] += weight
    return {**{name: _half(n) for name, n in halves.items()}, "of": _half(sum(halves.values()))}


def referendum(c: Contest, t: Totals, has_won: Any, quorum: dict[str, Any] | None, double: dict[str, str] | None) -> str:
    """The state. `has_won(votes, base)`: whether yes has its majority with these final figures."""
    if t.bound is None:
        return "undecided"
    if c.quorum is not None:
        if quorum is None:
            return "undecided"
        room = t.more_votes if c.quorum.of == "approval" else t.more_base[c.quorum.of]
        if quorum["done"] + room < quorum["needed"]:
            return "void"
    yes = c.candidate_ids.index(c.approval or "")
    name = c.majority_base
    base = t.bases[name]
    is_reached = quorum is None or quorum["done"] >= quorum["needed"]
    if base is None or not is_reached:
        return "undecided"
    most = [v + t.more_votes * (i != yes) for i, v in enumerate(t.votes)]
    best = [v + t.more_votes * (i == yes) for i, v in enumerate(t.votes)]
    approved = Fraction(double["approved"]) if double else Fraction(1)
    open_areas = Fraction(double["undecided"]) if double else Fraction(0)
    enough = Fraction(double["of"]) / 2 if double else Fraction(0)
    if has_won(most, base + t.more_base[name]) and approved > enough:
        return "accepted"
    least = t.more_base["least " + name]
    if not has_won(best, base + least) or approved + open_areas <= enough:
        return "rejected"
    return "undecided"
