"""Seats as the definition's own words have them: one seat after the other, fractions, no thought of speed.

The second model of `tally_stream/domain/seats.py`: whole nights, single contests and the ends of small ones are judged by it. It is
itself held to examples, to packages of others and to every end (`tests/domain/test_seats_properties.py`, `tests/certainty`). Refuses to know how the product finds the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import count, islice

from tally_stream.domain.contest import Allocation, Contest
from tally_stream.domain.counted import Counted

Shared = tuple[list[int], int, set[int]]
"""Seats of each, seats of nobody, and between whom these lie."""


def divisors(method: str) -> Iterator[Fraction]:
    if method == "dhondt":
        yield from map(Fraction, count(1))
    if method == "sainte-lague-1.4":
        yield Fraction(7, 5)
        yield from map(Fraction, count(3, 2))
    yield from map(Fraction, count(1, 2))


def share(method: str, votes: list[int], seats: int, tie: str) -> Shared:
    if not any(votes) or not seats:
        return [0] * len(votes), 0, set()
    if method == "hare":
        quota = Fraction(sum(votes), seats)
        given = [v // quota for v in votes]
        worth = {(v - n * quota, i) for i, (v, n) in enumerate(zip(votes, given, strict=True))}
    else:
        given = [0] * len(votes)
        worth = {(v / d, i) for i, v in enumerate(votes) for d in islice(divisors(method), seats + 1)}
    left = seats - sum(given)
    for height in sorted({height for height, _ in worth}, reverse=True):
        equal = [i for other, i in worth if other == height]
        while tie == "more-votes" and left < len(equal) and left:
            most = [i for i in equal if votes[i] == max(votes[j] for j in equal)]
            if left < len(most):
                return given, left, set(most)
            for i in most:
                given[i] += 1
                equal.remove(i)
                left -= 1
        if not left:
            break
        if left < len(equal):
            return given, left, set(equal)
        for i in equal:
            given[i] += 1
            left -= 1
    return given, 0, set()


def passes(of: Contest, allocation: Allocation, who: int, votes: int, base: int) -> bool:
    return 100 * votes >= allocation.threshold_percent * base or of.candidate_ids[who] in allocation.exempt


def lists(of: Contest) -> list[tuple[int, ...]]:
    """The members of each."""
    places = {candidate: i for i, candidate in enumerate(of.candidate_ids)}
    together = [tuple(i for i in of.eligible if of.candidate_ids[i] in members) for members in of.combinations]
    combined = {i for members in together for i in members}
    alone = [(i,) for i in places.values() if i in of.eligible and i not in combined]
    return [*(members for members in together if members), *alone]


def base_of(of: Contest, counted: Counted) -> int | None:
    assert of.allocation is not None
    if of.allocation.threshold_base == "valid":
        return counted.valid
    if of.allocation.threshold_base == "valid-and-blank":
        return None if counted.blank is None else counted.valid + counted.blank
    return counted.cast


def seats_now(of: Contest, votes: tuple[int, ...], base: int) -> Shared:
    allocation = of.allocation
    assert allocation is not None
    found, tied = [0] * len(votes), set[int]()
    passing = [[i for i in members if passes(of, allocation, i, votes[i], base)] for members in lists(of)]
    of_lists, tied_seats, tied_lists = share(
        allocation.method, [sum(votes[i] for i in m) for m in passing], of.seats, allocation.tie
    )
    for at in tied_lists:
        tied |= set(passing[at])
    for members, its in zip(passing, of_lists, strict=True):
        each, more, between = share(allocation.method, [votes[i] for i in members], its, allocation.tie)
        tied_seats += more
        tied |= {members[at] for at in between}
        for i, n in zip(members, each, strict=True):
            found[i] = n
    return found, tied_seats, tied


def seats_certain(of: Contest, votes: tuple[int, ...], base: int, bound: int | None, contradicted: int = 0) -> list[int]:
    allocation = of.allocation
    assert allocation is not None
    if bound is None:
        return [0] * len(votes)
    if bound + contradicted == 0:
        return seats_now(of, votes, base)[0]
    more, all_lists = of.votes_per_ballot * bound + contradicted, lists(of)
    sure = [[i for i in m if passes(of, allocation, i, votes[i], base + bound + contradicted)] for m in all_lists]
    able = [[i for i in m if passes(of, allocation, i, votes[i] + more, base)] for m in all_lists]
    found = [0] * len(votes)
    rivals = {at: sum(votes[i] for i in members) for at, members in enumerate(able) if members}
    for at in range(len(all_lists)):
        if not sure[at]:
            continue
        its = _keeps(allocation.method, sum(votes[i] for i in sure[at]), at, rivals, of.seats, more)
        if len(able[at]) == 1:  # nobody to share with
            found[sure[at][0]] = its
            continue
        inside = {i: votes[i] for i in able[at]}
        for i in sure[at]:
            found[i] = _keeps(allocation.method, votes[i], i, inside, its, more)
    return found


def _keeps(method: str, votes: int, own: int, rivals: dict[int, int], seats: int, more: int) -> int:
    if not votes:
        return 0
    if method == "hare":
        return votes * seats // (sum(rivals.values()) + more)
    others = [v for i, v in rivals.items() if i != own]
    for m, divisor in enumerate(islice(divisors(method), seats), 1):
        if _reach(method, others, votes / divisor, more, seats - m + 1):
            return m - 1
    return seats


def _reach(method: str, others: list[int], line: Fraction, more: int, enough: int) -> bool:
    """Whether they get so many quotients no less than the line, with so many more votes where these bring one cheapest."""
    had = [0] * len(others)
    worth = [Fraction(v) for v in others]
    rows = [list(islice(divisors(method), enough + 1)) for _ in others]
    left = Fraction(more)
    for _ in range(enough):
        if not others:
            return False
        lacks = [max(Fraction(0), line * rows[i][had[i]] - worth[i]) for i in range(len(others))]
        cheapest = min(range(len(others)), key=lacks.__getitem__)
        if lacks[cheapest] > left:
            return False
        left -= lacks[cheapest]
        worth[cheapest] += lacks[cheapest]
        had[cheapest] += 1
    return True
