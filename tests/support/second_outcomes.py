"""Seats and referendums a second time, written from the published rules alone. Read `second_model.py` first.

Slow and plain on purpose: seats are given out one after the other, and every fraction is a fraction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

from tally_stream.domain.contest import Contest


@dataclass(frozen=True)
class Totals:
    """What a contest, or an area of it, stands at. `more_votes`: the most that one candidate can still get,
    `more_together` all of them; `more_base`: the most that each base can still grow, `more_threshold` that of a threshold."""

    votes: Sequence[int]
    bases: dict[str, int | None]
    registered: int | None
    bound: int | None
    more_votes: int
    more_together: int
    more_base: dict[str, int]
    more_threshold: int


@dataclass
class List:
    """What seats are given to: a list, or a combination."""

    members: list[int]
    votes: int


def divisor(method: str, number: int) -> Fraction:
    if method == "dhondt":
        return Fraction(number)
    return Fraction(14, 10) if method == "sainte-lague-1.4" and number == 1 else Fraction(2 * number - 1)


def share_out(method: str, tie: str, votes: Sequence[int], seats: int) -> tuple[list[int], int, list[int]]:
    """Seats of each, how many nobody gets, and who shares those."""
    given = [0] * len(votes)
    if not any(votes):
        return given, 0, []
    if method == "hare":
        quotas = [Fraction(v * seats, sum(votes)) for v in votes]
        given = [floor(q) for q in quotas]
        claims: list[Fraction] = [q - g for q, g in zip(quotas, given, strict=True)]
        rounds = seats - sum(given)
    else:
        rounds = seats
    while rounds:
        if method != "hare":
            claims = [v / divisor(method, g + 1) for v, g in zip(votes, given, strict=True)]
        best = max(claims)
        first = [i for i, claim in enumerate(claims) if claim == best]
        if len(first) > rounds and tie == "more-votes":
            most = max(votes[i] for i in first)
            first = [i for i in first if votes[i] == most]
        if len(first) > rounds:
            return given, rounds, first
        for i in first:
            given[i] += 1
            rounds -= 1
            claims[i] = Fraction(-1) if method == "hare" else claims[i]
    return given, 0, []


def _groups(c: Contest, members: set[int], votes: Sequence[int]) -> list[List]:
    place = {id: i for i, id in enumerate(c.candidate_ids)}
    combined = [[place[id] for id in together if place[id] in members] for together in c.combinations]
    alone = members - {i for together in combined for i in together}
    found = [sorted(together) for together in combined if together] + [[i] for i in sorted(alone)]
    return [List(together, sum(votes[i] for i in together)) for together in found]


def _passing(c: Contest, votes: Sequence[int], base: int, more: int = 0) -> set[int]:
    a = c.allocation
    assert a is not None
    return {
        i
        for i, k in enumerate(c.candidates)
        if k.eligible and (k.id in a.exempt or 100 * (votes[i] + more) >= a.threshold_percent * base)
    }


def seats_of(c: Contest, t: Totals) -> tuple[list[tuple[int, int]], dict[str, Any] | None] | None:
    """(now, certain) of each candidate, and what is tied; None where the base is unknown."""
    a = c.allocation
    assert a is not None
    base = t.bases[a.threshold_base]
    if base is None:
        return None
    now, tied_seats, tied = [0] * len(t.votes), 0, set()
    groups = _groups(c, _passing(c, t.votes, base), t.votes)
    given, left, between = share_out(a.method, a.tie, [g.votes for g in groups], c.seats)
    tied_seats += left
    tied |= {i for place in between for i in groups[place].members}
    for group, seats in zip(groups, given, strict=True):
        inside, left, between = share_out(a.method, a.tie, [t.votes[i] for i in group.members], seats)
        tied_seats += left
        tied |= {group.members[place] for place in between}
        for i, own in zip(group.members, inside, strict=True):
            now[i] = own
    certain = now
    if t.bound is None:
        certain = [0] * len(now)
    elif t.more_votes:
        certain = _certain(c, t, base)
    shared = {"seats": tied_seats, "between": [c.candidate_ids[i] for i in sorted(tied)]} if tied_seats else None
    return list(zip(now, certain, strict=True)), shared


def _certain(c: Contest, t: Totals, base: int) -> list[int]:
    a = c.allocation
    assert a is not None
    found = [0] * len(t.votes)
    extra = t.more_together
    sure, possible = _passing(c, t.votes, base + t.more_threshold), _passing(c, t.votes, base, extra)
    rivals = _groups(c, possible, t.votes)
    for group in _groups(c, sure, t.votes):
        others = [r.votes for r in rivals if not set(r.members) & set(group.members)]
        # Members of a combination that are not sure to pass take nothing from it: its seats are then shared inside.
        total = sum(r.votes for r in rivals)
        seats = _own_certain(a.method, group.votes, others, c.seats, extra, total)
        if len(group.members) == 1 and not any(set(r.members) > set(group.members) for r in rivals):
            found[group.members[0]] = seats
            continue
        (whole,) = [r.members for r in rivals if set(r.members) >= set(group.members)]
        inside = sum(t.votes[i] for i in whole)
        for i in group.members:
            rest = [t.votes[j] for j in whole if j != i]
            found[i] = _own_certain(a.method, t.votes[i], rest, seats, extra, inside)
    return found


def _own_certain(method: str, votes: int, others: Sequence[int], seats: int, extra: int, total: int) -> int:
    """The greatest m such that the m-th seat is certain."""
    if not votes:
        return 0
    if method == "hare":
        return votes * seats // (total + extra)
    certain = 0
    while certain < seats and not _can_have(method, votes / divisor(method, certain + 1), others, extra, seats - certain):
        certain += 1
    return certain


def _can_have(method: str, quotient: Fraction, others: Sequence[int], extra: int, enough: int) -> bool:
    """Whether the others can together have enough quotients that are no smaller, with `extra` votes where they gain one cheapest."""
    have = [0] * len(others)
    given = [Fraction(0)] * len(others)
    for i, votes in enumerate(others):
        while votes / divisor(method, have[i] + 1) >= quotient:
            have[i] += 1
    left = Fraction(extra)
    while others and sum(have) < enough:
        costs = [quotient * divisor(method, have[i] + 1) - votes - given[i] for i, votes in enumerate(others)]
        cheapest = min(range(len(others)), key=costs.__getitem__)
        if costs[cheapest] > left:
            break
        left -= costs[cheapest]
        given[cheapest] += costs[cheapest]
        have[cheapest] += 1
    return sum(have) >= enough


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
