"""Seats of a proportional contest: how its method shares them out now, and which of them are certain.

Decides which lists pass, what each gets, what equal quotients leave to nobody, and how many seats a list keeps in every way the
outstanding ballots can fall. All in whole numbers: quotients are compared as fractions, never as decimals. Refuses to know
where votes come from and what the seats are called; `outcome.py` says what follows from them. Read that next.

A combination is one list first, of those of its members that pass; its seats are then shared among these. A list here is a
list alone, or such a combination, in the order of its first member.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from tally_stream.domain.contest import Allocation, Contest
from tally_stream.domain.counted import Counted


@dataclass(frozen=True)
class Seats:
    """By candidate, in definition order: what each has `now`, and what it is `certain` of; `tied_seats` are nobody's, and
    `tied` are the places of those between whom they lie (of all such ties together)."""

    now: list[int]
    certain: list[int]
    tied_seats: int
    tied: list[int]


class _Divisors:
    """The m-th (from 1 on) is `first`, then `step` × m − `less`. All are ten times, or once, what the law has: quotients keep
    their order."""

    def __init__(self, step: int, less: int, first: int) -> None:
        self.step = step
        self.less = less
        self.first = first
        self.is_even = first == step - less
        """Whether the first is one of the row; else it costs more than its place says, and the second one less."""

    def at(self, m: int) -> int:
        return self.first if m == 1 else self.step * m - self.less

    def reached(self, numerator: int, line: int) -> int:
        """How many quotients of votes are no less than a line; both times the divisor of the line."""
        found = (numerator + line * self.less) // (line * self.step)
        if found > 1:
            return found
        return 1 if numerator >= line * self.first else 0


_DIVISORS = {
    "dhondt": _Divisors(1, 0, 1),
    "sainte-lague": _Divisors(2, 1, 1),
    "sainte-lague-1.4": _Divisors(10, 5, 7),  # 1.4, 3, 5 … times five
}
"""Hare has none."""

Shared = tuple[list[int], int, list[int]]
"""What each list gets, how many seats nobody gets, and the lists between which they lie."""


def base_of(allocation: Allocation, counted: Counted) -> int | None:
    """The ballots that a threshold is a share of; None where they are unknown."""
    if allocation.threshold_base == "valid":
        return counted.valid
    if allocation.threshold_base == "cast":
        return counted.cast
    return None if counted.blank is None else counted.valid + counted.blank


def seats_of(contest: Contest, counted: Counted) -> Seats | None:
    """None for other rules, and while the base of the threshold is unknown."""
    allocation = contest.allocation
    base = None if allocation is None else base_of(allocation, counted)
    if allocation is None or base is None:
        return None
    votes = list(counted.votes)
    lists = _lists(contest)
    method = _DIVISORS.get(allocation.method)
    passing = _those_at(contest, allocation, votes, lists, 0, base)
    is_by_votes = allocation.tie == "more-votes"
    of_lists = share_out(method, _sums(votes, passing), contest.seats, is_by_votes)
    now, tied_seats, tied = _among_members(method, votes, passing, of_lists, is_by_votes)
    if counted.bound is None:
        certain = [0] * len(votes)
    elif not counted.bound + counted.contradicted:
        certain = now
    else:
        certain = _certain(contest, allocation, method, counted, votes, lists, base, of_lists[0], now)
    return Seats(now, certain, tied_seats, tied)


def _lists(contest: Contest) -> list[list[int]]:
    """The places of eligible candidates: each alone, or with those it is combined with."""
    if not contest.combinations:
        return [[i] for i in contest.eligible]
    combination_of = {member: number for number, members in enumerate(contest.combinations) for member in members}
    found: list[list[int]] = []
    place_of: dict[int, int] = {}
    for i in contest.eligible:
        number = combination_of.get(contest.candidate_ids[i])
        if number is not None and number in place_of:
            found[place_of[number]].append(i)
            continue
        if number is not None:
            place_of[number] = len(found)
        found.append([i])
    return found


def _those_at(
    contest: Contest, allocation: Allocation, votes: list[int], lists: list[list[int]], more: int, base: int
) -> list[list[int]]:
    """Of each list the members that pass a threshold of so large a base with so many more votes."""
    numerator, denominator = allocation.threshold_percent.as_integer_ratio()
    limit, factor = numerator * base, 100 * denominator
    exempt, ids = allocation.exempt, contest.candidate_ids
    return [[i for i in members if factor * (votes[i] + more) >= limit or ids[i] in exempt] for members in lists]


# -- now ---------------------------------------------------------------------------------------------------------------


def _among_members(
    method: _Divisors | None, votes: list[int], passing: list[list[int]], of_lists: Shared, is_by_votes: bool
) -> tuple[list[int], int, list[int]]:
    """By candidate what lists got; the tied ones in definition order."""
    seats, tied_seats, tied_lists = of_lists
    now = [0] * len(votes)
    tied = {i for place in tied_lists for i in passing[place]}
    for place, members in enumerate(passing):
        if len(members) == 1:
            now[members[0]] = seats[place]
            continue
        each, more_tied_seats, tied_members = share_out(method, [votes[i] for i in members], seats[place], is_by_votes)
        for i, its in zip(members, each, strict=True):
            now[i] = its
        tied_seats += more_tied_seats
        tied.update([members[at] for at in tied_members])
    return now, tied_seats, sorted(tied)


def _sums(votes: list[int], lists: list[list[int]]) -> list[int]:
    return [_sum_of(votes, members) for members in lists]


def _sum_of(votes: list[int], members: list[int]) -> int:
    total = 0
    for i in members:
        total += votes[i]
    return total


def share_out(method: _Divisors | None, votes: list[int], seats: int, is_by_votes: bool) -> Shared:
    """Seats among lists with these votes, by divisors or (None) by Hare's quota. Who has no votes gets no seat. Of equal
    quotients, or remainders, that are more than the seats left, the list with more votes is first where `is_by_votes`."""
    if not seats or not any(votes):
        return [0] * len(votes), 0, []
    if method is None:
        return _by_quota(votes, seats, is_by_votes)
    return _by_divisors(method, votes, seats, is_by_votes)


def _by_divisors(method: _Divisors, votes: list[int], seats: int, is_by_votes: bool) -> Shared:
    given = _surely(method, votes, seats)
    # Two quotients that differ do so by 1 / (divisor × divisor) at least: times this, they differ as whole numbers.
    scale = method.at(seats + 1) ** 2
    following = [(-(votes[i] * scale // method.at(given[i] + 1)), i) for i in range(len(votes)) if votes[i]]
    heapq.heapify(following)
    for _ in range(seats - sum(given)):
        i = following[0][1]
        given[i] += 1
        heapq.heapreplace(following, (-(votes[i] * scale // method.at(given[i] + 1)), i))
    lowest = [votes[i] * scale // method.at(given[i]) for i in range(len(votes)) if given[i]]
    line = min(lowest)
    if -following[0][0] < line:
        return given, 0, []
    last = [i for i in range(len(votes)) if given[i] and votes[i] * scale // method.at(given[i]) == line]
    for i in last:
        given[i] -= 1
    return _among_equals(given, sorted([*last, *[i for key, i in following if -key == line]]), len(last), votes, is_by_votes)


def _surely(method: _Divisors, votes: list[int], seats: int) -> list[int]:
    """Seats that each list has at least: those of quotients above a line so high that they can't be more than all seats.
    The rest is no more than two for each list, so a large house costs no more than a small one."""
    total = sum(votes)
    line = seats * method.step - len(votes) * method.less
    return [method.reached(n * line, total) for n in votes] if line > 0 else [0] * len(votes)


def _by_quota(votes: list[int], seats: int, is_by_votes: bool) -> Shared:
    total = sum(votes)
    given = [n * seats // total for n in votes]
    left = seats - sum(given)
    if not left:
        return given, 0, []
    remainders = [n * seats % total for n in votes]
    line = sorted(remainders)[-left]
    equal = [i for i in range(len(votes)) if remainders[i] == line]
    for i in range(len(votes)):
        if remainders[i] > line:
            given[i] += 1
            left -= 1
    return _among_equals(given, equal, left, votes, is_by_votes)


def _among_equals(given: list[int], equal: list[int], left: int, votes: list[int], is_by_votes: bool) -> Shared:
    """`given` with the seats that are left: one for each of those that are equal, where there are enough."""
    while left < len(equal) and is_by_votes:
        most = max(votes[i] for i in equal)
        first = [i for i in equal if votes[i] == most]
        if len(first) > left:
            equal = first
            break
        for i in first:
            given[i] += 1
        left -= len(first)
        equal = [i for i in equal if votes[i] < most]
    if left < len(equal):
        return given, left, equal if left else []
    for i in equal:
        given[i] += 1
    return given, 0, []


# -- certain -----------------------------------------------------------------------------------------------------------


def _certain(
    contest: Contest, allocation: Allocation, method: _Divisors | None, counted: Counted, votes: list[int],
    lists: list[list[int]], base: int, lists_now: list[int], now: list[int],
) -> list[int]:  # fmt: skip
    """By candidate, with ballots out. Worst for a list: its own votes and those of its combination stay, all outstanding
    ballots are in the base of its threshold, and all others that can pass share their votes as hurts it most."""
    assert counted.bound is not None
    more = contest.votes_per_ballot * counted.bound + counted.contradicted
    sure = _those_at(contest, allocation, votes, lists, 0, base + counted.bound + counted.contradicted)
    able = _those_at(contest, allocation, votes, lists, more, base)
    racing = [place for place, members in enumerate(able) if members]
    of_lists = _keeps(
        method, [_sum_of(votes, sure[place]) for place in racing], [_sum_of(votes, able[place]) for place in racing],
        contest.seats, more, [lists_now[place] for place in racing],
    )  # fmt: skip
    certain = [0] * len(votes)
    for place, its in zip(racing, of_lists, strict=True):
        members = able[place]
        if len(members) == 1:
            certain[members[0]] = its
            continue
        sure_votes = [votes[i] if i in sure[place] else 0 for i in members]
        each = _keeps(method, sure_votes, [votes[i] for i in members], its, more, [now[i] for i in members])
        for i, of_member in zip(members, each, strict=True):
            certain[i] = of_member
    return certain


def _keeps(
    method: _Divisors | None, sure: list[int], able: list[int], seats: int, more: int, most: list[int]
) -> list[int]:  # fmt: skip
    """Of so many seats those that each list is certain of. `sure`: its votes that pass in every case; `able`: those that may
    pass; `more`: the votes still out; `most`: what it has now, as nobody is certain of more."""
    if method is None:
        all_votes = sum(able) + more
        return [n * seats // all_votes for n in sure]
    race = _Race(method, able, seats, more)
    return [race.certain(i, sure[i], most[i]) for i in range(len(sure))]


class _Race:
    """Lists that compete for seats by divisors. A quotient is certain or not by its height alone (but where the first divisor
    is higher than its place, or a combination may come to more members): so the lowest one that is certain and the highest
    that is not are kept, as votes and divisor, and most lists are judged by these two."""

    def __init__(self, method: _Divisors, able: list[int], seats: int, more: int) -> None:
        self.method = method
        self.able = able
        self.seats = seats
        self.more = more
        self.certain_votes = 0
        """0: no quotient was found certain yet."""
        self.certain_divisor = 1
        self.open_votes = 0
        """0: every quotient is above it."""
        self.open_divisor = 1

    def certain(self, own: int, votes: int, most: int) -> int:
        """How many seats of the list at `own` are certain, no more than `most`, with votes that are sure to pass."""
        if not votes:
            return 0
        method = self.method
        low, high = 0, most
        is_alike = votes == self.able[own]
        if is_alike and self.certain_votes:
            low = min(high, method.reached(votes * self.certain_divisor, self.certain_votes))
        if is_alike and self.open_votes:
            above = method.reached(votes * self.open_divisor, self.open_votes)
            high = min(high, above if method.is_even else max(above, 1))
        while low < high:
            m = (low + high + 1) // 2
            divisor = method.at(m)
            is_kept = not self._is_lost(own, votes, divisor, self.seats - m + 1)
            if is_kept:
                low = m
            else:
                high = m - 1
            if is_alike and (m > 1 or method.is_even):
                if is_kept:
                    self.certain_votes, self.certain_divisor = votes, divisor
                else:
                    self.open_votes, self.open_divisor = votes, divisor
        return low

    def _is_lost(self, own: int, votes: int, divisor: int, enough: int) -> bool:
        """Whether so many quotients of others can be no less than votes / divisor. Each is worth its votes as they are; the
        votes still out go where the next one lacks least. All times the divisor, so that it is whole."""
        method = self.method
        lacks: list[int] = []
        for i in range(len(self.able)):
            if i == own:
                continue
            has = self.able[i] * divisor
            reached = method.reached(has, votes)
            enough -= reached
            if enough <= 0:
                return True
            lacks.append(votes * method.at(reached + 1) - has)
            if not reached and not method.is_even:
                lacks.append(votes * (method.at(2) - method.first))
        if not lacks:
            return False
        lacks.sort()
        # Whoever has got one lacks a whole step for the next, and that is more than anybody lacked before.
        lacking = sum(lacks[:enough]) + max(0, enough - len(lacks)) * votes * method.step
        return lacking <= self.more * divisor
